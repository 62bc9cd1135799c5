"""Fine-tuning: a checkpoint, labelled examples, a fresh head, and the one loop."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from bertwright.adversarial import adversary
from bertwright.batches import Rows, SpecialTokens, fitting_length, framed_size
from bertwright.checkpoint import Checkpoint, Description, load_checkpoint, load_weights, save_checkpoint
from bertwright.config import ExamplesSettings, FinetuneRecipe, expand
from bertwright.corpus import held_out_hash
from bertwright.devices import DTYPES, computing_in
from bertwright.download import checkpoint_folder
from bertwright.errors import UserError
from bertwright.machine import resolve, use_machine
from bertwright.metrics import LOWER_IS_BETTER
from bertwright.model.heads import EncoderModel
from bertwright.optim import Optimizers
from bertwright.processes import Processes, join
from bertwright.recipe import dump_recipe, load_recipe
from bertwright.run import Run
from bertwright.samples import permute
from bertwright.start import TABLE, UsedVocabulary
from bertwright.tasks import TASKS
from bertwright.tasks.task import Example, Task, compute, drawn, lay_out, num_windowed, read_all
from bertwright.train import (
    Forward,
    Position,
    Progress,
    Training,
    enter_run,
    latest_checkpoint,
    train,
)
from bertwright.watch import watch_first


@dataclass(frozen=True)
class Given:
    """Examples that are at hand, in place of the files that a recipe names."""

    sides: dict[str, list[Example]]
    """Of training, and of development and test where there are any."""
    known: list[Example]
    """What the task learns its labels from: the training examples and maybe others."""


def finetune(
    recipe: FinetuneRecipe, *, resume: bool = False, progress: Progress | None = None, given: Given | None = None
) -> dict[str, Any]:
    """Fine-tune as a recipe says.

    Args:
        recipe: what to do; with `resume`, only its `run` is read, the rest comes from the run folder.
        resume: go on with the run in `recipe.run` from its last checkpoint.
        progress: told after every step.
        given: examples to use instead of the recipe's files.

    Returns:
        The contents of results/finetune.json.

    Raises:
        UserError: the checkpoint or the data are missing, damaged or do not fit together.
        Interrupted: Ctrl-C or SIGTERM came; a checkpoint was saved first.
    """
    processes = join()
    with enter_run(expand(recipe.run), processes, resume=resume) as (run, goes_on):
        return _finetune(recipe, run, processes, goes_on, progress, given)


def _finetune(
    recipe: FinetuneRecipe,
    run: Run,
    processes: Processes,
    resume: bool,
    progress: Progress | None,
    given: Given | None,
) -> dict[str, Any]:
    """Fine-tune in a run folder."""
    with processes.leader_first():
        if resume or not processes.leads:  # the others find in the folder what the first one has chosen
            recipe = load_recipe(FinetuneRecipe, run.recipe)
        data = Examples(recipe, given)
        start = load_checkpoint(checkpoint_folder(expand(recipe.start.checkpoint)))
        vocabulary = data.encode(start)
        device = use_machine(recipe.train)
        model, fresh = _model(recipe, data, vocabulary.pruned(start))
        model.to(device)
        if last := latest_checkpoint(run):
            load_weights(model, vocabulary.pruned(load_checkpoint(last)))
        if processes.leads and not resume:
            settings = resolve(recipe.train, recipe.optimizer, model, data.task.losses, data.rows(0), device)
            recipe = recipe.model_copy(update={"train": settings})
            run.write_recipe(dump_recipe(recipe))
    model.encoder.attention_path = recipe.train.attention
    tricks = recipe.tricks
    training = Training(
        model=model,
        rows=data.rows,
        batches_per_epoch=data.batches_per_epoch,
        losses=data.task.losses,
        counts=data.task.counts,
        weights=data.task.weights,
        evaluate=lambda forward: data.score(forward, "development", device, settle=True)["metrics"],
        criterion=data.metric,
        lower_is_better=data.metric in LOWER_IS_BETTER,
        save=lambda folder, state: save_checkpoint(
            folder, model, start.tokenizer, data.description(start), state, whole=vocabulary.restored(model)
        ),
        watches=[watch_first(run.moves() if resume else [])],
        adversary=adversary(model, tricks),
        average_decay=tricks.average_decay,
    )
    position = train(
        training,
        recipe.train,
        Optimizers(model, recipe.optimizer, DTYPES[recipe.train.dtype], layer_decay=tricks.layer_decay),
        run,
        device=device,
        processes=processes,
        progress=progress,
        resume=resume,
    )

    def result_of_best() -> dict[str, Any]:
        best = load_checkpoint(run.best)
        load_weights(model, vocabulary.pruned(best))
        data.task.learnt = best.facts["learnt"]
        model.eval()
        result = data.result(computing_in(model, DTYPES[recipe.train.dtype]), fresh, position, device)
        run.save_result("finetune", result)
        return result

    return processes.of_leader(result_of_best)


def _model(recipe: FinetuneRecipe, data: "Examples", start: Checkpoint) -> tuple[EncoderModel, list[str]]:
    """The task's model on a checkpoint, and the names of its parameters that the checkpoint does not have.

    The checkpoint's own classifier is taken over only if it answers the same question.
    """
    task = data.task
    model = task.model(start.config.model_copy(update={"dropout": recipe.start.dropout}), recipe.start.pooling)
    model.dropout_samples = recipe.tricks.dropout_samples
    if recipe.start.weights == "random":
        return model, [name for name, _ in model.named_parameters()]
    if start.facts.get("task") != recipe.task or (start.labels or []) != task.labels:
        weights = {name: weight for name, weight in start.weights.items() if not name.startswith("classifier")}
        start = replace(start, weights=weights)
    if recipe.start.weights != "reembedded":
        return model, load_weights(model, start)
    fresh = load_weights(
        model, replace(start, weights={name: each for name, each in start.weights.items() if name != TABLE})
    )
    with torch.no_grad():  # of the size that the other weights expect: positions and segments are added to it
        table = model.get_parameter(TABLE)
        table *= start.weights[TABLE].std() / table.std()
    return model, fresh


class Examples:
    """The examples of a recipe, their windows, their batches and their scores."""

    def __init__(self, recipe: FinetuneRecipe, given: Given | None = None) -> None:
        self.recipe = recipe
        self.task = TASKS[recipe.task](recipe.data.reading)
        sides = given.sides if given is not None else read_files(self.task, recipe.data)
        self.examples, self.overlaps = parted(self.task, recipe.data, sides)
        self.task.learn(given.known if given is not None else sides["train"])  # before some of them are held out
        for examples in self.examples.values():  # before an hour of training
            self.task.check(examples)
        self.task.measure(self.examples["train"])
        self.task.use(recipe.tricks, self.examples["train"])
        self.metric = recipe.data.metric or self.task.metric_names[0]
        if self.metric not in self.task.metric_names:
            raise UserError(
                f"data.metric is {self.metric!r}",
                expected=f"one of {', '.join(self.task.metric_names)}",
                advice="choose one of them, or leave it out",
            )

    def encode(self, start: Checkpoint) -> UsedVocabulary:
        """Turn all texts into windows of ids, once; returns the vocabulary that training sees."""
        length, special = self.recipe.train.length, SpecialTokens.of(start.tokenizer)
        check_length(length, start)
        every = (text for examples in self.examples.values() for example in examples for text in example.texts)
        self.task.notices += start.tokenizer.spelling.told_of(every)
        self.windows = {
            side: self.task.windows(start.tokenizer, special, examples, length)
            for side, examples in self.examples.items()
        }
        self.num_windowed = {side: num_windowed(windows) for side, windows in self.windows.items()}
        self.windows["train"] = self.task.trained_on(self.windows["train"])
        self.batches_per_epoch = -(-len(self.windows["train"]) // self.recipe.train.batch_size)
        # A model drawn anew draws all rows.
        whole = self.recipe.start.vocabulary == "whole" or self.recipe.start.weights == "random"
        segments = [window.segments for windows in self.windows.values() for window in windows]
        vocabulary = UsedVocabulary.of(segments, special, start, whole=whole)
        self.special = vocabulary.special
        for windows in self.windows.values():
            windows[:] = [replace(window, segments=vocabulary.numbered(window.segments)) for window in windows]
        return vocabulary

    def rows(self, number: int) -> Rows:
        """Rows of global batch `number`, as long as suits them, at most train.length.

        An epoch's windows are spread evenly over its batches.
        """
        epoch, batch = divmod(number, self.batches_per_epoch)
        begin, end = (each * len(self.windows["train"]) // self.batches_per_epoch for each in (batch, batch + 1))
        samples = permute(np.arange(begin, end), len(self.windows["train"]), self.recipe.train.seed, epoch)
        chosen = [self.windows["train"][sample] for sample in samples]
        sizes = np.array([framed_size(window.segments, self.special) for window in chosen])
        length = fitting_length(sizes, self.recipe.train.length)
        return lay_out(chosen, self.special, length=length, samples=samples)

    def score(self, forward: Forward, side: str, device: torch.device, *, settle: bool = False) -> dict[str, Any]:
        """Scores of the development or test examples; with `settle`, what they are to choose is chosen first."""
        scores = compute(forward, self.windows[side], self.special, device)
        answers = self.task.answers(self.examples[side], self.windows[side], scores)
        if settle:
            self.task.settle(self.examples[side], answers)
        return self.task.scores(self.examples[side], answers)

    def description(self, start: Checkpoint) -> Description:
        """What a checkpoint says of itself."""
        recipe = self.recipe
        return Description(
            config=start.config.model_copy(update={"dropout": recipe.start.dropout}),
            family=start.family,
            purpose=self.task.purpose(start.config, recipe.start.pooling),
            facts={
                "task": recipe.task,
                "pooling": recipe.start.pooling,
                "length": recipe.train.length,
                "data": recipe.data.reading.model_dump(),
                "learnt": self.task.learnt,
            },
            labels=self.task.labels or None,
            problem=self.task.problem,
        )

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
            "labels": self.task.labels,
            "metric": self.metric,
            "examples": {side: len(examples) for side, examples in self.examples.items()},
            "num_windowed": self.num_windowed,
            "num_ignored": self.task.ignored,
            "overlaps": self.overlaps,
            "overlaps_dropped": self.recipe.data.drop_overlaps,
            "notices": self.task.notices,
            "steps": position.step,
            "seconds": round(position.seconds, 1),
            "best_step": position.best_step,
            **{side: self.score(forward, side, device) for side in ("development", "test") if side in self.examples},
        }


def check_length(length: int, start: Checkpoint) -> None:
    """See that an encoder reads so many tokens at once.

    Raises:
        UserError: it has fewer positions.
    """
    if length > start.config.max_length:
        raise UserError(
            f"train.length is {length}",
            expected=f"at most {start.config.max_length}, the positions of {start.folder}",
            advice=f"set train.length={start.config.max_length}",
        )


def read_files(task: Task, settings: ExamplesSettings) -> dict[str, list[Example]]:
    """The examples of the files that a recipe names.

    Raises:
        UserError: one cannot be read.
    """
    files = {"train": settings.train, "development": settings.development, "test": settings.test}
    return {side: read_all(task, expand(file)) for side, file in files.items() if file is not None}


def parted(
    task: Task, settings: ExamplesSettings, given: dict[str, list[Example]]
) -> tuple[dict[str, list[Example]], dict[str, int]]:
    """The examples of each side, and how many of the development and of the test examples stand in training, too.

    Without a development side, some of the training examples become one. Of the others no more are kept than the
    settings say. Examples that stand in training, too, flatter the scores, and are dropped, unless the settings keep
    them. A test example must not stand among those that choose the checkpoint, either.

    Raises:
        UserError: nothing is left of a side.
    """
    files = {"train": settings.train, "development": settings.development, "test": settings.test}
    sides = dict(given)
    if "development" not in sides:
        held_out = [held_out_hash(task.group(each).encode(), settings.development_share) for each in sides["train"]]
        marked = list(zip(sides["train"], held_out, strict=True))
        sides["train"] = [example for example, out in marked if not out]
        sides["development"] = [example for example, out in marked if out]
    if settings.train_examples is not None:
        sides["train"] = drawn(sides["train"], task.key, settings.train_examples)
    known = {task.key(example) for example in sides["train"]}
    overlaps = {}
    for side in ("development", "test"):
        if side in sides:
            fresh = [example for example in sides[side] if task.key(example) not in known]
            overlaps[side] = len(sides[side]) - len(fresh)
            known |= {task.key(example) for example in fresh}
            if settings.drop_overlaps:
                sides[side] = fresh
    for side, examples in sides.items():
        if not examples:
            raise UserError(
                f"there are no {side} examples{' that are not in the training data' if overlaps.get(side) else ''}",
                expected="at least one",
                advice="check the files, data.ignored_labels and data.development_share",
                file=files[side],
            )
    return sides, overlaps
