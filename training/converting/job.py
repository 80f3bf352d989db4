"""What a reader of a format is given: files, settings, and who counts, names and makes samples."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from annotator.records import Rejected, Sample
from training.converting.inputs import JSON_FILES, Suffixes
from training.converting.making import Maker
from training.converting.options import Options
from training.converting.tally import Tally


@dataclass(frozen=True, slots=True)
class Job:
    """One conversion."""

    files: Sequence[Path]
    options: Options
    types: tuple[str, ...] = ()
    """Raw types of the published set, where it is said which one this is."""
    tally: Tally = field(default_factory=Tally)
    make: Maker = field(default_factory=Maker)


Reader: TypeAlias = Callable[[Job], Iterator[Sample | Rejected]]


@dataclass(frozen=True, slots=True)
class Format:
    """A form of file, and who reads it."""

    read: Reader
    suffixes: Suffixes = JSON_FILES
