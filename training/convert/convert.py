"""One conversion from end to end: files -> samples -> filter -> Parquet, with everything counted."""

from __future__ import annotations

import dataclasses
import tomllib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
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
from annotator.storage.rundir import SPLITS
from annotator.terminal.events import Progress, displayed
from annotator.terminal.words import plural
from normalizers.text import nfc
from training.convert import conll, enamex, parallel, questions
from training.convert.job import Job
from training.convert.options import Options


@dataclass(frozen=True, slots=True)
class Format:
    """A format of published data sets."""

    read: Callable[[Job], Iterator[Sample]]
    suffixes: Sequence[tuple[str, ...]]
    """In a folder, the files of the first group that has any are read."""
    options: tuple[str, ...] = ()
    """The options that this format takes and not every other does."""
    max_sample_tokens: int = 1024
    """Tokens of input and output together; 0 for benchmarks, which are not filtered by length."""


_RECORDS: Final = ((".json", ".jsonl", ".json.gz", ".jsonl.gz", ".parquet"),)
_PAIRS: Final = ((".en", ".vi", ".en.gz", ".vi.gz"), parallel.TABLES)
_COLUMNS: Final = ((".conll", ".bio"), (".txt", ".tsv"), conll.JSON)
_TAGGED: Final = ((".muc",), (".xml", ".sgml"), (".txt",))
FORMATS: Final = {
    "pile-ner": Format(questions.read_pile_ner, _RECORDS, ("types", "without_empty")),
    "squad": Format(questions.read_squad, _RECORDS),
    "alpaca": Format(questions.read_alpaca, _RECORDS),
    "parallel": Format(parallel.read_parallel, _PAIRS, ("direction",)),
    "conll": Format(conll.read_conll, _COLUMNS, ("types", "columns", "level", "without_empty"), 0),
    "enamex": Format(enamex.read_enamex, _TAGGED, ("types", "unit", "levels", "without_empty"), 0),
    "samples": Format(questions.read_samples, ((".parquet",),), ("split", "without_empty")),
}
"""To add a format, write a function from a ``Job`` to samples, a line here, and its name in the help of ``convert``."""


def convert(name: str, sources: Sequence[Path], out: Path, options: Options, progress: Progress) -> dict[str, Any]:
    """Write the samples of ``sources``, files and folders in the format ``name``, to the Parquet file ``out``.

    The file is written whole or not at all. Returns a report that counts everything that was read.

    Raises:
        ConfigError: a setting is wrong, or not for this format.
        SourceError: a source is missing or unreadable, or nothing in it became a sample.
    """
    form = _format(name, options)
    published = _published(name, options.set)
    files = [path for source in sources for path in _files(source, name, options.split)]
    check_output(out, "--out", inputs=files)
    limit = form.max_sample_tokens if options.max_sample_tokens is None else options.max_sample_tokens
    tokenizer = load_tokenizer(options.tokenizer) if limit else None
    asked = published[options.set].get("types", ()) if options.set else ()
    job = Job(files, options, asked, _type_names(options.types))
    negative, types = 0, Counter[str]()

    def kept() -> Iterator[Sample]:
        nonlocal negative
        for sample in form.read(job):
            if reason := _why_not(sample, options, tokenizer, limit):
                job.counts.drop("samples", reason, sample.id, sample.instruction)
                continue
            job.counts.keep("samples")
            negative += sample.negative
            if sample.entity_type:
                types[sample.entity_type] += not sample.negative
            progress.advance()
            yield sample

    progress.start("convert", "samples")
    with displayed(progress), replacing(out) as file:
        samples = tables.write_records(file, tables.SAMPLE, kept())
        funnel = job.counts.funnel()
        if not samples:
            why = [line.strip() for flow in funnel for line in _reasons(flow["left_out"])][:2]
            raise SourceError(
                f"nothing in {files[0]} became a sample; is it really of the format {name}? {': '.join(why)}".strip()
            )
    return {
        "format": name,
        "out": str(out),
        "files": len(files),
        "samples": samples,
        "negative": negative,
        "types": dict(types.most_common()),
        "funnel": funnel,
        "notes": job.counts.notes,
        "tokenizer": tokenizer and {"name": tokenizer.name, "max_sample_tokens": limit},
        "published": {key: entry["parts"] for key, entry in published.items()},
    }


