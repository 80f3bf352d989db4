"""Changes of a recipe by the command line. A module of its own, since help pages need it without pydantic."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import typer


@dataclass(frozen=True, slots=True)
class Changes:
    """Changes of a recipe by ``train`` and ``experiment``."""

    model: Annotated[
        str, typer.Option(metavar="NAME", help="Fine-tune this model: a folder, or a name on the Hub.")
    ] = ""
    limit: Annotated[
        int, typer.Option(metavar="N", min=0, help="Use at most this many samples of each dataset; 0 means all.")
    ] = 0
    sets: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="NAME=VALUE", help="Set a hyper-parameter, such as batch=8 or STAGE.batch=8. Repeatable."
        ),
    ] = None
