"""Find the spans of a reviewed passage in the run's passage, from offsets, tokens or strings."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from annotator.records import Annotation
from data_cards.exchange.passages import Reviewed
from data_cards.exchange.places import locate, to_composed
from normalizers.grounding import Grounder, Miss
from normalizers.text import nfc


class ForeignError(Exception):
    """A record is not about the run's passage."""


def find_spans(annotation: Annotation, record: Reviewed) -> Iterator[tuple[int, int, str]]:
    """Yield start, end and label of each span of ``record`` in the passage, without the white space around it.

    Raises:
        ForeignError: the record has the text or the tokens of another passage.
        ValueError: a span is outside the passage or empty, or a mention is not in it.
    """
    text = annotation.text
    if record.text is not None and text not in (record.text, nfc(record.text)):
        raise ForeignError("its text is not that of the run's passage")
    found = _of_strings(annotation, record.predictions) if record.predictions is not None else _of_offsets(text, record)
    for start, end, label in found:
        mention = text[start:end]
        left = start + len(mention) - len(mention.lstrip())
        right = end - len(mention) + len(mention.rstrip())
        if left >= right:
            raise ValueError(f"the span {start}-{end} [{label}] is white space")
        yield left, right, label


def _of_offsets(text: str, record: Reviewed) -> Iterator[tuple[int, int, str]]:
    places = None
    if record.tokens is not None:
        places = locate(text, record.tokens) or locate(text, list(map(nfc, record.tokens)))
        if places is None:
            raise ForeignError("its tokens are not those of the run's passage")
    written = record.text or text
    for start, end, label in record.spans:
        if not 0 <= start < end <= len(written if places is None else places):
            raise ValueError(f"the span {start}-{end} [{label}] is outside the passage or empty")
        if places is not None:
            yield places[start][0], places[end - 1][1], label
        else:
            yield to_composed(written, start, text), to_composed(written, end, text), label


def _of_strings(annotation: Annotation, predictions: Sequence[tuple[str, str]]) -> Iterator[tuple[int, int, str]]:
    """Yield all occurrences of each string; a mention of the run keeps its spans."""
    grounder = Grounder(annotation.text)
    for string, label in predictions:
        mention = string if string in annotation.text else nfc(string)
        known = [(one.start, one.end) for one in annotation.mentions if (one.text, one.label) == (mention, label)]
        match = None if known else grounder.ground(mention)
        if isinstance(match, Miss):
            raise ValueError(f"{mention!r} [{label}] is not in the passage ({match.reason})")
        yield from ((start, end, label) for start, end in (match.spans if match else known))
