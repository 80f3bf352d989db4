"""The Hub's Xet storage on loopback, which assembles the files that the real ``hf_xet`` uploads.

A file is cut into chunks; chunks travel in xorbs, and shards say which chunks of which xorbs make up a file. The
formats are those of the Xet protocol's specification (huggingface.co/docs/xet).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

import pyarrow as pa

_HASH = 32
_ENTRY = 48
"""Bytes of an entry of a shard, and of its header."""
_END = b"\xff" * _HASH
_VERIFIED, _WITH_SHA256 = 1 << 31, 1 << 30
_PLAIN, _LZ4 = 0, 1


class XetStore:
    """The uploaded chunks, and the files that they make up."""

    def __init__(self) -> None:
        self.xorbs: dict[str, list[bytes]] = {}
        """Chunks by the hash of their xorb."""

    def add_xorb(self, name: str, body: bytes) -> bool:
        """Store the chunks of a xorb; return whether it is new."""
        new = name not in self.xorbs
        self.xorbs[name] = list(_chunks(body))
        return new

    def files(self, shard: bytes) -> Iterator[tuple[str, bytes]]:
        """Yield the sha256 and the content of each file that a shard describes."""
        place = _ENTRY
        while (file_hash := shard[place : place + _HASH]) != _END and file_hash:
            flags, number = struct.unpack_from("<II", shard, place + _HASH)
            place += _ENTRY
            content = b""
            for entry in range(place, place + number * _ENTRY, _ENTRY):
                _, size, first, last = struct.unpack_from("<IIII", shard, entry + _HASH)
                segment = b"".join(self.xorbs[_hex(shard[entry : entry + _HASH])][first:last])
                if len(segment) != size:
                    raise ValueError(f"a segment of {len(segment)} bytes says it has {size}")
                content += segment
            place += number * _ENTRY * (2 if flags & _VERIFIED else 1)
            if flags & _WITH_SHA256:
                yield _hex(shard[place : place + _HASH]), content
                place += _ENTRY


def _chunks(xorb: bytes) -> Iterator[bytes]:
    place = 0
    while place + 8 <= len(xorb):
        packed = int.from_bytes(xorb[place + 1 : place + 4], "little")
        scheme = xorb[place + 4]
        size = int.from_bytes(xorb[place + 5 : place + 8], "little")
        if xorb[place] != 0 or packed == 0:
            return  # the footer, if there is one
        body = xorb[place + 8 : place + 8 + packed]
        place += 8 + packed
        yield body if scheme == _PLAIN else _unpacked(body, size, grouped=scheme != _LZ4)


def _unpacked(body: bytes, size: int, *, grouped: bool) -> bytes:
    plain = bytes(pa.decompress(body, size, codec="lz4", asbytes=True))
    if not grouped:
        return plain
    mixed = bytearray(size)  # grouped: first all bytes at 0 mod 4, then at 1, 2 and 3
    begin = 0
    for offset in range(4):
        length = len(range(offset, size, 4))
        mixed[offset::4] = plain[begin : begin + length]
        begin += length
    return bytes(mixed)


def _hex(raw: bytes) -> str:
    """Return a hash as Xet writes it: four numbers of eight bytes."""
    return "".join(f"{number:016x}" for number in struct.unpack("<4Q", raw))
