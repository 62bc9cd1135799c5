"""Pre-training: a store, a model drawn from nothing (or the run's last checkpoint), and the one loop."""

import functools
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from bertwright.batches import IGNORED, Rows, SpecialTokens
from bertwright.checkpoint import Description, load_checkpoint, save_checkpoint
from bertwright.config import ModelConfig, PretrainRecipe, expand
from bertwright.devices import DTYPES, computing_in, require_room
from bertwright.download import checkpoint_folder
from bertwright.errors import UserError
from bertwright.machine import resolve, use_machine
from bertwright.metrics import expected_first_loss
from bertwright.model.heads import PretrainingModel
from bertwright.objectives import (
    framing,
    objective_weights,
    pretraining_answers,
    pretraining_counts,
    pretraining_losses,
    pretraining_rows,
)
from bertwright.optim import Optimizers
from bertwright.prepare import check_settings, prepare
from bertwright.processes import Processes, join
from bertwright.recipe import dump_recipe, load_recipe
from bertwright.run import Run
from bertwright.samples import Mixture, by_language, mix
from bertwright.start import load_start, with_model
from bertwright.store import PAGE, Store, entropy
from bertwright.tokenizer import Tokenizer
from bertwright.train import (
    Forward,
    Position,
    Progress,
    Training,
    enter_run,
    latest_checkpoint,
    load_last,
    train,
)
from bertwright.watch import watch_first, watch_plateau

EVALUATION_SAMPLES = 1024
"""Held-out samples that the loss is measured on, at most; always the same ones under the same masks."""

LANGUAGE_SAMPLES = 32
"""Of a single language, at least, where there are several."""

EVALUATION_SEED = 0

POOLED_BATCHES = 8
"""Batches that are packed together: among so many samples there is one for nearly every gap in a row."""

ENTROPY_SAMPLES = 10_000
"""Samples that the unigram entropy of a mixture is estimated from, at most."""


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
    with enter_run(expand(recipe.run), processes, resume=resume) as (run, goes_on):
        return _pretrain(recipe, run, processes, goes_on, progress, preparing)


def _pretrain(
    recipe: PretrainRecipe,
    run: Run,
    processes: Processes,
    resume: bool,
    progress: Progress | None,
    preparing: Callable[[str, int, int | None], None] | None,
) -> dict[str, Any]:
    """Pre-train in a run folder."""
    with processes.leader_first():
        if resume or not processes.leads:  # the others find in the folder what the first one has chosen
            recipe = load_recipe(PretrainRecipe, run.recipe)
        data = _Data(recipe, _stores(recipe, preparing), processes.size)
        begins_anew = processes.leads and latest_checkpoint(run) is None
        start = (
            load_checkpoint(checkpoint_folder(expand(recipe.start.checkpoint)))
            if recipe.start and begins_anew
            else None
        )
        recipe = with_model(recipe, data.tokenizer, start)
        device = use_machine(recipe.train)
        pair = recipe.objective.pair
        require_room(num_parameters(recipe.model, pair), device)
        model = PretrainingModel(recipe.model, pair=pair != "none").to(device)
        losses = functools.partial(pretraining_losses, pair=pair)
        origin = start or load_last(run, model)
        if start is not None:
            run.save_result("start", load_start(model, start, data.tokenizer))
        if processes.leads and not resume:
            settings = resolve(recipe.train, recipe.optimizer, model, losses, data.rows(0), device)
            recipe = recipe.model_copy(update={"train": settings})
            run.write_recipe(dump_recipe(recipe))
            data.save_pages(run)
    model.encoder.attention_path = recipe.train.attention
    description = Description(
        config=recipe.model,
        family=origin.family if origin is not None else recipe.model.layout,
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
        save=lambda folder, state: save_checkpoint(folder, model, data.tokenizer, description, state),
        watches=[
            watch_first(run.moves() if resume else data.warnings()),
            watch_plateau(data.unigram_entropy, _ways_out(recipe)),
        ],
    )
    optimizers = Optimizers(model, recipe.optimizer, DTYPES[recipe.train.dtype])
    position = train(
        training, recipe.train, optimizers, run, device=device, processes=processes, progress=progress, resume=resume
    )
    result = _result(recipe, model, data.unigram_entropy, position)
    if processes.leads:
        run.save_result("pretrain", result)  # before anything else is read that could be damaged
    forward = computing_in(model.eval(), DTYPES[recipe.train.dtype])
    result["languages"] = processes.of_leader(lambda: data.evaluate_languages(forward, device))
    if processes.leads:
        run.save_result("pretrain", result)
    return result


def num_parameters(config: ModelConfig, pair: str) -> int:
    """Parameters of a model, which is not built for it."""
    with torch.device("meta"):
        return sum(parameter.numel() for parameter in PretrainingModel(config, pair=pair != "none").parameters())


