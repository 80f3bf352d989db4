"""End a command: one line on stderr for an error, and an exit code."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import typer

from annotator.errors import AnnotateError


@contextmanager
def exits(debug: bool, out: Path | None = None, *, kept: str = "all answers so far are kept") -> Iterator[None]:
    """Turn an error into one line on stderr and an exit code.

    Args:
        debug: raise the error, with its traceback.
        out: the directory where the same command continues after an interruption; None where it starts again.
        kept: the message about what an interruption keeps.
    """
    try:
        yield
    except KeyboardInterrupt:
        where = f" in {out}; the same command goes on from there" if out else ""
        typer.echo(f"\ninterrupted; {kept}{where}", err=True)
        raise typer.Exit(130) from None
    except typer.Exit:
        raise
    except AnnotateError as error:
        if debug:
            raise
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(error.exit_code) from None
    except Exception as error:
        if debug:
            raise
        typer.echo(f"error: {type(error).__name__}: {error} (a defect; --debug shows where)", err=True)
        raise typer.Exit(1) from None
