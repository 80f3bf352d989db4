"""The figures of a run, computed from its files alone. Every number shown anywhere is read from ``audit.json``.

The same files give the same bytes: nothing here depends on the time, on order in memory or on the machine.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

import pandas as pd

from annotator import tables
from annotator.config import STAGES
from annotator.records import LabelUse
from annotator.rundir import SPLITS, RunDir, write_json

VERSION: Final = 1
TOP: Final = 100
"""Labels listed one by one."""
TOP_MERGED: Final = 20
"""Types listed with the raw labels that became them."""


def audit(run: RunDir) -> dict[str, Any]:
    """Compute the figures of ``run`` and write them to ``audit.json``.

    Raises:
        RunDirError: a stage has not been run, or a file is damaged.
    """
    manifest = run.read_manifest()
    annotations = _annotations(run)
    annotations["labels"] |= _merges(run)
    figures = {
        "version": VERSION,
        "funnel": funnel(manifest),
        "passages": _passages(run, manifest["config"]),
        **annotations,
        "samples": _samples(run),
        "teacher": manifest["teacher"],
        "tokenizer": manifest["tokenizer"],
        "source": manifest["source"],
        "lexicon": manifest["lexicon"],
    }
    write_json(run.audit, figures)
    return figures


def funnel(manifest: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What went in and out of each stage, in order; in = out + rejected."""
    stages = manifest.get("stages", {})
    return [flow for stage in STAGES if stage in stages for flow in stages[stage]["funnel"]]


def _passages(run: RunDir, config: Mapping[str, Any]) -> dict[str, Any]:
    lengths: Counter[int] = Counter()
    cuts: Counter[str] = Counter()
    joined = 0
    for row in tables.rows(run.passages, ["n_tokens", "cut", "pieces"]):
        lengths[row["n_tokens"]] += 1
        cuts[row["cut"] or "none"] += 1
        joined += len(row["pieces"]) > 1
    low, high = config["min_tokens"], config["max_tokens"]
    return {
        "count": lengths.total(),
        "tokens": distribution(lengths),
        "bounds": [low, high],
        "below": sum(number for length, number in lengths.items() if length < low),
        "above": sum(number for length, number in lengths.items() if length > high),
        "cut_sentences": dict(sorted(cuts.items())),
        "joined_from_several_documents": joined,
    }


def _annotations(run: RunDir) -> dict[str, Any]:
    mentions: Counter[str] = Counter()
    passages: Counter[str] = Counter()
    matches: Counter[str] = Counter()
    statuses: Counter[str] = Counter()
    syllables: Counter[int] = Counter()
    per_passage: Counter[int] = Counter()
    types: Counter[int] = Counter()
    nested = conflicts = 0
    for row in tables.rows(run.annotations, ["mentions", "reply_status"]):
        found = row["mentions"]
        labels = Counter(mention["label"] for mention in found)
        mentions.update(labels)
        passages.update(labels.keys())
        matches.update(mention["match"] for mention in found)
        syllables.update(len(mention["text"].split()) for mention in found)
        statuses[row["reply_status"]] += 1
        per_passage[len(found)] += 1
        types[len(labels)] += 1
        spans = Counter((mention["start"], mention["end"]) for mention in found)
        conflicts += sum(number > 1 for number in spans.values())
        nested += _nested(sorted(spans, key=lambda span: (span[0], -span[1])))
    return {
        "labels": _labels(mentions, passages),
        "mentions": {
            "count": mentions.total(),
            "match": _descending(matches),
            "syllables": distribution(syllables),
            "per_passage": distribution(per_passage),
            "types_per_passage": distribution(types),
            "passages_without": per_passage[0],
            "spans_nested": nested,
            "spans_with_several_labels": conflicts,
        },
        "replies": _descending(statuses),
    }


