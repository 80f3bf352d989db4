"""The predicted entities of a dataset, and the order in which a probability sample of them is drawn.

An entity is what an answer counts: a mention and a type in one passage, however often it occurs there. Entities are
divided into strata by type, and by agreement where a second teacher was asked. Every entity has a lot, a hash of the
seed and itself; within a stratum entities are drawn in the order of their lots, and all strata advance at the same
pace. So any beginning of the order is a stratified random sample, and a larger sample contains every smaller one.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

OWN_STRATUM: Final = 0.02
"""Share of all entities from which a type is a stratum of its own."""
COMMON: Final = 0.002
"""Share from which it is one of the common types; the others are rare."""
DOUBTFUL: Final = 3.0
"""How many times as densely entities are drawn on which two teachers differ: errors are frequent there."""


@dataclass(frozen=True, slots=True)
class Entity:
    """A predicted entity: one mention and one type in one passage."""

    passage_id: str
    mention: str
    label: str

    @property
    def key(self) -> tuple[str, str, str]:
        """Return its identity."""
        return (self.passage_id, self.mention, self.label)


@dataclass(frozen=True, slots=True)
class Drawn:
    """An entity at its place in the order, with what its inclusion probability follows from."""

    entity: Entity
    stratum: str
    rank: int
    """Its place within the stratum, from 1. It is in the sample once ``rank`` entities of the stratum are."""
    size: int
    """Entities in the stratum; the inclusion probability of a sample of n of them is n / size."""


def strata(entities: Iterable[Entity], agrees: Mapping[tuple[str, str, str], bool] | None = None) -> list[str]:
    """Return the stratum of each entity.

    Args:
        entities: all predicted entities.
        agrees: whether a second teacher agrees with an entity, by its key; None where none was asked.
    """
    listed = list(entities)
    counts = Counter(entity.label for entity in listed)
    own, common = OWN_STRATUM * len(listed), COMMON * len(listed)

    def group(label: str) -> str:
        return label if counts[label] >= own else "(common types)" if counts[label] >= common else "(rare types)"

    suffix = {True: " / agreed", False: " / doubtful", None: ""}
    return [group(entity.label) + suffix[agrees.get(entity.key) if agrees else None] for entity in listed]


def draw_order(entities: Sequence[Entity], stratum_of: Sequence[str], seed: int) -> list[Drawn]:
    """Return all entities in the order in which they enter the sample."""
    members: dict[str, list[tuple[float, Entity]]] = defaultdict(list)
    for entity, stratum in zip(entities, stratum_of, strict=True):
        members[stratum].append((lot(seed, *entity.key), entity))
    order: list[tuple[float, float, Drawn]] = []
    for stratum, drawn in members.items():
        drawn.sort(key=lambda item: (item[0], item[1].key))
        pace = len(drawn) * (DOUBTFUL if stratum.endswith(" / doubtful") else 1.0)
        start = lot(seed, stratum)
        order += [
            ((rank - start) / pace, chance, Drawn(entity, stratum, rank, len(drawn)))
            for rank, (chance, entity) in enumerate(drawn, start=1)
        ]
    order.sort(key=lambda item: (item[0], item[1], item[2].entity.key))
    return [drawn for _, _, drawn in order]


def passage_order(passage_ids: Iterable[str], seed: int) -> list[str]:
    """Return passages in the order in which they are read blind: a simple random sample, however long it is."""
    return sorted(passage_ids, key=lambda identity: (lot(seed, "blind", identity), identity))


def lot(seed: int, *parts: str) -> float:
    """Return a number in [0, 1) that depends on nothing but the seed and ``parts``."""
    text = "\0".join((str(seed), *parts)).encode("utf-8")
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "big") / 2**64
