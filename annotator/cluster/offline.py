"""Inference without an endpoint: the ``vllm`` teacher, through Ray Data's LLM processors, on the GPUs of a cluster.

    unanswered passages -> rows -> chat template, tokenizer, vLLM, detokenizer (Ray Data) -> rows -> ledger

The question is the very one that would be sent to an endpoint that serves the model, and so is its key: answers of one
are found by the other. The driver alone writes; each batch is in the ledger before the next is taken, so a run that
breaks off goes on with what is missing.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa

from annotator.cluster.ray import RayEngine
from annotator.config import RunConfig
from annotator.errors import ConfigError
from annotator.ledger import Answers, Failure
from annotator.progress import Progress
from annotator.records import Completion, Passage
from annotator.teachers import Teacher, make_teacher

if TYPE_CHECKING:
    from ray.data import Dataset

BATCH: Final = 64
"""Rows that go through the stages together, and answers a write: what a killed driver can lose of each batch on its
way."""
BLOCK: Final = 1000
"""Rows a block of the dataset."""
ROW: Final = pa.schema([("key", pa.string()), ("passage_id", pa.string()), ("passage", pa.string())])
ERROR: Final = "__inference_error__"
"""Where Ray Data puts why a row has no answer."""

Processor = Callable[["Dataset"], "Dataset"]


def infer(
    passages: Iterable[Passage],
    teacher: Teacher,
    ledger: Answers,
    config: RunConfig,
    engine: RayEngine,
    progress: Progress,
) -> None:
    """Let vLLM answer each of ``passages`` that the ledger does not know.

    Raises:
        ConfigError: vLLM is not installed on this node, or the cluster has too few GPUs.
    """
    import ray.data

    engine.join()
    # In Ray's object store, which spills to the disk: 1 GB for a million passages.
    blocks: list[Any] = [ray.put(table) for table in unanswered(passages, teacher, ledger, progress)]
    if not blocks:
        return
    ray.data.DataContext.get_current().enable_progress_bars = False
    answers: Any = make_processor(config, engine.resource("GPU"))(ray.data.from_arrow_refs(blocks))
    for batch in answers.iter_batches(batch_size=BATCH, batch_format="pyarrow"):
        keep(batch.to_pylist(), config, ledger, progress)


def unanswered(
    passages: Iterable[Passage], teacher: Teacher, ledger: Answers, progress: Progress
) -> Iterator[pa.Table]:
    """What is to be asked, each question once, as tables of the columns ``ROW``."""
    stream, seen = iter(passages), set[str]()
    while block := list(islice(stream, BLOCK)):
        asked = [(teacher.question(passage.text).key, passage) for passage in block]
        known = ledger.known([key for key, _ in asked])
        rows = []
        for key, passage in asked:
            if key not in known and key not in seen:
                rows.append({"key": key, "passage_id": passage.id, "passage": passage.text})
            seen.add(key)
        progress.advance(len(block) - len(rows))
        if rows:
            yield pa.Table.from_pylist(rows, ROW)


def engine_config(config: RunConfig, gpus: float) -> Any:
    """Ray Data's configuration of vLLM; as many engines as the GPUs hold.

    Raises:
        ConfigError: they do not hold one.
    """
    from ray.data.llm import vLLMEngineProcessorConfig

    engines = int(gpus) // config.tensor_parallel
    if not engines:
        raise ConfigError(
            f"--provider vllm with --tensor-parallel {config.tensor_parallel} needs as many GPUs, and the cluster has "
            f"{int(gpus)}; see docs/scale.md"
        )
    return vLLMEngineProcessorConfig(
        model_source=config.model,
        engine_kwargs={"tensor_parallel_size": config.tensor_parallel, "enable_prefix_caching": True, "seed": 0},
        concurrency=(1, engines),
        batch_size=BATCH,
        should_continue_on_error=True,
        log_engine_metrics=False,
        chat_template_stage={"enabled": True},
        tokenize_stage={"enabled": True},
        detokenize_stage={"enabled": True},
    )


def make_processor(config: RunConfig, gpus: float) -> Processor:
    """VLLM as a function from a dataset of questions to one of answers.

    Raises:
        ConfigError: it is not installed, or has no GPU.
    """
    from importlib.util import find_spec

    wanted = engine_config(config, gpus)
    if find_spec("vllm") is None:
        raise ConfigError("--provider vllm needs vLLM on every node that has a GPU, and on this one: pip install vllm")
    from ray.data.llm import build_processor

    processor: Processor = build_processor(wanted, preprocess=partial(to_request, config=config), postprocess=to_answer)
    return processor


def to_request(row: Mapping[str, Any], config: RunConfig) -> dict[str, Any]:
    """What vLLM is asked: the messages of the question, and how to sample."""
    content = make_teacher(config).question(row["passage"]).content
    return {
        "key": row["key"],
        "passage_id": row["passage_id"],
        "messages": content["messages"],
        "sampling_params": {"temperature": content["temperature"], "max_tokens": content["max_tokens"]},
    }


def to_answer(row: Mapping[str, Any]) -> dict[str, Any]:
    """What is kept of a row that vLLM has answered."""
    return {
        "key": row["key"],
        "passage_id": row["passage_id"],
        "generated_text": row["generated_text"],
        "num_input_tokens": row["num_input_tokens"],
        "num_generated_tokens": row["num_generated_tokens"],
        "time_taken_llm": row["time_taken_llm"],
    }


def keep(rows: Iterable[Mapping[str, Any]], config: RunConfig, ledger: Answers, progress: Progress) -> None:
    """Write answers, and why there are none, into the ledger."""
    answers: list[Completion] = []
    failures: list[Failure] = []
    for row in rows:
        if error := row.get(ERROR):
            failures.append(Failure(row["key"], row["passage_id"], "vllm", " ".join(str(error).split())[:500]))
            continue
        # Ray Data does not tell the finish reason; an answer that used up its tokens was cut.
        cut = row["num_generated_tokens"] >= config.max_completion_tokens
        answers.append(
            Completion(
                key=row["key"],
                passage_id=row["passage_id"],
                reply=row["generated_text"],
                finish_reason="length" if cut else "stop",
                prompt_tokens=row["num_input_tokens"],
                completion_tokens=row["num_generated_tokens"],
                latency=row["time_taken_llm"],
                created=time.time(),
            )
        )
    ledger.append(answers)
    ledger.record_failures(failures)
    ledger.flush()
    progress.count("tokens", sum(answer.prompt_tokens + answer.completion_tokens for answer in answers))
    if failures:
        progress.count("gave up: vllm", len(failures))
    progress.advance(len(answers) + len(failures))
