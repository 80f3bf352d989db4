"""Compute the key of a question: the same question has the same key in every run, so it is paid for once."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Final

canonical: Final = json.JSONEncoder(
    ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False, check_circular=False
).encode
"""JSON with sorted names, no white space, Unicode as it is: the input of keys."""


def request_key(content: Mapping[str, Any]) -> str:
    """Return the sha256 of the canonical JSON of a question."""
    return hashlib.sha256(canonical(content).encode("utf-8", "surrogatepass")).hexdigest()
