"""The command line: its commands, and the options that ``--help`` shows of each."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable
from typing import Annotated, Final

import typer

from annotator.config.settings import EXECUTION, STAGES, RunConfig
from annotator.terminal.flags import with_settings
from annotator.terminal.help_pages import CONTEXT, Command, Group
from data_cards.commands.audit import audit, report
from data_cards.commands.build import build, plan, stage_command, update
from data_cards.commands.check import check
from data_cards.commands.exchange import export_command, import_command
from data_cards.commands.labels import app as labels_app
from data_cards.commands.publish import publish
from data_cards.commands.review import quality, review
from data_cards.commands.show import show
from training.convert.commands import convert
from training.predict.commands import predict
from training.score.commands import evaluate
from training.train.commands import experiment, train

app = typer.Typer(
    name="vner-annotate",
    cls=Group,
    epilog="Exit codes: 0 done; 1 failed; 2 wrong usage or configuration; "
    "3 finished, some passages unanswered (the same command asks again); 130 interrupted, safe to run again.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings=CONTEXT,
)


def _show_version(wanted: bool) -> None:
    if wanted:
        from importlib import metadata

        typer.echo(metadata.version("vner-annotate"))
        raise typer.Exit


@app.callback()
def _main(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_show_version, is_eager=True)
    ] = False,
) -> None:
    """Build open-domain Vietnamese NER datasets from raw news, with a large language model as the teacher.

    Examples:
        vner-annotate build                        # the bundled sample; no key, no network
        vner-annotate build news/ --docs 300       # your own files
        vner-annotate show runs/news --random      # look at what came out
    """


_BUILD, _LOOK, _COUNT, _PASS_ON = "Build", "Look and correct", "Count and report", "Exchange and publish"
_STAGES, _TRAIN = "One stage at a time", "Train and evaluate"
_TEACHER: Final = ("provider", "model", "base_url", "limits")
_OFTEN: Final = ("out", "docs", "text_field", *_TEACHER)
_FORECAST: Final = ("pilot", "latency", "price_in", "price_out", "checking", "by", "share", "keep", "config")
_CHECK: Final = ("directory", *_TEACHER, "by", "share", "keep", "batch", "differences", "quiet", "as_json", "debug")
_PREDICT: Final = (
    "benchmark", "predictor", "out", "map_file", "show_map", "batch_size", "device", "base_url", "prompt", "rpm", "tpm",
    "quiet", "as_json", "debug",
)  # fmt: skip
_EVALUATE: Final = (
    "samples", "predictions", "compare", "perturb", "predictor", "out", "draws", "seed", "markdown", "quiet", "as_json",
    "debug",
)  # fmt: skip
_UPDATE: Final = ("directory", "source", "docs", "base_url", "concurrency", "batch", "quiet", "as_json", "debug")


def _of_panel(panel: str) -> list[str]:
    """Return the names of the settings of a panel."""
    return [item.name for item in dataclasses.fields(RunConfig) if item.metadata["panel"] == panel]


_ENDPOINT: Final = set(_of_panel("Teacher")) - {"provider", "model", "response_format"}


def _shown(stage: str) -> list[str]:
    """Return the options of a stage that ``--help`` shows."""
    own = {"sample": "Source", "chunk": "Passages", "annotate": "Teacher"}
    after = [item.name for item in dataclasses.fields(RunConfig) if item.metadata["panel"] == "Dataset"
             and (item.metadata["stage"] == "explode") == (stage == "explode")]  # fmt: skip
    return ["out", *(_of_panel(own[stage]) if stage in own else after), "batch", "config", "fresh"]


COMMANDS: Final[tuple[tuple[str, str, Callable[..., None]], ...]] = (
    (_BUILD, "build", with_settings(build, (*_OFTEN, "negatives", "config", "fresh"))),
    (_BUILD, "plan", with_settings(plan, (*_OFTEN, *_FORECAST))),
    (_BUILD, "update", with_settings(update, _UPDATE, only=set(EXECUTION) - {"source"})),
    (_LOOK, "show", show),
    (_LOOK, "review", review),
    (_LOOK, "quality", quality),
    (_LOOK, "check", with_settings(check, _CHECK, only=_of_panel("Teacher"))),
    (_COUNT, "audit", audit),
    (_COUNT, "report", report),
    (_PASS_ON, "export", export_command),
    (_PASS_ON, "import", import_command),
    (_PASS_ON, "publish", publish),
    *((_STAGES, stage, with_settings(stage_command(stage), _shown(stage))) for stage in STAGES),
    (_TRAIN, "convert", convert),
    (_TRAIN, "train", train),
    (_TRAIN, "experiment", experiment),
    (_TRAIN, "predict", with_settings(predict, _PREDICT, only=_ENDPOINT)),
    (_TRAIN, "evaluate", with_settings(evaluate, _EVALUATE, only=_ENDPOINT)),
)
"""Panel, name and function of each command, in the order of work."""

app.add_typer(labels_app, name="labels", rich_help_panel=_LOOK)
for _panel, _name, _command in COMMANDS:
    app.command(_name, cls=Command, rich_help_panel=_panel, context_settings=CONTEXT)(_command)


def main() -> None:
    """Run the command line ``vner-annotate``."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")  # Vietnamese in every locale
    app()


if __name__ == "__main__":
    main()
