"""The one loop that every training goes through: pre-training and all tasks.

What differs between them is in `Training`: how a global batch is made, what its losses are, how the model is evaluated
and how a checkpoint is written. Stepping, logging, saving, resuming and stopping are here.
"""

import functools
import math
import signal
import threading
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from bertwright.batches import Batch, Rows
from bertwright.checkpoint import Checkpoint, load_checkpoint, load_weights, read_state
from bertwright.clock import Clock
from bertwright.config import TrainSettings
from bertwright.devices import DTYPES, computing_in
from bertwright.errors import Interrupted, UserError
from bertwright.optim import Average, Optimizers, schedule
from bertwright.processes import Engine, Processes, without_sum
from bertwright.run import Run, remove_folder
from bertwright.samples import hashed
from bertwright.track import tensorboard
from bertwright.watch import Watch, watch_gradients

Forward = Callable[..., Any]
"""A model's forward pass, perhaps in another number format than its weights."""

Losses = dict[str, Tensor]
"""Per objective: the loss summed over its predictions."""

Progress = Callable[[dict[str, Any]], None]
"""Told after every step: the log's record, with `progress` (share of the run that is over) and `seconds_left`."""


@dataclass(frozen=True)
class Training:
    """What one kind of training is made of."""

    model: nn.Module
    rows: Callable[[int], Rows]
    """Number of the global batch, from 0 -> its rows, a function of this number alone."""
    batches_per_epoch: int
    losses: Callable[[Forward, Batch], Losses]
    counts: Callable[[Rows], dict[str, int]]
    """Over how many predictions each loss is a sum."""
    weights: dict[str, float]
    """Weight of each objective's mean loss in the total."""
    evaluate: Callable[[Forward], dict[str, float]]
    criterion: str
    """The entry of an evaluation that chooses the best checkpoint."""
    lower_is_better: bool
    save: Callable[[Path, dict[str, Any] | None], None]
    """Write a checkpoint folder, with this state for going on or without one."""
    watches: Sequence[Watch] = ()
    """What to look out for, beside exploding gradients."""
    adversary: Callable[[Callable[[], dict[str, float]]], dict[str, float]] | None = None
    """Called when the gradients of a batch are known, with a function that adds those of one more pass and returns its
    mean losses; returns those of the last pass that it has made."""
    average_decay: float = 0.0
    """Of the average of the weights that is evaluated and kept in their place; 0: the weights themselves."""


@dataclass
class Position:
    """How far a run is: all that is needed to go on, beside weights and optimizer."""

    step: int = 0
    seconds: float = 0.0
    best: float | None = None
    best_step: int | None = None
    evaluations: int = 0
    evaluation_seconds: float = 0.0
    """That the last one took."""
    first_loss: float | None = None
    tokens: int = 0
    evaluation: dict[str, float] = field(default_factory=dict)
    """The last one."""


def train(
    training: Training,
    settings: TrainSettings,
    optimizers: Optimizers,
    run: Run,
    *,
    device: torch.device,
    processes: Processes = Processes(),  # noqa: B008  (frozen)
    progress: Progress | None = None,
    resume: bool = False,
) -> Position:
    """Train until the run is over.

    Args:
        training: what is trained.
        settings: with dtype and device chosen, not "auto".
        optimizers: over the parameters of `training.model`.
        run: the folder; log, checkpoints and best/ are written there.
        device: where to compute.
        processes: that train together.
        progress: told after every step.
        resume: go on from the last checkpoint, if there is one.

    Raises:
        UserError: the loss is no number any more; the last good checkpoint is named.
        Interrupted: Ctrl-C or SIGTERM came; a checkpoint was saved first.
    """
    forward = computing_in(training.model, DTYPES[settings.dtype])
    engine = processes.engine(training.model, functools.partial(training.losses, forward))
    average = Average(training.model, training.average_decay) if training.average_decay else None
    position = _restore(optimizers, average, run) if resume else Position()
    if processes.leads:
        _rewind(training, run, position)
    clock = Clock(settings, training.batches_per_epoch, position.seconds, processes)
    watches = [watch_gradients(), *training.watches]
    track = tensorboard(run.folder / "tensorboard", position.step) if settings.tensorboard and processes.leads else None
    with _stop_requests() as stop_requested:
        while clock.progress(position.step) < 1.0:
            try:
                record = _step(training, settings, optimizers, engine, position, clock, device, processes)
            except FloatingPointError as error:
                raise UserError(
                    str(error),
                    expected="finite numbers",
                    advice="begin a new run with a lower learning rate, or in train.dtype=float32; the last checkpoint "
                    f"before it, to begin from by start.checkpoint: {latest_checkpoint(run) or 'none'}",
                ) from None
            position.step += 1
            if average is not None:
                average.update()
            stopping = clock.read(stop_requested())
            due = clock.evaluations_due(position.step, position.evaluation_seconds)
            if clock.progress(position.step) >= 1.0 or due > position.evaluations:
                begin = clock.seconds
                with average.in_place() if average is not None else nullcontext():
                    record["evaluation"] = _evaluate(training, forward, position, run, processes)
                stopping = clock.read(stop_requested())
                position.evaluation_seconds = clock.seconds - begin
                position.evaluations = clock.evaluations_due(position.step, position.evaluation_seconds)
            over = clock.progress(position.step) >= 1.0
            record["seconds"] = round(clock.seconds, 3)
            if notices := [notice for watch in watches for notice in watch(record, clock.progress(position.step))]:
                record["notices"] = notices
            position.seconds = clock.seconds
            if processes.leads:
                run.append(record)
                if track is not None:
                    track(record)
                if over or stopping or _due(settings, position.step):
                    _save(training, settings, optimizers, average, run, position)
            if progress is not None:
                share = min(1.0, clock.progress(position.step))
                progress({**record, "progress": share, "seconds_left": position.seconds * (1 - share) / share})
            if stopping and not over:
                processes.wait()  # the first one may still be saving
                raise Interrupted(f"stopped after step {position.step}; a checkpoint is saved, go on by --resume")
    return position


