# ruff: noqa: S106 - a token of a vocabulary is no password
"""Small students for tests: an mT5 with random weights and a head of its own, a tokenizer trained on the spot."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from annotator import tables
from annotator.records import Sample
from annotator.rundir import replacing


def make_student(
    folder: Path, texts: Iterable[str], *, width: int = 32, layers: int = 1, vocabulary: int = 400
) -> Path:
    """Save a student of ``width`` with ``layers`` encoder and decoder layers to ``folder``."""
    import torch
    from transformers import MT5Config

    from training.students import make_untied, quiet_transformers

    tokenizer = make_tokenizer(texts, vocabulary)
    torch.manual_seed(0)
    config = MT5Config(vocab_size=len(tokenizer), d_model=width, d_kv=width // 4, d_ff=2 * width, num_layers=layers,
                       num_heads=4)  # fmt: skip
    with quiet_transformers():
        make_untied(config).save_pretrained(folder)
        tokenizer.save_pretrained(folder)
    return folder


def make_tokenizer(texts: Iterable[str], vocabulary: int):
    """Train a unigram tokenizer of mT5's kind."""
    from tokenizers import SentencePieceUnigramTokenizer
    from transformers import T5Tokenizer

    trained = SentencePieceUnigramTokenizer()
    trained.train_from_iterator(texts, vocab_size=vocabulary, special_tokens=["<pad>", "</s>", "<unk>"],
                                unk_token="<unk>", show_progress=False)  # fmt: skip
    vocab = [(piece, score) for piece, score in json.loads(trained.to_str())["model"]["vocab"]]
    return T5Tokenizer(vocab=vocab, extra_ids=0, additional_special_tokens=[])


def write_samples(path: Path, samples: Iterable[Sample]) -> Path:
    """Write samples of the contract."""
    with replacing(path) as file:
        tables.write_records(file, tables.SAMPLE, samples)
    return path


def sample(number: int, instruction: str, text: str, output: str, entity_type: str = "") -> Sample:
    """A sample of a passage of its own."""
    return Sample(f"s{number}", instruction, text, output, entity_type, output == "[]", f"p{number}")
