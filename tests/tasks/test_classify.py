"""Classes, any number of classes, numbers, and pairs, from a file to a file; and which examples are the same."""

import csv
import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bertwright.checkpoint import load_checkpoint
from bertwright.config import FinetuneRecipe, ReadingSettings, TricksSettings
from bertwright.errors import UserError
from bertwright.evaluate import evaluate
from bertwright.finetune import Examples, Given, finetune, read_files
from bertwright.predict import Predictor, predict
from bertwright.recipe import parse
from bertwright.start import TABLE
from bertwright.tasks import TASKS
from bertwright.tasks.task import Example, read_all
from helpers import ENDS, SMALL_TRAINING, SUBJECTS, WORDS, call

MOODS = (*WORDS["positive"], *WORDS["negative"])


def write_table(path: Path, rows: list[dict[str, str]]) -> str:
    """Write a csv file."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return str(path)


def recipe(trained: Path, run: Path, task: str, rows: list[dict[str, str]], **data: Any) -> FinetuneRecipe:
    """Three quarters of the rows train, the others choose and test."""
    run.parent.mkdir(parents=True, exist_ok=True)
    cut = len(rows) * 3 // 4
    train, test = write_table(run.parent / "train.csv", rows[:cut]), write_table(run.parent / "test.csv", rows[cut:])
    values = {
        "run": str(run),
        "task": task,
        "data": {"train": train, "test": test, "development": test, "drop_overlaps": False, **data},
        "start": {"checkpoint": str(trained / "pretrained" / "best"), "pooling": "mean", "dropout": 0.0},
        "optimizer": {"learning_rate": 1e-2},
        "train": {**SMALL_TRAINING, "batch_size": 16, "epochs": 12},
    }
    return parse(FinetuneRecipe, values)


def reviews(count: int) -> list[tuple[str, str, str]]:
    """Subject, mood and text of generated reviews."""
    draw = random.Random(1)
    found = []
    for _ in range(count):
        subject, mood = draw.choice(SUBJECTS), draw.choice(MOODS)
        found.append((subject, mood, f"{subject}{mood}，{draw.choice(ENDS)}"))
    return found


def answers_of(run: Path, source: str, target: Path) -> list[dict[str, str]]:
    """The rows that `predict` writes."""
    predict(run, source, str(target))
    with target.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def labelled(*labels: str) -> list[Example]:
    """Examples with these labels."""
    return [
        Example(id=str(number), file="", line=number, texts=("x",), label=label, columns={})
        for number, label in enumerate(labels)
    ]


def test_class_weights_are_1_on_average() -> None:
    """Over the examples, and though a class that is known does not occur."""
    task, examples = TASKS["classify"](ReadingSettings(), ["a", "b", "c"]), labelled(*"aaaaaab")
    task.use(TricksSettings(class_weights="balanced"), examples)
    assert task.class_weights is not None
    weights = [float(task.class_weights[task.labels.index(str(each.label))]) for each in examples]
    assert np.mean(weights) == pytest.approx(1)
    assert weights[-1] == pytest.approx(6 * weights[0])


def test_a_confusion_table_of_thousands_of_classes_is_not_kept() -> None:
    labels = [f"{number:04}" for number in range(3000)]
    task, answers = TASKS["classify"](ReadingSettings(), labels), list(np.eye(3000)[:20])
    scores = task.scores(labelled(*labels[:20]), answers)
    assert scores["metrics"]["accuracy"] == 1
    assert "confusion" not in scores


# ---------------------------------------------------------------------------------------------- kinds of labels


def test_any_number_of_classes(trained: Path, tmp_path: Path) -> None:
    """A review praises, is about a thing to hold, both or neither."""
    held = SUBJECTS[3:8]
    rows = [
        {
            "text": text,
            "label": "|".join(name for name, on in (("held", s in held), ("good", m in WORDS["positive"])) if on),
        }
        for s, m, text in reviews(240)
    ]
    settings = recipe(trained, tmp_path / "run", "classify", rows, label_kind="classes", label_separator="|")
    result = finetune(settings)
    assert result["labels"] == ["good", "held"]
    assert result["test"]["metrics"]["micro_f1"] > 0.9
    told = answers_of(tmp_path / "run", str(tmp_path / "test.csv"), tmp_path / "answers.csv")
    gold = [set(row["label"].split("|")) - {""} for row in rows[180:]]
    right = [set(row["label"].split("|")) - {""} == labels for row, labels in zip(told, gold, strict=True)]
    assert np.mean(right) == pytest.approx(result["test"]["metrics"]["exact"])
    other = write_table(tmp_path / "other.csv", [{"text": "房间很好", "label": "good|new"}])
    with pytest.raises(UserError, match=r"other\.csv:2: the label 'new' was not in the training data"):
        evaluate(tmp_path / "run", other)


def test_numbers(trained: Path, tmp_path: Path) -> None:
    """How good a mood is, from 0 to 5; an untrained model says the mean."""
    worth = {mood: str(number % 6) for number, mood in enumerate(MOODS)}
    rows = [{"text": text, "label": worth[mood]} for _, mood, text in reviews(240)]
    settings = recipe(trained, tmp_path / "run", "classify", rows, label_kind="number")
    result = finetune(settings)
    assert result["test"]["metrics"]["pearson"] > 0.8
    told = answers_of(tmp_path / "run", str(tmp_path / "test.csv"), tmp_path / "answers.csv")
    errors = [float(row["label"]) - float(rows[180 + n]["label"]) for n, row in enumerate(told)]
    assert np.sqrt(np.mean(np.square(errors))) == pytest.approx(result["test"]["metrics"]["rmse"], abs=1e-3)
    for label, message in (("three", "the label 'three' is no number"), ("inf", "is no number"), ("", "has no label")):
        with pytest.raises(UserError, match=message):
            evaluate(tmp_path / "run", write_table(tmp_path / "bad.csv", [{"text": "房间很好", "label": label}]))


def test_numbers_of_any_size_are_learnt_alike(trained: Path, tmp_path: Path) -> None:
    """Prices and years as numbers from 0 to 5: only their mean and deviation differ, which training does not see."""
    worth = {mood: number % 6 for number, mood in enumerate(MOODS)}
    told = {}
    for factor, mean in ((1, 0), (8192, 2**20)):
        rows = [{"text": text, "label": str(factor * worth[mood] + mean)} for _, mood, text in reviews(120)]
        settings = recipe(trained, tmp_path / str(factor) / "run", "classify", rows, label_kind="number")
        finetune(settings)
        found = Predictor.load(Path(settings.run)).predict([text for _, _, text in reviews(20)])
        told[factor] = np.array([each["label"] for each in found])
    np.testing.assert_allclose((told[8192] - 2**20) / 8192, told[1], atol=1e-3)


def test_the_mean_of_numbers_is_that_of_the_training_examples(trained: Path, tmp_path: Path) -> None:
    """Of a competition all labels are known, but those that are held out must not tell even that."""
    rows = [{"text": text, "label": str(number)} for number, (_, _, text) in enumerate(reviews(40))]
    settings = recipe(trained, tmp_path / "run", "classify", rows, label_kind="number")
    sides = read_files(TASKS["classify"](settings.data.reading), settings.data)
    task = Examples(settings, Given(sides, known=[*sides["train"], *sides["test"]])).task
    assert task.learnt == {"mean": 14.5, "deviation": pytest.approx(np.arange(30).std())}


def test_pairs(trained: Path, tmp_path: Path) -> None:
    """Does the second review praise?"""
    drawn = reviews(600)
    rows = [
        {"text": one[2], "second_text": other[2], "label": str(other[1] in WORDS["positive"])}
        for one, other in zip(drawn[:300], drawn[300:], strict=True)
    ]
    settings = recipe(trained, tmp_path / "run", "pair", rows, ignored_labels=["?"])
    result = finetune(settings)
    assert result["test"]["metrics"]["accuracy"] > 0.85
    told = answers_of(tmp_path / "run", str(tmp_path / "test.csv"), tmp_path / "answers.csv")
    right = np.mean([row["label"] == rows[225 + number]["label"] for number, row in enumerate(told)])
    assert right == pytest.approx(result["test"]["metrics"]["accuracy"])
    line = f"{rows[225]['text']}\t{rows[225]['second_text']}\n"
    piped = call("predict", tmp_path / "run", "--input", "-", "--output", "-", stdin=line.encode())
    assert json.loads(piped.out)["label"] == told[0]["label"]
    unsure = write_table(tmp_path / "unsure.csv", [{**row, "label": "?"} for row in rows[:3]])
    with pytest.raises(UserError, match="no example is left"):
        evaluate(tmp_path / "run", unsure)
    some = write_table(tmp_path / "some.csv", [{**rows[0], "label": "?"}, *rows[225:]])
    scored = evaluate(tmp_path / "run", some)
    assert scored["num_ignored"] == 1
    assert scored["metrics"] == pytest.approx(result["test"]["metrics"], rel=1e-5)


# ---------------------------------------------------------------------------------------------- what is the same

SAME = [
    ("Good!", "good"),
    ("很好。", "很好"),
    ("很好 ，再来", "很好，再来"),
    ("It's 5.", "its 5"),
    ("<.IX> up, 1,653", ".ix up 1653"),
    ("3.5 stars", "3.5 stars!"),
]
DIFFERENT = [
    ("👍", "👎"),
    ("कि", "का"),
    ("ไม่ดี", "ไม้ดี"),
    ("-1", "1"),
    ("3.5", "35"),
    ("?!", "..."),
    ("C++", "C#"),
    ("e\u0301", "e"),
]


@pytest.mark.parametrize(("one", "other"), SAME)
def test_the_same_but_for_case_and_punctuation(one: str, other: str) -> None:
    task = TASKS["classify"](ReadingSettings())
    assert task.key(task.example(one)) == task.key(task.example(other))


@pytest.mark.parametrize(("one", "other"), DIFFERENT)
def test_what_differs_in_more_is_not_the_same(one: str, other: str) -> None:
    task = TASKS["classify"](ReadingSettings())
    assert task.key(task.example(one)) != task.key(task.example(other))


@pytest.mark.data
def test_overlaps_of_real_data(data: Path) -> None:
    """Eleven of MRPC's test pairs occur in its training part, one of them spaced in another way."""
    columns = {"text_column": "#1 String", "second_column": "#2 String", "label_column": "Quality"}
    task = TASKS["pair"](ReadingSettings.model_validate(columns))
    train, test = (read_all(task, data / "pair" / f"mrpc_{side}.txt") for side in ("train", "test"))
    known = {task.key(example) for example in train}
    assert sum(task.key(example) in known for example in test) == 11


