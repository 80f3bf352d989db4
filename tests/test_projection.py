"""Which occurrences of a predicted entity become its mentions."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotator.cleaning.occurrences import project
from normalizers.grounding import Grounder, Match


def kept(text: str, *entities: str) -> list[list[str]]:
    """Return the mentions of each entity, with the three characters before and after."""
    found = [Grounder(text).ground(entity) for entity in entities]
    projections = project(text, [match.spans if isinstance(match, Match) else () for match in found])
    return [[text[max(0, start - 3) : end + 3] for start, end in one.kept] for one in projections]


@pytest.mark.parametrize(
    ("text", "entities", "mentions"),
    [
        ("Nam quê Nam Định.", ["Nam", "Nam Định"], [["Nam qu"], ["uê Nam Định."]]),
        ("Nam quê Nam Định.", ["Nam"], [["Nam qu"]]),
        ("Anh Nam thăm Nam Định và nước Việt Nam.", ["Nam"], [["nh Nam th"]]),
        ("Ông Chính họp với Thủ tướng Chính phủ.", ["Chính"], [["ng Chính họ"]]),
        ("Cá chết; cá nhân nào xả thải làm cá chết?", ["cá"], [["àm cá ch"]]),
        ("Học ở Đại học Hà Nội.", ["Hà Nội", "Đại học Hà Nội"], [["ọc Hà Nội."], [" ở Đại học Hà Nội."]]),
        ("Sinh ở Nam Định.", ["Nam"], [[" ở Nam Đị"]]),
        ("Nga nói Tổng thống Nga Vladimir Putin", ["Nga"], [["Nga nó", "ng Nga Vl"]]),
        ("Mỹ cử Ngoại trưởng Mỹ Lê Minh", ["Mỹ", "Lê Minh"], [["Mỹ cử", "ng Mỹ Lê"], ["Mỹ Lê Minh"]]),
        ("Ông Nam đến. Chị Nam về. Nam ở lại.", ["Nam"], [["ng Nam đế", "hị Nam về", "ề. Nam ở "]]),
        ("Chị Thanh bị chém. Khi chị Thanh thoát ra", ["Thanh"], [["hị Thanh bị", "hị Thanh th"]]),
        ("Nga trở nên bình thường. Nga tâm sự với Nga Theo Reuters", ["Nga"], [["Nga tr", "g. Nga tâ", "ới Nga Th"]]),
        ("Anh nhắc Nam. Nam Giám đốc là Hoàng Nam.", ["Nam"], [["ắc Nam. N", "m. Nam Gi"]]),
        ("Theo Lan, bà Lan là hoa hậu Phương Lan.", ["Lan"], [["eo Lan, b", "bà Lan là"]]),
    ],
)
def test_an_occurrence_inside_a_name_or_word_is_no_mention(
    text: str, entities: list[str], mentions: list[list[str]]
) -> None:
    """An occurrence inside a longer name or word is left out if there are others, and kept otherwise."""
    assert kept(text, *entities) == mentions


SYLLABLES = st.sampled_from(["Nam", "Định", "Chính", "phủ", "cá", "nhân", "Hà", "Nội", "học", ",", ".", "\n", "ông"])


@given(st.lists(SYLLABLES, min_size=1, max_size=12), st.data())
def test_every_occurrence_is_kept_or_left_out_and_one_stays(syllables: list[str], data: st.DataObject) -> None:
    """Occurrences = kept + left out, and at least one of each entity is kept."""
    text = " ".join(syllables)
    cut = st.tuples(st.integers(0, len(syllables) - 1), st.integers(1, 3))
    entities = [" ".join(syllables[at : at + size]) for at, size in data.draw(st.lists(cut, max_size=5))]
    matches = [match for match in map(Grounder(text).ground, entities) if isinstance(match, Match)]
    for match, projection in zip(matches, project(text, [match.spans for match in matches]), strict=True):
        assert sorted((*projection.kept, *(span for span, _ in projection.left_out))) == list(match.spans)
        assert projection.kept
