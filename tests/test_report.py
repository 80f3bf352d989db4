"""The report as a page in a real browser: all texts are escaped, it can be filtered, and it loads nothing."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotator.checking.opinions import Opinion, schema
from annotator.checking.settings import CheckSettings, write_check
from annotator.records import Mention, Rejected
from annotator.storage import tables
from annotator.storage.rundir import RunDir
from annotator.terminal.progress import printable
from data_cards import plots
from data_cards.report import draw
from data_cards.views.highlighting import highlighted
from tests.browser import Browser, browser_needed
from tests.commands import must_succeed, vner
from tests.conftest import ROOT
from tests.rundirs import Item, make_run

pytestmark = pytest.mark.slow

NASTY = "</script><script>window.owned=1</script><img src=x onerror='window.owned=1'>\"><b>&amp;\u202e\x01"
ITEMS = (
    Item("p1", f"Bà Hoà ở Đại học Hà Nội. {NASTY} 🎉 Ông Thắng ở Huế.",
         [("Hoà", "person"), ("Đại học Hà Nội", "university"), ("Hà Nội", "city"), ("Huế", "city"), (NASTY, NASTY)]),
    Item("p2", "Mưa to ở Cần Thơ.", [("Cần Thơ", "city")], "validation"),
    Item("p3", "Không có gì ở đây cả."),
    Item("p4", "Công ty An Bình ở Vinh.", [("An Bình", "company"), ("Vinh", "city")], "test"),
)  # fmt: skip


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunDir:
    """Write a run whose every text tries to inject markup, with a report."""
    root = tmp_path_factory.mktemp("reported")
    rejected = [Rejected("clean", f"reason {NASTY}", "p1", NASTY, NASTY)]
    made = make_run(root, ITEMS, rejected, source=NASTY)
    rows = [
        {"raw": NASTY, "label": "city", "status": "changed", "rule": NASTY, "claims": 3, "mentions": 3},
        {"raw": "city", "label": "city", "status": "kept", "rule": "known", "claims": 2, "mentions": 2},
        {"raw": "misc", "label": None, "status": "rejected", "rule": "meaningless", "claims": 1, "mentions": 0},
    ]
    pq.write_table(pa.Table.from_pylist(rows), root / "labels.parquet")
    write_check(made.check, CheckSettings(teacher={"provider": "openai", "model": NASTY}))
    differing = [
        Opinion("p4", "An Bình", 8, 15, "company", "city", "other type", 0.65, "first", ""),
        Opinion("p4", "An Bình", 8, 15, "city", "company", "other type", 0.65, "second", ""),
        Opinion("p4", "Vinh", 18, 22, NASTY, "", "only second", 0.75, "second", ""),
    ]
    with made.agreement.open("wb") as file:
        tables.write_records(file, schema(logprobs=False), differing)
    must_succeed(vner("report", root, "--debug"))
    return made


@pytest.fixture(scope="module")
def page(run: RunDir, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """Open the report."""
    with Browser(tmp_path_factory.mktemp("profile")) as browser:
        browser.open(run.root / "report.html")
        yield browser


def visible(page: Browser) -> list[str]:
    """Return the ids of the visible passages."""
    shown = (
        "[...document.querySelectorAll('#passages-box .passage')].filter(p => p.offsetParent !== null).map(p => p.id)"
    )
    return sorted(page.run(shown))


def press_button(page: Browser, label: str) -> None:
    """Focus the filter of a type and press it by the keyboard."""
    find = f"[...document.querySelectorAll('.filters button')].find(b => b.textContent.startsWith({json.dumps(label)}))"
    page.run(f"{find}.focus()")
    page.press("Enter", 13)


@browser_needed
def test_texts_are_escaped(page: Browser) -> None:
    """No text becomes an element or runs as a script, and each is shown letter by letter."""
    assert page.run("window.owned") is None
    assert page.run("document.querySelectorAll('script').length") == 1
    assert page.run("document.querySelectorAll('img, b, iframe, object').length") == 0
    first = page.run("(p => { for (const t of p.querySelectorAll('.t')) t.remove(); return p.textContent })"
                     "(document.querySelector('#p-p1 .text').cloneNode(true))")  # fmt: skip
    assert first == printable(ITEMS[0].text)
    for place in ("#rejected", "#merges", "#passages .filters", "header"):
        assert printable(NASTY)[:60] in page.run(f"document.querySelector('{place}').textContent"), place


@browser_needed
def test_the_filter_works_by_keyboard(page: Browser) -> None:
    """The filter switches types by keyboard and reports its state to screen readers."""
    everything = visible(page)
    assert everything == ["p-p1", "p-p2", "p-p3", "p-p4"]
    press_button(page, "company")
    assert visible(page) == ["p-p4"]
    assert page.run("document.querySelectorAll('mark.on').length") == 1
    assert page.run("document.querySelector('.filters [aria-pressed=true]').textContent").startswith("company")
    assert page.run("document.getElementById('shown').textContent") == "1 of 4 passages are shown."
    assert page.run("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    press_button(page, "city")
    assert visible(page) == ["p-p1", "p-p2", "p-p4"]
    press_button(page, "city")
    assert visible(page) == everything
    assert page.run("document.querySelectorAll('.filters [aria-pressed=true]').length") == 1


@browser_needed
def test_the_filter_ignores_the_passages_of_two_teachers(page: Browser) -> None:
    """The filter neither counts nor hides the passages of two teachers; their marks name the teacher."""
    press_button(page, "person")
    texts = "[...document.querySelectorAll('#agreement .passage')].map(p => [!p.hidden, p.textContent])"
    ((shown, text),) = page.run(texts)
    press_button(page, "person")
    assert shown
    assert "An Bìnhsecond:\u00a0cityfirst:\u00a0company" in text
    assert printable(NASTY)[:60] in text


@browser_needed
def test_nested_entities_are_nested(page: Browser) -> None:
    """A city in a university's name is a mark within a mark, each with its type."""
    inner = "document.querySelector('#p-p1 mark mark')"
    assert page.run(f"{inner}.textContent") == "Hà Nộicity"
    assert page.run(f"{inner}.parentElement.textContent") == "Đại học Hà Nộicityuniversity"


