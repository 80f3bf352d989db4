"""Names of fields, columns and types, in the form in which they are compared."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, wraps
from typing import TypeVar

from normalizers.text import strip_diacritics

_T = TypeVar("_T")


def remembered(function: Callable[[str], _T]) -> Callable[[str], _T]:
    """Cache the results of ``function`` for short strings: the same labels and names of fields come again and again."""
    cached = lru_cache(10_000)(function)

    @wraps(function)
    def wrapper(text: str) -> _T:
        return cached(text) if len(text) <= 60 else function(text)

    return wrapper


@remembered
def fold(name: str) -> str:
    """Return ``name`` as it is compared: lower case, underscores between words."""
    return name.strip().lower().replace(" ", "_").replace("-", "_")


def names(text: str) -> dict[str, int]:
    """Return the folded names in ``text`` with their ranks, those in Vietnamese also without diacritics."""
    forms = (form for word in text.split() for form in (word, strip_diacritics(word)))
    return {form: rank for rank, form in enumerate(dict.fromkeys(forms))}


# What a record calls its type and its mention. Where it has several of these fields, the first of the table counts.
LABEL_KEYS = names("""
    type label entity_type category class tag kind entity_label entity_category entity_class entity_group ner_tag
    loại loại_thực_thể nhãn extraction_class mention_type semantic_type ner ner_label ner_type node_type types labels
    kiểu kiểu_thực_thể phân_loại loại_hình nhãn_thực_thể categories entity_types tag_type ner_tags
""")
TEXT_KEYS = names("""
    text mention entity span word name value entity_text entity_name entity_mention thực_thể
    mentions entities texts spans words names values
    extraction_text mention_text surface_form surface original_text phrase token named_entity entity_value string
    extracted_text tên tên_thực_thể cụm_từ từ văn_bản các_thực_thể named_entities term keyword id
    tokens
""")

# What wraps the answer, and what says something about it.
WRAPPER_KEYS = names("""
    entities named_entities extracted_entities entity_list mentions annotations predictions result results data
    output answer response items list tuples pairs ner extractions nodes spans arguments parameters input args
    tool_call tool_calls function_call function json final_answer content labels tags thực_thể các_thực_thể
    danh_sách danh_sách_thực_thể kết_quả
""")
PROSE_KEYS = names("""
    description desc reason reasoning explanation note notes comment context sentence evidence justification role
    definition mô_tả lý_do giải_thích ghi_chú vai_trò bối_cảnh chức_vụ confidence score
""")


def is_field(name: str) -> bool:
    """Whether a record calls its mention or its type by ``name``."""
    return (folded := fold(name)) in TEXT_KEYS or folded in LABEL_KEYS