# ---------------------------------------------------------------------------------------------- long pairs


@given(st.integers(0, 3000), st.integers(0, 3000), st.integers(8, 200))
def test_long_pairs_are_read_in_a_few_windows(first: int, second: int, room: int) -> None:
    """Every token is in one of them, none is too long, and they grow with the sum of both, not with the product."""
    task = TASKS["pair"](ReadingSettings())
    texts = (np.arange(first), np.arange(second))
    pieces = task.pieces(texts, room)  # pyright: ignore[reportAttributeAccessIssue]
    assert all(len(one) + len(other) <= room for one, other in pieces)
    for number, text in enumerate(texts):
        assert set(np.concatenate([piece[number] for piece in pieces]).tolist()) == set(text.tolist())
    assert len(pieces) <= 2 * (first + second) // room + 2


# ---------------------------------------------------------------------------------------------- vocabulary


def test_only_the_rows_in_use_are_trained(trained: Path, tmp_path: Path) -> None:
    rows = [{"text": text, "label": str(mood in WORDS["positive"])} for _, mood, text in reviews(40)]
    settings = recipe(trained, tmp_path / "run", "classify", rows)
    before = load_checkpoint(trained / "pretrained" / "best")
    data = Examples(settings)
    vocabulary = data.encode(before)
    assert vocabulary.used is not None
    assert len(vocabulary.used) < before.config.vocabulary_size
    assert len(vocabulary.pruned(before).weights[TABLE]) == len(vocabulary.used)
    finetune(settings)
    after = load_checkpoint(tmp_path / "run" / "best").weights[TABLE]
    moved = (after != before.weights[TABLE]).any(dim=1)
    assert set(moved.nonzero().flatten().tolist()) <= set(vocabulary.used.tolist())
    assert moved.sum() > 10


