"""Domains: symbols renamed one to one, starts that differ in what is drawn, a linear model that can win; resumable."""

import json
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tomli_w

from bertwright.analyze.domains import paired_test, renaming, symbols_of
from bertwright.analyze.linear_sequences import linear_score
from bertwright.checkpoint import load_checkpoint
from bertwright.config import FinetuneRecipe
from bertwright.errors import UserError
from bertwright.finetune import finetune
from bertwright.recipe import load_recipe
from bertwright.report import write_report
from bertwright.run import read_json
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


def test_symbols() -> None:
    assert symbols_of("ACGT") == ["A", "C", "G", "T"]
    assert symbols_of("C4 E4 G4") == ["C4", "E4", "G4"]


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
    used = (after[TABLE] - before[TABLE]).abs().amax(dim=1) > 1e-3
    assert used.nonzero().flatten().tolist() == [0, 1, 2, 3, 4]  # the bases are unknown here: only special tokens occur


def test_unused_tokens_stand_in_for_words(recipe: Path, english: Path, tmp_path: Path, monkeypatch: Any) -> None:
    """The encoder is the same but for the vectors of the words that are used; without such tokens it says so."""
    loaded = load_recipe(FinetuneRecipe, recipe)
    with pytest.raises(UserError, match="the vocabulary has 0 \\[unused\\] tokens for 4 symbols"):
        MODULE.domains({"bases": loaded}, tmp_path / "none", seeds=(1,), unused=True)
    start = load_checkpoint(english)
    named = dict(zip(range(20, 24), ("[unused0]", "[unused1]", "[unused2]", "[unused3]"), strict=True))
    tokens = Tokenizer.tokens
    monkeypatch.setattr(
        Tokenizer,
        "tokens",
        lambda self, ids: [named.get(int(n), t) for n, t in zip(ids, tokens(self, ids), strict=True)],
    )
    target = MODULE._renamed(loaded, "bases", 1, tmp_path)
    changed = load_checkpoint(MODULE._with_unused(loaded, target, 1))
    words = [int(start.tokenizer.encode(word)[0]) for word in read_json(target / "table.json").values()]
    rows = {tuple(changed.weights[TABLE][word].tolist()) for word in words}
    assert rows == {tuple(start.weights[TABLE][number].tolist()) for number in named}
    for name, weight in changed.weights.items():
        same = (weight == start.weights[name]).reshape(len(weight), -1).all(dim=1)
        assert (~same).nonzero().flatten().tolist() == (sorted(words) if name == TABLE else [])


def test_a_linear_model_sees_places_and_runs() -> None:
    generator = np.random.default_rng(0)
    sequences = [list(generator.choice(list("ACGT"), 12)) for _ in range(400)]
    by_place = [(each, "a" if each[5] == "G" else "b") for each in sequences]
    assert linear_score(by_place[:300], by_place[300:], number=False) > 0.95
    longer = [[*each, "A"] if number % 2 else each for number, each in enumerate(sequences)]  # no places then
    by_run = [(each, "a" if "GT" in "".join(each) else "b") for each in longer]
    assert linear_score(by_run[:300], by_run[300:], number=False) > 0.9
    counted = [(each, str(each.count("C") + 0.1)) for each in longer]
    assert linear_score(counted[:300], counted[300:], number=True) > 0.8


def test_the_paired_test() -> None:
    assert paired_test([0.9, 0.8, 0.7], [0.8, 0.71, 0.62]) == pytest.approx(0.00409, abs=1e-5)  # t = 15.59, df = 2
    assert paired_test([0.9], [0.8]) is None
    assert paired_test([0.9, 0.8], [0.8, 0.7]) is None  # the differences are all the same
    assert paired_test([0.9, 0.8], [0.8]) is None


# ---------------------------------------------------------------------------------------------- the whole


def test_the_command(recipe: Path, english: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    arguments = ("analyze", "domains", recipe, "--seed", "1", "--seed", "2", "--text", english, "--run", run)
    answer = call(*arguments, "--json")
    assert answer.code == 0, answer.err
    result = json.loads(answer.out)
    (found,) = result["sets"]
    assert set(found["starts"]) == {"text", "reembedded", "random", "own", "linear"}
    assert found["starts"]["linear"]["scores"][0] > 0.9
    assert all(len(found["starts"][start]["scores"]) == 2 for start in ("text", "random", "own"))
    assert len(found["starts"]["text"]["curves"][0]) == 2
    table = read_json(run / "data" / "bases-seed1" / "table.json")
    original = (tmp_path / "test.csv").read_text(encoding="utf-8").splitlines()[1].split(",")[0]
    renamed = json.loads((run / "data" / "bases-seed1" / "test.jsonl").read_text(encoding="utf-8").splitlines()[0])
    assert renamed["text"].split() == [table[base] for base in original]
    assert table != read_json(run / "data" / "bases-seed2" / "table.json")
    for language, told in (("en", "Here the linear model wins"), ("zh", "这里线性模型赢了")):
        page = write_report([run], tmp_path / "page.html", language=language).read_text(encoding="utf-8")
        assert told in page
        assert "63.7" in page  # slide 75
    (run / "cells" / "bases-random-seed2.json").unlink()
    kept = {path.name: path.stat().st_mtime_ns for path in (run / "cells").iterdir()}
    assert json.loads(call(*arguments, "--json").out)["sets"][0]["starts"]["text"] == found["starts"]["text"]
    assert {path.name: path.stat().st_mtime_ns for path in (run / "cells").iterdir() if path.name in kept} == kept


def test_what_cannot_be_compared_is_told(recipe: Path, tmp_path: Path) -> None:
    text = recipe.read_text(encoding="utf-8")
    other = tmp_path / "other.toml"
    other.write_text(text.replace(f'test = "{tmp_path / "test.csv"}"\n', ""), encoding="utf-8")
    assert (
        "expected: classify, with a class or a number" in call("analyze", "domains", other, "--run", tmp_path / "r").err
    )
