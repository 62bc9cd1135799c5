"""Trainings of an analysis: each is done once, goes on where it was stopped, and leaves a JSON file."""

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bertwright.config import FinetuneRecipe
from bertwright.finetune import Given, finetune
from bertwright.recipe import parse
from bertwright.run import Run, read_json, write_json
from bertwright.train import Progress

Found = Callable[[dict[str, Any], Run], dict[str, Any]]
"""What is kept of a training: its result and its run folder, which is removed then, -> what goes into the file."""


@dataclass(frozen=True)
class Trainings:
    """Where an analysis keeps its trainings (cells/NAME.json, and runs/NAME while one goes on), and whom it tells."""

    folder: Path
    say: Callable[[str], None]
    progress: Progress | None

    def cell(self, name: str, compute: Callable[[], Any]) -> Any:
        """What cells/NAME.json holds; where it is not there, what is computed now, and kept in it."""
        path = self.folder / "cells" / f"{name}.json"
        if not path.exists():
            self.say(name)
            write_json(path, compute())
        return read_json(path)

    def train(
        self, name: str, recipe: FinetuneRecipe, sections: Mapping[str, Any], found: Found, given: Given | None = None
    ) -> dict[str, Any]:
        """A cell that is the outcome of fine-tuning.

        Args:
            name: of the cell and of the run.
            recipe: how; its run folder is set here.
            sections: settings that win over the recipe's: {"start": {"weights": "random"}}.
            found: what is kept.
            given: examples in place of the recipe's files.

        Raises:
            UserError: the recipe's data or checkpoint are missing or damaged.
            Interrupted: Ctrl-C or SIGTERM came; the training was saved first.
        """

        def compute() -> dict[str, Any]:
            run = Run(self.folder / "runs" / name)
            settings = changed(recipe, {**sections, "run": str(run.folder)})
            result = finetune(settings, resume=run.recipe.exists(), progress=self.progress, given=given)
            kept = found(result, run)
            shutil.rmtree(run.folder)
            return kept

        return self.cell(name, compute)


def changed(recipe: FinetuneRecipe, sections: Mapping[str, Any]) -> FinetuneRecipe:
    """A recipe with some settings exchanged; None sets back what has no default but None."""
    values = recipe.model_dump(exclude_none=True)
    for name, new in sections.items():
        values[name] = {**values[name], **new} if isinstance(new, Mapping) else new
    return parse(FinetuneRecipe, values)
