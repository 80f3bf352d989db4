"""Parse a reply of any form to pairs of a mention and its type. Nothing is evaluated, and nothing raises.

::

    reply
      |  final_answer.py   leaves out thoughts, drafts, and what the model makes up after its turn
    answer
      |  tree.py           reads strict JSON;
      |  scanner.py        other brackets;
      |  notations.py      tags, tables, YAML, CSV;
      |  lines.py          other lines, which cells.py cuts
    tree
      |  flatten.py        reads lists and headings;
      |  objects.py        objects
    items: strings, of which one may be a mention and another its type
      |  roles.py          decides which is which, for all items of one form at once;
      |  line_roles.py     for lines and rows;
      |  evidence.py       scores both by the passage, words.py by their look
    pairs

A reply with items and without a pair is ``unparsable``: it must not pass for a passage without entities.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from annotator.cleaning.replies.evidence import Evidence
from annotator.cleaning.replies.final_answer import final_answer, first_turn, unfenced
from annotator.cleaning.replies.flatten import flatten
from annotator.cleaning.replies.items import Excluded, Item
from annotator.cleaning.replies.lines import read_lines
from annotator.cleaning.replies.notations import delimited
from annotator.cleaning.replies.roles import settle
from annotator.cleaning.replies.scanner import MAX_CHARS, scan
from annotator.cleaning.replies.tree import Bare, Node, Unquoted, is_string, shorten, strict_json
from annotator.cleaning.replies.words import is_placeholder, is_remark, says_none
from annotator.records import RawMention

Status: TypeAlias = Literal["ok", "repaired", "truncated", "unparsable"]


@dataclass(frozen=True, slots=True)
class ParsedReply:
    """The mentions of one reply, in order, and how well it could be read."""

    mentions: tuple[RawMention, ...]
    """As the teacher wrote them, less the white space around."""
    status: Status
    """``ok``: strict JSON, fenced or not; ``repaired``: read all the same; ``truncated``: ended before its list did."""
    malformed: tuple[str, ...]
    """Items that stood in the list but are no (text, label) pair, at most 200 characters each."""
    excluded: tuple[str, ...] = ()
    """Items that the reply itself calls no entities, as long."""


def parse_reply(reply: str, passage: str = "", *, truncated: bool = False) -> ParsedReply:
    """Read the (mention, type) pairs of ``reply`` to ``passage``; ``truncated``: the token limit ended it.

    Without the passage, what only the passage could settle is no pair. Never raises. Time and memory are linear in the
    length of the reply; of one that is not strict JSON, the first 500,000 characters are read, and the rest counts as
    cut off.
    """
    evidence = Evidence(passage)
    tree = strict_json(unfenced(reply.strip().removeprefix("\ufeff").lstrip()))
    if not isinstance(tree, list):
        turn = first_turn(reply)
        truncated = truncated and turn == reply  # what was cut off later is none of the answer
        body = final_answer(turn)
        tree = strict_json(unfenced(body)) if tree is None else tree
    if isinstance(tree, list):
        return _judge([tree], evidence, "ok")  # its last bracket is there, whatever ended the reply
    if is_string(tree):
        body = tree  # JSON inside a JSON string
    if says_none(body):
        return ParsedReply((), "repaired", ())
    if body[:50].lstrip().lower().startswith(("<!doctype", "<html")):
        return ParsedReply((), "unparsable", ())
    body, truncated = body[:MAX_CHARS], truncated or len(body) > MAX_CHARS
    parsed = _read_loosely(body, evidence, truncated)
    if parsed.mentions or (plain := body.translate(_WIDE)) == body:
        return parsed
    return _read_loosely(plain, evidence, truncated)


_WIDE = str.maketrans("（）【】«»「」", "()[]“”“”") | str.maketrans({"，": ", ", "：": ": ", "；": "; "})
"""Marks of other scripts that stand for those of a list."""


def _read_loosely(body: str, evidence: Evidence, truncated: bool) -> ParsedReply:
    """Read what is not strict JSON: brackets, and the lines of a text without any but empty ones."""
    if nodes := delimited(body):
        return _judge(nodes, evidence, "truncated" if truncated else "repaired")
    roots, cut = scan(body)
    if (not roots or isinstance(roots[0], Unquoted)) and '\\"' in body:
        roots, cut = scan(body.replace('\\"', '"'))  # quotes escaped with no string around them
    status: Status = "truncated" if cut or truncated else "repaired"
    parsed = _judge(roots, evidence, status)
    if parsed.mentions and (evidence.known or not isinstance(roots[0], Unquoted)):
        return parsed
    if not all(isinstance(root, Unquoted) or _is_empty_type(root) for root in roots):
        return parsed
    lines = body.splitlines()[: -1 if truncated else None]
    read = _judge(read_lines("\n".join(lines)), evidence, status)
    return read if read.mentions or not any(map(_is_empty_type, roots)) else parsed


def _is_empty_type(root: Node) -> bool:
    """Whether ``root`` is the ``event: []`` or ``attributes: {}`` of an answer that has other lines."""
    entry = root[0] if isinstance(root, list) and len(root) == 1 else None
    return isinstance(entry, tuple) and not entry[1] and not is_remark(entry[0])


_BIO = re.compile(r"([BIESLU])-(.+)")
_SURROGATE = re.compile("[\ud800-\udfff]")


def _judge(roots: Sequence[Node], evidence: Evidence, status: Status) -> ParsedReply:
    """Turn trees into the result; without one mention, only an empty list or a cut one is an answer."""
    steps, empty = flatten(roots, evidence)
    readings = iter(settle([step for step in steps if isinstance(step, Item)], evidence))
    mentions: list[RawMention] = []
    malformed: list[str] = []
    excluded: list[str] = []
    for step in steps:
        if isinstance(step, Item):
            pairs = next(readings)
            found = [mention for pair in pairs or () if (mention := _mention(*pair, evidence)) is not None]
            mentions += found
            if not found:
                shown = [*step.nodes] if step.form.startswith("bare") or len(step.nodes) == 1 else [[*step.nodes]]
                (excluded if pairs is None else malformed).extend(map(shorten, shown))
        else:
            (excluded if isinstance(step, Excluded) else malformed).append(str(step))
    mentions = _join_tokens(mentions)
    if not roots or (not mentions and status != "truncated" and (malformed or not (empty or excluded))):
        status = "unparsable"
    return ParsedReply(tuple(mentions), status, tuple(malformed), tuple(excluded))


def _mention(text: Node, label: Node, evidence: Evidence) -> RawMention | None:
    """Return the pair if both are text that can be written to a file; a number can be a mention, never a type.

    Two words without quotes are a pair only where the passage has the first.
    """
    if not (isinstance(text, str) and isinstance(label, str)):
        return None
    if isinstance(label, Bare) and (not label[:1].isalpha() or (isinstance(text, Bare) and not evidence.stands(text))):
        return None
    mention = RawMention(str(text).strip(), str(label).strip())
    if is_placeholder(mention.text, mention.label) or (evidence.known and mention.text in ("...", "…")):
        return None  # the form of an answer, from the prompt
    is_good = mention.text and mention.label and not _SURROGATE.search(mention.text + mention.label)
    return mention if is_good else None


def _join_tokens(mentions: list[RawMention]) -> list[RawMention]:
    """Join the tokens of a tagger, ``Lê`` B-PER and ``An`` I-PER, where a reply has nothing else."""
    if not any(mention.label.startswith("I-") for mention in mentions):
        return mentions
    tagged = [(mention.text, _BIO.fullmatch(mention.label)) for mention in mentions if mention.label != "O"]
    tags = [tag for _, tag in tagged if tag]
    if len(tags) < len(tagged):
        return mentions
    joined: list[RawMention] = []
    for (token, _), tag in zip(tagged, tags, strict=True):
        text = token.replace("▁", " ").strip()
        if joined and tag[1] in "IEL" and joined[-1].label == tag[2]:
            text = joined.pop().text + (text[2:] if text.startswith("##") else f" {text}")
        joined.append(RawMention(text, tag[2]))
    return joined
