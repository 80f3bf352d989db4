"""Run the stages that are not current, and write the manifest.

A stage is skipped when the manifest has its fingerprint, its files are there, and no question waits for an answer.
Cleaning and exploding cost nothing and run again when their settings change; changing the other stages needs --fresh,
since answers are paid for.
"""

from __future__ import annotations

import dataclasses
import platform
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from annotator.asking.endpoint_limits import limits_of
from annotator.config.settings import RECIPE, STAGES, Asking, RunConfig, make_config
from annotator.errors import ConfigError, SourceError
from annotator.run.backends import answers_of, make_engine
from annotator.run.context import Context, make_context
from annotator.run.manifest.fingerprints import digest, fingerprint_of, inputs_of, teacher_of, version_of
from annotator.run.manifest.rebuilding import check_source, compare_files, write_recipe
from annotator.run.manifest.refusals import (
    PAID,
    refuse_batch,
    refuse_other_ledger,
    refuse_other_questions,
    refuse_other_types,
    refuse_partial_address,
    refuse_second,
)
from annotator.run.manifest.stored_settings import spelling, storable, stored_settings
from annotator.run.response_format import settle_response_format
from annotator.run.stages import STAGE_FUNCTIONS
from annotator.sources.locating import locate
from annotator.storage.atomic import write_json
from annotator.storage.funnel import merge_rejected
from annotator.storage.rundir import FORMAT, RunDir, opened
from annotator.teachers import make_teacher, require_key
from annotator.terminal.events import Progress, displayed

PACKAGES: Final = ("vner-annotate", "underthesea", "tiktoken", "llama-models", "openai", "groq", "datasets", "pyarrow")


@dataclass(frozen=True)
class Outcome:
    """The outcome of a run."""

    run: RunDir
    config: RunConfig
    unanswered: int
    """Passages without an answer; the same command asks about them again."""
    skipped: tuple[str, ...]
    """Stages that were current."""
    rebuilt: Mapping[str, bool] = field(default_factory=dict)
    """For each file that a recipe lists, whether this run has the same, byte for byte; empty without a recipe."""


def run(root: Path, settings: Mapping[str, Any], progress: Progress, **options: Any) -> Outcome:
    """Run the method as ``running`` does, and release the run directory when the last stage has ended."""
    with running(root, settings, progress, **options) as outcome:
        return outcome


@contextmanager
def running(
    root: Path,
    settings: Mapping[str, Any],
    progress: Progress,
    *,
    until: str = "explode",
    fresh: bool = False,
    asking: Asking = "now",
) -> Iterator[Outcome]:
    """Run the method as far as the stage ``until`` in the directory ``root``; run only the stages that are not current.

    The run directory is locked and the engine open until the context ends.

    Args:
        root: the run directory; created if needed.
        settings: settings of the user, and the table ``recipe`` of a recipe; other settings come from the manifest in
            the directory, then from the defaults.
        progress: receives all events.
        until: the last stage to run.
        fresh: run all stages again; answers in the ledger stay and are used.
        asking: ``now``; ``batch``: submit to the provider's Batch API, or collect what an earlier run submitted;
            ``never``: run only stages that cost nothing.

    Raises:
        AnnotateError: see ``annotator.errors``. Paid answers are on the disk.
    """
    manifest = {} if fresh else RunDir(root).read_manifest()
    stored = stored_settings(manifest)
    if settings.get("engine") is not None:
        stored.pop("ray_address", None)  # it belonged to another engine
    config = make_config(stored, settings)
    refuse_other_questions(stored, config, root)
    if config.response_format == "auto" and stored and RunDir(root).ledger.exists():
        config = dataclasses.replace(config, response_format=stored.get("response_format", "text"))
    refuse_other_ledger(stored, config, root)
    if asking == "batch":
        refuse_batch(config)
    limits_of(config)  # an unknown --limits is refused before any work
    with opened(root) as directory, closing(make_engine(config)) as engine:
        context = make_context(config, directory, progress, engine, asking)
        context = dataclasses.replace(context, source_given=settings.get("source") is not None)
        refuse_other_types(manifest, context.teacher.identity, directory)
        refuse_second(context.teacher.identity, config, directory)
        yield _run_stages(context, manifest, STAGES[: STAGES.index(until) + 1], settings.get(RECIPE, {}))


