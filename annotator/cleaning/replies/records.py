"""Read an object as a record: one field holds a mention and another its type."""

from __future__ import annotations

import re
from collections.abc import Mapping

from annotator.cleaning.replies.evidence import Evidence
from annotator.cleaning.replies.items import Item, Steps, Visit
from annotator.cleaning.replies.names import LABEL_KEYS, PROSE_KEYS, TEXT_KEYS, WRAPPER_KEYS, fold, is_field, names
from annotator.cleaning.replies.tree import Node, is_nested, shorten
from annotator.cleaning.replies.words import is_shaped, likeness

_RELATION_KEYS = names("relation predicate relationship relation_type quan_hệ")
_CONSTANTS = names("entity named_entity mention ner node string span function object array list entities")
_NUMBER = re.compile(r"\w?_?\d+|\w+_\d+|[\da-f-]{20,}")


class Record:
    """The fields of an object by name, and which of them hold the mention and its type, None where that is open."""

    def __init__(self, fields: Mapping[str, Node], group: str | None, evidence: Evidence) -> None:
        """Take the fields, and the type that a key above the object names, if any."""
        self._fields, self._group, self._evidence = fields, group, evidence
        self.text, self.label = self._roles()

    def items_of_group(self) -> Steps:
        """Return the items of ``{"category": "person", "items": [...]}``, whatever the list is called."""
        label = self.label
        if not label and self.text in ("name", "id") and self._type_weight(self.text) >= 2:
            label = self.text
        kind = self._fields[label] if label else None
        if not label or not isinstance(kind, str) or _is_constant(kind) or self._evidence.type_weight(kind) < 0.3:
            return []
        others = {key: value for key, value in self._fields.items() if key != label}
        lists = [(key, value) for key, value in others.items() if isinstance(value, list) and value]
        if len(lists) != 1 or any(not isinstance(others[key], list) for key in others.keys() & TEXT_KEYS):
            return []
        key, values = lists[0]
        if any(isinstance(item, tuple) for item in values):
            return []
        if is_nested(values):
            return [Visit(values, kind)]
        return [Item((item, kind), "record") for item in values] if key not in TEXT_KEYS or label in TEXT_KEYS else []

    def items(self) -> Steps | None:
        """Return the items of the record, what is malformed in it, or None where the object is no record."""
        text, label, group, fields = self.text, self.label, self._group, self._fields
        if text and label:
            return self._product(text, label)
        kind = fields[label] if label else None
        evidence = self._evidence
        is_mention = group and evidence.type_weight(group) < 2 and (evidence.stands(group) or not evidence.known)
        if group and is_mention and isinstance(kind, str) and not text:
            return [Item((group, kind), "record")]  # {"Hà Nội": {"type": "city"}}
        typed = [(fields[key], fields[f"{key}_type"]) for key in fields if f"{key}_type" in fields]
        if typed or fields.keys() & _RELATION_KEYS:  # head, head_type, tail, tail_type
            return [Item(pair, "record") for pair in typed if all(isinstance(value, str) for value in pair)]
        if text and group and not label and not any(map(is_nested, fields.values())):
            return [Item((fields[text], group), "record")]  # {"person": [{"name": ...}]}
        name, value = fields.get("name"), fields.get("value")
        if isinstance(name, str) and isinstance(value, str):
            return [Item((name, value), "entry")]
        return [shorten([*fields.items()])] if self._is_half() else None

    def _product(self, text: str, label: str) -> Steps:
        """Pair one mention with one type or several, several with one type, or as many mentions as types."""
        values = self._fields[text], self._fields[label]
        texts, labels = (value if isinstance(value, list) else [value] for value in values)
        words = [one for one in texts if isinstance(one, str) and any(map(str.isalnum, one))]
        if len(texts) == len(labels) > 1 and words and all(map(self._evidence.stands, words)):
            return [Item(pair, "record") for pair in zip(texts, labels, strict=True)]
        if len(texts) > 1 and len(labels) > 1:
            return [shorten([*self._fields.items()])]
        several = text.endswith("s") or text.startswith("các_")
        return [Item((one, kind), "record", several) for one in texts for kind in labels]

    def _is_half(self) -> bool:
        """Whether the object is a record without its mention or its type, not a map or a wrapper."""
        text, fields = self.text, self._fields
        is_named = text in ("name", "id")
        if any(isinstance(value, list) for value in fields.values()):
            return is_named and text is not None and self._stands(text)
        is_type = is_named and len(fields) > 1 and not fields.keys() & PROSE_KEYS
        in_words = text in WRAPPER_KEYS and len(fields) == 1  # {"entities": "Hà Nội: city, Huế: city"}
        return self.label is not None or (text is not None and not is_type and not in_words)

    def _stands(self, key: str) -> bool:
        return self._evidence.stands(str(self._fields[key]))

    def _type_weight(self, key: str) -> float:
        return self._evidence.type_weight(str(self._fields[key]))

    def _roles(self) -> tuple[str | None, str | None]:
        """Name the fields of the mention and its type: by their names, else by the passage."""
        fields = self._fields
        scalars = [key for key, value in fields.items() if not is_nested(value)]
        labels = sorted((key for key in scalars if key in LABEL_KEYS), key=LABEL_KEYS.__getitem__)
        label = next((key for key in labels if not _is_constant(fields[key])), labels[0] if labels else None)
        texts = [key for key in scalars if key in TEXT_KEYS and not _is_number(key, fields[key])]
        text = min(texts, key=TEXT_KEYS.__getitem__, default=None)
        if label is None and "entity" in fields and (word := {"word", "value"}.intersection(scalars)):
            return min(word), "entity"  # tokens of a tagger, slots of a dialogue
        if (text and label) or not self._evidence.known or len(scalars) < len(fields):
            return text, label
        return self._roles_by_passage(text, label)

    def _roles_by_passage(self, text: str | None, label: str | None) -> tuple[str | None, str | None]:
        """Fill in the role that no name of a field settles, where the passage leaves one field for it."""
        fields, evidence = self._fields, self._evidence
        others = {
            key: value
            for key, value in fields.items()
            if type(value) is str and key not in (text, label) and key not in PROSE_KEYS
        }
        standing = [key for key in others if self._stands(key)]
        if text is None and (label or self._group):
            named = [key for key in standing if likeness(key) < 3]
            return (named[0] if len(named) == 1 else None), label
        if text == "entity" and not label and len(standing) == 1 and self._type_weight(text) > 0.3:
            is_type = not self._stands(text) and standing[0] in TEXT_KEYS  # {"span": ..., "entity": "storm"}
            return (standing[0], text) if is_type else (text, None)
        kinds = [
            key
            for key, value in others.items()
            if key not in standing and is_shaped(value) and self._type_weight(key) > 0.3
        ]
        if label or self._group or len(kinds) != 1:
            return text, label
        free = [key for key in fields if not is_field(key)]
        if any(likeness(key) == 3 or evidence.stands(key.replace("_", " ")) for key in free):  # it is a map
            return text, label
        if text is None and len(standing) == 1:
            return standing[0], kinds[0]
        return text, kinds[0] if text and self._stands(text) else None


def _is_constant(value: Node) -> bool:
    """Whether what should be a type only says that its record is an entity, as all are."""
    return isinstance(value, str) and fold(value) in _CONSTANTS


def _is_number(key: str, value: Node) -> bool:
    """Whether an ``id`` only numbers its record."""
    return key == "id" and (type(value) is not str or _NUMBER.fullmatch(value) is not None)
