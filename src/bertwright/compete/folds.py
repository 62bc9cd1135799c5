"""Folds that do not leak: equal texts, and all of a group, are on one side; classes are spread evenly."""

import warnings
from collections.abc import Hashable, Sequence

import numpy as np

from bertwright.errors import UserError
from bertwright.groups import connected
from bertwright.tasks.task import Example, Task


def groups_of(task: Task, examples: Sequence[Example], column: str | None) -> list[int]:
    """The number of each example's group.

    Two examples are of one group if they have the same text (case and punctuation aside) or belong together by the task
    (questions on one passage), or by a value of the column; and so on from one to the next.

    Args:
        task: tells what belongs together.
        examples: of the training data.
        column: of their table, or None.

    Raises:
        UserError: the examples have no such column.
    """
    keys: list[list[Hashable]] = []
    for example in examples:
        keys.append([("text", task.key(example)), ("task", task.group(example))])
        if column is None:
            continue
        if column not in example.columns:
            raise UserError(
                f"there is no column {column!r} to group by",
                file=example.file,
                line=example.line,
                expected=f"one of {', '.join(map(repr, example.columns)) or 'the columns of a table'}",
                advice="set data.group_column to one of them, or leave it out",
            )
        if example.columns[column].strip():  # examples without a value have no group in common
            keys[-1].append(("column", example.columns[column]))
    return connected(keys)


def divide(groups: Sequence[int], classes: Sequence[int], number: int, seed: int) -> np.ndarray:
    """The fold of each example, [N]: whole groups, each class spread over the folds as evenly as groups allow.

    Args:
        groups: of each example.
        classes: of each example; all alike where there are none.
        number: of folds.
        seed: of the division.

    Raises:
        UserError: there are fewer groups than folds.
    """
    from sklearn.model_selection import StratifiedGroupKFold

    count = len(set(groups))
    if count < number:
        raise UserError(
            f"there are {count:,} groups of examples for {number} folds",
            expected="a group for each fold at least: examples of one group, or with equal texts, are never parted",
            advice="lower folds.number, or leave out data.group_column if what it holds is no group",
        )
    folds = np.zeros(len(groups), dtype=np.int64)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of rare classes: told_of_folds says which fold lacks which
        # Classes that are all rarer than there are folds cannot be spread, and are refused there.
        spread = classes if np.bincount(classes).max() >= number else [0] * len(groups)
        splitter = StratifiedGroupKFold(number, shuffle=True, random_state=seed)
        for fold, (_, held_out) in enumerate(splitter.split(np.zeros(len(groups)), spread, groups)):
            folds[held_out] = fold
    return folds


def check_rest(folds: np.ndarray, groups: Sequence[int]) -> None:
    """See that each fold leaves two groups at least: some to learn from, and others that choose the checkpoint.

    Raises:
        UserError: one leaves less.
    """
    for fold in np.unique(folds):
        if len({group for group, of in zip(groups, folds, strict=True) if of != fold}) < 2:
            raise UserError(
                f"without fold {fold + 1} there is one group of examples",
                expected="two at least: some examples to learn from, and others that choose the checkpoint",
                advice="raise folds.number, or leave out data.group_column if what it holds is no group",
            )


def classes_of(examples: Sequence[Example]) -> list[int]:
    """What folds are stratified by: the class, the number of the decile, or else nothing."""
    labels = [example.label for example in examples]
    if all(isinstance(label, str) for label in labels):
        numbers = {label: number for number, label in enumerate(sorted(set(labels)))}
        return [numbers[label] for label in labels]
    if all(isinstance(label, float) for label in labels):
        return np.searchsorted(np.quantile(labels, np.linspace(0.1, 0.9, 9)), labels).tolist()
    return [0] * len(labels)


def told_of_folds(examples: Sequence[Example], folds: np.ndarray, groups: Sequence[int]) -> list[str]:
    """What is odd in folds: a class that one of them lacks, a group that is most of the data."""
    found = []
    sizes = np.bincount(np.unique(groups, return_inverse=True)[1])
    if sizes.max() > len(examples) / (folds.max() + 1):
        found.append(
            f"one group has {sizes.max():,} of {len(examples):,} examples, more than a fold should: folds are uneven"
        )
    classes = np.array(classes_of(examples))
    for kind in np.unique(classes):
        number = [fold for fold in range(int(folds.max()) + 1) if not (classes[folds == fold] == kind).any()]
        if number and isinstance(examples[0].label, str):
            label = examples[int(np.flatnonzero(classes == kind)[0])].label
            found.append(f"fold {', '.join(str(fold + 1) for fold in number)} has no example of the class {label!r}")
    return found
