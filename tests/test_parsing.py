"""The parser on replies of every shape that models are known to write, and on random and hostile text."""

from __future__ import annotations

import json
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotator.cleaning.replies.parser import ParsedReply, parse_reply
from annotator.cleaning.replies.words import is_no_type, is_nothing, is_placeholder

HN = ("Hà Nội", "location")
NAM = ("Nam", "person")
BOTH = [HN, NAM]
STRICT = '[["Hà Nội", "location"], ["Nam", "person"]]'


def pairs(parsed: ParsedReply) -> list[tuple[str, str]]:
    return [(mention.text, mention.label) for mention in parsed.mentions]


OK = {
    "list of pairs": (STRICT, BOTH),
    "fence with language": (f"```json\n{STRICT}\n```", BOTH),
    "fence without language": (f"```\n{STRICT}\n```\n", BOTH),
    "fence on one line": (f"```json {STRICT}```", BOTH),
    "thoughts before": (f'<think>\nSay ["a", "b"]?\n</think>\n\n{STRICT}', BOTH),
    "thoughts opened by the prompt": (f"So it is Hà Nội.</think>{STRICT}", BOTH),
    "byte order mark": ("\ufeff" + STRICT, BOTH),
    "flat pair": ('["Hà Nội", "location"]', [HN]),
    "one level too deep": ('[[["Hà Nội", "location"], ["Nam", "person"]]]', BOTH),
    "number as mention": ('[[2024, "date"], [1.50, "number"]]', [("2024", "date"), ("1.50", "number")]),
    "number beyond what int() reads": ("[[" + "9" * 5000 + ', "number"]]', [("9" * 5000, "number")]),
    "offsets after the pair": ('[["Hà Nội", "location", 0, 6], ["Nam", "person", 0.9]]', BOTH),
    "escaped unicode": (r'[["\u0110\u00e0 N\u1eb5ng", "location"]]', [("Đà Nẵng", "location")]),
    "escaped quotes": (r'[["phim \"Mai\"", "film"]]', [('phim "Mai"', "film")]),
    "brackets and commas in a mention": ('[["a], (b), c", "x"]]', [("a], (b), c", "x")]),
    "white space around": ('[[" Hà Nội\\n", " location "]]', [HN]),
    "mention that holds thoughts": ('[["</think>", "tag name"]]', [("</think>", "tag name")]),
    "not turned round": ('[["location", "Hà Nội"]]', [("location", "Hà Nội")]),
    "records: entity, type": (
        '[{"entity": "Hà Nội", "type": "location"}, {"entity": "Nam", "type": "person"}]',
        BOTH,
    ),
    "records: label first": ('[{"label": "location", "mention": "Hà Nội", "start": 0}]', [HN]),
    "records: Entity Type": ('[{"Text": "Hà Nội", "Entity Type": "location"}]', [HN]),
    "records: Vietnamese keys": ('[{"thực thể": "Hà Nội", "loại": "location"}]', [HN]),
    "records: of a tagger": ('[{"entity": "location", "score": 0.9, "word": "Hà Nội"}]', [HN]),
    "record alone": ('{"name": "Hà Nội", "category": "location"}', [HN]),
    "records by type": ('[{"type": "location", "mentions": ["Hà Nội", "Huế"]}]', [HN, ("Huế", "location")]),
    "record with two types": (
        '[{"text": "Hà Nội", "type": ["location", "city"]}]',
        [HN, ("Hà Nội", "city")],
    ),
    "records under their type": ('{"location": [{"name": "Hà Nội"}], "person": {"text": "Nam"}}', BOTH),
    "type to mentions": ('{"location": ["Hà Nội", "Huế"], "person": "Nam"}', [HN, ("Huế", "location"), NAM]),
    "type to mentions, some empty": ('{"location": ["Hà Nội"], "person": [], "date": null}', [HN]),
    "type to mentions, Vietnamese": ('{"nhạc cụ": ["đàn bầu", "Sáo"]}', [("đàn bầu", "nhạc cụ"), ("Sáo", "nhạc cụ")]),
    "type to mentions, lower case": ('{"crypto": ["bitcoin", "ether"]}', [("bitcoin", "crypto"), ("ether", "crypto")]),
    "type to mention": ('{"location": "Hà Nội", "person": "Nam"}', BOTH),
    "type twice": (
        '{"doanh nghiệp": "FPT", "doanh nghiệp": "Vin"}',
        [("FPT", "doanh nghiệp"), ("Vin", "doanh nghiệp")],
    ),
    "mention to type": ('{"Hà Nội": "location", "Nam": "person"}', BOTH),
    "mention to type, unknown": ('{"Iron Man": "superhero"}', [("Iron Man", "superhero")]),
    "mention to type, Vietnamese": ('{"Huế": "Cố Đô", "FPT": "Hãng"}', [("Huế", "Cố Đô"), ("FPT", "Hãng")]),
    "mention to type, upper case": ('{"covid": "DISEASE"}', [("covid", "DISEASE")]),
    "mention to types": ('{"Hà Nội": ["location"], "Nam": ["person"]}', BOTH),
    "maps in a list": ('[{"Hà Nội": "location"}, {"Nam": "person"}]', BOTH),
    "maps of maps": ('{"location": {"city": ["Hà Nội"]}}', [("Hà Nội", "city")]),
    "pair in a pair": ('[["Hà Nội", "location", ["Nam", "person"]]]', BOTH),
    "groups in a list": ('[["location", ["Hà Nội"]], ["person", ["Nam"]]]', BOTH),
    "wrapped": (f'{{"entities": {STRICT}}}', BOTH),
    "wrapped, with other fields": (f'{{"text": "Nam ở Hà Nội.", "count": 2, "entities": {STRICT}}}', BOTH),
    "wrapped twice": ('{"result": {"entities": {"location": ["Hà Nội"]}}}', [HN]),
    "wrapped map": ('{"result": {"Hà Nội": "location", "Nam": "person"}}', BOTH),
    "empty": ("[]", []),
    "empty object": ("{}", []),
    "empty in a fence": ("```json\n[]\n```", []),
    "empty in a wrapper": ('{"entities": []}', []),
    "empty in a wrapper with other fields": ('{"text": "Trời mưa.", "entities": []}', []),
    "empty for each type": ('{"location": [], "person": []}', []),
    "empty in a list": ("[[]]", []),
}

