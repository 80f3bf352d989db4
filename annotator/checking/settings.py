"""Read and write the settings of a second teacher, in ``check.json`` of the run directory.

The file is written once the second teacher has been asked. It has a hash of the answers, so that the stages that depend
on them run again when there are more.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from annotator.checking.arbiter import FIRST, QUESTIONS
from annotator.checking.keeping import KEEP
from annotator.config.settings import RunConfig, make_config
from annotator.errors import ConfigError, RunDirError
from annotator.storage.atomic import write_json
from annotator.teachers.registry import PROVIDERS, chat_providers

VERSION: Final = 1
TEACHER: Final = tuple(item.name for item in dataclasses.fields(RunConfig) if item.metadata["panel"] == "Teacher")
"""Settings that a second teacher has of its own."""
BY: Final = ("passage", "query")
"""What a second teacher is asked: for all entities of a passage, or a query for each of its types."""
ADDED: Final = ("by", "draw", "arbiter", "queries")
"""Fields that older files lack. Their defaults ask the questions of that time, so answers are found again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckSettings:
    """The content of ``check.json``."""

    teacher: Mapping[str, Any]
    """The settings of ``TEACHER``."""
    by: str = BY[0]
    """One of ``BY``."""
    share: float = 1.0
    """Share of the passages that the second teacher is asked about."""
    draw: str = "random"
    """How they are drawn: ``random``, each by its own hash, or ``stratified``."""
    keep: str = "all"
    """One of ``annotator.checking.keeping.KEEP``."""
    arbiter: str = FIRST
    """The prompt of the arbiter."""
    answers: str = ""
    """sha256 over the keys of all answers of the second teacher and of the arbiter."""
    queries: Mapping[str, int] | None = None
    """Answered queries about types that the first teacher found (``found``), and that it did not (``absent``)."""

    def __post_init__(self) -> None:
        """Refuse invalid values, by the name of the flag."""
        if not 0 < self.share <= 1:
            raise ConfigError(f"--share must be above 0 and at most 1, not {self.share:g}")
        if self.keep not in KEEP:
            raise ConfigError(f"--keep must be one of {', '.join(KEEP)}, not {self.keep!r}")
        if self.by not in BY:
            raise ConfigError(f"--by must be one of {', '.join(BY)}, not {self.by!r}")
        if self.arbiter not in QUESTIONS:
            raise ConfigError(f"no prompt {self.arbiter!r} for the arbiter")

    def config(self, first: RunConfig) -> RunConfig:
        """Return the settings ``first`` of a run with the second teacher in place of the first."""
        own = {name: value for name, value in first.as_dict().items() if name not in TEACHER}
        own |= {"translate_labels": False, "instruction": "type"}
        provider = PROVIDERS.get(self.teacher.get("provider") or RunConfig().provider)
        if provider and not provider.chat:
            own["types"] = ""  # it cannot be asked for types; its labels are still mapped to them
        config = make_config(own, dict(self.teacher))
        if self.by == "query" and not PROVIDERS[config.provider].chat:
            raise ConfigError(f"--by query needs --provider {chat_providers()}; the local teacher answers no questions")
        if self.by == "query" and config.response_format != "text":
            raise ConfigError("--by query asks for a list, which --response-format does not describe; leave it out")
        return config


def read_check(path: Path) -> CheckSettings | None:
    """Read ``check.json``; None where there is none.

    Raises:
        RunDirError: it is damaged.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        return CheckSettings(**{name: value for name, value in found.items() if name != "version"})
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, AttributeError, ConfigError) as error:
        raise RunDirError(
            f"cannot read {path}: {error}; delete it, and run vner-annotate check again (paid answers stay)"
        ) from error


def write_check(path: Path, settings: CheckSettings) -> None:
    """Write ``check.json``, without those fields of ``ADDED`` that have their defaults."""
    added = {item.name: item.default for item in dataclasses.fields(CheckSettings) if item.name in ADDED}
    stored = {name: value for name, value in asdict(settings).items() if name not in added or value != added[name]}
    write_json(path, {"version": VERSION, **stored})
