"""Samples of the contract, with ids by content."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable

from annotator.records import Sample
from annotator.samples.explode import INSTRUCTION


class Maker:
    """Makes samples. What comes again word for word gets an id of its own: its content, and how often it came before.

    It remembers eight bytes of each id (about 80 bytes of memory a sample).
    """

    def __init__(self) -> None:
        self._seen: set[int] = set()
        self._again: Counter[int] = Counter()

    def passage(self, text: str) -> str:
        """The id of a passage; the second sentence of the same words is another passage."""
        return self._apart(_digest([text]))

    def query(self, passage_id: str, text: str, entity_type: str, mentions: Iterable[str]) -> Sample:
        """One question for one type about one passage; the distinct mentions answer it, none is an answer too."""
        distinct = list(dict.fromkeys(mentions))
        return Sample(
            id=self._apart(_digest([passage_id, entity_type])),
            instruction=INSTRUCTION.format(entity_type=entity_type),
            input=text,
            output=json.dumps(distinct, ensure_ascii=False),
            entity_type=entity_type,
            negative=not distinct,
            passage_id=passage_id,
        )

    def instruct(self, about: str, instruction: str, text: str, output: str) -> Sample:
        """A sample of another task: no type, never negative. Those about the same have one ``passage_id``."""
        passage_id = _digest([about])
        return Sample(
            id=self._apart(_digest([passage_id, instruction])),
            instruction=instruction,
            input=text,
            output=output,
            entity_type="",
            negative=False,
            passage_id=passage_id,
        )

    def _apart(self, identity: str) -> str:
        key = int(identity, 16)
        if key not in self._seen:
            self._seen.add(key)
            return identity
        self._again[key] += 1
        return self._apart(_digest([identity, str(self._again[key])]))


def _digest(parts: list[str]) -> str:
    return hashlib.sha256(json.dumps(parts, ensure_ascii=False).encode("utf-8")).hexdigest()[:16]
