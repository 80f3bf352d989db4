"""Map labels to the types of ``--types``; a label without such a type is rejected."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from annotator.cleaning.clean import NOT_IN_TYPES
from annotator.teachers.entity_types import Schema
from normalizers.labels import LabelDecision, LabelNormalizer, clean_label


class TypedLabels:
    """Decides labels by the names and synonyms of a schema: as they are written, then by their canonical form."""

    def __init__(self, schema: Schema, normalizer: LabelNormalizer) -> None:
        """Take ``normalizer`` for canonical forms; the user's own decisions about labels are applied before."""
        self._normalizer = normalizer
        names = [(one.name, one.name) for one in schema.types]
        synonyms = [(synonym, one.name) for one in schema.types for synonym in one.synonyms]
        self._written = {clean_label(text): name for text, name in (*names, *synonyms)}
        self._canonical = {**self._forms(synonyms), **self._forms(names)}

    def decide(self, raw: str) -> LabelDecision:
        """Decide one label: a type of the schema, or rejected."""
        decision = self._normalizer.decide(raw)
        if decision.label is None and decision.rule == "user":
            return decision
        label = decision.label or ""
        written = label if decision.rule == "user" else clean_label(raw)
        name = self._written.get(written) or self._written.get(label) or self._canonical.get(label)
        if not name:
            return LabelDecision(raw, None, "rejected", NOT_IN_TYPES)
        return LabelDecision(raw, name, *(("kept", "known") if name == raw else ("changed", "types")))

    def _forms(self, pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
        """Return the types by canonical form, without the forms that two types share."""
        found = defaultdict[str, set[str]](set)
        for text, name in pairs:
            if label := self._normalizer.decide(text).label:
                found[label].add(name)
        return {label: next(iter(names)) for label, names in found.items() if len(names) == 1}