@contextmanager
def enter_run(folder: Path, processes: Processes, *, resume: bool) -> Iterator[tuple[Run, bool]]:
    """The run folder, for these processes alone, and whether a run goes on in it.

    One goes on if that is asked for, or if torchrun has started the processes of this run again.

    Raises:
        UserError: a run is there already, or, to go on with, none; or another process is training there.
    """
    run = Run(folder)
    with ExitStack() as claim:

        def enter() -> bool:
            goes_on = resume or run.is_of_this_launch()
            if run.recipe.exists() or not goes_on:
                claim.enter_context(run.claimed())
            if goes_on:
                Run.open(folder)
            else:
                Run.create(folder)
            return goes_on

        yield run, processes.of_leader(enter)


def _step(
    training: Training,
    settings: TrainSettings,
    optimizers: Optimizers,
    engine: Engine,
    position: Position,
    clock: Clock,
    device: torch.device,
    processes: Processes,
) -> dict[str, Any]:
    """One optimizer step; returns the log's record of it."""
    begin = time.perf_counter()
    # What drops out is a function of these three numbers, too: going on needs no random state.
    torch.manual_seed(int(hashed(settings.seed, position.step, processes.rank)[0] >> np.uint64(1)))
    rows = training.rows(position.step)
    totals = {name: max(1, count) for name, count in training.counts(rows).items()}
    batches = [part.batch(device) for part in _parts(rows, settings.accumulation, processes)]
    training.model.train()
    add_gradients = functools.partial(_add_gradients, training.weights, engine, processes, batches, totals)
    means = add_gradients()
    loss = _weighted(means, training.weights)
    _require_finite("loss", loss, position, rows)
    adversarial = {}
    if training.adversary is not None:
        adversarial["adversarial_loss"] = _weighted(training.adversary(add_gradients), training.weights)
    factor = schedule(clock.middle_of(position.step), settings.warmup)
    norm = float(optimizers.step(factor))
    _require_finite("gradient", norm, position, rows)
    if position.first_loss is None:
        position.first_loss = means.get("masked_tokens", loss)
    tokens = int((rows.sequence_ids > 0).sum())
    position.tokens += tokens
    return {
        "step": position.step + 1,
        "epoch": position.step // training.batches_per_epoch,
        "loss": loss,
        "losses": means,
        **adversarial,
        "learning_rate": optimizers.peaks[0][0] * factor,
        "gradient_norm": norm,
        "tokens": tokens,
        "tokens_per_second": round(tokens / (time.perf_counter() - begin), 1),
        "sample_ids": _digest(rows),
    }


def _add_gradients(
    weights: dict[str, float], engine: Engine, processes: Processes, batches: list[Batch], totals: dict[str, int]
) -> dict[str, float]:
    """Compute a global batch, and add its gradients to those that are there; returns its mean losses."""
    sums = dict.fromkeys(totals, 0.0)
    for number, batch in enumerate(batches, start=1):
        with without_sum(engine) if number < len(batches) else nullcontext():
            losses = engine(batch)
            # A sum over this part divided by the count of the whole batch: any partition gives the same gradient.
            shares = [weights[name] * loss / totals[name] for name, loss in losses.items()]
            (torch.stack(shares).sum() * processes.size).backward()  # over processes the mean is taken
        for name, loss in losses.items():
            sums[name] += float(loss.detach())
    return {name: summed / totals[name] for name, summed in zip(sums, processes.sum(list(sums.values())), strict=True)}


def _weighted(means: dict[str, float], weights: dict[str, float]) -> float:
    """The total of mean losses."""
    return sum(weights[name] * mean for name, mean in means.items())


def _parts(rows: Rows, accumulation: int, processes: Processes) -> list[Rows]:
    """The parts of a global batch that this process computes one after the other.

    Raises:
        UserError: there is no row for each process.
    """
    if len(rows.input_ids) < processes.size:
        raise UserError(
            f"a batch of {len(rows.input_ids)} rows is too small for {processes.size} processes",
            expected="a row for each process at least",
            advice="raise train.batch_size, or start fewer processes",
        )
    numbers = range(processes.rank, accumulation * processes.size, processes.size)
    parts = [rows.part(number, accumulation * processes.size) for number in numbers]
    return [part for part in parts if len(part.sample_ids)]


