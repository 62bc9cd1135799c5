"""Differences of scores, and how sure they are."""

import statistics
from collections.abc import Callable, Sequence

import numpy as np

DRAWS = 1000
"""Of test examples."""

Scores = Callable[[np.ndarray], list[float]]
"""Numbers of test examples, [N] -> the score on them of each seed; a list of one: there is no seed."""


def difference(one: Scores, other: Scores, groups: Sequence[str]) -> list[float]:
    """By how much one model scores higher than another one, and the interval that holds it in 95 of 100 experiments.

    Two things could have come otherwise: the seeds of either side, and the test examples, which are drawn anew in whole
    groups. Their variances are added; the interval is Student's, with Welch's and Satterthwaite's degrees of freedom,
    as of three seeds a spread is hardly known.

    Args:
        one: scores of the one model.
        other: of the other one.
        groups: [N], the group of each test example: those of a group are no independent examples.

    Returns:
        The difference of the mean scores, and the two ends of the interval.
    """
    from scipy.stats import t

    names = np.array(groups)
    members = [np.flatnonzero(names == group) for group in dict.fromkeys(groups)]
    generator = np.random.default_rng(1)
    drawn = []
    for _ in range(DRAWS):
        rows = np.concatenate([members[number] for number in generator.integers(0, len(members), len(members))])
        drawn.append(statistics.mean(one(rows)) - statistics.mean(other(rows)))
    every = [one(np.arange(len(groups))), other(np.arange(len(groups)))]
    parts = [(statistics.variance(drawn), len(members) - 1)]
    parts += [(statistics.variance(scores) / len(scores), len(scores) - 1) for scores in every if len(scores) > 1]
    variance = sum(part for part, _ in parts)
    freedom = variance**2 / sum(part**2 / max(1, free) for part, free in parts) if variance else 1.0
    mean = statistics.mean(every[0]) - statistics.mean(every[1])
    reach = float(t.ppf(0.975, freedom)) * variance**0.5
    return [mean, mean - reach, mean + reach]
