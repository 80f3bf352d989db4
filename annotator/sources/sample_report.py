"""Report the costs of a draw from a source: rows, row groups, bytes, time and memory."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from typing import TypeAlias

Progress: TypeAlias = Callable[[int, int | None], None]
"""Called now and then with the number of rows that were read, and their total where it is known."""


@dataclass(slots=True)
class SampleReport:
    """The cost of sampling, filled while ``sample`` is consumed. None where a figure does not apply to the source."""

    rows_total: int | None = None
    """Rows of the source; None for a streamed Hub dataset, which is not read to its end."""
    rows_taken: int = 0
    """Rows that were judged: documents and rejections together."""
    row_groups_total: int | None = None
    """Parquet row groups of the source; None unless all of its files are Parquet."""
    row_groups_read: int | None = None
    bytes_total: int | None = None
    """Size of all files; None for a streamed Hub dataset."""
    bytes_read: int | None = None
    """Bytes of them that were read, footers too; a row group that is read twice counts once."""
    seconds: float = 0.0
    peak_rss_mb: float | None = None
    """Most memory the process ever held, in MiB; None where the system does not report it."""
    documents: int = 0
    """Accepted documents."""
    screened: Counter[str] = field(default_factory=Counter)
    """Rows that were left out, by reason."""
    characters_cut: int = 0
    """Characters of boilerplate that were removed from the accepted documents."""
    encodings_repaired: int = 0
    """Accepted documents whose encoding was repaired."""
    on_progress: Progress = field(default=lambda *_: None, compare=False, repr=False)

    def finish(self, seconds: float) -> None:
        """Record the time and the memory of the whole draw."""
        self.seconds, self.peak_rss_mb = round(seconds, 3), _peak_rss_mb()

    def as_dict(self) -> dict[str, object]:
        """Return the figures as they are in the manifest and in the output of ``--json``."""
        figures = {one.name: getattr(self, one.name) for one in fields(self) if one.name != "on_progress"}
        return {**figures, "screened": dict(sorted(self.screened.items(), key=lambda item: (-item[1], item[0])))}


def _peak_rss_mb() -> float | None:
    try:
        import resource
    except ImportError:  # Windows
        return None
    unit = 1 << 20 if sys.platform == "darwin" else 1 << 10
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit, 1)
