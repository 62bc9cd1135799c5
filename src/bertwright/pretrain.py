"""Pre-training: a store, a model drawn from nothing (or the run's last checkpoint), and the one loop."""

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from bertwright.batches import Plan, Rows, SpecialTokens, permute, plan
from bertwright.checkpoint import Description, load_checkpoint, load_weights, save_checkpoint
from bertwright.config import ModelConfig, PretrainRecipe, dump_recipe, expand, load_recipe
from bertwright.errors import UserError
from bertwright.metrics import expected_first_loss
from bertwright.model.heads import PretrainingModel
from bertwright.objectives import (
    num_special,
    objective_weights,
    pretraining_answers,
    pretraining_counts,
    pretraining_losses,
    pretraining_rows,
)
from bertwright.optim import Optimizers
from bertwright.prepare import prepare
from bertwright.processes import join, leave
from bertwright.store import Store
from bertwright.tokenizer import Tokenizer
from bertwright.train import (
    Forward,
    Position,
    Progress,
    Training,
    enter_run,
    latest_checkpoint,
    resolve,
    train,
    use_machine,
)
from bertwright.watch import watch_plateau

EVALUATION_SAMPLES = 1024
"""Held-out samples that the loss is measured on, at most; always the same ones under the same masks."""

EVALUATION_SEED = 0


def pretrain(
    recipe: PretrainRecipe,
    *,
    resume: bool = False,
    progress: Progress | None = None,
    preparing: Callable[[str, int, int | None], None] | None = None,
) -> dict[str, Any]:
    """Pre-train as a recipe says; the store is prepared first if there is none. Under torchrun the work is shared.

    Args:
        recipe: what to do; with `resume`, only its `run` is read, the rest comes from the run folder.
        resume: go on with the run in `recipe.run` from its last checkpoint.
        progress: told after every step.
        preparing: told how far the preparation is (see `prepare`).

    Returns:
        The contents of results/pretrain.json.

    Raises:
        UserError: the store is missing or damaged, the run folder is taken, or the loss is no number any more.
        Interrupted: Ctrl-C or SIGTERM came; a checkpoint was saved first.
    """
    processes = join()
    with processes.leader_first():
        run, resume = enter_run(expand(recipe.run), processes, resume=resume)
        if resume:
            recipe = load_recipe(PretrainRecipe, run.recipe)
        if recipe.corpus is not None and not expand(recipe.store).exists():
            prepare(recipe, progress=preparing)
        store = Store.open(expand(recipe.store))
        tokenizer = store.tokenizer()
        recipe = _with_vocabulary(recipe, store, tokenizer)
        # Read before training: what is damaged must not come up at the end of it.
        entropy, page = store.unigram_entropy, store.page()
        device = use_machine(recipe.train)
        pair = recipe.objective.pair
        model = PretrainingModel(recipe.model, pair=pair != "none").to(device)
        data = _Data(recipe, store, tokenizer)
        losses = functools.partial(pretraining_losses, pair=pair)
        if not resume:
            settings = resolve(recipe.train, recipe.optimizer, model, losses, data.rows(0), device)
            recipe = recipe.model_copy(update={"train": settings})
            run.write_recipe(dump_recipe(recipe))
        elif checkpoint := latest_checkpoint(run):
            load_weights(model, load_checkpoint(checkpoint))
    if page is not None and processes.leads:
        run.save_result("data", page)
    model.encoder.attention_path = recipe.train.attention
    description = Description(
        config=recipe.model,
        purpose="masked_tokens" if pair == "none" else "pair",
        facts={"pair_objective": pair},
    )
    training = Training(
        model=model,
        rows=data.rows,
        batches_per_epoch=data.batches_per_epoch,
        losses=losses,
        counts=functools.partial(pretraining_counts, pair=pair),
        weights=objective_weights(recipe.objective),
        evaluate=lambda forward: data.evaluate(forward, device),
        criterion="loss",
        lower_is_better=True,
        save=lambda folder, state: save_checkpoint(folder, model, tokenizer, description, state),
        watches=[watch_plateau(entropy)],
    )
    optimizers = Optimizers(model, recipe.optimizer)
    position = train(
        training, recipe.train, optimizers, run, device=device, processes=processes, progress=progress, resume=resume
    )
    result = _result(recipe.model, model, entropy, position)
    if processes.leads:
        run.save_result("pretrain", result)
    leave()
    return result


