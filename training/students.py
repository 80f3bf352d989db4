"""Students: a sequence-to-sequence model with its tokenizer, from a folder or from the Hub.

mT5 and mT0 have an output head of their own, which ``MT5Config`` of transformers 5 always calls tied to the embeddings.
A checkpoint with two different matrices is loaded untied all the same; one without the head is tied without a warning.
So the head is checked whenever a model is loaded, and its configuration is corrected: otherwise a later
``tie_weights()`` would replace the head.
"""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from annotator.errors import ConfigError, StudentError, one_line

ADAPTER: Final = "adapter_config.json"
NEEDED: Final = ("torch", "transformers", "peft", "accelerate", "sentencepiece")
_OWN_HEAD: Final = frozenset({"mt5", "umt5"})
"""Model types whose published checkpoints have an output head that is not the embedding matrix."""
_DECISIVE: Final = (".safetensors", ".json", ".model", ".txt", ".bin")
"""Suffixes of the files that decide what a model answers: weights, configuration, vocabulary."""


@dataclass(frozen=True, slots=True)
class Student:
    """A loaded student, ready to generate: in evaluation mode, in float32, on ``device``."""

    model: Any
    """``transformers.PreTrainedModel``, or the ``peft.PeftModel`` around it."""
    tokenizer: Any
    """``transformers.PreTrainedTokenizerBase``."""
    device: str


def check_extra() -> None:
    """Raise a ConfigError if the extra ``train``, torch and libraries around it, is not installed."""
    if missing := [name for name in NEEDED if find_spec(name) is None]:
        raise ConfigError(f"this needs {', '.join(missing)}: pip install '.[train]'")


def load_student(path: str | Path, *, device: str | None = None) -> Student:
    """Load a student.

    Args:
        path: A folder that ``train`` saved (an adapter, which names its base), a folder with a whole model, or the name
            of a model on the Hub. Of folders only safetensors are read.
        device: Such as ``cpu`` or ``cuda:0``; by default the GPU where there is one.

    Raises:
        ConfigError: the extra ``train`` is not installed.
        StudentError: there is no such student, its files are no safetensors, or its output head is lost.
    """
    check_extra()
    base = adapter_base(path)
    model = load_adapter(load_model(base), path) if base else load_model(path)
    where = device or default_device()
    return Student(model.to(where).eval(), load_tokenizer(path), where)


def default_device() -> str:
    """Return the first GPU, or the CPU."""
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def adapter_base(path: str | Path) -> str:
    """Return the base of the adapter in the folder ``path``, a folder or a Hub name; empty if there is no adapter."""
    file = Path(path).expanduser() / ADAPTER
    if not file.is_file():
        return ""
    try:
        return str(json.loads(file.read_text(encoding="utf-8"))["base_model_name_or_path"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StudentError(f"cannot read {file} ({error!r}); train again, or copy the whole folder") from error


def load_adapter(model: Any, path: str | Path, *, trainable: bool = False) -> Any:
    """Put the adapter in the folder ``path`` on its base ``model``; raise a StudentError if it does not fit."""
    from peft import PeftModel

    folder = Path(path).expanduser()
    if not (folder / "adapter_model.safetensors").is_file():
        raise StudentError(f"{folder} holds no adapter_model.safetensors; train again, or copy the whole folder")
    with loading(f"the adapter in {folder}"):
        return PeftModel.from_pretrained(model, str(folder), is_trainable=trainable)


def load_model(name: str | Path) -> Any:
    """Load a whole model in float32, from a folder or from the Hub.

    Raises:
        StudentError: it is not there, is no safetensors, or its output head is lost.
    """
    from huggingface_hub import HfApi, try_to_load_from_cache
    from transformers import AutoModelForSeq2SeqLM

    folder = Path(name).expanduser()
    local = folder.is_dir()
    if local and not any(folder.glob("*.safetensors")):
        raise StudentError(
            f"{folder} holds no student ({ADAPTER}, or config.json with safetensors); "
            "give a folder written by train or save_pretrained"
        )
    with loading(str(name), "; give a folder with a model, or a Hub name"):
        if not local and not isinstance(try_to_load_from_cache(str(name), "config.json"), str):
            HfApi().model_info(str(name), timeout=10)  # once; transformers repeats each of its requests for a minute
        model = AutoModelForSeq2SeqLM.from_pretrained(
            str(folder) if local else str(name),
            dtype="float32",
            use_safetensors=True if local else None,  # a .bin on the Hub is read with weights_only
            local_files_only=local,
        )
    check_output_head(model, str(name))
    return model


def load_tokenizer(name: str | Path) -> Any:
    """Load the tokenizer of a model, from its folder or from the Hub."""
    from transformers import AutoTokenizer

    folder = Path(name).expanduser()
    with loading(f"the tokenizer of {name}"):
        return AutoTokenizer.from_pretrained(str(folder) if folder.is_dir() else str(name))


def has_own_head(model: Any) -> bool:
    """Return whether the output head is a matrix of its own, not the embeddings."""
    head, embeddings = model.get_output_embeddings(), model.get_input_embeddings()
    return head is not None and head.weight is not embeddings.weight


def check_output_head(model: Any, name: str) -> None:
    """Correct in the configuration of ``model`` whether its head is tied; raise a StudentError for a tied mT5."""
    own = has_own_head(model)
    if not own and model.config.model_type in _OWN_HEAD:
        raise StudentError(
            f"the output head of {name} is tied to its embeddings: its files have lost lm_head.weight; "
            "take the original model, and save with vner-annotate train --merge"
        )
    model.config.tie_word_embeddings = not own


@contextmanager
def quiet_transformers() -> Iterator[None]:
    """Hide progress bars and warnings of transformers; ``check_output_head`` takes care of tied weights."""
    from transformers.utils import logging

    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "`is_gradient_checkpointing`", FutureWarning)  # peft asks by the old name
        logging.set_verbosity_error()
        logging.disable_progress_bar()
        try:
            yield
        finally:
            logging.set_verbosity(verbosity)
            if bars:
                logging.enable_progress_bar()


@contextmanager
def loading(what: str, hint: str = "") -> Iterator[None]:
    """Load ``what`` without bars and warnings, and turn any error of the libraries into a StudentError of one line."""
    from httpx2 import TransportError
    from safetensors import SafetensorError

    try:
        with quiet_transformers():
            yield
    except (OSError, ValueError, TypeError, RuntimeError, KeyError, SafetensorError, TransportError) as error:
        raise StudentError(f"cannot load {what}: {one_line(error, 160).rstrip(' :;.')}{hint}") from error


def file_sha256(path: Path) -> str:
    """Return the sha256 of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fingerprint_models(folders: Iterable[Path]) -> str:
    """Return the sha256, in hex, over names and contents of the files in ``folders`` that decide what models answer."""
    digest = hashlib.sha256()
    for folder in folders:
        for path in sorted(folder.iterdir()):
            if path.suffix in _DECISIVE and path.is_file():
                digest.update(f"{path.name} {file_sha256(path)}\n".encode())
    return digest.hexdigest()
