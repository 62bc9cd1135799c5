"""Counting the examples of one source in one pass, in memory that does not grow with the texts."""

import re
import unicodedata
from array import array
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from bertwright.corpus.clean import text_key
from bertwright.doctor.examples import Source
from bertwright.tokenizer import Tokenizer

LONG = 10_000
"""Characters from which on a record is called long."""

MOST_LABELS = 10_000
"""With more different labels than this, the column holds no labels, and is not looked at any further."""

UNLABELLED = -1

_BATCH = 1 << 20
"""Characters that are counted at once."""

_LONGEST_LOOSENED = 1 << 20
"""Longer texts are compared as they stand: to cut them into words takes ten times their memory."""

_CHINESE = "⺀-〿぀-ヿ㐀-鿿豈-﫿\U00020000-\U0003ffff"
_BESIDE_CHINESE = re.compile(f" (?:(?=[{_CHINESE}])|(?<=[{_CHINESE}] ))")


@dataclass
class Tally:
    """What one pass over a source leaves behind; lists run over the records, in the order of the source."""

    source: Source
    records: int = 0
    characters: int = 0
    empty: int = 0
    long: int = 0
    exact: "array[int]" = field(default_factory=lambda: array("Q"))
    """Digests of the texts as they stand (NFKC)."""
    loose: "array[int]" = field(default_factory=lambda: array("Q"))
    """Digests of their letters and digits."""
    labels: "array[int]" = field(default_factory=lambda: array("i"))
    """Numbers of their labels in `label_numbers`, or `UNLABELLED`."""
    label_numbers: dict[str, int] = field(default_factory=dict)
    too_many_labels: bool = False
    unlabelled: int = 0
    character_counts: np.ndarray = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    """By code point, as far as the last one that occurs."""
    token_counts: np.ndarray | None = None
    character_lengths: Counter[int] = field(default_factory=Counter)
    token_lengths: Counter[int] = field(default_factory=Counter)
    longest: int = 0
    places: dict[str, str] = field(default_factory=dict)
    """The place of the first empty and the first unlabelled record, and of the longest one."""


def count(source: Source, tokenizer: Tokenizer | None) -> Tally:
    """Read a source once.

    Raises:
        UserError: a file cannot be read.
    """
    tally = Tally(source)
    if tokenizer is not None:
        tally.token_counts = np.zeros(tokenizer.vocabulary_size, dtype=np.int64)
    batch: list[tuple[str, ...]] = []
    size = 0
    for place, segments, label in source.read():
        if not segments:
            tally.empty += 1
            tally.places.setdefault("empty", place)
            continue
        length = sum(map(len, segments))
        _count_record(tally, place, segments, label, length)
        batch.append(segments)
        size += length
        if size >= _BATCH:
            _count_batch(tally, batch, tokenizer)
            batch, size = [], 0
    if batch:
        _count_batch(tally, batch, tokenizer)
    return tally


def _count_record(tally: Tally, place: str, segments: tuple[str, ...], label: str | None, length: int) -> None:
    tally.records += 1
    tally.characters += length
    tally.character_lengths[length] += 1
    if length > LONG:
        tally.long += 1
        if length > tally.longest:
            tally.longest, tally.places["long"] = length, place
    normal = [segment if segment.isascii() else unicodedata.normalize("NFKC", segment).strip() for segment in segments]
    tally.exact.append(_digest(normal))
    as_it_stands = tally.source.reader == "symbols" or length > _LONGEST_LOOSENED
    loosened = [] if as_it_stands else [loosen(text) for text in normal]
    tally.loose.append(_digest(loosened) if any(loosened) else tally.exact[-1])
    number = UNLABELLED
    if label and not tally.too_many_labels:
        number = tally.label_numbers.setdefault(label, len(tally.label_numbers))
    elif label == "":
        tally.unlabelled += 1
        tally.places.setdefault("unlabelled", place)
    tally.labels.append(number)
    if len(tally.label_numbers) > MOST_LABELS:
        tally.too_many_labels, tally.label_numbers = True, {}
        tally.labels = array("i", [UNLABELLED]) * tally.records


def add(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """The sum of two tables of counts, the shorter one filled up with zeros."""
    longer, shorter = (first, second) if len(first) >= len(second) else (second, first)
    longer[: len(shorter)] += shorter
    return longer


def _digest(segments: Iterable[str]) -> int:
    return int.from_bytes(text_key(segments)[:8])


def loosen(text: str) -> str:
    """What of a text counts when texts are compared: its letters and digits, in small letters.

    A space stands between words, but none beside Chinese characters, where white space and punctuation come and go.

    Args:
        text: in NFKC.
    """
    words = " ".join(text.casefold().translate(_SEPARATE).split())
    return words if words.isascii() or max(words) < "⺀" else _BESIDE_CHINESE.sub("", words)


class _Separate(dict[int, str]):
    """Code point -> the character if it is a letter, digit or mark, else a space; filled as characters come up."""

    def __missing__(self, point: int) -> str:
        character = chr(point)
        kept = character.isalnum() or unicodedata.category(character).startswith("M")
        self[point] = character if kept else " "
        return self[point]


_SEPARATE = _Separate()


def _count_batch(tally: Tally, batch: Sequence[tuple[str, ...]], tokenizer: Tokenizer | None) -> None:
    text = "".join(segment for segments in batch for segment in segments)
    for begin in range(0, len(text), _BATCH):  # a single text may be far longer
        points = np.frombuffer(text[begin : begin + _BATCH].encode("utf-32-le"), dtype=np.uint32)
        tally.character_counts = add(tally.character_counts, np.bincount(points))
    if tokenizer is None or tally.token_counts is None:
        return
    ids = tokenizer.encode_batch([segment for segments in batch for segment in segments])
    tally.token_counts += np.bincount(np.concatenate(ids), minlength=len(tally.token_counts))
    sizes = np.array([len(part) for part in ids])
    lengths = np.add.reduceat(sizes, np.cumsum([0, *map(len, batch[:-1])]))
    tally.token_lengths.update(lengths.tolist())
