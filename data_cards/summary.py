"""Finish a run: write figures and card, and print the result."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console

from annotator.asking.batch_files import read_batches
from annotator.config import STAGES
from annotator.records import Sample
from annotator.run.runner import Outcome
from annotator.storage import tables
from annotator.storage.rundir import SPLITS, RunDir
from annotator.teachers.prices import price_of
from data_cards.audit.building import audit, funnel
from data_cards.card import write_card
from data_cards.views import terminal


def finish(outcome: Outcome) -> dict[str, Any]:
    """Write audit and card when all stages are done; the report of a run that stopped earlier is its funnel."""
    run = outcome.run
    manifest = run.read_manifest()
    report: dict[str, Any] = {
        "out": str(run.root),
        "unanswered": outcome.unanswered,
        "skipped": list(outcome.skipped),
        "funnel": funnel(manifest),
        "seconds": round(sum(entry["seconds"] for entry in manifest["stages"].values()), 3),
        "stage_seconds": {stage: entry["seconds"] for stage, entry in manifest["stages"].items()},
    }
    if outcome.rebuilt:
        report["rebuilt"] = dict(outcome.rebuilt)
    if cost := cost_of(outcome, report["funnel"]):
        report["cost"] = cost
    sampling = manifest["stages"].get("sample", {}).get("report", {})
    if set(manifest["stages"]) == {"sample"}:
        report |= sampling
    report["sampling"] = sampling
    if set(manifest["stages"]) == set(STAGES):
        figures = audit(run, outcome.engine)
        write_card(run, figures)
        report |= {name: figures[name] for name in ("passages", "labels", "mentions", "samples")}
        report |= {"agreement": figures["agreement"]} if "agreement" in figures else {}
        report["labels"] = {**report["labels"], "top": report["labels"]["top"][:10]}
    return report


def cost_of(outcome: Outcome, flows: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    """Tokens and US dollars of all answers of the run, those of earlier commands too; None where no token was counted.

    ``usd`` is None where the price of the model at its address is not known.
    """
    asked = next((flow for flow in flows if flow["stage"] == "annotate"), None)
    read, written = (asked["made"].get(f"{kind} token", 0) if asked else 0 for kind in ("prompt", "completion"))
    if asked is None or not read + written:
        return None
    price = price_of(outcome.config)
    by_batch = sum(batch.completed for batch in read_batches(outcome.run) if batch.collected)
    usd = None
    if price:
        discount = price.batch_discount * min(1.0, by_batch / max(asked["out"], 1))
        usd = round(price.of(read, written) * (1 - discount), 6)
    return {
        "answers": asked["out"],
        "prompt_tokens": read,
        "completion_tokens": written,
        "usd": usd,
        "price_in": price and price.input,
        "price_out": price and price.output,
        "source": price and price.origin,
    }


def example(run: RunDir) -> Sample | None:
    """The first sample with more than one mention, or the first there is."""
    first = None
    for split in SPLITS:
        for sample in tables.read_samples(run.samples(split)):
            first = first or sample
            if len(json.loads(sample.output)) > 1:
                return sample
    return first


def print_report(outcome: Outcome, report: dict[str, Any]) -> None:
    """Tables on stdout."""
    console = Console(highlight=False)
    if "samples" in report:
        terminal.show_summary(console, outcome.run, report, example(outcome.run))
    else:
        console.print(terminal.funnel_table(report["funnel"]))
    if "rebuilt" in report:
        console.print(terminal.rebuilt_line(report["rebuilt"]))
    if "cost" in report:
        console.print(terminal.cost_line(report["cost"]))
