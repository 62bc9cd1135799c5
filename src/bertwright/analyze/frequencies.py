"""How often the words of labels stand in what an encoder has read: in the training documents of a store."""

from collections import defaultdict
from collections.abc import Collection, Sequence

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from bertwright.analyze.labelled import Labelled
from bertwright.analyze.vectors import overlapping
from bertwright.store import Store

AT_ONCE = 2**20
"""Tokens of a store that are looked at together."""

LONGEST = 16
"""Tokens of a word; a longer one counts as never seen."""

Spelling = tuple[int, ...]
"""The ids of a word."""


def frequencies(texts: Sequence[Labelled], stores: Sequence[Store]) -> dict[str, float]:
    """For each label the mean over its words of the logarithm of 1 + how often the word stands in the stores.

    Args:
        texts: with labelled words.
        stores: of one tokenizer.
    """
    tokenizer = stores[0].tokenizer()
    spellings: defaultdict[str, set[Spelling]] = defaultdict(set)
    encoded = tokenizer.encode_batch_with_offsets([each.text for each in texts])
    for each, (ids, offsets) in zip(texts, encoded, strict=True):
        for word, (begin, end) in zip(each.words(), each.spans, strict=True):
            spellings[word].add(tuple(ids[overlapping(offsets, begin, end)].tolist()))
    counts = counted(stores, {spelling for each in spellings.values() for spelling in each})
    logarithms: defaultdict[str, list[float]] = defaultdict(list)
    for each in texts:
        for word, label in zip(each.words(), each.labels, strict=True):
            logarithms[label].append(np.log1p(sum(counts[spelling] for spelling in spellings[word])))
    return {label: float(np.mean(values)) for label, values in sorted(logarithms.items())}


def counted(stores: Sequence[Store], spellings: Collection[Spelling]) -> dict[Spelling, int]:
    """How often words stand in the training documents of stores: their tokens, and after them the begin of a word."""
    counts = dict.fromkeys(spellings, 0)
    by_size: defaultdict[int, list[Spelling]] = defaultdict(list)
    for spelling in spellings:
        if 0 < len(spelling) <= LONGEST:
            by_size[len(spelling)].append(spelling)
    for store in stores:
        documents = store.documents
        sizes = np.diff(documents["token_offset"])
        training = np.repeat(documents["held_out"][:-1] == 0, sizes)
        for start in range(0, len(training), AT_ONCE):
            stop = min(start + AT_ONCE + LONGEST, len(training))
            tokens = np.asarray(store.tokens(start, stop)).astype(np.uint64)
            begins = np.append(store.begins_word(start, stop), stop == len(training))
            for size, wanted in by_size.items():
                if size > len(tokens):
                    continue
                windows = sliding_window_view(tokens, size)[:AT_ONCE]
                whole = begins[: len(windows)] & begins[size:][: len(windows)]
                places = np.flatnonzero(whole & training[start : start + len(windows)])
                found = np.bincount(_places(windows[places], wanted), minlength=len(wanted) + 1)
                for spelling, count in zip(wanted, found.tolist(), strict=False):
                    counts[spelling] += count
    return counts


def _places(windows: np.ndarray, wanted: Sequence[Spelling]) -> np.ndarray:
    """For each of the windows [N, size] the number of the spelling that it is; where it is none, their count."""
    factors = np.random.default_rng(1).integers(1, 2**63, windows.shape[1], dtype=np.uint64) | np.uint64(1)
    keys = (np.array(wanted, dtype=np.uint64) * factors).sum(axis=1, dtype=np.uint64)  # hashes of 64 bits
    order = np.argsort(keys)
    hashes = (windows * factors).sum(axis=1, dtype=np.uint64)
    found = order[np.searchsorted(keys[order], hashes).clip(max=len(keys) - 1)]
    return np.where(keys[found] == hashes, found, len(wanted))
