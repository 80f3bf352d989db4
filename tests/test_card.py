"""The data card: a valid header, the figures of the audit, and escaped text from outside."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
import yaml
from huggingface_hub import DatasetCard
from hypothesis import given
from hypothesis import strategies as st

from annotator.records import Sample
from annotator.storage import tables
from annotator.storage.atomic import replacing, write_json
from annotator.storage.funnel import shown_unit
from annotator.storage.rundir import SPLITS, RunDir
from data_cards.audit.compute import audit
from data_cards.card import make_card, without_paths, write_card
from data_cards.licences import UNKNOWN, of_corpus, of_output
from data_cards.pages import cell
from data_cards.publication import Target

NAMED = Target("org/my_set", licence="cc-by-4.0", url="https://huggingface.co/datasets/org/my_set")


def change_manifest(run: RunDir, **parts: Any) -> None:
    write_json(run.manifest, {**run.read_manifest(), **parts})


def test_the_header_is_valid_for_the_hub(run: RunDir) -> None:
    """The Hub's own class reads languages, tasks, size and the existing files of each split."""
    data = DatasetCard(make_card(run, audit(run), NAMED)).data.to_dict()
    assert data["language"] == ["vi"]
    assert data["license"] == "cc-by-4.0"
    assert data["task_categories"] == ["token-classification", "text-generation"]
    assert data["task_ids"] == ["named-entity-recognition"]
    assert data["size_categories"] == ["n<1K"]
    assert data["pretty_name"]
    samples, annotations = data["configs"]
    assert [file["split"] for file in samples["data_files"]] == list(SPLITS)
    for path in (*(file["path"] for file in samples["data_files"]), annotations["data_files"]):
        assert (run.root / path).is_file()


@pytest.mark.parametrize(("count", "size"), [(0, "n<1K"), (999, "n<1K"), (1000, "1K<n<10K"), (45_834, "10K<n<100K"),
                                             (10**7, "10M<n<100M"), (10**12, "10B<n<100B")])  # fmt: skip
def test_the_size_is_a_category_of_the_hub(run: RunDir, count: int, size: str) -> None:
    """The size is one of the Hub's categories, also at their bounds."""
    figures = audit(run)
    figures["samples"]["count"] = count
    assert DatasetCard(make_card(run, figures, NAMED)).data.to_dict()["size_categories"] == [size]


def test_every_number_is_the_audits(run: RunDir) -> None:
    """Every number of the card comes from the audit and the manifest."""
    figures = audit(run)
    text = make_card(run, figures, NAMED)
    assert f"| samples | {figures['samples']['count']:,} |" in text
    assert f"| mentions | {figures['mentions']['count']:,} |" in text
    for flow in figures["funnel"]:
        assert f"| {flow['stage']} | {shown_unit(flow['unit'])} | {flow['in']:,} | {flow['out']:,} |" in text
    for entry in figures["labels"]["top"][:20]:
        assert f"| {cell(entry['label'])} | {entry['samples']:,} | {entry['mentions']:,} |" in text
    prompt = run.read_manifest()["teacher"]["prompt"]
    assert f"version {prompt['version']}, sha256 `{prompt['sha256']}`" in text
    figures["samples"]["count"] += 1111
    figures["labels"]["distinct"] = 98_765
    changed = make_card(run, figures, NAMED)
    assert f"| samples | {figures['samples']['count']:,} |" in changed
    assert "98,765 types" in changed


def test_an_empty_split_is_not_announced(run: RunDir) -> None:
    """A split without samples is not in the header, since the Hub would look for its rows."""
    figures = audit(run)
    figures["samples"]["splits"]["validation"] = {"positive": 0, "negative": 0}
    assert "samples/validation.parquet" not in make_card(run, figures, NAMED)


