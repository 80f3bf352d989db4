"""Add articles to a finished run: add one step to its draw, and build again.

The step is part of a setting of the run, ``added_docs``. It is in the manifest before anything else changes, so that a
killed update is continued, and never counted twice.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from annotator.config.settings import EXECUTION, STAGES, Asking, RunConfig, flag
from annotator.errors import ConfigError, RunDirError
from annotator.run.manifest.stored_settings import settings_of
from annotator.run.runner import Outcome, running
from annotator.storage.rundir import RunDir, existing
from annotator.terminal.events import Progress
from annotator.terminal.words import plural

_NUMBER: Final = re.compile(r"(\+?)(\d{1,12})")


@contextmanager
def updating(
    root: Path,
    docs: str | None,
    given: Mapping[str, Any],
    progress: Progress,
    *,
    asking: Asking = "now",
) -> Iterator[Outcome]:
    """Add articles to a finished run, or continue an update, and yield the outcome as ``running`` does.

    Passages, splits and samples of earlier articles stay as they are. The teacher is asked only about passages that
    have no answer yet.

    Args:
        root: the run directory.
        docs: ``+N`` to add N articles, ``N`` for N articles in all; None: continue the last update.
        given: some of ``EXECUTION``; the other settings are those of the run.
        progress: receives all events.
        asking: ``now``, or ``batch``: by the provider's Batch API.

    Raises:
        AnnotateError: see ``annotator.errors``. Paid answers are on the disk.
    """
    if other := sorted(set(given) - set(EXECUTION)):
        raise ConfigError(f"an update keeps the settings of the run: leave out {', '.join(map(flag, other))}")
    run = existing(root)
    manifest = run.read_manifest()
    config = settings_of(run)
    added = plan_update(docs, config, manifest, run)
    if added != config.added_docs:
        _refuse_unknown_commit(manifest, run)
        with running(root, given, progress, until="chunk", asking="never"):
            pass  # raises an error where this version would sample or chunk the articles of the run differently
        total, more = sum(config.steps), int(added.rpartition(",")[2])
        progress.say(f"adding {plural(more, 'article')} to the {total:,} of {root}")
    elif config.added_docs:
        wanted = f"{sum(config.steps):,} articles"
        if _finished(manifest, run):
            progress.say(f"{root} has its {wanted}; --docs +N adds N more")
        else:  # +N would repeat this step; the number of all articles adds to it
            progress.say(f"continuing the update of {root} to {wanted}; --docs N adds up to N in all")
    with running(root, {**given, "added_docs": added}, progress, asking=asking) as outcome:
        yield outcome


def _finished(manifest: Mapping[str, Any], run: RunDir) -> bool:
    return set(STAGES) <= set(manifest.get("stages", {})) and run.card.exists()  # the card is written last


def plan_update(docs: str | None, config: RunConfig, manifest: Mapping[str, Any], run: RunDir) -> str:
    """Return the setting ``added_docs`` of the updated run: with one more step, or unchanged to continue an update.

    While the last step is not finished, or has passages without an answer, the same number of articles means that step:
    repeating a killed command adds nothing twice.

    Raises:
        ConfigError: ``docs`` is no number of articles that can be added.
        RunDirError: the run is not finished.
    """
    stages = manifest.get("stages", {})
    finished = _finished(manifest, run)
    total, last = sum(config.steps), config.steps[-1] if config.added_docs else 0
    if docs is None:
        if last:
            return config.added_docs
        raise ConfigError(f"{run.root} has no update to continue; add articles with --docs +N")
    found = _NUMBER.fullmatch(docs.strip())
    if not found or not int(found[2]):
        raise ConfigError(f"--docs needs +N, to add N articles (1 or more), or N, to have N in all; not {docs!r}")
    is_relative, number = bool(found[1]), int(found[2])
    unanswered = stages.get("annotate", {}).get("unanswered", 0)
    if last and (not finished or unanswered) and number == (last if is_relative else total):
        return config.added_docs
    if not finished:
        how = f"vner-annotate update {run.root}" if last else f"vner-annotate build --out {run.root}"
        raise RunDirError(f"{run.root} is not finished; finish it first: {how}")
    more = number if is_relative else number - total
    if more < 0:
        raise ConfigError(f"--docs {number}: {run.root} has {total:,} articles, and an update only adds; give more")
    if not more:
        return config.added_docs
    drawn = stages["sample"]["funnel"][0]["out"]
    if drawn < total:
        raise ConfigError(f"the source has no more articles: all {drawn:,} that can be used are in {run.root}")
    return ",".join(map(str, (*config.steps[1:], more)))


def _refuse_unknown_commit(manifest: Mapping[str, Any], run: RunDir) -> None:
    """Refuse a Hub dataset whose sampled commit was not recorded: its newest commit may have other rows."""
    source = manifest["source"]
    if source.get("fingerprint", "").startswith("hub:") and not source.get("revision"):
        raise ConfigError(
            f"{run.root} was made by a version that did not record the commit of {source['name']}, so its articles "
            "cannot be drawn again; build a new run with another --out"
        )
