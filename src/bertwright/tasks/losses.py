"""Losses of classes, shaped as the recipe's [tricks] ask, and how far two predictions disagree."""

import torch
from torch import Tensor
from torch.nn import functional


def class_loss(
    logits: Tensor, wanted: Tensor, *, smoothing: float = 0.0, focal: float = 0.0, weights: Tensor | None = None
) -> Tensor:
    """Cross-entropy, summed.

    Args:
        logits: [N, C].
        wanted: [N], the right classes.
        smoothing: share of the truth that is spread over all classes (Szegedy et al. 2016).
        focal: power of (1 - p) that each loss is multiplied by, with the probability p of the right class (Lin et al.
            2017).
        weights: [C], of the classes.

    Returns:
        [].
    """
    losses = functional.cross_entropy(logits, wanted, label_smoothing=smoothing, reduction="none")
    if focal:
        right = logits.softmax(dim=-1).gather(1, wanted[:, None])[:, 0]
        losses = losses * (1 - right).clamp(min=1e-6) ** focal  # at 0 the slope of a root is infinite
    if weights is not None:
        losses = losses * weights.to(losses.device)[wanted]
    return losses.sum()


def symmetric_divergence(one: Tensor, other: Tensor) -> Tensor:
    """The mean of both Kullback-Leibler divergences between distributions, summed over them (Liang et al. 2021).

    Args:
        one: [..., C], logarithms of probabilities; other likewise.
        other: see one.

    Returns:
        [].
    """
    return ((one.exp() - other.exp()) * (one - other)).sum() / 2


def symmetric_divergence_of_each(one: Tensor, other: Tensor) -> Tensor:
    """The same for classes that each hold or do not, given their logits: [..., C] -> []."""
    return ((torch.sigmoid(one) - torch.sigmoid(other)) * (one - other)).sum() / 2
