"""Context: CBOW tells no senses apart, its neighbours' mean may; vectors move with a neighbour by attention only."""

import json
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers

from bertwright.analyze.context import cbow, context, moves, neighbourhood, told_apart
from bertwright.analyze.senses import Sentence, read_sentences
from bertwright.analyze.vectors import Reader
from bertwright.errors import UserError
from bertwright.model.layers import Attention
from bertwright.report import write_report
from bertwright.store import Store, StoreWriter
from helpers import SYMBOLS, call, small_tokenizer

# ---------------------------------------------------------------------------------------------- scores


def test_senses_told_apart_by_hand() -> None:
    vectors = np.array([[1.0, 0.0], [1.0, 0.2], [0.0, 1.0], [1.0, 0.1]])
    labels = ["a", "a", "b", "b"]
    # The last of b lies with a, and is wrong. The third is nearer to it (.0995) than to the mean of a (.0985): right.
    assert told_apart(vectors, labels) == 0.75
    assert told_apart(vectors[:3].repeat(2, axis=0), ["a", "a", "a", "a", "b", "b"]) == 1.0


def test_one_vector_for_all_is_worth_a_guess() -> None:
    assert told_apart(np.ones((8, 3)), ["a"] * 4 + ["b"] * 4) == 0.5
    assert told_apart(np.ones((9, 3)), ["a"] * 3 + ["b"] * 3 + ["c"] * 3) == pytest.approx(1 / 3)


def test_an_occurrence_does_not_vote_for_itself() -> None:
    generator = np.random.default_rng(1)
    scores = [told_apart(generator.normal(size=(12, 200)), ["a"] * 6 + ["b"] * 6) for _ in range(60)]
    assert np.mean(scores) < 0.55  # with itself in the mean, all would be right


# ---------------------------------------------------------------------------------------------- CBOW


@pytest.fixture
def two_topics(tmp_path: Path) -> Store:
    """Segments of symbols of one topic (0 to 9) or the other (10 to 19); held-out documents have the symbols 80 on."""
    generator, tokenizer = np.random.default_rng(0), small_tokenizer()
    with StoreWriter(tmp_path / "store", tokenizer) as writer:
        for number in range(600):
            names = [SYMBOLS[10 * (number % 2) + place] for place in generator.integers(0, 10, 12)]
            if number % 20 == 0:
                names = [SYMBOLS[80 + number % 10]] * 12
            ids = tokenizer.encode(" ".join(names))
            writer.add(f"d{number}", [ids[:6], ids[6:]], "und", "generated", held_out=number % 20 == 0)
    return Store.open(tmp_path / "store")


def test_cbow_learns_from_training_documents(two_topics: Store) -> None:
    table = cbow(two_topics, 16)
    tokenizer = two_topics.tokenizer()
    assert table.shape == (tokenizer.vocabulary_size, 16)
    ids = tokenizer.encode(" ".join(SYMBOLS[:20]))
    units = table[ids] / np.linalg.norm(table[ids], axis=1, keepdims=True)
    similar = units @ units.T - 2 * np.eye(20)
    assert (similar.argmax(axis=1) // 10 == np.arange(20) // 10).all()
    assert not table[tokenizer.encode(" ".join(SYMBOLS[80:]))].any()  # never seen
    np.testing.assert_array_equal(table, cbow(two_topics, 16))


def test_the_neighbourhood_leaves_the_word_out(two_topics: Store) -> None:
    tokenizer = two_topics.tokenizer()
    table = np.eye(tokenizer.vocabulary_size, dtype=np.float32)
    text = " ".join(SYMBOLS[:13])
    begin = text.index("s6")
    found = neighbourhood(Sentence("s6", "a", text, begin, begin + 2), table, tokenizer)
    around = tokenizer.encode(" ".join(SYMBOLS[1:6] + SYMBOLS[7:12]))
    np.testing.assert_allclose(found[around], 0.1)
    assert found.sum() == pytest.approx(1)


# ---------------------------------------------------------------------------------------------- what moves a vector


def test_a_hidden_neighbour_moves_the_vector_by_attention_only(trained: Path, rooms: Path) -> None:
    reader = Reader.load(trained / "pretrained")
    with torch.no_grad():  # five steps of training have left attention weak
        for module in reader.model.modules():
            if isinstance(module, Attention):
                module.output.weight.mul_(30)
    found = moves(reader, read_sentences(rooms)[0])
    attending, alone = np.array(found["attending"]), np.array(found["alone"])
    assert attending.shape == alone.shape == (2, 8)
    assert (attending[1, :3] > 1e-4).all()
    assert (attending[0] < 1e-5).all()  # layer 0 does not attend
    assert (alone < 1e-5).all()


def test_hidden_neighbours_need_little_memory(trained: Path, rooms: Path) -> None:
    """Of each case one vector a layer is kept, not all tokens'."""
    reader = Reader.load(trained / "pretrained")
    sentences = [sentence for sentence in read_sentences(rooms)[0] if len(sentence.text) > 9] * 150
    cases = sum(0 <= place < len(each.text) for each in sentences for d in range(1, 9) for place in (3 - d, 4 + d))
    tracemalloc.start()
    moves(reader, sentences)
    assert tracemalloc.get_traced_memory()[1] < 0.6 * cases * len(sentences[0].text) * 2 * 32 * 4
    tracemalloc.stop()


def test_attention_is_that_of_transformers(trained: Path) -> None:
    folder, text = trained / "pretrained" / "best", "早餐的房间很好。"
    tokens, weights = Reader.load(folder).attention(text)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    model: Any = transformers.AutoModel.from_pretrained(
        folder, add_pooling_layer=False, attn_implementation="eager"
    ).eval()
    inputs = tokenizer(text, return_tensors="pt")
    assert tokens == tokenizer.convert_ids_to_tokens(inputs["input_ids"][0])
    with torch.inference_mode():
        theirs = torch.cat(model(**inputs, output_attentions=True).attentions).numpy()
    np.testing.assert_allclose(weights, theirs, atol=1e-5)


# ---------------------------------------------------------------------------------------------- command and page


def test_the_command_and_its_page(trained: Path, rooms: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    answer = call("analyze", "context", trained / "pretrained", trained / "store", rooms, "--run", run, "--json")
    assert answer.code == 0, answer.err
    result = json.loads(answer.out)
    assert result["scores"]["cbow"] == 0.5
    assert [len(each["layers"]) for each in result["attention"]] == [1, 1]
    assert json.loads((run / "results" / "context.json").read_text(encoding="utf-8")) == result
    for language, told in (("en", "Where the tokens look"), ("zh", "词元看向哪里")):
        assert told in write_report([run], tmp_path / "page.html", language=language).read_text(encoding="utf-8")


def test_without_gensim(trained: Path, rooms: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "gensim.models", None)
    with pytest.raises(UserError, match=r"pip install 'bertwright\[lecture\]'"):
        context(trained / "pretrained", trained / "store", rooms)


def test_without_a_store(trained: Path, rooms: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="store"):
        context(trained / "pretrained", tmp_path / "nothing", rooms)
