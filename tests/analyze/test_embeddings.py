"""Embeddings: neighbours by cosine, tokens around the words, a map that keeps what is close together."""

import json
from pathlib import Path

import numpy as np
import pytest

from bertwright.analyze.embeddings import best_layer, embeddings, nearest, places, static_neighbours, tokens_around
from bertwright.analyze.senses import lone_pieces, read_sentences, word_vectors
from bertwright.analyze.vectors import Reader, normalized
from bertwright.config import TokenizerSettings
from bertwright.errors import UserError
from bertwright.report import write_report
from bertwright.tokenizer import Tokenizer
from helpers import call


@pytest.fixture
def table(tmp_path: Path) -> Path:
    rows = [
        f"{word}\t{group}\t{begin}的{word}{end}"
        for word in ("房间", "早餐")
        for group, begin in (("一", "前台"), ("二", "手机"))
        for end in ("很好。", "很差。")
    ]
    path = tmp_path / "words.tsv"
    path.write_text("word\tgroup\ttext\n" + "\n".join(rows) + "\n", encoding="utf-8")
    return path


def test_nearest_by_hand() -> None:
    units = normalized(np.array([[1.0, 0.0], [1.0, 1.0], [0.0, 1.0], [1.0, 0.1], [1.0, 0.2], [1.0, 0.3]]))
    found = nearest(["a", "b", "c", "，", "B", "Own"], units, np.array([2.0, 0.0]), {"own"})
    assert [token for token, _ in found] == ["a", "B", "b", "c"]
    assert found[0][1] == 1.0
    assert found[2][1] == pytest.approx(np.sqrt(0.5), abs=1e-4)


def test_static_neighbours_are_those_of_the_table(trained: Path) -> None:
    reader = Reader.load(trained / "pretrained")
    tokenizer = reader.checkpoint.tokenizer
    table = reader.model.encoder.token_embedding.weight.detach().numpy()
    own = tokenizer.encode("房间")
    wanted = table[own] / np.linalg.norm(table[own], axis=1, keepdims=True)
    wanted = wanted.mean(axis=0)
    for token, cosine in static_neighbours(reader, "房间", own):
        row = table[tokenizer.tokens(np.arange(len(table))).index(token)]
        assert row @ wanted / np.linalg.norm(row) / np.linalg.norm(wanted) == pytest.approx(cosine, abs=1e-3)
        assert token not in ("房", "间", "[MASK]", "[CLS]")
    with pytest.raises(UserError, match="knows no part of '麒麟'"):
        static_neighbours(reader, "麒麟", tokenizer.encode("麒麟"))


def test_tokens_around_are_all_but_the_word(trained: Path, table: Path) -> None:
    reader = Reader.load(trained / "pretrained")
    sentences = read_sentences(table)[0]
    _, readings = word_vectors(reader, sentences)
    tokens, units = tokens_around(reader, sentences, readings, 1)
    assert "".join(tokens[:5]) == "前台[UNK]很好"
    assert "房" not in tokens
    np.testing.assert_allclose(np.linalg.norm(units, axis=1), 1, atol=1e-5)


def test_the_best_layer_is_where_the_senses_part(table: Path) -> None:
    generator = np.random.default_rng(1)
    senses = np.array([[1.0, 0, 0]] * 2 + [[0, 1.0, 0]] * 2)
    noise = generator.normal(size=(4, 3))
    assert best_layer([np.stack([noise, senses, noise])], [read_sentences(table)[0]]) == 1


def test_the_map_shows_what_differs_most() -> None:
    generator = np.random.default_rng(2)
    vectors = np.concatenate([generator.normal(size=(6, 8)) * 0.1 + 3 * np.eye(8)[number] for number in range(2)])
    found = places(vectors)
    assert found.shape == (12, 2)
    assert len(set(np.sign(found[:6, 0]))) == len(set(np.sign(found[6:, 0]))) == 1
    assert found[0, 0] * found[6, 0] < 0
    between = found[:6].mean(axis=0) - found[6:].mean(axis=0)
    assert np.linalg.norm(between) == pytest.approx(np.sqrt(2), abs=0.1)  # of vectors of length 1 at a right angle
    np.testing.assert_allclose(places(np.ones((4, 3))), 0, atol=1e-7)


def test_tokens_without_sentences(trained: Path, tmp_path: Path) -> None:
    answer = call(
        "analyze", "embeddings", trained / "pretrained", "--token=房间", "--token=好", "--run", tmp_path, "--json"
    )
    assert answer.code == 0, answer.err
    result = json.loads(answer.out)
    reader = Reader.load(trained / "pretrained")
    own = reader.checkpoint.tokenizer.encode("房间")
    assert result["tokens"][0] == {"token": "房间", "static": list(map(list, static_neighbours(reader, "房间", own)))}
    assert [token["token"] for token in result["tokens"]] == ["房间", "好"]
    assert result["words"] == []
    assert "房间" in (tmp_path / "report.html").read_text(encoding="utf-8")
    with pytest.raises(UserError, match="by --token"):
        embeddings(trained / "pretrained")


def test_lone_pieces_are_those_within_a_sentence() -> None:
    tokenizer = Tokenizer.train(
        ["the bank of the river", "a bank in the town", "去银行"] * 20,
        TokenizerSettings(kind="bpe", vocabulary_size=300, minimum_frequency=2),
    )
    assert tokenizer.tokens(lone_pieces(tokenizer, "bank")) == ["Ġbank"]
    assert tokenizer.decode(lone_pieces(tokenizer, "银行")) == "银行"


def test_the_command_and_its_page(trained: Path, table: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    answer = call("analyze", "embeddings", trained / "pretrained", table, "--run", run, "--json")
    assert answer.code == 0, answer.err
    result = json.loads(answer.out)
    assert np.shape(result["maps"]) == (2, 8, 2)
    assert [word["word"] for word in result["words"]] == ["房间", "早餐"]
    assert json.loads((run / "results" / "embeddings.json").read_text(encoding="utf-8")) == result
    for language, told in (("en", "nearest tokens in context"), ("zh", "上下文中最近的词元")):
        assert told in write_report([run], tmp_path / "page.html", language=language).read_text(encoding="utf-8")
