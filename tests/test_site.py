"""The documentation site builds strictly and needs no network."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[1]
REMOTE = re.compile(
    r"<(?:script|img|iframe)\b[^>]*\bsrc=[\"']?(?:https?:)?//|<link\b[^>]*stylesheet[^>]*(?:https?:)?//"
)


def test_all_make_targets_are_phony() -> None:
    """Every target of the Makefile is phony, so that ``make site`` rebuilds an existing site."""
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    phony = re.search(r"^\.PHONY: (.*)$", text, re.MULTILINE)
    assert phony
    assert set(re.findall(r"^([a-z-]+):", text, re.MULTILINE)) == set(phony[1].split())


def test_the_site_builds_strictly_and_loads_nothing_from_a_network(tmp_path: Path) -> None:
    """Links and anchors resolve, the API page has its objects, and no page loads a remote file."""
    shutil.copytree(ROOT / "docs", tmp_path / "docs")
    shutil.copy(ROOT / "zensical.toml", tmp_path)
    command = [sys.executable, "-m", "zensical", "build", "--strict"]
    built = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stdout + built.stderr
    for page in (ROOT / "docs").glob("*.md"):
        html = (tmp_path / "site" / f"{page.stem}.html").read_text(encoding="utf-8")
        assert not REMOTE.search(html), page.name
    assert "annotator.open_run" in (tmp_path / "site" / "api.html").read_text(encoding="utf-8")
