"""A whole competition on generated reviews: what is written, going on after a stop, and leaks that are caught."""

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bertwright.compete import compete
from bertwright.compete.linear import drift, probabilities
from bertwright.compete.preparation import adapted
from bertwright.config import CompeteRecipe
from bertwright.config.competing import LINEAR
from bertwright.errors import UserError
from bertwright.recipe import parse
from bertwright.report import write_report
from bertwright.run import read_json
from helpers import SMALL_TRAINING

FILES = {"train": "train.csv", "test": "test.csv", "solution": "test.csv"}
TRAIN = {**SMALL_TRAINING, "steps": 6}


def recipe(trained: Path, run: Path, members: dict[str, Any] | None = None, **sections: Any) -> CompeteRecipe:
    """Two folds, two members; the solution is the test file itself, which has labels."""
    start = {"checkpoint": str(trained / "pretrained" / "best"), "pooling": "mean"}
    member = {"start": start, "optimizer": {"learning_rate": 1e-2}, "train": TRAIN}
    values: dict[str, Any] = {
        "run": str(run),
        "task": "classify",
        "data": {
            name: str(trained / f"{file}.csv")
            for name, file in (("train", "train"), ("test", "test"), ("solution", "test"))
        },
        "folds": {"number": 2},
        "members": {name: {**member, **changes} for name, changes in (members or {"one": {}, "other": {}}).items()},
    }
    for name, section in sections.items():
        values[name] = {**values[name], **section}
    return parse(CompeteRecipe, values)


