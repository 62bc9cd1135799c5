"""What the recipe `modern` is made of: one thing changed at a time, the same minutes, the same held-out masks.

    python experiments/2026-11-24-recipe/variants.py --text rfc.txt                 all, one seed, 1.9 minutes each
    python experiments/2026-11-24-recipe/variants.py --text rfc.txt --seeds 3 --variants base rows-32

Shape, data, clock and evaluation are those of `benchmarks/pretrain_loss.py`: what ours is given beside its peers.
One JSON per run in --folder; what is there is not run again. Nothing else may run beside it.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from importlib import import_module
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

from pretrain_loss import held_out, our_recipe, prepare_store

ADAMW = {"name": "adamw", "learning_rate": 1e-3, "betas": [0.9, 0.98]}
VARIANTS: dict[str, dict[str, dict[str, Any]]] = {
    "base": {},
    "rows-8": {"train": {"batch_size": 8}},
    "rows-32": {"train": {"batch_size": 32}},
    "ramp": {"train": {"batch_size": 32}},
    "wsd": {},
    "warmup-short": {"train": {"warmup": 0.02}},
    "masking-15": {"objective": {"masking_rate": 0.15}},
    "masking-30": {"objective": {"masking_rate": 0.3}},
    "masking-40": {"objective": {"masking_rate": 0.4}},
    "masking-30-rows-32": {"objective": {"masking_rate": 0.3}, "train": {"batch_size": 32}},
    "masking-30-rates-half": {
        "objective": {"masking_rate": 0.3},
        "optimizer": {"matrix_learning_rate": 1e-2, "learning_rate": 1e-3},
    },
    "masks-only": {"objective": {"mask_share": 1.0, "random_share": 0.0}},
    "rates-half": {"optimizer": {"matrix_learning_rate": 1e-2, "learning_rate": 1e-3}},
    "rates-more": {"optimizer": {"matrix_learning_rate": 3e-2, "learning_rate": 3e-3}},
    "adamw": {"optimizer": ADAMW},
    "bert": {"model": {"layout": "bert", "inner_width": 1024}},
    "bert-adamw": {"model": {"layout": "bert", "inner_width": 1024}, "optimizer": ADAMW},
}
"""What differs from the base. `wsd` and `ramp` are no settings of ours: the run is patched (see `train`)."""

STABLE = 0.7
"""wsd: the rate stays at its peak until so much of the run is over, then falls linearly (Hu et al. 2024)."""
RAMP = 0.4
"""ramp: until so much of the run is over, a step takes a quarter of its batch, then half of it to twice that share."""


def main() -> None:
    """Run what is missing and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--text", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=1.875)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--variants", nargs="+", default=list(VARIANTS), choices=list(VARIANTS))
    parser.add_argument("--folder", type=Path, default=Path("runs/recipe"))
    parser.add_argument("--cell", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.cell:
        train(**json.loads(given.cell))
        return
    prepare_store(given.text, given.folder / "store")
    losses: dict[str, list[float]] = {}
    for seed in range(1, given.seeds + 1):
        for variant in given.variants:
            losses.setdefault(variant, []).append(cell(given, variant, seed)["loss"])
    print()
    for variant, values in sorted(losses.items(), key=lambda row: statistics.mean(row[1])):
        deviation = f" ± {statistics.stdev(values):.3f}" if len(values) > 1 else ""
        print(f"{variant:>14}: {statistics.mean(values):.3f}{deviation}")


def cell(given: argparse.Namespace, variant: str, seed: int) -> dict[str, Any]:
    """One run in a process of its own, and its held-out loss."""
    path: Path = given.folder / f"{variant}_{seed}_{given.minutes:g}.json"
    if not path.exists():
        with tempfile.TemporaryDirectory(dir=given.folder) as folder:
            recipe = our_recipe(given.folder / "store", Path(folder, "run"), given.minutes, seed)
            recipe["objective"] = {"masking_rate": 0.2}  # as the recipe had it before this experiment
            for section, values in VARIANTS[variant].items():
                recipe[section] = values if "name" in values else recipe[section] | values
            values = json.dumps({"variant": variant, "recipe": recipe})
            subprocess.run([sys.executable, __file__, "--text", str(given.text), "--cell", values], check=True)
            log = Path(folder, "run", "log.jsonl").read_text(encoding="utf-8").splitlines()
            result = {
                "loss": held_out(given.folder / "store", Path(folder, "run", "best")),
                "steps": len(log),
                "tokens": sum(json.loads(line)["tokens"] for line in log),
            }
        path.write_text(json.dumps(result) + "\n", encoding="utf-8")
        print(f"{path.stem:>24}: {result['loss']:.3f}  {result['tokens']:,} tokens", flush=True)
    return json.loads(path.read_text(encoding="utf-8"))


def train(variant: str, recipe: dict[str, Any]) -> None:
    """One run, patched where a variant is no setting."""
    from bertwright.batches import Rows
    from bertwright.config import PretrainRecipe
    from bertwright.recipe import parse

    pretraining, training = (import_module(f"bertwright.{name}") for name in ("pretrain", "train"))
    share = 0.0

    def clock(record: dict[str, Any]) -> None:
        nonlocal share
        share = record["progress"]

    if variant == "wsd":

        def stable(progress: float, warmup: float) -> float:
            return min(1.0, progress / warmup, (1 - progress) / (1 - STABLE))

        training.schedule = stable  # pyright: ignore[reportAttributeAccessIssue]
    if variant == "ramp":
        rows = pretraining._Data.rows

        def fewer(self: Any, number: int) -> Rows:
            return rows(self, number).part(0, 4 if share < RAMP else 2 if share < 2 * RAMP else 1)

        pretraining._Data.rows = fewer
    pretraining.pretrain(parse(PretrainRecipe, recipe), progress=clock)


if __name__ == "__main__":
    main()
