"""Fine-tune in one language, be tested in others (the lecture's slides 77 and 78; Hsu, Liu and Lee 2019).

The same training, for each set of training data, from each encoder and from random weights, and every model is scored
on each test set: reading comprehension is published so, any of the four uses will do. Beside the scores: what an answer
by chance is worth, how much of a test an encoder cannot read at all, and how sure the first encoder's lead is.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from bertwright.analyze.judging import against, chance, each_worth, metric_of, unknown_share
from bertwright.analyze.trainings import Trainings, at_rate, content, content_of
from bertwright.checkpoint import load_checkpoint
from bertwright.config import FinetuneRecipe, expand
from bertwright.download import checkpoint_folder
from bertwright.errors import UserError
from bertwright.finetune import Given, check_length, read_files
from bertwright.predict import Predictor
from bertwright.run import Run, digest, keep_result
from bertwright.tasks import TASKS, QuestionAnswering
from bertwright.tasks.task import Example, Task, drawn, read_all

NONE = "none"
"""The encoder that is no pre-training: random weights, in the shape of the first one."""

ANSWERS = ("exact", "f1")
"""Metrics of reading comprehension; of other tasks the first one is told."""


def transfer(
    recipes: Mapping[str, FinetuneRecipe],
    encoders: Mapping[str, str],
    tests: Mapping[str, str],
    trainings: Trainings,
    *,
    seeds: Sequence[int] = (1, 2, 3),
    most: int = 1000,
    rates: Mapping[str, float] | None = None,
) -> dict[str, Any]:
    """Train and test in every combination; what was stopped goes on with the next training.

    Args:
        recipes: name of the training data -> how a model is fine-tuned on them, all of one task; start.checkpoint and
            data.test are not looked at.
        encoders: name -> checkpoint; the first one also lends its shape to random weights.
        tests: name -> file of labelled examples, read as the recipe of that name reads, or else the first one.
        trainings: their folder, with a JSON file for each and results/transfer.json, and who is told.
        seeds: of the trainings.
        most: examples of a test, chosen by a hash of their texts. Those that stand in any training data are dropped,
            and so are questions on its passages, in translation, too (SQuAD's development set holds all of XQuAD).
        rates: encoder, or "none" -> learning rate of AdamW, in place of the recipes' optimizer.

    Returns:
        {"kind", "task", "metrics", "seeds", "tests" {name: examples}, "dropped" {name: examples}, "unknown" (encoder ->
        test -> share of its tokens), "judged_by" (a metric, or None), "chance" (test -> by that metric), "rows"}. A row
        has "encoder" (the name, or "none"), "train" (the name of the data), "examples" (of training), "scores" (test ->
        metric -> by seed), and, of the first encoder, "against": other encoder -> test -> the difference by that
        metric, and the ends of its interval; questions on one passage count together.

    Raises:
        UserError: recipes of several tasks, no encoder or no test, a rate for none of the encoders, an encoder that is
            not there or reads fewer tokens than a recipe asks for, or data that are missing, damaged or of other labels
            than the training data.
        Interrupted: Ctrl-C or SIGTERM came; the training that went on was saved first.
    """
    rates, seeds = rates or {}, list(dict.fromkeys(seeds))
    _check(recipes, encoders, tests, rates)
    data = {name: recipe.data.model_copy(update={"test": None}) for name, recipe in recipes.items()}
    readers = {name: TASKS[recipe.task](recipe.data.reading) for name, recipe in recipes.items()}
    sides = {name: read_files(readers[name], data[name]) for name in recipes}
    task = next(iter(readers.values()))
    judged, dropped = _tests({name: readers.get(name, task) for name in tests}, list(sides.values()), tests, most)
    for name, count in dropped.items():
        if count:
            trainings.say(f"{count:,} examples of {name} stand in training data, and are left out")
    trainings.tell([notice for reader in readers.values() for notice in reader.notices])
    asked = digest(content_of(judged))
    found = partial(_found, judged, trainings)
    # A label that only a test has can be counted as wrong; of answers, tests must not tell what there is to learn.
    seen = [] if isinstance(task, QuestionAnswering) else [each for examples in judged.values() for each in examples]
    folders = {name: checkpoint_folder(expand(checkpoint)) for name, checkpoint in encoders.items()}
    folders[NONE] = folders[next(iter(encoders))]
    hashes = {name: content(folder) for name, folder in folders.items()}
    rows = []
    for train, recipe in recipes.items():
        given = Given(sides[train], known=[*sides[train]["train"], *seen])
        learnt_from = digest(content_of(sides[train]))
        cells: dict[str, list[dict[str, Any]]] = {encoder: [] for encoder in folders}
        for encoder, weights in folders.items():
            for seed in seeds:
                sections = sections_of(weights, encoder, rates.get(encoder), seed)
                options = {"given": given, "judged": [asked, learnt_from, hashes[encoder]]}
                cells[encoder].append(trainings.train(f"{encoder}={train}={seed}", recipe, sections, found, **options))
        rows += [_row(task, judged, train, encoder, cells) for encoder in folders]
    measured = next(iter(next(iter(rows[0]["scores"].values()))))
    result = {
        "kind": "transfer",
        "task": next(iter(recipes.values())).task,
        "metrics": list(ANSWERS) if isinstance(task, QuestionAnswering) else [measured],
        "seeds": seeds,
        "tests": {name: len(examples) for name, examples in judged.items()},
        "dropped": dropped,
        "unknown": {name: _unknown(folders[name], judged) for name in encoders},
        "judged_by": metric_of(task),
        "chance": {name: chance(task, examples) for name, examples in judged.items()},
        "rows": rows,
    }
    return keep_result(result, trainings.folder)


def _unknown(folder: Path, judged: Mapping[str, Sequence[Example]]) -> dict[str, float]:
    """Test -> the share of its tokens that a checkpoint does not know."""
    tokenizer = load_checkpoint(folder, weights=False).tokenizer
    return {name: unknown_share(tokenizer, examples) for name, examples in judged.items()}


def sections_of(weights: Path, encoder: str, rate: float | None, seed: int) -> dict[str, Any]:
    """What a training has in place of the recipe's settings."""
    start = {"checkpoint": str(weights), "weights": "random" if encoder == NONE else "pretrained"}
    return {"start": start, "train": {"seed": seed}, "data": {"test": None}, **at_rate(rate)}


def _row(
    task: Task,
    judged: Mapping[str, Sequence[Example]],
    train: str,
    encoder: str,
    cells: Mapping[str, Sequence[Mapping[str, Any]]],
) -> dict[str, Any]:
    """What an encoder came to with some training data, and, of the first one, against the others."""
    own, first = cells[encoder], next(iter(cells))
    others = [other for other in cells if other != first] if encoder == first and metric_of(task) else []
    return {
        "encoder": encoder,
        "train": train,
        "examples": own[0]["examples"],
        "scores": {name: by_seed([cell["scores"][name] for cell in own]) for name in judged},
        "against": {
            other: {
                name: against(task, examples, *([cell["each"][name] for cell in of] for of in (own, cells[other])))
                for name, examples in judged.items()
            }
            for other in others
        },
    }


def by_seed(metrics: Sequence[Mapping[str, float]]) -> dict[str, list[float]]:
    """Metric -> its value for each seed."""
    return {name: [each[name] for each in metrics] for name in metrics[0]}


def _check(
    recipes: Mapping[str, FinetuneRecipe],
    encoders: Mapping[str, str],
    tests: Mapping[str, str],
    rates: Mapping[str, float],
) -> None:
    tasks = {f"{recipe.task} ({recipe.data.label_kind})" for recipe in recipes.values()}
    if len(tasks) != 1:
        raise UserError(
            f"the recipes are of {len(tasks)} tasks: {', '.join(sorted(tasks))}",
            expected="one task, in several languages",
            advice="compare the others in an analysis of their own",
        )
    if NONE in encoders:
        raise UserError(
            f"an encoder is called {NONE!r}",
            expected="another name: this one is for random weights",
            advice="rename it",
        )
    for what, given, option in (("encoder", encoders, "--encoder"), ("test", tests, "--test")):
        if not given:
            raise UserError(f"no {what} is given", expected="one at least", advice=f"{option} NAME=PLACE")
    for name in rates:
        if name not in encoders and name != NONE:
            raise UserError(
                f"a rate is given for {name!r}, but no such encoder",
                expected=", ".join((*encoders, NONE)),
                advice="name one of them",
            )
    for checkpoint in encoders.values():  # all of them before the first training
        start = load_checkpoint(checkpoint_folder(expand(checkpoint)), weights=False)
        for recipe in recipes.values():
            check_length(recipe.train.length, start)


def _tests(
    readers: Mapping[str, Task], trained: Sequence[Mapping[str, list[Example]]], tests: Mapping[str, str], most: int
) -> tuple[dict[str, list[Example]], dict[str, int]]:
    """The examples of each test: `most` of those that are in none of the training data; and how many are in some.

    Raises:
        UserError: nothing is left of a test, or it has no label in common with training data.
    """
    task = next(iter(readers.values()))
    known = {
        mark for sides in trained for examples in sides.values() for each in examples for mark in _marks(task, each)
    }
    every = {name: read_all(readers[name], expand(file)) for name, file in tests.items()}
    # A translation of a question is known with it, and so is the passage that it is on, in that language, too.
    marks = [_marks(task, each) for examples in every.values() for each in examples]
    while more := set[tuple[str, str]]().union(*(own for own in marks if not known.isdisjoint(own))) - known:
        known |= more
    found, dropped = {}, {}
    for name, file in tests.items():
        examples = [example for example in every[name] if known.isdisjoint(_marks(task, example))]
        dropped[name] = len(every[name]) - len(examples)
        if not examples:
            raise UserError(
                f"all {len(every[name]):,} examples of {name} stand in training data, or their passages or ids do",
                file=file,
                expected="examples that nothing was trained on: of a translated question the other language, too",
                advice="train on another file, or leave this test out",
            )
        other = set.union(*map(labels_of, examples))
        for sides in trained:
            seen = set.union(*map(labels_of, sides["train"]))
            if seen and other and not seen & other:
                raise UserError(
                    f"its labels are {', '.join(sorted(other)[:5])}; trained on are {', '.join(sorted(seen)[:5])}",
                    file=file,
                    expected="the same labels in all languages",
                    advice="rename them in one of the files",
                )
        # A translated question keeps its id: so all languages are asked the same ones.
        key = (lambda each: each.id) if isinstance(task, QuestionAnswering) else task.key
        found[name] = drawn(examples, key, most)
    return found, dropped


def _marks(task: Task, example: Example) -> set[tuple[str, str]]:
    """What two examples have in common if one must not be trained on where the other is a test."""
    marks = {("example", task.key(example))}
    if isinstance(task, QuestionAnswering):  # a translated question keeps its id
        marks |= {("passage", task.group(example)), ("id", example.id)}
    return marks


def labels_of(example: Example) -> set[str]:
    """The classes of an example; none where its label is a number, or places in a text."""
    label = example.label
    several = label if isinstance(label, list | tuple) else [label]
    return {each for each in several if isinstance(each, str)}


def _found(
    judged: Mapping[str, Sequence[Example]], trainings: Trainings, result: dict[str, Any], run: Run
) -> dict[str, Any]:
    """What is kept of a training: the metrics of its best checkpoint on every test, and what each answer is worth."""
    predictor = Predictor.load(run.folder)
    task, scores, each = predictor.task, {}, {}
    for name, examples in judged.items():
        answers = predictor.answers(examples)
        scores[name] = task.scores(examples, answers)["metrics"]
        each[name] = [[round(value, 4), units] for value, units in each_worth(task, examples, answers)]
    trainings.tell(task.notices)
    return {"examples": result["examples"]["train"], "scores": scores, "each": each}