@browser_needed
@pytest.mark.parametrize("width", [320, 390, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_fits_and_can_be_read(page: Browser, width: int, scheme: str) -> None:
    """The page does not scroll sideways at any width and follows the colour scheme."""
    page.call("Emulation.setDeviceMetricsOverride", width=width, height=800, deviceScaleFactor=1, mobile=width < 500)
    page.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
    assert page.run("document.documentElement.scrollWidth") <= width
    paper = page.run("getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, re.findall(r"\d+", paper)[:3])) < 200) == (scheme == "dark")


@browser_needed
def test_print_has_everything_but_the_buttons(page: Browser) -> None:
    """Print has all passages without buttons, on white in any scheme."""
    page.call("Emulation.setEmulatedMedia", media="print", features=[{"name": "prefers-color-scheme", "value": "dark"}])
    try:
        assert page.run("document.querySelector('.filters').offsetParent") is None
        assert page.run("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
        assert len(visible(page)) == 4
    finally:
        page.call("Emulation.setEmulatedMedia", media="", features=[])


@browser_needed
def test_the_page_loads_nothing_and_logs_no_error(page: Browser, run: RunDir) -> None:
    """After the tests before, the page has requested no other address and logged nothing."""
    assert page.requests == [(run.root / "report.html").as_uri()]
    assert page.errors == []


@browser_needed
def test_a_console_error_would_be_noticed(tmp_path: Path) -> None:
    """Console errors and requests of a broken page are recorded."""
    broken = tmp_path / "broken.html"
    broken.write_text("<script>console.error('x'); nothing()</script><img src='gone.png'>", encoding="utf-8")
    with Browser(tmp_path / "profile") as browser:
        browser.open(broken)
        assert len(browser.errors) >= 2
        assert any(address.endswith("gone.png") for address in browser.requests)


def test_the_same_run_gives_the_same_bytes(run: RunDir) -> None:
    """Report and figures are reproducible; another seed shows other passages."""
    files = [run.root / "report.html", *sorted((run.root / "figures").iterdir())]
    assert set(files) == set(run.report_files())
    before = [path.read_bytes() for path in files]
    must_succeed(vner("report", run.root))
    assert [path.read_bytes() for path in files] == before
    orders = {tuple(identity for identity, _, _ in draw(run.annotations, 3, seed)) for seed in range(20)}
    assert len(orders) > 5
    assert all(len(order) == 3 for order in orders)


def test_the_figures_have_no_text_that_could_be_markup(run: RunDir) -> None:
    """Letters in figures are drawn as shapes, with a font that has every Vietnamese letter."""
    from matplotlib import font_manager
    from matplotlib.ft2font import FT2Font

    drawn = (run.root / "figures" / "top-types.svg").read_text(encoding="utf-8")
    assert "<text" not in drawn
    assert "<script" not in drawn
    font = FT2Font(font_manager.findfont(plots._STYLE["font.family"], fallback_to_default=False))
    letters = "aáàảãạăắằẳẵặâấầẩẫậbcdđeéèẻẽẹêếềểễệghiíìỉĩịklmnoóòỏõọôốồổỗộơớờởỡợpqrstuúùủũụưứừửữựvxyýỳỷỹỵ"
    assert all(ord(letter) in font.get_charmap() for letter in letters + letters.upper())


def test_a_run_without_a_merge_log(tmp_path: Path) -> None:
    """A run without labels.parquet, or without samples, has a report that states it."""
    for name, items, verdict in (
        ("some", ITEMS[1:], "All structural checks pass"),
        ("none", (), "there are no samples"),
    ):
        run = make_run(tmp_path / name, items)
        must_succeed(vner("report", run.root, "--debug"))
        text = (run.root / "report.html").read_text(encoding="utf-8")
        assert "keeps no merge log" in text
        assert verdict in text
    assert vner("report", tmp_path).exit_code == 1


class Text(HTMLParser):
    """The text of HTML without the type names; checks that tags are closed in order."""

    def __init__(self) -> None:
        super().__init__()
        self.text = ""
        self._open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open[-1:] != ["span"]:
            self.text += data


@given(st.text("ab<&\"' đ\n", max_size=20), st.lists(st.tuples(st.integers(0, 20), st.integers(1, 9)), max_size=8))
def test_marks_never_change_the_text(text: str, places: list[tuple[int, int]]) -> None:
    """Marks of any spans, nested or crossing, are well-formed and keep the text."""
    mentions = [
        Mention(text[start : start + length], f"t{number}", "", start, start + length, "exact")
        for number, (start, length) in enumerate(places)
        if start + length <= len(text)
    ]
    parser = Text()
    html = highlighted(text, mentions, {f"t{number}": number for number in range(8)})
    parser.feed(str(html))
    parser.close()
    assert parser.text == text
    assert {f"t{number}" for number in range(8) if f">t{number}<" in html} == {mention.label for mention in mentions}


def test_colours_have_enough_contrast() -> None:
    """All text has a contrast of 4.5 to 1 in light, dark and print colours."""
    css = (ROOT / "data_cards" / "templates" / "report.css").read_text(encoding="utf-8")
    palettes = [dict(re.findall(r"--([a-z0-9]+): (#[0-9a-f]{3,6})\b", block)) for block in css.split(":root {")[1:]]
    palettes = [palette for palette in palettes if "paper" in palette]
    assert len(palettes) == 3
    for palette in palettes:
        pairs = [(palette[text], palette[ground]) for text in ("ink", "soft", "accent", "lost", "good")
                 for ground in ("paper", "card")]  # fmt: skip
        for number in range(8):
            pairs += [(palette["ink"], palette[f"b{number}"]), (palette[f"t{number}"], palette[f"b{number}"])]
        for text, ground in pairs:
            light, dark = sorted((luminance(text), luminance(ground)), reverse=True)
            assert (light + 0.05) / (dark + 0.05) >= 4.5, (text, ground)


def luminance(colour: str) -> float:
    """Return the relative luminance of a hexadecimal colour, as WCAG 2 defines it."""
    digits = colour[1:] if len(colour) == 7 else "".join(digit * 2 for digit in colour[1:])
    parts = [int(digits[place : place + 2], 16) / 255 for place in (0, 2, 4)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
