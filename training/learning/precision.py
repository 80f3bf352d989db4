"""``precision = "auto"``: bfloat16 where the device computes it natively, single precision elsewhere."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from annotator.errors import RunDirError
from annotator.progress import Progress
from annotator.storage.rundir import explained, replacing
from training.learning.recipes import Recipe

AUTO: Final = "auto"
CHOSEN: Final = "precision.txt"
"""Keeps what was chosen, in the folder of the stages, lest a training that goes on elsewhere begins anew."""
_NATIVE: Final = ("avx512_bf16", "amx_bf16")
"""Instructions of a CPU for products of bfloat16; without them they are computed by detours, slower than fp32."""


def settled(recipe: Recipe, stages: Path, device: str, progress: Progress) -> Recipe:
    """``recipe`` with a precision in place of each ``auto``: what was chosen before in ``stages``, or what suits now.

    Raises:
        RunDirError: the choice cannot be kept, or what is kept is none.
    """
    if all(stage.settings.precision != AUTO for stage in recipe.stages):
        return recipe
    path, suits = stages / CHOSEN, choose(device)
    with explained(path):
        if not path.is_file():
            stages.mkdir(parents=True, exist_ok=True)
            with replacing(path) as file:
                file.write(f"{suits}\n".encode())
        chosen = path.read_text(encoding="utf-8").strip()
    if chosen not in ("bf16", "fp32"):
        raise RunDirError(f"{path} says {chosen[:20]!r}, which is no precision; remove it, or add --set precision=fp32")
    if chosen != suits:
        progress.say(f"precision {chosen}, as this training began ({suits} would suit {device} better)")
    return dataclasses.replace(
        recipe,
        stages=tuple(
            dataclasses.replace(stage, settings=dataclasses.replace(stage.settings, precision=chosen))
            if stage.settings.precision == AUTO
            else stage
            for stage in recipe.stages
        ),
    )


def choose(device: str) -> str:
    """``bf16`` where ``device`` computes products of bfloat16 natively, else ``fp32``."""
    import torch

    if device != "cpu":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp32"
    if not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        return "fp32"
    able: Mapping[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()  # older torch cannot tell
    return "bf16" if any(able.get(name) for name in _NATIVE) else "fp32"
