"""Compute the fingerprint of a stage, by which the runner knows whether its result is current.

It covers all that the result depends on: the version and settings of the stage, its inputs, and the stage before.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import cache
from importlib import metadata, resources
from pathlib import Path
from typing import Any, Final

from annotator.cleaning.corrections import file_identity
from annotator.cleaning.entity_reviews import files_identity
from annotator.config.addresses import without_secrets
from annotator.errors import ConfigError, SourceError
from annotator.ledger import canonical
from annotator.run.context import Context
from annotator.run.manifest.stored_settings import same_setting
from annotator.sources.hub import pin
from annotator.sources.locating import HubDataset, fingerprint, hub_dataset
from annotator.teachers import make_translator

VERSIONS: Final[Mapping[str, int]] = {"sample": 2, "chunk": 3, "annotate": 1, "clean": 3, "explode": 2}
"""Increase the version of a stage that gives another result for the same input; the stage then runs again."""


def fingerprint_of(stage: str, settings: Mapping[str, Any], inputs: Mapping[str, Any], before: str) -> str:
    """Return the fingerprint of a stage.

    Args:
        stage: its name.
        settings: those on which it depends, as the manifest spells them.
        inputs: those of the run, see ``inputs_of``.
        before: the digest of the result of the stage before; empty for the first.
    """
    return digest(stage, VERSIONS[stage], settings, _of_stage(stage, inputs), before)


def digest(*parts: Any) -> str:
    """Return the sha256 of the canonical JSON of ``parts``, in hex."""
    return hashlib.sha256(canonical(parts).encode("utf-8")).hexdigest()


def inputs_of(context: Context, manifest: Mapping[str, Any], spelled: Mapping[str, str]) -> dict[str, Any]:
    """Return what the result depends on besides settings: the content of the source, tokenizer, teacher, lexicon.

    Raises:
        ConfigError: the source has other content than that of the run, or a benchmark is missing.
        SourceError: the source cannot be read, and the run has no sample of it.
    """
    benchmarks = _benchmarks(context.config.decontaminate, manifest)
    lexicon = hashlib.sha256()
    for entry in sorted(resources.files("normalizers.lexicon").iterdir(), key=lambda entry: entry.name):
        if entry.name.endswith((".toml", ".txt")):
            lexicon.update(entry.read_bytes())
    return {
        "source": _source(context, manifest, spelled["source"]),
        **({"decontaminate": benchmarks} if benchmarks else {}),
        "tokenizer": {"name": spelled["tokenizer"], "fingerprint": context.tokenizer.fingerprint},
        "teacher": teacher_of(context),
        "lexicon": {"sha256": lexicon.hexdigest()},
        "labels": {"sha256": context.decisions.sha256, "decisions": len(context.decisions.labels)},
        **({"types": context.schema.as_dict()} if context.schema else {}),
        **({"translator": make_translator(context.config).identity} if context.config.translate_labels else {}),
        "corrections": file_identity(context.run.corrections),
        **({"reviews": reviews} if (reviews := files_identity(context.run.root)) else {}),
        **({"check": check} if (check := file_identity(context.run.check)) else {}),
        "dictionary": {"underthesea": version_of("underthesea")},
    }


def _of_stage(stage: str, inputs: Mapping[str, Any]) -> Any:
    """Return the ``inputs`` on which the result of a stage depends."""
    teacher = {name: value for name, value in inputs["teacher"].items() if name != "provider"}
    return {
        "sample": inputs["source"]["fingerprint"],
        "chunk": [inputs["tokenizer"]["fingerprint"], inputs.get("decontaminate")],
        "annotate": teacher,
        "clean": [
            inputs["lexicon"],
            inputs["labels"],
            inputs.get("translator"),
            inputs["corrections"],
            *(inputs[name] for name in ("types", "reviews", "check") if name in inputs),
            inputs["dictionary"],
        ],
        "explode": [inputs["tokenizer"]["fingerprint"], inputs["lexicon"]],
    }[stage]


def teacher_of(context: Context) -> dict[str, Any]:
    """Return the provider and all that identifies its answers."""
    return {"provider": context.config.provider, **context.teacher.identity}


@cache
def version_of(package: str) -> str:
    """Return the installed version of a package."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "unknown"


def _source(context: Context, manifest: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return name and fingerprint of the source; ``secret`` where its address had a secret, which is not stored.

    Raises:
        ConfigError: the source has other content than that of the run.
    """
    source = context.config.source
    known: dict[str, Any] = manifest.get("source", {})
    if dataset := hub_dataset(source):
        return {"name": name, **_hub_source(context, manifest, dataset)}
    if known.get("secret") and not context.source_given:
        return known  # without its secret the address cannot be read; the sample is there
    secret = {"secret": True} if without_secrets(source) != source else {}
    try:
        found = fingerprint(source)
    except SourceError:
        if not known.get("fingerprint"):
            raise
        found = known["fingerprint"]  # the source is gone, but its sample is there
    if known.get("fingerprint") and found != known["fingerprint"]:
        raise _other_source(context)
    return {"name": name, "fingerprint": found, **secret}


def _hub_source(context: Context, manifest: Mapping[str, Any], dataset: HubDataset) -> dict[str, Any]:
    """Return the fingerprint of a Hub dataset and the commit that is sampled; report that the Hub has a newer one."""
    known: dict[str, Any] = manifest.get("source", {})
    found, recorded = f"hub:{dataset}", known.get("revision", "")
    if context.asking == "never":
        commit = recorded
    else:
        began = recorded or "sample" in manifest.get("stages", {})
        commit, notice = pin(dataset, recorded if began else None)
        if notice:
            context.progress.say(notice)
    if known and found != known["fingerprint"]:
        same = dataset.revision == recorded and known["fingerprint"].partition("@")[0] == f"hub:{dataset.name}"
        if not (recorded and same):
            raise _other_source(context)
        found = known["fingerprint"]
    return {"fingerprint": found, **({"revision": commit} if commit else {})}


def _other_source(context: Context) -> ConfigError:
    return ConfigError(
        f"{without_secrets(context.config.source)} is not the source of {context.run.root}, or has changed since; "
        "choose another --out, or build with --fresh to start over (paid answers stay)"
    )


def _benchmarks(files: tuple[str, ...], manifest: Mapping[str, Any]) -> list[dict[str, str]]:
    """Return the identity of each benchmark; where one is gone, those with which the passages were made."""
    missing = next((file for file in files if not Path(file).is_file()), "")
    if not missing:
        return [file_identity(Path(file)) for file in files]
    known: list[dict[str, str]] = manifest.get("decontaminate", [])
    if known and same_setting("decontaminate", manifest["config"]["decontaminate"], files):
        return known
    raise ConfigError(f"cannot read --decontaminate {missing}: no such file; check the name")
