"""Choose the next item of a reviewer, and store the answers. Offsets are code points.

A decision is on the disk before the next item is chosen. Several sessions may work on one run directory: each appends
to its own file, and reads the files of all before it chooses.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from annotator.checking.opinions import read_opinions
from annotator.checking.probabilities import read_probabilities
from annotator.cleaning import entity_reviews as reviews
from annotator.cleaning.corrections import text_sha256
from annotator.cleaning.entity_reviews import Decision
from annotator.errors import ConfigError
from annotator.records import Annotation
from annotator.run.label_rules import label_rules, types_of
from annotator.storage import tables
from annotator.storage.rundir import RunDir
from data_cards import estimates
from data_cards.review.answers import Answers
from data_cards.review.doubtful import doubtful_first
from data_cards.review.predictions import Drawn, lot, passage_order, predictions_of
from data_cards.review.quality import measure
from data_cards.review.readers import unsettled
from normalizers.labels import load_lexicon

NAME: Final = re.compile(r"[\w][\w.-]{0,63}", re.ASCII)
"""A reviewer's name, which becomes the name of a file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Settings of a review."""

    reviewer: str
    mode: str = "verify"
    types: tuple[str, ...] = ()
    """Types to look for; all when empty."""
    overlap: float = 0.0
    """Share of the sample that every reviewer is shown, to measure their agreement."""
    width: float = 0.03
    """Half width of the interval of precision to aim for."""
    seed: int = 0

    def __post_init__(self) -> None:
        """Check name, mode and overlap."""
        if not NAME.fullmatch(self.reviewer):
            raise ConfigError("--reviewer takes up to 64 letters (a to z), digits, dots, hyphens and underscores")
        if self.mode not in reviews.MODES:
            raise ConfigError(f"--mode must be one of {', '.join(reviews.MODES)}, not {self.mode!r}")
        if not 0 <= self.overlap <= 1:
            raise ConfigError(f"--overlap must be between 0 and 1, not {self.overlap:g}")


