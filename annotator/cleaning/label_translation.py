"""Let the teacher translate Vietnamese labels that no rule knows: it is asked about each once, as the ledger stores it.

The answer is one more label, so the same rules decide about it. If it is not a clean English type, nothing changes, and
the label waits for a person as before.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence

from annotator.asking.pool import ask_all
from annotator.asking.rate_limits import Pace
from annotator.cleaning.clean import Decider
from annotator.cleaning.replies.parser import parse_reply
from annotator.ledger import Ledger
from annotator.records import Completion, Passage
from annotator.teachers import Teacher, questions_about
from annotator.terminal.events import Progress
from normalizers.labels import LabelDecision

TOKENS = 200
"""Estimated tokens of a question and its answer, for ``--tpm``."""


def unknown_labels(answers: Iterable[tuple[Passage, Completion]], labels: Decider) -> list[str]:
    """Return the distinct labels, in their clean form, that wait for a decision because they are not English."""
    parsed = (
        parse_reply(found.reply, passage.text, truncated=found.finish_reason == "length") for passage, found in answers
    )
    decided = map(labels.decide, {predicted.label for reply in parsed for predicted in reply.mentions})
    return sorted({found.label for found in decided if found.label and found.rule == "not english"})


def ask_translations(
    unknown: Sequence[str], translator: Teacher, ledger: Ledger, pace: Pace, progress: Progress
) -> None:
    """Ask for the translation of each label that the ledger does not have.

    Raises:
        AnnotateError: as ``annotator.asking.pool.ask_all`` does.
    """
    labels = (Passage("label", label, TOKENS, (), 1) for label in unknown)
    ask_all(questions_about(labels, translator), translator, ledger, pace, progress)


class Translations:
    """Decides as ``labels`` does, and replaces a label that is not English by the teacher's translation."""

    def __init__(self, unknown: Sequence[str], translator: Teacher, ledger: Ledger, labels: Decider) -> None:
        """Read the translations of ``unknown`` from the ledger."""
        self._labels = labels
        answers = {label: ledger.get(translator.question(label).key) for label in unknown}
        self._translations: Mapping[str, LabelDecision] = {
            label: labels.decide(_first_line(answer)) for label, answer in answers.items() if answer
        }
        self.missing = len(unknown) - len(self._translations)
        """Labels without an answer."""
        translated = sorted((label, found.raw) for label, found in self._translations.items())
        self.digest = hashlib.sha256(repr(translated).encode("utf-8", "surrogatepass")).hexdigest()
        """Hash of the translations."""

    def decide(self, raw: str) -> LabelDecision:
        """Decide one label."""
        decision = self._labels.decide(raw)
        found = self._translations.get(decision.label or "") if decision.rule == "not english" else None
        if found is not None and found.status in {"kept", "changed"}:
            return LabelDecision(raw, found.label, "changed", "teacher")
        if found is not None and found.rule == "user":  # the user drops the English label
            return LabelDecision(raw, None, "rejected", "user")
        return decision


def _first_line(answer: Completion) -> str:
    lines = answer.reply.strip().splitlines()
    return lines[0] if len(lines) == 1 and answer.finish_reason != "length" else ""
