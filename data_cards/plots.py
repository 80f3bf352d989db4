"""The figures of an audit as PNG and SVG, the same bytes for the same audit."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from annotator.storage.atomic import replacing
from annotator.storage.funnel import shown_unit

FIGURES: Final = "figures"
"""The folder of the figures in a run directory and on the Hub."""
INK: Final = "#1d1e21"
SOFT: Final = "#585c66"
ACCENT: Final = "#24578f"
LOST: Final = "#a8443a"
_STYLE: Final[dict[Any, Any]] = {
    "font.family": "DejaVu Sans",  # has all Vietnamese letters and comes with matplotlib
    "font.size": 10,
    "text.color": INK,
    "axes.edgecolor": SOFT,
    "axes.labelcolor": SOFT,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "text.parse_math": False,  # a dollar sign in a label is a dollar sign
    "xtick.color": SOFT,
    "ytick.color": INK,
    "svg.hashsalt": "vner-annotate",
    "svg.fonttype": "path",  # readable where the font is missing
    "hatch.linewidth": 1.0,
}
TOP: Final = 20
_LONGEST: Final = 40
"""Characters of a label that are drawn."""


def write_figures(figures: Mapping[str, Any], folder: Path) -> list[Path]:
    """Draw the funnel, the most frequent types and the long tail; return the files."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    top, types = len(figures["labels"]["top"][:TOP]), figures["labels"]["distinct"]
    most = "Entity types by samples" if types <= top else f"The {top} most frequent of {types:,} entity types"
    drawings: dict[str, tuple[str, Callable[[Any, Mapping[str, Any]], None]]] = {
        "funnel": ("Kept and rejected by each stage", _funnel),
        "top-types": (most, _top_types),
        "long-tail": ("Mentions of each entity type, by rank", _long_tail),
    }
    written = []
    for name, (title, draw) in drawings.items():
        rows = {"funnel": len(figures["funnel"]), "top-types": top}.get(name, 12)
        with mpl.rc_context(_STYLE):
            figure = Figure(figsize=(8, 1.5 + 0.32 * max(rows, 3)), layout="constrained")
            figure.suptitle(title, fontweight="bold")
            draw(figure.subplots(), figures)
            for kind, metadata in (("png", {"Software": None}), ("svg", {"Date": None})):
                path = folder / f"{name}.{kind}"
                with replacing(path) as file:
                    figure.savefig(file, format=kind, dpi=200, metadata=metadata)
                written.append(path)
    return written


def _funnel(axes: Any, figures: Mapping[str, Any]) -> None:
    """Draw kept and rejected shares of each stage, with the numbers."""
    from matplotlib.patches import Patch

    flows = figures["funnel"]
    names = [f"{flow['stage']} ({shown_unit(flow['unit'])}s)" for flow in flows]
    kept = [100 * flow["out"] / max(flow["in"], 1) for flow in flows]
    lost = [100 * (flow["in"] - flow["out"]) / max(flow["in"], 1) for flow in flows]
    axes.barh(names, kept, color=ACCENT, height=0.6)
    edges = [LOST if number else "none" for number in lost]
    axes.barh(names, lost, left=kept, color="none", edgecolor=edges, hatch="////", height=0.6)
    for row, flow in enumerate(flows):
        axes.text(101, row, f"{flow['out']:,} of {flow['in']:,}", va="center", color=INK)
    axes.invert_yaxis()
    axes.set_xlim(0, 128)
    axes.set_xticks([0, 25, 50, 75, 100])
    axes.set_xlabel("% of what went in")
    parts = [Patch(color=ACCENT, label="kept"), Patch(facecolor="none", edgecolor=LOST, hatch="////", label="rejected")]
    axes.legend(handles=parts, loc="lower center", bbox_to_anchor=(0.4, 1.0), ncols=2, frameon=False)


def _top_types(axes: Any, figures: Mapping[str, Any]) -> None:
    """Draw the most frequent types by samples."""
    top = figures["labels"]["top"][:TOP]
    counts = [entry["samples"] for entry in top]
    rows = range(len(top))
    axes.barh(rows, counts, color=ACCENT, height=0.7)
    axes.set_yticks(rows, [_short(entry["label"]) for entry in top])
    for row, number in zip(rows, counts, strict=True):
        axes.text(number + 0.01 * max(counts), row, f"{number:,}", va="center", color=SOFT)
    axes.invert_yaxis()
    axes.set_xlim(0, 1.12 * max(counts, default=1))
    axes.set_xlabel("samples")
    axes.xaxis.set_major_formatter("{x:,.0f}")


def _long_tail(axes: Any, figures: Mapping[str, Any]) -> None:
    """Draw mentions of a type against its rank."""
    points = figures["labels"]["rank_frequency"]
    axes.plot(*zip(*points, strict=True), color=ACCENT, marker="o", markersize=4) if points else None
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel("rank of the type")
    axes.set_ylabel("mentions")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter("{x:,.0f}")
    axes.grid(color="#e2e3e0")


def _short(label: str) -> str:
    flat = " ".join(label.split())
    return flat if len(flat) <= _LONGEST else f"{flat[: _LONGEST - 1]}…"
