"""Shift: a vector added at a layer goes through the layers above; shares by hand; tokens know their language."""

import json
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from bertwright.analyze.head import HeadReader, reconstructed, token_languages
from bertwright.analyze.shift import SHARES, Bilingual, bleu_1, random_like, shares, shift, shift_grid, single_tokens
from bertwright.analyze.vectors import Reader
from bertwright.batches import IGNORED
from bertwright.errors import UserError
from bertwright.report import write_report
from helpers import ENDS, SUBJECTS, WORDS, call


@pytest.fixture
def parallel(tmp_path: Path) -> tuple[Path, Path]:
    """Positive reviews, and negative ones in the same lines: their judgements are the two "languages"."""
    generator = np.random.default_rng(1)
    pairs: dict[str, str] = {}
    while len(pairs) < 60:
        subject, end = (str(generator.choice(list(each))) for each in (SUBJECTS, ENDS))
        one, other = (str(generator.choice(list(WORDS[side]))) for side in ("positive", "negative"))
        pairs[f"{subject}{one}，{end}"] = f"{subject}{other}，{end}{len(pairs)}"
    files = tmp_path / "one.txt", tmp_path / "other.txt"
    for file, side in zip(files, (pairs, pairs.values()), strict=True):
        file.write_text("\n".join(side) + "\n", encoding="utf-8")
    return files


@pytest.fixture
def head(trained: Path) -> HeadReader:
    return HeadReader(trained / "pretrained")


# ---------------------------------------------------------------------------------------------- tokens


def test_the_language_of_a_token() -> None:
    """Within one script by how often it occurs; special tokens are of none."""
    tokens = [f"t{chr(97 + number)}" for number in range(10)]
    sides = [20 * [np.array([5, 5, 5, 6, 7]), np.array([5, 6])], 20 * [np.array([6, 8, 8]), np.array([8, 2, 6])]]
    found = token_languages(sides, tokens, np.arange(5, 10))
    assert found.tolist() == [IGNORED, IGNORED, IGNORED, IGNORED, IGNORED, 0, IGNORED, 0, 1, IGNORED]
    sides.append(20 * [np.array([8, 9, 9, 9])])  # a third language: 8 is of none now
    assert token_languages(sides, tokens, np.arange(5, 10)).tolist()[5:] == [0, IGNORED, 0, IGNORED, 2]
    rare = [20 * [np.array([5])] + [np.array([7])], 20 * [np.array([6])]]
    assert token_languages(rare, tokens, np.arange(5, 10))[7] == IGNORED, "once is not enough"


def test_the_language_of_a_token_by_its_script() -> None:
    """Chinese, English and Russian: whether or not a token occurs; figures and what is mixed are of none."""
    tokens = ["[CLS]", "今", "天气", "day", "##s", "день", "12", "。", "x光", "é", "μ"]
    sides = [20 * [np.array([1, 7, 2])], 20 * [np.array([3, 6])], 20 * [np.array([5, 7])]]
    found = token_languages(sides, tokens, np.arange(1, 11))
    assert found.tolist() == [IGNORED, 0, 0, 1, 1, 2, IGNORED, IGNORED, IGNORED, 1, IGNORED]


def test_a_script_that_only_some_languages_share() -> None:
    """Japanese and Chinese share characters, which go by counts; kana, and Latin beside both, go by their script."""
    tokens = ["の", "か", "私", "我", "人", "day", "sun"]
    japanese, chinese, english = (20 * [np.array(ids)] for ids in ([0, 2, 4], [3, 4, 3], [5]))
    assert token_languages([japanese, chinese, english], tokens, np.arange(7)).tolist() == [0, 0, 0, 1, IGNORED, 2, 2]


def test_words_of_one_token(trained: Path, tmp_path: Path) -> None:
    """Each direction has its own; a word that is the same in both is no translation."""
    path = tmp_path / "words.tsv"
    path.write_text("好\t差\n房间\t差\n麒\t差\n好\t乱\n店\t店\n", encoding="utf-8")
    reader = Reader.load(trained / "pretrained")
    encode = reader.checkpoint.tokenizer.encode_batch
    good, bad, messy = (int(reader.checkpoint.tokenizer.encode(word)[0]) for word in ("好", "差", "乱"))
    found = single_tokens(reader, path, [encode(["房间很好"] * 2), encode(["又脏又乱"] * 2)])
    assert found == ({good: {bad, messy}}, {bad: {good}, messy: {good}})
    with pytest.raises(UserError, match="no word of the dictionary that is one token in both languages stands"):
        single_tokens(reader, path, [encode(["房间", "很好"]), encode(["又脏又乱"] * 2)])