REPAIRED = {
    "tuples": ("""[("Hà Nội", 'location'), ("Nam", "person")]""", BOTH),
    "single quotes": ("[['Hà Nội', 'location'], ['Nam', 'person']]", BOTH),
    "curly quotes": ("[(“Hà Nội”, “location”), (‘Nam’, ‘person’)]", BOTH),
    "apostrophes in single quotes": (
        "[('Đắk R'lấp', 'location'), ('Côte d'Ivoire', 'country')]",
        [("Đắk R'lấp", "location"), ("Côte d'Ivoire", "country")],
    ),
    "apostrophes in double quotes": ("""[("Đắk R'lấp", "location")]""", [("Đắk R'lấp", "location")]),
    "apostrophes in curly quotes": ("[(‘Đắk R’lấp’, ‘location’)]", [("Đắk R’lấp", "location")]),
    "apostrophe at the end of a word": ("[('workers' union', 'org')]", [("workers' union", "org")]),
    "quotes in quotes": ('[["phim "Mai"", "film"], ["Nam", "person"]]', [('phim "Mai"', "film"), NAM]),
    "quotes in quotes, first": ('[[""Mai" phần 2", "film"]]', [('"Mai" phần 2', "film")]),
    "quotes, then a comma": ('[["phim "Mai", phần 2", "film"]]', [('phim "Mai", phần 2', "film")]),
    "quotes, then a bracket": (
        '[("phim (tên "Mai") mới", "film"), ("Nam", "person")]',
        [('phim (tên "Mai") mới', "film"), NAM],
    ),
    "quotes, then a foreign bracket": ('[["phim (tên "Mai")", "film"]]', [('phim (tên "Mai")', "film")]),
    "curly quotes within": ('[("“Mai”, tập 2", "film"),]', [("“Mai”, tập 2", "film")]),
    "well-formed tuple with an open bracket": ('[("(", "("), ("a)", ")")]', [("(", "("), ("a)", ")")]),
    "Python escapes": (r"[('it\'s \xe0 \U0001f600 \u0111\n', 'a\tb')]", [("it's à 😀 đ", "a\tb")]),
    "surrogate pair": (r"[('\ud83d\ude00', 'emoji')]", [("😀", "emoji")]),
    "Markdown escape": (r'[("Hà Nội", "city\_name"), ]', [("Hà Nội", "city_name")]),
    "raw line break": ('[["Hà\nNội", "location"]]', [("Hà\nNội", "location")]),
    "trailing commas": ('[["Hà Nội", "location",], ["Nam", "person"],]', BOTH),
    "no commas between pairs": ('[["Hà Nội", "location"] ["Nam", "person"]]', BOTH),
    "no commas between tuples": ('("Hà Nội", "location")\n("Nam", "person")', BOTH),
    "no comma in a pair": ('[["Hà Nội" "location"], ["Nam" "person"]]', BOTH),
    "no commas between lines": ('[{\n"text": "Hà Nội"\n"type": "location"\n}]', [HN]),
    "no bracket after a pair": ('[["Hà Nội", "location", ["Nam", "person"]],]', BOTH),
    "no brackets between records": (
        '[{"text": "Hà Nội", "type": "location", "text": "Nam", "type": "person"},]',
        BOTH,
    ),
    "no closer of a tuple": ('[("Hà Nội", "location"], ("Nam", "person")]', BOTH),
    "closer of the wrong shape": ('[["Hà Nội", "location"), ["Nam", "person"]]', BOTH),
    "one closer too many": ('[["Hà Nội", "location"]], ["Nam", "person"]]', BOTH),
    "no list around": ('("Hà Nội", "location"), ("Nam", "person")', BOTH),
    "one tuple": ('("Hà Nội", "location")', [HN]),
    "a list a line": ('[["Hà Nội", "location"]]\n[["Nam", "person"]]', BOTH),
    "a pair a line": ('["Hà Nội", "location"]\n["Nam", "person"]', BOTH),
    "a record a line": ('{"text": "Hà Nội", "type": "location"}\n{"text": "Nam", "type": "person"}', BOTH),
    "numbered tuples": ('1. ("Hà Nội", "location")\n2. ("Nam", "person")', BOTH),
    "several fences": (
        f'```json\n{STRICT}\n```\nvà\n```python\n[("Huế", "location")]\n```',
        [*BOTH, ("Huế", "location")],
    ),
    "Python code": (f"```python\nentities = {STRICT}\nprint(entities)\n```", BOTH),
    "Python dict": ("{'location': ['Hà Nội'], 'person': ('Nam',)}", BOTH),
    "Python set": ("{('Hà Nội', 'location'), ('Nam', 'person')}", BOTH),
    "Python literals": ("[{'text': 'Hà Nội', 'type': 'location', 'nested': True, 'id': None}]", [HN]),
    "comments": ('[("Hà Nội", "location"),  # thủ đô, "x"\n // và\n ("Nam", "person")  # người\n]', BOTH),
    "ellipsis": ('[["Hà Nội", "location"], ["Nam", "person"]] ...', BOTH),
    "number in a tuple": ("[(2024, 'date')]", [("2024", "date")]),
    "bare type": ('[("Hà Nội", location), ("Nam", person)]', BOTH),
    "bare keys": ('{entity: "Hà Nội", type: "location"}', [HN]),
    "pairs with a colon": ('["Hà Nội": "location", "Nam": "person"]', BOTH),
    "a whole value missing": ('{"date": , "location": "Hà Nội"}', [HN]),
    "prose around": (f"Dưới đây là kết quả (see [1]):\n\n{STRICT}\n\nHy vọng giúp được bạn (nếu cần) [2].", BOTH),
    "prose with the form": (f'The list of ("entity", "type") pairs is {STRICT}.', BOTH),
    "prose with a quoted title": (f'Bộ phim ("Mai") không tính. {STRICT}', BOTH),
    "prose with an open bracket": (f'Bộ phim ("Mai" đã chiếu.\n{STRICT}', BOTH),
    "pair in a sentence": ('The answer is ["Hà Nội", "location"].', [HN]),
    "pairs in a sentence": ('Entities: ("Hà Nội", "location") and ("Nam", "person").', BOTH),
    "remark between pairs": ('[["Hà Nội", "location"] là thủ đô, ["Nam", "person"]]', [HN, NAM]),
    "JSON in a string": (json.dumps(STRICT), BOTH),
    "quotes escaped without need": (STRICT.replace('"', '\\"'), BOTH),
    "empty in prose": ("No entities found: []", []),
    "empty in a sentence": ("Không có thực thể nào, nên [] là đáp án.", []),
    "bullets": ("Các thực thể:\n- Hà Nội: location\n- **Nam** (person)\n", BOTH),
    "bullets with dashes": ("* Hà Nội - location\n* Nam – person", BOTH),
    "bullets, bold with colon": ("- **Hà Nội:** location", [HN]),
    "bullets, type first": ("- Location: Hà Nội\n- Person: Nam", [("Hà Nội", "Location"), ("Nam", "Person")]),
    "numbers": ("1. Hà Nội: location\n2) Nam: person", BOTH),
    "plain lines": ("Hà Nội - location\nNam - person", BOTH),
    "colon in a bullet": ("- TP. HCM: Quận 1 - location", [("TP. HCM: Quận 1", "location")]),
    "table": ("Kết quả:\n\n| Entity | Type |\n|---|:--|\n| Hà Nội | location |\n| **Nam** | person |", BOTH),
    "table turned round": ("| Loại | Thực thể |\n| --- | --- |\n| location | Hà Nội |", [HN]),
}

