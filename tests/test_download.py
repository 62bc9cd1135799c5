"""Checkpoints by name: a folder, a run, or a model of the hub, here one of our own making on this machine."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path, PureWindowsPath

import pytest
import torch
from safetensors.torch import load_file

from bertwright import download
from bertwright.download import checkpoint_folder
from bertwright.errors import UserError

SCRIPT = "import sys; from bertwright.fill import fill; print(fill(sys.argv[1], ['这本书[MASK]好'])[0]['text'])"

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Hub(BaseHTTPRequestHandler):
    """As much of the hub's interface as a download needs."""

    folder: Path

    def do_GET(self) -> None:
        self.answer(with_body=True)

    def do_HEAD(self) -> None:
        self.answer(with_body=False)

    def answer(self, with_body: bool) -> None:
        path = self.path.partition("?")[0]
        name = path.rpartition("/")[2]
        headers = {"X-Repo-Commit": COMMIT}
        if path.startswith("/api/models/team/reviews/"):
            files = [{"rfilename": entry.name} for entry in self.folder.iterdir()]
            body = json.dumps({"id": "team/reviews", "sha": COMMIT, "siblings": files}).encode()
            if "/tree/" in path:
                sizes = [(entry.name, entry.stat().st_size) for entry in self.folder.iterdir()]
                body = json.dumps([{"type": "file", "path": n, "size": s, "oid": n} for n, s in sizes]).encode()
            headers["Content-Type"] = "application/json"
        elif path.startswith("/team/reviews/resolve/") and (self.folder / name).exists():
            body = (self.folder / name).read_bytes()
            headers["ETag"] = f'"{hashlib.sha256(body).hexdigest()}"'
        else:
            headers["X-Error-Code"] = "RepoNotFound"
            self.send_response(404)
            for key, value in headers.items():
                self.send_header(key, value)
            self.end_headers()
            return
        self.send_response(200)
        for key, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(key, value)
        self.end_headers()
        if with_body:
            self.wfile.write(body)

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        del code, size  # nothing is written

    def log_error(self, format: str, *args: object) -> None:  # noqa: A002
        del format, args


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """The address of a hub with one model, team/reviews, of this folder."""
    handler = type("OneModel", (Hub,), {"folder": folder})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


@pytest.fixture
def hub(trained: Path) -> Iterator[str]:
    with served(trained / "pretrained" / "best") as address:
        yield address


class PureWindowsPathWithNothing(PureWindowsPath):
    """A path of Windows where no folder is."""

    def is_dir(self) -> bool:
        return False

    exists = is_dir


def call(name: str, cache: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    cache.mkdir(exist_ok=True)
    values = {**os.environ, "HF_HOME": str(cache), "HF_HUB_DISABLE_XET": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}
    command = [sys.executable, "-c", SCRIPT, name]
    return subprocess.run(command, env=values | environment, capture_output=True, text=True, cwd=cache, check=False)


def test_a_model_of_the_hub_is_downloaded_once(hub: str, tmp_path: Path) -> None:
    """The second time there is no network."""
    first = call("team/reviews", tmp_path, HF_ENDPOINT=hub)
    assert (first.returncode, first.stdout) == (0, "这本书[MASK]好\n"), first.stderr
    again = call("team/reviews", tmp_path, HF_ENDPOINT="http://127.0.0.1:9", HF_HUB_OFFLINE="1")
    assert (again.returncode, again.stdout) == (0, first.stdout), again.stderr


def test_a_name_that_the_hub_does_not_have(hub: str, tmp_path: Path) -> None:
    answer = call("team/absent", tmp_path, HF_ENDPOINT=hub)
    assert "UserError: there is no folder team/absent, and no such model came from the hub" in answer.stderr
    offline = call("team/reviews", tmp_path, HF_HUB_OFFLINE="1")
    assert "UserError: there is no folder team/reviews" in offline.stderr


def test_folders_come_first(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run means its best checkpoint; a path that is no name of a model is not looked for on the hub."""
    run = trained / "pretrained"
    assert checkpoint_folder(run) == checkpoint_folder(run / "best") == run / "best"
    monkeypatch.chdir(tmp_path)
    (tmp_path / "team" / "reviews").mkdir(parents=True)
    assert checkpoint_folder("team/reviews") == Path("team/reviews")
    assert checkpoint_folder("/absent/folder") == Path("/absent/folder")


def test_a_model_without_safetensors(trained: Path, tmp_path: Path) -> None:
    """The older file of weights is fetched where there is no other, and only there."""
    folder = tmp_path / "model"
    shutil.copytree(trained / "pretrained" / "best", folder)
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    for name in ("both", "old"):
        with served(folder) as hub:
            first = call("team/reviews", (cache := tmp_path / name), HF_ENDPOINT=hub)
        assert (first.returncode, first.stdout) == (0, "这本书[MASK]好\n"), first.stderr
        weights = {path.name for path in cache.rglob("*") if path.suffix in (".bin", ".safetensors")}
        assert weights == {"both": {"model.safetensors"}, "old": {"pytorch_model.bin"}}[name]
        (folder / "model.safetensors").unlink(missing_ok=True)


def test_names_of_the_hub_in_paths_of_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Recipes hold paths; there one with a backslash means the same model."""
    asked = []
    monkeypatch.setattr(download, "_download", lambda name: asked.append(name) or Path("downloaded"))
    monkeypatch.setattr(download, "Path", PureWindowsPathWithNothing)
    assert checkpoint_folder(str(PureWindowsPathWithNothing("team") / "reviews")) == Path("downloaded")
    assert asked == ["team/reviews"]


def test_without_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(UserError, match=r"pip install 'bertwright\[hub\]'"):
        checkpoint_folder("team/reviews")
