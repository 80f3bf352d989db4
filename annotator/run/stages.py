"""The method, stage by stage: read the file of the stage before, apply a plain function, write the result.

source -> documents -> passages -> completions -> annotations -> samples
          sample       chunk       annotate       clean          explode
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

from annotator.asking.batch_files import (
    WAITING,
    keys_in_open_batches,
    read_batches,
    renamed_parameters,
)
from annotator.asking.batch_jobs import exchange
from annotator.checking import opinions, probabilities
from annotator.checking.probabilities import asks_for_logprobs
from annotator.cleaning.clean import PROJECT, LabelLog
from annotator.cleaning.corrections import read_corrections
from annotator.cleaning.entity_reviews import by_passage, read_reviews
from annotator.cleaning.label_translation import Translations
from annotator.duplicates.repeated_passages import STAGE as OVERLAP
from annotator.duplicates.repeated_passages import Benchmarks, SeenPassages, rejections
from annotator.passages.chunking import BLOCK
from annotator.records import Document, Rejected
from annotator.run.answers import answered, choose_questions, decider, decisions, passages_with_answers
from annotator.run.asking import ask
from annotator.run.backends import open_ledger
from annotator.run.context import Context
from annotator.run.partitions import PART, Check, Part, People, chunk_part, clean_part, explode_part
from annotator.run.question_keys import recorded
from annotator.run.second import second_of
from annotator.run.update_steps import document_steps, negatives_of, splits_of
from annotator.sources.benchmark_texts import read_texts
from annotator.sources.documents import Columns
from annotator.sources.locating import at_revision
from annotator.sources.sample_report import SampleReport
from annotator.sources.sampling import sample
from annotator.sources.screening import BOILERPLATE, Screening
from annotator.storage import tables
from annotator.storage.atomic import replacing
from annotator.storage.funnel import PREDICTION, Flow, Rejects, rejects
from annotator.storage.rundir import SPLITS
from annotator.teachers import questions_about
from annotator.teachers.responses import tokens_in
from annotator.terminal.events import Progress

if TYPE_CHECKING:
    import pyarrow as pa

Item = TypeVar("Item")


@dataclass(frozen=True)
class Result:
    """Result of a stage for the manifest."""

    flows: tuple[Flow, ...]
    unanswered: int = 0
    """Passages that have no answer yet."""
    digest: str = ""
    """Hash of what the inputs do not decide, such as which passages have answers."""
    report: Mapping[str, Any] = field(default_factory=dict)
    """Figures for the manifest only, such as bytes read."""


def sample_stage(context: Context) -> Result:
    """Draw documents from the source."""
    config, run = context.config, context.run
    flow, cut = Flow("sample", "document"), Flow(BOILERPLATE, "piece", made={"cut character": 0})
    columns = Columns(text=config.text_field, id=config.id_field)
    report = SampleReport(on_progress=_rows_read(context.progress))
    context.progress.start("sample", "rows read")

    def counted(documents: Iterable[Document]) -> Iterator[Document]:
        for document in documents:
            cut.out += 1 + document.text.count("\n")
            yield document

    with rejects(run.rejected_by("sample"), flow, cut) as rejected, replacing(run.documents) as file:
        screening = Screening(near_duplicates=config.near_duplicates, repairs_encoding=config.repair_encoding)
        source = at_revision(config.source, context.revision)
        drawn = sample(source, config.steps, config.seed, columns, screening, report)
        flow.out = tables.write_records(file, tables.DOCUMENT, counted(rejected.sift(drawn)), tables.ARTICLES)
    cut.made["cut character"] = report.characters_cut
    return Result((flow, cut), report=report.as_dict())


def chunk_stage(context: Context) -> Result:
    """Cut the documents into passages; leave out those that were seen before or are in a benchmark."""
    config, run = context.config, context.run
    flow, kept = Flow("chunk", "sentence", made={"passage": 0}), Flow(OVERLAP, "passage")
    files = map(Path, config.decontaminate)
    benchmarks = Benchmarks((file.name, read_texts(file)) for file in files) if config.decontaminate else None
    steps = document_steps(run, config)
    seen = SeenPassages(len(steps[0])) if config.near_duplicates else None
    context.progress.start("chunk", "documents", tables.count(run.documents))
    cut = partial(
        chunk_part,
        tokenizer=context.tokenizer,
        min_tokens=config.min_tokens,
        max_tokens=config.max_tokens,
        pack=config.pack,
        near_duplicates=seen is not None,
    )
    by_step: list[int] = []
    with (
        rejects(run.rejected_by("chunk"), flow, kept) as rejected,
        replacing(run.passages) as file,
        tables.writer(file, tables.PASSAGE) as write,
    ):
        for rows in steps:
            before = kept.out
            if seen and by_step:
                seen.expect(len(rows))
            for part in _parts(context, cut, tables.batches(run.documents, size=BLOCK, rows=rows), rejected, flow):
                flow.made["passage"] += len(part.kept)
                ids, texts = (part.kept.column(name).to_pylist() for name in ("id", "text"))
                found = rejections(ids, texts, benchmarks, seen, part.fingerprints)
                for record in filter(None, found):
                    rejected.add(record)
                own = tables.pick(part.kept, [record is None for record in found])
                kept.out += len(own)
                write(own)
            by_step.append(kept.out - before)
    return Result((flow, kept), report={"passages_by_step": by_step} if len(by_step) > 1 else {})


def annotate_stage(context: Context) -> Result:
    """Ask the teacher about each passage; the ledger keeps the completions."""
    run, teacher = context.run, context.teacher
    flow = Flow("annotate", "passage", made={"prompt token": 0, "completion token": 0})
    context.progress.start("annotate", "passages", tables.count(run.passages))
    identity, keys = hashlib.sha256(), set[int]()
    with open_ledger(run, context.config.ledger) as ledger:
        with recorded(run, questions_about(tables.read_passages(run.passages), teacher), teacher) as questions:
            if context.asking == "batch":
                exchange(run, context.config, questions, ledger, context.progress)
            else:
                ask(context, questions, ledger)
        waiting = keys_in_open_batches(run)
        with rejects(run.rejected_by("annotate"), flow) as rejected:
            for (passage_id, text), key, completion in passages_with_answers(context, ledger):
                first = (short := int(key[:16], 16)) not in keys  # passages with one text share one request
                keys.add(short)
                if completion:
                    flow.out += 1
                    if first:
                        _count_tokens(flow, completion.prompt_tokens, completion.completion_tokens)
                    identity.update(bytes.fromhex(key))
                else:
                    failure = None if key in waiting else ledger.failure(key)
                    unasked = WAITING if key in waiting else "not asked"
                    kind, detail = (failure.kind, failure.detail) if failure else (unasked, "")
                    rejected.add(Rejected("annotate", f"unanswered: {kind}", passage_id, text, detail))
        for attempt in ledger.attempts():  # paid for as well
            if int(attempt.key[:16], 16) in keys:
                _count_tokens(flow, *tokens_in(attempt.body))
    sent_as = {**teacher.sent_as, **renamed_parameters(read_batches(run))}
    report = {"sent_as": sent_as} if sent_as else {}
    return Result((flow,), unanswered=flow.rejected.total(), digest=identity.hexdigest(), report=report)


def _count_tokens(flow: Flow, prompt: int, completion: int) -> None:
    flow.made["prompt token"] += prompt
    flow.made["completion token"] += completion


def clean_stage(context: Context) -> Result:
    """Turn completions into annotations; with a second teacher also its agreement with the first."""
    run, config = context.run, context.config
    parse, predictions = Flow("parse", "passage"), Flow("clean", PREDICTION, made={"mention": 0})
    occurrences = Flow(PROJECT, "occurrence")
    log = LabelLog()
    people = People(read_corrections(run.corrections), by_passage(read_reviews(run.root).decisions))
    second = second_of(run, config)
    logprobs = asks_for_logprobs(config) or (second is not None and asks_for_logprobs(second.config))
    with (
        open_ledger(run, config.ledger, alone=config.translate_labels) as ledger,
        rejects(run.rejected_by("clean"), parse, predictions, occurrences) as rejected,
        replacing(run.annotations) as file,
        tables.writer(file, tables.ANNOTATION) as write,
        _optional(run.predicted_before_review, tables.ANNOTATION, wanted=bool(people.reviews)) as write_predicted,
        _optional(run.probabilities, probabilities.SCHEMA, wanted=asks_for_logprobs(config)) as write_probabilities,
        _optional(run.agreement, opinions.schema(logprobs=logprobs), wanted=second is not None) as write_agreement,
    ):
        labels, check = decider(context, ledger), None
        if second:
            second = choose_questions(second, context, ledger, labels)
            by_arbiter = second.settings.keep == "arbiter"
            check = Check(second.settings.keep, decisions(context, ledger, second, labels) if by_arbiter else {})
        context.progress.start("clean", "passages", tables.count(run.passages))
        work = partial(clean_part, labels=labels, people=people, check=check, logprobs=logprobs)
        for part in _parts(context, work, answered(context, ledger, second), rejected, predictions):
            log.merge(part.log)
            parse.out += len(part.kept)
            mentions = len(part.kept.column("mentions").flatten())
            predictions.made["mention"] += mentions
            occurrences.out += mentions
            write(part.kept)
            for write_more, rows in (
                (write_predicted, part.predicted),
                (write_probabilities, part.probabilities),
                (write_agreement, part.agreement),
            ):
                if rows is not None:
                    write_more(rows)
    with replacing(run.labels) as file:
        tables.write_records(file, tables.LABEL, log.uses())
    flows = (parse, predictions, occurrences)
    return Result(flows, labels.missing, labels.digest) if isinstance(labels, Translations) else Result(flows)


def explode_stage(context: Context) -> Result:
    """Make samples of the annotations, a file for each split."""
    config, run = context.config, context.run
    flow = Flow("explode", "sample", made={"negative": 0, **dict.fromkeys(SPLITS, 0)})
    context.progress.start("explode", "passages", tables.count(run.annotations))
    split_of = splits_of(run, config)
    definitions = context.schema.definitions if context.schema and config.instruction == "definition" else {}
    work = partial(
        explode_part, tokenizer=context.tokenizer, max_tokens=config.max_sample_tokens, definitions=definitions
    )
    with rejects(run.rejected_by("explode"), flow) as rejected, ExitStack() as files:
        writers = [
            files.enter_context(tables.writer(files.enter_context(replacing(run.samples(split))), tables.SAMPLE))
            for split in SPLITS
        ]
        for rows, negatives in negatives_of(run, config.negatives, config.seed):
            annotations = tables.batches(run.annotations, size=PART, rows=rows)
            for part in _parts(context, partial(work, negatives=negatives), annotations, rejected, flow):
                flow.made["negative"] += part.kept.column("negative").true_count
                where = [split_of(passage_id) for passage_id in part.kept.column("passage_id").to_pylist()]
                for number, split in enumerate(SPLITS):
                    own = tables.pick(part.kept, [place == number for place in where])
                    flow.made[split] += len(own)
                    writers[number](own)
    return Result((flow,))


STAGE_FUNCTIONS: Final[Mapping[str, Callable[[Context], Result]]] = {
    "sample": sample_stage,
    "chunk": chunk_stage,
    "annotate": annotate_stage,
    "clean": clean_stage,
    "explode": explode_stage,
}


@contextmanager
def _optional(path: Path, schema: pa.Schema, *, wanted: bool) -> Iterator[Callable[[pa.RecordBatch], None]]:
    """Write a file that only some runs have; remove it where it is not wanted."""
    if not wanted:
        path.unlink(missing_ok=True)
        yield lambda _: None
        return
    with replacing(path) as file, tables.writer(file, schema) as write:
        yield write


def _parts(
    context: Context, work: Callable[[Item], Part], items: Iterable[Item], rejected: Rejects, flow: Flow
) -> Iterator[Part]:
    """Apply ``work`` to each partition; count the results and yield them in order."""
    for part in context.engine.spread(work, items):
        flow.out += part.out
        rejected.add_all(part.rejected)
        yield part
        context.progress.advance(part.size)


def _rows_read(progress: Progress) -> Callable[[int, int | None], None]:
    """Return a function that shows how many rows have been read in all."""
    shown = 0

    def show(done: int, _total: int | None) -> None:
        nonlocal shown
        progress.advance(done - shown)
        shown = done

    return show
