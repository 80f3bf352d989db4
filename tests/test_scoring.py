"""``evaluate``: the matchings, their agreement with other implementations, and invariants."""

from __future__ import annotations

import json
import random
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotator.cleaning.replies.mention_lists import read_answer
from annotator.errors import SourceError
from annotator.records import Sample
from tests.benchmarks import query, write_benchmark, write_predictions
from tests.commands import must_succeed, vner
from training.benchmarks import gold_of, read_benchmark, read_predictions
from training.score.evaluating import evaluate, evaluate_pair
from training.score.matching import MATCHINGS, count, same_text
from training.score.metrics import Tally, bootstrap, compare, figures, tally

WORDS = st.sampled_from(["Hà", "Nội", "Huế", "An", "Hội", "Sở", "Y", "tế", "hoà", "hòa", "TP.HCM", "]", "[x]", "the"])
MENTIONS = st.lists(st.lists(WORDS, min_size=1, max_size=3).map(" ".join), max_size=5)
QUERIES = st.lists(st.tuples(MENTIONS, MENTIONS), min_size=1, max_size=6)


def scored(queries: list[tuple[list[str], list[str]]], types: int = 3) -> Tally:
    """Score pairs of gold and answer; each passage holds the words of both."""
    samples = [
        query(f"q{n}", " ".join(sorted({*gold, *answer})), gold, f"t{n % types}", f"p{n // 2}")
        for n, (gold, answer) in enumerate(queries)
    ]
    return tally(samples, [answer for _, answer in queries])


@pytest.mark.parametrize(
    ("answer", "mentions"),
    [
        ('["Hà Nội", "Huế"]', ["Hà Nội", "Huế"]),
        ("[]", []),
        (' \n["Huế"]', ["Huế"]),
        ('```json\n["Huế"]\n```', ["Huế"]),
        ("['Đắk R'lấp', 'Huế']", ["Đắk R'lấp", "Huế"]),
        ('["Nghị quyết [số 5]", "a ] b"]', ["Nghị quyết [số 5]", "a ] b"]),
        ("['a ] b', 'c']", ["a ] b", "c"]),
        ('The mentions are: ["Huế", "Vinh"].', ["Huế", "Vinh"]),
        ('["Huế", "Vi', ["Huế"]),
        ("['Huế', 'Vinh', 'V", ["Huế", "Vinh"]),
        ("[Hà Nội, Huế]", ["Hà Nội", "Huế"]),
        ("[50, 2.5]", ["50", "2.5"]),
        ('{"entities": ["Huế"]}', ["Huế"]),
        ('[{"text": "Huế", "type": "location"}]', ["Huế"]),
        ('["Huế", "Huế", null, ""]', ["Huế"]),
        ('"[\\"Huế\\"]"', ["Huế"]),
    ],
)
def test_answers_are_read_leniently(answer: str, mentions: list[str]) -> None:
    """Mentions are read despite fences, single quotes, inner brackets, prose and cut ends."""
    assert read_answer(answer).mentions == tuple(mentions)
    assert read_answer(answer).readable


@pytest.mark.parametrize("answer", ["", "không có", "null", "17", "[", '["Hu', "[" * 50_000, '{"a":' * 5_000])
def test_an_answer_without_a_list_is_not_readable(answer: str) -> None:
    """An answer without a list is unreadable and empty; deep nesting is no error."""
    assert not read_answer(answer).readable
    assert read_answer(answer).mentions == ()


@given(st.text())
def test_no_answer_breaks_the_reader(answer: str) -> None:
    """Any answer gives stripped mentions that can be encoded."""
    for mention in read_answer(answer).mentions:
        assert mention == mention.strip() != ""
        mention.encode()


@given(st.lists(st.text(st.characters(codec="utf-8")).map(str.strip).filter(bool), unique=True))
def test_a_json_list_is_read_exactly(mentions: list[str]) -> None:
    """A JSON list of strings is read exactly."""
    assert read_answer(json.dumps(mentions)).mentions == tuple(mentions)


