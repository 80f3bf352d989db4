"""Entities in BIO tags: ``B-person I-person O``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence


def tagged_spans(tags: Sequence[str]) -> Iterator[tuple[int, int, str]]:
    """Yield first token, end and first tag of each entity.

    An ``I-`` that continues no entity of its label begins one, as in seqeval; its tag shows which ones did.
    """
    first, start = "O", 0
    for index, tag in enumerate([*tags, "O"]):
        if first != "O" and tag == f"I-{first[2:]}":
            continue
        if first != "O":
            yield start, index, first
        first, start = tag, index
