"""What all stages of a run share."""

from __future__ import annotations

from dataclasses import dataclass, field

from annotator.cleaning.label_decisions import Decisions
from annotator.config.settings import Asking, RunConfig
from annotator.engines import Engine
from annotator.engines.local import LocalEngine
from annotator.passages.tokenizers import Tokenizer
from annotator.storage.rundir import RunDir
from annotator.teachers import Teacher
from annotator.teachers.entity_types import Schema
from annotator.terminal.events import Progress


@dataclass(frozen=True)
class Context:
    """Objects that all stages share."""

    config: RunConfig
    run: RunDir
    tokenizer: Tokenizer
    teacher: Teacher
    progress: Progress
    decisions: Decisions = field(default_factory=Decisions)
    """Decisions of the user about labels."""
    asking: Asking = "now"
    engine: Engine = field(default_factory=LocalEngine)
    revision: str = ""
    """Commit of a Hub dataset that is sampled."""
    schema: Schema | None = None
    """The types of ``--types``."""
