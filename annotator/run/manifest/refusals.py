"""Refuse settings with which a run directory cannot continue, by a ``ConfigError`` that names the ways to go on."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from annotator.config.settings import ADDED, RunConfig, flag, names_of
from annotator.errors import ConfigError
from annotator.run.context import Context
from annotator.run.manifest.stored_settings import same_setting
from annotator.run.second import second_of
from annotator.storage.rundir import RunDir
from annotator.teachers.registry import PROVIDERS

PAID: Final = ("sample", "chunk", "annotate")
"""Stages whose settings decide the questions: a change needs --fresh or another directory."""


def refuse_other_questions(stored: Mapping[str, Any], config: RunConfig, root: Path) -> None:
    """Refuse settings that would ask other questions than those of the run, whose answers are paid for.

    Before the first question, with which the ledger is created, the teacher can still be changed.
    """
    if not stored:
        return
    run = RunDir(root)
    asked = run.ledger.exists() or (stored.get("ledger") and run.passages.exists())
    before = {"response_format": "text", "option": [], **ADDED, **stored}  # older runs lack some of these
    now = {name: getattr(config, name) for name in names_of(PAID if asked else PAID[:2])}
    del now["source"]  # it may have another path; its content is compared later
    if not before["added_docs"] or f"{now['added_docs']},".startswith(f"{before['added_docs']},"):
        del now["added_docs"]  # an update changes no earlier question
    if run.ledger.exists():
        if "auto" not in (before["response_format"], config.response_format):
            now["response_format"] = config.response_format
        now["option"] = list(config.option)
    other = [
        f"{flag(name)} {before[name]}, not {value}"
        for name, value in now.items()
        if name in before and not same_setting(name, before[name], value)
    ]
    if other:
        is_larger = len(other) == 1 and now["docs"] > before.get("docs", now["docs"])
        update = f"add articles with: vner-annotate update {root} --docs {now['docs']}; or " if is_larger else ""
        raise ConfigError(
            f"{root} was made with {'; '.join(other)}: {update}choose another --out, "
            "or add --fresh to start over (paid answers stay)"
        )


def refuse_other_types(manifest: Mapping[str, Any], identity: Mapping[str, Any], run: RunDir) -> None:
    """Refuse types with which every question would be asked again. Synonyms are no part of a question."""
    before, now = ((one.get("prompt") or {}).get("types_sha256") for one in (manifest.get("teacher", {}), identity))
    if run.ledger.exists() and "teacher" in manifest and before != now:
        raise ConfigError(
            f"{run.root} was made with other --types: choose another --out, or add --fresh to start over "
            "(paid answers stay)"
        )


def refuse_other_ledger(stored: Mapping[str, Any], config: RunConfig, root: Path) -> None:
    """Refuse a ledger that does not have the answers of the run."""
    if stored.get("ledger") and stored["ledger"] != config.ledger:
        raise ConfigError(
            f"the answers of {root} are in {stored['ledger']}, not in {config.ledger or 'a file'}: leave --ledger out, "
            "or copy them there and add --fresh (docs/scale.md)"
        )


def refuse_second(identity: Mapping[str, Any], config: RunConfig, directory: RunDir) -> None:
    """Refuse a first teacher that is the second one of an earlier check, since it would agree with itself."""
    second = second_of(directory, config)
    if second and dict(second.teacher.identity) == dict(identity):
        raise ConfigError(
            f"{directory.check} names this teacher as the second one: delete that file to go on with it alone (paid "
            "answers stay), or give another --model, --prompt or --provider"
        )


def refuse_batch(config: RunConfig) -> None:
    """Refuse ``--batch`` where the provider has no Batch API."""
    if not PROVIDERS[config.provider].batches:
        able = " or ".join(name for name, provider in PROVIDERS.items() if provider.batches)
        raise ConfigError(f"--batch needs --provider {able}; no other has a Batch API")


def refuse_partial_address(context: Context, manifest: Mapping[str, Any]) -> None:
    """Refuse an address whose secret is gone, where its content has to be read again."""
    if manifest.get("source", {}).get("secret") and not context.source_given:
        raise ConfigError(
            f"the address {context.config.source} had a user or a key in it, which is not stored: give SOURCE again"
        )
