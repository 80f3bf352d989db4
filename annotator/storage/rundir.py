"""Name the files of a run directory, recognise one, and lock it for one process.

The manifest is written after the files that it describes, so a stage that it names is complete.

A manifest is recognised by the field ``format``, or by the fields that manifests had before there was such a field. A
directory whose manifest is missing or damaged is recognised by its ledger.
"""

from __future__ import annotations

import json
import re
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from annotator.config.settings import STAGES
from annotator.errors import RunDirError
from annotator.storage.atomic import explained, locked

SPLITS: Final = ("train", "validation", "test")
FORMAT: Final = "vner-annotate run"
"""Value of the field ``format`` of a manifest."""
_OLD_FIELDS: Final = frozenset({"made_by", "config", "source", "tokenizer", "teacher", "lexicon", "stages"})
"""Fields of every manifest that has no ``format``."""
APPLICATION_ID: Final = 0x564E4552  # "VNER"; SQLite stores it in the ledger's header
FOLDERS: Final = ("samples", "figures", "reviews", ".stages", ".batches")
"""Subfolders of a run directory."""
FIGURES: Final = ("funnel", "top-types", "long-tail")
"""Pictures of the report, each as PNG and SVG."""


class _File:
    """A file of a run directory: read as an attribute, it is the path of the file."""

    def __init__(self, *parts: str) -> None:
        self.parts = parts

    def __get__(self, run: RunDir, kind: type[RunDir]) -> Path:
        return run.root.joinpath(*self.parts)


@dataclass(frozen=True)
class RunDir:
    """The paths of the files of a run directory."""

    root: Path

    manifest = _File("manifest.json")
    """Configuration, versions, fingerprints of the stages, times."""
    documents = _File("documents.parquet")
    """The sampled documents."""
    passages = _File("passages.parquet")
    """The passages that the teacher annotates."""
    ledger = _File("completions.sqlite")
    """Every completion of the teacher."""
    batches = _File("batches.json")
    """Submitted batches of a Batch API, with their status."""
    questions = _File(".stages", "questions.parquet")
    """The key of each passage's question, once the annotate stage has run."""
    annotations = _File("annotations.parquet")
    """Answered passages with clean mentions."""
    predicted_before_review = _File(".stages", "predicted.parquet")
    """Annotations before the changes of reviewers; exists only where there are reviews."""
    probabilities = _File(".stages", "probabilities.parquet")
    """The teacher's probability of each entity; exists only where token probabilities were requested."""
    quality = _File("quality.json")
    """Precision and recall, from reviews."""
    check = _File("check.json")
    """Settings of a second teacher; no stage writes or removes it."""
    agreement = _File("agreement.parquet")
    """The entities of two teachers with their verdicts; exists only where there is a second teacher."""
    labels = _File("labels.parquet")
    """The merge log: the type that each raw label became."""
    corrections = _File("corrections.parquet")
    """Corrections by people; no stage writes or removes it."""
    rejected = _File("rejected.parquet")
    """Rejected records of all stages."""
    audit = _File("audit.json")
    """The figures of the audit."""
    card = _File("README.md")
    """The data card."""
    croissant = _File("croissant.json")
    """The description of the dataset for machines."""
    recipe = _File("recipe.toml")
    """The settings and hashes that rebuild the dataset with the ledger."""
    report = _File("report.html")
    """The HTML report."""

    @property
    def predicted(self) -> Path:
        """The annotations of the teacher alone: a file of its own where reviews have changed some."""
        own = self.predicted_before_review
        return own if own.exists() else self.annotations

    def asked_in(self, mark: str) -> Path:
        """Return the file of the questions of one batch: lines of key, tab, passage id."""
        return self.root / ".batches" / f"{mark}.tsv"

    def samples(self, split: str) -> Path:
        """Return the file of the samples of ``train``, ``validation`` or ``test``."""
        return self.root / "samples" / f"{split}.parquet"

    def rejected_by(self, stage: str) -> Path:
        """Return the file of the rejected records of one stage; ``rejected`` holds those of all stages."""
        return self.root / ".stages" / f"rejected-{stage}.parquet"

    def made_by(self, stage: str) -> tuple[Path, ...]:
        """Return the files that a stage writes and can write again: all but the ledger."""
        own = {
            "sample": (self.documents,),
            "chunk": (self.passages,),
            "annotate": (),
            "clean": (self.annotations, self.labels, *((self.agreement,) if self.check.exists() else ())),
            "explode": tuple(self.samples(split) for split in SPLITS),
        }[stage]
        return (*own, self.rejected_by(stage))

    def report_files(self) -> tuple[Path, ...]:
        """Return the files of the report and its pictures."""
        folder = self.root / "figures"
        return (self.report, *(folder / f"{name}.{kind}" for name in FIGURES for kind in ("png", "svg")))

    def results(self) -> tuple[Path, ...]:
        """Return the files of the stages that a rebuild writes again byte for byte."""
        made = (path for stage in STAGES for path in self.made_by(stage) if path != self.rejected_by(stage))
        return (*made, self.rejected)

    def forget(self, first: str) -> None:
        """Remove the files of the stages from ``first`` on. The ledger stays: its answers are paid for."""
        stages = STAGES[STAGES.index(first) :]
        with explained(self.root):
            for path in (
                *((self.questions,) if "annotate" in stages else ()),
                self.rejected,
                self.audit,
                self.card,
                self.croissant,
                self.recipe,
                *self.report_files(),
                *(path for stage in stages for path in self.made_by(stage)),
            ):
                path.unlink(missing_ok=True)

    def read_manifest(self) -> dict[str, Any]:
        """Return the manifest, or an empty one where there is none.

        Raises:
            RunDirError: it cannot be read, or another program wrote it.
        """
        try:
            found = json.loads(self.manifest.read_text(encoding="utf-8"))
        except (FileNotFoundError, NotADirectoryError):
            return {}
        except (OSError, ValueError) as error:
            fix = "run with --fresh (paid answers stay)" if _is_ledger(self.ledger) else "choose another --out"
            raise RunDirError(f"cannot read {self.manifest}: {error}; {fix}") from error
        if not is_manifest(found):
            raise RunDirError(f"{self.manifest} is not a manifest of vner-annotate; choose another directory")
        return dict(found)

    def recognised(self) -> bool:
        """Return whether this is a run directory: by its manifest, or by its ledger where that cannot be read."""
        try:
            return is_manifest(json.loads(self.manifest.read_text(encoding="utf-8")))
        except (OSError, ValueError):
            return _is_ledger(self.ledger)


