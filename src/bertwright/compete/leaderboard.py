"""What the members of a competition reach, and what their mixture does."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bertwright.compete.cells import Cell, Entries
from bertwright.compete.ensemble import cross_fitted, fit
from bertwright.config import CompeteRecipe, expand
from bertwright.errors import UserError
from bertwright.metrics import LOWER_IS_BETTER
from bertwright.tasks.task import Example, Task, read_all


@dataclass(frozen=True)
class HeldBack:
    """Test examples whose labels were held back; not those that stand in the training file, too."""

    task: Task
    places: list[int]
    """Their numbers among the test examples."""
    examples: list[Example]

    def metrics(self, answers: Sequence[Any]) -> dict[str, float]:
        """The scores of answers to all test examples."""
        return self.task.scores(self.examples, [answers[place] for place in self.places])["metrics"]


def read_held_back(recipe: CompeteRecipe, entries: Entries) -> HeldBack | None:
    """The held-back part of a competition, if the recipe names one.

    Raises:
        UserError: nothing is left of it, or it has labels that the training file does not have.
    """
    if recipe.data.solution is None:
        return None
    task, file = entries.task, expand(recipe.data.solution)
    labelled = {example.id: example for example in read_all(task, file)}
    known = {task.key(example) for example in entries.train}
    places = [n for n, each in enumerate(entries.test) if each.id in labelled and task.key(each) not in known]
    if not places:
        raise UserError(
            "the solution has no example of the test file that is not in the training file, too",
            file=file,
            expected="the ids of the test file",
            advice="check data.solution and data.id_column",
        )
    examples = [labelled[entries.test[place].id] for place in places]
    task.check(examples)
    return HeldBack(task, places, examples)


def leaderboard(
    recipe: CompeteRecipe,
    entries: Entries,
    held_back: HeldBack | None,
    divisions: Mapping[int, np.ndarray],
    cells: Mapping[str, Mapping[int, Sequence[Cell]]],
) -> tuple[dict[str, Any], list[Any]]:
    """Score members and mixture.

    Args:
        recipe: of the competition.
        entries: its examples.
        held_back: test examples with labels, or None.
        divisions: of each seed, the fold of each training example.
        cells: of each member and seed, a model's answers for each fold.

    Returns:
        The result, and the mixture's answers to the test examples.
    """
    task, train = entries.task, entries.train
    metric = recipe.data.metric or task.metric_names[0]
    by_seed = {name: {s: _joined(found, len(train)) for s, found in of.items()} for name, of in cells.items()}
    # The folds and seeds of a member are averaged; what is mixed are members.
    answers = [_mean(task, train, list(of.values())) for of in by_seed.values()]
    on_test = [_mean(task, entries.test, [each.test for s in of.values() for each in s]) for of in cells.values()]
    rows = []
    for name, of_test in zip(cells, on_test, strict=True):
        row = _row(task, train, metric, by_seed[name], cells[name])
        if held_back is not None:
            row["held_back"] = held_back.metrics(of_test)[metric]
        rows.append({"name": name, **row})
    rows.sort(key=lambda row: row["out_of_fold"], reverse=metric not in LOWER_IS_BETTER)
    mixed = task.scores(train, cross_fitted(task, train, answers, divisions[recipe.folds.seeds[0]], metric))
    blend = fit(task, train, answers, metric)
    submitted = blend.answers(task, entries.test, on_test)
    counts = {"train": len(train), "test": len(entries.test)}
    ensemble: dict[str, Any] = {
        "out_of_fold": mixed["metrics"][metric],
        "weights": dict(zip(cells, blend.weights, strict=True)),
        "threshold": blend.threshold,
        "scores": mixed,
    }
    if held_back is not None:
        counts["held_back"] = len(held_back.places)
        ensemble["held_back"] = held_back.metrics(submitted)
    result = {
        "kind": "compete",
        "task": recipe.task,
        "metric": metric,
        "lower_is_better": metric in LOWER_IS_BETTER,
        "labels": task.labels,
        "examples": counts,
        "folds": recipe.folds.number,
        "seeds": recipe.folds.seeds,
        "leaderboard": rows,
        "ensemble": ensemble,
    }
    return result, submitted


def _row(
    task: Task,
    train: Sequence[Example],
    metric: str,
    answers: Mapping[int, Sequence[Any]],
    cells: Mapping[int, Sequence[Cell]],
) -> dict[str, Any]:
    """The scores of a member where it had seen no label."""
    of_seeds = [task.scores(train, list(each))["metrics"][metric] for each in answers.values()]
    every = [each for of_seed in cells.values() for each in of_seed]
    of_folds = [task.scores([train[n] for n in each.places], each.answers)["metrics"][metric] for each in every]
    return {
        "out_of_fold": statistics.mean(of_seeds),
        "by_seed": of_seeds,
        "by_fold": of_folds,
        "seconds": round(sum(each.seconds for each in every), 1),
        "pseudo_labelled": sum(each.pseudo_labelled for each in every),
    }


def _joined(cells: Sequence[Cell], count: int) -> list[Any]:
    """The answers of all folds, in the order of the examples."""
    found: list[Any] = [None] * count
    for each in cells:
        for place, answer in zip(each.places, each.answers, strict=True):
            found[place] = answer
    assert all(answer is not None for answer in found), "a fold is missing"
    return found


def _mean(task: Task, examples: Sequence[Example], answers: Sequence[Sequence[Any]]) -> list[Any]:
    """The answers of several models with equal weights."""
    weights = [1 / len(answers)] * len(answers)
    return [task.combined(example, [each[n] for each in answers], weights) for n, example in enumerate(examples)]
