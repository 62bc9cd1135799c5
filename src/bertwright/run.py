"""The run folder: what one training leaves behind, and how every file in it appears atomically.

    run/
      recipe.toml        the recipe exactly as resolved (with what was probed: dtype, attention, threads)
      environment.json   the machine and the versions
      log.jsonl          one record per optimizer step
      checkpoints/       step-00001000/ ...
      best/              the checkpoint with the best evaluation so far
      results/*.json     what was measured
      report.html

A file or folder is written aside, flushed to disk, then renamed: a crash at any moment leaves the old one whole.
"""

import hashlib
import importlib.metadata
import json
import os
import platform
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import filelock

from bertwright.errors import UserError

ASIDE = ".partial-"
"""Prefix of what is still being written; leftovers of a crash bear it and are removed when the run is opened."""

OLD = ".old-"
"""Prefix of a folder that is being replaced; put back if the crash came between the two renames."""


def _fsync(path: Path) -> None:
    """Flush a file, or a folder's list of names, to disk (a folder cannot be opened on Windows)."""
    if path.is_dir() and os.name == "nt":
        return
    descriptor = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def atomic_file(path: Path) -> Iterator[BinaryIO]:
    """Open a file for writing bytes; it appears under its name only when the block ends well."""
    aside = path.with_name(f"{ASIDE}{path.name}")
    try:
        with aside.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(aside, path)
    except BaseException as error:
        aside.unlink(missing_ok=True)
        _name_file(error, path)
        raise
    _fsync(path.parent)


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """Give a folder to fill; it takes the place of `path` only when the block ends well.

    A folder cannot be renamed over another one, so a replaced folder is moved aside first; `mend` puts it back if the
    crash came in between. What else lies in the parent folder is left alone.
    """
    aside, old = path.with_name(f"{ASIDE}{path.name}"), path.with_name(f"{OLD}{path.name}")
    shutil.rmtree(aside, ignore_errors=True)
    try:
        aside.mkdir(parents=True)
        yield aside
        for entry in sorted(aside.rglob("*"), reverse=True):
            _fsync(entry)
        _fsync(aside)
        if path.exists():
            shutil.rmtree(old, ignore_errors=True)
            os.replace(path, old)
        os.replace(aside, path)
    except BaseException as error:
        shutil.rmtree(aside, ignore_errors=True)
        if old.exists():
            _put_back(old)
        _name_file(error, path)
        raise
    _fsync(path.parent)
    shutil.rmtree(old, ignore_errors=True)


def refuse_other_folder(folder: Path, mark: str, what: str) -> None:
    """See that a folder that is about to be replaced is of the same kind, or empty: the old content is deleted.

    Args:
        folder: that is to be written.
        mark: the file by which its kind is known.
        what: the kind: "store".

    Raises:
        UserError: it holds something else.
    """
    if not folder.exists() or (folder.is_dir() and (not any(folder.iterdir()) or (folder / mark).exists())):
        return
    raise UserError(
        f"this is no {what}, and what is written here would replace it",
        file=folder,
        expected=f"a new folder, an empty one, or an older {what}",
        advice="give another folder",
    )


def _name_file(error: BaseException, path: Path) -> None:
    """Say what was being written, where the system did not: a full disk is told by a write, which knows no name."""
    if isinstance(error, OSError) and error.filename is None:
        error.filename = str(path)


def _put_back(old: Path) -> None:
    """End a replacement that stopped half-way: the old folder returns, unless the new one has taken its place."""
    target = old.with_name(old.name.removeprefix(OLD))
    if target.exists():
        shutil.rmtree(old, ignore_errors=True)
    else:
        os.replace(old, target)


def remove_folder(path: Path) -> None:
    """Remove a folder such that no crash leaves a part of it under its name."""
    aside = path.with_name(f"{ASIDE}{path.name}")
    shutil.rmtree(aside, ignore_errors=True)
    os.replace(path, aside)
    shutil.rmtree(aside)


