"""Portability: text files name their encoding and line ends, and POSIX-only modules are guarded."""

from __future__ import annotations

import ast
import getpass
from collections.abc import Iterator

import pytest

from annotator.sources.remote import is_url
from data_cards.commands.review import _user_name
from tests.conftest import ROOT

PACKAGES = ("annotator", "normalizers", "prompts", "data_cards", "training")
FILES = [ROOT / "cli.py", *(path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py")))]
POSIX_MODULES = {"crypt", "fcntl", "grp", "posix", "pty", "pwd", "resource", "syslog", "termios", "tty", "uvloop"}
POSIX_NAMES = {
    "add_signal_handler", "os.chown", "os.fchmod", "os.fork", "os.geteuid", "os.getuid", "os.killpg", "os.mkfifo",
    "os.setsid", "os.sync", "signal.SIGALRM", "signal.SIGHUP", "signal.SIGKILL", "signal.SIGUSR1",
}  # fmt: skip
NO_FILES = {"os.open", "webbrowser.open", "formatter.write_text"}


def text_files(tree: ast.AST) -> Iterator[str]:
    """Yield calls that open a text file without an encoding, or write one without line ends."""
    for call in ast.walk(tree):
        if not isinstance(call, ast.Call) or ast.unparse(call.func) in NO_FILES:
            continue
        name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
        texts = (part.value for part in call.args if isinstance(part, ast.Constant) and isinstance(part.value, str))
        mode = next((text for text in texts if text and set(text) <= set("rwabxt+")), "r")
        needed: set[str | None] = set()
        if (name in {"open", "fdopen"} and "b" not in mode) or (name == "read_text" and not call.args):
            needed = {"encoding", "newline"} if set(mode) & set("wax+") else {"encoding"}
        elif name in {"write_text", "TextIOWrapper"}:
            needed = {"encoding", "newline"}
        if missing := needed - {keyword.arg for keyword in call.keywords}:
            yield f"line {call.lineno}: {name} without {missing}"


def posix_only(node: ast.AST) -> Iterator[str]:
    """Yield uses of POSIX-only names outside ``except ImportError`` and checks of the system."""
    if isinstance(node, ast.If) and ("os.name" in (test := ast.unparse(node.test)) or "sys.platform" in test):
        return
    if isinstance(node, ast.Try) and any("ImportError" in ast.unparse(handler) for handler in node.handlers):
        return
    names: set[str] = set()
    if isinstance(node, ast.Import):
        names = POSIX_MODULES & {alias.name for alias in node.names}
    elif isinstance(node, ast.ImportFrom):
        names = POSIX_MODULES & {node.module or ""}
    elif isinstance(node, ast.Attribute):
        names = POSIX_NAMES & {ast.unparse(node), node.attr}
    yield from (f"line {node.lineno}: {name}" for name in sorted(names))  # type: ignore[attr-defined]
    for child in ast.iter_child_nodes(node):
        yield from posix_only(child)


@pytest.mark.slow
def test_text_files_name_their_encoding_and_line_ends() -> None:
    """Every text file has an encoding and line ends; the defaults of Windows are cp1252 and CRLF."""
    found = [
        f"{path.relative_to(ROOT)} {wrong}" for path in FILES for wrong in text_files(ast.parse(path.read_bytes()))
    ]
    assert not found


@pytest.mark.slow
def test_uses_of_posix_are_guarded() -> None:
    """POSIX-only modules and functions are used only behind a guard."""
    found = [
        f"{path.relative_to(ROOT)} {wrong}" for path in FILES for wrong in posix_only(ast.parse(path.read_bytes()))
    ]
    assert not found


@pytest.mark.parametrize(
    "code",
    ["Path('a').read_text()", "Path('a').write_text('b')", "open('a', 'w', encoding='utf-8')", "path.open()",
     "path.open('r')", "os.fdopen(3, 'w')"],
)  # fmt: skip
def test_a_text_file_without_encoding_is_found(code: str) -> None:
    """The check finds text files without an encoding or line ends."""
    assert list(text_files(ast.parse(code)))


@pytest.mark.parametrize(
    "code", ["import fcntl", "from pwd import getpwnam", "os.fchmod(3, 0o644)", "loop.add_signal_handler(2, stop)"]
)
def test_an_unguarded_use_of_posix_is_found(code: str) -> None:
    """The check finds unguarded uses of POSIX, and accepts guarded ones."""
    assert list(posix_only(ast.parse(code)))
    assert not list(posix_only(ast.parse(f"if os.name == 'posix':\n    {code}")))
    assert not list(posix_only(ast.parse(f"try:\n    {code}\nexcept ImportError:\n    pass")))


@pytest.mark.parametrize("error", [KeyError("uid not found: 1234"), OSError("no username"), ImportError("pwd")])
def test_a_user_without_a_name_can_review(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    """A user without an account name, as in a container, is called "reviewer"."""

    def fail() -> str:
        raise error

    monkeypatch.setattr(getpass, "getuser", fail)
    assert _user_name() == "reviewer"


def test_a_windows_drive_is_not_a_scheme() -> None:
    """A Windows drive is not a URL; schemes have at least two letters."""
    assert not any(map(is_url, ("C:\\news", "C:/news", "c://news", "news")))
    assert all(map(is_url, ("https://a.org/b.csv", "hf://datasets/a/b", "s3://bucket/key")))
