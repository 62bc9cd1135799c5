"""A full disk costs at most the steps since the last checkpoint, is told by name, and everything goes on from there.

Once for real, on a small file system of our own, and once with a fault injected at each write of a run.
"""

import errno
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch

from bertwright import checkpoint
from bertwright import run as run_module
from bertwright.config import PretrainRecipe
from bertwright.inspection import inspect
from bertwright.pretrain import pretrain
from bertwright.run import Run
from bertwright.store import Store
from bertwright.train import latest_checkpoint
from helpers import SMALL_PRETRAINING, call, failing_at, refused, same_checkpoint, same_log, small_recipe, write_recipe

# ---------------------------------------------------------------------------------------------- a fault at each write

STEPS: dict[str, Any] = {"steps": 6, "save_every": 2, "evaluate_every": 3, "keep": 1, "batch_size": 2, "threads": 1}
MODEL = {"layers": 1, "width": 16, "heads": 2, "inner_width": 16}

WRITES: dict[str, tuple[Any, str]] = {
    "replace": (run_module.os, "replace"),
    "fsync": (run_module.os, "fsync"),
    "weights": (checkpoint.safetensors.torch, "save_file"),
    "state": (checkpoint.torch, "save"),
    "log": (Run, "append"),
}
"""What a run writes by: kind -> the place of the function."""


def recipe(folder: Path, run: str) -> PretrainRecipe:
    return small_recipe(folder, run, train=STEPS, model=MODEL)


def count_calls(function: Callable[..., Any], calls: list[None]) -> Callable[..., Any]:
    def counting(*arguments: Any, **options: Any) -> Any:
        calls.append(None)
        return function(*arguments, **options)

    return counting


def genuine(kind: str) -> Callable[..., Any]:
    """What stands for a write that goes well; flushing is left out, since it only takes time here."""
    return (lambda _: None) if kind == "fsync" else getattr(*WRITES[kind])


@pytest.fixture
def whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """The undisturbed run in `tmp_path / "whole"`; how often it calls each of `WRITES`."""
    calls: dict[str, list[None]] = {kind: [] for kind in WRITES}
    with monkeypatch.context() as patch:
        for kind, (home, name) in WRITES.items():
            patch.setattr(home, name, count_calls(genuine(kind), calls[kind]))
        recipe(tmp_path, "unused")  # writes the store
        for of_kind in calls.values():
            of_kind.clear()
        pretrain(recipe(tmp_path, "whole"))
    return {kind: len(of_kind) for kind, of_kind in calls.items()}


def fail_and_go_on(folder: Path, patch: pytest.MonkeyPatch, kind: str, call_number: int) -> None:
    """Let the n-th write of one kind fail, look at what is left, go on, and compare with the undisturbed run."""
    name = f"{kind}-{call_number}"
    with patch.context() as faults:
        faults.setattr(os, "fsync", lambda _: None)
        faults.setattr(*WRITES[kind], failing_at(call_number, genuine(kind)))
        with pytest.raises(OSError, match="No space left") as caught:
            pretrain(recipe(folder, name))
    assert caught.value.errno == errno.ENOSPC
    begun = (folder / name / "recipe.toml").exists()
    if begun:
        Run.open(folder / name)
        inspect(folder / name, verify=True)
    with patch.context() as faults:
        faults.setattr(os, "fsync", lambda _: None)
        result = pretrain(recipe(folder, name), resume=begun)
    assert result["steps"] == 6
    same_log(folder / "whole", folder / name)
    last = "checkpoints/step-00000006"
    same_checkpoint(folder / "whole" / last, folder / name / last)
    inspect(folder / name, verify=True)
    best = "best/model.safetensors"
    assert (folder / name / best).read_bytes() == (folder / "whole" / best).read_bytes()
    left = [path.name for path in (folder / name).rglob(".*")]
    assert left == [".lock"], "nothing half-written is left"
    shutil.rmtree(folder / name)


def test_a_fault_at_some_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, whole: dict[str, int]) -> None:
    """Every write of weights, state and log, and every seventh flush and rename, beginning elsewhere for each kind."""
    assert whole["state"] == 3
    assert whole["log"] == 6
    assert min(whole.values()) >= 3
    for begin, kind in enumerate(WRITES, start=1):
        stride = 7 if whole[kind] > 10 else 1
        for number in range(begin if stride > 1 else 1, whole[kind] + 1, stride):
            fail_and_go_on(tmp_path, monkeypatch, kind, number)


@pytest.mark.slow
def test_a_fault_at_each_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, whole: dict[str, int]) -> None:
    for kind, count in whole.items():
        for number in range(1, count + 1):
            fail_and_go_on(tmp_path, monkeypatch, kind, number)


def test_a_crash_while_an_old_checkpoint_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A checkpoint folder is whole or not there, also while it is thinned out."""
    genuine_rmtree = shutil.rmtree

    def torn(path: Path, ignore_errors: bool = False) -> None:
        if ignore_errors:
            genuine_rmtree(path, ignore_errors=True)
        else:
            (path / "model.safetensors").unlink()
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    with monkeypatch.context() as patch, pytest.raises(OSError, match="error"):
        patch.setattr(shutil, "rmtree", torn)
        pretrain(recipe(tmp_path, "run"))
    Run.open(tmp_path / "run")
    assert len(inspect(tmp_path / "run", verify=True)["checkpoints"]) == 1
    assert pretrain(recipe(tmp_path, "run"), resume=True)["steps"] == 6


def test_the_libraries_errors_become_the_systems(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`safetensors` and `torch` hide a full disk behind errors of their own, which would end in a traceback."""

    def full(*_: Any, **__: Any) -> None:
        raise safetensors.SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")

    with monkeypatch.context() as patch, pytest.raises(OSError, match=r"run/checkpoints/step-00000002'$") as caught:
        patch.setattr(safetensors.torch, "save_file", full)
        pretrain(recipe(tmp_path, "run"))
    assert caught.value.errno == errno.ENOSPC

    class Full:
        """A file on a full disk."""

        def write(self, _: bytes) -> None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(OSError, match="No space left"), checkpoint._system_errors():  # pyright: ignore[reportPrivateUsage]
        torch.save({"weights": torch.zeros(9)}, Full())  # pyright: ignore[reportArgumentType]
    with pytest.raises(RuntimeError, match="something else"), checkpoint._system_errors():  # pyright: ignore[reportPrivateUsage]
        raise RuntimeError("something else")


