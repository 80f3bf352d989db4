"""The predictions of a run before any correction, and the order in which a probability sample of them is drawn.

An entity is a mention and a type in one passage, however often it occurs there. Entities are divided into strata by
type, and by agreement where a second teacher was asked. The lot of an entity is a hash of the seed and the entity.
Within a stratum entities are drawn in the order of their lots, and all strata advance at the same pace. So any
beginning of the order is a stratified random sample, and a larger sample contains every smaller one.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from annotator.checking.compare import NOT_ASKED, SAME
from annotator.checking.opinions import Opinion, read_opinions
from annotator.cleaning.corrections import REVIEWED, text_sha256
from annotator.cleaning.entity_reviews import Subject
from annotator.records import Annotation
from annotator.storage import tables
from annotator.storage.rundir import RunDir

OWN_STRATUM: Final = 0.02
"""A type with this share of all entities is a stratum of its own."""
COMMON: Final = 0.002
"""A type with this share is one of the common types; the others are rare."""
DOUBTFUL: Final = 3.0
"""Entities on which two teachers differ are drawn this many times as densely: errors are frequent there."""


@dataclass(frozen=True, slots=True)
class Drawn:
    """An entity at its place in the order, with the numbers that give its inclusion probability."""

    subject: Subject
    """Passage, mention and type."""
    stratum: str
    rank: int
    """Its place within the stratum, from 1."""
    size: int
    """Entities in the stratum; the inclusion probability of a sample of n of them is n / size."""


@dataclass(frozen=True)
class Predictions:
    """The sampling frame: the teacher's predictions before any correction, in the order of the sample."""

    seed: int
    passages: Mapping[str, tuple[str, frozenset[tuple[str, str]]]]
    """By id: sha256 of the text, and the predicted entities (mention, label)."""
    drawn: Mapping[Subject, Drawn]
    """All predicted entities in the order in which they enter the sample."""
    strata: Mapping[str, int]
    """Entities by stratum."""
    labels: Mapping[str, int]
    """Entities by type."""
    scores: Mapping[Subject, float]
    """1 - doubt of each entity, by a second teacher. Empty unless all of them were checked."""


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
        opinions: of a second teacher on the entities; strata then follow its verdicts.
    """
    checked = {(one.passage_id, one.mention, one.label): one for one in opinions}
    passages: dict[str, tuple[str, frozenset[tuple[str, str]]]] = {}
    entities: list[Subject] = []
    for annotation in annotations:
        own = dict.fromkeys((mention.text, mention.label) for mention in annotation.mentions)
        passages[annotation.passage_id] = (text_sha256(annotation.text), frozenset(own))
        if annotation.reply_status == REVIEWED:
            continue  # imported from another tool: these entities are people's
        entities += [(annotation.passage_id, mention, label) for mention, label in own]
    agrees = {key: one.verdict in SAME for key, one in checked.items() if one.verdict != NOT_ASKED}
    drawn = {one.subject: one for one in draw_order(entities, strata(entities, agrees), seed)}
    sizes = {one.stratum: one.size for one in drawn.values()}
    labels = Counter(label for _, _, label in entities)
    everywhere = bool(checked) and all(entity in checked for entity in entities)
    scores = {entity: 1 - checked[entity].doubt for entity in entities} if everywhere else {}
    return Predictions(seed, passages, drawn, sizes, labels, scores)


def seed_of(run: RunDir) -> int:
    """Return the seed of a run, which its reviews use too."""
    return int(run.read_manifest().get("config", {}).get("seed", 0))


def strata(entities: Sequence[Subject], agrees: Mapping[Subject, bool] | None = None) -> list[str]:
    """Return the stratum of each entity.

    Args:
        entities: all predicted entities.
        agrees: whether a second teacher agrees with an entity; None where none was asked.
    """
    counts = Counter(label for _, _, label in entities)
    own, common = OWN_STRATUM * len(entities), COMMON * len(entities)

    def group(label: str) -> str:
        return label if counts[label] >= own else "(common types)" if counts[label] >= common else "(rare types)"

    suffix = {True: " / agreed", False: " / doubtful", None: ""}
    return [group(entity[2]) + suffix[agrees.get(entity) if agrees else None] for entity in entities]


def draw_order(entities: Sequence[Subject], stratum_of: Sequence[str], seed: int) -> list[Drawn]:
    """Return all entities in the order in which they enter the sample."""
    members: dict[str, list[tuple[float, Subject]]] = defaultdict(list)
    for entity, stratum in zip(entities, stratum_of, strict=True):
        members[stratum].append((lot(seed, *entity), entity))
    order: list[tuple[float, float, Drawn]] = []
    for stratum, drawn in members.items():
        drawn.sort()
        pace = len(drawn) * (DOUBTFUL if stratum.endswith(" / doubtful") else 1.0)
        start = lot(seed, stratum)
        order += [
            ((rank - start) / pace, chance, Drawn(entity, stratum, rank, len(drawn)))
            for rank, (chance, entity) in enumerate(drawn, start=1)
        ]
    order.sort(key=lambda item: (item[0], item[1], item[2].subject))
    return [drawn for _, _, drawn in order]


def passage_order(passage_ids: Iterable[str], seed: int) -> list[str]:
    """Return passages in the order in which they are read blind: any beginning is a simple random sample."""
    return sorted(passage_ids, key=lambda identity: (lot(seed, "blind", identity), identity))


def lot(seed: int, *parts: str) -> float:
    """Return a number in [0, 1) that depends only on the seed and ``parts``."""
    text = "\0".join((str(seed), *parts)).encode("utf-8")
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "big") / 2**64
