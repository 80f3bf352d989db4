"""Forecast the cost of a run: passages, tokens, money and time.

A plan asks the teacher nothing. A pilot asks about a few passages, into the ledger of the run; its measurements replace
the assumptions.
"""

from __future__ import annotations

import dataclasses
import math
import random
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Final

from annotator.asking.batch_files import on_their_way
from annotator.asking.endpoint_limits import Limits, limits_of, retirement
from annotator.asking.rate_limits import WINDOW
from annotator.cleaning.clean import Cleaned, clean_reply
from annotator.config import RunConfig
from annotator.errors import ConfigError
from annotator.passages.tokenizers import Tokenizer, load_tokenizer, request_tokenizer
from annotator.records import Completion, Passage
from annotator.run.ledgers import answers_of, open_ledger
from annotator.run.response_format import settle_response_format
from annotator.run.runner import run
from annotator.run.stages import Context, ask
from annotator.storage import tables
from annotator.storage.rundir import opened
from annotator.teachers import Asked, Question, ask_about, make_teacher, require_key
from annotator.teachers.prices import Price, price_of
from annotator.teachers.registry import PROVIDERS
from annotator.terminal.events import Progress, displayed
from normalizers.labels import LabelNormalizer, load_lexicon

ANSWER_RATIO: Final = 0.5
"""Assumed answer tokens for each passage token, until there are answers. The embedded teacher, with few types, needs
0.31 (150 passages of real news); a large model with free types needs more."""
AROUND_A_MESSAGE: Final = 5
"""Tokens that a chat template puts around a message (Llama 3; others take 3 or 4), and around the whole."""
DAY: Final = 86400.0
"""Seconds."""
LATENCY: Final = 2.0
"""Assumed seconds an answer takes, until there are answers."""
LOCAL_LATENCY: Final = 0.02
"""The same for the embedded teacher: 14 ms on real news, and some overhead."""


def _read_reply(passage: Passage, completion: Completion) -> Cleaned:
    return clean_reply(passage, completion, _normalizer())


@cache
def _normalizer() -> LabelNormalizer:
    return LabelNormalizer(load_lexicon())


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


@dataclass(frozen=True, slots=True)
class Kind:
    """What a question asks for."""

    unit: str = "passages"
    """What questions are counted as."""
    answer_ratio: float = ANSWER_RATIO
    """Assumed answer tokens for each passage token."""
    read: Callable[[Passage, Completion], Cleaned | None] = _read_reply


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
    kind: Kind = Kind()
    arbiter: Arbiter | None = None
    """Of ``check --keep arbiter``."""

    @property
    def to_ask(self) -> int:
        """Requests to come."""
        return self.passages - self.answered - self.in_batch

    @property
    def limits(self) -> Limits:
        """Limits of the account."""
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


def plan(
    root: Path | None,
    settings: Mapping[str, Any],
    progress: Progress,
    assumed: Assumed,
    *,
    pilot: int = 0,
    fresh: bool = False,
) -> Plan:
    """Sample and chunk as a run would, and forecast the cost of the requests.

    Args:
        root: the run directory, which the next run continues; None: a temporary one.
        settings: as for a run.
        progress: receives all events.
        assumed: assumptions about the teacher.
        pilot: passages to ask about now, evenly spread; the same ones each time, so that they are paid once.
        fresh: as for a run.

    Raises:
        AnnotateError: as for a run, and a pilot without a directory to keep its answers in.
    """
    if pilot and root is None:
        raise ConfigError("--pilot needs --out DIR: its answers are paid for, and that is where they are kept")
    with _place(root) as place:
        outcome = run(place, settings, progress, until="chunk", fresh=fresh)
        config = outcome.config
        if pilot:
            require_key(config)
            with opened(place) as directory:
                config = settle_response_format(config, directory, progress)
        context = Context(config, outcome.run, load_tokenizer(config.tokenizer), make_teacher(config), progress)
        if pilot:
            with opened(place):
                _ask_some(context, pilot)
        return forecast(context, assumed, ask_about(passages_in_tokens(context), context.teacher))


@contextmanager
def _place(root: Path | None) -> Iterator[Path]:
    if root is not None:
        yield root
        return
    with tempfile.TemporaryDirectory(prefix="vner-plan-") as folder:
        yield Path(folder)


