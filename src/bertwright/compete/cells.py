"""One model of a competition: a member, trained on all folds but one, and its answers where it has seen no label.

A cell is kept as JSON once it is there, so that a competition which was stopped goes on from it. Nothing can leak:
the cell's model is given the examples of the other folds alone, its checkpoint is chosen by some of them, and its
pseudo-labels are its own. The examples that it was given are written into the cell, and each time that it is read they
are compared with those that it answers.
"""

import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from bertwright.compete.folds import classes_of, divide
from bertwright.compete.linear import probabilities
from bertwright.config import CompeteRecipe, ExamplesSettings, FinetuneRecipe, MemberSettings
from bertwright.config.competing import LINEAR, SECTIONS
from bertwright.errors import UserError
from bertwright.finetune import Given, finetune
from bertwright.predict import Predictor
from bertwright.recipe import parse
from bertwright.run import read_json, remove_folder, write_json
from bertwright.tasks.task import Example, Task
from bertwright.train import Progress

DEVELOPMENT_PARTS = 10
"""One of so many parts of what a model may see chooses its checkpoint."""


@dataclass(frozen=True)
class Entries:
    """The examples of a competition."""

    task: Task
    """Knows all labels."""
    train: list[Example]
    test: list[Example]
    groups: list[int]
    """Of the training examples: those of one group are never parted."""

    def sides(self, places: Mapping[str, np.ndarray]) -> dict[str, list[Example]]:
        """The training examples with these numbers."""
        return {side: [self.train[place] for place in of_side] for side, of_side in places.items()}


@dataclass(frozen=True)
class Cell:
    """What a model answered."""

    places: list[int]
    """Numbers of the training examples that it was held out from."""
    answers: list[Any]
    """On these."""
    test: list[Any]
    """On the test examples."""
    seconds: float
    pseudo_labelled: int
    """Test examples that it was trained on, with its own earlier answers for labels."""


def cell(
    recipe: CompeteRecipe,
    folder: Path,
    entries: Entries,
    name: str,
    seed: int,
    folds: np.ndarray,
    fold: int,
    progress: Progress | None,
) -> Cell:
    """Train a member on all folds but one, or read what it answered.

    Args:
        recipe: of the competition.
        folder: of the competition.
        entries: its examples.
        name: of the member.
        seed: of the division and of the training.
        folds: of each training example.
        fold: that is held out.
        progress: told after every step.

    Raises:
        UserError: what is kept is of a model that saw examples it answers; or training fails.
    """
    path = folder / "cells" / f"{name}-seed{seed}-fold{fold + 1}.json"
    if not path.exists():
        inside = np.flatnonzero(folds != fold)
        outside = np.flatnonzero(folds == fold)
        held_out = [entries.train[place] for place in outside]
        run = folder / "models" / path.stem
        places = {"train": inside} if name == LINEAR else sides_of(entries, inside, seed)
        sides = entries.sides(places)
        if name == LINEAR:
            found = _linear(entries, sides["train"], held_out)
        else:
            found = _encoder(recipe, recipe.members[name], run, entries, sides, held_out, seed, progress)
        seen = np.sort(np.concatenate(list(places.values()))).tolist()
        write_json(path, {"trained_on": seen, "places": outside.tolist(), **found})
        # The answers are what counts; the weights of dozens of models would fill the disk.
        for weights in (part for each in (run, _again(run)) for part in (each / "checkpoints", each / "best")):
            shutil.rmtree(weights, ignore_errors=True)
    return _read(path, entries)


def _read(path: Path, entries: Entries) -> Cell:
    """A cell that is there.

    Raises:
        UserError: its model saw the examples that it answers, or others of their groups.
    """
    kept = read_json(path)
    seen = {entries.groups[place] for place in kept["trained_on"]}
    leaked = [place for place in kept["places"] if entries.groups[place] in seen]
    if leaked:
        example = entries.train[leaked[0]]
        raise UserError(
            f"this model was trained on {len(leaked):,} of the {len(kept['places']):,} examples that it is to be "
            f"judged by, or on their like; the first is {example.file}:{example.line}",
            file=path,
            expected="answers to examples that the model has not seen",
            advice="remove this file, and compete again: the model is trained anew",
        )
    return Cell(
        places=kept["places"],
        answers=list(map(entries.task.unpacked, kept["answers"])),
        test=list(map(entries.task.unpacked, kept["test"])),
        seconds=kept["seconds"],
        pseudo_labelled=kept["pseudo_labelled"],
    )


