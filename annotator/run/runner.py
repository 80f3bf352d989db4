"""Do what is not done yet: which stages a run directory still needs, and the manifest that says so.

Each stage has a fingerprint of all its result depends on: its settings, its version, its tools, and the fingerprint of
the stage before. A stage whose fingerprint stands in the manifest is skipped. What costs nothing (cleaning, exploding)
is simply made again when its settings change; what was paid for is never left without a use unasked.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import platform
import time
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from importlib import metadata, resources
from pathlib import Path
from typing import Any, Final

from annotator.cleaning.corrections import file_identity
from annotator.cleaning.decisions import Decisions, read_decisions
from annotator.config import STAGES, Asking, RunConfig, flag, make_config
from annotator.engines import make_engine
from annotator.errors import ConfigError, SourceError
from annotator.passages.tokenizers import load_tokenizer
from annotator.progress import Progress
from annotator.run import stages as pipeline
from annotator.run.ledgers import answers_of
from annotator.run.response_format import settle_response_format
from annotator.sources.locating import fingerprint
from annotator.storage.rundir import RunDir, merge_rejected, opened, write_json
from annotator.teachers import make_teacher, make_translator, require_key

VERSIONS: Final[Mapping[str, int]] = {"sample": 2, "chunk": 3, "annotate": 1, "clean": 3, "explode": 2}
"""Raised when a stage makes something else of the same input, so that old results are made again."""
PAID: Final = ("sample", "chunk", "annotate")
"""A change of their settings asks other questions: it wants --fresh or another directory."""
PACKAGES: Final = ("vner-annotate", "underthesea", "tiktoken", "llama-models", "openai", "groq", "datasets", "pyarrow")


@dataclass(frozen=True)
class Outcome:
    """How a run ended."""

    run: RunDir
    config: RunConfig
    unanswered: int
    """Passages without an answer; the same command asks for them again."""
    skipped: tuple[str, ...]
    """Stages that needed no work."""


def run(
    root: Path,
    settings: Mapping[str, Any],
    progress: Progress,
    *,
    until: str = "explode",
    fresh: bool = False,
    asking: Asking = "now",
) -> Outcome:
    """Run the method as far as the stage ``until`` in the directory ``root``, doing only what is not done yet.

    Args:
        root: the run directory; made if need be.
        settings: what the user says; the rest comes from the directory's own manifest, then from the defaults.
        progress: told of all that happens.
        until: the last stage to run.
        fresh: make everything again; answers in the ledger stay and are used.
        asking: ``now``; ``batch``: submit to the provider's Batch API, or collect what an earlier run submitted;
            ``never``: make again only what costs nothing, passages without an answer stay without one.

    Raises:
        AnnotateError: see ``annotator.errors``. What was paid for is on the disk.
    """
    manifest = {} if fresh else RunDir(root).read_manifest()
    stored = {name: value for name, value in manifest.get("config", {}).items() if name in RunConfig.__slots__}
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
    if asking == "batch" and config.provider in ("local", "vllm"):
        raise ConfigError("--batch needs --provider openai or groq; no other has a Batch API")
    with opened(root) as directory, closing(make_engine(config)) as engine:
        decisions = read_decisions(Path(config.labels)) if config.labels else Decisions()
        tokenizer, teacher = load_tokenizer(config.tokenizer), make_teacher(config)
        context = pipeline.Context(config, directory, tokenizer, teacher, progress, decisions, asking, engine)
        if config.response_format == "auto" and asking != "never" and until not in PAID[:2]:
            before = _run(context, manifest, PAID[1])
            config = settle_response_format(config, directory, progress)
            settled = dataclasses.replace(context, config=config, teacher=make_teacher(config))
            after = _run(settled, directory.read_manifest(), until)
            return dataclasses.replace(after, skipped=(*before.skipped, *after.skipped[2:]))
        return _run(context, manifest, until)


def _run(context: pipeline.Context, manifest: dict[str, Any], until: str) -> Outcome:
    config, directory, asking = context.config, context.run, context.asking
    done: dict[str, Any] = manifest.get("stages", {})
    wanted = STAGES[: STAGES.index(until) + 1]
    if asking != "never" and "annotate" in wanted and ("annotate" not in done or done["annotate"]["unanswered"]):
        require_key(config)
    tools = _tools(context, manifest)
    notes: dict[str, Any] = {
        "made_by": {name: _version(name) for name in PACKAGES} | {"python": platform.python_version()},
        "config": config.as_dict(),
        **tools,
    }
    kept: dict[str, Any] = {}
    skipped: list[str] = []
    before = ""
    for stage in wanted:
        mark = _digest(stage, VERSIONS[stage], config.stage_settings(stage), _of_stage(stage, tools), before)
        entry = done.get(stage, {})
        settled = not entry.get("unanswered") or asking == "never"
        if entry.get("fingerprint") == mark and settled and _is_whole(directory, stage, entry):
            skipped.append(stage)
        elif asking == "never" and stage in PAID:
            raise ConfigError(f"the stage {stage} of {directory.root} is not done; first run vner-annotate build")
        else:
            # What follows was made of something else; the note is out of date from here on, whatever happens now.
            done = {}
            directory.forget(stage)
            write_json(directory.manifest, {**notes, "stages": kept})
            entry = {"fingerprint": mark, **_timed(stage, context)}
        kept[stage] = entry
        before = _digest(mark, entry["digest"])
        write_json(directory.manifest, {**notes, "stages": {**kept, **_later(done, stage)}})
    merge_rejected(directory)
    return Outcome(directory, config, kept.get("annotate", {}).get("unanswered", 0), tuple(skipped))


def _timed(stage: str, context: pipeline.Context) -> dict[str, Any]:
    began = time.time()
    try:
        result = pipeline.RUN[stage](context)
    finally:
        context.progress.finish()
    return {
        "funnel": [flow.as_dict() for flow in result.flows],
        "unanswered": result.unanswered,
        "digest": result.digest,
        **({"report": dict(result.report)} if result.report else {}),
        "began": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(began)),
        "seconds": round(time.time() - began, 3),
    }


def _later(done: Mapping[str, Any], stage: str) -> dict[str, Any]:
    return {name: done[name] for name in STAGES[STAGES.index(stage) + 1 :] if name in done}


def _tools(context: pipeline.Context, manifest: Mapping[str, Any]) -> dict[str, Any]:
    """What the result depends on besides settings: the content of the source, tokenizer, teacher, lexicon."""
    known = manifest.get("source", {}).get("fingerprint", "")
    try:
        source = fingerprint(context.config.source)
    except SourceError:
        if not known:
            raise
        source = known  # the source has gone, but its sample is here
    if known and source != known:
        raise ConfigError(
            f"{context.config.source} is not what {context.run.root} was made of; "
            "choose another --out, or add --fresh to start over (paid answers stay)"
        )
    benchmarks = _benchmarks(context.config.decontaminate, manifest)
    lexicon = hashlib.sha256()
    for entry in sorted(resources.files("normalizers.lexicon").iterdir(), key=lambda entry: entry.name):
        if entry.name.endswith(".toml"):
            lexicon.update(entry.read_bytes())
    return {
        "source": {"name": context.config.source, "fingerprint": source},
        **({"decontaminate": benchmarks} if benchmarks else {}),
        "tokenizer": {"name": context.tokenizer.name, "fingerprint": context.tokenizer.fingerprint},
        "teacher": {"provider": context.config.provider, **context.teacher.identity},
        "lexicon": {"sha256": lexicon.hexdigest()},
        "labels": {"sha256": context.decisions.sha256, "decisions": len(context.decisions.labels)},
        **({"translator": make_translator(context.config).identity} if context.config.translate_labels else {}),
        "corrections": file_identity(context.run.corrections),
        "dictionary": {"underthesea": _version("underthesea")},
    }


def _benchmarks(files: tuple[str, ...], manifest: Mapping[str, Any]) -> list[dict[str, str]]:
    """What the benchmarks hold; where one has gone, what the passages were made with still stands."""
    missing = next((file for file in files if not Path(file).is_file()), "")
    if not missing:
        return [file_identity(Path(file)) for file in files]
    known: list[dict[str, str]] = manifest.get("decontaminate", [])
    if known and manifest["config"]["decontaminate"] == list(files):
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
    now = {name: value for stage in stages for name, value in config.stage_settings(stage).items()}
    if RunDir(root).ledger.exists() and stored:
        before = stored.get("response_format", "text")  # what it was before there was a choice
        if "auto" not in (before, config.response_format):
            stored, now = {**stored, "response_format": before}, {**now, "response_format": config.response_format}
    now.pop("source")  # the same articles under another path are the same articles: content decides, further on
    other = [
        f"{flag(name)} {stored[name]}, not {now[name]}" for name in now if stored.get(name, now[name]) != now[name]
    ]
    if other:
        raise ConfigError(
            f"{root} was made with {'; '.join(other)}: choose another --out, "
            "or add --fresh to start over (paid answers stay)"
        )


def _digest(*parts: Any) -> str:
    canonical = json.dumps(parts, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode("utf-8")).hexdigest()


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "unknown"
