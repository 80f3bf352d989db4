"""A table of numbers of a fixed size in a temporary file: what is looked up at random, and would fill the memory."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from annotator.errors import RunDirError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Numbers = npt.NDArray[np.uint64]

_SLOT: Final = 8  # bytes


class Slots:
    """64-bit numbers by their places. The file has no name; the disk holds those parts of it that were written."""

    def __init__(self, size: int) -> None:
        """Begin with zeros in all of ``size`` places.

        Raises:
            RunDirError: no file can be made.
        """
        self.size = size
        with _explained():
            self._file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 - it lives as long as the table
            self._file.truncate(size * _SLOT)

    def get(self, places: Numbers) -> Numbers:
        """The numbers at some places."""
        import numpy as np

        found = []
        for place in places.tolist():
            self._file.seek(place * _SLOT)
            found.append(self._file.read(_SLOT))
        return np.frombuffer(b"".join(found), "<u8")

    def put(self, places: Numbers, numbers: Numbers) -> None:
        """Set the numbers at some places; where a place comes twice, the last one stays.

        Raises:
            RunDirError: the disk is full.
        """
        data = numbers.astype("<u8").tobytes()
        with _explained():
            for begin, place in zip(range(0, len(data), _SLOT), places.tolist(), strict=True):
                self._file.seek(place * _SLOT)
                self._file.write(data[begin : begin + _SLOT])


@contextmanager
def _explained() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise RunDirError(
            f"cannot write to {tempfile.gettempdir()}: {error.strerror or error};"
            " free some space, or set TMPDIR to a folder with more"
        ) from error
