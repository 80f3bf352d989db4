"""Questions on paragraphs (SQuAD 1.1 and 2.0: UIT-ViQuAD 2.0, XQuAD): question, context and answer.

Read are the nested form ``{"data": [{"paragraphs": [{"context", "qas": [...]}]}]}`` and the flat one of the Hub, a
question a row with ``answers: {"text": [...], "answer_start": [...]}``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from annotator.records import Rejected, Sample
from normalizers.text import nfc
from training.converting.inputs import object_of, records, text_of
from training.converting.job import Job
from training.converting.tally import left_out


def read(job: Job) -> Iterator[Sample | Rejected]:
    """One sample a question that has an answer in its context."""
    job.tally.stage("read", "question")
    for path in job.files:
        for where, record in records(path, under="data"):
            try:
                questions = list(_questions(object_of(record), job))
            except ValueError as error:
                yield left_out("read", "broken record", where, record, str(error))
                continue
            for context, question in questions:
                job.tally.found["questions"] += 1
                yield _sample(job, where, context, question)


def _questions(record: dict[str, Any], job: Job) -> Iterator[tuple[str, Any]]:
    """Context (as it stands in the file: offsets count its code points) and question of a record of either form."""
    if "paragraphs" not in record:
        yield _raw(record, "context"), record
        return
    job.tally.found["articles"] += 1
    for paragraph in _list(record, "paragraphs"):
        job.tally.found["paragraphs"] += 1
        context = _raw(object_of(paragraph), "context")
        yield from ((context, question) for question in _list(paragraph, "qas"))


def _sample(job: Job, where: str, context: str, question: Any) -> Sample | Rejected:
    try:
        asked = text_of(object_of(question), "question").strip()
        where = f"{where}:{question.get('id', '')}"
        if question.get("is_impossible"):
            return left_out("read", "unanswerable", where, asked)
        answers = list(_answers(question))
    except ValueError as error:
        return left_out("read", "broken record", where, question, str(error))
    if not answers:
        return left_out("read", "unanswerable", where, asked)
    sound = []
    for text, start in answers:
        if context[start : start + len(text)] != text:
            job.tally.note("answer is not where answer_start says", where, f"{text} at {start}")
        if text.strip() and text in context:
            sound.append(nfc(text).strip())
    if not sound:
        return left_out("read", "answer is not in its context", where, answers[0][0], asked)
    if len(set(sound)) > 1:
        job.tally.note("several answers, the most frequent taken", where, " | ".join(sound))
    job.tally.keep("read")
    return job.make.instruct(context, asked, nfc(context), Counter(sound).most_common(1)[0][0])


def _answers(question: dict[str, Any]) -> Iterator[tuple[str, int]]:
    answers = question.get("answers")
    if isinstance(answers, dict):
        texts, starts = _list(answers, "text"), _list(answers, "answer_start")
        if len(texts) != len(starts):
            raise ValueError("answers and their starts differ in number")
        answers = [{"text": text, "answer_start": start} for text, start in zip(texts, starts, strict=True)]
    for answer in _list({"answers": answers or []}, "answers"):
        start = object_of(answer).get("answer_start")
        if not isinstance(start, int) or start < 0:
            raise ValueError(f"answer_start is {start!r}, no offset")
        yield _raw(answer, "text"), start


def _raw(record: dict[str, Any], name: str) -> str:
    text_of(record, name)
    return str(record[name])


def _list(record: dict[str, Any], name: str) -> list[Any]:
    value = record.get(name)
    if not isinstance(value, list):
        raise ValueError(f'"{name}" is no list')
    return value
