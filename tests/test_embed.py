"""Vectors are those of the encoder, in the order of the input, whatever company a text is in."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from pyarrow import parquet

import bertwright.embed as module
from bertwright.embed import Embedder, embed
from bertwright.errors import UserError
from helpers import call, refused

TEXTS = ["房间很好。", "早餐", "", "又脏又乱，非常失望，下次不来。", "房间很好。" * 30, "a b"]


@pytest.fixture
def exact(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compute in float32 on every machine."""
    monkeypatch.setattr(module, "has_bfloat16", lambda: False)


@pytest.fixture
def table(tmp_path: Path) -> Path:
    rows = [{"id": f"r{number}", "text": text} for number, text in enumerate(TEXTS)]
    (tmp_path / "texts.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    return tmp_path / "texts.jsonl"


def their_states(folder: Path, text: str) -> tuple[Any, torch.Tensor]:
    """Ids, and hidden states [layers + 1, L, D], by transformers."""
    inputs = transformers.AutoTokenizer.from_pretrained(folder)(text, return_tensors="pt")
    model: Any = transformers.AutoModel.from_pretrained(folder, add_pooling_layer=False).eval()
    with torch.inference_mode():
        states = model(**inputs, output_hidden_states=True).hidden_states
    return inputs["input_ids"][0], torch.cat(states)


@pytest.mark.parametrize("layer", [None, 0, 1])
@pytest.mark.parametrize("pooling", ["mean", "cls"])
def test_sentences_are_those_of_transformers(trained: Path, layer: int | None, pooling: str) -> None:
    folder = trained / "pretrained" / "best"
    vectors = Embedder.load(folder, layer=layer, pooling=pooling).sentences(TEXTS)
    assert vectors.shape == (len(TEXTS), 32)
    assert vectors.dtype == np.float32
    for number in (0, 1, 2, 3, 5):
        _, states = their_states(folder, TEXTS[number])
        state = states[-1 if layer is None else layer]
        expected = state.mean(dim=0) if pooling == "mean" else state[0]
        np.testing.assert_allclose(vectors[number], expected.numpy(), atol=1e-4)


def test_a_long_text_is_the_mean_over_its_windows(trained: Path) -> None:
    embedder = Embedder.load(trained / "pretrained")
    ids = embedder.checkpoint.tokenizer.encode(TEXTS[4])
    room = embedder.checkpoint.config.max_length - 2
    assert len(ids) > 2 * room
    parts = [embedder.checkpoint.tokenizer.decode(ids[begin : begin + room]) for begin in range(0, len(ids), room)]
    assert np.array_equal(np.concatenate(embedder.checkpoint.tokenizer.encode_batch(parts)), ids)
    sizes = np.array([min(room, len(ids) - begin) + 2 for begin in range(0, len(ids), room)])
    expected = (embedder.sentences(parts) * sizes[:, None]).sum(axis=0) / sizes.sum()
    np.testing.assert_allclose(embedder.sentences([TEXTS[4]])[0], expected, atol=1e-5)


def test_tokens_and_words(trained: Path) -> None:
    folder = trained / "pretrained" / "best"
    embedder = Embedder.load(folder)
    ids, states = their_states(folder, TEXTS[3])
    (tokens,) = embedder.tokens([TEXTS[3]])
    assert [token for token, _ in tokens] == embedder.checkpoint.tokenizer.tokens(ids[1:-1].numpy())
    np.testing.assert_allclose(np.stack([vector for _, vector in tokens]), states[-1][1:-1].numpy(), atol=1e-4)


@pytest.mark.data
def test_words_are_the_mean_of_their_pieces(checkpoints: Path) -> None:
    embedder = Embedder.load(checkpoints / "english-minilm")
    text = "Unbelievably, tokenization splits handwriting."
    (words,), (pieces,) = embedder.tokens([text], words=True), embedder.tokens([text])
    assert [word for word, _ in words] == ["unbelievably", ",", "tokenization", "splits", "handwriting", "."]
    assert len(pieces) > len(words)
    whole = np.stack([vector for _, vector in pieces])
    begins = [number for number, (piece, _) in enumerate(pieces) if not piece.startswith("##")]
    for number, (begin, end) in enumerate(zip(begins, [*begins[1:], len(pieces)], strict=True)):
        np.testing.assert_allclose(words[number][1], whole[begin:end].mean(axis=0), atol=1e-5)


@pytest.mark.usefixtures("exact")
def test_files_keep_the_order(trained: Path, table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CHUNKS", {"sentences": 4})
    expected = Embedder.load(trained / "pretrained").sentences(TEXTS)
    for suffix in ("npy", "jsonl", "parquet"):
        result = embed(trained / "pretrained", str(table), str(tmp_path / f"vectors.{suffix}"))
        assert (result["texts"], result["vectors"], result["width"]) == (6, 6, 32)
    np.testing.assert_allclose(np.load(tmp_path / "vectors.npy"), expected, atol=1e-5)
    lines = [json.loads(line) for line in (tmp_path / "vectors.jsonl").read_text(encoding="utf-8").splitlines()]
    for rows in (lines, parquet.read_table(tmp_path / "vectors.parquet").to_pylist()):
        assert [(row["id"], row["text"]) for row in rows] == [(f"r{n}", text) for n, text in enumerate(TEXTS)]
        np.testing.assert_allclose([row["vector"] for row in rows], expected, atol=1e-5)


@pytest.mark.parametrize("unit", ["words", "tokens"])
def test_units_in_files(trained: Path, table: Path, tmp_path: Path, unit: str) -> None:
    words = ("embed", trained / "pretrained", "--input", table, "--unit", unit, "--output")
    answer = call(*words, tmp_path / "vectors.parquet", "--json")
    assert answer.code == 0, answer.err
    rows = parquet.read_table(tmp_path / "vectors.parquet").to_pylist()
    assert len(rows) == json.loads(answer.out)["vectors"] > len(TEXTS)
    assert [row["number"] for row in rows if row["id"] == "r0"] == list(range(5))
    assert "".join(row["text"] for row in rows if row["id"] == "r0") == TEXTS[0]
    refused(call(*words, tmp_path / "o.npy"), f"cannot write {unit} to .npy", ".jsonl or .parquet")
    assert not (tmp_path / "o.npy").exists()


def test_bfloat16_is_near(trained: Path, table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "has_bfloat16", lambda: True)
    embed(trained / "pretrained", str(table), str(tmp_path / "vectors.npy"))
    expected = Embedder.load(trained / "pretrained").sentences(TEXTS)
    np.testing.assert_allclose(np.load(tmp_path / "vectors.npy"), expected, atol=0.05)


def test_what_cannot_be(trained: Path, table: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"layer 2\n  expected: 0 \(the embeddings\) to 1"):
        Embedder.load(trained / "pretrained", layer=2)
    refused(call("embed", trained / "pretrained", "--input", table, "--output", tmp_path / "v.txt"), "cannot write")
    pipe = call(
        "embed", trained / "pretrained", "--input", "-", "--output", tmp_path / "v.npy", stdin="好\n坏\n".encode()
    )
    assert (pipe.code, np.load(tmp_path / "v.npy").shape) == (0, (2, 32))
