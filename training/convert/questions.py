r"""Sets of questions and instructions: Pile-NER conversations, SQuAD, Alpaca rows, translation pairs, our own samples.

``pile-ner``  ``{"conversations": [{"from": "human", "value": "Text: ..."}, ..., {"from": "human", "value": "What
              describes TYPE in the text?"}, {"from": "gpt", "value": "[\"mention\", ...]"}, ...]}`` (UniversalNER).
``squad``     ``{"data": [{"paragraphs": [{"context", "qas": [...]}]}]}``, or the flat rows of the Hub (SQuAD 1.1, 2.0).
``alpaca``    ``instruction``, ``input`` (may be empty or missing) and ``output``.
``samples``   Parquet files of samples, or a run directory.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from annotator.errors import SourceError
from annotator.records import Sample
from annotator.storage import tables
from annotator.storage.rundir import SPLITS, RunDir
from normalizers.text import nfc
from training.convert.inputs import list_files, list_of, object_of, text_of
from training.convert.job import Job
from training.convert.published import TypeNames

PARQUET: Final = ((".parquet",),)
_TEXT: Final = re.compile(r"Text:\s?(.*)", re.DOTALL)
_QUESTION: Final = re.compile(r"What describes (.*\S) in the text\?\s*", re.DOTALL)


def read_pile_ner(job: Job) -> Iterator[Sample]:
    """Yield one sample a question; types become lower case, the answer keeps its order without repetitions."""
    counts = job.counts
    counts.stage("read", "conversation")
    counts.stage("ask", "question")
    names = TypeNames(job.options.types, shipped=False)
    for where, record in job.records("conversations"):
        try:
            turns = [text_of(turn, "value") for turn in list_of(record, "conversations")]
            begun = _TEXT.match(turns[0]) if turns and len(turns) % 2 == 0 else None
            if begun is None:
                raise ValueError('it does not begin with "Text:", or a question has no answer')
        except ValueError as error:
            counts.drop("read", "broken record", where, record, str(error))
            continue
        counts.keep("read")
        text = begun[1]
        passage_id = job.make.passage(text)
        for question, answer in zip(turns[2::2], turns[3::2], strict=True):
            counts.found["questions"] += 1
            try:
                entity_type, mentions = _asked(question, names), _mentions(answer)
            except (ValueError, RecursionError) as error:
                counts.drop("ask", "broken question", where, f"{question} {answer}", str(error))
                continue
            if not entity_type:
                counts.drop("ask", "type left out", where, question, "it has an empty name in --types")
                continue
            counts.keep("ask")
            for mention in mentions:
                if mention not in text:
                    counts.note("mention that is not in its text, kept", where, mention)
            yield job.make.query(passage_id, text, entity_type, mentions)


def _asked(question: str, names: TypeNames) -> str:
    asked = _QUESTION.fullmatch(question)
    if not asked:
        raise ValueError("the question is not of the form: What describes TYPE in the text?")
    return names.lowered(asked[1])


def _mentions(answer: str) -> list[str]:
    mentions = list_of({"answer": json.loads(answer)}, "answer", str)
    "".join(mentions).encode()
    return [nfc(mention) for mention in mentions]


def read_squad(job: Job) -> Iterator[Sample]:
    """Yield one sample a question that has an answer in its context."""
    job.counts.stage("read", "question")
    for where, record in job.records(under="context"):
        try:
            questions = list(_questions(record, job.counts.found))
        except ValueError as error:
            job.counts.drop("read", "broken record", where, record, str(error))
            continue
        for context, question in questions:
            job.counts.found["questions"] += 1
            try:
                sample = _answered(job, where, context, question)
            except ValueError as error:
                job.counts.drop("read", "broken record", where, question, str(error))
                continue
            if sample:
                job.counts.keep("read")
                yield sample


def _questions(record: dict[str, Any], found: Counter[str]) -> Iterator[tuple[str, Any]]:
    """Context, as it stands in the file (offsets count its code points), and question of a record of either form."""
    if "paragraphs" not in record:
        text_of(record, "context")
        yield record["context"], record
        return
    found["articles"] += 1
    for paragraph in list_of(record, "paragraphs"):
        found["paragraphs"] += 1
        text_of(paragraph, "context")
        yield from ((paragraph["context"], question) for question in list_of(paragraph, "qas"))


def _answered(job: Job, where: str, raw: str, question: Any) -> Sample | None:
    """The sample of one question, or None where it was counted as left out. Text is compared in NFC."""
    asked, context = text_of(question, "question").strip(), nfc(raw)
    where = f"{where}:{question.get('id', '')}"
    answers = [] if question.get("is_impossible") else list(_answers(question))
    if not answers:
        job.counts.drop("read", "unanswerable", where, asked)
        return None
    sound = []
    for text, start in answers:
        if not nfc(raw[start:]).startswith(text):
            job.counts.note("answer is not where answer_start says", where, f"{text} at {start}")
        if text.strip() and text in context:
            sound.append(text.strip())
    if not sound:
        job.counts.drop("read", "answer is not in its context", where, answers[0][0], asked)
        return None
    if len(set(sound)) > 1:
        job.counts.note("several answers, the most frequent taken", where, " | ".join(sound))
    return job.make.instruct(raw, asked, context, Counter(sound).most_common(1)[0][0])


def _answers(question: dict[str, Any]) -> Iterator[tuple[str, int]]:
    """Answers in NFC with their offsets, which some files write as text."""
    answers = question.get("answers") or []
    if isinstance(answers, dict):
        texts, starts = list_of(answers, "text"), list_of(answers, "answer_start")
        if len(texts) != len(starts):
            raise ValueError("answers and their starts differ in number")
        answers = [{"text": text, "answer_start": start} for text, start in zip(texts, starts, strict=True)]
    for answer in list_of({"answers": answers}, "answers"):
        start = object_of(answer).get("answer_start")
        if isinstance(start, str) and start.strip().isdecimal():
            start = int(start)
        if type(start) is not int or start < 0:
            raise ValueError(f"answer_start is {start!r}, no offset")
        yield text_of(answer, "text"), start


def read_alpaca(job: Job) -> Iterator[Sample]:
    """Yield one sample a row."""
    job.counts.stage("read", "row")
    for where, row in job.records("rows"):
        try:
            instruction, output = text_of(row, "instruction").strip(), text_of(row, "output").strip()
            text = text_of(row, "input", default="").strip()
        except ValueError as error:
            job.counts.drop("read", "broken record", where, row, str(error))
            continue
        if instruction and output:
            job.counts.keep("read")
            job.counts.found["rows without input"] += not text
            yield job.make.instruct(text or instruction, instruction, text, output)
        else:
            job.counts.drop("read", "empty instruction or output", where, row)


def find_samples(sources: Sequence[Path], split: str) -> list[Path]:
    """List files of samples; of a run directory and of a folder named alike the splits, or only ``split``.

    Raises:
        SourceError: there are none.
    """
    return [path for source in sources for path in _splits_of(source, split)]


def _splits_of(source: Path, split: str) -> list[Path]:
    run = RunDir(source)
    folder = run.samples("train").parent if run.manifest.exists() else source
    wanted = [folder / f"{name}.parquet" for name in (SPLITS if split == "all" else (split,))]
    if named := [path for path in wanted if path.is_file()]:
        return named
    if split != "all" and source.is_dir():
        raise SourceError(f"{source} has no samples of the split {split}; --split names one that is there")
    return list_files([folder], PARQUET)


def read_samples(job: Job) -> Iterator[Sample]:
    """Yield every sample as it is."""
    job.counts.stage("read", "sample")
    for path in job.files:
        names = next((batch.schema.names for batch in tables.batches(path)), tables.SAMPLE.names)
        if missing := set(tables.SAMPLE.names) - set(names):
            raise SourceError(f"{path} has no column {min(missing)}: these are no samples; give a run directory, "
                              "or what `convert` wrote")  # fmt: skip
        for number, sample in enumerate(tables.read_samples(path), start=1):
            job.counts.found["samples"] += 1
            if sample.instruction and sample.output:
                job.counts.keep("read")
                yield sample
            else:
                job.counts.drop("read", "empty instruction or output", f"{path}:{number}", sample.id)
