"""Scores as tables for a person. Figures in percent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from annotator.terminal.words import plural
from training.score.matching import MATCHINGS, UNIVERSALNER_WARNING
from training.score.metrics import AVERAGES, LEVEL, SHARES
from training.tables import Grid, percent


def of_scores(report: Mapping[str, Any]) -> list[Grid]:
    """Return the grids of one scored file: micro and macro under each matching, then each type."""
    rows = []
    for matching in MATCHINGS:
        for average in AVERAGES:
            around = report["intervals"][matching][average]["f1"] if report["intervals"] else ()
            rows.append([f"{matching}, {average}", *_percents(report[matching][average]), _between(around)])
    title = (
        f"{plural(report['queries'], 'query')}, {plural(report['passages'], 'passage')}, "
        f"{report['unparsable']:,} unparsable"
    )
    overall = Grid(title, ["", "precision", "recall", "F1", f"{LEVEL:.0%} interval"], rows, UNIVERSALNER_WARNING)
    types = sorted(report["strict"]["per_type"].items(), key=lambda item: (-item[1]["support"], item[0]))
    each = [
        [name, f"{found['support']:,}", *_percents(found),
         *(percent(report[matching]["per_type"][name]["f1"]) for matching in MATCHINGS[1:])]
        if found["support"] or found["f1"] < 1
        else [name, "0", *["-"] * 5]  # nothing to find and nothing found
        for name, found in types
    ]  # fmt: skip
    header = ["type", "mentions", "precision", "recall", "F1", "relaxed", "universalner"]
    return [overall, Grid("By type: strict, and the F1 of the others", header, each)]


def of_comparison(report: Mapping[str, Any]) -> list[Grid]:
    """Return the grid of ``--compare``."""
    rows = []
    for matching in MATCHINGS:
        for average in AVERAGES:
            a, b = (report[side][matching][average]["f1"] for side in ("a", "b"))
            tested = report["comparison"][matching][average]
            gap, between = f"{100 * tested['difference']['f1']:+.2f}", _between(tested["interval"]["f1"])
            rows.append([f"{matching}, {average}", percent(a), percent(b), gap, between, f"{tested['p']:.4f}"])
    files = f"A = {report['files'][0]}, B = {report['files'][1]}"
    header = ["F1", "A", "B", "A - B", f"{LEVEL:.0%} interval", "p"]
    note = f"p: approximate randomisation over {report['draws']:,} draws; below 0.05, chance is no good explanation"
    return [Grid(files, header, rows, note)]


def of_variants(report: Mapping[str, Any]) -> list[Grid]:
    """Return the grid of ``--perturb``: F1 of each variant and what it lost against the original."""
    scored = {name: found for name, found in report["variants"].items() if found}
    base = scored.get("original")
    rows = []
    for name, found in scored.items():
        figures = []
        for matching in ("strict", "relaxed"):
            f1 = found[matching]["micro"]["f1"]
            lost = f"{100 * (f1 - base[matching]['micro']['f1']):+.2f}" if base and name != "original" else ""
            figures += [percent(f1), lost]
        around = found["intervals"]["strict"]["micro"]["f1"] if found["intervals"] else ()
        between = _between(around, "–")  # short: the table is for 80 columns
        rows.append([name, f"{found['changed']:.0%}", figures[0], between, *figures[1:], f"{found['unparsable']:,}"])
    header = ["variant", "changed", "strict", f"{LEVEL:.0%}", "lost", "relaxed", "lost", "no list"]
    note = (
        "changed: share of the queries whose text differs from the original's; lost: points of F1 against the original"
    )
    return [Grid("Micro F1 on variants of the benchmark", header, rows, note)]


def _percents(found: Mapping[str, float]) -> list[str]:
    return [percent(found[name]) for name in SHARES]


def _between(interval: Sequence[float], to: str = " to ") -> str:
    return to.join(map(percent, interval)) or "-"
