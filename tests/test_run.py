"""Files and folders appear whole or not at all."""

import errno
import json
import os
from pathlib import Path

import pytest

from bertwright import run as module
from bertwright.errors import UserError
from bertwright.run import Run, atomic_file, atomic_folder, mend, read_log, remove_folder, write_json
from helpers import failing_at


def write_old(folder: Path) -> None:
    with atomic_folder(folder) as aside:
        (aside / "a").write_text("old", encoding="utf-8")
        (aside / "b").write_text("old", encoding="utf-8")


def write_new(folder: Path) -> None:
    with atomic_folder(folder) as aside:
        (aside / "a").write_text("new", encoding="utf-8")
        (aside / "b").write_text("new", encoding="utf-8")


@pytest.mark.parametrize("name", ["fsync", "replace"])
@pytest.mark.parametrize("call", range(1, 7))
def test_a_full_disk_at_every_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, call: int) -> None:
    """Whichever flush or rename fails, the folder is wholly old or wholly new, and nothing is left beside it."""
    folder = tmp_path / "best"
    write_old(folder)
    monkeypatch.setattr(module.os, name, failing_at(call, getattr(os, name)))
    try:
        write_new(folder)
        failed = False
    except OSError:
        failed = True
    monkeypatch.undo()
    assert (folder / "b").exists(), "it is there at once, not only when the run is opened again"
    mend(tmp_path)
    contents = {entry.name: entry.read_text(encoding="utf-8") for entry in folder.iterdir()}
    assert contents in ({"a": "old", "b": "old"}, {"a": "new", "b": "new"})
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["best"]
    if not failed:
        assert contents["a"] == "new"


def test_every_moment_of_a_crash_is_mended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that dies between the two renames leaves the old folder aside; opening puts it back."""
    folder = tmp_path / "best"
    write_old(folder)

    class Killed(BaseException):
        pass

    def die(source: Path, target: Path) -> None:
        os.rename(source, target)
        raise Killed

    monkeypatch.setattr(module.os, "replace", die)
    monkeypatch.setattr(module, "_put_back", lambda _: None)  # a killed process cleans up nothing
    with pytest.raises(Killed):
        write_new(folder)
    monkeypatch.undo()
    assert not folder.exists()
    mend(tmp_path)
    assert (folder / "a").read_text(encoding="utf-8") == "old"


def test_a_failed_folder_leaves_its_neighbours_alone(tmp_path: Path) -> None:
    """The folder above may be anyone's: another process writes there, and names with a dot are not all ours."""
    for name in (".partial-other", ".old-notes"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "kept").touch()
    with pytest.raises(RuntimeError), atomic_folder(tmp_path / "best"):
        raise RuntimeError
    assert sorted(entry.parent.name for entry in tmp_path.glob("*/kept")) == [".old-notes", ".partial-other"]


def test_a_full_disk_names_what_was_written(tmp_path: Path) -> None:
    """A write that finds the disk full knows no file name."""
    full = OSError(errno.ENOSPC, "No space left on device")
    with pytest.raises(OSError, match=r"best") as caught, atomic_folder(tmp_path / "best"):
        raise full
    assert caught.value.filename == str(tmp_path / "best")
    with pytest.raises(OSError, match=r"x\.json"), atomic_file(tmp_path / "x.json"):
        raise OSError(errno.ENOSPC, "No space left on device")


def test_a_folder_is_removed_wholly_or_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_old(tmp_path / "step")
    monkeypatch.setattr(module.shutil, "rmtree", lambda *_, **__: None)  # as if killed before the first file was gone
    remove_folder(tmp_path / "step")
    monkeypatch.undo()
    assert not (tmp_path / "step").exists()
    mend(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_failed_file_leaves_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    write_json(path, {"value": 1})
    with pytest.raises(RuntimeError), atomic_file(path) as file:
        file.write(b"half")
        raise RuntimeError
    assert json.loads(path.read_text(encoding="utf-8")) == {"value": 1}
    assert [entry.name for entry in tmp_path.iterdir()] == ["x.json"]


def test_a_torn_last_line_of_the_log_is_left_out(tmp_path: Path) -> None:
    run = Run.create(tmp_path / "run")
    for step in (1, 2, 3):
        run.append({"step": step})
    with run.log.open("a", encoding="utf-8") as file:
        file.write('{"step": 4, "lo')
    assert [record["step"] for record in run.read_log()] == [1, 2, 3]
    run.rewind(2)
    assert run.log.read_text(encoding="utf-8") == '{"step": 1}\n{"step": 2}\n'


@pytest.mark.parametrize("step", [0, 1, 7, 39, 40, 99])
def test_the_log_is_cut_where_the_step_ends(tmp_path: Path, step: int) -> None:
    """Lines far shorter and far longer than the pieces in which it is read."""
    run = Run.create(tmp_path / "run")
    records = [{"step": number, "text": "讲" * (number * 977 % 7000)} for number in range(1, 41)]
    for record in records:
        run.append(record)
    assert run.rewind(step) == records[step:]
    assert run.read_log() == records[:step]
    run.append({"step": step + 1})
    assert len(run.read_log()) == min(step, 40) + 1


def test_a_damaged_log_is_told(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_text('{"step": 1}\nnonsense\n{"step": 3}\n', encoding="utf-8")
    with pytest.raises(UserError, match=r"log.jsonl:2: this line is no JSON"):
        read_log(path)


def test_nan_is_no_json(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON"):
        write_json(tmp_path / "x.json", {"loss": float("nan")})
    assert list(tmp_path.iterdir()) == []


def test_environment_names_machine_and_versions(tmp_path: Path) -> None:
    run = Run.create(tmp_path / "run")
    environment = json.loads((run.folder / "environment.json").read_text(encoding="utf-8"))
    assert environment["cores"] >= 1
    assert environment["packages"]["torch"].startswith("2.")
