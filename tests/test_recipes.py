"""Every recipe is parsed, says in its head what it is, and trains for two steps on stand-in data."""

import json
import random
import tomllib
from pathlib import Path
from typing import Any

import pytest

from bertwright.compete import compete
from bertwright.config import CompeteRecipe, FinetuneRecipe, PretrainRecipe, ReadingSettings
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
def test_a_recipe_runs(path: Path, reviews: Path, checkpoint: Path, tmp_path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    head = [line for line in text.splitlines() if line.startswith("#")]
    assert any(line.startswith("# command") for line in head), "the head says how to run it"
    assert any(line.startswith("# data") for line in head), "and where the data is"
    values = tomllib.loads(text)
    values |= {"run": str(tmp_path / "run")}
    if "members" in values:
        result = compete(parse(CompeteRecipe, small_competition(values, checkpoint, tmp_path)))
        assert {row["name"] for row in result["leaderboard"]} >= set(values["members"])
        return
    values |= {"train": shrink(values["train"])}
    if "task" in values:
        data = values["data"]
        for number, side in enumerate(side for side in ("train", "development", "test") if side in data):
            data[side] = str(write_examples(tmp_path, values["task"], data, side, number))
        values |= {"start": {**values["start"], "checkpoint": str(checkpoint)}}
        result = finetune(parse(FinetuneRecipe, values))
        assert result["examples"]["train"] > 20
    else:
        result = pretrain(parse(PretrainRecipe, stand_in(values, reviews, tmp_path)))
    assert result["steps"] == 2


def stand_in(values: dict[str, Any], reviews: Path, folder: Path) -> dict[str, Any]:
    """A pre-training recipe that reads generated reviews, with a tiny model."""
    lines = (reviews / "corpus.txt").read_text(encoding="utf-8").splitlines()
    documents = ["\n".join(lines[begin : begin + 5]) for begin in range(0, len(lines), 5)]
    file, reader = folder / "corpus.txt", values["corpus"].get("reader")
    if values.get("tokenizer", {}).get("kind") == "symbols":
        documents = [" ".join(document) for document in documents]
    if reader == "table":
        file = folder / "corpus.jsonl"
        rows = [
            {"text": text, "language": "ab"[number % 2], "work": str(number)} for number, text in enumerate(documents)
        ]
        documents = ["\n".join(json.dumps(row) for row in rows)]
    elif reader == "fasta":
        draw = random.Random(1)
        documents = [f">{number}\n{''.join(draw.choices('ACGT', k=60))}" for number in range(60)]
    file.write_text("\n\n".join(documents) + "\n", encoding="utf-8")
    corpus = {**values["corpus"], "files": [str(file)], "held_out": 0.2}
    model = {**values["model"], "preset": "tiny"}
    return {**values, "store": str(folder / "store"), "corpus": corpus, "model": model}


def small_competition(values: dict[str, Any], checkpoint: Path, folder: Path) -> dict[str, Any]:
    """A competition in two folds."""
    start = {"checkpoint": str(checkpoint), "pooling": "mean"}
    members = {
        name: {**member, "start": start, "train": shrink(member["train"])} for name, member in values["members"].items()
    }
    data = values["data"]
    for number, side in enumerate(("train", "test")):
        data[side] = str(write_examples(folder, values["task"], data, side, number))
    if "solution" in data:
        data["solution"] = data["test"]
    return {**values, "folds": {"number": 2}, "members": members}


@pytest.fixture(scope="module")
def checkpoint(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint after two steps, that takes texts of 512 tokens."""
    reviews, folder = trained, tmp_path_factory.mktemp("checkpoint")
    values = {"run": str(folder / "start"), "corpus": {}, "model": {"max_length": 512}, "train": SHRUNKEN}
    pretrain(parse(PretrainRecipe, stand_in(values, reviews, folder)))
    return folder / "start" / "best"


def write_examples(folder: Path, task: str, data: dict[str, Any], side: str, seed: int) -> Path:
    """Generated examples in the format that a recipe reads, in files of the same suffix."""
    settings = ReadingSettings.model_validate({k: v for k, v in data.items() if k in ReadingSettings.model_fields})
    draw = random.Random(seed)
    path = folder / f"{side}{Path(data[side]).suffix}"
    sentences = [draw.choices("今天天气很好我们去公园散步", k=draw.randint(4, 9)) for _ in range(40)]
    if task == "qa":
        paragraphs = [
            {"context": "".join(words), "qas": [{"id": str(n), "question": "哪里", "answers": [_answer(words)]}]}
            for n, words in enumerate(sentences)
        ]
        lines = [json.dumps({"data": [{"paragraphs": paragraphs}]})]
    elif task == "tag" and path.suffix == ".conllu":
        lines = []
        for words in sentences:
            for number, word in enumerate(words, start=1):
                lines.append("\t".join([str(number), word, "_", "NOUN" if word in "天园" else "VERB", *"_" * 6]))
            lines.append("")
    else:
        rows = []
        for number, words in enumerate(sentences):
            labelled = (
                " ".join("B-LOC" if word == "园" else "O" for word in words) if task == "tag" else str(number % 2)
            )
            row = {settings.text_column: " ".join(words), settings.label_column: labelled}
            rows.append(row | ({settings.second_column: "".join(reversed(words))} if task == "pair" else {}))
        if path.suffix == ".json":
            lines = [json.dumps(row) for row in rows]
        else:
            separator = "," if path.suffix == ".csv" else "\t"
            names = settings.columns or list(rows[0])
            lines = [] if settings.columns else [separator.join(names)]
            lines += [separator.join(row[name] for name in names) for row in rows]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def _answer(words: list[str]) -> dict[str, Any]:
    return {"text": "".join(words[1:3]), "answer_start": 1}
