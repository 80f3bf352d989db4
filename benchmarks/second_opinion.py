"""The value of a second teacher and an arbiter: simulated teachers with known truth.

    python benchmarks/second_opinion.py              # 20 draws of each setting, a few minutes
    python benchmarks/second_opinion.py --draws 3

The passages are those of the bundled sample, with the predictions of the embedded teacher as the truth. A simulated
teacher misses entities, changes their types, cuts or widens their spans, and invents others. With the probability
``common`` both teachers make the same error; otherwise each errs alone. The arbiter is the model of the second teacher:
it judges a candidate correctly with the probability ``ARBITER``, and with ``OWN`` if that teacher was wrong itself.
Both teachers have token probabilities that rank a wrong entity below a right one with the probability ``TOKENS``, the
middle of the values reported for entities. ``REVIEWS`` times, a person reads ``BLIND`` passages blind and finds the
truth.
The code is that of ``vner-annotate check``; tokens are counted by the tokenizer of Llama 3.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import NormalDist, mean

sys.path.insert(0, str(Path(__file__).parents[1]))

from annotator.checking.arbiter import NEWEST, QUESTIONS, SLOT, accepted
from annotator.checking.compare import Entity as Candidate
from annotator.checking.compare import candidates, compare, entities_of
from annotator.checking.drawing import Outline, fraction, positions
from annotator.checking.keeping import apply
from annotator.checking.opinions import Opinion, opinions
from annotator.cleaning.clean import Cleaned
from annotator.passages.tokenizers import Tokenizer, load_tokenizer
from annotator.records import Annotation, Completion, Mention
from annotator.run.forecast.build import AROUND_A_MESSAGE
from annotator.run.runner import run
from annotator.storage import tables
from annotator.terminal.events import Progress
from data_cards.audit.agreement import figures, whole
from data_cards.review.missed import measured_by_both, missed_in
from data_cards.review.readers import Gold
from prompts import Prompt, load_prompt

MISSED, TYPE, SPAN, INVENTED = 0.06, 0.03, 0.03, 0.05
"""Errors of a good teacher, as shares of the true entities; in all, 11 % of its predictions are wrong."""
WEAK = 2.0
"""The factor for the errors of a weak teacher."""
ARBITER, OWN = 0.95, 0.8
TOKENS = 0.70
"""AUROC of a teacher's own token probabilities."""
BLIND, REVIEWS = 40, 10
TYPES = ("person", "organization", "location", "date", "product", "event", "law", "disease")
SETTINGS = (
    ("independent errors", 0.0, 1.0, OWN),
    ("30 % in common", 0.3, 1.0, OWN),
    ("60 % in common", 0.6, 1.0, OWN),
    ("second one weak", 0.0, WEAK, OWN),
    ("weak, 30 % in common", 0.3, WEAK, OWN),
    ("independent, OWN 0.9", 0.0, 1.0, 0.9),
    ("independent, OWN 0.7", 0.0, 1.0, 0.7),
    ("independent, OWN 0.5", 0.0, 1.0, 0.5),
)
Entity = tuple[int, int, str]


@dataclass(frozen=True)
class World:
    """The passages with their truth, and a tokenizer."""

    truth: list[Annotation]
    tokenizer: Tokenizer
    prompt: Prompt
    arbiter: Prompt

    def shown(self, text: str, asked: Sequence[Candidate]) -> str:
        """Return what the arbiter sees of a passage."""
        return QUESTIONS[f"arbiter.{self.arbiter.version}"](text, asked)

    def tokens(self, prompt: Prompt, text: str, reply: str) -> int:
        """Return the tokens of a question about ``text`` and of its answer."""
        messages = prompt.messages(text)
        asked = sum(AROUND_A_MESSAGE + self.tokenizer.count(message["content"]) for message in messages)
        return AROUND_A_MESSAGE + asked + self.tokenizer.count(reply)


def make_world(prompt: str, arbiter: str) -> World:
    """Annotate the bundled sample with the embedded teacher."""
    with tempfile.TemporaryDirectory() as folder:
        outcome = run(Path(folder) / "run", {"source": "sample"}, Progress())
        truth = [one for one in tables.read_annotations(outcome.run.annotations) if one.mentions]
    return World(truth, load_tokenizer("llama3"), load_prompt(prompt), load_prompt(arbiter, SLOT))


def teachers(truth: Annotation, common: float, second: float, rng: random.Random) -> tuple[Annotation, Annotation]:
    """Return the predictions of two teachers for a passage."""
    said: tuple[set[Entity], set[Entity]] = (set(), set())
    words = [(found.start(), found.end()) for found in _words(truth.text)]
    for entity in entities_of(truth):
        spans = [(place.start, place.end) for place in entity.places]
        shared = _heard(spans, entity.label, words, 1.0, rng) if rng.random() < common else None
        for own, times in zip(said, (1.0, second), strict=True):
            own.update(shared if shared is not None else _heard(spans, entity.label, words, times, rng))
    for _ in entities_of(truth):
        both = rng.random() < common
        shared = _invented(words, 1.0, rng)
        for own, times in zip(said, (1.0, second), strict=True):
            own.update(shared if both else _invented(words, times, rng))
    return _annotation(truth, said[0]), _annotation(truth, said[1])


