"""Several processes give what one gives, and a process that dies costs nothing but time."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from bertwright.config import PretrainRecipe, dump_recipe
from bertwright.pretrain import pretrain
from bertwright.run import read_json, read_log
from helpers import small_recipe

STEPS: dict[str, Any] = {"steps": 50, "batch_size": 24, "save_every": 10, "evaluate_every": 25, "threads": 1}


def start(folder: Path, recipe: PretrainRecipe, *, restarts: int = 0) -> subprocess.Popen[bytes]:
    """Two processes on this machine, through torchrun."""
    path = folder / f"{Path(recipe.run).name}.toml"
    path.write_text(dump_recipe(recipe), encoding="utf-8")
    options = ["--standalone", "--nproc-per-node", "2", "--max-restarts", str(restarts)]
    command = [sys.executable, "-m", "torch.distributed.run", *options, "-m", "bertwright", "pretrain", str(path)]
    environment = {**os.environ, "GLOO_SOCKET_IFNAME": "lo"}
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment)


def finish(process: subprocess.Popen[bytes]) -> str:
    """What the processes printed, once they have ended well."""
    output, _ = process.communicate(timeout=240)
    assert process.returncode == 0, output.decode()
    return output.decode()


def losses(folder: Path) -> list[float]:
    """The loss of each step of a run."""
    return [record["loss"] for record in read_log(folder / "log.jsonl")]


def recipe(folder: Path, run: str, optimizer: str, **sections: Any) -> PretrainRecipe:
    """A run of fifty steps."""
    rates = {"name": optimizer, "learning_rate": 1e-2, "matrix_learning_rate": 2e-2}
    return small_recipe(folder, run, train=STEPS, optimizer=rates, **sections)


@pytest.mark.parametrize(("optimizer", "tolerance"), [("adamw", 1e-4), ("muon", 1e-2)])
def test_two_processes_have_the_losses_of_one(tmp_path: Path, optimizer: str, tolerance: float) -> None:
    modern = {"layout": "modernbert"}
    pretrain(recipe(tmp_path, "one", optimizer, model=modern))
    output = finish(start(tmp_path, recipe(tmp_path, "two", optimizer, model=modern)))
    one, two = losses(tmp_path / "one"), losses(tmp_path / "two")
    assert len(two) == 50
    assert two == pytest.approx(one, rel=tolerance)
    assert one[-1] < one[0] - 0.1, "something is learnt, or equal losses would say little"
    logs = [read_log(tmp_path / run / "log.jsonl") for run in ("one", "two")]
    for key in ("sample_ids", "tokens", "learning_rate", "epoch"):
        assert [record[key] for record in logs[0]] == [record[key] for record in logs[1]]
    results = [read_json(tmp_path / run / "results" / "pretrain.json") for run in ("one", "two")]
    assert results[1]["best"] == pytest.approx(results[0]["best"], rel=tolerance)
    assert output.count("held out") == 1, "one process speaks for all"


def workers(launcher: int) -> list[int]:
    """The processes that torchrun has started."""
    found = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(status.read_text().rpartition(")")[2].split()[1])
        except OSError:  # it has just ended
            continue
        if parent == launcher:
            found.append(int(status.parent.name))
    return found


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="finds the processes in /proc")
def test_a_process_that_is_killed_is_started_again_and_goes_on(tmp_path: Path) -> None:
    pairs = {"pair": "next_sentence"}
    pretrain(recipe(tmp_path, "whole", "adamw", objective=pairs))
    process = start(tmp_path, recipe(tmp_path, "killed", "adamw", objective=pairs), restarts=1)
    saved = tmp_path / "killed" / "checkpoints" / "step-00000010" / "train.pt"
    deadline = time.monotonic() + 120
    while not saved.exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    assert saved.exists()
    os.kill(workers(process.pid)[-1], signal.SIGKILL)
    finish(process)
    whole, killed = losses(tmp_path / "whole"), losses(tmp_path / "killed")
    assert len(killed) == 50
    assert killed == pytest.approx(whole, rel=1e-4)
