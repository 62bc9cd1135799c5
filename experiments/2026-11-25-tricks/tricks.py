"""Which tricks of fine-tuning help, and what they cost: five seeds each, against the same training without any.

    python experiments/2026-11-25-tricks/tricks.py --english MINILM

Three recipes with a part of their training examples (a class for a sentence, for a pair, a label for each word), as
tricks are for little data; scores on the recipe's test file. A trick's row is the mean difference to no trick over
seeds, with the deviation of that difference, and the time of training relative to it. One JSON per training in
--folder; what is there is not run again. Needs $BERTWRIGHT_DATA; MINILM is the folder of the recipes' checkpoint.
"""

import argparse
import json
import statistics
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from bertwright.config import FinetuneRecipe
from bertwright.finetune import Given, finetune, read_files
from bertwright.recipe import load_recipe
from bertwright.run import write_json
from bertwright.samples import permute
from bertwright.tasks import TASKS

PROJECT = Path(__file__).parents[2]

RECIPES = {"classify-sst2": 400, "tag-ewt": 300, "pair-mrpc": 400}
"""And how many of their training examples are used, others for each seed."""

EPOCHS = 4.0

TRICKS: dict[str, dict[str, Any]] = {
    "none": {},
    "fgm": {"adversarial": "fgm"},
    "pgd": {"adversarial": "pgd"},
    "r_drop": {"r_drop": 1.0},
    "average": {"average_decay": 0.98},
    "layer_decay": {"layer_decay": 0.9},
    "label_smoothing": {"label_smoothing": 0.1},
    "focal": {"focal": 2.0},
    "class_weights": {"class_weights": "balanced"},
    "dropout_samples": {"dropout_samples": 5},
}


def main() -> None:
    """Run what is missing and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--english", required=True)
    parser.add_argument("--recipes", nargs="+", default=list(RECIPES), choices=list(RECIPES))
    parser.add_argument("--tricks", nargs="+", default=list(TRICKS), choices=list(TRICKS))
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3, 4, 5])
    parser.add_argument("--folder", type=Path, default=Path(__file__).parent / "cells")
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    for name in given.recipes:
        rows = {trick: [cell(given, name, trick, seed) for seed in given.seeds] for trick in ["none", *given.tricks]}
        for trick, cells in rows.items():
            differences = [one["score"] - other["score"] for one, other in zip(cells, rows["none"], strict=True)]
            ratios = [one["seconds"] / other["seconds"] for one, other in zip(cells, rows["none"], strict=True)]
            spread = statistics.stdev(differences) if len(differences) > 1 else 0.0
            print(
                f"{name:>16} {trick:>16}  {cells[0]['metric']} {statistics.mean(each['score'] for each in cells):.4f}  "
                f"{statistics.mean(differences):+.4f} ± {spread:.4f}  time × {statistics.median(ratios):.2f}",
                flush=True,
            )


def cell(given: argparse.Namespace, name: str, trick: str, seed: int) -> dict[str, Any]:
    """One training."""
    path: Path = given.folder / f"{name}_{trick}_{seed}.json"
    if not path.exists():
        result = train(given, name, trick, seed)
        found = {
            "metric": result["metric"],
            "score": result["test"]["metrics"][result["metric"]],
            "seconds": result["seconds"],
        }
        write_json(path, found)
    return json.loads(path.read_text(encoding="utf-8"))


def train(given: argparse.Namespace, name: str, trick: str, seed: int) -> dict[str, Any]:
    """Fine-tune on some of the training examples of a recipe."""
    file = PROJECT / "recipes" / f"{name}.toml"
    with tempfile.TemporaryDirectory() as folder:
        settings = [
            f"start.checkpoint={given.english}",
            f"run={folder}/run",
            "data.development_share=0.03",  # it chooses among four epochs
            f"train.epochs={EPOCHS}",
            "train.batch_size=16",  # in larger ones some seeds have hardly begun
            f"train.seed={seed}",
        ]
        recipe = load_recipe(FinetuneRecipe, file, settings)
        recipe = FinetuneRecipe.model_validate({**recipe.model_dump(), "tricks": TRICKS[trick]})
        sides = read_files(TASKS[recipe.task](recipe.data.reading), recipe.data)
        some = permute(np.arange(RECIPES[name]), len(sides["train"]), seed, 0)
        known = sides["train"]
        return finetune(recipe, given=Given({**sides, "train": [known[number] for number in some]}, known=known))


if __name__ == "__main__":
    main()
