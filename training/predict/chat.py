"""Ask a model behind a chat endpoint, by the engine that annotates: ledger, limits, retries, resume.

The ledger is beside the predictions. Every answer is in it before the next question is sent, so none is paid for twice.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from annotator.config.settings import make_config
from annotator.records import Passage, Sample
from annotator.teachers import QUERY_PROMPT, make_query_teacher, query_text, questions_about, require_key
from annotator.terminal.events import Progress
from training.predict.running import Prediction, Predictor

LETTERS: Final = 3
"""Characters of Vietnamese that make about one token, for the estimate that counts against --tpm."""


def make(provider: str, model: str, out: Path, settings: Mapping[str, Any]) -> Predictor:
    """Make a predictor of a provider's model; ``settings`` are those of the endpoint and its limits."""
    from annotator.asking.pool import ask_all, pace_of
    from annotator.ledger import SqliteLedger

    config = make_config({"prompt": QUERY_PROMPT, "provider": provider, "model": model}, settings)
    require_key(config)
    teacher = make_query_teacher(config)

    def answer(samples: Sequence[Sample], known: Container[str], progress: Progress) -> Iterator[Prediction]:
        waiting = [_as_passage(sample) for sample in samples if sample.id not in known]
        with SqliteLedger(ledger_of(out)) as ledger:
            ask_all(questions_about(waiting, teacher), teacher, ledger, pace_of(config), progress)
            for asked in questions_about(waiting, teacher):
                if found := ledger.get(asked.question.key):
                    yield asked.passage.id, found.reply

    return Predictor({"predictor": provider, **teacher.identity}, answer)


def ledger_of(out: Path) -> Path:
    """Return the ledger of the paid answers behind the predictions ``out``."""
    return out.with_name(f"{out.name}.ledger.sqlite")


def _as_passage(sample: Sample) -> Passage:
    """Return the query as a passage; its length is an estimate of question and answer together, in tokens."""
    text = query_text(sample.input, sample.instruction)
    return Passage(sample.id, text, 200 + 2 * len(text) // LETTERS, (), n_sentences=1)
