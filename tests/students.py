"""Small students for tests: an mT5 with random weights and an untied output head, and a tokenizer trained on texts."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from annotator.records import Sample
from annotator.storage import tables
from annotator.storage.atomic import replacing

LEARNING = {
    "lora_r": "0",
    "learning_rate": "3e-3",
    "schedule": "linear",
    "batch": "8",
    "epochs": "12",
    "precision": "fp32",
}
"""Settings (``--set``) with which a copying student of width 64 learns to find numbers in 200 steps."""


LOOKS = (
    lambda piece: piece.startswith("▁"),
    lambda piece: piece.strip("▁")[:1].isupper(),
    lambda piece: any(letter.isdigit() for letter in piece),
    lambda piece: not any(letter.isalnum() for letter in piece),
)
"""The form of a piece, which a pretrained model knows: it begins a word, has a capital, has a digit, has no letter."""


def make_untied(config: Any) -> Any:
    """Return a model with random weights and an untied output head, from a configuration such as ``MT5Config()``.

    It is created tied and gets its head afterwards: with ``tie_word_embeddings = False`` at construction, encoder and
    decoder would have an embedding matrix each, which no published mT5 has.
    """
    import torch
    from transformers import AutoModelForSeq2SeqLM

    from training.students import check_output_head

    model = AutoModelForSeq2SeqLM.from_config(config, dtype=torch.float32)
    head = torch.empty_like(model.lm_head.weight).normal_(std=config.d_model**-0.5)
    model.lm_head.weight = torch.nn.Parameter(head)
    model.all_tied_weights_keys.pop("lm_head.weight", None)
    check_output_head(model, "the new model")
    return model


def make_student(
    folder: Path, texts: Iterable[str], *, width: int = 32, vocabulary: int = 400, copies: bool = False
) -> Path:
    """Save a student of ``width`` with one encoder and one decoder layer to ``folder``; see ``wire_copying``."""
    import torch
    from transformers import MT5Config

    from training.students import quiet_transformers

    tokenizer = make_tokenizer(texts, vocabulary)
    torch.manual_seed(0)
    heads = 2 if copies else 4
    config = MT5Config(vocab_size=len(tokenizer), d_model=width, d_kv=width // heads, d_ff=2 * width, num_layers=1,
                       num_heads=heads, dropout_rate=0.0 if copies else 0.1)  # fmt: skip
    with quiet_transformers():
        model = make_untied(config)
        if copies:
            wire_copying(model, tokenizer.convert_ids_to_tokens(range(len(tokenizer))))
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
    return folder


def wire_copying(model: Any, pieces: Sequence[str]) -> None:
    """Set the weights of a model with two heads and one layer so that it can copy its input, as pretraining does.

    The first half of a state is the token; the second half is what the first head writes: in the encoder the token
    before (by relative position), in the decoder the input token after the last one written. The head reads the second
    half. The first places of an embedding describe the form of a piece (``LOOKS``). Where to begin and to end must be
    learnt.
    """
    import torch

    half = model.config.d_model // 2
    one, draw = torch.eye(half), torch.Generator().manual_seed(1)
    encoder, decoder = model.encoder.block[0].layer[0].SelfAttention, model.decoder.block[0].layer[1].EncDecAttention
    before = encoder._relative_position_bucket(torch.tensor([-1]), num_buckets=32, max_distance=128)
    with torch.no_grad():
        embeddings = model.shared.weight
        embeddings.copy_(torch.randn(embeddings.shape, generator=draw) * 0.1)
        embeddings[:, :half] = torch.randn(embeddings[:, :half].shape, generator=draw)
        embeddings[:, : len(LOOKS)] = torch.tensor(
            [[1.0 if look(piece) else -1.0 for look in LOOKS] for piece in pieces]
        )
        encoder.relative_attention_bias.weight[:, 0] = 0.0
        encoder.relative_attention_bias.weight[before, 0] = 12.0
        for attention in (encoder, decoder):
            for name in "qkv":
                getattr(attention, name).weight[:half] = 0.0
            attention.v.weight[:half, :half] = one
            attention.o.weight[:, :half] = 0.0
        encoder.o.weight[half:, :half] = one
        decoder.q.weight[:half, :half] = 0.5 * one
        decoder.k.weight[:half, half:] = one
        decoder.o.weight[half:, :half] = 1.5 * one
        model.lm_head.weight.copy_(torch.randn(model.lm_head.weight.shape, generator=draw) * 0.02)
        model.lm_head.weight[:, half:] = 0.3 * embeddings[:, :half]


def make_tokenizer(texts: Iterable[str], vocabulary: int) -> Any:
    """Make a unigram tokenizer as mT5 has it: the most frequent words, and all letters.

    The trainer of ``tokenizers`` is not deterministic: it would give another student each time.
    """
    from transformers import T5Tokenizer

    texts = list(texts)
    words = Counter(word for text in texts for word in re.findall(r"\w+|[^\w\s]", text))
    letters = sorted({letter for word in words for letter in word})
    often = sorted((word for word in words if len(word) > 1), key=lambda word: (-words[word], word))
    often = often[: max(0, vocabulary - len(letters) - 4)]
    total = words.total()
    vocab = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("▁", -2.0)]
    vocab += [(word, math.log(words[word] / total)) for word in often]
    vocab += [(letter, -15.0) for letter in letters]
    return T5Tokenizer(vocab=vocab, extra_ids=0, additional_special_tokens=[])


def write_samples(path: Path, samples: Iterable[Sample]) -> Path:
    """Write samples to a Parquet file."""
    with replacing(path) as file:
        tables.write_records(file, tables.SAMPLE, samples)
    return path


def sample(number: int, instruction: str, text: str, output: str, entity_type: str = "") -> Sample:
    """Return a sample of a passage of its own."""
    return Sample(f"s{number}", instruction, text, output, entity_type, output == "[]", f"p{number}")
