"""Tokenizers: the offline default, files, the Hub, and their errors."""

from __future__ import annotations

import base64
import hashlib
import pickle
import sys
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
import tiktoken
from hypothesis import given, settings
from hypothesis import strategies as st

from annotator.errors import ConfigError
from annotator.passages import tokenizers as tokens
from annotator.passages import vocabularies, words
from annotator.passages.tokenizers import UNKNOWN, load_tokenizer
from tests.commands import modules_loaded_by

VOCABULARY = [bytes([value]) for value in range(256)] + [b"ab", b"abab"]


@pytest.fixture(autouse=True)
def _empty_cache() -> Iterator[None]:
    """Clear the cache of tokenizers before and after a test."""
    load_tokenizer.cache_clear()
    yield
    load_tokenizer.cache_clear()


def write_ranks(path: Path, vocabulary: list[bytes] = VOCABULARY) -> Path:
    lines = (f"{base64.b64encode(token).decode()} {rank}\n" for rank, token in enumerate(vocabulary))
    path.write_text("".join(lines))
    return path


def test_llama3_counts() -> None:
    """Llama 3's tokenizer counts as the published one, without a begin token."""
    tokenizer = load_tokenizer("llama3")
    assert tokenizer.name == "llama3"
    assert tokenizer.fingerprint == "82e9d31979e92ab929cd544440f129d9ecd797b69e327f80f17e1c50d5551b55"
    assert tokenizer.count("") == 0
    assert tokenizer.count("Hello world") == 2
    assert tokenizer.count("Việt Nam") == 4
    assert tokenizer.count_many(["Hello world", "", "12345678"]) == [2, 0, 3]


@pytest.mark.slow
def test_llama3_does_not_import_its_package() -> None:
    """Only the vocabulary file is read; importing llama_models would load much more."""
    code = "from annotator.passages.tokenizers import load_tokenizer; load_tokenizer('llama3')"
    assert "llama_models" not in modules_loaded_by(code)


def test_special_tokens_are_plain_text() -> None:
    """Strings of special tokens in a text are counted as plain text."""
    tokenizer = load_tokenizer("llama3")
    assert tokenizer.count("<|endoftext|>") > 1
    assert tokenizer.count("<|begin_of_text|>") > 1


@pytest.mark.slow
@pytest.mark.parametrize("run", [" ", "\n", "a", ".", "ế", "<|"])
def test_very_long_runs(run: str) -> None:
    """A million characters without a word boundary are counted without a crash."""
    assert load_tokenizer("llama3").count(run * 1_000_000) > 1_000_000 // 200


def test_slices_do_not_change_the_count() -> None:
    """A long text is encoded in slices that end at token bounds, with the same count."""
    text = "Mưa lớn ở Huế, 5.000 người phải sơ tán.\n\nÔng  Nam  nói: “Tôi ở lại”. " * 3_000
    encoding: tiktoken.Encoding = load_tokenizer("llama3")._encoding  # type: ignore[attr-defined]
    assert len(text) > 200_000
    assert load_tokenizer("llama3").count(text) == len(encoding.encode_ordinary(text))


@given(st.text(max_size=200))
def test_slices_put_together(text: str) -> None:
    """The slices of a text are the whole text, in order, and bounded in length."""
    text = text * 300
    assert "".join(tokens._slices(text)) == text
    assert all(len(part) <= tokens._SLICE for part in tokens._slices(text))


MARKS = st.sampled_from(
    [
        *" \t\n\r\u00a0\u3000\x1f.,;:!?…'\"“”()[]/-–&%$#@_",
        *(
            "  ",
            "   ",
            " \n",
            "\r\n",
            "'s",
            "'LL ",
            "./.",
            "...",
            "12345",
            "2.000",
            "٣٤",
            "½",
            "a\u0323\u0302",
            "\u0301",
        ),
        *(
            "👩\u200d👩\u200d👧",
            "👍🏽",
            "🇻🇳",
            "中文",
            "ｆｕｌｌ",
            "mưa",
            "Mưa ",
            " Huế",
            "đường. ",
            "ế" * 40,
            "<|endoftext|>",
        ),
    ]
)
TEXTS = st.one_of(st.lists(MARKS, max_size=30).map("".join), st.text(max_size=40))


@given(TEXTS)
def test_counting_by_words_is_exact(text: str) -> None:
    """Counts by the table of words equal those of the encoding, for any text."""
    tokenizer = load_tokenizer("llama3")
    assert tokenizer.count(text) == len(tokenizer._encoding.encode_ordinary(text))  # type: ignore[attr-defined]


GAPS = st.sampled_from([" ", " ", " ", "\n", "\n", "\n\n", "", "\t", "  ", "\r\n", " \n ", "\u2028"])
ROWS = st.lists(st.tuples(st.lists(MARKS, min_size=1, max_size=5).map("".join), GAPS), max_size=6)