@pytest.fixture(scope="module")
def done(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished competition with a sample submission that asks for the test examples in reverse."""
    folder = tmp_path_factory.mktemp("competition")
    ids = [f"test-{number}" for number in reversed(range(32))]
    (folder / "sample.csv").write_text("id,label\n" + "".join(f"{each},negative\n" for each in ids), encoding="utf-8")
    members: dict[str, Any] = {"one": {}, "tricks": {"tricks": {"label_smoothing": 0.1, "adversarial": "fgm"}}}
    compete(recipe(trained, folder / "run", members, data={"sample": str(folder / "sample.csv")}))
    return folder


def test_the_result(done: Path) -> None:
    result = read_json(done / "run" / "results" / "compete.json")
    assert result["examples"] == {"train": 64, "test": 32, "held_back": 32}
    assert {row["name"] for row in result["leaderboard"]} == {"one", "tricks", LINEAR}
    reached = [row["out_of_fold"] for row in result["leaderboard"]]
    assert reached == sorted(reached, reverse=True)
    for row in result["leaderboard"]:
        assert len(row["by_fold"]) == 2
        assert row["out_of_fold"] == pytest.approx(np.mean(row["by_fold"]), abs=1e-9), "folds of equal size"
    assert sum(result["ensemble"]["weights"].values()) == pytest.approx(1)
    assert result["ensemble"]["held_back"]["accuracy"] > 0.8
    assert result["ensemble"]["scores"]["examples"] == 64


def test_the_submission_scores_what_the_result_says(done: Path, trained: Path) -> None:
    with (done / "run" / "submission.csv").open(encoding="utf-8", newline="") as file:
        submitted = list(csv.DictReader(file))
    with (trained / "test.csv").open(encoding="utf-8", newline="") as file:
        truth = {row["id"]: row["label"] for row in csv.DictReader(file)}
    assert [row["id"] for row in submitted] == [f"test-{number}" for number in reversed(range(32))]
    right = np.mean([truth[row["id"]] == row["label"] for row in submitted])
    result = read_json(done / "run" / "results" / "compete.json")
    assert right == pytest.approx(result["ensemble"]["held_back"]["accuracy"])


def test_every_example_is_judged_once_by_a_model_that_did_not_see_it(done: Path) -> None:
    for name in ("one", "tricks", LINEAR):
        cells = [read_json(done / "run" / "cells" / f"{name}-seed1-fold{fold}.json") for fold in (1, 2)]
        assert sorted(cells[0]["places"] + cells[1]["places"]) == list(range(64))
        for cell in cells:
            assert not set(cell["trained_on"]) & set(cell["places"])


def test_weights_of_the_folds_models_are_not_kept(done: Path) -> None:
    assert sorted(path.name for path in (done / "run" / "models").iterdir()) == [
        f"{name}-seed1-fold{fold}" for name in ("one", "tricks") for fold in (1, 2)
    ]
    assert not list((done / "run" / "models").rglob("*.safetensors"))


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_page(done: Path, language: str) -> None:
    page = write_report([done / "run"], done / f"{language}.html", language=language).read_text(encoding="utf-8")
    result = read_json(done / "run" / "results" / "compete.json")
    assert f"{result['ensemble']['out_of_fold']:.4f}" in page
    assert f"{result['ensemble']['held_back']['accuracy']:.4f}" in page
    for row in result["leaderboard"]:
        assert row["name"] in page
    assert ("Leaderboard" if language == "en" else "排行榜") in page


def stop_after(count: int) -> Callable[[dict[str, Any]], None]:
    """Ends the process, as it were, after so many training steps."""
    seen = 0

    def progress(record: dict[str, Any]) -> None:
        nonlocal seen
        seen += 1
        if seen == count:
            raise KeyboardInterrupt

    return progress


def test_it_goes_on_from_the_finished_folds(trained: Path, tmp_path: Path) -> None:
    """Stopped within the third model; what is there is not trained again, and the end is that of an undisturbed run."""
    asked = recipe(trained, tmp_path / "run")
    with pytest.raises(KeyboardInterrupt):
        compete(asked, progress=stop_after(15))
    there = {path: path.read_bytes() for path in (tmp_path / "run" / "cells").iterdir()}
    assert sorted(path.name for path in there) == ["one-seed1-fold1.json", "one-seed1-fold2.json"]
    steps: list[int] = []
    result = compete(asked, progress=lambda record: steps.append(record["step"]))
    assert len(steps) == 12, "two models of six steps were left"
    assert all(path.read_bytes() == content for path, content in there.items())
    whole = compete(recipe(trained, tmp_path / "whole"))
    for key in ("leaderboard", "ensemble"):
        assert without_seconds(result[key]) == without_seconds(whole[key])


def without_seconds(value: Any) -> str:
    rows = [{**row, "seconds": 0} for row in value] if isinstance(value, list) else value
    return json.dumps(rows)


def test_a_planted_leak_is_caught(done: Path, trained: Path, tmp_path: Path) -> None:
    """A model that was trained on one of the examples it answers."""
    asked = recipe(trained, tmp_path / "run", {"one": {}})
    compete(asked)
    path = tmp_path / "run" / "cells" / "one-seed1-fold2.json"
    cell = json.loads(path.read_text(encoding="utf-8"))
    cell["trained_on"].append(cell["places"][3])
    path.write_text(json.dumps(cell), encoding="utf-8")
    with pytest.raises(UserError, match=r"one-seed1-fold2\.json: this model was trained on 1 of the 32 examples"):
        compete(asked)


def test_another_recipe_in_the_same_folder(done: Path, trained: Path) -> None:
    with pytest.raises(UserError, match="a competition by another recipe is in this folder"):
        compete(recipe(trained, done / "run", {"one": {}}))


def test_a_file_that_has_changed(trained: Path, tmp_path: Path) -> None:
    """Its cells would be of other examples."""
    lines = (trained / "train.csv").read_text(encoding="utf-8").splitlines()
    train = tmp_path / "train.csv"
    train.write_text("\n".join(lines) + "\n", encoding="utf-8")
    asked = recipe(trained, tmp_path / "run", {"one": {}}, data={"train": str(train)})
    with pytest.raises(KeyboardInterrupt):
        compete(asked, progress=stop_after(1))
    train.write_text("\n".join(lines[:-2]) + "\n", encoding="utf-8")
    with pytest.raises(UserError, match=r"train\.csv: this file has changed since the competition began"):
        compete(asked)


def test_pseudo_labels_are_those_of_the_folds_own_model(trained: Path, tmp_path: Path) -> None:
    """They come from the test file alone: no validation example of the fold has a label in its second training."""
    train = {**TRAIN, "steps": 40, "evaluate_every": 40}  # its last checkpoint is its best
    compete(recipe(trained, tmp_path / "run", {"one": {"train": train, "pseudo_labels": 0.6}}))
    for fold in (1, 2):
        cell = read_json(tmp_path / "run" / "cells" / f"one-seed1-fold{fold}.json")
        assert 0 < cell["pseudo_labelled"] <= 32
        once, twice = (
            read_json(tmp_path / "run" / "models" / f"one-seed1-fold{fold}{again}" / "results" / "finetune.json")
            for again in ("", "-again")
        )
        assert sum(once["examples"].values()) == 32
        added = twice["examples"]["train"] - once["examples"]["train"]
        assert added == cell["pseudo_labelled"]
        assert twice["examples"]["development"] == once["examples"]["development"] > 0


def test_adaptation_reads_texts_of_both_files(trained: Path, tmp_path: Path) -> None:
    from bertwright.compete.preparation import read_entries

    asked = recipe(trained, tmp_path / "run", {"one": {"adaptation_minutes": 0.02}})
    entries, _ = read_entries(asked)
    found = adapted("one", asked.members["one"], entries, tmp_path / "run", lambda _: None, None)
    lines = (tmp_path / "run" / "adapted" / "texts.txt").read_text(encoding="utf-8").splitlines()
    assert len(lines) == 96
    assert found.start.checkpoint == str(tmp_path / "run" / "adapted" / "one" / "best")
    assert (Path(found.start.checkpoint) / "model.safetensors").exists()


def test_seeds_divide_anew(trained: Path, tmp_path: Path) -> None:
    result = compete(recipe(trained, tmp_path / "run", {"one": {}}, folds={"seeds": [1, 2]}))
    cells = [read_json(tmp_path / "run" / "cells" / f"one-seed{seed}-fold1.json") for seed in (1, 2)]
    assert cells[0]["places"] != cells[1]["places"]
    assert all(len(row["by_seed"]) == 2 and len(row["by_fold"]) == 4 for row in result["leaderboard"])


def test_test_examples_that_stand_in_training_are_told_and_not_scored(trained: Path, tmp_path: Path) -> None:
    train = (trained / "train.csv").read_text(encoding="utf-8").splitlines()
    test = (trained / "test.csv").read_text(encoding="utf-8").splitlines()
    known = tmp_path / "test.csv"
    copied = [f"copied-{n},{line.split(',', 1)[1]}" for n, line in enumerate(train[1:6])]
    known.write_text("\n".join([*test, *copied]) + "\n", encoding="utf-8")
    result = compete(recipe(trained, tmp_path / "run", {"one": {}}, data={"test": str(known), "solution": str(known)}))
    assert any(
        notice.startswith("5 of 37 test examples also occur in the training file") for notice in result["notices"]
    )
    assert result["examples"] == {"train": 64, "test": 37, "held_back": 32}


def test_an_id_that_stands_twice(trained: Path, tmp_path: Path) -> None:
    lines = (trained / "test.csv").read_text(encoding="utf-8").splitlines()
    twice = tmp_path / "test.csv"
    twice.write_text("\n".join([*lines, lines[1]]) + "\n", encoding="utf-8")
    with pytest.raises(UserError, match=r"test\.csv:34: the id '.*' occurs a second time, first in line 2"):
        compete(recipe(trained, tmp_path / "run", data={"test": str(twice)}))


def test_a_member_called_like_the_linear_model(trained: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="'linear' is the linear model on n-grams"):
        recipe(trained, tmp_path / "run", {"linear": {}})


def test_drift() -> None:
    generator = np.random.default_rng(1)
    words = [f"word{number}" for number in range(50)]
    one, alike = ([" ".join(generator.choice(words, 8)) for _ in range(200)] for _ in range(2))
    assert drift(one, alike) < 0.65
    other = [" ".join(generator.choice(words[:20], 8)) for _ in range(200)]
    assert drift(one, other) > 0.9


def test_a_class_that_a_linear_model_has_not_seen_has_no_probability() -> None:
    found = probabilities(["aa aa", "bb bb"] * 5, ["a", "b"] * 5, ["a", "b", "c"], ["aa bb aa", "bb"])
    assert found.shape == (2, 3)
    np.testing.assert_allclose(found.sum(axis=1), 1)
    assert (found[:, 2] == 0).all()
    assert found[1, 1] > found[1, 0]


def test_a_search_chooses_the_better_rate_and_goes_on(trained: Path, tmp_path: Path) -> None:
    """Rates from useless to good; the first fold's examples are in no trial; kept trials are not run again."""
    train = {**TRAIN, "steps": 12, "evaluate_every": 12}
    search = {"search": {"optimizer.learning_rate": [1e-7, 2e-2]}, "trials": 4, "train": train}
    asked = recipe(trained, tmp_path / "run", {"one": search})
    with pytest.raises(KeyboardInterrupt):
        compete(asked, progress=stop_after(30))
    there = {path.name: path.read_bytes() for path in (tmp_path / "run" / "search").glob("*.json")}
    assert sorted(there) == ["one-1.json", "one-2.json"]
    result = compete(asked)
    trials = {path: read_json(path) for path in (tmp_path / "run" / "search").glob("*.json")}
    assert len(trials) == 4
    assert all(path.read_bytes() == there.get(path.name, path.read_bytes()) for path in trials)
    best = max(each["value"] for each in trials.values())
    chosen = result["members"]["one"]["optimizer"]["learning_rate"]
    assert chosen in [each["settings"]["optimizer.learning_rate"] for each in trials.values() if each["value"] == best]


@pytest.mark.parametrize(
    ("search", "message"),
    [
        ({"optimizer.rate": [0.1, 0.2]}, "'optimizer.rate' is no setting of start, optimizer, tricks or train"),
        ({"train.epochs": [3, 2]}, "'train.epochs' goes from 3 to 2"),
    ],
)
def test_a_search_that_cannot_be(trained: Path, tmp_path: Path, search: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        recipe(trained, tmp_path / "run", {"one": {"search": search}})
