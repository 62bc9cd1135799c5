"""Figures from tables of counts: the first loss, lengths, scripts."""

import math
import unicodedata
from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np

from bertwright.config import ModelConfig

WIDTH = ModelConfig().width
"""Width of the model that the expected first loss is meant for, unless another one is named."""

DEVIATION = ModelConfig().initial_deviation
"""Standard deviation of its initial weights."""

QUANTILES = (1, 5, 25, 50, 75, 95, 99)
MOST_BINS = 40
LIMITS = (128, 512)

_KINDS_OF_LETTERS = {"CAPITAL", "SMALL", "LETTER", "SYLLABLE", "SYLLABICS", "CHARACTER", "VOWEL", "SIGN", "LIGATURE"}
_SCRIPTS = {
    "CJK": "Han",
    "IDEOGRAPHIC": "Han",
    "KATAKANA-HIRAGANA": "Katakana",
    "MODIFIER": "other",
    "COMBINING": "other",
}
_SCRIPTS_SHOWN = 20


def lengths(counts: Mapping[int, int]) -> dict[str, Any] | None:
    """Minimum, mean, maximum and quantiles of lengths.

    Args:
        counts: length -> how often it occurs.

    Returns:
        None where there is none. A quantile is the smallest length that so many per cent do not exceed.
    """
    if not counts:
        return None
    values, numbers = _sorted(counts)
    summed = numbers.cumsum()
    return {
        "minimum": int(values[0]),
        "mean": round(float((values * numbers).sum() / summed[-1]), 2),
        "maximum": int(values[-1]),
        "quantiles": {f"{q}%": int(values[np.searchsorted(summed, q / 100 * summed[-1])]) for q in QUANTILES},
    }


def shares_over(counts: Mapping[int, int], special: int) -> dict[str, float]:
    """Shares of the records that do not fit into 128 and 512 tokens beside `special` special ones."""
    total = sum(counts.values())
    return {
        f"over_{limit}": round(sum(n for length, n in counts.items() if length + special > limit) / total, 6)
        for limit in LIMITS
    }


def histogram(counts: Mapping[int, int]) -> dict[str, Any] | None:
    """Bins of equal width, at most 40, from 0 to just above the 99 % quantile; what is longer is counted together."""
    if not counts:
        return None
    values, numbers = _sorted(counts)
    summed = numbers.cumsum()
    end = int(values[np.searchsorted(summed, 0.99 * summed[-1])]) + 1
    least = end / MOST_BINS
    magnitude = 10 ** max(0, math.floor(math.log10(max(1, least))))
    width = next(factor * magnitude for factor in (1, 2, 5, 10) if factor * magnitude >= least)
    edges = np.arange(0, end + width, width)
    inside = values < edges[-1]
    bins = np.bincount(values[inside] // width, weights=numbers[inside], minlength=len(edges) - 1)
    return {
        "edges": edges.tolist(),
        "counts": bins.astype(np.int64).tolist(),
        "above": int(numbers[~inside].sum()),
    }


def scripts(character_counts: np.ndarray) -> dict[str, float]:
    """Share of each script among the visible characters, the greatest first.

    Args:
        character_counts: by code point.
    """
    found: dict[str, int] = {}
    for point in np.flatnonzero(character_counts):
        if script := _script(chr(point)):
            found[script] = found.get(script, 0) + int(character_counts[point])
    total = sum(found.values())
    order = sorted(found, key=lambda script: (-found[script], script))
    return {script: round(found[script] / total, 6) for script in order[:_SCRIPTS_SHOWN]}


def _sorted(counts: Mapping[int, int]) -> tuple[np.ndarray, np.ndarray]:
    values = np.array(sorted(counts), dtype=np.int64)
    return values, np.array([counts[int(value)] for value in values], dtype=np.int64)


@cache
def _script(character: str) -> str:
    """The script of a letter by its Unicode name, which begins with it; "" for white space and controls."""
    normal = unicodedata.normalize("NFKC", character)[:1]
    category = unicodedata.category(normal)
    if category[0] in "ZC" and category not in ("Co", "Cn"):
        return ""
    if category[0] == "N":
        return "digits"
    if category[0] not in "LM":
        return "other"
    words = unicodedata.name(normal, "MODIFIER").split()
    if len(words) == 1:  # CARON: a mark of no script
        return "other"
    end = next((place for place, word in enumerate(words) if place and word in _KINDS_OF_LETTERS), 1)
    return _SCRIPTS.get(words[0]) or " ".join(words[:end]).title()
