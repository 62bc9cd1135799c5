"""Optimizers: AdamW on everything, or Muon on the encoder's matrices and AdamW on the rest.

Muon (Jordan 2024) replaces the update of a matrix by the nearest semi-orthogonal one. Embeddings, positions, heads,
biases and normalisation weights go to AdamW.
"""

import math
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import AdamW

from bertwright.config import OptimizerSettings


class Optimizers:
    """One or two torch optimizers that step together under one schedule."""

    def __init__(
        self,
        model: nn.Module,
        settings: OptimizerSettings,
        dtype: torch.dtype = torch.bfloat16,
        *,
        layer_decay: float = 1.0,
    ) -> None:
        """Optimizers of the parameters of a model.

        Args:
            model: those that want no gradient are left out.
            settings: which optimizer, with which rates.
            dtype: that Muon computes its products in.
            layer_decay: rate of each layer, in shares of the one above it.
        """
        named = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
        self.parameters = list(named.values())
        self.clip_norm = settings.clip_norm
        depths = depths_below_head(named)
        groups: dict[tuple[bool, bool, int], list[nn.Parameter]] = {}
        for name, parameter in named.items():
            by_muon = settings.name == "muon" and is_encoder_matrix(name, parameter)
            depth = depths[name] if layer_decay < 1 else 0
            groups.setdefault((by_muon, parameter.ndim <= 1, depth), []).append(parameter)

        def chosen(muon: bool, rate: float) -> list[dict[str, Any]]:
            return [
                {
                    "params": parameters,
                    "lr": rate * layer_decay**depth,
                    "weight_decay": 0.0 if plain else settings.weight_decay,
                }
                for (by_muon, plain, depth), parameters in sorted(groups.items(), key=lambda each: each[0])
                if by_muon == muon
            ]

        self.optimizers: list[torch.optim.Optimizer] = [
            AdamW(
                chosen(muon=False, rate=settings.learning_rate), betas=settings.betas, eps=settings.epsilon, fused=True
            )
        ]
        if matrices := chosen(muon=True, rate=settings.matrix_learning_rate):
            self.optimizers.append(StackedMuon(matrices, dtype=dtype))
        self.peaks = [[group["lr"] for group in optimizer.param_groups] for optimizer in self.optimizers]

    def step(self, factor: float) -> Tensor:
        """Clip the gradients, update at `factor` times the peak learning rates, clear the gradients.

        Returns:
            The gradient's norm before clipping, []; if it is no finite number, nothing was updated.
        """
        limit = self.clip_norm or float("inf")
        norm = nn.utils.clip_grad_norm_(self.parameters, limit)
        if not torch.isfinite(norm):
            return norm
        for optimizer, peaks in zip(self.optimizers, self.peaks, strict=True):
            for group, peak in zip(optimizer.param_groups, peaks, strict=True):
                group["lr"] = peak * factor
            optimizer.step()
            optimizer.zero_grad()
        return norm

    def state_dict(self) -> list[dict[str, Any]]:
        """Everything needed to go on."""
        return [optimizer.state_dict() for optimizer in self.optimizers]

    def load_state_dict(self, states: list[dict[str, Any]]) -> None:
        """Go on from a saved state."""
        for optimizer, state in zip(self.optimizers, states, strict=True):
            optimizer.load_state_dict(state)


