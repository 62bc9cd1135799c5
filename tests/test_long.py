"""Long sequences: 2,048 tokens in a row, in the memory of a laptop."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from helpers import small_store

TRAIN = """
import json, resource, sys
from bertwright.config import PretrainRecipe
from bertwright.pretrain import pretrain
from bertwright.recipe import parse

result = pretrain(parse(PretrainRecipe, json.loads(sys.argv[1])))
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1e6 if sys.platform == "darwin" else 1e3)
print(json.dumps({"peak": peak, "first_loss": result["first_loss"], "steps": result["steps"]}))
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="measures memory as POSIX does")
@pytest.mark.parametrize("layout", ["bert", "modernbert"])
def test_length_2048_trains_in_six_gigabytes(tmp_path: Path, layout: str) -> None:
    """Four layers of 256, 16,384 tokens a step, whatever number format and attention path is the fastest here."""
    small_store(tmp_path, sizes=[5000] * 40)
    values = {
        "run": str(tmp_path / "run"),
        "store": str(tmp_path / "store"),
        "model": {"layout": layout, "preset": "mini", "max_length": 2048, "vocabulary_size": 8192},
        "train": {"steps": 6, "batch_size": 8, "length": 2048},
    }
    command = [sys.executable, "-c", TRAIN, json.dumps(values)]
    environment = {**os.environ, "PYTHONWARNINGS": "ignore"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["steps"] == 6
    assert abs(found["first_loss"] - 9.06) < 0.1  # ln 8,192 and what a tied table adds
    assert found["peak"] < 6000
