"""The last layer computes only what is asked: the same vectors and gradients as if it had computed all."""

from typing import Any

import pytest
import torch

from bertwright.config import ModelConfig
from bertwright.model.encoder import Encoder, initialize
from bertwright.model.layers import Asked, Places

SHAPE: dict[str, Any] = {"layers": 3, "width": 32, "heads": 4, "inner_width": 48, "max_length": 40}
CASES: dict[str, dict[str, Any]] = {
    "bert": {"layout": "bert"},
    "modernbert": {"layout": "modernbert"},
    "local": {"layout": "modernbert", "local_attention": 8, "global_every": 2},
}


def encoder(case: str, path: str) -> Encoder:
    torch.manual_seed(3)
    model = Encoder(ModelConfig(vocabulary_size=50, **SHAPE, **CASES[case]))
    initialize(model, 0.2)
    model.attention_path = path
    return model.eval()


def packed() -> tuple[torch.Tensor, ...]:
    """Four rows of 20: sequences of 12 and 6 in the first, padding at the end; the last row is one sequence."""
    torch.manual_seed(4)
    sequence_ids = torch.zeros(4, 20, dtype=torch.int64)
    position_ids = torch.zeros_like(sequence_ids)
    number = 0
    for row, sizes in enumerate(((12, 6), (20,), (5, 5, 5), (9,))):
        begin = 0
        for size in sizes:
            number += 1
            sequence_ids[row, begin : begin + size] = number
            position_ids[row, begin : begin + size] = torch.arange(size)
            begin += size
    return torch.randint(0, 50, (4, 20)), torch.zeros_like(sequence_ids), position_ids, sequence_ids


POSITIONS = {
    "in order": [1, 4, 13, 25, 26, 39, 47, 60, 61, 62, 63, 68],
    "in any order, one twice": [61, 3, 25, 3, 68, 0],
    "one": [44],
    "of one row only": [20, 21, 22, 39],
    "none": [],
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("path", ["explicit", "sdpa"])
@pytest.mark.parametrize("positions", POSITIONS.values(), ids=POSITIONS)
def test_the_asked_vectors_and_gradients_are_those_of_the_whole(case: str, path: str, positions: list[int]) -> None:
    model, inputs, asked = encoder(case, path), packed(), torch.tensor(positions, dtype=torch.int64)
    whole = model(*inputs).flatten(0, 1)[asked]
    found = model(*inputs, asked=asked)
    assert found.shape == (len(positions), 32)
    torch.testing.assert_close(found, whole, atol=1e-5, rtol=1e-5)
    if positions:
        torch.manual_seed(5)
        weights = torch.randn_like(whole)
        wanted, gradients = (
            torch.autograd.grad((each * weights).sum(), list(model.parameters()), allow_unused=True)
            for each in (whole, found)
        )
        for one, other in zip(wanted, gradients, strict=True):
            if one is not None:
                torch.testing.assert_close(other, one, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("depth", [0, 1, 2])
def test_after_fewer_layers(case: str, depth: int) -> None:
    model, inputs, asked = encoder(case, "sdpa"), packed(), torch.tensor(POSITIONS["in order"])
    whole = model(*inputs, depth=depth)
    torch.testing.assert_close(
        model(*inputs, asked=asked, depth=depth), whole.flatten(0, 1)[asked], atol=1e-5, rtol=1e-5
    )
    real = inputs[-1] > 0
    torch.testing.assert_close(list(model.states(*inputs))[depth][real], whole[real])


@pytest.mark.parametrize("case", CASES)
def test_padding_is_left_out_without_a_trace(case: str) -> None:
    """Vectors of tokens and gradients are the same; the places of padding hold 0 then."""
    model, inputs = encoder(case, "explicit"), packed()
    real = inputs[-1] > 0
    found = []
    for skips in (True, False):
        model.skips_padding = skips
        model.zero_grad()
        vectors = model(*inputs)
        assert skips == (not vectors[~real].any())
        (vectors[real] * torch.linspace(-1, 1, 32)).sum().backward()
        gradients = [weight.grad for weight in model.parameters() if weight.grad is not None]
        found.append((vectors[real], gradients))
    torch.testing.assert_close(*found, atol=1e-5, rtol=1e-4)


def test_only_the_last_layer_is_narrow() -> None:
    model, inputs, asked = encoder("bert", "explicit"), packed(), torch.tensor(POSITIONS["in order"])
    seen: list[tuple[int, ...]] = []
    for layer in model.layers:
        layer.inner.register_forward_hook(lambda _module, given, _out: seen.append(tuple(given[0].shape)))  # pyright: ignore
    model(*inputs, asked=asked)
    assert seen == [(62, 32), (62, 32), (12, 32)]  # padding, 18 of 80 places, is not computed at all


def test_the_asked_stand_side_by_side() -> None:
    found = Asked.of(torch.tensor([7, 2, 5, 1]), Places(3, 4, torch.tensor([0, 1, 2, 4, 5, 6, 7])))
    assert found.numbers.tolist() == [6, 2, 4, 1]
    assert found.sources.shape == (3, 2)
    flat = found.positions[found.sources].flatten()
    assert flat[found.slots].tolist() == [7, 2, 5, 1]
    assert sorted(flat[:2].tolist()) == [1, 2]
    assert sorted(flat[2:4].tolist()) == [5, 7]
