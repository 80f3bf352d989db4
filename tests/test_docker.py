"""The Dockerfile, checked as text, without a container engine."""

from __future__ import annotations

import re
import tomllib
from fnmatch import fnmatch

from tests.conftest import ROOT

LINES = re.sub(r"\\\n\s*", "", (ROOT / "Dockerfile").read_text(encoding="utf-8")).splitlines()
STEPS = [line.partition(" ")[::2] for line in LINES if line and not line.startswith("#")]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def arguments(step: str) -> list[str]:
    return [text for name, text in STEPS if name == step]


def copied() -> list[str]:
    """Return the files and folders that are copied from the repository."""
    sources = [text.split()[:-1] for text in arguments("COPY") if not text.startswith("--from")]
    return [name for names in sources for name in names]


def test_it_copies_what_the_package_is_made_of() -> None:
    """Every file that the build of the wheel reads exists, is copied, and passes .dockerignore."""
    metadata = PROJECT["project"]
    wheel = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["only-include"]
    assert {*wheel, metadata["readme"], *metadata["license-files"], "pyproject.toml", "constraints.txt"} == set(
        copied()
    )
    assert all((ROOT / name).exists() for name in copied())
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert ignored[1] == "*"
    assert {line[1:] for line in ignored if line.startswith("!")} == set(copied())
    assert not any(fnmatch(name, pattern) for name in copied() for pattern in ignored[2:] if "*" in pattern)


def test_it_runs_a_declared_python_pinned_to_a_minor_version() -> None:
    """Both stages use the same slim image of a declared Python version."""
    images = {text.split()[0] for text in arguments("FROM")}
    (version,) = (re.fullmatch(r"python:(3\.\d+)-slim", image) for image in images)
    assert version
    assert f"Programming Language :: Python :: {version[1]}" in PROJECT["project"]["classifiers"]


def test_it_installs_as_the_documentation_says() -> None:
    """The pip command is that of docs/install.md, with constraints."""
    (line,) = (text for text in arguments("RUN") if "pip install" in text)
    words = re.search(r"pip install (.+)", line)
    assert words
    shown = " ".join(["pip install", *(word for word in words[1].split() if word != "--no-cache-dir")])
    assert shown == "pip install -c constraints.txt ."
    assert f"\n{shown} " in (ROOT / "docs" / "install.md").read_text(encoding="utf-8")


def test_it_runs_the_command_without_root_and_without_keys() -> None:
    """The user is a number other than root, runs are in a volume, and no key is set."""
    assert arguments("USER") == ["1000"]
    assert arguments("ENTRYPOINT") == ['["vner-annotate"]']
    assert arguments("VOLUME") == arguments("WORKDIR")[-1:] == ["/data"]
    assert not arguments("ARG")
    assert not re.search("key|token|secret|password", " ".join(arguments("ENV")), re.IGNORECASE)
