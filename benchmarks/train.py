"""Speed of training: transformers' Seq2SeqTrainer with the thesis's settings, compared with ``train``.

    python benchmarks/train.py speed [SAMPLES.parquet] [--shape mt0-base|small] [--steps 8] [--rounds 2] [--device cpu]
    python benchmarks/train.py curve [SAMPLES.parquet] [--steps 400]

``speed`` makes a model of the shape with random weights and trains it with LoRA on ``q`` and ``v`` over the same
samples: *thesis* is Seq2SeqTrainer as it comes, batch 4, padded to the longest, fp32; *ours* is the same optimiser,
learning rate, batch of 4 and number of steps by ``training.train``: similar lengths together (window 64),
``precision=bf16``. Each run is its own process, the kinds run in turn, and the first step does not count. Printed:
samples/s (tokens without padding, divided by their mean in a sample), peak memory, their ratios, the share of the
FLOP/s of a large matrix product on the same device, and the hours for the thesis's 377,240 + 45,834 samples at that
speed. On a CPU, the time is the CPU time of the process (one thread), so that other load counts less; on a GPU it is
the wall time.

``curve`` trains all weights of a small student both ways, with two seeds each, and compares the loss on held-out
samples after every tenth of the steps; the figure is written to ``--out``. Without SAMPLES both use those of the
bundled sample.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

KINDS = ("thesis", "ours")
SHAPES = {
    "mt0-base": {"vocab_size": 250112, "d_model": 768, "d_kv": 64, "d_ff": 2048, "num_layers": 12, "num_heads": 12},
    "small": {"vocab_size": 32128, "d_model": 256, "d_kv": 32, "d_ff": 512, "num_layers": 6, "num_heads": 8},
    "tiny": {"vocab_size": 4096, "d_model": 128, "d_kv": 32, "d_ff": 256, "num_layers": 2, "num_heads": 4},
}
HOURS_FOR = 377_240 + 45_834
"""Numbers of samples in the thesis's stages: English NER with ViQuAD (358,002 + 19,238), then the Vietnamese set."""