def _nested(spans: Sequence[tuple[int, int]]) -> int:
    """How many of the distinct spans, in order of start and the longer first, lie within another."""
    reach = number = 0
    for _, end in spans:
        number += end <= reach
        reach = max(reach, end)
    return number


def _labels(mentions: Counter[str], passages: Counter[str]) -> dict[str, Any]:
    """Frequencies of the types, and how much of all mentions the head of the list holds (as UniversalNER counts)."""
    table = pd.DataFrame(
        {"samples": pd.Series(passages, dtype="int64"), "mentions": pd.Series(mentions, dtype="int64")}
    )
    table = table.rename_axis("label").reset_index().sort_values(["samples", "label"], ascending=[False, True])
    total = max(int(table["mentions"].sum()), 1)
    by_mentions = table["mentions"].sort_values(ascending=False)
    one, ten = (-(-len(table) * share // 100) for share in (1, 10))
    head, middle = int(by_mentions[:one].sum()), int(by_mentions[one:ten].sum())
    return {
        "distinct": len(table),
        "mentions": mentions.total(),
        "top": [
            {"label": label, "samples": passages[label], "mentions": mentions[label]} for label in table["label"][:TOP]
        ],
        "only_once": int((table["mentions"] == 1).sum()),
        "share_of_mentions": {
            "top_1_percent": round(head / total, 6),
            "next_9_percent": round(middle / total, 6),
            "rest": round((mentions.total() - head - middle) / total, 6),
        },
    }


def _merges(run: RunDir) -> dict[str, Any]:
    """How the teacher's labels became types, from the merge log."""
    uses = list(tables.read_labels(run.labels))
    rules: dict[str, Counter[str]] = {"raw_labels": Counter(), "claims": Counter()}
    statuses: dict[str, Counter[str]] = {"raw_labels": Counter(), "claims": Counter()}
    merged: dict[str, list[LabelUse]] = {}
    for use in uses:
        for counts, name in ((rules, use.rule), (statuses, use.status)):
            counts["raw_labels"][name] += 1
            counts["claims"][name] += use.claims
        if use.label and use.status in {"kept", "changed"}:
            merged.setdefault(use.label, []).append(use)
    widest = sorted(merged.items(), key=lambda item: (-len(item[1]), item[0]))[:TOP_MERGED]
    return {
        "raw_distinct": len(uses),
        "by_status": _side_by_side(statuses),
        "by_rule": _side_by_side(rules),
        "merged_top": [
            {
                "label": label,
                "raw_labels": len(group),
                "claims": sum(use.claims for use in group),
                "most_frequent": {use.raw: use.claims for use in group[:10]},
            }
            for label, group in widest
            if len(group) > 1
        ],
    }


def _side_by_side(counts: Mapping[str, Counter[str]]) -> dict[str, dict[str, int]]:
    names = _descending(counts["claims"])
    return {name: {unit: counted[name] for unit, counted in counts.items()} for name in names}


def _samples(run: RunDir) -> dict[str, Any]:
    splits: dict[str, dict[str, int]] = {}
    for split in SPLITS:
        counted = Counter(row["negative"] for row in tables.rows(run.samples(split), ["negative"]))
        splits[split] = {"positive": counted[False], "negative": counted[True]}
    return {"count": sum(sum(counted.values()) for counted in splits.values()), "splits": splits}


def distribution(counts: Mapping[int, int]) -> dict[str, float]:
    """Minimum, median, mean, 95th percentile and maximum of numbers given with their frequency."""
    if not counts:
        return {}
    series = pd.Series(counts).sort_index()
    cumulative = series.cumsum() / series.sum()
    values = series.index.to_series()
    return {
        "min": int(values.iloc[0]),
        "median": int(values[cumulative >= 0.5].iloc[0]),
        "mean": round(float((values * series).sum() / series.sum()), 3),
        "p95": int(values[cumulative >= 0.95].iloc[0]),
        "max": int(values.iloc[-1]),
    }


def _descending(counts: Counter[str]) -> dict[str, int]:
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))
