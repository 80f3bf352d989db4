"""Figures of a training and of an experiment, as PNG and SVG with the same bytes for the same numbers."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from annotator.storage.atomic import replacing

OURS: Final = "#24578f"
THEIRS: Final = "#c98a1b"
_SOFT: Final = "#585c66"
_STYLE: Final[dict[Any, Any]] = {
    "font.family": "DejaVu Sans", "axes.edgecolor": _SOFT, "axes.labelcolor": _SOFT, "axes.spines.top": False,
    "axes.spines.right": False, "text.parse_math": False, "svg.hashsalt": "vner-annotate", "legend.frameon": False,
}  # fmt: skip


def save(stem: Path, title: str, size: tuple[float, float], draw: Callable[[Any], None]) -> None:
    """Draw on axes with a title, and write ``stem``.png and ``stem``.svg."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=size, layout="constrained")
        figure.suptitle(title, fontweight="bold")
        draw(figure.subplots())
        for kind, metadata in (("png", {"Software": None}), ("svg", {"Date": None})):
            with replacing(stem.with_name(f"{stem.name}.{kind}")) as file:  # figure-4.2 has no suffix to replace
                figure.savefig(file, format=kind, dpi=160, metadata=metadata)


def loss_figure(log: Path, folder: Path) -> None:
    """Draw the loss over the steps of all stages, as logged and smoothed."""
    import pandas as pd

    lines = map(json.loads, log.read_text(encoding="utf-8").splitlines())
    logged = pd.DataFrame(lines, columns=["stage", "step", "loss"])

    def draw(axes: Any) -> None:
        begin = 0
        for name, stage in logged.groupby("stage", sort=False):
            steps, smooth = begin + stage["step"], stage["loss"].ewm(alpha=min(1, 20 / len(stage))).mean()
            axes.plot(steps, stage["loss"], color=OURS, alpha=0.3, linewidth=0.8)
            axes.plot(steps, smooth, color=OURS)
            axes.axvline(begin, color=_SOFT, linewidth=0.6, linestyle=":")
            axes.annotate(f" {name}", (begin, 1), xycoords=("data", "axes fraction"), va="bottom", color=_SOFT)
            begin = int(steps.max())
        axes.set(xlabel="steps", ylabel="loss (nats per target token)")
        axes.set_ylim(bottom=0)

    save(folder / "loss", "Training loss, as logged and smoothed", (7, 3.6), draw)


def learning_curve(stem: Path, report: Mapping[str, Any], axis: str) -> None:
    """Draw the results of an experiment over its rows as a curve, beside the thesis's; ``axis`` names the x axis."""
    name, rows = report["benchmarks"][0], report["rows"]
    ours = [row["ours"][name][report["compared"]] for row in rows]
    theirs = [(place, row["published"][name]) for place, row in enumerate(rows) if name in row["published"]]

    def draw(axes: Any) -> None:
        means, spreads = [100 * one["mean"] for one in ours], [100 * one["spread"] for one in ours]
        axes.errorbar(range(len(rows)), means, spreads, color=OURS, marker="o", capsize=3, label="ours")
        axes.plot(*zip(*theirs, strict=True), color=THEIRS, marker="s", label="the thesis")
        for number, (other, value) in enumerate(report["others"].items()):
            axes.axhline(value, color=_SOFT, linewidth=0.8, linestyle=(0, (4, 2 + number)), label=f"{other}: {value:g}")
        axes.set_xticks(range(len(rows)), [row["label"] for row in rows])
        axes.set(xlabel=axis, ylabel=f"micro F1, {report['compared']} matching, %")
        axes.legend()

    save(stem, report["title"], (8.5, 4.5), draw)


def comparison(stem: Path, report: Mapping[str, Any]) -> None:
    """Draw the results of an experiment beside the thesis's: a pair of bars for each row and benchmark."""
    cases = [(row, name) for row in report["rows"] for name in report["benchmarks"]]
    ours = [row["ours"][name][report["compared"]] for row, name in cases]
    theirs = [row["published"].get(name) for row, name in cases]

    def draw(axes: Any) -> None:
        means, spreads = [100 * one["mean"] for one in ours], [100 * one["spread"] for one in ours]
        drawn = axes.barh([place - 0.2 for place in range(len(cases))], means, 0.38, color=OURS, label="ours",
                          xerr=spreads if any(spreads) else None)  # fmt: skip
        axes.bar_label(drawn, fmt="%.2f", padding=4, fontsize=8)
        drawn = axes.barh([place + 0.2 for place in range(len(cases))], [value or 0 for value in theirs], 0.38,
                          color=THEIRS, label="the thesis")  # fmt: skip
        given = ["not given" if value is None else f"{value:.2f}" for value in theirs]
        axes.bar_label(drawn, given, padding=4, fontsize=8)
        axes.set_yticks(range(len(cases)), [f"{row['label']}\n{name}" for row, name in cases])
        axes.set(xlim=(0, 112), xlabel=f"micro F1, {report['compared']} matching, %")
        axes.invert_yaxis()
        axes.legend(loc="lower center", bbox_to_anchor=(0.4, 1.0), ncols=2)

    save(stem, report["title"], (8.5, 1.4 + 0.62 * len(cases)), draw)
