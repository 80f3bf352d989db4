"""Settings: one definition, checked, the same from a flag and from a file."""

from __future__ import annotations

from pathlib import Path

import pytest

from annotator.config.settings import STAGES, RunConfig, flag, make_config
from annotator.config.toml_files import read_toml
from annotator.errors import ConfigError


def test_defaults_are_the_methods_figures() -> None:
    """6,600 documents, passages of 150 to 256 tokens, samples of at most 1024."""
    config = make_config()
    assert (config.docs, config.min_tokens, config.max_tokens, config.max_sample_tokens) == (6600, 150, 256, 1024)


def test_the_later_layer_wins_and_none_says_nothing() -> None:
    """Stored settings, then the file, then the flags."""
    config = make_config({"docs": 5, "seed": 1}, {"docs": 7}, {"docs": None, "seed": 3})
    assert (config.docs, config.seed) == (7, 3)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"docs": 0}, "--docs must be at least 1"),
        ({"docs": "ten"}, "--docs needs a whole number"),
        ({"docs": True}, "--docs needs a whole number"),
        ({"timeout": float("nan")}, "--timeout must be at least"),
        ({"timeout": float("inf")}, "--timeout must be at least"),
        ({"colour": 1}, "unknown setting 'colour'"),
        ({"provider": "azure"}, "--provider must be one of local, openai, groq"),
        ({"provider": "openai"}, "--provider openai needs --model"),
        ({"provider": "openai", "model": "m", "option": ["api_key=x"]}, "--option api_key looks like a key"),
        ({"model": "x"}, "--model needs --provider openai or groq"),
        ({"min_tokens": 300}, "--max-tokens 256 is below --min-tokens 300"),
        ({"split": "0.5,0.5"}, "--split needs three shares"),
        ({"split": "0.9,0.9,-0.8"}, "--split shares must be between 0 and 1"),
        ({"split": "0.5,0.2,0.2"}, "--split shares must be between 0 and 1"),
    ],
)
def test_nonsense_is_refused_by_name(settings: dict[str, object], words: str) -> None:
    """The message names the flag, so that the user knows what to fix."""
    with pytest.raises(ConfigError) as caught:
        make_config(settings)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_says_the_same_as_flags(tmp_path: Path) -> None:
    """Dashes and underscores are one spelling; a whole number serves where a share is wanted."""
    path = tmp_path / "run.toml"
    path.write_text("docs = 12\nmax-tokens = 200\nmin_tokens = 100\nnegatives = 1\n", encoding="utf-8")
    config = make_config(read_toml(path))
    assert (config.docs, config.max_tokens, config.min_tokens, config.negatives) == (12, 200, 100, 1.0)


@pytest.mark.parametrize("content", [b"docs = ", b"\xff\xfe\x00"])
def test_a_broken_file_is_a_configuration_error(tmp_path: Path, content: bytes) -> None:
    """So is a missing one."""
    path = tmp_path / "run.toml"
    with pytest.raises(ConfigError, match="cannot read --config"):
        read_toml(path)
    path.write_bytes(content)
    with pytest.raises(ConfigError, match="is not valid TOML"):
        read_toml(path)


def test_a_byte_order_mark_before_toml(tmp_path: Path) -> None:
    """A file that an editor saved with one is read."""
    path = tmp_path / "a.toml"
    path.write_bytes(b"\xef\xbb\xbfdocs = 3\n")
    assert read_toml(path) == {"docs": 3}


def test_a_setting_that_was_added_later_does_not_change_older_runs() -> None:
    """While it has its default it is no part of a fingerprint; any other value is."""
    assert "repair_encoding" not in RunConfig().stage_settings("sample")
    assert RunConfig(repair_encoding=True).stage_settings("sample")["repair_encoding"] is True


def test_every_setting_belongs_to_a_stage_or_to_none() -> None:
    """The settings of the stages and the free ones are all there are."""
    config = RunConfig()
    given = {"provider": "openai", "model": "m", "types": "t.toml", "instruction": "definition"}
    non_default = RunConfig(repair_encoding=True, pack=True, added_docs="1", **given)
    staged = {name for stage in STAGES for name in non_default.stage_settings(stage)}
    asking = {"base_url", "concurrency", "rpm", "tpm", "limits", "max_retries", "timeout", "option"} | {
        "response_format"  # what it settles on is part of the question itself
    }
    free = {"labels", "workers", "engine", "ray_address", "ledger", *asking}
    free |= {"decontaminate", "types"}  # not its name decides but its content
    assert staged | free == set(config.as_dict())
    assert not staged & free


def test_flag_spelling() -> None:
    """What the messages call a setting is what the user types."""
    assert flag("max_tokens") == "--max-tokens"
    assert flag("source") == "SOURCE"
