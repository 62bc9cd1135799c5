"""Trainings of an analysis: each is done once, goes on where it was stopped, and leaves a JSON file."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bertwright.config import FinetuneRecipe, PretrainRecipe
from bertwright.errors import UserError, shortened
from bertwright.finetune import Given, finetune
from bertwright.recipe import load_recipe, parse
from bertwright.run import Run, digest, read_json, remove_folder, write_json
from bertwright.tasks.task import Example
from bertwright.train import Progress, kept_steps

Found = Callable[[dict[str, Any], Run], dict[str, Any]]
"""What is kept of a training: its result and its run folder, which is removed then, -> what goes into the file."""


@dataclass(frozen=True)
class Trainings:
    """Where an analysis keeps its trainings (cells/NAME.json, and runs/NAME while one goes on), and whom it tells."""

    folder: Path
    say: Callable[[str], None] = lambda _: None
    """Told what happens now."""
    progress: Progress | None = None
    """Told after every step."""

    def cell(self, name: str, settings: Any, compute: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """What cells/NAME.json holds; where it is not there, what is computed now, and kept in it.

        Args:
            name: of the cell.
            settings: all that its content depends on, for JSON.
            compute: what is to be kept.

        Raises:
            UserError: it was computed with other settings.
        """
        path = self.folder / "cells" / f"{name}.json"
        if not path.exists():
            self.say(name)
            write_json(path, {"settings": digest(settings), "found": compute()})
        kept = read_json(path)
        if kept["settings"] != digest(settings):
            raise UserError(
                "this was measured with other settings",
                file=path,
                expected="the recipes, models, tests and options that the folder was begun with",
                advice="choose another folder (--run), or remove the file to measure it again",
            )
        return kept["found"]

    def tell(self, notices: Sequence[str]) -> None:
        """Say what is odd in data."""
        for notice in shortened(notices):
            self.say(notice)

    def train(
        self,
        name: str,
        recipe: FinetuneRecipe,
        sections: Mapping[str, Any],
        found: Found,
        *,
        given: Given | None = None,
        judged: Any = None,
    ) -> dict[str, Any]:
        """A cell that is the outcome of fine-tuning.

        Args:
            name: of the cell.
            recipe: how; its run folder is set here.
            sections: settings that win over the recipe's: {"start": {"weights": "random"}}.
            found: what is kept.
            given: examples in place of the recipe's files.
            judged: what `found` depends on beside the training, for JSON.

        Raises:
            UserError: the recipe's data or checkpoint are missing or damaged, or the cell is of other settings.
            Interrupted: Ctrl-C or SIGTERM came; the training was saved first.
        """
        settings = changed(recipe, {**sections, "run": ""})
        depends = [settings.model_dump(mode="json"), judged]
        run = Run(self.folder / "runs" / f"{name}-{digest(depends)}")  # a run of other settings is not gone on with

        def compute() -> dict[str, Any]:
            own = settings.model_copy(update={"run": str(run.folder)})
            result = finetune(own, resume=run.recipe.exists(), progress=self.progress, given=given)
            self.tell(result["notices"])
            return found(result, run)

        kept = self.cell(name, depends, compute)
        if run.folder.exists():  # only now: what it found is in the cell
            remove_folder(run.folder)
        return kept


def checkpoints_of(model: str | Path) -> dict[int, Path]:
    """Step -> folder of every checkpoint that a run of pre-training has kept, and of the last one, in their order.

    Raises:
        UserError: it has kept none.
    """
    run = Run(Path(model))
    every = {
        int(path.parent.name.removeprefix("step-")): path.parent for path in run.checkpoints.glob("step-*/config.json")
    }
    kept = kept_steps(load_recipe(PretrainRecipe, run.recipe).train, max(every)) if every else []
    found = {step: place for step, place in every.items() if step in kept or step == max(every)}  # not to go on from
    if not found:
        raise UserError(
            "the run has kept no checkpoints",
            expected="checkpoints/step-...",
            advice='pre-train with train.save_at="log", or with a list of steps',
            file=run.folder,
        )
    return dict(sorted(found.items()))


def content(path: Path) -> str:
    """A short name of what a file holds, or of the weights of a checkpoint's folder."""
    if path.is_dir():
        path = next(each for each in (path / "model.safetensors", path / "pytorch_model.bin") if each.exists())
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=6)).hexdigest()


def content_of(sides: Mapping[str, Sequence[Example]]) -> list[Any]:
    """All that a model sees of examples, by side or by test, for JSON."""
    return [[name, [[each.texts, each.label] for each in examples]] for name, examples in sides.items()]


def at_rate(rate: float | None) -> dict[str, Any]:
    """The section of a recipe that AdamW at a learning rate takes the place of; without a rate, none."""
    return {} if rate is None else {"optimizer": {"name": "adamw", "learning_rate": rate}}


def changed(recipe: FinetuneRecipe, sections: Mapping[str, Any]) -> FinetuneRecipe:
    """A recipe with some settings exchanged; None sets back what has no default but None."""
    values = recipe.model_dump(exclude_none=True)
    for name, new in sections.items():
        values[name] = {**values[name], **new} if isinstance(new, Mapping) else new
    return parse(FinetuneRecipe, values)
