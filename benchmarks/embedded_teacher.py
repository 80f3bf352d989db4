"""Precision, recall and F1 by type of the embedded teacher for persons, locations and organizations.

    python benchmarks/embedded_teacher.py [FILE ...] [--levels 1] [--errors] [--json]

Without a FILE the gold is ``benchmarks/data/embedded_teacher.jsonl``: 46 passages of the bundled sample, one of each
article, annotated by hand by the conventions of VLSP 2018. A FILE is a JSON Lines file of this form (``text`` and
``entities``, a list of ``[mention, type]``), or text with ``<ENAMEX TYPE="...">`` tags, of which ``--levels`` levels of
nesting are gold; its lines are joined to passages of about 900 characters. A mention is right if both ends and the type
are. The predictions are those after grounding and projection, as in a dataset.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from annotator.cleaning.occurrences import project
from annotator.teachers.embedded.tagger import extract, warm_up
from normalizers.grounding import Grounder, Match
from training.convert.enamex import parse

TYPES = ("person", "location", "organization")
SHIPPED = Path(__file__).parent / "data" / "embedded_teacher.jsonl"
CHARS = 900

Span = tuple[int, int, str]
"""Start, end and type of a mention; offsets are code points of its passage."""


@dataclass(frozen=True)
class Gold:
    """A passage and its entities."""

    text: str
    spans: frozenset[Span]


def located(text: str, pairs: Iterable[tuple[str, str]]) -> frozenset[Span]:
    """Return the places of mentions with these types in ``text``, as the clean stage finds them."""
    entities = list(pairs)
    found = [Grounder(text).ground(mention) for mention, _ in entities]
    projections = project(text, [match.spans if isinstance(match, Match) else () for match in found])
    kept = zip(entities, projections, strict=True)
    return frozenset((*span, label) for (_, label), one in kept for span in one.kept if label in TYPES)


def read(path: Path, levels: int) -> Iterator[Gold]:
    """Read the passages of a file."""
    content = path.read_text("utf-8-sig")
    if path.suffix == ".jsonl":
        for line in content.splitlines():
            row = json.loads(line)
            yield Gold(row["text"], located(row["text"], map(tuple, row["entities"])))
        return
    text, spans = "", set[Span]()
    for line in map(parse, content.splitlines()):
        if len(text) > CHARS:
            yield Gold(text, frozenset(spans))
            text, spans = "", set()
        marks = [mark for mark in line.marks if mark.level <= levels and mark.raw_type.lower() in TYPES]
        spans |= {(len(text) + mark.start, len(text) + mark.end, mark.raw_type.lower()) for mark in marks}
        text += line.text + "\n"
    yield Gold(text, frozenset(spans))


def figures(right: int, predicted: int, gold: int) -> dict[str, float]:
    """Return precision, recall and F1 with their counts."""
    precision, recall = right / max(1, predicted), right / max(1, gold)
    f1 = 2 * right / max(1, predicted + gold)
    return {"precision": precision, "recall": recall, "f1": f1, "right": right, "predicted": predicted, "gold": gold}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Precision, recall and F1 of the embedded teacher by type.")
    parser.add_argument("files", nargs="*", type=Path, default=[SHIPPED], metavar="FILE")
    parser.add_argument("--levels", type=int, default=1, help="levels of nesting that are gold in ENAMEX files")
    parser.add_argument("--errors", action="store_true", help="print what is wrong and what is missing")
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")
    args = parser.parse_args()
    warm_up()
    counts, nested, seconds, passages = Counter[tuple[str, str]](), 0, 0.0, 0
    for gold in (gold for path in args.files for gold in read(path, args.levels)):
        start = time.process_time()
        pairs = extract(gold.text)
        seconds, passages = seconds + time.process_time() - start, passages + 1
        predicted = located(gold.text, pairs)
        for kind, spans in (("right", predicted & gold.spans), ("predicted", predicted), ("gold", gold.spans)):
            counts.update((kind, label) for _, _, label in spans)
        nested += sum(
            any(b[0] <= a[0] and a[1] <= b[1] and a != b and a[2] == b[2] for b in predicted) for a in predicted
        )
        if args.errors:
            for name, spans in (("wrong", predicted - gold.spans), ("missing", gold.spans - predicted)):
                for first, last, label in sorted(spans):
                    around = gold.text[max(0, first - 25) : first], gold.text[first:last], gold.text[last : last + 25]
                    print(f"{name:8} {label:13} {'{}[{}]{}'.format(*around)!r}", file=sys.stderr)
    by_type = {label: figures(*(counts[kind, label] for kind in ("right", "predicted", "gold"))) for label in TYPES}
    total = sum(counts["predicted", label] for label in TYPES)
    report = {
        "types": by_type,
        "mean_f1": sum(row["f1"] for row in by_type.values()) / len(TYPES),
        "nested_in_own_type": nested / max(1, total),
        "passages": passages,
        "ms_a_passage": 1000 * seconds / max(1, passages),
    }
    if args.json:
        print(json.dumps(report))
        return
    for label, row in by_type.items():
        print(f"{label:13} P {row['precision']:.3f}  R {row['recall']:.3f}  F1 {row['f1']:.3f}  of {row['gold']} gold")
    print(f"mean F1 {report['mean_f1']:.3f}; {nested} of {total} inside a longer one of the same type")
    print(f"{passages} passages, {report['ms_a_passage']:.1f} ms of CPU each")


if __name__ == "__main__":
    main()
