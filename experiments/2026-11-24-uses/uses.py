"""Scores of the ten recipes, and of four of them beside the Trainer of transformers, three seeds each.

    python experiments/2026-11-24-uses/uses.py --english MINILM --multilingual E5           every recipe
    python experiments/2026-11-24-uses/uses.py --english MINILM --multilingual E5 --beside  four, three seeds, the peer

MINILM and E5 are folders of the checkpoints that the recipes name. Recipes run as they are, but for those that would
take hours on one core (SMALLER): their cells say so. Beside the peer both train the same windows with the same head
(pooler), rates and epochs, evaluated at the end only; the peer in batches of like length, in bfloat16 where that is
fast. One JSON per cell in --folder, what is there is not run again; scores do not depend on what else runs, seconds do,
and the peak of memory is that of the process (give one of --recipes for its own). Needs $BERTWRIGHT_DATA and the extra
bench.
"""

import argparse
import json
import statistics
import sys
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).parents[2]
sys.path.insert(0, str(PROJECT / "benchmarks"))

SMALLER = {
    "classify-chnsenticorp": ["data.train_examples=4000"],
    "pair-ocnli": ["train.epochs=2"],
    "qa-drcd": ["train.epochs=1", "data.train_examples=1500"],
}
"""Recipes that are measured with less than they say, and how."""

BESIDE = {
    "classify-sst2": ["train.epochs=1"],
    "tag-ewt": ["train.epochs=3"],
    "pair-sick": ["train.epochs=2"],
    "qa-new-wiki": ["train.epochs=1", "data.train_examples=1500", "data.test=$BERTWRIGHT_DATA/qa/xquad.en.json"],
}
"""Recipes that are compared, and what is made smaller in them."""


def main() -> None:
    """Run what is missing and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--english", required=True)
    parser.add_argument("--multilingual", required=True)
    parser.add_argument("--beside", action="store_true")
    parser.add_argument("--recipes", nargs="+", help="by default all, or with --beside four")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--folder", type=Path, default=Path(__file__).parent / "cells")
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    tasks = ("classify", "tag", "pair", "qa")
    every = sorted(path.stem for path in (PROJECT / "recipes").glob("*-*.toml") if path.stem.split("-")[0] in tasks)
    names = given.recipes or (list(BESIDE) if given.beside else every)
    for name in names:
        if not given.beside:
            found = cell(given, name, "recipe", None)
            print(f"{name:>24} {found['seconds']:>7.0f} s  {found['metrics']}", flush=True)
            continue
        for engine in ("ours", "peer"):
            rows = [cell(given, name, engine, seed) for seed in given.seeds]
            metric = next(iter(rows[0]["metrics"]["test"]))
            scores = [row["metrics"]["test"][metric] for row in rows]
            spread = statistics.stdev(scores) if len(scores) > 1 else 0.0
            print(f"{name:>24} {engine:>5}  {metric} {statistics.mean(scores):.4f} ± {spread:.4f}", flush=True)


def cell(given: argparse.Namespace, name: str, engine: str, seed: int | None) -> dict[str, Any]:
    """One training."""
    from peer_tasks import read_recipe, train_ours, train_peer

    path = given.folder / f"{name}_{engine}{'' if seed is None else f'_{seed}'}.json"
    if path.exists():
        return json.loads(path.read_text(encoding="utf-8"))
    file = PROJECT / "recipes" / f"{name}.toml"
    checkpoint = given.multilingual if "multilingual" in file.read_text(encoding="utf-8") else given.english
    if seed is None:
        result = as_it_is(file, checkpoint, given.folder / "runs" / name, SMALLER.get(name, []))
    else:
        recipe = read_recipe(file, checkpoint, *BESIDE[name], f"train.seed={seed}")
        result = train_ours(recipe) if engine == "ours" else train_peer(recipe, best=True)
    path.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    return result


def as_it_is(file: Path, checkpoint: str, run: Path, smaller: list[str]) -> dict[str, Any]:
    """A recipe with its own settings, but for what is made smaller; the run stays, to be looked at."""
    from bertwright.config import FinetuneRecipe
    from bertwright.finetune import finetune
    from bertwright.recipe import load_recipe
    from prepare_scaling import peak_megabytes

    recipe = load_recipe(FinetuneRecipe, file, [f"start.checkpoint={checkpoint}", f"run={run}", *smaller])
    result = finetune(recipe, resume=(run / "recipe.toml").exists())
    kept = ("seconds", "steps", "best_step", "examples", "overlaps", "num_windowed")
    metrics = {side: result[side]["metrics"] for side in ("development", "test") if side in result}
    measured = {"smaller": smaller, "peak_megabytes": peak_megabytes(), "metrics": metrics}
    return {**{name: result[name] for name in kept}, **measured}


if __name__ == "__main__":
    main()
