"""Whose memory is taken, and that it goes back."""

from __future__ import annotations

import subprocess
import sys

import pytest

CODE = """
import ctypes
from annotator.storage.memory import give_back, share_memory
def held():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096
share_memory()
libc = ctypes.CDLL(None)
libc.malloc.restype, libc.malloc.argtypes, libc.free.argtypes = ctypes.c_void_p, [ctypes.c_size_t], [ctypes.c_void_p]
places = [libc.malloc(100_000) for _ in range(1000)]
for place in places:
    ctypes.memset(place, 1, 100_000)
full = held()
for place in places[:-1]:
    libc.free(place)
give_back()
print(full - held() > 90_000_000)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the system's own allocator")
def test_what_was_freed_goes_back() -> None:
    """Though something behind it is still in use."""
    found = subprocess.run([sys.executable, "-c", CODE], check=True, stdout=subprocess.PIPE, text=True)
    assert found.stdout == "True\n"


@pytest.mark.skipif(sys.platform != "linux", reason="set nowhere else")
def test_who_chose_keeps_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """What stands in the environment stands; what does not is set for processes started from here."""
    code = "import os; from annotator.storage.memory import share_memory as share; share(); print(os.environ[NAME])"
    name = "MALLOC_MMAP_THRESHOLD_"
    found = []
    for chosen in (None, "4096"):
        monkeypatch.delenv(name, raising=False)
        if chosen:
            monkeypatch.setenv(name, chosen)
        command = [sys.executable, "-c", code.replace("NAME", repr(name))]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        found.append(done.stdout.strip())
    assert found == [str(1 << 22), "4096"]
