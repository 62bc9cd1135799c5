"""Fine-tuning: a checkpoint, labelled examples, a fresh head, and the one loop."""

from typing import Any

import numpy as np
import torch

from bertwright.batches import Rows, SpecialTokens
from bertwright.checkpoint import Checkpoint, Description, load_checkpoint, load_weights, save_checkpoint
from bertwright.config import FinetuneRecipe, expand
from bertwright.devices import DTYPES, computing_in
from bertwright.download import checkpoint_folder
from bertwright.errors import UserError
from bertwright.machine import resolve, use_machine
from bertwright.model.heads import EncoderModel
from bertwright.optim import Optimizers
from bertwright.processes import Processes, join
from bertwright.recipe import dump_recipe, load_recipe
from bertwright.run import Run
from bertwright.samples import permute
from bertwright.tasks import TASKS
from bertwright.tasks.task import Example, Task
from bertwright.train import (
    Forward,
    Position,
    Progress,
    Training,
    enter_run,
    load_last,
    train,
)
from bertwright.watch import watch_first


def finetune(recipe: FinetuneRecipe, *, resume: bool = False, progress: Progress | None = None) -> dict[str, Any]:
    """Fine-tune as a recipe says.

    Args:
        recipe: what to do; with `resume`, only its `run` is read, the rest comes from the run folder.
        resume: go on with the run in `recipe.run` from its last checkpoint.
        progress: told after every step.

    Returns:
        The contents of results/finetune.json.

    Raises:
        UserError: the checkpoint or the data are missing, damaged or do not fit together.
        Interrupted: Ctrl-C or SIGTERM came; a checkpoint was saved first.
    """
    processes = join()
    with enter_run(expand(recipe.run), processes, resume=resume) as (run, goes_on):
        return _finetune(recipe, run, processes, goes_on, progress)


def _finetune(
    recipe: FinetuneRecipe, run: Run, processes: Processes, resume: bool, progress: Progress | None
) -> dict[str, Any]:
    """Fine-tune in a run folder."""
    with processes.leader_first():
        if resume or not processes.leads:  # the others find in the folder what the first one has chosen
            recipe = load_recipe(FinetuneRecipe, run.recipe)
        task = TASKS[recipe.task]
        data = _Data(task, recipe)
        start = load_checkpoint(checkpoint_folder(expand(recipe.start.checkpoint)))
        data.encode(start, recipe.train.length)
        device = use_machine(recipe.train)
        model, fresh = _model(task, recipe, start, len(data.labels))
        model.to(device)
        load_last(run, model)
        if processes.leads and not resume:
            settings = resolve(recipe.train, recipe.optimizer, model, task.losses, data.rows(0), device)
            recipe = recipe.model_copy(update={"train": settings})
            run.write_recipe(dump_recipe(recipe))
    model.encoder.attention_path = recipe.train.attention
    description = Description(
        config=start.config.model_copy(update={"dropout": recipe.start.dropout}),
        family=start.family,
        purpose=task.purpose(start.config, recipe.start),
        facts={"task": recipe.task, "pooling": recipe.start.pooling, "length": recipe.train.length},
        labels=data.labels,
    )
    training = Training(
        model=model,
        rows=data.rows,
        batches_per_epoch=data.batches_per_epoch,
        losses=task.losses,
        counts=task.counts,
        weights={"classes": 1.0},
        evaluate=lambda forward: data.score(forward, "development", device)["metrics"],
        criterion=task.criterion,
        lower_is_better=False,
        save=lambda folder, state: save_checkpoint(folder, model, start.tokenizer, description, state),
        watches=[watch_first(run.moves() if resume else [])],
    )
    position = train(
        training,
        recipe.train,
        Optimizers(model, recipe.optimizer, DTYPES[recipe.train.dtype]),
        run,
        device=device,
        processes=processes,
        progress=progress,
        resume=resume,
    )

    def result_of_best() -> dict[str, Any]:
        load_weights(model, load_checkpoint(run.best))
        model.eval()
        result = data.result(computing_in(model, DTYPES[recipe.train.dtype]), fresh, position, device)
        run.save_result("finetune", result)
        return result

    return processes.of_leader(result_of_best)


