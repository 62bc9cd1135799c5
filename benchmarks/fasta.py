"""MB of plain text a second in reading FASTA, on one core, beside dnaio where it is installed.

    python benchmarks/fasta.py                 200 MB, five alternating rounds

Generated: chromosomes of 5 MB in lines of 60 letters, a tenth of them soft-masked. The median and the spread.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np


def main() -> None:
    """Generate, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "some.fa")
        write(path, given.megabytes)
        engines = {"ours": ours, **peers()}
        rates: dict[str, list[float]] = {name: [] for name in engines}
        for _ in range(given.rounds):
            for name, engine in engines.items():
                begin = time.perf_counter()
                engine(path)
                rates[name].append(path.stat().st_size / 1e6 / (time.perf_counter() - begin))
    for name, values in rates.items():
        print(f"{name:>8} {statistics.median(values):>7,.0f} MB/s ({min(values):,.0f} to {max(values):,.0f})")


def write(path: Path, megabytes: int) -> None:
    """Chromosomes of random bases."""
    generator = np.random.default_rng(1)
    with path.open("wb") as file:
        for number in range(max(1, megabytes // 5)):
            bases = generator.choice(np.frombuffer(b"ACGTACGTACGTACGTACGTacgt", dtype=np.uint8), 60 * 82_000)
            lines = np.concatenate([bases.reshape(-1, 60), np.full((82_000, 1), ord("\n"), dtype=np.uint8)], axis=1)
            file.write(f">chromosome {number}\n".encode() + lines.tobytes())


def ours(path: Path) -> int:
    """Read by corpus/fasta.py, letters in upper case."""
    from bertwright.alphabet import Alphabet
    from bertwright.corpus.fasta import sequences

    spell = Alphabet("dna").spell
    return sum(len(spell(sequence)) for _, sequence in sequences(path))


def peers() -> dict[str, Callable[[Path], int]]:
    """The package dnaio, if it is there."""
    try:
        import dnaio  # pyright: ignore[reportMissingImports]
    except ImportError:
        return {}

    def by_dnaio(path: Path) -> int:
        with dnaio.open(path) as reader:
            return sum(len(record.sequence.upper()) for record in reader)

    return {"dnaio": by_dnaio}


if __name__ == "__main__":
    main()