def test_strict_ignores_unicode_form_and_tone_placement() -> None:
    """Strict matching ignores Unicode form, spaces and tone placement, but not case, punctuation or tones."""
    assert same_text("Ho\u0300a  Bi\u0300nh\u200b") == same_text("Hoà Bình")
    assert len({same_text(text) for text in ("Hoà", "hoà", "Hoá", "Hoa", "Hoà.")}) == 5
    assert count(["Hoà Bình"], ["Hòa Bình"], "")[0] == (1, 1, 1)


@pytest.mark.parametrize(
    ("gold", "answer", "passage", "credit"),
    [
        (["Sở Y tế Hà Nội"], ["Sở Y tế"], "Sở Y tế Hà Nội họp", 0.5),
        (["Sở Y tế", "Hà Nội"], ["Sở Y tế Hà Nội"], "Sở Y tế Hà Nội họp", 0.5),  # one answer matches one gold mention
        (["Sở Y tế Hà Nội"], ["Sở Y tế", "Hà Nội"], "Sở Y tế Hà Nội họp", 0.5),
        (["A B", "B"], ["B", "B C"], "A B C", 1.5),  # the equal pair, and one half
        (["A B", "B C"], ["A B C", "A"], "A B C", 1.0),  # a greedy match would leave "A" without one
        (["Hà Nội"], ["Hà Giang"], "Hà Nội và Hà Giang", 0.0),  # a common syllable is no overlap in the passage
        (["Hội An"], ["An"], "Hội An", 0.5),
        (["Ban"], ["an"], "Ban", 0.0),  # a part of a word is no occurrence
        (["Sở Y tế Hà Nội"], ["Sở Y tế Huế"], "Sở Y tế Hà Nội", 0.5),  # no overlap: 3 of 5 syllables in a row
        (["Hà Nội"], ["Hà Đông"], "Hà Nội", 0.0),  # no overlap: half of the syllables
    ],
)
def test_relaxed_credit(gold: list[str], answer: list[str], passage: str, credit: float) -> None:
    """An overlap counts a half, each mention matches at most once, and the assignment is optimal."""
    assert count(gold, answer, passage)[1].credit == credit
    assert count(answer, gold, passage)[1].credit == credit


def test_universalner_normalisation_differs_on_vietnamese() -> None:
    """UniversalNER's normalisation removes "an" as an article; the other matchings do not."""
    strict, _, theirs = count(["Hội An"], ["hội"], "Hội An")
    assert (strict.credit, theirs.credit) == (0, 1)
    assert count(["TP.HCM"], ["tphcm"], "TP.HCM")[2].credit == 1


@pytest.mark.slow
@given(QUERIES)
def test_perfect_answers_score_one(queries: list[tuple[list[str], list[str]]]) -> None:
    """Gold as the answer scores 1 everywhere, also for types without a mention."""
    report = figures(scored([(gold, gold) for gold, _ in queries]))
    for matching in MATCHINGS:
        found = report[matching]
        for share in (found["micro"], found["macro"], *found["per_type"].values()):
            assert (share["precision"], share["recall"], share["f1"]) == (1.0, 1.0, 1.0)


@pytest.mark.slow
@given(QUERIES, st.randoms())
def test_bounds_order_and_strictness(queries: list[tuple[list[str], list[str]]], rng: random.Random) -> None:
    """Shares are between 0 and 1, strict is at most relaxed, and the order of mentions does not matter."""
    report = figures(scored(queries))
    shuffled = [(rng.sample(gold, len(gold)), rng.sample(answer, len(answer)) + answer[:1]) for gold, answer in queries]
    assert figures(scored(shuffled)) == report
    for average in ("micro", "macro"):
        for share in ("precision", "recall", "f1"):
            assert 0 <= report["strict"][average][share] <= report["relaxed"][average][share] <= 1


def sentence(rng: random.Random, number: int) -> tuple[list[str], list[tuple[int, int]], list[tuple[int, int]]]:
    """Draw distinct words, gold spans and answered spans; spans of one side do not overlap."""
    words = [f"w{number}x{n}" for n in range(20)]

    def spans() -> list[tuple[int, int]]:
        found, at = [], rng.randrange(3)
        while at < 18:
            end = at + rng.randint(1, 3)
            found.append((at, min(end, 20)))
            at = end + rng.randint(0, 4)
        return found

    gold = spans()
    return words, gold, [span if rng.random() < 0.5 else other for span, other in zip(gold, spans(), strict=False)]


