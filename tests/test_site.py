"""The documentation site: built strictly, and complete without a network."""

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


def test_the_site_builds_strictly_and_loads_nothing_from_a_network(tmp_path: Path) -> None:
    """Links and anchors resolve, the objects of the API page are found, and no page loads a file of another host."""
    shutil.copytree(ROOT / "docs", tmp_path / "docs")
    shutil.copy(ROOT / "zensical.toml", tmp_path)
    command = [sys.executable, "-m", "zensical", "build", "--strict"]
    built = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stdout + built.stderr
    for page in (ROOT / "docs").glob("*.md"):
        html = (tmp_path / "site" / f"{page.stem}.html").read_text(encoding="utf-8")
        assert not REMOTE.search(html), page.name
    assert "annotator.open_run" in (tmp_path / "site" / "api.html").read_text(encoding="utf-8")
