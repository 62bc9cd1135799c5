"""Devices, number formats, and the choice of the fastest."""

import functools
import os
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from bertwright import devices
from bertwright.devices import choose_device, computing_in, fastest, require_room, tune_memory, use_threads
from bertwright.errors import UserError
from bertwright.pretrain import pretrain
from bertwright.run import read_log
from helpers import small_recipe


class Small(nn.Module):
    """A table and a linear layer, which say what they were computed in."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(5, 4)
        self.linear = nn.Linear(4, 3)
        self.seen: dict[str, torch.dtype] = {}

    def forward(self, ids: Tensor) -> Tensor:
        self.seen = {"table": self.embedding.weight.dtype, "matrix": self.linear.weight.dtype}
        return self.linear(self.embedding(ids).to(self.linear.weight.dtype))


def test_computing_in_leaves_weights_and_gradients_in_float32() -> None:
    torch.manual_seed(1)
    model, ids = Small(), torch.tensor([[0, 3, 4]])
    exact = model(ids)
    exact.square().sum().backward()
    gradients = {name: parameter.grad for name, parameter in model.named_parameters()}
    model.zero_grad()
    result = computing_in(model, torch.bfloat16)(ids)
    assert result.dtype == torch.bfloat16
    assert model.seen == {"table": torch.float32, "matrix": torch.bfloat16}
    torch.testing.assert_close(result.float(), exact, atol=0.03, rtol=0)
    assert not torch.equal(result.float(), exact), "it was computed in less than float32"
    result.float().square().sum().backward()
    for name, parameter in model.named_parameters():
        assert parameter.dtype == torch.float32
        assert parameter.grad is not None
        assert parameter.grad.dtype == torch.float32
        torch.testing.assert_close(parameter.grad, gradients[name], atol=0.1, rtol=0.1)
    assert model.linear.weight.grad is not None
    assert model.linear.weight.grad.abs().sum() > 0


def test_computing_in_float32_is_the_model_itself() -> None:
    model = Small()
    assert computing_in(model, torch.float32) is model


def test_the_cast_follows_the_weights() -> None:
    """After an optimizer step the same forward pass computes with the new weights."""
    model, ids = Small(), torch.tensor([[1]])
    forward = computing_in(model, torch.bfloat16)
    before = forward(ids)
    with torch.no_grad():
        model.linear.bias.add_(1)
    torch.testing.assert_close(forward(ids).float(), before.float() + 1, atol=0.05, rtol=0)


def test_fastest(monkeypatch: pytest.MonkeyPatch) -> None:
    """The median decides, after one untimed call each: neither a slow first call nor one outlier counts."""
    now = 0.0
    calls: list[str] = []

    def taking(name: str, *seconds: float) -> Callable[[], None]:
        durations = iter(seconds)

        def function() -> None:
            nonlocal now
            calls.append(name)
            now += next(durations)

        return function

    monkeypatch.setattr(devices.time, "perf_counter", lambda: now)
    candidates = {"steady": taking("steady", 2, 2, 2, 2), "quick": taking("quick", 50, 1, 30, 1.5)}
    assert fastest(candidates) == ("quick", {"steady": 2, "quick": 1.5})
    assert calls == ["steady", "quick"] * 4, "they take turns, so that a busy moment strikes both"


def test_fastest_with_more_repeats() -> None:
    calls: list[str] = []
    candidates = {name: functools.partial(calls.append, name) for name in ("a", "b")}
    name, seconds = fastest(candidates, repeats=5)
    assert name in candidates
    assert set(seconds) == set(candidates)
    assert len(calls) == 2 * (1 + 5)


def test_choose_device(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert choose_device("auto") == choose_device("cpu") == torch.device("cpu")
    with pytest.raises(UserError, match="torch sees no GPU"):
        choose_device("cuda")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert choose_device("auto") == choose_device("cuda") == torch.device("cuda", 0)
    monkeypatch.setenv("LOCAL_RANK", "3")
    assert choose_device("cuda") == torch.device("cuda", 3), "one GPU for each process that torchrun starts"


def test_use_threads() -> None:
    before = torch.get_num_threads()
    try:
        assert use_threads(1) == torch.get_num_threads() == 1
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
        assert use_threads(0) == torch.get_num_threads() == cores
        assert use_threads(6, sharing=3) == torch.get_num_threads() == 2
        assert use_threads(1, sharing=2) == torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(before)


def test_few_compiled_products_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Unless a user asks for more."""
    monkeypatch.delenv("ONEDNN_PRIMITIVE_CACHE_CAPACITY", raising=False)
    tune_memory()
    assert os.environ["ONEDNN_PRIMITIVE_CACHE_CAPACITY"] == "16"
    monkeypatch.setenv("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "300")
    tune_memory()
    assert os.environ["ONEDNN_PRIMITIVE_CACHE_CAPACITY"] == "300"


def test_tune_memory_can_be_asked_again() -> None:
    tune_memory()
    tune_memory()
    assert torch.ones(2**20).sum() == 2**20


def test_a_model_that_does_not_fit_is_refused_before_it_is_built(tmp_path: Path) -> None:
    require_room(1_000_000, torch.device("cpu"))
    with pytest.raises(UserError, match=r"need 16000.0 GB with their gradients and optimizer, and cpu has"):
        require_room(10**12, torch.device("cpu"))
    huge = {"width": 65_536, "heads": 64, "inner_width": 262_144, "layers": 96}
    with pytest.raises(UserError, match="parameters need"):
        pretrain(small_recipe(tmp_path, model=huge))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
def test_a_gpu_gives_the_losses_of_the_processor(tmp_path: Path) -> None:
    for device in ("cpu", "cuda"):
        pretrain(small_recipe(tmp_path, device, train={"device": device, "attention": "sdpa"}))
    one, other = (read_log(tmp_path / device / "log.jsonl") for device in ("cpu", "cuda"))
    assert [record["loss"] for record in one] == pytest.approx([record["loss"] for record in other], rel=1e-3)
    assert [record["sample_ids"] for record in one] == [record["sample_ids"] for record in other]
