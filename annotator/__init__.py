"""Build open-domain Vietnamese NER datasets from raw text, with a large language model as the teacher.

    import annotator

    run = annotator.build("news/", out="runs/news", docs=300)
    run.show()                  # a passage with its entities
    run.to_datasets()["train"]  # the samples

``build`` runs the method, ``update`` adds articles, ``open_run`` opens a run directory; each returns a ``Run``. See
docs/python.md.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from annotator.api import Run, build, open_run, update

__all__ = ["Run", "build", "open_run", "update"]


def __getattr__(name: str) -> Any:
    """Import the API when it is first used, so that the command line starts at once."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from annotator import api

    return getattr(api, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
