"""Ctrl-C, SIGTERM, and two runs in one folder: what a user does to a run that goes on."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bertwright.errors import UserError
from bertwright.pretrain import pretrain
from bertwright.recipe import dump_recipe
from bertwright.run import Run, read_log
from bertwright.train import latest_checkpoint
from helpers import small_recipe

LONG = {"steps": 100_000, "save_every": 0, "evaluate_every": 100_000, "threads": 1}


def start(folder: Path, *options: str) -> subprocess.Popen[bytes]:
    """A run in a process of its own, once it has taken some steps."""
    recipe = small_recipe(folder, train=LONG)
    path = folder / "recipe.toml"
    path.write_text(dump_recipe(recipe), encoding="utf-8")
    command = [sys.executable, "-m", "bertwright", "pretrain", str(path), *options]
    flags = subprocess.CREATE_NEW_PROCESS_GROUP if sys.platform == "win32" else 0
    log, size = folder / "run" / "log.jsonl", 0
    if log.exists():
        size = log.stat().st_size
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, creationflags=flags)
    deadline = time.monotonic() + 60
    while not (log.exists() and log.stat().st_size > size + 2000) and time.monotonic() < deadline:
        assert process.poll() is None, process.stdout.read().decode() if process.stdout else ""
        time.sleep(0.02)
    return process


def stop(process: subprocess.Popen[bytes], number: int) -> tuple[int, str]:
    """Send a signal; the exit code and what was printed."""
    os.kill(process.pid, number)
    try:
        output, _ = process.communicate(timeout=60)
    finally:
        process.kill()
        process.wait()
    return process.returncode, output.decode()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows sends other signals")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_run_that_is_stopped_saves_first_and_goes_on(tmp_path: Path, number: signal.Signals) -> None:
    for round_ in (1, 2):
        code, output = stop(start(tmp_path, *["--resume"] * (round_ - 1)), number)
        assert code == 130
        assert "a checkpoint is saved, go on by --resume" in output
        assert "Traceback" not in output
        records = read_log(tmp_path / "run" / "log.jsonl")
        assert [record["step"] for record in records] == list(range(1, len(records) + 1))
        checkpoint = latest_checkpoint(Run(tmp_path / "run"))
        assert checkpoint is not None
        assert checkpoint.name == f"step-{len(records):08d}"


def test_two_runs_in_one_folder(tmp_path: Path) -> None:
    process = start(tmp_path)
    try:
        recipe = small_recipe(tmp_path, train=LONG)
        for resume in (False, True):
            with pytest.raises(UserError, match="another process is training in this folder"):
                pretrain(recipe, resume=resume)
        assert process.poll() is None, "the first one is not disturbed"
    finally:
        process.kill()
        process.communicate()
    with pytest.raises(UserError, match="this folder holds a run already"):
        pretrain(recipe)
    with pytest.raises(InterruptedError):  # the folder is free again
        pretrain(recipe, resume=True, progress=interrupt)
    with pytest.raises(InterruptedError):  # and again, whatever ended the last one
        pretrain(recipe, resume=True, progress=interrupt)


def interrupt(record: dict[str, object]) -> None:
    """Ends a run in this process."""
    raise InterruptedError
