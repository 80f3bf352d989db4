"""Prices of models, from a dated table (``prices.toml``)."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any
from urllib.parse import urlsplit

from annotator.config.settings import RunConfig
from annotator.teachers.registry import PROVIDERS


@dataclass(frozen=True, slots=True)
class Price:
    """US dollars for a million tokens."""

    input: float
    output: float
    origin: str
    """Source of the figures, with their date."""
    batch_discount: float = 0.0
    """Share that the provider takes off for a batch; 0 where no discount is known."""

    def of(self, prompt_tokens: float, completion_tokens: float) -> float:
        """Return US dollars for so many tokens."""
        return (prompt_tokens * self.input + completion_tokens * self.output) / 1e6


def price_of(config: RunConfig, price_in: float | None = None, price_out: float | None = None) -> Price | None:
    """Return the price of the teacher that ``config`` names, or None where it is not known.

    Args:
        config: provider, model and address. The table's prices hold at the provider's own address.
        price_in: US dollars for a million prompt tokens, in place of the table's.
        price_out: US dollars for a million completion tokens, likewise.
    """
    if not PROVIDERS[config.provider].chat:
        return Price(0.0, 0.0, "the embedded teacher costs nothing")
    known = _table().get((_seller(config), config.teacher_model))
    if price_in is None and price_out is None:
        return known
    if known:
        price_in = known.input if price_in is None else price_in
        price_out = known.output if price_out is None else price_out
    if price_in is None or price_out is None:
        return None
    return Price(price_in, price_out, "as given", known.batch_discount if known else 0.0)


def _seller(config: RunConfig) -> str:
    """Return the provider behind the address; empty for a private server."""
    if not config.base_url:
        return config.provider
    host = urlsplit(config.base_url).hostname
    return next((name for name, provider in PROVIDERS.items() if provider.host and provider.host == host), "")


@cache
def _table() -> dict[tuple[str, str], Price]:
    data: dict[str, list[dict[str, Any]]] = tomllib.loads(
        resources.files(__package__).joinpath("prices.toml").read_text(encoding="utf-8")
    )
    discounts = {entry["provider"]: entry["discount"] for entry in data["batch"]}
    return {
        (entry["provider"], entry["model"]): Price(
            float(entry["input"]),
            float(entry["output"]),
            f"{entry['source']}, {entry['date']}",
            discounts.get(entry["provider"], 0.0),
        )
        for entry in data["price"]
    }
