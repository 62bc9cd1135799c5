"""A whole competition on generated reviews: what is written, going on after a stop, and leaks that are caught."""

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from markupsafe import escape

from bertwright.compete import cells, compete, linear
from bertwright.compete.linear import drift, probabilities
from bertwright.compete.preparation import adapted, look_at, read_entries
from bertwright.config import CompeteRecipe, ReadingSettings
from bertwright.config.competing import LINEAR
from bertwright.errors import UserError
from bertwright.finetune import Given, finetune
from bertwright.recipe import parse
from bertwright.report import write_report
from bertwright.run import read_json, read_log, write_json
from bertwright.tasks import Classify
from bertwright.tasks.task import Example
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
    members = {"one": {"train": {**TRAIN, "save_every": 2}}, "other": {"train": {**TRAIN, "save_every": 2}}}
    asked = recipe(trained, tmp_path / "run", members)
    with pytest.raises(KeyboardInterrupt):
        compete(asked, progress=stop_after(15))  # as if killed: nothing is saved now
    there = {path: path.read_bytes() for path in (tmp_path / "run" / "cells").iterdir()}
    assert sorted(path.name for path in there) == ["one-seed1-fold1.json", "one-seed1-fold2.json"]
    steps: list[int] = []
    result = compete(asked, progress=lambda record: steps.append(record["step"]))
    assert steps == [3, 4, 5, 6, 1, 2, 3, 4, 5, 6], "from the last checkpoint of the third model on"
    assert all(path.read_bytes() == content for path, content in there.items())
    whole = compete(recipe(trained, tmp_path / "whole", members))
    for key in ("leaderboard", "ensemble"):
        assert without_seconds(result[key]) == without_seconds(whole[key])


def without_seconds(value: Any) -> str:
    rows = [{**row, "seconds": 0} for row in value] if isinstance(value, list) else value
    return json.dumps(rows)


def test_a_cell_that_was_removed_is_measured_again(trained: Path, tmp_path: Path) -> None:
    """Its model's weights went when it was written."""
    compete(recipe(trained, tmp_path / "run"))
    path = next((tmp_path / "run" / "cells").glob("*one*"))
    before = path.read_text(encoding="utf-8")
    path.unlink()
    compete(recipe(trained, tmp_path / "run"))
    assert {**json.loads(path.read_text(encoding="utf-8")), "seconds": 0} == {**json.loads(before), "seconds": 0}


def test_a_leak_between_examples_of_one_group_is_caught(tmp_path: Path) -> None:
    task = Classify(ReadingSettings(), ["x", "y"])
    train = [
        Example(id=str(n), file="train.csv", line=n + 2, texts=(text,), label="xy"[n % 2], columns={})
        for n, text in enumerate("abcd")
    ]
    write_json(tmp_path / "cell.json", {"trained_on": [0, 2], "places": [1, 3]})
    with pytest.raises(UserError, match=r"trained on 1 of the 2 examples .* train\.csv:3"):
        cells._read(tmp_path / "cell.json", cells.Entries(task, train, [], [0, 0, 2, 3]))


