"""Measure the quality of a dataset from what people checked: ``quality.json``, each figure with its n and interval.

Precision is the share of predicted entities that are right. Recall is the share of true entities that were predicted,
in passages that people read before they saw any prediction. Both are about the predictions before any correction.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence, Set
from typing import Any, Final

from annotator.checking.opinions import read_opinions
from annotator.checking.settings import read_check
from annotator.cleaning.entity_reviews import Decision, Span, Subject, read_reviews
from annotator.run.update_steps import passages_added
from annotator.storage import tables
from annotator.storage.atomic import write_json
from annotator.storage.rundir import RunDir
from data_cards import estimates
from data_cards.review.missed import measured_by_both
from data_cards.review.precision import TYPES_SHOWN, precision
from data_cards.review.predictions import Predictions, read_predictions, seed_of
from data_cards.review.readers import gold_passages

VERSION: Final = 1
METHOD: Final = (
    "Precision: a stratified random sample of predicted entities (passage, mention, type), checked by people; Jeffreys "
    "intervals at the effective number of checks. Recall: passages drawn at random and read before any prediction was "
    "shown; intervals from a studentised bootstrap over passages."
)


def measure(predictions: Predictions, decisions: Sequence[Decision], texts: Mapping[str, str]) -> dict[str, Any]:
    """Estimate the quality of a dataset.

    Args:
        predictions: the sampling frame.
        decisions: of all reviewers; those about another text do not count.
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
            "entities": len(predictions.drawn),
        },
        "reviewers": len({one.reviewer for one in valid}),
        "precision": precision(predictions, valid),
        "recall": _recall(predictions, valid, texts),
        "agreement": _agreement(valid),
        "other_decisions": len(decisions) - len(valid),
        "seed": predictions.seed,
        "method": METHOD,
    }


def write_quality(run: RunDir) -> dict[str, Any] | None:
    """Measure ``run`` and write ``quality.json``; without reviews, return None and remove the file.

    Raises:
        RunDirError: a file is missing or damaged.
    """
    found = measure_run(run)
    if found is None:
        run.quality.unlink(missing_ok=True)
    else:
        write_json(run.quality, found)
    return found


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
    if since := _added_since(run, {one.passage_id for one in reviews.decisions}):
        found["about"]["passages_added_since"] = since
    return {
        **found,
        **({"missed_by_both": missed} if missed else {}),
        "unreadable_lines": len(reviews.unreadable),
    }


def _valid(predictions: Predictions, decisions: Iterable[Decision]) -> list[Decision]:
    """Return the decisions about passages whose text has not changed."""
    return [one for one in decisions if predictions.passages.get(one.passage_id, ("",))[0] == one.text_sha256]


def _added_since(run: RunDir, checked: Set[str]) -> int:
    """Return the number of passages of the last updates after the last check, which the sample lacks."""
    since = 0
    for rows in reversed(passages_added(run)):
        batches = tables.batches(run.passages, ["id"], rows=rows)
        if any(not checked.isdisjoint(batch.column("id").to_pylist()) for batch in batches):
            break
        since += len(rows)
    return since


def _recall(predictions: Predictions, decisions: Iterable[Decision], texts: Mapping[str, str]) -> dict[str, Any] | None:
    golds = gold_passages(decisions, texts)
    if not golds:
        return None
    rows: list[tuple[Set[tuple[str, str]], Set[tuple[str, str]]]] = []
    for gold in golds:
        predicted = predictions.passages[gold.passage_id][1]
        rows.append((gold.entities, {one for one in predicted if not gold.types or one[1] in gold.types}))
    population = len(predictions.passages)

    def estimate(rows: Iterable[tuple[Set[Any], Set[Any]]]) -> dict[str, Any] | None:
        numbers = [(len(gold & predicted), len(gold)) for gold, predicted in rows]
        found, true = [number for number, _ in numbers], [number for _, number in numbers]
        one = estimates.ratio(found, true, population, predictions.seed)
        return {**one.as_dict(), "entities": sum(true), "found": sum(found)} if one else None

    labels = Counter(label for gold, _ in rows for _, label in gold)
    most = sorted(labels, key=lambda label: (-labels[label], label))[:TYPES_SHOWN]
    of_types = {
        label: estimate(({one for one in gold if one[1] == label}, found) for gold, found in rows) for label in most
    }
    return {
        "passages": len(rows),
        "types_looked_for": sorted({label for gold in golds for label in gold.types}),
        **(estimate(rows) or {}),
        "span": estimate(({mention for mention, _ in gold}, {mention for mention, _ in found}) for gold, found in rows),
        "types": [{"label": label, **found} for label, found in of_types.items() if found],
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
