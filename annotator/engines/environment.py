"""What tasks need of the driver's environment: keys and passwords reach the workers, and no file."""

from __future__ import annotations

import os
from typing import Final

_WAY_OUT: Final = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "SSL_CERT_")
"""How the variables begin that everything reads that speaks with a network."""


def carried(*beginnings: str) -> dict[str, str]:
    """The variables whose names begin so, and those that say how to reach a network."""
    wanted = (*beginnings, *_WAY_OUT)
    return {name: value for name, value in os.environ.items() if name.upper().startswith(wanted)}
