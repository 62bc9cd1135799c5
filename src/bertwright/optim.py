"""Optimizers: AdamW on everything, or Muon on the encoder's matrices and AdamW on the rest.

Muon (Jordan 2024) replaces the update of a matrix by the nearest semi-orthogonal one. Embeddings, positions, heads,
biases and normalisation weights go to AdamW. Both are torch's own.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import AdamW, Muon

from bertwright.config import OptimizerSettings


class Optimizers:
    """One or two torch optimizers that step together under one schedule."""

    def __init__(self, model: nn.Module, settings: OptimizerSettings) -> None:
        self.parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
        self.clip_norm = settings.clip_norm
        named = [(name, parameter) for name, parameter in model.named_parameters() if parameter.requires_grad]
        muon = [p for name, p in named if settings.name == "muon" and is_encoder_matrix(name, p)]
        of_muon = {id(p) for p in muon}
        decayed = [p for _, p in named if id(p) not in of_muon and p.ndim > 1]
        plain = [p for _, p in named if id(p) not in of_muon and p.ndim <= 1]
        groups = [{"params": decayed, "weight_decay": settings.weight_decay}, {"params": plain, "weight_decay": 0.0}]
        self.optimizers: list[torch.optim.Optimizer] = [
            AdamW(
                [group for group in groups if group["params"]],
                lr=settings.learning_rate,
                betas=settings.betas,
                eps=settings.epsilon,
                fused=True,
            )
        ]
        if muon:
            self.optimizers.append(
                Muon(
                    muon,
                    lr=settings.matrix_learning_rate,
                    weight_decay=settings.weight_decay,
                    adjust_lr_fn="original",
                )
            )
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


def is_encoder_matrix(name: str, parameter: Tensor) -> bool:
    """Whether a parameter is one of the matrices that Muon is for."""
    return parameter.ndim == 2 and name.startswith("encoder.layers.")


def schedule(progress: float, warmup: float) -> float:
    """The learning rate's share of its peak: a linear rise over `warmup`, then a linear fall to 0.

    Args:
        progress: share of the run that is over, 0..1.
        warmup: share of the run in which it rises.
    """
    if progress < warmup:
        return progress / warmup
    return max(0.0, (1.0 - progress) / (1.0 - warmup))
