"""Fine-tuning: it learns, resumes exactly, treats both starts alike, and writes what `transformers` reads."""

import csv
import json
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from safetensors.torch import load_file

from bertwright.batches import pack
from bertwright.checkpoint import load_checkpoint
from bertwright.config import ExamplesSettings, FinetuneRecipe, ReadingSettings
from bertwright.errors import Interrupted, UserError
from bertwright.evaluate import evaluate
from bertwright.finetune import Examples, finetune, parted, read_files
from bertwright.predict import Predictor, predict
from bertwright.recipe import parse
from bertwright.run import read_json, read_log
from bertwright.tasks import TASKS
from bertwright.tasks.task import Example, drawn
from helpers import SMALL_FINETUNING, SMALL_TRAINING, call, same_checkpoint, same_log, write_recipe


def recipe(trained: Path, run: Path, **sections: Any) -> FinetuneRecipe:
    """A recipe for five steps on the generated reviews."""
    values: dict[str, Any] = {
        "run": str(run),
        "task": "classify",
        "data": {side: str(trained / f"{side}.csv") for side in ("train", "development", "test")},
        "start": {"checkpoint": str(trained / "pretrained" / "best"), "pooling": "mean"},
        "optimizer": {"learning_rate": 1e-2},
        "train": {**SMALL_TRAINING, "steps": 5},
    }
    for name, section in sections.items():
        values[name] = {**values.get(name, {}), **section}
    return parse(FinetuneRecipe, values)


def texts(file: Path) -> list[str]:
    with file.open(encoding="utf-8", newline="") as stream:
        return [row["text"] for row in csv.DictReader(stream)]


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "model.safetensors")


# ---------------------------------------------------------------------------------------------- learning


def test_it_learns(trained: Path) -> None:
    """Half of the reviews are positive: chance is .5, and 23 of 32 right by chance happens once in a hundred times."""
    result = read_json(trained / "finetuned" / "results" / "finetune.json")
    assert result["development"]["metrics"]["accuracy"] > 0.85
    assert result["test"]["metrics"]["accuracy"] > 0.85
    losses = [record["loss"] for record in read_log(trained / "finetuned" / "log.jsonl")]
    assert losses[0] == pytest.approx(np.log(2), abs=0.1)
    assert np.mean(losses[-4:]) < 0.3


def test_results_have_the_keys_that_the_report_reads(trained: Path) -> None:
    result = read_json(trained / "finetuned" / "results" / "finetune.json")
    counts = ("examples", "num_windowed", "num_ignored", "overlaps", "overlaps_dropped", "notices")
    keys = ("labels", "metric", "best_step", "steps", "seconds", "development", "test")
    assert set(result) == {"kind", "start", *counts, *keys}
    assert result["kind"] == "classify"
    assert set(result["start"]) == {"checkpoint", "weights", "fresh"}
    assert result["start"]["fresh"] == ["classifier.weight", "classifier.bias"]
    assert result["labels"] == ["negative", "positive"]
    assert result["steps"] == 32
    assert result["examples"] == {"train": 64, "development": 32, "test": 32}
    for side in ("development", "test"):
        scores = result[side]
        assert set(scores) == {"file", "examples", "metrics", "confusion", "most_wrong"}
        assert set(scores["metrics"]) == {"accuracy", "macro_f1", "f1", "matthews", "log_loss", "roc_auc"}
        assert np.sum(scores["confusion"]) == scores["examples"] == 32
        assert np.trace(scores["confusion"]) == round(32 * scores["metrics"]["accuracy"])


