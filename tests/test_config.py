"""Recipes in and out, and what is said of a wrong one."""

import os
from pathlib import Path

import pytest

from bertwright.config import FinetuneRecipe, ModelConfig, PretrainRecipe, expand
from bertwright.errors import UserError
from bertwright.recipe import dump_recipe, load_recipe, parse

TEXT = 'run = "r"\nstore = "s"\n[train]\nsteps = 10\n'


def written(tmp_path: Path, text: str = TEXT) -> Path:
    path = tmp_path / "recipe.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_round_trip(tmp_path: Path) -> None:
    overrides = [
        "model.preset=mini",
        "train.save_at=[1, 5]",
        "tokenizer.kind=characters",
        "optimizer.betas=[0.9, 0.98]",
    ]
    recipe = load_recipe(PretrainRecipe, written(tmp_path), overrides)
    assert recipe.model.width == 256
    assert recipe.train.save_at == [1, 5]
    again = load_recipe(PretrainRecipe, written(tmp_path, dump_recipe(recipe)))
    assert again == recipe


def test_a_run_is_its_own_recipe(tmp_path: Path) -> None:
    path = written(tmp_path)
    recipe = load_recipe(PretrainRecipe, path)
    (tmp_path / "run").mkdir()
    path.rename(tmp_path / "run" / "recipe.toml")
    assert load_recipe(PretrainRecipe, tmp_path / "run") == recipe.model_copy(update={"run": str(tmp_path / "run")})


def test_a_run_that_was_moved_is_the_run_in_its_new_place(tmp_path: Path) -> None:
    path = written(tmp_path)
    (tmp_path / "copy").mkdir()
    path.rename(tmp_path / "copy" / "recipe.toml")
    assert load_recipe(PretrainRecipe, tmp_path / "copy").run == str(tmp_path / "copy")
    assert load_recipe(PretrainRecipe, tmp_path / "copy", ["run=other"]).run == "other"


def test_fine_tuning_is_slower_whatever_else_is_set(tmp_path: Path) -> None:
    values = {"run": "r", "task": "qa", "data": {"train": "t"}, "start": {"checkpoint": "c"}, "train": {"steps": 1}}
    for more in ({}, {"optimizer": {"weight_decay": 0.1}}):
        assert parse(FinetuneRecipe, {**values, **more}).optimizer.learning_rate == 5e-5


def test_a_length_is_checked_against_the_model_that_is_there(tmp_path: Path) -> None:
    """Of a checkpoint the shape is not known while its recipe is read."""
    recipe = load_recipe(PretrainRecipe, written(tmp_path), ["start.checkpoint=c", "train.length=1024"])
    values = {**recipe.model_dump(), "model": {"vocabulary_size": 9, "max_length": 512}}
    with pytest.raises(UserError, match=r"exceeds model\.max_length 512"):
        parse(PretrainRecipe, values)


def test_an_override_is_toml_else_a_string(tmp_path: Path) -> None:
    recipe = load_recipe(PretrainRecipe, written(tmp_path), ["run=runs/x", "train.steps=7", "model.dropout=0.1"])
    assert (recipe.run, recipe.train.steps, recipe.model.dropout) == ("runs/x", 7, 0.1)


def test_a_length_on_the_command_line_takes_the_place_of_the_files(tmp_path: Path) -> None:
    recipe = load_recipe(PretrainRecipe, written(tmp_path), ["train.minutes=3"])
    assert (recipe.train.steps, recipe.train.minutes) == (None, 3)
    with pytest.raises(UserError, match="exactly one of steps, minutes and epochs"):
        load_recipe(PretrainRecipe, written(tmp_path), ["train.minutes=3", "train.epochs=1"])


def test_single_values_win_over_the_preset() -> None:
    config = ModelConfig.model_validate({"preset": "base", "layers": 3})
    assert (config.layers, config.width, config.heads, config.inner_width) == (3, 768, 12, 3072)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("train.step=3", "unknown key 'train.step'"),
        ("train.step=3", "did you mean 'steps'?"),
        ("trian.steps=3", "did you mean 'train'?"),
        ("model.widht=3", "did you mean 'width'?"),
        ("corpus.reader=lines", "'corpus.files' is missing"),
        ("model.width=30", "no multiple of heads"),
        ("train.batch_size=none", "train.batch_size"),
        ('corpus={files=["x"], held_out=0}', "corpus.held_out"),
        ("optimizer.betas=[0.9, 1.0]", "optimizer.betas.1"),
        ("train.length=1024", "exceeds model.max_length"),
        ("nonsense", "is no override"),
        ("run.x=3", "is no section"),
    ],
)
def test_a_wrong_setting_is_explained(tmp_path: Path, override: str, message: str) -> None:
    with pytest.raises(UserError) as caught:
        load_recipe(PretrainRecipe, written(tmp_path), [override])
    assert message in str(caught.value)


def test_a_broken_or_missing_recipe(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no valid TOML"):
        load_recipe(PretrainRecipe, written(tmp_path, "run = \n"))
    with pytest.raises(UserError, match="missing"):
        load_recipe(PretrainRecipe, tmp_path / "none.toml")


def test_only_wordpiece_lowercases_unasked() -> None:
    base = {"run": "r", "store": "s", "train": {"steps": 1}}
    kinds = {
        kind: parse(PretrainRecipe, {**base, "tokenizer": {"kind": kind}}) for kind in ("wordpiece", "bpe", "symbols")
    }
    assert {kind: recipe.tokenizer.lowercase for kind, recipe in kinds.items()} == {
        "wordpiece": True,
        "bpe": False,
        "symbols": False,
    }


def test_finetuning_has_its_own_keys(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="unknown key 'store'"):
        load_recipe(FinetuneRecipe, written(tmp_path))


def test_variables_in_paths(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOMEWHERE", "/there")
    assert expand("$SOMEWHERE/x") == Path("/there/x")
    monkeypatch.delenv("SOMEWHERE")
    with pytest.raises(UserError, match="SOMEWHERE in the environment"):
        expand("$SOMEWHERE/x")
    assert expand("~") == Path(os.path.expanduser("~"))
