"""Adversarial training: each batch once more, with word vectors moved to where the loss is higher.

What moves is the embedding table, along its own gradient, and it moves back before the optimizer steps; the gradients
of both passes are added. That gradient is the same however a batch is divided into parts or among processes, and so is
the move.
"""

from collections.abc import Callable, Sequence
from typing import TypeVar

import torch
from torch import Tensor, nn

from bertwright.config import TricksSettings
from bertwright.model.heads import EncoderModel

Told = TypeVar("Told")

Again = Callable[[], Told]
"""Adds the gradients of the batch to those that are there, and returns what it told of itself."""


def fgm(table: Tensor, radius: float, again: Again[Told]) -> Told:
    """The fast gradient method (Miyato et al. 2017): one move of length `radius`, in the norm of the whole table.

    Args:
        table: [V, D], with the gradient of the batch.
        radius: how far it moves.
        again: the second pass.

    Returns:
        What the second pass told.
    """
    origin = table.detach().clone()
    _move(table, radius)
    told = again()
    _put(table, origin)
    return told


def pgd(parameters: Sequence[nn.Parameter], table: Tensor, radius: float, steps: int, again: Again[Told]) -> Told:
    """Projected gradient descent (Madry et al. 2018): several moves, each along the gradient where the last one ended.

    Each is twice as long as would do to get from the middle to the edge, and whatever leaves the ball of `radius` is
    put back on it. Only the gradients of the last place are added to those of the batch.

    Args:
        parameters: of the model, with the gradients of the batch.
        table: [V, D], one of them.
        radius: how far it moves at most.
        steps: how many moves.
        again: the passes after the first one.

    Returns:
        What the last pass told.
    """
    origin = table.detach().clone()
    clean = [None if each.grad is None else each.grad.clone() for each in parameters]
    told = None
    for step in range(1, steps + 1):
        _move(table, 2 * radius / steps)
        _project(table, origin, radius)
        for parameter, gradient in zip(parameters, clean, strict=True):
            parameter.grad = gradient if step == steps else None
        told = again()
    _put(table, origin)
    assert told is not None, "there is one step at least"
    return told


def adversary(model: EncoderModel, tricks: TricksSettings) -> Callable[[Again[Told]], Told] | None:
    """What a recipe asks for, as the loop calls it; None if it asks for nothing."""
    table, radius = model.encoder.token_embedding.weight, tricks.adversarial_radius
    if tricks.adversarial == "fgm":
        return lambda again: fgm(table, radius, again)
    if tricks.adversarial == "pgd":
        return lambda again: pgd(list(model.parameters()), table, radius, tricks.adversarial_steps, again)
    return None


@torch.no_grad()
def _move(table: Tensor, distance: float) -> None:
    """Along the gradient, by so much."""
    assert table.grad is not None
    norm = table.grad.norm()
    if norm > 0 and torch.isfinite(norm):
        table.add_(table.grad, alpha=distance / float(norm))


@torch.no_grad()
def _project(table: Tensor, origin: Tensor, radius: float) -> None:
    """Back onto the ball round the origin, where it is outside of it."""
    moved = table - origin
    norm = float(moved.norm())
    if norm > radius:
        table.copy_(origin + moved * (radius / norm))


@torch.no_grad()
def _put(table: Tensor, value: Tensor) -> None:
    table.copy_(value)
