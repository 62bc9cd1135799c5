"""How members are mixed: weights and a threshold, chosen on answers that no member had seen the labels of.

What a mixture scores is measured in the same spirit: for the examples of a fold, weights and threshold come from the
other folds only.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bertwright.metrics import LOWER_IS_BETTER
from bertwright.tasks.task import Example, Task

ROUNDS = 10
"""Members are added to the mixture so many times, so that weights are tenths."""


@dataclass(frozen=True)
class Blend:
    """A way to mix."""

    weights: list[float]
    """Of each member; they sum to 1."""
    threshold: float
    """See Task.shifted."""

    def answers(self, task: Task, of_members: Sequence[Sequence[Any]]) -> list[Any]:
        """The mixture's answers, out of those of each member."""
        chosen = [number for number, weight in enumerate(self.weights) if weight > 0]
        mixed = task.combined([of_members[number] for number in chosen], [self.weights[number] for number in chosen])
        return task.shifted(mixed, self.threshold)


def fit(task: Task, examples: Sequence[Example], of_members: Sequence[Sequence[Any]], metric: str) -> Blend:
    """Choose weights, then the threshold, for the best value of a metric.

    The weights come from greedy selection with replacement (Caruana et al. 2004): whichever member helps most is added,
    again and again; it begins with the best one.

    Args:
        task: mixes and scores.
        examples: labelled.
        of_members: the answers of each member, none of which had seen the example's label.
        metric: that decides.
    """
    sign = -1.0 if metric in LOWER_IS_BETTER else 1.0

    def value(counts: np.ndarray) -> float:
        blend = Blend((counts / counts.sum()).tolist(), 0.0)
        return sign * task.scores(examples, blend.answers(task, of_members))["metrics"][metric]

    counts = np.zeros(len(of_members))
    best_value, best_counts = -np.inf, counts
    for _ in range(ROUNDS if len(of_members) > 1 else 1):
        tried = [value(counts + np.eye(len(of_members))[member]) for member in range(len(of_members))]
        counts = counts + np.eye(len(of_members))[int(np.argmax(tried))]
        if max(tried) > best_value:
            best_value, best_counts = max(tried), counts
    weights = (best_counts / best_counts.sum()).tolist()
    mixed = Blend(weights, 0.0).answers(task, of_members)
    return Blend(weights, task.best_threshold(examples, mixed, metric))


def cross_fitted(
    task: Task,
    examples: Sequence[Example],
    of_members: Sequence[Sequence[Any]],
    folds: np.ndarray,
    metric: str,
) -> list[Any]:
    """The mixture's answers on its own training examples, each fold's by a blend that was fitted on the others."""
    found: list[Any] = [None] * len(examples)
    for fold in np.unique(folds):
        inside, outside = np.flatnonzero(folds == fold), np.flatnonzero(folds != fold)
        blend = fit(task, [examples[place] for place in outside.tolist()], _chosen(of_members, outside), metric)
        for place, answer in zip(inside, blend.answers(task, _chosen(of_members, inside)), strict=True):
            found[place] = answer
    return found


def _chosen(of_members: Sequence[Sequence[Any]], places: np.ndarray) -> list[list[Any]]:
    return [[answers[place] for place in places.tolist()] for answers in of_members]
