"""Ask taggers to compare with: underthesea, token-classification models of transformers, and GLiNER.

Each passage is tagged once. A table, which the user can change, lists the types that a tag answers for:
``PER = ["person", "name"]``. A tag with the name of a type (``SYMPTOM_AND_DISEASE``) needs no line.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module, resources
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final, TypeAlias

from annotator.config.toml_files import parse_toml
from annotator.errors import ConfigError
from annotator.passages.sentences import split_sentences
from annotator.records import Sample
from annotator.terminal.events import Progress
from training.predict.running import Answering, Prediction, Predictor
from training.students import check_extra, default_device, fingerprint_models, loading

Tagged: TypeAlias = tuple[str, str]
"""A slice of the text, and its tag."""
Tagger: TypeAlias = Callable[[Sequence[str]], Iterable[Sequence[Tagged]]]
"""Finds the tagged slices of each text."""
Span: TypeAlias = tuple[int, int, str]

AT_ONCE: Final = 16
"""Passages in a batch of a tagger, and sentences in a batch of a token-classification model."""
THRESHOLD: Final = 0.5
"""Score below which a span of GLiNER is no entity: the package's own default."""
_BARE: Final = re.compile(r"[\w-]+", re.ASCII)


@dataclass(frozen=True, slots=True)
class TagMap:
    """The types that each tag answers for."""

    types: Mapping[str, Sequence[str]]

    def of(self, tag: str) -> frozenset[str]:
        """Return the types, folded, for which ``tag`` answers."""
        return frozenset(map(fold, self.types.get(tag, (tag,))))

    def as_toml(self) -> str:
        """Return the table as a user would write it."""
        return "".join(
            f"{tag if _BARE.fullmatch(tag) else json.dumps(tag, ensure_ascii=False)} = "
            f"{json.dumps(list(types), ensure_ascii=False)}\n"
            for tag, types in self.types.items()
        )


def fold(name: str) -> str:
    """Fold a type or tag as it is compared: lower case, spaces between words."""
    return " ".join(name.lower().replace("_", " ").replace("-", " ").split())


def load_map(kind: str, path: Path | None) -> TagMap:
    """Load the bundled table for a kind of tagger, or the user's in its place."""
    if not path:
        return TagMap(parse_toml(resources.files(__package__) / "maps.toml", "maps.toml")[kind])
    table = parse_toml(path, f"--map {path}")
    for tag, names in table.items():
        if not isinstance(names, list) or not all(isinstance(item, str) for item in names):
            raise ConfigError(f'{path}: {tag} takes a list of types, such as {tag} = ["person"]')
    return TagMap(table)


def make(kind: str, path: str, tags: TagMap) -> Predictor:
    """Make a predictor of the tagger ``kind`` with the model in the folder ``path``; underthesea has its own."""
    if kind == "underthesea":
        identity = {"predictor": kind, "version": version("underthesea"), "map": tags.as_toml()}
        return Predictor(identity, answering(lambda _: tag_with_underthesea, tags))
    check_extra()
    folder = Path(path).expanduser()
    if not (folder.is_dir() and any(folder.glob("*config.json"))):
        raise ConfigError(f"{kind}:{path} is no folder with a model (no config.json); download it there first")
    identity = {"predictor": kind, "model": fingerprint_models([folder]), "map": tags.as_toml()}
    if kind == "token-classification":
        return Predictor(identity, answering(lambda _: load_token_classifier(folder), tags))
    if find_spec("gliner") is None:
        raise ConfigError("gliner:DIR needs the package gliner: pip install --no-deps gliner")
    answer = answering(lambda types: load_gliner(folder, types, tags), tags)
    return Predictor({**identity, "threshold": THRESHOLD}, answer)