def test_most_wrong_and_confusion(trained: Path, tmp_path: Path) -> None:
    """Rows of the table are the truth; the mistakes come with the smallest probability of the truth first."""
    result = finetune(recipe(trained, tmp_path / "run", train={"steps": 1}))
    with (trained / "test.csv").open(encoding="utf-8", newline="") as stream:
        truth = {row["id"]: row["label"] for row in csv.DictReader(stream)}
    predict(tmp_path / "run", str(trained / "test.csv"), str(tmp_path / "answers.jsonl"))
    lines = (tmp_path / "answers.jsonl").read_text(encoding="utf-8").splitlines()
    predicted = {answer["id"]: answer["label"] for answer in map(json.loads, lines)}
    pairs = [(truth[number], predicted[number]) for number in truth]
    labels = result["labels"]
    assert result["test"]["confusion"] == [[pairs.count((row, column)) for column in labels] for row in labels]
    mistakes = result["test"]["most_wrong"]
    assert {mistake["id"] for mistake in mistakes} == {n for n in truth if truth[n] != predicted[n]} != set()
    assert all((truth[m["id"]], predicted[m["id"]]) == (m["label"], m["predicted"]) for m in mistakes)
    shares = [mistake["probability"] for mistake in mistakes]
    assert shares == sorted(shares)
    assert max(shares) <= 0.5


def test_the_best_checkpoint_is_the_one_with_the_best_development_score(trained: Path) -> None:
    run = trained / "finetuned"
    scores = {r["step"]: r["evaluation"]["accuracy"] for r in read_log(run / "log.jsonl") if "evaluation" in r}
    result = read_json(run / "results" / "finetune.json")
    assert list(scores) == [4, 8, 12, 16, 20, 24, 28, 32], "once an epoch"
    assert result["best_step"] == min(step for step in scores if scores[step] == max(scores.values()))
    assert result["development"]["metrics"]["accuracy"] == max(scores.values())
    assert scores[4] < max(scores.values()), "the first one would not do"
    assert result["best_step"] < 32, "and neither would the last one"
    last = weights(run / "checkpoints" / "step-00000032")
    assert any(not torch.equal(weight, last[name]) for name, weight in weights(run / "best").items())


def test_scores_are_those_of_the_best_weights(trained: Path, tmp_path: Path) -> None:
    """Not of the last ones. Some labels are wrong, so that there are mistakes with their probabilities to compare."""
    lines = (trained / "test.csv").read_text(encoding="utf-8").splitlines()
    wrong = tmp_path / "wrong.csv"
    others = {"positive": "negative", "negative": "positive"}
    flipped = [f"{text},{others[label]}" for text, label in (line.rsplit(",", 1) for line in lines[1:9])]
    wrong.write_text("\n".join([lines[0], *flipped, *lines[9:]]) + "\n", encoding="utf-8")
    train = {"steps": 40, "batch_size": 16, "evaluate_every": 4}
    result = finetune(recipe(trained, tmp_path / "run", data={"test": str(wrong)}, train=train))
    assert result["best_step"] < 40
    assert len(result["test"]["most_wrong"]) >= 7
    scores = evaluate(tmp_path / "run" / "best", wrong)
    assert scores["metrics"] == pytest.approx(result["test"]["metrics"], rel=1e-5)
    assert {key: scores[key] for key in result["test"] if key != "metrics"} == {
        key: value for key, value in result["test"].items() if key != "metrics"
    }
    last = evaluate(tmp_path / "run" / "checkpoints" / "step-00000040", wrong)
    assert last["most_wrong"] != result["test"]["most_wrong"]


def test_nothing_is_dropped_in_an_evaluation(trained: Path, tmp_path: Path) -> None:
    """However much is dropped in training, each evaluation is that of the checkpoint as it is used."""
    train = {"steps": 6, "save_every": 1, "evaluate_every": 1, "keep": 6}
    finetune(recipe(trained, tmp_path / "run", start={"dropout": 0.7}, train=train))
    for record in read_log(tmp_path / "run" / "log.jsonl"):
        folder = tmp_path / "run" / "checkpoints" / f"step-{record['step']:08d}"
        found = evaluate(folder, trained / "development.csv")["metrics"]
        assert found == pytest.approx(record["evaluation"], rel=1e-5), record["step"]


def test_without_a_test_file(trained: Path, tmp_path: Path) -> None:
    values = recipe(trained, tmp_path / "run", train={"steps": 1})
    result = finetune(values.model_copy(update={"data": values.data.model_copy(update={"test": None})}))
    assert "development" in result
    assert "test" not in result


