"""Figures of a training and of an experiment, as PNG and SVG; the same bytes for the same figures."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any, Final

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
    logged = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    stages = [(name, list(lines)) for name, lines in groupby(logged, key=lambda line: line["stage"])]

    def draw(axes: Any) -> None:
        begin = 0
        for name, lines in stages:
            steps, losses = [begin + line["step"] for line in lines], [line["loss"] for line in lines]
            axes.plot(steps, losses, color=OURS, alpha=0.3, linewidth=0.8)
            axes.plot(steps, smoothed(losses, 1 - 1 / max(1.0, len(losses) / 20)), color=OURS, linewidth=1.8)
            axes.axvline(begin, color=SOFT, linewidth=0.6, linestyle=":")
            axes.annotate(f" {name}", (begin, 1), xycoords=("data", "axes fraction"), va="bottom", color=SOFT)
            begin = steps[-1]
        axes.set(xlabel="steps", ylabel="loss (nats a target token)")
        axes.set_ylim(bottom=0)
        axes.grid(axis="y", color=_GRID)

    save(folder / "loss", "Training loss, as logged and smoothed", (7, 3.6), draw)


def smoothed(values: Sequence[float], weight: float) -> list[float]:
    """Exponentially weighted mean, corrected for its beginning."""
    result, mean = [], 0.0
    for number, value in enumerate(values, start=1):
        mean = weight * mean + (1 - weight) * value
        result.append(mean / (1 - weight**number))
    return result


def bars(stem: Path, title: str, rows: Sequence[Mapping[str, Any]], benchmarks: Sequence[str], axis: str) -> None:
    """Draw ours beside the thesis's, a group of bars for each row and benchmark; F1 in percent.

    Each row has ``label``, ``ours`` and ``published`` by benchmark; ``ours`` has ``mean`` and ``spread``.
    """
    groups = [(row, benchmark) for row in rows for benchmark in benchmarks]

    def draw(axes: Any) -> None:
        small: dict[str, Any] = {"va": "center", "fontsize": 8}
        for place, (row, name) in enumerate(groups):
            mean, spread, theirs = *_percent(row["ours"][name]), row["published"].get(name)
            first = {"ours": "ours", "theirs": "the thesis"} if not place else {}
            axes.barh(place - 0.2, mean, 0.38, color=OURS, xerr=spread or None, label=first.get("ours"))
            axes.barh(place + 0.2, theirs or 0, 0.38, color=THEIRS, label=first.get("theirs"))
            axes.text(mean + spread + 1, place - 0.2, f"{mean:.2f}", **small)
            axes.text((theirs or 0) + 1, place + 0.2, "not given" if theirs is None else f"{theirs:.2f}", color=SOFT,
                      **small)  # fmt: skip
        axes.set_yticks(range(len(groups)), [f"{row['label']}\n{name}" for row, name in groups])
        axes.set(xlim=(0, 112), ylim=(len(groups) - 0.4, -0.6), xlabel=axis)
        axes.legend(frameon=False, loc="lower center", bbox_to_anchor=(0.4, 1.0), ncols=2)

    save(stem, title, (8.5, 1.2 + 0.62 * len(groups)), draw)


def curve(
    stem: Path, title: str, rows: Sequence[Mapping[str, Any]], benchmark: str, others: Mapping[str, float]
) -> None:
    """Draw a learning curve, F1 in percent: ours with its spread, the thesis's, and the results it compares with."""

    def draw(axes: Any) -> None:
        means, spreads = zip(*(_percent(row["ours"][benchmark]) for row in rows), strict=True)
        axes.errorbar(range(len(rows)), means, spreads, color=OURS, marker="o", capsize=3,
                      label="ours, mean and standard deviation")  # fmt: skip
        theirs = {place: row["published"][benchmark] for place, row in enumerate(rows) if benchmark in row["published"]}
        axes.plot(list(theirs), list(theirs.values()), color=THEIRS, marker="s", label="the thesis")
        for number, (name, value) in enumerate(sorted(others.items(), key=lambda item: -item[1])):
            axes.axhline(value, color=SOFT, linewidth=0.8, linestyle=(0, (4, 2 + number)), label=f"{name}: {value:g}")
        axes.set_xticks(range(len(rows)), [row["label"] for row in rows])
        axes.set(xlabel="training sentences", ylabel=f"micro F1 on {benchmark}, %", ylim=(0, 102))
        axes.grid(axis="y", color=_GRID)
        axes.legend(frameon=False, loc="upper left", bbox_to_anchor=(1.0, 1.0), fontsize=8)

    save(stem, title, (9.5, 4.2), draw)


def _percent(one: Mapping[str, Any]) -> tuple[float, float]:
    return 100 * one["mean"], 100 * one["spread"]
