"""Finish a run: write audit and card, and print the result."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.text import Text

from annotator.asking.batch_files import read_batches
from annotator.config.settings import STAGES
from annotator.records import Sample
from annotator.run.runner import Outcome
from annotator.run.update_steps import document_steps
from annotator.storage import tables
from annotator.storage.rundir import SPLITS, RunDir
from annotator.teachers.prices import price_of
from annotator.terminal.progress import printable
from data_cards.audit.compute import audit, funnel, usage
from data_cards.card import write_card
from data_cards.views import terminal
from data_cards.views.changelog import added_line


def finish(outcome: Outcome) -> dict[str, Any]:
    """Write audit and card where all stages are done; return the report, which else has little more than the funnel."""
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
        figures = audit(run)
        write_card(run, figures)
        report |= {name: figures[name] for name in ("passages", "labels", "mentions", "samples")}
        report |= {name: figures[name] for name in ("agreement", "changelog") if name in figures}
        report["labels"] = {**report["labels"], "top": report["labels"]["top"][:10]}
    return report


def cost_of(outcome: Outcome, flows: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    """Return tokens and US dollars of all answers of the run; None where no token was counted.

    ``usd`` is None where the price of the model at its address is not known.
    """
    used = usage(flows)
    if not used or not used["prompt_tokens"] + used["completion_tokens"]:
        return None
    price = price_of(outcome.config)
    by_batch = sum(batch.completed for batch in read_batches(outcome.run) if batch.collected)
    usd = None
    if price:
        discount = price.batch_discount * min(1.0, by_batch / max(used["answers"], 1))
        usd = round(price.of(used["prompt_tokens"], used["completion_tokens"]) * (1 - discount), 6)
    return {
        **{name: used[name] for name in ("answers", "prompt_tokens", "completion_tokens")},
        "usd": usd,
        "price_in": price and price.input,
        "price_out": price and price.output,
        "source": price and price.origin,
    }


def example(run: RunDir) -> Sample | None:
    """Return the first sample with more than one mention, else the first one."""
    first = None
    for split in SPLITS:
        for sample in tables.read_samples(run.samples(split)):
            first = first or sample
            if len(json.loads(sample.output)) > 1:
                return sample
    return first


def print_report(outcome: Outcome, report: dict[str, Any]) -> None:
    """Print tables."""
    console = Console(highlight=False)
    if "samples" in report:
        terminal.show_summary(console, outcome.run, report, example(outcome.run))
    else:
        console.print(terminal.funnel_table(report["funnel"]))
    if "rebuilt" in report:
        console.print(terminal.rebuilt_line(report["rebuilt"]))
    if "cost" in report:
        console.print(terminal.cost_line(report["cost"]))


def print_update(outcome: Outcome, report: Mapping[str, Any]) -> None:
    """Print what the last update added, and what to do next."""
    console = Console(highlight=False)
    *before, last = document_steps(outcome.run, outcome.config)
    wanted = outcome.config.steps[-1]
    if before and not last:
        console.print(Text("\nNo article was added: the source has no more.", style="bold"))
    elif before:
        version = report["changelog"][-1]
        line = f"\nVersion {version['version']} added {printable(added_line(version))}."
        console.print(Text(line, style="bold"), soft_wrap=True)
        if len(last) < wanted:
            console.print(Text(f"{wanted:,} articles were wanted: the source has no more.", style="yellow"))
    if before and outcome.run.check.exists() and "annotate" not in outcome.skipped:
        check = f"vner-annotate check {outcome.run.root}"
        console.print(Text(f"The second teacher has not seen the new passages; ask it: {check}"), soft_wrap=True)