def mend(folder: Path) -> None:
    """Remove what a crash left half-written in a folder, and put back what it left half-replaced."""
    for entry in sorted(folder.glob(f"{OLD}*")):
        _put_back(entry)
    for entry in sorted(folder.glob(f"{ASIDE}*")):
        if entry.is_dir():
            shutil.rmtree(entry, ignore_errors=True)
        else:
            entry.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a text file atomically, as UTF-8."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_file(path) as file:
        file.write(text.encode())


def write_json(path: Path, value: Any) -> None:
    """Write a value as JSON, atomically; Chinese stays readable, NaN is refused."""
    write_text(path, json.dumps(value, ensure_ascii=False, indent=1, allow_nan=False) + "\n")


def keep_result(result: dict[str, Any], folder: Path | None) -> dict[str, Any]:
    """Write what an analysis found to results/KIND.json of a folder, if there is one, and hand it on."""
    if folder is not None:
        write_json(folder / "results" / f"{result['kind']}.json", result)
    return result


def digest(settings: Any) -> str:
    """A short name of settings, which are JSON."""
    return hashlib.blake2b(json.dumps(settings, sort_keys=True).encode(), digest_size=6).hexdigest()


def read_json(path: Path) -> Any:
    """Read a JSON file that this project wrote.

    Raises:
        UserError: the file is missing, or is no JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(
            "the file is missing", file=path, expected="a JSON file", advice="give the folder that holds it"
        ) from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise UserError(
            f"this is no valid JSON ({error})",
            file=path,
            expected="the file as it was written",
            advice="the file is damaged: restore it, or make it anew",
        ) from None


class Run:
    """One run folder. `Run.create` begins a new one, `Run.open` goes on with one that exists.

    A run exists once its recipe is written.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self.checkpoints = self.folder / "checkpoints"
        self.best = self.folder / "best"
        self.results = self.folder / "results"
        self.log = self.folder / "log.jsonl"
        self.recipe = self.folder / "recipe.toml"

    @classmethod
    def create(cls, folder: str | Path) -> "Run":
        """Begin a run in a folder that holds none yet; `write_recipe` completes it.

        Raises:
            UserError: a run is there already.
        """
        run = cls(folder)
        if run.recipe.exists():
            raise UserError(
                "this folder holds a run already",
                file=run.folder,
                expected="a new folder",
                advice="go on with it by --resume, or choose another one by run=FOLDER",
            )
        run.checkpoints.mkdir(parents=True, exist_ok=True)
        run.results.mkdir(exist_ok=True)
        write_json(run.folder / "environment.json", environment())
        return run

    @classmethod
    def open(cls, folder: str | Path) -> "Run":
        """Go on with a run, cleaning up what a crash may have left.

        Raises:
            UserError: no run is there.
        """
        run = cls(folder)
        if not run.recipe.exists():
            raise UserError(
                "this folder holds no run",
                file=run.folder,
                expected="a folder with a recipe.toml",
                advice="check the path, or begin a run there: leave out --resume",
            )
        run.checkpoints.mkdir(exist_ok=True)
        run.results.mkdir(exist_ok=True)
        mend(run.folder)
        mend(run.checkpoints)
        return run

    @contextmanager
    def claimed(self) -> Iterator[None]:
        """Keep other processes from training in this folder; the system frees it when this one dies.

        Raises:
            UserError: another one is training in it.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        lock = filelock.FileLock(self.folder / ".lock")
        try:
            lock.acquire(timeout=0)
        except filelock.Timeout:
            raise UserError(
                "another process is training in this folder",
                file=self.folder,
                expected="one run in a folder",
                advice="wait for it, or choose another folder by run=FOLDER",
            ) from None
        try:
            yield
        finally:
            lock.release()

    def is_of_this_launch(self) -> bool:
        """Whether the run was begun by the torchrun that has started this process, too."""
        if launch() is None or not self.recipe.exists():
            return False
        return read_json(self.folder / "environment.json").get("launch") == launch()

    def moves(self) -> list[str]:
        """What to tell of a run that goes on on another machine, or with another torch, than it began on."""
        before, now = (_machine(each) for each in (read_json(self.folder / "environment.json"), environment()))
        if before == now:
            return []
        return [
            f"this run began on {before} and goes on on {now}: number format and attention path stay as they were "
            "chosen there, and the result will not be that of an undisturbed run to the last bit"
        ]

    def write_recipe(self, recipe: str) -> None:
        """Write the recipe as resolved, once."""
        write_text(self.recipe, recipe)

    def save_result(self, name: str, result: dict[str, Any]) -> None:
        """Write results/NAME.json."""
        write_json(self.results / f"{name}.json", result)

    def append(self, record: dict[str, Any]) -> None:
        """Add one record to the log."""
        try:
            with self.log.open("a", encoding="utf-8") as file:
                file.write(json.dumps(record, ensure_ascii=False) + "\n")
        except OSError as error:
            _name_file(error, self.log)
            raise

    def read_log(self) -> list[dict[str, Any]]:
        """All records of the log; a last line that a crash tore is left out."""
        return read_log(self.log)

    def rewind(self, step: int) -> list[dict[str, Any]]:
        """Cut the log back to the given step, as the steps after it are about to be taken again.

        It is read from its end, so that a long run is gone on with as quickly as a short one.

        Returns:
            The records that were cut off, in their order.
        """
        cut: list[dict[str, Any]] = []
        if not self.log.exists():
            return cut
        with self.log.open("r+b") as file:
            end = file.seek(0, os.SEEK_END)
            while end > 0:
                start = _line_start(file, end)
                file.seek(start)
                record = _record(file.read(end - start))
                if record is not None and record["step"] <= step:
                    break
                if record is not None:
                    cut.append(record)
                end = start
            file.truncate(end)
        return cut[::-1]


def _line_start(file: BinaryIO, end: int) -> int:
    """Where the last line begins that ends before this place."""
    start = end - 1  # the end of the line is not the end of the one before
    while start > 0:
        begin = max(0, start - 4096)
        file.seek(begin)
        place = file.read(start - begin).rfind(b"\n")
        if place >= 0:
            return begin + place + 1
        start = begin
    return 0


def _record(line: bytes) -> dict[str, Any] | None:
    """The record in a line of the log; None where a crash tore it."""
    try:
        return json.loads(line) if line.endswith(b"\n") else None
    except ValueError:
        return None


def read_log(path: Path) -> list[dict[str, Any]]:
    """The records of a log.jsonl; a last line that a crash tore is left out, an absent file is an empty log.

    Raises:
        UserError: a line other than the last is no JSON.
    """
    if not path.exists():
        return []
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    records = []
    for number, line in enumerate(lines, start=1):
        try:
            records.append(json.loads(line))
        except json.JSONDecodeError:
            if number == len(lines):
                break
            raise UserError(
                "this line is no JSON",
                file=path,
                line=number,
                expected="one record in every line",
                advice="remove the line",
            ) from None
    return records


def environment() -> dict[str, Any]:
    """The machine and the versions: what a reader of a result needs to judge a speed."""
    packages = ("bertwright", "torch", "numpy", "tokenizers", "safetensors", "scikit-learn")
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_gigabytes": _memory_gigabytes(),
        "packages": {name: importlib.metadata.version(name) for name in packages},
        "command": sys.argv,
        "launch": launch(),
    }


def _machine(environment: dict[str, Any]) -> str:
    """What of an environment decides the last bits of a result."""
    return "{processor} ({cores} cores, torch {packages[torch]})".format(**environment)


def launch() -> str | None:
    """What the processes that one torchrun starts have in common, those that it starts again included."""
    if "TORCHELASTIC_RUN_ID" not in os.environ:
        return None
    return f"{os.environ['TORCHELASTIC_RUN_ID']} {os.getppid()}"


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text(errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _memory_gigabytes() -> float | None:
    if not hasattr(os, "sysconf") or "SC_PHYS_PAGES" not in os.sysconf_names:
        return None
    return round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30, 1)
