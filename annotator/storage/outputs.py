"""Check the path of a file that a user asks a command to write."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Final

from annotator.errors import ConfigError
from annotator.storage.rundir import FILES, FOLDERS, RunDir

_KEPT: Final = frozenset(map(str.casefold, FILES)) | {"completions.sqlite-wal", "completions.sqlite-shm", "labels.toml"}
"""Names that belong to a run directory, in lower case, whether the file is there yet or not."""


def check_output(path: Path, flag: str, *, inputs: Collection[Path] = (), own: str = "") -> None:
    """Refuse to write over a folder, over an input of the command, or over a file of a run directory.

    Args:
        path: the file that the user names.
        flag: how the user names it, for the message.
        inputs: files that the command reads.
        own: the file of a run directory that this command may write there.

    Raises:
        ConfigError: with the fix.
    """
    if path.is_dir():
        raise ConfigError(f"{flag} {path} is a folder; give the name of a file in it")
    target = path.resolve()
    if target in {item.resolve() for item in inputs}:
        raise ConfigError(f"{flag} {path} is an input of this command; give another name")
    for root in target.parents:
        inside = target.relative_to(root)
        name = inside.parts[0]
        belongs = name in FOLDERS if len(inside.parts) > 1 else name.casefold() in _KEPT or name.startswith(".")
        if belongs and name != own and RunDir(root).recognised():
            raise ConfigError(f"{flag} {path} is a file of the run directory {root}; give another name")