def apart(spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return the spans that do not overlap an earlier one."""
    kept: list[tuple[int, int]] = []
    for span in sorted(set(spans)):
        if not kept or span[0] >= kept[-1][1]:
            kept.append(span)
    return kept


def benchmark_of_spans() -> tuple[Tally, list[tuple[str, list[tuple[int, int]], list[tuple[int, int]]]]]:
    """Return 300 scored queries whose mentions occur once, so that strings and spans are equivalent, and the spans."""
    rng = random.Random(7)
    samples, answers, spans = [], [], []
    for number in range(300):
        words, gold, answer = sentence(rng, number)
        answer = apart(answer)
        label = ("PER", "LOC", "ORG")[number % 3]
        texts = [[" ".join(words[a:b]) for a, b in side] for side in (gold, answer)]
        samples.append(query(f"q{number}", " ".join(words), texts[0], label, f"p{number}"))
        answers.append(texts[1])
        spans.append((label, gold, answer))
    return tally(samples, answers), spans


def test_strict_agrees_with_seqeval() -> None:
    """Strict micro, macro and per-type shares equal those of seqeval."""
    from seqeval.metrics import classification_report
    from seqeval.scheme import IOB2

    ours, spans = benchmark_of_spans()

    def tags(label: str, side: list[tuple[int, int]]) -> list[str]:
        row = ["O"] * 20
        for a, b in side:
            row[a:b] = [f"B-{label}", *[f"I-{label}"] * (b - a - 1)]
        return row

    theirs = classification_report(
        [tags(label, gold) for label, gold, _ in spans],
        [tags(label, answer) for label, _, answer in spans],
        output_dict=True,
        mode="strict",
        scheme=IOB2,
    )
    report = figures(ours)["strict"]
    for name, found in {"micro avg": report["micro"], "macro avg": report["macro"], **report["per_type"]}.items():
        for share, value in (("precision", "precision"), ("recall", "recall"), ("f1", "f1-score")):
            assert found[share] == pytest.approx(theirs[name][value])
    assert 0.1 < report["micro"]["f1"] < 0.9
    assert {name: found["support"] for name, found in report["per_type"].items()} == {
        name: theirs[name]["support"] for name in ("PER", "LOC", "ORG")
    }


def test_relaxed_agrees_with_nervaluate() -> None:
    """Relaxed micro shares equal nervaluate's ``partial``."""
    from nervaluate import Evaluator

    ours, spans = benchmark_of_spans()
    gold, answers = (
        [[{"label": item[0], "start": a, "end": b - 1} for a, b in item[side]] for item in spans] for side in (1, 2)
    )
    theirs = Evaluator(gold, answers, tags=["PER", "LOC", "ORG"], loader="dict").evaluate()["overall"]["partial"]
    found = figures(ours)["relaxed"]["micro"]
    assert theirs.partial > 50
    assert found["precision"] == pytest.approx(theirs.precision)
    assert found["recall"] == pytest.approx(theirs.recall)
    assert found["f1"] == pytest.approx(theirs.f1)


@pytest.mark.slow
def test_intervals_hold_the_figure_and_follow_the_seed() -> None:
    """Bootstrap intervals contain the figure and depend on the seed; one passage has no spread."""
    ours, _ = benchmark_of_spans()
    f1 = figures(ours)["strict"]["micro"]["f1"]
    low, high = bootstrap(ours, 400, 1)["strict"]["micro"]["f1"]
    assert low < f1 < high
    assert bootstrap(ours, 400, 1) == bootstrap(ours, 400, 1) != bootstrap(ours, 400, 2)
    alone = scored([(["Hà Nội"], ["Hà Nội", "Huế"])])
    assert bootstrap(alone, 50, 0)["strict"]["micro"]["precision"] == [0.5, 0.5]


@pytest.mark.slow
def test_intervals_agree_with_resampling_by_hand() -> None:
    """The bootstrap by weights agrees with a plain loop that copies whole passages."""
    ours, _ = benchmark_of_spans()
    rng = random.Random(0)
    micro = []
    for _ in range(600):
        drawn = [rng.randrange(300) for _ in range(300)]
        rows = {int(passage): row[0] for passage, row in zip(ours.passage, ours.counts, strict=True)}
        credit, predicted, gold = np.sum([rows[number] for number in drawn], axis=0)
        micro.append(2 * credit / (predicted + gold))
    found = bootstrap(ours, 600, 0)["strict"]["micro"]["f1"]
    assert found == pytest.approx(list(np.quantile(micro, [0.025, 0.975])), abs=0.01)


def test_the_paired_test_finds_real_differences() -> None:
    """Equal predictors have p = 1, a loss of a fifth is significant, a difference in few queries is not."""
    rng = random.Random(3)
    gold = [[f"tên{n}"] for n in range(400)]
    good = scored([(mentions, mentions) for mentions in gold])
    worse = scored([(mentions, mentions if rng.random() > 0.2 else []) for mentions in gold])
    same = compare(good, good, 200, 0)["strict"]["micro"]
    assert (same["p"], same["difference"]["f1"]) == (1.0, 0.0)
    found = compare(good, worse, 200, 0)["strict"]["micro"]
    assert found["p"] == pytest.approx(1 / 201)
    assert 0 < found["interval"]["f1"][0] < found["difference"]["f1"] < found["interval"]["f1"][1]
    few = compare(scored([(["a"], ["a"])] * 6), scored([(["a"], ["a"])] * 4 + [(["a"], [])] * 2), 200, 0)
    assert few["strict"]["micro"]["p"] > 0.3


@pytest.mark.slow
def test_the_paired_test_is_calibrated() -> None:
    """For predictors of equal quality, p is below 0.2 about a fifth of the time."""
    rng = random.Random(5)
    below = 0
    for trial in range(50):
        pair = [scored([(["a"], ["a"] if rng.random() > 0.5 else []) for _ in range(40)], 1) for _ in range(2)]
        below += compare(pair[0], pair[1], 60, trial)["strict"]["micro"]["p"] < 0.2
    assert 4 <= below <= 18


def test_what_is_missing_unknown_and_unreadable_is_counted(tmp_path: Path) -> None:
    """Missing and unreadable answers count as ``[]`` and are reported, as are unknown ids."""
    samples = [query(f"q{n}", "Huế", ["Huế"], "location", f"p{n}") for n in range(4)]
    lines = [("q0", '["Huế"]'), ("q1", "tôi không biết"), ("lạ", '["Huế"]'), ("q2", ["Huế"])]
    messages: list[str] = []
    benchmark = write_benchmark(tmp_path / "b.parquet", samples)
    report = evaluate(benchmark, write_predictions(tmp_path / "p.jsonl", lines), messages.append, draws=20)
    assert (report["missing"], report["unparsable"], report["unknown"]) == (1, 1, 1)
    assert report["strict"]["micro"] == {"precision": 1.0, "recall": 0.5, "f1": pytest.approx(2 / 3)}
    assert len(messages) == 3
    assert all(str(tmp_path) in line for line in messages)


def test_an_id_twice_is_refused(tmp_path: Path) -> None:
    """Two predictions with one id are an error."""
    path = write_predictions(tmp_path / "p.jsonl", [("q0", "[]"), ("q0", '["Huế"]')])
    with pytest.raises(SourceError, match=r"p\.jsonl:2: the id 'q0' is there twice"):
        read_predictions(path)


@pytest.mark.parametrize("line", ['{"id": "q1"', '["q1", "[]"]', '{"id": "q1"}', "17"])
def test_a_line_that_is_no_prediction_is_named(line: str, tmp_path: Path) -> None:
    """A malformed prediction is an error with file and line."""
    path = tmp_path / "p.jsonl"
    path.write_text('{"id": "q0", "output": "[]"}\n' + line, encoding="utf-8")
    with pytest.raises(SourceError, match=r"p\.jsonl:2"):
        read_predictions(path)


def test_an_invalid_benchmark_is_refused(tmp_path: Path) -> None:
    """A missing file, one that is not Parquet, repeated ids and malformed gold have their own errors."""
    with pytest.raises(SourceError, match="no benchmark"):
        read_benchmark(tmp_path / "b.parquet")
    (tmp_path / "b.parquet").write_bytes(b"PAR1")
    with pytest.raises(SourceError, match="is not a whole Parquet file"):
        read_benchmark(tmp_path / "b.parquet")
    one = query("q0", "Huế", ["Huế"], "location", "p0")
    with pytest.raises(SourceError, match="'q0' twice"):
        read_benchmark(write_benchmark(tmp_path / "b.parquet", [one, one]))
    broken = Sample("q0", "?", "Huế", "Huế", "location", negative=False, passage_id="p0")
    with pytest.raises(SourceError, match="gold of q0"):
        tally([broken], [[]])


def test_two_files_are_scored_against_one_benchmark(tmp_path: Path) -> None:
    """--compare returns both reports and the paired test."""
    samples = [query(f"q{n}", "Huế", ["Huế"], "location", f"p{n}") for n in range(30)]
    benchmark = write_benchmark(tmp_path / "b.parquet", samples)
    files = [write_predictions(tmp_path / f"{name}.jsonl", [(f"q{n}", output) for n in range(30)])
             for name, output in (("a", '["Huế"]'), ("b", "[]"))]  # fmt: skip
    report = evaluate_pair(benchmark, (files[0], files[1]), print, draws=100)
    assert report["a"]["strict"]["micro"]["f1"] == 1
    assert report["b"]["strict"]["micro"]["f1"] == 0
    assert report["comparison"]["strict"]["micro"]["p"] == pytest.approx(1 / 101)


def test_the_command_prints_tables_and_writes_them_as_markdown(tmp_path: Path) -> None:
    """``evaluate`` prints one file with its types, or two side by side, and writes the table as Markdown."""
    samples = [query(f"q{n}", "Ở Huế.", ["Huế"], "location", f"p{n}") for n in range(30)]
    benchmark = str(write_benchmark(tmp_path / "b.parquet", samples))
    a, b = (
        str(write_predictions(tmp_path / f"{name}.jsonl", [(f"q{n}", output) for n in range(right)]))
        for name, output, right in (("a", '["Huế"]', 30), ("b", '["huế"]', 15))
    )
    table = tmp_path / "table.md"
    shown = must_succeed(vner("evaluate", benchmark, b, "--draws", "20", "--markdown", table))
    assert "15 queries without an answer" in shown.stderr
    assert "| location | 30 | 0.00 | 0.00 | 0.00 | 0.00 | 66.67 |" in table.read_text(encoding="utf-8")
    assert "30 queries, 30 passages, 0 unparsable" in shown.stdout
    arguments = ["evaluate", benchmark, "--compare", a, b, "--draws", "20", "--markdown", str(table)]
    assert "strict, micro" in vner(*arguments).stdout
    assert "| strict, micro | 100.00 | 0.00 | +100.00 | 100.00 to 100.00 |" in table.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "give PREDICTIONS.jsonl"),
        (["p.jsonl", "--compare", "a", "b"], "give PREDICTIONS.jsonl"),
        (["--compare", "a", "b", "--draws", "0"], "--draws must be at least 1"),
    ],
)
def test_contradictory_options_are_refused(arguments: list[str], message: str) -> None:
    """Contradictory options give exit code 2 and one line."""
    result = vner("evaluate", "b.parquet", *arguments)
    assert (result.exit_code, result.stderr.count("\n")) == (2, 1)
    assert message in result.stderr


def test_a_benchmark_in_another_unicode_form_is_the_same(tmp_path: Path) -> None:
    """A benchmark is read in NFC, so that predicted slices match its gold."""
    text, gold = "Ông Nguyễn Văn Hoà ở Huế.", ["Nguyễn Văn Hoà"]
    samples = [
        query("q", unicodedata.normalize(form, text),
              [unicodedata.normalize(form, mention) for mention in gold], "person", "p")
        for form in ("NFC", "NFD")
    ]  # fmt: skip
    one, other = (read_benchmark(write_benchmark(tmp_path / "b.parquet", [sample]))[0] for sample in samples)
    assert samples[0] != samples[1]
    assert (one.input, gold_of(one)) == (other.input, gold_of(other)) == (text, gold)
