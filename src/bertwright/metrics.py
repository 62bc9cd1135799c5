"""The official metrics of the tasks, by scikit-learn or as their scorers define them; a yardstick of pre-training."""

import functools
import math
import re
import string
from collections import Counter
from collections.abc import Sequence

import numpy as np

LOWER_IS_BETTER = frozenset({"rmse", "log_loss"})
"""Metrics that are better the lower they are."""

OF_PROBABILITIES = frozenset({"roc_auc", "log_loss"})
"""Metrics of the probabilities of classes, not of the likeliest one alone."""

Span = tuple[str, int, int]
"""An entity: its type, its first word, and the word after its last one."""

# ---------------------------------------------------------------------------------------------- classes and numbers


def classification_metrics(truth: np.ndarray, predicted: np.ndarray, num_classes: int) -> dict[str, float]:
    """Accuracy, macro-averaged F1 and Matthews' correlation; of two classes also the F1 of the second one.

    Args:
        truth: [S], class numbers.
        predicted: [S], class numbers.
        num_classes: C; a class that occurs on neither side does not count in the macro-averaged F1.
    """
    from sklearn.metrics import accuracy_score, f1_score, matthews_corrcoef

    occurring = np.union1d(truth, predicted)
    assert num_classes > occurring.max()
    macro = f1_score(truth, predicted, labels=occurring, average="macro")
    found = {"accuracy": float(accuracy_score(truth, predicted)), "macro_f1": float(macro)}
    if num_classes == 2:
        found["f1"] = float(f1_score(truth, predicted, pos_label=1, zero_division=0))  # pyright: ignore[reportArgumentType]
    # With one class on both sides it is 0, as scikit-learn has it, which warns of it, too.
    found["matthews"] = float(matthews_corrcoef(truth, predicted)) if len(occurring) > 1 else 0.0
    return found


def probability_metrics(truth: np.ndarray, shares: np.ndarray) -> dict[str, float]:
    """Cross-entropy in nats; of two classes also the area under the ROC curve of the second one.

    Where only one class occurs there is no curve, and the area is .5.

    Args:
        truth: [S], class numbers.
        shares: [S, C], probabilities.
    """
    from sklearn.metrics import roc_auc_score

    right = shares[np.arange(len(truth)), truth]
    found = {"log_loss": float(-np.log(np.maximum(right, 1e-15)).mean())}
    if shares.shape[1] == 2:
        found["roc_auc"] = float(roc_auc_score(truth, shares[:, 1])) if np.ptp(truth) > 0 else 0.5
    return found


def multilabel_metrics(truth: np.ndarray, predicted: np.ndarray) -> dict[str, float]:
    """Micro- and macro-averaged F1, and the share of examples with exactly the right labels.

    Args:
        truth: [S, C], 0 or 1.
        predicted: [S, C], 0 or 1.
    """
    from sklearn.metrics import f1_score

    f1 = functools.partial(f1_score, truth, predicted, zero_division=0)  # pyright: ignore[reportArgumentType]
    averaged = {f"{kind}_f1": float(f1(average=kind)) for kind in ("micro", "macro")}
    return {**averaged, "exact": float((truth == predicted).all(axis=1).mean())}


def regression_metrics(truth: np.ndarray, predicted: np.ndarray) -> dict[str, float]:
    """Pearson's and Spearman's correlation, and the root of the mean squared error.

    Where one side is constant there is no correlation, and it is 0.

    Args:
        truth: [S].
        predicted: [S].
    """
    from scipy.stats import rankdata

    found = {"pearson": 0.0, "spearman": 0.0}
    if np.ptp(truth) > 0 and np.ptp(predicted) > 0:
        found["pearson"] = float(np.corrcoef(truth, predicted)[0, 1])
        found["spearman"] = float(np.corrcoef(rankdata(truth), rankdata(predicted))[0, 1])
    return {**found, "rmse": float(np.sqrt(((truth - predicted) ** 2).mean()))}


def confusion(truth: np.ndarray, predicted: np.ndarray, num_classes: int) -> list[list[int]]:
    """How often which class was taken for which: rows are the truth, columns the prediction."""
    table = np.zeros((num_classes, num_classes), dtype=np.int64)
    np.add.at(table, (truth, predicted), 1)
    return table.tolist()


# ---------------------------------------------------------------------------------------------- entities


def entity_metrics(truth: Sequence[Sequence[Span]], predicted: Sequence[Sequence[Span]]) -> dict[str, float]:
    """Precision, recall and F1 of entities, over all types (conlleval; Tjong Kim Sang and De Meulder 2003).

    An entity is right if type, beginning and end are.

    Args:
        truth: of each sentence.
        predicted: of each sentence.
    """
    right = sum(len(set(one) & set(other)) for one, other in zip(truth, predicted, strict=True))
    wanted, found = sum(map(len, truth)), sum(map(len, predicted))
    precision, recall = right / found if found else 0.0, right / wanted if wanted else 0.0
    f1 = 2 * precision * recall / (precision + recall) if right else 0.0
    return {"f1": f1, "precision": precision, "recall": recall}


