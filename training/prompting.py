"""The input of a student: an Alpaca template with and without an input, from a versioned file in ``prompts/``.

The form is Stanford Alpaca's (Taori et al., 2023), the sentences are this project's.
"""

from __future__ import annotations

import hashlib
import re
import tomllib
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Final

TEMPLATE: Final = "alpaca.1.toml"
"""The version in use. Its hash is saved with every student."""
_SLOT: Final = re.compile(r"\{(?:instruction|input)\}")


@dataclass(frozen=True, slots=True)
class Template:
    """The two variants, each with its slots."""

    with_input: str
    without_input: str
    sha256: str
    """Of the file's bytes."""


@cache
def template() -> Template:
    """Return the template in use."""
    data = resources.files("prompts").joinpath(TEMPLATE).read_bytes()
    fields = tomllib.loads(data.decode("utf-8"))
    return Template(fields["with_input"].strip(), fields["without_input"].strip(), hashlib.sha256(data).hexdigest())


def student_input(instruction: str, input: str) -> str:  # noqa: A002 - the column's name
    """Return the text that a student reads for one sample."""
    content = {"{instruction}": instruction, "{input}": input}
    form = template().with_input if input else template().without_input
    return _SLOT.sub(lambda slot: content[slot[0]], form)
