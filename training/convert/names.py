"""The names of the formats, in the order of the help: light to import, as the command line needs."""

from __future__ import annotations

from typing import Final

NAMES: Final = ("pile-ner", "squad", "alpaca", "parallel", "conll", "enamex", "samples")
