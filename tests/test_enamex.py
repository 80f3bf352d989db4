"""ENAMEX: raw text with nested tags, valid and broken."""

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
    """Return a mention tagged as in VLSP."""
    return f'<ENAMEX TYPE="{raw_type}">{text}</ENAMEX>'


HUE = tag("ORGANIZATION", "Khoa Nhi - " + tag("ORGANIZATION", "Bệnh viện " + tag("LOCATION", "Huế")))


def test_three_levels_are_gold(tmp_path: Path) -> None:
    """All levels are gold, sentences never end inside a mention, and BOM and CRLF are removed."""
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


def test_levels_leaves_out_deeper_mentions(tmp_path: Path) -> None:
    """--levels 1 keeps only the outermost mentions and counts the others."""
    samples, report = run("enamex", write(tmp_path / "1.muc", HUE), levels=1, unit="line")
    assert answers(samples) == {"organization": ["Khoa Nhi - Bệnh viện Huế"]}
    assert lost(report) == {"nested deeper than --levels": 2}


def test_broken_tags_are_counted_with_file_and_line(tmp_path: Path) -> None:
    """A broken tag is removed and counted; the valid mentions of its line stay."""
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
    """Case, quotes and spaces of a tag do not matter; outer white space is not part of the mention."""
    for spelled in (
        '<enamex type="PERSON"> An </enamex>',
        "<ENAMEX  TYPE='PERSON' > An </ENAMEX >",
        "<ENAMEX TYPE=PERSON> An </ ENAMEX>",
        "<ENAMEX TYPE=“PERSON”> An </ENAMEX>",
    ):
        line = parse(f"Ông {spelled}.")
        assert (line.text, line.marks, line.broken) == ("Ông  An .", [Mark(5, 7, "PERSON", 1)], [])


def test_a_letter_that_is_cut_from_its_mark(tmp_path: Path) -> None:
    """A line with a tag between a letter and its combining mark is left out and counted."""
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
    """Return tagged and plain text of a tree, and append its mentions to ``marks``, outer ones first."""
    if isinstance(tree, str):
        return tree, tree
    place = len(marks)
    marks.append(("", "", 0))
    parts = [render(child, marks, level + 1) for child in tree[1]]
    tagged, plain = " ".join(part[0] for part in parts), " ".join(part[1] for part in parts)
    marks[place] = (plain, tree[0], level)
    return tag(tree[0], tagged), plain


@given(st.lists(TREES, min_size=1, max_size=4))
def test_any_nesting_is_read(trees: list[Any]) -> None:
    """Text, mentions, types and levels of any tree are read back, and mentions are slices."""
    marks: list[tuple[str, str, int]] = []
    parts = [render(tree, marks) for tree in trees]
    line = parse(unicodedata.normalize("NFC", " | ".join(part[0] for part in parts)))
    plain = unicodedata.normalize("NFC", " | ".join(part[1] for part in parts))
    assert line.text == plain
    assert not line.broken
    found = [(line.text[mark.start : mark.end], mark.raw_type, mark.level) for mark in line.marks]
    assert found == [(unicodedata.normalize("NFC", text), name, level) for text, name, level in marks]