# ---------------------------------------------------------------------------------------------- resuming


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_stopped_and_resumed_equals_undisturbed(trained: Path, tmp_path: Path, dtype: str) -> None:
    """With dropout: its random numbers go on, too."""
    sections = {
        "optimizer": {"name": "muon"},
        "start": {"pooling": "cls", "dropout": 0.2},
        "train": {"steps": 6, "dtype": dtype, "evaluate_every": 2, "batch_size": 24},  # two batches in an epoch
    }
    whole = finetune(recipe(trained, tmp_path / "whole", **sections))

    def stop_after_two(record: dict[str, Any]) -> None:
        if record["step"] == 2:
            signal.raise_signal(signal.SIGTERM)  # noticed after the third step

    with pytest.raises(Interrupted, match="after step 3"):
        finetune(recipe(trained, tmp_path / "parts", **sections), progress=stop_after_two)
    assert len(read_log(tmp_path / "parts" / "log.jsonl")) == 3
    parts = finetune(recipe(trained, tmp_path / "parts"), resume=True)
    same_log(tmp_path / "whole", tmp_path / "parts")
    last = "checkpoints/step-00000006"
    same_checkpoint(tmp_path / "whole" / last, tmp_path / "parts" / last)
    assert weights(tmp_path / "whole" / "best").keys() == weights(tmp_path / "parts" / "best").keys()
    assert {**whole, "seconds": 0} == {**parts, "seconds": 0}


# ---------------------------------------------------------------------------------------------- sides


def test_questions_on_one_passage_are_on_one_side() -> None:
    task = TASKS["qa"](ReadingSettings())
    asked = [
        Example(id=f"{p}-{n}", file="", line=1, texts=(f"q{n}", f"passage {p}"), label=(("p", 0),), columns={})
        for p in range(100)
        for n in range(4)
    ]
    sides, _ = parted(task, ExamplesSettings(train="x", development_share=0.3), {"train": asked})
    passages = [{each.texts[1] for each in sides[side]} for side in ("train", "development")]
    assert not passages[0] & passages[1]
    assert len(passages[1]) > 10


def test_what_chooses_the_checkpoint_is_no_test() -> None:
    task = TASKS["pair"](ReadingSettings())

    def examples(*pairs: str) -> list[Example]:
        return [Example(id=each, file="", line=1, texts=tuple(each), label="x", columns={}) for each in pairs]

    given = {"train": examples("ab", "cd"), "development": examples("ef", "gh"), "test": examples("fe", "ij", "dc")}
    sides, overlaps = parted(task, ExamplesSettings(train="x"), given)
    assert overlaps == {"development": 0, "test": 2}, "either way round"
    assert [each.id for each in sides["test"]] == ["ij"]


def test_a_class_that_is_held_out_whole_is_known(trained: Path, tmp_path: Path) -> None:
    """Of rare classes a share of the training examples may hold all, and train_examples may leave all out."""
    lines = (trained / "train.csv").read_text(encoding="utf-8").splitlines()
    rare = [f"rare-{number},少见的第 {number} 类,rare{number}" for number in range(12)]
    assert lines[0] == "id,text,label"
    (tmp_path / "rare.csv").write_text("\n".join([*lines, *rare]) + "\n", encoding="utf-8")
    data = {"train": str(tmp_path / "rare.csv"), "train_examples": 30, "development_share": 0.5}
    asked = recipe(trained, tmp_path / "run")
    values = {**asked.model_dump(exclude_none=True), "data": data}
    found = Examples(parse(FinetuneRecipe, values))
    held_out = {each.label for each in found.examples["development"]} - {each.label for each in found.examples["train"]}
    assert held_out, "otherwise this test says nothing"
    assert len(found.task.labels) == 14


def test_an_epoch_has_every_window_once(trained: Path, tmp_path: Path) -> None:
    """63 windows in batches of at most 32: two of about one size, nothing left over."""
    asked = recipe(trained, tmp_path / "run", data={"train_examples": 63}, train={"batch_size": 32})
    examples = Examples(asked)
    examples.encode(load_checkpoint(trained / "pretrained" / "best"))
    count = len(examples.windows["train"])
    assert count >= 63
    for epoch in range(2):
        numbers = [epoch * examples.batches_per_epoch + batch for batch in range(examples.batches_per_epoch)]
        sizes = [len(examples.rows(number).sequence_labels) for number in numbers]
        assert sum(sizes) == count
        assert max(sizes) <= 32
        assert max(sizes) - min(sizes) <= 1


