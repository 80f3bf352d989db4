"""Score whether a string of a reply is a mention or a type, by the passage and by its words.

A mention stands in the passage; a type seldom does. A type is a known one, or a few plain words in lower case. Neither
is enough alone ("bệnh nhân" is a type and stands in most news about health), so that both are added up.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache, cached_property

from annotator.cleaning.replies.cells import cells
from annotator.cleaning.replies.scanner import LABEL_KEYS, TEXT_KEYS, fold, names, remembered
from normalizers.lexicon import load_lexicon, vietnamese_key
from normalizers.text import fold_tones, nfc

Pair = tuple[str, str]
"""A mention and its type."""

COMMON_TYPES = frozenset(
    names("""
    person people per location loc gpe place organization organisation org company country city province date time
    event product disease money number quantity percentage percent age title job position occupation law nationality
    misc vehicle film symptom sport team currency technology concept facility website food animal người địa_điểm
    tổ_chức công_ty quốc_gia thành_phố ngày thời_gian sự_kiện sản_phẩm
""")
)
PLAIN_TYPE = re.compile(r"[a-z]++(?:[ _/-][a-z]++){0,3}")
_SHAPE = re.compile(r"[^\W\d_][\w'’.&/-]*+(?:[ _][\w'’.&/()-]++){0,5}")
_RELATION = re.compile(r"(?:is|has|was|are|does) .*|.* (?:in|of|by|to|at|for|with|from|on)|the .*|an? .*|as .*")
_REMARKS = frozenset(
    names("""
    note notes lưu_ý ghi_chú chú_ý giải_thích explanation explanations reason reasons reasoning lý_do answer
    output result results kết_quả đáp_án trả_lời câu_trả_lời input text passage sentence context đoạn_văn văn_bản câu
    summary tóm_tắt nội_dung analysis phân_tích example examples ví_dụ step bước question câu_hỏi task nguồn source
    thought thoughts comment comments nhận_xét original_text corrected corrected_ocr entities entity the_entities
    named_entities danh_sách list các_thực_thể thực_thể json yaml csv xml python response total tổng tổng_cộng
    warning update type types loại danh_sách_thực_thể here extracted_entities nothing
    headline heading tiêu_đề tựa_đề tựa nhan_đề
    keywords keyword từ_khóa topic topics chủ_đề sentiment subject object predicate relation intent error status
