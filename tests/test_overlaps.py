"""Passages that occur in a benchmark or occurred before are found in any spelling, and no others."""

from __future__ import annotations

import gzip
import json
import random
import unicodedata
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

import cli
from annotator.config.settings import RunConfig
from annotator.duplicates.ngrams import ngrams, syllable_spans, syllables
from annotator.duplicates.repeated_passages import Benchmarks, SeenPassages, fingerprints, rejections
from annotator.errors import ConfigError
from annotator.records import Passage, Rejected
from annotator.sources.benchmark_texts import read_texts
from annotator.storage import tables
from tests.commands import must_succeed, vner

SENTENCE = "Bệnh nhân số 91 là phi công người Anh, được điều trị tại khoa Hồi sức của Bệnh viện Chợ Rẫy từ ngày 22/5."
SHORT = "Chị Hoà ở quận Thuỷ Nguyên, Hải Phòng."
OTHER = "Chiều nay giá vàng trong nước giảm nhẹ so với phiên hôm qua, giao dịch ở các cửa hàng lớn vẫn thưa vắng khách."
VOCABULARY = [first + rest for first in ("ma", "bi", "ngo", "tru", "khe", "li") for rest in "abcdeghiklmn"]


def _benchmarks(path: Path) -> Benchmarks:
    return Benchmarks([(path.name, read_texts(path))])


def _words(seed: int, words: int = 180) -> str:
    rng = random.Random(seed)
    return " ".join(rng.choice(VOCABULARY) for _ in range(words))


def _conll(text: str) -> str:
    return "".join(f"{word} B-LOCATION\n" if word[0].isupper() else f"{word} O\n" for word in text.split()) + "\n"


def _parquet(column: str, values: list[object]) -> Callable[[Path], None]:
    return lambda path: pq.write_table(pa.table({"id": range(len(values)), column: values}), path)


FORMS: dict[str, Callable[[Path], None]] = {
    "plain": lambda path: _put(path, f"{OTHER}\n{SENTENCE}\n{SHORT}\n"),
    "plain with a BOM": lambda path: _put(path, f"\ufeff{SENTENCE}\n{OTHER}\n{SHORT}"),
    "nested tags": lambda path: _put(
        path, SENTENCE.replace("Chợ Rẫy", '<ENAMEX TYPE="LOCATION">Chợ <X TYPE="A">Rẫy</X></ENAMEX>') + f"\n{SHORT}"
    ),
    "conll": lambda path: _put(path, _conll(OTHER) + _conll(SENTENCE) + _conll(SHORT)),
    "conll of words": lambda path: _put(path, _conll(SENTENCE.replace("Bệnh nhân", "Bệnh_nhân")) + _conll(SHORT)),
    "conll of four columns": lambda path: _put(
        path, "-DOCSTART- -X- p1 O\n\n" + (_conll(SENTENCE) + _conll(SHORT)).replace(" ", " -X- -X- ")
    ),
    "conll with spaces in tokens": lambda path: _put(
        path, (_conll(SENTENCE) + _conll(SHORT)).replace("Bệnh O\nnhân O", "Bệnh nhân O")
    ),
    "conll of tabs": lambda path: _put(
        path, (_conll(SENTENCE) + _conll(SHORT)).replace(" ", "\t").replace("Bệnh\tO\nnhân\tO", "Bệnh nhân\tO")
    ),
    "json lines": lambda path: _put(path, "".join(f"{json.dumps({'context': text})}\n" for text in (SENTENCE, SHORT))),
    "json lines of tokens": lambda path: _put(
        path, "".join(f"{json.dumps({'words': text.split(), 'tags': ['O']})}\n" for text in (SENTENCE, SHORT))
    ),
    "nested json": lambda path: _put(
        path, json.dumps({"data": [{"paragraphs": [{"context": SENTENCE}, SHORT]}]}, indent=1)
    ),
    "gzip": lambda path: path.write_bytes(gzip.compress(f"{SENTENCE}\n{SHORT}".encode())),
    "samples": _parquet("input", [OTHER, SENTENCE, SENTENCE, SHORT]),
    "tokens in parquet": _parquet("tokens", [SENTENCE.split(), SHORT.split()]),
}  # fmt: skip


def _put(path: Path, content: str) -> None:
    path.write_text(content, encoding="utf-8")


def _spellings(text: str) -> dict[str, str]:
    return {
        "as it is": text,
        "case": text.upper(),
        "spacing": text.replace(" ", " \u00a0\n"),
        "no width": text.replace("ê", "ê\u200b"),
        "NFD": unicodedata.normalize("NFD", text),
        "tone": text.replace("Thuỷ", "Thủy").replace("Hoà", "Hòa").replace("khoa", "khoa"),
        "punctuation": text.replace(",", " -").replace(".", "…"),
    }


