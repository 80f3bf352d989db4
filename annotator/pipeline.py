"""The method, stage by stage: read what the stage before wrote, pass it through a plain function, write the rest.

source -> documents -> passages -> completions -> annotations -> samples
          sample       chunk       annotate       clean          explode
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeVar

from annotator import tables
from annotator.asking.annotate import Pace, annotate
from annotator.asking.batches import WAITING, not_in_a_batch, on_their_way
from annotator.asking.batching import exchange
from annotator.asking.profiles import context_window, published_limits
from annotator.clean import Decider, LabelLog
from annotator.config import Asking, RunConfig
from annotator.corrections import clean_or_correct, read_corrections
from annotator.decisions import Decisions
from annotator.errors import ConfigError
from annotator.explode import Negatives, assign_splits, explode, type_frequency
from annotator.flow import Flow, rejects
from annotator.ledger import Failure, Ledger
from annotator.overlaps.passages import STAGE as OVERLAP
from annotator.overlaps.passages import Benchmarks, Known, unseen
from annotator.passages.chunking import chunk
from annotator.progress import Progress
from annotator.records import Completion, Document, Passage, Rejected
from annotator.rundir import SPLITS, RunDir, replacing
from annotator.sources.rows import Columns
from annotator.sources.sampling import SampleReport, sample
from annotator.sources.screening import BOILERPLATE, Screening
from annotator.teachers import Teacher, make_translator
from annotator.tokens import Tokenizer
from annotator.translate import Translations, ask_translations, unknown_labels
from normalizers.labels import LabelNormalizer, load_lexicon

Record = TypeVar("Record")


@dataclass(frozen=True)
class Context:
    """What the stages share."""

    config: RunConfig
    run: RunDir
    tokenizer: Tokenizer
    teacher: Teacher
    progress: Progress
    decisions: Decisions = field(default_factory=Decisions)
    """The user's, about labels."""
    asking: Asking = "now"


@dataclass(frozen=True)
class Result:
    """What a stage reports."""

    flows: tuple[Flow, ...]
    unanswered: int = 0
    """Passages that have no answer yet."""
    digest: str = ""
    """Identity of a result that does not follow from the inputs alone: which passages were answered."""
    report: Mapping[str, Any] = field(default_factory=dict)
    """What the stage cost; stands in the manifest only."""


def sample_stage(context: Context) -> Result:
    """Source -> documents."""
    config, run = context.config, context.run
    flow, cut = Flow("sample", "document"), Flow(BOILERPLATE, "piece", made={"cut character": 0})
    columns = Columns(text=config.text_field, id=config.id_field)
    report = SampleReport(on_progress=_rows_read(context.progress))
    context.progress.start("sample", "rows read")

    def counted(documents: Iterable[Document]) -> Iterator[Document]:
        for document in documents:
            cut.out += 1 + document.text.count("\n")
            yield document

    with rejects(run.rejected_by("sample"), flow, cut) as sink, replacing(run.documents) as file:
        screening = Screening(near_duplicates=config.near_duplicates)
        drawn = sample(config.source, config.docs, config.seed, columns, screening, report)
        flow.out = tables.write_records(file, tables.DOCUMENT, counted(sink.sift(drawn)))
    cut.made["cut character"] = report.characters_cut
    return Result((flow, cut), report=report.as_dict())


def chunk_stage(context: Context) -> Result:
    """Documents -> passages."""
    config, run = context.config, context.run
    flow, passages = Flow("chunk", "sentence", made={"passage": 0}), Flow(OVERLAP, "passage")
    benchmarks = Benchmarks(map(Path, config.decontaminate)) if config.decontaminate else None
    total = tables.count(run.documents)
    context.progress.start("chunk", "documents", total)
    documents = _told(tables.read_documents(run.documents), context.progress)
    cut = chunk(documents, context.tokenizer, config.min_tokens, config.max_tokens, workers=config.processes)

    def counted(results: Iterable[Passage | Rejected]) -> Iterator[Passage | Rejected]:
        for result in results:
            if isinstance(result, Passage):
                flow.out += result.n_sentences
                flow.made["passage"] += 1
            yield result

    with rejects(run.rejected_by("chunk"), flow, passages) as sink, replacing(run.passages) as file:
        known = Known(total) if config.near_duplicates else None
        kept = sink.sift(unseen(counted(cut), benchmarks, known))
        passages.out = tables.write_records(file, tables.PASSAGE, kept)
    return Result((flow, passages))