@pytest.mark.data
def test_chinese_words_of_a_real_vocabulary(checkpoints: Path, data: Path, tmp_path: Path) -> None:
    """By themselves they begin with a mark of a space, which is no part of them."""
    del data
    path = tmp_path / "words.tsv"
    path.write_text("cat\t猫\nHund\tdog\nI\t我\n", encoding="utf-8")
    reader = Reader.load(checkpoints / "multilingual-e5-small")
    encode = reader.checkpoint.tokenizer.encode_batch
    forward, _ = single_tokens(reader, path, [encode(["I see the cat"] * 2), encode(["一只猫"] * 2)])
    names = reader.checkpoint.tokenizer.tokens([*forward, *(each for found in forward.values() for each in found)])
    assert {"▁cat", "猫", "▁I", "我"} <= set(names)
    assert "▁我" not in names  # as it begins a text


def test_shares_by_hand(head: HeadReader) -> None:
    """Five of six tokens are of the first language; one of them is of the second one now, and one of neither."""
    language = np.array([0, 0, 0, 1, 1, IGNORED])
    bilingual = Bilingual(head, language, ({0: {3}, 1: {4}}, {}))
    shown, said = [np.array([0, 1, 2]), np.array([0, 1, 5])], [np.array([3, 1, 5]), np.array([0, 3, 3])]
    references = [np.array([3, 1, 4]), np.array([0, 0, 0])]
    found = shares(bilingual, shown, references, said, 1)
    assert found["converted"] == pytest.approx(2 / 5)  # 3 for the first 0, and 3 for the last 1
    assert found["translated"] == 1 / 4  # of 0, 1, 0 and 1 only the first
    assert found["translated_chance"] == pytest.approx((1 / 2 + 0 + 1 / 2 + 0) / 4)  # half of the answers are 3
    assert found["repeated"] == pytest.approx((1 / 3 + 2 / 3) / 2)
    assert found["bleu_1"] == pytest.approx(3 / 6)
    assert found["bleu_1_chance"] == pytest.approx(1 / 6)  # each against the other one's reference: 0 3 3 has one 3


# ---------------------------------------------------------------------------------------------- shifting


def test_without_a_vector_it_is_the_model(head: HeadReader) -> None:
    texts = ["房间很好。", "早餐又脏又乱，非常失望。"]
    sequences = head.reader.checkpoint.tokenizer.encode_batch(texts)
    for ids, said in zip(sequences, head.read_off(sequences), strict=True):
        special = head.reader.special
        framed = torch.tensor([[special.cls, *ids.tolist(), special.sep]])
        zeros = torch.zeros_like(framed)
        places = torch.arange(framed.shape[1])[None]
        with torch.inference_mode():
            logits, _ = head.model(framed, zeros, places, zeros + 1, places[0, 1:-1], torch.tensor([0]))
        assert said.tolist() == logits.argmax(dim=-1).tolist()


def test_a_vector_goes_through_the_layers_above(head: HeadReader) -> None:
    sequences = head.reader.checkpoint.tokenizer.encode_batch(["房间很好。"])
    table = head.model.encoder.token_embedding.weight.detach()
    before = head.read_off(sequences)[0]
    with torch.no_grad():
        # At the last layer the head sees the vector itself: find one for which it says a given token.
        inputs = torch.randn(20_000, table.shape[1], generator=torch.Generator().manual_seed(1)) * 50
        said = head.model.token_logits(inputs).argmax(dim=-1)
        vector = inputs[said == said.mode().values][0]
        wanted = int(head.model.token_logits(vector).argmax())
    last = head.reader.num_layers
    states: list[torch.Tensor] = []
    head.model.encoder.layers[0].register_forward_pre_hook(lambda _, inputs: states.append(inputs[0].clone()))
    head.read_off(sequences)
    head.read_off(sequences, vector, 0)
    moved = (states[1] - states[0]).abs().sum(dim=-1).flatten()
    assert moved[[0, -1]].tolist() == [0.0, 0.0], "[CLS] and [SEP] are of no language"
    assert (moved[1:-1] > 0).all()
    assert set(head.read_off(sequences, 100 * vector, last)[0].tolist()) == {wanted}
    np.testing.assert_array_equal(head.read_off(sequences, 0 * vector, 0)[0], before)
    below = head.read_off(sequences, 100 * vector, 0)[0]
    assert below.tolist() != before.tolist()


