"""A model behind a chat endpoint answers, by the engine that annotates: ledger, limits, retries, resume.

The ledger lies beside the predictions. Every answer is in it before the next question goes out, so that no answer is
paid for twice, whatever happens to the run.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from annotator.config.settings import make_config
from annotator.records import Passage, Sample
from annotator.teachers.query_teacher import PROMPT, make_query_teacher, query_text
from annotator.terminal.events import Progress
from training.predict import Prediction, Predictor

LETTERS: Final = 3
"""Characters of Vietnamese that make about one token, for the estimate that counts against --tpm."""


def make(provider: str, model: str, out: Path, settings: Mapping[str, Any]) -> Predictor:
    """Make a predictor of a provider's model; ``settings`` are those of endpoint and pace.

    Raises:
        ConfigError: no model, no key, an unknown prompt or setting.
    """
    from annotator.asking.pool import ask_all, pace_of
    from annotator.ledger import Ledger
    from annotator.teachers import ask_about, require_key

    config = make_config({"prompt": PROMPT, "provider": provider, "model": model}, settings)
    require_key(config)
    identity = {"predictor": provider, **make_query_teacher(config).identity}

    def answer(samples: Sequence[Sample], known: Container[str], progress: Progress) -> Iterator[Prediction]:
        waiting = [sample for sample in samples if sample.id not in known]
        teacher = make_query_teacher(config)
        with Ledger(ledger_of(out)) as ledger:
            questions = ask_about(map(_as_passage, waiting), teacher)
            ask_all(questions, teacher, ledger, pace_of(config), progress)
            for sample in waiting:
                if found := ledger.get(teacher.question(_query(sample)).key):
                    yield sample.id, found.reply

    return Predictor(identity, answer)


def ledger_of(out: Path) -> Path:
    """Return the ledger of the paid answers behind the predictions ``out``."""
    return out.with_name(f"{out.name}.ledger.sqlite")


def _query(sample: Sample) -> str:
    return query_text(sample.input, sample.instruction)


def _as_passage(sample: Sample) -> Passage:
    """Return the query as a passage, whose length is what question and answer may cost together, in tokens."""
    text = _query(sample)
    return Passage(sample.id, text, 200 + 2 * len(text) // LETTERS, (), n_sentences=1)
