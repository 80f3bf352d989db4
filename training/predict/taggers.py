"""Taggers to compare with: underthesea, token-classification models of transformers, and GLiNER.

Each passage is tagged once; the mentions of a tag answer for its types (see ``tags.py``).
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from annotator.errors import ConfigError, StudentError, one_line
from annotator.records import Sample
from annotator.terminal.events import Progress
from training.predict import Prediction, Predictor, fingerprint, model_folder
from training.predict.tags import Tagged, TagMap, answering, fold
from training.students import check_extra, default_device, loading

BATCH: Final = 16
"""Sentences that a token-classification model reads at once."""
THRESHOLD: Final = 0.5
"""Score below which a span of GLiNER is no entity: the package's own default."""


def underthesea(tags: TagMap) -> Predictor:
    """Make a predictor of underthesea's CRF model, sentence by sentence. Offline; Apache-2.0."""
    from annotator.teachers.embedded.tagger import identity

    version = identity()["underthesea"]
    asked = {"predictor": "underthesea", "version": version, "map": tags.as_toml()}
    return Predictor(asked, answering(tag_texts, tags))


def tag_texts(texts: Sequence[str]) -> Iterator[list[Tagged]]:
    """Return the names that underthesea finds in each text."""
    return map(_underthesea_names, texts)


def _underthesea_names(text: str) -> list[Tagged]:
    from annotator.passages.sentences import split_sentences
    from annotator.teachers.embedded.tagger import atoms

    spans: list[tuple[int, int, str]] = []
    for sentence in split_sentences(text):
        inside = ""  # the tag of the name that the last atom belongs to
        for atom in atoms(text, sentence.start, sentence.end, []):
            place, _, tag = atom.tag.partition("-")
            if tag and tag == inside and not (place == "B" and atom.opens):
                spans[-1] = (spans[-1][0], atom.end, tag)
            elif tag:
                spans.append((atom.start, atom.end, tag))
            inside = tag
    return [(text[start:end], tag) for start, end, tag in spans]


def token_classification(path: str, tags: TagMap) -> Predictor:
    """Make a predictor of a fine-tuned model (PhoBERT, XLM-R, ...) in the folder ``path``, sentence by sentence.

    Raises:
        ConfigError: the folder is not there, or the extra ``train`` is not installed.
        StudentError: it holds no such model.
    """
    check_extra()
    folder = model_folder("token-classification", path)
    pipe: list[Any] = []  # loaded when the first text comes

    def tag(texts: Sequence[str]) -> Iterator[list[Tagged]]:
        from annotator.passages.sentences import split_sentences

        if not pipe:
            pipe.append(_pipeline(folder))
        cut = [[text[span.start : span.end] for span in split_sentences(text)] for text in texts]
        sentences = [sentence for part in cut for sentence in part]
        found = iter(pipe[0](sentences, batch_size=BATCH) if sentences else [])
        return ([name for sentence in part for name in join_tokens(sentence, next(found))] for part in cut)

    asked = {"predictor": "token-classification", "model": fingerprint([folder]), "map": tags.as_toml()}
    return Predictor(asked, answering(tag, tags))


def join_tokens(sentence: str, tokens: Iterable[Mapping[str, Any]]) -> list[Tagged]:
    """Join the tokens of a name into a slice of ``sentence``; tokens tagged ``O`` are not among ``tokens``.

    A word has the tag of its first token, as such models are trained.
    """
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


def _pipeline(folder: Path) -> Any:
    from transformers import AutoModelForTokenClassification, AutoTokenizer, pipeline

    with loading(str(folder), "; it needs safetensors and a tokenizer"):
        model = AutoModelForTokenClassification.from_pretrained(
            str(folder), use_safetensors=True, local_files_only=True
        )
        tokenizer = AutoTokenizer.from_pretrained(str(folder), local_files_only=True)
    if not tokenizer.is_fast:  # a slow one does not say where its tokens stand
        raise ConfigError(f"the tokenizer in {folder} has no tokenizer.json, so tokens cannot be found in the text")
    positions = getattr(model.config, "max_position_embeddings", 514) - 2  # RoBERTa's family cannot use two of them
    tokenizer.model_max_length = min(tokenizer.model_max_length, positions)
    return pipeline("token-classification", model=model, tokenizer=tokenizer, device=default_device())


def gliner(path: str, tags: TagMap) -> Predictor:
    """Make a predictor of GLiNER (Zaratiana et al., 2024), which reads a passage with the types to look for.

    The ``gliner`` package is no dependency: its releases pin older versions of transformers; see docs/evaluate.md.

    Raises:
        ConfigError: the folder is not there, or ``gliner`` is not installed.
        StudentError: it holds no such model.
    """
    check_extra()
    if find_spec("gliner") is None:
        raise ConfigError("gliner:DIR needs the package gliner: pip install --no-deps gliner")
    folder = model_folder("gliner", path)

    def answer(samples: Sequence[Sample], known: Container[str], progress: Progress) -> Iterator[Prediction]:
        try:
            model = import_module("gliner").GLiNER.from_pretrained(str(folder), local_files_only=True)
        except Exception as error:  # the package raises nothing narrower
            cause = f"{type(error).__name__}: {one_line(error, 160)}"
            raise StudentError(f"cannot load {folder} as a GLiNER model ({cause})") from error
        model = model.to(default_device()).eval()
        types = {fold(sample.entity_type) for sample in samples}
        # Labels of the table for the types that it names; all other types by their own names.
        named = [label for label in tags.types if tags.of(label) & types]
        labels = [*named, *sorted(types - {kind for label in named for kind in tags.of(label)})]

        def tag(texts: Sequence[str]) -> Iterator[list[Tagged]]:
            for found in model.inference(list(texts), labels, threshold=THRESHOLD):
                yield [(str(entity["text"]), str(entity["label"])) for entity in found]

        return answering(tag, tags)(samples, known, progress)

    asked = {"predictor": "gliner", "model": fingerprint([folder]), "map": tags.as_toml(), "threshold": THRESHOLD}
    return Predictor(asked, answer)