class Session:
    """One reviewer's work on one run."""

    def __init__(self, run: RunDir, settings: Settings) -> None:
        """Read the predictions of a run that has annotations.

        Raises:
            ConfigError: the run's file of types or of decisions cannot be read.
        """
        self.settings = settings
        self._run = run
        self._annotations = {one.passage_id: one for one in tables.read_annotations(run.predicted)}
        checked = list(read_opinions(run.agreement))
        self._predictions = predictions_of(self._annotations.values(), settings.seed, checked)
        self._blind = passage_order(self._annotations, settings.seed)
        self._doubtful = doubtful_first(run, self._annotations, checked, read_probabilities(run.probabilities))
        counts = self._predictions.labels
        schema = types_of(run)
        others = [one.name for one in schema.types] if schema else sorted(load_lexicon().known)
        self.types = list(dict.fromkeys([*sorted(counts, key=lambda label: (-counts[label], label)), *others]))
        """The types to choose from: the dataset's by frequency, then those of ``--types`` or the lexicon."""
        self._answers = Answers(self._predictions, label_rules(run))
        self._history: list[Decision] = []

    def next(self, mode: str) -> dict[str, Any]:
        """Return the next item of ``mode`` and the progress; the item is None when nothing is left."""
        standing = reviews.read_reviews(self._run.root).decisions
        chosen = {"verify": self._verify, "blind": self._read, "correct": self._correct, "settle": self._settle}[mode]
        return {"mode": mode, "item": chosen(standing), "progress": self.progress(mode, standing)}

    def decide(self, mode: str, answer: Mapping[str, Any]) -> None:
        """Store an answer.

        Args:
            mode: one of ``reviews.MODES``.
            answer: ``passage_id``, and what ``Answers`` reads.

        Raises:
            ValueError: the answer is about no passage or entity of this run.
            RunDirError: it cannot be written.
        """
        annotation = self._annotations.get(str(answer.get("passage_id")))
        if annotation is None:
            raise ValueError("the run has no such passage")
        common = {
            "reviewer": self.settings.reviewer,
            "mode": mode,
            "passage_id": annotation.passage_id,
            "text_sha256": text_sha256(annotation.text),
            "time": _now(),
            "types": self.settings.types if mode == "blind" else (),
        }
        read = self._answers.of_passage if mode in reviews.WHOLE else self._answers.of_entity
        decision = read(annotation, answer, common)
        reviews.append(self._path, decision)
        self._history.append(decision)

    def undo(self) -> Decision | None:
        """Undo this session's last decision and return it; None when there is none left."""
        if not self._history:
            return None
        decision = self._history.pop()
        reviews.append(self._path, replace(decision, verdict="undo", time=_now(), entities=(), marked=()))
        return decision

    def item_of(self, decision: Decision) -> dict[str, Any]:
        """Return the item that ``decision`` is about."""
        annotation = self._annotations[decision.passage_id]
        if decision.mode in reviews.WHOLE:
            return self._passage_item(annotation)
        drawn = self._predictions.drawn.get(decision.subject)
        return self._entity_item(annotation, decision.mention, decision.label, drawn)

    def progress(self, mode: str, standing: Sequence[Decision]) -> dict[str, Any]:
        """Return how many items are done, the estimate so far and, in the mode ``verify``, how many checks are left."""
        own = [one for one in standing if one.mode == mode and one.reviewer == self.settings.reviewer]
        report: dict[str, Any] = {"done": len(own), "session": len(self._history)}
        if mode in ("verify", "blind"):
            blind = {one.passage_id for one in standing if one.mode == "blind"}
            texts = {name: one.text for name in blind if (one := self._annotations.get(name))}
            found = measure(self._predictions, [one for one in standing if one.mode in (mode, "settle")], texts)
            report["estimate"] = found["precision" if mode == "verify" else "recall"]
        if mode == "verify":
            report |= {"width": self.settings.width, "left": self._left(report["estimate"])}
        return report

    @property
    def _path(self) -> Path:
        return reviews.folder(self._run.root) / f"{self.settings.reviewer}.jsonl"

    def _left(self, estimate: Mapping[str, Any] | None) -> int:
        """Return the checks until the interval is narrow enough; below ten checks, as if 95 % were right."""
        done, rest = (estimate["n"] if estimate else 0), len(self._predictions.drawn)
        if estimate is None or done < 10:
            guess = estimates.Estimate(0.95, *estimates.jeffreys(0.95, 100), 100)
            return max(0, min(rest, 100 + estimates.checks_for(guess, self.settings.width)) - done)
        now = estimates.Estimate(estimate["value"], estimate["low"], estimate["high"], done)
        return min(rest - done, estimates.checks_for(now, self.settings.width))

    def _verify(self, standing: Sequence[Decision]) -> dict[str, Any] | None:
        is_open = self._is_open("verify", standing)
        for subject, drawn in self._predictions.drawn.items():
            if is_open(*subject):
                passage_id, mention, label = subject
                return self._entity_item(self._annotations[passage_id], mention, label, drawn)
        return None

    def _read(self, standing: Sequence[Decision]) -> dict[str, Any] | None:
        is_open = self._is_open("blind", standing)
        for identity in self._blind:
            if is_open(identity):
                return {**self._passage_item(self._annotations[identity]), "types": list(self.settings.types)}
        return None

    def _correct(self, standing: Sequence[Decision]) -> dict[str, Any] | None:
        done = {one.passage_id for one in standing if one.mode in reviews.WHOLE}
        for identity, why in self._doubtful:
            if identity not in done:
                return {**self._passage_item(self._annotations[identity]), "why": why}
        return None

    def _settle(self, standing: Sequence[Decision]) -> dict[str, Any] | None:
        for (passage_id, mention, label), opinions in unsettled(standing, self._annotations):
            item = self._entity_item(self._annotations[passage_id], mention, label, None)
            return {**item, "opinions": opinions}
        return None

    def _is_open(self, mode: str, standing: Iterable[Decision]) -> Callable[..., bool]:
        """Return a test whether this reviewer is to judge an entity or passage: nobody did, or everybody has to."""
        judged = [
            (one.subject if one.mention else (one.passage_id,), one.reviewer) for one in standing if one.mode == mode
        ]
        mine = {key for key, reviewer in judged if reviewer == self.settings.reviewer}
        others = {key for key, _ in judged} - mine

        def is_open(*key: str) -> bool:
            shared = lot(self.settings.seed, "overlap", mode, *key) < self.settings.overlap
            return key not in mine and (shared or key not in others)

        return is_open

    def _entity_item(self, annotation: Annotation, mention: str, label: str, drawn: Drawn | None) -> dict[str, Any]:
        own = [one for one in annotation.mentions if (one.text, one.label) == (mention, label)]
        spans = [[one.start, one.end] for one in own] or [
            [place.start(), place.end()] for place in re.finditer(re.escape(mention), annotation.text)
        ]
        return {
            "passage_id": annotation.passage_id,
            "text": annotation.text,
            "mention": mention,
            "label": label,
            "spans": spans,
            "stratum": drawn.stratum if drawn else "",
        }

    def _passage_item(self, annotation: Annotation) -> dict[str, Any]:
        wanted = self.settings.types
        return {
            "passage_id": annotation.passage_id,
            "text": annotation.text,
            "predicted": [
                [one.start, one.end, one.label] for one in annotation.mentions if not wanted or one.label in wanted
            ],
        }


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
