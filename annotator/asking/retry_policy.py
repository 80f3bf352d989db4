"""The retry policy: the table ``RULES``, by the kind of the failure.

A kind is ``http STATUS``, or one of those below. What is not in the table is decided by its class (``http 4xx``).
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final, NamedTuple


class Action(Enum):
    """An action after a failure."""

    WAIT = "wait"
    """Wait as long as the endpoint asks, and ask again; this is no failed try."""
    RETRY = "retry"
    """Ask again after a random wait that grows, ``--max-retries`` times; then record the failure."""
    REFUSE = "refuse"
    """Record the failure: this question will never be answered."""
    STOP = "stop"
    """Stop the run: no question will be answered."""


class Rule(NamedTuple):
    """The action after a failure, and whether the endpoint is overloaded."""

    action: Action
    overloaded: bool = False
    """The worker waits with its question, so that fewer requests are in flight."""


RULES: Final[Mapping[str, Rule]] = {
    "http 429": Rule(Action.WAIT, overloaded=True),  # the pace is too high
    "http 503": Rule(Action.RETRY, overloaded=True),  # overloaded, or down
    "http 529": Rule(Action.RETRY, overloaded=True),  # overloaded, by Anthropic
    "http 498": Rule(Action.RETRY, overloaded=True),  # no capacity, by Groq
    "timeout": Rule(Action.RETRY),  # no whole answer within --timeout
    "connection": Rule(Action.RETRY),  # refused, reset, cut off, or no HTTP
    "malformed answer": Rule(Action.RETRY),  # 200, but no chat completion that can be read
    "unfinished answer": Rule(Action.RETRY),  # 200, but an unknown finish reason such as "error"
    "empty answer": Rule(Action.RETRY),  # 200 without a word; asked once more, then it is the answer
    "http 408": Rule(Action.RETRY),  # request time-out
    "http 409": Rule(Action.RETRY),  # conflict
    "http 425": Rule(Action.RETRY),  # too early
    "http 401": Rule(Action.STOP),  # the key; also a 400 about the key
    "http 402": Rule(Action.STOP),  # no credit; also a 429 with insufficient_quota
    "http 403": Rule(Action.STOP),  # not allowed
    "http 404": Rule(Action.STOP),  # no such model or address
    "http 407": Rule(Action.STOP),  # the proxy
    "process died": Rule(Action.STOP),  # the embedded teacher's
    "http 3xx": Rule(Action.STOP),  # the address has moved
    "http 4xx": Rule(Action.REFUSE),  # 400, 413, 422: this passage; the first question's is checked by a probe
    "http 5xx": Rule(Action.RETRY),
}


@dataclass(frozen=True, slots=True)
class Patience:
    """Waiting times, in seconds."""

    between_tries: float = 60.0
    """The longest wait between two tries, unless the endpoint asks for more."""
    pause: float = 3600.0
    """A longer wait that the endpoint asks for, as for a daily limit, stops the run; the same command continues it."""
    put_off: int = 100
    """Times that the endpoint may answer one request with "later"."""
    first_probe_wait: float = 1.0
    """The wait after the first failed probe of an endpoint that is down. It doubles with each probe."""
    longest_probe_wait: float = 60.0
    """The longest wait between two probes."""
    give_up_after: float = 3600.0
    """An endpoint that has answered before is given up after being down for so long."""
    give_up_at_start: float = 5.0
    """One that has never answered is given up after so long: most likely the address is wrong."""


def rule_of(kind: str) -> Rule:
    """Return what is done about a failure of ``kind``: its rule, else that of its class of statuses, else a retry."""
    status_class = f"{kind[:6]}xx"  # of "http 418": "http 4xx"
    return RULES.get(kind) or RULES.get(status_class) or Rule(Action.RETRY)


def wait_before(retry_after: float | None, failures: int, longest: float) -> float:
    """Return the seconds to wait after so many failures: what the endpoint asked for, else a random time that grows."""
    if retry_after is not None:
        return retry_after
    return random.uniform(0, min(longest, 0.5 * 2 ** min(failures - 1, 20)))
