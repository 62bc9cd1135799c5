"""Metrics against scikit-learn and against counting by hand."""

import math
import re

import numpy as np
import pytest
import scipy.stats
import sklearn.metrics
from hypothesis import given, settings
from hypothesis import strategies as st

from bertwright.metrics import (
    answer_metrics,
    answers_worth,
    chinese_exact,
    chinese_f1,
    chinese_units,
    classification_metrics,
    confusion,
    entity_metrics,
    expected_first_loss,
    multilabel_metrics,
    probability_metrics,
    regression_metrics,
    squad_exact,
    squad_f1,
    squad_words,
)


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
    assert metrics["matthews"] == pytest.approx(sklearn.metrics.matthews_corrcoef(truth, predicted))
    assert ("f1" in metrics) == (num_classes == 2)
    if num_classes == 2:
        assert metrics["f1"] == pytest.approx(sklearn.metrics.f1_score(truth, predicted, pos_label=1))
        assert metrics["f1"] != pytest.approx(sklearn.metrics.f1_score(truth, predicted, pos_label=0))
    assert all(type(value) is float for value in metrics.values()), "they go into JSON"
    table = sklearn.metrics.confusion_matrix(truth, predicted, labels=range(num_classes))
    assert confusion(truth, predicted, num_classes) == table.tolist()


def test_metrics_by_hand() -> None:
    """F1 of class 0: 2/3 (1 of 1 found, 1 of 2 right); of class 1: 4/5 (2 of 3 found, all right).

    Matthews: (2 * 1 - 0 * 1) / sqrt(2 * 3 * 1 * 2), of true and false positives and negatives.
    """
    truth, predicted = np.array([0, 1, 1, 1]), np.array([0, 0, 1, 1])
    metrics = classification_metrics(truth, predicted, 2)
    assert metrics == pytest.approx(
        {
            "accuracy": 3 / 4,
            "macro_f1": (2 / 3 + 4 / 5) / 2,
            "f1": 4 / 5,
            "matthews": 2 / math.sqrt(12),
        }
    )
    assert confusion(truth, predicted, 2) == [[1, 0], [1, 2]], "rows are the truth"


def test_a_class_that_occurs_nowhere_does_not_count() -> None:
    truth, predicted = np.array([0, 0, 2]), np.array([0, 0, 2])
    assert classification_metrics(truth, predicted, 4) == {"accuracy": 1.0, "macro_f1": 1.0, "matthews": 1.0}
    assert confusion(truth, predicted, 4)[3] == [0, 0, 0, 0]


def test_a_class_that_is_only_predicted_counts_as_missed() -> None:
    metrics = classification_metrics(np.array([0, 0]), np.array([0, 1]), 2)
    assert metrics["macro_f1"] == pytest.approx((2 / 3 + 0) / 2)
    assert metrics["f1"] == 0.0


def test_with_one_class_on_both_sides_nothing_is_warned_of() -> None:
    assert classification_metrics(np.array([1, 1]), np.array([1, 1]), 2) == {
        "accuracy": 1.0,
        "macro_f1": 1.0,
        "f1": 1.0,
        "matthews": 0.0,
    }
    assert classification_metrics(np.array([0, 0]), np.array([0, 0]), 2)["f1"] == 0.0


@pytest.mark.parametrize(("vocabulary_size", "width"), [(8192, 256), (30522, 768)])
def test_expected_first_loss(vocabulary_size: int, width: int) -> None:
    """The mean of log sum exp minus the logit of the answer, over random logits of that variance."""
    draw = np.random.default_rng(1)
    logits = draw.normal(0, 0.02 * math.sqrt(width), size=(200, vocabulary_size))
    measured = np.log(np.exp(logits).sum(axis=1)).mean() - logits.mean()
    assert expected_first_loss(vocabulary_size, width, 0.02) == pytest.approx(measured, abs=0.003)
    assert expected_first_loss(vocabulary_size, width, 1e-9) == pytest.approx(math.log(vocabulary_size))


