"""Replies in the forms that models print for many prompts, with their passages and the pairs that a person reads."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from annotator.cleaning.replies.parser import parse_reply
from normalizers.grounding import Grounder, Match

FORMS = [
    json.loads(line)
    for file in sorted((Path(__file__).parent / "replies").glob("*.jsonl"))
    for line in file.read_text(encoding="utf-8").splitlines()
]


@pytest.mark.parametrize("form", FORMS, ids=[form["kind"] for form in FORMS])
def test_every_form_gives_its_pairs_and_no_other(form: dict[str, str]) -> None:
    """Each reply gives exactly its pairs, and text without a list of entities gives none."""
    parsed = parse_reply(form["reply"], form["passage"])
    assert {(mention.text, mention.label) for mention in parsed.mentions} == {tuple(pair) for pair in form["want"]}


WORDS_OF_TYPES = "Người dân thành phố gặp giám đốc công ty; bệnh nhân ở bệnh viện. Địa điểm, tổ chức, loại, tên, ngày."


NAMED = [form for form in FORMS if not form["kind"].endswith(("odd key", "unknown keys"))]  # odd keys need the passage


@pytest.mark.parametrize("form", NAMED, ids=[form["kind"] for form in NAMED])
def test_a_type_in_the_passage_is_not_a_mention(form: dict[str, str]) -> None:
    """In a passage that has names of types but not the mentions, only right pairs are found."""
    grounder = Grounder(WORDS_OF_TYPES)
    parsed = parse_reply(form["reply"], WORDS_OF_TYPES)
    found = [mention for mention in parsed.mentions if isinstance(grounder.ground(mention.text), Match)]
    assert {(mention.text, mention.label) for mention in found} <= {tuple(pair) for pair in form["want"]}


NAMES = [
    "Lê An",
    "Vũ Thị Bình",
    "Huế",
    "TP.HCM",
    "Công ty Sao Mai",
    "Bệnh viện 115",
    "20/11",
    "1,5 tỷ đồng",
    "phở",
    "viêm phổi",
]
NAMES += [
    "Đại học Cần Thơ",
    "Viettel",
    "iPhone 15",
    "Hiệp định Geneva",
    "Đắk R'lấp",
    "đàn bầu",
    "SEA Games 33",
    "U23 Việt Nam",
]
TYPES = [
    "person",
    "city",
    "company",
    "date",
    "amount of money",
    "disease",
    "người",
    "địa điểm",
    "tổ chức",
    "PERSON",
    "Location",
]
TYPES += ["football club", "bệnh", "sự kiện", "university", "nhạc cụ", "món ăn", "MUSICAL_INSTRUMENT"]
Pairs = list[tuple[str, str]]


def by_type(pairs: Pairs) -> dict[str, list[str]]:
    """Return the mentions of each type."""
    found: dict[str, list[str]] = {}
    for mention, label in pairs:
        found.setdefault(label, []).append(mention)
    return found


def dump(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def lines(pairs: Pairs, form: str) -> str:
    return "\n".join(form.format(*pair) for pair in pairs)


CHECKED = "1. {0} | True | {1} | is named in the text"
RENDERERS = {
    "pairs": dump,
    "types first": lambda pairs: dump([pair[::-1] for pair in pairs]),
    "tuples": lambda pairs: repr(list(pairs)),
    "records": lambda pairs: dump([{"entity": mention, "type": label} for mention, label in pairs]),
    "nodes": lambda pairs: dump({"nodes": [{"id": mention, "label": label} for mention, label in pairs]}),
    "extractions": lambda pairs: dump(
        {"extractions": [{"extraction_class": label, "extraction_text": mention} for mention, label in pairs]}
    ),
    "map of types": lambda pairs: dump(by_type(pairs)),
    "groups": lambda pairs: dump([{"category": label, "items": items} for label, items in by_type(pairs).items()]),
    "entries": lambda pairs: dump([{label: mention} for mention, label in pairs]),
    "explained": lambda pairs: dump([[*pair, "được nói đến trong bài viết này"] for pair in pairs]),
    "keys outside": lambda pairs: "\n".join(f"**{label}**: {dump(items)}" for label, items in by_type(pairs).items()),
    "calls": lambda pairs: f"[{', '.join(f'Entity(text={dump(one)}, label={dump(kind)})' for one, kind in pairs)}]",
    "bullets": lambda pairs: lines(pairs, "- {0}: {1}"),
    "brackets": lambda pairs: lines(pairs, "* **{0}** ({1})"),
    "described": lambda pairs: lines(pairs, "1. **{0}** ({1}) - được nói đến trong bài viết này"),
    "equals": lambda pairs: lines(pairs, "{0} = {1}"),
    "pipes": lambda pairs: lines(pairs, "{0} | {1}"),
    "slashes": lambda pairs: lines(pairs, "- {0} / {1}"),
    "boxed headings": lambda pairs: "\n".join(
        "\n".join([f"[{label}]", *items]) for label, items in by_type(pairs).items()
    ),
    "scored labels": lambda pairs: dump(
        [{"text": mention, "labels": [{"value": label, "confidence": 0.9}]} for mention, label in pairs]
    ),
    "offsets within": lambda pairs: repr([(mention, 3, 9, label) for mention, label in pairs]),
    "listed YAML": lambda pairs: "\n".join(
        "\n    - ".join([f"- type: {label}\n  mentions:", *items]) for label, items in by_type(pairs).items()
    ),
    "double colons": lambda pairs: lines(pairs, "{0}::{1}"),
    "checked": lambda pairs: f"{lines(pairs, CHECKED)}\n2. bài viết | False | ==NONE== | no",
    "headings": lambda pairs: "\n\n".join(
        "\n- ".join([f"### {label}", *items]) for label, items in by_type(pairs).items()
    ),
    "YAML": lambda pairs: lines(pairs, "- entity: {0}\n  type: {1}"),
    "table": lambda pairs: "| Loại | Thực thể |\n|---|---|\n" + lines(pairs, "| {1} | {0} |"),
    "tags": lambda pairs: lines(pairs, '<entity type="{1}">{0}</entity>'),
    "graph": lambda pairs: lines(pairs, '("entity"<|>"{0}"<|>"{1}"<|>"trong bài")##'),
    "thoughts": lambda pairs: f'<think>["bài viết", "article"]?</think>\n\n{dump(pairs)}',
    "draft": lambda pairs: f'Draft: [["bài viết", "article"]]\n\nFinal answer:\n{dump(pairs)}',
}


@pytest.mark.parametrize("render", RENDERERS.values(), ids=RENDERERS)
@given(st.dictionaries(st.sampled_from(NAMES), st.sampled_from(TYPES), min_size=1, max_size=8))
@settings(max_examples=25)
def test_every_form_round_trips(render: Callable[[Pairs], str], chosen: dict[str, str]) -> None:
    """Pairs written in any form are read back: none lost, none invented, none reversed."""
    pairs = list(chosen.items())
    passage = "Bài viết nhắc đến " + "; rồi ".join(mention for mention, _ in pairs) + "."
    parsed = parse_reply(render(pairs), passage)
    assert {(mention.text, mention.label) for mention in parsed.mentions} == set(pairs)


@pytest.mark.slow
def test_mutated_forms_do_not_raise() -> None:
    """Five thousand replies with characters deleted, doubled, swapped and inserted raise no exception."""
    rng = random.Random(11)
    marks = [*"[](){}\"'\\,:\n“đ|<>=", "", "```", "- ", "**", "<|>"]
    for _ in range(5_000):
        form = rng.choice(FORMS)
        chars = list(form["reply"])
        for _ in range(rng.randint(1, 6)):
            at = rng.randrange(len(chars) + 1)
            chars[at : at + rng.randint(0, 3)] = rng.choice(marks)
        parsed = parse_reply("".join(chars), form["passage"], truncated=rng.random() < 0.1)
        assert all(mention.text and mention.label for mention in parsed.mentions)


PASSAGE = "Giá gạo tăng mạnh ở Huế. Bà Vũ Bình, giám đốc Công ty Sao Mai, cho biết giá gạo tăng mạnh từ tháng 3."


@pytest.mark.parametrize(
    "reply",
    [
        '{"title": "Giá gạo tăng mạnh ở Huế", "summary": "Bà Vũ Bình cho biết giá gạo tăng mạnh."}',
        '{"title": "Giá gạo tăng mạnh", "content": "Bà Vũ Bình, giám đốc Công ty Sao Mai"}',
        '{"tiêu đề": "Giá gạo tăng mạnh", "tóm tắt": "Vũ Bình"}',
        "Tiêu đề: Giá gạo tăng mạnh ở Huế",
        "**Tiêu đề:** Giá gạo tăng mạnh\n\nBà Vũ Bình, giám đốc Công ty Sao Mai, cho biết.",
        "Title: Giá gạo tăng mạnh\nSummary: Bà Vũ Bình cho biết giá gạo tăng mạnh.",
        "# Giá gạo tăng mạnh\n- Bà Vũ Bình, giám đốc Công ty Sao Mai\n- tháng 3",
    ],
)
@pytest.mark.parametrize("passage", [PASSAGE, ""])
def test_the_headings_of_an_article_are_no_entities(reply: str, passage: str) -> None:
    """A rewritten article, or its title above prose, gives no entities."""
    assert parse_reply(reply, passage).mentions == ()


@pytest.mark.parametrize("reply", ['{"title": "giám đốc", "person": "Vũ Bình"}', "Title: giám đốc\nPerson: Vũ Bình"])
def test_a_title_among_other_types_stays(reply: str) -> None:
    """Among other types, "title" is a type."""
    assert {mention.label.lower() for mention in parse_reply(reply, PASSAGE).mentions} == {"title", "person"}


@pytest.mark.parametrize(
    "more",
    [
        '<|im_end|>\n<|im_start|>user\nBà Vũ Bình nói.<|im_end|>\n<|im_start|>assistant\n[["Vũ Bình", "person"]]',
        '<|im_start|>user\nBà Vũ Bình nói.<|im_end|>\n<|im_start|>assistant\n<think>a</think>[["Vũ Bình", "person"]]',
        '<end_of_turn>\n<start_of_turn>user\nVũ Bình<end_of_turn>\n<start_of_turn>model\n[["Vũ Bình", "person"]]',
        '<|im_end|>\n<|im_start|>assistant\n[["Vũ Bình", "person"]]',
        '\n\nPassage: Bà Vũ Bình nói.\nEntities: [["Vũ Bình", "person"], ["tháng',
        '\n\nĐoạn văn 2: Bà Vũ Bình nói.\nThực thể: [["Vũ Bình", "person"]]',
    ],
)
@pytest.mark.parametrize("opening", ["", " ", "<|im_start|>assistant\n", "<think>x</think>"])
def test_further_turns_are_not_part_of_the_answer(opening: str, more: str) -> None:
    """Turns or passages that a model invents after its answer are ignored, and do not make it truncated."""
    parsed = parse_reply(f'{opening}[["Huế", "city"], ["tháng 3", "date"]]{more}', PASSAGE, truncated=True)
    assert [(mention.text, mention.label) for mention in parsed.mentions] == [("Huế", "city"), ("tháng 3", "date")]
    assert parsed.status in ("ok", "repaired")


def test_empty_turns_are_unparsable() -> None:
    """A reply of only turn markers, as base models print, is unparsable."""
    reply = "<|im_end|>\n<|im_start|>user\n<|im_end|>\n<|im_end|>user\n<|im_end|>\n<|im"
    parsed = parse_reply(reply, PASSAGE, truncated=True)
    assert (parsed.status, parsed.mentions, parsed.malformed) == ("unparsable", (), ())


@pytest.mark.slow
@pytest.mark.parametrize(
    "unit",
    [
        "- Lê An: person\n",
        "<a>b</a>",
        "[Lê An](person) ",
        "Lê An | person\n",
        "a: b; ",
        "### a\n",
        "(a, b) ",
        'Person: ["a"]\n',
        '{"a": {"type": "person"}}',
        '["a", "b", "c"]\n',
        "<think>",
        "<|im_end|>\n",
        "]\n\nPassage: ",
        "Final answer: ",
        "<|>",
        " (",
        "a <",
        "\t \t",
        "{",
        "[a|b]",
        "**",
    ],
)
def test_long_replies_of_any_form_are_read(unit: str) -> None:
    """A very long reply of any form, with a passage, gets a status."""
    parsed = parse_reply(unit * (600_000 // len(unit)), "Lê An sống ở Huế.")
    assert parsed.status in ("ok", "repaired", "truncated", "unparsable")
