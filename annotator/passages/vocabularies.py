"""Find and read the vocabularies of tokenizers: in a package, a file, or from the network.

Every function raises a ``ConfigError`` with the spec of the tokenizer where there is none that can be read.
"""

from __future__ import annotations

import binascii
import hashlib
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import tiktoken

from annotator.errors import ConfigError, one_line

_LLAMA3_SPLIT: Final = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
"""Llama 3's split pattern: part of the published tokenizer, not of its vocabulary file."""


def llama3_file() -> Path:
    """Find the vocabulary inside the installed ``llama-models``, without importing that package."""
    spec = find_spec("llama_models")
    for folder in (spec.submodule_search_locations or []) if spec else []:
        path = Path(folder) / "llama3" / "tokenizer.model"
        if path.is_file():
            return path
    raise ConfigError("tokenizer llama3 needs the package llama-models 0.3: pip install 'llama-models>=0.3,<0.4'")


def read_ranks(spec: str, path: Path) -> tuple[tiktoken.Encoding, str]:
    """Read lines of ``base64-of-bytes rank``; return an encoding that splits as Llama 3 does, and the file's sha256."""
    try:
        data = path.read_bytes()
        fields = data.split()
        tokens = (binascii.a2b_base64(token, strict_mode=True) for token in fields[::2])
        ranks = dict(zip(tokens, map(int, fields[1::2]), strict=True))
        if any(bytes([value]) not in ranks for value in range(256)):
            raise ValueError("a byte has no token of its own")
        encoding = tiktoken.Encoding(name=path.name, pat_str=_LLAMA3_SPLIT, mergeable_ranks=ranks, special_tokens={})
    except (OSError, ValueError, binascii.Error) as error:
        raise ConfigError(
            f"tokenizer {spec!r}: cannot read {path} as a vocabulary in tiktoken's format ({error}); "
            "give such a file, or a tokenizer.json"
        ) from error
    return encoding, hashlib.sha256(data).hexdigest()


def named_encoding(spec: str) -> tuple[tiktoken.Encoding, str]:
    """Return the encoding of this name in tiktoken, and the sha256 of its tokens."""
    try:
        encoding = tiktoken.get_encoding(spec)
    except (OSError, ValueError) as error:  # requests' exceptions are OSErrors; ValueError: damaged download
        raise ConfigError(
            f"tokenizer {spec} could not be downloaded ({one_line(error)}); connect once, set TIKTOKEN_CACHE_DIR to a "
            "folder that has it, or use --tokenizer llama3, which needs no network"
        ) from error
    digest = hashlib.sha256()
    for token in encoding.token_byte_values():
        digest.update(len(token).to_bytes(4, "big") + token)
    return encoding, digest.hexdigest()


def from_hub(spec: str) -> Any:
    """Load the ``tokenizer.json`` of a model on the Hub."""
    library = _tokenizers(spec)
    try:
        return library.from_pretrained(spec.removeprefix("hf:"))
    except Exception as error:  # the library raises nothing narrower
        raise ConfigError(
            f"tokenizer {spec} could not be downloaded from the Hub ({one_line(error)}); check the name and the "
            "network, log in if the model is gated, or give the path of a tokenizer.json"
        ) from error


def read_json(spec: str, path: Path) -> Any:
    """Load a ``tokenizer.json``."""
    library = _tokenizers(spec)
    try:
        return library.from_file(str(path))
    except Exception as error:  # the library raises nothing narrower
        raise ConfigError(
            f"tokenizer {spec!r}: {path} is not a tokenizer.json that this version of tokenizers reads "
            f"({one_line(error)}); export it again, or pip install -U tokenizers"
        ) from error


def _tokenizers(spec: str) -> Any:
    """Return the class that loads a ``tokenizer.json``."""
    try:
        return import_module("tokenizers").Tokenizer
    except ImportError as error:
        raise ConfigError(f"tokenizer {spec!r} needs the package tokenizers: pip install tokenizers") from error