@pytest.mark.parametrize("classes", [2, 4])
def test_probability_metrics_equal_scikit_learn(classes: int) -> None:
    draw = np.random.default_rng(classes)
    truth = draw.integers(0, classes, 60)
    shares = draw.dirichlet(np.ones(classes), 60)
    metrics = probability_metrics(truth, shares)
    assert metrics["log_loss"] == pytest.approx(sklearn.metrics.log_loss(truth, shares, labels=range(classes)))
    assert set(metrics) == ({"log_loss", "roc_auc"} if classes == 2 else {"log_loss"})
    if classes == 2:
        assert metrics["roc_auc"] == pytest.approx(sklearn.metrics.roc_auc_score(truth, shares[:, 1]))


def test_probability_metrics_by_hand() -> None:
    """Three of four pairs of a yes and a no are in order; the impossible costs much, not infinitely much."""
    truth, yes = np.array([0, 1, 0, 1]), np.array([0.1, 0.4, 0.5, 0.8])
    assert probability_metrics(truth, np.stack([1 - yes, yes], axis=1))["roc_auc"] == 0.75
    certain = probability_metrics(np.array([1, 1]), np.array([[1.0, 0.0], [0.0, 1.0]]))
    assert certain == pytest.approx({"log_loss": 15 * math.log(10) / 2, "roc_auc": 0.5})


# ---------------------------------------------------------------------------------------------- sets and numbers


@pytest.mark.parametrize("seed", range(4))
def test_multilabel_metrics_equal_scikit_learn(seed: int) -> None:
    draw = np.random.default_rng(seed)
    truth = (draw.random((40, 5)) < 0.4).astype(int)
    predicted = np.where(draw.random((40, 5)) < 0.8, truth, 1 - truth)
    truth[:, 4] = 0  # a class that is only predicted
    metrics = multilabel_metrics(truth, predicted)
    for kind in ("micro", "macro"):
        expected = sklearn.metrics.f1_score(truth, predicted, average=kind)
        assert metrics[f"{kind}_f1"] == pytest.approx(expected)
    assert metrics["exact"] == pytest.approx(sklearn.metrics.accuracy_score(truth, predicted))
    assert len(set(metrics.values())) == 3
    assert all(type(value) is float for value in metrics.values())


def test_multilabel_metrics_by_hand() -> None:
    """Class 0: 1 of 2 found, 1 of 1 right: 2/3; class 1: all: 1; class 2, of none: 0. Together: 2 of 3, 2 of 2: 4/5."""
    truth, predicted = np.array([[1, 0, 0], [1, 1, 0]]), np.array([[1, 0, 0], [0, 1, 0]])
    metrics = multilabel_metrics(truth, predicted)
    assert metrics == pytest.approx({"micro_f1": 4 / 5, "macro_f1": (2 / 3 + 1 + 0) / 3, "exact": 1 / 2})
    nothing = np.zeros((2, 3), dtype=int)
    assert multilabel_metrics(nothing, nothing) == {"micro_f1": 0.0, "macro_f1": 0.0, "exact": 1.0}


@pytest.mark.parametrize("digits", [8, 0])
def test_regression_metrics_equal_scipy(digits: int) -> None:
    """With no digits after the point there are many ties, which Spearman's correlation gives their mean rank."""
    draw = np.random.default_rng(3)
    truth = (draw.random(60) * 5).round(digits)
    predicted = (truth**3 + draw.normal(0, 8, 60)).round(digits)
    metrics = regression_metrics(truth, predicted)
    assert metrics["pearson"] == pytest.approx(scipy.stats.pearsonr(truth, predicted)[0])
    assert metrics["spearman"] == pytest.approx(scipy.stats.spearmanr(truth, predicted)[0])
    assert metrics["rmse"] == pytest.approx(sklearn.metrics.root_mean_squared_error(truth, predicted))
    assert len({round(value, 3) for value in metrics.values()}) == 3
    assert all(type(value) is float for value in metrics.values())


def test_regression_metrics_by_hand() -> None:
    metrics = regression_metrics(np.array([1.0, 2.0, 3.0]), np.array([1.0, 4.0, 3.0]))
    assert metrics == pytest.approx({"pearson": 2 / math.sqrt(2 * 14 / 3), "spearman": 0.5, "rmse": math.sqrt(4 / 3)})
    constant = np.array([2.0, 2.0, 2.0])
    for truth, predicted in ((constant, np.array([1.0, 2.0, 4.0])), (np.array([1.0, 2.0, 4.0]), constant)):
        metrics = regression_metrics(truth, predicted)
        assert metrics == pytest.approx({"pearson": 0.0, "spearman": 0.0, "rmse": math.sqrt(5 / 3)})


