"""Minutes to one held-out loss, beside transformers' own way to pre-train.

    python benchmarks/pretrain_loss.py --text rfc.txt                 three seeds; an hour and a half
    python benchmarks/pretrain_loss.py --text rfc.txt --minutes 2 --sweep-minutes 1 --seeds 1     a first look

Peers (see pretrain.py: the documented defaults, and its best in small and large batches) train at some learning rates
for --sweep-minutes; the one that does best then trains for --minutes, and its held-out loss is the mark. Its learning
rate follows the clock as ours does. Ours runs as `recipes/modern-en.toml` does, for shorter and shorter times; the
shortest that reaches the mark counts. A peer's time and ours run from the start of the process: imports, probing and
compilation included, preparing the store not. Both sides are evaluated on the same held-out samples under the same
masks (15 %, 80/10/10), by our evaluation, which reads the peer's checkpoint.

TEXT is a sentence a line, a blank line between documents; `python experiments/rfc.py rfc.txt` makes one of 28 MB. One
JSON per cell in --folder; what is there is not measured again. Nothing else may run beside it.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from pretrain import LENGTH, PEER, SHAPES, blocks

SHAPE = "4x256"
PEERS = ("peer-default", "peer-16", "peer-64")
SHARES = (1 / 4, 1 / 6, 1 / 8, 1 / 12, 1 / 16, 1 / 20)
"""Of the peer's minutes: the times that ours is given, start-up and a last evaluation included; the first one that does
not reach the mark ends the search."""
OVERHEAD = 0.32
"""Minutes that these two take, about; what a process took is measured."""

OURS = """
import json, sys
from bertwright.config import PretrainRecipe
from bertwright.pretrain import pretrain
from bertwright.recipe import parse

pretrain(parse(PretrainRecipe, json.load(open(sys.argv[1]))))
"""


def main() -> None:
    """Measure what is missing and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--text", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=15.0)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--sweep-minutes", type=float, default=5.0)
    parser.add_argument("--rates", type=float, nargs="+", default=[3e-4, 1e-3])
    parser.add_argument("--folder", type=Path, default=Path("benchmarks/results/pretrain_loss"))
    parser.add_argument("--cell", help=argparse.SUPPRESS)
    given = parser.parse_args()
    store = given.folder / "store"
    if given.cell:
        print(json.dumps(train_peer(store, **json.loads(given.cell))))
        return
    prepare_store(given.text, store)
    peer, rate = min(
        ((peer, rate) for peer in PEERS for rate in given.rates),
        key=lambda choice: peer_cell(given, *choice, seed=0, minutes=given.sweep_minutes)["loss"],
    )
    print(f"the best of the peers: {peer} at {rate:g}", flush=True)
    marks = []
    for seed in range(1, given.seeds + 1):
        marks.append(peer_cell(given, peer, rate, seed=seed, minutes=given.minutes)["loss"])
        for share in SHARES:
            row = our_cell(given, seed, given.minutes * share)
            reached = row["loss"] <= marks[-1]
            told = "reaches it" if reached else "does not"
            print(f"   ours, {row['minutes']:.2f} minutes: {row['loss']:.3f} {told}", flush=True)
            if not reached:
                break
    report(given, marks)


def peer_cell(given: argparse.Namespace, peer: str, rate: float, *, seed: int, minutes: float) -> dict[str, Any]:
    """One training of a peer, in a process of its own, and its loss by our evaluation."""
    cell: Path = given.folder / f"{peer}_{rate:g}_{seed}_{minutes:g}.json"
    if not cell.exists():
        with tempfile.TemporaryDirectory(dir=given.folder) as folder:
            values = {"engine": peer, "seed": seed, "rate": rate, "minutes": minutes, "folder": folder}
            command = [sys.executable, __file__, "--text", str(given.text), "--folder", str(given.folder)]
            values["started"] = time.time()
            done = subprocess.run([*command, "--cell", json.dumps(values)], check=True, capture_output=True, text=True)
            result = {
                "minutes": (time.time() - values["started"]) / 60,
                "loss": held_out(given.folder / "store", Path(folder)),
                **json.loads(done.stdout.splitlines()[-1]),
            }
        cell.write_text(json.dumps(result) + "\n", encoding="utf-8")
        print(f"{cell.stem}: {result['loss']:.3f}, {result['steps']:,} steps", flush=True)
    return json.loads(cell.read_text(encoding="utf-8"))


def our_cell(given: argparse.Namespace, seed: int, minutes: float) -> dict[str, Any]:
    """One run of ours, from the start of its process."""
    cell: Path = given.folder / f"ours_{seed}_{minutes:.3f}.json"
    if not cell.exists():
        with tempfile.TemporaryDirectory(dir=given.folder) as folder:
            recipe = Path(folder, "recipe.json")
            values = our_recipe(given.folder / "store", Path(folder, "run"), minutes - OVERHEAD, seed)
            recipe.write_text(json.dumps(values), encoding="utf-8")
            begin = time.time()
            subprocess.run([sys.executable, "-c", OURS, str(recipe)], check=True)
            result = {
                "minutes": (time.time() - begin) / 60,
                "loss": held_out(given.folder / "store", Path(folder, "run", "best")),
            }
        cell.write_text(json.dumps(result) + "\n", encoding="utf-8")
    return json.loads(cell.read_text(encoding="utf-8"))


