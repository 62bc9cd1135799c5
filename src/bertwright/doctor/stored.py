"""The page out of what `prepare` counted while it wrote a store: nothing is read again."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bertwright.corpus import Counts
from bertwright.doctor.advice import advise
from bertwright.doctor.measures import DEVIATION, WIDTH, histogram, lengths, scripts, shares_over
from bertwright.doctor.page import expected_losses, unknown_rate
from bertwright.tokenizer import Tokenizer
from bertwright.vocabulary import CONTINUATION

_REPLACEMENT = "\ufffd"


def store_page(
    files: Sequence[Path],
    counts: Counts,
    token_lengths: Mapping[int, int],
    unigram_counts: np.ndarray,
    tokenizer: Tokenizer,
    *,
    width: int = WIDTH,
    initial_deviation: float = DEVIATION,
) -> dict[str, Any]:
    """The page that `prepare` stores as doctor.json; it has the keys of that of `examine`.

    Args:
        files: what the corpus was read from.
        counts: what was counted while it was read.
        token_lengths: number of tokens -> records with so many; a Counter of what `StoreWriter.add` returned. Records
            without tokens are left aside.
        unigram_counts: int64 [V], how often each token occurs in the training documents.
        tokenizer: the one that the store's ids come from.
        width: D of the model that the expected first loss is meant for.
        initial_deviation: sigma of that model.
    """
    records = {length: number for length, number in token_lengths.items() if length}
    of_tokens = lengths(records)
    if of_tokens is not None:
        of_tokens |= shares_over(records, special=2)
    entry = {
        "file": files[0].as_posix() if len(files) == 1 else f"{len(files):,} files",
        "records": sum(records.values()),
        "characters": counts.characters,
        "bytes": sum(path.stat().st_size for path in files),
        "tokens": sum(length * number for length, number in records.items()),
        "empty": counts.empty,
        "duplicates": counts.duplicates,
        "near_duplicates": None,
        "dropped": True,
        "long": None,
        "damaged": None,
        "looks_like_table": False,
        "examples": dict.fromkeys(("empty", "duplicates", "near_duplicates", "long", "unlabelled")),
        "columns": None,
        "lengths": {"characters": None, "tokens": of_tokens},
        "histogram": {"characters": None, "tokens": histogram(records)},
        "scripts": scripts(_character_counts(unigram_counts, tokenizer)),
        "labels": {},
        "num_labels": 0,
        "unlabelled": None,
        "conflicts": {"texts": 0, "records": 0, "examples": []},
        "unknown_rate": unknown_rate(unigram_counts, tokenizer),
    }
    page = {
        "files": [entry],
        "shared": [],
        "label_differences": [],
        **expected_losses(unigram_counts, "tokens", tokenizer.vocabulary_size, width, initial_deviation),
    }
    return page | {"warnings": advise(page)}


def _character_counts(unigram_counts: np.ndarray, tokenizer: Tokenizer) -> np.ndarray:
    """How often each character occurs, by code point, as the tokens tell it.

    Unknown tokens tell nothing, nor do tokens of bytes that are no whole characters.
    """
    found: Counter[str] = Counter()
    for number in np.setdiff1d(np.flatnonzero(unigram_counts), tokenizer.special_ids).tolist():
        text = tokenizer.decode([number])
        if tokenizer.kind == "wordpiece":
            text = text.removeprefix(CONTINUATION) or text
        for character in text:
            found[character] += int(unigram_counts[number])
    del found[_REPLACEMENT]
    counts = np.zeros(max(map(ord, found), default=0) + 1, dtype=np.int64)
    for character, number in found.items():
        counts[ord(character)] = number
    return counts