class _Data:
    """The examples of a recipe, their batches and their scores."""

    def __init__(self, task: Task, recipe: FinetuneRecipe) -> None:
        self.task, self.recipe = task, recipe
        files = {"train": recipe.data.train, "development": recipe.data.development, "test": recipe.data.test}
        self.examples: dict[str, list[Example]] = {
            side: task.read(expand(file), recipe.data.text_column, recipe.data.label_column)
            for side, file in files.items()
            if file is not None
        }
        self.labels = task.label_names(self.examples["train"])
        # Checked for all sides now: a label that training never sees must not come up after an hour.
        self.numbers = {side: task.label_numbers(examples, self.labels) for side, examples in self.examples.items()}
        self.size = min(recipe.train.batch_size, len(self.examples["train"]))
        self.batches_per_epoch = len(self.examples["train"]) // self.size

    def encode(self, start: Checkpoint, length: int) -> None:
        """Turn all texts into ids, once."""
        if length > start.config.max_length:
            raise UserError(
                f"train.length is {length}",
                expected=f"at most {start.config.max_length}, the positions of {start.folder}",
                advice=f"set train.length={start.config.max_length}",
            )
        self.special = SpecialTokens.of(start.tokenizer)
        self.sequences, self.num_truncated = {}, {}
        for side, examples in self.examples.items():
            texts = [example.text for example in examples]
            self.sequences[side], self.num_truncated[side] = self.task.encode(start.tokenizer, texts, length)

    def rows(self, number: int) -> Rows:
        """Rows of global batch `number`."""
        epoch, batch = divmod(number, self.batches_per_epoch)
        places = np.arange(batch * self.size, (batch + 1) * self.size)
        samples = permute(places, len(self.examples["train"]), self.recipe.train.seed, epoch)
        length = self.recipe.train.length
        return self.task.rows(self.sequences["train"], self.numbers["train"], samples, self.special, length)

    def score(self, forward: Forward, side: str, device: torch.device) -> dict[str, Any]:
        """Scores of the development or test examples."""
        shares = self.task.probabilities(forward, self.sequences[side], self.special, device=device)
        return self.task.scores(self.examples[side], shares, self.labels)

    def result(self, forward: Forward, fresh: list[str], position: Position, device: torch.device) -> dict[str, Any]:
        """What a run reached, and from what.

        Args:
            forward: of the best model.
            fresh: names of the parameters that did not come from the checkpoint.
            position: at the end of the run.
            device: where to compute.
        """
        start = self.recipe.start
        return {
            "kind": self.recipe.task,
            "start": {"checkpoint": start.checkpoint, "weights": start.weights, "fresh": fresh},
            "labels": self.labels,
            "examples": {side: len(examples) for side, examples in self.examples.items()},
            "num_truncated": self.num_truncated,
            "overlaps": self.overlaps(),
            "steps": position.step,
            "seconds": round(position.seconds, 1),
            "best_step": position.best_step,
            **{side: self.score(forward, side, device) for side in ("development", "test") if side in self.examples},
        }

    def overlaps(self) -> dict[str, int]:
        """How many development and test texts stand in the training data too: they flatter the scores."""
        known = {example.text.strip() for example in self.examples["train"]}
        return {
            side: sum(example.text.strip() in known for example in examples)
            for side, examples in self.examples.items()
            if side != "train"
        }


def _model(task: Task, recipe: FinetuneRecipe, start: Checkpoint, num_classes: int) -> tuple[EncoderModel, list[str]]:
    """The task's model on a checkpoint, and the names of its parameters that the checkpoint does not have."""
    config = start.config.model_copy(update={"dropout": recipe.start.dropout})
    model = task.model(config, num_classes, recipe.start.pooling)
    if recipe.start.weights == "random":
        return model, [name for name, _ in model.named_parameters()]
    return model, load_weights(model, start)