def _run_stages(
    context: Context, manifest: dict[str, Any], wanted: Sequence[str], recipe: Mapping[str, Any]
) -> Outcome:
    directory, asking = context.run, context.asking
    entries: dict[str, Any] = manifest.get("stages", {})
    unanswered = entries.get("annotate", {"unanswered": 1})["unanswered"]
    asks = asking != "never" and "annotate" in wanted and unanswered
    if asks and not directory.ledger.exists():  # with a ledger there may be nothing to ask
        require_key(context.config)
    spelled = spelling(context.config, manifest)
    inputs = inputs_of(context, manifest, spelled)
    check_source(recipe, inputs)
    context = dataclasses.replace(context, revision=inputs["source"].get("revision", ""))
    skipped: list[str] = []
    before = ""
    for number, stage in enumerate(wanted):
        if stage == "annotate" and asking != "never" and context.config.response_format == "auto":
            config = settle_response_format(context.config, directory, context.progress)
            context = dataclasses.replace(context, config=config, teacher=make_teacher(config))
            inputs["teacher"] = teacher_of(context)
        settings = context.config.stage_settings(stage)
        settings |= {name: spelled[name] for name in spelled if name in settings}
        fingerprint = fingerprint_of(stage, settings, inputs, before)
        entry = entries.get(stage, {})
        complete = not entry.get("unanswered") or asking == "never"
        if entry.get("fingerprint") == fingerprint and complete and _has_files(directory, stage, entry):
            skipped.append(stage)
        elif asking == "never" and stage in PAID:
            raise ConfigError(f"the stage {stage} of {directory.root} is not done; first run vner-annotate build")
        else:
            if stage == "sample":
                refuse_partial_address(context, manifest)
                locate(context.config.source)  # one that is gone is refused while its sample is still here
            # This stage and later ones are out of date from here on, whatever happens.
            entries = {name: entries[name] for name in wanted[:number]}
            _write_manifest(context, inputs, spelled, entries)
            if stage == "sample":
                entry = {"fingerprint": fingerprint, **_sample_or_restore(context, manifest)}
            else:
                directory.forget(stage)
                entry = {"fingerprint": fingerprint, **_run_stage(stage, context)}
            entries[stage] = entry
        before = digest(fingerprint, entry["digest"])
        _write_manifest(context, inputs, spelled, entries)
    merge_rejected(directory)
    unanswered = entries["annotate"]["unanswered"] if "annotate" in wanted else 0
    rebuilt: Mapping[str, bool] = {}
    if wanted == STAGES:
        if not directory.recipe.exists() or len(skipped) < len(wanted):
            write_recipe(directory)
        rebuilt = compare_files(recipe, directory, inputs, context.progress)
    return Outcome(directory, context.config, unanswered, tuple(skipped), rebuilt)


def _write_manifest(
    context: Context, inputs: Mapping[str, Any], spelled: Mapping[str, str], stages: Mapping[str, Any]
) -> None:
    config = storable(context.config)
    first = {name: value for name, value in spelled.items() if value != config[name]}
    manifest = {
        "format": FORMAT,
        "made_by": {name: version_of(name) for name in PACKAGES} | {"python": platform.python_version()},
        "config": config,
        **({"spelling": first} if first else {}),
        **inputs,
        "stages": stages,
    }
    write_json(context.run.manifest, manifest)


def _run_stage(stage: str, context: Context) -> dict[str, Any]:
    """Run a stage and return its entry of the manifest."""
    began = time.time()
    with displayed(context.progress):
        result = STAGE_FUNCTIONS[stage](context)
    return {
        "funnel": [flow.as_dict() for flow in result.flows],
        "unanswered": result.unanswered,
        "digest": result.digest,
        **({"report": dict(result.report)} if result.report else {}),
        "began": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(began)),
        "seconds": round(time.time() - began, 3),
    }


def _sample_or_restore(context: Context, manifest: Mapping[str, Any]) -> dict[str, Any]:
    """Sample, and remove the files of later stages. Where the source cannot be read, the run stays as it was."""
    try:
        entry = _run_stage("sample", context)
    except SourceError:
        if manifest:
            write_json(context.run.manifest, manifest)
        raise
    context.run.forget("chunk")
    return entry


def _has_files(directory: RunDir, stage: str, entry: Mapping[str, Any]) -> bool:
    """Return whether the result of a stage is still there."""
    if not all(path.exists() for path in directory.made_by(stage)):
        return False
    if stage != "annotate":
        return True
    with answers_of(directory) as ledger:
        return ledger is not None and (len(ledger) > 0 or entry["funnel"][0]["out"] == 0)
