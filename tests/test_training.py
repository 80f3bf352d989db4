"""``train``: the loss falls, a killed run ends in the same weights, and no matrix is tied or lost."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import Result

import cli
from tests.commands import must_succeed, vner
from tests.students import make_student, sample, write_samples
from training.students import ADAPTER, adapter_base, load_model, load_student
from training.train.data import Order

pytestmark = pytest.mark.slow

WORDS = [f"{first}{rest}" for first in "bcdđghkl" for rest in ("an", "ôi", "ưng", "iều")]
RECIPE = """
model = "{model}"
[settings]
precision = "fp32"
learning_rate = 1e-2
log_every = 2
checkpoint_every = 4
[sets.words]
file = "words.parquet"
convert = "make {{out}}"
[sets.more]
file = "more.parquet"
convert = "make {{out}}"
[[stages]]
name = "one"
data = ["words", {{ set = "more", empty = false }}]
[[stages]]
name = "two"
data = [{{ set = "more", limit = 12 }}]
settings = {{ epochs = 2 }}
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a tiny student, two data sets and a recipe of two stages."""
    folder = tmp_path_factory.mktemp("training")
    rows = [
        sample(
            number,
            "Which words begin with b?",
            " ".join(WORDS[number % 9 :: 3]),
            "[]" if number % 4 == 0 else '["ban"]',
        )
        for number in range(100)
    ]
    write_samples(folder / "words.parquet", rows[:64])
    write_samples(folder / "more.parquet", rows[64:])
    make_student(
        folder / "base", [row.input for row in rows] + ['["ban", "bôi"] Which words begin with'], vocabulary=90
    )
    (folder / "recipe.toml").write_text(RECIPE.format(model=folder / "base"), encoding="utf-8")
    return folder


def command(place: Path, out: Path, *more: str) -> list[str]:
    return [
        "train",
        str(place / "recipe.toml"),
        "--data",
        str(place),
        "--out",
        str(out),
        "--device",
        "cpu",
        "-q",
        *more,
    ]


def trained(place: Path, out: Path, *more: str) -> Result:
    return vner(*command(place, out, *more))


@pytest.fixture(scope="module")
def done(place: Path) -> Path:
    """Train the recipe without interruption, and merge."""
    must_succeed(trained(place, place / "done", "--merge"))
    return place / "done"


def losses(out: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (out / "loss.jsonl").read_text(encoding="utf-8").splitlines()]


def test_the_loss_falls_and_is_logged_and_drawn(done: Path) -> None:
    """The loss of both stages is logged every two steps, falls, and is plotted."""
    lines = losses(done)
    record = json.loads((done / "training.json").read_text(encoding="utf-8"))
    assert [stage["steps"] for stage in record["stages"]] == [(64 + 27) // 4 + 1, 2 * 3]
    assert [line["step"] for line in lines if line["stage"] == "two"] == [2, 4, 6]
    assert lines[-1]["loss"] < 0.7 * lines[0]["loss"]
    assert all((done / f"loss.{kind}").stat().st_size > 1000 for kind in ("png", "svg"))


def test_the_record_is_complete(place: Path, done: Path) -> None:
    """training.json has recipe, sha256 of each file, template and versions: enough to repeat the training."""
    import hashlib

    record = json.loads((done / "training.json").read_text(encoding="utf-8"))
    assert record["recipe"]["stages"][1]["settings"]["epochs"] == 2.0
    words, more = record["stages"][0]["data"]
    assert words["sha256"] == hashlib.sha256((place / "words.parquet").read_bytes()).hexdigest()
    assert (words["rows"], more["rows"], more["without_answer"]) == (64, 27, 9)
    assert {"torch", "transformers", "peft", "python"} <= set(record["made_by"])
    assert len(record["template"]["sha256"]) == 64
    assert not list(done.rglob("checkpoint-*"))


def test_frozen_matrices_stay_and_the_merged_model_is_the_same(place: Path, done: Path) -> None:
    """Frozen matrices stay those of the base; adapter and merged model generate the same."""
    import torch

    base = load_model(place / "base").state_dict()
    student, merged = load_student(done, device="cpu"), load_student(done / "merged", device="cpu")
    assert adapter_base(done) == str(place / "base")
    inner, whole = student.model.get_base_model().state_dict(), merged.model.state_dict()
    assert whole.keys() == base.keys()
    for name in ("lm_head.weight", "shared.weight"):
        assert torch.equal(inner[name], base[name])
        assert torch.equal(whole[name], base[name])
    assert not torch.equal(base["lm_head.weight"], base["shared.weight"])
    changed = {name.split(".")[-2] for name, value in whole.items() if not torch.equal(value, base[name])}
    assert changed == {"q", "v"}
    prompt = student.tokenizer(["Which words begin with b? ban bôi", "bưng"], return_tensors="pt", padding=True)
    made = [one.model.generate(**prompt, max_new_tokens=12, do_sample=False) for one in (student, merged)]
    assert torch.equal(*made)
    assert made[0].unique().numel() > 2
    with torch.no_grad():
        scores = [one.model(**prompt, decoder_input_ids=made[0]).logits for one in (student, merged)]
    assert torch.allclose(*scores, atol=1e-4)


def test_a_finished_training_is_not_repeated(done: Path, place: Path) -> None:
    """The same command trains nothing again; another recipe in the same folder is refused before training."""
    written = {path: path.stat().st_mtime_ns for path in done.rglob("*.*[a-z]") if path.name[0] != "."}
    must_succeed(trained(place, done))
    assert written == {path: path.stat().st_mtime_ns for path in written}
    other = trained(place, done, "--set", "two.epochs=1")
    assert other.exit_code == 2
    assert "holds a student of other data or settings" in other.output
    assert len(list((done / "stages").iterdir())) == 2


def test_a_killed_training_ends_in_the_same_weights(place: Path, done: Path, tmp_path: Path) -> None:
    """A training killed between two checkpoints resumes to the same adapter and losses."""
    out = tmp_path / "killed"
    program = (
        "from training.train.trainer import TrainingLogger as log; step = log.on_step_end;"
        "log.on_step_end = lambda self, args, state, *a, **k: (print(self._stage, state.global_step, flush=True),"
        "input(), step(self, args, state, *a, **k))[2]; import cli; cli.main()"
    )  # the process prints each step and waits for a line
    process = subprocess.Popen([sys.executable, "-c", program, *command(place, out)], cwd=Path(cli.__file__).parent,
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)  # fmt: skip
    assert process.stdin
    assert process.stdout
    while process.stdout.readline().split() != ["two", "5"]:
        assert process.poll() is None
        process.stdin.write("\n")
        process.stdin.flush()
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert list((out / "stages").glob("two-*/work/checkpoints/checkpoint-4"))
    assert not (out / "training.json").exists()
    must_succeed(trained(place, out))
    assert (out / "adapter_model.safetensors").read_bytes() == (done / "adapter_model.safetensors").read_bytes()
    assert (out / "loss.jsonl").read_bytes() == (done / "loss.jsonl").read_bytes()
    losses = [[stage["loss"] for stage in json.loads((folder / "training.json").read_text(encoding="utf-8"))["stages"]]
              for folder in (out, done)]  # fmt: skip
    assert losses[0] == pytest.approx(losses[1], abs=2e-6)
    first, again = (next((folder / "stages").glob("one-*")) / "adapter_config.json" for folder in (out, done))
    assert first.read_bytes() == again.read_bytes()  # of two processes


def test_automatic_precision_follows_the_device(place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """``precision=auto`` is shown and recorded; a device with another choice does not train again."""
    from training.train import trainer

    out, changes = tmp_path / "out", ("--set", "precision=auto", "--set", "max_steps=2", "--limit", "8")
    monkeypatch.setattr(trainer, "best_precision", lambda device: "bf16")
    first = must_succeed(trained(place, out, *changes))
    assert "%), in bf16 on cpu\n" in first.stdout
    record = json.loads((out / "training.json").read_text(encoding="utf-8"))
    assert [stage["settings"]["precision"] for stage in record["stages"]] == ["bf16", "bf16"]
    assert record["recipe"]["stages"][0]["settings"]["precision"] == "auto"

    monkeypatch.setattr(trainer, "best_precision", lambda device: "fp32")
    again = trained(place, out, *changes, "--json")
    assert {**record, "out": str(out), "merged": None} == json.loads(again.stdout)


def test_a_device_without_bf16_instructions_uses_fp32(monkeypatch: pytest.MonkeyPatch) -> None:
    """Emulated bfloat16 is slower than single precision, so devices without its instructions use fp32."""
    import torch

    from training.train.trainer import best_precision as choose

    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: True)
    for able, chosen in (({"avx512_f": True, "avx512_bf16": False}, "fp32"), ({"avx512_bf16": True}, "bf16"),
                         ({"amx_bf16": True}, "bf16")):  # fmt: skip
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda able=able: able, raising=False)
        assert choose("cpu") == chosen
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation=True: including_emulation)
    assert choose("cuda") == "fp32"


def test_an_incomplete_checkpoint_is_not_used(tmp_path: Path) -> None:
    """The newest checkpoint with a complete state, which is written last, is used; newer ones are removed."""
    from training.train.trainer import newest_checkpoint

    for step, state in ((4, "{}"), (8, "{}"), (12, '{"epoch": 1'), (16, None)):
        (tmp_path / f"checkpoint-{step}").mkdir()
        if state is not None:
            (tmp_path / f"checkpoint-{step}" / "trainer_state.json").write_text(state)
    assert newest_checkpoint(tmp_path) == str(tmp_path / "checkpoint-8")
    assert not (tmp_path / "checkpoint-12").exists()
    assert not (tmp_path / "checkpoint-16").exists()
    assert newest_checkpoint(tmp_path / "nowhere") is None


def test_micro_batches_have_the_same_loss_and_gradient(place: Path, tmp_path: Path) -> None:
    """Without dropout, a batch of 4 and two of 2 have the loss of the model itself and the same gradient."""
    import numpy as np
    from transformers import DataCollatorForSeq2Seq

    from training.students import load_tokenizer
    from training.train.recipes import Settings
    from training.train.trainer import StudentTrainer, training_arguments

    tokenizer = load_tokenizer(place / "base")
    texts = ["ban bôi bưng", "can", "dan dôi dưng diều", "gan gôi"]
    rows = [{"input_ids": tokenizer(text)["input_ids"], "labels": tokenizer(text[:7])["input_ids"]} for text in texts]
    whole = DataCollatorForSeq2Seq(tokenizer)(rows)
    found = []
    for micro in (0, 2):
        model = load_model(place / "base").train()
        for module in model.modules():
            for name in ("p", "dropout"):
                if isinstance(getattr(module, name, None), float):
                    setattr(module, name, 0.0)
        settings = Settings(batch=4, micro_batch=micro, window=0, max_steps=1, learning_rate=0.0, log_every=1,
                            checkpoint_every=1, lora_r=0, max_grad_norm=1e9)  # fmt: skip
        order = Order(np.ones(4, np.int64), batch=4, window=0, seed=0)
        trainer = StudentTrainer(
            order=order,
            model=model,
            args=training_arguments(settings, tmp_path / str(micro), "cpu"),
            train_dataset=rows,
            data_collator=DataCollatorForSeq2Seq(tokenizer, model),
        )
        trainer.train()
        line = trainer.state.log_history[0]
        found.append((line["loss"], line["grad_norm"]))
    expected = load_model(place / "base").eval()(**whole).loss
    assert [loss for loss, _ in found] == pytest.approx([expected.item()] * 2, rel=1e-5)
    assert found[0][1] == pytest.approx(found[1][1], rel=1e-4)


def test_every_weight_learns_without_an_adapter(place: Path, tmp_path: Path) -> None:
    """lora_r = 0 trains and saves the whole model with an untied head; --merge is then refused."""
    out = tmp_path / "full"
    result = must_succeed(
        trained(place, out, "--set", "lora_r=0", "--set", "learning_rate=1e-3", "--limit", "8", "--json")
    )
    record = json.loads(result.stdout)
    assert [stage["samples"] for stage in record["stages"]] == [16, 8]
    assert record["stages"][0]["trainable"] == record["stages"][0]["parameters"]
    assert not (out / ADAPTER).exists()
    merging = trained(place, out, "--set", "lora_r=0", "--set", "learning_rate=1e-3", "--limit", "8", "--merge")
    assert merging.exit_code == 1
    assert "has no adapter" in merging.output


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["recipe", "--show"], 2, "no recipe 'recipe'"),
        ([], 2, "which recipe?"),
        (["table-4.1.engner01"], 2, "needs --data DIR"),
        (["document", "--data", ".", "--out", "{out}"], 2, "has no stage"),
        (["{recipe}", "--data", ".", "--out", "{out}/o", "--device", "cuda:1"], 2, "CUDA_VISIBLE_DEVICES=1"),
        (["table-4.1.engner01", "--data", "{out}", "--out", "{out}/o", "--model", "{base}"], 1, "convert pile-ner"),
        (["table-4.1.engner01", "--data", "{out}", "--out", "{out}/o", "--model", "{out}"], 1, "missing data"),
    ],
)
def test_what_cannot_be_trained_is_refused(
    place: Path, tmp_path: Path, arguments: list[str], code: int, message: str
) -> None:
    """What cannot be trained is a one-line error with the fix and its exit code."""
    filled = [
        argument.format(out=tmp_path, base=place / "base", recipe=place / "recipe.toml") for argument in arguments
    ]
    result = vner("train", *filled)
    assert (result.exit_code, message in result.output) == (code, True), result.output
    assert "Traceback" not in result.output


def test_show_and_list_recipes(place: Path) -> None:
    """--show prints the resolved recipe, also as JSON; --list prints every recipe."""
    shown = vner("train", "figure-4.2.100", "--show").stdout
    assert "stage 3: supervised" in shown
    assert "phoner-train.parquet      passages = 100" in shown
    whole = json.loads(vner("train", "figure-4.2.100", "--show", "--json").stdout)
    assert whole["stages"][2]["data"][0]["passages"] == 100
    assert "table-4.2.phomt-viquad" in vner("train", "--list").stdout


FOREIGN = ("config.json", "model.safetensors", "spiece.model", "tokenizer.json", "tsconfig.json", "stages", "merged")


def contents(folder: Path) -> dict[str, bytes]:
    """Return the files of a folder by name, without locks."""
    return {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.name != ".lock"}


@pytest.mark.parametrize("more", [(), ("--fresh",)])
def test_a_foreign_folder_is_not_changed(place: Path, tmp_path: Path, more: tuple[str, ...]) -> None:
    """A folder that train did not write is refused and not changed, also with --fresh."""
    for name in FOREIGN:
        path = tmp_path / name / "mine.txt" if "." not in name else tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("mine")
    before = contents(tmp_path)
    result = trained(place, tmp_path, "--set", "max_steps=2", "--limit", "8", *more)
    assert result.exit_code == 1
    assert "was not written by train (it holds config.json)" in result.output
    assert contents(tmp_path) == before


def test_foreign_files_in_a_students_folder_stay(place: Path, tmp_path: Path) -> None:
    """Files that the record does not list survive --fresh; a foreign file with a name of train's is refused."""
    asked = ("--set", "max_steps=2", "--limit", "8")
    out = tmp_path / "out"
    must_succeed(trained(place, out, *asked))
    (out / "tsconfig.json").write_text("mine")
    (out / "notes").mkdir()
    (out / "notes" / "x.part").write_text("mine")
    must_succeed(trained(place, out, *asked, "--fresh"))
    assert (out / "tsconfig.json").read_text() == (out / "notes" / "x.part").read_text() == "mine"
    assert load_student(out, device="cpu")

    (out / "tokenizer.json").unlink()
    (out / ".training.json").write_text('{"files": ["stages"]}')
    (out / "training.json").unlink()
    (out / "tokenizer.json").write_text("mine")
    result = trained(place, out, *asked)
    assert result.exit_code == 1
    assert "was not written by train" in result.output
    assert (out / "tokenizer.json").read_text() == "mine"