def _result(config: ModelConfig, model: PretrainingModel, entropy: float, position: Position) -> dict[str, Any]:
    """What a run reached, beside what an untrained model and one that knows only frequencies reach."""
    return {
        "kind": "pretrain",
        "steps": position.step,
        "seconds": round(position.seconds, 1),
        "tokens": position.tokens,
        "tokens_per_second": round(position.tokens / position.seconds, 1),
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "first_loss": position.first_loss,
        "expected_first_loss": expected_first_loss(config.vocabulary_size, config.width, config.initial_deviation),
        "uniform_loss": float(np.log(config.vocabulary_size)),
        "unigram_entropy": entropy,
        "evaluation": position.evaluation,
        "best": position.best,
        "best_step": position.best_step,
    }


class _Data:
    """The global batches of a recipe, and its fixed evaluation."""

    def __init__(self, recipe: PretrainRecipe, store: Store, tokenizer: Tokenizer) -> None:
        self.recipe = recipe
        self.special = SpecialTokens.of(tokenizer)
        framing = num_special(recipe.objective.pair)
        room = recipe.train.length - framing
        self.training = plan(store, room, held_out=False)
        self.held_out = plan(store, room, held_out=True)
        wanted = int(recipe.train.batch_size * recipe.train.length / (self.training.mean_length() + framing))
        self.samples_per_batch = max(1, min(wanted, self.training.num_samples))
        # Samples that fill no batch come another time: every epoch has its own order.
        self.batches_per_epoch = max(1, self.training.num_samples // self.samples_per_batch)

    def rows(self, number: int) -> Rows:
        """Rows of global batch `number`."""
        epoch, batch = divmod(number, self.batches_per_epoch)
        places = np.arange(batch * self.samples_per_batch, (batch + 1) * self.samples_per_batch)
        seed = self.recipe.train.seed
        return self._rows(self.training, permute(places, self.training.num_samples, seed, epoch), seed, epoch)

    def _rows(self, side: Plan, samples: np.ndarray, seed: int, epoch: int) -> Rows:
        length, objective = self.recipe.train.length, self.recipe.objective
        return pretraining_rows(side, samples, objective, self.special, length=length, seed=seed, epoch=epoch)

    def evaluate(self, forward: Forward, device: torch.device) -> dict[str, float]:
        """Mean losses and accuracies on held-out samples, always under the same masks."""
        total, pair = self.held_out.num_samples, self.recipe.objective.pair
        samples = permute(np.arange(min(EVALUATION_SAMPLES, total)), total, EVALUATION_SEED)
        loss: dict[str, float] = {}
        right: dict[str, int] = {}
        count: dict[str, int] = {}
        for begin in range(0, len(samples), self.samples_per_batch):
            part = samples[begin : begin + self.samples_per_batch]
            rows = self._rows(self.held_out, part, EVALUATION_SEED, 0)
            counts = pretraining_counts(rows, pair)
            for name, (summed, correct) in pretraining_answers(forward, rows.batch(device), pair).items():
                loss[name] = loss.get(name, 0.0) + float(summed)
                right[name] = right.get(name, 0) + int(correct)
                count[name] = count.get(name, 0) + counts[name]
        means = {name: loss[name] / max(1, count[name]) for name in loss}
        weights = objective_weights(self.recipe.objective)
        result: dict[str, float] = {"loss": sum(weights[name] * mean for name, mean in means.items())}
        for name, mean in means.items():
            result |= {name: mean, f"{name}_accuracy": right[name] / max(1, count[name])}
        return result


def _with_vocabulary(recipe: PretrainRecipe, store: Store, tokenizer: Tokenizer) -> PretrainRecipe:
    """The recipe with a row in the model's embedding table for each token, if it names no number of rows itself."""
    rows = recipe.model.vocabulary_size or tokenizer.vocabulary_size
    if rows < store.vocabulary_size:
        raise UserError(
            f"the model has {rows} rows, but the tokenizer {store.vocabulary_size} tokens",
            expected="as many rows as the tokenizer has tokens, or more",
            advice="leave model.vocabulary_size out",
        )
    return recipe.model_copy(update={"model": recipe.model.model_copy(update={"vocabulary_size": rows})})
