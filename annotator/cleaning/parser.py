"""What a teacher wrote, whatever it looks like, to raw mentions. Nothing is ever evaluated, nothing raises.

Strict JSON is read by ``json``; all else goes through ``annotator.cleaning.scanner``, which gives the same tree. The
pairs are then found in the tree, without recursion. Markdown lines and tables are read last, and only where their form
leaves no doubt. What has items but not one pair is ``unparsable``: it must not pass for a passage without entities.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, NamedTuple, TypeAlias

from annotator.cleaning.scanner import LABEL_KEYS, MAX_CHARS, TEXT_KEYS, Bare, Node, fold, is_nested, names, scan
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


def parse_reply(reply: str, *, truncated: bool = False) -> ParsedReply:
    """Read the (mention, type) pairs of ``reply``; ``truncated`` says that the token limit ended it.

    Never raises. Time and memory are linear in the length of the reply; of one that is not strict JSON, the first
    500,000 characters are read, and the rest counts as cut off.
    """
    body = spoken(reply)
    try:
        tree: Node = json.loads(
            unfenced(body), object_pairs_hook=list, parse_int=Bare, parse_float=Bare, parse_constant=Bare
        )
    except (ValueError, RecursionError):
        tree = None
    if isinstance(tree, list):
        return _judge([tree], "truncated" if truncated else "ok")
    if isinstance(tree, str) and not isinstance(tree, Bare):
        body = tree  # JSON inside a JSON string
    if body[:50].lstrip().lower().startswith(("<!doctype", "<html", "<?xml")):
        return ParsedReply((), "unparsable", ())
    truncated = truncated or len(body) > MAX_CHARS
    body = body[:MAX_CHARS]
    roots, cut = scan(body)
    if not roots and '\\"' in body:
        roots, cut = scan(body.replace('\\"', '"'))  # quotes escaped with no string around them
    roots = roots or _lines(body.splitlines()[: -1 if truncated else None])
    return _judge(roots, "truncated" if cut or truncated else "repaired")


def spoken(reply: str) -> str:
    """Return ``reply`` without the thoughts of a reasoning model, whose opening tag may be part of the prompt."""
    body = reply.strip().removeprefix("\ufeff").lstrip()
    if body.startswith(("[", "{", "(", "```")):
        return body
    thoughts, closing, rest = body.partition("</think>")
    return rest.strip() if closing else "" if thoughts.startswith("<think>") else body


def unfenced(body: str) -> str:
    """Return what stands in a code fence, if ``body`` is one."""
    fenced = len(body) >= 6 and body.startswith("```") and body.endswith("```")
    return re.sub(r"\A[\w+-]*+", "", body[3:-3]) if fenced else body


# ---- tree to pairs ----


class _Visit(NamedTuple):
    """A node still to be looked into; ``group`` is the type named by a key above it, if any."""

    node: Node
    group: str | None = None


class _Claim(NamedTuple):
    """Two scalars: a mention and its type, or an entry of a map, of which either may be the type."""

    first: Node
    second: Node
    form: Literal["pair", "entry", "listed entry"] = "pair"


_Step: TypeAlias = _Visit | _Claim | str
"""A ``str`` is a malformed item as it will be shown."""


_WRAPPER_KEYS = names("""
    entities named_entities extracted_entities entity_list mentions annotations predictions result results data
    output answer response items list tuples pairs ner
""")
_COMMON_LABELS = names("""
    person people per location loc gpe place organization organisation org company country city province date time
    event product disease money number quantity percentage percent age title job position occupation law nationality
    misc vehicle film symptom sport team currency technology concept facility website food animal người địa_điểm
    tổ_chức công_ty quốc_gia thành_phố ngày thời_gian sự_kiện sản_phẩm
