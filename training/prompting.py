"""The input of a student: the Alpaca template with and without an input, from a versioned file in ``prompts/``.

Source of the form: Stanford Alpaca (Taori et al., 2023); the sentences are this project's own.
"""

from __future__ import annotations

import hashlib
import tomllib
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Final

TEMPLATE: Final = "alpaca.1.toml"
"""The version in use. Its hash stands with every student that is saved."""
_INSTRUCTION: Final = "{instruction}"
_INPUT: Final = "{input}"


@dataclass(frozen=True, slots=True)
class Template:
    """The two variants, cut at their slots, so that braces in a text are text."""

    before: str
    between: str
    after: str
    bare_before: str
    bare_after: str
    sha256: str
    """Of the file's bytes."""

    def fill(self, instruction: str, text: str) -> str:
        """The prompt for ``instruction`` about ``text``, or without an input section where there is no text."""
        if text:
            return f"{self.before}{instruction}{self.between}{text}{self.after}"
        return f"{self.bare_before}{instruction}{self.bare_after}"


@cache
def template() -> Template:
    """The template in use."""
    data = resources.files("prompts").joinpath(TEMPLATE).read_bytes()
    fields = tomllib.loads(data.decode("utf-8"))
    before, rest = fields["with_input"].strip().split(_INSTRUCTION)
    between, after = rest.split(_INPUT)
    bare_before, bare_after = fields["without_input"].strip().split(_INSTRUCTION)
    return Template(before, between, after, bare_before, bare_after, hashlib.sha256(data).hexdigest())


def student_input(instruction: str, input: str) -> str:  # noqa: A002 - the column's name
    """What a student reads for one sample: English frame, the instruction, and the input unless it is empty."""
    return template().fill(instruction, input)
