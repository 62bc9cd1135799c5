"""Alphabets: how a sequence of letters (DNA, protein) becomes symbols.

Letters are brought into upper case (soft-masked ones, too), and those that are not of the alphabet become the one that
stands for any: N of DNA, X of proteins. k-mers are runs of k letters, one beginning at every `stride`-th letter.
"""

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

KINDS = {"dna": ("ACGT", "N"), "protein": ("ACDEFGHIKLMNPQRSTVWY", "X")}
"""Name -> its letters, and the one for any of them."""

WHITE = b" \t\n\r\v\f"
"""White space."""


@dataclass(frozen=True)
class Alphabet:
    """How a text is spelt."""

    letters: str = "any"
    """dna, protein, or any: the text as it is."""
    length: int = 1
    """k of k-mers; 1: single letters."""
    stride: int = 1
    """Letters from one k-mer to the next: 1, overlapping, to k, disjoint."""

    @property
    def is_plain(self) -> bool:
        """Whether texts stay as they are."""
        return self.letters == "any" and self.length == 1

    @property
    def overlap(self) -> int:
        """How many k-mers before one share letters with it."""
        return math.ceil(self.length / self.stride) - 1

    def spell(self, text: str) -> str:
        """A text in the letters of the alphabet, k-mers separated by spaces; white space is left out."""
        if self.is_plain:
            return text
        spelt = text.encode("ascii", "replace").translate(_TABLES[self.letters], WHITE).decode()
        if self.length == 1:
            return spelt
        return " ".join(spelt[begin : begin + self.length] for begin in self._begins(len(spelt)))

    def places(self, text: str) -> np.ndarray:
        """The characters of the text that each symbol stands for, int32 [N, 2]: the first one and the end."""
        letters = np.frombuffer(text.encode("ascii", "replace"), dtype=np.uint8)
        written = np.flatnonzero(~np.isin(letters, np.frombuffer(WHITE, dtype=np.uint8)))
        begins = np.array(self._begins(len(written)), dtype=np.int64)
        ends = np.minimum(begins + self.length, len(written)) - 1
        return np.stack([written[begins], written[ends] + 1], axis=1).astype(np.int32).reshape(-1, 2)

    def others(self, text: str) -> int:
        """How many letters of a text are not of the alphabet."""
        if self.letters == "any":
            return 0
        known = "".join(KINDS[self.letters]).encode()
        return len(text.encode("ascii", "replace").translate(None, WHITE + known + known.lower()))

    def described(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)

    def _begins(self, size: int) -> list[int]:
        """Where k-mers begin; the last one reaches the end, and may be shorter than the others."""
        last = max(0, size - self.length)
        return list(range(0, last + self.stride, self.stride)) if size else []


def _table(letters: str) -> bytes:
    """What each byte becomes."""
    if letters == "any":
        return bytes(range(256))
    kept, any_of_them = KINDS[letters]
    table = bytearray(any_of_them.encode() * 256)
    for letter in kept:
        table[ord(letter)] = table[ord(letter.lower())] = ord(letter)
    if letters == "dna":  # RNA is read as the DNA that it is written from
        table[ord("U")] = table[ord("u")] = ord("T")
    return bytes(table)


_TABLES = {letters: _table(letters) for letters in ("any", *KINDS)}
