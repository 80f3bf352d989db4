"""Find where reviewers differ, for the mode ``settle``."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping

from annotator.cleaning.corrections import text_sha256
from annotator.cleaning.entity_reviews import Decision, Subject
from annotator.records import Annotation
from data_cards.review.blind import mentions_of

_OPINION = ("verdict", "new_mention", "new_label")


def unsettled(
    standing: Iterable[Decision], annotations: Mapping[str, Annotation]
) -> Iterator[tuple[Subject, list[dict[str, str]]]]:
    """Yield each entity on which reviewers differ and which nobody settled, with their opinions, without names.

    Args:
        standing: decisions that count; what is about another text does not.
        annotations: the passages, by id.
    """
    valid = [
        one
        for one in standing
        if (known := annotations.get(one.passage_id)) and one.text_sha256 == text_sha256(known.text)
    ]
    settled = {one.subject for one in standing if one.mode == "settle"}
    verdicts: dict[Subject, list[Decision]] = defaultdict(list)
    readings: dict[str, list[Decision]] = defaultdict(list)
    for one in valid:
        if one.mode == "verify":
            verdicts[one.subject].append(one)
        elif one.mode == "blind":
            readings[one.passage_id].append(one)
    for subject, own in verdicts.items():
        opinions = {(one.verdict, one.new_mention, one.new_label) for one in own if one.verdict != "unsure"}
        if len(opinions) > 1 and subject not in settled:
            yield subject, [dict(zip(_OPINION, opinion, strict=True)) for opinion in sorted(opinions)]
    for passage_id, several in readings.items():
        text = annotations[passage_id].text
        votes = Counter(pair for one in several for pair in set(mentions_of(text, one.entities)))
        for (mention, label), number in sorted(votes.items()):
            if number < len(several) and (passage_id, mention, label) not in settled:
                yield (passage_id, mention, label), [{"verdict": "right"}, {"verdict": "none"}]