@pytest.mark.parametrize("form", FORMS)
def test_a_leak_is_found_in_every_form(tmp_path: Path, form: str) -> None:
    """The form of a benchmark is recognised from its content, and its texts are found in any spelling."""
    path = tmp_path / "benchmark.dat"
    FORMS[form](path)
    benchmarks = _benchmarks(path)
    for text in (SENTENCE, SHORT):
        for kind, spelt in _spellings(text).items():
            found = benchmarks.find(f"{_words(0)} {spelt} {_words(1)}")
            assert found, kind
            assert found.file == "benchmark.dat"
            assert syllables(found.text).tolist() == syllables(text).tolist()
    assert not benchmarks.find(" ".join(SENTENCE.split()[:12]))
    assert not benchmarks.find(" ".join(SHORT.split()[1:]))


def test_how_much_is_shared(tmp_path: Path) -> None:
    """A leak reports the longest common stretch and the shared part of the passage."""
    _put(tmp_path / "b", SENTENCE)
    words = SENTENCE.split()
    found = _benchmarks(tmp_path / "b").find(" ".join(["Tin", *words[2:18], *["khác"] * 15]))
    assert found
    assert found.text == " ".join(words[2:18]).rstrip(",.")
    assert found.share == pytest.approx(16 / 32)


def test_a_stretch_of_thirteen_syllables_is_needed(tmp_path: Path) -> None:
    """Thirteen syllables in a row are a leak, or a whole text of eight; twelve, or a text of seven, are not."""
    words = _words(3).split()
    _put(tmp_path / "b", " ".join(words[:60]) + "\n" + " ".join(words[60:68]) + "\n" + " ".join(words[80:87]))
    benchmarks = _benchmarks(tmp_path / "b")
    for shared, leaks in ((words[20:33], True), (words[20:32], False), (words[60:68], True), (words[80:87], False)):
        assert (benchmarks.find(f"mở đầu {' '.join(shared)} kết thúc") is not None) is leaks


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "holds no text; give a file with the texts"),
        (b"PAR1" + b"x" * 50, "cannot read --decontaminate .*; give Parquet, JSON, CoNLL or plain text"),
        (b"\x1f\x8bxxxx", "cannot read --decontaminate "),
        (b"\xff\xfe\x00a", "cannot read --decontaminate "),
        (b"a\0b", "it is binary"),
        (b'{"a": "x"}\n{"a": ', "cannot read --decontaminate "),
    ],
)
def test_an_unusable_benchmark_file(tmp_path: Path, content: bytes, message: str) -> None:
    """An empty, broken or binary file is a one-line error, not an empty benchmark."""
    (tmp_path / "b").write_bytes(content)
    with pytest.raises(ConfigError, match=message) as caught:
        _benchmarks(tmp_path / "b")
    assert "\n" not in str(caught.value)


def test_a_missing_file(tmp_path: Path) -> None:
    """A missing file is an error before anything is read."""
    with pytest.raises(ConfigError, match=r"cannot read --decontaminate .*none: No such file"):
        list(read_texts(tmp_path / "none"))


def judged(passages: list[Passage], benchmarks: Benchmarks | None, seen: SeenPassages) -> list[Rejected | None]:
    """Return the rejection of each passage, or None."""
    texts = [passage.text for passage in passages]
    return rejections([passage.id for passage in passages], texts, benchmarks, seen, fingerprints(texts))


def test_a_repeated_passage_is_rejected(make_passage: Callable[..., Passage]) -> None:
    """A passage that is mostly an earlier one is rejected; one that shares a third is not."""
    first, third = _words(5), " ".join(_words(5).split()[:60]) + " " + _words(6, 120)
    passages = [make_passage(first, "p1"), make_passage(third, "p2"), make_passage(first.upper(), "p3")]
    found = judged(passages, None, SeenPassages(1))
    assert [rejected and (rejected.stage, rejected.record_id, rejected.reason) for rejected in found] == [
        None,
        None,
        ("overlap", "p3", "near duplicate"),
    ]


def test_different_passages_are_not_rejected(make_passage: Callable[..., Passage]) -> None:
    """None of 2,000 passages made of the same 72 syllables is rejected as a repetition."""
    passages = [make_passage(_words(seed), str(seed)) for seed in range(2000)]
    assert judged(passages, None, SeenPassages(500)) == [None] * 2000


