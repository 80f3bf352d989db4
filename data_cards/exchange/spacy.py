"""spaCy's DocBin. ``doc.spans["sc"]`` (spaCy's own key) has all spans, ``doc.ents`` the outermost ones.

Tokens are syllables, and white space where spaCy needs it, so that ``doc.text`` equals the passage. ``doc.user_data``
has the passage id and the raw labels.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Any

from annotator.errors import ConfigError, SourceError
from annotator.records import Annotation, Mention
from data_cards.exchange.passages import Exported, Reviewed, Unread, lost_off_tokens, lost_when_flat
from data_cards.exchange.places import syllables

KEY = "sc"


def lost(annotation: Annotation) -> dict[Mention, str]:
    """Return spans within tokens."""
    return lost_off_tokens(annotation.mentions, syllables(annotation.text))


def write(file: IO[bytes], passages: Iterable[Exported]) -> None:
    """Write a DocBin; memory holds the whole file, since spaCy compresses it in one piece.

    Raises:
        ConfigError: spaCy is not installed.
    """
    spacy = _spacy()
    vocab = spacy.vocab.Vocab()
    docs = spacy.tokens.DocBin(attrs=["ORTH", "ENT_IOB", "ENT_TYPE"], store_user_data=True)  # the others are empty
    for annotation in (passage.annotation for passage in passages):
        cut = [annotation.text[start:end] for start, end in syllables(annotation.text)]
        words, spaces = spacy.util.get_words_and_spaces(cut, annotation.text)
        doc = spacy.tokens.Doc(vocab, words=words, spaces=spaces)
        spans = {one: doc.char_span(one.start, one.end, label=one.label) for one in annotation.mentions}
        shadowed = lost_when_flat(spans)
        doc.spans[KEY] = list(spans.values())
        doc.set_ents([span for mention, span in spans.items() if mention not in shadowed])
        doc.user_data["passage_id"] = annotation.passage_id
        doc.user_data["raw_labels"] = [mention.raw_label for mention in spans]
        docs.add(doc)
    file.write(docs.to_bytes())


def read(path: Path) -> Iterator[Reviewed | Unread]:
    """Read a DocBin: the spans under ``sc`` where there are any, else the entities.

    Raises:
        ConfigError: spaCy is not installed.
        SourceError: the file is not a DocBin.
    """
    spacy = _spacy()
    try:
        docs = list(spacy.tokens.DocBin().from_bytes(path.read_bytes()).get_docs(spacy.vocab.Vocab()))
    except OSError as error:
        raise SourceError(f"cannot read {path}: {error.strerror or error}") from error
    except Exception as error:  # zlib, msgpack and spaCy each raise their own
        raise SourceError(f"{path} is not a DocBin of spaCy: {error}") from error
    for doc in docs:
        identity = doc.user_data.get("passage_id", "")
        if not identity:
            yield Unread("unreadable", "", "its user_data has no passage_id; keep it with store_user_data=True")
            continue
        if KEY not in doc.spans and (doc.spans or not doc.has_annotation("ENT_IOB")):
            keys = ", ".join(map(repr, doc.spans)) or "no entities"
            yield Unread("unreadable", identity, f"it has {keys}, not doc.spans[{KEY!r}]")
            continue
        spans = doc.spans.get(KEY, doc.ents)
        if not all(span.label_.strip() for span in spans):
            yield Unread("unreadable", identity, "a span has no label")
            continue
        yield Reviewed(identity, tuple((span.start_char, span.end_char, span.label_) for span in spans), text=doc.text)


def _spacy() -> Any:
    try:
        import spacy.tokens
        import spacy.util
        import spacy.vocab
    except ModuleNotFoundError as error:
        raise ConfigError("this format needs spaCy: pip install '.[review]'") from error
    return spacy