# ---------------------------------------------------------------------------------------------- entities


def test_entity_metrics_by_hand() -> None:
    truth = [[("PER", 0, 2), ("LOC", 5, 6)], [("ORG", 0, 1)], []]
    predicted = [
        [("PER", 0, 2), ("LOC", 5, 7), ("LOC", 8, 9)],  # right; one word too long; there is none
        [("PER", 0, 1)],  # of another type
        [("PER", 0, 2)],  # in another sentence
    ]
    assert entity_metrics(truth, predicted) == pytest.approx(
        {"f1": 2 * 1 / (3 + 5), "precision": 1 / 5, "recall": 1 / 3}
    )
    assert entity_metrics(truth, truth) == {"f1": 1.0, "precision": 1.0, "recall": 1.0}
    nothing = {"f1": 0.0, "precision": 0.0, "recall": 0.0}
    assert entity_metrics(truth, [[], [], []]) == entity_metrics([[], [], []], predicted) == nothing
    assert entity_metrics(truth, [[("PER", 0, 3)], [], []]) == nothing


# ---------------------------------------------------------------------------------------------- answers: SQuAD


def their_words(text: str) -> list[str]:
    """Written anew from the rules of SQuAD's scorer: lower case, no ASCII punctuation, no articles, split at spaces."""
    for mark in "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~":
        text = text.lower().replace(mark, "")
    parts = re.split(r"(\w+)", text)
    return "".join(" " if part in ("a", "an", "the") else part for part in parts).split()


def their_scores(answers: list[str], predicted: str) -> tuple[float, float]:
    """Exact match and F1 of one question (version 2.0): the best over the answers that are more than articles."""
    kept = [answer for answer in answers if their_words(answer)] or [""]
    exact, f1 = [], []
    for answer in kept:
        wanted, found = their_words(answer), their_words(predicted)
        exact.append(float(" ".join(wanted) == " ".join(found)))
        if not wanted or not found:
            f1.append(float(wanted == found))
            continue
        left, common = list(wanted), 0
        for word in found:
            if word in left:
                left.remove(word)
                common += 1
        precision, recall = common / len(found), common / len(wanted)
        f1.append(2 * precision * recall / (precision + recall) if common else 0.0)
    return max(exact), max(f1)


ENGLISH = st.lists(
    st.sampled_from(["the", "The", "a", "an", "cat", "Cat", "cat's", "U.S.", "1,000", "-", "...", "”", "Ünder", "x-y"]),
    max_size=5,
).flatmap(lambda words: st.sampled_from([" ", "  ", "\n", "", "-"]).map(lambda between: between.join(words)))


@given(st.lists(st.tuples(st.lists(ENGLISH, max_size=3), ENGLISH), min_size=1, max_size=6))
@settings(max_examples=300)
def test_answers_are_scored_as_by_squad(questions: list[tuple[list[str], str]]) -> None:
    truth, predicted = [answers for answers, _ in questions], [answer for _, answer in questions]
    theirs = np.mean([their_scores(*question) for question in questions], axis=0)
    ours = answer_metrics(answers_worth(truth, predicted, characters=False))
    assert (ours["exact"], ours["f1"]) == pytest.approx(tuple(theirs))
    for answers, answer in questions:
        for each in answers:
            assert squad_words(each) == their_words(each)
            if their_words(each):
                assert (squad_exact(each, answer), squad_f1(each, answer)) == pytest.approx(
                    their_scores([each], answer)
                )


@pytest.mark.parametrize(
    ("truth", "predicted", "exact", "f1"),
    [
        ("The Cat", "cat!", 1, 1),
        ("the cat sat", "a cat  stood there", 0, 2 * 1 / (2 + 3)),
        ("to be or not to be", "to to to be", 0, 2 * 3 / (6 + 4)),  # as often as it occurs, not more
        ("theatre and another", "atre nd nother", 0, 0),  # articles are words, not letters
        ("U.S.", "us", 1, 1),
        ("the a", "an", 1, 1),
        ("cat", "", 0, 0),
        ("", "cat", 0, 0),
        ("“cat”", "cat", 0, 0),  # punctuation of ASCII only
        ("a-b", "ab", 1, 1),
    ],
)
def test_squad_by_hand(truth: str, predicted: str, exact: float, f1: float) -> None:
    assert squad_exact(truth, predicted) == exact
    assert squad_f1(truth, predicted) == pytest.approx(f1)


