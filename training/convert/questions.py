"""Sets of questions and instructions: Pile-NER conversations (UniversalNER), SQuAD 1.1 and 2.0, Alpaca, samples."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from functools import partial
from typing import Any, Final

from pydantic import BaseModel, TypeAdapter, field_validator

from annotator.records import Sample
from annotator.sources.formats.files import Record
from training.convert.job import Filled, Job, LeftOutError, Text, storable

_TEXT: Final = re.compile(r"Text:\s?(.*)", re.DOTALL)
_QUESTION: Final = re.compile(r"What describes (.*\S) in the text\?\s*", re.DOTALL)
_MENTIONS: Final = TypeAdapter(list[Text])


class _Turn(BaseModel):
    value: Text


class _Conversation(BaseModel):
    """``Text: ...`` and a reply, then ``What describes TYPE in the text?`` and a JSON list, for each type."""

    conversations: list[_Turn]

    @field_validator("conversations")
    @classmethod
    def _paired(cls, turns: list[_Turn]) -> list[_Turn]:
        if not turns or len(turns) % 2 or not _TEXT.match(turns[0].value):
            raise ValueError('it does not begin with "Text:", or a question has no answer')
        return turns


def read_pile_ner(job: Job) -> Iterator[Sample]:
    """Yield one sample a question; types become lower case, and the mentions of an answer distinct."""

    def parse(turns: tuple[str, str]) -> tuple[str, list[str]]:
        asked, mentions = _QUESTION.fullmatch(turns[0]), _MENTIONS.validate_json(turns[1])
        if not asked:
            raise ValueError("the question is not of the form: What describes TYPE in the text?")
        entity_type = job.names.get(asked[1].lower(), asked[1].lower())
        if not entity_type:
            raise LeftOutError("type left out")
        return entity_type, mentions

    for where, conversation in job.records(_Conversation.model_validate, "conversations"):
        first, _, *turns = [turn.value for turn in conversation.conversations]
        text = _TEXT.sub(r"\1", first)
        passage_id = job.passage(text)
        for turn in zip(turns[::2], turns[1::2], strict=True):
            if found := job.parsed(parse, "questions", Record(where, turn, " ".join(turn))):
                entity_type, mentions = found
                for mention in mentions:
                    if mention not in text:
                        job.counts.note("mention that is not in its text, kept", where, mention)
                yield job.query(passage_id, text, entity_type, mentions)


class _Question(BaseModel):
    question: Filled
    is_impossible: bool | None = False
    answers: list[Text] = []

    @field_validator("answers", mode="before")
    @classmethod
    def _texts(cls, answers: Any) -> Any:
        """Return the texts of a list of answers, or of the columns of the Hub's form."""
        return answers.get("text") if isinstance(answers, dict) else [answer["text"] for answer in answers or ()]


class _Paragraph(BaseModel):
    context: str
    qas: list[Any]


_PARAGRAPHS: Final = TypeAdapter(list[_Paragraph])


def _paragraphs(record: Any) -> list[_Paragraph]:
    """Return the paragraphs of an article, or the paragraph of a question in a flat row, the Hub's form."""
    if "paragraphs" in record:
        return _PARAGRAPHS.validate_python(record["paragraphs"])
    return _PARAGRAPHS.validate_python([{"context": record["context"], "qas": [record]}])


def read_squad(job: Job) -> Iterator[Sample]:
    """Yield one sample a question that has an answer in its context; of several answers the most frequent."""

    def parse(context: str, value: Any) -> tuple[str, str, str]:
        question, context = _Question.model_validate(value), storable(context)
        if question.is_impossible or not question.answers:
            raise LeftOutError("unanswerable")
        found = [answer.strip() for answer in question.answers if answer.strip() and answer in context]
        if not found:
            raise LeftOutError("answer is not in its context")
        return question.question, context, Counter(found).most_common(1)[0][0]

    for where, paragraphs in job.records(_paragraphs, "records", under="context"):
        for paragraph in paragraphs:
            for value in paragraph.qas:
                if found := job.parsed(partial(parse, paragraph.context), "questions", Record(where, value)):
                    yield job.instruct(paragraph.context, *found)


class _Row(BaseModel):
    instruction: Filled
    input: Text | None = ""
    output: Filled


def read_alpaca(job: Job) -> Iterator[Sample]:
    """Yield one sample a row."""
    for _, row in job.records(_Row.model_validate, "rows"):
        text = (row.input or "").strip()
        yield job.instruct(text or row.instruction, row.instruction, text, row.output)


def read_samples(job: Job) -> Iterator[Sample]:
    """Yield every sample as it is."""
    return (sample for _, sample in job.records(TypeAdapter(Sample).validate_python, "rows"))
