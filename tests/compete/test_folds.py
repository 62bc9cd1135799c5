"""Folds: whole groups, even classes, and words for what cannot be had."""

from collections.abc import Sequence

import numpy as np
import pytest

from bertwright.compete.cells import Entries, sides_of
from bertwright.compete.folds import check_rest, classes_of, divide, groups_of, told_of_folds
from bertwright.config import ReadingSettings
from bertwright.errors import UserError
from bertwright.tasks import Classify
from bertwright.tasks.task import Example

TASK = Classify(ReadingSettings())


def examples(texts: Sequence[str], labels: Sequence[str], authors: Sequence[str] = ()) -> list[Example]:
    columns = [{"author": author} for author in authors] or [{} for _ in texts]
    return [
        Example(id=str(n), file="train.csv", line=n + 2, texts=(text,), label=label, columns=column)
        for n, (text, label, column) in enumerate(zip(texts, labels, columns, strict=True))
    ]


def test_equal_texts_and_authors_stay_together_over_several_steps() -> None:
    """The first two share a text but for case and punctuation, the second and third an author."""
    found = groups_of(
        TASK, examples(["A b.", "a B", "c", "d", "e"], list("xyxyx"), ["p", "q", "q", "r", "s"]), "author"
    )
    assert found[0] == found[1] == found[2]
    assert len(set(found)) == 3
    assert len(set(groups_of(TASK, examples(["A b.", "a B", "c"], list("xyx")), None))) == 2


def test_a_column_that_is_not_there() -> None:
    with pytest.raises(UserError, match=r"train\.csv:2: there is no column 'user' to group by"):
        groups_of(TASK, examples(["a"], ["x"], ["p"]), "user")


@pytest.mark.parametrize("seed", [1, 2])
def test_folds_keep_groups_whole_and_classes_even(seed: int) -> None:
    generator = np.random.default_rng(seed)
    groups = generator.integers(0, 200, 1000).tolist()
    classes = (generator.random(1000) < 0.2).astype(int).tolist()
    folds = divide(groups, classes, 5, seed)
    of_group: dict[int, set[int]] = {}
    for group, fold in zip(groups, folds, strict=True):
        of_group.setdefault(group, set()).add(fold)
    assert all(len(each) == 1 for each in of_group.values())
    shares = [np.mean(np.array(classes)[folds == fold]) for fold in range(5)]
    assert max(shares) - min(shares) < 0.03
    assert min(np.bincount(folds)) > 170
    assert (folds == divide(groups, classes, 5, seed)).all()
    assert not (folds == divide(groups, classes, 5, seed + 10)).all()


def test_a_group_that_spans_everything() -> None:
    with pytest.raises(UserError, match="there are 1 groups of examples for 5 folds"):
        divide([7] * 100, [0, 1] * 50, 5, 1)


def test_examples_without_a_value_have_no_group_in_common() -> None:
    found = groups_of(TASK, examples(list("abcd"), list("xyxy"), ["", " ", "p", "p"]), "author")
    assert len(set(found)) == 3


def test_a_fold_that_leaves_one_group() -> None:
    with pytest.raises(UserError, match="without fold 2 there is one group of examples"):
        check_rest(np.array([0, 0, 1, 1, 1]), [3, 3, 4, 5, 5])
    check_rest(np.array([0, 0, 1, 1, 2]), [3, 3, 4, 4, 5])


@pytest.mark.parametrize("seed", range(5))
def test_a_large_group_does_not_choose_the_checkpoint(seed: int) -> None:
    """Of a thousand examples three hundred are by one author, who is to be learnt from."""
    authors = ["many"] * 300 + [f"author {n}" for n in range(700)]
    given = examples([f"text {n}" for n in range(1000)], ["x", "y"] * 500, authors)
    entries = Entries(TASK, given, [], groups_of(TASK, given, "author"))
    inside = np.arange(200, 1000)
    sides = sides_of(entries, inside, seed)
    assert sorted(np.concatenate(list(sides.values()))) == inside.tolist()
    assert 50 < len(sides["development"]) < 120
    groups = {side: {entries.groups[place] for place in places} for side, places in sides.items()}
    assert not groups["train"] & groups["development"]


def test_a_class_that_a_fold_lacks_is_told() -> None:
    given = examples([f"text {n}" for n in range(20)], ["rare"] + ["common"] * 19)
    groups = groups_of(TASK, given, None)
    folds = divide(groups, classes_of(given), 4, 1)
    (told,) = told_of_folds(given, folds, groups)
    assert told.startswith("fold ")
    assert told.endswith("has no example of the class 'rare'")
    assert sorted(np.bincount(folds).tolist()) == [5, 5, 5, 5]


def test_classes_that_are_all_rarer_than_there_are_folds() -> None:
    folds = divide(list(range(12)), [n // 2 for n in range(12)], 4, 1)
    assert np.bincount(folds).tolist() == [3, 3, 3, 3]


def test_a_group_larger_than_a_fold_is_told() -> None:
    given = examples([f"text {n}" for n in range(20)], ["x", "y"] * 10, ["p"] * 12 + list("abcdefgh"))
    groups = groups_of(TASK, given, "author")
    told = told_of_folds(given, divide(groups, classes_of(given), 4, 1), groups)
    assert any(each.startswith("one group has 12 of 20 examples") for each in told)


def test_numbers_are_spread_by_their_size() -> None:
    given = [Example(id="", file="", line=n, texts=(str(n),), label=float(n), columns={}) for n in range(100)]
    assert classes_of(given) == sorted(classes_of(given))
    assert len(set(classes_of(given))) == 10
