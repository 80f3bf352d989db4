"""underthesea's CRF models, as they are: what its ``ner`` says, cut out of the text. Offline; Apache-2.0."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from training.predict import Predictor
from training.predict.tags import Tagged, TagMap, answering


def make(tags: TagMap) -> Predictor:
    """The tagger with its table."""
    from annotator.teachers.embedded.tagger import identity

    version = identity()["underthesea"]
    return Predictor(
        {"predictor": "underthesea", "version": version, "map": tags.as_toml()}, answering(tag_texts, tags)
    )


def tag_texts(texts: Sequence[str]) -> Iterator[list[Tagged]]:
    """The names in each text, sentence by sentence."""
    return map(_names, texts)


def _names(text: str) -> list[Tagged]:
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
