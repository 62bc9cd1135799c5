"""Losses against their formulas, and against torch's own where it has them."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from bertwright.tasks.losses import class_loss, symmetric_divergence, symmetric_divergence_of_each


@pytest.fixture
def logits() -> Tensor:
    return 2 * torch.randn(7, 3, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def wanted() -> Tensor:
    return torch.tensor([0, 2, 1, 0, 0, 2, 0])


def test_without_tricks_it_is_cross_entropy(logits: Tensor, wanted: Tensor) -> None:
    assert class_loss(logits, wanted) == functional.cross_entropy(logits, wanted, reduction="sum")


def test_smoothing_spreads_the_truth(logits: Tensor, wanted: Tensor) -> None:
    """Of a share of .3, each of the three classes gets a tenth."""
    truth = 0.7 * functional.one_hot(wanted, 3) + 0.1
    by_hand = -(truth * logits.log_softmax(dim=1)).sum()
    torch.testing.assert_close(class_loss(logits, wanted, smoothing=0.3), by_hand)


def test_focal_loss_looks_away_from_what_is_known(logits: Tensor, wanted: Tensor) -> None:
    shares = logits.softmax(dim=1)[torch.arange(7), wanted]
    by_hand = -((1 - shares) ** 2 * shares.log()).sum()
    torch.testing.assert_close(class_loss(logits, wanted, focal=2.0), by_hand)
    sure = torch.tensor([[6.0, 0.0]])
    unsure = torch.tensor([[0.0, 0.0]])
    right = torch.tensor([0])
    share_kept = [class_loss(each, right, focal=2.0) / class_loss(each, right) for each in (sure, unsure)]
    assert share_kept[0] < 1e-4
    assert share_kept[1] == pytest.approx(0.25)


def test_focal_loss_of_what_is_certain_has_a_slope() -> None:
    """A root is infinitely steep at 0."""
    logits = torch.tensor([[60.0, 0.0]], requires_grad=True)
    class_loss(logits, torch.tensor([0]), focal=0.5).backward()
    assert logits.grad is not None
    assert torch.isfinite(logits.grad).all()


def test_weights_multiply_the_loss_of_a_class(logits: Tensor, wanted: Tensor) -> None:
    weights = torch.tensor([0.5, 3.0, 1.0])
    each = functional.cross_entropy(logits, wanted, reduction="none")
    torch.testing.assert_close(class_loss(logits, wanted, weights=weights), (each * weights[wanted]).sum())


def test_divergence_is_the_mean_of_both_directions(logits: Tensor) -> None:
    one, other = logits.log_softmax(dim=1), logits.flip(1).log_softmax(dim=1)
    both = [functional.kl_div(a, b, log_target=True, reduction="sum") for a, b in ((one, other), (other, one))]
    torch.testing.assert_close(symmetric_divergence(one, other), (both[0] + both[1]) / 2)
    assert symmetric_divergence(one, one) == 0


def test_divergence_of_each_class_is_that_of_two_classes(logits: Tensor) -> None:
    """A class that holds or does not, with the logit x, is a choice between x and 0."""
    one, other = logits, logits.flip(1)
    pairs = [torch.stack([each, torch.zeros_like(each)], dim=-1).log_softmax(dim=-1) for each in (one, other)]
    torch.testing.assert_close(symmetric_divergence_of_each(one, other), symmetric_divergence(*pairs))