def report_lines(report: Mapping[str, Any]) -> Iterator[str]:
    """Yield the lines of a report for a person; they may contain any text of the files."""
    for flow in report["funnel"]:
        yield f"{flow['unit']}: {flow['in']:,} read, {flow['out']:,} kept"
        yield from _reasons(flow["left_out"])
    if report["notes"]:
        yield "Good to know:"
        yield from _reasons(report["notes"])
    if types := report["types"]:
        shown = ", ".join(f"{name} {number:,}" for name, number in list(types.items())[:12])
        yield f"{plural(len(types), 'type')}, by samples with an answer: {shown}"
    for name, parts in report["published"].items():
        for part, counts in parts.items():
            yield f"Published {name}, {part}: " + ", ".join(f"{number:,} {unit}" for unit, number in counts.items())
    if limit := report["tokenizer"]:
        yield f"Length: at most {limit['max_sample_tokens']:,} tokens of input and output, counted with {limit['name']}"
    else:
        yield "Length: no limit; --max-sample-tokens N sets one"
    samples, files = plural(report["samples"], "sample"), plural(report["files"], "file")
    yield f"{report['out']}: {samples} ({report['negative']:,} answered []) from {files}"


def _reasons(reasons: Mapping[str, Any]) -> Iterator[str]:
    """Yield each reason with its count, and its first examples."""
    for reason, found in reasons.items():
        yield f"  {found['count']:,} {reason}"
        for example in found["examples"][:3]:
            yield f"    {': '.join(filter(None, (example['where'], example['value'][:80], example['detail'])))}"


def _format(name: str, options: Options) -> Format:
    """Return the format ``name``; raise a ConfigError if it does not take an option that is given."""
    if name not in FORMATS:
        raise ConfigError(f"no format {name!r}{did_you_mean(name, FORMATS, listed=True)}")
    for item in dataclasses.fields(options):
        takers = [taker for taker, form in FORMATS.items() if item.name in form.options]
        if takers and name not in takers and getattr(options, item.name) != item.default:
            raise ConfigError(f"{flag(item.name)} is for {', '.join(takers)}, not for {name}; leave it out")
    return FORMATS[name]


def _published(name: str, only: str) -> dict[str, Any]:
    """Return the published sets of a format, or the set ``only``, from ``published.toml``."""
    every = tomllib.loads(resources.files(__package__).joinpath("published.toml").read_text(encoding="utf-8"))
    sets = {key: entry for key, entry in every.items() if entry["format"] == name}
    if only and only not in sets:
        raise ConfigError(f"--set {only}: no known set of the format {name}; known: {', '.join(sets) or 'none'}")
    return {only: sets[only]} if only else sets


def _type_names(given: Path | None) -> dict[str, str]:
    """Return the user's names of types by the raw type in lower case."""
    names = parse_toml(given, f"--types {given}") if given else {}
    if wrong := [raw for raw, name in names.items() if not isinstance(name, str)]:
        raise ConfigError(f'{given}: the name of {wrong[0]} is no text; write {wrong[0]} = "readable name"')
    return {nfc(raw).lower(): " ".join(nfc(name).lower().split()) for raw, name in names.items()}


def _files(source: Path, name: str, split: str) -> list[Path]:
    """Return the file ``source``, the files of a folder, or the splits of a run directory."""
    if source.is_file():
        return [source]
    if not source.is_dir():
        raise SourceError(f"no such file or folder: {source}; give the path of your copy of the data set")
    if name == "samples":
        folder = source / "samples" if (source / "samples").is_dir() else source
        splits = [folder / f"{part}.parquet" for part in (SPLITS if split == "all" else (split,))]
        if files := [path for path in splits if path.is_file()]:
            return files
        if split != "all":
            raise SourceError(f"{folder} has no samples of the split {split}; --split names one that is there")
    found = [path for path in sorted(source.rglob("*")) if path.is_file()]
    found = [path for path in found if not any(part.startswith(".") for part in path.relative_to(source).parts)]
    for group in FORMATS[name].suffixes:
        if files := [path for path in found if path.name.lower().endswith(group)]:
            return files
    known = ", ".join(suffix for group in FORMATS[name].suffixes for suffix in group)
    raise SourceError(f"no file to read in {source}; the format needs files of type {known}")


def _why_not(sample: Sample, options: Options, tokenizer: Tokenizer | None, limit: int) -> str:
    """Return the reason to leave a sample out, or nothing."""
    if options.share < 1 and seeded(options.seed, "share", sample.passage_id).random() >= options.share:
        return "outside the share"
    if options.without_empty and sample.entity_type and sample.output == "[]":
        return "empty answer"
    parts = (sample.input or sample.instruction, sample.output)
    # A token is at least one byte, so most samples need no tokenizer at all.
    if tokenizer and sum(len(part.encode()) for part in parts) > limit and sum(map(tokenizer.count, parts)) > limit:
        return "too long"
    return ""
