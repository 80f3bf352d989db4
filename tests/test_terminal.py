"""Terminal output: any text is escaped, and it fits a narrow terminal."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console, RenderableType

from annotator.records import Annotation, Completion, Mention, Passage, Piece, Rejected, Sample
from data_cards.views import terminal
from data_cards.views.passage import PassageView


def rendered(view: RenderableType, *, width: int = 100, color: bool = False) -> str:
    out = io.StringIO()
    Console(file=out, width=width, force_terminal=color, color_system="truecolor" if color else None).print(view)
    return out.getvalue()


def passage(text: str) -> Passage:
    return Passage("0123abcd", text, 42, (Piece("d1", 0, len(text)),), 1)


def completion(reply: str) -> Completion:
    return Completion("k", "0123abcd", reply, "stop", 1, 1, 0.1, 0.0)


TEXT = "Bà Hoà ở Đại học Hà Nội."
MENTIONS = (
    Mention("Hoà", "person", "PER", 3, 6, "tone"),
    Mention("Đại học Hà Nội", "university", "University", 9, 23, "exact"),
    Mention("Hà Nội", "city", "city", 17, 23, "exact"),
)


def test_a_passage_with_its_entities_and_rejections() -> None:
    """The view of a passage has nested entities, the reply, and rejected predictions with reasons."""
    rejected = (Rejected("clean", "hallucinated", "0123abcd", "Sài Gòn", "nowhere", "city"),)
    view = PassageView(
        passage(TEXT), Annotation("0123abcd", TEXT, MENTIONS, "repaired"), completion("[raw reply]"), rejected
    )
    shown = rendered(view)
    for words in (TEXT, "0123abcd", "42 tokens", "d1 [0:24]", "university", "city", "PER", "tone", "[raw reply]",
                  "repaired", "hallucinated", "Sài Gòn [city]", "nowhere"):  # fmt: skip
        assert words in shown, words
    coloured = rendered(view, color=True)
    assert "\x1b[30;106mHoà\x1b[0m" in coloured


def test_a_passage_without_an_answer() -> None:
    """A passage without an answer is marked as such."""
    assert "has not answered yet" in rendered(PassageView(passage(TEXT), None, None, ()))


def test_a_long_reply_is_shortened() -> None:
    """A long reply is shortened, with its length."""
    shown = rendered(PassageView(passage(TEXT), None, completion("Đ" * 10_000_000), ()))
    assert "(10,000,000 characters)" in shown
    assert len(shown) < 10_000


NASTY = "[bold]x[/bold] \x1b[2J\x1b]0;owned\x07 <b>&amp;</b> \u202egnp.exe"


def test_markup_and_escape_sequences_are_shown_as_text() -> None:
    """Markup and escape sequences of news, teacher or labels are shown as text."""
    mention = Mention(NASTY, NASTY, NASTY, 0, len(NASTY), "exact")
    view = PassageView(
        passage(NASTY),
        Annotation("p", NASTY, (mention,), "ok"),
        completion(NASTY),
        (Rejected("clean", "near miss", "p", NASTY, NASTY),),
    )
    for view_of_text in (view, terminal.sample_view(Sample("i", NASTY, NASTY, NASTY, NASTY, False, "p"))):
        shown = rendered(view_of_text, width=300)
        assert "[bold]x[/bold]" in shown
        assert "\\u001b[2J" in shown
        assert not set(shown) & {"\x1b", "\x07", "\u202e"}


@given(st.text(max_size=60), st.integers(20, 120))
def test_any_text_in_any_width(text: str, width: int) -> None:
    """Any text is shown in any width, without an error or a control character."""
    text = text.encode("utf-8", "replace").decode()
    shown = rendered(PassageView(passage(text), None, completion(text), []), width=width)
    assert not {char for char in shown if ord(char) < 32} - {"\n"}


def test_the_funnel_names_every_reason() -> None:
    """The funnel has every reason and the units that a stage produced."""
    flow = {"stage": "clean", "unit": "claim", "in": 1500, "out": 1200, "made": {"mention": 1900},
            "rejected": {"hallucinated": 200, "near miss": 100}}  # fmt: skip
    shown = rendered(terminal.funnel_table([flow]))
    for words in ("prediction", "1,500", "1,200", "300", "200 hallucinated", "100 near miss", "1,900 mentions"):
        assert words in shown, words


@pytest.mark.parametrize("number", [0, 3, 30])
def test_at_most_ten_types_as_bars(number: int) -> None:
    """At most ten types have bars: the longest for the most frequent, at least one block for each."""
    top = [{"label": f"type {i:02}", "samples": 1000 // (i + 1) ** 3, "mentions": 1} for i in range(number)]
    shown = rendered(terminal.top_types({"top": top, "distinct": number}))
    bars = [line.count("█") for line in shown.splitlines() if "type " in line]
    assert len(bars) == min(number, 10)
    assert bars == sorted(bars, reverse=True)
    assert not bars or (bars[0] == terminal.BAR and bars[-1] >= 1)
