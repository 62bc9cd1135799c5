"""Several processes give what one gives, and a process that dies costs nothing but time."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from bertwright.config import FinetuneRecipe, PretrainRecipe
from bertwright.errors import Interrupted
from bertwright.finetune import finetune
from bertwright.pretrain import pretrain
from bertwright.recipe import dump_recipe, parse
from bertwright.run import read_json, read_log
from helpers import SMALL_TRAINING, small_recipe

STEPS: dict[str, Any] = {"steps": 50, "batch_size": 24, "save_every": 10, "evaluate_every": 25, "threads": 1}


def start(folder: Path, recipe: PretrainRecipe | FinetuneRecipe, *, restarts: int = 0) -> subprocess.Popen[bytes]:
    """Two processes on this machine, through torchrun."""
    path = folder / f"{Path(recipe.run).name}.toml"
    path.write_text(dump_recipe(recipe), encoding="utf-8")
    verb = "pretrain" if isinstance(recipe, PretrainRecipe) else "finetune"
    options = ["--standalone", "--nproc-per-node", "2", "--max-restarts", str(restarts)]
    command = [sys.executable, "-m", "torch.distributed.run", *options, "-m", "bertwright", verb, str(path)]
    loopback = {"GLOO_SOCKET_IFNAME": "lo"} if sys.platform == "linux" else {}
    environment = {**os.environ, **loopback}
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment)


def finish(process: subprocess.Popen[bytes]) -> str:
    """What the processes printed, once they have ended well."""
    code, output = end(process)
    assert code == 0, output
    return output


def end(process: subprocess.Popen[bytes]) -> tuple[int, str]:
    """The exit code, and what the processes printed."""
    try:
        output, _ = process.communicate(timeout=120)
    finally:
        process.kill()
        process.wait()
    return process.returncode, output.decode()


def losses(folder: Path) -> list[float]:
    """The loss of each step of a run."""
    return [record["loss"] for record in read_log(folder / "log.jsonl")]


def recipe(folder: Path, run: str, optimizer: str, **sections: Any) -> PretrainRecipe:
    """A run of fifty steps."""
    rates = {"name": optimizer, "learning_rate": 1e-2, "matrix_learning_rate": 2e-2}
    return small_recipe(folder, run, optimizer=rates, **{"train": STEPS, **sections})


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
    assert output.count("held out") == output.count("step 25  evaluation") == 1, "one process speaks for all"


@pytest.mark.parametrize("tricks", [{}, {"adversarial": "pgd", "adversarial_radius": 0.1, "average_decay": 0.8}])
def test_two_processes_fine_tune_as_one_does(trained: Path, tmp_path: Path, tricks: dict[str, Any]) -> None:
    values: dict[str, Any] = {
        "task": "classify",
        "data": {side: str(trained / f"{side}.csv") for side in ("train", "development")},
        "start": {"checkpoint": str(trained / "pretrained" / "best"), "pooling": "mean", "dropout": 0.0},
        "optimizer": {"learning_rate": 1e-2},
        "tricks": tricks,
        "train": {**SMALL_TRAINING, "steps": 12},
    }
    finetune(parse(FinetuneRecipe, {**values, "run": str(tmp_path / "one")}))
    finish(start(tmp_path, parse(FinetuneRecipe, {**values, "run": str(tmp_path / "two")})))
    one, two = losses(tmp_path / "one"), losses(tmp_path / "two")
    assert len(two) == 12
    assert two == pytest.approx(one, rel=1e-4)
    results = [read_json(tmp_path / run / "results" / "finetune.json") for run in ("one", "two")]
    assert results[1]["development"]["metrics"] == pytest.approx(results[0]["development"]["metrics"], rel=1e-4)


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
    first = set(workers(process.pid))
    os.kill(max(first), signal.SIGKILL)
    while not set(workers(process.pid)) - first and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    assert set(workers(process.pid)) - first, "they were started again"
    finish(process)
    whole, killed = losses(tmp_path / "whole"), losses(tmp_path / "killed")
    assert len(killed) == 50
    assert killed == pytest.approx(whole, rel=1e-4)


def test_a_run_of_others_is_not_gone_on_with_after_a_restart(tmp_path: Path) -> None:
    pretrain(recipe(tmp_path, "theirs", "adamw"))
    log = (tmp_path / "theirs" / "log.jsonl").read_bytes()
    code, output = end(start(tmp_path, recipe(tmp_path, "theirs", "adamw"), restarts=1))
    assert code != 0
    assert output.count("this folder holds a run already") == 2, "at each of two attempts, by one process"
    assert "src/bertwright" not in output, "a message, and no traceback into the code"
    assert (tmp_path / "theirs" / "log.jsonl").read_bytes() == log


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGTERM")
def test_all_processes_stop_when_they_are_asked_to_and_can_go_on(tmp_path: Path) -> None:
    long = {"steps": 100_000, "save_every": 0}
    process = start(tmp_path, recipe(tmp_path, "stopped", "adamw", train={**STEPS, **long}))
    log = tmp_path / "stopped" / "log.jsonl"
    deadline = time.monotonic() + 120
    while not (log.exists() and log.stat().st_size > 2000) and time.monotonic() < deadline:
        time.sleep(0.02)
    process.terminate()  # torchrun hands it on
    code, _ = end(process)
    assert code != 0
    last = read_log(log)[-1]["step"]
    assert (tmp_path / "stopped" / "checkpoints" / f"step-{last:08d}" / "train.pt").exists()

    def stop(_record: dict[str, Any]) -> None:
        signal.raise_signal(signal.SIGTERM)

    with pytest.raises(Interrupted):
        pretrain(recipe(tmp_path, "stopped", "adamw"), resume=True, progress=stop)
    assert last + 1 <= read_log(log)[-1]["step"] <= last + 2
