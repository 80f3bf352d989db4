"""Read objects: records ``{text: ..., type: ...}``, wrappers around a list, maps between types and mentions."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence, Set
from itertools import pairwise

from annotator.cleaning.replies.cells import cut_line
from annotator.cleaning.replies.evidence import Evidence
from annotator.cleaning.replies.items import Excluded, Item, Steps, Visit
from annotator.cleaning.replies.names import (
    LABEL_KEYS,
    PROSE_KEYS,
    TEXT_KEYS,
    WRAPPER_KEYS,
    fold,
    is_field,
    names,
    remembered,
)
from annotator.cleaning.replies.records import Record
from annotator.cleaning.replies.tree import Bare, Line, Node, is_nested, is_object, is_pair, shorten, strict_json
from annotator.cleaning.replies.words import is_nothing, is_remark, likeness

_EXCLUDED_KEYS = names("""
    excluded excluded_entities not_entities non_entities rejected ignored removed skipped discarded omitted
    loại_trừ bị_loại bỏ_qua không_phải_thực_thể
""")
_ASIDE_KEYS = names("""
    relation relationship relations relationships edges triples triplets links quan_hệ các_quan_hệ reasoning
    explanation explanations notes thoughts thought thinking analysis metadata usage attributes properties
    giải_thích suy_luận
