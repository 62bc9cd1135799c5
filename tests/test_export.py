"""An exported model gives the same answers through ONNX Runtime, and with int8 nearly the same ones."""

import json
import shutil
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import transformers

from bertwright.config import FinetuneRecipe
from bertwright.export import export
from bertwright.finetune import finetune
from bertwright.predict import Predictor
from bertwright.recipe import load_recipe
from helpers import SMALL_FINETUNING, SMALL_TRAINING, call, refused, write_recipe

TEXTS = ["房间很好。", "早餐", "", "又脏又乱，非常失望，下次不来。", "房间很好。" * 30]


@pytest.mark.parametrize("pooling", ["mean", "cls"])
def test_the_exported_model_answers_the_same(trained: Path, tmp_path: Path, pooling: str) -> None:
    run = trained / "finetuned"
    if pooling == "cls":
        start = {"checkpoint": str(trained / "pretrained" / "best"), "pooling": "cls"}
        values = {**SMALL_FINETUNING, "start": start, "train": {**SMALL_TRAINING, "epochs": 8}}
        finetune(load_recipe(FinetuneRecipe, write_recipe(tmp_path, base=trained, **values)))
        run = tmp_path / "finetuned"
    result = export(run, tmp_path / "exported", data=trained / "test.csv")
    assert result["difference"] < 1e-4
    ours, exported = Predictor.load(run), Predictor.load(tmp_path / "exported")
    expected = np.stack(ours.answers([ours.task.example(text) for text in TEXTS]))
    found = np.stack(exported.answers([exported.task.example(text) for text in TEXTS]))
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert np.ptp(expected[:, 0]) > 1e-4, "equal answers would prove nothing"
    assert result["metrics"]["exported"] == pytest.approx(result["metrics"]["torch"], rel=1e-4)


def test_other_runtimes_read_it(trained: Path, tmp_path: Path) -> None:
    """With the tokenizer of `transformers`, as an engineer would: padded, in one batch."""
    export(trained / "finetuned", tmp_path / "exported")
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path / "exported")
    inputs = tokenizer(TEXTS[:4], return_tensors="np", padding=True)
    session = onnxruntime.InferenceSession(
        str(tmp_path / "exported" / "model.onnx"), providers=["CPUExecutionProvider"]
    )
    wanted = {each.name for each in session.get_inputs()}
    (found,) = session.run(None, {name: array for name, array in inputs.items() if name in wanted})
    ours = Predictor.load(trained / "finetuned")
    logits = np.asarray(found)
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    expected = np.stack(ours.answers([ours.task.example(text) for text in TEXTS[:4]]))
    np.testing.assert_allclose(shares, expected, atol=1e-4)


def test_nothing_but_an_export_is_replaced(trained: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(trained / "finetuned", run)
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    for target in (run, tmp_path, run / "best"):
        refused(call("export", run, "--output", target), "this is no export, and what is written here would replace it")
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before
    for _ in range(2):
        assert call("export", run, "--output", tmp_path / "exported").code == 0


def test_int8_is_smaller_and_near(trained: Path, tmp_path: Path) -> None:
    answer = call(
        "export", trained / "finetuned", "--output", tmp_path / "e", "--int8", "--data", trained / "test.csv", "--json"
    )
    assert answer.code == 0, answer.err
    result = json.loads(answer.out)
    assert result["bytes"]["written"] < result["bytes"]["float32"]
    assert "exported: " in answer.err
    assert abs(result["metrics"]["exported"]["accuracy"] - result["metrics"]["torch"]["accuracy"]) < 0.1
    output = tmp_path / "answers.csv"
    assert call("predict", tmp_path / "e", "--input", trained / "test.csv", "--output", output).code == 0
    assert len(output.read_text(encoding="utf-8").splitlines()) == 33
