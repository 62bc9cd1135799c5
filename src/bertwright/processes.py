"""Several processes that train one model together, as torchrun starts them; one process alone is the case of size 1.

Every global batch is a function of its number, so each process knows them all and takes its own rows. Gradients are
summed by torch's DistributedDataParallel. The first process alone writes the run folder, keeps the time and evaluates.
CUDA (NCCL) was never run.
"""

import atexit
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import torch
from torch import Tensor, distributed, nn
from torch.distributed.distributed_c10d import PrefixStore
from torch.distributed.rendezvous import rendezvous
from torch.nn.parallel import DistributedDataParallel

from bertwright.errors import Interrupted

Value = TypeVar("Value")


@dataclass(frozen=True)
class Processes:
    """This process among those that train together."""

    rank: int = 0
    size: int = 1

    @property
    def leads(self) -> bool:
        """Whether this is the first process."""
        return self.rank == 0

    def sum(self, values: list[float]) -> list[float]:
        """The sum over all processes of each of these numbers."""
        if self.size == 1:
            return values
        summed = torch.tensor(values, dtype=torch.float64)
        distributed.all_reduce(summed)
        return summed.tolist()

    def wait(self) -> None:
        """Wait until all processes are here."""
        if self.size > 1:
            distributed.barrier()

    def of_leader(self, compute: Callable[[], Value]) -> Value:
        """What the first process computes; the others wait for it, and stop if it fails."""
        value: list[Value] = []
        with self.leader_first():
            if self.leads:
                value.append(compute())
        return self._told(value[0] if self.leads else None)

    @contextmanager
    def leader_first(self) -> Iterator[None]:
        """A block that the first process runs through before the others begin it.

        Raises:
            Interrupted: in the others, if it fails in the first one, which tells why.
        """
        if not self.leads and not self._told(None):
            raise Interrupted("stopped, since the first process did")
        succeeded = False
        try:
            yield
            succeeded = True
        finally:
            if self.leads:
                self._told(succeeded)

    def _told(self, value: Any) -> Any:
        """What the first process tells all."""
        if self.size == 1:
            return value
        box = [value]
        distributed.broadcast_object_list(box, src=0)
        return box[0]

    def engine(self, model: nn.Module, losses: Callable[[Any], dict[str, Tensor]]) -> "Engine":
        """A function like `losses`, which computes with `model`; backward passes average gradients over processes."""
        if self.size == 1:
            return losses
        return DistributedDataParallel(_Losses(model, losses))


Engine = Callable[[Any], dict[str, Tensor]]
"""A batch -> its losses; see `Processes.engine`."""


class _Losses(nn.Module):
    """What DistributedDataParallel wants: a module that owns the parameters and computes the losses."""

    def __init__(self, model: nn.Module, losses: Callable[[Any], dict[str, Tensor]]) -> None:
        super().__init__()
        self.model = model
        self.losses = losses

    def forward(self, batch: Any) -> dict[str, Tensor]:
        return self.losses(batch)


def without_sum(engine: Engine) -> AbstractContextManager[None]:
    """Within it the backward pass leaves gradients to this process: for all parts of a batch but the last."""
    return engine.no_sync() if isinstance(engine, DistributedDataParallel) else nullcontext()


def join() -> Processes:
    """Meet the other processes, if torchrun started several; they part when this one ends."""
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        return Processes()
    if not distributed.is_initialized():
        backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
        wait = timedelta(days=7)  # one that dies is noticed at once; one that prepares a corpus may take all day
        store, rank, _ = next(rendezvous("env://", timeout=wait))
        # torchrun keeps its store when it starts processes again, and with it the addresses of those that died.
        attempt = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
        store = PrefixStore(f"attempt {attempt}", store)
        distributed.init_process_group(backend, store=store, rank=rank, world_size=size, timeout=wait)
        atexit.register(distributed.destroy_process_group)
    return Processes(distributed.get_rank(), size)


def processes_here() -> int:
    """How many of the processes share this machine."""
    return int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
