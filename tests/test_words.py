"""Words that the user gives: from white space, a segmenter or a column, to the tokens that begin them."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bertwright.batches import IGNORED, SpecialTokens
from bertwright.config import ObjectiveSettings, PretrainRecipe
from bertwright.corpus import Record, word_starts
from bertwright.errors import UserError
from bertwright.objectives import pretraining_rows
from bertwright.prepare import prepare
from bertwright.recipe import parse
from bertwright.samples import mix
from bertwright.store import Store
from bertwright.tokenizer import Tokenizer
from test_tokenizer import KINDS, ODD, SENTENCES, long_texts, settings

WORDS = "我 来到 北京 清华大学 ， 房间 很 干净 。"
TEXT = WORDS.replace(" ", "")


def stored_words(folder: Path, *, kind: str = "characters", **corpus: Any) -> list[str]:
    """The words of a corpus, as its store has them."""
    values = {
        "run": "unused",
        "store": str(folder / "store"),
        "corpus": {"held_out": 0.5, "split_sentences": False, **corpus},
        "tokenizer": {"kind": kind, "minimum_frequency": 1, "vocabulary_size": 300},
        "train": {"steps": 1},
    }
    prepare(parse(PretrainRecipe, values))
    store = Store.open(folder / "store")
    begins = np.flatnonzero(store.begins_word(0, store.num_tokens))
    return [store.tokenizer().decode(word) for word in np.split(store.tokens(0, store.num_tokens), begins[1:])]


def lines(folder: Path, *texts: str) -> dict[str, Any]:
    (folder / "corpus.txt").write_text("".join(f"{text}\n" for text in texts), encoding="utf-8")
    return {"files": [str(folder / "corpus.txt")]}


OTHERS = [f"第 {number} 句 ： {WORDS}" for number in range(8)]
"""So that the tokenizer knows all characters, whatever is held out."""


@pytest.mark.parametrize("kind", ["characters", "wordpiece", "bpe"])
def test_a_segmenter_tells_where_words_begin(kind: str, tmp_path: Path) -> None:
    found = stored_words(tmp_path, kind=kind, words="segmenter", **lines(tmp_path, TEXT, *OTHERS))
    expected = ["我", "来到", "北京", "清华大学", "，", "房间", "很", "干净", "。"]
    assert found[: len(expected)] == expected


def test_without_one_every_chinese_character_is_a_word(tmp_path: Path) -> None:
    assert stored_words(tmp_path, **lines(tmp_path, TEXT, *OTHERS))[: len(TEXT)] == list(TEXT)


@pytest.mark.parametrize("kind", ["characters", "wordpiece"])
def test_spaces_tell_where_words_begin(kind: str, tmp_path: Path) -> None:
    found = stored_words(tmp_path, kind=kind, words="spaces", **lines(tmp_path, WORDS, *OTHERS))
    assert [word.strip() for word in found][:9] == WORDS.split()


def test_a_column_tells_where_words_begin(tmp_path: Path) -> None:
    table = tmp_path / "table.tsv"
    rows = [f"{text.replace(' ', '')}\t{text}" for text in [WORDS, *OTHERS]]
    table.write_text("\n".join(["text\tcut", *rows]) + "\n", encoding="utf-8")
    given = {"files": [str(table)], "reader": "table", "words": "column", "words_column": "cut"}
    assert stored_words(tmp_path, **given)[:9] == WORDS.split()


def test_a_column_with_another_text_is_refused() -> None:
    values = {"files": ["x"], "reader": "table", "words": "column", "words_column": "cut"}
    corpus = parse(PretrainRecipe, {"run": "r", "store": "s", "corpus": values, "train": {"steps": 1}}).corpus
    assert corpus is not None
    record = Record("7", ("房间很 干净", "好"), "zh", "table.tsv", {"cut": "房间 很 干 好"})
    with pytest.raises(UserError, match=r"record 7.*'好' where the text has '净好'"):
        word_starts(record, corpus)
    right = Record("7", ("房间很 干净", "好"), "zh", "table.tsv", {"cut": "房间 很 干净 好"})
    assert word_starts(right, corpus).tolist() == [0, 2, 3, 5]


def test_whole_chinese_words_are_masked(tmp_path: Path) -> None:
    """What is broken elsewhere: whole words in text without spaces."""
    stored_words(tmp_path, words="segmenter", **lines(tmp_path, *(TEXT + str(number) for number in range(200))))
    store = Store.open(tmp_path / "store")
    special = SpecialTokens.of(store.tokenizer())
    mixture = mix([(store, 1.0)], 62, held_out=False)
    objective = ObjectiveSettings(unit="word", masking_rate=0.3)
    rows = pretraining_rows(mixture, np.arange(mixture.round), objective, special, length=64, seed=1)
    chosen = rows.labels != IGNORED
    places = [begin + 1 + len("我来到北京") + np.arange(4) for begin in rows.sequence_starts]  # 清华大学
    marks = np.array([chosen.ravel()[place] for place in places])
    assert set(marks.sum(axis=1)) == {0, 4}, "all four characters of a word, or none"
    assert 0.15 < marks.all(axis=1).mean() < 0.45


# ---------------------------------------------------------------------------------------------- places of tokens


@pytest.mark.parametrize("lowercase", [True, False])
@pytest.mark.parametrize("kind", KINDS)
def test_offsets(kind: str, lowercase: bool) -> None:
    tokenizer = Tokenizer.train(SENTENCES, settings(kind, lowercase=lowercase))
    texts = [*SENTENCES, *ODD, *long_texts()]
    for text, plain, (ids, offsets) in zip(
        texts, tokenizer.encode_batch(texts), tokenizer.encode_batch_with_offsets(texts), strict=True
    ):
        assert np.array_equal(ids, plain)
        assert offsets.shape == (len(ids), 2)
        if len(ids):
            assert (np.diff(offsets[:, 0]) >= 0).all()
            assert offsets.min() >= 0
            assert offsets.max() <= len(text)
    whole = SENTENCES[1]
    ids, offsets = tokenizer.encode_batch_with_offsets([whole])[0]
    for token, (begin, end) in zip(tokenizer.readable(ids), offsets, strict=True):
        if token != "[UNK]":
            written = whole[begin:end].lower() if lowercase else whole[begin:end]
            assert token.removeprefix("##").replace("▁", " ").strip() == written.strip()
