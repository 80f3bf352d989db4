"""Run the stages that are not current, and write the manifest.

The fingerprint of a stage covers all its result depends on: its settings, its version, its inputs, and the fingerprint
of the stage before. A stage whose fingerprint is in the manifest is skipped. Cleaning and exploding cost nothing and
run again when their settings change; a change of the other stages needs --fresh, since answers are paid for.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
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
from annotator.run.manifest.inputs import inputs_of, of_stage, teacher_of, version_of
from annotator.run.manifest.recipe import check_source, compare_files, other_tools, write_recipe
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
from annotator.run.stages import RUN
from annotator.sources.locating import locate
from annotator.storage.atomic import write_json
from annotator.storage.funnel import merge_rejected
from annotator.storage.rundir import FORMAT, RunDir, opened
from annotator.teachers import make_teacher, require_key
from annotator.terminal.events import Progress, displayed

VERSIONS: Final[Mapping[str, int]] = {"sample": 2, "chunk": 3, "annotate": 1, "clean": 3, "explode": 2}
"""Raise a version when a stage gives another result for the same input; the stage then runs again."""
PACKAGES: Final = ("vner-annotate", "underthesea", "tiktoken", "llama-models", "openai", "groq", "datasets", "pyarrow")


@dataclass(frozen=True)
class Outcome:
    """The outcome of a run."""

    run: RunDir
    config: RunConfig
    unanswered: int
    """Passages without an answer; the same command asks for them again."""
    skipped: tuple[str, ...]
    """Stages that were current."""
    rebuilt: Mapping[str, bool] = field(default_factory=dict)
    """For each file that a recipe lists, whether this run's is the same byte for byte; empty without a recipe."""


