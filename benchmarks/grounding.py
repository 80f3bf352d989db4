"""Accuracy and speed of grounding: planted true and false mentions over real passages.

    python benchmarks/grounding.py --news DIR --pairs 20000 [--seed 0] [--slow-pairs 400] [--json]

DIR has Parquet files with a column ``text``. Articles are cut to passages of about 900 characters. A true pair is a
passage and a text in it (a capitalised run of syllables, a number, an abbreviation, common words), as it is or in a
spelling of a teacher; a false pair has a text that is not in the passage. Regular expressions and lists of syllables in
this file decide what is true, not the code under test. Contenders: the grounder and, if installed, rapidfuzz's partial
alignment (score 90) and langextract's aligner (defaults); these two get ``--slow-pairs`` pairs. Speed is measured on
the exact pairs, and compared with a loop of `str.find` over all occurrences.
"""

from __future__ import annotations

import argparse
import functools
import itertools
import json
import random
import re
import sys
import time
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from normalizers.grounding import Grounder, Match

Spans = list[tuple[int, int]]
Contender = Callable[[str], Callable[[str], Spans]]
"""Returns for a passage a function from a mention to its spans."""

CHARS = 900
UPPER = "[A-ZĐÀ-ÖØ-ÝĂĨŨƠƯẠẢẤẦẨẪẬẮẰẲẴẶẸẺẼẾỀỂỄỆỈỊỌỎỐỒỔỖỘỚỜỞỠỢỤỦỨỪỬỮỰỲỴỶỸ]"
TITLES = "TP|Tp|TX|TT|Q|P|GS|PGS|TS|ThS|BS"
SORTS = {
    "name": rf"{UPPER}\w+(?: {UPPER}\w+){{1,4}}",
    "two names": rf"{UPPER}\w+ [-–] {UPPER}\w+",
    "abbreviation": rf"(?:{TITLES})\. ?{UPPER}\w+(?: {UPPER}\w+){{0,3}}",
    "number": r"\d+(?:[.,/]\d+)*(?: (?:đồng|USD|tuổi|km|triệu đồng|tỷ đồng))?",
    "words": r"[a-zđ]\w*[à-ỹ]\w* [a-zđ]\w*[à-ỹ]\w*",
}
GLUE = r"\w'’&@/–\-\u0300-\u036f\u00ad\u200b"
MENTIONS = {sort: re.compile(rf"(?<![.,:{GLUE}])(?:{body})(?![{GLUE}]|[.,:]\w)") for sort, body in SORTS.items()}
TONES = "\u0300\u0301\u0303\u0309\u0323"
OLD = ["òa", "óa", "ỏa", "õa", "ọa", "òe", "óe", "ỏe", "õe", "ọe", "ùy", "úy", "ủy", "ũy", "ụy"]
NEW = ["oà", "oá", "oả", "oã", "oạ", "oè", "oé", "oẻ", "oẽ", "oẹ", "uỳ", "uý", "uỷ", "uỹ", "uỵ"]


@dataclass(frozen=True, slots=True)
class Pair:
    """A mention to ground in a passage; ``span`` is its place, or None if the passage does not have it."""

    kind: str
    text: str
    mention: str
    span: tuple[int, int] | None


@dataclass(slots=True)
class Tally:
    """The results of a contender for the pairs of one kind."""

    pairs: int = 0
    found: int = 0
    """True pairs whose spans include the planted place; false pairs with any span."""
    wrong: int = 0
    """Pairs with a span that is another text than the mention."""


@functools.lru_cache(maxsize=4096)
def flat(text: str) -> str:
    """Return the syllables of ``text`` without case and punctuation, tone last: equal for equal mentions."""
    plain = unicodedata.normalize("NFKD", text.replace("_", " ")).lower().replace("\u00ad", "").replace("\u200b", "")
    words = re.findall(r"[\w\u0300-\u036f]+", plain)
    parted = ("".join(sorted(word, key=lambda char: char in TONES)) for word in words)
    return "|" + "".join(f"{word}|" for word in parted)


def passages(news: Path) -> Iterator[str]:
    """Yield runs of whole sentences of at least 900 characters in NFC, without the rest of an article."""
    import pyarrow.parquet as pq

    for file in sorted(news.glob("*.parquet")):
        for text in pq.read_table(file, columns=["text"]).column("text").to_pylist():
            start = 0
            for stop in re.finditer(r"[.!?…]\s+|\n", text or ""):
                if stop.end() - start >= CHARS:
                    yield unicodedata.normalize("NFC", text[start : stop.end()].strip())
                    start = stop.end()


