"""``quality.json``: how right a dataset is, by what people checked. Every figure has its n and its interval.

Precision is the share of predicted entities that are right; recall is the share of true entities that were predicted,
over passages that people read before they saw any prediction. Both are about the predictions before any correction.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from annotator.checking.compare import NOT_ASKED, SAME
from annotator.checking.opinions import Opinion, read_opinions
from annotator.checking.settings import read_check
from annotator.cleaning.corrections import REVIEWED, text_sha256
from annotator.cleaning.entity_reviews import Decision, Span, Subject, read_reviews, verdict_of
from annotator.records import Annotation
from annotator.storage import tables
from annotator.storage.atomic import write_json
from annotator.storage.rundir import RunDir
from data_cards import estimates
from data_cards.review.blind import gold_passages
from data_cards.review.frame import Drawn, Entity, draw_order, strata
from data_cards.review.missed import measured_by_both

VERSION: Final = 1
TYPES_SHOWN: Final = 100
METHOD: Final = (
    "Precision: a stratified random sample of predicted entities (passage, mention, type), checked by people; Jeffreys "
    "intervals at the effective number of checks. Recall: passages drawn at random and read before any prediction was "
    "shown; intervals from a studentised bootstrap over passages."
)


@dataclass(frozen=True)
class Predictions:
    """What the teacher predicted, before any correction, and the order of the sample."""

    seed: int
    passages: Mapping[str, tuple[str, frozenset[tuple[str, str]]]]
    """By id: sha256 of the text, and the predicted entities (mention, label)."""
    order: Sequence[Drawn]
    """All predicted entities in the order in which they enter the sample."""
    drawn: Mapping[Subject, Drawn]
    """The same by identity."""
    strata: Mapping[str, int]
    """Entities by stratum."""
    labels: Mapping[str, int]
    """Entities by type."""
    scores: Mapping[Subject, float]
    """How right each entity is taken to be, by a second teacher: 1 - doubt. Empty unless all of them were checked."""


def read_predictions(run: RunDir, seed: int) -> Predictions:
    """Read the predictions of a run.

    Raises:
        RunDirError: a file is missing or damaged.
    """
    return predictions_of(tables.read_annotations(run.predicted), seed, read_opinions(run.agreement))


def predictions_of(annotations: Iterable[Annotation], seed: int, opinions: Iterable[Opinion] = ()) -> Predictions:
    """Make the sampling frame of annotated passages.

    Args:
        annotations: before any correction.
        seed: of the order.
        opinions: what a second teacher says of the entities; strata then follow its verdicts.
    """
    checked = {(one.passage_id, one.mention, one.label): one for one in opinions}
    passages: dict[str, tuple[str, frozenset[tuple[str, str]]]] = {}
    entities: list[Entity] = []
    for annotation in annotations:
        own = dict.fromkeys((mention.text, mention.label) for mention in annotation.mentions)
        passages[annotation.passage_id] = (text_sha256(annotation.text), frozenset(own))
        if annotation.reply_status == REVIEWED:
            continue  # imported from another tool: these entities are people's
        entities += [Entity(annotation.passage_id, mention, label) for mention, label in own]
    agrees = {key: one.verdict in SAME for key, one in checked.items() if one.verdict != NOT_ASKED}
    order = draw_order(entities, strata(entities, agrees), seed)
    sizes = {one.stratum: one.size for one in order}
    labels = Counter(entity.label for entity in entities)
    everywhere = bool(checked) and all(entity.key in checked for entity in entities)
    scores = {entity.key: 1 - checked[entity.key].doubt for entity in entities} if everywhere else {}
    return Predictions(seed, passages, order, {one.entity.key: one for one in order}, sizes, labels, scores)


def measure(predictions: Predictions, decisions: Sequence[Decision], texts: Mapping[str, str]) -> dict[str, Any]:
    """Estimate the quality of a dataset.

    Args:
        predictions: the sampling frame.
        decisions: what people decided; what is about another text does not count.
        texts: the text of each passage that was read blind, by id.

    Returns:
        The content of ``quality.json``; ``precision`` and ``recall`` are None while nothing was checked.
    """
    valid = _valid(predictions, decisions)
    return {
        "version": VERSION,
        "measured": max((one.time[:10] for one in valid), default=""),
        "about": {
            "dataset": "predictions before corrections",
            "passages": len(predictions.passages),
            "entities": len(predictions.order),
        },
        "reviewers": len({one.reviewer for one in valid}),
        "precision": _precision(predictions, valid),
        "recall": _recall(predictions, valid, texts),
        "agreement": _agreement(valid),
        "other_decisions": len(decisions) - len(valid),
        "seed": predictions.seed,
        "method": METHOD,
    }


def write_quality(run: RunDir) -> dict[str, Any] | None:
    """Measure ``run`` and write ``quality.json``; None, and no file, where nobody has reviewed anything.

    Raises:
        RunDirError: a file is missing or damaged.
    """
    found = measure_run(run)
    if found is None:
        run.quality.unlink(missing_ok=True)
    else:
        write_json(run.quality, found)
    return found


def seed_of(run: RunDir) -> int:
    """Return the seed of a run; that of its samples is also that of its reviews."""
    return int(run.read_manifest().get("config", {}).get("seed", 0))


def measure_run(run: RunDir) -> dict[str, Any] | None:
    """Estimate the quality of a run from the reviews in its directory; None where there are none.

    Raises:
        RunDirError: a file is missing or damaged.
    """
    reviews = read_reviews(run.root)
    if not reviews.decisions:
        return None
    blind = {one.passage_id for one in reviews.decisions if one.mode == "blind"}
    texts = {one.passage_id: one.text for one in tables.read_annotations(run.predicted) if one.passage_id in blind}
    predictions = read_predictions(run, seed_of(run))
    found = measure(predictions, reviews.decisions, texts)
    missed = None
    settings = read_check(run.check)
    # Queries are not about all entities of a passage.
    if settings and settings.by == "passage" and run.agreement.exists():
        own = {name: entities for name, (_, entities) in predictions.passages.items() if name in texts}
        golds = gold_passages(_valid(predictions, reviews.decisions), texts)
        population = len(predictions.passages)
        missed = measured_by_both(golds, texts, own, read_opinions(run.agreement), settings.share, population)
    return {
        **found,
        **({"missed_by_both": missed} if missed else {}),
        "unreadable_lines": len(reviews.unreadable),
    }


def _valid(predictions: Predictions, decisions: Iterable[Decision]) -> list[Decision]:
    """Return the decisions about passages whose text is still the same."""
    return [one for one in decisions if predictions.passages.get(one.passage_id, ("",))[0] == one.text_sha256]


def _precision(predictions: Predictions, decisions: Iterable[Decision]) -> dict[str, Any] | None:
    judged = standing_verdicts(decisions)
    drawn = [(one, shares) for subject, shares in judged.items() if (one := predictions.drawn.get(subject))]
    verdicts = Counter(verdict for _, shares in drawn for verdict in shares)
    sure = [(one, shares) for one, shares in drawn if set(shares) != {"unsure"}]
    if not sure:
        return None
    strict = _strata(predictions, {one.entity.key: _right(shares, ("right",)) for one, shares in sure})
    span = _strata(predictions, {one.entity.key: _right(shares, ("right", "type")) for one, shares in sure})
    overall, span_alone = estimates.stratified([*strict.values()]), estimates.stratified([*span.values()])
    if overall is None or span_alone is None:
        return None
    sizes, total = predictions.labels, len(predictions.order)
    own: dict[str, list[tuple[Drawn, dict[str, float]]]] = defaultdict(list)
    for one, shares in sure:
        own[one.entity.label].append((one, shares))
    types = []
    for label in sorted(own, key=lambda label: (-sizes[label], label))[:TYPES_SHOWN]:
        right = np.array([_right(shares, ("right",)) for _, shares in own[label]])
        estimate = estimates.by_type([estimates.Stratum("", sizes[label], right)], overall.value)
        spans = np.array([_right(shares, ("right", "type")) for _, shares in own[label]])
        by_span = estimates.by_type([estimates.Stratum("", sizes[label], spans)], span_alone.value)
        if estimate and by_span:
            types.append({"label": label, "entities": sizes[label], **estimate.as_dict(), "span": by_span.as_dict()})
    rest = (overall.value * (total - overall.n) + overall.n) / total
    return {
        **overall.as_dict(),
        "span": span_alone.as_dict(),
        "types": types,
        "verdicts": {name: verdicts[name] for name in ("right", "type", "span", "none", "unsure")},
        "after_corrections": round(rest, 4),
        "strata": [{"name": name, "entities": part.size, "checked": len(part.right)} for name, part in strict.items()],
    }  # fmt: skip


def standing_verdicts(decisions: Iterable[Decision]) -> dict[Subject, dict[str, float]]:
    """Return for each judged entity the verdict that counts or, where reviewers differ, each verdict's share."""
    by_subject: dict[Subject, list[Decision]] = defaultdict(list)
    for one in decisions:
        if one.mode in ("verify", "settle"):
            by_subject[one.subject].append(one)
    found: dict[Subject, dict[str, float]] = {}
    for subject, own in by_subject.items():
        if not any(one.mode == "verify" for one in own):
            continue  # a difference between readers of a blind passage: no part of the sample
        counting = verdict_of(own)
        if counting:
            found[subject] = {counting.verdict: 1.0}
        else:
            votes = Counter(one.verdict for one in own if one.verdict != "unsure")
            found[subject] = {verdict: number / votes.total() for verdict, number in votes.items()}
    return found


