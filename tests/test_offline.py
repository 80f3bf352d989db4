"""The vllm teacher as far as it goes without a GPU: what is handed to Ray Data's processor, and what comes back."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from annotator.cluster import offline
from annotator.config import RunConfig
from annotator.errors import ConfigError
from annotator.ledger import Failure, Ledger
from annotator.progress import Silent
from annotator.records import Passage
from annotator.teachers import make_teacher

MakePassage = Callable[..., Passage]
CONFIG = RunConfig(provider="vllm", model="org/model", engine="ray", tensor_parallel=2, max_completion_tokens=50)


def answered(row: dict[str, Any], error: str = "", tokens: int = 7) -> dict[str, Any]:
    """What Ray Data hands to ``to_answer`` for one request, and what it makes of that."""
    if error:  # such a row goes past ``to_answer``, with all columns
        return {**row, "generated_text": "", "num_input_tokens": 0, "num_generated_tokens": 0, "time_taken_llm": -1,
                offline.ERROR: error}  # fmt: skip
    made = {"generated_text": f"[] {row['passage_id']}", "num_input_tokens": 90, "num_generated_tokens": tokens,
            "time_taken_llm": 0.25, "generated_tokens": [1], "prompt": "x"}  # fmt: skip
    return {**offline.to_answer({**row, **made}), offline.ERROR: ""}


def test_the_configuration_is_ray_datas_own() -> None:
    """As many engines as the GPUs hold, and none of less than was asked for."""
    made = offline.engine_config(CONFIG, 9)
    assert made.model_source == "org/model"
    assert made.engine_kwargs["tensor_parallel_size"] == 2
    assert made.concurrency == (1, 4)
    assert made.should_continue_on_error
    with pytest.raises(ConfigError, match="needs as many GPUs, and the cluster has 1"):
        offline.engine_config(CONFIG, 1)


def test_without_vllm_it_is_said() -> None:
    """Before a GPU is taken."""
    with pytest.raises(ConfigError, match="pip install vllm"):
        offline.make_processor(CONFIG, 2)


def test_the_question_is_that_of_an_endpoint() -> None:
    """Word for word, at temperature 0, under the same key: answers of one are found by the other."""
    served = RunConfig(provider="openai", model="org/model", max_completion_tokens=50)
    question = make_teacher(served).question("Hà Nội mưa.")
    assert make_teacher(CONFIG).question("Hà Nội mưa.").key == question.key
    request = offline.to_request({"key": question.key, "passage_id": "p1", "passage": "Hà Nội mưa."}, CONFIG)
    assert request["messages"] == question.content["messages"]
    assert request["sampling_params"] == {"temperature": 0, "max_tokens": 50}
    assert (request["key"], request["passage_id"]) == (question.key, "p1")


def test_answers_and_failures_reach_the_ledger(make_passage: MakePassage, tmp_path: Path) -> None:
    """Each with its numbers; what is answered, or stands twice, is not asked again; a cut answer is known as one."""
    passages = [make_passage(f"Bản tin {number}", f"p{number}") for number in (0, 1, 2, 3, 3)]
    teacher = make_teacher(CONFIG)
    with Ledger(tmp_path / "l.sqlite") as ledger:

        def ask() -> list[dict[str, Any]]:
            tables = list(offline.unanswered(passages, teacher, ledger, Silent()))
            return [offline.to_request(row, CONFIG) for table in tables for row in table.to_pylist()]

        first, second, third, fourth = ask()
        rows = [answered(first), answered(second, tokens=50), answered(third, error="ValueError: too\nlong")]
        offline.keep(rows, CONFIG, ledger, Silent())
        found = ledger.get(first["key"])
        assert found is not None
        assert (found.reply, found.finish_reason, found.passage_id) == ("[] p0", "stop", "p0")
        assert (found.prompt_tokens, found.completion_tokens, found.latency) == (90, 7, 0.25)
        cut = ledger.get(second["key"])
        assert cut is not None
        assert cut.finish_reason == "length"
        assert ledger.failure(third["key"]) == Failure(third["key"], "p2", "vllm", "ValueError: too long")
        assert [row["key"] for row in ask()] == [third["key"], fourth["key"]]


def test_a_run_through_ray_data(nodes: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The whole command, with a processor of the same rows in vLLM's place; a second run asks nothing."""
    from tests.test_build import vner

    made: list[float] = []

    def fake(config: RunConfig, gpus: float) -> offline.Processor:
        made.append(gpus)
        return lambda rows: rows.map(partial(offline.to_request, config=config)).map(answered)

    monkeypatch.setattr(offline, "make_processor", fake)
    command = ("annotate", "sample", "--docs", 6, "--out", tmp_path / "run", "--provider", "vllm", "--model", "m",
               "--engine", "ray", "--ray-address", nodes.address, "--json")  # fmt: skip
    result = vner(*command)
    assert result.exit_code == 0, result.output
    assert made == [0.0]
    lines = result.stderr.strip().splitlines()
    assert {line.partition(":")[0] for line in lines} == {"sample", "chunk", "annotate"}  # and nothing of Ray's own
    with Ledger(tmp_path / "run" / "completions.sqlite") as ledger:
        assert len(ledger) > 10
    again = vner(*command)
    assert again.exit_code == 0, again.output
    assert len(made) == 1


@pytest.mark.parametrize(
    "wrong", [{"engine": "local"}, {"base_url": "http://x"}, {"translate_labels": True}, {"response_format": "json"}]
)
def test_what_does_not_go_together_is_refused(wrong: dict[str, Any]) -> None:
    """At once."""
    with pytest.raises(ConfigError, match=r"--provider vllm (needs|takes no)"):
        RunConfig(**{"provider": "vllm", "model": "m", "engine": "ray", **wrong})