def ask(context: Context, passages: Iterable[Passage], ledger: Ledger) -> None:
    """Ask about each of ``passages`` that the ledger does not know and no batch holds, one request a passage.

    One that cannot fit the model's window is not sent; the ledger remembers why.
    """
    config, teacher = context.config, context.teacher
    overhead = context.tokenizer.count(str(teacher.question("").content))
    room = _room(config, overhead)

    def estimate(passage: Passage) -> int:
        return overhead + 2 * passage.n_tokens  # an answer is about as long as what it is about

    def fitting() -> Iterator[Passage]:
        for passage in not_in_a_batch(context.run, passages, teacher, context.progress):
            if passage.n_tokens <= room:
                yield passage
            else:
                detail = f"{passage.n_tokens} tokens, and the model's window leaves {room:.0f}; lower --max-tokens"
                key = teacher.question(passage.text).key
                ledger.record_failures([Failure(key, passage.id, "does not fit", detail)])
                context.progress.advance()

    annotate(fitting(), teacher, ledger, _pace(config), context.progress, estimate)


def annotate_stage(context: Context) -> Result:
    """Passages -> completions, in the ledger."""
    run, teacher = context.run, context.teacher
    flow = Flow("annotate", "passage", made={"prompt token": 0, "completion token": 0})
    context.progress.start("annotate", "passages", tables.count(run.passages))
    identity = hashlib.sha256()
    with Ledger(run.ledger) as ledger:
        passages = tables.read_passages(run.passages)
        if context.asking == "batch":
            exchange(run, context.config, passages, teacher, ledger, context.progress)
        else:
            ask(context, passages, ledger)
        waiting = on_their_way(run)
        with rejects(run.rejected_by("annotate"), flow) as sink:
            for passage in tables.read_passages(run.passages):
                key = teacher.question(passage.text).key
                if completion := ledger.get(key):
                    flow.out += 1
                    flow.made["prompt token"] += completion.prompt_tokens
                    flow.made["completion token"] += completion.completion_tokens
                    identity.update(bytes.fromhex(key))
                else:
                    failure = None if key in waiting else ledger.failure(key)
                    silent = WAITING if key in waiting else "not asked"
                    kind, detail = (failure.kind, failure.detail) if failure else (silent, "")
                    sink.add(Rejected("annotate", f"unanswered: {kind}", passage.id, passage.text, detail))
    return Result((flow,), unanswered=flow.rejected.total(), digest=identity.hexdigest())


def _room(config: RunConfig, overhead: int) -> float:
    """Tokens a passage may have so that prompt and answer fit the model's window, where that is known."""
    window = context_window(config.teacher_model)
    room = window - overhead - config.max_completion_tokens
    if window and room < config.min_tokens:
        raise ConfigError(
            f"{config.teacher_model} takes {window} tokens; the prompt's {overhead} and --max-completion-tokens "
            f"{config.max_completion_tokens} leave no room for a passage: lower --max-completion-tokens"
        )
    return room if window else float("inf")


