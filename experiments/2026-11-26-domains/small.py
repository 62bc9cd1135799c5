"""An alphabet's own encoder, so small that twenty epochs take it as long as MiniLM's two.

    python experiments/2026-11-26-domains/small.py --text MINILM --sets splice coding --table runs/domains

Two layers of 128, six minutes of pre-training by the alphabet's recipe, then each set's recipe but for its epochs;
beside it the same from random weights, and differences to MiniLM, random weights of its shape and the linear model as
`bertwright analyze domains` left them in --table. Two epochs are hardly a training from which to judge what can be
learnt: this asks what the minutes are worth. What is in --folder is not done again.
"""

import argparse
from pathlib import Path

import numpy as np

from bertwright.analyze.domains import LINEAR, OWN, OWN_RANDOM, against, contest, train
from bertwright.analyze.trainings import Trainings
from bertwright.config import FinetuneRecipe, PretrainRecipe
from bertwright.pretrain import pretrain
from bertwright.recipe import load_recipe
from bertwright.run import read_json

PROJECT = Path(__file__).parents[2]
ALPHABET = {
    "splice": "dna",
    "coding": "dna",
    "localization": "proteins",
    "stability": "proteins",
    "composers": "music",
}
MINUTES, EPOCHS = 6, 20


def main() -> None:
    """Train what is missing, and print the scores."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--text", required=True)
    parser.add_argument("--sets", nargs="+", default=list(ALPHABET), choices=list(ALPHABET))
    parser.add_argument("--seeds", nargs="+", type=int, default=[1, 2, 3])
    parser.add_argument("--table", type=Path, default=Path("runs/domains"))
    parser.add_argument("--folder", type=Path, default=Path("runs/small"))
    given = parser.parse_args()
    trainings = Trainings(given.folder, print)
    for name in given.sets:
        encoder = given.folder / ALPHABET[name]
        shape = ["model.preset=tiny", f"train.minutes={MINUTES}", f"run={encoder}"]
        if not (encoder / "results" / "pretrain.json").exists():
            recipe = load_recipe(PretrainRecipe, PROJECT / "recipes" / f"{ALPHABET[name]}.toml", shape)
            pretrain(recipe, resume=(encoder / "recipe.toml").exists())
        longer = [f"start.checkpoint={encoder}", f"train.epochs={EPOCHS}", "train.evaluate_every=200"]
        recipe = load_recipe(FinetuneRecipe, PROJECT / "recipes" / f"classify-{name}.toml", longer)
        data, text, _ = contest(f"classify-{name}", recipe, given.text, given.seeds)
        for start in (OWN, OWN_RANDOM):
            cells = [train(trainings, data, text, start, seed, given.seeds[0], None) for seed in given.seeds]
            answers = np.array([cell["answers"] for cell in cells])
            scores = [data.score(each, data.truth("test")) for each in answers]
            seconds = np.mean([cell["seconds"] for cell in cells])
            print(f"{name:>14} {start:>10}  {np.mean(scores):.3f} ± {np.std(scores, ddof=1):.3f}  {seconds:.0f} s")
            for other in ("text", "random", LINEAR):
                paths = sorted((given.table / "cells").glob(f"classify-{name}-{other}*.json"))
                of_other = np.array([read_json(path)["found"]["answers"] for path in paths])
                if paths:
                    told = "{:+.3f} ({:+.3f} to {:+.3f})".format(*against(data, answers, of_other))
                    print(f"{'':>26} to {other}: {told}", flush=True)


if __name__ == "__main__":
    main()
