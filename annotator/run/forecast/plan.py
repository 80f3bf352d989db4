"""The records of a forecast: what is assumed, what answers have shown, and the plan that comes of both."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from annotator.asking.endpoint_limits import EndpointLimits, limits_of, retirement
from annotator.cleaning.clean import Cleaned
from annotator.config.settings import RunConfig
from annotator.errors import ConfigError
from annotator.passages.tokenizers import Tokenizer
from annotator.records import Completion, Passage
from annotator.teachers.prices import Price

ANSWER_RATIO: Final = 0.5
"""Assumed answer tokens for each passage token, until there are answers. The embedded teacher, with few types, needs
0.31 (150 passages of real news); a large model with free types needs more."""


@dataclass(frozen=True, slots=True)
class Kind:
    """What a question asks for."""

    unit: str
    """What questions are counted as."""
    answer_ratio: float
    """Assumed answer tokens for each passage token."""


PASSAGES: Final = Kind("passages", ANSWER_RATIO)


@dataclass(frozen=True, slots=True, kw_only=True)
class Assumed:
    """Assumptions of the user about the teacher; None: the default."""

    latency: float | None = None
    """Seconds an answer takes; measurements replace it."""
    price_in: float | None = None
    """US dollars for a million prompt tokens."""
    price_out: float | None = None
    """US dollars for a million tokens of answer."""

    def __post_init__(self) -> None:
        """Refuse negative and infinite values."""
        for name, value in asdict(self).items():
            if value is not None and not 0 <= value < float("inf"):
                raise ConfigError(f"--{name.replace('_', '-')} must be 0 or more, not {value}")


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
        """For JSON."""
        numbers = asdict(self) | {
            "latency": round(self.seconds / self.timed, 3) if self.timed else None,
            "rejected": dict(self.rejected.most_common()),
            "failures": dict(self.failures.most_common()),
        }
        del numbers["seconds"], numbers["timed"]
        return numbers

    def add(self, passage: Passage, completion: Completion, cleaned: Cleaned | None, tokenizer: Tokenizer) -> None:
        """Count one answer, and what cleaning made of it."""
        self.answers += 1
        self.prompt_tokens += completion.prompt_tokens
        # An endpoint that reports no usage still wrote something.
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
    basis: str
    """What the expectation rests on, in words."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Forecast of the requests that are left."""

    config: RunConfig
    passages: int
    answered: int
    """Passages that need no request: the ledger has the answer, or another passage has the same text."""
    in_batch: int
    """Passages that are in an open batch."""
    prompt_tokens: int
    completion_tokens: int
    latency: float
    seconds: float
    bound: str
    """The bottleneck: the name of a flag, or of a limit a day."""
    price: Price | None
    seen: Seen
    kind: Kind = PASSAGES
    arbiter: Arbiter | None = None
    """Of ``check --keep arbiter``."""

    @property
    def to_ask(self) -> int:
        """Requests to come."""
        return self.passages - self.answered - self.in_batch

    @property
    def limits(self) -> EndpointLimits:
        """Return the limits of the account."""
        return limits_of(self.config)

    @property
    def warning(self) -> str:
        """A warning to read before the first request; empty where there is none."""
        return retirement(self.config)

    @property
    def cost(self) -> float | None:
        """US dollars, or None where the price is not known."""
        return self.price.of(self.prompt_tokens, self.completion_tokens) if self.price else None

    @property
    def arbiter_cost(self) -> float | None:
        """US dollars for the arbiter, or None where there is none or the price is not known."""
        own = self.arbiter
        return self.price.of(own.prompt_tokens, own.completion_tokens) if own and self.price else None

    def _arbiter(self, own: Arbiter) -> dict[str, Any]:
        return {**asdict(own), "usd": None if self.arbiter_cost is None else round(self.arbiter_cost, 6)}

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        guessed = "seen" if self.seen.answers else "assumed"
        cost = None
        if self.price and self.cost is not None:
            cost = {
                "usd": round(self.cost, 6),
                "usd_by_batch": round(self.cost * (1 - self.price.batch_discount), 6),
                "price_in": self.price.input,
                "price_out": self.price.output,
                "source": self.price.origin,
            }
        return {
            "model": self.config.teacher_model or self.config.provider,
            self.kind.unit: {
                "count": self.passages,
                "answered": self.answered,
                "in_batch": self.in_batch,
                "to_ask": self.to_ask,
            },
            "tokens": {
                "prompt": self.prompt_tokens,
                "completion": self.completion_tokens,
                "total": self.prompt_tokens + self.completion_tokens,
                "basis": guessed,
            },
            "cost": cost,
            "time": {
                "seconds": round(self.seconds, 1),
                "latency": round(self.latency, 3),
                "basis": "seen" if self.seen.timed else "assumed",
                "bound_by": self.bound,
                "concurrency": self.config.concurrency,
                **asdict(self.limits),
            },
            **({"arbiter": self._arbiter(self.arbiter)} if self.arbiter else {}),
            "warning": self.warning,
            "seen": self.seen.as_dict() if self.seen.answers or self.seen.failures else None,
        }
