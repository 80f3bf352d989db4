"""Apply ``--keep``: which of the entities of two teachers stay in the dataset."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from annotator.checking.compare import DIFFERENT, Entity, Pair
from annotator.cleaning.clean import Cleaned
from annotator.records import Rejected

KEEP: Final = ("all", "agreed", "union", "arbiter")
"""``all``: the first teacher's entities. ``agreed``: those of both. ``union``: those of either. ``arbiter``: those of
both, and those of either that an arbiter accepts."""

REASON: Final = "second teacher"
"""The beginning of the reasons of rejected records."""


def apply(
    cleaned: Cleaned,
    pairs: Sequence[Pair],
    keep: str,
    accepted: frozenset[tuple[str, str]] | None = None,
    affirmed: frozenset[tuple[str, str]] = frozenset(),
) -> Cleaned:
    """Return the first teacher's cleaned answer with the entities that ``keep`` removes and adds.

    Args:
        cleaned: the first teacher's cleaned answer.
        pairs: its entities, compared with those of the second teacher.
        keep: one of ``KEEP``.
        accepted: mention and label of the entities that the arbiter accepted; None: it has not decided, and the passage
            stays as it is.
        affirmed: mention and label of the entities that people affirmed, which stay in any case.
    """
    annotation = cleaned.annotation
    if annotation is None or keep == "all" or (keep == "arbiter" and accepted is None):
        return cleaned

    def stays(one: Entity) -> bool:
        return one.key in affirmed or keep == "union" or (keep == "arbiter" and one.key in (accepted or ()))

    differing = [pair for pair in pairs if pair.verdict in DIFFERENT]
    lost = [(pair, pair.first) for pair in differing if pair.first is not None and not stays(pair.first)]
    won = [pair.second for pair in differing if pair.second is not None and stays(pair.second)]
    gone = {entity.key for _, entity in lost}
    mentions = [one for one in annotation.mentions if (one.text, one.label) not in gone]
    mentions += [place for entity in won for place in entity.places]
    ordered = tuple(sorted(mentions, key=lambda one: (one.start, -one.end, one.label)))
    rejected = tuple(_rejected(annotation.passage_id, pair, entity, keep) for pair, entity in lost)
    # An entity of the second teacher counts as a prediction of its own: in = kept + rejected.
    return replace(
        cleaned,
        annotation=replace(annotation, mentions=ordered),
        kept=cleaned.kept - len(lost) + len(won),
        rejected=(*cleaned.rejected, *rejected),
    )


def _rejected(passage_id: str, pair: Pair, entity: Entity, keep: str) -> Rejected:
    other = f"{pair.second.mention} ({pair.second.label})" if pair.second else "nothing"
    detail = f"the second teacher has {other} there" + ("; the arbiter rejects it" if keep == "arbiter" else "")
    reason = f"{REASON}: {pair.verdict}"
    return Rejected("clean", reason, passage_id, entity.mention, detail, entity.places[0].raw_label)