def test_later_passages_are_compared_with_all_earlier_ones(make_passage: Callable[..., Passage]) -> None:
    """Over twenty steps, repeated passages of any earlier step are found and new ones are kept."""
    seen = SeenPassages(25)
    for step in range(20):
        if step:
            seen.expect(25)
        new = [make_passage(_words(100 * step + number), f"{step} {number}") for number in range(100)]
        old = [make_passage(_words(100 * step - 1), "before"), make_passage(_words(7), "first")] if step else []
        found = judged([*new, *old], None, seen)
        assert found[:100] == [None] * 100
        assert [rejected and rejected.reason for rejected in found[100:]] == ["near duplicate"] * len(old)


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), max_size=12), st.integers(1, 12))
def test_blocks_change_no_share(made: list[tuple[int, int]], block: int) -> None:
    """The size of a block does not change which share of a text's n-grams occurred before."""
    texts = [f"{_words(one, 60)} {_words(10 + other, 60)}" for one, other in made] + ["ma bi"]
    passages, seen = SeenPassages(1), set[int]()
    shares = [
        share
        for begin in range(0, len(texts), block)
        for share in passages.shares(fingerprints(texts[begin : begin + block]))
    ]
    for text, share in zip(texts, shares, strict=True):
        own = [run // 8 % (64 * 128 * 16) for run in set(ngrams(syllables(text), 8).tolist()) if run % 8 == 0]
        assert share == pytest.approx(sum(run in seen for run in own) / max(len(own), 1))
        seen.update(own)


@given(st.text(st.sampled_from("aếĐ1 _-.\u200b\u00ad\u0323"), max_size=30))
def test_each_syllable_has_a_place(text: str) -> None:
    """Every syllable has a span: a run of letters and digits, with zero-width characters."""
    text = unicodedata.normalize("NFC", text)
    assert len(syllables(text)) == len(syllable_spans(text))


def test_a_rejected_passage_does_not_count_as_seen(make_passage: Callable[..., Passage], tmp_path: Path) -> None:
    """A passage that is rejected as a leak does not make later passages repetitions."""
    text = _words(7)
    benchmark = tmp_path / "test.txt"
    benchmark.write_text(" ".join(text.split()[:20]), encoding="utf-8")
    later = " ".join([*text.split()[20:], *_words(8, 20).split()])
    passages = [make_passage(text, "p1"), make_passage(later, "p2")]
    found = judged(passages, _benchmarks(benchmark), SeenPassages(1))
    assert [rejected and rejected.reason for rejected in found] == ["in a benchmark", None]


def test_hashes_are_the_same_everywhere() -> None:
    """The hashes of n-grams are pinned: other values would change what is found."""
    assert ngrams(syllables("Hà Nội mưa to."), 4).tolist() == [6804346663747588241]
    assert ngrams(syllables("HÀ  NỘI, MƯA TO"), 4).tolist() == [6804346663747588241]
    assert not len(ngrams(syllables("Hà Nội"), 4))


def test_a_build_with_decontamination(tmp_path: Path) -> None:
    """A leak is rejected with file, stretch and share; a changed benchmark is noticed, a copy is not."""
    news = Path(cli.__file__).parent / "annotator" / "sources" / "bundled" / "health.jsonl"
    article = json.loads(news.read_text(encoding="utf-8").splitlines()[0])["text"]
    sentence = next(line for line in article.split("\n") if len(line.split()) > 20)
    benchmark = tmp_path / "test.conll"
    _put(benchmark, _conll(unicodedata.normalize("NFD", sentence.upper())))
    out = tmp_path / "run"

    def chunk(*more: str) -> dict[str, object]:
        command = ["chunk", str(news), "--out", str(out), "--quiet", "--json", *more]
        result = must_succeed(vner(*command))
        found: dict[str, object] = json.loads(result.stdout)
        return found

    report = chunk("--decontaminate", str(benchmark))
    leaked = [row for row in tables.rows(out / "rejected.parquet") if row["reason"] == "in a benchmark"]
    assert leaked
    assert all(row["stage"] == "overlap" and row["detail"].startswith("test.conll: ") for row in leaked)
    assert sentence.split()[3] in leaked[0]["detail"]
    flow = report["funnel"][-1]  # type: ignore[index]
    assert (flow["stage"], flow["rejected"]) == ("overlap", {"in a benchmark": len(leaked)})
    moved = benchmark.rename(tmp_path / "moved.conll")
    assert chunk("--decontaminate", str(moved))["skipped"] == ["sample", "chunk"]
    moved.unlink()
    assert chunk()["skipped"] == ["sample", "chunk"]
    wrong = vner("chunk", news, "--out", out, "--decontaminate", "none", "--quiet")
    assert (wrong.exit_code, wrong.stderr.count("\n")) == (2, 1)
    assert "cannot read --decontaminate none: no such file" in wrong.stderr
    _put(moved, _conll(OTHER))
    assert chunk()["skipped"] == ["sample"]
    assert not [row for row in tables.rows(out / "rejected.parquet") if row["reason"] == "in a benchmark"]


def test_settings() -> None:
    """--decontaminate takes a list; other values and invalid --near-duplicates are refused by name."""
    assert RunConfig(decontaminate=["a", "b"]).decontaminate == ("a", "b")  # type: ignore[arg-type]
    for wrong in ("a", [1], 3):
        with pytest.raises(ConfigError, match="--decontaminate needs a list of texts"):
            RunConfig(decontaminate=wrong)  # type: ignore[arg-type]
    for share in (0.1, 1.5):
        with pytest.raises(ConfigError, match=r"--near-duplicates must be 0, or from 0\.3 to 1"):
            RunConfig(near_duplicates=share)
