"""Dropout against its definition."""

import pytest
import torch

from bertwright.model.layers import Dropout, dropout


@pytest.mark.parametrize("share", [0.1, 0.25, 0.5])
def test_so_many_values_are_dropped_and_the_mean_stays(share: float) -> None:
    """A million values: the share of zeros is within four standard deviations."""
    torch.manual_seed(1)
    kept = dropout(torch.ones(1_000_003), share)
    deviation = (share * (1 - share) / 1_000_003) ** 0.5
    assert abs(float((kept == 0).float().mean()) - share) < 4 * deviation + 1 / 131_072
    assert torch.allclose(kept[kept != 0], torch.tensor(1 / (1 - share)), rtol=1e-4)


def test_neighbours_drop_out_by_themselves() -> None:
    """Values that share one draw of 64 bits, and those that do not, drop out together as often as chance has it."""
    torch.manual_seed(2)
    gone = (dropout(torch.ones(400_000), 0.1) == 0).float()
    for distance in (1, 2, 3, 4, 64):
        together = float((gone[distance:] * gone[:-distance]).mean())
        assert abs(together - 0.01) < 4 * (0.01 * 0.99 / 400_000) ** 0.5


def test_gradients_pass_where_values_pass() -> None:
    """With the factor of the values that stay."""
    torch.manual_seed(3)
    values = torch.randn(7, 33, requires_grad=True)
    kept = dropout(values, 0.3)
    kept.sum().backward()
    assert values.grad is not None
    assert torch.equal(values.grad * values, kept)


def test_it_is_a_function_of_the_seed_and_off_outside_training() -> None:
    """What drops out follows torch's seed; nothing does in evaluation, or with a share of 0."""
    module, values = Dropout(0.5), torch.randn(5, 5)
    seen = []
    for seed in (4, 4, 5):
        torch.manual_seed(seed)
        seen.append(module(values))
    assert torch.equal(seen[0], seen[1])
    assert not torch.equal(seen[0], seen[2])
    assert module.eval()(values) is values
    assert dropout(values, 0.0) is values


def test_it_keeps_the_number_format() -> None:
    """Numbers in bfloat16 stay so."""
    assert dropout(torch.ones(9, dtype=torch.bfloat16), 0.1).dtype == torch.bfloat16
