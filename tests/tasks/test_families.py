"""Every task on every family: fine-tuned here, read by `transformers` with its own tokenizer, and exported.

The checkpoints are random two-layer models with tokenizers as the families have them: word pieces; bytes; pieces of a
unigram model, with two separators between texts and positions that begin at two.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers

from bertwright.checkpoint import Description, save_checkpoint
from bertwright.config import FinetuneRecipe, ModelConfig
from bertwright.export import export
from bertwright.finetune import finetune
from bertwright.model.heads import BareModel
from bertwright.predict import Predictor
from bertwright.recipe import parse
from bertwright.tasks.task import Example
from bertwright.tokenizer import Tokenizer
from helpers import SMALL_TRAINING
from test_tokenizer import SENTENCES, corpus, settings, write_unigram

FAMILIES = ("bert", "roberta", "xlm-roberta", "modernbert")

HEADS = {
    "classify": "SequenceClassification",
    "pair": "SequenceClassification",
    "tag": "TokenClassification",
    "qa": "QuestionAnswering",
}

CONTEXT = "The weather is fine today; we're walking in the park."


@dataclass(frozen=True)
class Case:
    """A fine-tuned run and some examples."""

    run: Path
    examples: list[Example]


def write_base(folder: Path, family: str) -> Path:
    """A random checkpoint without a head."""
    folder.mkdir(parents=True)
    if "roberta" in family:
        write_unigram(folder)
        tokenizer = Tokenizer.load(folder)
    else:
        tokenizer = Tokenizer.train(corpus(), settings("wordpiece"))
    more = {"layout": "modernbert"} if family == "modernbert" else {"segment_types": 1 if "roberta" in family else 2}
    config = ModelConfig.model_validate(
        {"preset": "tiny", "vocabulary_size": tokenizer.vocabulary_size, "max_length": 160, "dropout": 0.0, **more}
    )
    torch.manual_seed(1)
    model = BareModel(config)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, mean=float(parameter.dim() == 1), std=0.2)
    save_checkpoint(folder / "base", model, tokenizer, Description(config, family, "encoder", {}))
    return folder / "base"


def write_examples(folder: Path, task: str) -> str:
    """Thirty examples of a task."""
    if task == "qa":
        places = [(word, CONTEXT.index(word)) for word in ("weather", "fine", "park")] * 10
        asked = [
            {"id": f"q{n}", "question": f"What {n}?", "answers": [{"text": word, "answer_start": place}]}
            for n, (word, place) in enumerate(places)
        ]
        paragraphs = [{"context": f"{CONTEXT} {each['id']}", "qas": [each]} for each in asked]
        (folder / "data.json").write_text(json.dumps({"data": [{"paragraphs": paragraphs}]}), encoding="utf-8")
        return str(folder / "data.json")
    rows: list[dict[str, Any]] = [{"text": f"{text} {n}", "label": "ab"[n % 2]} for n, text in enumerate(SENTENCES * 5)]
    for number, row in enumerate(rows):
        if task == "pair":
            row["second_text"] = SENTENCES[number % 5]
        if task == "tag":
            row["text"] = row["text"].split()
            row["label"] = ["xy"[place % 2] for place, _ in enumerate(row["text"])]
    (folder / "data.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return str(folder / "data.jsonl")


@pytest.fixture(scope="module", params=[(family, task) for family in FAMILIES for task in HEADS], ids="-".join)
def case(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Case:
    family, task = request.param
    folder = tmp_path_factory.mktemp(f"{family}-{task}")
    values = {
        "run": str(folder / "run"),
        "task": task,
        "data": {"train": write_examples(folder, task), "development_share": 0.3},
        "start": {"checkpoint": str(write_base(folder / "made", family)), "dropout": 0.0},
        "optimizer": {"learning_rate": 1e-2},
        "train": {**SMALL_TRAINING, "length": 160, "steps": 4},
    }
    finetune(parse(FinetuneRecipe, values))
    task_ = Predictor.load(folder / "run").task
    return Case(folder / "run", list(task_.read(Path(values["data"]["train"]), labelled=False))[:8])


@pytest.mark.filterwarnings("ignore:.*were not initialized.*")
def test_transformers_gives_our_scores(case: Case) -> None:
    """Of the texts as its tokenizer reads them, where they are running text; else of our tokens."""
    predictor = Predictor.load(case.run)
    name = predictor.checkpoint.facts["task"]
    auto = getattr(transformers, f"AutoModelFor{HEADS[name]}")
    model, info = auto.from_pretrained(case.run / "best", output_loading_info=True)
    assert not any(info[kind] for kind in ("missing_keys", "unexpected_keys", "mismatched_keys")), info
    model.eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(case.run / "best")
    windows, scores = predictor.scores(case.examples)
    assert len(windows) == len(case.examples)
    for example, window, ours in zip(case.examples, windows, scores, strict=True):
        if name == "tag":
            special = predictor.special
            ids = [special.cls, *window.segments[0].tolist(), special.sep]
            given = {"input_ids": torch.tensor([ids])}
        else:
            given = dict(tokenizer(*example.texts, return_tensors="pt"))
        with torch.inference_mode():
            output = model(**given)
        if name == "qa":
            theirs = torch.stack([output.start_logits, output.end_logits], dim=-1)[0, -len(ours) - 1 : -1]
        elif name == "tag":
            assert window.labels is not None
            theirs = output.logits[0][torch.from_numpy(window.labels >= 0)]
        else:
            theirs = output.logits[0]
        np.testing.assert_allclose(ours, theirs.numpy(), atol=1e-4)
    assert np.concatenate([each.ravel() for each in scores]).std() > 1e-3, "equal scores would prove nothing"


@pytest.mark.slow
def test_the_export_answers_the_same(case: Case, tmp_path: Path) -> None:
    export(case.run, tmp_path / "exported")
    _, expected = Predictor.load(case.run).scores(case.examples)
    _, found = Predictor.load(tmp_path / "exported").scores(case.examples)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-3)