def our_recipe(store: Path, run: Path, minutes: float, seed: int) -> dict[str, Any]:
    """`recipes/modern-en.toml` with the shape of the peer."""
    size = {name: value for name, value in SHAPES[SHAPE].items() if name != "vocabulary_size"}
    size["inner_width"] = size["inner_width"] * 2 // 3 // 64 * 64  # gated: as many parameters
    return {
        "run": str(run),
        "store": str(store),
        "model": {"layout": "modernbert", "max_length": LENGTH, **size},
        "objective": {"masking_rate": 0.4},
        "optimizer": {"name": "muon", "matrix_learning_rate": 2e-2, "learning_rate": 2e-3, "betas": [0.9, 0.98]},
        "train": {
            "minutes": minutes,
            "batch_size": 16,
            "length": LENGTH,
            "seed": seed,
            "save_every": 0,
            "evaluate_every": 1_000_000,  # at the end only, as the peer
        },
    }


def held_out(store: Path, checkpoint: Path) -> float:
    """The loss of a checkpoint on the held-out samples: 15 % masked, always the same."""
    import torch

    from bertwright.checkpoint import load_checkpoint, load_weights
    from bertwright.config import PretrainRecipe
    from bertwright.machine import use_machine
    from bertwright.model.heads import PretrainingModel
    from bertwright.pretrain import _Data  # the loop's own evaluation
    from bertwright.recipe import parse
    from bertwright.store import Store

    values = {"run": "unused", "store": str(store), "train": {"steps": 1, "length": LENGTH}}
    recipe = parse(PretrainRecipe, values)
    loaded = load_checkpoint(checkpoint)
    model = PretrainingModel(loaded.config, pair=False).eval()
    assert load_weights(model, loaded) == []
    device = use_machine(recipe.train)
    with torch.inference_mode():
        return _Data(recipe, [(Store.open(store), 1.0)], 1).evaluate(model, device)["masked_tokens"]


def train_peer(
    store: Path, *, engine: str, seed: int, rate: float, minutes: float, folder: str, started: float
) -> dict[str, Any]:
    """The Trainer of transformers until the time is over; its schedule is fitted to its measured speed."""
    import transformers

    from bertwright.devices import has_bfloat16, tune_memory, use_threads

    setting = PEER[engine]
    if setting["allocator"]:
        tune_memory()
    use_threads(0)
    transformers.set_seed(seed)
    size = SHAPES[SHAPE]
    tokenizer = transformers.AutoTokenizer.from_pretrained(store)
    config = transformers.BertConfig(
        vocab_size=size["vocabulary_size"],
        hidden_size=size["width"],
        num_hidden_layers=size["layers"],
        num_attention_heads=size["heads"],
        intermediate_size=size["inner_width"],
        max_position_embeddings=LENGTH,
        hidden_dropout_prob=setting["dropout"],
        attention_probs_dropout_prob=setting["dropout"],
    )

    class Clock(transformers.TrainerCallback):
        """Lets the learning rate follow the clock, as ours does: linear warm-up over 6 %, then linear decay."""

        def on_step_begin(self, args: Any, state: Any, control: Any, **options: Any) -> None:
            share = min(1.0, (time.time() - started) / (60 * minutes))
            factor = share / 0.06 if share < 0.06 else (1 - share) / 0.94
            for group in options["optimizer"].param_groups:
                group["lr"] = rate * factor

        def on_step_end(self, args: Any, state: Any, control: Any, **options: Any) -> None:
            control.should_training_stop = time.time() - started > 60 * minutes

    arguments = transformers.TrainingArguments(
        output_dir=f"{folder}/trainer",
        per_device_train_batch_size=setting["rows"],
        learning_rate=rate,
        weight_decay=0.01,
        lr_scheduler_type="constant",
        max_steps=1_000_000,
        bf16=setting["bf16"] and has_bfloat16(),
        use_cpu=True,
        seed=seed,
        save_strategy="no",
        report_to=[],
        disable_tqdm=True,
        dataloader_drop_last=True,
    )
    model = transformers.BertForMaskedLM(config)
    trainer = transformers.Trainer(
        model=model,
        args=arguments,
        train_dataset=blocks(store, tokenizer.cls_token_id, tokenizer.sep_token_id),
        data_collator=transformers.DataCollatorForLanguageModeling(tokenizer, mlm_probability=0.15),
        callbacks=[Clock()],
    )
    trainer.train()
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return {"steps": trainer.state.global_step}


def prepare_store(text: Path, store: Path) -> None:
    """The text through a WordPiece tokenizer of 8,192 tokens, 1 % of its documents held out."""
    from bertwright.config import PretrainRecipe
    from bertwright.prepare import prepare
    from bertwright.recipe import parse

    if store.exists():
        return
    store.parent.mkdir(parents=True, exist_ok=True)
    corpus = {"files": [str(text)], "reader": "sentences", "held_out": 0.02}
    values = {"run": "unused", "store": str(store), "corpus": corpus, "train": {"steps": 1}}
    prepare(parse(PretrainRecipe, {**values, "tokenizer": {"vocabulary_size": 8192}}))


def report(given: argparse.Namespace, marks: list[float]) -> None:
    """How many times fewer minutes ours takes to the mark, per seed and in the median."""
    ratios = []
    for seed, mark in enumerate(marks, start=1):
        ratio = 0.0
        for share in SHARES:
            row = our_cell(given, seed, given.minutes * share)
            if row["loss"] > mark:
                break
            ratio = given.minutes / row["minutes"]
        ratios.append(ratio)
    print(f"times fewer minutes, per seed: {', '.join(f'{ratio:.1f}' for ratio in ratios)}")
    print(f"median {statistics.median(ratios):.1f} (0: the mark was not reached in a quarter of the peer's time)")


if __name__ == "__main__":
    main()
