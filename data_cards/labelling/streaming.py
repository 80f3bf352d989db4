"""Decides labels from a stream of bytes line by line, in bounded memory."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import BinaryIO, Final

from normalizers.labels import LabelNormalizer, load_lexicon

LONGEST: Final = 4096
"""Bytes of a line that are read; a longer label is rejected anyway."""
REMEMBERED: Final = 100_000
"""Labels after which the normalizer's memory is cleared."""


def normalize_lines(stream: BinaryIO, decisions: Mapping[str, str | None]) -> Iterator[str]:
    """Yield a JSON line for each line of ``stream``; bytes that are not UTF-8 become U+FFFD."""
    normalizer = LabelNormalizer(load_lexicon(), decisions)
    for number, line in enumerate(_lines(stream), start=1):
        if number % REMEMBERED == 0:
            normalizer = LabelNormalizer(load_lexicon(), decisions)
        raw = line.decode("utf-8", "replace")
        yield json.dumps(asdict(normalizer.decide(raw)), ensure_ascii=False) + "\n"


def _lines(stream: BinaryIO) -> Iterator[bytes]:
    """Yield lines without their ends, cut at ``LONGEST`` bytes."""
    while line := stream.readline(LONGEST):
        rest = line
        while not rest.endswith(b"\n") and (rest := stream.readline(LONGEST)):
            pass
        yield line.rstrip(b"\r\n")
