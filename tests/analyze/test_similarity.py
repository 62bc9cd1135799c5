"""Similarity: vectors are those of transformers at every layer, groups are compared as they should be, words found."""

import itertools
import json
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers

from bertwright.analyze.senses import SHIPPED, Sentence, place_of, read_sentences, usual_pieces
from bertwright.analyze.similarity import compared, cosines, permutation_test, similarity
from bertwright.analyze.vectors import Reader
from bertwright.config import TokenizerSettings
from bertwright.errors import UserError
from bertwright.report import write_report
from bertwright.tokenizer import Tokenizer
from helpers import call

TEXTS = ["房间很好。", "早餐又脏又乱，非常失望，下次不来。", "a b", "前台的房间"]


# ---------------------------------------------------------------------------------------------- vectors


def test_every_layer_is_that_of_transformers(trained: Path) -> None:
    folder = trained / "pretrained" / "best"
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    model = transformers.AutoModel.from_pretrained(folder, add_pooling_layer=False).eval()
    for text, reading in zip(TEXTS, Reader.load(folder).read(TEXTS), strict=True):
        with torch.inference_mode():
            states = model(**tokenizer(text, return_tensors="pt"), output_hidden_states=True).hidden_states
        np.testing.assert_allclose(reading.vectors, torch.cat(states)[:, 1:-1].numpy(), atol=1e-4)


def test_a_word_is_the_mean_of_the_pieces_that_overlap_it(trained: Path) -> None:
    (reading,) = Reader.load(trained / "pretrained").read([TEXTS[3]])
    pieces = reading.pieces(3, 5)
    assert [tuple(place) for place in reading.offsets[pieces]] == [(3, 4), (4, 5)]
    np.testing.assert_allclose(reading.word(3, 5), reading.vectors[:, pieces].mean(axis=1))


def test_without_attention_the_neighbours_do_not_matter(trained: Path) -> None:
    reader = Reader.load(trained / "pretrained")
    texts = ["早餐的房间很好", "手机又房间失望"]
    (one, other), (alone, other_alone) = reader.read(texts), reader.read(texts, alone=True)
    np.testing.assert_allclose(alone.word(3, 5), other_alone.word(3, 5), atol=1e-5)
    np.testing.assert_allclose(one.word(3, 5)[0], other.word(3, 5)[0], atol=1e-5)  # layer 0: the same place
    assert abs(one.word(3, 5)[1] - other.word(3, 5)[1]).max() > 1e-3
    assert abs(one.word(3, 5)[1] - alone.word(3, 5)[1]).max() > 1e-3


@pytest.mark.parametrize("text", ["", "房间" * 100])
def test_texts_that_cannot_be_read_are_told(trained: Path, text: str) -> None:
    with pytest.raises(UserError, match=r"tokens\n  expected: 1 to 62"):
        Reader.load(trained / "pretrained").read(["早餐", text])


# ---------------------------------------------------------------------------------------------- groups


def test_comparison_by_hand() -> None:
    values = np.array([[1.0, 0.8, 0.1, 0.2], [0.8, 1.0, 0.3, 0.4], [0.1, 0.3, 1.0, 0.25], [0.2, 0.4, 0.25, 1.0]])
    found = compared(values, ["a", "a", "b", "b"])
    assert found["within"] == pytest.approx((0.8 + 0.25) / 2)
    assert found["across"] == pytest.approx((0.1 + 0.2 + 0.3 + 0.4) / 4)
    assert found["gap"] == pytest.approx(0.525 - 0.25)
    assert (found["lowest_within"], found["highest_across"]) == (0.25, 0.4)
    assert found["nearest"] == 0.5  # the third is nearest to the second, the fourth too


def test_the_permutation_test_against_all_permutations() -> None:
    generator = np.random.default_rng(3)
    vectors = generator.normal(size=(7, 5)) + 0.8 * np.array([[1, 0, 0, 0, 0]] * 3 + [[0] * 5] * 4)
    values, numbers = cosines(vectors), np.array([0, 0, 0, 1, 1, 1, 1])
    gaps = [compared_gap(values, chosen) for chosen in itertools.combinations(range(7), 3)]
    exact = np.mean(np.array(gaps) >= gaps[0] - 1e-9)
    assert 0.02 < exact < 0.6
    assert permutation_test(values, numbers) == pytest.approx(exact, abs=0.02)


