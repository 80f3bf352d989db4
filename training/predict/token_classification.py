"""A token-classification model of transformers (PhoBERT, XLM-R, ELECTRA, ...) that was fine-tuned by somebody.

Each passage is tagged once, sentence by sentence. A word has the tag of its first token, as such models are trained;
neighbouring words of one name are put together, and what counts is the slice of the passage that they cover.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from annotator.errors import ConfigError, StudentError
from training.predict import Predictor
from training.predict.models import fingerprint, model_folder
from training.predict.tags import Tagged, Tagger, TagMap, answering
from training.students import check_extra, default_device, quiet_transformers

BATCH = 16
"""Sentences the model reads at once."""


def make(path: str, tags: TagMap) -> Predictor:
    """The model in the folder ``path``.

    Raises:
        ConfigError: the folder is not there, or the extra ``train`` is not installed.
        StudentError: it holds no such model.
    """
    check_extra()
    folder = model_folder("token-classification", path)
    identity = {"predictor": "token-classification", "model": fingerprint([folder]), "map": tags.as_toml()}
    return Predictor(identity, answering(_tagger(folder), tags))


def _tagger(folder: Path) -> Tagger:
    pipe: list[Any] = []  # loaded when the first text comes

    def tag(texts: Sequence[str]) -> Iterator[list[Tagged]]:
        from annotator.passages.sentences import split_sentences

        if not pipe:
            pipe.append(_load(folder))
        spans = [(text, sentence) for text in texts for sentence in split_sentences(text)]
        found = iter(pipe[0]([text[span.start : span.end] for text, span in spans], batch_size=BATCH) if spans else [])
        for text in texts:
            names: list[Tagged] = []
            for sentence in split_sentences(text):
                names += _names(text[sentence.start : sentence.end], next(found))
            yield names

    return tag


def _names(sentence: str, tokens: Iterable[Mapping[str, Any]]) -> list[Tagged]:
    """Put together what the model says of single tokens; those it calls ``O`` are not among them."""
    spans: list[tuple[int, int, str]] = []
    for token in tokens:
        start, end = token["start"], token["end"]
        while start < end and sentence[start].isspace():  # SentencePiece counts the space before a word to it
            start += 1
        if start == end or (start and sentence[start].isalnum() and sentence[start - 1].isalnum()):
            continue  # the rest of a word
        while end < len(sentence) and sentence[end - 1].isalnum() and sentence[end].isalnum():
            end += 1
        place, _, tag = str(token["entity"]).rpartition("-")
        if spans and place != "B" and spans[-1][2] == tag and not sentence[spans[-1][1] : start].strip():
            spans[-1] = (spans[-1][0], end, tag)
        else:
            spans.append((start, end, tag))
    return [(sentence[start:end], tag) for start, end, tag in spans]


def _load(folder: Path) -> Any:
    from transformers import AutoModelForTokenClassification, AutoTokenizer, pipeline

    try:
        with quiet_transformers():
            model = AutoModelForTokenClassification.from_pretrained(
                str(folder), use_safetensors=True, local_files_only=True
            )
            tokenizer = AutoTokenizer.from_pretrained(str(folder), local_files_only=True)
    except (OSError, ValueError, RuntimeError, KeyError) as error:
        said = " ".join(str(error).split())[:160]
        raise StudentError(f"cannot load {folder} ({said}); it wants safetensors and a tokenizer") from error
    if not tokenizer.is_fast:  # a slow one does not say where its tokens stand
        raise ConfigError(f"the tokenizer in {folder} has no tokenizer.json, so tokens cannot be found in the text")
    positions = getattr(model.config, "max_position_embeddings", 514) - 2  # RoBERTa's family cannot use two of them
    tokenizer.model_max_length = min(tokenizer.model_max_length, positions)
    return pipeline("token-classification", model=model, tokenizer=tokenizer, device=default_device())