TRUNCATED = {
    "cut in a text": ('[["Hà Nội", "location"], ["Na', [HN]),
    "cut before a label": ('[["Hà Nội", "location"], ["Nam", ', [HN]),
    "cut in a label": ('[["Hà Nội", "location"], ["Nam", "pers', [HN]),
    "cut after a label": ('[["Hà Nội", "location"], ["Nam", "person"', BOTH),
    "cut after a pair": ('[["Hà Nội", "location"], ["Nam", "person"]', BOTH),
    "cut after a comma": ('[["Hà Nội", "location"],', [HN]),
    "cut in a number": ('[["Hà Nội", "location"], [20', [HN]),
    "cut in a bare label": ('[("Hà Nội", "location"), ("Nam", pers', [HN]),
    "cut in an escape": ('[["Hà Nội", "location"], ["Nam", "x\\', [HN]),
    "cut in a record": ('[{"text": "Hà Nội", "type": "location"}, {"text": "Nam", "ty', [HN]),
    "cut before a value": ('[{"text": "Hà Nội", "type": "location"}, {"text": "Nam", "type":', [HN]),
    "cut after a text": ('[{"text": "Hà Nội", "type": "location"}, {"text": "Nam"', [HN]),
    "cut in a map of lists": ('{"location": ["Hà Nội"], "person": ["Nam", "Ho', BOTH),
    "cut in a map": ('{"Hà Nội": "location", "Nam": "pers', [HN]),
    "cut at a key": ('{"Hà Nội": "location", "Nam"', [HN]),
    "cut in a wrapper": ('{"entities": [["Hà Nội", "location"], ["Nam', [HN]),
    "cut in a fence": ('```json\n[["Hà Nội", "location"], ["Nam", "person"\n```', BOTH),
    "never closed, then prose": (f"{STRICT[:-1]}\n\nNote: that is all, I hope\nit helps.", BOTH),
    "nothing complete": ('[["Hà N', []),
    "nothing but a bracket": ("Đây là danh sách: [", []),
    "nothing but brackets": ("```json\n[{", []),
}