def clean_stage(context: Context) -> Result:
    """Completions -> annotations."""
    run, config = context.run, context.config
    parse, claims = Flow("parse", "passage"), Flow("clean", "claim", made={"mention": 0})
    normalizer, log = LabelNormalizer(load_lexicon(), context.decisions.labels), LabelLog()
    labels: Decider = normalizer
    corrections = read_corrections(run.corrections)
    result = Result((parse, claims))
    with (
        Ledger(run.ledger) as ledger,
        rejects(run.rejected_by("clean"), parse, claims) as sink,
        replacing(run.annotations) as file,
    ):
        if config.translate_labels:
            labels = translations = _translated(context, ledger, normalizer)
            result = Result((parse, claims), translations.missing, translations.digest)
        context.progress.start("clean", "passages", tables.count(run.passages))

        def annotations() -> Iterator[Any]:
            for cleaned in clean_or_correct(_answered(context, ledger), labels, corrections):
                log.add(cleaned)
                for rejected in cleaned.rejected:
                    sink.add(rejected)
                claims.out += cleaned.kept
                context.progress.advance()
                if cleaned.annotation:
                    claims.made["mention"] += len(cleaned.annotation.mentions)
                    yield cleaned.annotation

        parse.out = tables.write_records(file, tables.ANNOTATION, annotations())
    with replacing(run.labels) as file:
        tables.write_records(file, tables.LABEL, log.uses())
    return result


def explode_stage(context: Context) -> Result:
    """Annotations -> samples, by split."""
    config, run, tokenizer = context.config, context.run, context.tokenizer
    flow = Flow("explode", "sample", made={"negative": 0, **dict.fromkeys(SPLITS, 0)})
    context.progress.start("explode", "passages", tables.count(run.annotations))
    frequency = type_frequency(tables.read_annotations(run.annotations)) if config.negatives else Counter()
    negatives = Negatives(frequency, config.negatives, config.seed)
    split_of = assign_splits(tables.read_passages(run.passages), config.split_shares, config.seed)
    annotations = _told(tables.read_annotations(run.annotations), context.progress)
    with rejects(run.rejected_by("explode"), flow) as sink, ExitStack() as files:
        writers = [
            files.enter_context(tables.record_writer(files.enter_context(replacing(run.samples(split))), tables.SAMPLE))
            for split in SPLITS
        ]
        for item in sink.sift(explode(annotations, negatives, tokenizer, config.max_sample_tokens)):
            split = split_of(item.passage_id)
            writers[split](item)
            flow.out += 1
            flow.made["negative"] += item.negative
            flow.made[SPLITS[split]] += 1
    return Result((flow,))


RUN: Final[Mapping[str, Callable[[Context], Result]]] = {
    "sample": sample_stage,
    "chunk": chunk_stage,
    "annotate": annotate_stage,
    "clean": clean_stage,
    "explode": explode_stage,
}


def _answered(context: Context, ledger: Ledger) -> Iterator[tuple[Passage, Completion]]:
    for passage in tables.read_passages(context.run.passages):
        completion = ledger.get(context.teacher.question(passage.text).key)
        if completion:
            yield passage, completion


def _translated(context: Context, ledger: Ledger, labels: LabelNormalizer) -> Translations:
    unknown = unknown_labels(_answered(context, ledger), labels)
    translator = make_translator(context.config)
    if context.asking != "never":
        context.progress.start("translate", "labels", len(unknown))
        ask_translations(unknown, translator, ledger, _pace(context.config), context.progress)
        context.progress.finish()
    translations = Translations(unknown, translator, ledger, labels)
    if translations.missing:
        context.progress.say(f"{translations.missing:,} labels have no translation yet; the next build asks again")
    return translations


def _pace(config: RunConfig) -> Pace:
    rpm, tpm = published_limits(config.limits, config.teacher_model) if config.limits else (0, 0)
    return Pace(config.concurrency, config.max_retries, config.rpm or rpm, config.tpm or tpm)


def _rows_read(progress: Progress) -> Callable[[int, int | None], None]:
    told = 0

    def tell(done: int, _total: int | None) -> None:
        nonlocal told
        progress.advance(done - told)
        told = done

    return tell


def _told(records: Iterable[Record], progress: Progress) -> Iterator[Record]:
    for record in records:
        progress.advance()
        yield record
