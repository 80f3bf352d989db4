"""One conversion from end to end: files -> samples -> filters -> Parquet, with everything counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, Final

from annotator.errors import SourceError
from annotator.passages.tokenizers import Tokenizer, load_tokenizer
from annotator.records import Sample
from annotator.samples.explode import seeded
from annotator.storage import tables
from annotator.storage.atomic import replacing
from annotator.storage.outputs import check_output
from annotator.terminal.events import Progress, displayed
from training.convert import conll, enamex, parallel, questions
from training.convert.inputs import JSON_FILES, Suffixes, list_files
from training.convert.job import Counts, Job
from training.convert.options import Options
from training.convert.published import published

FORMATS: Final[dict[str, tuple[Callable[[Job], Iterator[Sample]], Suffixes]]] = {
    "pile-ner": (questions.read_pile_ner, JSON_FILES),
    "squad": (questions.read_squad, JSON_FILES),
    "alpaca": (questions.read_alpaca, JSON_FILES),
    "parallel": (parallel.read_parallel, parallel.SUFFIXES),
    "conll": (conll.read_conll, conll.SUFFIXES),
    "enamex": (enamex.read_enamex, enamex.SUFFIXES),
    "samples": (questions.read_samples, questions.PARQUET),
}
"""By name: the reader of a format, and the files of a folder that it reads."""
_BATCH: Final = 512
"""Samples whose tokens are counted at once."""
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
    options.check(name)
    known, types = published(name, options.set)
    read, suffixes = FORMATS[name]
    files = questions.find_samples(sources, options.split) if name == "samples" else list_files(sources, suffixes)
    check_output(out, "--out", inputs=files)
    limit = options.limit(name)
    tokenizer = load_tokenizer(_tokenizer_spec(options.tokenizer)) if limit else None
    job = Job(files, options, types)
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
        stream = _chosen(read(job), options, job.counts)
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
        "published": [{**part, "same": part["counts"].items() <= found.items()} for part in known],
        "found": found,
    }


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
    while batch := list(islice(stream, _BATCH)):
        parts = [(sample.input or sample.instruction, sample.output) for sample in batch]
        # A token is at least one byte, so most samples need no tokenizer at all.
        unsure = [sum(len(part.encode("utf-8")) for part in pair) + _SPARE > limit for pair in parts]
        texts = list(dict.fromkeys(part for pair, long in zip(parts, unsure, strict=True) if long for part in pair))
        tokens = dict(zip(texts, tokenizer.count_many(texts), strict=True))
        for sample, pair, long in zip(batch, parts, unsure, strict=True):
            number = sum(tokens[part] for part in pair) if long else 0
            if number > limit:
                detail = f"{number:,} tokens, over {limit:,}"
                counts.drop("length", "too long", sample.id, sample.instruction, detail)
            else:
                counts.keep("length")
                yield sample


def _tokenizer_spec(spec: str) -> str:
    """``hf:DIR`` of a folder here means the folder, as it does for a student."""
    local = spec.removeprefix("hf:")
    return local if local != spec and Path(local).expanduser().is_dir() else spec


def _nothing(name: str, files: Sequence[Path], counts: Counts) -> str:
    why = ""
    if left_out := counts.as_dict()["left_out"]:
        item, example = left_out[0], left_out[0]["examples"][0]
        why = f": {item['count']:,} {item['reason']}, the first at {example['where']} "
        why += f"({example['detail'] or example['value']})"
    return f"nothing in {files[0]} became a sample{why}; is it really of the format {name}?"
