"""``--option NAME=VALUE`` is part of each request and of its key, and of nothing else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from annotator.config.settings import RunConfig, make_config
from annotator.config.toml_files import read_toml
from annotator.errors import ConfigError
from annotator.ledger import request_key
from annotator.storage.rundir import RunDir
from annotator.teachers import make_teacher
from annotator.teachers.batch import request_line
from tests.commands import asking, must_succeed, vner
from tests.endpoint import Endpoint


def config(**settings: Any) -> RunConfig:
    return RunConfig(**{"provider": "openai", "model": "llama3-70b-8192", **settings})


def question(**settings: Any) -> Any:
    return make_teacher(config(**settings)).question("Đà Nẵng")


@pytest.mark.parametrize("provider", ["openai", "groq"])
def test_options_go_into_each_request(
    endpoint: Endpoint, tmp_path: Path, provider: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Options are parsed as JSON, or else are text, and are part of each request, also of unknown names."""
    monkeypatch.setenv("GROQ_API_KEY", "gsk-x")
    where = (*asking(endpoint, provider), "--docs", 3)
    more = ("--option", "reasoning_effort=low", "--option", 'chat_template_kwargs={"enable_thinking": false}',
            "--option", "seed=7", "--option", "temperature=0.5")  # fmt: skip
    must_succeed(vner("annotate", "sample", "--out", tmp_path / "run", *where, *more))
    for request in endpoint.requests:
        assert request["reasoning_effort"] == "low"
        assert request["chat_template_kwargs"] == {"enable_thinking": False}
        assert (request["seed"], request["temperature"]) == (7, 0.5)
    manifest = RunDir(tmp_path / "run").read_manifest()
    assert manifest["teacher"]["reasoning_effort"] == "low"


def test_options_are_part_of_the_key() -> None:
    """Options change the key, independent of their order; without options it is unchanged."""
    plain, low = question(), question(option=["reasoning_effort=low", "seed=1"])
    assert plain.key == question(option=()).key != low.key
    assert low.key == question(option=["seed=1", 'reasoning_effort="low"']).key
    assert low.key == question(option={"seed": 1, "reasoning_effort": "low"}).key == request_key(low.content)
    assert low.key != question(option=["reasoning_effort=high", "seed=1"]).key
    assert json.loads(low.body)["seed"] == 1
    assert json.loads(request_line(low, {}))["body"]["reasoning_effort"] == "low"


def test_a_null_temperature_is_left_out() -> None:
    """``temperature=null`` removes the temperature, which reasoning models refuse."""
    assert "temperature" not in json.loads(question(option=["temperature=null"]).body)


@pytest.mark.parametrize(
    "option",
    ["model=x", "messages=[]", "max_tokens=5", "max_completion_tokens=5", "response_format={}", "prompt=x",
     "stream=true", "n=2", "seed", "=3", "a b=3", "x=NaN"],
)  # fmt: skip
def test_invalid_options_are_refused(option: str) -> None:
    """A name that another flag sets, a missing name and invalid JSON are refused."""
    with pytest.raises(ConfigError, match="--option"):
        config(option=[option])


def test_the_embedded_teacher_takes_none() -> None:
    """The embedded teacher takes no options."""
    with pytest.raises(ConfigError, match="--option needs --provider openai or groq"):
        RunConfig(option=("seed=1",))


@pytest.mark.parametrize("text", ['option = ["seed=1", "top_p=0.9"]', "[option]\nseed = 1\ntop_p = 0.9"])
def test_options_in_a_file(tmp_path: Path, text: str) -> None:
    """A settings file gives options as a list or as a table."""
    path = tmp_path / "run.toml"
    path.write_text(text, encoding="utf-8")
    made = make_config({"provider": "openai", "model": "m"}, read_toml(path))
    assert made.options == {"seed": 1, "top_p": 0.9}
    assert make_config(json.loads(json.dumps(made.as_dict()))) == made


@pytest.mark.slow
def test_a_run_keeps_its_options(endpoint: Endpoint, tmp_path: Path) -> None:
    """A run keeps its options; other ones are refused, since they change the questions."""
    out = tmp_path / "run"
    must_succeed(vner("annotate", "sample", "--docs", 3, "--out", out, *asking(endpoint), "--option", "seed=1"))
    asked = endpoint.asked.total()
    must_succeed(vner("build", "--out", out))
    other = vner("build", "--out", out, "--option", "seed=2")
    assert other.exit_code == 2
    assert "--option" in other.stderr
    assert endpoint.asked.total() == asked
