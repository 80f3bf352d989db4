"""Ask a student: batches of queries of similar length, greedy search, constrained to a JSON list (see ``grammar.py``).

Batches depend on the benchmark alone, not on what is answered already: sums in another order round differently, and
could tip a choice between two tokens.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence
from pathlib import Path
from typing import Final

from annotator.records import Sample
from annotator.terminal.events import Progress
from training.predict.grammar import ListOnly, as_list
from training.predict.running import Prediction, Predictor
from training.prompting import student_input, template
from training.students import adapter_base, check_extra, fingerprint_models, load_student

MAX_INPUT: Final = 1024
"""Tokens of a query that are read."""
MAX_ANSWER: Final = 256
"""Tokens of an answer at most; a longer one ends after its last whole mention."""


def make(path: str, *, batch_size: int = 16, device: str | None = None) -> Predictor:
    """Make a predictor of the student ``path``, a folder with or without an adapter, or a name on the Hub."""
    check_extra()
    identity = {
        "predictor": "hf",
        "model": _identity(path),
        "template": template().sha256,
        "max_input": MAX_INPUT,
        "max_answer": MAX_ANSWER,
    }

    def answer(samples: Sequence[Sample], known: Container[str], progress: Progress) -> Iterator[Prediction]:
        import torch

        student = load_student(path, device=device)
        tokenizer, model = student.tokenizer, student.model
        grammar = ListOnly(tokenizer, len(model.get_output_embeddings().weight), student.device)
        texts = [student_input(sample.instruction, sample.input) for sample in samples]
        tokens = tokenizer(texts, truncation=True, max_length=MAX_INPUT)["input_ids"]
        if cut := sum(len(row) == MAX_INPUT for row in tokens):
            progress.say(f"{cut:,} queries have {MAX_INPUT} tokens or more; what is beyond is not read")
        # The longest first: too little memory shows at once, and the remaining time is not underestimated.
        order = sorted(range(len(samples)), key=lambda index: (-len(tokens[index]), samples[index].id))
        for start in range(0, len(order), batch_size):
            batch = order[start : start + batch_size]
            waiting = {samples[index].id for index in batch if samples[index].id not in known}
            if not waiting:
                continue
            padded = tokenizer.pad({"input_ids": [tokens[index] for index in batch]}, return_tensors="pt")
            grammar.restart()
            with torch.inference_mode():
                written = model.generate(
                    **padded.to(student.device), max_new_tokens=MAX_ANSWER, do_sample=False, num_beams=1,
                    logits_processor=[grammar],
                )  # fmt: skip
            decoded = tokenizer.batch_decode(written, skip_special_tokens=True, clean_up_tokenization_spaces=False)
            for index, text in zip(batch, decoded, strict=True):
                if samples[index].id in waiting:
                    yield samples[index].id, as_list(text)
            progress.advance(len(waiting))

    return Predictor(identity, answer)


def _identity(path: str) -> str:
    """Return what identifies a student and the base of its adapter: hashes of folders, names on the Hub."""
    folder = Path(path).expanduser()
    if not folder.is_dir():
        return path
    base = adapter_base(folder)
    if base and Path(base).is_dir():
        return fingerprint_models([folder, Path(base)])
    return fingerprint_models([folder]) + base
