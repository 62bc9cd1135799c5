"""A linear model on sequences of symbols: n-grams, and, where all are of one length, what stands at which place."""

from collections.abc import Sequence
from typing import Any

import numpy as np

LONGEST = 4
"""Symbols of an n-gram."""

STRENGTHS = (0.1, 1.0, 10.0)
"""Of which the best on a fifth of the training examples is taken (inverse of the regularisation)."""

Side = Sequence[tuple[list[str], str]]
"""Sequences and labels."""


def linear_score(train: Side, test: Side, *, number: bool) -> float:
    """Accuracy on the test side, or with `number` the rank correlation (Spearman).

    Args:
        train: to learn from.
        test: to judge.
        number: whether labels are numbers.
    """
    from scipy.sparse import hstack
    from scipy.stats import spearmanr
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.preprocessing import OneHotEncoder

    sides = ([sequence for sequence, _ in train], [sequence for sequence, _ in test])
    analyzer: Any = _grams
    vectorizer = TfidfVectorizer(analyzer=analyzer, sublinear_tf=True, max_features=200_000)
    features: list[Any] = [vectorizer.fit_transform(sides[0]), vectorizer.transform(sides[1])]
    if len({len(sequence) for side in sides for sequence in side}) == 1:
        encoder = OneHotEncoder(handle_unknown="ignore")
        places = (encoder.fit_transform(np.array(sides[0])), encoder.transform(np.array(sides[1])))
        features = [hstack(pair).tocsr() for pair in zip(features, places, strict=True)]
    labels = [np.array([float(label) if number else label for _, label in side]) for side in (train, test)]
    order = np.random.default_rng(1).permutation(len(train))
    inner, outer = order[len(order) // 5 :], order[: len(order) // 5]

    def scored(strength: float, learnt: np.ndarray, learnt_labels: np.ndarray, judged: Any, truth: np.ndarray) -> float:
        guesses = _model(strength, number=number).fit(learnt, learnt_labels).predict(judged)
        if not number:
            return float(np.mean(guesses == truth))
        rank = float(np.asarray(spearmanr(guesses, truth))[0])
        return rank if np.isfinite(rank) else 0.0

    parts = (features[0][inner], labels[0][inner], features[0][outer], labels[0][outer])
    best = max(STRENGTHS, key=lambda strength: scored(strength, *parts))
    return scored(best, features[0], labels[0], features[1], labels[1])


def _model(strength: float, *, number: bool) -> Any:
    from sklearn.linear_model import LogisticRegression, Ridge

    return Ridge(alpha=1 / strength) if number else LogisticRegression(C=10 * strength, max_iter=500)


def _grams(sequence: list[str]) -> list[str]:
    """All runs of one to LONGEST symbols."""
    return [
        " ".join(sequence[begin : begin + size])
        for size in range(1, LONGEST + 1)
        for begin in range(len(sequence) - size + 1)
    ]
