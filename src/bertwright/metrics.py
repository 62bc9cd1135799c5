"""The official metrics of the tasks, by scikit-learn, and the yardsticks of pre-training."""

import math

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


def expected_first_loss(vocabulary_size: int, width: int, deviation: float) -> float:
    """Masked-token loss of an untrained model: ln V + D sigma^2 / 2 nats.

    The head's last layer norm gives vectors of length sqrt(D); the tied table, drawn from N(0, sigma), turns them into
    logits of variance D sigma^2, which raises the mean of the log of the summed exponentials by half of that. Measured:
    .045 above ln V at width 256, where the formula says .051, and .121 at 768, where it says .154.
    """
    return math.log(vocabulary_size) + width * deviation**2 / 2
