"""Run the stages that are not current, and write the manifest.

The fingerprint of a stage covers all its result depends on: its settings, its version, its tools, and the fingerprint
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
from importlib import metadata, resources
from pathlib import Path
from typing import Any, Final

from annotator.asking.endpoint_limits import limits_of
from annotator.cleaning.corrections import file_identity
from annotator.cleaning.entity_reviews import files_identity
from annotator.cleaning.label_decisions import Decisions, read_decisions
from annotator.config.addresses import without_secrets
from annotator.config.settings import ADDED, RECIPE, STAGES, Asking, RunConfig, flag, make_config, settings_of
from annotator.engines import Engine
from annotator.errors import ConfigError, SourceError
from annotator.passages.tokenizers import load_tokenizer
from annotator.run.backends import make_engine
from annotator.run.ledgers import answers_of
from annotator.run.recipe import check_source, compare_files, other_tools, write_recipe
from annotator.run.response_format import settle_response_format
from annotator.run.second import second_of
from annotator.run.stages import RUN, Context
from annotator.run.stored_settings import same_setting, spelling, storable, stored_settings
from annotator.sources.hub import pin
from annotator.sources.locating import HubDataset, fingerprint, hub_dataset, locate
from annotator.storage.atomic import write_json
from annotator.storage.funnel import merge_rejected
from annotator.storage.rundir import FORMAT, RunDir, opened
from annotator.teachers import make_teacher, make_translator, require_key
from annotator.teachers.entity_types import read_types
from annotator.teachers.registry import PROVIDERS
from annotator.terminal.events import Progress, displayed

VERSIONS: Final[Mapping[str, int]] = {"sample": 2, "chunk": 3, "annotate": 1, "clean": 3, "explode": 2}
"""Raise a version when a stage gives another result for the same input; the stage then runs again."""
PAID: Final = ("sample", "chunk", "annotate")
"""Stages whose settings decide the questions: a change needs --fresh or another directory."""
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
    engine: Engine
    """Engine of the run, for the audit that follows; closed when the run is left."""
    rebuilt: Mapping[str, bool] = field(default_factory=dict)
    """For each file that a recipe lists, whether this run's is the same byte for byte; empty without a recipe."""


def run(root: Path, settings: Mapping[str, Any], progress: Progress, **options: Any) -> Outcome:
    """Run the method as ``running`` does, and leave the run directory and the engine when the last stage has ended."""
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
    _refuse_other_questions(stored, config, root)
    if config.response_format == "auto" and stored and RunDir(root).ledger.exists():
        config = dataclasses.replace(config, response_format=stored.get("response_format", "text"))
    if stored.get("ledger") and stored["ledger"] != config.ledger:
        raise ConfigError(
            f"the answers of {root} are in {stored['ledger']}, not in {config.ledger or 'a file'}: leave --ledger out, "
            "or copy them there and add --fresh (docs/scale.md)"
        )
    if asking == "batch":
        refuse_batch(config)
    limits_of(config)  # an unknown --limits is refused before any work
    with opened(root) as directory, closing(make_engine(config)) as engine:
        decisions = read_decisions(Path(config.labels)) if config.labels else Decisions()
        tokenizer, teacher = load_tokenizer(config.tokenizer), make_teacher(config)
        _refuse_other_types(manifest, teacher.identity, directory)
        _refuse_second(teacher.identity, config, directory)
        schema = read_types(Path(config.types)) if config.types else None
        context = Context(config, directory, tokenizer, teacher, progress, decisions, asking, engine, schema=schema)
        given, recipe = settings.get("source") is not None, settings.get(RECIPE, {})
        wanted = STAGES[: STAGES.index(until) + 1]
        yield _run_stages(context, manifest, wanted, recipe, source_given=given)


