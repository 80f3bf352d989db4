"""The records of a publication: where it goes, what is sent, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from data_cards.licences import UNKNOWN

MAIN: Final = "main"


@dataclass(frozen=True, slots=True)
class Target:
    """Where to publish, and how; empty where it is not known yet."""

    name: str = ""
    """``org/name``"""
    private: bool = False
    revision: str = MAIN
    message: str = ""
    licence: str = UNKNOWN
    """An identifier of the Hub, such as ``cc-by-4.0``."""
    url: str = ""
    """Where it will be found."""


@dataclass(frozen=True, slots=True)
class Item:
    """One file on its way to the Hub."""

    path: str
    """Its place there."""
    content: Path | bytes
    size: int
    """In bytes."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Files to send, and problems that stop the publication."""

    target: Target
    items: tuple[Item, ...]
    problems: tuple[str, ...]
    """Why it should not be published as it is."""
    warnings: tuple[str, ...]

    def as_dict(self, receipt: Receipt | None) -> dict[str, Any]:
        """Return the plan for a JSON file, with its ``receipt`` where it was carried out."""
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
    """False when the Hub had all of it already."""
    private: bool
    removed: tuple[str, ...]
    """Files of an earlier publication that this one does not have."""
