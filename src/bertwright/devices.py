"""The machine: device, threads, allocator, and which number format and attention path are fastest on it.

Nothing is assumed of a processor that has bfloat16: a few steps of it and of float32 are timed. One that has not would
emulate it, many times slower. CUDA was never timed here.
"""

import ctypes
import ctypes.util
import os
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from bertwright.errors import UserError

COMPILED_SHAPES = "16"
"""How many compiled products oneDNN keeps."""

DTYPES: dict[str, torch.dtype] = {"float32": torch.float32, "bfloat16": torch.bfloat16}


def choose_device(name: str) -> torch.device:
    """The device of a recipe's `auto`, `cpu` or `cuda`.

    Raises:
        UserError: cuda is asked for and there is none.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cuda" and not torch.cuda.is_available():
        raise UserError(
            "train.device is cuda, but torch sees no GPU", expected="a CUDA device", advice="train.device=cpu"
        )
    if name == "cuda":
        return torch.device(name, int(os.environ.get("LOCAL_RANK", "0")))
    return torch.device(name)


def require_room(parameters: int, device: torch.device) -> None:
    """See that a model fits a device with its gradients and optimizer, before it is built.

    Args:
        parameters: of the model, in float32; each needs 16 bytes: itself, its gradient, two moments.
        device: which holds all of it: no model is cut in parts.

    Raises:
        UserError: it does not fit.
    """
    if device.type == "cuda":
        _, room = torch.cuda.mem_get_info(device)
    elif hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        room = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    else:
        return
    if 16 * parameters > room:
        raise UserError(
            f"{parameters:,} parameters need {16 * parameters / 1e9:.1f} GB with their gradients and optimizer, and "
            f"{device.type} has {room / 1e9:.1f} GB",
            expected="a model that fits one device",
            advice="make it smaller (model.preset, model.vocabulary_size), or use a larger device",
        )


def use_threads(number: int, *, sharing: int = 1) -> int:
    """Compute with a share of this many CPU threads; returns with how many.

    Args:
        number: of all processes together; 0 takes one per core that they may use.
        sharing: processes that share these threads evenly.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    torch.set_num_threads(max(1, (number or cores) // sharing))
    return torch.get_num_threads()


def tune_memory() -> None:
    """Keep large freed blocks, and forget compiled products.

    glibc's allocator hands each large block back to the system, and a training step frees and takes the same hundred
    megabytes again and again: a third of the time went into page faults. Elsewhere than under glibc nothing is done.

    oneDNN keeps what it has compiled for the last 1,024 shapes of products, and batches of texts have new shapes in
    every step: that grew to gigabytes. To forget it sooner takes no time (experiments/LOG.md).
    """
    os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", COMPILED_SHAPES)  # read when the first product is computed
    if os.name != "posix" or not ctypes.util.find_library("c"):
        return
    libc = ctypes.CDLL(None)
    if not hasattr(libc, "gnu_get_libc_version"):
        return
    m_trim_threshold, m_mmap_max = -1, -4
    libc.mallopt(m_mmap_max, 0)
    libc.mallopt(m_trim_threshold, 2**31 - 1)


def computing_in(model: nn.Module, dtype: torch.dtype) -> Callable[..., Any]:
    """The model's forward pass with its weights cast to `dtype`; the weights themselves stay in float32.

    Gradients flow through the cast into the float32 weights. Embedding tables are not cast (see Encoder).
    """
    if dtype == torch.float32:
        return model

    def forward(*arguments: Tensor) -> Any:
        cast = {
            name: parameter if "embedding" in name else parameter.to(dtype)
            for name, parameter in model.named_parameters()
        }
        return torch.func.functional_call(model, cast, arguments)

    return forward


def has_bfloat16() -> bool:
    """Whether the processor multiplies bfloat16 in hardware: without that it is many times slower than float32."""
    found = torch.cpu.get_capabilities()
    return any(found.get(name, False) for name in ("avx512_bf16", "amx_bf16", "bf16"))


def cast_weights(model: nn.Module, dtype: torch.dtype) -> None:
    """Cast the weights of a model that is not trained any more, embedding tables left out (see Encoder)."""
    for name, parameter in model.named_parameters():
        if "embedding" not in name:
            parameter.data = parameter.data.to(dtype)


def fastest(candidates: dict[str, Callable[[], None]], repeats: int = 3) -> tuple[str, dict[str, float]]:
    """Time functions against each other, taking turns after one untimed call each.

    Returns:
        The name of the fastest, and the median seconds of each.
    """
    seconds: dict[str, list[float]] = {name: [] for name in candidates}
    for function in candidates.values():
        function()
    for _ in range(repeats):
        for name, function in candidates.items():
            begin = time.perf_counter()
            function()
            seconds[name].append(time.perf_counter() - begin)
    medians = {name: statistics.median(times) for name, times in seconds.items()}
    return min(medians, key=lambda name: medians[name]), medians
