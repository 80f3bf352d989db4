"""Replies in the forms that models print for many prompts, each with its passage and the pairs a person would read."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from annotator.cleaning.parser import parse_reply
from normalizers.spans import Grounder, Match

FORMS = [
    json.loads(line)
    for file in sorted((Path(__file__).parent / "replies").glob("*.jsonl"))
    for line in file.read_text(encoding="utf-8").splitlines()
]


@pytest.mark.parametrize("form", FORMS, ids=[form["kind"] for form in FORMS])
def test_every_form_gives_its_pairs_and_no_other(form: dict[str, str]) -> None:
    """The pairs of a reply come back whatever its form; what is no list of entities gives none."""
    parsed = parse_reply(form["reply"], form["passage"])
    assert {(mention.text, mention.label) for mention in parsed.mentions} == {tuple(pair) for pair in form["want"]}


WORDS_OF_TYPES = "Người dân thành phố gặp giám đốc công ty; bệnh nhân ở bệnh viện. Địa điểm, tổ chức, loại, tên, ngày."


NAMED = [form for form in FORMS if not form["kind"].endswith(("odd key", "unknown keys"))]  # those need their passage


@pytest.mark.parametrize("form", NAMED, ids=[form["kind"] for form in NAMED])
def test_a_type_in_the_passage_is_not_taken_for_a_mention(form: dict[str, str]) -> None:
    """In a passage with names of types and without the mentions, nothing is found that a person would not read."""
    grounder = Grounder(WORDS_OF_TYPES)
    parsed = parse_reply(form["reply"], WORDS_OF_TYPES)
    found = [mention for mention in parsed.mentions if isinstance(grounder.ground(mention.text), Match)]
    assert {(mention.text, mention.label) for mention in found} <= {tuple(pair) for pair in form["want"]}
