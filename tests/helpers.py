"""Small stand-ins that several tests build their cases from."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from bertwright.store import Store, StoreWriter
from bertwright.tokenizer import Tokenizer

from bertwright.config import TokenizerSettings

SYMBOLS = [f"s{number}" for number in range(90)]


def small_tokenizer() -> Tokenizer:
    """A tokenizer of 95 tokens: five special ones and ninety symbols."""
    settings = TokenizerSettings(kind="symbols", vocabulary_size=95, minimum_frequency=1)
    return Tokenizer.train([" ".join(SYMBOLS)], settings)


def small_store(
    folder: Path, *, sizes: Sequence[int], held_out: Sequence[int] | None = None, segment: int = 10, seed: int = 0
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
            writer.add(f"document-{number}", segments, "und", "generated", held_out=side)
    return Store.open(folder / "store")