# ---------------------------------------------------------------------------------------------- tables


def test_an_id_twice_is_told(trained: Path, tmp_path: Path) -> None:
    files = {
        "t.csv": "id,text,label\na,好,positive\nb,差,negative\na,很差,negative\n",
        "t.tsv": "id\ttext\tlabel\na\t好\tpositive\nb\t差\tnegative\na\t很差\tnegative\n",
        "t.jsonl": "".join(
            json.dumps({"id": name, "text": text, "label": label}) + "\n"
            for name, text, label in (("a", "好", "positive"), ("b", "差", "negative"), ("a", "很差", "negative"))
        ),
    }
    for name, content in files.items():
        (tmp_path / name).write_text(content, encoding="utf-8")
        line = 3 if name == "t.jsonl" else 4
        with pytest.raises(
            UserError, match=rf"{name}:{line}: the id 'a' occurs a second time, first in line {line - 2}"
        ):
            evaluate(trained / "finetuned", tmp_path / name)


@pytest.mark.parametrize("suffix", ["csv", "tsv"])
def test_a_model_that_learnt_without_names_reads_files_with_names(trained: Path, tmp_path: Path, suffix: str) -> None:
    """A first line that names the columns is no text; and what is to be answered need not have labels."""
    sign = "," if suffix == "csv" else "\t"
    texts = ["房间很好。", "又脏又乱。"]
    forms = {
        "as learnt": [sign.join((text, "positive")) for text in texts],
        "names": [sign.join(("text", "label")), *(sign.join((text, "positive")) for text in texts)],
        "other columns": [sign.join(("id", "text")), *(sign.join((str(n), text)) for n, text in enumerate(texts))],
        "texts alone": texts,
    }
    given_ = {"columns": ["text", "label"]}
    expected = [row["label"] for row in Predictor.load(trained / "finetuned").predict(texts)]
    for name, lines in forms.items():
        source = tmp_path / f"{name.replace(' ', '_')}.{suffix}"
        source.write_text("\n".join(lines) + "\n", encoding="utf-8")
        predict(trained / "finetuned", str(source), str(tmp_path / "answers.jsonl"), **given_)
        told = [json.loads(line) for line in (tmp_path / "answers.jsonl").read_text(encoding="utf-8").splitlines()]
        assert [row["text"] for row in told] == texts, name
        assert [row["label"] for row in told] == expected, name
