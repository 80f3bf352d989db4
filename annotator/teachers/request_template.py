"""Make chat requests that differ in one text only: what is the same in all is encoded and hashed once.

Encoding and hashing the whole prompt for each passage would cost more than the rest of a question.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Final

from annotator.ledger import canonical
from annotator.teachers import Question
from prompts import Prompt

_encode: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), check_circular=False).encode


class Form:
    """Makes the question about one text. Its key is ``request_key`` of its content, its body that content as JSON."""

    def __init__(self, prompt: Prompt, settings: Mapping[str, Any]) -> None:
        """Prepare ``prompt`` with ``settings``: the model, the sampling parameters and what else is sent."""
        self._prompt = prompt
        self._settings = {**settings, "prompt": f"{prompt.name}.{prompt.version}"}
        place = prompt.sha256  # no file holds its own
        content = self._content(place)
        before, _, after = canonical(content).partition(place)
        self._hashed = hashlib.sha256(before.encode("utf-8", "surrogatepass"))
        self._unhashed = after.encode("utf-8", "surrogatepass")
        before, _, after = _encode({name: value for name, value in content.items() if name != "prompt"}).partition(
            place
        )
        self._before, self._after = before.encode("utf-8", "replace"), after.encode("utf-8", "replace")

    def fill(self, text: str) -> Question:
        """Return the question about ``text``."""
        written = _encode(text)[1:-1]
        digest = self._hashed.copy()
        digest.update(written.encode("utf-8", "surrogatepass"))
        digest.update(self._unhashed)
        body = self._before + written.encode("utf-8", "replace") + self._after
        return Question(digest.hexdigest(), self._content(text), body)

    def _content(self, text: str) -> dict[str, Any]:
        return {"messages": self._prompt.messages(text), **self._settings}