def _refuse_second(identity: Mapping[str, Any], config: RunConfig, directory: RunDir) -> None:
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
    tools = _tools(context, manifest, spelled, source_given=source_given)
    check_source(recipe, tools)
    context = dataclasses.replace(context, revision=tools["source"].get("revision", ""))
    kept: dict[str, Any] = {}
    skipped: list[str] = []
    before = ""
    for stage in wanted:
        if stage == "annotate" and asking != "never":
            context = _with_response_format(context)
            tools["teacher"] = _teacher(context)
        own = context.config.stage_settings(stage)
        own |= {name: spelled[name] for name in spelled if name in own}
        mark = _digest(stage, VERSIONS[stage], own, _of_stage(stage, tools), before)
        entry = done.get(stage, {})
        settled = not entry.get("unanswered") or asking == "never"
        if entry.get("fingerprint") == mark and settled and _is_whole(directory, stage, entry):
            skipped.append(stage)
        elif asking == "never" and stage in PAID:
            raise ConfigError(f"the stage {stage} of {directory.root} is not done; first run vner-annotate build")
        else:
            if stage == "sample":
                _refuse_partial_address(context.config, manifest, source_given=source_given)
                locate(context.config.source)  # one that is gone is refused while its sample is still here
            # Later stages depend on this one: their entries are out of date from here on, whatever happens.
            done = {}
            _write_manifest(context, tools, spelled, kept)
            if stage == "sample":
                entry = {"fingerprint": mark, **_drawn(context, manifest)}
            else:
                directory.forget(stage)
                entry = {"fingerprint": mark, **_timed(stage, context)}
        kept[stage] = entry
        before = _digest(mark, entry["digest"])
        _write_manifest(context, tools, spelled, {**kept, **_later(done, stage)})
    merge_rejected(directory)
    unanswered = kept.get("annotate", {}).get("unanswered", 0)
    if set(kept) == set(STAGES) and not (directory.recipe.exists() and len(skipped) == len(wanted)):
        write_recipe(directory)
    rebuilt = _rebuilt(context, recipe, tools) if wanted[-1] == STAGES[-1] else {}
    return Outcome(directory, context.config, unanswered, tuple(skipped), context.engine, rebuilt)


def _rebuilt(context: Context, recipe: Mapping[str, Any], tools: Mapping[str, Any]) -> dict[str, bool]:
    """Compare the result with the recipe; where it differs, report what else differs."""
    found = compare_files(recipe, context.run)
    if found and not all(found.values()):
        others = ", ".join(other_tools(recipe, tools)) or "the settings or the answers"
        differing = ", ".join(name for name, same in found.items() if not same)
        context.progress.say(f"not as in the recipe: {differing}; different from the recipe's: {others}")
    return found


def _write_manifest(
    context: Context, tools: Mapping[str, Any], spelled: Mapping[str, str], stages: Mapping[str, Any]
) -> None:
    made_by = {name: _version(name) for name in PACKAGES} | {"python": platform.python_version()}
    config = storable(context.config)
    first = {name: value for name, value in spelled.items() if value != config[name]}
    write_json(
        context.run.manifest,
        {
            "format": FORMAT,
            "made_by": made_by,
            "config": config,
            **({"spelling": first} if first else {}),
            **tools,
            "stages": stages,
        },
    )


def _with_response_format(context: Context) -> Context:
    """Replace ``--response-format auto`` by the format that the endpoint accepts, before the first question."""
    if context.config.response_format != "auto":
        return context
    config = settle_response_format(context.config, context.run, context.progress)
    return dataclasses.replace(context, config=config, teacher=make_teacher(config))


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


def _tools(
    context: Context, manifest: Mapping[str, Any], spelled: Mapping[str, str], *, source_given: bool
) -> dict[str, Any]:
    """Inputs of the result besides settings: the content of the source, tokenizer, teacher, lexicon."""
    benchmarks = _benchmarks(context.config.decontaminate, manifest)
    lexicon = hashlib.sha256()
    for entry in sorted(resources.files("normalizers.lexicon").iterdir(), key=lambda entry: entry.name):
        if entry.name.endswith((".toml", ".txt")):
            lexicon.update(entry.read_bytes())
    return {
        "source": _source(context, manifest, spelled["source"], given=source_given),
        **({"decontaminate": benchmarks} if benchmarks else {}),
        "tokenizer": {"name": spelled["tokenizer"], "fingerprint": context.tokenizer.fingerprint},
        "teacher": _teacher(context),
        "lexicon": {"sha256": lexicon.hexdigest()},
        "labels": {"sha256": context.decisions.sha256, "decisions": len(context.decisions.labels)},
        **({"types": context.schema.as_dict()} if context.schema else {}),
        **({"translator": make_translator(context.config).identity} if context.config.translate_labels else {}),
        "corrections": file_identity(context.run.corrections),
        **({"reviews": reviews} if (reviews := files_identity(context.run.root)) else {}),
        **({"check": check} if (check := file_identity(context.run.check)) else {}),
        "dictionary": {"underthesea": _version("underthesea")},
    }


def _teacher(context: Context) -> dict[str, Any]:
    return {"provider": context.config.provider, **context.teacher.identity}


