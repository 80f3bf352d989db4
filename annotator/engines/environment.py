"""Select the variables of the environment that tasks need: keys and passwords reach workers without a file."""

from __future__ import annotations

import os
from typing import Final

_WAY_OUT: Final = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "SSL_CERT_")
"""Prefixes of variables about the network."""


def carried(*beginnings: str) -> dict[str, str]:
    """Return the variables with these prefixes, and those about the network."""
    wanted = (*beginnings, *_WAY_OUT)
    return {name: value for name, value in os.environ.items() if name.upper().startswith(wanted)}
