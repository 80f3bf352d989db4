"""Find a passage of a run with everything known about it, and show it in a terminal, in a notebook or as JSON.

Text of the news and of the teacher is shown as text: markup has no effect, control characters are visible.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import typer
from rich.console import Console, Group, RenderableType
from rich.panel import Panel
from rich.text import Text

from annotator.errors import ConfigError, RunDirError, did_you_mean
from annotator.records import Annotation, Completion, Mention, Passage, Rejected
from annotator.run.backends import answers_of
from annotator.run.manifest.stored_settings import settings_of
from annotator.storage import tables
from annotator.storage.rundir import RunDir, existing, unfinished
from annotator.teachers import make_teacher
from annotator.terminal.flags import print_json
from annotator.terminal.progress import printable
from annotator.terminal.tables import Cell, text_table
from data_cards.pages import render
from data_cards.views.highlighting import highlighted
from data_cards.views.terminal import titled
from normalizers.text import nfc

_STYLES: Final = ("black on bright_cyan", "black on bright_yellow", "black on bright_green", "black on bright_magenta",
                  "black on bright_blue", "black on orange1", "black on bright_red", "black on white")  # fmt: skip
LONGEST_REPLY: Final = 4000
"""Characters of a reply that are shown."""


@dataclass(frozen=True, slots=True)
class PassageView:
    """A passage with its annotation, the teacher's reply and the records that were rejected.

    Jupyter displays it as HTML, ``rich`` prints it with colours.
    """

    passage: Passage
    annotation: Annotation | None
    """None without a readable reply."""
    completion: Completion | None
    """None while the teacher has not answered."""
    rejected: tuple[Rejected, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return passage, mentions, reply, its status and the rejected records as JSON types."""
        annotation, completion = self.annotation, self.completion
        return {
            "passage": asdict(self.passage),
            "mentions": [asdict(mention) for mention in annotation.mentions] if annotation else None,
            "reply": completion.reply if completion else None,
            "reply_status": annotation.reply_status if annotation else None,
            "rejected": [asdict(item) for item in self.rejected],
        }

    @property
    def _mentions(self) -> tuple[Mention, ...]:
        return self.annotation.mentions if self.annotation else ()

    @property
    def _status(self) -> str:
        return self.annotation.reply_status if self.annotation else "could not be read"

    def __rich__(self) -> RenderableType:
        styles = {label: _STYLES[number % len(_STYLES)] for label, number in _numbers(self._mentions).items()}
        parts: list[RenderableType] = [_passage_panel(self.passage, self._mentions, styles)]
        if self._mentions:
            parts.append(titled("Entities", _entities(self._mentions, styles)))
        if self.completion:
            reply = printable(self.completion.reply)
            if len(reply) > LONGEST_REPLY:
                reply = f"{reply[:LONGEST_REPLY]} ... ({len(reply):,} characters)"
            parts.append(titled(f"The teacher's reply ({self._status})", Text(reply)))
        else:
            parts.append(Text("\nThe teacher has not answered yet.", style="yellow"))
        if self.rejected:
            header = ("stage", "rejected", "reason", "detail")
            parts.append(titled("Left out", text_table(map(_left_out, self.rejected), header)))
        return Group(*parts)

    def _repr_html_(self) -> str:
        return render(
            "passage.html.j2",
            passage=self.passage,
            html=highlighted(self.passage.text, self._mentions, _numbers(self._mentions)),
            mentions=self._mentions,
            completion=self.completion,
            status=self._status,
            rejected=self.rejected,
        )


def find_passage(run: RunDir, wanted: str = "") -> PassageView:
    """Return the passage whose id begins with ``wanted``; without it, the first that has entities.

    Raises:
        RunDirError: there is no such passage, several begin with ``wanted``, or the run has none yet.
    """
    passage = _passage(run, wanted or next((found.passage_id for found in _annotations(run) if found.mentions), ""))
    rejected = tables.read_rejected(run.rejected) if run.rejected.exists() else ()
    return PassageView(
        passage,
        next((found for found in _annotations(run) if found.passage_id == passage.id), None),
        _completion(run, passage),
        tuple(item for item in rejected if item.record_id == passage.id),
    )


def show_passage(root: Path, wanted: str, entity_type: str, *, drawn: bool, as_json: bool) -> None:
    """Print a passage of the run ``root``, and on stderr the commands for others.

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


def _annotations(run: RunDir) -> Iterator[Annotation]:
    return tables.read_annotations(run.annotations) if run.annotations.exists() else iter(())


def _passage(run: RunDir, wanted: str) -> Passage:
    if not run.passages.exists():
        raise unfinished(run)
    matching = [passage for passage in tables.read_passages(run.passages) if passage.id.startswith(wanted)]
    if not matching:
        raise RunDirError(
            f"no passage of {run.root} has an id that begins with {wanted!r}; ids stand in {run.passages}"
        )
    if wanted and len(matching) > 1:
        raise RunDirError(f"{len(matching)} passages begin with {wanted!r}; give more of the id")
    return matching[0]


def _completion(run: RunDir, passage: Passage) -> Completion | None:
    teacher = make_teacher(settings_of(run))
    with answers_of(run) as ledger:
        return ledger.get(teacher.question(passage.text).key) if ledger else None


def _numbers(mentions: Iterable[Mention]) -> dict[str, int]:
    """Return a number for each type, in the order of first occurrence."""
    return {label: number for number, label in enumerate(dict.fromkeys(mention.label for mention in mentions))}


def _passage_panel(passage: Passage, mentions: Iterable[Mention], styles: Mapping[str, str]) -> RenderableType:
    text = Text()
    position = 0
    for mention in mentions:
        if mention.start < position:
            continue  # nested in a highlighted mention; the table below lists it
        text.append(printable(passage.text[position : mention.start]))
        text.append(printable(mention.text), style=styles[mention.label])
        position = mention.end
    text.append(printable(passage.text[position:]))
    came_from = ", ".join(f"{piece.document_id} [{piece.start}:{piece.end}]" for piece in passage.pieces)
    title = f"passage {passage.id}, {passage.n_tokens} tokens"
    return Panel(
        text, title=Text(title), subtitle=Text(printable(came_from)), title_align="left", subtitle_align="left"
    )


def _entities(mentions: Iterable[Mention], styles: Mapping[str, str]) -> RenderableType:
    rows = []
    for label, style in styles.items():
        group = [mention for mention in mentions if mention.label == label]
        texts, raw, rules = (
            dict.fromkeys(getattr(mention, name) for mention in group) for name in ("text", "raw_label", "match")
        )
        rows.append((Text(f" {printable(label)} ", style=style), "; ".join(texts), ", ".join(raw), ", ".join(rules)))
    return text_table(rows, ("type", "mentions", "raw label", "match"))


def _left_out(item: Rejected) -> tuple[Cell, ...]:
    value = item.value if item.stage == "clean" else item.value[:80]
    value += f" [{item.label}]" if item.label else ""
    return item.stage, Text(printable(value), style="red"), item.reason, item.detail
