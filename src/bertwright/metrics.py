"""The official metrics of the tasks, by scikit-learn."""

import numpy as np


def classification_metrics(truth: np.ndarray, predicted: np.ndarray, num_classes: int) -> dict[str, float]:
    """Accuracy and macro-averaged F1 as fractions.

    Args:
        truth: [S], class numbers.
        predicted: [S], class numbers.
        num_classes: C; a class that occurs on neither side does not count in the F1.
    """
    from sklearn.metrics import accuracy_score, f1_score

    occurring = np.union1d(truth, predicted)
    assert num_classes > occurring.max()
    macro = f1_score(truth, predicted, labels=occurring, average="macro")
    return {"accuracy": float(accuracy_score(truth, predicted)), "macro_f1": float(macro)}


def confusion(truth: np.ndarray, predicted: np.ndarray, num_classes: int) -> list[list[int]]:
    """How often which class was taken for which: rows are the truth, columns the prediction."""
    table = np.zeros((num_classes, num_classes), dtype=np.int64)
    np.add.at(table, (truth, predicted), 1)
    return table.tolist()