def _ask_some(context: Context, pilot: int) -> None:
    """Ask about ``pilot`` passages, one from each of as many equal parts of the run."""
    total = tables.count(context.run.passages)
    pilot = min(pilot, total)
    rng = random.Random(context.config.seed)
    chosen = {rng.randrange(part * total // pilot, (part + 1) * total // pilot) for part in range(pilot)}
    passages = (passage for place, passage in enumerate(tables.read_passages(context.run.passages)) if place in chosen)
    context.progress.start("pilot", "passages", pilot)
    with displayed(context.progress), open_ledger(context.run, context.config.ledger) as ledger:
        ask(context, ask_about(passages, context.teacher), ledger)


def forecast(context: Context, assumed: Assumed, questions: Iterable[Asked], kind: Kind | None = None) -> Plan:
    """Forecast the cost of those of ``questions`` that have no answer yet.

    Args:
        context: the run, with the settings of the teacher that is asked.
        assumed: assumptions of the user.
        questions: each with a passage whose length is in tokens of the request.
        kind: what is asked; None: for all entities of a passage.
    """
    config, kind = context.config, kind or Kind()
    tokenizer = load_tokenizer(request_tokenizer(config.tokenizer))
    seen, known = Seen(), set[str]()
    total = prompt_tokens = passage_tokens = to_ask = in_batch = 0
    waiting = on_their_way(context.run)
    with answers_of(context.run) as ledger:  # a plan makes none: a ledger says that something was asked
        for passage, question in questions:
            total += 1
            if question.key in known:
                continue
            known.add(question.key)
            expected = prompt_tokens_of(question, tokenizer)
            completion = ledger.get(question.key) if ledger else None
            if completion:
                _see(seen, passage, completion, kind.read(passage, completion), tokenizer)
                seen.expected_prompt_tokens += expected if completion.prompt_tokens else 0
                continue
            if question.key in waiting:
                in_batch += 1
                continue
            to_ask += 1
            prompt_tokens += expected
            passage_tokens += passage.n_tokens
            if ledger and (failure := ledger.failure(question.key)):
                seen.failures[failure.kind] += 1

    correction = seen.prompt_tokens / seen.expected_prompt_tokens if seen.expected_prompt_tokens else 1.0
    ratio = seen.completion_tokens / seen.passage_tokens if seen.answers else kind.answer_ratio
    prompt = round(prompt_tokens * correction)
    completion_tokens = min(round(passage_tokens * ratio), to_ask * config.max_completion_tokens)
    latency = assumed.latency if assumed.latency is not None else LATENCY
    if not PROVIDERS[config.provider].chat:  # it counts no tokens
        completion_tokens = 0
        latency = assumed.latency if assumed.latency is not None else LOCAL_LATENCY
    latency = seen.seconds / seen.timed if seen.timed else latency
    seconds, bound = _time(config, to_ask, (prompt + completion_tokens) / max(to_ask, 1), latency)
    return Plan(
        config=config,
        passages=total,
        answered=total - to_ask - in_batch,
        in_batch=in_batch,
        prompt_tokens=prompt,
        completion_tokens=completion_tokens,
        latency=latency,
        seconds=seconds,
        bound=bound,
        price=price_of(config, assumed.price_in, assumed.price_out),
        seen=seen,
        kind=kind,
    )


def passages_in_tokens(context: Context) -> Iterator[Passage]:
    """Yield the passages with their length in tokens of the request."""
    tokenizer = load_tokenizer(request_tokenizer(context.config.tokenizer))
    for passage in tables.read_passages(context.run.passages):
        if tokenizer.name == context.config.tokenizer:
            yield passage
        else:
            yield dataclasses.replace(passage, n_tokens=tokenizer.count(passage.text))


def prompt_tokens_of(question: Question, tokenizer: Tokenizer) -> int:
    """Tokens of the very messages that will be sent; none for the embedded teacher."""
    messages = question.content.get("messages")
    if not messages:
        return 0
    return AROUND_A_MESSAGE + sum(AROUND_A_MESSAGE + tokenizer.count(message["content"]) for message in messages)


def _see(seen: Seen, passage: Passage, completion: Completion, cleaned: Cleaned | None, tokenizer: Tokenizer) -> None:
    seen.answers += 1
    seen.prompt_tokens += completion.prompt_tokens
    # An endpoint that reports no usage still wrote something.
    seen.completion_tokens += completion.completion_tokens or tokenizer.count(completion.reply)
    seen.passage_tokens += passage.n_tokens
    seen.seconds += completion.latency
    seen.timed += completion.latency > 0
    if cleaned is None or cleaned.annotation is None:
        seen.unread += 1
        return
    seen.claims += cleaned.claims
    seen.kept += cleaned.kept
    seen.rejected.update(item.reason for item in cleaned.rejected if item.stage == "clean")


def _time(config: RunConfig, requests: int, tokens: float, latency: float) -> tuple[float, str]:
    """Seconds for so many requests of so many tokens each, and what bounds them: a flag, or a limit a day.

    The first question goes out alone. Then requests flow as fast as concurrency and latency allow, until a window of
    60 s is full by the limits a minute; the last window takes only as long as what is left for it. Likewise the days,
    where the profile of ``--limits`` grants less a day than that.
    """
    if not requests:
        return 0.0, ""
    limits = limits_of(config)
    daily = {}
    if limits.rpd:
        daily["requests a day"] = float(limits.rpd)
    if limits.tpd:
        daily["tokens a day"] = limits.tpd / max(tokens, 1.0)
    if daily:
        bound = min(daily, key=lambda name: daily[name])
        days = math.ceil(requests / daily[bound]) - 1
        in_a_day, _ = _within_a_day(config, limits, min(requests, daily[bound]), tokens, latency)
        if days and in_a_day < DAY:
            rest, _ = _within_a_day(config, limits, requests - days * daily[bound], tokens, latency)
            return days * DAY + rest, bound
    return _within_a_day(config, limits, requests, tokens, latency)


def _within_a_day(
    config: RunConfig, limits: Limits, requests: float, tokens: float, latency: float
) -> tuple[float, str]:
    at_once = config.concurrency if PROVIDERS[config.provider].chat else min(config.concurrency, config.processes)
    pace = at_once / max(latency, 1e-3)
    room = {"--concurrency": pace * WINDOW}
    if limits.rpm:
        room["--rpm"] = float(limits.rpm)
    if limits.tpm:
        room["--tpm"] = limits.tpm / max(tokens, 1.0)
    bound = min(room, key=lambda name: room[name])
    full = 0 if bound == "--concurrency" else math.ceil(requests / room[bound]) - 1
    last = requests - full * room[bound]
    return full * WINDOW + latency + max(last - 1, 0) / pace, bound