def answering(load: Callable[[set[str]], Tagger], tags: TagMap) -> Answering:
    """Answer queries by tagging each passage once; ``load`` loads the tagger for the types of the benchmark, folded."""

    def answer(samples: Sequence[Sample], known: Container[str], progress: Progress) -> Iterator[Prediction]:
        queries: dict[str, list[Sample]] = {}
        for sample in samples:
            if sample.id not in known:
                queries.setdefault(sample.input, []).append(sample)
        tagger = load({fold(sample.entity_type) for sample in samples})
        passages = list(queries)
        for start in range(0, len(passages), AT_ONCE):
            texts = passages[start : start + AT_ONCE]
            for text, found in zip(texts, tagger(texts), strict=True):
                for sample in queries[text]:
                    wanted = fold(sample.entity_type)
                    mentions = dict.fromkeys(mention for mention, tag in found if wanted in tags.of(tag))
                    yield sample.id, json.dumps(list(mentions), ensure_ascii=False)
                    progress.advance()

    return answer


def tag_with_underthesea(texts: Sequence[str]) -> Iterator[list[Tagged]]:
    """Yield the names that underthesea's CRF model finds in each text, sentence by sentence. Offline; Apache-2.0."""
    from annotator.teachers.embedded.tagger import atoms

    for text in texts:
        spans: list[Span] = []
        for sentence in split_sentences(text):
            inside = ""  # the tag of the name that the last atom belongs to
            for atom in atoms(text, sentence.start, sentence.end, []):
                place, _, tag = atom.tag.partition("-")
                if tag and tag == inside and not (place == "B" and atom.opens):
                    spans[-1] = (spans[-1][0], atom.end, tag)
                elif tag:
                    spans.append((atom.start, atom.end, tag))
                inside = tag
        yield [(text[start:end], tag) for start, end, tag in spans]


def load_token_classifier(folder: Path) -> Tagger:
    """Load a fine-tuned model (PhoBERT, XLM-R, ...) that tags sentence by sentence.

    Raises a ConfigError if its tokenizer does not report where its tokens are in the text.
    """
    from transformers import AutoModelForTokenClassification, AutoTokenizer, pipeline

    with loading(str(folder), "; it needs safetensors and a tokenizer"):
        model = AutoModelForTokenClassification.from_pretrained(
            str(folder), use_safetensors=True, local_files_only=True
        )
        tokenizer = AutoTokenizer.from_pretrained(str(folder), local_files_only=True)
    if not tokenizer.is_fast:
        raise ConfigError(f"the tokenizer in {folder} has no tokenizer.json, so tokens cannot be found in the text")
    positions = getattr(model.config, "max_position_embeddings", 514) - 2  # RoBERTa's family cannot use two of them
    tokenizer.model_max_length = min(tokenizer.model_max_length, positions)
    pipe = pipeline("token-classification", model=model, tokenizer=tokenizer, device=default_device())

    def tag(texts: Sequence[str]) -> Iterator[list[Tagged]]:
        cut = [[text[span.start : span.end] for span in split_sentences(text)] for text in texts]
        sentences = [sentence for part in cut for sentence in part]
        found = iter(pipe(sentences, batch_size=AT_ONCE) if sentences else [])
        return ([name for sentence in part for name in join_tokens(sentence, next(found))] for part in cut)

    return tag


def join_tokens(sentence: str, tokens: Iterable[Mapping[str, Any]]) -> list[Tagged]:
    """Join the tokens of a name into a slice of ``sentence``; tokens tagged ``O`` are not among ``tokens``.

    A word has the tag of its first token, as such models are trained.
    """
    spans: list[Span] = []
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


def load_gliner(folder: Path, types: set[str], tags: TagMap) -> Tagger:
    """Load GLiNER (Zaratiana et al., 2024), which reads a passage with the labels to look for.

    These are the labels of the table that answer for one of ``types``, and the names of all other types. The package
    ``gliner`` is no dependency: it pins older versions of transformers (docs/evaluate.md).
    """
    with loading(f"{folder} as a GLiNER model"):
        model = import_module("gliner").GLiNER.from_pretrained(str(folder), local_files_only=True)
    model = model.to(default_device()).eval()
    named = [label for label in tags.types if tags.of(label) & types]
    labels = [*named, *sorted(types.difference(*map(tags.of, named)))]

    def tag(texts: Sequence[str]) -> Iterator[list[Tagged]]:
        for found in model.inference(list(texts), labels, threshold=THRESHOLD):
            yield [(str(entity["text"]), str(entity["label"])) for entity in found]

    return tag
