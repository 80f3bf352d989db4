"""The records of a forecast: assumptions, measurements, and the plan."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from annotator.asking.endpoint_limits import EndpointLimits, limits_of, retirement
from annotator.asking.rate_limits import WINDOW
from annotator.cleaning.clean import Cleaned
from annotator.config.settings import RunConfig
from annotator.passages.tokenizers import Tokenizer
from annotator.records import Completion, Passage
from annotator.teachers.prices import Price
from annotator.teachers.registry import PROVIDERS

DAY: Final = 86400.0
"""Seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Assumed:
    """The user's assumptions about the teacher; None: the default."""

    latency: float | None = None
    """Seconds an answer takes; measurements replace it."""
    price_in: float | None = None
    """US dollars for a million prompt tokens."""
    price_out: float | None = None
    """US dollars for a million tokens of answer."""


@dataclass
class Seen:
    """Measurements from the answers that the ledger has for the passages of the run."""

    answers: int = 0
    prompt_tokens: int = 0
    """Counted by the endpoint."""
    expected_prompt_tokens: int = 0
    """Counted by the tokenizer of the run, for the same requests."""
    completion_tokens: int = 0
    passage_tokens: int = 0
    seconds: float = 0.0
    timed: int = 0
    """Answers with a latency; those of a batch have none."""
    unread: int = 0
    """Answers that could not be parsed."""
    claims: int = 0
    kept: int = 0
    """Predicted entities that became mentions."""
    rejected: Counter[str] = field(default_factory=Counter)
    """Rejected predicted entities by reason."""
    failures: Counter[str] = field(default_factory=Counter)
    """Passages without an answer after a request, by kind of failure."""

    def as_dict(self) -> dict[str, Any]:
        """Return the measurements for JSON."""
        numbers = asdict(self) | {
            "latency": round(self.seconds / self.timed, 3) if self.timed else None,
            "rejected": dict(self.rejected.most_common()),
            "failures": dict(self.failures.most_common()),
        }
        del numbers["seconds"], numbers["timed"]
        return numbers

    def add(self, passage: Passage, completion: Completion, cleaned: Cleaned | None, tokenizer: Tokenizer) -> None:
        """Count one answer and its entities."""
        self.answers += 1
        self.prompt_tokens += completion.prompt_tokens
        # Some endpoints report no usage.
        self.completion_tokens += completion.completion_tokens or tokenizer.count(completion.reply)
        self.passage_tokens += passage.n_tokens
        self.seconds += completion.latency
        self.timed += completion.latency > 0
        if cleaned is None or cleaned.annotation is None:
            self.unread += 1
            return
        self.claims += cleaned.predictions
        self.kept += cleaned.kept
        self.rejected.update(item.reason for item in cleaned.rejected if item.stage == "clean")


@dataclass(frozen=True, slots=True, kw_only=True)
class Arbiter:
    """Forecast of the questions to an arbiter."""

    requests: int
    """Requests to come."""
    prompt_tokens: int
    completion_tokens: int
    usd: float | None
    """None where the price is not known."""
    basis: str
    """How the numbers were estimated, in words."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Forecast of the requests that are left."""

    config: RunConfig
    unit: str
    """The name of a question: passages, or questions."""
    count: int
    answered: int
    """Questions that need no request: the ledger has the answer, or another passage has the same text."""
    in_batch: int
    """Questions that are in an open batch."""
    prompt_tokens: int
    completion_tokens: int
    answer_ratio: float
    """Assumed answer tokens for each passage token."""
    latency: float
    price: Price | None
    seen: Seen
    arbiter: Arbiter | None = None
    """Of ``check --keep arbiter``."""

    @property
    def to_ask(self) -> int:
        """Return the number of requests to come."""
        return self.count - self.answered - self.in_batch

    @property
    def limits(self) -> EndpointLimits:
        """Return the limits of the account."""
        return limits_of(self.config)

    @property
    def warning(self) -> str:
        """Return a warning to read before the first request; empty where there is none."""
        return retirement(self.config)

    @property
    def cost(self) -> float | None:
        """Return the cost in US dollars; None where the price is not known."""
        return self.price.of(self.prompt_tokens, self.completion_tokens) if self.price else None

    @property
    def time(self) -> tuple[float, str]:
        """Return the time in seconds, and what bounds it; see ``time_of``."""
        return time_of(self.config, self.to_ask, self.prompt_tokens + self.completion_tokens, self.latency)

    def as_dict(self) -> dict[str, Any]:
        """Return the plan for JSON."""
        cost = None
        if self.price and self.cost is not None:
            cost = {
                "usd": round(self.cost, 6),
                "usd_by_batch": round(self.cost * (1 - self.price.batch_discount), 6),
                "price_in": self.price.input,
                "price_out": self.price.output,
                "source": self.price.origin,
            }
        seconds, bound = self.time
        return {
            "model": self.config.teacher_model or self.config.provider,
            self.unit: {
                "count": self.count,
                "answered": self.answered,
                "in_batch": self.in_batch,
                "to_ask": self.to_ask,
            },
            "tokens": {
                "prompt": self.prompt_tokens,
                "completion": self.completion_tokens,
                "total": self.prompt_tokens + self.completion_tokens,
                "basis": "seen" if self.seen.answers else "assumed",
            },
            "cost": cost,
            "time": {
                "seconds": round(seconds, 1),
                "latency": round(self.latency, 3),
                "basis": "seen" if self.seen.timed else "assumed",
                "bound_by": bound,
                "concurrency": self.config.concurrency,
                **asdict(self.limits),
            },
            **({"arbiter": asdict(self.arbiter)} if self.arbiter else {}),
            "warning": self.warning,
            "seen": self.seen.as_dict() if self.seen.answers or self.seen.failures else None,
        }


def time_of(config: RunConfig, requests: int, tokens: float, latency: float) -> tuple[float, str]:
    """Return the seconds for so many requests with so many tokens in all, and the limit that bounds them.

    Each limit gives a time, of which the longest counts. By ``--concurrency``, every request takes ``latency`` seconds.
    By ``--rpm`` or ``--tpm``, all minutes but the last are full, and the last takes as long as its requests. By the
    limits a day of ``--limits``, it is the full days before the last request.
    """
    if not requests:
        return 0.0, ""
    limits = limits_of(config)
    at_once = config.concurrency if PROVIDERS[config.provider].chat else min(config.concurrency, config.processes)

    def flow(number: float) -> float:  # the first question goes out alone
        return (1 + max(number - 1, 0.0) / at_once) * latency

    def in_minutes(needed: float, limit: float) -> float:
        full = math.ceil(needed / limit) - 1
        return full * WINDOW + flow(requests * (1 - full * limit / needed))

    seconds = {"--concurrency": flow(requests)}
    if limits.rpm:
        seconds["--rpm"] = in_minutes(requests, limits.rpm)
    if limits.tpm:
        seconds["--tpm"] = in_minutes(max(tokens, 1.0), limits.tpm)
    if limits.rpd:
        seconds["requests a day"] = (math.ceil(requests / limits.rpd) - 1) * DAY
    if limits.tpd:
        seconds["tokens a day"] = (math.ceil(tokens / limits.tpd) - 1) * DAY
    bound = max(seconds, key=lambda name: seconds[name])
    return seconds[bound], bound