def swapped(mention: str, old: list[str], new: list[str]) -> str:
    """Return ``mention`` with each of ``old`` replaced by its ``new`` (open syllables only; not in qu)."""
    for was, put in zip(old, new, strict=True):
        for a, b in ((was, put), (was.upper(), put.upper())):
            mention = re.sub(rf"(?<![qQ]){a}(?!\w)", b, mention)
    return mention


def abbreviated(mention: str, stop: str) -> str:
    """Return ``mention`` with the full stop of its first abbreviation replaced by ``stop``."""
    return re.sub(rf"^({TITLES})\. ?(?=\w)", rf"\g<1>{stop}", mention)


REWRITES: dict[str, Callable[[str], str]] = {
    "decomposed": lambda mention: unicodedata.normalize("NFD", mention),
    "full width": lambda mention: "".join(chr(ord(char) + 0xFEE0) if char.isdigit() else char for char in mention),
    "new tone place": lambda mention: swapped(mention, OLD, NEW),
    "old tone place": lambda mention: swapped(mention, NEW, OLD),
    "upper case": str.upper,
    "lower case": str.lower,
    "title case": lambda mention: " ".join(word[0].upper() + word[1:] for word in mention.split(" ")),
    "no-break space": lambda mention: mention.replace(" ", "\u00a0"),
    "double space": lambda mention: mention.replace(" ", "  "),
    "line break": lambda mention: mention.replace(" ", "\n", 1),
    "zero width": lambda mention: mention.replace(" ", "\u200b ", 1),
    "space around": lambda mention: f" {mention}\n",
    "space lost": lambda mention: re.sub(r" ?([-–]) ?", r"\1", mention),
    "dash": lambda mention: mention.replace("-", "—").replace("–", "-"),
    "abbreviation .": lambda mention: abbreviated(mention, "."),
    "abbreviation . space": lambda mention: abbreviated(mention, ". "),
    "abbreviation space": lambda mention: abbreviated(mention, " "),
    "abbreviation Tp": lambda mention: abbreviated(mention, ".").replace("TP.HCM", "Tp.Hcm"),
    "straight quotes": lambda mention: f'"{mention}"',
    "curly quotes": lambda mention: f"“{mention}”",
    "full stop": lambda mention: f"{mention}.",
    "underscores": lambda mention: mention.replace(" ", "_"),
    "all at once": lambda mention: f'"{swapped(mention, OLD, NEW).upper()}".'.replace(" ", "_"),
}


def true_pair(rng: random.Random, text: str) -> Pair | None:
    """Return a text that is in the passage once, as it is or rewritten to a text that the passage does not have."""
    kind, rewrite = ("exact", str) if rng.random() < 0.25 else rng.choice(list(REWRITES.items()))
    spots = [spot for pattern in MENTIONS.values() for spot in pattern.finditer(text)]
    if kind != "exact":
        spots = [spot for spot in spots if rewrite(spot[0]) not in text]
    spots = [spot for spot in spots if flat(text).count(flat(spot[0])) == 1]  # there is exactly one place to find
    if not spots:
        return None
    spot = rng.choice(spots)
    return Pair(kind, text, rewrite(spot[0]), spot.span())


def letter_changed(rng: random.Random, mention: str) -> str:
    """Return ``mention`` with one letter replaced by another."""
    at = rng.choice([i for i, char in enumerate(mention) if char.isalpha()])
    return mention[:at] + rng.choice("bcdghklmnprstvxaeiou") + mention[at + 1 :]


def tone_changed(rng: random.Random, mention: str) -> str:
    """Return ``mention`` with the tone of one syllable changed, or unchanged if it has none."""
    plain = unicodedata.normalize("NFD", mention)
    at = [i for i, char in enumerate(plain) if char in TONES]
    if not at:
        return mention
    i = rng.choice(at)
    return unicodedata.normalize("NFC", plain[:i] + rng.choice(TONES.replace(plain[i], "")) + plain[i + 1 :])


def bare(mention: str) -> str:
    """Return ``mention`` without diacritics."""
    plain = re.sub("[\u0300-\u036f]", "", unicodedata.normalize("NFD", mention))
    return plain.replace("đ", "d").replace("Đ", "D")


