"""TensorBoard's events hold the numbers of the log."""

from pathlib import Path

import pytest

from bertwright.pretrain import pretrain
from bertwright.run import read_log
from helpers import small_recipe


def test_events_are_those_of_the_log(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    pretrain(small_recipe(tmp_path, train={"steps": 6, "evaluate_every": 3, "tensorboard": True}))
    events = EventAccumulator(str(tmp_path / "run" / "tensorboard"))
    events.Reload()
    log = read_log(tmp_path / "run" / "log.jsonl")
    for name in ("loss", "learning_rate", "gradient_norm"):
        written = events.Scalars(name)
        assert [event.step for event in written] == [1, 2, 3, 4, 5, 6]
        assert [event.value for event in written] == pytest.approx([record[name] for record in log], rel=1e-6)
    assert [event.step for event in events.Scalars("evaluation/masked_tokens")] == [3, 6]