# ---------------------------------------------------------------------------------------------- tricks

ALL_TRICKS: dict[str, Any] = {
    "adversarial": "fgm",
    "adversarial_radius": 0.1,
    "r_drop": 1.0,
    "average_decay": 0.8,
    "layer_decay": 0.9,
    "label_smoothing": 0.1,
    "focal": 1.0,
    "class_weights": "balanced",
    "dropout_samples": 3,
}


@pytest.mark.parametrize("adversarial", ["fgm", "pgd"])
def test_tricks_together_stop_and_go_on_exactly(trained: Path, tmp_path: Path, adversarial: str) -> None:
    tricks = {**ALL_TRICKS, "adversarial": adversarial}
    sections = {"start": {"dropout": 0.2}, "train": {"steps": 4, "evaluate_every": 2}, "tricks": tricks}
    whole = finetune(recipe(trained, tmp_path / "whole", **sections))

    def stop_after_one(record: dict[str, Any]) -> None:
        if record["step"] == 1:
            signal.raise_signal(signal.SIGTERM)  # noticed after the second step

    with pytest.raises(Interrupted, match="after step 2"):
        finetune(recipe(trained, tmp_path / "parts", **sections), progress=stop_after_one)
    parts = finetune(recipe(trained, tmp_path / "parts"), resume=True)
    same_log(tmp_path / "whole", tmp_path / "parts")
    assert {**whole, "seconds": 0} == {**parts, "seconds": 0}
    same_checkpoint(*(tmp_path / name / "checkpoints" / "step-00000004" for name in ("whole", "parts")))
    best, other = (weights(tmp_path / name / "best") for name in ("whole", "parts"))
    assert all(torch.equal(weight, other[name]) for name, weight in best.items())


@pytest.mark.parametrize("adversarial", ["fgm", "pgd"])
def test_adversarial_passes_do_not_depend_on_parts(trained: Path, tmp_path: Path, adversarial: str) -> None:
    tricks = {"adversarial": adversarial, "adversarial_radius": 0.1}
    logs = []
    for parts in (1, 2):
        sections = {"start": {"dropout": 0.0}, "train": {"accumulation": parts}, "tricks": tricks}
        finetune(recipe(trained, tmp_path / str(parts), **sections))
        logs.append(read_log(tmp_path / str(parts) / "log.jsonl"))
    for key in ("loss", "adversarial_loss", "gradient_norm"):
        assert [record[key] for record in logs[0]] == pytest.approx([record[key] for record in logs[1]], rel=1e-4), key
    assert all(record["adversarial_loss"] > record["loss"] for record in logs[0])


def test_the_best_checkpoint_is_the_average(trained: Path, tmp_path: Path) -> None:
    """Of the weights after each step, by its formula."""
    sections = {"train": {"steps": 3, "evaluate_every": 3, "save_at": [1, 2, 3]}, "tricks": {"average_decay": 0.5}}
    finetune(recipe(trained, tmp_path / "run", **sections))
    steps = [weights(tmp_path / "run" / "checkpoints" / f"step-{step:08d}") for step in (1, 2, 3)]
    for name, weight in weights(tmp_path / "run" / "best").items():
        expected = (steps[0][name] + 2 * steps[1][name] + 4 * steps[2][name]) / 7
        torch.testing.assert_close(weight, expected, msg=name)


@pytest.mark.parametrize(
    ("tricks", "step"), [({"label_smoothing": 0.3}, 1), ({"focal": 2.0}, 0), ({"layer_decay": 0.5}, 1)]
)
def test_a_trick_reaches_training(trained: Path, tmp_path: Path, tricks: dict[str, float], step: int) -> None:
    logs = []
    for name, chosen in (("plain", {}), ("tricked", tricks)):
        finetune(recipe(trained, tmp_path / name, start={"dropout": 0.0}, tricks=chosen))
        logs.append([record["loss"] for record in read_log(tmp_path / name / "log.jsonl")])
    assert abs(logs[0][step] - logs[1][step]) > 1e-4
    if "focal" in tricks:  # (1 - p)² of the loss, where p is a half
        assert logs[1][0] == pytest.approx(0.25 * np.log(2), abs=0.05)


