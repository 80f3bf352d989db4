"""Whose memory Arrow takes, and when what was freed goes back to the system."""

from __future__ import annotations

import ctypes
import os
import sys
from typing import Final

_MMAP_THRESHOLD: Final = -3  # as malloc.h of glibc has it
_LARGE: Final = 1 << 22


def give_back() -> None:
    """Give what glibc's heap has free back to the system; a few milliseconds, so to be called now and then."""
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # musl has none
        if trim:
            trim(0)


def share_memory() -> None:
    """Let Arrow take its memory where Python does, and give large buffers back, in processes started from here too.

    Arrow's own allocator keeps what it had: cutting, cleaning and exploding 10,000 articles took a fifth more with it.
    And once a buffer of some megabytes was freed, glibc takes the next ones from its heap, where they leave holes: more
    than 100 MB of them after 100,000 articles. With a threshold that is set, large buffers stay apart.

    To be called before Arrow is imported; who has chosen otherwise in the environment keeps it.
    """
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
    if sys.platform == "linux" and "MALLOC_MMAP_THRESHOLD_" not in os.environ:
        os.environ["MALLOC_MMAP_THRESHOLD_"] = str(_LARGE)  # read when a process starts
        mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # musl has none
        if mallopt:
            mallopt(_MMAP_THRESHOLD, _LARGE)
