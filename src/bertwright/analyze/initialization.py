"""What pre-trained weights are worth: the same training from them and from random ones (the lecture's slide 62).

The published figure (Hao et al. 2019) has the training loss of MNLI, RTE, MRPC and SST-2 over twenty epochs, solid
where BERT was fine-tuned, dashed where it was trained from scratch. Here every epoch also has the score on development
examples, and every curve several seeds.
"""

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from bertwright.analyze.trainings import Trainings
from bertwright.config import FinetuneRecipe
from bertwright.metrics import LOWER_IS_BETTER
from bertwright.run import Run, keep_result

STARTS = ("pretrained", "random")

LEARNT = 0.1
"""Nats of training loss at which a model is said to have learnt its training examples."""

PLATEAU = 0.1
"""Nats around the loss of guessing within which nothing is said to have been learnt."""


def initialization(
    recipes: Mapping[str, FinetuneRecipe],
    trainings: Trainings,
    *,
    seeds: Sequence[int] = (1, 2),
    epochs: int = 20,
    random_rate: float | None = None,
) -> dict[str, Any]:
    """Train every recipe from pre-trained and from random weights; what was stopped goes on with the next training.

    Args:
        recipes: name of a task -> how it is fine-tuned; its length, seed and start are set here.
        trainings: their folder, with a JSON file for each and results/initialization.json, and who is told.
        seeds: of the trainings.
        epochs: of each.
        random_rate: learning rate from random weights; None: that of the recipe.

    Returns:
        {"kind", "epochs", "seeds", "tasks"}; a task has "name", "task", "metric", "labels" (how many), "examples", for
        each start "loss" and "score", [seeds, epochs], and how the two compare (see `judged`).

    Raises:
        UserError: a recipe's data or checkpoint are missing or damaged.
        Interrupted: Ctrl-C or SIGTERM came; the training that went on was saved first.
    """
    length = {"epochs": epochs, "steps": None, "minutes": None, "evaluate_every": 0}
    tasks = []
    for name, recipe in recipes.items():
        cells: dict[str, list[dict[str, Any]]] = {start: [] for start in STARTS}
        for seed in seeds:
            for start in STARTS:
                rate = random_rate if start == "random" and random_rate is not None else recipe.optimizer.learning_rate
                cell = trainings.train(
                    f"{name}-{start}-seed{seed}",
                    recipe,
                    {
                        "start": {"weights": start},
                        "optimizer": {"learning_rate": rate},
                        "train": {**length, "seed": seed},
                    },
                    lambda result, run, recipe=recipe: _curves(recipe, result, run),
                )
                cells[start].append(cell)
        first = cells["pretrained"][0]
        curves = {start: {key: [each[key] for each in cells[start]] for key in ("loss", "score")} for start in STARTS}
        shown = {key: first[key] for key in ("task", "metric", "labels", "examples")}
        tasks.append({"name": name, **shown, **curves, "judged": judged(curves, shown["labels"], shown["metric"])})
    result = {"kind": "initialization", "epochs": epochs, "seeds": list(seeds), "tasks": tasks}
    return keep_result(result, trainings.folder)


def judged(curves: Mapping[str, Mapping[str, list[list[float]]]], labels: int, metric: str) -> dict[str, Any]:
    """Does the pre-trained start win? Lower loss in every epoch, learnt in a third of the epochs, a better score.

    Args:
        curves: of each start "loss" and "score", [seeds, epochs].
        labels: classes of the task, for the loss of guessing, ln C; 0 where there are none.
        metric: that scores are of.
    """
    loss = {start: np.mean(curves[start]["loss"], axis=0) for start in STARTS}
    sign = -1 if metric in LOWER_IS_BETTER else 1
    tops = {start: [sign * max(sign * s for s in seed) for seed in curves[start]["score"]] for start in STARTS}
    best = {start: statistics.mean(scores) for start, scores in tops.items()}
    learnt = {start: _first_below(loss[start], LEARNT) for start in STARTS}
    plateau = int((np.abs(loss["random"] - np.log(labels)) < PLATEAU).sum()) if labels else None
    pretrained, random = learnt["pretrained"], learnt["random"]
    return {
        "lower_in_epochs": int((loss["pretrained"] < loss["random"]).sum()),
        "learnt_in_epoch": learnt,
        # What random weights have not learnt in all epochs they learn in the next one, for all that is known.
        "three_times_earlier": pretrained is not None and (random or len(loss["random"]) + 1) >= 3 * pretrained,
        "best_score": best,
        "better_score": bool(sign * best["pretrained"] > sign * best["random"]),
        "epochs_on_plateau": plateau,
    }


def _first_below(losses: np.ndarray, mark: float) -> int | None:
    """The first epoch, from 1, whose loss is below a mark."""
    below = np.flatnonzero(losses < mark)
    return int(below[0]) + 1 if len(below) else None


def _curves(recipe: FinetuneRecipe, result: dict[str, Any], run: Run) -> dict[str, Any]:
    """Loss and score of a training by epoch."""
    log = run.read_log()
    epochs = sorted({record["epoch"] for record in log})
    by_epoch = [[record["loss"] for record in log if record["epoch"] == epoch] for epoch in epochs]
    return {
        "task": recipe.task,
        "metric": result["metric"],
        "labels": len(result["labels"]) if recipe.task != "tag" and recipe.data.label_kind == "class" else 0,
        "examples": result["examples"],
        "loss": [round(statistics.mean(losses), 5) for losses in by_epoch],
        "score": [record["evaluation"][result["metric"]] for record in log if "evaluation" in record],
        "seconds": result["seconds"],
    }