@pytest.mark.slow
@settings(max_examples=200)
@given(ROWS, st.sampled_from(["", " ", "\n", "\t"]))
def test_counting_spans_is_exact(row: list[tuple[str, str]], around: str) -> None:
    """The sum of what each span adds is the count of any run of spans, unless it is UNKNOWN."""
    tokenizer = load_tokenizer("llama3")
    whole, starts, ends = around, [], []
    for part, gap in row:
        span = part.replace("\n", " ").replace("\r", " ").strip()
        if span:
            starts.append(len(whole))
            ends.append(len(whole) + len(span))
            whole += f"{span}{gap}"
    alone, added = (
        column.tolist() for column in tokenizer.count_spans(whole, np.array(starts, int), np.array(ends, int))
    )
    assert alone == [tokenizer.count(whole[start:end]) for start, end in zip(starts, ends, strict=True)]
    for begin, start in enumerate(starts):
        tokens = alone[begin]
        for end, more in zip(ends[begin + 1 :], added[begin + 1 :], strict=True):
            if more == UNKNOWN:
                break
            tokens += more
            assert tokens == tokenizer.count(whole[start:end])


def test_added_tokens_are_known_after_a_space() -> None:
    """After a word and a single space or line break, the added tokens are known."""
    tokenizer = load_tokenizer("llama3")
    lefts = ("Mưa to.", "Mưa to", "Năm 2024.", "(Mưa)", "“Mưa!”.", "Mưa_", "½")
    rights = ("Gió.", "“Gió”", "- Gió", "5 km", "\u0301a")
    for left, gap, right in product(lefts, " \n", rights):
        whole = f"Trời {left}{gap}{right}"
        starts, ends = np.array([0, len(whole) - len(right)]), np.array([len(whole) - len(right) - 1, len(whole)])
        alone, added = tokenizer.count_spans(whole, starts, ends)
        assert alone[0] + added[1] == tokenizer.count(whole), whole


def test_added_tokens_are_unknown_after_a_long_gap() -> None:
    """After a long gap of white space the added tokens are UNKNOWN; a text may have no spans."""
    tokenizer, whole = load_tokenizer("llama3"), f"Mưa to.{' ' * 100}Gió lớn."
    _, added = tokenizer.count_spans(whole, np.array([0, 107]), np.array([7, 115]))
    assert added[1] == UNKNOWN
    assert [column.tolist() for column in tokenizer.count_spans("", *[np.zeros(0, int)] * 2)] == [[], []]


def test_the_table_of_words_stays_small(monkeypatch: pytest.MonkeyPatch) -> None:
    """The table of words is bounded, and counts are right when it is full."""
    monkeypatch.setattr(words, "_WORDS", 10)
    tokenizer = load_tokenizer.__wrapped__("llama3")
    text = " ".join(f"từ{number}" for number in range(100)) + f" {'a' * 100}"
    assert tokenizer.count(text) == len(tokenizer._encoding.encode_ordinary(text))  # type: ignore[attr-defined]
    assert len(tokenizer._after_space) == 10
    assert "từ9".encode() in tokenizer._after_space
    spans = np.array([0, 4]), np.array([3, len(text)])
    alone, added = tokenizer.count_spans(text, *spans)
    assert alone[0] + added[1] == tokenizer.count(text)
    assert tokenizer.count("a" * 100) == len(tokenizer._encoding.encode_ordinary("a" * 100))
    assert max(map(len, tokenizer._after_space)) < 100


def test_words_are_counted_by_white_space() -> None:
    """``words`` counts words by white space; requests are still counted in Llama 3 tokens."""
    tokenizer = load_tokenizer("words")
    assert tokenizer.count_many(["", " ", "Hội An, Quảng Nam", "TP.HCM\ncó 9 quận"]) == [0, 0, 4, 4]
    assert tokenizer.__reduce__() == (load_tokenizer, ("words",))  # type: ignore[attr-defined]
    assert [tokens.request_tokenizer(spec) for spec in ("words", "llama3", "o200k_base")] == [
        "llama3",
        "llama3",
        "o200k_base",
    ]


def test_pickled_as_its_spec() -> None:
    """A tokenizer is pickled as its name: another process loads the vocabulary itself."""
    tokenizer = load_tokenizer("llama3")
    assert len(pickle.dumps(tokenizer)) < 200
    assert pickle.loads(pickle.dumps(tokenizer)) is tokenizer  # noqa: S301


def test_llama3_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without llama-models, the error names the package to install."""
    monkeypatch.setattr(vocabularies, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match="pip install 'llama-models"):
        load_tokenizer("llama3")


def test_vocabulary_file(tmp_path: Path) -> None:
    """A vocabulary file in tiktoken's format is loaded by its path."""
    path = write_ranks(tmp_path / "small.model")
    tokenizer = load_tokenizer(str(path))
    assert tokenizer.count("ababab") == 2
    assert tokenizer.count("é") == 2
    assert tokenizer.fingerprint == hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("content", [b"", b"no vocabulary at all", b"YQ==", b"YQ== x", b"!!! 1", b"\xff\xfe"])
