"""Versioned prompt files and their loader.

A prompt is a TOML file ``NAME.VERSION.toml`` with ``name``, ``version``, ``system`` and ``user``. ``{passage}`` in
``user`` is replaced by the passage (``{label}`` by a label, if the prompt asks about one). Its sha256 is in every
manifest, so a published dataset can name its prompt.

A prompt may have worked examples: tables ``[[examples]]`` with ``passage`` and ``entities``, a list of pairs of mention
and type. They replace ``{examples}`` in ``user``. Each mention must be an exact slice of its passage.

The types of ``--types`` replace ``{types}`` in ``user``.
"""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path
from typing import Any

from normalizers.grounding import Grounder, Match
from normalizers.text import nfc

SLOT = "{passage}"
EXAMPLES = "{examples}"
TYPES = "{types}"


@dataclass(frozen=True, slots=True)
class Prompt:
    """A prompt as it is sent."""

    name: str
    version: int
    sha256: str
    """Of the file's bytes."""
    system: str
    user: str
    slot: str = SLOT
    types_sha256: str = ""
    """Of the types as the prompt shows them; empty for a prompt without types."""

    def with_types(self, types: str) -> Prompt:
        """Return the prompt that shows ``types``, a text without ``{passage}``."""
        shown = hashlib.sha256(types.encode("utf-8")).hexdigest()
        return replace(self, user=self.user.replace(TYPES, types), types_sha256=shown)

    def messages(self, passage: str) -> list[dict[str, str]]:
        """Return the chat messages that ask about ``passage``; a slot in the passage itself is not filled."""
        before, _, after = self.user.partition(self.slot)
        system = [{"role": "system", "content": self.system}] if self.system else []
        return [*system, {"role": "user", "content": f"{before}{passage}{after}"}]


def available(slot: str = SLOT) -> dict[str, list[int]]:
    """Return the shipped prompts that ask about ``slot``: name -> versions, ascending."""
    found: dict[str, list[int]] = {}
    for entry in resources.files(__name__).iterdir():
        stem, _, suffix = entry.name.rpartition(".")
        name, _, version = stem.rpartition(".")
        if suffix == "toml" and version.isdigit() and slot in entry.read_text(encoding="utf-8"):
            found.setdefault(name, []).append(int(version))
    return {name: sorted(versions) for name, versions in sorted(found.items())}


def load_prompt(name: str, slot: str = SLOT) -> Prompt:
    """Load ``NAME`` (its first version), ``NAME.VERSION``, or the path of a prompt file, which asks about ``slot``.

    A name alone never means a newer version: a run would ask, and pay for, every question again.

    Raises:
        LookupError: there is no such prompt; the message lists the shipped ones.
        ValueError: the file is not a prompt.
    """
    if Path(name).suffix == ".toml":
        try:
            data = Path(name).read_bytes()
        except OSError as error:
            raise LookupError(f"cannot read prompt {name}: {error.strerror}") from error
    else:
        shipped = available(slot)
        stem, _, version = name.rpartition(".")
        if name in shipped:
            stem, version = name, str(shipped[name][0])
        elif not (version.isdigit() and int(version) in shipped.get(stem, [])):
            listed = ", ".join(f"{known}.{number}" for known, versions in shipped.items() for number in versions)
            raise LookupError(f"no prompt {name!r}; shipped: {listed}; or give the path of a .toml file")
        data = resources.files(__name__).joinpath(f"{stem}.{version}.toml").read_bytes()
    return _parse(name, data, slot)


def _parse(name: str, data: bytes, slot: str) -> Prompt:
    try:
        fields = tomllib.loads(data.decode("utf-8-sig"))
        prompt = Prompt(
            name=str(fields["name"]),
            version=int(fields["version"]),
            sha256=hashlib.sha256(data).hexdigest(),
            system=str(fields.get("system", "")).strip(),
            user=str(fields["user"]).strip().replace(EXAMPLES, _examples(fields.get("examples", []))),
            slot=slot,
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"prompt {name} is not a prompt file: {error!r}") from error
    if prompt.user.count(slot) != 1:
        raise ValueError(f"prompt {name} must hold {slot} exactly once in 'user'")
    return prompt


def _examples(examples: Sequence[Mapping[str, Any]]) -> str:
    """Return worked examples as a prompt shows them, the text in NFC.

    Raises:
        ValueError: a mention is not an exact slice of its passage.
    """
    shown = []
    for number, example in enumerate(examples, start=1):
        passage = nfc(str(example["passage"]).strip())
        pairs = [(nfc(str(mention)), str(label)) for mention, label in example["entities"]]
        grounder = Grounder(passage)
        for mention, _ in pairs:
            match = grounder.ground(mention)
            if not (isinstance(match, Match) and match.rule == "exact"):
                raise ValueError(f"example {number}: {mention!r} does not stand in its passage")
        shown.append(f"<passage>\n{passage}\n</passage>\n{json.dumps(pairs, ensure_ascii=False)}")
    return "\n\n".join(shown)