def main() -> None:
    """Prepare model and samples, run both kinds in turn, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["speed", "curve", "child"])
    parser.add_argument("samples", nargs="?", default="")
    parser.add_argument("--shape", choices=SHAPES, default="mt0-base")
    parser.add_argument("--steps", type=int, default=0)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--device", default="")
    parser.add_argument("--out", type=Path, default=Path())
    given = parser.parse_args()
    if given.what == "child":
        print(json.dumps(child(json.loads(given.samples))))
        return
    if given.what == "curve":
        given.shape, given.device = "tiny", given.device or "cpu"
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        prepare(place, Path(given.samples) if given.samples else bundled(place), given)
        (curve if given.what == "curve" else speed)(place, given)


def bundled(place: Path) -> Path:
    """Return samples of the bundled articles by the embedded teacher."""
    build = ["-c", "import cli; cli.main()", "build", "sample", "--out", str(place / "run"), "-q", "--split", "1,0,0"]
    home = Path(__file__).resolve().parents[1]
    subprocess.run([sys.executable, *build], check=True, stdout=subprocess.DEVNULL, cwd=home)  # noqa: S603
    return place / "run" / "samples" / "train.parquet"


def prepare(place: Path, samples: Path, given: argparse.Namespace) -> None:
    """Make a model of the shape with random weights, its tokenizer, and the tokens of the samples."""
    import torch
    from transformers import MT5Config

    from annotator.storage import tables
    from annotator.terminal.events import Progress
    from tests.students import make_tokenizer, make_untied
    from training.students import quiet_transformers
    from training.train.data import select, tokenise
    from training.train.recipes import Portion

    shape = SHAPES[given.shape]
    texts = [row["input"] for row in tables.rows(samples, ["input"])][:8000]
    prompt = "The instruction below names a task, and the input is the text it applies to. What describes in the text?"
    outputs = [row["output"] for row in tables.rows(samples, ["output"])][:8000]
    tokenizer = make_tokenizer([*texts, *outputs, *([prompt] * 50)], min(32_000, shape["vocab_size"]))
    torch.manual_seed(0)
    with quiet_transformers():
        make_untied(MT5Config(**shape)).save_pretrained(place / "base")
        tokenizer.save_pretrained(place / "base")
    selected, _ = select(Portion(set="samples", limit=6000), samples, 0, place)
    tokenise(selected, tokenizer, 1024, place, Progress()).save_to_disk(place / "tokens")


def run(place: Path, **wishes: Any) -> dict[str, Any]:
    """Run one training in its own process."""
    device = wishes["device"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1" if device == "cpu" else os.environ.get("OMP_NUM_THREADS", "8")}
    asked = json.dumps({"place": str(place), **wishes})
    command = [sys.executable, __file__, "child", asked]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment)  # noqa: S603
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def child(wishes: dict[str, Any]) -> dict[str, Any]:
    """Train a number of steps; return seconds a step after the first, peak memory and losses."""
    import datasets
    import numpy as np
    import torch
    from transformers import DataCollatorForSeq2Seq, Seq2SeqTrainer, TrainerCallback, set_seed

    from training.students import load_tokenizer
    from training.train.data import Order
    from training.train.recipes import Settings
    from training.train.trainer import StudentTrainer, training_arguments
    from training.train.trainer import prepare as prepared

    place, ours, device = Path(wishes["place"]), wishes["kind"] == "ours", wishes["device"]
    cuda = device != "cpu"
    settings = Settings(max_steps=wishes["steps"], seed=wishes["seed"], log_every=1, checkpoint_every=10**9,
                        window=64 if ours else 0, precision="bf16" if ours else "fp32",
                        **wishes["settings"])  # fmt: skip
    samples = datasets.load_from_disk(place / "tokens")
    held_out, samples = samples.select(range(64)), samples.select(range(64, len(samples)))
    lengths = np.asarray(samples["length"], np.int64)
    tokenizer = load_tokenizer(place / "base")
    set_seed(settings.seed)
    model = prepared(str(place / "base"), settings)
    pad = DataCollatorForSeq2Seq(tokenizer, model)
    learnt: list[int] = []

    def collator(rows: list[dict[str, Any]]) -> Any:
        learnt.append(sum(len(row["input_ids"]) + len(row["labels"]) for row in rows))
        return pad(rows)

    def now() -> float:
        if cuda:
            torch.cuda.synchronize()
            return time.perf_counter()
        return time.process_time()

    marks: list[float] = []
    curve: list[float] = []

    class Watch(TrainerCallback):  # type: ignore[misc]
        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002
            marks.append(now())
            if wishes["curve"] and state.global_step % (settings.max_steps // 10) == 0:
                curve.append(loss_of(model, held_out, pad))
                marks[-1] = now()

    columns = ["input_ids", "labels"]
    arguments = training_arguments(settings, place / "trainer", device)
    common: dict[str, Any] = {"model": model, "args": arguments, "data_collator": collator, "callbacks": [Watch()],
                              "train_dataset": samples.select_columns(columns)}  # fmt: skip
    if ours:
        order = Order(lengths, batch=settings.batch, window=settings.window, seed=settings.seed)
        trainer: Any = StudentTrainer(order=order, **common)
    else:
        trainer = Seq2SeqTrainer(**common)
    arguments.save_strategy = "no"
    reset_peak(cuda)
    trainer.train()
    steps = np.diff(marks)
    return {
        "samples_per_s": sum(learnt[1 : len(marks)]) / float(lengths.mean()) / float(steps.sum()),
        "peak": torch.cuda.max_memory_allocated() / 2**30 if cuda else peak(),
        "tokens": float(lengths.mean()),
        "loss": [line["loss"] for line in trainer.state.log_history if "loss" in line],
        "held_out": curve,
        "flops_per_sample": flops(model, samples),
        "reachable": reachable(device, settings.precision),
    }


def loss_of(model: Any, samples: Any, collator: Any) -> float:
    """Return the mean loss over the target tokens of ``samples``, in fp32 and without dropout."""
    import torch

    total = tokens = 0.0
    model.eval()
    with torch.no_grad():
        for start in range(0, len(samples), 16):
            batch = collator([samples[row] for row in range(start, min(start + 16, len(samples)))])
            batch = {name: batch[name].to(model.device) for name in ("input_ids", "attention_mask", "labels")}
            number = int((batch["labels"] != -100).sum())
            total += float(model(**batch).loss) * number
            tokens += number
    model.train()
    return total / tokens


def flops(model: Any, samples: Any) -> float:
    """Return the floating-point operations of an unpadded sample: 2 forward and 2 backward a weight and token.

    The weights are frozen, so no gradients are computed for them; attention products (a few percent) are left out.
    """
    import numpy as np

    inner = model.get_base_model() if hasattr(model, "get_base_model") else model
    embedded = inner.shared.weight.numel()
    encoder = sum(value.numel() for value in inner.encoder.parameters()) - embedded
    decoder = sum(value.numel() for value in inner.decoder.parameters()) - embedded
    rows = samples.select(range(min(500, len(samples))))
    source, target = (float(np.mean([len(ids) for ids in rows[name]])) for name in ("input_ids", "labels"))
    return 4 * (encoder * source + (decoder + inner.get_output_embeddings().weight.numel()) * target)


def reachable(device: str, precision: str) -> float:
    """Return the FLOP/s of a large matrix product on this device, in the precision of the training."""
    import torch

    size = 8192 if device != "cpu" else 1536
    kind = torch.bfloat16 if precision == "bf16" else torch.float32
    one = torch.randn(size, size, device=device, dtype=kind)
    clock = time.perf_counter if device != "cpu" else time.process_time
    best = 0.0
    for _ in range(5):
        began = clock()
        one @ one
        if device != "cpu":
            torch.cuda.synchronize()
        best = max(best, 2 * size**3 / (clock() - began))
    return best


def reset_peak(cuda: bool) -> None:
    """Reset the peak of memory after loading."""
    if cuda:
        import torch

        torch.cuda.reset_peak_memory_stats()
    elif sys.platform == "linux":
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def peak() -> float:
    """Return the peak of resident memory in GiB."""
    if sys.platform == "linux":
        line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**30


def speed(place: Path, given: argparse.Namespace) -> None:
    """Run both kinds in turn; print medians and ratios."""
    from training.students import default_device

    device = given.device or default_device()
    found: dict[str, list[dict[str, Any]]] = {kind: [] for kind in KINDS}
    for number in range(given.rounds):
        for kind in KINDS:
            one = run(place, kind=kind, device=device, steps=given.steps or 8, seed=number, curve=False, settings={})
            found[kind].append(one)
            print(
                f"round {number + 1} {kind:<9} {one['samples_per_s']:8.3f} samples/s  {one['peak']:6.2f} GiB",
                flush=True,
            )
    middle = {kind: {key: statistics.median(one[key] for one in runs)
                     for key in ("samples_per_s", "peak", "flops_per_sample", "reachable", "tokens")}
              for kind, runs in found.items()}  # fmt: skip
    print(f"\n{given.shape}, {device}, {middle['ours']['tokens']:.0f} tokens a sample")
    for kind, one in middle.items():
        share = one["samples_per_s"] * one["flops_per_sample"] / one["reachable"]
        hours = HOURS_FOR / one["samples_per_s"] / 3600
        print(f"{kind:<9} {one['samples_per_s']:8.3f} samples/s  {one['peak']:6.2f} GiB  {share:5.1%} of the FLOP/s of "
              f"a matrix product  {hours:8.1f} h for {HOURS_FOR:,} samples")  # fmt: skip
    theirs, ours = middle["thesis"], middle["ours"]
    print(f"ours / thesis: {ours['samples_per_s'] / theirs['samples_per_s']:.2f} times the samples/s, "
          f"{ours['peak'] / theirs['peak']:.2f} times the peak memory")  # fmt: skip


def curve(place: Path, given: argparse.Namespace) -> None:
    """Compute the held-out loss of both ways with two seeds each, and draw a figure."""
    steps = given.steps or 400
    settings = {"learning_rate": 1e-3, "lora_r": 0}
    same: dict[str, Any] = {"device": given.device, "steps": steps, "curve": True, "settings": settings}
    found = {(kind, seed): run(place, kind=kind, seed=seed, **same) for seed in (0, 1) for kind in KINDS}
    print("held-out loss at each tenth of the way")
    for (kind, seed), one in found.items():
        print(f"{kind:<9} seed {seed}  " + " ".join(f"{value:.3f}" for value in one["held_out"]))
    pairs = {kind: zip(found[kind, 0]["held_out"], found[kind, 1]["held_out"], strict=True) for kind in KINDS}
    means = {kind: [statistics.fmean(pair) for pair in pairs[kind]] for kind in KINDS}
    apart = max(abs(a - b) / a for a, b in zip(means["thesis"], means["ours"], strict=True))
    seeds = max(abs(a - b) / a for kind in KINDS
                for a, b in zip(found[kind, 0]["held_out"], found[kind, 1]["held_out"], strict=True))  # fmt: skip
    print(f"the kinds differ by {apart:.1%} at most, two seeds of one kind by {seeds:.1%} at most")

    import pandas as pd

    from training.train.figures import OURS, THEIRS, save

    def draw(axes: Any) -> None:
        for (kind, seed), one in found.items():
            color = OURS if kind == "ours" else THEIRS
            line = "-" if seed == 0 else "--"
            axes.plot(
                range(1, steps + 1),
                pd.Series(one["loss"]).ewm(alpha=0.05).mean(),
                color=color,
                linewidth=0.7,
                alpha=0.6,
            )
            axes.plot([steps // 10 * number for number in range(1, 11)], one["held_out"], color=color, linestyle=line,
                      marker="o", markersize=3, label=f"{kind}, seed {seed}")  # fmt: skip
        axes.set_xlabel("steps of 4 samples")
        axes.set_ylabel("loss: held out (points), training, smoothed (thin)")
        axes.legend(frameon=False)

    save(given.out / "train-curve", "Loss of both, two seeds each", (7, 4), draw)


if __name__ == "__main__":
    main()
