"""Read the answers in the ledger: the answered passages, rules about labels, and questions that depend on answers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from itertools import islice

from annotator.asking.pool import pace_of
from annotator.checking.arbiter import QUESTIONS, accepted, make_arbiter
from annotator.checking.compare import Entity
from annotator.checking.drawing import Outline, positions
from annotator.checking.query_answers import ABSENT
from annotator.cleaning.clean import Decider
from annotator.cleaning.corrections import read_corrections
from annotator.cleaning.label_translation import Translations, ask_translations, unknown_labels
from annotator.cleaning.typed_labels import TypedLabels
from annotator.ledger import Ledger
from annotator.records import Completion, Passage
from annotator.run.context import Context
from annotator.run.partitions import PART, Answered, differences_part, outlines_part
from annotator.run.question_keys import with_keys
from annotator.run.second import ByQuery, Second, Types
from annotator.run.update_steps import passage_steps, splits_of_passages
from annotator.samples.explode import Negatives
from annotator.storage import tables
from annotator.teachers import Asked, make_translator
from normalizers.labels import LabelNormalizer, load_lexicon


def passages_with_answers(context: Context, ledger: Ledger) -> Iterator[tuple[tuple[str, str], str, Completion | None]]:
    """Yield id and text of every passage with the key of its question, and its answer or None."""
    for batch, keys in with_keys(context.run, context.teacher, PART):
        found = ledger.find(keys)
        passages = zip(batch.column("id").to_pylist(), batch.column("text").to_pylist(), strict=True)
        yield from ((passage, key, found.get(key)) for passage, key in zip(passages, keys, strict=True))


def answered(context: Context, ledger: Ledger, second: Second | None = None) -> Iterator[Answered]:
    """Yield the answered passages with their answers, a partition at a time."""
    for batch, keys in with_keys(context.run, context.teacher, PART):
        found = ledger.find(keys)
        answers = [found[key] for key in keys if key in found]
        passages = tables.pick(batch, [key in found for key in keys])
        found_here = Answered(passages, tables.to_batch(answers, tables.COMPLETION))
        yield second.add_answers(found_here, ledger) if second else found_here


# ---------------------------------------------------------------- rules about labels


def decider(context: Context, ledger: Ledger) -> Decider:
    """Return the rules about labels as cleaning applies them; with ``asking="never"`` no translation is requested."""
    normalizer = LabelNormalizer(load_lexicon(), context.decisions.labels)
    if context.schema:
        return TypedLabels(context.schema, normalizer)
    return _translated(context, ledger, normalizer) if context.config.translate_labels else normalizer


def _translated(context: Context, ledger: Ledger, labels: LabelNormalizer) -> Translations:
    unknown = unknown_labels((pair for part in answered(context, ledger) for pair in part.pairs()), labels)
    translator = make_translator(context.config)
    if context.asking != "never":
        context.progress.start("translate", "labels", len(unknown))
        ask_translations(unknown, translator, ledger, pace_of(context.config), context.progress)
        context.progress.finish()
    translations = Translations(unknown, translator, ledger, labels)
    if translations.missing:
        context.progress.say(f"{translations.missing:,} labels have no translation yet; the next build asks again")
    return translations


# ---------------------------------------------------------------- the second teacher and the arbiter


def choose_questions(second: Second, context: Context, ledger: Ledger, labels: Decider) -> Second:
    """Choose passages and types for the second teacher, where they follow from the first teacher's answers.

    The draw of a share does not depend on people's decisions about labels and entities, so that these never change what
    is paid for. Queries are about the types of the dataset, which depend on decisions about ``labels``. The draw for a
    step of the run depends on that step and earlier ones alone.
    """
    config, settings = second.config, second.settings
    stratified, queried = settings.share < 1 and settings.draw == "stratified", isinstance(second, ByQuery)
    if not stratified and not queried:
        return second

    def outlines(rules: Decider) -> dict[str, Counter[str] | None]:
        parts = context.engine.spread(partial(outlines_part, labels=rules), answered(context, ledger))
        return {identity: entities for part in parts for identity, entities in part}

    as_answered = outlines(LabelNormalizer(load_lexicon())) if stratified else {}
    as_labelled = outlines(labels) if queried else {}
    splits, places, types = splits_of_passages(context.run, config), dict[str, float](), dict[str, Types]()
    frequency: Counter[str] = Counter()
    for step, rows in enumerate(passage_steps(context.run)):
        block = list(islice(splits, len(rows)))
        if stratified:
            known = [Outline(identity, split, as_answered.get(identity)) for identity, split in block]
            places |= positions(known, config.seed + step)
        present = {identity: tuple(found) for identity, _ in block if (found := as_labelled.get(identity)) is not None}
        frequency.update(entity_type for found in present.values() for entity_type in found)
        negatives = Negatives(frequency, ABSENT, config.seed)
        types |= {identity: Types(found, negatives.types(identity, found)) for identity, found in present.items()}
    second = replace(second, positions=places)
    return replace(second, types=types) if isinstance(second, ByQuery) else second


def disputes(context: Context, ledger: Ledger, second: Second, labels: Decider) -> Iterator[tuple[Asked, list[Entity]]]:
    """Yield for each passage on which two teachers differ the question to the arbiter, and its candidates."""
    prompt = second.settings.arbiter
    arbiter = make_arbiter(second.config, prompt)
    corrections = read_corrections(context.run.corrections)
    work = partial(differences_part, labels=labels, corrections=corrections, shown=QUESTIONS[prompt])
    for part in context.engine.spread(work, answered(context, ledger, second)):
        for passage_id, text, candidates in part:
            question = arbiter.question(text)
            # The length is that of the question, which is what it costs.
            yield Asked(Passage(passage_id, text, len(text) // 3, (), 1), question), candidates


def decisions(
    context: Context, ledger: Ledger, second: Second, labels: Decider
) -> dict[str, frozenset[tuple[str, str]]]:
    """Return, by passage id, mention and label of the entities that the arbiter accepted, where it decided."""
    found = {}
    for asked, candidates in disputes(context, ledger, second, labels):
        answer = ledger.get(asked.question.key)
        if answer and (right := accepted(answer, candidates)) is not None:
            found[asked.passage.id] = right
    return found
