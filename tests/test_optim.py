"""Which parameter goes to which optimizer, what a step does, and the schedule."""

import math

import pytest
import torch
from torch import Tensor, nn

from bertwright.config import ModelConfig, OptimizerSettings
from bertwright.model.heads import ClassificationModel, PretrainingModel
from bertwright.optim import Average, Optimizers, StackedMuon, depths_below_head, schedule

CONFIG = ModelConfig(layers=2, width=16, heads=2, inner_width=24, vocabulary_size=40, max_length=16)

OF_A_LAYER = ("attention.query", "attention.key", "attention.value", "attention.output", "inner", "outer")


def names(model: nn.Module, optimizer: torch.optim.Optimizer) -> list[list[str]]:
    """Names of the parameters in each group of an optimizer."""
    known = {id(parameter): name for name, parameter in model.named_parameters()}
    return [[known[id(parameter)] for parameter in group["params"]] for group in optimizer.param_groups]


@pytest.mark.parametrize("layout", ["bert", "modernbert"])
@pytest.mark.parametrize("kind", ["pretraining", "classification"])
def test_muon_takes_the_matrices_of_the_encoder_and_nothing_else(kind: str, layout: str) -> None:
    """Not embeddings, positions, pooler or heads, though they are matrices, too."""
    config = CONFIG.model_copy(update={"layout": layout})
    if kind == "pretraining":
        model: nn.Module = PretrainingModel(config, pair=layout == "bert")
    else:
        model = ClassificationModel(config, 3, pooling="cls")
    adamw, muon = Optimizers(model, OptimizerSettings(name="muon")).optimizers
    expected = {f"encoder.layers.{layer}.{part}.weight" for layer in range(2) for part in OF_A_LAYER}
    (of_muon,) = names(model, muon)
    assert set(of_muon) == expected
    assert len(of_muon) == len(expected)
    others = [name for group in names(model, adamw) for name in group]
    assert sorted([*others, *of_muon]) == sorted(name for name, _ in model.named_parameters())


@pytest.mark.parametrize("name", ["adamw", "muon"])
def test_vectors_do_not_decay(name: str) -> None:
    model = PretrainingModel(CONFIG, pair=True)
    settings = OptimizerSettings(name=name, weight_decay=0.1)  # pyright: ignore[reportArgumentType]
    optimizers = Optimizers(model, settings).optimizers
    shapes = {parameter: tensor.ndim for parameter, tensor in model.named_parameters()}
    groups = [
        (group["weight_decay"], of_group)
        for o in optimizers
        for group, of_group in zip(o.param_groups, names(model, o), strict=True)
    ]
    for decay, of_group in groups:
        assert {shapes[parameter] > 1 for parameter in of_group} == {decay > 0}
        assert decay in (0, 0.1)
    assert any("norm" in parameter for decay, of_group in groups for parameter in of_group if decay == 0)


def test_settings_arrive() -> None:
    settings = OptimizerSettings(
        name="muon", learning_rate=3e-3, matrix_learning_rate=2e-2, betas=(0.8, 0.9), epsilon=1e-7, weight_decay=0.03
    )
    optimizers = Optimizers(PretrainingModel(CONFIG, pair=False), settings)
    adamw, muon = optimizers.optimizers
    assert isinstance(adamw, torch.optim.AdamW)
    assert isinstance(muon, torch.optim.Muon)
    assert (adamw.param_groups[0]["betas"], adamw.param_groups[0]["eps"]) == ((0.8, 0.9), 1e-7)
    assert muon.param_groups[0]["weight_decay"] == 0.03
    assert muon.param_groups[0]["adjust_lr_fn"] == "original"
    assert optimizers.peaks == [[3e-3, 3e-3], [2e-2]]


