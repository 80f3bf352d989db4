"""Import corrections: match the passages of a run, report what changed, store it in the run directory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from annotator.cleaning.corrections import (
    HUMAN,
    Corrected,
    Correction,
    read_corrections,
    text_sha256,
    write_corrections,
)
from annotator.errors import RunDirError, SourceError
from annotator.records import Annotation, Mention
from annotator.storage import tables
from annotator.storage.rundir import existing, opened
from data_cards.exchange.carrying import Reviewed, Unread
from data_cards.exchange.formats import Format, format_named
from data_cards.exchange.tokens import locate
from normalizers.grounding import Grounder, Miss
from normalizers.labels import LabelDecision, LabelNormalizer, load_lexicon
from normalizers.text import nfc

KINDS: Final = ("unchanged", "corrected", "unreviewed", "conflicting", "repeated", "foreign", "unreadable")
"""What may become of a record of a file; each is one of these."""
LISTED: Final = 20
"""Records that are named one by one, of each kind that brings nothing."""


class _ForeignError(Exception):
    """The record is about another passage than the run's."""


def bring_back(root: Path, name: str, files: Sequence[Path]) -> dict[str, Any]:
    """Store the corrections of ``files`` in the run ``root``. Nothing else of the run changes here.

    Returns:
        Numbers of records by ``KINDS``; which were left out and why; the new labels.

    Raises:
        ConfigError: an unknown format.
        RunDirError: no finished run.
        SourceError: a file that cannot be read at all. Then nothing is stored.
    """
    form = format_named(name)
    run = existing(root)
    if not run.annotations.exists():
        raise RunDirError(f"{root} has no annotations yet; finish it with: vner-annotate build --out {root}")
    for path in files:
        if not path.is_file():
            raise SourceError(f"cannot read {path}: {'it is a folder' if path.is_dir() else 'there is no such file'}")
    wanted = {record.passage_id for path in files for record in form.read(path) if isinstance(record, Reviewed)}
    current = {
        found.passage_id: found for found in tables.read_annotations(run.annotations) if found.passage_id in wanted
    }
    counts: Counter[str] = Counter()
    left_out: dict[str, list[dict[str, str]]] = {}
    new: dict[str, Correction] = {}
    labels = _Labels()
    for record in (record for path in files for record in form.read(path)):  # again: the passages are known now
        kind, detail = _take(record, current, form, name, labels, new)
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
        "labels": labels.report(),
    }


class _Labels:
    """Normalises the labels of people, and counts the new ones."""

    def __init__(self) -> None:
        self._normalizer = LabelNormalizer(load_lexicon())
        self._new: Counter[str] = Counter()

    def decide(self, raw: str) -> LabelDecision:
        """Return the decision on a label."""
        return self._normalizer.decide(raw)

    def add(self, raw: str) -> None:
        """Count a label that a person gave to a mention."""
        self._new[raw] += 1

    def report(self) -> list[dict[str, Any]]:
        """Return each label that people gave, the decision on it, and its number, the most frequent first."""
        ordered = sorted(self._new.items(), key=lambda item: (-item[1], item[0]))
        return [
            {"raw": raw, "label": found.label, "status": found.status, "rule": found.rule, "mentions": number}
            for raw, number in ordered
            for found in [self.decide(raw)]
        ]


def _take(
    record: Reviewed | Unread,
    current: dict[str, Annotation],
    form: Format,
    name: str,
    labels: _Labels,
    new: dict[str, Correction],
) -> tuple[str, str]:
    """Return the kind of one record, and why it has no correction; a correction is added to ``new``."""
    if isinstance(record, Unread):
        return record.kind, record.detail
    annotation = current.get(record.passage_id)
    if annotation is None:
        return "foreign", "the run has no annotated passage of this id"
    try:
        mentions = _mentions(annotation, record, form, labels)
    except _ForeignError as error:
        return "foreign", str(error)
    except ValueError as error:
        return "unreadable", str(error)
    correction = Correction(record.passage_id, text_sha256(annotation.text), mentions, name)
    if earlier := new.get(record.passage_id):
        reason = "it differs from an earlier record of the same passage, which stays"
        return ("repeated", "") if earlier == correction else ("conflicting", reason)
    new[record.passage_id] = correction
    return _change(annotation, mentions, labels), ""


