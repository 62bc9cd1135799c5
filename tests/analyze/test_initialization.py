"""Slide 62: the curves of both starts, going on after a stop, and what is judged of them."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bertwright.analyze.initialization import initialization, judged
from bertwright.analyze.trainings import Trainings
from bertwright.config import FinetuneRecipe
from bertwright.recipe import dump_recipe, parse
from bertwright.report import write_report
from bertwright.run import read_json
from helpers import SMALL_TRAINING, call


@pytest.fixture(scope="module")
def recipe(trained: Path) -> FinetuneRecipe:
    values = {
        "run": "unused",
        "task": "classify",
        "data": {side: str(trained / f"{side}.csv") for side in ("train", "development")},
        "start": {"checkpoint": str(trained / "pretrained" / "best"), "pooling": "mean"},
        "optimizer": {"learning_rate": 1e-2},
        "train": {**SMALL_TRAINING, "steps": 7},
    }
    return parse(FinetuneRecipe, values)


@pytest.fixture(scope="module")
def done(recipe: FinetuneRecipe, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("initialization")
    initialization({"reviews": recipe}, Trainings(folder), seeds=(1, 2), epochs=3)
    return folder


def test_both_starts_have_a_curve_for_each_seed(done: Path) -> None:
    result = read_json(done / "results" / "initialization.json")
    (task,) = result["tasks"]
    assert task["examples"]["train"] == 64
    for start in ("pretrained", "random"):
        for key in ("loss", "score"):
            assert np.shape(task[start][key]) == (2, 3)
    assert task["pretrained"]["loss"] != task["random"]["loss"]
    assert task["random"]["loss"][0] != task["random"]["loss"][1], "seeds differ"
    assert task["random"]["loss"][0][0] == pytest.approx(np.log(2), abs=0.15)
    assert not list((done / "runs").iterdir()), "the trainings themselves are not kept"


def test_what_was_stopped_goes_on(done: Path, recipe: FinetuneRecipe, tmp_path: Path) -> None:
    steps = 0

    def stop(record: dict[str, Any]) -> None:
        nonlocal steps
        steps += 1
        if steps == 30:  # in the second training: one has 24 steps
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        initialization({"reviews": recipe}, Trainings(tmp_path, progress=stop), seeds=(1, 2), epochs=3)
    assert [path.name for path in (tmp_path / "cells").iterdir()] == ["reviews-pretrained-seed1.json"]
    again = initialization({"reviews": recipe}, Trainings(tmp_path), seeds=(1, 2), epochs=3)
    assert json.dumps(again) == json.dumps(read_json(done / "results" / "initialization.json"))


@pytest.mark.parametrize(("language", "word"), [("en", "from scratch"), ("zh", "从头训练")])
def test_the_page(done: Path, language: str, word: str) -> None:
    page = write_report([done], done / f"{language}.html", language=language).read_text(encoding="utf-8")
    assert ": reviews</h3>" in page
    assert word in page


def test_what_is_judged() -> None:
    """Random weights sit at ln 2 for three epochs, and learn in the sixth; pre-trained ones learn in the second."""
    pretrained = {"loss": [[0.4, 0.09, 0.05, 0.04, 0.03, 0.02]], "score": [[0.8, 0.9, 0.85, 0.8, 0.8, 0.8]]}
    random = {"loss": [[0.7, 0.69, 0.68, 0.5, 0.2, 0.08]], "score": [[0.5, 0.5, 0.5, 0.6, 0.7, 0.7]]}
    found = judged({"pretrained": pretrained, "random": random}, 2, "accuracy")
    assert found == {
        "lower_in_epochs": 6,
        "learnt_in_epoch": {"pretrained": 2, "random": 6},
        "three_times_earlier": True,
        "best_score": {"pretrained": 0.9, "random": 0.7},
        "better_score": True,
        "epochs_on_plateau": 3,
    }
    never = {**random, "loss": [[0.7, 0.69, 0.68, 0.6, 0.5, 0.4]]}
    assert judged({"pretrained": pretrained, "random": never}, 2, "accuracy")["three_times_earlier"] is True
    late = {
        **pretrained,
        "loss": [[0.4, 0.3, 0.09, 0.05, 0.04, 0.03]],
    }  # the others may in the seventh
    assert judged({"pretrained": late, "random": never}, 2, "accuracy")["three_times_earlier"] is False
    other = judged({"pretrained": random, "random": pretrained}, 0, "rmse")
    assert other["epochs_on_plateau"] is None
    assert other["best_score"] == {"pretrained": 0.5, "random": 0.8}
    assert other["better_score"] is True
    assert other["three_times_earlier"] is False


def test_the_command(recipe: FinetuneRecipe, tmp_path: Path) -> None:
    (tmp_path / "reviews.toml").write_text(dump_recipe(recipe), encoding="utf-8")
    run = tmp_path / "run"
    answer = call(
        "analyze", "initialization", tmp_path / "reviews.toml", "--run", run, "--seed", "3", "--epochs", "1", "--json"
    )
    assert answer.code == 0, answer.err
    assert json.loads(answer.out)["seeds"] == [3]
    assert "from scratch; lower loss in" in answer.err
    assert (run / "report.html").exists()
