"""The command line: help, version, reference, suggestions, and light imports."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command
from typer.testing import CliRunner

import cli
from annotator.config.settings import RunConfig, flag
from annotator.storage.rundir import default_root
from annotator.terminal.words import have, plural
from tests.commands import modules_loaded_by, must_succeed, vner
from tests.conftest import ROOT


def _page(*arguments: str) -> str:
    result = CliRunner().invoke(cli.app, [*arguments], env={"COLUMNS": "100"}, prog_name="vner-annotate")
    assert result.exit_code == 0, result.output
    return result.output


def _pages() -> dict[str, str]:
    """Return the longest help page of every command."""
    group: Any = get_command(cli.app)
    paths = [[name, *more] for name, command in group.commands.items()
             for more in ([], *([below] for below in getattr(command, "commands", ())))]  # fmt: skip
    pages = {" ".join(path): _page(*path, "--help") for path in [[], *paths]}
    return {name: _page(*name.split(), "--help-all") if "--help-all" in page else page for name, page in pages.items()}


def _flags(page: str) -> list[str]:
    return re.findall(r"^  (?:-\w, )?(--[\w-]+)", page, flags=re.MULTILINE)


def test_every_setting_has_its_flag_with_its_default() -> None:
    """Every command that runs stages has a flag for each setting, with its default."""
    for command in ("build", "sample", "chunk", "annotate", "clean", "explode"):
        shown = " ".join(_page(command, "--help-all").split())
        for name, default in RunConfig().as_dict().items():
            assert name == "source" or flag(name) in shown, name
            text = f"{default:g}" if isinstance(default, float) else default
            assert default in {"", (), 0} or f"Default: {text}." in shown, name


def test_help_shows_the_common_flags() -> None:
    """--help of ``build`` shows ten flags, of a stage its own; --help-all shows the rest."""
    often = ["--out", "--docs", "--text-field", "--provider", "--model", "--base-url", "--limits", "--negatives",
             "--config", "--fresh"]  # fmt: skip
    assert _flags(_page("build", "--help")) == [*often, "--help", "--help-all"]
    page = _page("build", "--help")
    assert page.index("vner-annotate build news/ --out") < page.index("Options:")
    everywhere = ["--config", "--fresh", "--help", "--help-all"]
    exploding = ["--max-sample-tokens", "--negatives", "--instruction", "--split"]
    assert _flags(_page("explode", "--help")) == ["--out", *exploding, *everywhere]
    assert _flags(_page("clean", "--help")) == ["--out", "--types", "--labels", "--translate-labels", *everywhere]


def test_a_stage_accepts_settings_of_earlier_stages(tmp_path: Path) -> None:
    """A stage accepts settings of earlier stages, which it may have to run."""
    out = tmp_path / "run"
    must_succeed(vner("chunk", "--docs", "2", "--seed", "3", "--out", out, "-q"))


@pytest.mark.slow
def test_help_pages_have_one_style() -> None:
    """Placeholders are capitals or choices, defaults have no brackets, texts are short and begin with a capital."""
    for name, page in _pages().items():
        assert not re.search(r"<\w+>|\[default|VALUE\b(?<!NAME=VALUE)|\[\[|\{[A-Z]", page), name
        for text in re.findall(
            r"^  (?:-\w, )?--[\w-]+(?: [^ \n]+)*(?:\n {10,}| {2,})(.*(?:\n {10,}.*)*)", page, re.MULTILINE
        ):
            assert text[0].isupper(), (name, text)
            assert len(" ".join(text.partition("Default:")[0].split())) < 150, (name, text)


def test_commands_are_in_the_order_of_work() -> None:
    """Commands are listed in the order of work, from a build to a student."""
    listed = re.findall(r"^  ([a-z]+)  ", _page("--help"), flags=re.MULTILINE)
    assert listed == ["build", "plan", "update", "show", "review", "quality", "check", "labels", "audit", "report",
                      "export", "import", "publish", "sample", "chunk", "annotate", "clean", "explode",
                      "convert", "train", "experiment", "predict", "evaluate"]  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (["bild"], "build"),
        (["build", "--doc", "3"], "did you mean --docs?"),
        (["build", "--docs", "many"], "Invalid value for '--docs': not a valid integer\n"),
        (["build", "--negatives", "x"], "Invalid value for '--negatives': not a valid number\n"),
        (["build", "--max_token", "3"], "did you mean --max-tokens?"),
        (["build", "--config", "run.toml", "--out", "run"], "did you mean max_tokens?"),
        (["build", "--provider", "opnai", "--out", "run"], "did you mean openai?"),
        (["build", "--limits", "groqfree", "--provider", "groq", "--out", "run"], "did you mean groq-free?"),
        (["export", "run", "--format", "labelstudi", "--out", "x"], "did you mean labelstudio?"),
        (["train", "table-4.2.phomt-viquat"], "did you mean table-4.2.phomt-viquad?"),
        (["chunk", "news.jsonl", "--text-field", "contents", "--out", "run"], "did you mean content?"),
    ],
)
def test_a_typing_error_gets_a_suggestion(
    arguments: list[str], hint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A mistyped command, flag, setting or column gets a suggestion and creates no run directory."""
    monkeypatch.chdir(tmp_path)
    Path("run.toml").write_text("max_tokns = 3\n", encoding="utf-8")
    Path("news.jsonl").write_text('{"id": "1", "content": "Hà Nội."}\n', encoding="utf-8")
    result = vner(*arguments)
    assert result.exit_code == (1 if arguments[0] == "chunk" else 2)
    assert hint in result.output
    assert not Path("run").exists()


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("sample", "sample"),
        ("news/", "news"),
        ("a/tin-tức.2024.jsonl.gz", "tin-tức.2024"),
        ("bkai-foundation-models/BKAINewsCorpus@v1.0", "BKAINewsCorpus"),
        ("https://example.org/data/news.parquet?token=1", "news"),
        ("hf://datasets/org/name/data/*.parquet", "data"),
        ("..", ""),
    ],
)
def test_a_run_directory_is_named_after_its_source(source: str, name: str) -> None:
    """Without --out, the run directory is a folder in runs/ with the name of the source."""
    root = default_root(source)
    assert root.parent == Path("runs")
    assert root.name == (name or Path("..").resolve().name)


