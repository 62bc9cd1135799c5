"""Adversarial passes: they raise the loss, add the gradients of the place they moved to, and leave nothing behind."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from bertwright.adversarial import adversary, fgm, pgd
from bertwright.config import ModelConfig, TricksSettings
from bertwright.model.heads import ClassificationModel

CONFIG = ModelConfig(layers=2, width=16, heads=2, inner_width=24, vocabulary_size=40, max_length=16)
IDS = torch.randint(5, 40, (6, 8), generator=torch.Generator().manual_seed(1))
WANTED = torch.tensor([0, 1, 2, 0, 1, 2])


class Case:
    """A model, its batch, and the gradients of a first pass."""

    def __init__(self) -> None:
        torch.manual_seed(1)
        self.model = ClassificationModel(CONFIG, 3, pooling="cls").eval()
        self.table = self.model.encoder.token_embedding.weight
        self.places: list[Tensor] = []
        self.clean = self.again()
        self.gradients = {
            name: each.grad.clone() for name, each in self.model.named_parameters() if each.grad is not None
        }
        self.origin = self.table.detach().clone()
        self.places.clear()

    def loss(self) -> Tensor:
        numbers = torch.arange(1, 7)[:, None].expand(6, 8)
        places = torch.arange(8).expand(6, 8)
        zeros = torch.zeros_like(IDS)
        logits = self.model(IDS, zeros, places, numbers, zeros[0, :0], torch.arange(0, 48, 8))
        return functional.cross_entropy(logits, WANTED)

    def again(self) -> float:
        self.places.append(self.table.detach().clone())
        loss = self.loss()
        loss.backward()
        return float(loss.detach())

    def gradients_at(self, place: Tensor) -> dict[str, Tensor]:
        """Those of a single pass with the table there."""
        self.model.zero_grad()
        with torch.no_grad():
            self.table.copy_(place)
        self.loss().backward()
        return {name: each.grad.clone() for name, each in self.model.named_parameters() if each.grad is not None}


def run(case: Case, kind: str, radius: float) -> float:
    if kind == "fgm":
        return fgm(case.table, radius, case.again)
    return pgd(list(case.model.parameters()), case.table, radius, 3, case.again)


@pytest.mark.parametrize("kind", ["fgm", "pgd"])
def test_the_loss_is_higher_there_and_nothing_has_moved(kind: str) -> None:
    case = Case()
    assert run(case, kind, 0.05) > case.clean
    assert torch.equal(case.table, case.origin)


@pytest.mark.parametrize("kind", ["fgm", "pgd"])
def test_the_gradients_of_the_last_place_are_added(kind: str) -> None:
    case = Case()
    run(case, kind, 0.05)
    found = {name: each.grad.clone() for name, each in case.model.named_parameters() if each.grad is not None}
    there = case.gradients_at(case.places[-1])
    assert found.keys() == there.keys() == case.gradients.keys()
    for name, gradient in found.items():
        torch.testing.assert_close(gradient, case.gradients[name] + there[name])


def test_one_move_goes_along_the_gradient() -> None:
    case = Case()
    run(case, "fgm", 0.05)
    (place,) = case.places
    gradient = case.gradients["encoder.token_embedding.weight"]
    torch.testing.assert_close(place - case.origin, 0.05 * gradient / gradient.norm())


def test_several_moves_stay_in_the_ball_and_find_a_higher_loss_than_one() -> None:
    case, single = Case(), Case()
    loss = run(case, "pgd", 0.3)
    distances = [float((place - case.origin).norm()) for place in case.places]
    assert distances[0] == pytest.approx(0.2)
    assert max(distances) == pytest.approx(0.3)
    assert loss >= run(single, "fgm", 0.3)


@pytest.mark.parametrize("asked", ["none", "fgm", "pgd"])
def test_what_a_recipe_asks_for(asked: str) -> None:
    case = Case()
    found: Callable[[Callable[[], float]], float] | None = adversary(
        case.model,
        TricksSettings(adversarial=asked, adversarial_radius=0.05, adversarial_steps=2),  # pyright: ignore[reportArgumentType]
    )
    if asked == "none":
        assert found is None
        return
    assert found is not None
    assert found(case.again) > case.clean
    assert len(case.places) == {"fgm": 1, "pgd": 2}[asked]


def test_a_table_without_gradient_stays() -> None:
    """As where all of a batch is already known."""
    case = Case()
    assert case.table.grad is not None
    case.table.grad.zero_()
    assert run(case, "fgm", 0.05) == pytest.approx(case.clean)
