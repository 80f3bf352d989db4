"""Write ``recipe.toml``, which rebuilds a dataset from its source and ledger, and check a run that follows a recipe.

    vner-annotate build --config recipe.toml --out NEW   # with completions.sqlite copied into NEW

It has the settings of the run, except those of the panel ``Run``, such as ``--workers``, which change no result. Its
table ``recipe`` has what else the result depends on, and the sha256 of each file of the result.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, Final

from annotator.config.settings import RECIPE, RunConfig
from annotator.errors import ConfigError
from annotator.ledger import canonical
from annotator.sources.locating import at_revision
from annotator.storage.atomic import explained, replacing
from annotator.storage.rundir import RunDir
from annotator.terminal.events import Progress

_TOOLS: Final = (
    "tokenizer", "decontaminate", "teacher", "lexicon", "labels", "types", "translator", "corrections",
    "reviews", "check", "dictionary",
)  # fmt: skip
"""Entries of the manifest that a result depends on besides the source and the settings."""
_HEAD: Final = """\
# Rebuilds the dataset from its source and its ledger; the teacher is asked nothing that the ledger answers:
#   mkdir NEW && cp completions.sqlite NEW/ && vner-annotate build --config recipe.toml --out NEW
# Paths are those of the machine that wrote this file; flags win: build SOURCE --config recipe.toml --out NEW
"""


def write_recipe(run: RunDir) -> None:
    """Write the recipe of a finished run into its directory."""
    with explained(run.recipe):
        text = make_recipe(run)
    with replacing(run.recipe) as file:
        file.write(text.encode("utf-8"))


def make_recipe(run: RunDir, hide: Callable[[Any], Any] = lambda settings: settings) -> str:
    """Return the recipe of a finished run as TOML. ``hide`` removes from its settings what must not be published."""
    manifest = run.read_manifest()
    source = manifest["source"]
    own = [item for item in fields(RunConfig) if item.metadata["panel"] != "Run"]
    settings = {item.name: manifest["config"].get(item.name, item.default) for item in own}
    settings["source"] = at_revision(settings["source"], source.get("revision", ""))
    tables = {
        "source": {name: source[name] for name in ("fingerprint", "revision") if name in source},
        "tools": _tools(manifest),
        "versions": manifest["made_by"],
        "files": {path.relative_to(run.root).as_posix(): file_sha256(path) for path in run.results()},
    }
    lines = [_HEAD, *(f"{name} = {_toml(value)}" for name, value in hide(settings).items() if value not in ("", []))]
    for table, entries in tables.items():
        lines += ["", f"[{RECIPE}.{table}]", *(f"{_toml(name)} = {_toml(value)}" for name, value in entries.items())]
    return "\n".join(lines) + "\n"


def check_source(recipe: Mapping[str, Any], manifest: Mapping[str, Any]) -> None:
    """Refuse a source with other content than the recipe's, before any question.

    Raises:
        ConfigError: it has other content.
    """
    wanted, found = recipe.get("source", {}), manifest["source"]
    name = "revision" if wanted.get("revision") else "fingerprint"
    if wanted and found.get(name) != wanted.get(name):
        raise ConfigError(
            f"{found['name']} does not hold what the recipe was made from ({name} {wanted.get(name)}); "
            "give the same articles as SOURCE"
        )


def compare_files(
    recipe: Mapping[str, Any], run: RunDir, manifest: Mapping[str, Any], progress: Progress
) -> dict[str, bool]:
    """Return for each file that the recipe lists whether that of ``run`` is the same, byte for byte.

    Where files differ, report them and the tools that differ from those of the recipe.
    """
    found = {
        name: (run.root / name) in run.results() and file_sha256(run.root / name) == wanted
        for name, wanted in recipe.get("files", {}).items()
    }
    if not all(found.values()):
        wanted, own = recipe.get("tools", {}), _tools(manifest)
        tools = ", ".join(name for name in _TOOLS if wanted and wanted.get(name) != own.get(name))
        files = ", ".join(name for name, same in found.items() if not same)
        others = tools or "the settings or the answers"
        progress.say(f"not as in the recipe: {files}; different from the recipe's: {others}")
    return found


def _tools(manifest: Mapping[str, Any]) -> dict[str, str]:
    """Return the hash of each tool of the run."""
    used = {name: canonical(manifest[name]) for name in _TOOLS if manifest.get(name)}
    return {name: hashlib.sha256(text.encode("utf-8")).hexdigest() for name, text in used.items()}


def file_sha256(path: Path) -> str:
    """Return the sha256 of a file, in hex."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _toml(value: Any) -> str:
    """Return a text, number, boolean or list of these as TOML; its strings are those of JSON, with DEL escaped."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
