"""Rows of instruction, input and output (vi-alpaca and its kin); ``input`` may be empty or missing."""

from __future__ import annotations

from collections.abc import Iterator

from annotator.records import Rejected, Sample
from training.converting.inputs import object_of, records, text_of
from training.converting.job import Job
from training.converting.tally import left_out


def read(job: Job) -> Iterator[Sample | Rejected]:
    """One sample a row."""
    job.tally.stage("read", "row")
    for path in job.files:
        for where, record in records(path):
            job.tally.found["rows"] += 1
            try:
                row = object_of(record)
                instruction, output = text_of(row, "instruction").strip(), text_of(row, "output").strip()
                text = text_of(row, "input", default="").strip()
            except ValueError as error:
                yield left_out("read", "broken record", where, record, str(error))
                continue
            if not instruction or not output:
                yield left_out("read", "empty instruction or output", where, record)
                continue
            job.tally.keep("read")
            job.tally.found["rows without input"] += not text
            yield job.make.instruct(text or instruction, instruction, text, output)
