"""Do the intervals of ``quality`` cover the truth? Simulated reviews of datasets whose errors are known.

    python benchmarks/quality.py              # 1,000 reviews of each setting, a few minutes
    python benchmarks/quality.py --reviews 100

Each error rate has 20 datasets of 6,000 predicted entities in 800 passages, with 40 types by Zipf's law, most of them
rare. Errors are clustered: some passages have more than others (beta-distributed, intraclass correlation 0.1). A review
draws a sample in the order that ``vner-annotate review`` uses, looks up the truth, and estimates.
"""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from data_cards import estimates
from data_cards.review import predictions

PASSAGES, ENTITIES, TYPES = 800, 6_000, 40
RATES = (0.01, 0.02, 0.05, 0.1, 0.2, 0.3)
SIZES = (50, 100, 203, 400)
CLUSTERING = 0.1
DATASETS = 20
"""For each error rate. With one dataset, coverage would depend on its truth, since counts are integers."""


class World:
    """A dataset with its truth."""

    def __init__(self, rate: float, seed: int) -> None:
        random = np.random.default_rng(seed)
        shares = 1 / np.arange(1, TYPES + 1)
        labels = random.choice(TYPES, ENTITIES, p=shares / shares.sum())
        passages = random.integers(0, PASSAGES, ENTITIES)
        spread = 1 / CLUSTERING - 1
        by_passage = random.beta(rate * spread, (1 - rate) * spread, PASSAGES)
        by_label = np.clip(random.normal(1, 0.3, TYPES), 0.3, 2.0)
        self.right = random.random(ENTITIES) >= np.clip(by_passage[passages] * by_label[labels], 0, 1)
        self.labels, self.passages = labels, passages
        self.entities = [(str(p), str(i), str(t)) for i, (p, t) in enumerate(zip(passages, labels, strict=True))]
        # A second teacher agrees with nine of ten right entities and one of four wrong ones.
        self.agreed = np.where(self.right, random.random(ENTITIES) < 0.9, random.random(ENTITIES) < 0.25)
        # True entities of each passage: the right predictions, and some that were missed.
        self.found = np.bincount(passages[self.right], minlength=PASSAGES)
        self.missed = random.binomial(4, np.clip(random.beta(2, 6, PASSAGES), 0, 1))

    def strata(self, checked: np.ndarray, names: np.ndarray, scored: bool = False) -> list[estimates.Stratum]:
        """Return what a review of ``checked`` knows of each stratum."""
        found = []
        for name in np.unique(names):
            part = names == name
            own = part & checked
            group = name.rpartition(" / ")[2] if " / " in name else ""
            score = self.agreed[own].astype(float) if scored else None
            found.append(
                estimates.Stratum(
                    group, int(part.sum()), self.right[own].astype(float), score, float(self.agreed[part].mean())
                )
            )
        return found


HEAD = (
    "errors  checks | overall: covered  half | a type with 20+: covered, fewer: covered | recall: covered  half | "
    "second teacher: covered  checks saved"
)


def main() -> None:
    """Print a line for each error rate and size."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--reviews", type=int, default=1000, help="simulated reviews of each setting")
    reviews = parser.parse_args().reviews
    print(HEAD)
    for rate in RATES:
        tally: dict[tuple[int, str], list[float]] = defaultdict(list)
        for number in range(DATASETS):
            each = reviews // DATASETS
            simulate(
                World(rate, seed=1000 * number + int(rate * 100)), range(number * each, (number + 1) * each), tally
            )
        for size in SIZES:
            mean = {name: float(np.mean(values)) for (n, name), values in tally.items() if n == size}
            saved = 1 - (mean["second half"] / mean["half"]) ** 2
            print(
                f"{rate:6.0%} {size:7} | {mean['all']:16.1%} {100 * mean['half']:5.2f} | "
                f"{mean.get('types', float('nan')):24.1%} {mean['few']:15.1%} | "
                f"{mean['recall']:14.1%} {100 * mean['recall half']:6.2f} | {mean['second']:22.1%} {saved:12.0%}",
                flush=True,
            )


def simulate(world: World, reviews: range, tally: dict[tuple[int, str], list[float]]) -> None:
    """Review ``world`` once for each seed; count the intervals that cover the truth, and their widths."""
    agreed = {entity: bool(one) for entity, one in zip(world.entities, world.agreed, strict=True)}
    plain, second = np.array(predictions.strata(world.entities)), np.array(predictions.strata(world.entities, agreed))
    true_recall = world.found.sum() / (world.found + world.missed).sum()

    def note(size: int, name: str, estimate: estimates.Estimate | None, truth: float) -> None:
        if estimate:
            tally[size, name].append(estimate.low <= truth <= estimate.high)
            tally[size, f"{name} half" if name != "all" else "half"].append(estimate.half_width)

    for review in reviews:
        read = np.random.default_rng(review).permutation(PASSAGES)
        orders = [
            [int(drawn.subject[1]) for drawn in predictions.draw_order(world.entities, names, review)[: max(SIZES)]]
            for names in (plain, second)
        ]
        for size in SIZES:
            checked, doubted = np.zeros(ENTITIES, bool), np.zeros(ENTITIES, bool)
            checked[orders[0][:size]], doubted[orders[1][:size]] = True, True
            overall = estimates.stratified(world.strata(checked, plain))
            note(size, "all", overall, world.right.mean())
            note(size, "second", estimates.stratified(world.strata(doubted, second, scored=True)), world.right.mean())
            for label in np.unique(world.labels[checked]):
                own = world.labels == label
                right = world.right[checked & own].astype(float)
                estimate = estimates.by_type(estimates.Stratum("", int(own.sum()), right), overall.value)
                note(size, "few" if len(right) < estimates.FEW else "types", estimate, world.right[own].mean())
            some = read[: max(10, size // 4)]
            recall = estimates.ratio(world.found[some], (world.found + world.missed)[some], PASSAGES, seed=review)
            note(size, "recall", recall, true_recall)


if __name__ == "__main__":
    main()
