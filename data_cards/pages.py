"""Render the templates of card, report and passage, with text of the news and of the teacher made harmless."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Any, Final

from jinja2 import Environment, StrictUndefined, Template

from annotator.storage.funnel import shown_unit
from annotator.storage.rundir import SPLITS
from annotator.terminal.progress import printable
from annotator.terminal.words import plural

_BLOCK_START: Final = re.compile(r"^(\d*)([-+=:.)])(?=[-=\s]|$)")
"""The beginning of a list, a rule or a heading."""


def read_template(name: str) -> str:
    """Return the text of a file of ``templates/``."""
    return resources.files("data_cards").joinpath("templates", name).read_text(encoding="utf-8")


def render(name: str, **values: Any) -> str:
    """Render a template.

    In HTML every value is escaped, and the filter ``clean`` shows control characters; in Markdown, text from outside
    goes through the filter ``cell``.
    """
    return _template(name).render(**values)


@cache
def _template(name: str) -> Template:
    environment = Environment(
        autoescape=name.endswith(".html.j2"), undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {
        "clean": lambda text: printable(str(text)),
        "cell": cell,
        "unit": shown_unit,
        "number": lambda value: f"{value:,}",
        "share": share,
        "percent": lambda share: f"{100 * share:.1f} %",
    }
    environment.globals |= {"output_of": output_of, "plural": plural}
    return environment.from_string(read_template(name))


def cell(text: object) -> str:
    """Return text of the news or of a model, harmless inside a Markdown table or paragraph."""
    flat = printable(" ".join(str(text).split()))
    for char in "\\`*_[]|#~$":
        flat = flat.replace(char, f"\\{char}")
    flat = flat.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return _BLOCK_START.sub(r"\1\\\2", flat)


def share(estimate: Mapping[str, Any]) -> str:
    """Return ``93.1 % (95 % interval 91.2 to 94.6)``."""
    value, low, high = (100 * estimate[name] for name in ("value", "low", "high"))
    return f"{value:.1f} % (95 % interval {low:.1f} to {high:.1f})"


def output_of(name: str, number: int) -> str:
    """Return ``1 passage`` or ``2 passages``; the names of splits stay as they are."""
    return f"{number:,} {name}" if name in {*SPLITS, "negative"} else plural(number, name)
