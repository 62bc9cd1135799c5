"""Transfer: every encoder on every language, the same tests for all, from random weights too; resumable."""

import csv
import json
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import tomli_w

from bertwright.analyze import trainings
from bertwright.analyze.judging import chance, each_worth, unknown_share
from bertwright.analyze.trainings import Trainings, changed
from bertwright.analyze.transfer import transfer
from bertwright.checkpoint import load_checkpoint
from bertwright.config import FinetuneRecipe, ReadingSettings
from bertwright.errors import UserError
from bertwright.finetune import finetune
from bertwright.recipe import load_recipe, parse
from bertwright.report import write_report
from bertwright.run import read_json
from bertwright.tasks import QuestionAnswering, Tag
from bertwright.tasks.qa import Answer
from bertwright.tasks.task import Example
from helpers import SMALL_TRAINING, call

MODULE = import_module("bertwright.analyze.transfer")


@pytest.fixture(scope="module")
def recipe(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The generated reviews."""
    path = tmp_path_factory.mktemp("transfer") / "chinese.toml"
    values = {
        "run": "unused",
        "task": "classify",
        "data": {side: str(trained / f"{side}.csv") for side in ("train", "development", "test")},
        "start": {"checkpoint": "unused", "pooling": "mean"},
        "optimizer": {"learning_rate": 1e-2},
        "train": {**SMALL_TRAINING, "batch_size": 16, "epochs": 8},
    }
    path.write_text(tomli_w.dumps(values), encoding="utf-8")
    return path


def written(path: Path, rows: list[tuple[str, str]]) -> Path:
    """A table of texts and labels."""
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("text", "label"), *rows])
    return path


@pytest.fixture(scope="module")
def tests(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The reviews held back, and the same ones with another ending and one in training."""
    folder = tmp_path_factory.mktemp("tests")
    with (trained / "test.csv").open(encoding="utf-8", newline="") as file:
        rows = [(row["text"], row["label"]) for row in csv.DictReader(file)]
    with (trained / "train.csv").open(encoding="utf-8", newline="") as file:
        known = next((row["text"], row["label"]) for row in csv.DictReader(file))
    other = written(folder / "other.csv", [*((text + "嗯", label) for text, label in rows), known])
    return {"same": str(trained / "test.csv"), "other": str(other)}


@pytest.fixture(scope="module")
def done(recipe: Path, tests: dict[str, str], trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("done")
    options = [f"--test={name}={file}" for name, file in tests.items()]
    answer = call(
        "analyze",
        "transfer",
        recipe,
        f"--encoder=small={trained / 'pretrained' / 'best'}",
        *options,
        "--seed=1",
        "--seed=2",
        "--most=20",
        f"--run={folder}",
    )
    assert answer.code == 0, answer.err
    return folder


def test_every_combination_has_scores(done: Path) -> None:
    result = read_json(done / "results" / "transfer.json")
    assert [(row["encoder"], row["train"]) for row in result["rows"]] == [("small", "chinese"), ("none", "chinese")]
    assert result["tests"] == {"same": 20, "other": 20}
    assert result["metrics"] == ["accuracy"]
    for row in result["rows"]:
        assert row["examples"] == 64
        for scores in row["scores"].values():
            assert len(scores["accuracy"]) == 2
    assert min(result["rows"][0]["scores"]["same"]["accuracy"]) > 0.8, "it learns the task"
    assert not list((done / "runs").iterdir())
    first, none = result["rows"]
    mean, low, high = first["against"]["none"]["same"]
    gain = [sum(row["scores"]["same"]["accuracy"]) / 2 for row in (first, none)]
    assert low <= mean <= high
    assert mean == pytest.approx(gain[0] - gain[1])
    assert none["against"] == {}
    assert result["judged_by"] == "accuracy"
    assert 0.5 <= result["chance"]["same"] < 0.8
    assert result["unknown"]["small"]["same"] == 0.0


def test_what_is_there_is_not_done_again(
    done: Path, recipe: Path, tests: dict[str, str], trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = (done / "results" / "transfer.json").read_text(encoding="utf-8")

    def never(*_: Any, **__: Any) -> None:
        raise AssertionError

    monkeypatch.setattr("bertwright.analyze.trainings.finetune", never)
    encoders = {"small": str(trained / "pretrained" / "best")}
    again = transfer(
        {"chinese": load_recipe(FinetuneRecipe, recipe)}, encoders, tests, Trainings(done), seeds=(1, 2), most=20
    )
    assert again == json.loads(before)


def test_other_settings_are_not_mixed_with_these(
    done: Path, recipe: Path, tests: dict[str, str], trained: Path
) -> None:
    """Another test, another number of them, another rate: told, instead of figures that do not belong together."""
    encoders = {"small": str(trained / "pretrained" / "best")}
    loaded = load_recipe(FinetuneRecipe, recipe)
    faster = load_recipe(FinetuneRecipe, recipe, ["optimizer.learning_rate=1"])
    for settings, asked, most in (
        (loaded, {**tests, "again": tests["same"]}, 20),
        (loaded, tests, 21),
        (faster, tests, 20),
    ):
        with pytest.raises(UserError, match="measured with other settings") as error:
            transfer({"chinese": settings}, encoders, asked, Trainings(done), seeds=(1, 2), most=most)
        assert "--run" in error.value.advice


def test_all_are_asked_the_same(recipe: Path, tests: dict[str, str], trained: Path, tmp_path: Path) -> None:
    """What stands in the training data of one is asked of none."""
    encoders = {"small": str(trained / "pretrained" / "best")}
    small = load_recipe(FinetuneRecipe, recipe, ["train.epochs=1"])
    known = trained / "test.csv"
    with known.open(encoding="utf-8", newline="") as file:
        rows = [(row["text"], row["label"]) for row in csv.DictReader(file)][:10]
    other = small.model_copy(
        update={"data": small.data.model_copy(update={"development": str(written(tmp_path / "known.csv", rows))})}
    )
    result = transfer({"one": small, "two": other}, encoders, tests, Trainings(tmp_path / "out"), seeds=(1,))
    assert result["tests"] == {"same": 22, "other": 32}


def test_a_training_example_is_no_test(recipe: Path, tests: dict[str, str], trained: Path, tmp_path: Path) -> None:
    """33 rows, one of them known. A test file that has changed is another test."""
    encoders, loaded = {"small": str(trained / "pretrained" / "best")}, load_recipe(FinetuneRecipe, recipe)
    result = transfer({"chinese": loaded}, encoders, tests, Trainings(tmp_path), seeds=(1,))
    assert result["tests"] == {"same": 32, "other": 32}
    assert result["dropped"] == {"same": 0, "other": 1}
    shorter = tmp_path / "other.csv"
    shorter.write_text("\n".join(Path(tests["other"]).read_text(encoding="utf-8").splitlines()[:-3]), encoding="utf-8")
    with pytest.raises(UserError, match="measured with other settings"):
        transfer({"chinese": loaded}, encoders, {**tests, "other": str(shorter)}, Trainings(tmp_path), seeds=(1,))


def test_questions_on_passages_of_training_are_no_tests(tmp_path: Path) -> None:
    """Nor their translations, which have their ids, nor others on the translated passages."""
    task = QuestionAnswering(ReadingSettings())

    def question(identity: str, passage: str, text: str = "Where?") -> Example:
        return replace(task.example(text, passage), id=identity, label=((passage.split(maxsplit=1)[0], 0),))

    def written_questions(name: str, *asked: tuple[str, str, str]) -> str:
        paragraphs = [
            {
                "context": passage,
                "qas": [{"id": i, "question": text, "answers": [{"text": passage.split()[0], "answer_start": 0}]}],
            }
            for i, passage, text in asked
        ]
        (tmp_path / name).write_text(json.dumps({"data": [{"paragraphs": paragraphs}]}), encoding="utf-8")
        return str(tmp_path / name)

    trained_on = {"train": [question("q1", "a house"), question("q2", "the sea")]}
    tests = {
        "english": written_questions("en.json", ("n1", "a house", "What?"), ("n2", "another house", "Where?")),
        "german": written_questions(
            "de.json",
            *(("q2", "das Meer", "Wo?"), ("n1", "ein Haus", "Was?"), ("n3", "ein Haus", "Wo?")),
            *(("n4", "ein Hund", "Wo?"), ("n5", "das Meer", "Was?")),
        ),
    }
    found, dropped = MODULE._tests(dict.fromkeys(tests, task), [trained_on], tests, 10)
    assert {name: [each.id for each in examples] for name, examples in found.items()} == {
        "english": ["n2"],
        "german": ["n4"],
    }
    assert dropped == {"english": 1, "german": 4}


def test_training_data_that_changed_under_their_name_are_others(
    recipe: Path, tests: dict[str, str], trained: Path, tmp_path: Path
) -> None:
    file = tmp_path / "train.csv"
    lines = (trained / "train.csv").read_text(encoding="utf-8").splitlines()
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    loaded = load_recipe(FinetuneRecipe, recipe, ["train.epochs=1", f"data.train={file}"])
    encoders = {"small": str(trained / "pretrained" / "best")}
    transfer({"chinese": loaded}, encoders, tests, Trainings(tmp_path / "out"), seeds=(1,))
    file.write_text("\n".join(lines[:-1]) + "\n", encoding="utf-8")
    with pytest.raises(UserError, match="measured with other settings"):
        transfer({"chinese": loaded}, encoders, tests, Trainings(tmp_path / "out"), seeds=(1,))


def test_an_encoder_may_have_a_rate_of_its_own(
    recipe: Path, tests: dict[str, str], trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[str, str, float]] = []

    def watched(settings: FinetuneRecipe, **more: Any) -> dict[str, Any]:
        seen.append((settings.start.weights, settings.optimizer.name, settings.optimizer.learning_rate))
        return finetune(settings, **more)

    monkeypatch.setattr(trainings, "finetune", watched)
    encoder = f"--encoder=small={trained / 'pretrained' / 'best'}"
    more = ("--rate=none=0.002", "--seed=1", f"--run={tmp_path / 'run'}", f"--test=same={tests['same']}")
    assert call("analyze", "transfer", recipe, encoder, *more).code == 0
    assert seen == [("pretrained", "adamw", 0.01), ("random", "adamw", 0.002)]


# ---------------------------------------------------------------------------------------------- judging


def test_chance_is_a_span_of_the_right_length() -> None:
    """Of ten words one is the answer: a tenth. Two Chinese characters in a row of ten: a ninth, and two halves."""
    task = QuestionAnswering(ReadingSettings())
    words = "one two three four five six seven eight nine ten"
    english = [replace(task.example("Which?", words), label=(("four", 14),)) for _ in range(200)]
    assert chance(task, english) == pytest.approx(0.1, abs=0.02)
    half = [replace(each, label=()) if number % 2 else each for number, each in enumerate(english)]
    assert chance(task, half) == pytest.approx(0.05, abs=0.02), "who guesses does not know what has no answer"
    characters = "春夏秋冬东南西北中外"
    chinese = [replace(task.example("哪?", characters), label=(("秋冬", 2),)) for _ in range(200)]
    assert chance(task, chinese) == pytest.approx((1 + 0.5 + 0.5) / 9, abs=0.03)
    tags = Tag(ReadingSettings())
    sentences = [replace(tags.example("a", "b", "c"), label=("X", "Y", "X")), replace(tags.example("d"), label=("Y",))]
    assert chance(tags, sentences) == 0.5


def test_what_each_answer_is_worth() -> None:
    task = QuestionAnswering(ReadingSettings())
    task.learnt |= {"missing": False, "threshold": 0.0}
    asked = [
        replace(task.example("Who?", "Ann met Bob and Eve"), label=(("Ann", 0),)),
        replace(task.example("Whom?", "Ann met Bob and Eve"), label=(("Bob and Eve", 8),)),
    ]
    answers = [Answer([(0, 3)], [1.0], -1e9), Answer([(4, 11)], [1.0], -1e9)]
    assert each_worth(task, asked, answers) == [(1.0, 1), (pytest.approx(2 * 1 / 5), 1)]
    scores = task.scores(asked, answers)["metrics"]
    assert scores["f1"] == pytest.approx(sum(value for value, _ in each_worth(task, asked, answers)) / 2)


def test_unknown_tokens(trained: Path) -> None:
    tokenizer = load_checkpoint(trained / "pretrained" / "best", weights=False).tokenizer
    task = QuestionAnswering(ReadingSettings())
    assert unknown_share(tokenizer, [task.example("ظظظ", "ظ")]) > 0


@pytest.mark.parametrize(("language", "word"), [("en", "From one language to others"), ("zh", "从一种语言到别的语言")])
def test_the_page(done: Path, language: str, word: str) -> None:
    page = write_report([done], done / f"{language}.html", language=language).read_text(encoding="utf-8")
    assert word in page
    assert "chinese (64)" in page
    assert {"en": "By how much small is better", "zh": "small 高出多少"}[language] in page


def test_a_test_is_read_as_the_recipe_of_its_name_reads(recipe: Path, trained: Path, tmp_path: Path) -> None:
    """Two languages of a task seldom come in files of the same columns; a seed that is given twice is one."""
    with (trained / "train.csv").open(encoding="utf-8", newline="") as file:
        rows = [(row["text"] + "呀", row["label"]) for row in csv.DictReader(file)]
    columns = {"text_column": "review", "label_column": "stars"}
    files = {}
    for side, part in (("train", rows[:40]), ("development", rows[40:])):
        files[side] = tmp_path / f"{side}.csv"
        with files[side].open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([("review", "stars"), *part])
    loaded = changed(load_recipe(FinetuneRecipe, recipe), {"train": {"epochs": 1}})
    other = changed(loaded, {"data": {**columns, **{side: str(path) for side, path in files.items()}}})
    told = written(tmp_path / "told.csv", [("很好", "positive")])
    asked = tmp_path / "asked.csv"
    asked.write_text("review,stars\n太好了,positive\n", encoding="utf-8")
    result = transfer(
        {"first": loaded, "other": other},
        {"small": str(trained / "pretrained" / "best")},
        {"first": str(told), "other": str(asked)},
        Trainings(tmp_path / "out"),
        seeds=(1, 1),
    )
    assert result["tests"] == {"first": 1, "other": 1}
    assert result["seeds"] == [1]
    assert {len(scores["accuracy"]) for row in result["rows"] for scores in row["scores"].values()} == {1}


def test_what_is_cut_is_told(tmp_path: Path, trained: Path) -> None:
    """Of questions and answers that do not fit into the windows, in training and in the tests."""
    long = "这家酒店的早餐和房间到底怎么样呢" * 4 + "？"
    rows = [
        {"context": f"{word}。" + "房间很好。" * 3, "qas": [{"id": word, "question": long, "answers": [answer]}]}
        for word in ("早餐好", "服务好", "地铁近", "电梯慢")
        for answer in [{"text": word, "answer_start": 0}]
    ]
    file, test = tmp_path / "train.json", tmp_path / "test.json"
    file.write_text(json.dumps({"data": [{"title": "x", "paragraphs": rows}]}), encoding="utf-8")
    asked = {"context": "窗户大。房间很好。", "qas": [{**rows[0]["qas"][0], "id": "asked"}]}
    asked["qas"][0]["answers"] = [{"text": "窗户大", "answer_start": 0}]
    test.write_text(json.dumps({"data": [{"title": "y", "paragraphs": [asked]}]}), encoding="utf-8")
    settings = {
        "task": "qa",
        "run": "unused",
        "data": {"train": str(file), "development_share": 0.25},
        "start": {"checkpoint": "unused"},
        "train": {**SMALL_TRAINING, "epochs": 1, "length": 32},
    }
    told: list[str] = []
    transfer(
        {"questions": parse(FinetuneRecipe, settings)},
        {"small": str(trained / "pretrained" / "best")},
        {"asked": str(test)},
        Trainings(tmp_path / "out", told.append),
        seeds=(1,),
    )
    cut = [line.split()[0] for line in told if "questions have more than 10 tokens" in line]
    assert cut == ["3", "1", "1"] * 2, "to learn from, for development and of the test, for the encoder and without one"


def test_bad_input(recipe: Path, trained: Path, tmp_path: Path) -> None:
    """No test, a test with other labels, recipes of two tasks, an encoder that is not there or too short."""
    loaded = load_recipe(FinetuneRecipe, recipe)
    encoders = {"small": str(trained / "pretrained" / "best")}
    stars = written(tmp_path / "stars.csv", [("好", "5 stars"), ("坏", "1 star")])
    pair = loaded.model_copy(update={"task": "pair"})
    number = changed(loaded, {"data": {"label_kind": "number"}})
    for recipes, tests, found in (
        ({"chinese": loaded}, {}, "no test is given"),
        ({"chinese": loaded}, {"stars": str(stars)}, "its labels are 1 star, 5 stars"),
        ({"chinese": loaded, "pairs": pair}, {"stars": str(stars)}, "the recipes are of 2 tasks"),
        ({"chinese": loaded, "numbers": number}, {"stars": str(stars)}, r"classify \(class\), classify \(number\)"),
        (
            {"chinese": loaded},
            {"known": str(trained / "train.csv")},
            "all 64 examples of known stand in training data, or their passages or ids do",
        ),
    ):
        with pytest.raises(UserError, match=found) as error:
            transfer(recipes, encoders, tests, Trainings(tmp_path / "out"), seeds=(1,))
        assert error.value.expected
        assert error.value.advice
    for settings, later, found in (
        (loaded, "nowhere", "nowhere"),
        (changed(loaded, {"train": {"length": 4096}}), encoders["small"], "train.length is 4096"),
    ):
        with pytest.raises(UserError, match=found):
            transfer(
                {"chinese": settings}, {**encoders, "later": later}, {"stars": str(stars)}, Trainings(tmp_path / "out")
            )
    assert not (tmp_path / "out" / "cells").exists()  # told before the first training
    with pytest.raises(UserError, match="an encoder is called 'none'"):
        transfer({"chinese": loaded}, {"none": "x"}, {"stars": str(stars)}, Trainings(tmp_path / "out"))
    with pytest.raises(UserError, match="a rate is given for 'other', but no such encoder"):
        transfer(
            {"chinese": loaded}, encoders, {"stars": str(stars)}, Trainings(tmp_path / "out"), rates={"other": 0.1}
        )
    answer = call("analyze", "transfer", recipe, recipe, "--encoder=a=b", "--test=a=b")
    assert "two recipes are called chinese" in answer.err
    answer = call("analyze", "transfer", recipe, "--encoder=nothing", "--test=a=b")
    assert answer.code == 1
    assert "NAME=PLACE" in answer.err
