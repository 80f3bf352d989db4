"""Variants of a benchmark: what they change, how gold follows, and how they are scored."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from normalizers.text import bare, nfc
from tests.benchmarks import query, write_benchmark, write_predictions
from tests.commands import must_succeed, vner
from tests.endpoint import Answer, Endpoint
from training.benchmarks import gold_of, read_benchmark
from training.score.slips import TELEX, VNI, keys, mistype, tone_key_left
from training.score.variants import VARIANTS, rewrite, variant

TEXT = "Ông Nguyễn Văn Hòa không biết gì về thuỷ điện Hoà Bình trước ngày 12/3/2020. Hòa nói với người ở bệnh viện."
GOLD = ["Nguyễn Văn Hòa", "Hoà Bình", "Hòa", "12/3/2020", "bệnh viện"]
WORDS = st.sampled_from(
    ["không", "được", "Hòa", "hoà", "Thuỷ", "người", "TP.HCM", "bệnh", "viện", "Covid-19", "12/3", "An", "Ban", "U23"]
)
TEXTS = st.lists(WORDS | st.text("aăđoòuý .,-1\n", min_size=1, max_size=6), min_size=1, max_size=12).map(" ".join)


def changed(name: str, text: str, gold: list[str], seed: int = 0) -> tuple[str, list[str]]:
    """Return text and gold of one variant."""
    (sample,) = variant(name, [query("q", text, gold, "x", "p")], seed)
    return sample.input, gold_of(sample)


@pytest.mark.parametrize(
    ("name", "text", "gold"),
    [
        ("no-diacritics", bare(TEXT), [bare(mention) for mention in GOLD]),
        ("lower-case", TEXT.lower(), [mention.lower() for mention in GOLD]),
        (
            "tone-placement",
            TEXT.replace("Hòa", "*").replace("Hoà", "Hòa").replace("*", "Hoà").replace("thuỷ", "thủy"),
            ["Nguyễn Văn Hoà", "Hòa Bình", "Hoà", "12/3/2020", "bệnh viện"],
        ),
    ],
)
def test_what_a_variant_changes(name: str, text: str, gold: list[str]) -> None:
    """Each variant changes text and gold exactly as expected."""
    assert changed(name, TEXT, GOLD) == (text, gold)


def test_teencode_abbreviates_words_and_leaves_names() -> None:
    """Teencode abbreviates phrases and words in lower case, also in mentions, and leaves names."""
    text, gold = changed("teencode", TEXT, [*GOLD, "người ở bệnh viện"])
    assert "không" not in text
    assert gold[:4] == GOLD[:4]
    assert re.fullmatch(r"(ng|ngừi) ở bv", gold[5])
    assert changed("teencode", "bênh viện Không", [])[0] == "bênh viện Không"


def test_tones_move_only_where_both_spellings_are_used() -> None:
    """Tones stay in closed syllables and after ``qu``, where there is only one place."""
    text = "hoàn quý toán thuyền quỳ HÒA xòe hóa."
    assert changed("tone-placement", text, [])[0] == "hoàn quý toán thuyền quỳ HOÀ xoè hoá."


def test_typos_follow_the_seed_and_leave_numbers() -> None:
    """About one word in ten gets a typing error by the seed, the same at each occurrence; numbers stay."""
    names = [f"{a}{b}" for a in ("b", "ch", "đ", "h", "kh", "l", "ng", "th") for b in ("ường", "iệt", "oàn", "ế", "âu")]
    text = " ".join(f"{name} {number} {name}" for number, name in enumerate(names))
    one, again, other = (changed("typos", text, [], seed)[0] for seed in (1, 1, 2))
    assert one == again != other != text
    assert re.findall(r"\b\d+\b", one) == re.findall(r"\b\d+\b", text)
    assert len(set(zip(text.split(), one.split(), strict=True))) == len(set(text.split()))
    slipped = []
    for number in range(300):
        words = [f"{a}{b}" for a in "bcdghk" for b in ("ường", "iệt", "oàn")]
        (sample,) = variant("typos", [query("q", " ".join(words), [], "x", f"p{number}")], 0)
        slipped.append(sum(a != b for a, b in zip(words, sample.input.split(), strict=True)) / len(words))
    assert 0.08 < sum(slipped) / len(slipped) < 0.12


def test_keys_of_telex_and_vni() -> None:
    """Words are typed as Telex and VNI define it, with the tone at the end."""
    assert [keys(word, TELEX) for word in ("được", "Đường", "tiếng", "nghĩa", "ăn")] == [
        "dduwowcj", "DDuwowngf".replace("DD", "Dd"), "tieengs", "nghiax", "awn"]  # fmt: skip
    assert [keys(word, VNI) for word in ("được", "tiếng", "nghĩa", "Huệ")] == ["d9u7o7c5", "tie6ng1", "nghia4", "Hue65"]
    assert (tone_key_left("trước", TELEX), tone_key_left("trước", VNI)) == ("trươcs", "trươc1")
    assert tone_key_left("trươc", TELEX) == "trươc"


@given(st.text("aăâbcdđeêghiklmnoôơpqrstuưvxyáàảãạếộớữĐÁ", min_size=2), st.randoms())
def test_a_mistyped_word_is_still_a_word(word: str, rng: Any) -> None:
    """A word with a typing error is not empty, has no white space and is in NFC."""
    slipped = mistype(word, rng)
    assert slipped
    assert not any(char.isspace() for char in slipped)
    assert nfc(slipped) == slipped


@given(TEXTS, st.data(), st.sampled_from(sorted(VARIANTS)), st.integers(0, 3))
def test_gold_follows(text: str, data: st.DataObject, name: str, seed: int) -> None:
    """A mention in the text is in the variant, even a part of a word; queries of a passage share its text."""
    text = nfc(text)
    start = data.draw(st.integers(0, len(text) - 1))
    end = data.draw(st.integers(start + 1, len(text)))
    samples = [query("a", text, [text[start:end]], "x", "p"), query("b", text, ["không có ở đây"], "y", "p")]
    one, other = variant(name, samples, seed)
    assert one.input == other.input
    assert gold_of(one)
    assert all(mention in one.input for mention in gold_of(one))
    assert (one.id, one.entity_type, one.instruction) == ("a", "x", samples[0].instruction)
    assert len(gold_of(other)) == 1


@given(st.text("abc ", min_size=1, max_size=12), st.data())
def test_places_move_with_the_text(text: str, data: st.DataObject) -> None:
    """Mentions outside changed pieces stay the same; one that touches a piece covers all of it."""
    rewritten = rewrite(text, re.compile("b+"), lambda piece: "BB" * len(piece) if len(piece) > 1 else "")
    start = data.draw(st.integers(0, len(text) - 1))
    mention = text[start : data.draw(st.integers(start + 1, len(text)))]
    assert rewritten.text == re.sub("b+", lambda m: "BB" * len(m[0]) if len(m[0]) > 1 else "", text)
    if "b" not in mention:
        assert rewritten.follow(mention) == [mention]
    assert rewritten.follow(text) == [rewritten.text]
    assert all(found in rewritten.text for found in rewritten.follow(mention))


def benchmark(path: Path) -> Path:
    """Write queries for two types in a few sentences."""
    samples = []
    for number, (name, place) in enumerate([("Nguyễn Văn Hòa", "Huế"), ("Trần Thị Thuỷ", "Hà Nội")] * 4):
        text = f"Ông {name} không đến {place} được vì lý do thứ {number}."
        samples += [query(f"{number}-person", text, [name], "person", f"p{number}"),
                    query(f"{number}-location", text, [place], "location", f"p{number}")]  # fmt: skip
    return write_benchmark(path, samples)


@pytest.mark.slow
def test_one_command_predicts_and_scores_all_variants(tmp_path: Path) -> None:
    """One command predicts and scores all variants; a second run predicts nothing again."""
    source = benchmark(tmp_path / "b.parquet")
    asking = ("evaluate", source, "--perturb", "--predictor", "underthesea", "--quiet", "--draws", 20)
    first = must_succeed(vner(*asking, "--markdown", tmp_path / "table.md"))
    assert all(name in first.stdout for name in ("original", *VARIANTS))
    folder = tmp_path / "b-variants"
    made = {path.name: path.read_bytes() for path in folder.iterdir() if path.suffix in {".parquet", ".jsonl"}}
    assert len(made) == 11
    report = json.loads(vner(*asking, "--json").stdout)["variants"]
    assert {path.name: path.read_bytes() for path in folder.iterdir() if path.name in made} == made
    assert report["original"]["changed"] == 0
    assert report["lower-case"]["changed"] == 1
    assert report["lower-case"]["strict"]["micro"]["f1"] < report["original"]["strict"]["micro"]["f1"]
    table = (tmp_path / "table.md").read_text(encoding="utf-8")
    lost = 100 * (report["lower-case"]["strict"]["micro"]["f1"] - report["original"]["strict"]["micro"]["f1"])
    assert f"{lost:+.2f}" in table
    assert "holds answers to another benchmark" in vner(*asking, "--seed", 5).stderr


@pytest.mark.slow
def test_an_endpoint_answers_variants(tmp_path: Path) -> None:
    """Unanswered queries of a variant give exit code 3; the same command asks them again."""
    source = benchmark(tmp_path / "b.parquet")

    def refuse(prompt: str, attempt: int) -> Answer:
        return Answer(status=400) if "ong nguyen van hoa" in prompt.lower() and attempt == 1 else Answer(content="[]")

    with Endpoint(refuse) as endpoint:
        asking = ("evaluate", source, "--perturb", "--predictor", "openai:m", "--base-url", endpoint.url,
                  "--concurrency", 4, "--draws", 0, "--quiet")  # fmt: skip
        first = vner(*asking)
        assert first.exit_code == 3, first.output
        assert "no-diacritics.jsonl: 8 queries without an answer, which count as answered with []" in first.stderr
        assert "the same command asks again" in first.stderr
        assert "lower-case" in first.stdout
        must_succeed(vner(*asking))
    assert endpoint.asked.total() == 6 * 16 + 8 + 1  # one probe, after the refused first question


def test_predictions_of_ones_own_are_scored(tmp_path: Path) -> None:
    """Without a predictor, variants are written, missing predictions reported, and existing ones scored."""
    source = benchmark(tmp_path / "b.parquet")
    perfect = [(sample.id, sample.output) for sample in read_benchmark(source)]
    predictions = write_predictions(tmp_path / "p.jsonl", perfect)
    asking = ("evaluate", source, predictions, "--perturb", "--out", tmp_path / "v", "--draws", 0)
    first = vner(*asking)
    assert first.exit_code == 3
    assert "no predictions yet for no-diacritics" in first.stderr
    for name in VARIANTS:
        write_predictions(tmp_path / "v" / f"{name}.jsonl", perfect)  # a model that ignores the changes
    found = json.loads(vner(*asking, "--json").stdout)["variants"]
    assert found["original"]["strict"]["micro"]["f1"] == 1
    assert found["lower-case"]["strict"]["micro"]["f1"] == 0
    assert found["tone-placement"]["strict"]["micro"]["f1"] == 1  # the scorer folds tones
    for name in VARIANTS:
        gold = [(sample.id, sample.output) for sample in read_benchmark(tmp_path / "v" / f"{name}.parquet")]
        write_predictions(tmp_path / "v" / f"{name}.jsonl", gold)
    found = json.loads(vner(*asking, "--json").stdout)["variants"]
    assert {name: report["strict"]["micro"]["f1"] for name, report in found.items()} == dict.fromkeys(
        ("original", *VARIANTS), 1.0
    )


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (("--perturb", "--compare", "a", "b"), "do not go together"),
        (("--predictor", "underthesea"), "are for --perturb"),
        (("--perturb", "--map", "map.toml"), "are for --perturb with --predictor"),
        ((), "give PREDICTIONS.jsonl"),
        (("--compare", "a", "b", "--draws", "0"), "--draws must be at least 1"),
    ],
)
def test_contradictory_options_are_refused(more: tuple[str, ...], message: str, tmp_path: Path) -> None:
    """Contradictory options give exit code 2 and one line."""
    result = vner("evaluate", benchmark(tmp_path / "b.parquet"), *more)
    assert (result.exit_code, result.stderr.count("\n")) == (2, 1)
    assert message in result.stderr