UNPARSABLE = {
    "nothing": "",
    "white space": " \n\t",
    "prose": "Tôi không tìm thấy thực thể nào trong đoạn văn này.",
    "refusal": "I'm sorry, but I can't help with that (see [policy] and [1]).",
    "refusal with bullets": "I can't help with that.\n- Please provide: passage\n- Note: nothing",
    "colons": "Answer: location\nThe text is about a person: location of birth unknown to me and you",
    "HTML page": '<!DOCTYPE html><html><script>var a = ["Hà Nội", "location"];</script></html>',
    "thoughts without an end": '<think>Maybe [["Hà Nội", "location"]]',
    "thoughts without an answer": '<think>Maybe [["Hà Nội", "location"]]</think>',
    "number": "2024",
    "null": "null",
    "string": '"Hà Nội"',
    "list of numbers": "[1, 2, 3]",
    "pair of numbers": "[1, 2]",
    "call": "__import__('os').system('id')",
    "call with a list": "print(\"a\", 'b')",
    "Markdown links": "Xem [báo](https://example.org) và [1](x).",
    "tick boxes": "- [ ] Hà Nội\n- [x] Nam",
    "open bracket in prose": 'Kiên (27 tuổi, trú tại "Nha Trang" bị bắt. Giá [30 triệu "đồng".',
    "footnotes": "Theo (1), (2024) và [12].",
}

