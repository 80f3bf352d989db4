"""Show a plan in the terminal."""

from __future__ import annotations

import sys
from typing import Final

from rich.console import Console
from rich.text import Text

from annotator.passages.tokenizers import request_tokenizer
from annotator.run.forecast.plan import Plan, Seen
from annotator.terminal.flags import print_json
from annotator.terminal.progress import printable
from annotator.terminal.tables import text_table
from annotator.terminal.words import prices

_UNITS: Final = ((86400, "day"), (3600, "hour"), (60, "minute"), (1, "second"))


def print_plan(plan: Plan, *, as_json: bool) -> None:
    """Print it on stdout."""
    if as_json:
        print_json(plan.as_dict())
        return
    rows = [(what, figure, Text(printable(why), style="dim")) for what, figure, why in _rows(plan)]
    console = Console(file=sys.stdout, highlight=False)
    console.print(text_table(rows, ("", "forecast", "why"), figures=("forecast",), title="Plan"))
    if plan.warning:
        console.print(Text(f"\n{printable(plan.warning)}", style="yellow"))
    if plan.seen.answers or plan.seen.failures:
        console.print(Text(f"\nSeen in {plan.seen.answers:,} answers: {printable(_seen(plan.seen))}"))


def duration(seconds: float) -> str:
    """Return ``2 hours 10 minutes``: the two largest units."""
    parts, rest = [], max(round(seconds), 0)
    for size, name in _UNITS:
        number, rest = divmod(rest, size)
        if number:
            parts.append(f"{number} {name}{'s' if number > 1 else ''}")
    return " ".join(parts[:2]) or "under a second"


def _rows(plan: Plan) -> list[tuple[str, str, str]]:
    config, seen = plan.config, plan.seen
    answers = f"seen in {seen.answers:,} answers" if seen.answers else f"{plan.answer_ratio} per token of passage"
    latency = f"{plan.latency:.2f} s an answer ({'seen' if seen.timed else 'assumed; see --latency'})"
    limits, (seconds, bound) = plan.limits, plan.time
    by = {
        "": "nothing to ask",
        "--concurrency": f"{config.concurrency} at once",
        "--rpm": f"--rpm {limits.rpm}",
        "--tpm": f"--tpm {limits.tpm}",
        "requests a day": f"{limits.rpd:,} requests a day",
        "tokens a day": f"{limits.tpd:,} tokens a day",
    }[bound]
    return [
        (plan.unit, f"{plan.count:,}", ""),
        ("answered already", f"{plan.answered:,}", "in the ledger, or the text of another passage"),
        *([("in a batch", f"{plan.in_batch:,}", "paid for, not collected")] if plan.in_batch else []),
        ("to ask", f"{plan.to_ask:,}", config.teacher_model or "the embedded teacher"),
        (
            "prompt tokens",
            f"{plan.prompt_tokens:,}",
            "seen" if seen.prompt_tokens else f"counted by {request_tokenizer(config.tokenizer)}",
        ),
        ("completion tokens", f"{plan.completion_tokens:,}", answers),
        *_costs(plan),
        *_arbiter(plan),
        ("time", duration(seconds), f"{by}, {latency}"),
    ]


def _usd(amount: float) -> str:
    return "under $0.01" if 0 < amount < 0.01 else f"${amount:,.2f}"


def _costs(plan: Plan) -> list[tuple[str, str, str]]:
    if plan.price is None or plan.cost is None:
        where = f" at {plan.config.base_url}" if plan.config.base_url else ""
        return [("cost", "unknown", f"no price of {plan.config.teacher_model}{where}; give --price-in and --price-out")]
    why = f"{prices(plan.price.input, plan.price.output)} ({plan.price.origin})"
    rows = [("cost", _usd(plan.cost), why if plan.config.provider != "local" else plan.price.origin)]
    if plan.price.batch_discount:
        by_batch = plan.cost * (1 - plan.price.batch_discount)
        rows.append(("cost by --batch", _usd(by_batch), f"{plan.price.batch_discount:.0%} less, within 24 hours"))
    return rows


def _arbiter(plan: Plan) -> list[tuple[str, str, str]]:
    if not plan.arbiter:
        return []
    own = plan.arbiter
    cost = [("cost of the arbiter", _usd(own.usd), "besides")] if own.usd is not None else []
    tokens = own.prompt_tokens + own.completion_tokens
    return [("arbiter", f"{own.requests:,}", own.basis), ("tokens of the arbiter", f"{tokens:,}", ""), *cost]


def _seen(seen: Seen) -> str:
    reasons = ", ".join(f"{number:,} {reason}" for reason, number in seen.rejected.most_common())
    lost = f" ({reasons})" if reasons else ""
    parts = [f"{seen.unread:,} could not be read", f"{seen.kept:,} of {seen.claims:,} predictions kept{lost}"]
    parts += [f"{number:,} not answered: {kind}" for kind, number in seen.failures.most_common()]
    return "; ".join(parts)
