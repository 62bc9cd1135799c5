"""Checkpoints: what is written is read again, nothing in them is run, and a failed save leaves the old one."""

import json
import pickle
import shutil
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
import transformers

from bertwright.checkpoint import Description, load_checkpoint, load_weights, read_state, save_checkpoint
from bertwright.config import ModelConfig
from bertwright.errors import UserError
from bertwright.model.heads import ClassificationModel, PretrainingModel
from helpers import SMALL_PRETRAINING, call, refused, small_tokenizer, write_recipe

CONFIG = ModelConfig(layers=1, width=16, heads=2, inner_width=24, vocabulary_size=95, max_length=16, dropout=0.1)
LABELS = [f"label {number}" for number in range(12)]
"""More than ten: as text, 10 comes before 2."""


def save_classifier(folder: Path, state: dict[str, Any] | None = None, seed: int = 1) -> ClassificationModel:
    torch.manual_seed(seed)
    model = ClassificationModel(CONFIG, len(LABELS), pooling="cls")
    facts = {"task": "classify", "pooling": "cls", "length": 16}
    save_checkpoint(folder, model, small_tokenizer(), Description(CONFIG, "bert", "classify", facts, LABELS), state)
    return model


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    model = save_classifier(tmp_path / "best")
    checkpoint = load_checkpoint(tmp_path / "best")
    assert checkpoint.config == CONFIG.model_copy(update={"preset": None})
    assert checkpoint.labels == LABELS
    assert checkpoint.unknown == []
    assert checkpoint.tokenizer.hash == small_tokenizer().hash
    assert {"task": "classify", "pooling": "cls", "length": 16, "layout": "bert"}.items() <= checkpoint.facts.items()
    again = ClassificationModel(CONFIG, len(LABELS), pooling="cls")
    assert load_weights(again, checkpoint) == []
    for (name, one), (_, other) in zip(model.named_parameters(), again.named_parameters(), strict=True):
        assert torch.equal(one, other), name
    files = {
        "config.json",
        "model.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
        "bertwright.json",
        "README.md",
    }
    assert {entry.name for entry in (tmp_path / "best").iterdir()} == files
    assert "BertForSequenceClassification" in (tmp_path / "best" / "README.md").read_text(encoding="utf-8")
    config = transformers.AutoConfig.from_pretrained(tmp_path / "best")
    assert config.id2label == dict(enumerate(LABELS))


def test_heads_that_a_checkpoint_lacks_are_told(tmp_path: Path) -> None:
    """They keep the weights that they were drawn with, and their names are given."""
    save_classifier(tmp_path / "best")
    checkpoint = load_checkpoint(tmp_path / "best")
    torch.manual_seed(5)
    model = PretrainingModel(CONFIG, pair=True)
    drawn = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    fresh = load_weights(model, checkpoint)
    assert {name.partition(".")[0] for name in fresh} == {"transform", "token_bias", "pair_head"}
    assert all(torch.equal(drawn[name], parameter) for name, parameter in model.named_parameters() if name in fresh)
    name = "encoder.token_embedding.weight"
    assert torch.equal(dict(model.named_parameters())[name], checkpoint.weights[name])


def test_unknown_weights_are_told(tmp_path: Path) -> None:
    save_classifier(tmp_path / "best")
    file = tmp_path / "best" / "model.safetensors"
    weights = safetensors.torch.load_file(file)
    safetensors.torch.save_file({**weights, "decoder.gate": torch.zeros(3)}, file)
    assert load_checkpoint(tmp_path / "best").unknown == ["decoder.gate"]


def test_a_weight_of_another_shape(tmp_path: Path) -> None:
    save_classifier(tmp_path / "best")
    wider = ClassificationModel(CONFIG, 13, pooling="cls")
    with pytest.raises(UserError, match=r"classifier.weight has shape \[12, 16\]\n  expected: \[13, 16\]"):
        load_weights(wider, load_checkpoint(tmp_path / "best"))


