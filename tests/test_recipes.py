"""Every recipe is parsed, says in its head what it is, and trains for two steps on stand-in data."""

import tomllib
from pathlib import Path
from typing import Any

import pytest

from bertwright.config import FinetuneRecipe, PretrainRecipe
from bertwright.finetune import finetune
from bertwright.pretrain import pretrain
from bertwright.recipe import parse

RECIPES = sorted((Path(__file__).parents[1] / "recipes").glob("*.toml"))

SHRUNKEN: dict[str, Any] = {"steps": 2, "batch_size": 4, "dtype": "float32", "attention": "explicit"}
"""Two steps, in one number format, so that nothing is probed."""


def shrink(train: dict[str, Any]) -> dict[str, Any]:
    return {**{key: value for key, value in train.items() if key not in ("minutes", "epochs")}, **SHRUNKEN}


def test_there_are_recipes() -> None:
    assert len(RECIPES) >= 4


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_a_recipe_runs(path: Path, reviews: Path, tmp_path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    head = [line for line in text.splitlines() if line.startswith("#")]
    assert any(line.startswith("# command") for line in head), "the head says how to run it"
    assert any(line.startswith("# data") for line in head), "and where the data is"
    values = tomllib.loads(text)
    values |= {"run": str(tmp_path / "run"), "train": shrink(values["train"])}
    if "task" in values:
        checkpoint = small_checkpoint(reviews, tmp_path)
        files = {side: str(reviews / f"{side}.csv") for side in ("train", "development")}
        values |= {"data": files, "start": {**values["start"], "checkpoint": str(checkpoint)}}
        result = finetune(parse(FinetuneRecipe, values))
    else:
        result = pretrain(parse(PretrainRecipe, stand_in(values, reviews, tmp_path)))
    assert result["steps"] == 2


def stand_in(values: dict[str, Any], reviews: Path, folder: Path) -> dict[str, Any]:
    """A pre-training recipe that reads generated reviews, with a tiny model."""
    lines = (reviews / "corpus.txt").read_text(encoding="utf-8").splitlines()
    documents = ["\n".join(lines[begin : begin + 5]) for begin in range(0, len(lines), 5)]
    (folder / "corpus.txt").write_text("\n\n".join(documents) + "\n", encoding="utf-8")
    corpus = {**values["corpus"], "files": [str(folder / "corpus.txt")], "held_out": 0.2}
    model = {**values["model"], "preset": "tiny"}
    return {**values, "store": str(folder / "store"), "corpus": corpus, "model": model}


def small_checkpoint(reviews: Path, folder: Path) -> Path:
    """A checkpoint after two steps."""
    values = {"run": str(folder / "start"), "corpus": {}, "model": {"max_length": 128}, "train": SHRUNKEN}
    pretrain(parse(PretrainRecipe, stand_in(values, reviews, folder)))
    return folder / "start" / "best"
