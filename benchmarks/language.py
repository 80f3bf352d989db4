"""How often langdetect names the language of a type name right, beside whole passages.

    python benchmarks/language.py --run runs/news

The type names are the lexicon's own: its Vietnamese names with and without diacritics, and the English types. Beside
langdetect stands what the script alone says: a letter outside ASCII is Vietnamese.
"""

from __future__ import annotations

import argparse
import json
import random
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from langdetect import DetectorFactory, detect
from langdetect.lang_detect_exception import LangDetectException

from annotator import tables
from annotator.rundir import RunDir
from normalizers.labels import load_lexicon
from normalizers.text import strip_diacritics


def named(texts: Iterable[str]) -> Counter[str]:
    """Count what langdetect calls each text."""

    def name(text: str) -> str:
        try:
            return str(detect(text))
        except LangDetectException:
            return "none"

    return Counter(map(name, texts))


def figures(found: Counter[str], right: str) -> dict[str, object]:
    """Return the share of ``right`` and what was named most often in its place."""
    wrong = Counter({name: number for name, number in found.items() if name != right})
    return {
        "texts": found.total(),
        "right": round(found[right] / max(1, found.total()), 4),
        "most_wrong": dict(wrong.most_common(5)),
    }


def main() -> None:
    """Measure, print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, help="a run directory, for its passages")
    parser.add_argument("--texts", type=int, default=1000, help="texts of each kind at most")
    args = parser.parse_args()
    DetectorFactory.seed = 0
    rng, lexicon = random.Random(0), load_lexicon()
    vietnamese, english = sorted(lexicon.vietnamese), sorted(lexicon.known)
    kinds = {
        "Vietnamese type names": (vietnamese, "vi"),
        "of them, one or two syllables": ([name for name in vietnamese if name.count(" ") < 2], "vi"),
        "of them, three syllables or more": ([name for name in vietnamese if name.count(" ") >= 2], "vi"),
        "without diacritics": ([strip_diacritics(name) for name in vietnamese], "vi"),
        "English types": (english, "en"),
        "of them, one word": ([name for name in english if " " not in name], "en"),
        "of them, two words or more": ([name for name in english if " " in name], "en"),
    }
    if args.run:
        kinds["passages"] = ([passage.text for passage in tables.read_passages(RunDir(args.run).passages)], "vi")
    report = {}
    for kind, (texts, right) in kinds.items():
        drawn = rng.sample(texts, min(args.texts, len(texts)))
        report[kind] = figures(named(drawn), right)
        by_script = sum((right == "vi") != text.isascii() for text in drawn)
        report[kind]["right_by_script"] = round(by_script / len(drawn), 4)
    print(json.dumps(report, ensure_ascii=False, indent=2))


if __name__ == "__main__":
    main()
