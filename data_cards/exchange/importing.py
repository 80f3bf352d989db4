"""Import corrections: match the passages of a run, report what changed, store it in the run directory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from annotator.cleaning.clean import Decider
from annotator.cleaning.corrections import (
    HUMAN,
    Corrected,
    Correction,
    read_corrections,
    text_sha256,
    write_corrections,
)
from annotator.errors import SourceError
from annotator.records import Annotation, Mention
from annotator.run.label_rules import label_rules, types_of
from annotator.samples.explode import asked_as
from annotator.storage import tables
from annotator.storage.rundir import RunDir, annotated, opened
from data_cards.exchange.formats import Format, format_named
from data_cards.exchange.passages import Reviewed, Unread
from data_cards.exchange.spans import ForeignError, find_spans

KINDS: Final = ("unchanged", "corrected", "unreviewed", "conflicting", "repeated", "foreign", "unreadable")
"""The possible results of reading a record."""
LISTED: Final = 20
"""Records without a correction that are listed, for each kind."""


def bring_back(root: Path, name: str, files: Sequence[Path]) -> dict[str, Any]:
    """Store the corrections of ``files`` in the run ``root``; the next build applies them.

    Returns:
        The number of records of each kind, the records that were left out and why, and the labels that people gave.

    Raises:
        ConfigError: the format is unknown.
        RunDirError: the run is not finished.
        SourceError: a file cannot be read. Then nothing is stored.
    """
    form = format_named(name)
    run = annotated(root)
    for path in files:
        if not path.is_file():
            raise SourceError(f"cannot read {path}: {'it is a folder' if path.is_dir() else 'there is no such file'}")
    wanted = {record.passage_id for record in _records(form, files, run) if isinstance(record, Reviewed)}
    current = {one.passage_id: one for one in tables.read_annotations(run.annotations) if one.passage_id in wanted}
    labels = label_rules(run)
    counts: Counter[str] = Counter()
    left_out: dict[str, list[dict[str, str]]] = {}
    new: dict[str, Correction] = {}
    for record in _records(form, files, run):  # read twice, so that memory holds only the passages that are corrected
        kind, detail, correction = _read(record, current, form, labels)
        if correction:
            correction = replace(correction, tool=name)
            if (earlier := new.setdefault(record.passage_id, correction)) is not correction:
                reason = "it differs from an earlier record of the same passage, which stays"
                kind, detail = ("repeated", "") if earlier == correction else ("conflicting", reason)
        counts[kind] += 1
        if detail and len(left_out.setdefault(kind, [])) < LISTED:
            left_out[kind].append({"passage_id": record.passage_id, "detail": detail})
    with opened(root) as directory:
        if new:
            write_corrections(directory.corrections, {**read_corrections(directory.corrections), **new})
        reviewed = len(read_corrections(directory.corrections))
    return {
        "format": name,
        "read": counts.total(),
        **{kind: counts[kind] for kind in KINDS},
        "reviewed_in_all": reviewed,
        "left_out": left_out,
        "labels": _labels_of_people(new.values(), labels),
    }


def _records(form: Format, files: Sequence[Path], run: RunDir) -> Iterator[Reviewed | Unread]:
    """Yield the records of all files, with the name of a type in place of its definition."""
    schema = types_of(run)
    definitions = schema.definitions if schema else {}
    names = {asked_as(name, definitions): name for name in definitions}
    for path in files:
        for record in form.read(path):
            if isinstance(record, Reviewed) and record.predictions:
                predictions = tuple((mention, names.get(label, label)) for mention, label in record.predictions)
                yield replace(record, predictions=predictions)
            else:
                yield record


def _read(
    record: Reviewed | Unread, current: Mapping[str, Annotation], form: Format, labels: Decider
) -> tuple[str, str, Correction | None]:
    """Return the kind of a record, the reason why it is left out, and its correction."""
    if isinstance(record, Unread):
        return record.kind, record.detail, None
    annotation = current.get(record.passage_id)
    if annotation is None:
        return "foreign", "the run has no annotated passage of this id", None
    try:
        mentions = _mentions(annotation, record, form, labels)
    except ForeignError as error:
        return "foreign", str(error), None
    except ValueError as error:
        return "unreadable", str(error), None
    now = {(one.start, one.end, labels.decide(one.raw_label).label) for one in mentions}
    kind = "unchanged" if now == set(map(_key, annotation.mentions)) else "corrected"
    return kind, "", Correction(record.passage_id, text_sha256(annotation.text), mentions, "")


def _mentions(annotation: Annotation, record: Reviewed, form: Format, labels: Decider) -> tuple[Corrected, ...]:
    """Return the mentions of the corrected passage.

    A mention that the person did not change keeps its raw label and its match. A mention that the format cannot hold
    was not shown to the person, and stays.
    """
    known = {_key(mention): mention for mention in annotation.mentions}
    made: dict[tuple[int, int, str], Corrected] = {}
    for start, end, raw in find_spans(annotation, record):
        key = (start, end, labels.decide(raw).label or raw)
        same = known.get(key)
        kept = Corrected(start, end, same.raw_label, same.match) if same else Corrected(start, end, raw, HUMAN)
        made.setdefault(key, kept)
    for mention in form.lost(annotation):
        made.setdefault(_key(mention), Corrected(mention.start, mention.end, mention.raw_label, mention.match))
    return tuple(made[key] for key in sorted(made, key=lambda key: (key[0], -key[1], key[2])))


def _key(mention: Mention) -> tuple[int, int, str]:
    return mention.start, mention.end, mention.label


def _labels_of_people(corrections: Iterable[Correction], labels: Decider) -> list[dict[str, Any]]:
    """Return the labels that people gave, the most frequent first, with the decision on each."""
    counts = Counter(one.raw_label for correction in corrections for one in correction.mentions if one.match == HUMAN)
    rows = []
    for raw, number in sorted(counts.items(), key=lambda item: (-item[1], item[0])):
        found = labels.decide(raw)
        rows.append({"raw": raw, "label": found.label, "status": found.status, "rule": found.rule, "mentions": number})
    return rows
