"""Forecast how long requests take, by concurrency, latency and the limits of the account."""

from __future__ import annotations

import math
from typing import Final

from annotator.asking.endpoint_limits import EndpointLimits, limits_of
from annotator.asking.rate_limits import WINDOW
from annotator.config.settings import RunConfig
from annotator.teachers.registry import PROVIDERS

DAY: Final = 86400.0
"""Seconds."""


def time_of(config: RunConfig, requests: int, tokens: float, latency: float) -> tuple[float, str]:
    """Return the seconds for so many requests of so many tokens each, and what bounds them: a flag, or a limit a day.

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
    config: RunConfig, limits: EndpointLimits, requests: float, tokens: float, latency: float
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
