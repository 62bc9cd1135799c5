"""Seconds to the same score in fine-tuning, beside the Trainer of transformers.

    python benchmarks/finetune.py --checkpoint FOLDER                  SST-2 and MRPC, five alternating rounds
    python benchmarks/finetune.py --checkpoint FOLDER --recipes tag-ewt --rounds 1

Same checkpoint, examples, windows, head (pooler), dropout, rates and epochs. Two peers: its defaults (float32, padded
to the longest of a batch, batches in random order), and its best (bfloat16, batches of like length, our allocator
settings; also compiled, if asked for). Seconds are those of the steps, without evaluation and saving. One JSON per cell
in --folder; what is there is not measured again. Needs $BERTWRIGHT_DATA and the extra bench. Nothing else may run
beside it.
"""

import argparse
import json
import statistics
import subprocess
import sys
from pathlib import Path

ENGINES = ("ours", "peer-default", "peer-best", "peer-compiled")
RECIPES = Path(__file__).parents[1] / "recipes"


def main() -> None:
    """Measure what is missing and print the ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoint", required=True, help="folder of a BERT with a pooler")
    parser.add_argument("--recipes", nargs="+", default=["classify-sst2", "pair-mrpc"])
    parser.add_argument("--engines", nargs="+", default=ENGINES[:3], choices=ENGINES)
    parser.add_argument("--epochs", type=float, default=1.0)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--folder", type=Path, default=Path("benchmarks/results/finetune"))
    parser.add_argument("--cell", nargs=3, metavar=("RECIPE", "ENGINE", "SEED"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.cell:
        print(json.dumps(measure(given, *given.cell)))
        return
    given.folder.mkdir(parents=True, exist_ok=True)
    for round_ in range(given.rounds):
        for recipe in given.recipes:
            for engine in given.engines:
                run_cell(given, recipe, engine, round_)
    for recipe in given.recipes:
        report(given, recipe)


def measure(given: argparse.Namespace, name: str, engine: str, seed: str) -> dict:
    """One training, in this process."""
    from peer_tasks import read_recipe, train_ours, train_peer

    overrides = (f"train.epochs={given.epochs}", f"train.seed={seed}")
    recipe = read_recipe(RECIPES / f"{name}.toml", given.checkpoint, *overrides)
    if engine == "ours":
        return train_ours(recipe)
    return train_peer(recipe, best=engine != "peer-default", compiled=engine == "peer-compiled")


def run_cell(given: argparse.Namespace, recipe: str, engine: str, round_: int) -> None:
    """Measure one engine in a process of its own, if that was not done before."""
    cell = given.folder / f"{recipe}_{engine}_{round_}.json"
    if cell.exists():
        return
    own = ["--cell", recipe, engine, str(round_ + 1), "--checkpoint", given.checkpoint, "--epochs", str(given.epochs)]
    done = subprocess.run([sys.executable, __file__, *own], capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{cell.stem} failed:\n{done.stderr[-3000:]}")
    result = json.loads(done.stdout.splitlines()[-1])
    cell.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(f"{cell.stem:>36}  {result['seconds']:>7.1f} s  {result['metrics']['test']}", flush=True)


def report(given: argparse.Namespace, recipe: str) -> None:
    """Seconds and scores per engine, and ratios within rounds."""
    cells = {
        engine: [json.loads((given.folder / f"{recipe}_{engine}_{n}.json").read_text()) for n in range(given.rounds)]
        for engine in given.engines
    }
    print(f"\n{recipe}")
    for engine, rows in cells.items():
        seconds = [row["seconds"] for row in rows]
        metric = next(iter(rows[0]["metrics"]["test"]))
        scores = [row["metrics"]["test"][metric] for row in rows]
        spread = statistics.stdev(scores) if len(scores) > 1 else 0.0
        print(
            f"{engine:>16} {statistics.median(seconds):>7.1f} s ({min(seconds):.1f} to {max(seconds):.1f})  "
            f"{metric} {statistics.mean(scores):.4f} ± {spread:.4f}"
        )
    for engine in given.engines:
        if engine != "ours" and "ours" in cells:
            pairs = zip(cells[engine], cells["ours"], strict=True)
            ratios = [theirs["seconds"] / ours["seconds"] for theirs, ours in pairs]
            print(f"{engine} / ours: {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})")


if __name__ == "__main__":
    main()
