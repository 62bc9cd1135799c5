"""The main job on generated reviews: what is learnt from, what is held out, and what it leaves."""

import csv
import importlib
import json
import random
from pathlib import Path

import pytest

import made_up
from bertwright.demo import demo, read_reviews
from helpers import ENDS, SUBJECTS, WORDS

MODULE = importlib.import_module("bertwright.demo")


def write_package(folder: Path) -> Path:
    """Some hundred reviews as the package has them: many twice, and one that is both praise and blame."""
    draw = random.Random(1)
    for label, file in (("positive", "pos.txt"), ("negative", "neg.txt")):
        lines = [
            f"{draw.choice(SUBJECTS)}{draw.choice(list(WORDS[label]))}，{draw.choice(ENDS)}第{number}次"
            for number in range(150)
        ]
        (folder / "sentiment").mkdir(parents=True, exist_ok=True)
        text = "\n".join([*lines, *(f"{line}！" for line in lines[:50]), "说不清", ""])
        (folder / "sentiment" / file).write_text(text, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("demo")
    package = write_package(folder / "package")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(MODULE, "package_folder", lambda: package)
        for name, size in (("LABELLED", 24), ("DEVELOPMENT", 20), ("TEST", 40)):
            patch.setattr(MODULE, name, size)
        patch.setitem(MODULE.PRETRAINING, "tokenizer", {"kind": "characters"})
        model = {"layers": 1, "width": 32, "heads": 2, "inner_width": 64, "max_length": 64}
        patch.setitem(MODULE.PRETRAINING, "model", {"layout": "modernbert", **model})
        train = {"batch_size": 4, "length": 64, "dtype": "float32", "attention": "explicit"}
        patch.setitem(MODULE.PRETRAINING, "train", train)
        patch.setitem(MODULE.FINETUNING, "train", {**train, "epochs": 1})
        demo(folder / "run", minutes=0.02)
    return folder


def sides_of(folder: Path) -> dict[str, list[dict[str, str]]]:
    found = {}
    for side in ("train", "development", "test"):
        with (folder / "run" / "data" / f"{side}.csv").open(encoding="utf-8", newline="") as file:
            found[side] = list(csv.DictReader(file))
    return found


def test_reviews_are_there_once(done: Path) -> None:
    reviews = read_reviews(done / "package" / "sentiment")
    assert len(reviews) == 300, "punctuation makes no other review, and one that is both is none"
    assert "说不清" not in {review.text for review in reviews}


def test_what_is_scored_was_never_read(done: Path) -> None:
    sides = sides_of(done)
    read = set((done / "run" / "data" / "corpus.txt").read_text(encoding="utf-8").split("\n"))
    texts = {side: {row["text"] for row in rows} for side, rows in sides.items()}
    assert not read & (texts["development"] | texts["test"])
    assert texts["train"] < read, "without their labels"
    assert not texts["train"] & (texts["development"] | texts["test"])
    assert {side: len(rows) for side, rows in sides.items()} == {"train": 24, "development": 20, "test": 40}
    for rows in sides.values():
        assert sum(row["label"] == "positive" for row in rows) * 2 == len(rows)


def test_what_it_leaves(done: Path, tmp_path: Path) -> None:
    result = json.loads((done / "run" / "results" / "demo.json").read_text(encoding="utf-8"))
    expected = json.loads((made_up.demo(tmp_path) / "results" / "demo.json").read_text(encoding="utf-8"))
    assert result.keys() == expected.keys(), "the tests of the report draw what the demo writes"
    assert result["pretrained"].keys() >= {"accuracy", "macro_f1"}
    assert result["examples"] == {"train": 24, "development": 20, "test": 40}
    page = (done / "run" / "report.html").read_text(encoding="utf-8")
    assert "linear model" in page
    assert f"{result['pretrained']['accuracy']:.3f}".lstrip("0").rstrip("0") in page
