"""Cut documents into passages of ``min_tokens`` to ``max_tokens`` tokens that consist of whole sentences.

Text is never altered: a passage is an exact slice of its document. Leftovers of a document (its tail, or all of a short
one) are joined by a newline with leftovers of documents near it, and each piece is an exact slice again. A unit is a
sentence, or a part of one that is longer than a passage; every unit is in exactly one passage or rejection.

Passages of a document are balanced, so that few of its sentences are left over. With ``pack`` they are filled to the
limit instead; most documents then have a leftover.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, islice, pairwise
from json.encoder import encode_basestring_ascii as json_string
from typing import Final, NamedTuple, TypeAlias

from annotator.passages.planning import SizeLimits, plan, plan_passages
from annotator.passages.tokenizers import UNKNOWN, Tokenizer
from annotator.passages.units import Units, units_of
from annotator.records import Document, Passage, Piece, Rejected

BLOCK: Final = 500
"""Documents among which leftovers are joined. Blocks are independent, so any process can cut them."""

_Result: TypeAlias = Passage | Rejected


class _Group(NamedTuple):
    """Consecutive units of one document."""

    order: int
    """Number of the document in its block."""
    document: Document
    units: Units
    """All units of the document; those of the group are ``[first, last)``."""
    first: int
    last: int
    tokens: int

    @property
    def start(self) -> int:
        return self.units.starts[self.first]

    @property
    def end(self) -> int:
        return self.units.ends[self.last - 1]

    @property
    def place(self) -> tuple[int, int]:
        return self.order, self.start

    @property
    def text(self) -> str:
        return self.document.text[self.start : self.end]

    @property
    def cuts(self) -> list[str]:
        return [cut for index, cut in self.units.cuts.items() if self.first <= index < self.last]

    @property
    def can_stand(self) -> bool:
        return any(self.units.can_stand[self.first : self.last])


@dataclass(slots=True, eq=False)
class _Bin:
    """Leftovers that become one passage, in order of their documents."""

    groups: list[_Group]
    tokens: int

    @property
    def is_passage(self) -> bool:
        return any(group.can_stand for group in self.groups)

    def is_within(self, limits: SizeLimits) -> bool:
        return self.tokens >= limits.low and self.is_passage


def chunk(
    documents: Iterable[Document],
    tokenizer: Tokenizer,
    min_tokens: int = 150,
    max_tokens: int = 256,
    *,
    pack: bool = False,
) -> Iterator[_Result]:
    """Cut documents into passages, in the order of the documents.

    Args:
        documents: read ``BLOCK`` at a time.
        tokenizer: counts the tokens.
        min_tokens: of the shortest passage; a leftover that cannot be joined in its block may be shorter.
        max_tokens: of the longest passage.
        pack: fill passages to ``max_tokens``, rather than balance them.

    Raises:
        ConfigError: the bounds are too narrow for a single character.
    """
    limits = SizeLimits(min_tokens, max_tokens, pack)
    stream = iter(documents)
    while block := list(islice(stream, BLOCK)):
        yield from _chunk_block(block, tokenizer, limits)


def _chunk_block(documents: Sequence[Document], tokenizer: Tokenizer, limits: SizeLimits) -> list[_Result]:
    """Cut one block of documents into passages and rejections, in order of their first piece."""
    placed: list[tuple[tuple[int, int], _Result]] = []
    leftovers: list[_Group] = []
    units = units_of([document.text for document in documents], tokenizer, limits.high)
    for order, (document, its_units) in enumerate(zip(documents, units, strict=True)):
        for group in _groups(order, document, its_units, tokenizer, limits):
            if group.can_stand and limits.side(group.tokens) == 0:
                placed.append((group.place, _passage([group], group.tokens)))
            else:
                leftovers.append(group)
    for bin_ in _join(leftovers, tokenizer, limits):
        if bin_.is_passage:
            placed.append((bin_.groups[0].place, _passage(bin_.groups, bin_.tokens)))
        else:
            placed += (
                ((group.order, group.units.starts[index]), _rejected(group, index))
                for group in bin_.groups
                for index in range(group.first, group.last)
            )
    return [result for _, result in sorted(placed, key=lambda item: item[0])]


# ---------------------------------------------------------------- planning one document


def _groups(order: int, document: Document, units: Units, tokenizer: Tokenizer, limits: SizeLimits) -> list[_Group]:
    """Partition a document into groups of units: passages within the limits, and leftovers."""
    sums = [0, *accumulate(units.tokens)]
    count = _counter(document.text, units, tokenizer)
    spans = [] if limits.pack else [(i, j, count(i, j)) for i, j in plan_passages(units, sums, limits)]
    if not spans or any(limits.side(tokens) for _, _, tokens in spans):
        spans = _plan_with_leftovers(document.text, units, tokenizer, limits)
    return [_Group(order, document, units, *span) for span in spans]


def _plan_with_leftovers(
    text: str, units: Units, tokenizer: Tokenizer, limits: SizeLimits
) -> list[tuple[int, int, int]]:
    """Return the best spans ``[i, j)`` of units, passages and leftovers, with their tokens.

    Planning adds up the tokens of units, which may be wrong by a token or two where they meet. The planned groups are
    then counted; if a count crosses a limit, the document is planned again with exact counts.
    """
    count = _counter(text, units, tokenizer)
    sums = [0, *accumulate(units.tokens)]
    known = {(index, index + 1): tokens for index, tokens in enumerate(units.tokens)}
    is_rough = True
    while True:
        spans = plan(units, sums, known, limits)
        counts = {span: count(*span) for span in spans if span not in known}
        is_settled = all(limits.side(tokens) == limits.side(sums[j] - sums[i]) for (i, j), tokens in counts.items())
        known.update(counts)
        if is_settled:
            return [(*span, known[span]) for span in spans]
        if is_rough:
            sums, is_rough = [0, *accumulate(tokenizer.count_many(_in_place(text, units)))], False


def _counter(text: str, units: Units, tokenizer: Tokenizer) -> Callable[[int, int], int]:
    """Return a function that counts the tokens of units i to j exactly, without their text where that is possible."""
    sums = [0, *accumulate(units.added)]

    def count(i: int, j: int) -> int:
        tokens = units.tokens[i] + sums[j] - sums[i + 1]
        return tokens if tokens < UNKNOWN else tokenizer.count(text[units.starts[i] : units.ends[j - 1]])

    return count


def _in_place(text: str, units: Units) -> list[str]:
    """Return each unit with the white space that its tokens include in the text: a space before, newlines after."""
    gaps = [(end, text[end:start]) for end, start in zip(units.ends, units.starts[1:], strict=False)]
    cuts = [end + 1 + max(gap.rfind("\n"), gap.rfind("\r")) for end, gap in gaps]
    return [text[start:end] for start, end in pairwise([units.starts[0], *cuts, units.ends[-1]])]


# ---------------------------------------------------------------- leftovers


def _join(leftovers: Iterable[_Group], tokenizer: Tokenizer, limits: SizeLimits) -> list[_Bin]:
    """Put each leftover, in order, into the first bin with room for it; a bin within the limits is closed.

    With ``pack`` all bins stay open until the end, so that they are filled. Then the contents of those that are too
    short go to closed ones with room, so that few stay short.
    """
    closed: list[_Bin] = []
    waiting: list[_Bin] = []
    for group in leftovers:
        bin_ = _put(group, waiting, tokenizer, limits)
        if bin_ is None:
            bin_ = _Bin([group], group.tokens)
            waiting.append(bin_)
        if bin_.is_within(limits) and not limits.pack:
            waiting.remove(bin_)
            closed.append(bin_)
    closed += [bin_ for bin_ in waiting if bin_.is_within(limits)]
    remaining: list[_Bin] = []
    for bin_ in [bin_ for bin_ in waiting if not bin_.is_within(limits)]:
        rest = sorted(bin_.groups, key=lambda group: (group.can_stand, group.tokens))  # complete sentences last
        while rest and _put(rest[0], closed, tokenizer, limits):
            del rest[0]
        if rest:
            groups = sorted(rest, key=lambda group: group.place)
            remaining.append(_Bin(groups, tokenizer.count(_joined(groups))))
    return closed + remaining


def _put(group: _Group, bins: Iterable[_Bin], tokenizer: Tokenizer, limits: SizeLimits) -> _Bin | None:
    """Put ``group`` into the first of ``bins`` with room for it, and return that bin, or None."""
    for bin_ in bins:
        if bin_.tokens + group.tokens <= limits.high:
            groups = sorted([*bin_.groups, group], key=lambda group: group.place)
            tokens = tokenizer.count(_joined(groups))
            if tokens <= limits.high:
                bin_.groups, bin_.tokens = groups, tokens
                return bin_
    return None


def _joined(groups: Sequence[_Group]) -> str:
    return "\n".join([group.text for group in groups])


# ---------------------------------------------------------------- records


def _passage(groups: Sequence[_Group], tokens: int) -> Passage:
    """Return the record of a passage; its id is a hash of its pieces and its text."""
    text = _joined(groups)
    pieces = tuple([Piece(group.document.id, group.start, group.end) for group in groups])
    where = ",".join([f"[{json_string(piece.document_id)},{piece.start},{piece.end}]" for piece in pieces])
    cuts = {cut for group in groups for cut in group.cuts}
    return Passage(
        id=hashlib.sha256(f"[{where}]\n{text}".encode()).hexdigest()[:16],
        text=text,
        n_tokens=tokens,
        pieces=pieces,
        n_sentences=sum([group.last - group.first for group in groups]),
        cut="space" if "space" in cuts else "clause" if "clause" in cuts else "",
    )


def _rejected(group: _Group, index: int) -> Rejected:
    """Return the record of a unit that is in no passage."""
    start, end = group.units.starts[index], group.units.ends[index]
    value = group.document.text[start:end]
    detail = f"characters {start} to {end}: a headline, caption or list that nothing near could be joined to"
    return Rejected("chunk", "no complete sentence", group.document.id, value, detail)
