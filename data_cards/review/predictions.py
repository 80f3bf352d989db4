"""The predictions of a run, before any correction, as the frame from which people check a sample."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from annotator.checking.compare import NOT_ASKED, SAME
from annotator.checking.opinions import Opinion, read_opinions
from annotator.cleaning.corrections import REVIEWED, text_sha256
from annotator.cleaning.entity_reviews import Subject
from annotator.records import Annotation
from annotator.storage import tables
from annotator.storage.rundir import RunDir
from data_cards.review.frame import Drawn, Entity, draw_order, strata


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


def seed_of(run: RunDir) -> int:
    """Return the seed of a run; that of its samples is also that of its reviews."""
    return int(run.read_manifest().get("config", {}).get("seed", 0))
