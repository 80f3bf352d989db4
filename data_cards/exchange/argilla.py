"""Argilla: records with a span question and the run's entities as suggestions; a second file lists the labels.

Argilla's page counts in UTF-16 units, as browsers do, but its server refuses a span that ends beyond the number of code
points. So a span near the end of a text with emoji cannot be exported. Spans may overlap (``allow_overlapping=True``).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from annotator.records import Annotation, Mention
from data_cards.exchange.json_files import dumps
from data_cards.exchange.passages import Exported, Reviewed, Unread
from data_cards.exchange.places import from_utf16, to_utf16

QUESTION, FIELD = "entities", "text"
DONE = "reviewed"
"""A question that must be answered, since a span question without a span may not be submitted."""
BEYOND = "ends where Argilla's server sees the end of the text (emoji before it count twice)"


def labels_file(labels: Sequence[str]) -> str:
    """Return the labels of the span question, as a JSON list."""
    return dumps(list(labels)) + "\n"


def lost(annotation: Annotation) -> dict[Mention, str]:
    """Return the spans that the server would refuse."""
    size = len(annotation.text)
    return {one: BEYOND for one in annotation.mentions if to_utf16(annotation.text, one.end) > size}


def to_record(passage: Exported) -> dict[str, Any]:
    """Return a passage in the form of ``Record.to_dict``."""
    text, mentions = passage.annotation.text, passage.annotation.mentions
    spans = [
        {"start": to_utf16(text, one.start), "end": to_utf16(text, one.end), "label": one.label} for one in mentions
    ]
    return {
        "id": passage.annotation.passage_id,
        "fields": {FIELD: text},
        "metadata": {"raw_labels": sorted({one.raw_label for one in mentions})} if mentions else {},
        "suggestions": {QUESTION: {"value": spans, "score": None, "agent": "vner-annotate"}},
        "responses": {},
        "vectors": {},
    }


def from_record(record: dict[str, Any]) -> Reviewed | Unread:
    """Read a record that was exported with ``to_json``.

    Submitted responses count; suggestions, drafts and discarded responses do not. Several people must agree. A person
    who answered ``reviewed`` but not ``entities`` found no entity.
    """
    text, identity, responses = record["fields"][FIELD], record["id"], record.get("responses") or {}
    if unknown := sorted(set(responses) - {QUESTION, DONE}):
        raise ValueError(f"it answers the question {unknown[0]!r}, not {QUESTION!r} or {DONE!r}")
    by_person: dict[Any, list[dict[str, Any]]] = {}
    for person, value in _submitted(responses.get(DONE)):
        if value != "yes":
            raise ValueError(f"the question {DONE!r} is answered {value!r}, not 'yes'")
        by_person[person] = []
    by_person |= _submitted(responses.get(QUESTION))
    if not by_person:
        return Unread("unreviewed", identity, "nobody has submitted it")
    versions = {
        tuple(sorted((from_utf16(text, one["start"]), from_utf16(text, one["end"]), one["label"]) for one in value))
        for value in by_person.values()
    }
    if len(versions) > 1:
        return Unread("conflicting", identity, f"{len(by_person)} responses differ; keep one of them")
    return Reviewed(identity, versions.pop(), text=text)


def _submitted(responses: Iterable[dict[str, Any]] | None) -> Iterator[tuple[Any, Any]]:
    """Yield the person and the value of each submitted response to a question."""
    for response in responses or ():
        if response.get("status") in {None, "submitted"} and response["value"] is not None:
            yield response.get("user_id"), response["value"]
