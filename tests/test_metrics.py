"""Metrics against scikit-learn and against counting by hand."""

import math

import numpy as np
import pytest
import sklearn.metrics

from bertwright.metrics import classification_metrics, confusion, expected_first_loss


def drawn(num_classes: int, size: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Truth and a prediction that is right in about six of ten cases."""
    draw = np.random.default_rng(seed)
    truth = draw.integers(num_classes, size=size)
    return truth, np.where(draw.random(size) < 0.6, truth, draw.integers(num_classes, size=size))


@pytest.mark.parametrize(("num_classes", "size"), [(2, 50), (5, 200), (30, 40)])
def test_metrics_equal_scikit_learn(num_classes: int, size: int) -> None:
    truth, predicted = drawn(num_classes, size, seed=num_classes)
    metrics = classification_metrics(truth, predicted, num_classes)
    assert metrics["accuracy"] == pytest.approx(sklearn.metrics.accuracy_score(truth, predicted))
    assert metrics["macro_f1"] == pytest.approx(sklearn.metrics.f1_score(truth, predicted, average="macro"))
    assert all(type(value) is float for value in metrics.values()), "they go into JSON"
    table = sklearn.metrics.confusion_matrix(truth, predicted, labels=range(num_classes))
    assert confusion(truth, predicted, num_classes) == table.tolist()


def test_metrics_by_hand() -> None:
    """F1 of class 0: 2/3 (1 of 1 found, 1 of 2 right); of class 1: 4/5 (2 of 3 found, all right)."""
    truth, predicted = np.array([0, 1, 1, 1]), np.array([0, 0, 1, 1])
    metrics = classification_metrics(truth, predicted, 2)
    assert metrics == pytest.approx({"accuracy": 3 / 4, "macro_f1": (2 / 3 + 4 / 5) / 2})
    assert confusion(truth, predicted, 2) == [[1, 0], [1, 2]], "rows are the truth"


def test_a_class_that_occurs_nowhere_does_not_count() -> None:
    truth, predicted = np.array([0, 0, 2]), np.array([0, 0, 2])
    assert classification_metrics(truth, predicted, 4) == {"accuracy": 1.0, "macro_f1": 1.0}
    assert confusion(truth, predicted, 4)[3] == [0, 0, 0, 0]


def test_a_class_that_is_only_predicted_counts_as_missed() -> None:
    metrics = classification_metrics(np.array([0, 0]), np.array([0, 1]), 2)
    assert metrics["macro_f1"] == pytest.approx((2 / 3 + 0) / 2)


@pytest.mark.parametrize(("vocabulary_size", "width"), [(8192, 256), (30522, 768)])
def test_expected_first_loss(vocabulary_size: int, width: int) -> None:
    """The mean of log sum exp minus the logit of the answer, over random logits of that variance."""
    draw = np.random.default_rng(1)
    logits = draw.normal(0, 0.02 * math.sqrt(width), size=(200, vocabulary_size))
    measured = np.log(np.exp(logits).sum(axis=1)).mean() - logits.mean()
    assert expected_first_loss(vocabulary_size, width, 0.02) == pytest.approx(measured, abs=0.003)
    assert expected_first_loss(vocabulary_size, width, 1e-9) == pytest.approx(math.log(vocabulary_size))
