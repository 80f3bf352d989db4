"""Argilla: records with a span question, suggestions from the run; beside them the list of labels.

Argilla's page counts as browsers do, in UTF-16 units, and its server refuses a span that ends beyond the number of
code points; so a span near the end of a text with emoji has no place. Spans may overlap (``allow_overlapping=True``).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any

from annotator.records import Annotation, Mention
from data_cards.exchange.carrying import Job, Reviewed, Unread, from_utf16, to_utf16
from data_cards.exchange.json_writing import dumps, write_array
from data_cards.exchange.reading import read_each

QUESTION, FIELD = "entities", "text"
DONE = "reviewed"
"""A question that must be answered, since a span question without a span may not be submitted."""
BEYOND = "ends where Argilla's server sees the end of the text (emoji before it count twice)"


def labels_file(labels: Sequence[str]) -> bytes:
    """The labels of the span question, as a JSON list."""
    return (dumps(list(labels)) + "\n").encode("utf-8")


def lost(annotation: Annotation) -> dict[Mention, str]:
    """Spans that the server would refuse."""
    size = len(annotation.text)
    return {one: BEYOND for one in annotation.mentions if to_utf16(annotation.text, one.end) > size}


def write(file: IO[bytes], annotations: Iterable[Annotation], job: Job) -> None:
    """Write a JSON array in the form of ``Record.to_dict``."""
    write_array(file, (_record(annotation, job) for annotation in annotations))


def _record(annotation: Annotation, job: Job) -> dict[str, Any]:
    left_out, text = lost(annotation), annotation.text
    job.count(annotation, left_out)
    kept = [mention for mention in annotation.mentions if mention not in left_out]
    value = [
        {"start": to_utf16(text, found.start), "end": to_utf16(text, found.end), "label": found.label} for found in kept
    ]
    return {
        "id": annotation.passage_id,
        "fields": {FIELD: text},
        "metadata": {"raw_labels": sorted({found.raw_label for found in kept})} if kept else {},
        "suggestions": {QUESTION: {"value": value, "score": None, "agent": "vner-annotate"}},
        "responses": {},
        "vectors": {},
    }


def read(path: Path) -> Iterator[Reviewed | Unread]:
    """Read records that were exported with ``to_json``. Only responses count, suggestions do not.

    Several people must agree. A response that says it is a draft or discarded does not count. One to the question
    ``reviewed`` without one to ``entities`` says that there are none.
    """
    return read_each(path, _reviewed)


def _reviewed(record: dict[str, Any]) -> Reviewed | Unread:
    text, identity, responses = record["fields"][FIELD], record["id"], record.get("responses") or {}
    if unknown := sorted(set(responses) - {QUESTION, DONE}):
        raise ValueError(f"it answers the question {unknown[0]!r}, not {QUESTION!r} or {DONE!r}")
    by_person: dict[Any, list[dict[str, Any]]] = {
        made.get("user_id"): [] for made in responses.get(DONE) or () if _counts(made) and _is_yes(made["value"])
    }
    by_person |= {made.get("user_id"): made["value"] for made in responses.get(QUESTION) or () if _counts(made)}
    if not by_person:
        return Unread("unreviewed", identity, "nobody has submitted it")
    versions = {
        tuple(sorted((from_utf16(text, one["start"]), from_utf16(text, one["end"]), one["label"]) for one in value))
        for value in by_person.values()
    }
    if len(versions) > 1:
        return Unread("conflicting", identity, f"{len(by_person)} responses differ; keep one of them")
    return Reviewed(identity, versions.pop(), text=text)


def _is_yes(value: Any) -> bool:
    if value != "yes":
        raise ValueError(f"the question {DONE!r} is answered {value!r}, not 'yes'")
    return True


def _counts(response: dict[str, Any]) -> bool:
    return response.get("status") in {None, "submitted"} and response["value"] is not None
