"""The data card: a Hub README filled from the audit and the manifest alone."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import resources
from typing import Any

from jinja2 import Environment, StrictUndefined

from annotator.records import Sample
from annotator.rundir import SPLITS, RunDir, replacing

_SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))


def write_card(run: RunDir, figures: Mapping[str, Any], example: Sample | None) -> None:
    """Write ``README.md`` into the run directory."""
    template = resources.files("data_cards").joinpath("templates", "card.md.j2").read_text(encoding="utf-8")
    environment = Environment(undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, autoescape=False)  # noqa: S701 - Markdown; cells are escaped by the filter below
    environment.filters["cell"] = cell
    count = figures["samples"]["count"]
    text = environment.from_string(template).render(
        audit=figures,
        manifest=run.read_manifest(),
        example=example,
        splits=[split for split in SPLITS if sum(figures["samples"]["splits"][split].values())],
        size=next((name for limit, name in _SIZES if count < limit), "1M<n<10M"),
    )
    with replacing(run.card) as file:
        file.write(text.encode("utf-8"))


def cell(text: object) -> str:
    """Text of the news or of a model, harmless inside a Markdown table or paragraph."""
    flat = " ".join(str(text).split())
    for char in "\\`*_[]|#~":
        flat = flat.replace(char, f"\\{char}")
    return flat.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
