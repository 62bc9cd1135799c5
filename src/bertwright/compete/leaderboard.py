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
        UserError: nothing is left of it, it has other texts under the ids of the test file, or labels that the training
            file does not have.
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
    for place, example in zip(places, examples, strict=True):
        if task.key(example) != task.key(entries.test[place]):
            raise UserError(
                f"the example {example.id!r} has another text than in the test file",
                file=file,
                line=example.line,
                expected=f"that of {entries.test[place].file}:{entries.test[place].line}",
                advice=f"give both files the same ids, in a column {recipe.data.id_column!r}",
            )
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
    answers = [_mean(task, list(of.values())) for of in by_seed.values()]
    on_test = [_mean(task, [each.test for s in of.values() for each in s]) for of in cells.values()]
    rows = []
    for name, own, of_test in zip(cells, answers, on_test, strict=True):
        row = _row(task, train, metric, by_seed[name], cells[name], divisions)
        if held_back is not None:
            row["held_back"] = held_back.metrics(fit(task, train, [own], metric).answers(task, [of_test]))[metric]
        rows.append({"name": name, **row})
    rows.sort(key=lambda row: row["out_of_fold"], reverse=metric not in LOWER_IS_BETTER)
    folds = divisions[recipe.folds.seeds[0]]
    crossed = cross_fitted(task, train, answers, folds, metric)
    mixed, blend = task.scores(train, crossed), fit(task, train, answers, metric)
    submitted = blend.answers(task, on_test)
    counts = {"train": len(train), "test": len(entries.test)}
    ensemble: dict[str, Any] = {
        "out_of_fold": mixed["metrics"][metric],
        "by_fold": _by_fold(task, train, metric, crossed, folds),
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
    divisions: Mapping[int, np.ndarray],
) -> dict[str, Any]:
    """The scores of a member where it had seen no label, its threshold for a fold chosen on the others."""
    of_seeds, of_folds = [], []
    for seed, folds in divisions.items():
        crossed = cross_fitted(task, train, [answers[seed]], folds, metric)
        of_seeds.append(task.scores(train, crossed)["metrics"][metric])
        of_folds += _by_fold(task, train, metric, crossed, folds)
    every = [each for of_seed in cells.values() for each in of_seed]
    return {
        "out_of_fold": statistics.mean(of_seeds),
        "by_seed": of_seeds,
        "by_fold": of_folds,
        "seconds": round(sum(each.seconds for each in every), 1),
        "pseudo_labelled": sum(each.pseudo_labelled for each in every),
    }


def _by_fold(
    task: Task, train: Sequence[Example], metric: str, answers: Sequence[Any], folds: np.ndarray
) -> list[float]:
    """The score of each fold's examples."""
    places = [np.flatnonzero(folds == fold).tolist() for fold in np.unique(folds)]
    return [
        task.scores([train[n] for n in of_fold], [answers[n] for n in of_fold])["metrics"][metric] for of_fold in places
    ]


def _joined(cells: Sequence[Cell], count: int) -> list[Any]:
    """The answers of all folds, in the order of the examples."""
    found: list[Any] = [None] * count
    for each in cells:
        for place, answer in zip(each.places, each.answers, strict=True):
            found[place] = answer
    assert all(answer is not None for answer in found), "a fold is missing"
    return found


def _mean(task: Task, of_models: Sequence[Sequence[Any]]) -> list[Any]:
    """The answers of several models with equal weights."""
    return task.combined(of_models, [1 / len(of_models)] * len(of_models))
