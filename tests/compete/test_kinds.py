"""A whole competition for every kind of task: folds, a mixture of two members, held-back scores, a submission."""

import csv
import json
import random
from pathlib import Path
from typing import Any

import pytest

from bertwright.compete import compete
from bertwright.config import CompeteRecipe
from bertwright.recipe import parse
from bertwright.report import write_report
from bertwright.tasks import TASKS
from bertwright.tasks.task import read_all
from helpers import SMALL_TRAINING, SUBJECTS

KINDS: dict[str, dict[str, Any]] = {
    "three-classes": {"task": "classify"},
    "several-classes": {"task": "classify", "data": {"label_kind": "classes", "metric": "macro_f1"}},
    "number": {"task": "classify", "data": {"label_kind": "number"}},
    "number-by-error": {"task": "classify", "data": {"label_kind": "number", "metric": "rmse"}},
    "pair": {"task": "pair"},
    "tag": {"task": "tag", "tricks": {"label_smoothing": 0.1, "class_weights": "balanced"}},
    "qa": {"task": "qa"},
}
METRICS = {
    "three-classes": "accuracy",
    "several-classes": "macro_f1",
    "number": "pearson",
    "number-by-error": "rmse",
    "pair": "accuracy",
    "tag": "f1",
    "qa": "f1",
}


def write_side(folder: Path, kind: str, side: str, count: int) -> Path:
    """Examples whose labels follow from their texts."""
    draw = random.Random(side)
    rows: list[dict[str, Any]] = []
    for number in range(count):
        subject, other = draw.sample(SUBJECTS, 2)
        place = SUBJECTS.index(subject)
        row = {"id": f"{side}-{number}", "text": f"第{number}次，{side}的{subject}和{other}"}
        label: Any = "abc"[place % 3]
        if kind == "several-classes":
            label = "a,b" if place % 2 else "b,c"
        if kind.startswith("number"):
            label = place + number / 100
        if kind == "pair":
            row["second_text"], label = f"说的是{subject}", "ab"[place % 2]
        if kind == "tag":
            words = ["第", str(number), "次", subject, other, side]
            row |= {"text": words, "label": ["O", "O", "O", "B-X", "I-X", "O"]}
            label = row["label"]
        rows.append({**row, "label": label})
    if kind != "qa":
        path = folder / f"{side}.jsonl"
        path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
        return path
    path = folder / f"{side}.json"
    paragraphs = []
    for row in rows:
        begin = row["text"].index("的") + 1
        answers = [{"text": row["text"][begin : begin + 2], "answer_start": begin}]
        asked = [{"id": row["id"], "question": "什么？", "answers": answers}]
        paragraphs.append({"context": row["text"], "qas": asked})
    path.write_text(json.dumps({"data": [{"paragraphs": paragraphs}]}, ensure_ascii=False), encoding="utf-8")
    return path


@pytest.mark.parametrize("kind", list(KINDS))
def test_a_competition(trained: Path, tmp_path: Path, kind: str) -> None:
    asked = KINDS[kind]
    test = str(write_side(tmp_path, kind, "test", 20))
    member = {
        "start": {"checkpoint": str(trained / "pretrained" / "best"), "pooling": "mean"},
        "optimizer": {"learning_rate": 1e-2},
        "train": {**SMALL_TRAINING, "steps": 6},
    }
    files = {"train": str(write_side(tmp_path, kind, "train", 60)), "test": test, "solution": test}
    values = {
        "run": str(tmp_path / "run"),
        "task": asked["task"],
        "data": {**files, **asked.get("data", {})},
        "folds": {"number": 2},
        "members": {"one": member, "other": {**member, "tricks": {"average_decay": 0.5, **asked.get("tricks", {})}}},
    }
    recipe = parse(CompeteRecipe, values)
    result = compete(recipe)
    assert result["metric"] == METRICS[kind]
    members = {"one", "other", *(["linear"] if kind == "three-classes" else [])}
    assert {row["name"] for row in result["leaderboard"]} == members
    scores = [row["out_of_fold"] for row in result["leaderboard"]]
    assert scores == sorted(scores, reverse=result["metric"] != "rmse"), "the best one stands first"
    if result["metric"] != "rmse":
        assert all(-1 <= row["out_of_fold"] <= 1 and -1 <= row["held_back"] <= 1 for row in result["leaderboard"])
    assert len(result["ensemble"]["by_fold"]) == 2
    with Path(result["submission"]).open(encoding="utf-8", newline="") as file:
        submitted = list(csv.DictReader(file))
    assert [row["id"] for row in submitted] == [f"test-{number}" for number in range(20)]
    task = TASKS[recipe.task](recipe.data.reading)
    truth = read_all(task, Path(test))
    told = "answer" if kind == "qa" else "label"
    if kind in ("three-classes", "pair"):
        right = sum(row[told] == each.label for row, each in zip(submitted, truth, strict=True))
        assert right / 20 == pytest.approx(result["ensemble"]["held_back"]["accuracy"])
    elif kind.startswith("number"):
        squares = [(float(row[told]) - each.label) ** 2 for row, each in zip(submitted, truth, strict=True)]
        assert (sum(squares) / 20) ** 0.5 == pytest.approx(result["ensemble"]["held_back"]["rmse"], abs=1e-4)
    elif kind == "several-classes":
        exact = sum(set(row[told].split(",")) == set(each.label) for row, each in zip(submitted, truth, strict=True))
        assert exact / 20 == pytest.approx(result["ensemble"]["held_back"]["exact"])
    elif kind == "tag":
        pairs = [
            pair
            for row, each in zip(submitted, truth, strict=True)
            for pair in zip(row[told].split(), each.label, strict=True)
        ]
        right = sum(one == other for one, other in pairs)
        assert right / len(pairs) == pytest.approx(result["ensemble"]["held_back"]["accuracy"])
    else:
        assert all(row[told] in each.texts[1] for row, each in zip(submitted, truth, strict=True))
        answers = [{str(answer) for answer, _ in each.label} for each in truth]
        exact = sum(row[told] in wanted for row, wanted in zip(submitted, answers, strict=True))
        assert exact / 20 == pytest.approx(result["ensemble"]["held_back"]["exact"])
    write_report([tmp_path / "run"], tmp_path / "page.html")
    again = compete(recipe)  # nothing is trained again
    assert again["ensemble"] == result["ensemble"]
