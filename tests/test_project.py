"""The files around the package agree with each other, and the shared parts of the test suite do their work."""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[1]

MARKED = """
import pytest

@pytest.mark.data
def test_passes(data):
    assert data.is_dir()

@pytest.mark.data
def test_skips(data):
    pytest.skip("a file is missing")

@pytest.mark.data
def test_fails_as_expected(data):
    pytest.xfail("known")
"""


def pins(text: str) -> dict[str, str]:
    """The exact versions that a text names: `name==version`."""
    found = re.findall(r"^[^#\n]*?([A-Za-z0-9_.-]+)==([A-Za-z0-9_.+!-]+)", text, re.MULTILINE)
    return {name.lower().replace("_", "-"): version for name, version in found}


def test_every_dependency_is_pinned():
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    requirements = [
        *project["dependencies"],
        *(line for extra in project["optional-dependencies"].values() for line in extra),
    ]
    names = {re.split(r"[\[<>=!~; ]", requirement)[0].lower() for requirement in requirements} - {"bertwright"}
    pinned = pins((PROJECT / "constraints.txt").read_text(encoding="utf-8"))
    assert names == set(pinned)
    for requirement in requirements:
        for name, version in pins(requirement).items():
            assert pinned[name] == version


def test_pre_commit_checks_with_the_pinned_ruff():
    hooks = (PROJECT / ".pre-commit-config.yaml").read_text(encoding="utf-8")
    versions = re.findall(r"ruff==([0-9.]+)", hooks)
    assert set(versions) == {pins((PROJECT / "constraints.txt").read_text(encoding="utf-8"))["ruff"]}


@pytest.mark.parametrize(
    ("given", "required", "outcome"),
    [
        (True, False, "1 passed, 1 skipped, 1 xfailed"),
        (True, True, "1 failed, 1 passed, 1 xfailed"),
        (False, False, "3 skipped"),
        (False, True, "3 errors"),
    ],
)
def test_required_data_is_never_skipped(tmp_path: Path, given: bool, required: bool, outcome: str):
    assert outcome in run_pytest(tmp_path, MARKED, given=given, required=required)


@pytest.mark.parametrize("forgotten", ["(data)", "@pytest.mark.data\n"])
def test_mark_and_fixture_go_together(tmp_path: Path, forgotten: str):
    source = MARKED.replace(forgotten, "()" if forgotten == "(data)" else "")
    assert "go together" in run_pytest(tmp_path, source, given=True, required=True)


def run_pytest(folder: Path, source: str, *, given: bool, required: bool) -> str:
    """What pytest says of a file of tests, with or without data, beside the conftest.py of this suite."""
    (folder / "test_marked.py").write_text(source, encoding="utf-8")
    for name in ("conftest.py", "helpers.py"):
        (folder / name).write_bytes((PROJECT / "tests" / name).read_bytes())
    (folder / "pytest.ini").write_text("[pytest]\nmarkers =\n    data: needs data\n", encoding="utf-8")
    hidden = ("BERTWRIGHT_DATA", "BERTWRIGHT_REQUIRE_DATA", "PYTEST_ADDOPTS")
    environment = {name: value for name, value in os.environ.items() if name not in hidden}
    environment |= {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    environment |= {"BERTWRIGHT_DATA": str(folder)} if given else {}
    environment |= {"BERTWRIGHT_REQUIRE_DATA": "1"} if required else {}
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-q", str(folder)]
    run = subprocess.run(
        command, check=False, cwd=folder, env=environment, capture_output=True, text=True, encoding="utf-8"
    )
    return run.stdout + run.stderr
