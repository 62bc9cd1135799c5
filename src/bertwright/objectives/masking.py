"""Masked tokens (Devlin et al. 2019, section 3.1): a share of the tokens is chosen and must be predicted.

Chosen are single tokens, whole words (Cui et al. 2019), or spans of words (Joshi et al. 2020). Masks are drawn anew in
every time that a sample is drawn (dynamic masking, Liu et al. 2019): a function of (seed, draw, unit), so they depend
neither on the other samples of a batch nor on how rows are filled.
"""

import functools

import numpy as np

from bertwright.batches import IGNORED, Rows, SpecialTokens, with_labels
from bertwright.config import ObjectiveSettings
from bertwright.samples import uniforms

CHOICE, KIND, REPLACEMENT, EXTENT = 101, 102, 103, 104
"""Keys of the independent random streams."""

LONGEST_WORD = 10
"""Tokens: a longer word is masked in parts. One without spaces could fill a row and leave nothing to guess it from."""

LONGEST_SPAN = 10
"""Words."""

LONGER = np.cumsum((0.2 * 0.8 ** np.arange(LONGEST_SPAN))[::-1])[::-1] / (1 - 0.8**LONGEST_SPAN)
"""Share of the spans with more than 0, 1, 2, ... words: their number is geometric with p = .2, cut at the longest."""


def mask_tokens(rows: Rows, settings: ObjectiveSettings, special: SpecialTokens, *, seed: int) -> Rows:
    """Choose tokens, corrupt them, and ask for them.

    Of the chosen tokens `mask_share` becomes [MASK], `random_share` a random token that is no special one, the rest
    stays; within a span all tokens share that fate, and so do spans that meet where tokens share letters: what one of
    them shows, the other must not hide. Special tokens and padding are never chosen.

    Args:
        rows: packed rows, [B, L]; their `sample_ids` are numbers of draws.
        settings: the rates.
        special: [MASK], and which tokens are ordinary.
        seed: of the run.
    """
    ids = rows.input_ids
    draw = np.zeros(ids.shape, dtype=np.int64)
    real = rows.sequence_ids > 0
    draw[real] = rows.sample_ids[rows.sequence_ids[real] - 1]
    if settings.unit == "span" or special.overlap:
        longer = tuple(LONGER) if settings.unit == "span" else (1.0,)
        longer = (1.0,) * special.overlap + longer  # every token that shares a chosen letter
        origin = span_origins(draw, rows.unit_ids, settings.masking_rate, longer, seed=seed)
        covered = (origin >= 0) & real & ~np.isin(ids, (special.cls, special.sep))
        chosen = covered & np.isin(ids, special.ordinary)
        # An unknown k-mer is not asked for, but what is on either side of it shares letters through it.
        kind = uniforms(seed, KIND, draw, run_starts(covered, rows.position_ids) if special.overlap else origin + 1)
    else:
        drawn = uniforms(seed, CHOICE, draw, rows.unit_ids) < settings.masking_rate
        chosen = drawn & real & np.isin(ids, special.ordinary)
        kind = uniforms(seed, KIND, draw, rows.position_ids)
    masked = chosen & (kind < settings.mask_share)
    randomized = chosen & ~masked & (kind < settings.mask_share + settings.random_share)
    number = (uniforms(seed, REPLACEMENT, draw, rows.position_ids) * len(special.ordinary)).astype(np.int64)
    corrupted = np.where(masked, special.mask, np.where(randomized, special.ordinary[number], ids)).astype(ids.dtype)
    return with_labels(rows, corrupted, np.where(chosen, ids, IGNORED).astype(ids.dtype))


def run_starts(covered: np.ndarray, position: np.ndarray) -> np.ndarray:
    """Where the run of covered tokens begins that a token is of.

    Args:
        covered: [B, L].
        position: [B, L], of each token in its sequence, the first token of which is not covered.

    Returns:
        [B, L], the position of the first token of the run; of tokens that are not covered, anything.
    """
    begins = covered.copy()
    begins[:, 1:] &= ~covered[:, :-1]
    place = np.maximum.accumulate(np.where(begins, np.arange(covered.shape[1]), 0), axis=1)
    return np.take_along_axis(position, place, axis=1)


def span_origins(
    draw: np.ndarray, unit: np.ndarray, rate: float, longer: tuple[float, ...], *, seed: int
) -> np.ndarray:
    """Which span covers a token.

    A span may begin at every word, all with the same probability: the one with which a word is covered by none of the
    spans that could reach it with probability 1 - rate. Spans may begin before the first word, or the beginning of a
    text would be masked less often than the rest.

    Args:
        draw: [B, L], number of the draw that each token is of.
        unit: [B, L], number of each token's word.
        rate: share of the words to cover.
        longer: share of the spans with more than 0, 1, 2, ... words.
        seed: of the run.

    Returns:
        [B, L], a number of the span in its draw (of the last one that began, if there are several), or -1.
    """
    probability = _span_probability(rate, longer)
    origin = np.full(unit.shape, -1, dtype=np.int64)
    for back in reversed(range(len(longer))):
        begin = unit.astype(np.int64) - back + len(longer)
        begins = uniforms(seed, CHOICE, draw, begin) < probability
        reaches = begins & (uniforms(seed, EXTENT, draw, begin) < longer[back])
        origin[reaches] = begin[reaches]
    return origin


@functools.cache
def _span_probability(rate: float, longer: tuple[float, ...]) -> float:
    """The probability of a span at a word with which a word is covered with probability `rate`, by bisection."""
    low, high = 0.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        covered = 1 - np.prod(1 - middle * np.array(longer))
        low, high = (middle, high) if covered < rate else (low, middle)
    return low


def word_numbers(begins: list[np.ndarray], between: int = 1) -> np.ndarray:
    """The number of each token's word in a framed sequence: [CLS], first segment, [SEP] (, second segment, [SEP]).

    Args:
        begins: per segment, which of its tokens begin a word, bool.
        between: how many [SEP] stand between two segments.

    Returns:
        int64, one number per token and framing token. A segment begins with a new word; a word of more than
        LONGEST_WORD tokens counts as several. At each [SEP] so many numbers are left out that no span reaches across.
    """
    steps = [np.zeros(1, dtype=np.int64)]
    for number, segment in enumerate(begins, start=1):
        ends = between if number < len(begins) else 1
        place = np.arange(len(segment))
        opening = np.maximum.accumulate(np.where(segment, place, 0))
        steps += [((place - opening) % LONGEST_WORD == 0).astype(np.int64), np.full(ends, LONGEST_SPAN)]
    return np.cumsum(np.concatenate(steps))
