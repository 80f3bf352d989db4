"""Read the passages of a run with their answers from the ledger, and the rules about labels that apply to them."""

from __future__ import annotations

from collections.abc import Iterator

from annotator.asking.pool import pace_of
from annotator.cleaning.clean import Decider
from annotator.cleaning.label_translation import Translations, ask_translations, unknown_labels
from annotator.cleaning.typed_labels import TypedLabels
from annotator.ledger import Answers
from annotator.records import Completion, Passage
from annotator.run.context import Context
from annotator.run.partitions import PART, Answered
from annotator.run.question_keys import with_keys
from annotator.run.second import Second
from annotator.storage import tables
from annotator.teachers import make_translator
from normalizers.labels import LabelNormalizer, load_lexicon


def asked_about(context: Context, ledger: Answers) -> Iterator[tuple[tuple[str, str], str, Completion | None]]:
    """Yield id and text of every passage with the key of its question, and its answer or None."""
    for batch, keys in with_keys(context.run, context.teacher, PART):
        found = ledger.find(keys)
        passages = zip(batch.column("id").to_pylist(), batch.column("text").to_pylist(), strict=True)
        yield from ((passage, key, found.get(key)) for passage, key in zip(passages, keys, strict=True))


def answered(context: Context, ledger: Answers, second: Second | None = None) -> Iterator[Answered]:
    """Yield the answered passages with their answers, a partition at a time."""
    for batch, keys in with_keys(context.run, context.teacher, PART):
        found = ledger.find(keys)
        answers = [found[key] for key in keys if key in found]
        passages = tables.pick(batch, [key in found for key in keys])
        found_here = Answered(passages, tables.to_batch(answers, tables.COMPLETION))
        yield second.add_answers(found_here, ledger) if second else found_here


def decider(context: Context, ledger: Answers) -> Decider:
    """Return the rules about labels as cleaning applies them; nothing is asked unless ``context`` says so."""
    normalizer = LabelNormalizer(load_lexicon(), context.decisions.labels)
    if context.schema:
        return TypedLabels(context.schema, normalizer)
    return _translated(context, ledger, normalizer) if context.config.translate_labels else normalizer


def _translated(context: Context, ledger: Answers, labels: LabelNormalizer) -> Translations:
    replies = (
        pair
        for part in answered(context, ledger)
        for pair in zip(
            tables.from_batch(part.passages, Passage),
            tables.from_batch(part.completions, Completion),
            strict=True,
        )
    )
    unknown = unknown_labels(replies, labels)
    translator = make_translator(context.config)
    if context.asking != "never":
        context.progress.start("translate", "labels", len(unknown))
        ask_translations(unknown, translator, ledger, pace_of(context.config), context.progress)
        context.progress.finish()
    translations = Translations(unknown, translator, ledger, labels)
    if translations.missing:
        context.progress.say(f"{translations.missing:,} labels have no translation yet; the next build asks again")
    return translations