def test_the_best_answer_counts_and_none_is_right_where_there_is_none() -> None:
    truth = [["Saint Bernadette", "Bernadette"], [], [], ["the", "cat"]]
    predicted = ["bernadette soubirous", "", "something", ""]
    metrics = answer_metrics(answers_worth(truth, predicted, characters=False))
    assert metrics == pytest.approx({"exact": 1 / 4, "f1": (2 / 3 + 1) / 4})
    metrics = answer_metrics(answers_worth([["猫狗", "白猫"], []], ["大白猫", ""], characters=True))
    assert metrics == pytest.approx({"exact": 1 / 2, "f1": (4 / 5 + 1) / 2})


# ---------------------------------------------------------------------------------------------- answers: CMRC


def their_units(text: str) -> list[str]:
    """Written anew from the rules of CMRC's scorer, but with words cut at spaces instead of by NLTK."""
    units, word = [], ""
    for character in text.lower().strip():
        if character in "-:_*^/\\~`+=，。：？！“”；’《》·、「」（）－～『』":
            continue
        if 0x4E00 <= ord(character) <= 0x9FA5:
            units += [*word.split(), character]
            word = ""
        else:
            word += character
    return [*units, *word.split()]


def their_chinese_f1(truth: str, predicted: str) -> float:
    wanted, found = their_units(truth), their_units(predicted)
    if not wanted or not found:
        return float(wanted == found)
    runs = {tuple(wanted[a:b]) for a in range(len(wanted)) for b in range(a + 1, len(wanted) + 1)}
    common = max(
        (b - a for a in range(len(found)) for b in range(a + 1, len(found) + 1) if tuple(found[a:b]) in runs), default=0
    )
    return 2 * common / (len(wanted) + len(found))


CHINESE = st.lists(
    st.sampled_from(
        ["猫", "狗", "大", "，", "《", "》", "-", "abc", "ABC", " x ", " 12 ", "３", "ひら", "龥", "~", "’"]
    ),
    max_size=8,
).map("".join)


@given(CHINESE, CHINESE)
@settings(max_examples=300)
def test_chinese_answers_are_scored_as_by_cmrc(truth: str, predicted: str) -> None:
    assert chinese_units(truth) == their_units(truth)
    assert chinese_f1(truth, predicted) == pytest.approx(their_chinese_f1(truth, predicted))
    left_out = str.maketrans("", "", "-:_*^/\\~`+=，。：？！“”；’《》·、「」（）－～『』")
    same = truth.lower().strip().translate(left_out) == predicted.lower().strip().translate(left_out)
    assert chinese_exact(truth, predicted) == same


@pytest.mark.parametrize(
    ("truth", "predicted", "exact", "f1"),
    [
        ("《红楼梦》", "红楼梦", 1, 1),
        ("红楼梦", "红的楼梦", 0, 2 * 2 / (3 + 4)),  # 楼梦 is the longest run; all three stand there, but apart
        ("一二三四", "三四一二", 0, 2 * 2 / (4 + 4)),  # not the units in common, however they stand
        ("BERT模型", "bert 模型", 0, 1),  # spaces count in the exact match only
        ("1,000.5米", "1,000.5", 0, 2 * 1 / (2 + 1)),  # a number is one unit
        ("12层", "1", 0, 0),
        ("他说：“好。”", "他说好", 1, 1),
        ("等等……", "等等", 0, 2 * 2 / (3 + 2)),  # the scorer's list holds two dots as one mark, which no character is
        ("猫", "，。", 0, 0),
        ("，", "", 1, 1),
    ],
)
def test_chinese_by_hand(truth: str, predicted: str, exact: float, f1: float) -> None:
    assert chinese_exact(truth, predicted) == exact
    assert chinese_f1(truth, predicted) == pytest.approx(f1)
    assert chinese_f1(predicted, truth) == pytest.approx(f1)
