"""The command line itself: help, version, reference, and what it imports."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from typer.testing import CliRunner

import cli
from annotator.config import RunConfig, flag
from tests.conftest import ROOT


def test_every_setting_has_its_flag_with_its_default() -> None:
    """On every command that runs stages; the default is the one of the configuration."""
    for command in ("build", "sample", "chunk", "annotate", "clean", "explode"):
        shown = CliRunner().invoke(cli.app, [command, "--help"], env={"COLUMNS": "200", "TERMINAL_WIDTH": "200"}).output
        for name, default in RunConfig().as_dict().items():
            assert name == "source" or flag(name) in shown, name
            assert default == () or str(default) in shown


@pytest.mark.slow
def test_the_reference_is_up_to_date() -> None:
    """``make docs`` after a change of a command."""
    made = subprocess.run(
        [sys.executable, ROOT / "docs" / "make_cli_reference.py"],
        capture_output=True,
        text=True,
        check=True,
        encoding="utf-8",
    )
    assert (ROOT / "docs" / "cli.md").read_text(encoding="utf-8") == made.stdout


def test_help_imports_nothing_heavy() -> None:
    """So that it starts at once; each command brings what it needs."""
    program = "import sys, cli; print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    loaded = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT
    ).stdout
    heavy = {
        "pyarrow",
        "pandas",
        "numpy",
        "openai",
        "groq",
        "datasets",
        "tiktoken",
        "underthesea",
        "langdetect",
        "jinja2",
    }
    assert not heavy & set(loaded.split())


def test_the_version_is_the_packages() -> None:
    """As installed."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert CliRunner().invoke(cli.app, ["--version"]).output.strip() == project["version"]


def test_links_in_the_documents_lead_somewhere() -> None:
    """Relative links of the README and the pages."""
    import re

    for page in (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))):
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_paths_in_contributing_exist() -> None:
    """Each place that it names is there, so that a newcomer finds it."""
    import re

    named = re.findall(r"`((?:annotator|data_cards|training|prompts|normalizers)/[\w./-]*)`",
                       (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8"))  # fmt: skip
    assert len(named) > 5
    assert [path for path in named if not (ROOT / path).exists()] == []


def test_a_settings_file_does_what_flags_do(tmp_path: Path) -> None:
    """Through the command, with a flag that wins."""
    settings = tmp_path / "run.toml"
    settings.write_text('source = "sample"\ndocs = 3\nseed = 4\n', encoding="utf-8")
    runner = CliRunner()
    one = runner.invoke(
        cli.app, ["chunk", "--config", str(settings), "--out", str(tmp_path / "a"), "--seed", "5", "-q"]
    )
    two = runner.invoke(cli.app, ["chunk", "sample", "--docs", "3", "--seed", "5", "--out", str(tmp_path / "b"), "-q"])
    assert one.exit_code == two.exit_code == 0, one.output + two.output
    assert (tmp_path / "a/passages.parquet").read_bytes() == (tmp_path / "b/passages.parquet").read_bytes()