def test_permutations_that_are_as_good_count_in_float32_too() -> None:
    """Of the 252 ways to part ten sentences 5 + 5, two are the given one: p cannot lie below 2 / 252."""
    generator = np.random.default_rng(8)
    labels = ["a"] * 5 + ["b"] * 5
    for _ in range(10):
        centres = np.repeat(generator.normal(size=(2, 384)), 5, axis=0)
        vectors = (centres + 0.1 * generator.normal(size=(10, 384))).astype(np.float32)
        units = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        for values in (cosines(vectors), units @ units.T):
            assert compared(values, labels)["p"] == pytest.approx(2 / 252, rel=0.2)


def test_the_permutation_test_needs_little_memory() -> None:
    """A number for each sentence and permutation, not for each pair."""
    values = cosines(np.random.default_rng(0).normal(size=(150, 8)))
    tracemalloc.start()
    permutation_test(values, np.repeat([0, 1, 2], 50))
    assert tracemalloc.get_traced_memory()[1] < 10 * 8 * 150 * 9999  # the pairs would be 75 times 8 * 150 * 9999
    tracemalloc.stop()


def compared_gap(values: np.ndarray, chosen: tuple[int, ...]) -> float:
    within, across = [], []
    for one, other in itertools.combinations(range(len(values)), 2):
        (within if (one in chosen) == (other in chosen) else across).append(values[one, other])
    return float(np.mean(within) - np.mean(across))


def test_without_a_difference_p_is_spread_evenly() -> None:
    generator = np.random.default_rng(5)
    numbers = np.repeat([0, 1], 6)
    found = [permutation_test(cosines(generator.normal(size=(12, 8))), numbers) for _ in range(60)]
    assert 0.35 < np.mean(found) < 0.65
    assert np.mean(np.array(found) < 0.05) < 0.15


# ---------------------------------------------------------------------------------------------- sentences


def test_places_of_words() -> None:
    assert place_of("apple", "Pineapple and Apple") == 14
    assert place_of("apple", "Pineapples") is None
    assert place_of("苹果", "喝苹果汁") == 1
    assert place_of("bank", "the bank.") == 4
    assert place_of("bank", "Bankers at the Bank") == 15
    assert place_of("", "text") == 0


@pytest.mark.parametrize(
    ("word", "text", "begin"),
    [
        ("りんご", "赤いりんごを食べる", 2),
        ("リンゴ", "これはリンゴです", 3),
        ("사과", "나는 사과를 먹다", 3),
        ("แอปเปิล", "กินแอปเปิลทุกวัน", 3),
        ("apple", "買了apple來吃", 2),
        ("苹果", "新款iPhone苹果5发布", 8),
        ("кот", "котик и кот", 8),
        ("ا", "باب", None),
    ],
)
def test_words_of_scripts_without_spaces_may_touch(word: str, text: str, begin: int | None) -> None:
    assert place_of(word, text) == begin


def test_the_pieces_of_a_word_are_those_within_a_sentence() -> None:
    """A tokenizer of bytes has the space before a word in it: by itself, a word is another token."""
    texts = ["the bank of the river", "a bank in the town", "bank on it", "my bank is far"] * 20
    tokenizer = Tokenizer.train(texts, TokenizerSettings(kind="bpe", vocabulary_size=300, minimum_frequency=2))
    sentences = [Sentence("bank", "a", text, text.index("bank"), text.index("bank") + 4) for text in texts[:4]]
    assert tokenizer.tokens(usual_pieces(tokenizer, sentences)) == ["Ġbank"]
    assert tokenizer.tokens(tokenizer.encode("bank")) != ["Ġbank"]


