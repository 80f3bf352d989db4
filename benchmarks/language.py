"""How often langdetect recognises the language of a type name, compared with whole passages.

    python benchmarks/language.py --run runs/news --news news/

The type names are those of the lexicon: Vietnamese names with and without diacritics, and the English types. langdetect
is compared with a rule by script: a letter outside ASCII is Vietnamese. With ``--news``, screening is measured: how
many articles their letters settle, the answers of langdetect for these, and the time of each method.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from langdetect import DetectorFactory, detect
from langdetect.lang_detect_exception import LangDetectException

from annotator.records import Document
from annotator.sources.sampling import sample
from annotator.sources.screening import _CLEARLY_VIETNAMESE, vietnamese_share
from annotator.storage import tables
from annotator.storage.rundir import RunDir
from normalizers.labels import load_lexicon
from normalizers.text import strip_diacritics


def named(texts: Iterable[str]) -> Counter[str]:
    """Count the language that langdetect names for each text."""

    def name(text: str) -> str:
        try:
            return str(detect(text))
        except LangDetectException:
            return "none"

    return Counter(map(name, texts))


def figures(found: Counter[str], right: str) -> dict[str, object]:
    """Return the share of ``right`` and the most frequent other answers."""
    wrong = Counter({name: number for name, number in found.items() if name != right})
    return {
        "texts": found.total(),
        "right": round(found[right] / max(1, found.total()), 4),
        "most_wrong": dict(wrong.most_common(5)),
    }


def screening(texts: list[str]) -> dict[str, object]:
    """Return how many texts the letters settle, langdetect's answers for them, and the time for an article."""
    began = time.perf_counter()
    clear = [vietnamese_share(text) > _CLEARLY_VIETNAMESE for text in texts]
    between = time.perf_counter()
    told = [name == "vi" for text in texts for name in named([text[:10_000]])]
    end = time.perf_counter()
    return {
        "articles": len(texts),
        "settled_by_letters": sum(clear),
        "of_these_vietnamese_to_langdetect": sum(one and other for one, other in zip(clear, told, strict=True)),
        "vietnamese_to_langdetect": sum(told),
        "ms_by_letters": round(1000 * (between - began) / len(texts), 3),
        "ms_by_langdetect": round(1000 * (end - between) / len(texts), 3),
    }


def main() -> None:
    """Measure, and print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, help="a run directory, for its passages")
    parser.add_argument("--news", type=Path, help="a folder of articles")
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
    report: dict[str, dict[str, object]] = {}
    if args.news:
        news = [row.text for row in sample(args.news, args.texts, 0) if isinstance(row, Document)]
        report["articles"] = screening(news)
        report["articles without diacritics"] = screening(list(map(strip_diacritics, news)))
    for kind, (texts, right) in kinds.items():
        drawn = rng.sample(texts, min(args.texts, len(texts)))
        report[kind] = figures(named(drawn), right)
        by_script = sum((right == "vi") != text.isascii() for text in drawn)
        report[kind]["right_by_script"] = round(by_script / len(drawn), 4)
    print(json.dumps(report, ensure_ascii=False, indent=2))


if __name__ == "__main__":
    main()
