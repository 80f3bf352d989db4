"""The queue of the mode ``correct``: the passages that are most likely to have errors."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from typing import Final

from annotator.checking.compare import DIFFERENT
from annotator.checking.keeping import REASON as DECIDED
from annotator.checking.opinions import Opinion
from annotator.checking.probabilities import EntityProbability
from annotator.records import Annotation
from annotator.storage import tables
from annotator.storage.rundir import RunDir

UNSURE: Final = 0.5
"""Probability of a token below which the teacher counts as unsure of an entity."""


def doubtful_first(
    run: RunDir,
    annotations: Mapping[str, Annotation],
    opinions: Iterable[Opinion] = (),
    sure: Iterable[EntityProbability] = (),
) -> list[tuple[str, str]]:
    """Return passages and the reasons for doubt, the most doubtful first: to correct, not to estimate from.

    The doubt about differences with a second teacher comes first; without one, that by the teacher's token
    probabilities.
    """
    counts = Counter(one.label for annotation in annotations.values() for one in annotation.mentions)
    missed: Counter[str] = Counter()
    if run.rejected.exists():
        for row in tables.rows(run.rejected, ["stage", "reason", "record_id"]):
            decided = row["reason"].startswith(("review", DECIDED))
            missed[row["record_id"]] += row["stage"] == "clean" and not decided
    doubt: defaultdict[str, float] = defaultdict(float)
    differing: Counter[str] = Counter()
    for one in opinions:
        if one.verdict in DIFFERENT and one.arbiter != "rejected":
            doubt[one.passage_id] += one.doubt
            differing[one.passage_id] += 1
    unsure: Counter[str] = Counter()
    for entity in sure if not differing else ():  # the doubt about differences has them already
        doubt[entity.passage_id] += 1 - entity.probability
        unsure[entity.passage_id] += entity.probability < UNSURE
    scored = []
    for identity, annotation in annotations.items():
        inexact = sum(one.match not in ("exact", "human") for one in annotation.mentions)
        rare = sum(counts[one.label] <= 3 for one in annotation.mentions)
        repaired = annotation.reply_status not in ("ok", "reviewed")
        reasons = {
            "entities on which the teachers differ": differing[identity],
            "entities of which the teacher was not sure": unsure[identity],
            "rejected entities": missed[identity],
            "rare types": rare,
            "inexact mentions": inexact,
            "a repaired reply": int(repaired),
        }
        score = 3 * repaired + 2 * missed[identity] + rare + inexact
        why = ", ".join(name for name, number in reasons.items() if number)
        scored.append((-round(doubt[identity], 4), -score, identity, why))
    return [(identity, why) for _, _, identity, why in sorted(scored)]
