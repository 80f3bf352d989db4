"""Write numbers with their nouns."""


def plural(number: int, noun: str) -> str:
    """Return ``1 type``, ``1,200 types``, ``2 passes``: a number with its noun."""
    ending = "" if number == 1 else "es" if noun.endswith(("s", "ch", "sh", "x")) else "s"
    if number != 1 and noun.endswith("y") and noun[-2:-1] not in "aeiou":
        noun, ending = noun[:-1], "ies"
    return f"{number:,} {noun}{ending}"


def have(number: int, noun: str) -> str:
    """Return ``1 passage has`` or ``2 passages have``."""
    return f"{plural(number, noun)} {'has' if number == 1 else 'have'}"


def prices(read: float, written: float) -> str:
    """Return ``$0.15 in, $0.60 out per million tokens``."""
    shown = [f"${usd:.2f}" if round(usd, 2) == usd else f"${usd:g}" for usd in (read, written)]
    return f"{shown[0]} in, {shown[1]} out per million tokens"
