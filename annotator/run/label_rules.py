"""The rules by which a finished run decides labels, for labels that people add."""

from __future__ import annotations

from pathlib import Path

from annotator.cleaning.clean import Decider
from annotator.cleaning.label_decisions import read_decisions
from annotator.cleaning.typed_labels import TypedLabels
from annotator.run.manifest.stored_settings import settings_of
from annotator.storage.rundir import RunDir
from annotator.teachers.entity_types import EntityType, Schema, read_types
from normalizers.labels import LabelNormalizer, load_lexicon


def types_of(run: RunDir) -> Schema | None:
    """Return the types of ``--types``, from the manifest where their file is gone; None without ``--types``."""
    if not (path := settings_of(run).types):
        return None
    if Path(path).exists():
        return read_types(Path(path))
    stored = run.read_manifest()["types"]
    return Schema(tuple(EntityType(**entry) for entry in stored["types"]), stored["sha256"])


def label_rules(run: RunDir) -> Decider:
    """Return the rules of a run: the lexicon, the decisions of ``--labels``, and the types of ``--types``.

    Raises:
        ConfigError: a file of decisions or types cannot be read.
    """
    decisions = settings_of(run).labels
    normalizer = LabelNormalizer(load_lexicon(), read_decisions(Path(decisions)).labels if decisions else {})
    schema = types_of(run)
    return TypedLabels(schema, normalizer) if schema else normalizer
