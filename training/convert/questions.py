r"""Sets of questions and instructions: Pile-NER conversations, SQuAD, Alpaca rows, our own samples.

``pile-ner``  ``{"conversations": [{"from": "human", "value": "Text: ..."}, ..., {"from": "human", "value": "What
              describes TYPE in the text?"}, {"from": "gpt", "value": "[\"mention\", ...]"}, ...]}`` (UniversalNER).
``squad``     ``{"data": [{"paragraphs": [{"context", "qas": [...]}]}]}``, or the flat rows of the Hub (SQuAD 1.1, 2.0).
``alpaca``    ``instruction``, ``input`` (may be empty or missing) and ``output``.
``samples``   Parquet files of samples, or a run directory.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from typing import Any, Final

from pydantic import BaseModel, NonNegativeInt, TypeAdapter, field_validator, model_validator

from annotator.errors import SourceError
from annotator.records import Sample
from annotator.storage import tables
from normalizers.text import nfc
from training.convert.job import Job, Text

_TEXT: Final = re.compile(r"Text:\s?(.*)", re.DOTALL)
_QUESTION: Final = re.compile(r"What describes (.*\S) in the text\?\s*", re.DOTALL)
_MENTIONS: Final = TypeAdapter(list[Text])


class _Turn(BaseModel):
    value: Text


class _Conversation(BaseModel):
    """The text and its reading, then questions, each with its answer."""

    conversations: list[_Turn]

    @field_validator("conversations")
    @classmethod
    def _paired(cls, turns: list[_Turn]) -> list[_Turn]:
        if not turns or len(turns) % 2 or not _TEXT.match(turns[0].value):
            raise ValueError('it does not begin with "Text:", or a question has no answer')
        return turns


def read_pile_ner(job: Job) -> Iterator[Sample]:
    """Yield one sample a question; types become lower case, the answer keeps its order without repetitions."""
    counts = job.counts
    counts.stage("read", "conversation")
    counts.stage("ask", "question")
    for where, conversation in job.records(_Conversation, "conversations"):
        counts.keep("read")
        first, _, *turns = [turn.value for turn in conversation.conversations]
        text = _TEXT.sub(r"\1", first)
        passage_id = job.make.passage(text)
        for question, answer in zip(turns[::2], turns[1::2], strict=True):
            counts.found["questions"] += 1
            try:
                mentions = _MENTIONS.validate_json(answer)
                asked = _QUESTION.fullmatch(question)
                if not asked:
                    raise ValueError("the question is not of the form: What describes TYPE in the text?")
            except ValueError as error:
                counts.drop("ask", "broken question", where, f"{question} {answer}", error)
                continue
            raw_type = asked[1].lower()
            entity_type = job.names.get(raw_type, raw_type)
            if not entity_type:
                counts.drop("ask", "type left out", where, question, "it has an empty name in --types")
                continue
            counts.keep("ask")
            for mention in mentions:
                if mention not in text:
                    counts.note("mention that is not in its text, kept", where, mention)
            yield job.make.query(passage_id, text, entity_type, mentions)


class _Paragraph(BaseModel):
    context: str
    """As it stands in the file: offsets count its code points."""
    qas: list[Any]


class _Article(BaseModel):
    """An article of the nested form, or a row of the flat one: a question with its context."""

    paragraphs: list[_Paragraph]
    is_row: bool = False

    @model_validator(mode="before")
    @classmethod
    def _of_row(cls, record: Any) -> Any:
        if not isinstance(record, dict) or "paragraphs" in record:
            return record
        return {"is_row": True, "paragraphs": [{"context": record.get("context"), "qas": [record]}]}


class _Columns(BaseModel):
    text: list[Any]
    answer_start: list[Any]


class _Answer(BaseModel):
    text: Text
    answer_start: NonNegativeInt


class _Question(BaseModel):
    question: Text
    id: Any = ""
    is_impossible: bool | None = False
    answers: list[_Answer] = []

    @field_validator("answers", mode="before")
    @classmethod
    def _rows(cls, answers: Any) -> Any:
        """Accept a list of texts and a list of starts, as the Hub has them."""
        if not isinstance(answers, dict):
            return answers or []
        columns = _Columns.model_validate(answers)
        pairs = zip(columns.text, columns.answer_start, strict=True)
        return [{"text": text, "answer_start": start} for text, start in pairs]


def read_squad(job: Job) -> Iterator[Sample]:
    """Yield one sample a question that has an answer in its context."""
    counts = job.counts
    counts.stage("read", "question")
    for where, article in job.records(_Article, under="context"):
        if not article.is_row:
            counts.found.update(articles=1, paragraphs=len(article.paragraphs))
        for paragraph in article.paragraphs:
            for record in paragraph.qas:
                counts.found["questions"] += 1
                try:
                    question = _Question.model_validate(record)
                except ValueError as error:
                    counts.drop("read", "broken record", where, record, error)
                    continue
                if sample := _answered(job, f"{where}:{question.id}", paragraph.context, question):
                    counts.keep("read")
                    yield sample


def _answered(job: Job, where: str, raw: str, question: _Question) -> Sample | None:
    """Make the sample of a question, or None where it was counted as left out. Text is compared in NFC."""
    asked, context = question.question.strip(), nfc(raw)
    if question.is_impossible or not question.answers:
        job.counts.drop("read", "unanswerable", where, asked)
        return None
    sound = []
    for answer in question.answers:
        if not nfc(raw[answer.answer_start :]).startswith(answer.text):
            job.counts.note("answer is not where answer_start says", where, f"{answer.text} at {answer.answer_start}")
        if answer.text.strip() and answer.text in context:
            sound.append(answer.text.strip())
    if not sound:
        job.counts.drop("read", "answer is not in its context", where, question.answers[0].text, asked)
        return None
    if len(set(sound)) > 1:
        job.counts.note("several answers, the most frequent taken", where, " | ".join(sound))
    return job.make.instruct(raw, asked, context, Counter(sound).most_common(1)[0][0])


class _Row(BaseModel):
    instruction: Text
    input: Text | None = ""
    output: Text


def read_alpaca(job: Job) -> Iterator[Sample]:
    """Yield one sample a row."""
    job.counts.stage("read", "row")
    for where, row in job.records(_Row, "rows"):
        instruction, text, output = row.instruction.strip(), (row.input or "").strip(), row.output.strip()
        if instruction and output:
            job.counts.keep("read")
            job.counts.found["rows without input"] += not text
            yield job.make.instruct(text or instruction, instruction, text, output)
        else:
            job.counts.drop("read", "empty instruction or output", where, row.model_dump_json())


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