FILES: Final = frozenset(
    file.parts[0] for file in vars(RunDir).values() if isinstance(file, _File) and len(file.parts) == 1
)
"""Names of the files of a run directory, outside its subfolders."""


def is_manifest(value: Any) -> bool:
    """Return whether ``value``, a piece of JSON, is a manifest that this program wrote."""
    if not isinstance(value, dict):
        return False
    made_by = value.get("made_by")
    old = value.keys() >= _OLD_FIELDS and isinstance(made_by, dict) and "vner-annotate" in made_by
    return value.get("format") == FORMAT or ("format" not in value and old)


def _is_ledger(path: Path) -> bool:
    if not path.is_file():
        return False
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as database:
            return bool(database.execute("PRAGMA application_id").fetchone() == (APPLICATION_ID,))
    except sqlite3.Error:
        return False


@contextmanager
def opened(root: Path) -> Iterator[RunDir]:
    """Create ``root`` if needed, and lock it for this process.

    A directory that was created here is removed again if an error leaves it with no file but the manifest.

    Raises:
        RunDirError: it is not a folder, holds other files, cannot be written, or another process has locked it.
    """
    run = RunDir(root)
    with explained(root):
        if root.exists() and not root.is_dir():
            raise RunDirError(f"{root} is a file; --out needs a folder")
        created = [folder for folder in (root, *root.parents) if not folder.exists()]
        root.mkdir(parents=True, exist_ok=True)
        others = sorted(entry.name for entry in root.iterdir() if not entry.name.startswith("."))
        if others and not run.recognised():
            shown = run.manifest.name if run.manifest.name in others else others[0]
            raise RunDirError(f"{root} is not a run directory and not empty (it holds {shown}); choose another --out")
    with locked(root / ".lock", root):
        try:
            _remove_unfinished(root)
            yield run
        except BaseException:
            _remove_empty(run, created)
            raise


def _remove_unfinished(root: Path) -> None:
    """Remove the parts of files that a killed process left; the caller holds the lock."""
    for folder in (root, *(root / name for name in FOLDERS)):
        for unfinished in folder.glob(".*.part"):
            unfinished.unlink(missing_ok=True)


def _remove_empty(run: RunDir, created: list[Path]) -> None:
    """Remove the run directory and its parents that were created, if it has no file of results."""
    files = (path.name for path in run.root.rglob("*") if not path.is_dir())
    if created and set(files) <= {".lock", run.manifest.name}:
        shutil.rmtree(run.root, ignore_errors=True)
        with suppress(OSError):
            for parent in created[1:]:
                parent.rmdir()  # fails where another run has begun in it meanwhile


def existing(root: Path) -> RunDir:
    """Return the run directory ``root``, for reading.

    Raises:
        RunDirError: it is not a run directory.
    """
    run = RunDir(root)
    if not run.read_manifest():
        if run.recognised():
            raise unfinished(run)
        with explained(root):
            in_use = root.is_file() or (root.is_dir() and any(root.iterdir()))
        fix = "give a folder that build made" if in_use else f"create one with: vner-annotate build --out {root}"
        raise RunDirError(f"{root} is not a run directory; {fix}")
    return run


def unfinished(run: RunDir) -> RunDirError:
    """Return the error of a run without the results that a command needs."""
    return RunDirError(f"{run.root} is not finished; finish it first: vner-annotate build --out {run.root}")


def annotated(root: Path) -> RunDir:
    """Return the run directory ``root``, which has annotations.

    Raises:
        RunDirError: it is not a run directory, or its cleaning is not done.
    """
    run = existing(root)
    if not run.annotations.exists():
        raise unfinished(run)
    return run


def default_root(source: str) -> Path:
    """Return the run directory of a source where none is given: ``runs/`` and the source's name without its endings."""
    if Path(source).exists():
        source = str(Path(source).resolve())
    elif "://" not in source:
        source = source.partition("@")[0]  # the revision of a Hub dataset
    for part in reversed(re.split(r"[/\\]+", re.sub(r"[?#].*$", "", source))):
        name = re.sub(r"[^\w.-]+", "-", re.sub(r"(\.(jsonl?|csv|txt|parquet|gz))+$", "", part)).strip("-.")
        if name:
            return Path("runs") / name
    return Path("runs") / "sample"