MALFORMED = {
    "empty mention": ('[["", "location"], ["Nam", "person"]]', [NAM], ["[, location]"]),
    "empty label": ('[["Hà Nội", " "], ["Nam", "person"]]', [NAM], ["[Hà Nội, ]"]),
    "no label": ('[["Hà Nội"], ["Nam", "person"]]', [NAM], ["[Hà Nội]"]),
    "no type": ('[{"text": "Hà Nội"}, {"text": "Nam", "type": "person"}]', [NAM], ["[text: Hà Nội]"]),
    "null": ('[["Hà Nội", null], [null, "date"], ["Nam", "person"]]', [NAM], ["[Hà Nội, None]", "[None, date]"]),
    "Python None": ("[('Hà Nội', None), ('Nam', 'person')]", [NAM], ["[Hà Nội, None]"]),
    "boolean": ('[[true, "x"], ["Nam", "person"]]', [NAM], ["[True, x]"]),
    "number as type": ('[["Hà Nội", 5], ["Nam", "person"]]', [NAM], ["[Hà Nội, 5]"]),
    "three strings": ('[["Hà Nội", "city", "x"], ["Nam", "person"]]', [NAM], ["[Hà Nội, city, x]"]),
    "string among pairs": ('["Hà Nội", ["Nam", "person"], "..."]', [NAM], ["Hà Nội", "..."]),
    "ellipsis among pairs": ('[("Nam", "person"), ...]', [NAM], ["..."]),
    "mentions without types": ('["Hà Nội", "Huế", "Nam"]', [], ["Hà Nội", "Huế", "Nam"]),
    "wrapped mentions without types": ('{"entities": ["Hà Nội", "Huế"]}', [], ["Hà Nội", "Huế"]),
    "half a surrogate pair": (r'[["\ud83d", "emoji"], ["Nam", "person"]]', [NAM], ["[?, emoji]"]),
    "two lists of one record": ('{"text": ["a", "b"], "type": ["c", "d"]}', [], ["[text: …, type: …]"]),
    "field that is no list": ('{"person": [{"name": "Nam"}], "note": "x"}', [NAM], ["note: x"]),
    "mention to null": ('{"Hà Nội": null, "Nam": "person"}', [NAM], ["[Hà Nội, None]"]),
}


@pytest.mark.parametrize(("reply", "expected"), OK.values(), ids=OK)
def test_strict_json_is_ok(reply, expected):
    """Strict JSON of an accepted shape, fenced or not, gives its pairs and ``ok``."""
    parsed = parse_reply(reply)
    assert (pairs(parsed), parsed.status, parsed.malformed) == (expected, "ok", ())


@pytest.mark.parametrize(("reply", "expected"), REPAIRED.values(), ids=REPAIRED)
def test_anything_else_that_is_readable_is_repaired(reply, expected):
    """Python, broken JSON, prose and Markdown give the pairs that a person would read, and ``repaired``."""
    parsed = parse_reply(reply)
    assert (pairs(parsed), parsed.status) == (expected, "repaired")


@pytest.mark.parametrize(("reply", "expected"), TRUNCATED.values(), ids=TRUNCATED)
def test_a_list_that_was_cut_keeps_its_complete_pairs(reply, expected):
    """A cut is recognised by the structure; the broken last item is neither a mention nor malformed."""
    parsed = parse_reply(reply)
    assert (pairs(parsed), parsed.status, parsed.malformed) == (expected, "truncated", ())


@pytest.mark.parametrize("reply", UNPARSABLE.values(), ids=UNPARSABLE)
def test_text_without_a_list_is_unparsable(reply):
    """Prose, web pages, refusals and code are unparsable, whatever brackets they contain."""
    parsed = parse_reply(reply)
    assert (pairs(parsed), parsed.status) == ([], "unparsable")


