"""A JSON list of strings as a small automaton, and a student that can write nothing else.

At each step the tokens that would leave the grammar are out of the question; the model chooses among the others. What
is cut off by the limit is closed after its last whole string, so that every answer is a list that can be read.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from annotator.errors import StudentError

if TYPE_CHECKING:
    from torch import Tensor

START, OPEN, STRING, ESCAPE, AFTER, COMMA, DONE = range(7)
STATES: Final = 7
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


def step(state: int, text: str) -> int:
    """Return the state after ``text``, or ``DEAD``: ``[``, strings and commas, ``]``, spaces as one likes."""
    for char in text:
        if state == STRING and char not in '"\\':
            state = STRING if char >= " " else DEAD
        elif char not in _SPACES or state == ESCAPE:
            state = _STEPS[state].get(char, DEAD)
        if state == DEAD:
            return DEAD
    return state


def close(text: str) -> str:
    """Close ``text``, which the automaton let pass, to a whole list: cut after its last whole string."""
    state, end = START, 0  # end: where the last whole string ends
    for at, char in enumerate(text, start=1):
        state = step(state, char)
        if state in (OPEN, AFTER):
            end = at
        if state in (DONE, DEAD):
            break
    return text[:at] if state == DONE else f"{text[:end].rstrip()}]" if end else "[]"


def transitions(pieces: Sequence[str | None]) -> list[list[int]]:
    """Return, for each state, the state after each piece of a vocabulary; None marks pieces that are never allowed."""
    table = [[DEAD] * len(pieces) for _ in range(STATES)]
    for number, piece in enumerate(pieces):
        if piece:
            for state in range(STATES - 1):
                table[state][number] = step(state, piece)
    return table


class ListOnly:
    """A logits processor for greedy search: rows are followed one by one, and must keep their places.

    Raises:
        StudentError: the vocabulary cannot write a list.
    """

    def __init__(self, tokenizer: Any, size: int, device: str) -> None:
        """Read the vocabulary; ``size`` is the number of logits, which may be larger."""
        import torch

        special = set(tokenizer.all_special_ids)
        pieces = tokenizer.convert_ids_to_tokens(list(range(min(len(tokenizer), size))))
        known = [None if number in special else piece for number, piece in enumerate(pieces)]
        table = transitions([*known, *[None] * (size - len(known))])
        table[DONE][tokenizer.eos_token_id] = DONE
        table[DONE][tokenizer.pad_token_id] = DONE
        if stuck := [state for state in (START, OPEN, STRING, AFTER, COMMA) if max(table[state]) == DEAD]:
            raise StudentError(f"this student's vocabulary cannot write a JSON list (stuck in state {stuck[0]})")
        self._table = torch.tensor(table, dtype=torch.int8, device=device)
        self._states: Tensor | None = None

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """Forbid what would leave the grammar."""
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
    """Return what a student wrote under the grammar, as the canonical JSON of its strings."""
    return json.dumps(json.loads(close(text)), ensure_ascii=False)