class StackedMuon(torch.optim.Muon):
    """torch's Muon (with `adjust_lr_fn="original"`) in which matrices of one shape share their products.

    A small encoder has dozens of small matrices: one batched product for all of them takes three quarters of the time.
    The products are in the type that the model computes in: bfloat16 is slow where the processor has no units for it.
    """

    def __init__(self, groups: list[dict[str, Any]], *, dtype: torch.dtype) -> None:
        super().__init__(groups, adjust_lr_fn="original")
        self._dtype = dtype

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Update all matrices that have a gradient."""
        assert closure is None
        for group in self.param_groups:
            updates: dict[torch.Size, list[tuple[Tensor, Tensor]]] = {}
            for matrix in group["params"]:
                if matrix.grad is not None:
                    momentum = self._momentum(matrix).lerp_(matrix.grad, 1 - group["momentum"])
                    nesterov = matrix.grad.lerp(momentum, group["momentum"])
                    updates.setdefault(matrix.shape, []).append((matrix, nesterov))
            for (height, width), pairs in updates.items():
                stack = torch.stack([update for _, update in pairs])
                turned = orthogonalized(stack.to(self._dtype), group["ns_coefficients"], group["ns_steps"])
                rate = group["lr"] * math.sqrt(max(1.0, height / width))
                for (matrix, _), update in zip(pairs, turned, strict=True):
                    matrix.mul_(1 - group["lr"] * group["weight_decay"]).add_(update, alpha=-rate)

    def _momentum(self, matrix: Tensor) -> Tensor:
        """The running mean of a matrix's gradients."""
        state = self.state[matrix]
        if "momentum_buffer" not in state:
            state["momentum_buffer"] = torch.zeros_like(matrix)
        return state["momentum_buffer"]


def orthogonalized(matrices: Tensor, coefficients: tuple[float, float, float], steps: int) -> Tensor:
    """Matrices with nearly all singular values near 1, by the Newton-Schulz iteration (Jordan 2024).

    Args:
        matrices: [M, rows, columns], in the type to compute in.
        coefficients: of the quintic polynomial.
        steps: how often it is applied.

    Returns:
        Likewise, in float32.
    """
    tall = matrices.shape[1] > matrices.shape[2]
    turned = matrices.mT if tall else matrices
    turned = turned / turned.norm(dim=(1, 2), keepdim=True).clamp(min=1e-7)
    first, second, third = coefficients
    for _ in range(steps):
        gram = turned @ turned.mT
        turned = torch.baddbmm(turned, torch.baddbmm(gram, gram, gram, beta=second, alpha=third), turned, beta=first)
    return (turned.mT if tall else turned).float()


def is_encoder_matrix(name: str, parameter: Tensor) -> bool:
    """Whether a parameter is one of the matrices that Muon is for."""
    return parameter.ndim == 2 and name.startswith("encoder.layers.")


def depths_below_head(names: Iterable[str]) -> dict[str, int]:
    """For each parameter, how many layers lie above it: 0 in the head and the final norm, most in the embeddings."""
    layers = {name: int(found[1]) for name in names if (found := re.match(r"encoder\.layers\.(\d+)\.", name))}
    count = max(layers.values(), default=-1) + 1
    below = {name: count + 1 for name in names if name.startswith("encoder.") and "embedding" in name}
    return {name: count - layers[name] if name in layers else below.get(name, 0) for name in names}


class Average:
    """The exponential moving average of a model's weights, over the steps so far (Polyak and Juditsky 1992).

    After n steps it is the sum of (1 - d) d^(n - i) w_i over them, divided by 1 - d^n, so that what came before the
    first step has no part in it.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self._weights = [parameter.detach() for parameter in model.parameters()]
        self._values = [weight.clone() for weight in self._weights]
        self._decay = decay
        self._steps = 0

    def update(self) -> None:
        """Take in the weights as they are after a step."""
        self._steps += 1
        share = (1 - self._decay) / (1 - self._decay**self._steps)
        for value, weight in zip(self._values, self._weights, strict=True):
            value.lerp_(weight, share)

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """A block in which the model has the average for its weights."""
        kept = [weight.clone() for weight in self._weights]
        self._put(self._values)
        try:
            yield
        finally:
            self._put(kept)

    def _put(self, values: list[Tensor]) -> None:
        for weight, value in zip(self._weights, values, strict=True):
            weight.copy_(value)

    def state_dict(self) -> dict[str, Any]:
        """Everything needed to go on."""
        return {"steps": self._steps, "values": self._values}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a saved state."""
        self._steps = state["steps"]
        for value, saved in zip(self._values, state["values"], strict=True):
            value.copy_(saved)


def schedule(progress: float, warmup: float) -> float:
    """The learning rate's share of its peak: a linear rise over `warmup`, then a linear fall to 0.

    Args:
        progress: share of the run that is over, 0..1.
        warmup: share of the run in which it rises.
    """
    if progress < warmup:
        return progress / warmup
    return max(0.0, (1.0 - progress) / (1.0 - warmup))