def test_matrices_that_share_products_are_updated_as_one_by_one() -> None:
    """Three steps of torch's own Muon, over square, tall and wide matrices, one of them without a gradient at first."""
    shapes = [(8, 8), (22, 8), (8, 8), (8, 11), (22, 8)]
    generator = torch.Generator().manual_seed(5)
    ours = [nn.Parameter(torch.randn(shape, generator=generator)) for shape in shapes]
    theirs = [nn.Parameter(matrix.detach().clone()) for matrix in ours]
    stacked = StackedMuon([{"params": ours, "lr": 0.05, "weight_decay": 0.1}], dtype=torch.bfloat16)
    single = torch.optim.Muon(theirs, lr=0.05, weight_decay=0.1, adjust_lr_fn="original")
    for step in range(3):
        for number, (own, other) in enumerate(zip(ours, theirs, strict=True)):
            if number or step:
                own.grad = torch.randn(own.shape, generator=generator)
                other.grad = own.grad.clone()
        stacked.step()
        single.step()
    for own, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(own, other, atol=2e-3, rtol=0)  # both round to bfloat16 in between


class Two(nn.Module):
    """A matrix and a vector."""

    def __init__(self) -> None:
        super().__init__()
        self.matrix = nn.Parameter(torch.full((2, 2), 0.5))
        self.vector = nn.Parameter(torch.full((2,), 0.5))

    def set_gradients(self, matrix: Tensor, vector: Tensor) -> None:
        self.matrix.grad, self.vector.grad = matrix, vector


def test_the_first_step_by_hand() -> None:
    """AdamW's first step is the sign of the gradient times the rate, beside the decay of the matrix."""
    model = Two()
    settings = OptimizerSettings(learning_rate=0.1, weight_decay=0.2, epsilon=1e-12, clip_norm=0)
    optimizers = Optimizers(model, settings)
    model.set_gradients(torch.tensor([[3.0, -4.0], [0.0, 0.0]]), torch.tensor([0.0, 12.0]))
    norm = optimizers.step(0.5)
    assert float(norm) == pytest.approx(13)
    decayed = 0.5 * (1 - 0.05 * 0.2)
    torch.testing.assert_close(model.matrix.data, torch.tensor([[decayed - 0.05, decayed + 0.05], [decayed] * 2]))
    torch.testing.assert_close(model.vector.data, torch.tensor([0.5, 0.45]))
    assert model.matrix.grad is None
    assert model.vector.grad is None


def updates_with(gradient: float, clip_norm: float) -> tuple[float, Tensor]:
    """The norm that a step returns, and the gradient that reaches the optimizer."""
    model = Two()
    optimizers = Optimizers(model, OptimizerSettings(clip_norm=clip_norm))
    seen: list[Tensor] = []
    (adamw,) = optimizers.optimizers
    adamw.register_step_pre_hook(lambda *_: seen.append(model.matrix.grad.clone()))  # pyright: ignore[reportOptionalMemberAccess]
    model.set_gradients(torch.full((2, 2), gradient), torch.zeros(2))
    return float(optimizers.step(1.0)), seen[0]


def test_clipping() -> None:
    """Gradients are scaled to the norm if they exceed it; 0 leaves them alone; the norm before is returned."""
    for clip_norm, expected in ((1.0, 0.5), (10.0, 3.0), (0.0, 3.0)):
        norm, gradient = updates_with(3.0, clip_norm)
        assert norm == pytest.approx(6)
        torch.testing.assert_close(gradient, torch.full((2, 2), expected), atol=1e-5, rtol=0)


@pytest.mark.parametrize("value", [math.nan, math.inf])
@pytest.mark.parametrize("clip_norm", [0.0, 1.0])
def test_a_gradient_that_is_no_number_changes_nothing(value: float, clip_norm: float) -> None:
    model = Two()
    optimizers = Optimizers(model, OptimizerSettings(clip_norm=clip_norm))
    model.set_gradients(torch.full((2, 2), value), torch.ones(2))
    assert not math.isfinite(float(optimizers.step(1.0)))
    assert model.matrix.data.tolist() == [[0.5, 0.5], [0.5, 0.5]]
    assert model.vector.data.tolist() == [0.5, 0.5]


