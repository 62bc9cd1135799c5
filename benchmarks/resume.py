"""Seconds from the start of the process to the first new step of a resumed run, by how far the run was.

    python benchmarks/resume.py                     a store of 200 M tokens; positions 100 and 100,000

The store is made of random tokens, and the position is written into a checkpoint by hand, with a log of as many steps:
nothing of a run is needed to tell how long finding one's place takes.
"""

import argparse
import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from bertwright.config import PretrainRecipe, TokenizerSettings
from bertwright.pretrain import pretrain
from bertwright.recipe import parse
from bertwright.store import StoreWriter
from bertwright.tokenizer import Tokenizer
from bertwright.train import checkpoint_name


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tokens", type=int, default=200_000_000)
    parser.add_argument("--positions", type=int, nargs="+", default=[100, 100_000])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--resume", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.resume:
        first_step(json.loads(given.resume))
        return
    with tempfile.TemporaryDirectory() as folder:
        write_store(Path(folder, "store"), given.tokens)
        recipes = {position: begin(Path(folder), position) for position in given.positions}
        seconds: dict[int, list[float]] = {position: [] for position in given.positions}
        for _ in range(given.rounds):
            for position, values in recipes.items():
                began = time.perf_counter()
                subprocess.run([sys.executable, __file__, "--resume", json.dumps(values)], check=True)
                seconds[position].append(time.perf_counter() - began)
    for position, times in seconds.items():
        print(f"step {position:>9,}: {statistics.median(times):.2f} s ({min(times):.2f} to {max(times):.2f})")


def write_store(folder: Path, tokens: int) -> None:
    """Documents of a thousand random tokens."""
    settings = TokenizerSettings(kind="symbols", vocabulary_size=1000, minimum_frequency=1)
    tokenizer = Tokenizer.train([" ".join(f"s{number}" for number in range(995))], settings)
    generator = np.random.default_rng(1)
    with StoreWriter(folder, tokenizer) as writer:
        for number in range(tokens // 1000):
            ids = generator.integers(5, 1000, 1000, dtype=np.int32)
            writer.add(str(number), [ids], "und", "generated", held_out=number % 1000 == 0)


def begin(folder: Path, position: int) -> dict[str, Any]:
    """A run whose last checkpoint says that it is so far; returns its recipe."""
    values = {
        "run": str(folder / f"run-{position}"),
        "store": str(folder / "store"),
        "model": {"preset": "tiny", "max_length": 128},
        "train": {"steps": position + 10, "evaluate_every": 10**9, "dtype": "float32", "attention": "explicit"},
    }

    def stop(record: dict[str, Any]) -> None:
        raise KeyboardInterrupt

    run = Path(values["run"])
    short = {**values, "train": {**values["train"], "save_every": 1}}
    with contextlib.suppress(KeyboardInterrupt):
        pretrain(parse(PretrainRecipe, short), progress=stop)
    last = run / "checkpoints" / checkpoint_name(1)
    state = torch.load(last / "train.pt", weights_only=True)
    state["position"]["step"] = position
    torch.save(state, last / "train.pt")
    os.replace(last, run / "checkpoints" / checkpoint_name(position))
    line = (run / "log.jsonl").read_text(encoding="utf-8")
    record = json.loads(line)
    with (run / "log.jsonl").open("w", encoding="utf-8") as log:
        log.writelines(json.dumps({**record, "step": step}) + "\n" for step in range(1, position + 1))
    return values


def first_step(values: dict[str, Any]) -> None:
    """Resume, and end the process after one step."""
    pretrain(parse(PretrainRecipe, values), resume=True, progress=lambda _: os._exit(0))


if __name__ == "__main__":
    main()
