"""The page of the made-up demo, drawn once for all tests."""

from pathlib import Path

import pytest

import made_up
from bertwright.report import write_report


@pytest.fixture(scope="session")
def demo_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made_up.demo(tmp_path_factory.mktemp("runs") / "demo")


@pytest.fixture(scope="session")
def demo_page(demo_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_report([demo_folder], tmp_path_factory.mktemp("page") / "report.html")
