"""Models of a few thousand parameters, saved like real ones."""

# ruff: noqa: S106 - tokens of a vocabulary, not passwords
from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any


def make_tokenizer(texts: Iterable[str], size: int = 400) -> Any:
    """Train a unigram tokenizer as mT5 has it: ▁ for spaces, and a piece for each sign of JSON."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.Unigram())
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    trainer = trainers.UnigramTrainer(
        vocab_size=size,
        special_tokens=["<pad>", "</s>", "<unk>"],
        unk_token="<unk>",
        initial_alphabet=list('[]",\\'),
    )
    tokenizer.train_from_iterator([*texts, '["a", "b"] [] \\'], trainer)
    tokenizer.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", eos_token="</s>", unk_token="<unk>", model_max_length=512
    )


def save_student(folder: Path, texts: Iterable[str], seed: int = 0) -> Path:
    """Save an mT5 with random weights and two narrow layers."""
    import torch
    from transformers import MT5Config

    from tests.students import make_untied

    torch.manual_seed(seed)
    tokenizer = make_tokenizer(texts)
    config = MT5Config(
        vocab_size=len(tokenizer) + 5,  # as in mT5, the matrix is larger than the vocabulary
        d_model=32,
        d_kv=8,
        d_ff=64,
        num_layers=2,
        num_decoder_layers=2,
        num_heads=4,
        decoder_start_token_id=0,
        pad_token_id=0,
        eos_token_id=1,
    )
    model = make_untied(config)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def save_tagger(folder: Path, texts: Sequence[str], tags: Sequence[str]) -> Path:
    """Save a BERT for token classification, trained to call each capitalised word a name."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import BertConfig, BertForTokenClassification, PreTrainedTokenizerFast

    torch.manual_seed(0)
    splitter = pre_tokenizers.BertPreTokenizer()
    words = sorted({word for text in texts for word, _ in splitter.pre_tokenize_str(text)})
    vocabulary = {word: number for number, word in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", *words])}
    inner = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    inner.pre_tokenizer = splitter
    inner.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=inner, pad_token="[PAD]", unk_token="[UNK]",
                                        cls_token="[CLS]", sep_token="[SEP]", model_max_length=128)  # fmt: skip
    labels = dict(enumerate(["O", *tags]))
    config = BertConfig(
        vocab_size=len(vocabulary), hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32,
        max_position_embeddings=128, id2label=labels, label2id={tag: number for number, tag in labels.items()},
    )  # fmt: skip
    model = BertForTokenClassification(config)
    inside = {f"B-{tag[2:]}": f"I-{tag[2:]}" for tag in tags if tag.startswith("B-")}
    number_of = {tag: number for number, tag in labels.items()}
    batch = tokenizer(list(texts), padding=True, return_tensors="pt")
    wanted = torch.zeros_like(batch["input_ids"])
    for row, text in enumerate(texts):
        before = False
        for at, (word, _) in enumerate(splitter.pre_tokenize_str(text), start=1):
            name = word[0].isupper()
            begin = next(iter(inside))
            wanted[row, at] = (number_of[inside[begin]] if before else number_of[begin]) if name else 0
            before = name
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    model.train()
    for _ in range(150):
        loss = model(**batch, labels=wanted).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
