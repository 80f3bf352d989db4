"""``quality.json``: how right a dataset is, by what people checked. Every figure has its n and its interval.

Precision is the share of predicted entities that are right; recall is the share of true entities that were predicted,
over passages that people read before they saw any prediction. Both are about the predictions before any correction.
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
    """Return the decisions about passages whose text is still the same."""
    return [one for one in decisions if predictions.passages.get(one.passage_id, ("",))[0] == one.text_sha256]


def _added_since(run: RunDir, checked: Set[str]) -> int:
    """Return the passages of the last updates of which nobody has checked any: the sample was drawn without them."""
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
