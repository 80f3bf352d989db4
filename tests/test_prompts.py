"""Prompt files: versions, hashes, and unchanged passages."""

from __future__ import annotations

import hashlib
from importlib import resources
from pathlib import Path

import pytest

from annotator.cleaning.replies.parser import parse_reply
from prompts import available, load_prompt
from training.prompting import TEMPLATE, template

# A used version is never edited: published manifests have its hash.
RELEASED = {
    "alpaca.1.toml": "6d189dc574b4d616016f0bcf7214fd6d06a15958b212e32db4a48c98e685ed2e",
    "arbiter.1.toml": "8a0d82ba13cf60a36d491ab2f55b8070e8edb5f29828428773c4cf5328933f63",
    "arbiter.2.toml": "15c727ed39537cff55aa593141cc3c9c383c0f9084761c2620fcea26b7b5abbd",
    "label-translation.1.toml": "38ecffa85563e58bba6df79142975f97f6b3676b429b2a889c57b771bf2f9680",
    "open-ner-vi.1.toml": "0f7d14d0ab6cddb2fa6474507b87f0fd2bc7e0e38cd1768a70c4f8f58b678137",
    "open-ner-vi.2.toml": "166e56fdf6a1aaaa8bfc9d1727e8291928868dd08376aea46e126723974b68e8",
    "query-ner-vi.1.toml": "c2ca7a1a60e1202153c0423e9f09ec07add59da91c149628ffc0c617da136d8f",
    "typed-ner-vi.1.toml": "a5222d52b6a78568b65b5fd591f690e1310c4fbf37d368a8e95c53b982aae8d1",
}


def test_released_prompts_are_never_edited() -> None:
    """Each released prompt file has its released hash."""
    for name, sha256 in RELEASED.items():
        assert hashlib.sha256(resources.files("prompts").joinpath(name).read_bytes()).hexdigest() == sha256


def test_every_shipped_prompt_is_released_and_loads() -> None:
    """Every shipped prompt is in ``RELEASED`` and can be loaded."""
    shipped = {
        f"{name}.{version}": load_prompt(f"{name}.{version}", slot).sha256
        for slot in ("{passage}", "{label}", "{query}", "{candidates}")
        for name, versions in available(slot).items()
        for version in versions
    }
    assert {f"{name}.toml": sha256 for name, sha256 in shipped.items()} | {TEMPLATE: template().sha256} == RELEASED


def test_a_prompt_has_its_own_kind_of_slot() -> None:
    """A prompt about labels has a slot for a label, and is refused for passages."""
    (_, user) = load_prompt("label-translation", "{label}").messages("đặc sản {label}")
    assert "<label>\nđặc sản {label}\n</label>" in user["content"]
    with pytest.raises(LookupError, match=r"shipped: open-ner-vi\.1"):
        load_prompt("label-translation")


def test_a_bare_name_means_its_first_version() -> None:
    """A bare name means version 1, so that older runs keep their questions and answers."""
    assert load_prompt("open-ner-vi") == load_prompt("open-ner-vi.1")
    assert load_prompt("open-ner-vi").messages("x") != load_prompt("open-ner-vi.2").messages("x")


def test_the_example_of_a_prompt_can_be_parsed() -> None:
    """Version 2 has an example passage with its answer, which the parser reads."""
    (_, user) = load_prompt("open-ner-vi.2").messages("Hà Nội")
    assert user["content"].count("<passage>\n") == 2
    answer = next(line for line in user["content"].splitlines() if line.startswith('[["18/3"'))
    parsed = parse_reply(answer)
    assert (parsed.status, len(parsed.mentions), parsed.malformed) == ("ok", 12, ())


def test_an_example_must_be_in_its_passage(tmp_path: Path) -> None:
    """An example whose mention is not an exact part of its passage is refused, since teachers copy examples."""
    path = tmp_path / "mine.toml"
    head = 'name = "mine"\nversion = 1\nuser = "{examples} {passage}"\n[[examples]]\npassage = "Lê An ở Hòa Bình."\n'
    path.write_text(head + 'entities = [["Lê An", "person"], ["Hòa Bình", "province"]]\n', encoding="utf-8")
    assert '[["Lê An", "person"], ["Hòa Bình", "province"]]' in load_prompt(str(path)).messages("x")[0]["content"]
    for wrong in ("Hoà Bình", "lê an", "Hà Nội"):
        path.write_text(head + f'entities = [["Lê An", "person"], ["{wrong}", "x"]]\n', encoding="utf-8")
        with pytest.raises(ValueError, match=f"example 1: '{wrong}' does not stand in its passage"):
            load_prompt(str(path))


def test_the_passage_is_inserted_unchanged() -> None:
    """Braces, slots and line breaks of a passage are not interpreted."""
    passage = 'Giá {passage} "5.000" {x}\n</passage> \\n'
    system, user = load_prompt("open-ner-vi").messages(passage)
    assert system["role"] == "system"
    assert f"<passage>\n{passage}\n</passage>" in user["content"]


def test_a_prompt_file_of_the_user(tmp_path: Path) -> None:
    """A prompt can be given by its path; an invalid file is an error."""
    path = tmp_path / "mine.toml"
    with pytest.raises(LookupError, match="cannot read prompt"):
        load_prompt(str(path))
    path.write_text('name = "mine"\nversion = 3\nuser = "{passage}"\n', encoding="utf-8")
    assert load_prompt(str(path)).messages("Hà Nội") == [{"role": "user", "content": "Hà Nội"}]
    path.write_text('name = "mine"\nversion = 3\nuser = "no slot"\n', encoding="utf-8")
    with pytest.raises(ValueError, match="exactly once"):
        load_prompt(str(path))
    path.write_text("name = 3", encoding="utf-8")
    with pytest.raises(ValueError, match="is not a prompt file"):
        load_prompt(str(path))


def test_an_unknown_name_lists_those_there_are() -> None:
    """An unknown name is an error that lists the shipped prompts."""
    with pytest.raises(LookupError, match=r"open-ner-vi\.1"):
        load_prompt("open-ner-v")