def test_the_lower_metric_may_be_the_better(trained: Path, tmp_path: Path) -> None:
    sections = {"data": {"metric": "log_loss"}, "train": {"evaluate_every": 1, "steps": 8}}
    result = finetune(recipe(trained, tmp_path / "run", **sections, optimizer={"learning_rate": 0.1}))
    told = {r["step"]: r["evaluation"]["log_loss"] for r in read_log(tmp_path / "run" / "log.jsonl")}
    assert result["best_step"] == min(told, key=lambda each: told[each])
    assert len(set(told.values())) > 1


def test_two_passes_disagree_by_their_dropout_alone(trained: Path, tmp_path: Path) -> None:
    finetune(recipe(trained, tmp_path / "run", start={"dropout": 0.2}, tricks={"r_drop": 2.0}))
    record = read_log(tmp_path / "run" / "log.jsonl")[0]
    assert record["losses"]["disagreement"] > 0
    assert record["losses"]["classes"] == pytest.approx(np.log(2), abs=0.1), "the mean of both passes"
    assert record["loss"] == pytest.approx(record["losses"]["classes"] + 2 * record["losses"]["disagreement"])


def test_several_dropouts_are_averaged_in_training_only(trained: Path, tmp_path: Path) -> None:
    finetune(recipe(trained, tmp_path / "run", start={"dropout": 0.2}, tricks={"dropout_samples": 4}))
    first = read_log(tmp_path / "run" / "log.jsonl")[0]
    assert first["losses"]["classes"] == pytest.approx(np.log(2), abs=0.1), "the mean of four, not their sum"
    (answer,) = Predictor.load(tmp_path / "run").predict(["房间很好"])
    assert answer["label"] in ("negative", "positive")


def test_rare_classes_count_more(trained: Path, tmp_path: Path) -> None:
    """At the first step the classes are equally likely, so the mean loss is ln 2 times the mean weight of the batch."""
    lines = (trained / "train.csv").read_text(encoding="utf-8").splitlines()
    positive = [line for line in lines[1:] if line.endswith("positive")]
    few = [line for line in lines[1:] if line.endswith("negative")][:8]
    uneven = tmp_path / "uneven.csv"
    uneven.write_text("\n".join([lines[0], *positive, *few]) + "\n", encoding="utf-8")
    sections = {"data": {"train": str(uneven)}, "train": {"batch_size": len(positive) + 8, "steps": 1}}
    tricks = {"class_weights": "balanced"}
    finetune(recipe(trained, tmp_path / "weighed", **sections, start={"dropout": 0.0}, tricks=tricks))
    finetune(recipe(trained, tmp_path / "plain", **sections, start={"dropout": 0.0}))
    weighed, plain = (read_log(tmp_path / name / "log.jsonl")[0] for name in ("weighed", "plain"))
    assert weighed["loss"] == pytest.approx(np.log(2), abs=0.05)
    assert plain["loss"] == pytest.approx(np.log(2), abs=0.05)
    assert weighed["gradient_norm"] < plain["gradient_norm"], "the classes pull evenly"


def test_tricks_for_classes_need_classes(trained: Path, tmp_path: Path) -> None:
    lines = (trained / "train.csv").read_text(encoding="utf-8").splitlines()
    numbers = tmp_path / "numbers.csv"
    rows = [line.rsplit(",", 1)[0] + f",{number}" for number, line in enumerate(lines[1:])]
    numbers.write_text("\n".join([lines[0], *rows]) + "\n", encoding="utf-8")
    files = dict.fromkeys(("train", "development", "test"), str(numbers))
    data = {**files, "label_kind": "number", "drop_overlaps": False}
    with pytest.raises(UserError, match=r"tricks\.focal is set, but what is asked here is no class"):
        finetune(recipe(trained, tmp_path / "run", data=data, tricks={"focal": 2.0}))


def test_tricks_of_dropout_need_dropout(trained: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"need dropout: start\.dropout above 0"):
        recipe(trained, tmp_path / "run", start={"dropout": 0.0}, tricks={"r_drop": 1.0})


# ---------------------------------------------------------------------------------------------- both starts


