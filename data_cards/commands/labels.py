"""The commands of ``vner-annotate labels``. Heavy imports are inside the commands."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from annotator.config.settings import Asking
from annotator.errors import ConfigError
from annotator.terminal.exits import exits
from annotator.terminal.flags import AsJson, Debug, Directory, Quiet, print_json
from annotator.terminal.help_pages import CONTEXT, Command, Group
from annotator.terminal.progress import make_progress
from annotator.terminal.words import plural
from data_cards.commands.build import finish

app = typer.Typer(
    help="""Decide which entity type each unknown label becomes, and apply it.

    Examples:
        vner-annotate labels list runs/news
        vner-annotate labels review runs/news
        vner-annotate labels apply runs/news
    """,
    cls=Group,
    rich_markup_mode=None,
    no_args_is_help=True,
    context_settings=CONTEXT,
)

DecisionsFile = Annotated[
    Path | None,
    typer.Option(
        "--labels",
        metavar="FILE",
        help="Keep decisions in this file.",
        show_default="that of the run, else DIR/labels.toml",
    ),
]


def decisions_file(directory: Path) -> Path:
    """Return the file that keeps the decisions about a run when ``--labels`` is not given."""
    from annotator.storage.rundir import RunDir

    stored = RunDir(directory).read_manifest().get("config", {}).get("labels", "")
    return Path(stored) if stored else directory / "labels.toml"


@app.command("list", cls=Command)
def list_labels(
    directory: Directory,
    every: Annotated[
        bool, typer.Option("--all", help="List all labels, not only those that wait for a decision.")
    ] = False,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """List the labels that no rule knows, by frequency, with example mentions."""
    with exits(debug):
        from annotator.storage.rundir import existing
        from data_cards.labelling import listing

        run = existing(directory)
        labels = listing.all_labels(run) if every else listing.unresolved(run)
        if as_json:
            print_json({"out": str(directory), "labels": [label.as_dict() for label in labels]})
            return
        from rich.console import Console

        console = Console(highlight=False)
        if labels:
            console.print(listing.every_table(labels) if every else listing.waiting_table(labels))
        else:
            console.print("No label waits for a decision.")


@app.command(cls=Command)
def review(
    directory: Directory,
    labels: DecisionsFile = None,
    export: Annotated[
        Path | None, typer.Option("--export", metavar="FILE", help="Write the labels with examples to a file to edit.")
    ] = None,
    debug: Debug = False,
) -> None:
    """Decide in the terminal what becomes of each label that no rule knows; each decision is saved at once.

    Examples:
        vner-annotate labels review runs/news
        vner-annotate labels review runs/news --export labels.toml
    """
    with exits(debug, directory):
        from rich.console import Console

        from annotator.storage.atomic import replacing
        from annotator.storage.outputs import check_output
        from annotator.storage.rundir import existing
        from data_cards.labelling.deciding import Review, export_lines
        from data_cards.labelling.listing import unresolved
        from normalizers.labels import load_lexicon

        path, lexicon = labels or decisions_file(directory), load_lexicon()
        check_output(path, "--labels", own="labels.toml")
        if export:
            check_output(export, "--export")
        console = Console(highlight=False)
        reviewing = Review(path, lexicon, console, input)
        pending = reviewing.pending(unresolved(existing(directory)))
        if not pending:
            typer.echo("No label waits for a decision.")
            return
        if export:
            if export.exists():
                raise ConfigError(f"{export} exists already; choose another --export, so that no decision is lost")
            with replacing(export) as file:
                file.writelines(line.encode("utf-8") for line in export_lines(pending, lexicon))
            typer.echo(f"{plural(len(pending), 'label')} in {export}; edit it, then: "
                       f"vner-annotate labels apply {directory} {export}")  # fmt: skip
            return
        decided = reviewing.run(pending)
        typer.echo(f"\n{plural(decided, 'label')} decided, {len(pending) - decided:,} left")
        if decided:
            typer.echo(f"apply them: vner-annotate labels apply {directory} {path}")


@app.command(cls=Command)
def apply(
    directory: Directory,
    labels: Annotated[
        Path | None,
        typer.Argument(metavar="FILE", help="Your decisions. Default: those of the run, else DIR/labels.toml."),
    ] = None,
    translate_labels: Annotated[
        bool,
        typer.Option("--translate-labels", help="Ask the teacher to translate the labels that are left undecided."),
    ] = False,
    quiet: Quiet = False,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Apply your decisions: clean and explode again. Sends no request without --translate-labels.

    Examples:
        vner-annotate labels apply runs/news
    """
    with exits(debug, directory):
        from annotator.run.runner import running
        from annotator.storage.rundir import existing

        path = labels or decisions_file(existing(directory).root)
        settings: dict[str, Any] = {"translate_labels": True} if translate_labels else {}
        if path.exists() or not translate_labels:
            settings["labels"] = str(path)
        if not path.exists() and not translate_labels:
            raise ConfigError(f"no decisions in {path}; make them with: vner-annotate labels review {directory}")
        asking: Asking = "now" if translate_labels else "never"
        finish(running(directory, settings, make_progress(quiet=quiet), asking=asking), as_json=as_json)


@app.command(cls=Command)
def normalize(
    labels: Annotated[
        Path | None, typer.Option("--labels", metavar="FILE", help="Read decisions from this file.")
    ] = None,
    debug: Debug = False,
) -> None:
    """Normalise raw labels from stdin, one per line, to JSON lines: raw, label, status, rule.

    Examples:
        echo ORG | vner-annotate labels normalize
    """
    with exits(debug):
        from annotator.cleaning.label_decisions import read_decisions
        from normalizers.labels import LabelNormalizer, load_lexicon

        normalizer = LabelNormalizer(load_lexicon(), read_decisions(labels).labels if labels else {})
        try:
            for line in sys.stdin.buffer:
                decided = normalizer.decide(line.decode("utf-8", "replace").rstrip("\r\n"))
                sys.stdout.write(json.dumps(asdict(decided), ensure_ascii=False) + "\n")
                sys.stdout.flush()  # a program that sends one line at a time gets its answer at once
        except BrokenPipeError:
            sys.stderr.close()  # the reader stopped; suppress Python's own message at exit
            raise typer.Exit(0) from None