@pytest.mark.parametrize(("reply", "expected", "malformed"), MALFORMED.values(), ids=MALFORMED)
def test_malformed_items_are_returned(reply, expected, malformed):
    """Malformed items are returned as text; a list of nothing but malformed items is unparsable."""
    parsed = parse_reply(reply)
    assert (pairs(parsed), list(parsed.malformed)) == (expected, malformed)
    assert (parsed.status == "unparsable") == (not expected)


def test_exclusions_are_found_in_records_without_brackets():
    """Entities that the reply itself excludes are reported, even if its records are not separated."""
    records = '"text": "Hà Nội", "type": "location", "text": "Nam", "type": "person"'
    parsed = parse_reply(f'{{{records}, "excluded": ["thủ đô"]}}')
    assert (pairs(parsed), parsed.excluded) == (BOTH, ("excluded: …",))


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (STRICT[:-9], [HN]),
        (f"{STRICT}\nHy vọng", BOTH),
        ("- Hà Nội: location\n- Nam: per", [HN]),
    ],
)
def test_the_endpoint_may_report_a_cut_reply(reply, expected):
    """With the flag, whatever is readable is ``truncated``, and a last Markdown line is left out."""
    parsed = parse_reply(reply, truncated=True)
    assert (pairs(parsed), parsed.status) == (expected, "truncated")


@pytest.mark.parametrize(("reply", "expected"), [(STRICT, BOTH), ('{\n \t \t"entities": [\n \t \t ]}\n', [])])
def test_a_list_that_is_closed_was_not_cut(reply, expected):
    """A closed list is complete, even if the token limit ended the reply there or in the white space after."""
    parsed = parse_reply(reply, truncated=True)
    assert (pairs(parsed), parsed.status) == (expected, "ok")


@pytest.mark.parametrize(
    "reply",
    [
        "No entities found.",
        "There are no named entities in the passage.",
        "**No named entities were identified in this text.**",
        "Không có thực thể nào.",
        "Không tìm thấy thực thể nào trong đoạn văn.",
        "Đoạn văn này không có thực thể nào được đặt tên.",
        "<think>Chỉ là lời khuyên.</think>\nKhông có thực thể nào",
        "None",
        "Không có.",
    ],
)
def test_a_sentence_can_say_that_there_is_none(reply):
    """A sentence that reports no entities is an answer without entities, not an unparsable reply."""
    parsed = parse_reply(reply, "Trời hôm nay đẹp.")
    assert (parsed.mentions, parsed.status, parsed.malformed) == ((), "repaired", ())


@pytest.mark.parametrize(
    "reply",
    [
        "No entities other than Hà Nội.",
        "No entities were found except Hà Nội (city)",
        "Không có thực thể nào khác ngoài Hà Nội.",
        "No, I cannot help with entities.",
        "Không, tôi không thể trả lời.",
        "Tôi không thể trả lời.",
        "Entities are no problem.",
    ],
)
def test_a_sentence_that_says_more_is_no_empty_answer(reply):
    """A sentence that reports no entities but one, or refuses, is not an empty answer."""
    parsed = parse_reply(reply, "Trời Hà Nội hôm nay đẹp.")
    assert parsed.mentions or parsed.status == "unparsable"


def test_prose_that_was_cut_is_unparsable():
    """The truncation flag does not make a refusal readable."""
    assert parse_reply("Xin lỗi, tôi không thể", truncated=True).status == "unparsable"


def test_long_items_are_shortened():
    """A malformed item is at most 200 characters of text."""
    (item,) = parse_reply(json.dumps([["a" * 1000, ""]])).malformed
    assert len(item) == 200


TEXTS = st.text(min_size=1).map(str.strip).filter(bool)
PAIRS = st.lists(
    st.tuples(TEXTS, TEXTS).filter(  # ("NONE", "person") means that there is no person
        lambda pair: not (is_nothing(pair[0]) or is_no_type(pair[1]) or is_placeholder(*pair))
    )
)
# Texts made of the characters that the scanner reacts to.
TRICKY = st.text(alphabet="ab đ'\"“”‘’,;:()[]{}\\\n#/-.`|1", min_size=1)
TRICKY = TRICKY.map(str.strip).filter(lambda text: text not in ("", "..."))  # "..." stands for omitted entities
TRICKY_PAIRS = st.lists(st.tuples(TRICKY, TRICKY), min_size=1)


