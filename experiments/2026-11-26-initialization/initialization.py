"""Slide 62 on four tasks, each with little to learn from: pre-trained against random weights, twenty epochs, two seeds.

    python experiments/2026-11-26-initialization/initialization.py --english MINILM --multilingual E5

MINILM and E5 are folders of the checkpoints that the recipes name. All sixteen trainings take two and a half hours on
one core. What is in --folder is not run again. Needs $BERTWRIGHT_DATA.
"""

import argparse
from pathlib import Path

from bertwright.analyze import Trainings, initialization
from bertwright.config import FinetuneRecipe
from bertwright.recipe import load_recipe
from bertwright.report import write_report

PROJECT = Path(__file__).parents[2]

SMALLER = {
    "classify-sst2": ["data.train_examples=600"],
    "tag-ewt": ["data.train_examples=600"],
    "pair-mrpc": ["data.train_examples=300", "data.development_share=0.06"],
    "pair-ocnli": ["data.train_examples=300", "data.development_share=0.03"],
}
"""The recipes, and what is made smaller in them."""


def main() -> None:
    """Train what is missing, and draw the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--english", required=True)
    parser.add_argument("--multilingual", required=True)
    parser.add_argument("--folder", type=Path, default=Path("runs/initialization"))
    given = parser.parse_args()
    recipes = {}
    for name, smaller in SMALLER.items():
        file = PROJECT / "recipes" / f"{name}.toml"
        checkpoint = given.multilingual if "multilingual" in file.read_text(encoding="utf-8") else given.english
        recipes[name] = load_recipe(FinetuneRecipe, file, [f"start.checkpoint={checkpoint}", *smaller])
    initialization(recipes, Trainings(given.folder, print))
    print(write_report([given.folder], given.folder))


if __name__ == "__main__":
    main()
