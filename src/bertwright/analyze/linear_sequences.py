"""A linear model on sequences of symbols: n-grams, and, where all are of one length, what stands at which place."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

LONGEST = 4
"""Symbols of an n-gram."""

STRENGTHS = (0.1, 1.0, 10.0)
"""Of which the best on a fifth of the training examples is taken (inverse of the regularisation)."""

Score = Callable[[np.ndarray, np.ndarray], float]
"""Answers, and what is right -> how good they are."""


def linear_answers(
    train: Sequence[list[str]], labels: np.ndarray, test: Sequence[list[str]], score: Score, *, number: bool
) -> np.ndarray:
    """What a linear model answers to sequences.

    Args:
        train: sequences to learn from.
        labels: of these, numbers of classes, or numbers.
        test: N sequences.
        score: that chooses how much is regularised.
        number: whether labels are numbers.

    Returns:
        [N], numbers of classes, or numbers.
    """
    from scipy.sparse import hstack
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.preprocessing import OneHotEncoder

    analyzer: Any = _grams
    vectorizer = TfidfVectorizer(analyzer=analyzer, sublinear_tf=True, max_features=200_000)
    features: list[Any] = [vectorizer.fit_transform(train), vectorizer.transform(test)]
    if len({len(sequence) for sequence in (*train, *test)}) == 1:
        encoder = OneHotEncoder(handle_unknown="ignore")
        places = (encoder.fit_transform(np.array(train)), encoder.transform(np.array(test)))
        features = [hstack(pair).tocsr() for pair in zip(features, places, strict=True)]
    order = np.random.default_rng(1).permutation(len(train))
    inner, outer = order[len(order) // 5 :], order[: len(order) // 5]

    def answers(strength: float, learnt: np.ndarray, judged: Any) -> np.ndarray:
        return _model(strength, number=number).fit(features[0][learnt], labels[learnt]).predict(judged)

    best = max(STRENGTHS, key=lambda strength: score(answers(strength, inner, features[0][outer]), labels[outer]))
    return answers(best, order, features[1])


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
