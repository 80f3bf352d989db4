"""Students: the shape of mT0-base, an untied output head that is never lost, and errors."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from annotator.errors import ConfigError, StudentError
from tests import loopback
from tests.loopback import Loopback
from tests.students import make_student, make_untied
from training import students
from training.prompting import student_input
from training.students import has_own_head, load_model, load_student
from training.train.recipes import Settings

pytestmark = pytest.mark.slow

TEXTS = ["một hai ba bốn năm sáu bảy tám chín mười"] * 5
MT0_BASE = {"vocab_size": 250112, "d_model": 768, "d_kv": 64, "d_ff": 2048, "num_layers": 12, "num_heads": 12}


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Save a tiny student."""
    return make_student(tmp_path_factory.mktemp("student") / "base", TEXTS, width=16, vocabulary=60)


def test_mt0_base_has_884736_of_583286016_parameters_to_learn(monkeypatch: pytest.MonkeyPatch) -> None:
    """The thesis's number of trainable parameters follows from an untied head and the default settings."""
    import torch
    from transformers import MT5Config

    from training.train import trainer

    with torch.device("meta"):
        model = make_untied(MT5Config(**MT0_BASE))
        monkeypatch.setattr(trainer, "load_model", lambda _: model)
        adapted = trainer.prepare("mt0-base", Settings())
    assert adapted.get_nb_trainable_parameters() == (884_736, 583_286_016)
    assert round(100 * 884_736 / 583_286_016, 4) == 0.1517


def test_a_saved_head_is_loaded_unchanged(base: Path, tmp_path: Path) -> None:
    """Head and embeddings are two matrices before saving and after loading; nothing ties them."""
    import torch

    model = load_model(base)
    assert has_own_head(model)
    assert model.encoder.embed_tokens.weight is model.decoder.embed_tokens.weight is model.shared.weight
    model.tie_weights()
    assert has_own_head(model)
    model.save_pretrained(tmp_path)
    again = load_model(tmp_path).state_dict()
    assert all(torch.equal(value, again[name]) for name, value in model.state_dict().items())


def test_a_lost_head_is_refused(base: Path, tmp_path: Path) -> None:
    """A model without lm_head.weight, which the library would silently tie, is refused."""
    from safetensors.torch import load_file, save_file

    shutil.copytree(base, tmp_path / "lost")
    weights = load_file(base / "model.safetensors")
    del weights["lm_head.weight"]
    save_file(weights, tmp_path / "lost" / "model.safetensors", {"format": "pt"})
    with pytest.raises(StudentError, match="tied to its embeddings"):
        load_student(tmp_path / "lost", device="cpu")


def test_an_unusable_student_is_refused(base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty folder, pickled or damaged weights and an unavailable name are one-line errors."""
    (tmp_path / "empty").mkdir()
    shutil.copytree(base, tmp_path / "pickled")
    (tmp_path / "pickled" / "model.safetensors").rename(tmp_path / "pickled" / "pytorch_model.bin")
    shutil.copytree(base, tmp_path / "damaged")
    (tmp_path / "damaged" / "model.safetensors").write_bytes(b"\x08\0\0\0\0\0\0\0not json")
    errors = {"empty": "holds no student", "pickled": "holds no student", "damaged": "cannot load"}
    for name, text in errors.items():
        with pytest.raises(StudentError, match=text) as caught:
            load_student(tmp_path / name, device="cpu")
        assert "\n" not in str(caught.value)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)  # the library reads it when it is imported
    with pytest.raises(StudentError, match="cannot load nobody/nothing"):
        load_student("nobody/nothing", device="cpu")


@pytest.mark.parametrize("status", [401, 404, 503])
def test_an_unknown_name_costs_one_request(status: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that the Hub does not return costs one request, without the retries of transformers."""
    asked: list[str] = []

    class Hub(Loopback):
        def handler(self) -> type[loopback.Handler]:
            class Failing(loopback.Handler):
                def fail(self) -> None:
                    asked.append(self.path)
                    self.send_error(status)

                do_GET = do_HEAD = fail  # noqa: N815 - names of the standard library

            return Failing

    with Hub() as hub:
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", hub.url)
        with pytest.raises(StudentError, match=r"cannot load nobody/nothing: .*; give a folder with a model"):
            load_student("nobody/nothing", device="cpu")
    assert asked == ["/api/models/nobody/nothing"]


def test_a_missing_extra_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the extra, the error names what to install."""
    monkeypatch.setattr(students, "find_spec", lambda name: None if name == "peft" else object())
    with pytest.raises(ConfigError, match=r"needs peft: pip install '\.\[train\]'"):
        load_student("anything")


def test_both_variants_of_the_prompt_take_text_as_it_is() -> None:
    """The prompt has an input section only with an input; braces are not interpreted."""
    with_input = student_input("Tìm {input}", "giá {instruction} {x}")
    assert "### Instruction:\nTìm {input}\n" in with_input
    assert "### Input:\ngiá {instruction} {x}\n" in with_input
    without = student_input("Tìm {input}", "")
    assert "Input" not in without
    assert without.endswith("### Answer:")
    assert with_input.endswith("### Answer:")