def _words(text: str) -> list[re.Match[str]]:
    return list(re.finditer(r"\w+", text))


def _heard(
    spans: list[tuple[int, int]], label: str, words: list[tuple[int, int]], times: float, rng: random.Random
) -> set[Entity]:
    chance = rng.random() / times
    if chance < MISSED:
        return set()
    if chance < MISSED + TYPE:
        label = rng.choice([other for other in TYPES if other != label])
    elif chance < MISSED + TYPE + SPAN:
        start, end = spans[0]
        inside = [word for word in words if start <= word[0] and word[1] <= end]
        after = next((word for word in words if word[0] >= end), None)
        if len(inside) > 1 and rng.random() < 0.5:
            spans = [(inside[1][0], end)]
        elif after:
            spans = [(start, after[1])]
    return {(start, end, label) for start, end in spans}


def _invented(words: list[tuple[int, int]], times: float, rng: random.Random) -> set[Entity]:
    if rng.random() >= INVENTED * times:
        return set()
    first = rng.randrange(len(words) - 1)
    return {(words[first][0], words[first + rng.randrange(2)][1], rng.choice(TYPES))}


def _annotation(truth: Annotation, said: set[Entity]) -> Annotation:
    found = [Mention(truth.text[start:end], label, label, start, end, "exact") for start, end, label in said]
    ordered = sorted(found, key=lambda one: (one.start, -one.end, one.label))
    return Annotation(truth.passage_id, truth.text, tuple(ordered), "ok")


def simulate(world: World, common: float, second: float, own: float, seed: int) -> dict[str, float]:
    """Ask two teachers and the arbiter about every passage, and return the figures."""
    rng = random.Random(seed)
    count: Counter[str] = Counter()
    golds: list[Gold] = []
    doubts: dict[str, dict[bool, list[float]]] = defaultdict(lambda: defaultdict(list))
    before, after = [], []
    missed: dict[str, int] = {}
    for truth in world.truth:
        right = {entity.key for entity in entities_of(truth)}
        one, other = teachers(truth, common, second, rng)
        pairs = compare(one, other)
        asked = candidates(pairs)
        said = {entity.key for entity in entities_of(other)}
        erred = {entity.key for entity in asked if (entity.key in said) != (entity.key in right)}
        judged = [
            number
            for number, entity in enumerate(asked, start=1)
            if (entity.key in right) == (rng.random() < (own if entity.key in erred else ARBITER))
        ]
        reply = json.dumps(judged)
        answer = Completion("", truth.passage_id, reply, "stop", 0, 0, 0.0, 0.0)
        decided = accepted(answer, asked)
        first = entities_of(one)
        kept = apply(Cleaned(one, len(first), ()), pairs, "arbiter", decided).annotation or one
        stays = {entity.key for entity in entities_of(kept)}
        mine = {entity.key for entity in first}
        count["right"] += len(mine & right)
        count["wrong"] += len(mine - right)
        count["right lost"] += len(mine & right - stays)
        count["wrong removed"] += len(mine - right - stays)
        count["true"] += len(right)
        count["kept"] += len(stays)
        count["kept right"] += len(stays & right)
        pair_reply = json.dumps([[e.mention, e.label] for e in entities_of(other)], ensure_ascii=False)
        count["second tokens"] += world.tokens(world.prompt, truth.text, pair_reply)
        count["arbiter tokens"] += world.tokens(world.arbiter, world.shown(truth.text, asked), reply) if asked else 0
        count["asked"] += bool(asked)
        count["candidates"] += len(asked)
        rows = list(opinions(truth.passage_id, pairs))
        before += rows
        after += opinions(truth.passage_id, pairs, decided)
        gold = Gold(truth.passage_id, frozenset(right), frozenset())
        golds.append(gold)
        missed[truth.passage_id] = missed_in(gold, truth.text, rows)
        sure = (
            _token_probabilities(entities_of(one), right, rng),
            _token_probabilities(entities_of(other), right, rng),
        )
        for name, given in (("alone", ({}, {})), ("first", (sure[0], {})), ("both", sure)):
            for row in opinions(truth.passage_id, pairs, None, given):
                if row.teacher != "second":
                    doubts[name][(row.mention, row.label) in right].append(row.doubt)
        for key, probability in sure[0].items():
            doubts["tokens"][key in right].append(1 - probability)
    texts = {one.passage_id: one.text for one in world.truth}
    measured = [
        measured_by_both(rng.sample(golds, BLIND), texts, dict.fromkeys(texts, ()), before, 1.0, len(texts))
        for _ in range(REVIEWS)
    ]
    share = sum(missed.values()) / count["true"]
    plain, corrected = figures(before)["missed_by_both"], figures(after)["missed_by_both"]
    return {
        "f1": figures(before)["f1"]["strict"],
        "wrong removed": count["wrong removed"] / count["wrong"],
        "right lost": count["right lost"] / count["right"],
        "precision": count["right"] / (count["right"] + count["wrong"]),
        "precision after": count["kept right"] / count["kept"],
        "recall": count["right"] / count["true"],
        "recall after": count["kept right"] / count["true"],
        "tokens": count["arbiter tokens"] / count["second tokens"],
        "candidates": count["candidates"] / len(world.truth),
        **{f"auroc {name}": auroc(own[False], own[True]) for name, own in doubts.items()},
        "missed": share,
        "measured": mean(one["value"] for one in measured),
        "covered": mean(one["low"] <= share <= one["high"] for one in measured),
        "chapman": plain["share"],
        "chapman after": corrected["share"],
    }


