"""Mark the mentions of a passage in HTML. All text is escaped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from markupsafe import Markup, escape

from annotator.records import Mention
from annotator.terminal.progress import printable


def highlighted(text: str, mentions: Sequence[Mention], numbers: Mapping[str, int]) -> Markup:
    """Return the text with its mentions marked, nested ones within; one that crosses another is in two parts."""
    return _marked(text, 0, len(text), [(mention.start, mention.end, mention.label) for mention in mentions], numbers)


def _marked(
    text: str, start: int, end: int, spans: Sequence[tuple[int, int, str]], numbers: Mapping[str, int]
) -> Markup:
    """Return ``text[start:end]`` with the spans that lie within it."""
    out, position = [], start
    waiting = sorted(spans, key=lambda span: (span[0], -span[1], span[2]))
    while waiting:
        first, last, label = waiting.pop(0)
        inside = [(low, min(high, last), name) for low, high, name in waiting if low < last]
        crossing = [(last, high, name) for low, high, name in waiting if low < last < high]
        beyond = [span for span in waiting if span[0] >= last]
        waiting = sorted([*crossing, *beyond], key=lambda span: (span[0], -span[1], span[2]))
        number = numbers[label]
        out.append(escape(printable(text[position:first])))
        out.append(
            Markup('<mark class="c{}" data-type="{}">{}<span class="t">{}</span></mark>').format(
                number % 8, number, _marked(text, first, last, inside, numbers), printable(label)
            )
        )
        position = last
    out.append(escape(printable(text[position:end])))
    return Markup("").join(out)
