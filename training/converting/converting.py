"""One conversion from end to end: files -> records -> samples -> filters -> Parquet, with everything counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, Final

from annotator.errors import SourceError
from annotator.passages.tokenizers import Tokenizer, load_tokenizer
from annotator.progress import Progress
from annotator.records import Rejected, Sample
from annotator.samples.explode import seeded
from annotator.storage import tables
from annotator.storage.rundir import replacing
from training.converting import alpaca, conll, enamex, parallel, pile_ner, samples, squad
from training.converting.inputs import list_files
from training.converting.job import Format, Job
from training.converting.options import Options
from training.converting.published import Published, published
from training.converting.tally import Tally, left_out

FORMATS: Final[Mapping[str, Format]] = {
    "pile-ner": Format(pile_ner.read),
    "squad": Format(squad.read),
    "alpaca": Format(alpaca.read),
    "parallel": Format(parallel.read, parallel.SUFFIXES),
    "conll": Format(conll.read, conll.SUFFIXES),
    "enamex": Format(enamex.read, enamex.SUFFIXES),
    "samples": Format(samples.read, samples.SUFFIXES),
}
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
        progress: is told of each sample.

    Raises:
        ConfigError: a setting is wrong, or not for this format.
        SourceError: a source is missing or unreadable, or nothing in it became a sample.
    """
    options.check(name)
    known, types = published(name, options.set)
    form = FORMATS[name]
    files = samples.find(sources, options.split) if name == "samples" else list_files(sources, form.suffixes)
    if any(file.resolve() == out.resolve() for file in files):
        raise SourceError(f"--out {out} is one of the sources; choose another name")
    limit = options.limit(name)
    tokenizer = load_tokenizer(_tokenizer_spec(options.tokenizer)) if limit else None
    job = Job(files, options, types)
    tally = job.tally
    made = Made()
    progress.start("convert", "samples")
    with closing(progress), replacing(out) as file:
        stream: Iterator[Sample] = tally.sift(form.read(job))
        stream = tally.sift(_chosen(stream, options, tally))
        if tokenizer:
            stream = tally.sift(_short_enough(stream, tokenizer, limit, tally))
        tables.write_records(file, tables.SAMPLE, made.count(stream, progress))
        if not made.samples:
            raise SourceError(_nothing(name, files, tally))
    found = {**tally.found, "samples": made.samples, "types": len(made.types)}
    return {
        "format": name,
        "out": str(out),
        "files": len(files),
        **made.as_dict(),
        **tally.as_dict(),
        "tokenizer": tokenizer and {"name": tokenizer.name, "max_sample_tokens": limit},
        "published": [_beside(part, found) for part in known],
        "found": found,
    }


@contextmanager
def closing(progress: Progress) -> Iterator[None]:
    """End the display whatever happens."""
    try:
        yield
    finally:
        progress.finish()


class Made:
    """What was written."""

    def __init__(self) -> None:
        self.samples = self.negative = 0
        self.types: Counter[str] = Counter()

    def count(self, stream: Iterable[Sample], progress: Progress) -> Iterator[Sample]:
        """Pass samples on, and count them."""
        for sample in stream:
            self.samples += 1
            self.negative += sample.negative
            if sample.entity_type:
                self.types[sample.entity_type] += not sample.negative
            progress.advance()
            yield sample

    def as_dict(self) -> dict[str, Any]:
        """Ready for JSON; of each type the samples with an answer."""
        return {"samples": self.samples, "negative": self.negative, "types": dict(self.types.most_common())}


def _chosen(stream: Iterable[Sample], options: Options, tally: Tally) -> Iterator[Sample | Rejected]:
    """What the user wants of the samples."""
    if options.share == 1 and not options.without_empty:
        yield from stream
        return
    tally.stage("choose", "sample")
    for sample in stream:
        if options.share < 1 and seeded(options.seed, "share", sample.passage_id).random() >= options.share:
            yield left_out("choose", "outside the share", sample.id)
        elif options.without_empty and sample.entity_type and sample.output == "[]":
            yield left_out("choose", "empty answer", sample.id, sample.entity_type)
        else:
            tally.keep("choose")
            yield sample


def _short_enough(
    stream: Iterator[Sample], tokenizer: Tokenizer, limit: int, tally: Tally
) -> Iterator[Sample | Rejected]:
    """Samples whose input and output have ``limit`` tokens at most together; where no input is, the instruction."""
    tally.stage("length", "sample")
    while batch := list(islice(stream, _BATCH)):
        parts = [(sample.input or sample.instruction, sample.output) for sample in batch]
        # A token is at least one byte, so most samples need no tokenizer at all.
        long = [sum(len(part.encode("utf-8")) for part in pair) + _SPARE > limit for pair in parts]
        texts = list(dict.fromkeys(part for pair, unsure in zip(parts, long, strict=True) if unsure for part in pair))
        tokens = dict(zip(texts, tokenizer.count_many(texts), strict=True))
        for sample, pair, unsure in zip(batch, parts, long, strict=True):
            number = sum(tokens[part] for part in pair) if unsure else 0
            if number > limit:
                yield left_out(
                    "length", "too long", sample.id, sample.instruction, f"{number:,} tokens, over {limit:,}"
                )
            else:
                tally.keep("length")
                yield sample


def _tokenizer_spec(spec: str) -> str:
    """``hf:DIR`` of a folder here means the folder, as it does for a student."""
    local = spec.removeprefix("hf:")
    return local if local != spec and Path(local).expanduser().is_dir() else spec


def _beside(part: Published, found: Mapping[str, int]) -> dict[str, Any]:
    return {"set": part.set, "part": part.part, "counts": dict(part.counts), "same": part.matches(found)}


def _nothing(name: str, files: Sequence[Path], tally: Tally) -> str:
    for item in tally.as_dict()["left_out"]:
        example = item["examples"][0]
        first = f"the first at {example['where']} ({example['detail'] or example['value']})"
        counted = f"{item['count']:,} {item['reason']}, {first}"
        return f"nothing in {files[0]} became a sample: {counted}; is it really of the format {name}?"
    return f"nothing in {files[0]} became a sample; is it really of the format {name}?"
