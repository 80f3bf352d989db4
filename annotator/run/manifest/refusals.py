"""Refuse settings with which a run directory cannot continue; each message says how to go on."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from annotator.config.settings import ADDED, RunConfig, flag, names_of
from annotator.errors import ConfigError
from annotator.run.manifest.stored_settings import same_setting
from annotator.run.second import second_of
from annotator.storage.rundir import RunDir
from annotator.teachers.registry import PROVIDERS

PAID: Final = ("sample", "chunk", "annotate")
"""Stages whose settings decide the questions: a change needs --fresh or another directory."""


def refuse_other_questions(stored: Mapping[str, Any], config: RunConfig, root: Path) -> None:
    """Refuse settings that would ask other questions than those of the run, whose answers are paid for.

    Before the first question (there is a ledger from then on) nothing is paid for: the teacher can still be changed.
    """
    run = RunDir(root)
    asked = run.ledger.exists() or (stored.get("ledger") and run.passages.exists())
    stages = PAID if asked else PAID[:2]
    now = {name: getattr(config, name) for name in names_of(stages)}
    stored = {**ADDED, **stored} if stored else stored
    if run.ledger.exists() and stored:
        before = stored.get("response_format", "text")  # what it was before there was a choice
        if "auto" not in (before, config.response_format):
            stored, now = {**stored, "response_format": before}, {**now, "response_format": config.response_format}
        stored, now = {**stored, "option": stored.get("option", [])}, {**now, "option": list(config.option)}
    now.pop("source")  # the same articles under another path are the same articles: content decides, further on
    added = stored.get("added_docs", "")
    if not added or f"{config.added_docs},".startswith(f"{added},"):
        now.pop("added_docs", None)  # articles are added, and no question changes
    else:
        now["added_docs"] = config.added_docs
    other = [
        f"{flag(name)} {stored[name]}, not {now[name]}"
        for name in now
        if name in stored and not same_setting(name, stored[name], now[name])
    ]
    if other:
        more = [name for name in now if name == "docs" and len(other) == 1 and now[name] > stored[name]]
        update = f"add articles with: vner-annotate update {root} --docs {now['docs']}; or " if more else ""
        raise ConfigError(
            f"{root} was made with {'; '.join(other)}: {update}choose another --out, "
            "or add --fresh to start over (paid answers stay)"
        )


def refuse_other_types(manifest: Mapping[str, Any], identity: Mapping[str, Any], run: RunDir) -> None:
    """Refuse types that would ask, and pay for, every question again. Synonyms are no part of a question."""
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
    """Refuse a first teacher that is the second one of an earlier check: it would agree with itself."""
    second = second_of(directory, config)
    if second and dict(second.teacher.identity) == dict(identity):
        raise ConfigError(
            f"{directory.check} names this teacher as the second one: delete that file to go on with it alone (paid "
            "answers stay), or give another --model, --prompt or --provider"
        )


def refuse_batch(config: RunConfig) -> None:
    """Refuse ``--batch`` where the provider has no Batch API.

    Raises:
        ConfigError: it has none.
    """
    if not PROVIDERS[config.provider].batches:
        able = " or ".join(name for name, provider in PROVIDERS.items() if provider.batches)
        raise ConfigError(f"--batch needs --provider {able}; no other has a Batch API")


def refuse_partial_address(config: RunConfig, manifest: Mapping[str, Any], *, source_given: bool) -> None:
    """Refuse an address whose secret is gone, where its content has to be read again."""
    if manifest.get("source", {}).get("secret") and not source_given:
        raise ConfigError(
            f"the address {config.source} had a user or a key in it, which is not stored: give SOURCE again"
        )
