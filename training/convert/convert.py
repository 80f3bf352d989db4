"""One conversion from end to end: files -> samples -> filters -> Parquet, with everything counted."""

from __future__ import annotations

import dataclasses
import tomllib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from importlib import resources
from pathlib import Path
from typing import Any, Final

from annotator.config.settings import flag
from annotator.config.toml_files import parse_toml
from annotator.errors import ConfigError, SourceError, did_you_mean
from annotator.passages.tokenizers import Tokenizer, load_tokenizer
from annotator.records import Sample
from annotator.samples.explode import seeded
from annotator.storage import tables
from annotator.storage.atomic import replacing
from annotator.storage.outputs import check_output
from annotator.storage.rundir import SPLITS, RunDir
from annotator.terminal.events import Progress, displayed
from normalizers.text import nfc
from training.convert.formats import FORMATS, Format
from training.convert.job import Counts, Job
from training.convert.options import Options

_SPARE: Final = 8
"""Tokens that a tokenizer may add to the bytes of a text and its answer, such as a mark at the beginning."""


def convert(name: str, sources: Sequence[Path], out: Path, options: Options, progress: Progress) -> dict[str, Any]:
    """Write the samples of ``sources`` to ``out``, whole or not at all, and report what became of everything.

    Args:
        name: one of ``FORMATS``.
        sources: files and folders.
        out: the Parquet file to write.
        options: settings.
        progress: advances by each sample.

    Raises:
        ConfigError: a setting is wrong, or not for this format.
        SourceError: a source is missing or unreadable, or nothing in it became a sample.
    """
    form = _format(name, options)
    published = _published(name, options.set)
    files = [path for source in sources for path in _files(source, name, options.split)]
    check_output(out, "--out", inputs=files)
    limit = form.max_sample_tokens if options.max_sample_tokens is None else options.max_sample_tokens
    tokenizer = load_tokenizer(_tokenizer_spec(options.tokenizer)) if limit else None
    types = published[options.set].get("types", ()) if options.set else ()
    job = Job(files, options, types, _type_names(options.types, shipped=name != "pile-ner"))
    written, found_types = Counter[str](), Counter[str]()

    def counted(stream: Iterable[Sample]) -> Iterator[Sample]:
        for sample in stream:
            written.update(samples=1, negative=int(sample.negative))
            if sample.entity_type:
                found_types[sample.entity_type] += not sample.negative
            progress.advance()
            yield sample

    progress.start("convert", "samples")
    with displayed(progress), replacing(out) as file:
        stream = _chosen(form.read(job), options, job.counts)
        if tokenizer:
            stream = _short_enough(stream, tokenizer, limit, job.counts)
        tables.write_records(file, tables.SAMPLE, counted(stream))
        if not written["samples"]:
            raise SourceError(_nothing(name, files, job.counts))
    found = {**job.counts.found, "samples": written["samples"], "types": len(found_types)}
    return {
        "format": name,
        "out": str(out),
        "files": len(files),
        "samples": written["samples"],
        "negative": written["negative"],
        "types": dict(found_types.most_common()),
        **job.counts.as_dict(),
        "tokenizer": tokenizer and {"name": tokenizer.name, "max_sample_tokens": limit},
        "published": [
            {"set": name, "part": part, "counts": counts, "same": counts.items() <= found.items()}
            for name, entry in published.items()
            for part, counts in entry["parts"].items()
        ],
        "found": found,
    }


def _format(name: str, options: Options) -> Format:
    """Return the format ``name``, which must take all options that are given."""
    if name not in FORMATS:
        raise ConfigError(f"no format {name!r}{did_you_mean(name, FORMATS, listed=True)}")
    options.check()
    for item in dataclasses.fields(options):
        takers = [taker for taker, form in FORMATS.items() if item.name in form.options]
        if takers and name not in takers and getattr(options, item.name) != item.default:
            raise ConfigError(f"{flag(item.name)} is for {', '.join(takers)}, not for {name}; leave it out")
    return FORMATS[name]


def _published(name: str, only: str) -> dict[str, Any]:
    """Return the published sets of a format, or the set ``only``, from ``published.toml``."""
    sets = {key: entry for key, entry in _shipped("published.toml").items() if entry["format"] == name}
    if only and only not in sets:
        raise ConfigError(f"--set {only}: no known set of the format {name}; known: {', '.join(sets) or 'none'}")
    return {only: sets[only]} if only else sets


