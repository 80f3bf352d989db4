"""Choose a passage of a run to show: by its id, by a type, or at random."""

from __future__ import annotations

import random
from pathlib import Path

import typer
from rich.console import Console

from annotator.errors import ConfigError, did_you_mean
from annotator.storage import tables
from annotator.storage.rundir import RunDir, existing
from annotator.terminal.flags import print_json
from annotator.terminal.progress import printable
from data_cards.views.passage import find_passage
from normalizers.text import nfc


def show_passage(root: Path, wanted: str, entity_type: str, *, drawn: bool, as_json: bool) -> None:
    """Print a passage of the run ``root``, and on stderr how to see another.

    Args:
        root: the run directory.
        wanted: the id of the passage, or its beginning; empty to choose one.
        entity_type: choose among the passages with a mention of this type; empty: of any.
        drawn: choose at random; otherwise choose the first in the order of the file.
        as_json: print one JSON object instead.

    Raises:
        ConfigError: an id together with a way to choose one, or a type that the dataset lacks.
        RunDirError: there is no such passage, several begin with the id, or the run has none yet.
    """
    if wanted and (entity_type or drawn):
        raise ConfigError("give the id of a passage, or choose one with --type and --random, not both")
    run = existing(root)
    ids = _ids(run, entity_type)
    view = find_passage(run, wanted or (random.choice(ids) if drawn and ids else next(iter(ids), "")))
    if as_json:
        print_json(view.as_dict())
        return
    Console(highlight=False).print(view)
    shown = view.passage.id
    following = ids[ids.index(shown) + 1 :][:1] if shown in ids else []
    if following:
        typer.echo(f"\nNext passage: vner-annotate show {root} {following[0]}", err=True)
    typer.echo(f"Any passage:  vner-annotate show {root} --random", err=True)


def _ids(run: RunDir, entity_type: str) -> list[str]:
    """Return the ids of the passages with a mention (of ``entity_type``, if given), in the order of the file."""
    if not run.annotations.exists():
        return []
    annotations = tables.read_annotations(run.annotations)
    if not entity_type:
        return [found.passage_id for found in annotations if found.mentions]
    wanted, types = nfc(entity_type).strip().lower(), dict[str, None]()
    ids = []
    for found in annotations:
        own = {mention.label for mention in found.mentions}
        types.update(dict.fromkeys(own))
        if wanted in own:
            ids.append(found.passage_id)
    if not ids:
        hint = did_you_mean(wanted, types) or f"; vner-annotate audit {run.root} lists its types"
        raise ConfigError(f"{run.root} has no entity of the type {printable(entity_type)!r}{printable(hint)}")
    return ids
