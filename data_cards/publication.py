"""Records of a publication, how it is cited, and what of this machine is left out of it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from data_cards.licences import UNKNOWN

TITLE: Final = "Open-domain Vietnamese NER"
"""The name of a dataset that is not published yet."""
MAIN: Final = "main"
_ADDRESSES: Final = frozenset({"base_url", "ray_address", "ledger"})


@dataclass(frozen=True, slots=True)
class Target:
    """Where and how to publish; empty before it is known."""

    name: str = ""
    """``org/name``"""
    private: bool = False
    revision: str = MAIN
    message: str = ""
    licence: str = UNKNOWN
    """An identifier of the Hub, such as ``cc-by-4.0``."""
    url: str = ""
    """Its page on the Hub."""


@dataclass(frozen=True, slots=True)
class Item:
    """A file to publish."""

    path: str
    """Its path on the Hub."""
    content: Path | bytes
    size: int
    """In bytes."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Files to send, and problems that stop the publication."""

    target: Target
    items: tuple[Item, ...]
    problems: tuple[str, ...]
    """Reasons not to publish it."""
    warnings: tuple[str, ...]

    def as_dict(self, receipt: Receipt | None) -> dict[str, Any]:
        """Return the plan as JSON types, with the ``receipt`` if it was sent."""
        return {
            "repository": self.target.name,
            "url": self.target.url,
            "revision": self.target.revision,
            "licence": self.target.licence,
            "private": receipt.private if receipt else self.target.private,
            "sent": receipt is not None,
            "commit": receipt.commit if receipt else None,
            "changed": receipt.changed if receipt else None,
            "files": [{"path": item.path, "size": item.size} for item in self.items],
            "removed": list(receipt.removed) if receipt else [],
            "problems": list(self.problems),
            "notes": list(self.warnings),
        }


@dataclass(frozen=True, slots=True)
class Receipt:
    """Result of a publication."""

    url: str
    commit: str
    changed: bool
    """False if the Hub had all of it already."""
    private: bool
    removed: tuple[str, ...]
    """Files of an earlier publication that this one does not have."""


def without_paths(value: Any) -> Any:
    """Return JSON without the paths and addresses of this machine.

    The last part of an absolute path remains. Nothing remains of the address of an endpoint, which may name an internal
    host.
    """
    if isinstance(value, Mapping):
        return {name: "" if name in _ADDRESSES else without_paths(part) for name, part in value.items()}
    if isinstance(value, list):
        return [without_paths(part) for part in value]
    if isinstance(value, str) and (value.startswith(("~", "..")) or Path(value).is_absolute()):
        return Path(value).name
    return value


def bibtex(target: Target, manifest: Mapping[str, Any]) -> str:
    """Return the BibTeX entry of a dataset, without an author; empty while it has no name."""
    if not target.name:
        return ""
    year = manifest.get("stages", {}).get("explode", {}).get("began", "")[:4]
    fields = {
        "title": target.name.replace("_", r"\_"),
        "howpublished": rf"\url{{{target.url}}}",
        **({"year": year} if year else {}),
        "note": f"Made with vner-annotate {manifest['made_by']['vner-annotate']}",
    }
    lines = ",\n".join(f"  {name} = {{{value}}}" for name, value in fields.items())
    return f"@misc{{{re.sub('[^A-Za-z0-9]+', '-', target.name)},\n{lines}\n}}"
