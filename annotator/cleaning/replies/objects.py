"""Read objects: records ``{text: ..., type: ...}``, wrappers around a list, maps between types and mentions."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise

from annotator.cleaning.replies.cells import cut_line
from annotator.cleaning.replies.evidence import Evidence
from annotator.cleaning.replies.items import Excluded, Item, Steps, Visit
from annotator.cleaning.replies.names import LABEL_KEYS, TEXT_KEYS, fold, is_field, names, remembered
from annotator.cleaning.replies.tree import Bare, Line, Node, is_nested, is_pair, shorten, strict_json
from annotator.cleaning.replies.words import is_nothing, is_remark, is_shaped, likeness

_WRAPPER_KEYS = names("""
    entities named_entities extracted_entities entity_list mentions annotations predictions result results data
    output answer response items list tuples pairs ner extractions nodes spans arguments parameters input args
    tool_call tool_calls function_call function json final_answer content labels tags thực_thể các_thực_thể
    danh_sách danh_sách_thực_thể kết_quả
""")
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
"""What makes a "title" beside it one of an article, and no type."""
_FLAG_KEYS = names("is_entity is_named_entity is_an_entity is_ne entity? là_thực_thể is_valid valid include")
_PROSE_KEYS = names("""
    description desc reason reasoning explanation note notes comment context sentence evidence justification role
    definition mô_tả lý_do giải_thích ghi_chú vai_trò bối_cảnh chức_vụ confidence score
