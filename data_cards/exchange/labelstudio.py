"""Label Studio: tasks with the entities as predictions; a second file has the labelling configuration.

Offsets are code points; versions before 2022 counted UTF-16 units. Both can be read, since a region has its text. Any
span fits.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any
from xml.sax.saxutils import quoteattr

from data_cards.exchange.passages import Exported, Reviewed, Unread
from data_cards.exchange.places import from_utf16
from normalizers.text import nfc

FROM_NAME, TO_NAME = "label", "text"
WITHOUT_SPANS = frozenset({"choices", "datetime", "number", "pairwise", "rating", "relation", "taxonomy", "textarea"})
"""Types of results that add to a task or a region and mark no entity."""


def config(labels: Sequence[str]) -> str:
    """Return the labelling configuration (XML) that goes with the tasks."""
    lines = [
        "<View>",
        f'  <Filter toName="{FROM_NAME}" minlength="0" name="filter"/>',
        f'  <Labels name="{FROM_NAME}" toName="{TO_NAME}" showInline="true">',
        *(f"    <Label value={quoteattr(label)}/>" for label in labels),
        "  </Labels>",
        f'  <Text name="{TO_NAME}" value="$text"/>',
        "</View>",
        "",
    ]
    return "\n".join(lines)


def to_task(passage: Exported) -> dict[str, Any]:
    """Return the task of a passage, its entities as predictions."""
    annotation = passage.annotation
    result = [
        {
            "id": f"{number}",
            "from_name": FROM_NAME,
            "to_name": TO_NAME,
            "type": "labels",
            "value": {"start": found.start, "end": found.end, "text": found.text, "labels": [found.label]},
            "meta": {"text": [f"{found.raw_label} ({found.match})"]},
        }
        for number, found in enumerate(annotation.mentions, start=1)
    ]
    return {
        "data": {"text": annotation.text, "passage_id": annotation.passage_id},
        "predictions": [{"model_version": "vner-annotate", "result": result}],
    }


def from_task(task: dict[str, Any]) -> Reviewed | Unread:
    """Read a task of a JSON export. Submitted annotations count, predictions do not.

    Of several annotations the one marked as ground truth counts; without one they must agree.
    """
    text, identity = task["data"]["text"], task["data"]["passage_id"]
    submitted = [
        made for made in task.get("annotations", task.get("completions")) or () if not made.get("was_cancelled")
    ]
    submitted = [made for made in submitted if made.get("ground_truth")] or submitted
    if not submitted:
        return Unread("unreviewed", identity, "nobody has submitted it")
    versions = {tuple(sorted(_spans(text, made["result"]))) for made in submitted}
    if len(versions) > 1:
        return Unread("conflicting", identity, f"{len(submitted)} annotations differ; mark one as ground truth")
    return Reviewed(identity, versions.pop(), text=text)


def _spans(text: str, result: Iterable[dict[str, Any]]) -> Iterator[tuple[int, int, str]]:
    for region in result:
        if region["type"] in WITHOUT_SPANS:
            continue
        if region["type"] != "labels":
            raise ValueError(f"a region of type {region['type']!r}; label with the control <Labels> on <Text>")
        value = region["value"]
        start, end = _place(text, value)
        if not value["labels"]:
            raise ValueError(f"the region {start}-{end} has no label")
        for label in value["labels"]:
            yield start, end, label


def _place(text: str, value: dict[str, Any]) -> tuple[int, int]:
    start, end, marked = value["start"], value["end"], value.get("text")
    if marked is None or _shown(text[start:end]) == _shown(marked):
        return start, end
    start, end = from_utf16(text, start), from_utf16(text, end)
    if _shown(text[start:end]) != _shown(marked):
        raise ValueError(f"the text at {value['start']}-{value['end']} is not {marked!r}")
    return start, end


def _shown(text: str) -> str:
    """Return ``text`` in NFC, with line breaks as Label Studio writes them in a region: a backslash and an n."""
    return nfc(text).replace("\n", "\\n").replace("\r", "\\n")
