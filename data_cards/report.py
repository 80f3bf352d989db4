"""The report of a run: one HTML file that needs no network and no other file.

All text of the news and of the teacher is escaped, and the page forbids every script but its own.
"""

from __future__ import annotations

import base64
import hashlib
import heapq
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePath
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
from markupsafe import Markup

from annotator.records import Mention
from annotator.storage import tables
from annotator.storage.atomic import replacing
from annotator.storage.rundir import RunDir
from data_cards.audit.compute import audit
from data_cards.pages import read_template
from data_cards.pages import render as render_template
from data_cards.plots import FIGURES, write_figures
from data_cards.views.agreement import MEANING, differing_passages, quality_values
from data_cards.views.highlighting import highlighted

PASSAGES: Final = 30
MERGES: Final = 200
"""Lines of the merge log that are shown."""


def write_report(run: RunDir, seed: int = 0) -> list[Path]:
    """Audit ``run`` again, write ``report.html`` and ``figures/``, and return the files.

    Raises:
        RunDirError: a stage has not been run, or a file is damaged.
    """
    figures = audit(run)
    written = write_figures(figures, run.root / FIGURES)
    with replacing(run.report) as file:
        file.write(render(run, figures, seed).encode("utf-8"))
    return [run.report, *written]


def render(run: RunDir, figures: Mapping[str, Any], seed: int) -> str:
    """Return the page."""
    script = read_template("report.js")
    drawn = draw(run.annotations, PASSAGES, seed)
    holding = Counter(label for _, _, mentions in drawn for label in {mention.label for mention in mentions})
    order = sorted(holding, key=lambda label: (-holding[label], label))
    numbers = {label: number for number, label in enumerate(order)}
    return render_template(
        "report.html.j2",
        audit=figures,
        **quality_values(run, figures),
        verdicts=MEANING,
        differences=differing_passages(run, figures["agreement"]) if "agreement" in figures else [],
        run_name=run.root.name,
        source=_source(str(figures["source"]["name"])),
        passages=[
            {"id": identity, "html": highlighted(text, mentions, numbers), "entities": len(mentions)}
            for identity, text, mentions in drawn
        ],
        types=[{"label": label, "passages": holding[label]} for label in order],
        merges=_merges(run.root / "labels.parquet"),
        tail=_tail(figures["labels"]["rank_frequency"]),
        made_with=_made_with(figures, seed),
        css=Markup(read_template("report.css")),  # noqa: S704 - ours
        script=Markup(script),  # noqa: S704 - ours
        script_hash=base64.b64encode(hashlib.sha256(script.encode("utf-8")).digest()).decode("ascii"),
    )


def draw(annotations: Path, number: int, seed: int) -> list[tuple[str, str, list[Mention]]]:
    """Return id, text and mentions of passages drawn by ``seed``, in the order of the draw."""

    def lot(identity: str) -> bytes:
        return hashlib.sha256(f"{seed} {identity}".encode()).digest()

    ids = (identity for batch in tables.batches(annotations, ["passage_id"]) for identity in batch[0].to_pylist())
    drawn = heapq.nsmallest(number, ids, key=lot)
    found = {}
    wanted = pa.array(drawn, pa.string())
    for batch in tables.batches(annotations, ["passage_id", "text", "mentions"]):
        for row in batch.filter(pc.is_in(batch.column("passage_id"), wanted)).to_pylist():
            found[row["passage_id"]] = (row["text"], [Mention(**mention) for mention in row["mentions"]])
    return [(identity, *found[identity]) for identity in drawn]


def _source(name: str) -> str:
    """Return the name of the source without the folders of this machine."""
    return PurePath(name).name if PurePath(name).is_absolute() else name


def _tail(points: Sequence[Sequence[int]]) -> dict[str, Any] | None:
    """Return rank and frequency as points on a drawing of 720 by 360 with logarithmic scales."""
    if len(points) < 2:
        return None
    wide, high = (max(1.0, math.log10(max(point[axis] for point in points))) for axis in (0, 1))

    def across(value: int) -> float:
        return round(100 + 600 * math.log10(value) / wide, 1)

    def up(value: int) -> float:
        return round(300 - 260 * math.log10(value) / high, 1)

    places = [(across(rank), up(number)) for rank, number in points]
    return {
        "x": [{"value": 10**power, "at": across(10**power)} for power in range(int(wide) + 1)],
        "y": [{"value": 10**power, "at": up(10**power)} for power in range(int(high) + 1)],
        "points": places,
        "line": " ".join(f"{x},{y}" for x, y in places),
    }


def _merges(path: Path) -> dict[str, Any] | None:
    """Return the first labels that became another one or none; None where the run has no such log."""
    if not path.exists():
        return None
    rows = [row for row in tables.rows(path) if row["status"] != "kept"]
    return {"total": len(rows), "rows": rows[:MERGES]}


def _made_with(figures: Mapping[str, Any], seed: int) -> list[tuple[str, str]]:
    teacher, usage = figures["teacher"], figures["usage"]
    prompt = teacher.get("prompt")
    rows = [("teacher", f"{teacher['model']} (provider {teacher['provider']})")]
    if prompt:
        rows.append(("prompt", f"{prompt['name']} version {prompt['version']}, sha256 {prompt['sha256']}"))
    if usage.get("prompt_tokens"):
        read, written = usage["prompt_tokens"], usage["completion_tokens"]
        rows.append(("tokens", f"{read:,} read by the teacher, {written:,} written"))
    rows += [
        ("tokenizer", str(figures["tokenizer"]["name"])),
        ("lexicon", f"sha256 {figures['lexicon']['sha256']}"),
        ("passages shown", f"drawn with seed {seed}"),
    ]
    return rows