def test_each_sentence_can_have_a_vector_of_its_own(head: HeadReader) -> None:
    encode = head.reader.checkpoint.tokenizer.encode_batch
    sequences = encode(["房间很好", "早餐一般，前台很差。", "手机很好。"] * 7)  # more than are read at once
    width = head.model.encoder.token_embedding.weight.shape[1]
    vectors = 3 * torch.randn(len(sequences), width, generator=torch.Generator().manual_seed(1))
    together = head.read_off(sequences, vectors, 1)
    for ids, vector, said in zip(sequences, vectors, together, strict=True):
        np.testing.assert_array_equal(head.read_off([ids], vector, 1)[0], said)
    assert len({tuple(said.tolist()) for said in together}) > 3


def test_random_vectors_are_as_long() -> None:
    vectors = torch.arange(1.0, 13.0).view(3, 4)
    found = random_like(vectors, 200)
    assert found.shape == (3, 200, 4)
    torch.testing.assert_close(found.norm(dim=2), vectors.norm(dim=1)[:, None].expand(3, 200))
    along = torch.cosine_similarity(found, vectors[:, None], dim=2)
    assert abs(along.mean()) < 0.1, "in no direction above others"
    assert along.std() > 0.3, "each in another one"


def test_a_planted_vector_converts_and_the_better_half_does_not_choose(head: HeadReader) -> None:
    """At the last layer a vector that makes the head say one token: all that was of the first language is of its."""
    table = head.model.encoder.token_embedding.weight.detach()
    with torch.no_grad():
        inputs = torch.randn(20_000, table.shape[1], generator=torch.Generator().manual_seed(1)) * 50
        said = head.model.token_logits(inputs).argmax(dim=-1)
    sequences = head.reader.checkpoint.tokenizer.encode_batch(["房间很好", "早餐很好", "前台很好", "手机很好"])
    usual = torch.from_numpy(np.concatenate(head.read_off(sequences)))
    said[torch.isin(said, usual)] = -1
    token = int(said[said >= 0].mode().values)
    vector = inputs[said == token][0]
    language = np.full(len(table), 0)
    language[token] = 1
    last = head.reader.num_layers
    vectors = torch.zeros(last + 1, len(vector))
    vectors[last] = 100 * vector
    translations = ({int(ids[0]): {token} for ids in sequences[2:]}, {})
    bilingual = Bilingual(head, language, translations)
    result, chosen_by = shift_grid(bilingual, sequences, sequences, vectors, [0.0, 1.0], target=1)
    assert result["converted"][last] == [0.0, 1.0]
    assert result["translated"][last] == [0.0, 1.0]
    assert chosen_by[last].tolist() == [0.0, 0.0], "the first half has no word of the dictionary"


def test_reconstruction_counts() -> None:
    """Four of five tokens are given back; of the three answers with a language, two are of the first one."""
    languages = np.array([0, 0, 1, IGNORED])
    said, shown = [np.array([0, 1, 2]), np.array([3, 3])], [np.array([0, 1, 1]), np.array([3, 3])]
    assert reconstructed(said, shown, languages, 0) == {"same": 0.8, "stays": pytest.approx(2 / 3)}


def test_bleu_by_hand() -> None:
    said, reference = [np.array([1, 1, 2, 3])], [np.array([1, 2, 2, 4])]
    assert bleu_1(said, reference) == 0.5
    assert bleu_1(said, [np.array([1, 2, 2, 4, 5, 6, 7, 8])]) == pytest.approx(0.5 * np.exp(-1))
    assert bleu_1(said, [np.array([1, 1])]) == 0.5


