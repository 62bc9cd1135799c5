"""What a training tells while there is time, and what it keeps quiet about."""

from pathlib import Path
from typing import Any

import pytest

from bertwright.pretrain import pretrain
from bertwright.run import read_log
from bertwright.watch import watch_gradients, watch_plateau
from helpers import small_recipe


def gradients(norms: list[float]) -> list[int]:
    """The steps of which something is told."""
    watch = watch_gradients()
    records = [{"step": step, "gradient_norm": norm, "sample_ids": "1:x"} for step, norm in enumerate(norms, start=1)]
    return [record["step"] for record in records if watch(record, 0.5)]


def test_an_exploding_gradient_is_told_once() -> None:
    assert gradients([2.0] * 30 + [39.0]) == []
    assert gradients([2.0] * 30 + [41.0, 50.0, 2.0, 60.0]) == [31]
    assert gradients([2.0] * 30 + [41.0] + [2.0] * 150 + [41.0]) == [31, 182]
    assert gradients([50.0, 2.0, 1.0, 90.0]) == [], "the first steps have nothing to be compared with"


def plateau(losses: list[float]) -> list[int]:
    """The evaluations, of ten in a run, at which something is told."""
    watch = watch_plateau(6.5, [])
    records: list[dict[str, Any]] = [{"evaluation": {"masked_tokens": loss}} for loss in losses]
    return [number for number, record in enumerate(records, start=1) if watch(record, number / 10)]


def test_a_plateau_is_told_once_and_not_too_early() -> None:
    assert plateau([6.6, 6.5, 6.5, 6.47, 6.4]) == [3]
    assert plateau([6.6, 6.5, 6.3, 6.2]) == []
    assert watch_plateau(6.5, [])({"step": 1}, 0.9) == [], "no evaluation, nothing to say"


@pytest.mark.parametrize(("rate", "told"), [(1e-6, True), (2e-2, False)])
def test_a_run_that_learns_nothing_is_told_so(tmp_path: Path, rate: float, told: bool) -> None:
    heard: list[str] = []
    settings = {"steps": 120, "evaluate_every": 60, "batch_size": 16}
    optimizer = {"name": "muon", "learning_rate": rate, "matrix_learning_rate": rate}
    recipe = small_recipe(tmp_path, train=settings, optimizer=optimizer, model={"layout": "modernbert"})
    result = pretrain(recipe, progress=lambda record: heard.extend(record.get("notices", [])))
    logged = [notice for record in read_log(tmp_path / "run" / "log.jsonl") for notice in record.get("notices", [])]
    assert heard == logged
    assert any("frequencies alone" in notice for notice in heard) is told
    assert (result["evaluation"]["masked_tokens"] > result["unigram_entropy"] - 0.05) is told