""")
_PLAIN_LABEL = re.compile(r"[a-z]++(?:[ _/-][a-z]++){0,3}")
_SURROGATE = re.compile("[\ud800-\udfff]")


def _judge(roots: Sequence[Node], status: Status) -> ParsedReply:
    """Turn trees into the result; without one mention, only an empty list or a cut one is an answer."""
    claims, empty = _claims(roots)
    swap = _keys_are_types([claim for claim in claims if isinstance(claim, _Claim) and claim.form != "pair"])
    mentions: list[RawMention] = []
    malformed: list[str] = []
    for claim in claims:
        if isinstance(claim, str):
            malformed.append(claim)
            continue
        text, label = (claim.second, claim.first) if swap and claim.form != "pair" else (claim.first, claim.second)
        if (mention := _mention(text, label)) is not None:
            mentions.append(mention)
        else:
            malformed.append(_short([text, label]))
    if not roots or (not mentions and status != "truncated" and (malformed or not empty)):
        status = "unparsable"
    return ParsedReply(tuple(mentions), status, tuple(malformed))


def _mention(text: Node, label: Node) -> RawMention | None:
    """Return the pair if both are text that can be written to a file; a number can be a mention, never a type."""
    if not (isinstance(text, str) and isinstance(label, str)):
        return None
    if isinstance(label, Bare) and (isinstance(text, Bare) or not label[:1].isalpha()):
        return None
    mention = RawMention(str(text).strip(), str(label).strip())
    is_good = mention.text and mention.label and not _SURROGATE.search(mention.text + mention.label)
    return mention if is_good else None


def _short(node: Node) -> str:
    """Return ``node`` as text of at most 200 characters, without what stands deeper in it."""
    if isinstance(node, list):
        node = "[" + ", ".join("…" if isinstance(item, list) else _short(item) for item in node[:50]) + "]"
    elif isinstance(node, tuple):
        node = f"{node[0]}: {'…' if isinstance(node[1], list) else node[1]}"
    return _SURROGATE.sub("?", str(node).strip()[:200])


def _claims(roots: Iterable[Node]) -> tuple[list[_Claim | str], bool]:
    """Walk the trees in order: what they claim, what is malformed, and whether there was an empty list."""
    found: list[_Claim | str] = []
    empty = False
    todo: list[_Step] = []
    for root in roots:
        loose = isinstance(root, list) and not is_nested(root) and not _is_pair(root)
        todo.extend([_Visit(item) for item in root] if loose and isinstance(root, list) and root else [_Visit(root)])
    todo.reverse()
    while todo:
        step = todo.pop()
        if not isinstance(step, _Visit):
            found.append(step)
        elif not isinstance(step.node, list):
            found.append(_short(step.node))
        elif not step.node:
            empty = True
        elif any(isinstance(item, tuple) for item in step.node):
            todo.extend(reversed(_in_object(step.node, step.group)))
        else:
            todo.extend(reversed(_in_list(step.node, step.group)))
    return found, empty


def _is_pair(items: Sequence[Node]) -> bool:
    """Two scalars, after which only numbers (offsets, a score) may follow."""
    return len(items) >= 2 and all(isinstance(item, Bare) for item in items[2:])


def _in_list(items: list[Node], group: str | None) -> list[_Step]:
    """A pair, ``[type, [mentions]]``, a pair whose closing bracket was forgotten, or a list of whatever."""
    if not is_nested(items):
        return [_Claim(items[0], items[1]) if _is_pair(items) else _short(items)]
    kinds = [isinstance(item, list) for item in items]
    if kinds == [False, True] and isinstance(items[1], list) and items[1] and not is_nested(items[1]):
        return [_Claim(items[0], item, "listed entry") for item in items[1]]
    if kinds[:2] == [False, False] and all(kinds[2:]):
        return [_Claim(items[0], items[1]), *(_Visit(item, group) for item in items[2:])]
    return [_Visit(item, group) for item in items]


def _in_object(items: list[Node], group: str | None) -> list[_Step]:
    """A record ``{text: ..., type: ...}``, a wrapper around a list, or a map between types and mentions."""
    entries = [item for item in items if isinstance(item, tuple)]
    strays: list[_Step] = [_Visit(item) for item in items if not isinstance(item, tuple)]
    fields: dict[str, Node] = {}
    for key, value in entries:
        fields.setdefault(fold(key), value)
    text = next((key for key in TEXT_KEYS if key in fields), None)
    label = next((key for key in LABEL_KEYS if key in fields), None)
    if label is None and "entity" in fields and (word := fields.keys() & {"word", "value"}):
        text, label = min(word), "entity"  # tokens of a tagger, slots of a dialogue
    if text and label and not is_nested(fields[text]) and not is_nested(fields[label]):
        starts = [index for index, (key, _) in enumerate(entries) if fold(key) == fold(entries[0][0])]
        if len(starts) > 1:  # the brackets between two records were forgotten
            return [*(_Visit([*entries[a:b]]) for a, b in pairwise([*starts, len(entries)])), *strays]
        texts, labels = (value if isinstance(value, list) else [value] for value in (fields[text], fields[label]))
        if len(texts) > 1 and len(labels) > 1:
            return [_short(items)]
        return [_Claim(one, kind) for one in texts for kind in labels] + strays or [_Visit([])]
    wrapped = {key for key, value in fields.items() if isinstance(value, list) and key in _WRAPPER_KEYS}
    is_wrapper = bool(wrapped) or any(map(is_nested, fields.values()))
    if not is_wrapper and text and group and not label:
        return [_Claim(fields[text], group)]  # {"person": [{"name": ...}]}
    if not is_wrapper and (label or (text and text != "name")):
        return [_short(items)]  # half a record; "name" may as well be a type
    steps: list[_Step] = []
    for key, value in entries:
        within = fold(key) in wrapped
        if isinstance(value, list) and value and not is_nested(value):
            steps.extend(_Visit(item) if within else _Claim(key, item, "listed entry") for item in value)
        elif isinstance(value, list) or (value is None and _likeness(key)):
            steps.append(_Visit(value or [], group if within else key))
        elif not is_wrapper:
            steps.append(_Claim(key, value, "entry"))
        elif not wrapped:  # beside a list that names itself as the answer, other fields are remarks
            steps.append(_short((key, value)))
    return steps + strays


def _keys_are_types(entries: Sequence[_Claim]) -> bool:
    """Decide for a whole reply which side of its ``key: value`` maps is the type.

    ``{"location": "Hà Nội"}`` and ``{"Hà Nội": "location"}`` differ by their words alone. Each side is weighed by how
    much its distinct words look like types and by how often they come again, as types do. If neither wins, the value
    is the type, in the order of a pair; values that stand in lists are mentions unless they clearly look like types.
    """
    lean = _weight([entry.first for entry in entries]) - _weight([entry.second for entry in entries])
    return lean > (-1 if any(entry.form == "listed entry" for entry in entries) else 0)


def _weight(side: Sequence[Node]) -> float:
    words = {str(word).strip() for word in side}
    return sum(map(_likeness, words)) / len(words) + 2 * (1 - len(words) / len(side)) if words else 0.0


def _likeness(word: str) -> float:
    """How much ``word`` looks like an entity type: 3 for a common one, 1 or 0.5 for few words in lower case, or 0."""
    folded = fold(word)
    if folded in _COMMON_LABELS or folded.removesuffix("s") in _COMMON_LABELS:
        return 3
    if _PLAIN_LABEL.fullmatch(folded) and (word.islower() or (word.isupper() and "_" in word)):
        return 1
    return 0.5 if word.islower() and len(word.split()) <= 4 and not any(map(str.isdigit, word)) else 0


# ---- Markdown ----

_BULLET = re.compile(r"\s*+(?:[-*•+–]|\d{1,4}+[.)])\s++")


def _lines(lines: Sequence[str]) -> list[Node]:
    """Read a table under a header that names both columns, or lines like ``mention: type``.

    Prose has bullets and colons, too: each of the lines must fit, and half of their types be common ones.
    """
    rows = [[cell.strip("* `") for cell in line.strip().strip("|").split("|")] for line in lines if "|" in line]
    header = [fold(cell) for cell in rows[0]] if rows else []
    text = next((index for index, name in enumerate(header) if name in TEXT_KEYS), None)
    label = next((index for index, name in enumerate(header) if name in LABEL_KEYS), None)
    if text is not None and label is not None:
        cells = [row for row in rows[1:] if not all(set(cell) <= set("-: ") for cell in row)]
        return [[[row[text], row[label]] if len(row) == len(header) else " | ".join(row)] for row in cells]
    bullets = [line[match.end() :] for line in lines if (match := _BULLET.match(line))]
    plain = [line for line in lines if line.strip() and not line.rstrip().endswith(":")]
    pairs = [_line(line) for line in bullets or (plain if len(plain) > 1 else [])]
    common = sum(1 for pair in pairs if pair and _likeness(pair[1]) == 3)
    return [[*pair] for pair in pairs if pair] if all(pairs) and 2 * common >= len(pairs) else []


def _line(line: str) -> tuple[str, str] | None:
    """Split ``Hà Nội: location``, ``**Hà Nội** (location)`` or ``Hà Nội - location``."""
    line = line.strip().rstrip(".,;")[:1000].replace("**", "").replace("`", "")
    cuts = [line[:-1].rpartition("(")] if line.endswith(")") else []
    cuts += [line.rpartition(mark) for mark in (": ", " - ", " – ", " — ", " → ", " -> ", " => ")]
    for text, mark, label in cuts:
        if mark and text.strip() and _PLAIN_LABEL.fullmatch(label.strip(" \"'*").lower()):
            return text.strip(" \"'“”"), label.strip(" \"'*")
    return None