def test_both_starts_see_the_same_examples(trained: Path, tmp_path: Path) -> None:
    for start in ("pretrained", "random"):
        finetune(recipe(trained, tmp_path / start, start={"weights": start}, train={"steps": 3}))
    one, other = (read_log(tmp_path / start / "log.jsonl") for start in ("pretrained", "random"))
    for key in ("step", "epoch", "sample_ids", "tokens", "learning_rate"):
        assert [record[key] for record in one] == [record[key] for record in other], key
    assert len({record["sample_ids"] for record in one}) == 3
    assert [record["loss"] for record in one] != [record["loss"] for record in other]


def test_what_the_weights_begin_as(trained: Path, tmp_path: Path) -> None:
    """After one step that moves nothing, they are the checkpoint's, or drawn anew in the same shape."""
    sections = {"optimizer": {"learning_rate": 1e-12, "weight_decay": 0}, "train": {"steps": 1}}
    begun = {}
    for start in ("pretrained", "random"):
        result = finetune(recipe(trained, tmp_path / start, start={"weights": start}, **sections))
        begun[start] = weights(tmp_path / start / "best")
        fresh = result["start"]["fresh"]
        assert len(fresh) == (2 if start == "pretrained" else len(begun[start]))
    checkpoint = weights(trained / "pretrained" / "best")
    encoder = [name for name in checkpoint if name.startswith("bert.")]
    assert len(encoder) > 15
    for name in encoder:
        torch.testing.assert_close(begun["pretrained"][name], checkpoint[name], atol=1e-6, rtol=0)
        assert begun["random"][name].shape == checkpoint[name].shape
        if not name.endswith("key.bias"):  # it adds the same to all scores of a row: nothing ever moves it from 0
            assert not torch.allclose(begun["random"][name], checkpoint[name], atol=1e-4), name
    table = begun["random"]["bert.embeddings.word_embeddings.weight"]
    assert table.std().item() == pytest.approx(0.02, rel=0.05)


# ---------------------------------------------------------------------------------------------- checks