def _linear(entries: Entries, train: Sequence[Example], held_out: Sequence[Example]) -> dict[str, Any]:
    begin = time.perf_counter()
    texts, labels = [each.texts[0] for each in train], [each.label for each in train]
    asked = [each.texts[0] for each in (*held_out, *entries.test)]
    shares = [entries.task.packed(each) for each in probabilities(texts, labels, entries.task.labels, asked)]
    answers, test = shares[: len(held_out)], shares[len(held_out) :]
    return {"answers": answers, "test": test, "seconds": time.perf_counter() - begin, "pseudo_labelled": 0}


def _encoder(
    recipe: CompeteRecipe,
    member: MemberSettings,
    run: Path,
    entries: Entries,
    sides: dict[str, list[Example]],
    held_out: Sequence[Example],
    seed: int,
    progress: Progress | None,
) -> dict[str, Any]:
    """Fine-tune, once or with pseudo-labels twice, and answer."""
    settings = recipe_of(recipe, member, run, seed)
    given = Given(sides, known=entries.train)
    seconds = _finetune(settings, given, progress)
    predictor = Predictor.load(run)
    added: list[Example] = []
    if member.pseudo_labels:
        added = _sure(entries, predictor.answers(entries.test), member.pseudo_labels)
    if added:
        again = _again(run)
        given = Given({**sides, "train": [*sides["train"], *added]}, known=entries.train)
        seconds += _finetune(settings.model_copy(update={"run": str(again)}), given, progress)
        predictor = Predictor.load(again)
    packed = entries.task.packed
    return {
        "answers": [packed(answer) for answer in predictor.answers(held_out)],
        "test": [packed(answer) for answer in predictor.answers(entries.test)],
        "seconds": round(seconds, 1),
        "pseudo_labelled": len(added),
    }


def sides_of(entries: Entries, inside: np.ndarray, seed: int) -> dict[str, np.ndarray]:
    """The numbers of the examples that a model is trained on, and of those that choose its checkpoint.

    These are about a tenth of what it may see, in whole groups.

    Args:
        entries: of the competition.
        inside: numbers of the training examples that it may see, of two groups at least.
        seed: of the division.
    """
    train, groups = [entries.train[place] for place in inside], [entries.groups[place] for place in inside]
    number = min(DEVELOPMENT_PARTS, len(set(groups)))
    parts = divide(groups, classes_of(train), number, seed)
    # A large group makes a large part, which must not be lost for training.
    names, sizes = np.unique(parts, return_counts=True)
    chosen = names[np.abs(sizes - len(inside) / DEVELOPMENT_PARTS).argmin()]
    return {"train": inside[parts != chosen], "development": inside[parts == chosen]}


def _again(run: Path) -> Path:
    """The run of a second training, with pseudo-labels."""
    return run.with_name(f"{run.name}-again")


def recipe_of(recipe: CompeteRecipe, member: MemberSettings, run: Path, seed: int) -> FinetuneRecipe:
    """Of one training; its files are named, but the examples are given."""
    data = ExamplesSettings(train=recipe.data.train, metric=recipe.data.metric, **recipe.data.reading.model_dump())
    values = {
        "run": str(run),
        "task": recipe.task,
        "data": data.model_dump(),
        **member.model_dump(include=set(SECTIONS)),
    }
    values["train"]["seed"] = seed
    return parse(FinetuneRecipe, values)


def _finetune(settings: FinetuneRecipe, given: Given, progress: Progress | None) -> float:
    """Train, or go on; returns the seconds that it took."""
    run = Path(settings.run)
    finished = run / "results" / "finetune.json"
    if finished.exists() and (run / "best").is_dir():
        return float(read_json(finished)["seconds"])
    if finished.exists():  # its weights went when its cell was written, and that is gone
        remove_folder(run)
    goes_on = (run / "recipe.toml").exists()
    return float(finetune(settings, resume=goes_on, progress=progress, given=given)["seconds"])


def _sure(entries: Entries, answers: Sequence[Any], share: float) -> list[Example]:
    """Test examples of which the most likely class has at least this probability, with it for their label.

    Not those that stand in the training file, too: the fold that is held out may have them.
    """
    task, known = entries.task, {entries.task.key(example) for example in entries.train}
    return [
        replace(example, label=task.labels[int(answer.argmax())])
        for example, answer in zip(entries.test, answers, strict=True)
        if float(answer.max()) >= share and task.key(example) not in known
    ]