@given(st.text() | st.text(alphabet="ab'\"“”‘’,;:()[]{}\\\n#/-.`|1<> "), st.booleans())
def test_no_text_raises(reply, truncated):
    """Any string gives a valid result: stripped mentions, short malformed items, a consistent status."""
    parsed = parse_reply(reply, truncated=truncated)
    assert all(mention.text.strip() == mention.text != "" for mention in parsed.mentions)
    assert all(mention.label.strip() == mention.label != "" for mention in parsed.mentions)
    assert all(len(item) <= 200 for item in parsed.malformed)
    assert not (parsed.mentions and parsed.status == "unparsable")


@given(PAIRS | TRICKY_PAIRS, st.booleans())
def test_json_round_trips(expected, ascii_only):
    """Every list of pairs is read back from its JSON."""
    parsed = parse_reply(json.dumps(expected, ensure_ascii=ascii_only))
    assert (pairs(parsed), parsed.status) == (expected, "ok")


@given(PAIRS | TRICKY_PAIRS)
def test_python_round_trips(expected):
    """Every list of tuples is read back from its Python notation, by the scanner."""
    parsed = parse_reply(repr(expected))
    assert (pairs(parsed), parsed.malformed) == (expected, ())
    assert parsed.status == ("repaired" if expected else "ok")


@given(PAIRS | TRICKY_PAIRS, st.sampled_from(["pairs", "tuples", "records"]), st.data())
def test_a_cut_gives_a_prefix(expected, shape, data):
    """A list cut anywhere gives a prefix of its pairs, with every pair that was closed before the cut."""
    if shape == "pairs":
        whole = json.dumps(expected, ensure_ascii=False)
    elif shape == "tuples":
        whole = repr(expected)
    else:
        whole = json.dumps([{"text": text, "type": label} for text, label in expected])
    reply = whole[: data.draw(st.integers(1, len(whole) - 1))]
    parsed = parse_reply(reply)
    found = pairs(parsed)
    assert parsed.status == "truncated"
    assert parsed.malformed == ()
    assert found == expected[: len(found)]
    first = expected[: data.draw(st.integers(0, len(expected)))]
    opening = {"pairs": json.dumps(first, ensure_ascii=False), "tuples": repr(first)}.get(shape)
    if opening and first and reply.startswith(opening[:-1]):
        assert len(found) >= len(first)


@given(
    TRICKY_PAIRS,
    st.sampled_from(
        ["Dưới đây là các thực thể (xem [1]):\n", "```json\n", "Kết quả: ", "Here's the list - ", "<think>[?</think>"]
    ),
    st.sampled_from(["\n```", '\n\nHy vọng "giúp" được bạn (nếu cần)!', " [2]", "."]),
    st.booleans(),
)
def test_what_stands_around_does_not_matter(expected, before, after, python):
    """Fences and prose before and after the list do not change the mentions."""
    reply = before + (repr(expected) if python else json.dumps(expected, ensure_ascii=False)) + after
    assert pairs(parse_reply(reply)) == expected


@given(TRICKY_PAIRS)
def test_records_and_pairs_give_the_same(expected):
    """Objects with any of the usual key names, in Python or JSON, give the same mentions as pairs."""
    records = [{"entity": text, "label": label} for text, label in expected]
    assert pairs(parse_reply(json.dumps(records))) == pairs(parse_reply(repr(records))) == expected


@pytest.mark.slow
def test_mutated_replies_do_not_raise():
    """Twenty thousand replies with characters deleted, doubled, swapped and inserted raise no exception."""
    rng = random.Random(7)
    seeds = [reply for reply, _ in [*OK.values(), *REPAIRED.values(), *TRUNCATED.values()]]
    seeds = [seed for seed in [*seeds, *UNPARSABLE.values()] if 0 < len(seed) < 300]
    statuses = set()
    for _ in range(20_000):
        chars = list(rng.choice(seeds))
        for _ in range(rng.randint(1, 6)):
            at = rng.randrange(len(chars) + 1)
            chars[at : at + rng.randint(0, 3)] = rng.choice(
                ["", "[", "]", "(", ")", "{", "}", '"', "'", "\\", ",", ":", "\n", "“", "đ", "```"]
            )
        parsed = parse_reply("".join(chars), truncated=rng.random() < 0.1)
        statuses.add(parsed.status)
        assert all(mention.text and mention.label for mention in parsed.mentions)
    assert statuses == {"ok", "repaired", "truncated", "unparsable"}


