"""What all stages of a run share."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from annotator.cleaning.label_decisions import Decisions, read_decisions
from annotator.config.settings import Asking, RunConfig
from annotator.engines import Engine
from annotator.engines.local import LocalEngine
from annotator.passages.tokenizers import Tokenizer, load_tokenizer
from annotator.storage.rundir import RunDir
from annotator.teachers import Teacher, make_teacher
from annotator.teachers.entity_types import Schema, read_types
from annotator.terminal.events import Progress


@dataclass(frozen=True)
class Context:
    """The settings of a run, and the objects that all stages share."""

    config: RunConfig
    run: RunDir
    tokenizer: Tokenizer
    teacher: Teacher
    progress: Progress
    decisions: Decisions = field(default_factory=Decisions)
    """Decisions of the user about labels."""
    asking: Asking = "now"
    engine: Engine = field(default_factory=LocalEngine)
    source_given: bool = False
    """Whether the user named the source now; else it is the one in the manifest, or the default."""
    revision: str = ""
    """Commit of a Hub dataset that is sampled."""
    schema: Schema | None = None
    """The types of ``--types``."""


def make_context(config: RunConfig, run: RunDir, progress: Progress, engine: Engine, asking: Asking = "now") -> Context:
    """Load the tokenizer, teacher, types and decisions about labels that the settings of a run name.

    Raises:
        ConfigError: something cannot be loaded.
    """
    decisions = read_decisions(Path(config.labels)) if config.labels else Decisions()
    tokenizer, teacher = load_tokenizer(config.tokenizer), make_teacher(config)
    schema = read_types(Path(config.types)) if config.types else None
    return Context(config, run, tokenizer, teacher, progress, decisions, asking, engine, schema=schema)