# ---------------------------------------------------------------------------------------------- answers

_ARTICLES = re.compile(r"\b(a|an|the)\b")
# Their scorer has "……" in its list, which equals no single character: an ellipsis stays.
_CHINESE_PUNCTUATION = frozenset("-:_*^/\\~`+=，。：？！“”；’《》·、「」（）－～『』")
_ONE_BY_ONE = re.compile(r"[\u4e00-\u9fa5]|[^\W\u4e00-\u9fa5]+(?:[.,][^\W\u4e00-\u9fa5]+)*|…+|[^\w\s]")


def answer_metrics(worth: Sequence[tuple[float, float]]) -> dict[str, float]:
    """Means of what `answers_worth` tells."""
    f1, exact = zip(*worth, strict=True)
    return {"f1": sum(f1) / len(f1), "exact": sum(exact) / len(exact)}


def answers_worth(
    truth: Sequence[Sequence[str]], predicted: Sequence[str], *, characters: bool
) -> list[tuple[float, float]]:
    """F1 and exact match of each answer, the best over the right answers (Rajpurkar et al. 2016).

    Args:
        truth: the right answers of each question; none, where the passage does not answer it, and "" is right.
        predicted: "" for no answer.
        characters: by the measure of DRCD and CMRC (Cui et al. 2019) instead of SQuAD's.
    """
    exact_of, f1_of = (chinese_exact, chinese_f1) if characters else (squad_exact, squad_f1)
    worth = []
    for answers, answer in zip(truth, predicted, strict=True):
        # SQuAD's scorer leaves out answers of articles and punctuation alone.
        wanted = [each for each in answers if characters or squad_words(each)] or [""]
        worth.append((max(f1_of(each, answer) for each in wanted), max(exact_of(each, answer) for each in wanted)))
    return worth


def squad_words(text: str) -> list[str]:
    """The words that SQuAD compares: in lower case, without punctuation (of ASCII) and articles."""
    kept = "".join(character for character in text.lower() if character not in string.punctuation)
    return _ARTICLES.sub(" ", kept).split()


def squad_exact(truth: str, predicted: str) -> float:
    """1 if the words are the same."""
    return float(squad_words(truth) == squad_words(predicted))


def squad_f1(truth: str, predicted: str) -> float:
    """F1 over the words, each as often as it occurs; 1 if both have none."""
    wanted, found = squad_words(truth), squad_words(predicted)
    if not wanted or not found:
        return float(wanted == found)
    common = sum((Counter(wanted) & Counter(found)).values())
    return 2 * common / (len(wanted) + len(found))


def chinese_units(text: str) -> list[str]:
    """The units that DRCD and CMRC compare: Chinese characters, and words of other scripts, without punctuation.

    Their scorer cuts the words by NLTK, which is not followed into its rules for English clitics.
    """
    kept = "".join(character for character in text.lower() if character not in _CHINESE_PUNCTUATION)
    return _ONE_BY_ONE.findall(kept)


def chinese_exact(truth: str, predicted: str) -> float:
    """1 if the characters are the same, punctuation left out."""
    one, other = (
        "".join(character for character in text.lower().strip() if character not in _CHINESE_PUNCTUATION)
        for text in (truth, predicted)
    )
    return float(one == other)


def chinese_f1(truth: str, predicted: str) -> float:
    """F1 over the longest run of units that both have."""
    wanted, found = chinese_units(truth), chinese_units(predicted)
    if not wanted or not found:
        return float(wanted == found)
    longest, row = 0, [0] * (len(found) + 1)  # lengths of the common runs that end at one unit of each
    for unit in wanted:
        row = [0, *(row[place] + 1 if unit == other else 0 for place, other in enumerate(found))]
        longest = max(longest, *row)
    return 2 * longest / (len(wanted) + len(found))


# ---------------------------------------------------------------------------------------------- pre-training


def expected_first_loss(vocabulary_size: int, width: int, deviation: float) -> float:
    """Masked-token loss of an untrained model: ln V + D sigma^2 / 2 nats.

    The head's last layer norm gives vectors of length sqrt(D); the tied table, drawn from N(0, sigma), turns them into
    logits of variance D sigma^2, which raises the mean of the log of the summed exponentials by half of that. Measured:
    .045 above ln V at width 256, where the formula says .051, and .121 at 768, where it says .154.
    """
    return math.log(vocabulary_size) + width * deviation**2 / 2