def sampled(world: World, share: float, draws: int) -> dict[str, tuple[float, float]]:
    """Check a share of the passages many times, with 30 % of the errors in common.

    Returns:
        For a stratified draw and one by hash: the standard error of the estimated F1 of the two teachers, and how often
        its interval contains the F1 over all passages.
    """
    rng = random.Random(0)
    rows: dict[str, list[Opinion]] = {}
    known = []
    for truth in world.truth:
        one, other = teachers(truth, 0.3, 1.0, rng)
        rows[truth.passage_id] = list(opinions(truth.passage_id, compare(one, other)))
        known.append(Outline(truth.passage_id, 0, Counter(entity.label for entity in entities_of(one))))
    true = whole([row for own in rows.values() for row in own], 1.0)["f1"]["value"]
    found = defaultdict(list)
    for seed in range(draws):
        places = {"stratified": positions(known, seed), "by hash": {one: fraction(seed, one) for one in rows}}
        for name, place in places.items():
            found[name].append(whole([row for one in rows if place[one] < share for row in rows[one]], share)["f1"])
    return {
        name: (
            mean((one["value"] - true) ** 2 for one in own) ** 0.5,
            mean(one["low"] <= true <= one["high"] for one in own),
        )
        for name, own in found.items()
    }


def _token_probabilities(
    entities: list[Candidate], right: set[tuple[str, str]], rng: random.Random
) -> dict[tuple[str, str], float]:
    """Draw token probabilities from two normal distributions, mapped to (0, 1); most are near 1."""
    normal = NormalDist()
    apart = 2**0.5 * normal.inv_cdf(TOKENS)
    return {one.key: normal.cdf(rng.gauss(1.5 if one.key in right else 1.5 - apart, 1.0)) for one in entities}


def auroc(high: list[float], low: list[float]) -> float:
    """Return the probability that one of ``high`` exceeds one of ``low``; ties count half."""
    lows = Counter(low)
    wins = sum(sum(n * ((h > v) + 0.5 * (h == v)) for v, n in lows.items()) for h in high)
    return wins / (len(high) * len(low))


def main() -> None:
    """Print a line for each setting, then the curve of Chapman's estimate."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draws", type=int, default=20, help="simulated runs of each setting")
    parser.add_argument("--prompt", default="open-ner-vi.2", help="prompt of the second teacher, for its tokens")
    parser.add_argument("--arbiter", default=NEWEST, choices=tuple(QUESTIONS), help="prompt of the arbiter")
    given = parser.parse_args()
    world = make_world(given.prompt, given.arbiter)
    print(f"{len(world.truth)} passages, {sum(len(entities_of(one)) for one in world.truth):,} true entities")
    print("setting                F1 of both | wrong removed  right lost | precision       recall          | "
          "tokens  candidates | AUROC of doubt, with the first's tokens, with both; of tokens alone")  # fmt: skip
    for name, common, second, own in SETTINGS:
        draws = [simulate(world, common, second, own, seed) for seed in range(given.draws)]
        at = {key: mean(draw[key] for draw in draws) for key in draws[0]}
        print(
            f"{name:22} {at['f1']:10.3f} | {at['wrong removed']:13.1%} {at['right lost']:11.1%} | "
            f"{at['precision']:.3f} -> {at['precision after']:.3f}  {at['recall']:.3f} -> {at['recall after']:.3f} | "
            f"{at['tokens']:6.1%} {at['candidates']:11.1f} | "
            f"{at['auroc alone']:.3f} {at['auroc first']:.3f} {at['auroc both']:.3f}; {at['auroc tokens']:.3f}",
            flush=True,
        )
    print("\nshare | standard error of F1, interval covers it: stratified | by hash")
    for share in (0.1, 0.2, 0.5):
        found = sampled(world, share, 20 * given.draws)
        print(f"{share:5.0%} | " + " | ".join(f"{error:.4f} {covered:4.0%}" for error, covered in found.values()))
    print(
        "\nerrors in common | missed by both | Chapman | Chapman without what the arbiter rejected | "
        f"measured in {BLIND} blind passages, interval covers the truth"
    )
    for tenth in range(10):
        draws = [simulate(world, tenth / 10, 1.0, OWN, seed) for seed in range(given.draws)]
        at = {key: mean(draw[key] for draw in draws) for key in draws[0]}
        print(
            f"{tenth / 10:16.0%} | {at['missed']:14.2%} | {at['chapman']:7.2%} | {at['chapman after']:7.2%} | "
            f"{at['measured']:7.2%} {at['covered']:6.0%}",
            flush=True,
        )


if __name__ == "__main__":
    main()
