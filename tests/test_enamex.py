"""ENAMEX: raw text with nested tags, the sound ones and those that are none."""

from __future__ import annotations

import json
import unicodedata
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests.test_converting import answers, examples, lost, read, run, write
from training.convert.enamex import Mark, parse


def tag(raw_type: str, text: str) -> str:
    """A mention as VLSP writes it."""
    return f'<ENAMEX TYPE="{raw_type}">{text}</ENAMEX>'


HUE = tag("ORGANIZATION", "Khoa Nhi - " + tag("ORGANIZATION", "Bệnh viện " + tag("LOCATION", "Huế")))


def test_three_levels_are_gold_and_sentences_are_asked_about(tmp_path: Path) -> None:
    """All levels answer; sentences end where they do, never inside a mention; a BOM and CRLF leave no trace."""
    text = f"\ufeff{HUE} mở cửa. Ông {tag('PERSON', 'Lê Văn T. Anh')} đến thăm.\r\n\r\nHết ngày thứ hai.\r\n"
    write(tmp_path / "train" / "1.muc", text)
    write(tmp_path / "train" / "1.txt", "không phải")
    samples, report = run("enamex", tmp_path / "train", set="vlsp2018")
    assert [sample.input for sample in samples[::4]] == [
        "Khoa Nhi - Bệnh viện Huế mở cửa.",
        "Ông Lê Văn T. Anh đến thăm.",
        "Hết ngày thứ hai.",
    ]
    assert answers(samples) == {
        "location": ["Huế"],
        "organization": ["Khoa Nhi - Bệnh viện Huế", "Bệnh viện Huế"],
        "person": ["Lê Văn T. Anh"],
    }
    assert len(samples) == 12
    assert read(report)["entities"] == 4
    assert not lost(report)


def test_levels_leaves_out_the_deeper_ones(tmp_path: Path) -> None:
    """--levels 1 asks for the outermost mentions alone, and counts the others."""
    samples, report = run("enamex", write(tmp_path / "1.muc", HUE), levels=1, unit="line")
    assert answers(samples) == {"organization": ["Khoa Nhi - Bệnh viện Huế"]}
    assert lost(report) == {"nested deeper than --levels": 2}


def test_broken_tags_are_counted_with_file_and_line(tmp_path: Path) -> None:
    """What is no tag leaves the text, and the sound mentions of its line stay."""
    good = tag("LOCATION", "Huế")
    broken = (
        f'<ENAMEX TYPE="PERSON">Lê An ở {good}.',
        f"Lê An</ENAMEX> ở {good}.",
        f"<ENAMEX>Lê An</ENAMEX> ở {good}.",
        f'<ENAMEX TYPE="PERSON"Lê An ở {good}.',
        f"Lê An{tag('PERSON', ' ')}ở {good}.",
    )
    path = write(tmp_path / "1.muc", "\n".join(broken))
    samples, report = run("enamex", path, unit="line")
    assert [sample.input for sample in samples] == ["Lê An ở Huế."] * len(broken)
    assert [json.loads(sample.output) for sample in samples] == [["Huế"]] * len(broken)
    assert lost(report) == {"broken tag": len(broken)}
    assert examples(report, "broken tag")[3]["where"] == f"{path}:4"


def test_spellings_of_a_tag() -> None:
    """Case, quotes and spaces of a tag do not matter; white space inside is not part of the mention."""
    for spelled in (
        '<enamex type="PERSON"> An </enamex>',
        "<ENAMEX  TYPE='PERSON' > An </ENAMEX >",
        "<ENAMEX TYPE=PERSON> An </ ENAMEX>",
        "<ENAMEX TYPE=“PERSON”> An </ENAMEX>",
    ):
        line = parse(f"Ông {spelled}.")
        assert (line.text, line.marks, line.broken) == ("Ông  An .", [Mark(5, 7, "PERSON", 1)], [])


def test_a_letter_that_is_cut_from_its_mark(tmp_path: Path) -> None:
    """A line that is not in NFC without its tags is left out and counted: no slice of it would be a mention."""
    cut = f"{tag('LOCATION', 'Hue')}\u0302\u0301"
    samples, report = run("enamex", write(tmp_path / "1.muc", f"{cut}\n{tag('LOCATION', 'Vinh')}\n"), unit="line")
    assert [sample.input for sample in samples] == ["Vinh"]
    assert examples(report, "broken line")[0]["detail"] == "a tag stands between a letter and its mark"


WORDS = st.text(
    st.characters(codec="utf-8", exclude_categories=("Z", "C", "M"), exclude_characters="<>"), min_size=1, max_size=5
)
TREES = st.recursive(
    WORDS, lambda inner: st.tuples(st.sampled_from("ABC"), st.lists(inner, min_size=1, max_size=3)), max_leaves=12
)


def render(tree: Any, marks: list[tuple[str, str, int]], level: int = 1) -> tuple[str, str]:
    """Tagged and plain text of a tree; its mentions are added to ``marks``, the outer ones first."""
    if isinstance(tree, str):
        return tree, tree
    place = len(marks)
    marks.append(("", "", 0))
    parts = [render(child, marks, level + 1) for child in tree[1]]
    tagged, plain = " ".join(part[0] for part in parts), " ".join(part[1] for part in parts)
    marks[place] = (plain, tree[0], level)
    return tag(tree[0], tagged), plain


@given(st.lists(TREES, min_size=1, max_size=4))
def test_any_nesting_comes_back(trees: list[Any]) -> None:
    """Text, mentions, types and levels of any tree are what was rendered, and each mention is its slice."""
    marks: list[tuple[str, str, int]] = []
    parts = [render(tree, marks) for tree in trees]
    line = parse(unicodedata.normalize("NFC", " | ".join(part[0] for part in parts)))
    plain = unicodedata.normalize("NFC", " | ".join(part[1] for part in parts))
    assert line.text == plain
    assert not line.broken
    found = [(line.text[mark.start : mark.end], mark.raw_type, mark.level) for mark in line.marks]
    assert found == [(unicodedata.normalize("NFC", text), name, level) for text, name, level in marks]
