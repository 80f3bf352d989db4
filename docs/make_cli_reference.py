"""Print the command-line reference in Markdown, from the commands' own --help."""

from __future__ import annotations

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))


def reference() -> str:
    """The help of every command, as a person sees it in a terminal of 100 columns."""
    from typer.main import get_command
    from typer.testing import CliRunner

    import cli
    from annotator.config.settings import STAGES

    os.environ["COLUMNS"] = os.environ["TERMINAL_WIDTH"] = "100"
    runner = CliRunner()
    names = [
        " ".join(path)
        for name, command in get_command(cli.app).commands.items()  # type: ignore[attr-defined] # a group
        for path in ((name,), *((name, below) for below in getattr(command, "commands", ())))
    ]
    parts = [
        "# Command line\n\nMade from `--help` and `--help-all` by `make docs`; a test checks that it is up to date.\n"
        "A stage accepts the options of `build` too.\n"
    ]
    for name in ["", *names]:
        text = runner.invoke(cli.app, [*name.split(), "--help"], prog_name="vner-annotate", color=False).output
        if "--help-all" in text and name not in STAGES:  # a stage has the options of build
            text = runner.invoke(cli.app, [*name.split(), "--help-all"], prog_name="vner-annotate", color=False).output
        lines = "\n".join(line.rstrip() for line in text.strip("\n").splitlines())
        parts.append(f"## vner-annotate {name}".rstrip() + f"\n\n```\n{lines}\n```\n")
    return "\n".join(parts)


if __name__ == "__main__":
    sys.stdout.write(reference())