def test_without_any_sample(run: RunDir) -> None:
    """A run without samples has a card."""
    for split in SPLITS:
        with replacing(run.samples(split)) as file:
            tables.write_records(file, tables.SAMPLE, [])
    assert "There are no samples." in write_card(run, audit(run))


@pytest.mark.slow
def test_figures_and_report_are_linked_if_they_exist(run: RunDir) -> None:
    """Figures and report are in the card only if they exist."""
    assert "![" not in write_card(run, audit(run))
    (run.root / "figures").mkdir()
    (run.root / "figures" / "top_types.png").write_bytes(b"png")
    (run.root / "figures" / "top_types.svg").write_bytes(b"svg")
    (run.root / "report.html").write_text("x", encoding="utf-8")
    text = write_card(run, audit(run))
    assert "![top types](figures/top_types.png)" in text
    assert "top_types.svg" not in text
    assert "[report.html](report.html)" in text


def test_text_from_outside_is_escaped(run: RunDir) -> None:
    """Markup, lines and control characters of news, model, label or file name are escaped."""
    evil = "# <script>alert(1)</script>\n---\nlicense: mit | `x` [a](javascript:b) ![i](http://x/y.png) \u202egnp.exe"
    figures = audit(run)
    figures["labels"]["top"][0]["label"] = evil
    figures["funnel"][0]["rejected"] = {evil: 2}
    figures["teacher"]["model"] = evil
    figures["problems"] = [{"invariant": evil}]
    change_manifest(run, source={"name": evil, "fingerprint": evil})
    with replacing(run.samples("train")) as file:
        tables.write_records(file, tables.SAMPLE, [Sample("i", evil, evil, json.dumps([evil]), evil, False, "p")])
    text = make_card(run, figures, NAMED)
    assert DatasetCard(text).data.to_dict()["license"] == "cc-by-4.0"
    body = text.split("\n---\n", 1)[1]
    for harm in ("<script", "\n---", "\nlicense: mit", " | `x`", "[a](", "![i]", "\u202e"):
        assert harm not in body, harm
    assert cell(evil) in body


def test_examples_are_of_different_passages_and_types(run: RunDir) -> None:
    """The examples are of different passages, with mentions first and a negative last."""
    text = make_card(run, audit(run), NAMED)
    examples = re.findall(r"^> \*\*(.+)\*\*\n>\n> (.+)\n>\n> (.+)$", text, re.MULTILINE)
    assert len({passage for _, passage, _ in examples}) == len(examples) >= 2
    assert examples[-1][2] == "\\[\\]"
    assert examples[0][2] != "\\[\\]"


def test_unknown_licences_are_stated(run: RunDir) -> None:
    """Unknown licences of dataset, articles and teacher are stated as unknown."""
    change_manifest(run, source={"name": "tin tức", "fingerprint": "sha256:0"})
    figures = audit(run)
    figures["teacher"]["model"] = "my-own-model"
    change_manifest(run, teacher=figures["teacher"])
    text = make_card(run, figures, Target())
    assert DatasetCard(text).data.to_dict()["license"] == "unknown"
    assert "**This dataset:** unknown" in text
    assert "**The articles:** unknown" in text
    assert "**What the teacher wrote:** unknown" in text
    assert "no public name" in text
    assert "@misc" not in text


def test_the_conditions_of_llama_3_are_stated(run: RunDir) -> None:
    """The card of a Llama 3 teacher states the conditions of its licence."""
    text = make_card(run, audit(run), NAMED)
    for words in ("improve any other large language model", '"Llama 3" at the beginning of its name',
                  "Built with Meta Llama 3", "2024-04-18"):  # fmt: skip
        assert words in text


