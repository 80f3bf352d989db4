"""Figures of a training and of an experiment, as PNG and SVG; the same bytes for the same figures."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from annotator.storage.atomic import replacing

INK: Final = "#1d1e21"
SOFT: Final = "#585c66"
OURS: Final = "#24578f"
THEIRS: Final = "#c98a1b"
_GRID: Final = "#e2e3e0"
_STYLE: Final[dict[Any, Any]] = {
    "font.family": "DejaVu Sans", "font.size": 10, "text.color": INK, "axes.edgecolor": SOFT, "axes.labelcolor": SOFT,
    "axes.spines.top": False, "axes.spines.right": False, "text.parse_math": False, "xtick.color": INK,
    "ytick.color": INK, "svg.hashsalt": "vner-annotate", "svg.fonttype": "path",
}  # fmt: skip


class Result(NamedTuple):
    """One row of an experiment on one benchmark; F1 in percent."""

    label: str
    benchmark: str
    mean: float
    spread: float
    published: float | None


def save(stem: Path, title: str, size: tuple[float, float], draw: Callable[[Any], None]) -> None:
    """Draw on one pair of axes with a title and write ``stem``.png and ``stem``.svg."""
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
            axes.plot(steps, smooth, color=OURS, linewidth=1.8)
            axes.axvline(begin, color=SOFT, linewidth=0.6, linestyle=":")
            axes.annotate(f" {name}", (begin, 1), xycoords=("data", "axes fraction"), va="bottom", color=SOFT)
            begin = int(steps.max())
        axes.set(xlabel="steps", ylabel="loss (nats a target token)")
        axes.set_ylim(bottom=0)
        axes.grid(axis="y", color=_GRID)

    save(folder / "loss", "Training loss, as logged and smoothed", (7, 3.6), draw)


def bars(stem: Path, title: str, rows: Sequence[Result], axis: str) -> None:
    """Draw ours beside the thesis's, a pair of bars for each result; F1 in percent."""
    ours, theirs = [row.mean for row in rows], [row.published for row in rows]

    def draw(axes: Any) -> None:
        spreads = [row.spread for row in rows] if any(row.spread for row in rows) else None
        for offset, name, color, values in ((-0.2, "ours", OURS, ours), (0.2, "the thesis", THEIRS, theirs)):
            places = [place + offset for place in range(len(rows))]
            drawn = axes.barh(places, [value or 0 for value in values], 0.38, color=color, label=name,
                              xerr=spreads if name == "ours" else None)  # fmt: skip
            labels = ["not given" if value is None else f"{value:.2f}" for value in values]
            axes.bar_label(drawn, labels, padding=4, fontsize=8)
        axes.set_yticks(range(len(rows)), [f"{row.label}\n{row.benchmark}" for row in rows])
        axes.set(xlim=(0, 112), ylim=(len(rows) - 0.4, -0.6), xlabel=axis)
        axes.legend(frameon=False, loc="lower center", bbox_to_anchor=(0.4, 1.0), ncols=2)

    save(stem, title, (8.5, 1.2 + 0.62 * len(rows)), draw)


def curve(stem: Path, title: str, rows: Sequence[Result], others: Mapping[str, float]) -> None:
    """Draw a learning curve, F1 in percent: ours with its spread, the thesis's, and the results it compares with."""
    given = {place: row.published for place, row in enumerate(rows) if row.published is not None}

    def draw(axes: Any) -> None:
        axes.errorbar(range(len(rows)), [row.mean for row in rows], [row.spread for row in rows], color=OURS,
                      marker="o", capsize=3, label="ours, mean and standard deviation")  # fmt: skip
        axes.plot(list(given), list(given.values()), color=THEIRS, marker="s", label="the thesis")
        for number, (name, value) in enumerate(sorted(others.items(), key=lambda item: -item[1])):
            axes.axhline(value, color=SOFT, linewidth=0.8, linestyle=(0, (4, 2 + number)), label=f"{name}: {value:g}")
        axes.set_xticks(range(len(rows)), [row.label for row in rows])
        axes.set(xlabel="training sentences", ylabel=f"micro F1 on {rows[0].benchmark}, %", ylim=(0, 102))
        axes.grid(axis="y", color=_GRID)
        axes.legend(frameon=False, loc="upper left", bbox_to_anchor=(1.0, 1.0), fontsize=8)

    save(stem, title, (9.5, 4.2), draw)