def test_code_is_text(tmp_path):
    """Code in a reply is never evaluated; it is read as text."""
    target = tmp_path / "written"
    code = f"__import__('pathlib').Path({str(target)!r}).touch()"
    for reply in (
        code,
        f"[({code}, 'x')]",
        f'[("{code}", "code")]',
        f"{{'location': {code}}}",
        f"[{code} for _ in [1]]",
    ):
        parse_reply(reply)
    assert pairs(parse_reply(f'[("{code}", "code")]')) == [(code, "code")]
    assert not target.exists()


HUGE = {  # head, repeated unit, tail
    "open brackets": ("", "[", ""),
    "closed at last": ("[" * 100_000 + '"a", "b"', "]", ""),
    "open objects": ("", '{"a":', ""),
    "mixed brackets": ("", "[(", ""),
    "open parentheses": ("", '("', ""),
    "closed brackets": ("", "[]", ""),
    "siblings at depth": ("[" * 99, '["a"]', ""),
    "wrong closers at depth": ("[" * 99, '("a"}', ""),
    "double quotes": ('["', '"', ""),
    "single quotes": ("['", "', x ", ""),
    "brackets in quotes": ('[("(', '")x', ""),
    "backslashes": ('["', "\\", ""),
    "escapes": ('["', "\\u0111", '"]'),
    "white space": ('["a"', " ", ""),
    "spaced quotes": ('["a" , ', '" , ', ""),
    "words": ("[[a ", "word ", ""),
    "digits": ("[[", "9", ""),
    "digits alone": ("", "9", ""),
    "fences": ("", "```", ""),
    "spaced fences": ("", "```   ", ""),
    "thoughts": ("", "<think>", ""),
    "one line": ("- ", "a: ", ""),
    "lines": ("", "- a: location\n", ""),
    "table": ("| entity | type |\n", "|", ""),
    "braces in prose": ("", "{a ", ""),
    "parentheses in prose": ("", "(a ", ""),
    "pairs in prose": ("", 'a ("a", "b") ', ""),
    "comments": ("[", "#\n", ""),
    "commas": ("[", ",", ""),
    "colons": ('["a"', ":", ""),
    "keys of one object": ("{", '"type": "a", "text": "b",', '"a": 1}'),
    "maps": ("", '{"a": "b"}\n', ""),
}


def fill(head: str, unit: str, tail: str, size: int) -> str:
    return head + unit * ((size - len(head) - len(tail)) // len(unit)) + tail


@pytest.mark.slow
@pytest.mark.parametrize("parts", HUGE.values(), ids=HUGE)
def test_long_replies_are_read(parts):
    """A reply longer than the scanner's limit is read; the mentions hold no more than was written."""
    reply = fill(*parts, size=600_000)
    parsed = parse_reply(reply)
    assert sum(len(mention.text) for mention in parsed.mentions) <= len(reply)


@pytest.mark.slow
def test_only_strict_json_is_read_beyond_the_limit():
    """A reply that the scanner reads only up to its limit is ``truncated``; strict JSON is read to its end."""
    strict = fill("[", '["Hà Nội", "location"],', '["a", "b"]]', 600_000)
    parsed = parse_reply(strict)
    assert (len(parsed.mentions), parsed.status) == (strict.count("[") - 1, "ok")
    python = fill("[", "('Hà Nội', 'location'),", "]", 600_000)
    parsed = parse_reply(python)
    assert (len(parsed.mentions), parsed.status) == ((500_000 - 1) // 23, "truncated")


def test_a_complete_list_in_an_open_fence_is_complete():
    """A complete list in a code fence that was cut before its end is complete."""
    parsed = parse_reply('```json\n[["Hà Nội", "city"]]\n', truncated=True)
    assert (pairs(parsed), parsed.status) == ([("Hà Nội", "city")], "ok")
