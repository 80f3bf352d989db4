"""Recipes: the shipped ones, inheritance from a base, changes by flags, and errors."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from annotator.errors import ConfigError
from training.train.changes import Changes
from training.train.experiments import NAMES, load_experiment
from training.train.recipes import load_recipe, shipped

OWN = """
model = "m"
label = "Below"
published = { test = 50.0 }
[settings]
batch = 8
[sets.a]
file = "a.parquet"
convert = "make {out}"
[[stages]]
name = "one"
data = ["a"]
"""


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """Write a recipe of the user."""
    path = tmp_path / "own.toml"
    path.write_text(OWN, encoding="utf-8-sig")  # with a byte order mark, as of Windows editors
    return path


def test_every_row_and_point_of_the_thesis_has_its_recipe() -> None:
    """Every row and point of the thesis has a recipe with mT0-base and its settings."""
    rows = [name for experiment in NAMES for name in load_experiment(experiment).rows]
    assert len(rows) == 6 + 2 + 5 + 5
    assert {*rows, "document"} == set(shipped())
    for name in rows:
        recipe = load_recipe(name)
        assert recipe.model == "bigscience/mt0-base"
        for stage in recipe.stages:
            settings = stage.settings
            assert (settings.batch, settings.learning_rate, settings.schedule) == (4, 3e-5, "constant")
            assert (settings.epochs, settings.max_tokens, settings.lora_r, settings.lora_targets) == (1, 1024, 8, "q,v")


def test_the_published_figures_are_those_of_the_thesis() -> None:
    """Published figures equal those of the thesis; points that it omits have none."""
    found = {name: tuple(load_recipe(name).published.values()) for name in shipped()}
    assert found["table-4.1.engner02-phomt-viquad"] == (76.16, 79.58)
    assert found["table-4.2.phomt-viquad"] == (74.53, 85.78)
    assert [found[f"figure-4.2.{n}"] for n in ("0", "100", "500", "1000", "all")] == [
        (74.53,), (76.19,), (80.79,), (84.60,), (91.48,)]  # fmt: skip
    assert [found[f"figure-4.3.{n}"] for n in ("0", "40", "400", "2000", "all")] == [
        (85.78,), (86.44,), (), (), (87.11,)]  # fmt: skip


def test_stages_use_the_data_of_the_thesis() -> None:
    """EngNER_01 has no empty answers; a point of a curve is two stages and a slice."""
    (portion,) = load_recipe("table-4.1.engner01").stages[0].data
    assert (portion.set, portion.empty) == ("eng-ner", False)
    stages = load_recipe("figure-4.2.500").stages
    assert [stage.name for stage in stages] == ["mixture", "vietnamese", "supervised"]
    assert [portion.set for portion in stages[0].data] == ["eng-ner", "phomt", "viquad"]
    assert (stages[2].data[0].set, stages[2].data[0].passages) == ("phoner-train", 500)


def test_a_recipe_overrides_its_base(own: Path) -> None:
    """Settings override those of the base, stages follow its stages, published figures are not inherited."""
    above = own.with_name("above.toml")
    stage = '[[stages]]\nname = "two"\ndata = [{ set = "a", share = 0.5 }]\nsettings = { epochs = 3 }\n'
    above.write_text(f'base = "own.toml"\n[settings]\nlearning_rate = 1e-3\n{stage}', encoding="utf-8")
    recipe = load_recipe(str(above))
    assert [(stage.name, stage.settings.epochs) for stage in recipe.stages] == [("one", 1.0), ("two", 3.0)]
    assert all((stage.settings.batch, stage.settings.learning_rate) == (8, 1e-3) for stage in recipe.stages)
    assert (recipe.label, dict(recipe.published), recipe.name) == ("above", {}, "above")


def test_flags_override_a_recipe(own: Path) -> None:
    """--set overrides a setting for all stages or one, --limit caps every set, --model replaces the model."""
    changes = Changes("other", 7, ["batch=2", "one.epochs=0.5", "precision=bf16"])
    recipe = load_recipe(str(own), changes)
    (stage,) = recipe.stages
    assert (recipe.model, stage.data[0].limit) == ("other", 7)
    settings = stage.settings
    assert (settings.batch, settings.epochs, settings.precision) == (2, 0.5, "bf16")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("learning_rat=1", "did you mean learning_rate"),
        ("batch=four", "batch must be a valid integer"),
        ("batch=0", "batch must be greater than 0"),
        ("batch", "--set takes name=value"),
        ("ones.batch=2", "no stage 'ones'; did you mean one"),
        ("schedule=square", "schedule must be 'constant', 'linear' or 'cosine'"),
        ("checkpoint_every=15", "multiple of log_every"),
        ("micro_batch=3", "multiple of micro_batch"),
        ("warmup_steps=5", "needs schedule"),
        ("learning_rate=inf", "learning_rate must be a finite number"),
    ],
)
def test_a_wrong_setting_is_refused_with_the_fix(own: Path, given: str, message: str) -> None:
    """An invalid --set is a one-line error with the setting and its values."""
    with pytest.raises(ConfigError, match=re.escape(message)) as caught:
        load_recipe(str(own), Changes(sets=[given]))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("batch = 8", "bach = 8"), "did you mean batch"),
        (("batch = 8", 'batch = "8"'), "batch must be a valid integer"),
        (('data = ["a"]', 'data = ["b"]'), "uses the data set 'b'"),
        (('data = ["a"]', "data = []"), "stages.0.data List should have at least 1 item"),
        (('data = ["a"]', 'data = [{ set = "a", some = 1 }]'), "unknown entry 'stages.0.data.0.some'"),
        (
            ('data = ["a"]', 'data = [{ set = "a", share = 1.5 }]'),
            "stages.0.data.0.share must be less than or equal to 1",
        ),
        (('data = ["a"]', 'data = [{ set = "a", empty = "no" }]'), "stages.0.data.0.empty must be a valid boolean"),
        (('name = "one"', ""), "stages.0.name Field required"),
        (('name = "one"', 'nam = "one"'), "unknown entry 'stages.0.nam'; did you mean name"),
        (("[settings]", "[[settings]]"), "settings, sets and benchmarks must be tables"),
        (('model = "m"', 'modell = "m"'), "did you mean model"),
        (('model = "m"', ""), "names no model"),
        (('model = "m"', 'base = "own.toml"'), "go round in a circle"),
        (('model = "m"', 'base = "table-4.1.engner"'), "did you mean table-4.1.engner01"),
        (("[sets.a]", "[sets.a"), "not valid TOML"),
        (('file = "a.parquet"', ""), "sets.a.file Field required"),
    ],
)
def test_a_wrong_recipe_is_refused_with_the_fix(own: Path, change: tuple[str, str], message: str) -> None:
    """Unknown and invalid entries of a recipe are refused."""
    own.write_text(OWN.replace(*change), encoding="utf-8")
    with pytest.raises(ConfigError, match=re.escape(message)):
        load_recipe(str(own))
