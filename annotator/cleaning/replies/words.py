"""What a string of a reply looks like by itself: a type, a remark, a word for "none"; without the passage."""

from __future__ import annotations

import re
from functools import cache

from annotator.cleaning.replies.cells import MARKS
from annotator.cleaning.replies.names import LABEL_KEYS, TEXT_KEYS, fold, names, remembered
from normalizers.lexicon import load_lexicon, vietnamese_key

_COMMON_TYPES = names("""
    person people per location loc gpe place organization organisation org company country city province date time
    event product disease money number quantity percentage percent age title job position occupation law nationality
    misc vehicle film symptom sport team currency technology concept facility website food animal người địa_điểm
    tổ_chức công_ty quốc_gia thành_phố ngày thời_gian sự_kiện sản_phẩm
""")
_PLAIN = re.compile(r"[a-z]++(?:[ _/-][a-z]++){0,3}")
_SHAPE = re.compile(r"[^\W\d_][\w'’.&/-]*+(?:[ _][\w'’.&/()-]++){0,5}")
_RELATION = re.compile(r"(?:is|has|was|are|does) .*|.* (?:in|of|by|to|at|for|with|from|on)|the .*|an? .*|as .*")
_REMARKS = names("""
    note notes lưu_ý ghi_chú chú_ý giải_thích explanation explanations reason reasons reasoning lý_do answer
    output result results kết_quả đáp_án trả_lời câu_trả_lời input text passage sentence context đoạn_văn văn_bản câu
    summary tóm_tắt nội_dung analysis phân_tích example examples ví_dụ step bước question câu_hỏi task nguồn source
    thought thoughts comment comments nhận_xét original_text corrected corrected_ocr entities entity the_entities
    named_entities danh_sách list các_thực_thể thực_thể json yaml csv xml python response total tổng tổng_cộng
    warning update type types loại danh_sách_thực_thể here extracted_entities nothing
    headline heading tiêu_đề tựa_đề tựa nhan_đề
    keywords keyword từ_khóa topic topics chủ_đề sentiment subject object predicate relation intent error status
""")
_NOTHING = re.compile(
    r"""[\s\W]*(?:none|null|nil|n/?a|nothing|not\ (?:found|mentioned|applicable|available|specified)
    | (?:none|no\ \w+(?:\ \w+)?)\ (?:(?:are|is|were|was)\ )?
      (?:found|mentioned|identified|present|listed|in\ the\ (?:text|passage))
    | no\ (?:named\ )?entit(?:y|ies)
    | không(?:\ (?:có|tìm\ thấy|xác\ định|đề\ cập|rõ))?(?:\ (?:thực\ thể|thông\ tin))?(?:\ nào)?
    | không\ (?:có|được)\ (?:\w+\ ){0,4}(?:nào|đến|nhắc|cập) | trống | chưa\ có)[\s\W]*""",
    re.VERBOSE | re.IGNORECASE,
)
_SAYS_NONE = re.compile(
    r"""[\s*_>]*+(?:
      (?:none|n/a|không\scó)(?=[.*\s]*\Z)
    | (?:i\s(?:found|see)\s|there\s(?:are|is|were)\s)?no\s(?:named\s)?entit(?:y|ies)\b
    | (?:trong\s)?(?:(?:đoạn\s)?văn(?:\sbản)?\s(?:này|trên)?\s?)?
      không\s(?:có|tìm\sthấy|phát\shiện|xác\sđịnh\sđược)\s(?:bất\skỳ\s)?thực\sthể\b
    )(?:(?!\b(?:but|except|besides|beyond|other|than|nhưng|ngoài|ngoại|trừ|khác)\b)[^,;:"'“(\[{\n]){0,80}""",
    re.VERBOSE | re.IGNORECASE,
)
_NO_TYPE = re.compile(
    r"[\s\W]*(?:==none==|not an? (?:named )?entity|non[- ]?entity|no entity"
    r"|không phải (?:là )?(?:thực thể|tên riêng))[\s\W]*",
    re.IGNORECASE,
)
_PLACEHOLDER = re.compile(
    r"(?:entity|type of entity|thực thể|loại thực thể|type|label|mention) ?\d{1,2}|\.\.\.|…", re.IGNORECASE
)


@remembered
def is_nothing(text: str) -> bool:
    """Whether ``text`` means that there is no mention."""
    return len(text) < 80 and _NOTHING.fullmatch(text) is not None


def says_none(reply: str) -> bool:
    """Whether a reply is one sentence which states that there is no entity: that is an answer, unlike a refusal."""
    return len(reply) < 200 and _SAYS_NONE.fullmatch(reply) is not None


@remembered
def is_no_type(text: str) -> bool:
    """Whether ``text``, in the place of a type, means that the mention is no entity."""
    return len(text) < 80 and _NO_TYPE.fullmatch(text) is not None


def is_placeholder(text: str, label: str) -> bool:
    """Whether the two are placeholders from the form of an answer that a prompt describes."""
    if len(text) > 30 or len(label) > 60:
        return False
    return (fold(label) in LABEL_KEYS and fold(text) in TEXT_KEYS) or all(map(_PLACEHOLDER.fullmatch, (text, label)))


@remembered
def is_remark(text: str) -> bool:
    """Whether ``text`` names a part of an answer, not a type."""
    return fold(text.strip(MARKS + ":")) in _REMARKS


def is_plain(word: str) -> bool:
    """Whether ``word`` is one to four words of plain letters, whatever their case."""
    return _PLAIN.fullmatch(fold(word)) is not None


@remembered
def likeness(word: str) -> float:
    """Rate how much ``word`` looks like an entity type: 3 for a common one, 1 or 0.5 for few lower-case words, or 0."""
    folded = fold(word)
    if folded in _COMMON_TYPES or folded.removesuffix("s") in _COMMON_TYPES:
        return 3
    if is_plain(word) and (word.islower() or (word.isupper() and "_" in word)):
        return 1
    return 0.5 if word.islower() and len(word.split()) <= 4 and not any(map(str.isdigit, word)) else 0


@cache
def _known_types() -> frozenset[str]:
    lexicon = load_lexicon()
    return frozenset([*lexicon.known, *lexicon.abbreviations, *lexicon.synonyms, *lexicon.vietnamese])


@remembered
def _is_known(word: str) -> bool:
    """Whether the lexicon has ``word`` as the name of a type, in English or Vietnamese."""
    if len(word) > 60:
        return False
    plain, known = fold(word).replace("_", " "), _known_types()
    forms = (plain, plain.removesuffix("s"), plain.removesuffix("ies") + "y", vietnamese_key(plain))
    return not known.isdisjoint(forms)


PASSAGE_ADDS = 0.4
"""The weight as a type of a string that does not look like one, if the passage does not have it."""


@remembered
def look(word: str) -> float:
    """Rate from 0 to 3 how likely ``word`` is a type, by the lexicon and its look."""
    weight = likeness(word)
    if weight < 2 and _is_known(word):
        return 2
    return 0.1 if weight == 1 and _RELATION.fullmatch(word.lower()) else weight


@remembered
def is_shaped(word: str) -> bool:
    """Whether ``word`` is written as a type could be: one to six words, no capital within, no digits."""
    if len(word) > 60 or not _SHAPE.fullmatch(word) or is_remark(word) or is_nothing(word):
        return False
    return is_plain(word) or word.isupper() or word[1:] == word[1:].lower() or _is_known(word)