""")
_NO = frozenset({"false", "no", "không", "sai", "0"})
_COUNTED = re.compile(r"(?:entity|thực_thể|item|mention)?_?\d+")
_RELATED = names("relation predicate relationship relation_type quan_hệ")


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
    wrapped = {key for key, value in fields.items() if isinstance(value, list) and key in _WRAPPER_KEYS}
    text, label = _roles(fields, group, evidence)
    kind = label or (text if text in ("name", "id") and evidence.type_weight(str(fields[text])) >= 2 else None)
    if kind and (grouped := _of_group(fields, kind, evidence)):
        return [*steps, *grouped, *strays]
    if (text and label and wrapped <= {"mentions", "spans"}) or not any(is_nested(fields[key]) for key in wrapped):
        records = _records(fields, text, label, group, evidence)
        if records is not None and len(fields) < len(entries):  # the brackets between two records were forgotten
            first = _name(entries[0][0])
            repeated = [index for index, (key, _) in enumerate(entries) if _name(key) == first]
            if len(repeated) > 1:
                return [*(Visit([*entries[a:b]]) for a, b in pairwise([*repeated, len(entries)])), *strays]
        if records is not None:
            return [*steps, *records, *strays] or [Visit([])]
    return [*steps, *_map(entries, fields, wrapped, group), *strays] or [Visit([])]


@remembered
def _name(key: str) -> str:
    """Return the name of a field without its number: ``Entity_1`` is called ``entity``."""
    name = fold(key)
    stem = name.rstrip("0123456789").rstrip("_")
    return stem if stem in TEXT_KEYS or stem in LABEL_KEYS else name


def _is_aside(name: str) -> bool:
    return name in _ASIDE_KEYS or name.endswith(("_attributes", "_index"))


def _named(value: Node) -> Node:
    """Name a type that is an object with a score, ``{"value": "PER", "confidence": 0.9}``, or a list of them."""
    if not isinstance(value, list):
        return value
    fields = [item for item in value if isinstance(item, tuple) and fold(item[0]) not in _PROSE_KEYS]
    texts = [text for _, text in fields if type(text) is str]
    if len(texts) == 1 and all(isinstance(item, tuple) and not isinstance(item[1], list) for item in value):
        return texts[0]
    return [*map(_named, value)] if all(isinstance(item, list) for item in value) else value


def _opened(name: str, value: Node) -> Node:
    """Read JSON in a string, as the arguments of a function call are given."""
    tree = strict_json(value) if isinstance(value, str) and name in _WRAPPER_KEYS else None
    return tree if isinstance(tree, list) else value


def _is_no(value: Node) -> bool:
    return value is None or value is False or (isinstance(value, str) and value.strip().lower() in _NO)


def _of_group(fields: dict[str, Node], label: str, evidence: Evidence) -> Steps:
    """Read the items of ``{"category": "person", "items": [...]}``, whatever the list is called."""
    kind = fields[label]
    lists = [(key, value) for key, value in fields.items() if isinstance(value, list) and value and key != label]
    if len(lists) != 1 or not isinstance(kind, str) or _is_constant(kind) or evidence.type_weight(kind) < 0.3:
        return []
    (key, values), texts = lists[0], fields.keys() & TEXT_KEYS.keys() - {label}
    if any(not isinstance(fields[name], list) for name in texts) or any(isinstance(item, tuple) for item in values):
        return []
    if is_nested(values):
        return [Visit(values, kind)]
    return [Item((item, kind), "record") for item in values] if key not in TEXT_KEYS or label in TEXT_KEYS else []


def _records(
    fields: dict[str, Node], text: str | None, label: str | None, group: str | None, evidence: Evidence
) -> Steps | None:
    """Return the pairs of one record, what is only half of one, or None where the fields are no record."""
    kind = fields[label] if label else None
    if text and label:
        return _product(fields, text, label, evidence)
    is_mention = group and evidence.type_weight(group) < 2 and (evidence.stands(group) or not evidence.known)
    if group and is_mention and isinstance(kind, str) and not text:
        return [Item((group, kind), "record")]  # {"Hà Nội": {"type": "city"}}
    typed = [(fields[key], fields[f"{key}_type"]) for key in fields if f"{key}_type" in fields]
    if typed or fields.keys() & _RELATED:  # head, head_type, tail, tail_type
        return [Item(pair, "record") for pair in typed if all(isinstance(value, str) for value in pair)]
    return _half(fields, text, label, group, evidence)


def _product(fields: dict[str, Node], text: str, label: str, evidence: Evidence) -> Steps:
    """Pair one text with one type or several, several texts with one type, or as many types as texts."""
    texts, labels = (value if isinstance(value, list) else [value] for value in (fields[text], fields[label]))
    words = [one for one in texts if isinstance(one, str) and any(map(str.isalnum, one))]
    if len(texts) == len(labels) > 1 and words and all(map(evidence.stands, words)):
        return [Item(pair, "record") for pair in zip(texts, labels, strict=True)]
    several = text.endswith("s") or text.startswith("các_")
    pairs: Steps = [Item((one, kind), "record", several) for one in texts for kind in labels]
    return pairs if len(texts) < 2 or len(labels) < 2 else [shorten([*fields.items()])]


def _half(
    fields: dict[str, Node], text: str | None, label: str | None, group: str | None, evidence: Evidence
) -> Steps | None:
    """Read a record whose type stands above it, or without a type."""
    if text and group and not label and not any(map(is_nested, fields.values())):
        return [Item((fields[text], group), "record")]  # {"person": [{"name": ...}]}
    name, value = fields.get("name"), fields.get("value")
    if isinstance(name, str) and isinstance(value, str):
        return [Item((name, value), "entry")]
    has_lists = any(isinstance(value, list) for value in fields.values())
    is_described = has_lists and text in ("name", "id") and evidence.stands(str(fields[text]))
    is_map = has_lists and not is_described
    may_be_type = text in ("name", "id") and len(fields) > 1 and not fields.keys() & _PROSE_KEYS
    is_type = may_be_type and not is_described
    in_words = text in _WRAPPER_KEYS and len(fields) == 1  # {"entities": "Hà Nội: city, Huế: city"}
    is_half = not is_map and (label or (text and not is_type and not in_words))
    return [shorten([*fields.items()])] if is_half else None


def _roles(fields: dict[str, Node], group: str | None, evidence: Evidence) -> tuple[str | None, str | None]:
    """Name the fields that hold the mention and its type: by their names, else by what the passage has."""
    scalars = [key for key, value in fields.items() if not is_nested(value)]
    labels = sorted([key for key in scalars if key in LABEL_KEYS], key=LABEL_KEYS.__getitem__)
    label = next((key for key in labels if not _is_constant(fields[key])), labels[0] if labels else None)
    texts = [key for key in scalars if key in TEXT_KEYS and key != label and not _is_number(key, fields[key])]
    text = min(texts, key=TEXT_KEYS.__getitem__, default=None)
    if label is None and "entity" in fields and (word := {"word", "value"}.intersection(scalars)):
        return min(word), "entity"  # tokens of a tagger, slots of a dialogue
    if (text and label) or not evidence.known or len(scalars) < len(fields):
        return text, label
    return _roles_by_passage(fields, text, label, group, evidence)


def _roles_by_passage(
    fields: dict[str, Node], text: str | None, label: str | None, group: str | None, evidence: Evidence
) -> tuple[str | None, str | None]:
    """Fill in the role that no name of a field has settled, where the passage leaves one field for it."""
    others = {
        key: value
        for key, value in fields.items()
        if type(value) is str and key not in (text, label) and key not in _PROSE_KEYS
    }
    standing = [key for key, value in others.items() if evidence.stands(value)]
    kinds = [
        key
        for key, value in others.items()
        if key not in standing and is_shaped(value) and evidence.type_weight(value) > 0.3
    ]
    free = [key for key in fields if key not in TEXT_KEYS and key not in LABEL_KEYS]
    names_type = any(likeness(key) == 3 or evidence.stands(key.replace("_", " ")) for key in free)  # it is a map
    if text is None and (label or group):
        named = [key for key in standing if likeness(key) < 3]
        text = named[0] if len(named) == 1 else None
    elif text == "entity" and not label and len(standing) == 1 and evidence.type_weight(str(fields[text])) > 0.3:
        if not evidence.stands(str(fields[text])) and standing[0] in TEXT_KEYS:
            text, label = standing[0], text  # {"span": ..., "entity": "storm"}
    elif not label and not group and len(kinds) == 1 and not names_type:
        if text is None and len(standing) == 1:
            text, label = standing[0], kinds[0]
        elif text and evidence.stands(str(fields[text])):
            label = kinds[0]
    return text, label


_CONSTANTS = names("entity named_entity mention ner node string span function object array list entities")
_NUMBER = re.compile(r"\w?_?\d+|\w+_\d+|[\da-f-]{20,}")


def _is_constant(value: Node) -> bool:
    """Whether what should be a type says that its record is an entity, as all are."""
    return isinstance(value, str) and fold(value) in _CONSTANTS


def _is_number(key: str, value: Node) -> bool:
    """Whether an ``id`` only numbers its record."""
    return key == "id" and (type(value) is not str or _NUMBER.fullmatch(value) is not None)


def _map(entries: Sequence[tuple[str, Node]], fields: dict[str, Node], wrapped: set[str], group: str | None) -> Steps:
    """Read the entries of a map between types and mentions, or of a wrapper."""
    has_lists = any(isinstance(value, list) for value in fields.values())
    is_wrapper = bool(wrapped) or any(map(is_nested, fields.values()))
    is_article = any(isinstance(fields[key], str) for key in fields.keys() & _ARTICLE_KEYS)
    steps: Steps = []
    for key, value in entries:
        name = fold(key)
        within = name in wrapped
        keys = [item[0] for item in value if isinstance(item, tuple)] if isinstance(value, list) else []
        if name == "function" and isinstance(value, list) and _WRAPPER_KEYS.keys().isdisjoint(map(fold, keys)):
            continue  # its name; the arguments stand elsewhere
        if name in _ECHO_KEYS and isinstance(value, str) and (has_lists or len(entries) > 2 or len(value) > 100):
            continue  # the passage, repeated
        if is_article and name == "title" and isinstance(value, str):
            steps.append(shorten((key, value)))
            continue
        if isinstance(value, list) and value and not is_nested(value):
            if _COUNTED.fullmatch(name):
                steps.append(Visit(value, group))
                continue
            head = group if within or (is_remark(key) and likeness(key) < 3) else key
            steps += _bare(value) if head is None else [Item((head, item), "listed entry") for item in value]
        elif name in LABEL_KEYS and _is_of_text(value, fields):
            steps.append(shorten((key, value)))
        elif isinstance(value, list) or (value is None and likeness(key)):
            steps.append(Visit(value or [], group if within or _COUNTED.fullmatch(name) or is_field(name) else key))
        else:
            steps += _scalar(key, value, beside_list=bool(wrapped), alone=len(entries) == 1, is_wrapper=is_wrapper)
    return steps


def _is_of_text(value: Node, fields: dict[str, Node]) -> bool:
    """Whether the object ``value`` says several things of the one text beside it."""
    texts = [text for key in TEXT_KEYS.keys() & fields.keys() if isinstance(text := fields[key], str)]
    is_object = isinstance(value, list) and any(isinstance(item, tuple) for item in value)
    return is_object and any(len(text) <= 100 for text in texts)


def _bare(values: list[Node]) -> Steps:
    """Read a list of scalars under a key that names no type."""
    if is_pair(values) and all(isinstance(item, str) for item in values):
        return [Item((values[0], values[1]), "bare pair")]
    return [Item(tuple(values), "bare row")] if len(values) > 2 else [*map(Visit, values)]


def _scalar(key: str, value: Node, *, beside_list: bool, alone: bool, is_wrapper: bool) -> Steps:
    """Read an entry of a map between types and mentions; a remark; an answer in words."""
    if isinstance(value, str) and fold(key) in _WRAPPER_KEYS and type(value) is str:
        if is_nothing(value):
            return [Visit([])]
        if not is_wrapper:
            return [Item((Line(part),), "line") for part in cut_line(value)]
    if is_wrapper:  # beside a list that names itself as the answer, other fields are remarks
        return [] if beside_list else [shorten((key, value))]
    if is_remark(key) and likeness(key) < 3 and not alone:
        return [shorten((key, value))]
    return [Item((key, value), "entry", several=True)]
