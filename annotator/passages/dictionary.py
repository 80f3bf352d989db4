"""Read the Vietnamese words of several syllables: a name inside one of them is not a name."""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec
from pathlib import Path

from normalizers.text import fold_tones, nfc


@cache
def dictionary() -> frozenset[str]:
    """Return the 72,000 words of underthesea's dictionary, in lower case and with tones folded (hoà as hòa).

    The file is read without importing the package, which takes seconds.
    """
    package = find_spec("underthesea")
    if package is None or package.origin is None:  # it is a dependency
        raise ModuleNotFoundError("underthesea is not installed")
    words = Path(package.origin).parent / "corpus" / "data" / "Viet74K.txt"
    return frozenset(fold_tones(nfc(line.strip()).lower()) for line in words.read_text("utf-8").splitlines())