@pytest.mark.parametrize(
    ("model", "name"),
    [
        ("llama3-70b-8192", "Meta Llama 3 Community License"),
        ("meta-llama/Meta-Llama-3-70B-Instruct", "Meta Llama 3 Community License"),
        ("llama3:8b", "Meta Llama 3 Community License"),
        ("llama-3.3-70b-versatile", "Llama Community License (3.1 and later)"),
        ("us.meta.llama3-1-70b-instruct-v1:0", "Llama Community License (3.1 and later)"),
        ("meta-llama/llama-4-scout", "Llama Community License (3.1 and later)"),
        ("Llama-2-7b-chat-hf", "Llama 2 Community License"),
        ("gpt-4o-mini", "OpenAI's terms"),
        ("local", "no conditions known"),
        ("openai/gpt-oss-120b", UNKNOWN),
        ("open_llama_3b", UNKNOWN),
        ("llama-30b", UNKNOWN),
        ("deepseek-r1-distill-llama-70b", UNKNOWN),
        ("my-local", UNKNOWN),
        ("", UNKNOWN),
    ],
)
def test_the_licence_of_an_output_follows_from_the_model(model: str, name: str) -> None:
    """Model names decide about the licence of the output; similar names do not."""
    assert of_output({"model": model}).name == name


def test_the_licence_of_a_corpus_follows_from_its_content() -> None:
    """The fingerprint decides: a local folder with the name of a Hub dataset is another corpus."""
    bkai = "bkai-foundation-models/BKAINewsCorpus"
    assert "names no licence" in of_corpus({"name": bkai, "fingerprint": f"hub:{bkai}"}).text
    assert of_corpus({"name": "sample", "fingerprint": "sha256:1"}).name == "apache-2.0"
    assert of_corpus({"name": bkai, "fingerprint": "sha256:1"}).name == UNKNOWN


def test_unanswered_passages_and_problems_are_stated(run: RunDir) -> None:
    """The card states unanswered passages and problems of the audit."""
    stages = run.read_manifest()["stages"]
    stages["annotate"]["unanswered"] = 17
    change_manifest(run, stages=stages)
    text = make_card(run, {**audit(run), "problems": ["3 documents are in two splits"]}, NAMED)
    assert "17 passages have no answer" in text
    assert "3 documents are in two splits" in text


def test_how_to_cite(run: RunDir) -> None:
    """The BibTeX entry has name and address, and no author."""
    entry = make_card(run, audit(run), NAMED).split("```bibtex\n")[1].split("```")[0]
    assert "title = {org/my\\_set}" in entry
    assert f"\\url{{{NAMED.url}}}" in entry
    assert "author" not in entry
    assert entry.count("{") == entry.count("}")


def test_local_paths_and_addresses_are_removed(run: RunDir) -> None:
    """The card and the published settings have no local path and no endpoint address."""
    secret = {"source": "/home/someone/news", "base_url": "http://me:pw@10.0.0.1/v1", "prompt": "~/p.toml", "docs": 3}
    assert without_paths([secret]) == [{"source": "news", "base_url": "", "prompt": "p.toml", "docs": 3}]
    change_manifest(run, source={"name": "/home/someone/news", "fingerprint": "sha256:0"})
    assert "someone" not in write_card(run, audit(run))


@pytest.mark.slow
def test_the_same_files_give_the_same_card(run: RunDir) -> None:
    """The card is reproducible byte for byte."""
    write_card(run, audit(run), NAMED)
    before = run.card.read_bytes()
    write_card(run, audit(run), NAMED)
    assert run.card.read_bytes() == before


@given(st.text())
def test_a_cell_is_one_line_without_markup(text: str) -> None:
    """Any text becomes a cell of one line without markup."""
    made = cell(text)
    assert "\n" not in made
    assert "<" not in made
    assert not made.replace("\\|", "").count("|")
    assert not re.match(r"(\d+[.)]|[-+=])\s|---|===", made)


@given(st.text())
def test_a_licence_is_one_value_of_the_header(licence: str) -> None:
    """Any printable licence is one value of the YAML header."""
    from data_cards.card import header

    if licence.isprintable():
        assert yaml.safe_load(header(3, ["train"], licence))["license"] == licence
