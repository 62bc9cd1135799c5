"""Is next sentence too easy, and sentence order harder? Slide 59, prediction P3 (Lan et al. 2020, table 5).

    python experiments/2026-11-23-pairs/pairs.py --text rfc.txt          nine runs of a quarter of an hour
    python experiments/2026-11-23-pairs/pairs.py --text rfc.txt --seeds 2 --pairs none --threads 1    one of them
    python experiments/2026-11-23-pairs/pairs.py --text rfc.txt --start MINILM --steps 1200 --folder runs/pairs-start
    python experiments/2026-11-23-pairs/pairs.py --text rfc.txt --start TINY --learning-rate 5e-4 --pair-weight 4
                                        --steps 3000 --threads 1 --tasks --folder runs/pairs-tiny

Three objectives (masked tokens alone, with next sentence, with sentence order), the same text, model and steps. Every
model with a pair head is then asked both questions, "is next" standing for "in order", on the same held-out pairs.
With --start the models do not begin from random weights but from a pre-trained encoder, which knows words already.
With --tasks each is then fine-tuned on two tasks of pairs (MRPC, SICK; needs $BERTWRIGHT_DATA).
Beside them a bag of words: how much of the second part's vocabulary stands in the first, with the threshold that is
best on training pairs. The runs show a plateau, too (P20): how long the loss of masked tokens stays near the unigram
entropy, and the most that it falls in a tenth of the run. One JSON per run in --folder; what is there is not run again.
"""

import argparse
import statistics
from pathlib import Path
from typing import Any

import numpy as np
import torch

from bertwright.batches import IGNORED, Rows, SpecialTokens
from bertwright.checkpoint import load_checkpoint, load_weights
from bertwright.config import FinetuneRecipe, ObjectiveSettings, PretrainRecipe
from bertwright.finetune import finetune
from bertwright.model.heads import PretrainingModel
from bertwright.objectives import pretraining_answers, pretraining_counts, pretraining_rows
from bertwright.prepare import prepare
from bertwright.pretrain import pretrain
from bertwright.recipe import load_recipe, parse
from bertwright.run import Run, read_json, write_json
from bertwright.samples import Mixture, mix
from bertwright.store import Store

LENGTH = 128
PAIRS = ("next_sentence", "sentence_order")
TASKS = ("pair-mrpc", "pair-sick")
HELD_OUT_PAIRS, TRAINING_PAIRS, BATCH = 2000, 4000, 32
NEAR = 0.3
"""Nats."""
FREQUENT = 100
"""Most frequent tokens that the bag of words does not look at."""


def main() -> None:
    """Run what is missing and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--text", required=True)
    parser.add_argument("--start", help="a checkpoint that all models begin from; without it, random weights")
    parser.add_argument("--learning-rate", type=float, default=2e-4, help="with --start")
    parser.add_argument("--pair-weight", type=float, default=1.0, help="of the loss of pairs")
    parser.add_argument("--tasks", action="store_true", help="fine-tune on tasks of pairs, too")
    parser.add_argument("--steps", type=int, default=3600, help="of 2,048 tokens")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--pairs", nargs="+", default=["none", *PAIRS], choices=["none", *PAIRS])
    parser.add_argument("--threads", type=int, default=0, help="of one run, when two go on side by side")
    parser.add_argument("--folder", type=Path, default=Path("runs/pairs"))
    given = parser.parse_args()
    results: dict[str, list[dict[str, Any]]] = {}
    for seed in given.seeds:
        for pair in given.pairs:
            recipe = recipe_of(given, pair, seed)
            results.setdefault(pair, []).append(cell(recipe, given.folder, tasks=given.tasks))
    store = Store.open(given.folder / "store")
    for pair in PAIRS:
        print(f"bag of words, {pair}: {bag_of_words(store, pair):.3f}")
    for pair, rows in results.items():
        names = [name for name in rows[0] if name != "curve"]
        told = [f"{name} {spread([row[name] for row in rows])}" for name in names]
        print(f"{pair:>15}: {'  '.join(told)}")


def spread(values: list[float]) -> str:
    """Mean and deviation."""
    deviation = statistics.stdev(values) if len(values) > 1 else 0.0
    return f"{statistics.mean(values):.3f} ± {deviation:.3f}"


def cell(recipe: PretrainRecipe, folder: Path, *, tasks: bool) -> dict[str, Any]:
    """One run, and what its model answers."""
    path = folder / f"{Path(recipe.run).name}.json"
    if not path.exists():
        if not (folder / "store").exists():
            prepare(recipe)
        result = pretrain(recipe, resume=Path(recipe.run, "recipe.toml").exists())
        store = Store.open(folder / "store")
        curve = smoothed(Run(Path(recipe.run)))
        found = {"masked_tokens": result["evaluation"]["masked_tokens"], **plateau(curve, store.unigram_entropy)}
        if recipe.objective.pair != "none":
            found |= {f"accuracy of {asked}": accuracy(store, Path(recipe.run, "best"), asked) for asked in PAIRS}
        if tasks:
            found |= {f"test score of {name}": fine_tuned(recipe, name) for name in TASKS}
        write_json(path, {**found, "curve": curve.round(3).tolist()})
    return read_json(path)


def fine_tuned(recipe: PretrainRecipe, name: str) -> float:
    """Test score of a task of pairs from a run's checkpoint, with the pooler that the pairs have trained."""
    settings = [f"start.checkpoint={recipe.run}/best", "start.pooling=cls", f"run={recipe.run}-{name}"]
    training = [
        f"train.seed={recipe.train.seed}",
        f"train.threads={recipe.train.threads}",
    ]
    file = Path(__file__).parents[2] / "recipes" / f"{name}.toml"
    tuned = load_recipe(FinetuneRecipe, file, [*settings, *training, "optimizer.learning_rate=3e-4"])
    result = finetune(tuned, resume=Path(tuned.run, "recipe.toml").exists())
    return result["test"]["metrics"][result["metric"]]