def test_without_out_the_run_directory_is_printed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without --out the run directory is printed; a run that cannot start leaves no folder."""
    monkeypatch.chdir(tmp_path)
    failed = vner("sample", "missing.jsonl")
    assert failed.exit_code == 1
    assert not Path("runs").exists()
    result = must_succeed(vner("sample", "--docs", "2", "-q"))
    assert "Run directory: runs/sample\n" in result.stderr
    assert Path("runs/sample/documents.parquet").exists()


@pytest.mark.slow
@pytest.mark.parametrize("command", ["train", "experiment"])
def test_missing_data_are_found_first(command: str, tmp_path: Path) -> None:
    """Missing data are an error before torch is imported and before the folder is created."""
    recipe = {"train": "table-4.2.viquad", "experiment": "table-4.2"}[command]
    program = (
        "import sys, cli\n"
        f"sys.argv[1:] = [{command!r}, {recipe!r}, '--data', {str(tmp_path)!r}, '--out', {str(tmp_path / 'a/b')!r}]\n"
        "try:\n    cli.main()\nexcept SystemExit as end:\n    print(end.code, 'torch' in sys.modules)"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT)
    assert ended.stdout.split() == ["1", "False"]
    assert "missing data: pile-ner.parquet" in ended.stderr
    assert not (tmp_path / "a").exists()


@pytest.mark.slow
def test_a_build_warns_about_missing_negatives(undisturbed: Path, tmp_path: Path) -> None:
    """A build without negatives prints their effect and the command that adds them; one with negatives does not."""
    out = str(shutil.copytree(undisturbed, tmp_path / "run"))
    shown = " ".join(vner("build", "--out", out, "-q").stdout.split())
    assert "F1 31.5 without negatives, 53.4 with" in shown
    assert f"vner-annotate build --out {out} --negatives 1" in shown
    assert "53.4 with" in (tmp_path / "run" / "README.md").read_text(encoding="utf-8")
    assert "53.4" not in vner("build", "--out", out, "--negatives", "1", "-q").stdout


def test_a_mistyped_run_directory_gets_a_suggestion(finished: Path) -> None:
    """A mistyped run directory gets a suggestion instead of a request to the Hub."""
    mistyped = finished.parent.name + "/rum"
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(finished.parent.parent)
        result = vner("audit", mistyped)
    assert result.exit_code == 1
    assert f"did you mean {finished.parent.name}/run?" in result.stderr


def test_numbers_agree_with_their_nouns() -> None:
    """Counts in messages agree with their nouns and verbs."""
    assert [plural(1, "type"), plural(1200, "type"), plural(2, "query"), plural(0, "batch")] == [
        "1 type", "1,200 types", "2 queries", "0 batches"
    ]  # fmt: skip
    assert have(1, "passage") == "1 passage has"


def test_show_chooses_by_type_and_names_the_next_passage(finished: Path) -> None:
    """``show --type`` shows a passage with the type and names the next one; --random draws one."""
    first = must_succeed(vner("show", finished, "--type", "Disease"))
    assert "disease" in first.stdout
    following = re.search(r"Next passage: vner-annotate show \S+ (\S+)", first.stderr)
    assert following
    must_succeed(vner("show", finished, following[1]))
    drawn = json.loads(vner("show", finished, "--random", "--json").stdout)
    assert drawn["mentions"]
    wrong = vner("show", finished, "--type", "persn")
    assert wrong.exit_code == 2
    assert "did you mean person?" in wrong.stderr


@pytest.mark.slow
def test_the_reference_is_up_to_date() -> None:
    """The docs/cli.md file is the output of ``make docs``."""
    made = subprocess.run(
        [sys.executable, ROOT / "docs" / "make_cli_reference.py"],
        capture_output=True,
        text=True,
        check=True,
        encoding="utf-8",
    )
    assert (ROOT / "docs" / "cli.md").read_text(encoding="utf-8") == made.stdout


def test_help_imports_nothing_heavy() -> None:
    """Importing the command line imports no heavy package."""
    data = {"pyarrow", "pandas", "numpy", "datasets", "jinja2"}
    language = {"openai", "groq", "tiktoken", "underthesea", "langdetect"}
    assert not (data | language) & modules_loaded_by("import cli")


def test_the_version_is_the_packages() -> None:
    """--version prints the version of pyproject.toml."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert vner("--version").output.strip() == project["version"]


