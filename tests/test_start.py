"""Pre-training that goes on from a checkpoint: the same model, sensible rows for new tokens, what does not fit told."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from bertwright.checkpoint import load_checkpoint
from bertwright.config import PretrainRecipe
from bertwright.errors import UserError
from bertwright.pretrain import pretrain
from bertwright.recipe import parse
from bertwright.run import read_json
from bertwright.tokenizer import Tokenizer
from helpers import SMALL_TRAINING

GENERAL = [
    "backyard schoolgirl electric tachometer sympathy program radiation",
    "a dog and a cat went home",
    "the dog ate on the mat",
]
MEDICAL = [
    "the electrocardiogram and the cat",
    "an electrocardiogram and a dog",
    "tachycardia and the cat",
]


def recipe(folder: Path, name: str, texts: list[str], **sections: Any) -> PretrainRecipe:
    """A run of two steps on a corpus of these texts, repeated."""
    file = folder / f"{name}.txt"
    file.write_text("".join(f"{text} {number}\n" for number in range(30) for text in texts), encoding="utf-8")
    values = {
        "run": str(folder / name),
        "store": str(folder / f"{name}-store"),
        "corpus": {"files": [str(file)], "held_out": 0.2},
        "train": {**SMALL_TRAINING, "steps": 2},
        **sections,
    }
    return parse(PretrainRecipe, values)


@pytest.fixture(scope="module")
def general(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of general English."""
    folder = tmp_path_factory.mktemp("general")
    model = {"layers": 1, "width": 32, "heads": 2, "inner_width": 64, "max_length": 64}
    pretrain(recipe(folder, "general", GENERAL, model=model, tokenizer={"vocabulary_size": 200}))
    return folder / "general" / "best"


def still(folder: Path, start: Path, **sections: Any) -> PretrainRecipe:
    """A run from a checkpoint whose rate is so small that the weights stay."""
    optimizer = {"learning_rate": 1e-12, "weight_decay": 0.0}
    return recipe(folder, "medical", MEDICAL, start={"checkpoint": str(start)}, optimizer=optimizer, **sections)


def test_the_model_goes_on_as_it_was(general: Path, tmp_path: Path) -> None:
    result = pretrain(still(tmp_path, general))
    before, after = load_checkpoint(general), load_checkpoint(tmp_path / "medical" / "best")
    assert after.config == before.config
    assert after.tokenizer.hash == before.tokenizer.hash
    for name, weight in before.weights.items():
        torch.testing.assert_close(after.weights[name], weight, atol=1e-6, rtol=0)
    assert read_json(tmp_path / "medical" / "results" / "start.json")["fresh"] == []
    assert result["expected_first_loss"] is None, "it is no untrained model"


def test_added_tokens_begin_as_the_mean_of_their_pieces(general: Path, tmp_path: Path) -> None:
    pretrain(still(tmp_path, general, tokenizer={"added_tokens": 2}))
    before, after = load_checkpoint(general), load_checkpoint(tmp_path / "medical" / "best")
    size = before.tokenizer.vocabulary_size
    words = after.tokenizer.tokens(np.arange(size, size + 2))
    assert words == ["electrocardiogram", "tachycardia"], "the most frequent words that were none; ties by the alphabet"
    assert after.tokenizer.tokens(np.arange(size)) == before.tokenizer.tokens(np.arange(size))
    assert len(after.tokenizer.encode("electrocardiogram")) == 1
    for name in ("encoder.token_embedding.weight", "token_bias"):
        old, new = before.weights[name], after.weights[name]
        torch.testing.assert_close(new[: len(old)], old, atol=1e-6, rtol=0)
        for number, word in enumerate(words, start=size):
            pieces = torch.from_numpy(before.tokenizer.encode(word)).long()
            assert len(pieces) > 3
            torch.testing.assert_close(new[number], old[pieces].mean(dim=0), atol=1e-6, rtol=0)
    assert read_json(tmp_path / "medical" / "results" / "start.json")["added_tokens"] == words


def test_a_run_from_a_checkpoint_can_be_resumed(general: Path, tmp_path: Path) -> None:
    given = still(tmp_path, general)
    pretrain(given)
    again = pretrain(given, resume=True)
    assert again["steps"] == 2


def test_another_tokenizer_is_told(general: Path, tmp_path: Path) -> None:
    pretrain(recipe(tmp_path, "other", MEDICAL, model={"layers": 1, "width": 32, "heads": 2}))
    given = still(tmp_path, general).model_copy(update={"store": str(tmp_path / "other-store"), "corpus": None})
    with pytest.raises(UserError, match="another tokenizer than the checkpoint"):
        pretrain(given)


@pytest.mark.parametrize(
    ("sections", "message"),
    [
        ({"model": {"layers": 3}}, "the recipe names a shape"),
        ({"train": {**SMALL_TRAINING, "steps": 2, "length": 128}}, "train.length 128 exceeds model.max_length 64"),
    ],
)
def test_what_does_not_fit_the_checkpoint_is_told(
    general: Path, tmp_path: Path, sections: dict[str, Any], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        pretrain(still(tmp_path, general, **sections))


def test_tokens_cannot_be_added_to_bytes() -> None:
    settings = parse(
        PretrainRecipe,
        {
            "run": "r",
            "store": "s",
            "tokenizer": {"kind": "bpe", "vocabulary_size": 300, "added_tokens": 5, "folder": "x"},
            "train": {"steps": 1},
        },
    ).tokenizer
    with pytest.raises(UserError, match="cannot be added to a tokenizer of kind bpe"):
        Tokenizer.train(GENERAL, settings).extended(MEDICAL, settings)
