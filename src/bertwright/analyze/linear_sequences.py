"""A linear model on sequences of symbols: n-grams, and, where that helps, what stands at which place."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

LONGEST = 4
"""Symbols of an n-gram."""

STRENGTHS = (0.1, 1.0, 10.0)
"""Of which the best on the development sequences is taken (inverse of the regularisation)."""

Score = Callable[[np.ndarray, np.ndarray], float]
"""Answers, and what is right -> how good they are."""


def linear_answers(
    sequences: Mapping[str, Sequence[list[str]]], truth: Mapping[str, np.ndarray], score: Score, *, number: bool
) -> np.ndarray:
    """What a linear model answers to test sequences.

    Args:
        sequences: "train" to learn from, "development" to choose by how much is regularised and whether places
            count, as encoders choose their checkpoints by them, and N as "test".
        truth: of the first two, numbers of classes, or numbers.
        score: that chooses.
        number: whether labels are numbers.

    Returns:
        [N], numbers of classes, or numbers.
    """
    from scipy.sparse import hstack
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.preprocessing import OneHotEncoder

    analyzer: Any = _grams
    vectorizer = TfidfVectorizer(analyzer=analyzer, sublinear_tf=True, max_features=200_000)
    vectorizer.fit(sequences["train"])
    features: dict[str, Any] = {side: vectorizer.transform(each) for side, each in sequences.items()}
    longest = max(map(len, sequences["train"]))
    tables = {side: _of_length(each, longest) for side, each in sequences.items()}
    encoder = OneHotEncoder(handle_unknown="ignore").fit(tables["train"])
    placed = {side: hstack([each, encoder.transform(tables[side])]).tocsr() for side, each in features.items()}
    models = [
        (_model(strength, number=number).fit(of["train"], truth["train"]), of)
        for of in (features, placed)
        for strength in STRENGTHS
    ]
    best, of = max(models, key=lambda each: score(each[0].predict(each[1]["development"]), truth["development"]))
    return best.predict(of["test"])


def _model(strength: float, *, number: bool) -> Any:
    from sklearn.linear_model import LogisticRegression, Ridge

    return Ridge(alpha=1 / strength) if number else LogisticRegression(C=10 * strength, max_iter=500)


def _of_length(sequences: Sequence[list[str]], length: int) -> np.ndarray:
    """Sequences cut to a length, or with nothing after their end: [N, length]."""
    return np.array([[*each[:length], *[""] * (length - len(each))] for each in sequences])


def _grams(sequence: list[str]) -> list[str]:
    """All runs of one to LONGEST symbols."""
    return [
        " ".join(sequence[begin : begin + size])
        for size in range(1, LONGEST + 1)
        for begin in range(len(sequence) - size + 1)
    ]
