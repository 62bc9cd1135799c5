"""Mixtures: weights find the better member, thresholds the better metric, and no fold is judged by its own labels."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from bertwright.compete.ensemble import Blend, cross_fitted, fit
from bertwright.config import ReadingSettings
from bertwright.tasks import Classify, QuestionAnswering, Tag
from bertwright.tasks.qa import Answer
from bertwright.tasks.tag import Labels
from bertwright.tasks.task import Example


def classify(labels: Sequence[str] = ("no", "yes"), **settings: Any) -> Classify:
    return Classify(ReadingSettings(**settings), list(labels))


def answering(*, missing: bool) -> QuestionAnswering:
    learnt = {"missing": missing, "characters": False, "longest": 5, "threshold": 0.0}
    return QuestionAnswering(ReadingSettings(), learnt=learnt)


def given(labels: Sequence[Any]) -> list[Example]:
    return [
        Example(id=str(n), file="", line=n, texts=(f"text {n}",), label=label, columns={})
        for n, label in enumerate(labels)
    ]


def member(truth: np.ndarray, noise: float, seed: int) -> list[np.ndarray]:
    """Probabilities of yes whose log-odds are right but for noise."""
    odds = np.where(truth, 1.0, -1.0) + noise * np.random.default_rng(seed).normal(size=len(truth))
    yes = 1 / (1 + np.exp(-odds))
    return [np.array([1 - share, share]) for share in yes]


TRUTH = np.random.default_rng(0).random(200) < 0.5
EXAMPLES = given(["yes" if each else "no" for each in TRUTH])


def accuracy(task: Classify, answers: Sequence[Any]) -> float:
    return task.scores(EXAMPLES, list(answers))["metrics"]["accuracy"]


def test_the_mixture_beats_its_members_and_leaves_out_the_useless() -> None:
    task = classify()
    members = [member(TRUTH, 1.5, 1), member(TRUTH, 1.5, 2), member(~TRUTH, 0.5, 3)]
    blend = fit(task, EXAMPLES, members, "accuracy")
    assert sum(blend.weights) == pytest.approx(1)
    assert blend.weights[2] == 0
    assert min(blend.weights[:2]) > 0.1
    mixed = accuracy(task, blend.answers(task, members))
    assert mixed > max(accuracy(task, each) for each in members[:2])


def test_the_lower_the_better() -> None:
    """The useless member has the higher log loss."""
    blend = fit(classify(), EXAMPLES, [member(~TRUTH, 0.5, 1), member(TRUTH, 0.5, 2)], "log_loss")
    assert blend.weights == [0, 1]


def test_one_member_alone_is_left_as_it_is() -> None:
    task, members = classify(), [member(TRUTH, 1.0, 1)]
    blend = fit(task, EXAMPLES, members, "accuracy")
    assert blend.weights == [1.0]


def test_a_threshold_mends_shifted_odds() -> None:
    """Every probability is too high by two in log-odds, so that nearly half of the answers are wrong."""
    task = classify()
    shifted = task.shifted(member(TRUTH, 0.7, 1), -2.0)
    assert accuracy(task, shifted) < 0.65
    blend = fit(task, EXAMPLES, [shifted], "macro_f1")
    assert blend.threshold == pytest.approx(2.0, abs=0.5)
    assert accuracy(task, blend.answers(task, [shifted])) > 0.85


def test_a_threshold_for_few_of_many() -> None:
    """36 of 6,000: nearly the best of all thresholds, of which none of fifty quantiles would be one."""
    generator = np.random.default_rng(1)
    truth = generator.permutation(6000) < 36
    odds = np.where(truth, 4.0, -3.0) + 1.5 * generator.normal(size=6000)
    answers = [np.array([1 - share, share]) for share in 1 / (1 + np.exp(-odds))]
    task, examples = classify(), given(["yes" if each else "no" for each in truth])
    found = task.scores(examples, task.shifted(answers, task.best_threshold(examples, answers, "f1")))["metrics"]["f1"]
    right = np.cumsum(truth[np.argsort(-odds)])
    best = (2 * right / (36 + np.arange(1, 6001))).max()
    assert best > 0.7
    assert found > best - 0.02


def test_shifting_there_and_back() -> None:
    task = classify()
    answer = np.array([0.3, 0.7])
    np.testing.assert_allclose(task.shifted(task.shifted([answer], 1.3), -1.3), [answer])
    assert task.shifted([answer], np.log(0.7 / 0.3))[0][1] == pytest.approx(0.5)


def test_cross_fitting_does_not_look_at_the_fold_it_judges() -> None:
    """A member knows fold 0 by heart, as if it had leaked, and is a little worse elsewhere: there it has no weight.

    Fitted on all examples, fold 0 included, the weights would be its own.
    """
    task = classify()
    folds = np.arange(200) % 4
    honest, worse, perfect = member(TRUTH, 1.0, 1), member(TRUTH, 1.1, 1), member(TRUTH, 0.0, 4)
    leaked = [perfect[n] if folds[n] == 0 else worse[n] for n in range(200)]
    assert fit(task, EXAMPLES, [honest, leaked], "accuracy").weights[1] > 0
    answers = cross_fitted(task, EXAMPLES, [honest, leaked], folds, "accuracy")
    inside = np.flatnonzero(folds == 0)
    np.testing.assert_allclose([answers[n] for n in inside], [honest[n] for n in inside])


def test_numbers_are_mixed_by_weight() -> None:
    task = classify(["label"], label_kind="number")
    assert task.combined([[np.array([1.0])], [np.array([3.0])]], [0.25, 0.75])[0] == pytest.approx(2.5)
    assert task.best_threshold(EXAMPLES, [], "pearson") == 0.0


def test_classes_that_may_all_hold_share_a_threshold() -> None:
    task = classify(["a", "b"], label_kind="classes")
    examples = given([("a",) if n % 2 else ("a", "b") for n in range(40)])
    answers = [np.array([0.4, 0.3 if n % 2 == 0 else 0.1]) for n in range(40)]
    assert task.scores(examples, answers)["metrics"]["micro_f1"] == 0
    threshold = task.best_threshold(examples, answers, "micro_f1")
    shifted = task.shifted(answers, threshold)
    assert task.scores(examples, shifted)["metrics"]["micro_f1"] == 1


def test_labels_of_words_are_decoded_from_the_mean() -> None:
    """Each of two models prefers an invalid or a wrong sequence; their mean is valid."""
    task = Tag(ReadingSettings(), ["B-X", "I-X", "O"], {"scheme": "BIO"})
    one = Labels([], np.array([[0.1, 0.1, 0.8], [0.1, 0.8, 0.1]]))
    other = Labels([], np.array([[0.7, 0.1, 0.2], [0.1, 0.6, 0.3]]))
    (mixed,) = task.combined([[one], [other]], [0.5, 0.5])
    assert mixed.labels == ["B-X", "I-X"]
    np.testing.assert_allclose(mixed.probabilities[0], [0.4, 0.1, 0.5])
    assert task.unpacked(task.packed(mixed)).labels == mixed.labels


def test_answers_are_mixed_by_their_probabilities() -> None:
    """What both models find likely beats what one finds very likely and the other does not know."""
    task = QuestionAnswering(
        ReadingSettings(), learnt={"missing": False, "characters": False, "longest": 5, "threshold": 0}
    )
    question = task.example("Where?", "in the house of a friend")
    one = Answer([(0, 2), (7, 12)], [1.0, 0.9], -np.inf)
    other = Answer([(18, 24), (7, 12)], [1.0, 0.9], -np.inf)
    (mixed,) = task.combined([[one], [other]], [0.5, 0.5])
    assert mixed.spans[0] == (7, 12)
    assert task.told(question, mixed)["answer"] == "house"
    again = task.unpacked(task.packed(mixed))
    assert again.spans == mixed.spans
    assert again.missing == -np.inf


def test_no_answer_can_win_and_be_shifted() -> None:
    task = QuestionAnswering(
        ReadingSettings(), learnt={"missing": True, "characters": False, "longest": 5, "threshold": 0}
    )
    question = task.example("Where?", "in the house")
    (unsure,) = task.combined([[Answer([(0, 2)], [0.0], 1.0)]], [1.0])
    assert task.told(question, unsure)["answer"] == ""
    assert task.told(question, task.shifted([unsure], 2.0)[0])["answer"] == "in"


def test_a_blend_of_nothing_but_one_member_is_that_member() -> None:
    task, one = classify(), member(TRUTH, 1.0, 1)
    mixed = Blend([0.0, 1.0], 0.0).answers(task, [member(TRUTH, 3.0, 2), one])
    np.testing.assert_allclose(np.stack(mixed), np.stack(one))


def test_accuracy_needs_no_threshold() -> None:
    assert classify().best_threshold(EXAMPLES, member(TRUTH, 2.0, 1), "accuracy") == 0.0