def test_a_planted_leak_is_caught(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bug gives the model one of the examples it answers: what it was given is written down, and compared."""
    honest = cells.sides_of

    def leaking(entries: cells.Entries, inside: np.ndarray, seed: int) -> dict[str, np.ndarray]:
        sides = honest(entries, inside, seed)
        outside = np.setdiff1d(np.arange(len(entries.train)), inside)
        return {**sides, "train": np.append(sides["train"], outside[3])}

    monkeypatch.setattr(cells, "sides_of", leaking)
    with pytest.raises(UserError, match=r"one-seed1-fold1\.json: this model was trained on 1 of the 32 examples"):
        compete(recipe(trained, tmp_path / "run", {"one": {}}))


def test_another_recipe_in_the_same_folder(done: Path, trained: Path) -> None:
    with pytest.raises(UserError, match="a competition by another recipe is in this folder"):
        compete(recipe(trained, done / "run", folds={"seeds": [2]}))
    with pytest.raises(UserError, match="the member 'one' had other settings when the competition began"):
        compete(recipe(trained, done / "run", {"one": {"train": {**TRAIN, "steps": 7}}}))


def test_members_and_a_solution_may_come_later(trained: Path, tmp_path: Path) -> None:
    """What is there is not trained again; a member that is left out stays in the folder's recipe."""
    first = recipe(trained, tmp_path / "run", {"one": {}})
    first = first.model_copy(update={"data": first.data.model_copy(update={"solution": None})})
    assert "held_back" not in compete(first)["ensemble"]
    steps: list[int] = []
    result = compete(recipe(trained, tmp_path / "run", {"new": {}}), progress=lambda each: steps.append(each["step"]))
    assert len(steps) == 12
    assert {row["name"] for row in result["leaderboard"]} == {"new", LINEAR}
    assert "held_back" in result["ensemble"]
    compete(recipe(trained, tmp_path / "run", {"one": {}, "new": {}}), progress=lambda each: steps.append(each["step"]))
    assert len(steps) == 12


def test_a_recipe_with_a_mistake_can_be_mended(trained: Path, tmp_path: Path) -> None:
    """What is wrong is said before anything is trained, and the folder is still free."""
    mistakes: list[tuple[dict[str, Any], str]] = [
        ({"data": {"text_column": "txt"}}, "txt"),
        ({"members": {"one": {"start": {"checkpoint": str(tmp_path / "none")}, "train": TRAIN}}}, "none"),
        ({"data": {"group_column": "label"}}, "without fold 1 there is one group of examples"),
    ]
    for changes, message in mistakes:
        steps: list[Any] = []
        with pytest.raises(UserError, match=message):
            compete(recipe(trained, tmp_path / "run", **{"members": {"one": {}}, **changes}), progress=steps.append)
        assert steps == []
    with pytest.raises(UserError, match="dropout"):
        without = {"start": {"checkpoint": str(trained / "pretrained" / "best"), "dropout": 0.0}}
        compete(recipe(trained, tmp_path / "run", {"one": {**without, "tricks": {"r_drop": 1.0}}}))
    compete(recipe(trained, tmp_path / "run", {"one": {}}))


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


def test_pseudo_labels_are_those_of_the_folds_own_model(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They come from the test file alone: no validation example of the fold has a label in its second training.

    Not either where it stands in the test file, too.
    """
    train = {**TRAIN, "steps": 40, "evaluate_every": 40}  # its last checkpoint is its best
    lines = [(trained / f"{side}.csv").read_text(encoding="utf-8").splitlines() for side in ("test", "train")]
    copied = [f"copied-{n},{line.split(',', 1)[1]}" for n, line in enumerate(lines[1][1:])]
    (tmp_path / "test.csv").write_text("\n".join([*lines[0], *copied]) + "\n", encoding="utf-8")
    trained_with: list[list[str]] = []

    def watched(*arguments: Any, given: Given, **more: Any) -> Any:
        trained_with.append([example.id for example in given.sides["train"]])
        return finetune(*arguments, given=given, **more)

    monkeypatch.setattr(cells, "finetune", watched)
    members = {"one": {"train": train, "pseudo_labels": 0.6}}
    compete(recipe(trained, tmp_path / "run", members, data={"test": str(tmp_path / "test.csv")}))
    for fold in (1, 2):
        cell = read_json(tmp_path / "run" / "cells" / f"one-seed1-fold{fold}.json")
        first, second = trained_with[2 * fold - 2 : 2 * fold]
        assert second[: len(first)] == first
        assert all(identity.startswith("test-") for identity in second[len(first) :])
        assert not {f"train-{place}" for place in cell["places"]} & set(second)
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
    asked = recipe(trained, tmp_path / "run", {"one": {"adaptation_minutes": 0.02}})
    entries, _ = read_entries(asked)
    found = adapted("one", asked.members["one"], entries, tmp_path / "run", lambda _: None, None)
    lines = (tmp_path / "run" / "adapted" / "texts.txt").read_text(encoding="utf-8").splitlines()
    assert len(lines) == 96
    assert Path(found.start.checkpoint).parents[1] == tmp_path / "run" / "adapted"
    run = Path(found.start.checkpoint).parent
    first = read_log(run / "log.jsonl")[0]
    assert 0 < first["losses"]["masked_tokens"] < read_json(run / "results" / "pretrain.json")["uniform_loss"], (
        "it goes on from a checkpoint that knows these texts a little"
    )
    other = adapted("other", asked.members["one"], entries, tmp_path / "run", lambda _: None, None)
    assert other.start.checkpoint == found.start.checkpoint, "members that begin alike share it"


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
    page = write_report([tmp_path / "run"], tmp_path / "page.html").read_text(encoding="utf-8")
    assert [page.count(escape(notice)) for notice in result["notices"]] == [1] * len(result["notices"])
    assert "in common" in page, "doctor's section has its own"


def test_a_solution_of_other_texts(trained: Path, tmp_path: Path) -> None:
    """Under the ids of the test file: its scores would be those of other examples."""
    lines = (trained / "test.csv").read_text(encoding="utf-8").splitlines()
    ids, rest = zip(*(line.split(",", 1) for line in lines[1:]), strict=True)
    shifted = [f"{identity},{row}" for identity, row in zip(ids, (rest[-1], *rest[:-1]), strict=True)]
    solution = tmp_path / "solution.csv"
    solution.write_text("\n".join([lines[0], *shifted]) + "\n", encoding="utf-8")
    with pytest.raises(
        UserError, match=r"solution\.csv:2: the example 'test-0' has another text than in the test file"
    ):
        compete(recipe(trained, tmp_path / "run", data={"solution": str(solution)}))


def test_some_of_the_examples_for_a_first_look(trained: Path, tmp_path: Path) -> None:
    entries, _ = read_entries(recipe(trained, tmp_path / "run", data={"train_examples": 20}))
    assert len(entries.train) == len(entries.groups) == 20


@pytest.mark.parametrize("seeds", [[], [1, 1], [-1]])
def test_seeds_that_cannot_be(trained: Path, tmp_path: Path, seeds: list[int]) -> None:
    with pytest.raises(UserError, match="seed"):
        recipe(trained, tmp_path / "run", folds={"seeds": seeds})


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


def test_questions_on_one_passage_are_no_drift(trained: Path, tmp_path: Path) -> None:
    """Both files are of one kind; ten questions on a passage stand in one of them."""
    draw = np.random.default_rng(1)
    words = [f"word{number}" for number in range(50)]
    files = {}
    for side in ("train", "test"):
        paragraphs = []
        for number in range(120):
            context = " ".join(draw.choice(words, 12))
            answers = [{"text": context.split()[0], "answer_start": 0}]
            asked = [{"id": f"{side}-{number}-{n}", "question": f"{draw.choice(words)}?"} for n in range(10)]
            paragraphs.append({"context": context, "qas": [{**each, "answers": answers} for each in asked]})
        files[side] = tmp_path / f"{side}.json"
        files[side].write_text(json.dumps({"data": [{"paragraphs": paragraphs}]}), encoding="utf-8")
    asked = recipe(trained, tmp_path / "run", {"one": {}}).model_copy(update={"task": "qa"})
    data = asked.data.model_copy(update={side: str(file) for side, file in files.items()})
    asked = asked.model_copy(update={"data": data})
    entries, _ = read_entries(asked)
    assert look_at(asked, entries, tmp_path / "run") == []


def test_one_class_only_is_certain_to_a_linear_model() -> None:
    np.testing.assert_array_equal(probabilities(["aa", "bb"], ["b", "b"], ["a", "b"], ["cc"]), [[0.0, 1.0]])


def test_a_class_that_a_linear_model_has_not_seen_has_no_probability() -> None:
    found = probabilities(["aa aa", "bb bb"] * 5, ["a", "b"] * 5, ["a", "b", "c"], ["aa bb aa", "bb"])
    assert found.shape == (2, 3)
    np.testing.assert_allclose(found.sum(axis=1), 1)
    assert (found[:, 2] == 0).all()
    assert found[1, 1] > found[1, 0]


def test_a_linear_model_of_many_classes_knows_fewer_n_grams(monkeypatch: pytest.MonkeyPatch) -> None:
    """Or a thousand classes would fill the memory, after all encoders have been trained."""
    features: list[int] = []
    genuine = linear._vectorizer  # pyright: ignore[reportPrivateUsage]
    monkeypatch.setattr(linear, "_vectorizer", lambda most: features.append(most) or genuine(most))
    for count in (2, 100, 10_000):
        probabilities(["aa", "bb"], ["0", "1"], [str(number) for number in range(count)], ["aa"])
    assert features == [200_000, 2**22 // 100, 1000]


def test_a_length_beyond_a_member_s_positions_is_refused_before_training(trained: Path, tmp_path: Path) -> None:
    for members in (
        {"one": {}, "two": {"train": {**TRAIN, "length": 65}}},
        {"one": {}, "two": {"search": {"train.length": (16, 65)}}},
    ):
        with pytest.raises(UserError, match=r"train.length is 65\n  expected: at most 64"):
            compete(recipe(trained, tmp_path / "run", members))
        assert not (tmp_path / "run" / "cells").exists()


def test_a_search_chooses_the_better_rate_and_goes_on(trained: Path, tmp_path: Path) -> None:
    """Rates from useless to good; kept trials are not run again, and what a stopped one was trained by is recorded."""
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
    whole = compete(recipe(trained, tmp_path / "whole", {"one": search}))
    assert [read_json(tmp_path / "whole" / "search" / f"one-{n}.json") for n in range(1, 5)] == [
        read_json(tmp_path / "run" / "search" / f"one-{n}.json") for n in range(1, 5)
    ], "the stopped third trial went on with the settings that it had begun with"
    assert len({each["settings"]["optimizer.learning_rate"] for each in trials.values()}) == 4
    assert any("settings were chosen by trials" in notice for notice in whole["notices"])
    chosen = result["members"]["one"]["optimizer"]["learning_rate"]
    assert chosen in [each["settings"]["optimizer.learning_rate"] for each in trials.values() if each["value"] == best]


@pytest.mark.parametrize(
    ("search", "message"),
    [
        ({"optimizer.rate": [0.1, 0.2]}, "'optimizer.rate' is no setting of start, optimizer, tricks or train"),
        ({"train.epochs": [3, 2]}, "'train.epochs' goes from 3 to 2"),
        ({"train.seed": [1, 9]}, "the seed comes from folds.seeds"),
    ],
)
def test_a_search_that_cannot_be(trained: Path, tmp_path: Path, search: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        recipe(trained, tmp_path / "run", {"one": {"search": search}})
