r"""Conversations of UniversalNER (Pile-NER-type): a text, then a question and an answer for each type.

``{"id", "conversations": [{"from": "human", "value": "Text: ..."}, {"from": "gpt", ...}, {"from": "human", "value":
"What describes TYPE in the text?"}, {"from": "gpt", "value": "[\"mention\", ...]"}, ...]}``. Types become lower case.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, Final

from annotator.records import Rejected, Sample
from normalizers.text import nfc
from training.converting.inputs import object_of, records, text_of
from training.converting.job import Job
from training.converting.tally import left_out
from training.converting.types import given_only

_TEXT: Final = re.compile(r"Text:\s?(.*)", re.DOTALL)
_QUESTION: Final = re.compile(r"What describes (.*\S) in the text\?\s*", re.DOTALL)


def read(job: Job) -> Iterator[Sample | Rejected]:
    """One sample a question; the answer keeps its order, without repetitions."""
    job.tally.stage("read", "conversation")
    job.tally.stage("ask", "question")
    names = given_only(job.options.types)
    for path in job.files:
        for where, record in records(path):
            job.tally.found["conversations"] += 1
            try:
                text, questions = _parts(object_of(record))
            except ValueError as error:
                yield left_out("read", "broken record", where, record, str(error))
                continue
            job.tally.keep("read")
            passage_id = job.make.passage(text)
            for question, answer in questions:
                job.tally.found["questions"] += 1
                try:
                    entity_type, mentions = names.lowered(_type_of(question)), _mentions(answer)
                except ValueError as error:
                    yield left_out("ask", "broken question", where, f"{question} {answer}", str(error))
                    continue
                if not entity_type:
                    yield left_out("ask", "type left out", where, question, "it has an empty name in --types")
                    continue
                job.tally.keep("ask")
                for mention in mentions:
                    if mention not in text:
                        job.tally.note("mention that is not in its text, kept", where, mention)
                yield job.make.query(passage_id, text, entity_type, mentions)


def _parts(record: dict[str, Any]) -> tuple[str, list[tuple[str, str]]]:
    """The text, and questions with their answers."""
    turns = record.get("conversations")
    if not isinstance(turns, list) or len(turns) < 2:
        raise ValueError('no list "conversations" of two turns and more')
    said = [text_of(object_of(turn), "value") for turn in turns]
    begun = _TEXT.match(said[0])
    if not begun or len(said) % 2:
        raise ValueError('it does not begin with "Text:", or a question has no answer')
    return begun[1], list(zip(said[2::2], said[3::2], strict=True))


def _type_of(question: str) -> str:
    asked = _QUESTION.fullmatch(question)
    if not asked:
        raise ValueError("the question is not of the form: What describes TYPE in the text?")
    return asked[1]


def _mentions(answer: str) -> list[str]:
    try:
        mentions = json.loads(answer)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"the answer is not JSON: {error}") from None
    if not isinstance(mentions, list) or not all(isinstance(mention, str) for mention in mentions):
        raise ValueError("the answer is no list of strings")
    try:
        "".join(mentions).encode()
    except UnicodeEncodeError:
        raise ValueError("a mention holds half of a surrogate pair") from None
    return [nfc(mention) for mention in mentions]
