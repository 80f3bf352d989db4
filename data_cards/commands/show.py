"""The command ``show``. Its heavy imports are inside."""

from __future__ import annotations

from typing import Annotated

import typer

from annotator.terminal.exits import exits
from annotator.terminal.flags import AsJson, Debug, Directory


def show(
    directory: Directory,
    passage_id: Annotated[
        str | None,
        typer.Argument(
            metavar="PASSAGE", help="Show the passage whose id begins so. Default: the first with entities."
        ),
    ] = None,
    entity_type: Annotated[
        str, typer.Option("--type", metavar="TYPE", help="Choose among the passages with an entity of this type.")
    ] = "",
    drawn: Annotated[bool, typer.Option("--random", help="Choose a passage at random.")] = False,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Show a passage with its entities, the teacher's reply, and what was rejected and why.

    Examples:
        vner-annotate show runs/news
        vner-annotate show runs/news --type person --random
    """
    with exits(debug):
        from data_cards.views.passage import show_passage

        show_passage(directory, passage_id or "", entity_type, drawn=drawn, as_json=as_json)
