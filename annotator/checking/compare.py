"""Compare the predicted entities of two teachers for one passage, entity by entity.

An entity is a mention and a type, however often it occurs. Each entity is paired with at most one of the other teacher,
the best pairs first. Types are compared after normalisation. Related types (``normalizers.labels.related``), of which
one is a kind of the other, or both fit the same mention, differ in grain only.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import Final

from annotator.records import Annotation, Mention
from normalizers.labels import related

AGREED: Final = "agreed"
GRAIN: Final = "grain"
TYPE: Final = "other type"
NESTED: Final = "nested"
OVERLAPPING: Final = "overlapping"
ONLY_FIRST: Final = "only first"
ONLY_SECOND: Final = "only second"
VERDICTS: Final = (AGREED, GRAIN, TYPE, NESTED, OVERLAPPING, ONLY_FIRST, ONLY_SECOND)
NOT_ASKED: Final = "not asked"
"""Verdict of an entity about whose type the second teacher was not asked, or gave no answer."""
DOUBT: Final = {
    AGREED: 0.05, GRAIN: 0.15, NOT_ASKED: 0.3, NESTED: 0.5, OVERLAPPING: 0.6, TYPE: 0.65,
    ONLY_FIRST: 0.7, ONLY_SECOND: 0.75,
}  # fmt: skip
"""Doubt by verdict: an order of what is likely to be wrong, no measured probability (docs/second-opinion.md)."""
SAME: Final = (AGREED, GRAIN)
"""Verdicts by which the teachers agree."""
DIFFERENT: Final = (TYPE, NESTED, OVERLAPPING, ONLY_FIRST, ONLY_SECOND)
"""Verdicts by which the teachers differ."""

_EDGES: Final = " .,;:!?\"'“”‘’()[]"


@dataclass(frozen=True, slots=True)
class Entity:
    """A predicted entity with all its occurrences in the passage, in order."""

    mention: str
    label: str
    places: tuple[Mention, ...]

    @property
    def key(self) -> tuple[str, str]:
        """Return its identity within the passage."""
        return (self.mention, self.label)

    @property
    def order(self) -> tuple[int, int, str]:
        """Return its sort key within the passage, which does not depend on the teacher."""
        return (self.places[0].start, -self.places[0].end, self.label)


@dataclass(frozen=True, slots=True)
class Pair:
    """What two teachers predicted at one place; None where one of them predicted nothing."""

    first: Entity | None
    second: Entity | None
    verdict: str
    """One of ``VERDICTS``, or ``NOT_ASKED``."""

    @property
    def entities(self) -> tuple[Entity, ...]:
        """Return its distinct entities, the first teacher's first."""
        both = tuple(one for one in (self.first, self.second) if one is not None)
        return both[:1] if self.verdict == AGREED else both

    @property
    def order(self) -> tuple[int, int, str]:
        """Return its sort key within the passage."""
        return min(one.order for one in self.entities)


def entities_of(annotation: Annotation) -> list[Entity]:
    """Return the entities of a passage in order of their first occurrence."""
    found: dict[tuple[str, str], list[Mention]] = {}
    for mention in annotation.mentions:
        found.setdefault((mention.text, mention.label), []).append(mention)
    return [Entity(text, label, tuple(places)) for (text, label), places in found.items()]


def compare(first: Annotation, second: Annotation, asked: Collection[str] | None = None) -> list[Pair]:
    """Pair the entities of two annotations of the same passage, in the order of the passage.

    Args:
        first: of the first teacher.
        second: of the second teacher.
        asked: the types about which the second teacher gave answers; None: all.
    """
    left, right = entities_of(first), entities_of(second)
    pairs = [Pair(one, None, NOT_ASKED) for one in left if asked is not None and one.label not in asked]
    left = [one for one in left if asked is None or one.label in asked]
    for verdict, fits in _TIERS:
        for one in list(left):
            other = next((found for found in right if fits(one, found)), None)
            if other is not None:
                pairs.append(Pair(one, other, verdict))
                left.remove(one)
                right.remove(other)
    pairs += [Pair(one, None, ONLY_FIRST) for one in left]
    pairs += [Pair(None, other, ONLY_SECOND) for other in right]
    return sorted(pairs, key=lambda pair: (pair.order, pair.verdict))


def candidates(pairs: list[Pair]) -> list[Entity]:
    """Return the entities on which the teachers differ, in the order of the passage."""
    return sorted(
        (one for pair in pairs if pair.verdict in DIFFERENT for one in pair.entities), key=lambda one: one.order
    )


def _same_place(one: Entity, other: Entity) -> bool:
    return one.mention == other.mention or not _spans(one).isdisjoint(_spans(other))


def _nested(one: Entity, other: Entity) -> bool:
    return any((a <= c and d <= b) or (c <= a and b <= d) for (a, b), (c, d) in _together(one, other))


def _crossing(one: Entity, other: Entity) -> bool:
    return any(a < d and c < b for (a, b), (c, d) in _together(one, other))


def _together(one: Entity, other: Entity) -> Iterator[tuple[tuple[int, int], tuple[int, int]]]:
    return ((mine, its) for mine in _spans(one) for its in _spans(other))


def _spans(one: Entity) -> set[tuple[int, int]]:
    """Return the spans of an entity, without punctuation at the edges of its mention, which makes no difference."""
    left = len(one.mention) - len(one.mention.lstrip(_EDGES))
    right = len(one.mention) - len(one.mention.rstrip(_EDGES))
    if left == len(one.mention):
        left = right = 0
    return {(place.start + left, place.end - right) for place in one.places}


def _alike(one: Entity, other: Entity) -> bool:
    return one.label == other.label or related(one.label, other.label)


_TIERS: Final[tuple[tuple[str, Callable[[Entity, Entity], bool]], ...]] = (
    (AGREED, lambda one, other: one.label == other.label and _same_place(one, other)),
    (GRAIN, lambda one, other: _same_place(one, other) and related(one.label, other.label)),
    (TYPE, _same_place),
    (NESTED, lambda one, other: _alike(one, other) and _nested(one, other)),
    (OVERLAPPING, lambda one, other: _alike(one, other) and _crossing(one, other)),
)
"""The verdicts of pairs, best first. Entities of unrelated types at different places are no pair, even where one is
inside the other: a university and the city in its name."""