# ---------------------------------------------------------------------------------------------- command and page


def test_the_vector_is_of_other_sentences(
    trained: Path, parallel: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    module = import_module("bertwright.analyze.shift")
    seen: list[set[int]] = []
    shifted: list[set[int]] = []
    honest, measure = module.language_mean, module.shift_grid

    def means(reader: Any, sequences: Sequence[np.ndarray]) -> np.ndarray:
        seen.append(set(map(id, sequences)))
        return honest(reader, sequences)

    def grid(bilingual: Any, one: Any, other: Any, *more: Any, **options: Any) -> Any:
        shifted.append({id(ids) for side in (one, other) for ids in side})
        return measure(bilingual, one, other, *more, **options)

    monkeypatch.setattr(module, "language_mean", means)
    monkeypatch.setattr(module, "shift_grid", grid)
    told: list[tuple[str, int, int | None]] = []
    module.shift(trained / "pretrained", parallel, alphas=(1.0,), progress=lambda *each: told.append(each))
    layers = HeadReader(trained / "pretrained").reader.num_layers + 1
    assert told == [("shifting", number, 3 * layers) for number in range(1, 3 * layers + 1)]
    assert len(seen) == 2
    assert not set.union(*seen) & set.union(*shifted)


def test_the_command_and_its_page(trained: Path, parallel: tuple[Path, Path], tmp_path: Path) -> None:
    run, words = tmp_path / "run", tmp_path / "words.tsv"
    words.write_text("好\t差\n意\t望\n", encoding="utf-8")
    arguments = ("analyze", "shift", trained / "pretrained", *parallel, "--dictionary", words, "--run", run, "--json")
    answer = call(*arguments, "--sentence", "房间很好。")
    assert answer.code == 0, answer.err
    result = json.loads(answer.out)
    assert result["sentences"] == 15, "those that tell"
    for kind in ("shift", "random", "reverse"):
        for name in SHARES:
            assert np.shape(result[kind][name]) == (2, 3)
    assert set(result["unshifted"]) == set(SHARES)
    assert 0 < result["asked"][0] <= 15 * 20
    assert (result["examples"][0]["text"], result["examples"][0]["reference"]) == ("房间很好。", None)
    assert len(result["examples"][0]["outputs"]) == 4
    assert json.loads((run / "results" / "shift.json").read_text(encoding="utf-8")) == result
    for language, told in (("en", "The vector that is language"), ("zh", "语言是一个向量")):
        assert told in write_report([run], tmp_path / "page.html", language=language).read_text(encoding="utf-8")


def test_reconstruction_and_its_page(trained: Path, parallel: tuple[Path, Path], tmp_path: Path) -> None:
    run = tmp_path / "run"
    answer = call("analyze", "reconstruction", trained / "pretrained", *parallel, "--most=20", "--run", run, "--json")
    assert answer.code == 0, answer.err
    result = json.loads(answer.out)
    head = HeadReader(trained / "pretrained")
    for each, file in zip(result["languages"], parallel, strict=True):
        assert (each["name"], each["sentences"], len(each["examples"])) == (file.name, 10, 3)
        encode, decode = head.reader.checkpoint.tokenizer.encode, head.reader.checkpoint.tokenizer.decode
        for shown in each["examples"]:
            assert shown["text"] in file.read_text(encoding="utf-8")
            assert shown["output"] == decode(head.read_off([encode(shown["text"])])[0])
        assert 0 <= each["same"] <= 1
    for language, told in (("en", "Does the language stay?"), ("zh", "语言会留下来吗？")):
        page = write_report([run], tmp_path / "page.html", language=language).read_text(encoding="utf-8")
        assert told in page
        assert "results/reconstruction.json" not in page, "it is drawn, not shown as it is"
    answer = call("analyze", "reconstruction", trained / "pretrained", parallel[0], "--run", run)
    assert answer.code == 1
    assert "one language cannot be told from others" in answer.err


def test_a_model_without_the_head_is_refused(trained: Path, parallel: tuple[Path, Path]) -> None:
    with pytest.raises(UserError):
        shift(trained / "finetuned", parallel)
