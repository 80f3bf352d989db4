"""Finish a run: write figures and card, and print the result."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console

from annotator.asking.batch_files import read_batches
from annotator.config import STAGES, make_config
from annotator.errors import RunDirError
from annotator.records import Annotation, Completion, Passage, Rejected, Sample
from annotator.run.ledgers import answers_of
from annotator.run.runner import Outcome
from annotator.run.settings import stored_settings
from annotator.storage import tables
from annotator.storage.rundir import SPLITS, RunDir, existing
from annotator.teachers import make_teacher
from annotator.teachers.prices import price_of
from data_cards import terminal
from data_cards.audit.building import audit, funnel
from data_cards.card import write_card


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


def print_json(report: dict[str, Any]) -> None:
    """One JSON object on stdout."""
    sys.stdout.write(json.dumps(report, ensure_ascii=False, indent=2) + "\n")


def print_report(outcome: Outcome, report: dict[str, Any]) -> None:
    """Tables on stdout."""
    console = Console(highlight=False)
    if "samples" in report:
        terminal.show_summary(console, outcome.run, report, example(outcome.run))
    else:
        console.print(terminal.funnel_table(report["funnel"]))
    if "cost" in report:
        console.print(terminal.cost_line(report["cost"]))


def show_passage(root: Path, wanted: str | None, *, as_json: bool) -> None:
    """Print one passage and all that is known of it.

    Raises:
        RunDirError: there is no such passage, or several begin with ``wanted``.
    """
    run = existing(root)
    passage = _passage(run, wanted or _first_with_entities(run))
    annotation = next((found for found in _annotations(run) if found.passage_id == passage.id), None)
    completion = _completion(run, passage)
    rejected = [item for item in tables.read_rejected(run.rejected) if item.record_id == passage.id]
    if as_json:
        print_json(_as_json(passage, annotation, completion, rejected))
    else:
        Console(highlight=False).print(terminal.passage_view(passage, annotation, completion, rejected))


def _annotations(run: RunDir) -> Iterator[Annotation]:
    return tables.read_annotations(run.annotations) if run.annotations.exists() else iter(())


def _first_with_entities(run: RunDir) -> str:
    return next((annotation.passage_id for annotation in _annotations(run) if annotation.mentions), "")


def _passage(run: RunDir, wanted: str) -> Passage:
    matching = [passage for passage in tables.read_passages(run.passages) if passage.id.startswith(wanted)]
    if not matching:
        raise RunDirError(
            f"no passage of {run.root} has an id that begins with {wanted!r}; ids stand in {run.passages}"
        )
    if wanted and len(matching) > 1:
        raise RunDirError(f"{len(matching)} passages begin with {wanted!r}; give more of the id")
    return matching[0]


def _completion(run: RunDir, passage: Passage) -> Completion | None:
    teacher = make_teacher(make_config(stored_settings(run.read_manifest())))
    with answers_of(run) as ledger:
        return ledger.get(teacher.question(passage.text).key) if ledger else None


def _as_json(
    passage: Passage, annotation: Annotation | None, completion: Completion | None, rejected: list[Rejected]
) -> dict[str, Any]:
    return {
        "passage": asdict(passage),
        "mentions": [asdict(mention) for mention in annotation.mentions] if annotation else None,
        "reply": completion.reply if completion else None,
        "reply_status": annotation.reply_status if annotation else None,
        "rejected": [asdict(item) for item in rejected],
    }
