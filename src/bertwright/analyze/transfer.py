"""Fine-tune in one language, be tested in others (the lecture's slides 77 and 78; Hsu, Liu and Lee 2019).

The same training, for each set of training data, from each encoder and from random weights, and every model is scored
on each test set: reading comprehension is published so, any of the four uses will do.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from bertwright.analyze.trainings import Trainings
from bertwright.config import FinetuneRecipe, expand
from bertwright.errors import UserError
from bertwright.finetune import Given, read_files
from bertwright.predict import Predictor
from bertwright.run import Run, keep_result
from bertwright.tasks import TASKS
from bertwright.tasks.task import Example, Task, drawn
from bertwright.train import Progress

NONE = "none"
"""The encoder that is no pre-training: random weights, in the shape of the first one."""

ANSWERS = ("exact", "f1")
"""Metrics of reading comprehension; of other tasks the first one is told."""


def transfer(
    recipes: Mapping[str, FinetuneRecipe],
    encoders: Mapping[str, str],
    tests: Mapping[str, str],
    folder: Path,
    *,
    seeds: Sequence[int] = (1, 2, 3),
    most: int = 1000,
    say: Callable[[str], None] = lambda _: None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Train and test in every combination; what was stopped goes on with the next training.

    Args:
        recipes: name of the training data -> how a model is fine-tuned on them, all of one task; start.checkpoint and
            data.test are not looked at.
        encoders: name -> checkpoint; the first one also lends its shape to random weights.
        tests: name -> file of labelled examples.
        folder: for the trainings, a JSON file for each, and results/transfer.json.
        seeds: of the trainings.
        most: examples of a test, chosen by a hash of their texts; those that stand in the training data are dropped.
        say: told what happens now.
        progress: told after every step.

    Returns:
        {"kind", "task", "metrics", "seeds", "tests" {name: examples}, "rows"}. A row has "encoder" (the name, or
        "none"), "train" (the name of the data), "examples" (of training) and "scores": test -> metric -> by seed.

    Raises:
        UserError: recipes of several tasks, no encoder or no test, or data that are missing, damaged or of other labels
            than the training data.
        Interrupted: Ctrl-C or SIGTERM came; the training that went on was saved first.
    """
    _check(recipes, encoders, tests)
    trainings = Trainings(folder, say, progress)
    rows, counts = [], {}
    for train, recipe in recipes.items():
        reader = TASKS[recipe.task](recipe.data.reading)
        sides = read_files(reader, recipe.data.model_copy(update={"test": None}))
        judged = _tests(reader, sides, tests, most)
        counts = {name: len(examples) for name, examples in judged.items()}
        given = Given(sides, known=[*sides["train"], *(each for own in judged.values() for each in own)])
        found = partial(_found, judged)
        for encoder, checkpoint in {**encoders, NONE: next(iter(encoders.values()))}.items():
            start = {"checkpoint": checkpoint, "weights": "random" if encoder == NONE else "pretrained"}
            cells = []
            for seed in seeds:
                sections = {"start": start, "train": {"seed": seed}, "data": {"test": None}}
                cells.append(trainings.train(f"{encoder}-{train}-seed{seed}", recipe, sections, found, given))
            scores = {
                name: {metric: [cell["scores"][name][metric] for cell in cells] for metric in cells[0]["scores"][name]}
                for name in tests
            }
            rows.append({"encoder": encoder, "train": train, "examples": cells[0]["examples"], "scores": scores})
    task = next(iter(recipes.values())).task
    first = next(iter(next(iter(rows[0]["scores"].values()))))
    result = {
        "kind": "transfer",
        "task": task,
        "metrics": list(ANSWERS) if task == "qa" else [first],
        "seeds": list(seeds),
        "tests": counts,
        "rows": rows,
    }
    return keep_result(result, folder)


def _check(recipes: Mapping[str, FinetuneRecipe], encoders: Mapping[str, str], tests: Mapping[str, str]) -> None:
    tasks = {recipe.task for recipe in recipes.values()}
    if len(tasks) != 1:
        raise UserError(
            f"the recipes are of {len(tasks)} tasks: {', '.join(sorted(tasks))}",
            expected="one task, in several languages",
            advice="compare the others in an analysis of their own",
        )
    for what, given, option in (("encoder", encoders, "--encoder"), ("test", tests, "--test")):
        if not given:
            raise UserError(f"no {what} is given", expected="one at least", advice=f"{option} NAME=PLACE")


def _tests(
    task: Task, sides: Mapping[str, list[Example]], tests: Mapping[str, str], most: int
) -> dict[str, list[Example]]:
    """The examples of each test: `most` of those that are in no side of the training data.

    Raises:
        UserError: a test and the training data have no label in common.
    """
    known = {task.key(example) for examples in sides.values() for example in examples}
    seen = labels_of(task, sides["train"])
    found = {}
    for name, file in tests.items():
        examples = [example for example in task.read(expand(file)) if task.key(example) not in known]
        other = labels_of(task, examples)
        if seen and other and not seen & other:
            raise UserError(
                f"its labels are {', '.join(sorted(other)[:5])}; trained on are {', '.join(sorted(seen)[:5])}",
                file=file,
                expected="the same labels in all languages",
                advice="rename them in one of the files",
            )
        found[name] = drawn(task, examples, most)
    return found


def labels_of(task: Task, examples: Sequence[Example]) -> set[str]:
    """The classes that occur; none where labels are numbers or places in a text."""
    task.learn(examples)
    return set(task.labels)


def _found(judged: Mapping[str, Sequence[Example]], result: dict[str, Any], run: Run) -> dict[str, Any]:
    """What is kept of a training: the metrics of its best checkpoint on every test."""
    predictor = Predictor.load(run.folder)
    scores = {
        name: predictor.task.scores(examples, predictor.answers(examples))["metrics"]
        for name, examples in judged.items()
    }
    return {"examples": result["examples"]["train"], "scores": scores}
