"""What happened to everything that a conversion took in: counts by stage and reason, with examples."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any, Final, TypeVar

from annotator.records import Rejected
from annotator.storage.funnel import Flow
from training.converting.inputs import UnreadableError

STAGES: Final = ("read", "ask", "mentions", "tags", "choose", "length")
"""The order of the stages; which of them there are, and in what unit they count, is the format's affair."""
SHOWN: Final = 5
"""Examples that are kept of each reason."""
LONGEST: Final = 200
"""Characters of a rejected value that are kept."""

Record = TypeVar("Record")


class Tally:
    """Counts units by stage. For every stage, in = kept + rejected."""

    def __init__(self) -> None:
        self.flows: dict[str, Flow] = {}
        self.found: Counter[str] = Counter()
        """What the source holds, in the words of those who published it: sentences, entities, files, ..."""
        self.notes: Counter[str] = Counter()
        """What was mended or is worth knowing, but cost nothing."""
        self.examples: dict[tuple[str, str], list[Rejected]] = {}

    def stage(self, stage: str, unit: str) -> None:
        """A stage begins that counts in ``unit``."""
        self.flows[stage] = Flow(stage, unit)

    def keep(self, stage: str, number: int = 1) -> None:
        """So many units went on."""
        self.flows[stage].out += number

    def note(self, what: str, where: str, value: str = "") -> None:
        """Something was mended; it is no loss."""
        self.notes[what] += 1
        self._remember("note", Rejected("note", what, where, value[:LONGEST]))

    def reject(self, rejected: Rejected) -> None:
        """Take what a stage left out."""
        self.flows[rejected.stage].rejected[rejected.reason] += 1
        self._remember(rejected.stage, rejected)

    def sift(self, stream: Iterable[Record | Rejected]) -> Iterator[Record]:
        """Pass on the kept records; take the others."""
        for record in stream:
            if isinstance(record, Rejected):
                self.reject(record)
            else:
                yield record

    def examples_of(self, stage: str, reason: str) -> list[dict[str, str]]:
        """The first few that were left out (``note``: noted) for this reason: where, what, why."""
        return [
            {"where": one.record_id, "value": one.value, "detail": one.detail}
            for one in self.examples.get((stage, reason), [])
        ]

    def as_dict(self) -> dict[str, Any]:
        """Funnel, examples and notes, ready for JSON."""
        flows = sorted(self.flows.items(), key=lambda item: STAGES.index(item[0]))
        return {
            "funnel": [flow.as_dict() for _, flow in flows],
            "found": dict(self.found),
            "left_out": [
                {"stage": stage, "reason": reason, "count": number, "examples": self.examples_of(stage, reason)}
                for stage, flow in flows
                for reason, number in flow.rejected.most_common()
            ],
            "notes": [
                {"what": what, "count": number, "examples": self.examples_of("note", what)}
                for what, number in self.notes.most_common()
            ],
        }

    def _remember(self, stage: str, one: Rejected) -> None:
        kept = self.examples.setdefault((stage, one.reason), [])
        if len(kept) < SHOWN:
            kept.append(one)


def left_out(stage: str, reason: str, where: str, value: object = "", detail: str = "") -> Rejected:
    """A rejection with at most ``LONGEST`` characters of ``value``, always encodable."""
    text = (
        (value.line if isinstance(value, UnreadableError) else str(value))[:LONGEST].encode("utf-8", "replace").decode()
    )
    return Rejected(stage, reason, where, text, detail.encode("utf-8", "replace").decode())
