"""Settings have one definition, are validated, and are the same from flags and files."""

from __future__ import annotations

from pathlib import Path

import pytest

from annotator.config.settings import STAGES, RunConfig, flag, make_config
from annotator.config.toml_files import read_toml
from annotator.errors import ConfigError


def test_defaults_are_the_methods_figures() -> None:
    """The defaults are the method's: 6,600 documents, 150 to 256 tokens, samples of at most 1,024."""
    config = make_config()
    assert (config.docs, config.min_tokens, config.max_tokens, config.max_sample_tokens) == (6600, 150, 256, 1024)


def test_later_layers_override_unless_none() -> None:
    """Flags override the file, which overrides stored settings; None does not override."""
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
def test_invalid_settings_are_refused_by_flag(settings: dict[str, object], words: str) -> None:
    """An invalid setting is a one-line error that names its flag."""
    with pytest.raises(ConfigError) as caught:
        make_config(settings)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_gives_the_same_settings_as_flags(tmp_path: Path) -> None:
    """A file may spell settings with dashes or underscores, and give a whole number for a share."""
    path = tmp_path / "run.toml"
    path.write_text("docs = 12\nmax-tokens = 200\nmin_tokens = 100\nnegatives = 1\n", encoding="utf-8")
    config = make_config(read_toml(path))
    assert (config.docs, config.max_tokens, config.min_tokens, config.negatives) == (12, 200, 100, 1.0)


@pytest.mark.parametrize("content", [b"docs = ", b"\xff\xfe\x00"])
def test_a_broken_file_is_a_configuration_error(tmp_path: Path, content: bytes) -> None:
    """A missing and a malformed file are configuration errors."""
    path = tmp_path / "run.toml"
    with pytest.raises(ConfigError, match="cannot read --config"):
        read_toml(path)
    path.write_bytes(content)
    with pytest.raises(ConfigError, match="is not valid TOML"):
        read_toml(path)


def test_a_byte_order_mark_before_toml(tmp_path: Path) -> None:
    """A TOML file with a byte order mark is read."""
    path = tmp_path / "a.toml"
    path.write_bytes(b"\xef\xbb\xbfdocs = 3\n")
    assert read_toml(path) == {"docs": 3}


def test_a_setting_that_was_added_later_does_not_change_older_runs() -> None:
    """A newer setting is part of a fingerprint only if it is not the default."""
    assert "repair_encoding" not in RunConfig().stage_settings("sample")
    assert RunConfig(repair_encoding=True).stage_settings("sample")["repair_encoding"] is True


def test_every_setting_belongs_to_a_stage_or_to_none() -> None:
    """Every setting belongs to the stages or to the free settings, never to both."""
    config = RunConfig()
    given = {"provider": "openai", "model": "m", "types": "t.toml", "instruction": "definition"}
    non_default = RunConfig(repair_encoding=True, pack=True, added_docs="1", **given)
    staged = {name for stage in STAGES for name in non_default.stage_settings(stage)}
    asking = {"base_url", "concurrency", "rpm", "tpm", "limits", "max_retries", "timeout", "option"} | {
        "response_format"  # the settled format is part of the question
    }
    free = {"labels", "workers", "engine", "ray_address", "ledger", *asking}
    free |= {"decontaminate", "types"}  # their content counts, not their names
    assert staged | free == set(config.as_dict())
    assert not staged & free


def test_flag_spelling() -> None:
    """Messages name a setting as the user types it."""
    assert flag("max_tokens") == "--max-tokens"
    assert flag("source") == "SOURCE"
