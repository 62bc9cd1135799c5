"""Real pre-trained encoders give the vectors that `transformers` gives, and survive being saved by us."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers

from bertwright.batches import SpecialTokens, pack
from bertwright.checkpoint import Checkpoint, Description, load_checkpoint, load_weights, save_checkpoint
from bertwright.model.heads import PretrainingModel

NAMES = ("english-minilm", "english-tiny-mlm", "multilingual-e5-small")

TEXTS = [
    "I saw a saw.",
    "The horse raced past the barn fell, and nobody at the diner was surprised.",
    "今天天气很好，我们去公园散步吧。",
    "Ein kurzer Satz;  mit zwei Leerzeichen, Ünïcödé und 3,14.",
    "한국어와 日本語テキスト 👍🏽 e\u0301",
    "",
]

pytestmark = pytest.mark.data


@pytest.fixture(params=NAMES)
def checkpoint(request: pytest.FixtureRequest, checkpoints: Path) -> Checkpoint:
    """One of the encoders."""
    return load_checkpoint(checkpoints / request.param)


def model_of(checkpoint: Checkpoint) -> tuple[PretrainingModel, list[str]]:
    """The encoder with a masked-token head, and what the checkpoint did not have."""
    torch.manual_seed(1)
    model = PretrainingModel(checkpoint.config, pair=False).eval()
    return model, load_weights(model, checkpoint)


def test_ids_are_those_of_transformers(checkpoint: Checkpoint) -> None:
    theirs = transformers.AutoTokenizer.from_pretrained(checkpoint.folder)
    for text in TEXTS:
        assert checkpoint.tokenizer.encode(text).tolist() == theirs(text, add_special_tokens=False)["input_ids"], text


@pytest.mark.parametrize("share_rows", [False, True])
def test_hidden_states_and_logits(checkpoint: Checkpoint, share_rows: bool) -> None:
    """Padded and packed."""
    special = SpecialTokens.of(checkpoint.tokenizer)
    ids = checkpoint.tokenizer.encode_batch(TEXTS)
    sequences = [(one,) for one in ids] + [(ids[0], ids[1]), (ids[2], ids[3])]
    rows = pack(sequences, special, length=64, share_rows=share_rows)
    assert len(rows.input_ids) == len(sequences) or share_rows
    model, fresh = model_of(checkpoint)
    batch = rows.batch()
    with torch.inference_mode():
        hidden = model.encoder(*batch.inputs).flatten(0, 1)
        tokens = batch.sequence_ids.flatten().nonzero()[:, 0]
        of_tokens, _ = model(*batch.inputs, tokens, batch.sequence_starts)
        logits = of_tokens.new_zeros(len(hidden), of_tokens.shape[1]).index_copy(0, tokens, of_tokens)
    reference: Any = transformers.AutoModelForMaskedLM.from_pretrained(checkpoint.folder).eval()
    for place, sample in zip(rows.sequence_starts, rows.sample_ids, strict=True):
        size = int((rows.sequence_ids == rows.sequence_ids.ravel()[place]).sum())
        span = slice(place, place + size)
        inputs = {
            "input_ids": torch.from_numpy(rows.input_ids.ravel()[span].astype(np.int64))[None],
            "token_type_ids": torch.from_numpy(rows.segment_ids.ravel()[span].astype(np.int64))[None],
        }
        with torch.inference_mode():
            output = reference(**inputs, output_hidden_states=True)
        torch.testing.assert_close(hidden[span], output.hidden_states[-1][0], atol=1e-4, rtol=0, msg=f"{sample}")
        if not fresh:
            torch.testing.assert_close(logits[span], output.logits[0], atol=1e-4, rtol=0)
    assert (not fresh) == (checkpoint.folder.name == "english-tiny-mlm")


def test_round_trip(checkpoint: Checkpoint, tmp_path: Path) -> None:
    """Saved by us, read by transformers, saved by transformers, read by us: the same numbers."""
    model, _ = model_of(checkpoint)
    description = Description(checkpoint.config, checkpoint.family, "masked_tokens", {})
    save_checkpoint(tmp_path / "ours", model, checkpoint.tokenizer, description, None)
    theirs, info = transformers.AutoModelForMaskedLM.from_pretrained(tmp_path / "ours", output_loading_info=True)
    assert not any(info[kind] for kind in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path / "ours")
    theirs.save_pretrained(tmp_path / "theirs")
    tokenizer.save_pretrained(tmp_path / "theirs")
    again = load_checkpoint(tmp_path / "theirs")
    assert again.unknown == []
    for name, parameter in model.named_parameters():
        assert torch.equal(parameter, again.weights[name]), name
    for text in TEXTS:
        assert again.tokenizer.encode(text).tolist() == checkpoint.tokenizer.encode(text).tolist()
        assert tokenizer(text)["input_ids"] == [
            checkpoint.tokenizer.cls_id,
            *checkpoint.tokenizer.encode(text).tolist(),
            checkpoint.tokenizer.sep_id,
        ]
