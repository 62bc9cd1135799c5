"""The demo over five seeds, each start with the best of three learning rates chosen on the development part.

    python experiments/2026-11-23-demo/demo_seeds.py [--folder runs/demo-seeds] [--seeds 5] [--minutes 6]

Per seed: another split of the reviews, one pre-training, and for each start and learning rate one fine-tuning with the
same labels, steps and schedule; a linear model beside them. One JSON a cell in FOLDER/cells; cells that are there are
skipped, so an interrupted measurement goes on. About 13 minutes a seed on two cores. Prints the table, writes
FOLDER/summary.json.
"""

import argparse
import statistics
from pathlib import Path
from typing import Any

from bertwright import demo
from bertwright.config import FinetuneRecipe
from bertwright.finetune import finetune
from bertwright.prepare import prepare
from bertwright.pretrain import pretrain
from bertwright.run import read_json, write_json

FACTORS = (0.5, 1.0, 2.0)
"""Learning rates, as multiples of the demo's."""


def scaled(recipe: FinetuneRecipe, factor: float) -> FinetuneRecipe:
    """The recipe with both learning rates multiplied, in a run folder of its own."""
    rates = {
        "learning_rate": recipe.optimizer.learning_rate * factor,
        "matrix_learning_rate": recipe.optimizer.matrix_learning_rate * factor,
    }
    update = {"optimizer": recipe.optimizer.model_copy(update=rates), "run": f"{recipe.run}-{factor:g}"}
    return recipe.model_copy(update=update)


def measure(folder: Path, seed: int, minutes: float) -> dict[str, Any]:
    """All cells of one seed, those that exist read from disk."""
    root, cells = folder / f"seed-{seed}", folder / "cells"
    split = demo.write_data(root / "data", seed)
    recipe = demo.pretraining_recipe(root, minutes, seed)
    cell = cells / f"{seed}-pretrain.json"
    if not cell.exists():
        prepare(recipe)
        result = pretrain(recipe, resume=Path(recipe.run, "recipe.toml").exists())
        write_json(cell, {key: result[key] for key in ("steps", "tokens", "tokens_per_second", "best", "seconds")})
    found: dict[str, Any] = {"pretrain": read_json(cell)}
    for name, weights in (("pretrained", "pretrained"), ("scratch", "random")):
        for factor in FACTORS:
            cell = cells / f"{seed}-{name}-{factor:g}.json"
            if not cell.exists():
                tuning = scaled(demo.finetuning_recipe(root, name, weights, seed), factor)
                result = finetune(tuning, resume=Path(tuning.run, "recipe.toml").exists())
                write_json(cell, {side: result[side]["metrics"]["accuracy"] for side in ("development", "test")})
        trials = {factor: read_json(cells / f"{seed}-{name}-{factor:g}.json") for factor in FACTORS}
        best = max(trials, key=lambda factor: trials[factor]["development"])
        found[name] = {"factor": best, "trials": trials, **trials[best]}
    cell = cells / f"{seed}-linear.json"
    if not cell.exists():
        write_json(cell, demo.linear_baseline(split["train"], split["development"], split["test"]))
    found["linear"] = {"test": read_json(cell)["accuracy"]}
    return found


def main() -> None:
    """Measure all seeds and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=Path("runs/demo-seeds"))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--minutes", type=float, default=demo.MINUTES)
    given = parser.parse_args()
    seeds = {seed: measure(given.folder, seed, given.minutes) for seed in range(1, given.seeds + 1)}
    summary: dict[str, Any] = {"seeds": seeds}
    for name in ("pretrained", "scratch", "linear"):
        scores = [seed[name]["test"] for seed in seeds.values()]
        spread = statistics.stdev(scores) if len(scores) > 1 else 0.0
        summary[name] = {"mean": statistics.mean(scores), "deviation": spread}
        print(f"{name:>12}  {summary[name]['mean']:.4f} ± {spread:.4f}  {[round(score, 4) for score in scores]}")
    leads = [seed["pretrained"]["test"] - seed["scratch"]["test"] for seed in seeds.values()]
    summary["lead"] = {"mean": statistics.mean(leads), "each": leads}
    print(f"{'lead':>12}  {summary['lead']['mean']:.4f}  {[round(lead, 4) for lead in leads]}")
    write_json(given.folder / "summary.json", summary)


if __name__ == "__main__":
    main()