def _result(recipe: PretrainRecipe, model: PretrainingModel, entropy: float, position: Position) -> dict[str, Any]:
    """What a run reached, beside what an untrained model and one that knows only frequencies reach."""
    config = recipe.model
    untrained = expected_first_loss(config.vocabulary_size, config.width, config.initial_deviation)
    return {
        "kind": "pretrain",
        "steps": position.step,
        "seconds": round(position.seconds, 1),
        "tokens": position.tokens,
        "tokens_per_second": round(position.tokens / position.seconds, 1),
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "first_loss": position.first_loss,
        "expected_first_loss": untrained if recipe.start is None else None,
        "uniform_loss": float(np.log(config.vocabulary_size)),
        "unigram_entropy": entropy,
        "evaluation": position.evaluation,
        "best": position.best,
        "best_step": position.best_step,
    }


class _Data:
    """The global batches of a recipe, with a row for each process at least, and its fixed evaluation."""

    def __init__(self, recipe: PretrainRecipe, stores: list[tuple[Store, float]], processes: int) -> None:
        self.recipe = recipe
        self.processes = processes
        self.stores = [store for store, _ in stores]
        self.tokenizer = self.stores[0].tokenizer()
        self.special = SpecialTokens.of(self.tokenizer)
        framed = framing(recipe.objective.pair, self.special)
        room, temperature = recipe.train.length - framed, recipe.mixture.language_temperature
        self.training = mix(stores, room, held_out=False, temperature=temperature)
        self.held_out = mix(stores, room, held_out=True, temperature=temperature)
        wanted = int(recipe.train.batch_size * recipe.train.length / (self.training.mean_length + framed))
        self.samples_per_batch = max(1, min(wanted, self.training.round))
        self.batches_per_epoch = max(1, self.training.round // self.samples_per_batch)
        # Read before training: what is damaged must not come up at the end of it.
        self.unigram_entropy = _unigram_entropy(self.training, self.tokenizer)
        some = self._rows(self.held_out, np.arange(min(100, self.held_out.round)), EVALUATION_SEED)
        if (some.labels == IGNORED).all():
            raise UserError(
                "the held-out records are so short that none of their tokens is masked",
                file=self.stores[0].folder,
                expected="held-out text to measure the loss on",
                advice="more text, or a larger corpus.held_out; remove the store, and prepare it again",
            )
        self._pool: tuple[int, Rows] | None = None
        self._pages = [(store.folder.name, store.added(PAGE)) for store in self.stores]
        if recipe.objective.pair != "none":
            _require_pairs(self._rows(self.training, np.arange(min(1000, self.training.round)), recipe.train.seed))

    def save_pages(self, run: Run) -> None:
        """Keep what doctor said of the stores with the run."""
        for number, (name, page) in enumerate(self._pages, start=1):
            if page is not None:  # folders of two stores may have the same name
                run.save_result("data" if len(self._pages) == 1 else f"data-{number}-{name}", page)

    def warnings(self) -> list[str]:
        """What doctor warned of when the stores were prepared, such as duplicates."""
        pages = [page for _, page in self._pages if page is not None]
        return [each["text"] for page in pages for each in page["warnings"] if each["level"] == "warning"]

    def rows(self, number: int) -> Rows:
        """Rows of global batch `number`: of several batches that are packed together, every so many-th row."""
        pool, place = divmod(number, POOLED_BATCHES)
        if self._pool is None or self._pool[0] != pool:  # kept, since the next batch is most likely of the same pool
            size = POOLED_BATCHES * self.samples_per_batch
            draws = np.arange(pool * size, (pool + 1) * size)
            self._pool = pool, self._rows(self.training, draws, self.recipe.train.seed)
        rows = self._pool[1]
        batches = max(1, min(POOLED_BATCHES, len(rows.input_ids) // self.processes))  # of small ones there may be fewer
        return rows.part(place % batches, batches)

    def _rows(self, side: Mixture, draws: np.ndarray, seed: int) -> Rows:
        length, objective = self.recipe.train.length, self.recipe.objective
        return pretraining_rows(side, draws, objective, self.special, length=length, seed=seed)

    def evaluate(self, forward: Forward, device: torch.device) -> dict[str, float]:
        """Mean losses and accuracies on held-out samples, always under the same masks."""
        return self._evaluate(forward, device, self.held_out, EVALUATION_SAMPLES)

    def evaluate_languages(self, forward: Forward, device: torch.device) -> dict[str, float]:
        """The loss of masked tokens on held-out samples of each language; nothing where there is but one."""
        parts = by_language(self.stores, self.held_out.plans[0].room, held_out=True)
        most = max(LANGUAGE_SAMPLES, EVALUATION_SAMPLES // len(parts))
        if len(parts) == 1:
            return {}
        with torch.inference_mode():
            found = {name: self._evaluate(forward, device, part, most) for name, part in parts.items()}
        return {name: losses["masked_tokens"] for name, losses in found.items() if "masked_tokens" in losses}

    def _evaluate(self, forward: Forward, device: torch.device, side: Mixture, most: int) -> dict[str, float]:
        samples, pair = np.arange(min(most, side.round)), self.recipe.objective.pair
        loss: dict[str, float] = {}
        right: dict[str, int] = {}
        count: dict[str, int] = {}
        for begin in range(0, len(samples), self.samples_per_batch):
            rows = self._rows(side, samples[begin : begin + self.samples_per_batch], EVALUATION_SEED)
            counts = pretraining_counts(rows, pair)
            for name, (summed, correct) in pretraining_answers(forward, rows.batch(device), pair).items():
                loss[name] = loss.get(name, 0.0) + float(summed)
                right[name] = right.get(name, 0) + int(correct)
                count[name] = count.get(name, 0) + counts[name]
        weights = objective_weights(self.recipe.objective)
        means = {name: loss[name] / count[name] for name in loss if count[name]}
        result: dict[str, float] = {"loss": sum(weights[name] * mean for name, mean in means.items())}
        for name, mean in means.items():
            result |= {name: mean, f"{name}_accuracy": right[name] / count[name]}
        return result


def _stores(
    recipe: PretrainRecipe, preparing: Callable[[str, int, int | None], None] | None
) -> list[tuple[Store, float]]:
    """The stores of a recipe with their shares; the one of its corpus is prepared if it is missing.

    Raises:
        UserError: a store is missing or damaged, it was prepared with other settings, or two have different tokenizers.
    """
    if recipe.store is not None:
        folder = expand(recipe.store)
        if recipe.corpus is not None and not folder.exists():
            prepare(recipe, progress=preparing)
        store = Store.open(folder)
        check_settings(store, recipe)
        return [(store, 1.0)]
    stores = [(Store.open(expand(folder)), share) for folder, share in recipe.mixture.stores.items()]
    first = stores[0][0]
    for store, _ in stores:
        if store.tokenizer_hash != first.tokenizer_hash:
            raise UserError(
                f"this store and {first.folder} have different tokenizers",
                file=store.folder,
                expected="stores of one tokenizer",
                advice=f"prepare it with tokenizer.folder={first.folder}",
            )
    return stores


def _unigram_entropy(mixture: Mixture, tokenizer: Tokenizer) -> float:
    """Entropy of the tokens in nats: the loss that frequencies alone leave to a model.

    Of several stores or languages it is that within each of them, in the mean, as a model tells them apart long before
    it knows any of their words; it is estimated from some of the samples (Miller 1955).
    """
    if len(mixture.plans) == len(mixture.plans[0].store.languages) == 1:
        return mixture.plans[0].store.unigram_entropy
    tokens: defaultdict[tuple[Path, int], list[np.ndarray]] = defaultdict(list)
    which, samples = mixture.draw(np.arange(min(ENTROPY_SAMPLES, mixture.round)), EVALUATION_SEED)
    for number, plan in enumerate(mixture.plans):
        documents, begins, ends = plan.pieces(samples[which == number])
        languages = plan.store.documents["language"][documents]
        for language, begin, end in zip(languages.tolist(), begins.tolist(), ends.tolist(), strict=True):
            tokens[plan.store.folder, language].append(plan.store.tokens(begin, end))
    counts = [np.bincount(np.concatenate(each), minlength=tokenizer.vocabulary_size) for each in tokens.values()]
    entropies = [entropy(each) + (np.count_nonzero(each) - 1) / (2 * each.sum()) for each in counts]
    return float(np.average(entropies, weights=[each.sum() for each in counts]))


def _ways_out(recipe: PretrainRecipe) -> list[str]:
    """Settings that leave the plateau of frequencies sooner than those of a recipe (see experiments/LOG.md)."""
    ways = []
    if recipe.model.layout == "bert" and recipe.objective.pair == "none":
        ways.append('model.layout="modernbert"')
    if recipe.optimizer.name == "adamw":
        ways.append('optimizer.name="muon"')
    return ways


def _require_pairs(rows: Rows) -> None:
    if (rows.sequence_labels == IGNORED).all():
        raise UserError(
            f"none of {len(rows.sequence_labels):,} samples makes a pair: no segment begins within them",
            expected="documents of several sentences",
            advice='corpus.split_sentences=true, corpus.reader="sentences", or objective.pair=none',
        )
