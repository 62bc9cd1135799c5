"""What a recipe leaves to the machine: threads, device, number format, attention path, and parts of a batch."""

import copy
import functools
import math
from collections.abc import Callable

import torch

from bertwright.batches import Batch, Rows
from bertwright.config import OptimizerSettings, TrainSettings
from bertwright.devices import (
    DTYPES,
    choose_device,
    computing_in,
    fastest,
    has_bfloat16,
    tune_memory,
    use_threads,
)
from bertwright.model.heads import EncoderModel
from bertwright.model.layers import ATTENTION
from bertwright.optim import Optimizers
from bertwright.processes import processes_here
from bertwright.train import Forward, Losses

PART_TOKENS, TIMED_TOKENS = 8192, 1024
"""In a part of a batch on a CPU, where nobody says how many parts; in the part that choices are timed with."""

PART_PAIRS = PART_TOKENS * 512
"""Pairs of tokens that attend to each other in a part, at most: their weights fill the memory where rows are long."""


def use_machine(settings: TrainSettings) -> torch.device:
    """Set threads and allocator for training, seed the random numbers, and give the device to train on."""
    tune_memory()
    use_threads(settings.threads, sharing=processes_here())
    torch.manual_seed(settings.seed)
    return choose_device(settings.device)


def resolve(
    settings: TrainSettings,
    optimizer: OptimizerSettings,
    model: EncoderModel,
    losses: Callable[[Forward, Batch], Losses],
    rows: Rows,
    device: torch.device,
) -> TrainSettings:
    """Settings without "auto" and 0: the fastest number format and attention path of those left open, for this model.

    A few steps of each are timed on a copy of the model, with a small part of a batch.

    Args:
        settings: of the recipe.
        optimizer: its steps are timed too.
        model: as it was drawn or loaded.
        losses: what is computed.
        rows: a batch.
        device: where.
    """
    # Where bfloat16 is emulated, a few steps of it take minutes, and it never wins.
    open_dtypes = list(DTYPES) if device.type == "cuda" or has_bfloat16() else ["float32"]
    dtypes = open_dtypes if settings.dtype == "auto" else [settings.dtype]
    paths = list(ATTENTION) if settings.attention == "auto" else [settings.attention]
    if device.type == "cuda" and settings.attention == "auto":
        paths = ["sdpa"]
    batch = rows.part(0, max(1, rows.input_ids.size // TIMED_TOKENS)).batch(device)
    copied = copy.deepcopy(model)
    optimizers = {name: Optimizers(copied, optimizer, DTYPES[name]) for name in dtypes}

    def one_step(dtype: str, path: str) -> None:
        copied.encoder.attention_path = path
        summed = losses(computing_in(copied, DTYPES[dtype]), batch)
        torch.stack(list(summed.values())).sum().backward()
        if len(dtypes) > 1:  # else its step is the same for all choices
            optimizers[dtype].step(0.0)

    choices = {f"{dtype} {path}": functools.partial(one_step, dtype, path) for dtype in dtypes for path in paths}
    dtype, path = (fastest(choices)[0] if len(choices) > 1 else next(iter(choices))).split()
    threads = torch.get_num_threads() * processes_here()
    chosen = {"dtype": dtype, "attention": path, "device": device.type, "threads": threads}
    if not settings.accumulation:
        tokens = settings.batch_size * settings.length
        of_part = min(PART_TOKENS, PART_PAIRS // settings.length)
        chosen["accumulation"] = math.ceil(tokens / of_part) if device.type == "cpu" else 1
    return settings.model_copy(update=chosen)