def _right(shares: Mapping[str, float], wanted: Sequence[str]) -> float:
    return sum(share for verdict, share in shares.items() if verdict in wanted)


def _strata(predictions: Predictions, right: Mapping[Subject, float]) -> dict[str, estimates.Stratum]:
    checked: dict[str, list[float]] = defaultdict(list)
    scores: dict[str, list[float]] = defaultdict(list)
    every: dict[str, list[float]] = defaultdict(list)
    for subject, share in right.items():
        stratum = predictions.drawn[subject].stratum
        checked[stratum].append(share)
        scores[stratum] += [predictions.scores[subject]] if predictions.scores else []
    for subject, score in predictions.scores.items():
        every[predictions.drawn[subject].stratum].append(score)
    return {
        name: estimates.Stratum(
            _group(name),
            size,
            np.array(checked[name], float),
            np.array(scores[name], float) if predictions.scores else None,
            float(np.mean(every[name])) if every[name] else 0.0,
        )
        for name, size in sorted(predictions.strata.items())
    }


def _group(stratum: str) -> str:
    return stratum.rpartition(" / ")[2] if " / " in stratum else ""


def _recall(predictions: Predictions, decisions: Iterable[Decision], texts: Mapping[str, str]) -> dict[str, Any] | None:
    golds = gold_passages(decisions, texts)
    if not golds:
        return None
    rows: list[tuple[frozenset[tuple[str, str]], frozenset[tuple[str, str]]]] = []
    for gold in golds:
        predicted = predictions.passages[gold.passage_id][1]
        if gold.types:
            predicted = frozenset(one for one in predicted if one[1] in gold.types)
        rows.append((gold.entities, predicted))
    population = len(predictions.passages)

    def estimate(found: list[int], true: list[int]) -> dict[str, Any] | None:
        one = estimates.ratio(found, true, population, predictions.seed)
        return {**one.as_dict(), "entities": sum(true), "found": sum(found)} if one else None

    labels = Counter(label for gold, _ in rows for _, label in gold)
    spans = [({mention for mention, _ in gold}, {mention for mention, _ in predicted}) for gold, predicted in rows]
    return {
        "passages": len(rows),
        "types_looked_for": sorted({label for gold in golds for label in gold.types}),
        **(estimate([len(gold & predicted) for gold, predicted in rows], [len(gold) for gold, _ in rows]) or {}),
        "span": estimate([len(gold & predicted) for gold, predicted in spans], [len(gold) for gold, _ in spans]),
        "types": [
            {"label": label, **one}
            for label, _ in sorted(labels.items(), key=lambda item: (-item[1], item[0]))[:TYPES_SHOWN]
            if (
                one := estimate(
                    [sum(pair[1] == label for pair in gold & predicted) for gold, predicted in rows],
                    [sum(pair[1] == label for pair in gold) for gold, _ in rows],
                )
            )
        ],
    }


def _agreement(decisions: Iterable[Decision]) -> dict[str, Any] | None:
    verdicts: dict[Subject, dict[str, str]] = defaultdict(dict)
    readings: dict[str, list[set[Span]]] = defaultdict(list)
    for one in decisions:
        if one.mode == "verify" and one.verdict != "unsure":
            verdicts[one.subject][one.reviewer] = one.verdict
        elif one.mode == "blind":
            readings[one.passage_id].append(set(one.marked))
    shared = [own for own in verdicts.values() if len(own) > 1]
    pairs = [(one, other) for own in readings.values() for i, one in enumerate(own) for other in own[i + 1 :]]
    same, marked = sum(len(one & other) for one, other in pairs), sum(len(one) + len(other) for one, other in pairs)
    found: dict[str, Any] = {}
    if shared:
        value = estimates.alpha(shared)
        found |= {"entities": len(shared), "alpha": None if value is None else round(value, 4)}
    if pairs:
        read_twice = sum(len(own) > 1 for own in readings.values())
        found |= {"passages": read_twice, "span_f1": round(2 * same / marked, 4) if marked else None}
    return found or None
