"""Convert offsets between code points, UTF-16 units and the Unicode forms of a text."""

from __future__ import annotations

from normalizers.text import nfc


def to_utf16(text: str, offset: int) -> int:
    """Convert an offset in code points to UTF-16 code units, in which a browser counts: an emoji is two of them."""
    return offset + sum(char > "\uffff" for char in text[:offset])


def from_utf16(text: str, offset: int) -> int:
    """Convert an offset in UTF-16 code units to code points.

    Raises:
        ValueError: it lies in the middle of a character or outside the text.
    """
    if text.isascii() and 0 <= offset <= len(text):
        return offset
    units = text.encode("utf-16-le", "surrogatepass")
    if not 0 <= 2 * offset <= len(units):
        raise ValueError(f"offset {offset} is outside the text")
    try:
        return len(units[: 2 * offset].decode("utf-16-le"))
    except UnicodeDecodeError:
        raise ValueError(f"offset {offset} is in the middle of a character") from None


def to_composed(text: str, offset: int, composed: str) -> int:
    """Convert an offset in ``text`` to one in ``composed``, its NFC.

    Raises:
        ValueError: it lies inside a composed character.
    """
    if text == composed:
        return offset
    before = nfc(text[:offset])
    if before + nfc(text[offset:]) != composed:
        raise ValueError(f"offset {offset} is inside a character")
    return len(before)