def run(root: Path, settings: Mapping[str, Any], progress: Progress, **options: Any) -> Outcome:
    """Run the method as ``running`` does, and leave the run directory when the last stage has ended."""
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

    The caller holds the run directory and the engine until it leaves the context.

    Args:
        root: the run directory; created if needed.
        settings: settings of the user, and the table ``recipe`` of the recipe that they are from; others come from the
            directory's manifest, then from the defaults.
        progress: receives all events.
        until: the last stage to run.
        fresh: run all stages again; answers in the ledger stay and are used.
        asking: ``now``; ``batch``: submit to the provider's Batch API, or collect what an earlier run submitted;
            ``never``: run only stages that cost nothing, passages without an answer stay without one.

    Raises:
        AnnotateError: see ``annotator.errors``. Paid answers are on the disk.
    """
    manifest = {} if fresh else RunDir(root).read_manifest()
    stored = stored_settings(manifest)
    if settings.get("engine") is not None:
        stored.pop("ray_address", None)  # it was that of another engine
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
        refuse_other_types(manifest, context.teacher.identity, directory)
        refuse_second(context.teacher.identity, config, directory)
        given, recipe = settings.get("source") is not None, settings.get(RECIPE, {})
        wanted = STAGES[: STAGES.index(until) + 1]
        yield _run_stages(context, manifest, wanted, recipe, source_given=given)


def _run_stages(
    context: Context,
    manifest: dict[str, Any],
    wanted: Sequence[str],
    recipe: Mapping[str, Any],
    *,
    source_given: bool,
) -> Outcome:
    directory, asking = context.run, context.asking
    done: dict[str, Any] = manifest.get("stages", {})
    asks = asking != "never" and "annotate" in wanted and ("annotate" not in done or done["annotate"]["unanswered"])
    if asks and not directory.ledger.exists():  # with a ledger there may be nothing to ask
        require_key(context.config)
    spelled = spelling(context.config, manifest)
    inputs = inputs_of(context, manifest, spelled, source_given=source_given)
    check_source(recipe, inputs)
    context = dataclasses.replace(context, revision=inputs["source"].get("revision", ""))
    kept: dict[str, Any] = {}
    skipped: list[str] = []
    before = ""
    for stage in wanted:
        if stage == "annotate" and asking != "never" and context.config.response_format == "auto":
            config = settle_response_format(context.config, directory, context.progress)
            context = dataclasses.replace(context, config=config, teacher=make_teacher(config))
            inputs["teacher"] = teacher_of(context)
        own = context.config.stage_settings(stage)
        own |= {name: spelled[name] for name in spelled if name in own}
        mark = _digest(stage, VERSIONS[stage], own, of_stage(stage, inputs), before)
        entry = done.get(stage, {})
        settled = not entry.get("unanswered") or asking == "never"
        if entry.get("fingerprint") == mark and settled and _is_whole(directory, stage, entry):
            skipped.append(stage)
        elif asking == "never" and stage in PAID:
            raise ConfigError(f"the stage {stage} of {directory.root} is not done; first run vner-annotate build")
        else:
            if stage == "sample":
                refuse_partial_address(context.config, manifest, source_given=source_given)
                locate(context.config.source)  # one that is gone is refused while its sample is still here
            # Later stages depend on this one: their entries are out of date from here on, whatever happens.
            done = {}
            _write_manifest(context, inputs, spelled, kept)
            if stage == "sample":
                entry = {"fingerprint": mark, **_drawn(context, manifest)}
            else:
                directory.forget(stage)
                entry = {"fingerprint": mark, **_timed(stage, context)}
        kept[stage] = entry
        before = _digest(mark, entry["digest"])
        _write_manifest(context, inputs, spelled, {**kept, **_later(done, stage)})
    merge_rejected(directory)
    unanswered = kept.get("annotate", {}).get("unanswered", 0)
    if set(kept) == set(STAGES) and not (directory.recipe.exists() and len(skipped) == len(wanted)):
        write_recipe(directory)
    rebuilt = _rebuilt(context, recipe, inputs) if wanted[-1] == STAGES[-1] else {}
    return Outcome(directory, context.config, unanswered, tuple(skipped), rebuilt)


def _rebuilt(context: Context, recipe: Mapping[str, Any], inputs: Mapping[str, Any]) -> dict[str, bool]:
    """Compare the result with the recipe; where it differs, report what else differs."""
    found = compare_files(recipe, context.run)
    if found and not all(found.values()):
        others = ", ".join(other_tools(recipe, inputs)) or "the settings or the answers"
        differing = ", ".join(name for name, same in found.items() if not same)
        context.progress.say(f"not as in the recipe: {differing}; different from the recipe's: {others}")
    return found


def _write_manifest(
    context: Context, inputs: Mapping[str, Any], spelled: Mapping[str, str], stages: Mapping[str, Any]
) -> None:
    made_by = {name: version_of(name) for name in PACKAGES} | {"python": platform.python_version()}
    config = storable(context.config)
    first = {name: value for name, value in spelled.items() if value != config[name]}
    write_json(
        context.run.manifest,
        {
            "format": FORMAT,
            "made_by": made_by,
            "config": config,
            **({"spelling": first} if first else {}),
            **inputs,
            "stages": stages,
        },
    )


def _digest(*parts: Any) -> str:
    canonical = json.dumps(parts, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode("utf-8")).hexdigest()


def _timed(stage: str, context: Context) -> dict[str, Any]:
    began = time.time()
    with displayed(context.progress):
        result = RUN[stage](context)
    return {
        "funnel": [flow.as_dict() for flow in result.flows],
        "unanswered": result.unanswered,
        "digest": result.digest,
        **({"report": dict(result.report)} if result.report else {}),
        "began": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(began)),
        "seconds": round(time.time() - began, 3),
    }


def _drawn(context: Context, manifest: Mapping[str, Any]) -> dict[str, Any]:
    """Sample, and remove the files of the stages after it. Where the source cannot be read, all is as it was before."""
    try:
        entry = _timed("sample", context)
    except SourceError:
        if manifest:
            write_json(context.run.manifest, manifest)
        raise
    context.run.forget("chunk")
    return entry


def _later(done: Mapping[str, Any], stage: str) -> dict[str, Any]:
    return {name: done[name] for name in STAGES[STAGES.index(stage) + 1 :] if name in done}


def _is_whole(directory: RunDir, stage: str, entry: Mapping[str, Any]) -> bool:
    """Whether what the manifest speaks of is still there."""
    if stage == "annotate":
        if not all(path.exists() for path in directory.made_by(stage)):
            return False
        with answers_of(directory) as ledger:
            return ledger is not None and (len(ledger) > 0 or entry["funnel"][0]["out"] == 0)
    return all(path.exists() for path in directory.made_by(stage))