def test_the_tables_that_come_along() -> None:
    for name in ("apple-traditional", "apple-simplified"):
        (sentences,) = read_sentences(name)
        assert [sentence.group for sentence in sentences] == ["水果"] * 5 + ["公司"] * 5
    words = read_sentences("english")
    assert len(words) == 10
    assert all(len(sentences) == 12 for sentences in words)
    assert {path.stem for path in SHIPPED.iterdir()} == {"apple-traditional", "apple-simplified", "english"}


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        (["房间\t一\t早餐很好"], "does not stand in '早餐很好'"),
        (["房间\t一\t房间", "房间\t一\t的房间"], "all sentences of '房间' are of one group"),
        (["房间\t一\t房间", "房间\t一\t房间好", "房间\t二\t房间差"], "the group '二' of '房间' has 1 sentence"),
        (["房间\t一"], "fields"),
    ],
)
def test_bad_tables(tmp_path: Path, rows: list[str], told: str) -> None:
    path = tmp_path / "table.tsv"
    path.write_text("word\tgroup\ttext\n" + "\n".join(rows) + "\n", encoding="utf-8")
    with pytest.raises(UserError, match=told) as raised:
        read_sentences(path)
    assert raised.value.file == path


def test_words_and_tables_that_do_not_exist(rooms: Path) -> None:
    with pytest.raises(UserError, match="there is no sentence for '早餐'"):
        read_sentences(rooms, ["房间", "早餐"])
    with pytest.raises(UserError, match="apple-simplified, apple-traditional, english"):
        read_sentences("nothing")


# ---------------------------------------------------------------------------------------------- command and page


def test_the_command_and_its_page(trained: Path, rooms: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    answer = call("analyze", "similarity", trained / "pretrained", rooms, "--run", run, "--json")
    assert answer.code == 0, answer.err
    result = json.loads(answer.out)
    (word,) = result["words"]
    assert len(word["layers"]) == 2
    assert word["sentences"][0]["pieces"] == ["房", "间"]
    assert not any(sentence["reaches_outside"] for sentence in word["sentences"])
    values = np.array(word["layers"][1]["cosines"]) - 2 * np.eye(6)
    assert [values[n, near] for n, near in enumerate(word["layers"][1]["neighbours"])] == values.max(axis=1).tolist()
    assert json.loads((run / "results" / "similarity.json").read_text(encoding="utf-8")) == result
    for language, told in (("en", "One word in many sentences"), ("zh", "一个词在许多句子里")):
        page = write_report([run], tmp_path / "page.html", language=language).read_text(encoding="utf-8")
        assert told in page
        assert "早餐的房间很好。" in page


@pytest.mark.data
def test_real_vectors_know_their_neighbours(checkpoints: Path, data: Path) -> None:
    """MiniLM tells two senses of ten English words apart."""
    del data
    words = similarity(checkpoints / "english-minilm", "english")["words"]
    for word in words:
        assert abs(word["layers"][0]["gap"]) < 0.03
        assert min(layer["p"] for layer in word["layers"]) < 0.01


@pytest.mark.data
def test_a_piece_that_reaches_outside_is_told(checkpoints: Path, data: Path, tmp_path: Path) -> None:
    """E5 keeps 蘋果 as one piece: of 蘋 alone it has no vector."""
    del data
    model = checkpoints / "multilingual-e5-small"
    (word,) = similarity(model, "apple-traditional", folder=tmp_path)["words"]
    assert [sentence["pieces"] for sentence in word["sentences"]] == [["蘋果"]] * 10
    assert not any(sentence["reaches_outside"] for sentence in word["sentences"])
    table = tmp_path / "one.tsv"
    text = (SHIPPED / "apple-traditional.tsv").read_text(encoding="utf-8").replace("蘋果\t", "蘋\t")
    table.write_text(text, encoding="utf-8")
    (word,) = similarity(model, table, folder=tmp_path)["words"]
    assert all(sentence["reaches_outside"] for sentence in word["sentences"])
    page = write_report([tmp_path], tmp_path / "page.html").read_text(encoding="utf-8")
    assert "In sentence 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 a piece reaches outside the word" in page