def test_broken_vocabulary_file(tmp_path: Path, content: bytes) -> None:
    """A broken vocabulary file is an error with its name."""
    path = tmp_path / "broken.model"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=r"cannot read .*broken\.model"):
        load_tokenizer(str(path))


def test_unknown_spec() -> None:
    """An unknown tokenizer is an error that lists the known ones."""
    with pytest.raises(ConfigError, match="no tokenizer 'llama33': give llama3, words, cl100k_base"):
        load_tokenizer("llama33")


def test_named_encoding(monkeypatch: pytest.MonkeyPatch) -> None:
    """Encodings of tiktoken are loaded by name; the fingerprint depends on the vocabulary."""
    ranks = {token: rank for rank, token in enumerate(VOCABULARY)}

    def get_encoding(name: str) -> tiktoken.Encoding:
        mine = dict(list(ranks.items())[:257]) if name == "o200k_base" else ranks
        return tiktoken.Encoding(name, pat_str=r"\S+|\s+", mergeable_ranks=mine, special_tokens={})

    monkeypatch.setattr(tiktoken, "get_encoding", get_encoding)
    assert load_tokenizer("cl100k_base").count("abab") == 1
    assert load_tokenizer("o200k_base").count("abab") == 2
    assert load_tokenizer("cl100k_base").fingerprint != load_tokenizer("o200k_base").fingerprint


def test_named_encoding_without_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """A failed download is a one-line error with the cause and alternatives."""

    def get_encoding(name: str) -> tiktoken.Encoding:
        raise ConnectionError("no route\nto host")

    monkeypatch.setattr(tiktoken, "get_encoding", get_encoding)
    with pytest.raises(ConfigError, match=r"\(no route to host\).*--tokenizer llama3") as caught:
        load_tokenizer("cl100k_base")
    assert "\n" not in str(caught.value)


class Library:
    """A stub of ``tokenizers.Tokenizer`` with one token a word."""

    def __init__(self, source: str) -> None:
        if "bad" in source:
            raise Exception(f"cannot load {source}")
        self.source, self.truncated, self.padded, self.encode_special_tokens = source, True, True, False

    from_pretrained = from_file = classmethod(lambda cls, source: cls(source))

    def no_truncation(self) -> None:
        self.truncated = False

    def no_padding(self) -> None:
        self.padded = False

    def to_str(self) -> str:
        return self.source

    def encode(self, text: str, *, add_special_tokens: bool) -> Any:
        assert (self.truncated, self.padded, add_special_tokens) == (False, False, False)
        assert self.encode_special_tokens
        return SimpleNamespace(ids=text.split())

    def encode_batch(self, texts: list[str], *, add_special_tokens: bool) -> list[Any]:
        return [self.encode(text, add_special_tokens=add_special_tokens) for text in texts]


@pytest.fixture
def _library(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("tokenizers")
    module.Tokenizer = Library  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "tokenizers", module)


@pytest.mark.usefixtures("_library")
def test_tokenizer_json(tmp_path: Path) -> None:
    """A tokenizer.json, or its folder, is loaded without truncation, padding or special tokens."""
    (tmp_path / "tokenizer.json").write_text("{}")
    by_folder, by_file = load_tokenizer(str(tmp_path)), load_tokenizer(str(tmp_path / "tokenizer.json"))
    assert by_folder.count("xin chào <s>") == 3
    assert by_folder.count_many(["xin chào", ""]) == [2, 0]
    alone, added = by_folder.count_spans("xin chào anh", np.array([0, 9]), np.array([8, 12]))
    assert (alone.tolist(), added.tolist()) == ([2, 1], [UNKNOWN, UNKNOWN])
    assert by_folder.fingerprint == by_file.fingerprint
    assert pickle.loads(pickle.dumps(by_file)) is by_file  # noqa: S301


@pytest.mark.usefixtures("_library")
def test_hub() -> None:
    """``hf:NAME`` loads the tokenizer of that name from the Hub."""
    assert load_tokenizer("hf:org/name").fingerprint == hashlib.sha256(b"org/name").hexdigest()


@pytest.mark.usefixtures("_library")
def test_hub_and_file_failures(tmp_path: Path) -> None:
    """A missing name and an unreadable file are errors with the cause and the fix."""
    with pytest.raises(ConfigError, match=r"hf:bad could not be downloaded .*cannot load bad.*check the name"):
        load_tokenizer("hf:bad")
    path = tmp_path / "bad.json"
    path.write_text("{}")
    with pytest.raises(ConfigError, match=r"bad\.json is not a tokenizer\.json"):
        load_tokenizer(str(path))


def test_tokenizers_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the optional package tokenizers, the error says how to install it."""
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    with pytest.raises(ConfigError, match="pip install tokenizers"):
        load_tokenizer("hf:org/name")
