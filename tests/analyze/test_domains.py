"""Domains: symbols renamed one to one, starts that differ in what is drawn, a linear model that can win; resumable."""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tomli_w

from bertwright.analyze import intervals, trainings
from bertwright.analyze.domains import DataSet, against, reached, renaming, with_unused
from bertwright.analyze.linear_sequences import linear_answers
from bertwright.checkpoint import load_checkpoint
from bertwright.config import FinetuneRecipe
from bertwright.errors import UserError
from bertwright.finetune import Given, finetune
from bertwright.metrics import regression_metrics
from bertwright.recipe import load_recipe
from bertwright.report import write_report
from bertwright.tasks.task import Example
from bertwright.tokenizer import Tokenizer
from helpers import SMALL_TRAINING, call

TABLE = "encoder.token_embedding.weight"
MODULE = import_module("bertwright.analyze.domains")


@pytest.fixture
def english(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The tiny encoder; its vocabulary has single characters only, which count as words here."""
    del tmp_path
    monkeypatch.setattr(MODULE, "SHORTEST", 1)
    return trained / "pretrained" / "best"


@pytest.fixture
def recipe(english: Path, tmp_path: Path) -> Path:
    """Sequences of eight bases; the class is whether the first one is A or C."""
    generator = np.random.default_rng(1)
    seen: set[str] = set()
    while len(seen) < 90:
        seen.add("".join(generator.choice(list("ACGT"), 8)))
    rows = [(text, "yes" if text[0] in "AC" else "no") for text in sorted(seen)]
    order = generator.permutation(90)
    for side, numbers in (("train", order[:50]), ("development", order[50:70]), ("test", order[70:])):
        lines = [f"{rows[number][0]},{rows[number][1]}" for number in numbers]
        (tmp_path / f"{side}.csv").write_text("text,label\n" + "\n".join(lines) + "\n", encoding="utf-8")
    path = tmp_path / "bases.toml"
    values = {
        "run": str(tmp_path / "unused"),
        "task": "classify",
        "data": {side: str(tmp_path / f"{side}.csv") for side in ("train", "development", "test")},
        "start": {"checkpoint": str(english), "pooling": "mean"},
        "optimizer": {"learning_rate": 1e-2},
        "train": {**SMALL_TRAINING, "epochs": 2},
    }
    path.write_text(tomli_w.dumps(values), encoding="utf-8")
    return path


# ---------------------------------------------------------------------------------------------- renaming


def data_set(sides: Mapping[str, Sequence[tuple[Any, ...]]], labels: list[str], spaced: bool = False) -> DataSet:
    """Sequences with their labels; a third entry is the group of a test example."""
    examples = {
        side: [
            Example(
                id=str(n), file="", line=n, texts=(row[0],), label=row[1], columns={"group": row[2]} if row[2:] else {}
            )
            for n, row in enumerate(rows)
        ]
        for side, rows in sides.items()
    }
    return DataSet("set", FinetuneRecipe.model_construct(), examples, examples.get("train", []), {}, labels, spaced)


def test_symbols() -> None:
    """Decided for a whole set: a sequence of one symbol has no space. Soft-masked letters are the same letters."""
    letters, music = data_set({"test": [("acGT", "x")]}, ["x"]), data_set({"test": [("C4", "x")]}, ["x"], spaced=True)
    assert letters.symbols(letters.sides["test"][0]) == ["A", "C", "G", "T"]
    assert music.symbols(music.sides["test"][0]) == ["C4"]


def test_every_symbol_has_a_word_of_its_own(english: Path) -> None:
    tokenizer = load_checkpoint(english, weights=False).tokenizer
    table = renaming(["A", "C", "G", "T"], tokenizer, 1)
    assert len(set(table.values())) == 4
    assert all(len(tokenizer.encode(word)) == 1 for word in table.values())
    assert tokenizer.unk_id not in tokenizer.encode("".join(table.values()))
    assert renaming(["A", "C", "G", "T"], tokenizer, 1) == table
    assert renaming(["A", "C", "G", "T"], tokenizer, 2) != table
    with pytest.raises(UserError, match="there are 5000 symbols"):
        renaming([str(number) for number in range(5000)], tokenizer, 1)


@pytest.mark.data
def test_words_of_a_real_vocabulary(checkpoints: Path, data: Path) -> None:
    del data
    tokenizer = Tokenizer.load(checkpoints / "english-minilm")
    table = renaming(list("ACGT"), tokenizer, 1)
    assert all(word.isalpha() and len(word) > 1 for word in table.values())
    assert len(tokenizer.encode(" ".join(table.values()))) == 4


# ---------------------------------------------------------------------------------------------- what is compared


def test_reembedded_keeps_all_but_the_table(recipe: Path, english: Path, tmp_path: Path) -> None:
    overrides = ["start.weights=reembedded", f"run={tmp_path / 'run'}", "optimizer.learning_rate=1e-9"]
    result = finetune(load_recipe(FinetuneRecipe, recipe, overrides))
    assert TABLE in result["start"]["fresh"]
    before, after = load_checkpoint(english).weights, load_checkpoint(tmp_path / "run" / "best").weights
    name = "encoder.layers.0.attention.query.weight"
    np.testing.assert_allclose(after[name], before[name], atol=1e-5)
    drawn = after[TABLE][:5] - before[TABLE][:5]
    assert 0.7 < after[TABLE][:5].std() / before[TABLE].std() < 1.4  # as large as what it replaces
    assert drawn.abs().mean() > before[TABLE].std() / 2
    used = (after[TABLE] - before[TABLE]).abs().amax(dim=1) > 1e-3
    assert used.nonzero().flatten().tolist() == [0, 1, 2, 3, 4]  # the bases are unknown here: only special tokens occur


def test_unused_tokens_stand_in_for_words(recipe: Path, english: Path, tmp_path: Path, monkeypatch: Any) -> None:
    """The encoder is the same but for the vectors of the words that are used; without such tokens it says so."""
    loaded = load_recipe(FinetuneRecipe, recipe)
    with pytest.raises(UserError, match="the vocabulary has 0 \\[unused\\] tokens for 4 symbols"):
        MODULE.domains({"bases": loaded}, trainings.Trainings(tmp_path / "none"), {"bases": [1]}, more=["unused"])
    start = load_checkpoint(english)
    named = dict(zip(range(20, 24), ("[unused0]", "[unused1]", "[unused2]", "[unused3]"), strict=True))
    tokens = Tokenizer.tokens
    monkeypatch.setattr(
        Tokenizer,
        "tokens",
        lambda self, ids: [named.get(int(n), t) for n, t in zip(ids, tokens(self, ids), strict=True)],
    )
    table = renaming(list("ACGT"), start.tokenizer, 1)
    changed = load_checkpoint(with_unused(start, list(table.values()), tmp_path, 1))
    words = [int(start.tokenizer.encode(word)[0]) for word in table.values()]
    rows = {tuple(changed.weights[TABLE][word].tolist()) for word in words}
    assert rows == {tuple(start.weights[TABLE][number].tolist()) for number in named}
    for name, weight in changed.weights.items():
        same = (weight == start.weights[name]).reshape(len(weight), -1).all(dim=1)
        assert (~same).nonzero().flatten().tolist() == (sorted(words) if name == TABLE else [])


def right(answers: np.ndarray, truth: np.ndarray) -> float:
    return float(np.mean(answers == truth))


def test_a_linear_model_sees_places_and_runs() -> None:
    generator = np.random.default_rng(0)
    sequences = [list(generator.choice(list("ACGT"), 12)) for _ in range(400)]

    def score(given: list[list[str]], labels: list[float], number: bool = False) -> float:
        truth, parts = np.array(labels), {"train": slice(240), "development": slice(240, 300), "test": slice(300, None)}
        sides = {side: given[part] for side, part in parts.items()}
        known = {side: truth[parts[side]] for side in ("train", "development")}
        found = linear_answers(sides, known, right if not number else rank, number=number)
        return (rank if number else right)(found, truth[300:])

    def rank(answers: np.ndarray, truth: np.ndarray) -> float:
        return regression_metrics(truth, answers)["spearman"]

    assert score(sequences, [each[5] == "G" for each in sequences]) > 0.95
    longer = [[*each, "A"] if number % 2 else each for number, each in enumerate(sequences)]
    assert score(longer, ["GT" in "".join(each) for each in longer]) > 0.9
    assert score(longer, [each[5] == "G" for each in longer]) > 0.95
    assert score(longer, [len(each) == 13 for each in longer]) > 0.95
    assert score(longer, [each.count("C") + 0.1 for each in longer], number=True) > 0.8


def test_the_interval_of_a_difference() -> None:
    """Wide where the test examples are few or of one group, and with one seed as with many that agree."""
    generator = np.random.default_rng(1)
    found = {}
    for count, groups in ((50, 50), (800, 800), (800, 8)):
        rows = [("A", "x", str(n % groups)) for n in range(count)]
        data = data_set({"train": [("A", "x"), ("A", "y")], "test": rows}, ["x", "y"])
        good = [np.array([n % groups >= groups * (1 - share) for n in range(count)]) for share in (0.8, 0.7)]
        one, other = (np.where(each, 0, 1)[None].repeat(3, axis=0) for each in good)
        if groups == count:
            one, other = (each[:, generator.permutation(count)] for each in (one, other))
        found[count, groups] = against(data, one, other)
    for mean, low, high in found.values():
        assert low <= mean <= high
    assert found[800, 800][0] == pytest.approx(0.1, abs=0.005)
    width = {key: high - low for key, (_, low, high) in found.items()}
    # Independent examples: 2 * 1.96 * sqrt((.8 * .2 + .7 * .3) / n).
    assert width[800, 800] == pytest.approx(2 * 1.96 * np.sqrt(0.37 / 800), rel=0.15)
    assert width[50, 50] == pytest.approx(2 * 1.96 * np.sqrt(0.37 / 50), rel=0.25)
    assert width[800, 8] > 3 * width[800, 800]


def test_seeds_that_differ_widen_the_interval() -> None:
    data = data_set({"test": [("A", "x") for _ in range(400)]}, ["x", "y"])
    alike = np.zeros((5, 400), dtype=int)
    alike[:, :100] = 1
    unlike = np.array([np.where(np.arange(400) < 40 * each, 1, 0) for each in range(5)])
    widths = [np.diff(against(data, each, alike)[1:])[0] for each in (alike, unlike)]
    assert widths[1] > 2 * widths[0]


def test_the_interval_holds_what_it_says(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three seeds of either side, no difference but by chance: 95 of 100 intervals hold 0."""
    monkeypatch.setattr(intervals, "DRAWS", 60)
    generator = np.random.default_rng(1)
    data = data_set({"test": [("A", "x") for _ in range(100)]}, ["x", "y"])
    held = 0
    for _ in range(200):
        one, other = (
            (generator.random((3, 100)) < 0.3 + 0.05 * generator.standard_normal((3, 1))).astype(int) for _ in "ab"
        )
        _, low, high = against(data, one, other)
        held += low <= 0 <= high
    assert held >= 186


def test_when_random_weights_are_overtaken() -> None:
    random = [[[10, 0.5], [20, 0.6], [30, 0.7]], [[10, 0.5], [20, 0.8], [30, 0.7]]]
    assert reached(random, random) == 20
    assert reached([[[10, 0.71], [20, 0.9]], [[10, 0.71], [20, 0.9]]], random) == 10
    assert reached([[[10, 0.1], [20, 0.2]]], random) is None


# ---------------------------------------------------------------------------------------------- the whole


def test_the_command(recipe: Path, english: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    arguments = ("analyze", "domains", recipe, "--seed", "1", "--seed", "2", "--text", english, "--run", run)
    answer = call(*arguments, "--start", "words", "--start", "trainings", "--json")
    assert answer.code == 0, answer.err
    result = json.loads(answer.out)
    (found,) = result["sets"]
    starts = found["starts"]
    assert set(starts) == {
        "text",
        "reembedded",
        "random",
        "words",
        "trainings",
        "own",
        "own-random",
        "linear",
        "majority",
    }
    labels = [line.split(",")[1] for line in (tmp_path / "test.csv").read_text(encoding="utf-8").splitlines()[1:]]
    assert starts["majority"]["scores"][0] in (labels.count("yes") / 20, labels.count("no") / 20)
    assert starts["linear"]["scores"][0] > 0.9
    assert all(len(starts[start]["scores"]) == 2 for start in ("text", "random", "own"))
    assert len(starts["text"]["curves"][0]) == 2
    assert set(starts["own"]["against"]) == {"text", "linear", "own-random"}
    assert len(list((run / "cells").glob("*-seed1.json"))) == 5  # of its first seed words and trainings are the text's
    assert starts["words"]["scores"][0] == starts["trainings"]["scores"][0] == starts["text"]["scores"][0]
    for language, told in (("en", "Here the linear model wins"), ("zh", "这里线性模型赢了")):
        page = write_report([run], tmp_path / "page.html", language=language).read_text(encoding="utf-8")
        assert told in page
        assert "63.7" in page  # slide 75
    (run / "cells" / "bases-random-seed2.json").unlink()
    kept = {path.name: path.stat().st_mtime_ns for path in (run / "cells").iterdir()}
    assert json.loads(call(*arguments, "--json").out)["sets"][0]["starts"]["text"] == starts["text"]
    assert {path.name: path.stat().st_mtime_ns for path in (run / "cells").iterdir() if path.name in kept} == kept


def test_all_starts_see_the_same_examples(recipe: Path, english: Path, tmp_path: Path, monkeypatch: Any) -> None:
    """Also where some are drawn, and some held out; the renamed ones are the others, letter by letter."""
    text = recipe.read_text(encoding="utf-8").replace(f'development = "{tmp_path / "development.csv"}"\n', "")
    recipe.write_text(text.replace("[data]", "[data]\ntrain_examples = 30"), encoding="utf-8")
    seen: list[dict[str, list[Example]]] = []

    def watched(settings: FinetuneRecipe, *, given: Given, **more: Any) -> dict[str, Any]:
        seen.append(given.sides)
        result = finetune(settings, given=given, **more)
        assert result["examples"]["train"] == len(given.sides["train"]) == 30
        return result

    monkeypatch.setattr(trainings, "finetune", watched)
    loaded = load_recipe(FinetuneRecipe, recipe)
    MODULE.domains({"bases": loaded}, trainings.Trainings(tmp_path / "run"), {"bases": [1, 2]}, text=str(english))
    own = seen[-1]
    for sides in seen[:-4]:
        for side in ("train", "development"):
            assert [each.id for each in sides[side]] == [each.id for each in own[side]]
            pairs = {
                pair
                for one, other in zip(sides[side], own[side], strict=True)
                for pair in zip(one.texts[0].split(), other.texts[0], strict=True)
            }
            assert len(pairs) == 4


def test_a_start_may_have_a_rate_of_its_own(recipe: Path, english: Path, tmp_path: Path, monkeypatch: Any) -> None:
    seen: list[tuple[str, str, float]] = []

    def watched(settings: FinetuneRecipe, **more: Any) -> dict[str, Any]:
        start = re.split("-(.*)-seed", Path(settings.run).name)[1]
        seen.append((start, settings.optimizer.name, settings.optimizer.learning_rate))
        return finetune(settings, **more)

    monkeypatch.setattr(trainings, "finetune", watched)
    muon = '[optimizer]\nname = "muon"\n'
    recipe.write_text(recipe.read_text(encoding="utf-8").replace("[optimizer]\n", muon), encoding="utf-8")
    arguments = ("analyze", "domains", recipe, "--seed", "1", "--text", english, "--run", tmp_path / "run")
    rates = ("--rate", "text=0.002", "--rate", "random=0.003")
    assert call(*arguments, *rates).code == 0
    assert seen == [
        ("text", "adamw", 0.002),
        ("reembedded", "muon", 0.01),
        ("random", "adamw", 0.003),
        ("own", "muon", 0.01),
        ("own-random", "muon", 0.01),
    ]
    assert "there is no start 'other'" in call(*arguments, "--rate", "other=0.1").err
    assert "text=2 gives no learning rate" in call(*arguments, "--rate", "text=2").err


def test_what_is_missing_is_told_before_the_first_training(recipe: Path, english: Path, tmp_path: Path) -> None:
    """Of the last set, too: its file, its checkpoint, and what it would be read at."""
    text = recipe.read_text(encoding="utf-8")
    wrongs = {
        str(tmp_path / "test.csv"): str(tmp_path / "none.csv"),
        str(english): str(tmp_path / "none"),
        "length = 32": "length = 65",
    }
    for number, (found, wrong) in enumerate(wrongs.items()):
        assert found in text
        other = tmp_path / f"other{number}.toml"
        other.write_text(text.replace(found, wrong), encoding="utf-8")
        answer = call("analyze", "domains", recipe, other, "--text", english, "--run", tmp_path / "run")
        assert answer.code != 0
        assert not (tmp_path / "run" / "cells").exists(), found


def test_a_number_is_scored_by_its_rank_throughout(recipe: Path, english: Path, tmp_path: Path) -> None:
    text = recipe.read_text(encoding="utf-8").replace("[data]", '[data]\nlabel_kind = "number"')
    for side in ("train", "development", "test"):
        lines = (tmp_path / f"{side}.csv").read_text(encoding="utf-8").splitlines()
        rows = [f"{line.split(',')[0]},{line.count('A') + number / 100}" for number, line in enumerate(lines[1:])]
        (tmp_path / f"{side}.csv").write_text("\n".join(["text,label", *rows]) + "\n", encoding="utf-8")
    recipe.write_text(text, encoding="utf-8")
    result = MODULE.domains(
        {"n": load_recipe(FinetuneRecipe, recipe)}, trainings.Trainings(tmp_path / "run"), {"n": [1]}, text=str(english)
    )
    (found,) = result["sets"]
    assert found["metric"] == "spearman"
    assert found["starts"]["linear"]["scores"][0] > 0.6
    assert all(-1 <= score <= 1 for start in found["starts"].values() for score in start["scores"])
    write_report([tmp_path / "run"], tmp_path / "page.html")


def test_a_cell_of_other_data_is_not_taken(recipe: Path, english: Path, tmp_path: Path) -> None:
    loaded = load_recipe(FinetuneRecipe, recipe)
    MODULE.domains({"bases": loaded}, trainings.Trainings(tmp_path / "run"), {"bases": [1]})
    lines = (tmp_path / "train.csv").read_text(encoding="utf-8").splitlines()
    (tmp_path / "train.csv").write_text("\n".join(lines[:-1]) + "\n", encoding="utf-8")
    with pytest.raises(UserError, match=r"bases-text-seed1\.json: this was measured with other settings"):
        MODULE.domains({"bases": loaded}, trainings.Trainings(tmp_path / "run"), {"bases": [1]})


def test_fewer_seeds_of_a_set(recipe: Path, tmp_path: Path) -> None:
    arguments = ("analyze", "domains", recipe, "--run", tmp_path / "run", "--json")
    answer = call(*arguments, "--seed", "3", "--seed", "4", "--fewer", "bases=1")
    assert [each["seeds"] for each in json.loads(answer.out)["sets"]] == [[3]]
    for wrong in ("bases=0", "other=1", "bases=many"):
        assert "gives no number to a recipe" in call(*arguments, "--fewer", wrong).err
    assert "there is no start 'none'" in call(*arguments, "--start", "none").err


def test_related_examples_on_two_sides_are_refused(recipe: Path, tmp_path: Path) -> None:
    for side, group in (("train", "cluster 7"), ("development", "other"), ("test", "cluster 7")):
        lines = (tmp_path / f"{side}.csv").read_text(encoding="utf-8").splitlines()
        rows = ["text,label,group", *(f"{line},{group if n == 2 else ''}" for n, line in enumerate(lines[1:]))]
        (tmp_path / f"{side}.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    answer = call("analyze", "domains", recipe, "--run", tmp_path / "run")
    assert "test.csv:4: the group 'cluster 7' of this test example has training examples, too" in answer.err
    assert not (tmp_path / "run" / "cells").exists()


def test_symbols_are_spaced_in_all_sequences_or_none(recipe: Path, tmp_path: Path) -> None:
    text = (tmp_path / "train.csv").read_text(encoding="utf-8").splitlines()
    text[5] = "AC GTACGT,yes"
    (tmp_path / "train.csv").write_text("\n".join(text) + "\n", encoding="utf-8")
    answer = call("analyze", "domains", recipe, "--run", tmp_path / "run")
    assert "train.csv:6: 'AC GTACGT' has a space in it, unlike most sequences" in answer.err


def test_classes_are_those_of_the_whole_training_file(
    recipe: Path, english: Path, tmp_path: Path, monkeypatch: Any
) -> None:
    """Also where all examples of one are left out: the others keep their numbers."""
    texts = [f"{base}CCCCCC{other}" for base in "ACGT" for other in "ACGT"]
    last = max(texts, key=lambda text: hashlib.blake2b(text.lower().encode(), digest_size=8).digest())
    with (tmp_path / "train.csv").open("a", encoding="utf-8") as file:
        file.write(f"{last},a-class\n")
    text = recipe.read_text(encoding="utf-8").replace("[data]", "[data]\ntrain_examples = 30")
    recipe.write_text(text, encoding="utf-8")
    loaded = load_recipe(FinetuneRecipe, recipe)
    data, _, _ = MODULE.contest("bases", loaded, str(english), [1])
    assert data.labels == ["a-class", "no", "yes"]
    assert len({each.label for each in data.sides["train"]}) == 2
    learnt: list[list[str]] = []

    def watched(settings: FinetuneRecipe, **more: Any) -> dict[str, Any]:
        result = finetune(settings, **more)
        learnt.append(result["labels"])
        return result

    monkeypatch.setattr(trainings, "finetune", watched)
    result = MODULE.domains({"bases": loaded}, trainings.Trainings(tmp_path / "run"), {"bases": [1]})
    assert learnt == [data.labels] * 3
    assert result["sets"][0]["overlaps"] == {"development": 0, "test": 0}


def test_what_cannot_be_compared_is_told(recipe: Path, tmp_path: Path) -> None:
    text = recipe.read_text(encoding="utf-8")
    other = tmp_path / "other.toml"
    other.write_text(text.replace(f'test = "{tmp_path / "test.csv"}"\n', ""), encoding="utf-8")
    assert (
        "expected: classify, with a class or a number" in call("analyze", "domains", other, "--run", tmp_path / "r").err
    )