""")
)
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
_WHOLE_TYPES = frozenset(
    names("date time datetime address ngày thời_gian ngày_tháng địa_chỉ quote title work_of_art law luật")
)
_SPLIT = re.compile(r"\s*[;、]\s*|,\s+|,(?=[^\W\d])")
_AND = re.compile(r"\s*[;、]\s*|,\s+(?:(?:và|and)\s+)?|\s+(?:và|and|&)\s+")
_NO_WORD = re.compile(r"[^\w\s]|_")
_MARKS = " \t\"'“”‘’`*_"
_FIELDS, _LABELS = frozenset(TEXT_KEYS), frozenset(LABEL_KEYS)


@remembered
def is_nothing(text: str) -> bool:
    """Whether ``text`` says that there is no mention."""
    return len(text) < 80 and _NOTHING.fullmatch(text) is not None


def says_none(reply: str) -> bool:
    """Whether a reply is one sentence that says that there is no entity: an answer, where a refusal is none."""
    return len(reply) < 200 and _SAYS_NONE.fullmatch(reply) is not None


@remembered
def is_no_type(text: str) -> bool:
    """Whether ``text``, where a type should be, says that the mention is no entity."""
    return len(text) < 80 and _NO_TYPE.fullmatch(text) is not None


def is_placeholder(text: str, label: str) -> bool:
    """Whether the two stand for an entity and its type in the form of an answer, as a prompt describes it."""
    if len(text) > 30 or len(label) > 60:
        return False
    names_of_fields = fold(label) in _LABELS and fold(text) in _FIELDS
    return names_of_fields or all(map(_PLACEHOLDER.fullmatch, (text, label)))


@remembered
def is_remark(text: str) -> bool:
    """Whether ``text`` names a part of an answer, and no type."""
    return fold(text.strip(_MARKS + ":")) in _REMARKS


@remembered
def is_field(name: str) -> bool:
    """Whether a record calls its mention or its type by ``name``."""
    return fold(name) in _FIELDS or fold(name) in _LABELS


@remembered
def likeness(word: str) -> float:
    """Rate how much ``word`` looks like an entity type: 3 for a common one, 1 or 0.5 for few lower-case words, or 0."""
    folded = fold(word)
    if folded in COMMON_TYPES or folded.removesuffix("s") in COMMON_TYPES:
        return 3
    if PLAIN_TYPE.fullmatch(folded) and (word.islower() or (word.isupper() and "_" in word)):
        return 1
    return 0.5 if word.islower() and len(word.split()) <= 4 and not any(map(str.isdigit, word)) else 0


@cache
def _known_types() -> frozenset[str]:
    lexicon = load_lexicon()
    return frozenset([*lexicon.known, *lexicon.abbreviations, *lexicon.synonyms, *lexicon.vietnamese])


@remembered
def is_known(word: str) -> bool:
    """Whether the lexicon has ``word`` as the name of a type, in English or Vietnamese."""
    if len(word) > 60:
        return False
    plain, known = fold(word).replace("_", " "), _known_types()
    forms = (plain, plain.removesuffix("s"), plain.removesuffix("ies") + "y", vietnamese_key(plain))
    return not known.isdisjoint(forms)


PASSAGE_ADDS = 0.4
"""What a string that does not look like a type weighs as one because the passage does not have it."""


@remembered
def look(word: str) -> float:
    """Rate from 0 to 3 how much ``word`` is a type without a passage: known types first, then the look of it."""
    weight = likeness(word)
    if weight < 2 and is_known(word):
        return 2
    return 0.1 if weight == 1 and _RELATION.fullmatch(word.lower()) else weight


@remembered
def is_shaped(word: str) -> bool:
    """Whether ``word`` is written as a type could be: one to six words, no capital within, no digits."""
    if len(word) > 60 or not _SHAPE.fullmatch(word) or is_remark(word) or is_nothing(word):
        return False
    plain = PLAIN_TYPE.fullmatch(fold(word).replace("_", " ")) is not None
    return plain or word.isupper() or word[1:] == word[1:].lower() or is_known(word)


class Evidence:
    """One passage, and what it says about the strings of a reply to it. An empty passage says nothing."""

    def __init__(self, passage: str) -> None:
        """Take a passage."""
        self._passage = nfc(passage)
        self._seen: dict[str, bool] = {}
        self._weights: dict[str, float] = {}
        self.known = bool(passage.strip())

    @cached_property
    def _words(self) -> str:
        return f" {_plain(self._passage)} "

    def has(self, text: str) -> bool:
        """Whether the passage has ``text`` letter for letter."""
        return text in self._passage

    def stands(self, text: str) -> bool:
        """Whether the passage has the words of ``text`` in a row, whatever their case and punctuation."""
        if not self.known or len(text) > 1000:
            return False
        if (seen := self._seen.get(text)) is None:
            words = _plain(text)
            seen = self._seen[text] = bool(words) and f" {words} " in self._words
        return seen

    def holds(self, text: str) -> bool:
        """Whether the passage has ``text``, or each part of it between commas."""
        return self.stands(text) or any(parts and all(map(self.stands, parts)) for parts in _cuts(text))

    def some_hold(self, text: str) -> bool:
        """Whether the passage has ``text``, or half of its parts."""
        return self.holds(text) or any(
            len(parts) > 1 and 2 * sum(map(self.stands, parts)) >= len(parts) for parts in _cuts(text)
        )

    def first_that_stands(self, text: str) -> str:
        """Return ``text`` if the passage has it or its parts, else a first cell that the passage has, else nothing."""
        if self.some_hold(text):
            return text
        return next((way[0] for way in cells(text[:1000]) if self.stands(way[0])), "")

    def type_weight(self, word: str) -> float:
        """Rate from 0 to 3 how much ``word`` is a type: known types first, then the look of it."""
        if (weight := self._weights.get(word)) is None:
            weight = self._weights[word] = self._type_weight(word)
        return weight

    def _type_weight(self, word: str) -> float:
        if (weight := look(word)) or not self.known:
            return weight
        is_plain = PLAIN_TYPE.fullmatch(fold(word).replace("_", " ")) is not None  # "Medical Condition"
        is_phrase = 1 < len(word.split()) < 5 and word[1:].islower()  # "Đơn vị tổ chức"
        return PASSAGE_ADDS if (is_plain or is_phrase) and not self.stands(word) else 0

    def weigh(self, mention: str, label: str) -> float:
        """Rate how well the two fit these roles; above zero where they fit better than not."""
        weight = (self.type_weight(label) - self.type_weight(mention)) / 1.5
        if self.known:
            weight += (1 if self.holds(mention) else -1) - (0.5 if self.stands(label) else 0)
        return weight

    def order(self, pairs: Sequence[Pair]) -> float:
        """Rate how much better the first strings of ``pairs`` serve as mentions than the second, a pair on average."""
        if not pairs:
            return 0.0
        lean = sum(self.weigh(one, other) - self.weigh(other, one) for one, other in pairs[:500]) / len(pairs[:500])
        firsts, seconds = (len({pair[side] for pair in pairs}) / len(pairs) for side in (0, 1))
        return lean + 2 * (firsts - seconds)

    def mentions(self, text: str, label: str) -> list[str]:
        """Cut ``text`` at its commas where it lists several mentions and is not one."""
        parts = _cut(_SPLIT, text)
        if len(parts) < 2:
            joined = _cut(_AND, text)
            return joined if len(joined) > 1 and not self.stands(text) and all(map(self.stands, joined)) else [text]
        if not self.known:
            single = fold(label) in _WHOLE_TYPES or any(len(part.split()) > 6 or part[:1].isdigit() for part in parts)
            return [text] if single else parts
        both = _cut(_AND, text)
        is_one = fold(label) in _WHOLE_TYPES or len(both) > len(parts) or not all(map(_has_letter, parts))
        if is_one and self.stands(text):  # "Sở Văn hóa, Thể thao và Du lịch"
            return [text]
        if not all(map(self.stands, parts)) and all(map(self.stands, both)):
            return both
        return parts if 2 * sum(map(self.stands, parts)) >= len(parts) else [text]


def _plain(text: str) -> str:
    """Return the words of ``text``, and brackets, commas and semicolons, with one space between them."""
    folded = fold_tones(nfc(text)).lower()
    return " ".join(_NO_WORD.sub(lambda mark: f" {mark[0]} " if mark[0] in "(),;" else " ", folded).split())


def has_parts(text: str) -> bool:
    """Whether ``text`` has a comma or a conjunction at which it could be cut into several mentions."""
    return (_SPLIT.search(text) or _AND.search(text)) is not None


def _has_letter(text: str) -> bool:
    return any(map(str.isalpha, text))


def _cut(at: re.Pattern[str], text: str) -> list[str]:
    """Return the parts of ``text``; brackets stay whole."""
    if "(" in text:
        return [text.strip(_MARKS)]
    return [part.strip(_MARKS) for part in at.split(text[:5000]) if part.strip(_MARKS)]


def _cuts(text: str) -> tuple[list[str], list[str]]:
    return _cut(_SPLIT, text), _cut(_AND, text)
