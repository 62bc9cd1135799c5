"""Which learning rate for the text encoder, and for random weights? Judged on development examples.

    python experiments/2026-11-26-domains/rates.py --text MINILM --sets splice coding --rates 1e-4 2e-4 4e-4

Its seeds are none of the table's, and the test examples are not looked at. What is in --folder is not done again.
"""

import argparse
from pathlib import Path

from bertwright.analyze.domains import contest, train
from bertwright.analyze.trainings import Trainings
from bertwright.config import FinetuneRecipe
from bertwright.recipe import load_recipe

PROJECT = Path(__file__).parents[2]
SEEDS = [101, 102]


def main() -> None:
    """Train what is missing, and print the best development score of each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--text", required=True)
    parser.add_argument("--sets", nargs="+", required=True)
    parser.add_argument("--starts", nargs="+", default=["text", "random"])
    parser.add_argument("--rates", nargs="+", type=float, default=[1e-4, 2e-4, 4e-4])
    parser.add_argument("--seeds", nargs="+", type=int, default=SEEDS)
    parser.add_argument("--folder", type=Path, default=Path("runs/rates"))
    given = parser.parse_args()
    for name in given.sets:
        recipe = load_recipe(FinetuneRecipe, PROJECT / "recipes" / f"classify-{name}.toml", [])
        data, encoder, _ = contest(name, recipe, given.text, given.seeds)
        for start in given.starts:
            for rate in given.rates:
                trainings = Trainings(given.folder / f"{rate:g}")
                for seed in given.seeds:
                    curve = train(trainings, data, encoder, start, seed, seed, rate)["curve"]
                    best = max(score for _, score in curve)
                    print(f"{name:>14} {start:>12} {rate:g} {seed}  {best:.3f}", curve, flush=True)


if __name__ == "__main__":
    main()
