"""How the time and memory of `prepare` grow with the corpus.

    python benchmarks/prepare_scaling.py                       100 MB and 1 GB, wordpiece; some minutes, 2 GB of disk
    python benchmarks/prepare_scaling.py 20 200 --kind bpe     other sizes, another tokenizer

The text is generated, the same in every run: Chinese, English and mixed documents, one a line, their words drawn by
Zipf's law, their lengths spread widely (four sentences at the median, hundreds at most). A fifth of it are single lines
of 50 MB (of a fifth of the corpus, if that is less): a third Chinese without spaces, a third English without a full
stop, a third letters without anything between them.

Each size runs in a process of its own. Reported are its peak memory, and the time without tokenizer training, which
reads a sample of bounded size.
"""

import argparse
import itertools
import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

SENTENCES = 60_000
LONG_LINE = 50_000_000
LONG_SHARE = 0.2


def main() -> None:
    """Generate, run and report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("megabytes", nargs="*", type=int, default=[100, 1000], help="sizes of the corpus")
    parser.add_argument("--kind", default="wordpiece", choices=("wordpiece", "bpe", "characters", "symbols"))
    parser.add_argument("--sample", type=float, default=50.0, help="megabytes that the tokenizer is learnt from")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/prepare_scaling.json"))
    parser.add_argument("--folder", type=Path, help="where to generate the text, if not in the temporary folder")
    parser.add_argument("--measure", nargs=2, metavar=("TEXT", "STORE"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        text, store = arguments.measure
        print(json.dumps(measure(text, store, arguments.kind, arguments.sample)))
        return
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        results = [run(Path(folder), megabytes, arguments.kind, arguments.sample) for megabytes in arguments.megabytes]
    print(f"{'MB':>6} {'s':>8} {'CPU s':>8} {'MB/s':>6} {'peak MB':>8} {'tokenizer s':>12} {'tokens':>13}")
    for row in results:
        speed = row["megabytes"] / row["seconds"]
        print(
            f"{row['megabytes']:>6} {row['seconds']:>8.1f} {row['processor_seconds']:>8.1f} {speed:>6.2f} "
            f"{row['peak_megabytes']:>8.0f} {row['tokenizer_seconds']:>12.1f} {row['tokens']:>13,}"
        )
    for small, large in itertools.pairwise(results):
        factors = (large[key] / small[key] for key in ("megabytes", "seconds", "processor_seconds"))
        print("{:.1f} x text: {:.2f} x time, {:.2f} x processor time".format(*factors))
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps({"kind": arguments.kind, "runs": results}, indent=1) + "\n", encoding="utf-8")


def run(folder: Path, megabytes: int, kind: str, sample: float) -> dict[str, Any]:
    """Generate a corpus and prepare it in a process of its own."""
    text, store = folder / f"text-{megabytes}.txt", folder / f"store-{megabytes}"
    generate(text, megabytes * 1_000_000)
    command = [sys.executable, __file__, "--kind", kind, "--sample", str(sample), "--measure", str(text), str(store)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    text.unlink()
    return {"megabytes": megabytes, **json.loads(done.stdout.splitlines()[-1])}


def measure(text: str, store: str, kind: str, sample: float) -> dict[str, Any]:
    """Prepare a file in this process; seconds, peak memory, tokens."""
    from bertwright.config import CorpusSettings, PretrainRecipe, TokenizerSettings, TrainSettings
    from bertwright.prepare import prepare

    recipe = PretrainRecipe(
        run="unused",
        store=store,
        corpus=CorpusSettings(files=[text]),
        tokenizer=TokenizerSettings(kind=kind, sample_megabytes=sample),  # pyright: ignore[reportArgumentType]
        train=TrainSettings(steps=1),
    )
    begun: dict[str, float] = {}

    def progress(stage: str, done: int, total: int | None) -> None:
        begun.setdefault(stage, time.process_time())

    result = prepare(recipe, progress)
    return {
        "seconds": result["seconds"]["encoding"],
        "processor_seconds": time.process_time() - begun["encoding"],
        "tokenizer_seconds": result["seconds"]["tokenizer"],
        "peak_megabytes": peak_megabytes(),
        "documents": result["documents"],
        "tokens": result["tokens"],
    }


def peak_megabytes() -> float:
    """Peak resident memory of this process alone (getrusage also counts the process that it was forked from)."""
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text(encoding="utf-8").splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024 / 1e6
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1e6 if sys.platform == "darwin" else 1e3)


def generate(path: Path, size: int, long_share: float = LONG_SHARE) -> None:
    """Write about `size` bytes of text, the same every time, with so large a share of long lines."""
    draw = random.Random(1)
    pools = {"zh": list(_chinese(SENTENCES)), "en": list(_english(SENTENCES))}
    long_size = min(LONG_LINE, int(size * long_share))
    num_long = round(size * long_share / long_size) if long_size else 0
    written = 0
    with path.open("w", encoding="utf-8") as file:

        def write_documents(until: int) -> None:
            nonlocal written
            for line in _documents(draw, pools, until - written):
                written += len(line.encode()) + 1
                file.write(line + "\n")

        for number in range(num_long):
            write_documents(size * (number + 1) // num_long - long_size)
            written += _write_long_line(file, draw, pools, long_size)
        write_documents(size)


def _documents(draw: random.Random, pools: dict[str, list[str]], size: int) -> Iterator[str]:
    """Documents of about so many bytes together."""
    while size > 0:
        kind = draw.choices(("zh", "en", "mixed"), (45, 45, 10))[0]
        length = 1 + int(draw.lognormvariate(1.1, 1.3))
        sentences = (draw.choice(pools[draw.choice(("zh", "en")) if kind == "mixed" else kind]) for _ in range(length))
        line = ("" if kind == "zh" else " ").join(sentences)
        size -= len(line.encode()) + 1
        yield line


def _write_long_line(file: Any, draw: random.Random, pools: dict[str, list[str]], size: int) -> int:
    """Write one line of about `size` bytes, in pieces."""
    makers = (
        lambda: "".join(draw.choices(pools["zh"], k=100)),
        lambda: " ".join(draw.choices(pools["en"], k=100)).replace(".", ""),
        lambda: "".join(draw.choices("acgt", k=10_000)),
    )
    written = 0
    for part, make in enumerate(makers, start=1):
        while written < size * part / len(makers):
            piece = make()
            file.write(piece)
            written += len(piece.encode())
    file.write("\n")
    return written + 1


def _zipf(num_words: int, count: int, seed: int) -> np.ndarray:
    """`count` word numbers, number n with a probability in proportion to 1 / (n + 3)."""
    shares = np.cumsum(1 / np.arange(3, num_words + 3))
    return np.searchsorted(shares, np.random.default_rng(seed).random(count) * shares[-1])


def _chinese(num: int) -> Iterator[str]:
    draw = random.Random(2)
    characters = [chr(point) for point in range(0x4E00, 0x4E00 + 4000)]
    draw.shuffle(characters)
    words = ["".join(draw.choices(characters, k=draw.choice((1, 1, 2, 2, 2, 3)))) for _ in range(30_000)]
    lengths = [draw.randint(4, 24) for _ in range(num)]
    numbers = iter(_zipf(len(words), sum(lengths), 2).tolist())
    for length in lengths:
        sentence = [words[next(numbers)] for _ in range(length)]
        sentence[length // 2] += draw.choice(("，", "", "、", "2024"))
        yield "".join(sentence) + draw.choice("。。。！？")


def _english(num: int) -> Iterator[str]:
    draw = random.Random(3)
    syllables = [c + v + e for c in "bcdfghlmnprstvw" for v in "aeiou" for e in ("", "n", "r", "st")]
    words = ["".join(draw.choices(syllables, k=draw.choice((1, 1, 2, 2, 3, 4)))) for _ in range(40_000)]
    lengths = [draw.randint(5, 30) for _ in range(num)]
    numbers = iter(_zipf(len(words), sum(lengths), 3).tolist())
    for length in lengths:
        sentence = [words[next(numbers)] for _ in range(length)]
        sentence[length // 2] += draw.choice((",", "", ";", " (naïve)"))
        yield " ".join(sentence).capitalize() + draw.choice("...!?")


if __name__ == "__main__":
    main()
