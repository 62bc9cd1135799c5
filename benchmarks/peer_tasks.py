"""The four uses by the Trainer of transformers, on the same examples, windows and checkpoint as ours."""

import tempfile
from pathlib import Path
from typing import Any

import numpy as np

HEADS = {
    "classify": "AutoModelForSequenceClassification",
    "pair": "AutoModelForSequenceClassification",
    "tag": "AutoModelForTokenClassification",
    "qa": "AutoModelForQuestionAnswering",
}


def load_data(recipe: Any) -> Any:
    """The examples of a recipe, read, split, cleaned of overlaps and cut into windows as `finetune` does it."""
    from bertwright.checkpoint import load_checkpoint
    from bertwright.config import expand
    from bertwright.download import checkpoint_folder
    from bertwright.finetune import Examples

    start = recipe.start.model_copy(update={"vocabulary": "whole"})
    data = Examples(recipe.model_copy(update={"start": start}))
    data.encode(load_checkpoint(checkpoint_folder(expand(recipe.start.checkpoint))))
    return data


def features(data: Any, side: str) -> list[dict[str, Any]]:
    """What the collators of transformers take, one for each window."""
    from bertwright.batches import IGNORED, framed_size
    from bertwright.tasks.qa import ASKED, BEGIN, END
    from bertwright.tasks.task import lay_out

    found = []
    for window in data.windows[side]:
        length = framed_size(window.segments, data.special)
        rows = lay_out([window], data.special, length=length, samples=np.zeros(1, dtype=np.int64))
        each = {"input_ids": rows.input_ids[0].tolist(), "token_type_ids": rows.segment_ids[0].tolist()}
        if data.recipe.task == "qa":
            labels = np.where(window.labels == IGNORED, ASKED, window.labels)
            each["start_positions"] = int((labels & BEGIN).argmax())  # 0, [CLS], where there is none
            each["end_positions"] = int((labels & END).argmax())
        elif data.recipe.task == "tag":
            each["labels"] = np.where(window.labels == IGNORED, -100, window.labels).tolist()
        else:
            each["labels"] = window.target
        found.append(each)
    return found


def train_peer(recipe: Any, *, best: bool, compiled: bool = False) -> dict[str, Any]:
    """Train as long as the recipe says, with its rates; scores are computed by our metrics from the peer's logits.

    Args:
        recipe: a FinetuneRecipe by epochs.
        best: bfloat16 where the processor has it, batches of like length and our allocator settings, instead of the
            Trainer's defaults.
        compiled: torch.compile as well.

    Returns:
        Seconds of all steps, without evaluation and saving; the metrics; and the number of steps.
    """
    import torch
    import transformers

    from bertwright.config import expand
    from bertwright.devices import has_bfloat16, tune_memory, use_threads
    from bertwright.download import checkpoint_folder

    use_threads(0)
    if best:
        tune_memory()
    data = load_data(recipe)
    folder = checkpoint_folder(expand(recipe.start.checkpoint))
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    tokenizer.model_max_length = recipe.train.length
    dropout = {"hidden_dropout_prob": recipe.start.dropout, "attention_probs_dropout_prob": recipe.start.dropout}
    count = {} if recipe.task == "qa" else {"num_labels": len(data.task.labels)}
    transformers.set_seed(recipe.train.seed)
    model = getattr(transformers, HEADS[recipe.task]).from_pretrained(folder, **dropout, **count)
    collators = {"tag": transformers.DataCollatorForTokenClassification(tokenizer)}
    collate = collators.get(recipe.task, transformers.DataCollatorWithPadding(tokenizer))
    with tempfile.TemporaryDirectory() as output:
        arguments = transformers.TrainingArguments(
            output_dir=output,
            per_device_train_batch_size=recipe.train.batch_size,
            num_train_epochs=recipe.train.epochs,
            learning_rate=recipe.optimizer.learning_rate,
            weight_decay=recipe.optimizer.weight_decay,
            warmup_steps=recipe.train.warmup,
            bf16=best and has_bfloat16(),
            train_sampling_strategy="group_by_length" if best else "random",
            torch_compile=compiled,
            use_cpu=True,
            seed=recipe.train.seed,
            save_strategy="no",
            report_to=[],
            disable_tqdm=True,
        )
        trainer = transformers.Trainer(
            model=model, args=arguments, train_dataset=_listed(features(data, "train")), data_collator=collate
        )
        seconds = trainer.train().metrics["train_runtime"]
    model.eval()

    def forward(*asked: Any) -> Any:
        """Our call, their model: rows are not shared in prediction."""
        ids, segments, _, sequences, places, _ = asked
        output = model(input_ids=ids, token_type_ids=segments, attention_mask=(sequences > 0).long())
        if recipe.task == "qa":
            return torch.stack([output.start_logits, output.end_logits], dim=-1).flatten(0, 1)[places]
        return output.logits.flatten(0, 1)[places] if recipe.task == "tag" else output.logits

    sides = [side for side in data.examples if side != "train"]
    metrics = {side: data.score(forward, side, torch.device("cpu"))["metrics"] for side in sides}
    return {"seconds": seconds, "metrics": metrics, "steps": trainer.state.global_step}


def train_ours(recipe: Any) -> dict[str, Any]:
    """`finetune` itself, evaluated at the end only, like the peer.

    Returns:
        As `train_peer`. The last step, which is evaluated, too, is taken to be as long as the others.
    """
    from bertwright.finetune import finetune

    seconds: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        train = recipe.train.model_copy(update={"evaluate_every": 10**9, "save_every": 0})
        once = recipe.model_copy(update={"run": f"{folder}/run", "train": train})
        result = finetune(once, progress=lambda record: seconds.append(record["seconds"]))
    metrics = {side: result[side]["metrics"] for side in ("development", "test") if side in result}
    return {"seconds": seconds[-2] * len(seconds) / (len(seconds) - 1), "metrics": metrics, "steps": result["steps"]}


def read_recipe(path: Path, checkpoint: str, *overrides: str) -> Any:
    """A recipe from another checkpoint folder, its pooler for the sequence as in the peer, with other overrides."""
    from bertwright.config import FinetuneRecipe
    from bertwright.recipe import load_recipe

    return load_recipe(FinetuneRecipe, path, [f"start.checkpoint={checkpoint}", "start.pooling=cls", *overrides])


def _listed(rows: list[dict[str, Any]]) -> Any:
    import datasets

    return datasets.Dataset.from_list(rows)