def _change(annotation: Annotation, mentions: Sequence[Corrected], labels: _Labels) -> str:
    for mention in mentions:
        if mention.match == HUMAN:
            labels.add(mention.raw_label)
    now = {(one.start, one.end, labels.decide(one.raw_label).label) for one in mentions}
    return "unchanged" if now == {_key(one) for one in annotation.mentions} else "corrected"


def _mentions(annotation: Annotation, record: Reviewed, form: Format, labels: _Labels) -> tuple[Corrected, ...]:
    """Return the mentions of the corrected passage.

    One that the person left alone keeps its raw label and how it was found. One that the format could not carry was
    not seen by the person, and stays.
    """
    if record.text is not None and annotation.text not in (record.text, nfc(record.text)):
        raise _ForeignError("its text is not that of the run's passage")
    known = {_key(mention): mention for mention in annotation.mentions}
    made: dict[tuple[int, int, str], Corrected] = {}
    for start, end, raw in _places(annotation, record):
        label = labels.decide(raw).label
        same: Mention | None = known.get((start, end, label or raw))
        kept = Corrected(start, end, same.raw_label, same.match) if same else Corrected(start, end, raw, HUMAN)
        made.setdefault((start, end, label or raw), kept)
    for mention in form.lost(annotation):
        made.setdefault(_key(mention), Corrected(mention.start, mention.end, mention.raw_label, mention.match))
    return tuple(made[key] for key in sorted(made, key=lambda key: (key[0], -key[1], key[2])))


def _key(mention: Mention) -> tuple[int, int, str]:
    return mention.start, mention.end, mention.label


def _places(annotation: Annotation, record: Reviewed) -> Iterator[tuple[int, int, str]]:
    """Yield start, end and label of each span in the passage, without the white space around it."""
    text = annotation.text
    if record.predictions is not None:
        yield from _grounded(annotation, record.predictions)
        return
    places = None
    if record.tokens is not None:
        places = locate(text, record.tokens) or locate(text, list(map(nfc, record.tokens)))
        if places is None:
            raise _ForeignError("its tokens are not those of the run's passage")
    for start, end, label in record.spans:
        size = len(record.text or text) if places is None else len(places)
        if not 0 <= start < end <= size:
            raise ValueError(f"the span {start}-{end} [{label}] is outside the passage or empty")
        if places is not None:
            left, right = places[start][0], places[end - 1][1]
        else:
            left, right = (_composed(record.text or text, offset, text) for offset in (start, end))
        mention = text[left:right]
        left += len(mention) - len(mention.lstrip())
        right -= len(mention) - len(mention.rstrip())
        if left >= right:
            raise ValueError(f"the span {start}-{end} [{label}] is white space")
        yield left, right, label


def _composed(text: str, offset: int, composed: str) -> int:
    """Return the offset in ``composed``, the NFC of ``text``, that is ``offset`` in ``text``.

    Raises:
        ValueError: it lies inside a composed character.
    """
    if text == composed:
        return offset
    before = nfc(text[:offset])
    if before + nfc(text[offset:]) != composed:
        raise ValueError(f"offset {offset} is inside a character")
    return len(before)


def _grounded(annotation: Annotation, predictions: Sequence[tuple[str, str]]) -> Iterator[tuple[int, int, str]]:
    grounder = Grounder(annotation.text)
    for string, label in predictions:
        mention = string if string in annotation.text else nfc(string)
        known = [one for one in annotation.mentions if (one.text, one.label) == (mention, label)]
        match = None if known else grounder.ground(mention)
        if isinstance(match, Miss):
            raise ValueError(f"{mention!r} [{label}] is not in the passage ({match.reason})")
        spans = match.spans if match else [(one.start, one.end) for one in known]
        for start, end in spans:
            yield start, end, label