def _source(context: Context, manifest: Mapping[str, Any], name: str, *, given: bool) -> dict[str, Any]:
    """Name and fingerprint of the source; ``secret`` where its address had a secret, which is not stored.

    Raises:
        ConfigError: the content is not that of the run.
    """
    source = context.config.source
    known: dict[str, Any] = manifest.get("source", {})
    if dataset := hub_dataset(source):
        return {"name": name, **_hub_source(context, manifest, dataset)}
    if known.get("secret") and not given:
        return known  # without its secret the address cannot be read; the sample is here
    secret = {"secret": True} if without_secrets(source) != source else {}
    try:
        found = fingerprint(source)
    except SourceError:
        if not known.get("fingerprint"):
            raise
        found = known["fingerprint"]  # the source is gone, but its sample is here
    if known.get("fingerprint") and found != known["fingerprint"]:
        raise _other_source(context)
    return {"name": name, "fingerprint": found, **secret}


def _hub_source(context: Context, manifest: Mapping[str, Any], dataset: HubDataset) -> dict[str, Any]:
    """Fingerprint of a Hub dataset, and the commit that is sampled; reports that the Hub has a newer one."""
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


def _refuse_partial_address(config: RunConfig, manifest: Mapping[str, Any], *, source_given: bool) -> None:
    if manifest.get("source", {}).get("secret") and not source_given:
        raise ConfigError(
            f"the address {config.source} had a user or a key in it, which is not stored: give SOURCE again"
        )


def _benchmarks(files: tuple[str, ...], manifest: Mapping[str, Any]) -> list[dict[str, str]]:
    """What the benchmarks hold; where one has gone, what the passages were made with still stands."""
    missing = next((file for file in files if not Path(file).is_file()), "")
    if not missing:
        return [file_identity(Path(file)) for file in files]
    known: list[dict[str, str]] = manifest.get("decontaminate", [])
    if known and same_setting("decontaminate", manifest["config"]["decontaminate"], files):
        return known
    raise ConfigError(f"cannot read --decontaminate {missing}: no such file; check the name")


def _of_stage(stage: str, tools: Mapping[str, Any]) -> Any:
    """The tools that a stage's result depends on."""
    teacher = {name: value for name, value in tools["teacher"].items() if name != "provider"}
    return {
        "sample": tools["source"]["fingerprint"],
        "chunk": [tools["tokenizer"]["fingerprint"], tools.get("decontaminate")],
        "annotate": teacher,
        "clean": [
            tools["lexicon"],
            tools["labels"],
            tools.get("translator"),
            tools["corrections"],
            *([tools["types"]] if "types" in tools else []),
            *([tools["reviews"]] if "reviews" in tools else []),
            *([tools["check"]] if "check" in tools else []),
            tools["dictionary"],
        ],
        "explode": [tools["tokenizer"]["fingerprint"], tools["lexicon"]],
    }[stage]


def _is_whole(directory: RunDir, stage: str, entry: Mapping[str, Any]) -> bool:
    """Whether what the manifest speaks of is still there."""
    if stage == "annotate":
        if not all(path.exists() for path in directory.made_by(stage)):
            return False
        with answers_of(directory) as ledger:
            return ledger is not None and (len(ledger) > 0 or entry["funnel"][0]["out"] == 0)
    return all(path.exists() for path in directory.made_by(stage))


def _refuse_other_questions(stored: Mapping[str, Any], config: RunConfig, root: Path) -> None:
    # Before the first question (there is a ledger from then on) nothing is paid for: the teacher can still be changed.
    run = RunDir(root)
    asked = run.ledger.exists() or (stored.get("ledger") and run.passages.exists())
    stages = PAID if asked else PAID[:2]
    now = {name: getattr(config, name) for name in settings_of(stages)}
    stored = {**ADDED, **stored} if stored else stored
    if RunDir(root).ledger.exists() and stored:
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


def _refuse_other_types(manifest: Mapping[str, Any], identity: Mapping[str, Any], run: RunDir) -> None:
    """Refuse types that would ask, and pay for, every question again. Synonyms are no part of a question."""
    before, now = ((one.get("prompt") or {}).get("types_sha256") for one in (manifest.get("teacher", {}), identity))
    if run.ledger.exists() and "teacher" in manifest and before != now:
        raise ConfigError(
            f"{run.root} was made with other --types: choose another --out, or add --fresh to start over "
            "(paid answers stay)"
        )


def _digest(*parts: Any) -> str:
    canonical = json.dumps(parts, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode("utf-8")).hexdigest()


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "unknown"
