"""Small stand-ins that several tests build their cases from, and comparisons that several tests make."""

import errno
import io
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tomli_w
import torch

from bertwright.checkpoint import read_state
from bertwright.cli import main
from bertwright.config import PretrainRecipe, TokenizerSettings
from bertwright.recipe import parse
from bertwright.run import read_log
from bertwright.store import Store, StoreWriter
from bertwright.tokenizer import Tokenizer

# Parts of the generated reviews.
SUBJECTS = ("房间", "早餐", "前台", "手机", "这本书", "电池", "屏幕", "包装", "物流", "客服")
WORDS = {
    "positive": ("很好", "非常满意", "干净整齐", "值得推荐", "又快又好", "超出期待"),
    "negative": ("很差", "非常失望", "又脏又乱", "不值这个价", "慢得要命", "完全不行"),
}
ENDS = ("下次还来。", "就是这样。", "朋友也这么说。", "写给大家看看。")

SYMBOLS = [f"s{number}" for number in range(90)]


def small_tokenizer() -> Tokenizer:
    """A tokenizer of 95 tokens: five special ones and ninety symbols."""
    settings = TokenizerSettings(kind="symbols", vocabulary_size=95, minimum_frequency=1)
    return Tokenizer.train([" ".join(SYMBOLS)], settings)


def small_store(
    folder: Path,
    *,
    sizes: Sequence[int],
    held_out: Sequence[int] | None = None,
    languages: Sequence[str] | None = None,
    segment: int = 10,
    seed: int = 0,
) -> Store:
    """A store of documents with the given numbers of random tokens, in segments of at most `segment` tokens.

    Most tokens are their predecessor plus one, so that there is something to learn.
    """
    generator = np.random.default_rng(seed)
    tokenizer = small_tokenizer()
    with StoreWriter(folder / "store", tokenizer) as writer:
        for number, size in enumerate(sizes):
            jumps = np.where(generator.random(size) < 0.1, generator.integers(0, 90, size), 1)
            tokens = ((generator.integers(0, 90) + np.cumsum(jumps)) % 90 + 5).astype(np.int32)
            segments = [tokens[begin : begin + segment] for begin in range(0, size, segment)]
            side = bool(held_out[number]) if held_out is not None else number % 10 == 0
            language = languages[number] if languages is not None else "und"
            writer.add(f"document-{number}", segments, language, "generated", held_out=side)
    return Store.open(folder / "store")


# ---------------------------------------------------------------------------------------------- recipes


def small_recipe(folder: Path, run: str = "run", **sections: Any) -> PretrainRecipe:
    """A recipe for seconds; the store of `folder` is made on first use."""
    if not (folder / "store").exists():
        small_store(folder, sizes=[70, 25, 40] * 20)
    values: dict[str, Any] = {
        "run": str(folder / run),
        "store": str(folder / "store"),
        "model": {"layers": 2, "width": 32, "heads": 2, "inner_width": 64, "max_length": 64},
        "train": {"steps": 20, "batch_size": 4, "length": 32, "dtype": "float32", "attention": "explicit"},
    }
    for name, section in sections.items():
        values[name] = {**values.get(name, {}), **section}
    return parse(PretrainRecipe, values)


SMALL_MODEL: dict[str, Any] = {"layers": 1, "width": 32, "heads": 2, "inner_width": 64, "max_length": 64}
SMALL_TRAINING: dict[str, Any] = {
    "batch_size": 8,
    "length": 32,
    "dtype": "float32",
    "attention": "explicit",
    "threads": 1,
}
SMALL_PRETRAINING: dict[str, Any] = {
    "name": "pretrain",
    "run": "pretrained",
    "store": "store",
    "corpus": {"files": ["corpus.txt"], "held_out": 0.2},
    "tokenizer": {"vocabulary_size": 300},
    "model": SMALL_MODEL,
    "optimizer": {"learning_rate": 1e-2},
    "train": {**SMALL_TRAINING, "steps": 5},
}
SMALL_FINETUNING: dict[str, Any] = {
    "name": "finetune",
    "run": "finetuned",
    "task": "classify",
    "data": {"train": "train.csv", "development": "development.csv", "test": "test.csv"},
    "start": {"checkpoint": "pretrained/best", "pooling": "mean"},
    "optimizer": {"learning_rate": 1e-2},
    "train": {**SMALL_TRAINING, "batch_size": 16, "epochs": 8},
}