""")
_ECHO_KEYS = names("text sentence input passage context document paragraph source content câu đoạn_văn văn_bản")
_ARTICLE_KEYS = names("summary abstract body content text article headline subtitle tóm_tắt nội_dung bài_viết tiêu_đề")
"""Names beside which "title" is the title of an article, not a type."""
_FLAG_KEYS = names("is_entity is_named_entity is_an_entity is_ne entity? là_thực_thể is_valid valid include")
_NO = frozenset({"false", "no", "không", "sai", "0"})
_NUMBERED = re.compile(r"(?:entity|thực_thể|item|mention)?_?\d+")


def read_object(items: list[Node], group: str | None, evidence: Evidence) -> Steps:
    """Read a record, a wrapper around a list, or a map between types and mentions."""
    steps: Steps = []
    strays: Steps = []
    entries: list[tuple[str, Node]] = []
    fields: dict[str, Node] = {}
    for item in items:
        if not isinstance(item, tuple):
            strays.append(Visit(item))
        elif (name := _name(item[0])) in _EXCLUDED_KEYS:
            steps.append(Excluded(shorten(item)))
        elif not (_is_aside(name) and (item[1] is None or isinstance(item[1], list | Bare))):
            value = _named(item[1]) if name in LABEL_KEYS else _opened(name, item[1])
            entries.append((item[0], value))
            fields.setdefault(name, value)
    if "trigger" in fields or any(_is_no(fields[key]) for key in fields.keys() & _FLAG_KEYS):  # an event, or none
        return [Excluded(shorten(items))]
    wrapped = {key for key, value in fields.items() if isinstance(value, list) and key in WRAPPER_KEYS}
    record = Record(fields, group, evidence)
    if grouped := record.items_of_group():
        return [*steps, *grouped, *strays]
    is_complete = record.text and record.label and wrapped <= {"mentions", "spans"}
    if is_complete or not any(is_nested(fields[key]) for key in wrapped):
        found = record.items()
        if found is not None:
            return [*steps, *(_cut_apart(entries, fields) or found), *strays] or [Visit([])]
    return [*steps, *_map(entries, fields, wrapped, group), *strays] or [Visit([])]


def _cut_apart(entries: Sequence[tuple[str, Node]], fields: Mapping[str, Node]) -> Steps:
    """Cut records apart whose brackets are missing between them: each begins where the first name comes again."""
    begins = [at for at, (key, _) in enumerate(entries) if _name(key) == _name(entries[0][0])]
    if len(fields) == len(entries) or len(begins) < 2:
        return []
    return [Visit([*entries[begin:end]]) for begin, end in pairwise([*begins, len(entries)])]


@remembered
def _name(key: str) -> str:
    """Return the name of a field without its number: ``entity`` for ``Entity_1``."""
    name = fold(key)
    stem = name.rstrip("0123456789").rstrip("_")
    return stem if stem in TEXT_KEYS or stem in LABEL_KEYS else name


def _is_aside(name: str) -> bool:
    return name in _ASIDE_KEYS or name.endswith(("_attributes", "_index"))


def _named(value: Node) -> Node:
    """Return the name of a type that is an object, ``{"value": "PER", "confidence": 0.9}``, or a list of them."""
    if not isinstance(value, list):
        return value
    fields = [item for item in value if isinstance(item, tuple) and fold(item[0]) not in PROSE_KEYS]
    texts = [text for _, text in fields if type(text) is str]
    if len(texts) == 1 and all(isinstance(item, tuple) and not isinstance(item[1], list) for item in value):
        return texts[0]
    return [*map(_named, value)] if all(isinstance(item, list) for item in value) else value


def _opened(name: str, value: Node) -> Node:
    """Read JSON in a string: the arguments of a function call."""
    tree = strict_json(value) if isinstance(value, str) and name in WRAPPER_KEYS else None
    return tree if isinstance(tree, list) else value


def _is_no(value: Node) -> bool:
    return value is None or value is False or (isinstance(value, str) and value.strip().lower() in _NO)


def _map(
    entries: Sequence[tuple[str, Node]], fields: Mapping[str, Node], wrapped: Set[str], group: str | None
) -> Steps:
    """Read the entries of a map between types and mentions, or of a wrapper."""
    has_lists = any(isinstance(value, list) for value in fields.values())
    is_wrapper = bool(wrapped) or any(map(is_nested, fields.values()))
    is_article = any(isinstance(fields[key], str) for key in fields.keys() & _ARTICLE_KEYS)
    steps: Steps = []
    for key, value in entries:
        name = fold(key)
        if name == "function" and isinstance(value, list) and not _has_key(value, WRAPPER_KEYS):
            continue  # its name; the arguments stand elsewhere
        if name in _ECHO_KEYS and isinstance(value, str) and (has_lists or len(entries) > 2 or len(value) > 100):
            continue  # the passage, repeated
        is_title = is_article and name == "title" and isinstance(value, str)
        is_numbered = _NUMBERED.fullmatch(name)
        if isinstance(value, list) and value and not is_nested(value) and not is_numbered:
            head = group if name in wrapped or _is_only_remark(key) else key
            steps += _bare(value) if head is None else [Item((head, item), "listed entry") for item in value]
        elif is_title or (name in LABEL_KEYS and _is_of_text(value, fields)):
            steps.append(shorten((key, value)))
        elif isinstance(value, list) or (value is None and likeness(key)):
            steps.append(Visit(value or [], group if name in wrapped or is_numbered or is_field(name) else key))
        else:
            steps += _scalar(key, value, beside_list=bool(wrapped), alone=len(entries) == 1, is_wrapper=is_wrapper)
    return steps


def _has_key(items: Sequence[Node], names: Mapping[str, int]) -> bool:
    return any(isinstance(item, tuple) and fold(item[0]) in names for item in items)


def _is_only_remark(key: str) -> bool:
    return is_remark(key) and likeness(key) < 3


def _is_of_text(value: Node, fields: Mapping[str, Node]) -> bool:
    """Whether the object ``value`` describes the text beside it."""
    texts = [text for key in TEXT_KEYS.keys() & fields.keys() if isinstance(text := fields[key], str)]
    return is_object(value) and any(len(text) <= 100 for text in texts)


def _bare(values: list[Node]) -> Steps:
    """Read a list of scalars under a key that names no type."""
    if is_pair(values) and all(isinstance(item, str) for item in values):
        return [Item((values[0], values[1]), "bare pair")]
    return [Item(tuple(values), "bare row")] if len(values) > 2 else [*map(Visit, values)]


def _scalar(key: str, value: Node, *, beside_list: bool, alone: bool, is_wrapper: bool) -> Steps:
    """Read an entry without a list: of a map between types and mentions, a remark, or an answer in words."""
    if type(value) is str and fold(key) in WRAPPER_KEYS:
        if is_nothing(value):
            return [Visit([])]
        if not is_wrapper:
            return [Item((Line(part),), "line") for part in cut_line(value)]
    if is_wrapper:  # beside a list that names itself as the answer, other fields are remarks
        return [] if beside_list else [shorten((key, value))]
    if _is_only_remark(key) and not alone:
        return [shorten((key, value))]
    return [Item((key, value), "entry", several=True)]