# ---------------------------------------------------------------------------------------------- a real one


def private_mounts() -> list[str]:
    """What a command begins with so that it can mount file systems that nobody else sees."""
    for prefix in (["unshare", "--mount"], ["unshare", "--user", "--map-root-user", "--mount"]):
        if shutil.which("unshare") is None:
            break
        probe = [*prefix, "mount", "-t", "tmpfs", "none", "/tmp"]
        if subprocess.run(probe, check=False, capture_output=True).returncode == 0:
            return prefix
    pytest.skip("no file system can be mounted in a private name space here")


@contextmanager
def small_disk(folder: Path, kilobytes: int) -> Iterator[Callable[[int], None]]:
    """A file system of this size in a folder; gives a function that changes the size."""
    folder.mkdir(exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "none", str(folder)], check=True)

    def resize(size: int) -> None:
        subprocess.run(["mount", "-o", f"remount,size={size}k", "none", str(folder)], check=True)

    try:
        yield resize
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk(trained: Path, tmp_path: Path) -> None:
    shutil.copytree(trained / "store", tmp_path / "small-store")
    command = [*private_mounts(), sys.executable, __file__, str(trained), str(tmp_path)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, encoding="utf-8")
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    assert done.stdout.splitlines()[-1] == "all is well"


def prepare_on_a_full_disk(trained: Path, folder: Path) -> None:
    """The old store stays whole, nothing else is left, and with more room the new one is made."""
    disk = folder / "disk"
    large = folder / "large.txt"
    large.write_text("".join(f"第{number}间房间很好，下次还来。\n" for number in range(10_000)), encoding="utf-8")
    words = ("prepare", write_recipe(folder, **SMALL_PRETRAINING), f"corpus.files=['{large}']", f"store={disk}/store")
    with small_disk(disk, 400) as resize:
        shutil.copytree(trained / "store", disk / "store")
        refused(call(*words), "No space left on device", disk / "store")
        assert os.listdir(disk) == ["store"]
        Store.open(disk / "store").verify()
        before = Store.open(disk / "store").num_documents
        resize(4000)
        answer = call(*words)
        assert answer.code == 0, answer.err
        Store.open(disk / "store").verify()
        assert Store.open(disk / "store").num_documents > 10 * before


def pretrain_on_a_full_disk(trained: Path, folder: Path, kilobytes: int, whole: Path) -> str:
    """Train until the disk is full, go on with more room there or elsewhere; says how far it came at first."""
    disk = folder / "disk"
    recipe = write_recipe(folder, base=trained, **RUN)
    words = ("pretrain", recipe, f"run={disk}/run")
    with small_disk(disk, kilobytes) as resize:
        answer = call(*words)
        if answer.code == 0:
            return "done"
        refused(answer, "No space left on device", disk / "run", "--resume")
        run = Run(disk / "run")
        begun = run.recipe.exists()
        last = latest_checkpoint(run) if begun else None
        if begun:
            inspect(run.folder, verify=True)
        if last is not None and last.name == "step-00000002":  # on another disk
            shutil.copytree(run.folder, folder / "elsewhere")
            answer = call("pretrain", recipe, f"run={folder}/elsewhere", "--resume")
            assert answer.code == 0, answer.err
            compare(whole, folder / "elsewhere")
            shutil.rmtree(folder / "elsewhere")
        resize(20_000)
        answer = call(*words, "--resume") if begun else call(*words)
        assert answer.code == 0, answer.err
        compare(whole, run.folder)
        return last.name if last is not None else "begun" if begun else "not begun"


RUN: dict[str, Any] = {
    **SMALL_PRETRAINING,
    "train": {**SMALL_PRETRAINING["train"], "steps": 6, "save_every": 2, "evaluate_every": 6, "keep": 3},
}


def compare(whole: Path, run: Path) -> None:
    same_log(whole, run)
    same_checkpoint(whole / "checkpoints" / "step-00000006", run / "checkpoints" / "step-00000006")
    inspect(run, verify=True)


def main(trained: Path, folder: Path) -> None:
    """What runs in a name space of its own."""
    prepare_on_a_full_disk(trained, folder)
    answer = call("pretrain", write_recipe(folder, base=trained, **RUN), f"run={folder}/whole")
    assert answer.code == 0, answer.err
    size = sum(path.stat().st_size // 1024 for path in (folder / "whole" / "checkpoints").rglob("*")) // 3
    sizes = [4, *(int(size * checkpoints) for checkpoints in (0.5, 1.6, 2.6, 4.0))]
    reached = [pretrain_on_a_full_disk(trained, folder, kilobytes, folder / "whole") for kilobytes in sizes]
    assert {"not begun", "begun", "step-00000002", "step-00000004"} <= set(reached), reached
    sys.stdout.write("all is well\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
