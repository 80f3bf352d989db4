"""Render the templates of card, report and passage, and what card and report say of quality alike."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Any, Final

from jinja2 import Environment, StrictUndefined, Template

from annotator.storage.funnel import shown_unit
from annotator.storage.rundir import RunDir
from annotator.terminal.progress import printable
from annotator.terminal.words import plural
from data_cards.review.quality import measure_run
from data_cards.views.agreement import agreement_lines
from data_cards.views.quality import share, summary_lines, type_rows
from data_cards.views.terminal import output_of

_BLOCK_START: Final = re.compile(r"^(\d*)([-+=:.)])(?=[-=\s]|$)")
"""What would begin a list, a rule or a heading."""


def read_template(name: str) -> str:
    """Return the text of a file of ``templates/``."""
    return resources.files("data_cards").joinpath("templates", name).read_text(encoding="utf-8")


def render_html(name: str, **values: Any) -> str:
    """Render a template of HTML: every value is escaped, and the filter ``clean`` shows control characters."""
    return _html(name).render(**values)


@cache
def _html(name: str) -> Template:
    """Compile a template of HTML."""
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {"clean": lambda text: printable(str(text)), "unit": shown_unit}
    environment.globals |= {"output_of": output_of, "plural": plural}
    return environment.from_string(read_template(name))


def render_markdown(name: str, **values: Any) -> str:
    """Render a template of Markdown: text from outside goes through the filter ``cell``."""
    return _markdown(name).render(**values)


@cache
def _markdown(name: str) -> Template:
    """Compile a template of Markdown."""
    environment = Environment(autoescape=False, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)  # noqa: S701 - no HTML
    environment.filters |= {
        "cell": cell,
        "unit": shown_unit,
        "number": lambda value: f"{value:,}",
        "share": share,
        "percent": lambda share: f"{100 * share:.1f} %",
    }
    return environment.from_string(read_template(name))


def cell(text: object) -> str:
    """Return text of the news or of a model, harmless inside a Markdown table or paragraph."""
    flat = printable(" ".join(str(text).split()))
    for char in "\\`*_[]|#~$":
        flat = flat.replace(char, f"\\{char}")
    flat = flat.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return _BLOCK_START.sub(r"\1\\\2", flat)


def quality_values(run: RunDir, figures: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values for a template about measured quality and the agreement of two teachers."""
    quality = measure_run(run)
    return {
        "quality": quality,
        "quality_lines": summary_lines(quality),
        "quality_types": type_rows(quality) if quality else [],
        "agreement_lines": agreement_lines(figures["agreement"], quality) if "agreement" in figures else [],
    }