def _type_names(given: Path | None, *, shipped: bool) -> dict[str, str]:
    """Return names of types by the raw type in lower case: the user's, and those that are shipped."""
    names = _shipped("types.toml") if shipped else {}
    for raw, name in (parse_toml(given, f"--types {given}") if given else {}).items():
        if not isinstance(name, str):
            raise ConfigError(f'{given}: the name of {raw} is no text; write {raw} = "readable name"')
        names[raw] = name
    return {nfc(raw).lower(): " ".join(nfc(name).lower().split()) for raw, name in names.items()}


def _shipped(name: str) -> dict[str, Any]:
    return tomllib.loads(resources.files(__package__).joinpath(name).read_text(encoding="utf-8"))


def _files(source: Path, name: str, split: str) -> list[Path]:
    """Return the files that a source means: itself, those of a folder, or the splits of a run directory."""
    if source.is_file():
        return [source]
    if not source.is_dir():
        raise SourceError(f"no such file or folder: {source}; give the path of your copy of the data set")
    if name == "samples":
        run = RunDir(source)
        source = run.samples("train").parent if run.manifest.exists() else source
        splits = [source / f"{part}.parquet" for part in (SPLITS if split == "all" else (split,))]
        if named := [path for path in splits if path.is_file()]:
            return named
        if split != "all":
            raise SourceError(f"{source} has no samples of the split {split}; --split names one that is there")
    found = [path for path in sorted(source.rglob("*")) if path.is_file()]
    found = [path for path in found if not any(part.startswith(".") for part in path.relative_to(source).parts)]
    for group in FORMATS[name].suffixes:
        if files := [path for path in found if path.name.lower().endswith(group)]:
            return files
    known = ", ".join(suffix for group in FORMATS[name].suffixes for suffix in group)
    raise SourceError(f"no file to read in {source}; the format needs files of type {known}")


def _chosen(stream: Iterator[Sample], options: Options, counts: Counts) -> Iterator[Sample]:
    """Apply ``--share`` and ``--without-empty``."""
    if options.share == 1 and not options.without_empty:
        yield from stream
        return
    counts.stage("choose", "sample")
    for sample in stream:
        if options.share < 1 and seeded(options.seed, "share", sample.passage_id).random() >= options.share:
            counts.drop("choose", "outside the share", sample.id)
        elif options.without_empty and sample.entity_type and sample.output == "[]":
            counts.drop("choose", "empty answer", sample.id, sample.entity_type)
        else:
            counts.keep("choose")
            yield sample


def _short_enough(stream: Iterator[Sample], tokenizer: Tokenizer, limit: int, counts: Counts) -> Iterator[Sample]:
    """Pass samples whose input (or instruction, where there is none) and output have ``limit`` tokens together."""
    counts.stage("length", "sample")
    for sample in stream:
        parts = (sample.input or sample.instruction, sample.output)
        # A token is at least one byte, so most samples need no tokenizer at all.
        unsure = sum(len(part.encode("utf-8")) for part in parts) + _SPARE > limit
        number = sum(map(tokenizer.count, parts)) if unsure else 0
        if number > limit:
            counts.drop("length", "too long", sample.id, sample.instruction, f"{number:,} tokens, over {limit:,}")
        else:
            counts.keep("length")
            yield sample


def _tokenizer_spec(spec: str) -> str:
    """Resolve ``hf:DIR`` of a folder here to the folder, as it is for a student."""
    local = spec.removeprefix("hf:")
    return local if local != spec and Path(local).expanduser().is_dir() else spec


def _nothing(name: str, files: Sequence[Path], counts: Counts) -> str:
    """Say why nothing became a sample: the first reason, with its first example."""
    why = ""
    if left_out := counts.as_dict()["left_out"]:
        item, example = left_out[0], left_out[0]["examples"][0]
        why = f": {item['count']:,} {item['reason']}, the first at {example['where']} "
        why += f"({example['detail'] or example['value']})"
    return f"nothing in {files[0]} became a sample{why}; is it really of the format {name}?"
