"""Published limits and context windows, and their effects."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from annotator.asking.endpoint_limits import EndpointLimits, context_window, published_limits
from annotator.asking.pool import pace_of
from annotator.config.settings import RunConfig
from annotator.errors import ConfigError
from annotator.run.forecast.plan import DAY, time_of
from annotator.storage import tables
from tests.commands import vner
from tests.endpoint import Endpoint


def test_limits_of_a_profile() -> None:
    """A profile has limits by model; an unknown profile or model is an error with the known ones."""
    assert published_limits("groq-free", "llama3-70b-8192") == EndpointLimits(rpm=30, tpm=6000)
    assert published_limits("openai-tier1", "gpt-4o-mini") == EndpointLimits(rpm=500, tpm=200000, rpd=10000)
    with pytest.raises(ConfigError, match="known are groq-free, openai-tier1"):
        published_limits("groq", "llama3-70b-8192")
    with pytest.raises(ConfigError, match="give --rpm and --tpm instead"):
        published_limits("groq-free", "m")


def test_flags_override_a_profile() -> None:
    """--rpm and --tpm override the profile."""
    pace = pace_of(RunConfig(provider="openai", model="llama3-70b-8192", limits="groq-free", rpm=7))
    assert (pace.rpm, pace.tpm) == (7, 6000)


def test_context_windows() -> None:
    """Llama 3 has 8,192 tokens; an unknown model has 0."""
    assert context_window("llama3-70b-8192") == 8192
    assert context_window("my-own") == 0


@pytest.mark.slow
def test_passages_that_do_not_fit_are_not_sent(endpoint: Endpoint, tmp_path: Path) -> None:
    """Passages too long for the context window are rejected without a request; if none can fit, it is an error."""
    out = tmp_path / "run"
    asking = ("--provider", "openai", "--model", "llama3-70b-8192", "--base-url", endpoint.url, "--docs", 10)
    hopeless = vner("annotate", "--out", tmp_path / "none", *asking, "--max-completion-tokens", 8000)
    assert hopeless.exit_code == 2
    assert "leave no room for a passage" in hopeless.stderr
    assert not endpoint.asked
    assert vner("annotate", "--out", out, *asking, "--max-completion-tokens", 7720).exit_code == 3
    refused = [row for row in tables.rows(out / "rejected.parquet") if row["stage"] == "annotate"]
    assert {row["reason"] for row in refused} == {"unanswered: does not fit"}
    assert not {row["value"] for row in refused} & set(endpoint.asked)
    assert endpoint.asked


def test_a_retired_model_is_reported_by_the_plan(endpoint: Endpoint, tmp_path: Path) -> None:
    """The plan warns of a retired model with the fix, unless --base-url is given."""
    groq = ("plan", "sample", "--docs", 2, "--provider", "groq")
    assert "has not served llama3-70b-8192" in vner(*groq).stdout
    assert json.loads(vner(*groq, "--json").stdout)["warning"].endswith("--base-url URL --model NAME")
    assert json.loads(vner(*groq, "--model", "openai/gpt-oss-120b", "--json").stdout)["warning"] == ""
    assert "has not served" not in vner(*groq, "--base-url", endpoint.url).stdout


def test_a_plan_counts_the_days(tmp_path: Path) -> None:
    """If daily limits take longer than limits a minute, the plan counts days."""
    free = ("--provider", "groq", "--model", "openai/gpt-oss-120b", "--limits", "groq-free")
    plan = json.loads(vner("plan", "sample", *free, "--json").stdout)
    a_day = 200_000 / (plan["tokens"]["total"] / plan["passages"]["to_ask"])
    assert plan["time"]["bound_by"] == "--tpm"  # the 118 passages fit into a day
    assert plan["passages"]["to_ask"] < a_day
    config = RunConfig(provider="groq", model="openai/gpt-oss-120b", limits="groq-free")
    seconds, bound = time_of(config, 1000, 500_000, 2.0)
    assert bound == "tokens a day"
    assert seconds == 2 * DAY
    seconds, bound = time_of(config, 2001, 20_010, 2.0)
    assert bound == "requests a day"
    assert seconds == 2 * DAY
