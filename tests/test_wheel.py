"""The package as a user gets it: the wheel, in an empty environment, away from the source tree."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

from tests.conftest import ROOT

pytestmark = pytest.mark.slow
CACHE = os.environ.get("PIP_CACHE_DIR") or str(Path("~/.cache/pip").expanduser())
"""pip's, in the real home: what ``make`` has downloaded is not downloaded again."""


def run(*command: object, cwd: Path, home: Path) -> subprocess.CompletedProcess[str]:
    """Run a command with an empty home and nothing of this environment."""
    kept = {name: value for name, value in os.environ.items() if name.startswith(("PIP_", "SSL_", "REQUESTS_", "PATH"))}
    environment = {
        **kept,
        "PIP_CACHE_DIR": CACHE,
        "HOME": str(home),
        "LC_ALL": "C",
    }  # Vietnamese must come out right in any locale
    return subprocess.run(
        [str(part) for part in command], cwd=cwd, env=environment, capture_output=True, text=True, check=False,
        encoding="utf-8", timeout=1800,
    )  # fmt: skip


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    made = run(
        sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, ROOT, cwd=folder, home=folder
    )
    assert made.returncode == 0, made.stderr
    return next(folder.glob("*.whl"))


def test_the_wheel_holds_what_it_needs(wheel: Path) -> None:
    """Prompts, lexicon, card template, sample articles, licence; no tests."""
    names = zipfile.ZipFile(wheel).namelist()
    for needed in (
        "cli.py",
        "prompts/open-ner-vi.1.toml",
        "prompts/open-ner-vi.2.toml",
        "prompts/arbiter.1.toml",
        "prompts/typed-ner-vi.1.toml",
        "prompts/label-translation.1.toml",
        "normalizers/lexicon/vietnamese.toml",
        "data_cards/templates/card.md.j2",
        "data_cards/licences.toml",
        "annotator/sources/bundled/health.jsonl",
        "annotator/py.typed",
    ):
        assert needed in names, needed
    assert any(name.endswith("/licenses/LICENSE") for name in names)
    assert not [name for name in names if name.startswith(("tests/", "docs/", "benchmarks/"))]


def test_the_demo_runs_from_the_wheel(wheel: Path, tmp_path: Path) -> None:
    """In an environment that has nothing else, with an empty home."""
    home, place = tmp_path / "home", tmp_path / "elsewhere"
    home.mkdir()
    place.mkdir()
    venv.create(tmp_path / "env")
    programs = tmp_path / "env" / ("Scripts" if os.name == "nt" else "bin")
    installed = run(
        sys.executable, "-m", "pip", "--python", programs / "python", "install", "--quiet", "--no-compile",
        "--disable-pip-version-check", "-c", ROOT / "constraints.txt", wheel, cwd=place, home=home,
    )  # fmt: skip
    assert installed.returncode == 0, installed.stderr
    built = run(programs / "vner-annotate", "build", "sample", "--out", "run", cwd=place, home=home)
    assert built.returncode == 0, built.stderr
    for words in ("Funnel", "most frequent", "One sample", "What describes", "run/samples/train.parquet"):
        assert words in built.stdout, words
    again = run(programs / "vner-annotate", "build", "sample", "--out", "run", "--json", cwd=place, home=home)
    report = json.loads(again.stdout)
    assert report["skipped"] == ["sample", "chunk", "annotate", "clean", "explode"]
    assert report["samples"]["count"] > 300
    shown = run(programs / "vner-annotate", "show", "run", cwd=place, home=home)
    assert "The teacher's reply" in shown.stdout
    assert "nông dân Gia Lai" in shown.stdout
