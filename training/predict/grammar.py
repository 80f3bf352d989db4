"""Constrain the answer of a student to a JSON list of strings.

At each step a small automaton masks the tokens that would leave the grammar. An answer that reaches the limit keeps its
complete strings, so every answer is a list.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final

from annotator.errors import StudentError

if TYPE_CHECKING:
    from torch import Tensor

START, OPEN, STRING, ESCAPE, AFTER, COMMA, DONE = range(7)
DEAD: Final = -1

_SPACES: Final = "▁Ġ "  # as SentencePiece and byte-level vocabularies write a space
_STEPS: Final = {
    START: {"[": OPEN},
    OPEN: {'"': STRING, "]": DONE},
    STRING: {'"': AFTER, "\\": ESCAPE},
    ESCAPE: dict.fromkeys('"\\/bfnrt', STRING),
    AFTER: {",": COMMA, "]": DONE},
    COMMA: {'"': STRING},
    DONE: {},
}
_STRING: Final = re.compile(r'"(?:[^"\\]|\\["\\/bfnrt])*"')


def step(state: int, text: str) -> int:
    """Return the state after ``text``, or ``DEAD`` where it leaves the grammar."""
    for char in text:
        if state == STRING and char not in '"\\':
            state = STRING if char >= " " else DEAD
        elif char not in _SPACES or state == ESCAPE:
            state = _STEPS[state].get(char, DEAD)
        if state == DEAD:
            return DEAD
    return state


class ListOnly:
    """A logits processor for greedy search, in which each row of a batch keeps its place."""

    def __init__(self, tokenizer: Any, size: int, device: str) -> None:
        """Compute the table for a vocabulary; ``size`` is the number of logits, which may be larger.

        Raises:
            StudentError: the vocabulary cannot write a list.
        """
        import torch

        special = set(tokenizer.all_special_ids)
        pieces = tokenizer.convert_ids_to_tokens(list(range(min(len(tokenizer), size))))
        table = [[DEAD] * size for _ in _STEPS]  # table[state][token]: the state after the token
        for number, piece in enumerate(pieces):
            if piece and number not in special:
                for state in range(DONE):
                    table[state][number] = step(state, piece)
        table[DONE][tokenizer.eos_token_id] = DONE
        table[DONE][tokenizer.pad_token_id] = DONE
        if stuck := [state for state in (START, OPEN, STRING, AFTER, COMMA) if max(table[state]) == DEAD]:
            raise StudentError(f"this student's vocabulary cannot write a JSON list (stuck in state {stuck[0]})")
        self._table = torch.tensor(table, dtype=torch.int8, device=device)
        self._states: Tensor | None = None

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """Mask the tokens that would leave the grammar."""
        import torch

        if self._states is None:
            self._states = torch.full((len(scores),), START, dtype=torch.long, device=scores.device)
        else:
            self._states = self._table[self._states, input_ids[:, -1]].long()
        return scores.masked_fill(self._table[self._states] == DEAD, float("-inf"))

    def restart(self) -> None:
        """Begin another batch."""
        self._states = None


def as_list(text: str) -> str:
    """Return the complete strings of an answer as JSON.

    Byte tokens may spell what the grammar forbids, such as a line break in a string; the result is a list all the same.
    """
    return json.dumps([json.loads(string, strict=False) for string in _STRING.findall(text)], ensure_ascii=False)
