"""Alphabets: how a sequence of letters (DNA, protein) becomes symbols.

Letters are brought into upper case (soft-masked ones, too), and those that are not of the alphabet become the one that
stands for any: N of DNA, X of proteins. k-mers are runs of k letters, one beginning at every `stride`-th letter.
"""

import math
from collections.abc import Iterable
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
        if self.letters == "any":
            written = "".join(text.split())
            return " ".join(written[begin : begin + self.length] for begin in self._begins(len(written)).tolist())
        letters = text.encode("ascii", "replace").translate(_TABLES[self.letters], WHITE)
        return (letters if self.length == 1 else self._in_runs(letters)).decode()

    def _in_runs(self, letters: bytes) -> bytes:
        """Letters as k-mers: of a chromosome there are tens of millions, so they are one array, not a string each."""
        begins = self._begins(len(letters))
        whole = begins[begins + self.length <= len(letters)]
        table = np.full((len(whole), self.length + 1), ord(" "), dtype=np.uint8)
        for place in range(self.length):
            table[:, place] = np.frombuffer(letters, dtype=np.uint8)[whole + place]
        shorter = [letters[begin:] for begin in begins[len(whole) :]]
        return table.tobytes().rstrip() if not shorter else table.tobytes() + shorter[0]

    def places(self, text: str) -> np.ndarray:
        """The characters of the text that each symbol stands for, int32 [N, 2]: the first one and the end."""
        if self.letters == "any":
            white = np.fromiter((letter.isspace() for letter in text), dtype=bool, count=len(text))
        else:
            white = np.isin(np.frombuffer(text.encode("ascii", "replace"), np.uint8), np.frombuffer(WHITE, np.uint8))
        written = np.flatnonzero(~white)
        begins = self._begins(len(written))
        ends = np.minimum(begins + self.length, len(written)) - 1
        return np.stack([written[begins], written[ends] + 1], axis=1).astype(np.int32).reshape(-1, 2)

    def others(self, text: str) -> int:
        """How many letters of a text are not of the alphabet."""
        if self.letters == "any":
            return 0
        written, any_of_them = text.encode("ascii", "replace"), KINDS[self.letters][1].encode()
        return written.translate(_TABLES[self.letters], WHITE).count(any_of_them) - written.upper().count(any_of_them)

    def told_of(self, texts: Iterable[str]) -> list[str]:
        """What is odd in texts, for people to read: that they are of another alphabet."""
        count = sum(map(self.others, texts))
        other = f"{count:,} letters are not of the alphabet {self.letters}: the model reads each as "
        return [other + KINDS[self.letters][1]] if count else []

    def described(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)

    def _begins(self, size: int) -> np.ndarray:
        """Where k-mers begin; the last one reaches the end, and may be shorter than the others."""
        last = max(0, size - self.length)
        return np.arange(0, last + self.stride if size else 0, self.stride)


def _table(letters: str) -> bytes:
    """What each byte becomes."""
    kept, any_of_them = KINDS[letters]
    table = bytearray(any_of_them.encode() * 256)
    for letter in kept:
        table[ord(letter)] = table[ord(letter.lower())] = ord(letter)
    if letters == "dna":  # RNA is read as the DNA that it is written from
        table[ord("U")] = table[ord("u")] = ord("T")
    return bytes(table)


_TABLES = {letters: _table(letters) for letters in KINDS}
