"""Convert the answers of the review page to decisions. Offsets are code points."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from annotator.cleaning import entity_reviews as reviews
from annotator.cleaning.clean import Decider
from annotator.cleaning.entity_reviews import Decision, Span
from annotator.records import Annotation
from data_cards.review.predictions import Predictions


class Answers:
    """Checks answers against the predictions and the label rules of a run."""

    def __init__(self, predictions: Predictions, labels: Decider) -> None:
        self._predictions, self._labels = predictions, labels

    def of_passage(self, annotation: Annotation, answer: Mapping[str, Any], common: Mapping[str, Any]) -> Decision:
        """Return the decision about a whole passage, from ``entities`` and ``marked`` of ``answer``.

        Raises:
            ValueError: they are not entities of this passage.
        """
        entities, marked = (self._spans(annotation, answer.get(name, [])) for name in ("entities", "marked"))
        return Decision(**common, entities=entities, marked=marked)

    def of_entity(self, annotation: Annotation, answer: Mapping[str, Any], common: Mapping[str, Any]) -> Decision:
        """Return the decision about an entity: ``mention``, ``label``, ``verdict``, ``new_label`` and ``new_span``.

        Raises:
            ValueError: the passage has no such entity, or the verdict lacks its correction.
        """
        mention, label, verdict = (str(answer.get(name) or "") for name in ("mention", "label", "verdict"))
        drawn = self._predictions.drawn.get((annotation.passage_id, mention, label))
        if drawn is None and not (common["mode"] == "settle" and mention and mention in annotation.text):
            raise ValueError("the passage has no such entity")
        if verdict not in reviews.VERDICTS or verdict == "undo":
            raise ValueError(f"unknown verdict {verdict!r}")
        new_mention = new_label = ""
        if verdict in ("type", "span"):
            new_label = self._label(answer.get("new_label") or "")
            match answer.get("new_span"):
                case [int(start), int(end)] if 0 <= start < end <= len(annotation.text):
                    new_mention = annotation.text[start:end]
                case None:
                    pass
                case _:
                    raise ValueError("a span is [start, end] within its passage")
            if verdict == "type" and (not new_label or new_label == label):
                raise ValueError("a wrong type needs another one")
            if verdict == "span" and (not new_mention or new_mention == mention):
                raise ValueError("a wrong span needs another one")
        decision = Decision(
            **common, mention=mention, label=label, verdict=verdict, new_mention=new_mention, new_label=new_label
        )
        if drawn and common["mode"] == "verify":
            return replace(decision, stratum=drawn.stratum, rank=drawn.rank, size=drawn.size)
        return decision

    def _label(self, raw: Any) -> str:
        if not isinstance(raw, str):
            raise ValueError("a type is text")
        if raw in self._predictions.labels:
            return raw
        return (self._labels.decide(raw).label or "") if raw.strip() else ""

    def _spans(self, annotation: Annotation, given: Any) -> tuple[Span, ...]:
        if not isinstance(given, list):
            raise ValueError("entities are a list")
        spans: set[Span] = set()
        for one in given:
            match one:
                case [int(start), int(end), str(raw)] if 0 <= start < end <= len(annotation.text):
                    label = self._label(raw)
                    if not label:
                        raise ValueError(f"{raw!r} is no entity type")
                    spans.add((start, end, label))
                case _:
                    raise ValueError("an entity is [start, end, type] within its passage")
        return tuple(sorted(spans, key=lambda span: (span[0], -span[1], span[2])))
