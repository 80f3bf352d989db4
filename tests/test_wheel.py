"""The wheel as a user installs it: in an empty environment, away from the source tree."""

from __future__ import annotations

import importlib.metadata
import json
import os
import subprocess
import sys
import tomllib
import zipfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tests.conftest import ROOT

pytestmark = pytest.mark.slow
VERSIONS = [
    line.rpartition(" ")[2]
    for line in tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["classifiers"]
    if line.startswith("Programming Language :: Python :: 3.")
]
"""Minor versions of Python that the package declares."""
TRIED = VERSIONS if os.environ.get("VNER_PYTHONS") == "all" else ["{}.{}".format(*sys.version_info)]
"""``make test-pythons`` tries all; each is an installation by pip of a minute or more."""
PYENV = Path(os.environ.get("PYENV_ROOT") or Path("~/.pyenv").expanduser())
CACHE = os.environ.get("PIP_CACHE_DIR") or str(Path("~/.cache/pip").expanduser())
"""The cache of pip in the real home, with what ``make`` has downloaded."""


def run(*command: object, cwd: Path, home: Path) -> subprocess.CompletedProcess[str]:
    """Run a command with an empty home and nothing of this environment."""
    kept = {name: value for name, value in os.environ.items() if name.startswith(("PIP_", "SSL_", "REQUESTS_", "PATH"))}
    environment = {
        **kept,
        "PIP_CACHE_DIR": CACHE,
        "HOME": str(home),
        "LC_ALL": "C",
    }  # Vietnamese must be printed correctly in any locale
    return subprocess.run(
        [str(part) for part in command], cwd=cwd, env=environment, capture_output=True, text=True, check=False,
        encoding="utf-8", timeout=1800,
    )  # fmt: skip


@dataclass
class Installed:
    """The wheel in an environment of its own."""

    programs: Path
    folder: Path
    """The working folder of commands; ``run`` in it is a finished run of the sample."""
    home: Path
    built: str = ""
    """The output of the build."""

    def vner(self, *commands: str) -> list[str]:
        """Run commands, which must succeed, in one process that imports once, and return what each prints."""
        done = run(self.programs / "python", "-c", COMMANDS, *commands, cwd=self.folder, home=self.home)
        assert done.returncode == 0, done.stderr
        return list(json.loads(done.stdout))


COMMANDS = """
import json, sys
from typer.testing import CliRunner
import cli
results = [CliRunner().invoke(cli.app, command.split()) for command in sys.argv[1:]]
for result in results:
    if result.exit_code:
        sys.exit(result.output)
print(json.dumps([result.stdout for result in results]))
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    made = run(
        sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, ROOT, cwd=folder, home=folder
    )
    assert made.returncode == 0, made.stderr
    return next(folder.glob("*.whl"))


def test_the_wheel_holds_what_it_needs(wheel: Path) -> None:
    """The wheel has prompts, lexicon, templates, bundled articles and licence, and no tests."""
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
        "data_cards/templates/croissant_context.json",
        "data_cards/licences.toml",
        "annotator/sources/bundled/health.jsonl",
        "annotator/py.typed",
    ):
        assert needed in names, needed
    assert any(name.endswith("/licenses/LICENSE") for name in names)
    assert not [name for name in names if name.startswith(("tests/", "docs/", "benchmarks/"))]


def interpreter(version: str) -> str | None:
    """Find a Python of this minor version that starts: this one, pyenv's, or one on the path."""
    if sys.version_info[:2] == tuple(map(int, version.split("."))):
        return sys.executable
    found = sorted((PYENV / "versions").glob(f"{version}.*/bin/python"))
    for program in (*map(str, found), f"python{version}"):  # a pyenv shim exists even without its version
        asked = ["-c", "import sys; print('%d.%d' % sys.version_info[:2])"]
        with suppress(OSError):
            answer = subprocess.run([program, *asked], capture_output=True, text=True, check=False)
            if answer.stdout.strip() == version:
                return program
    return None


def link_requirements(site: Path) -> None:
    """Link what the wheel requires, and no more, from this environment: pip takes 40 s of CPU to unpack it again."""
    (wheel,) = importlib.metadata.distributions(name="vner-annotate", path=[str(site)])
    wanted, seen = [(wheel, "")], set()
    while wanted:
        distribution, extra = wanted.pop()
        for requirement in map(Requirement, distribution.requires or ()):
            if requirement.marker and not requirement.marker.evaluate({"extra": extra}):
                continue
            required = importlib.metadata.distribution(requirement.name)
            new = {(required.name, extra) for extra in ("", *requirement.extras)} - seen
            wanted += [(required, extra) for _, extra in new]
            seen |= new
    for name in {name for name, _ in seen}:
        for file in importlib.metadata.files(name) or ():
            if not (link := site / file).exists() and ".." not in file.parts:
                link.parent.mkdir(parents=True, exist_ok=True)
                link.symlink_to(file.locate())


@pytest.fixture(scope="module", params=TRIED)
def installed(request: pytest.FixtureRequest, wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """The wheel in an environment that has nothing else, with an empty home, away from the source tree."""
    python = interpreter(request.param)
    if python is None:
        pytest.skip(f"this machine has no Python {request.param}")
    root = tmp_path_factory.mktemp("installed")
    for name in ("home", "elsewhere"):
        (root / name).mkdir()
    place = Installed(root / "env" / ("Scripts" if os.name == "nt" else "bin"), root / "elsewhere", root / "home")
    made = run(python, "-m", "venv", "--without-pip", root / "env", cwd=root, home=place.home)
    assert made.returncode == 0, made.stderr
    here = TRIED != VERSIONS and os.name == "posix"
    done = run(
        sys.executable, "-m", "pip", "--python", place.programs / "python", "install", "--quiet", "--no-compile",
        "--disable-pip-version-check", *(["--no-deps"] if here else ["-c", ROOT / "constraints.txt"]), wheel,
        cwd=place.folder, home=place.home,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    if here:
        link_requirements(next(root.glob("env/lib/python*/site-packages")))
    built = run(place.programs / "vner-annotate", "build", "sample", "--out", "run", cwd=place.folder, home=place.home)
    assert built.returncode == 0, built.stderr
    place.built = built.stdout
    return place


def test_the_demo_runs_from_the_wheel(installed: Installed) -> None:
    """Each declared Python builds the sample from the wheel, skips finished stages, and shows a passage."""
    for words in ("Funnel", "most frequent", "One sample", "What describes", "run/samples/train.parquet"):
        assert words in installed.built, words
    again, shown = installed.vner("build sample --out run --json", "show run")
    report = json.loads(again)
    assert report["skipped"] == ["sample", "chunk", "annotate", "clean", "explode"]
    assert report["samples"]["count"] > 300
    assert "The teacher's reply" in shown
    assert "nông dân Gia Lai" in shown


def test_the_other_commands_run_from_the_wheel(installed: Installed) -> None:
    """Audit, report, export, prediction and the Python API work without an extra."""
    audited, *_ = installed.vner(
        "audit run",
        "report run",
        "export run --format conll --out run.conll",
        "predict run/samples/validation.parquet --predictor underthesea --out answers.jsonl",
    )
    assert "problems" in audited
    for name in ("run/report.html", "run.conll", "answers.jsonl"):
        assert (installed.folder / name).stat().st_size > 0, name
    code = (
        "import annotator; run = annotator.open_run('run'); print(len(run.samples('train')), run.samples('train')[0])"
    )
    asked = run(installed.programs / "python", "-c", code, cwd=installed.folder, home=installed.home)
    assert "What describes" in asked.stdout, asked.stderr
