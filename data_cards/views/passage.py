"""Find a passage of a run and everything known about it; display it in a terminal, in a notebook or as JSON."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib import resources
from typing import TYPE_CHECKING, Any

from annotator.errors import RunDirError
from annotator.records import Annotation, Completion, Passage, Rejected
from annotator.run.backends import answers_of
from annotator.run.manifest.stored_settings import settings_of
from annotator.storage import tables
from annotator.storage.rundir import RunDir, unfinished
from annotator.teachers import make_teacher

if TYPE_CHECKING:
    from rich.console import RenderableType


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

    def __rich__(self) -> RenderableType:
        from data_cards.views.terminal import passage_view

        return passage_view(self.passage, self.annotation, self.completion, self.rejected)

    def _repr_html_(self) -> str:
        from jinja2 import Environment, StrictUndefined

        from annotator.terminal.progress import printable
        from data_cards.views.highlighting import highlighted

        mentions = self.annotation.mentions if self.annotation else ()
        numbers = {label: number for number, label in enumerate(dict.fromkeys(item.label for item in mentions))}
        template = resources.files("data_cards").joinpath("templates", "passage.html.j2").read_text(encoding="utf-8")
        environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
        environment.filters["clean"] = lambda text: printable(str(text))
        return environment.from_string(template).render(
            passage=self.passage,
            html=highlighted(self.passage.text, mentions, numbers),
            mentions=mentions,
            completion=self.completion,
            status=self.annotation.reply_status if self.annotation else "could not be read",
            rejected=self.rejected,
        )


def find_passage(run: RunDir, wanted: str = "") -> PassageView:
    """Return the passage whose id begins with ``wanted``; without it, the first that has entities.

    Raises:
        RunDirError: there is no such passage, several begin with ``wanted``, or the run has none yet.
    """
    passage = _passage(run, wanted or _first_with_entities(run))
    return PassageView(
        passage,
        next((found for found in _annotations(run) if found.passage_id == passage.id), None),
        _completion(run, passage),
        tuple(item for item in _rejected(run) if item.record_id == passage.id),
    )


def _annotations(run: RunDir) -> Iterator[Annotation]:
    return tables.read_annotations(run.annotations) if run.annotations.exists() else iter(())


def _rejected(run: RunDir) -> Iterator[Rejected]:
    return tables.read_rejected(run.rejected) if run.rejected.exists() else iter(())


def _first_with_entities(run: RunDir) -> str:
    return next((annotation.passage_id for annotation in _annotations(run) if annotation.mentions), "")


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
