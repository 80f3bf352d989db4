"""The versions of an updated dataset: the articles of the first build, and those that each update added.

All figures are counted in the current files. An update changes no earlier sample, so the figures of an earlier version
are those of its articles, under the current decisions and reviews.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

from annotator.run.manifest.stored_settings import settings_of
from annotator.run.update_steps import document_steps, passage_steps
from annotator.storage import tables
from annotator.storage.rundir import SPLITS, RunDir
from data_cards.audit.database import Database

NEW_TYPES: Final = 20
"""New types of a version that are listed."""

_SAMPLES: Final = "SELECT step, split, count(*) FROM samples JOIN steps USING (passage) GROUP BY ALL"
_MENTIONS: Final = "SELECT step, sum(mentions)::BIGINT FROM occurrences JOIN steps USING (passage) GROUP BY step"
_TYPES: Final = """
SELECT step, label, count(*) FROM occurrences JOIN steps USING (passage)
GROUP BY step, label QUALIFY step = min(step) OVER (PARTITION BY label)
"""


def changelog(run: RunDir, database: Database, splits: Sequence[str]) -> list[dict[str, Any]]:
    """Return what each version added, the oldest first; an empty list for a run that was not updated.

    Args:
        run: a finished run.
        database: with samples and mentions.
        splits: names of the splits by their numbers in the database.
    """
    passages = passage_steps(run)
    if len(passages) == 1:
        return []
    documents = document_steps(run, settings_of(run))
    database.run("CREATE TABLE steps (passage UBIGINT, step INTEGER)")
    for step, rows in enumerate(passages):
        for batch in tables.batches(run.passages, ["id"], rows=rows):
            database.insert("steps", f"SELECT hashed(id), {step} FROM batch", batch)  # noqa: S608 - a number
    samples = {(step, splits[number]): count for step, number, count in database.rows(_SAMPLES)}
    mentions = dict(database.rows(_MENTIONS))
    types = [Counter[str]() for _ in passages]
    for step, label, count in database.rows(_TYPES):
        types[step][label] = count
    added = [
        {
            "documents": len(documents[step]),
            "passages": len(passages[step]),
            "samples": {split: samples.get((step, split), 0) for split in SPLITS},
            "mentions": mentions.get(step, 0),
            "types": len(new),
            "new_types": sorted(new, key=lambda label: (-new[label], label))[:NEW_TYPES],
        }
        for step, new in enumerate(types)
        if documents[step]
    ]
    return [{"version": number, **one} for number, one in enumerate(added, start=1)]