def write_recipe(folder: Path, name: str, base: Path | None = None, **sections: Any) -> Path:
    """Write a recipe whose paths are made absolute.

    Args:
        folder: where the recipe is written, and its run.
        name: of the file, without .toml.
        base: the folder of the data, the store and the checkpoint that the recipe reads, if it is another one.
        sections: the recipe, such as `SMALL_PRETRAINING`.
    """
    base = base or folder
    values = {**sections, "run": str(folder / sections["run"])}
    if "store" in values:
        values["store"] = str(base / sections["store"])
    if "corpus" in values:
        values["corpus"] = {**sections["corpus"], "files": [str(base / file) for file in sections["corpus"]["files"]]}
    if "data" in values:
        files = {side: str(base / sections["data"][side]) for side in ("train", "development", "test")}
        values["data"] = {**sections["data"], **files}
        values["start"] = {**sections["start"], "checkpoint": str(base / sections["start"]["checkpoint"])}
    path = folder / f"{name}.toml"
    path.write_text(tomli_w.dumps(values), encoding="utf-8")
    return path


# ---------------------------------------------------------------------------------------------- commands


@dataclass(frozen=True)
class Answer:
    """What a command answered."""

    code: int
    out: str
    err: str


def call(*words: str | Path, stdin: bytes = b"") -> Answer:
    """Run a command in this process; whatever it does not catch is raised, as a user would see a traceback."""
    with _standard_streams(stdin) as (out, err):
        kept, sys.argv = sys.argv, ["bertwright", *map(str, words)]
        try:
            main()
        except SystemExit as stop:
            code = stop.code
        else:
            raise AssertionError("a command ends by SystemExit")
        finally:
            sys.argv = kept
    assert code is None or isinstance(code, int)
    return Answer(code or 0, out.getvalue().decode(), err.getvalue().decode())


@contextmanager
def _standard_streams(stdin: bytes) -> Iterator[tuple[io.BytesIO, io.BytesIO]]:
    """Replace the standard streams, bytes and all."""
    kept = sys.stdin, sys.stdout, sys.stderr
    buffers = io.BytesIO(), io.BytesIO()
    texts = [io.TextIOWrapper(buffer, encoding="utf-8", newline="", write_through=True) for buffer in buffers]
    sys.stdin = io.TextIOWrapper(io.BytesIO(stdin), encoding="utf-8")
    sys.stdout, sys.stderr = texts
    try:
        yield buffers
    finally:
        for text in texts:
            text.detach()
        sys.stdin, sys.stdout, sys.stderr = kept


def refused(answer: Answer, *phrases: str | Path) -> None:
    """See that a command ended with one message in three parts that says all this, and with nothing else."""
    assert answer.code == 1, answer
    assert answer.out == ""
    assert answer.err.count("error: ") == 1, answer.err
    assert "Traceback" not in answer.err
    parts = [line.split(":")[0].strip() for line in answer.err.rstrip().splitlines()[-3:]]
    assert parts[1:] == ["expected", "to do"], answer.err
    for phrase in phrases:
        assert str(phrase) in answer.err, answer.err


# ---------------------------------------------------------------------------------------------- comparisons

SAME = ("step", "epoch", "loss", "losses", "learning_rate", "gradient_norm", "tokens", "sample_ids", "evaluation")
"""What an undisturbed and a resumed run must agree on, in every record of the log."""


def same_log(first: Path, second: Path) -> None:
    one, other = (
        [{key: r.get(key) for key in SAME} for r in read_log(folder / "log.jsonl")] for folder in (first, second)
    )
    assert one == other


def same_checkpoint(first: Path, second: Path) -> None:
    assert (first / "model.safetensors").read_bytes() == (second / "model.safetensors").read_bytes()
    one, other = read_state(first), read_state(second)
    unlike = ("seconds", "evaluation_seconds")
    assert {**one["position"], **dict.fromkeys(unlike)} == {**other["position"], **dict.fromkeys(unlike)}
    assert str(one.get("average")) == str(other.get("average"))
    for ours, theirs in zip(one["optimizers"], other["optimizers"], strict=True):
        assert ours["param_groups"] == theirs["param_groups"]
        assert ours["state"].keys() == theirs["state"].keys()
        for key, state in ours["state"].items():
            for name, value in state.items():
                assert torch.equal(value, theirs["state"][key][name])


# ---------------------------------------------------------------------------------------------- faults


def failing_at(call: int, genuine: Callable[..., Any]) -> Callable[..., Any]:
    """A function that does what the genuine one does, but for one call, which finds the disk full."""
    calls = 0

    def fail(*arguments: Any, **options: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == call:
            raise OSError(errno.ENOSPC, "No space left on device")
        return genuine(*arguments, **options)

    return fail
