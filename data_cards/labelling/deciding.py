"""Ask a person to decide labels, one after the other in the terminal, or in an exported file."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from rich.console import Console
from rich.text import Text

from annotator.cleaning.label_decisions import add_decision, decision_line, one_line, read_decisions
from annotator.terminal.words import plural
from data_cards.labelling.listing import Label
from normalizers.labels import LabelNormalizer, Lexicon, clean_label
from normalizers.lexicon import vietnamese_key
from normalizers.text import strip_diacritics

_MOST = 5  # suggestions
HELP = "number: merge into that type; a name: rename or merge; =name: exactly so; k keep; d drop; s skip; q quit"


class Review:
    """Asks for decisions about labels and writes each to ``path`` at once, so that stopping loses nothing."""

    def __init__(self, path: Path, lexicon: Lexicon, console: Console, answer: Callable[[str], str]) -> None:
        """Read the decisions that ``path`` already has. ``answer`` prompts the person; EOFError means quit.

        Raises:
            ConfigError: ``path`` is not a file of decisions.
        """
        self._path, self._lexicon, self._console, self._answer = path, lexicon, console, answer
        self._decided = dict(read_decisions(path).labels) if path.exists() else {}
        self._normalizer = LabelNormalizer(lexicon, self._decided)

    def pending(self, labels: Sequence[Label]) -> list[Label]:
        """Return those of ``labels`` that are not decided yet."""
        return [label for label in labels if self._normalizer.decide(label.label).status == "review"]

    def run(self, labels: Sequence[Label]) -> int:
        """Ask about each label; return how many were decided."""
        decided = 0
        self._show_hint(HELP)
        for number, label in enumerate(labels, start=1):
            suggestions = suggest(self._lexicon, label.label)
            self._show(f"{number} of {len(labels)}", label, suggestions)
            try:
                decision = self._ask(label.label, suggestions)
            except EOFError:
                break
            if decision is not None:
                add_decision(self._path, label.label, decision)
                decided += 1
        return decided

    def _ask(self, label: str, suggestions: Sequence[str]) -> str | bool | None:
        """Return the decision about a label; None to skip it.

        Raises:
            EOFError: the person quits.
        """
        while True:
            answer = self._answer("> ").strip()
            if answer.lower() == "q":
                raise EOFError
            if answer.lower() in {"", "s"}:
                return None
            decision = self._read(answer, suggestions)
            if decision is not None and self._fits(label, decision):
                return decision

    def _read(self, answer: str, suggestions: Sequence[str]) -> str | bool | None:
        """Return the decision that an answer gives; None after a hint, where it gives none."""
        if answer.lower() in {"k", "d"}:
            return answer.lower() == "k"
        if answer.isdecimal() and 1 <= int(answer[:9]) <= len(suggestions):
            return suggestions[int(answer) - 1]
        if answer.startswith("=") and any(char.isalpha() for char in clean_label(answer[1:])):
            return clean_label(answer[1:])
        found = self._normalizer.decide(answer)
        if answer == "?" or answer.isdecimal() or answer.startswith("="):
            self._show_hint(HELP)
        elif found.label is None:
            self._show_hint(f"{one_line(answer)} is not a type ({found.rule}); d drops the label")
        elif found.status == "review":
            self._show_hint(f"{one_line(found.label)} is not an English type; ={one_line(answer)} uses it anyway")
        elif found.rule == "typing error":
            self._show_hint(f"did you mean {found.label}? Write that, or ={one_line(answer)} to use it as it is")
        else:
            known = found.label in self._lexicon.known
            self._show_hint(f"-> {found.label}" + ("" if known else ", a type that is not in the lexicon"))
            return found.label
        return None

    def _fits(self, label: str, decision: str | bool) -> bool:
        """Add the decision to the others, unless they contradict each other."""
        target = decision if isinstance(decision, str) else label if decision else None
        together = {**self._decided, label: target}
        try:
            self._normalizer = LabelNormalizer(self._lexicon, together)
        except ValueError as error:
            self._show_hint(str(error))
            return False
        self._decided = together
        return True

    def _show(self, where: str, label: Label, suggestions: Sequence[str]) -> None:
        self._console.print(Text(f"\n{one_line(label.label)}", style="bold"), Text(f"  {where}, {_counts(label)}"))
        for found in label.examples:
            self._console.print(Text.assemble("  ", (one_line(found.mention), "cyan"), f": {found.context or '-'}"))
        for number, name in enumerate(suggestions, start=1):
            self._console.print(Text(f"  {number}  {name}"))

    def _show_hint(self, text: str) -> None:
        self._console.print(Text(text, style="dim"))


def export_lines(labels: Sequence[Label], lexicon: Lexicon) -> Iterator[str]:
    """Yield the lines of a file to edit: each label with counts, examples and a decision, all commented out."""
    yield "# Remove the # of a line to decide its label:\n"
    yield '#   "label" = "type"   rename it, or merge it into that type\n'
    yield '#   "label" = true     keep it as it is\n#   "label" = false    drop it\n'
    for label in labels:
        yield f"\n# {_counts(label)}\n"
        yield from (f"#   {one_line(found.mention)}: {found.context or '-'}\n" for found in label.examples)
        suggestions = suggest(lexicon, label.label)
        yield "# " + decision_line(label.label, suggestions[0] if suggestions else "?", "; ".join(suggestions[1:]))


def _counts(label: Label) -> str:
    raw = [name for name in label.raw if name != label.label]
    written = f", also written {one_line('; '.join(raw[:3]))}" if raw else ""
    return f"{plural(label.predictions, 'prediction')}{written}"


def suggest(lexicon: Lexicon, label: str) -> list[str]:
    """Return types whose Vietnamese (or English) names share most words with ``label``; parts of ``a/b`` come first.

    The first word weighs double: Vietnamese names begin with what a thing is.
    """
    parts = [part for part in label.split("/") if part in lexicon.known] if "/" in label else []
    plain = label.isascii()
    wanted = _weights(label if plain else vietnamese_key(label))
    names = lexicon.vietnamese.items()
    scored = [
        (_likeness(wanted, _weights(strip_diacritics(name) if plain else name)), target) for name, target in names
    ]
    scored += [(_likeness(wanted, _weights(name)), name) for name in lexicon.known] if plain else []
    best: dict[str, float] = {}
    for score, target in scored:
        best[target] = max(score, best.get(target, 0.0))
    near = sorted((target for target in best if best[target] > 0.3), key=lambda target: (-best[target], target))
    return list(dict.fromkeys([*parts, *near]))[:_MOST]


def _weights(name: str) -> dict[str, int]:
    words = name.replace("/", " ").split()
    return {word: 2 if word == words[0] else 1 for word in reversed(words)}


def _likeness(one: dict[str, int], other: dict[str, int]) -> float:
    """Return Dice's coefficient of the weighted words."""
    shared = sum(min(weight, other[word]) for word, weight in one.items() if word in other)
    return 2 * shared / max(1, sum(one.values()) + sum(other.values()))