def test_a_model_of_another_family(tmp_path: Path) -> None:
    save_classifier(tmp_path / "best")
    config = tmp_path / "best" / "config.json"
    values = json.loads(config.read_text(encoding="utf-8"))
    for change, told in (
        ({"model_type": "gpt2"}, "a model of type 'gpt2'"),
        ({"hidden_act": "relu"}, "hidden_act is"),
        ({"num_attention_heads": 3}, "width 16 is no multiple of heads 3"),
        ({"hidden_size": "wide"}, "width: Input should be a valid integer"),
    ):
        config.write_text(json.dumps(values | change), encoding="utf-8")
        with pytest.raises(UserError, match=told):
            load_checkpoint(tmp_path / "best")


def test_a_failed_save_leaves_the_old_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_classifier(tmp_path / "best", seed=1)
    before = (tmp_path / "best" / "model.safetensors").read_bytes()

    def failing(*_: Any, **__: Any) -> None:
        raise MemoryError

    monkeypatch.setattr(torch, "save", failing)  # the last file
    with pytest.raises(MemoryError):
        save_classifier(tmp_path / "best", state={"position": {}}, seed=2)
    monkeypatch.undo()
    assert (tmp_path / "best" / "model.safetensors").read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["best"]
    save_classifier(tmp_path / "best", seed=2)
    assert (tmp_path / "best" / "model.safetensors").read_bytes() != before
    assert [entry.name for entry in tmp_path.iterdir()] == ["best"]


# ---------------------------------------------------------------------------------------------- pickles


class Trap:
    """Unpickling it makes a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = str(folder)

    def __reduce__(self) -> tuple[Any, ...]:
        import os

        return os.mkdir, (self.folder,)


@pytest.mark.parametrize("form", ["zip", "pickle"])
def test_code_in_a_training_state_is_refused_and_not_run(tmp_path: Path, form: str) -> None:
    save_classifier(tmp_path / "step-00000001")
    sprung = tmp_path / "sprung"
    file = tmp_path / "step-00000001" / "train.pt"
    if form == "zip":
        torch.save({"position": Trap(sprung)}, file)
    else:
        file.write_bytes(pickle.dumps({"position": Trap(sprung)}, protocol=2))
    with pytest.raises(UserError, match="the training state cannot be read"):
        read_state(tmp_path / "step-00000001")
    assert not sprung.exists()
    if form == "zip":
        torch.load(file, weights_only=False)
    else:
        pickle.loads(file.read_bytes())
    assert sprung.exists(), "the trap works"


def test_resuming_from_a_state_with_code_in_it(trained: Path, tmp_path: Path) -> None:
    shutil.copytree(trained / "pretrained", tmp_path / "pretrained")
    torch.save({"position": Trap(tmp_path / "sprung")}, tmp_path / "pretrained/checkpoints/step-00000005/train.pt")
    answer = call("pretrain", write_recipe(tmp_path, base=trained, **SMALL_PRETRAINING), "--resume")
    refused(answer, "train.pt: the training state cannot be read")
    assert not (tmp_path / "sprung").exists()


def test_code_in_old_weights_is_refused_and_not_run(trained: Path, tmp_path: Path) -> None:
    shutil.copytree(trained / "pretrained" / "best", tmp_path / "model")
    (tmp_path / "model" / "model.safetensors").unlink()
    torch.save({"weights": Trap(tmp_path / "sprung")}, tmp_path / "model" / "pytorch_model.bin")
    refused(call("fill", tmp_path / "model", "很[MASK]"), "pytorch_model.bin: the file holds more than weights")
    assert not (tmp_path / "sprung").exists()


def test_a_state_is_what_was_saved(tmp_path: Path) -> None:
    state = {"position": {"step": 3, "best": 0.1, "evaluation": {"loss": 2.5}}, "random": torch.get_rng_state()}
    save_classifier(tmp_path / "step", state=state)
    again = read_state(tmp_path / "step")
    assert again["position"] == state["position"]
    assert torch.equal(again["random"], torch.as_tensor(state["random"]))
    (tmp_path / "step" / "train.pt").unlink()
    with pytest.raises(UserError, match="no training can go on from here"):
        read_state(tmp_path / "step")