def _require_finite(name: str, value: float, position: Position, rows: Rows) -> None:
    if not math.isfinite(value):
        raise FloatingPointError(f"the {name} is {value} at step {position.step + 1} (samples {_digest(rows)})")


def _digest(rows: Rows) -> str:
    """How many samples a batch has, and a checksum of their numbers: equal digests, equal samples."""
    return f"{len(rows.sample_ids)}:{zlib.crc32(rows.sample_ids.astype('<i8').tobytes()):08x}"


def _evaluate(
    training: Training, forward: Forward, position: Position, run: Run, processes: Processes
) -> dict[str, float]:
    """Evaluate, and keep the model if it is the best so far."""
    training.model.eval()
    with torch.inference_mode():
        evaluation = processes.of_leader(lambda: training.evaluate(forward))
    if _is_best(training, position, evaluation, position.step) and processes.leads:
        training.save(run.best, None)
    position.evaluation = evaluation
    return evaluation


def _is_best(training: Training, position: Position, evaluation: dict[str, float], step: int) -> bool:
    """Whether an evaluation is better than all before; it is remembered then."""
    value = evaluation[training.criterion]
    better = position.best is None or (value < position.best if training.lower_is_better else value > position.best)
    if better:
        position.best, position.best_step = value, step
    return better


# ---------------------------------------------------------------------------------------------- checkpoints


def checkpoint_name(step: int) -> str:
    """Name of a checkpoint's folder; names sort as steps do."""
    return f"step-{step:08d}"


def latest_checkpoint(run: Run) -> Path | None:
    """The last checkpoint that the run can go on from."""
    folders = sorted(path.parent for path in run.checkpoints.glob("step-*/train.pt"))
    return folders[-1] if folders else None


def load_last(run: Run, model: nn.Module) -> Checkpoint | None:
    """Put the weights of the run's last checkpoint into the model, if there is one."""
    folder = latest_checkpoint(run)
    if folder is None:
        return None
    checkpoint = load_checkpoint(folder)
    load_weights(model, checkpoint)
    return checkpoint


def _save(
    training: Training,
    settings: TrainSettings,
    optimizers: Optimizers,
    average: Average | None,
    run: Run,
    position: Position,
) -> None:
    """Write a checkpoint to go on from, and thin out the older ones."""
    state = {
        "position": asdict(position),
        "optimizers": optimizers.state_dict(),
        **({"average": average.state_dict()} if average is not None else {}),
    }
    training.save(run.checkpoints / checkpoint_name(position.step), state)
    resumable = sorted(path.parent for path in run.checkpoints.glob("step-*/train.pt"))
    for folder in resumable[: -settings.keep]:
        step = int(folder.name.removeprefix("step-"))
        if step in kept_steps(settings, step):
            (folder / "train.pt").unlink()
        else:
            remove_folder(folder)


def _restore(optimizers: Optimizers, average: Average | None, run: Run) -> Position:
    """Load optimizer, average and position of the last checkpoint; the weights were loaded with the model."""
    folder = latest_checkpoint(run)
    if folder is None:
        return Position()
    state = read_state(folder)
    optimizers.load_state_dict(state["optimizers"])
    if average is not None:
        average.load_state_dict(state["average"])
    return Position(**state["position"])


def _rewind(training: Training, run: Run, position: Position) -> None:
    """Cut the log back to the position; best/ may be of an evaluation after it, which counts."""
    for record in run.rewind(position.step):
        if "evaluation" in record:
            _is_best(training, position, record["evaluation"], record["step"])


def _due(settings: TrainSettings, step: int) -> bool:
    """Whether a checkpoint is saved after this step."""
    return step in kept_steps(settings, step) or (settings.save_every > 0 and step % settings.save_every == 0)


def kept_steps(settings: TrainSettings, step: int) -> list[int]:
    """The steps up to this one whose weights are kept for good."""
    if settings.save_at != "log":
        return list(settings.save_at)
    powers = range(len(str(step)) + 1)
    return [factor * 10**power for power in powers for factor in (1, 2, 5)]


# ---------------------------------------------------------------------------------------------- stopping


@contextmanager
def _stop_requests() -> Iterator[Callable[[], bool]]:
    """Turn Ctrl-C and SIGTERM into a question that is asked between steps; a second Ctrl-C acts at once.

    A second SIGTERM does not: under a supervisor one often comes from it and another one from torchrun.
    """
    requested = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield requested.is_set
        return
    signals = [signal.SIGINT, signal.SIGTERM]
    previous = {number: signal.getsignal(number) for number in signals}

    def request(number: int, _frame: object) -> None:
        requested.set()
        if number == signal.SIGINT:
            signal.signal(signal.SIGINT, previous[signal.SIGINT])

    for number in signals:
        signal.signal(number, request)
    try:
        yield requested.is_set
    finally:
        for number in signals:
            signal.signal(number, previous[number])
