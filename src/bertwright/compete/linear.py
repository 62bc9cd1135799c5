"""A linear model on n-grams: the opponent that every encoder must beat, and the judge of whether two files differ."""

from collections.abc import Sequence
from typing import Any

import numpy as np

DRIFT_TEXTS = 2000
"""Of each file that drift is told from, at most."""

FEWEST_FEATURES, MOST_FEATURES = 1000, 200_000
"""N-grams that a model knows."""

COEFFICIENTS = 2**22
"""Of all classes together, at most, unless each has the fewest features: to learn takes twenty times their memory."""


def probabilities(
    train: Sequence[str], labels: Sequence[str], classes: Sequence[str], texts: Sequence[str]
) -> np.ndarray:
    """Probabilities of classes, [N, C]: TF-IDF of n-grams, logistic regression.

    Args:
        train: texts to learn from.
        labels: of each of them.
        classes: all there are, sorted; one that the training texts lack gets probability 0.
        texts: N texts to judge.
    """
    from sklearn.linear_model import LogisticRegression

    found = np.zeros((len(texts), len(classes)))
    if len(set(labels)) == 1:  # nothing to learn
        found[:, classes.index(labels[0])] = 1
        return found
    vectorizer = _vectorizer(max(FEWEST_FEATURES, min(MOST_FEATURES, COEFFICIENTS // len(classes))))
    model = LogisticRegression(C=10.0, max_iter=1000).fit(vectorizer.fit_transform(train), labels)
    found[:, [classes.index(name) for name in model.classes_]] = model.predict_proba(vectorizer.transform(texts))
    return found


def drift(train: Sequence[str], test: Sequence[str]) -> float:
    """How well a linear model tells test texts from training texts: the area under its ROC curve, .5 if not at all.

    Each text is judged by a model that has not seen it (five folds). Known as adversarial validation.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import roc_auc_score
    from sklearn.model_selection import StratifiedKFold, cross_val_predict

    generator = np.random.default_rng(0)
    size = min(len(train), len(test), DRIFT_TEXTS)
    texts = [side[number] for side in (train, test) for number in generator.permutation(len(side))[:size]]
    side = np.repeat([0, 1], size)
    if size < 5:
        return 0.5
    features = _vectorizer(MOST_FEATURES).fit_transform(texts)
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    judged = cross_val_predict(
        LogisticRegression(C=10.0, max_iter=1000), features, side, cv=folds, method="predict_proba"
    )
    return float(roc_auc_score(side, np.asarray(judged)[:, 1]))


def _vectorizer(features: int) -> Any:
    """The most frequent characters, alone, in pairs and in threes: good for Chinese, and no bad choice elsewhere."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    return TfidfVectorizer(analyzer="char_wb", ngram_range=(1, 3), sublinear_tf=True, max_features=features)