def test_labels_are_checked_before_anything_is_loaded(trained: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.csv"
    other.write_text("text,label\n好,positive\n一般,neutral\n", encoding="utf-8")
    settings = recipe(trained, tmp_path / "run", data={"test": str(other)}, start={"checkpoint": "nowhere"})
    with pytest.raises(UserError, match=r"other\.csv:3: the label 'neutral' was not in the training data"):
        finetune(settings)


def test_overlaps_and_long_texts_are_told(trained: Path, tmp_path: Path) -> None:
    known = texts(trained / "train.csv")[:3]
    other = tmp_path / "other.csv"
    lines = [f"{text},positive" for text in [*known, "从未见过", "早餐很好" * 20]]
    other.write_text("text,label\n" + "\n".join(lines), encoding="utf-8")
    settings = {**SMALL_FINETUNING, "train": {**SMALL_TRAINING, "steps": 1, "length": 64}}
    path = write_recipe(tmp_path, base=trained, **settings)
    answer = call("finetune", path, f"data.development={other}", "--json")
    assert answer.code == 0, answer.err
    result = json.loads(answer.out)
    assert result["overlaps"] == {"development": 3, "test": 0}
    assert result["num_windowed"] == {"train": 0, "development": 1, "test": 0}
    assert result["examples"]["development"] == 2
    assert "development: 3 examples stand in the training data too, and were left out" in answer.err
    assert "development: 1 examples are longer than the model reads at once" in answer.err
    assert "test: 3 examples" not in answer.err
    kept = call(
        "finetune", path, f"run={tmp_path}/kept", f"data.development={other}", "data.drop_overlaps=false", "--json"
    )
    assert json.loads(kept.out)["examples"]["development"] == 5
    assert "which flatters the score" in kept.err


def test_a_part_of_the_training_examples(trained: Path) -> None:
    """So many of them, in their order, the same ones whatever else is in the file; the other sides stay."""
    task = TASKS["classify"](ReadingSettings())
    settings = ExamplesSettings(train=str(trained / "train.csv"), development=str(trained / "development.csv"))
    whole, _ = parted(task, settings, read_files(task, settings))
    some, _ = parted(task, settings.model_copy(update={"train_examples": 20}), read_files(task, settings))
    assert some["development"] == whole["development"]
    assert len(some["train"]) == 20
    assert some["train"] == [example for example in whole["train"] if example in some["train"]]
    assert some["train"] != whole["train"][:20]
    part = whole["train"][:40]
    again = drawn(part, task.key, 20)
    assert all(example in again for example in some["train"] if example in part)


def test_a_length_beyond_the_positions(trained: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"train.length is 65\n  expected: at most 64"):
        finetune(recipe(trained, tmp_path / "run", train={"length": 65}))


def test_a_fresh_pooler_is_told(trained: Path, tmp_path: Path) -> None:
    settings = {**SMALL_FINETUNING, "train": {**SMALL_TRAINING, "steps": 1}}
    path = write_recipe(tmp_path, base=trained, **settings)
    told = "the pooler was drawn anew"
    assert told not in call("finetune", path).err
    assert told in call("finetune", path, f"run={tmp_path}/first", "start.pooling=cls").err


# ---------------------------------------------------------------------------------------------- transformers


@pytest.fixture
def by_first_token(trained: Path, tmp_path: Path) -> Path:
    """A classifier on the first token's vector, trained on from the one of `trained` so that its logits differ."""
    start = {"checkpoint": str(trained / "finetuned" / "best"), "pooling": "cls"}
    finetune(recipe(trained, tmp_path / "run", start=start))
    return tmp_path / "run" / "best"


def our_logits(predictor: Predictor, text: str) -> torch.Tensor:
    """Logits [C] of a text that is computed alone."""
    ids = predictor.checkpoint.tokenizer.encode(text)
    batch = pack([(ids,)], predictor.special, length=len(ids) + 2).batch()
    with torch.inference_mode():
        return predictor.model(*batch.asked)[0]


def test_transformers_reads_the_classifier(trained: Path, by_first_token: Path) -> None:
    reviews = [*texts(trained / "test.csv"), "", "a new word", "早餐"]
    tokenizer = transformers.AutoTokenizer.from_pretrained(by_first_token)
    model, info = transformers.AutoModelForSequenceClassification.from_pretrained(
        by_first_token, output_loading_info=True
    )
    assert not any(info[kind] for kind in ("missing_keys", "unexpected_keys", "mismatched_keys")), info
    assert model.config.id2label == {0: "negative", 1: "positive"}
    with torch.inference_mode():
        logits = model.eval()(**tokenizer(reviews, return_tensors="pt", padding=True)).logits
    assert logits[:, 0].std() > 0.1, "equal logits would prove nothing"
    predictor = Predictor.load(by_first_token)
    ours = torch.stack([our_logits(predictor, text) for text in reviews])
    torch.testing.assert_close(ours, logits, atol=1e-4, rtol=0)
    shares = np.stack(predictor.answers([predictor.task.example(text) for text in reviews]))
    np.testing.assert_allclose(shares, logits.softmax(dim=-1).numpy(), atol=1e-4)


def test_transformers_reads_the_encoder_below_a_mean(trained: Path) -> None:
    """No class of `transformers` has this head; the encoder is read, and mean and head are three lines."""
    folder = trained / "finetuned" / "best"
    assert read_json(folder / "config.json")["architectures"] == ["BertModel"]
    model, info = transformers.AutoModel.from_pretrained(folder, add_pooling_layer=False, output_loading_info=True)
    assert not info["missing_keys"]
    assert set(info["unexpected_keys"]) == {"classifier.weight", "classifier.bias"}
    reviews = texts(trained / "test.csv")
    inputs = transformers.AutoTokenizer.from_pretrained(folder)(reviews, return_tensors="pt", padding=True)
    with torch.inference_mode():
        hidden = model.eval()(**inputs).last_hidden_state
    real = inputs["attention_mask"][:, :, None]
    mean = (hidden * real).sum(dim=1) / real.sum(dim=1)
    head = weights(folder)
    logits = mean @ head["classifier.weight"].T + head["classifier.bias"]
    assert logits[:, 0].std() > 0.1
    predictor = Predictor.load(folder)
    ours = torch.stack([our_logits(predictor, text) for text in reviews])
    torch.testing.assert_close(ours, logits, atol=1e-4, rtol=0)