def smoothed(run: Run) -> np.ndarray:
    """The loss of masked tokens in training, the mean of every hundredth of the run, [100]."""
    losses = np.array([record["losses"]["masked_tokens"] for record in run.read_log()])
    return np.array([part.mean() for part in np.array_split(losses, min(100, len(losses)))])


def plateau(curve: np.ndarray, entropy: float) -> dict[str, float]:
    """Share of the run within NEAR of the unigram entropy, and the most it falls in a tenth, from there on."""
    arrived = int(np.argmax(curve < entropy + NEAR))
    tenth = max(1, len(curve) // 10)
    falls = curve[arrived:-tenth] - curve[arrived + tenth :]
    return {
        "near the entropy": float((abs(curve - entropy) < NEAR).mean()),
        "fall in a tenth": float(falls.max()) if len(falls) else 0.0,
    }


def recipe_of(given: argparse.Namespace, pair: str, seed: int) -> PretrainRecipe:
    """The `bert` layout, as pairs need its segments.

    From random weights with Muon, as AdamW would stay near the frequencies; from a checkpoint with AdamW, which leaves
    more of it as it is.
    """
    muon = {"name": "muon", "matrix_learning_rate": 2e-2, "learning_rate": 2e-3, "betas": [0.9, 0.98]}
    begin: dict[str, Any] = {
        "tokenizer": {"vocabulary_size": 8192},
        "model": {"preset": "mini", "max_length": LENGTH},
        "optimizer": muon,
    }
    if given.start:
        begin = {"start": {"checkpoint": given.start}, "optimizer": {"learning_rate": given.learning_rate}}
    return parse(
        PretrainRecipe,
        {
            "run": str(given.folder / f"{pair}-{seed}"),
            "store": str(given.folder / "store"),
            "corpus": {"files": [given.text], "reader": "sentences", "held_out": 0.05, "language": "en"},
            "objective": {"pair": pair, "pair_weight": given.pair_weight},
            **begin,
            "train": {
                "steps": given.steps,
                "batch_size": 16,
                "length": LENGTH,
                "seed": seed,
                "evaluate_every": given.steps,  # once, at the end
                "save_every": 0,
                "threads": given.threads,
            },
        },
    )


def pairs_of(store: Store, pair: str, *, held_out: bool, count: int) -> list[Rows]:
    """Batches of pairs, the same ones for every model."""
    mixture: Mixture = mix([(store, 1.0)], LENGTH - 3, held_out=held_out)
    special, settings = SpecialTokens.of(store.tokenizer()), ObjectiveSettings(pair=pair)  # pyright: ignore
    return [
        pretraining_rows(mixture, np.arange(begin, begin + BATCH), settings, special, length=LENGTH, seed=0)
        for begin in range(0, count, BATCH)
    ]


def accuracy(store: Store, checkpoint: Path, asked: str) -> float:
    """Share of the held-out pairs that a model answers rightly."""
    loaded = load_checkpoint(checkpoint)
    model = PretrainingModel(loaded.config, pair=True).eval()
    assert load_weights(model, loaded) == []
    right = count = 0
    with torch.inference_mode():
        for rows in pairs_of(store, asked, held_out=True, count=HELD_OUT_PAIRS):
            right += int(pretraining_answers(model, rows.batch(), asked)[asked][1])
            count += pretraining_counts(rows, asked)[asked]
    return right / count


# ---------------------------------------------------------------------------------------------- bag of words


def bag_of_words(store: Store, pair: str) -> float:
    """Accuracy of the shared vocabulary with the threshold that is best in training."""
    known, answers = overlaps(store, pair, held_out=False, count=TRAINING_PAIRS)
    thresholds = np.quantile(known, np.linspace(0, 1, 201))
    best = max(thresholds, key=lambda threshold: ((known < threshold) == answers).mean())
    unseen, truth = overlaps(store, pair, held_out=True, count=HELD_OUT_PAIRS)
    return float(((unseen < best) == truth).mean())


def overlaps(store: Store, pair: str, *, held_out: bool, count: int) -> tuple[np.ndarray, np.ndarray]:
    """For each pair: the share of the second part's rarer tokens that stand in the first, and the label."""
    frequent = set(np.argsort(-store.unigram_counts)[:FREQUENT].tolist())
    shares, labels = [], []
    for rows in pairs_of(store, pair, held_out=held_out, count=count):
        for number, label in enumerate(rows.sequence_labels.tolist(), start=1):
            if label == IGNORED:
                continue
            mine = rows.sequence_ids == number
            truth = np.where(rows.labels != IGNORED, rows.labels, rows.input_ids)  # without the masks
            first, second = (set(truth[mine & (rows.segment_ids == segment)].tolist()) - frequent for segment in (0, 1))
            shares.append(len(first & second) / max(1, len(second)))
            labels.append(label)
    return np.array(shares), np.array(labels, dtype=bool)


if __name__ == "__main__":
    main()