def false_pair(rng: random.Random, text: str, elsewhere: str) -> Pair | None:
    """Return a text like a mention that is not in the passage; ``elsewhere`` is a name of another passage."""
    spots = [*MENTIONS["name"].finditer(text), *MENTIONS["words"].finditer(text)]
    if not spots:
        return None
    mention = rng.choice(spots)[0]
    word = rng.choice(mention.split(" "))
    kinds: dict[str, Callable[[], str]] = {
        "of another passage": lambda: elsewhere,
        "extended": lambda: f"{mention} {elsewhere.rsplit(' ', maxsplit=1)[-1]}",
        "prefixed": lambda: f"{elsewhere.split(' ', maxsplit=1)[0]} {mention}",
        "letter changed": lambda: letter_changed(rng, mention),
        "tone changed": lambda: tone_changed(rng, mention),
        "no diacritics": lambda: bare(mention),
        "last letter cut": lambda: mention[:-1],
        "first letter cut": lambda: mention[1:],
        "part of a syllable": lambda: word[: max(1, len(word) // 2)] if rng.random() < 0.5 else word[len(word) // 2 :],
        "words swapped": lambda: " ".join(reversed(mention.split(" "))),
        "word left out": lambda: " ".join(mention.split(" ")[::2]) if mention.count(" ") > 1 else mention,
    }
    kind, make = rng.choice(list(kinds.items()))
    made = make()
    return None if flat(made) in flat(text) or not made.strip() else Pair(kind, text, made, None)


def part_pair(rng: random.Random, text: str) -> Pair | None:
    """Return the front of a number or an abbreviation that the passage does not have elsewhere."""
    spots = list(re.finditer(rf"\b\d+(?:[.,/]\d+)+|\b{UPPER}{{2,4}}\.(?={UPPER})", text))
    if not spots:
        return None
    front = re.split(r"\W", rng.choice(spots)[0])[0]
    alone = re.findall(rf"(?i)(?<!\w){front}(?!\w)", text)
    return Pair("part of a number or abbreviation", text, front, None) if len(alone) == 1 else None


def plant(texts: list[str], wanted: int, seed: int) -> list[Pair]:
    """Return ``wanted`` pairs over ``texts``, about half of them true and half false."""
    rng = random.Random(seed)
    names = [spot[0] for text in texts for spot in MENTIONS["name"].finditer(text)]
    pairs: list[Pair] = []
    for tries in itertools.count():
        if len(pairs) >= wanted or tries > 20 * wanted:
            return pairs
        text, draw = rng.choice(texts), rng.random()
        if draw < 0.5:
            pair = true_pair(rng, text)
        elif draw < 0.95:
            pair = false_pair(rng, text, rng.choice(names))
        else:
            pair = part_pair(rng, text)
        pairs += [pair] if pair else []
    return pairs


def find_all(text: str) -> Callable[[str], Spans]:
    """Return every occurrence that `str.find` finds, also inside words: the lower bound of the time."""

    def ground(mention: str) -> Spans:
        spans, start = [], text.find(mention)
        while start >= 0:
            spans.append((start, start + len(mention)))
            start = text.find(mention, start + len(mention))
        return spans

    return ground


def grounder(text: str) -> Callable[[str], Spans]:
    """Return the code under test."""
    ground = Grounder(text).ground

    def spans(mention: str) -> Spans:
        found = ground(mention)
        return list(found.spans) if isinstance(found, Match) else []

    return spans


def rapidfuzz() -> Contender:
    """Return rapidfuzz's best partial alignment with a score of at least 90."""
    from rapidfuzz.fuzz import partial_ratio_alignment

    def contender(text: str) -> Callable[[str], Spans]:
        def ground(mention: str) -> Spans:
            best = partial_ratio_alignment(mention, text, score_cutoff=90)
            return [(best.dest_start, best.dest_end)] if best else []

        return ground

    return contender


def langextract() -> Contender:
    """Return langextract's aligner with its own settings."""
    from langextract.core.data import Extraction
    from langextract.resolver import WordAligner

    def contender(text: str) -> Callable[[str], Spans]:
        def ground(mention: str) -> Spans:
            aligned = WordAligner().align_extractions([[Extraction("entity", mention)]], text)
            places = [extraction.char_interval for group in aligned for extraction in group]
            return [(place.start_pos, place.end_pos) for place in places if place]

        return ground

    return contender


def judge(contender: Contender, pairs: list[Pair]) -> tuple[dict[str, Tally], float]:
    """Return a tally for each kind, true ones first, and microseconds a pair, with one contender a passage."""
    tallies: dict[str, Tally] = {}
    spent = 0.0
    for text, group in itertools.groupby(sorted(pairs, key=lambda pair: pair.text), key=lambda pair: pair.text):
        asked = list(group)
        start = time.perf_counter()
        ground = contender(text)
        answers = [ground(pair.mention) for pair in asked]
        spent += time.perf_counter() - start
        for pair, spans in zip(asked, answers, strict=True):
            tally = tallies.setdefault(f"{'true' if pair.span else 'false'}: {pair.kind}", Tally())
            tally.pairs += 1
            tally.found += pair.span in spans if pair.span else bool(spans)
            tally.wrong += any(
                flat(text[a:b]) != flat(pair.mention) or text[a:b] != text[a:b].strip() for a, b in spans
            )
    return dict(sorted(tallies.items(), reverse=True)), 1e6 * spent / max(1, len(pairs))


def summary(tallies: dict[str, Tally], micros: float) -> dict[str, object]:
    """Return the figures of one contender."""
    true = [tally for kind, tally in tallies.items() if kind.startswith("true")]
    false = [tally for kind, tally in tallies.items() if kind.startswith("false")]
    return {
        "true_pairs": sum(tally.pairs for tally in true),
        "recall": sum(tally.found for tally in true) / max(1, sum(tally.pairs for tally in true)),
        "false_pairs": sum(tally.pairs for tally in false),
        "false_accepts": sum(tally.found for tally in false),
        "wrong_slices": sum(tally.wrong for tally in true),
        "pairs_per_second": round(1e6 / micros) if micros else None,
        "kinds": {kind: asdict(tally) for kind, tally in tallies.items()},
    }


def exact_speed(pairs: list[Pair]) -> dict[str, float]:
    """Return microseconds a pair of `str.find` and the grounder on exact pairs, 13 a passage, best of five."""
    texts = sorted({pair.text for pair in pairs})[:500]
    work = [(text, [spot[0] for spot in MENTIONS["name"].finditer(text)][:13]) for text in texts]
    total = max(1, sum(len(mentions) for _, mentions in work))

    def once(contender: Contender) -> float:
        start = time.perf_counter()
        for text, mentions in work:
            ground = contender(text)
            for mention in mentions:
                ground(mention)
        return 1e6 * (time.perf_counter() - start) / total

    rounds = [(once(find_all), once(lambda text: Grounder(text).ground)) for _ in range(5)]
    find, ground = (min(times) for times in zip(*rounds, strict=True))
    return {"find_us": find, "grounder_us": ground, "ratio": ground / find}


def show(report: dict[str, object]) -> None:
    """Print the report: a line for each figure, a line for each kind."""
    for name, figures in report.items():
        print(f"{name}: {figures if not isinstance(figures, dict) else ''}")
        for figure, value in figures.items() if isinstance(figures, dict) else ():
            if figure != "kinds":
                print(f"  {figure:16} {value:.4g}" if isinstance(value, float) else f"  {figure:16} {value}")
                continue
            for kind, tally in value.items():
                print(f"    {kind:42} {tally['pairs']:6} pairs {tally['found']:6} found {tally['wrong']:4} wrong")


def main() -> None:
    """Plant the pairs, judge, print."""
    parser = argparse.ArgumentParser(description="Accuracy and speed of grounding on planted mentions.")
    parser.add_argument("--news", type=Path, required=True, help="folder of Parquet files with a column text")
    parser.add_argument("--pairs", type=int, default=20000)
    parser.add_argument("--slow-pairs", type=int, default=400, help="pairs for the other libraries")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")
    args = parser.parse_args()
    texts = list(passages(args.news))
    if not texts:
        parser.error(f"no passage of {CHARS} characters in {args.news}; give a folder of Parquet files of news")
    pairs = plant(texts, args.pairs, args.seed)
    report: dict[str, object] = {"passages": len(texts), "exact": exact_speed(pairs)}
    report["grounder"] = summary(*judge(grounder, pairs))
    for make in (rapidfuzz, langextract):
        try:
            report[make.__name__] = summary(*judge(make(), pairs[: args.slow_pairs]))
        except ImportError:
            report[make.__name__] = "not installed"
    if args.json:
        print(json.dumps(report, ensure_ascii=False))
    else:
        show(report)


if __name__ == "__main__":
    main()