def test_links_in_the_documents_exist() -> None:
    """The targets of relative links in README, CONTRIBUTING and docs exist."""
    for page in (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))):
        text = re.sub(r"```.*?```|`[^`\n]*`", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
        for target in re.findall(r"\]\(([^)#:]+)\)", text):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_paths_in_contributing_exist() -> None:
    """Every path that CONTRIBUTING.md names exists."""
    named = re.findall(r"`((?:annotator|data_cards|training|prompts|normalizers)/[\w./-]*)`",
                       (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8"))  # fmt: skip
    assert len(named) > 5
    assert [path for path in named if not (ROOT / path).exists()] == []


def test_a_settings_file_equals_flags(tmp_path: Path) -> None:
    """--config gives the same files as the same flags, and a flag overrides it."""
    settings = tmp_path / "run.toml"
    settings.write_text('source = "sample"\ndocs = 3\nseed = 4\n', encoding="utf-8")
    runner = CliRunner()
    one = runner.invoke(
        cli.app, ["chunk", "--config", str(settings), "--out", str(tmp_path / "a"), "--seed", "5", "-q"]
    )
    two = runner.invoke(cli.app, ["chunk", "sample", "--docs", "3", "--seed", "5", "--out", str(tmp_path / "b"), "-q"])
    assert one.exit_code == two.exit_code == 0, one.output + two.output
    assert (tmp_path / "a/passages.parquet").read_bytes() == (tmp_path / "b/passages.parquet").read_bytes()