def test_rates_follow_the_factor_from_the_peak() -> None:
    """Not from the rate of the step before."""
    model = Two()
    optimizers = Optimizers(model, OptimizerSettings(learning_rate=0.1))
    for factor in (0.5, 1.0, 0.25):
        model.set_gradients(torch.ones(2, 2), torch.ones(2))
        optimizers.step(factor)
        assert [group["lr"] for group in optimizers.optimizers[0].param_groups] == [0.1 * factor] * 2


@pytest.mark.parametrize(
    ("progress", "warmup", "expected"),
    [
        (0, 0.1, 0),
        (0.05, 0.1, 0.5),
        (0.1, 0.1, 1),
        (0.55, 0.1, 0.5),
        (1, 0.1, 0),
        (0, 0, 1),
        (0.25, 0, 0.75),
        (1.1, 0, 0),
    ],
)
def test_schedule(progress: float, warmup: float, expected: float) -> None:
    assert schedule(progress, warmup) == pytest.approx(expected)


# ---------------------------------------------------------------------------------------------- rates by layer


def test_each_layer_learns_more_slowly_than_the_one_above() -> None:
    model = ClassificationModel(CONFIG, 3, pooling="cls")
    settings = OptimizerSettings(name="muon", learning_rate=1e-3, matrix_learning_rate=1e-2)
    optimizers = Optimizers(model, settings, layer_decay=0.5)
    rates = {
        name: group["lr"]
        for optimizer in optimizers.optimizers
        for group, of_group in zip(optimizer.param_groups, names(model, optimizer), strict=True)
        for name in of_group
    }
    assert rates.keys() == {name for name, _ in model.named_parameters()}
    expected = {
        "classifier.weight": 1e-3,
        "pooler.dense.bias": 1e-3,
        "encoder.layers.1.inner.weight": 5e-3,
        "encoder.layers.1.output_norm.weight": 5e-4,
        "encoder.layers.0.attention.query.weight": 2.5e-3,
        "encoder.layers.0.inner.bias": 2.5e-4,
        "encoder.token_embedding.weight": 1.25e-4,
        "encoder.position_embedding.weight": 1.25e-4,
        "encoder.embedding_norm.weight": 1.25e-4,
    }
    assert {name: rates[name] for name in expected} == pytest.approx(expected)


def test_the_final_norm_belongs_to_the_head() -> None:
    model = PretrainingModel(CONFIG.model_copy(update={"layout": "modernbert"}), pair=False)
    depths = depths_below_head(dict(model.named_parameters()))
    assert depths["encoder.final_norm.weight"] == depths["token_bias"] == 0
    assert depths["encoder.token_embedding.weight"] == 3


# ---------------------------------------------------------------------------------------------- the average


def test_the_average_is_that_of_its_formula() -> None:
    model = nn.Linear(2, 3)
    average = Average(model, 0.9)
    seen = []
    for _ in range(5):
        with torch.no_grad():
            model.weight.normal_()
        seen.append(model.weight.detach().clone())
        average.update()
    shares = [0.1 * 0.9 ** (4 - number) / (1 - 0.9**5) for number in range(5)]
    assert sum(shares) == pytest.approx(1)
    with average.in_place():
        torch.testing.assert_close(model.weight.detach(), sum(s * w for s, w in zip(shares, seen, strict=True)))
    assert torch.equal(model.weight, seen[-1])


def test_the_average_goes_on_from_what_was_saved() -> None:
    model = nn.Linear(2, 3)
    average, other = Average(model, 0.5), Average(model, 0.5)
    average.update()
    other.load_state_dict(average.state_dict())
    with torch.no_grad():
        model.weight.normal_()
    average.update()
    other.update()
    with average.in_place():
        expected = model.weight.detach().clone()
    with other.in_place():
        assert torch.equal(model.weight, expected)
