"""Labels for words: each word is asked once, at its first token, in every kind of token and however long the sentence.

The generated sentences name things and places, a character a word: a tiny model learns them in seconds.
"""

import csv
import json
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sklearn.metrics
import torch
import transformers
from hypothesis import given
from hypothesis import strategies as st

from bertwright import Predictor
from bertwright.batches import IGNORED, SpecialTokens
from bertwright.config import FinetuneRecipe, ReadingSettings
from bertwright.corpus.tagged import sentences
from bertwright.errors import UserError
from bertwright.evaluate import evaluate
from bertwright.finetune import finetune
from bertwright.predict import predict
from bertwright.recipe import parse
from bertwright.run import read_json, read_log
from bertwright.tasks.tag import Labels, Sentence, Tag
from bertwright.tasks.task import Example, Window
from bertwright.tokenizer import Tokenizer
from helpers import ENDS, SMALL_FINETUNING, SMALL_TRAINING, WORDS, call, refused, write_recipe
from test_tokenizer import corpus, settings, write_unigram

NAMES = {"手机": "THING", "电池": "THING", "屏幕": "THING", "这本书": "THING", "房间": "PLACE", "前台": "PLACE"}
LABELS = ["B-PLACE", "B-THING", "I-PLACE", "I-THING", "O"]
KINDS = ("wordpiece", "bpe", "characters", "symbols", "unigram")

Tagged = list[tuple[str, str]]
"""Words with their labels."""


def sentence_of(draw: random.Random, size: int) -> Tagged:
    """A sentence of so many phrases, half of them names, several next to each other."""
    others = [*WORDS["positive"], *WORDS["negative"], *ENDS, "，"]
    found: Tagged = []
    for _ in range(size):
        phrase = draw.choice(list(NAMES) if draw.random() < 0.5 else others)
        marks = [f"{'I' if place else 'B'}-{NAMES[phrase]}" if phrase in NAMES else "O" for place in range(len(phrase))]
        found += zip(phrase, marks, strict=True)
    return found


def write_sentences(path: Path, tagged: Sequence[Tagged]) -> Path:
    """Write labelled sentences in the format that the suffix names."""
    if path.suffix == ".conll":
        lines = ["".join(f"{word} {label}\n" for word, label in each) for each in tagged]
    else:
        pairs = [tuple(zip(*each, strict=True)) for each in tagged]
        if path.suffix == ".jsonl":
            lines = [json.dumps({"text": words, "label": labels}) for words, labels in pairs]
        else:
            lines = ["text\tlabel", *(f"{' '.join(words)}\t{' '.join(labels)}" for words, labels in pairs)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@dataclass(frozen=True)
class Tagger:
    """A run that has learnt the generated sentences."""

    run: Path
    files: dict[str, str]
    predictor: Predictor


@pytest.fixture(scope="module")
def tagger(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Tagger:
    """Each side in a format of its own. For reading only."""
    folder, draw = tmp_path_factory.mktemp("tagger"), random.Random(1)
    drawn = [sentence_of(draw, draw.randint(2, 6)) for _ in range(200)]
    different = list({tuple(each): each for each in drawn}.values())
    files, begin = {}, 0
    for side, suffix, count in (("train", "conll", 96), ("development", "jsonl", 24), ("test", "tsv", 24)):
        tagged = different[begin : begin + count]
        begin += count
        files[side] = str(write_sentences(folder / f"{side}.{suffix}", tagged))
    values = {**SMALL_FINETUNING, "task": "tag", "data": files, "train": {**SMALL_TRAINING, "batch_size": 8}}
    values["train"]["epochs"] = 8
    answer = call("finetune", write_recipe(folder, base=trained, **values))
    assert answer.code == 0, answer.err
    return Tagger(folder / "finetuned", files, Predictor.load(folder / "finetuned"))


@pytest.fixture(scope="module")
def tokenizers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Tokenizer]:
    folder = tmp_path_factory.mktemp("unigram")
    write_unigram(folder)
    made = {kind: Tokenizer.train(corpus(), settings(kind)) for kind in KINDS if kind != "unigram"}
    return {**made, "unigram": Tokenizer.load(folder)}


def tag_of(tmp_path: Path, *tagged: Tagged) -> tuple[Tag, list[Example]]:
    """The task, and sentences that it has learnt its labels from."""
    task = Tag(ReadingSettings())
    examples = list(task.read(write_sentences(tmp_path / "learnt.conll", tagged)))
    task.learn(examples)
    return task, examples


def sure(task: Tag, labels: Sequence[str], shares: np.ndarray) -> Labels:
    """An answer that gives its labels these probabilities, and the others evenly the rest."""
    numbers = np.array([task.labels.index(label) for label in labels])
    probabilities = np.repeat((1 - shares)[:, None] / (len(task.labels) - 1), len(task.labels), axis=1)
    probabilities[np.arange(len(numbers)), numbers] = shares
    return Labels(list(labels), probabilities)


def sentence(*words: str, joined: Sequence[bool] | None = None, label: tuple[str, ...] | None = None) -> Sentence:
    found = Tag(ReadingSettings()).example(*words)
    assert isinstance(found, Sentence)
    return replace(found, joined=tuple(joined or found.joined), label=label)


# ---------------------------------------------------------------------------------------------- learning


def test_it_learns(tagger: Tagger) -> None:
    result = read_json(tagger.run / "results" / "finetune.json")
    assert result["kind"] == "tag"
    assert result["labels"] == LABELS
    assert result["metric"] == "f1"
    for side in ("development", "test"):
        assert result["examples"][side] == 24
        assert result[side]["metrics"]["f1"] > 0.9
        assert result[side]["metrics"]["accuracy"] > 0.95
        words = sum(len(each.words) for each in sentences(Path(tagger.files[side]), ReadingSettings(), labelled=True))
        assert result[side]["words"] == words == np.sum(result[side]["confusion"])
    losses = [record["losses"]["labels"] for record in read_log(tagger.run / "log.jsonl")]
    assert losses[0] == pytest.approx(np.log(5), abs=0.2), "a mean over words"
    assert np.mean(losses[-4:]) < 0.1


def test_evaluation_is_that_of_training(tagger: Tagger) -> None:
    result = read_json(tagger.run / "results" / "finetune.json")["test"]
    again = evaluate(tagger.run / "best", tagger.files["test"])
    assert {key: again[key] for key in result} == result


def test_probabilities_are_those_of_transformers(tagger: Tagger) -> None:
    """The same checkpoint, each sentence alone, asked at the first token of each word."""
    model: Any = transformers.AutoModelForTokenClassification.from_pretrained(tagger.run / "best")
    model.eval()
    assert [model.config.id2label[number] for number in range(5)] == LABELS
    tokenizer = tagger.predictor.checkpoint.tokenizer
    examples = [sentence("手", "机", "很好很好", "x", "，", "房"), sentence("房间", "手")]
    for example, answer in zip(examples, tagger.predictor.answers(examples), strict=True):
        ids, places = [tokenizer.cls_id], []
        for pieces in tokenizer.encode_batch(example.texts):
            places.append(len(ids))
            ids += pieces.tolist()
        with torch.inference_mode():
            shares = model(input_ids=torch.tensor([[*ids, tokenizer.sep_id]])).logits[0, places].softmax(-1).numpy()
        np.testing.assert_allclose(answer.probabilities, shares, atol=1e-5)


# ---------------------------------------------------------------------------------------------- windows


def asked(window: Window, special: SpecialTokens, length: int) -> np.ndarray:
    """Where a window's words are asked, among the tokens of its sentence."""
    (segment,), labels, places = window.segments, window.labels, window.places
    assert labels is not None
    assert places is not None
    assert len(labels) == len(segment) + special.framing(1) <= length
    found = np.flatnonzero(labels != IGNORED) - 1
    assert len(found) == len(places) > 0
    return found


def check_windows(
    windows: list[Window], words: list[np.ndarray], labels: np.ndarray, special: SpecialTokens, length: int
) -> None:
    """See that each word is asked once, in order, at its first token, for its label, between the words around it.

    Args:
        windows: of one sentence.
        words: the tokens of each word.
        labels: of each word, its number.
        special: the framing tokens.
        length: of a window.
    """
    whole = np.concatenate(words)
    starts = np.cumsum([0, *map(len, words)])
    done = 0
    for window in windows:
        offsets, (segment,) = asked(window, special, length), window.segments
        assert window.places is not None
        assert window.labels is not None
        assert window.places.tolist() == list(range(done, done + len(offsets)))
        begin = int(starts[done] - offsets[0])
        assert begin in starts, "a window begins with a word"
        assert begin + len(segment) in starts, "and ends with one"
        assert segment.tolist() == whole[begin : begin + len(segment)].tolist()
        assert (offsets + begin).tolist() == starts[done : done + len(offsets)].tolist()
        assert window.labels[offsets + 1].tolist() == labels[done : done + len(offsets)].tolist()
        done += len(offsets)
        assert starts[done] <= begin + len(segment), "a word that is asked is there as a whole"
    assert done == len(words)


@pytest.mark.parametrize("length", [8, 32, 100])
@pytest.mark.parametrize("kind", KINDS)
def test_every_word_is_asked_once(tokenizers: dict[str, Tokenizer], kind: str, length: int) -> None:
    """In sentences far longer than a window, with words longer than one, and words that have no tokens."""
    tokenizer, draw = tokenizers[kind], random.Random(5)
    special, room = SpecialTokens.of(tokenizer), length - 2
    forms = ["weather", "公园", "The", "x" * 150, "1" + "0" * 80, "\u200b", "\x01", "", "n't", "🇨🇳", "今", "."]
    many = draw.choices(forms, k=300)
    task = Tag(ReadingSettings(), LABELS, {"scheme": None})
    examples = [
        sentence(*words, label=tuple(draw.choices(LABELS, k=len(words)))) for words in (many, ["The"], many[:40])
    ]
    windows = task.windows(tokenizer, special, examples, length)
    assert [window.example for window in windows] == sorted(window.example for window in windows)
    sizes = []
    for number, example in enumerate(examples):
        spaced = [
            f" {word}" if kind == "bpe" and not joined else word
            for word, joined in zip(example.texts, example.joined, strict=True)
        ]
        words = []
        for pieces in tokenizer.encode_batch(spaced):
            kept = pieces[1:] if kind == "unigram" and tokenizer.tokens(pieces[:1]) == ["▁"] else pieces
            words.append(kept[:room] if len(kept) else np.array([tokenizer.unk_id]))
        sizes += map(len, words)
        labels = np.array([LABELS.index(label) for label in example.label])
        check_windows([window for window in windows if window.example == number], words, labels, special, length)
    assert len(windows) > 300 // length, "there are many windows"
    assert kind == "symbols" or max(sizes) > 5, "and words of many tokens"


@given(
    sizes=st.lists(st.integers(0, 30), min_size=1, max_size=60) | st.lists(st.integers(1, 3), min_size=1, max_size=90),
    length=st.integers(3, 40),
)
def test_every_word_is_asked_once_whatever_the_sizes(sizes: list[int], length: int) -> None:
    tokenizer, special = LETTERS, SpecialTokens.of(LETTERS)
    labels = tuple(f"L{number % 7}" for number in range(len(sizes)))
    task = Tag(ReadingSettings(), sorted(set(labels)), {"scheme": None})
    example = sentence(*("ab"[number % 2] * size for number, size in enumerate(sizes)), label=labels)
    encoded = [tokenizer.encode(word)[: length - 2] for word in example.texts]
    words = [ids if len(ids) else np.array([tokenizer.unk_id]) for ids in encoded]
    wanted = np.array([task.labels.index(label) for label in labels])
    windows = task.windows(tokenizer, special, [example], length)
    check_windows(windows, words, wanted, special, length)
    assert (len(windows) == 1) == (sum(map(len, words)) <= length - 2), "one window, if the sentence fits"


LETTERS = Tokenizer.train(["a b"], settings("characters"))
"""A token a letter: a word of n letters has n tokens."""


def test_a_word_within_a_long_sentence_has_a_context_on_both_sides() -> None:
    """A quarter of a window at least."""
    special, length = SpecialTokens.of(LETTERS), 42
    task = Tag(ReadingSettings(), LABELS, {"scheme": None})
    windows = task.windows(LETTERS, special, [sentence(*"ab" * 150)], length)
    assert len(windows) < 300 / 10
    for number, window in enumerate(windows):
        offsets = asked(window, special, length)
        assert number == 0 or offsets[0] >= 10
        assert number == len(windows) - 1 or len(window.segments[0]) - 1 - offsets[-1] >= 10


# ---------------------------------------------------------------------------------------------- tokens of words


@pytest.mark.parametrize("kind", KINDS)
def test_a_label_is_asked_at_the_beginning_of_its_word(tokenizers: dict[str, Tokenizer], kind: str) -> None:
    """The token that is asked is what the word begins with, and never a sign for a space alone."""
    words = ("The", "weather", "is", "doesn", "'t", "walking", "公园", "散步", "。", "Zürich", "今天", ".", "12")
    joined = (False, False, False, False, True, False, False, True, True, False, False, True, False)
    tokenizer, example = tokenizers[kind], sentence(*words, joined=joined)
    special = SpecialTokens.of(tokenizer)
    (window,) = Tag(ReadingSettings(), LABELS, {"scheme": None}).windows(tokenizer, special, [example], 128)
    offsets = asked(window, special, 128)
    tokens = tokenizer.readable(window.segments[0][offsets])
    known = 0
    for word, token, close in zip(words, tokens, joined, strict=True):
        if token != tokenizer.tokens([tokenizer.unk_id])[0]:
            begin = token.removeprefix("▁").strip().removesuffix("\ufffd")
            folded = word.lower().replace("ü", "u") if kind == "wordpiece" else word
            assert folded.startswith(begin), (word, token)
            assert kind != "bpe" or token.startswith(" ") == (not close), (word, token)
            known += len(begin) > 0
    assert known >= (4 if kind == "symbols" else 11)


def test_a_word_longer_than_a_window_is_told(tokenizers: dict[str, Tokenizer]) -> None:
    """Its beginning is read, and the other words as they are."""
    task, tokenizer = Tag(ReadingSettings(), LABELS, {"scheme": None}), tokenizers["characters"]
    example = sentence("今", "我" * 40, "公")
    windows = task.windows(tokenizer, SpecialTokens.of(tokenizer), [example], 24)
    assert task.notices == ["1 words have more than 22 tokens; what stands after them is not read"]
    assert np.concatenate([window.places for window in windows if window.places is not None]).tolist() == [0, 1, 2]


def test_bytes_keep_the_spaces_of_the_text(tokenizers: dict[str, Tokenizer]) -> None:
    """A model of bytes sees what it saw in pre-training: spaces where they stand, and none where there are none."""
    words, joined = ("We", "'re", "in", "the", "公园", "散步", "!"), (False, True, False, False, False, True, True)
    example = sentence(*words, joined=joined)
    special = SpecialTokens.of(tokenizers["bpe"])
    (window,) = Tag(ReadingSettings(), LABELS, {"scheme": None}).windows(tokenizers["bpe"], special, [example], 128)
    assert tokenizers["bpe"].decode(window.segments[0]) == " We're in the 公园散步!"


@pytest.mark.data
def test_unigram_pieces_are_those_of_running_text(checkpoints: Path) -> None:
    """A word within Chinese text, or a part of an English one, has no mark of a space before it."""
    tokenizer = Tokenizer.load(checkpoints / "multilingual-e5-small")
    for words, joined in (
        (("我", "爱", "北京", "。"), (False, True, True, True)),
        (("I", "saw", "John", "'", "s", "saw", "."), (False, False, False, True, True, False, True)),
    ):
        text = "".join(word if close else f" {word}" for word, close in zip(words, joined, strict=True)).strip()
        special = SpecialTokens.of(tokenizer)
        (window,) = Tag(ReadingSettings(), LABELS, {"scheme": None}).windows(
            tokenizer, special, [sentence(*words, joined=joined)], 64
        )
        assert tokenizer.tokens(window.segments[0]) == tokenizer.tokens(tokenizer.encode(text))


def test_chinese_words_stand_together_where_the_file_does_not_tell(tmp_path: Path) -> None:
    task = Tag(ReadingSettings(), LABELS, {"scheme": "BIO"})
    tagged = [(word, "O") for word in ["去", "公园", "。", "BERT", "很", "好"]]
    (example,) = task.read(write_sentences(tmp_path / "a.conll", [tagged]))
    assert isinstance(example, Sentence)
    assert example.joined == (False, True, True, False, False, True)
    answer = Labels(["O", "B-PLACE", "I-PLACE", "B-THING", "I-THING", "O"], np.ones((6, 1)))
    assert task.told(example, answer)["entities"] == [
        {"type": "PLACE", "begin": 1, "end": 3, "text": "公园。"},
        {"type": "THING", "begin": 3, "end": 5, "text": "BERT 很"},
    ]


# ---------------------------------------------------------------------------------------------- predictions


def test_a_long_sentence(tagger: Tagger) -> None:
    """The labels come together out of the windows: each word's from the window in which it is asked."""
    long = sentence_of(random.Random(9), 150)
    words = [word for word, _ in long]
    predictor = Predictor.load(tagger.run)
    (answer,) = predictor.predict([words])
    assert predictor.num_windowed == 1
    assert len(words) > 300
    assert answer["words"] == words
    right = [given == label for given, (_, label) in zip(answer["labels"], long, strict=True)]
    assert np.mean(right) > 0.95
    assert np.mean([right[place] for place, (_, label) in enumerate(long) if label != "O"]) > 0.9
    for entity in answer["entities"]:
        assert entity["text"] == "".join(words[entity["begin"] : entity["end"]])


def test_answers_do_not_depend_on_company(tagger: Tagger) -> None:
    draw = random.Random(10)
    examples = [sentence(*(word for word, _ in sentence_of(draw, size))) for size in (1, 30, 2, 8, 1, 60, 3)]
    together = tagger.predictor.answers(examples)
    for example, answer in zip(examples, together, strict=True):
        (alone,) = tagger.predictor.answers([example])
        assert alone.labels == answer.labels
        np.testing.assert_allclose(alone.probabilities, answer.probabilities, atol=1e-5)


def test_answers_are_valid_where_the_likeliest_labels_are_not() -> None:
    task = Tag(ReadingSettings(), LABELS, {"scheme": "BIO"})
    window = Window(0, (np.arange(2),), labels=np.zeros(4, dtype=np.int32), places=np.arange(2))
    scores = np.log(np.array([[0.3, 0.1, 0.1, 0.1, 0.4], [0.0125, 0.0125, 0.95, 0.0125, 0.0125]]))
    (answer,) = task.answers([sentence("a", "b")], [window], [scores])
    assert answer.labels == ["B-PLACE", "I-PLACE"]
    assert answer.probabilities[[0, 1], [0, 2]] == pytest.approx([0.3, 0.95])
    task = Tag(ReadingSettings(), LABELS, {"scheme": None})
    (answer,) = task.answers([sentence("a", "b")], [window], [scores])
    assert answer.labels == ["O", "I-PLACE"], "labels that mark no entities follow each other as they like"


CONLLU = """\
# newdoc
# sent_id = s1
1-2	手机	_	_	_	_	_	_	_	_
1	手	lemma1	X	x1	A=1	2	dep	_	Gloss=hand
2	机	lemma2	_	x2	_	0	root	_	_
2.1	空	_	X	_	_	_	_	_	_
3	，	lemma3	PUNCT	x3	_	2	punct	_	SpaceAfter=No

# sent_id = s2
# text = 房间
1	房	_	_	_	_	_	_	_	_
2	间	_	_	_	_	_	_	_	_
"""


def test_conllu_to_conllu(tagger: Tagger, tmp_path: Path) -> None:
    """Only the labels of words change: order, comments, ranges, empty nodes and other columns are as they were."""
    (tmp_path / "a.conllu").write_text(CONLLU, encoding="utf-8")
    answer = call("predict", tagger.run, "--input", tmp_path / "a.conllu", "--output", tmp_path / "b.conllu")
    assert answer.code == 0, answer.err
    given = [label for each in tagger.predictor.predict([["手", "机", "，"], ["房", "间"]]) for label in each["labels"]]
    assert given == ["B-THING", "I-THING", "O", "B-PLACE", "I-PLACE"]
    left, wanted = iter(given), []
    for line in CONLLU.splitlines():
        fields = line.split("\t")
        if fields[0].isdigit():
            fields[3] = next(left)
        wanted.append("\t".join(fields))
    assert (tmp_path / "b.conllu").read_text(encoding="utf-8").rstrip("\n").split("\n") == wanted


def test_conllu_to_tables(tagger: Tagger, tmp_path: Path) -> None:
    (tmp_path / "a.conllu").write_text(CONLLU, encoding="utf-8")
    for suffix in ("csv", "jsonl", "conll"):
        result = predict(tagger.run, str(tmp_path / "a.conllu"), str(tmp_path / f"b.{suffix}"))
        assert result["examples"] == 2
    with (tmp_path / "b.csv").open(encoding="utf-8", newline="") as stream:
        assert list(csv.DictReader(stream)) == [
            {"id": "s1", "words": "手 机 ，", "labels": "B-THING I-THING O"},
            {"id": "s2", "words": "房 间", "labels": "B-PLACE I-PLACE"},
        ]
    lines = (tmp_path / "b.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line) for line in lines] == [
        {
            "id": "s1",
            "words": ["手", "机", "，"],
            "labels": ["B-THING", "I-THING", "O"],
            "entities": [{"type": "THING", "begin": 0, "end": 2, "text": "手机"}],
        },
        {
            "id": "s2",
            "words": ["房", "间"],
            "labels": ["B-PLACE", "I-PLACE"],
            "entities": [{"type": "PLACE", "begin": 0, "end": 2, "text": "房 间"}],  # the file has a space there
        },
    ]
    text = (tmp_path / "b.conll").read_text(encoding="utf-8")
    assert text == "手\tB-THING\n机\tI-THING\n，\tO\n\n房\tB-PLACE\n间\tI-PLACE\n\n"


@pytest.mark.parametrize("target", ["csv", "tsv", "jsonl"])
def test_other_columns_of_a_table_are_kept(tagger: Tagger, tmp_path: Path, target: str) -> None:
    draw = random.Random(11)
    drawn = [[word for word, _ in sentence_of(draw, draw.choice([1, 3, 30]))] for _ in range(20)]
    rows = [f"r{number}\tnote {number}\t{' '.join(words)}" for number, words in enumerate(drawn)]
    (tmp_path / "a.tsv").write_text("\n".join(["id\tnote\ttext", *rows]) + "\n", encoding="utf-8")
    output = tmp_path / f"b.{target}"
    result = predict(tagger.run, str(tmp_path / "a.tsv"), str(output))
    assert result["windowed"] > 2
    with output.open(encoding="utf-8", newline="") as stream:
        if target == "jsonl":
            found = [json.loads(line) for line in stream]
            found = [{**row, **{name: " ".join(row[name]) for name in ("words", "labels")}} for row in found]
        else:
            found = list(csv.DictReader(stream, delimiter="\t" if target == "tsv" else ","))
    assert [(row["id"], row["note"], row["words"]) for row in found] == [
        (f"r{number}", f"note {number}", " ".join(words)) for number, words in enumerate(drawn)
    ]
    assert [row["labels"].split() for row in found] == [each["labels"] for each in tagger.predictor.predict(drawn)]


def test_words_on_standard_input(tagger: Tagger) -> None:
    answer = call("predict", tagger.run, "--input", "-", "--output", "-", stdin="手 机 ，\n房 间\n".encode())
    assert answer.code == 0, answer.err
    found = [json.loads(line) for line in answer.out.splitlines()]
    assert [row["labels"] for row in found] == [["B-THING", "I-THING", "O"], ["B-PLACE", "I-PLACE"]]


def test_sentences_from_python(tagger: Tagger) -> None:
    """A word without a sign in it has a label as well; a sentence needs one word."""
    (answer,) = tagger.predictor.predict([["手", "机", "", "很"]])
    assert answer["words"] == ["手", "机", "", "很"]
    assert answer["labels"][:2] == ["B-THING", "I-THING"]
    assert len(answer["labels"]) == 4
    with pytest.raises(UserError, match="a sentence without words"):
        tagger.predictor.predict([[]])


# ---------------------------------------------------------------------------------------------- labels and scores


def test_what_is_learnt(tmp_path: Path) -> None:
    """All labels that a valid sequence may need, whether they occur or not."""
    task, _ = tag_of(tmp_path, [("a", "B-X"), ("b", "O"), ("c", "I-Y")])
    assert task.labels == ["B-X", "B-Y", "I-X", "I-Y", "O"]
    assert (task.scheme, task.metric_names) == ("BIO", ("f1", "precision", "recall", "accuracy"))
    task, _ = tag_of(tmp_path, [("a", "B-X"), ("b", "E-X")])
    assert task.labels == ["B-X", "E-X", "I-X", "O", "S-X"]
    assert task.scheme == "BIOES"
    task, _ = tag_of(tmp_path, [("a", "VERB"), ("b", "NOUN"), ("c", "VERB")])
    assert task.labels == ["NOUN", "VERB"]
    assert (task.scheme, task.metric_names) == (None, ("accuracy",))
    with pytest.raises(UserError, match=r"learnt\.conll: only the label \['NOUN'\] occurs"):
        tag_of(tmp_path, [("a", "NOUN")])


def test_scores_by_hand(tmp_path: Path) -> None:
    """Four entities, three found, two of them right; seven of nine words right."""
    truth = "B-X I-X O B-Y O", "B-X O B-Y I-Y"
    given = "B-X I-X O B-X O", "O O B-Y I-Y"
    task, examples = tag_of(tmp_path, *([(f"w{n}", label) for n, label in enumerate(each.split())] for each in truth))
    answers = [sure(task, each.split(), np.linspace(0.9, 0.5, len(each.split()))) for each in given]
    scores = task.scores(examples, answers)
    metrics = scores["metrics"]
    assert metrics == pytest.approx({"f1": 4 / 7, "precision": 2 / 3, "recall": 1 / 2, "accuracy": 7 / 9})
    flat = " ".join(truth).split(), " ".join(given).split()
    assert metrics["accuracy"] == sklearn.metrics.accuracy_score(*flat)
    assert scores["confusion"] == sklearn.metrics.confusion_matrix(*flat, labels=task.labels).tolist()
    assert (scores["examples"], scores["words"]) == (2, 9)
    wrong = [(each["text"], each["label"], each["predicted"]) for each in scores["most_wrong"]]
    assert wrong == [("[w0] w1 w2 w3", "B-X", "O"), ("w0 w1 w2 [w3] w4", "B-Y", "B-X")], "the surest one first"


def test_the_surest_mistake_of_a_sentence_is_shown(tmp_path: Path) -> None:
    task, examples = tag_of(tmp_path, [("a", "VERB"), ("b", "NOUN"), ("c", "NOUN"), ("d", "VERB")])
    answer = sure(task, ["NOUN", "VERB", "VERB", "VERB"], np.array([0.6, 0.8, 0.7, 0.9]))
    (shown,) = task.scores(examples, [answer])["most_wrong"]
    assert shown == {**shown, "text": "a [b] c d", "label": "NOUN", "predicted": "VERB"}


def test_scores_of_parts_of_speech(tmp_path: Path) -> None:
    tagged = [[("a", "VERB"), ("b", "NOUN")], [("c", "VERB")]]
    task, examples = tag_of(tmp_path, *tagged)
    answers = [sure(task, ["VERB", "VERB"], np.ones(2)), sure(task, ["VERB"], np.ones(1))]
    assert task.scores(examples, answers)["metrics"] == pytest.approx({"accuracy": 2 / 3})


def test_gold_labels_that_are_not_valid(trained: Path, tmp_path: Path) -> None:
    """They are told, read as conlleval does, and learnt and scored as such."""
    odd = [[("a", "I-X"), ("b", "I-X"), ("c", "O")], [("a", "B-X")], [("a", "O"), ("d", "I-Y")], [("b", "B-Y")]]
    task, examples = tag_of(tmp_path, *odd)
    task.check(examples)
    (notice,) = task.notices
    assert notice.startswith(f"the labels of 2 sentences are no valid BIO (the first: {tmp_path / 'learnt.conll'}:1)")
    special = SpecialTokens.of(LETTERS)
    first, *_ = task.windows(LETTERS, special, examples, 16)
    assert first.labels is not None
    wanted = [task.labels.index(label) for label in ("B-X", "I-X", "O")]
    assert first.labels.tolist() == [IGNORED, *wanted, IGNORED]
    perfect = [["B-X", "I-X", "O"], ["B-X"], ["O", "B-Y"], ["B-Y"]]
    scores = task.scores(examples, [sure(task, labels, np.ones(len(labels))) for labels in perfect])
    assert scores["metrics"] == {"f1": 1.0, "precision": 1.0, "recall": 1.0, "accuracy": 1.0}
    result = finetune(recipe(trained, tmp_path, train=odd, development=[[("手", "O"), ("机", "B-X")]]))
    assert [each.partition(" (")[0] for each in result["notices"]] == [notice.partition(" (")[0]]


def test_valid_gold_labels_give_no_notice(tmp_path: Path) -> None:
    task, examples = tag_of(tmp_path, [("a", "B-X"), ("b", "I-X"), ("c", "B-X")], [("a", "O")])
    task.check(examples)
    assert task.notices == []


def recipe(trained: Path, folder: Path, **sides: Sequence[Tagged]) -> FinetuneRecipe:
    """A recipe for one step."""
    files = {side: str(write_sentences(folder / f"{side}.conll", tagged)) for side, tagged in sides.items()}
    values = {
        "run": str(folder / "run"),
        "task": "tag",
        "data": files,
        "start": {"checkpoint": str(trained / "pretrained" / "best")},
        "train": {**SMALL_TRAINING, "steps": 1},
    }
    return parse(FinetuneRecipe, values)


def test_a_label_that_training_does_not_have(trained: Path, tagger: Tagger, tmp_path: Path) -> None:
    """Told with the line in which its sentence begins, before anything is loaded."""
    train = [[("a", "B-X"), ("b", "O")]]
    settings = recipe(trained, tmp_path, train=train, development=[[("c", "O"), ("d", "I-X")], [("e", "B-Z")]])
    start = settings.start.model_copy(update={"checkpoint": "nowhere"})
    with pytest.raises(UserError, match=r"development\.conll:4: the label 'B-Z' was not in the training data"):
        finetune(settings.model_copy(update={"start": start}))
    answer = call("evaluate", tagger.run, "--data", tmp_path / "train.conll")
    refused(answer, f"{tmp_path / 'train.conll'}:1: the label 'B-X' was not in the training data", "B-PLACE")


def test_sentences_that_differ_in_a_sign_are_different(trained: Path, tmp_path: Path) -> None:
    """Of those that training has, too, only the same ones are left out."""
    train = [[("手", "B-X"), ("。", "O")], [("机", "O")]]
    result = finetune(recipe(trained, tmp_path, train=train, development=[train[0], [("手", "B-X"), ("！", "O")]]))
    assert (result["overlaps"], result["examples"]["development"]) == ({"development": 1}, 1)


def test_an_id_twice_is_told(tagger: Tagger, tmp_path: Path) -> None:
    word = "1\t房\t_\tNOUN" + "\t_" * 6
    path = tmp_path / "twice.conllu"
    path.write_text("".join(f"# sent_id = a\n{word}\n\n" for _ in range(2)), encoding="utf-8")
    refused(call("evaluate", tagger.run, "--data", path), f"{path}:4: the id 'a' occurs a second time, first in line 1")


def test_words_with_spaces_do_not_fit_into_tables(tagger: Tagger, tmp_path: Path) -> None:
    """They would be two words, and the labels no longer theirs."""
    path = tmp_path / "words.jsonl"
    path.write_text('{"text": ["New York", "很", "好"]}\n', encoding="utf-8")
    words = ("predict", tagger.run, "--input", path, "--output")
    refused(call(*words, tmp_path / "answers.csv"), "the word 'New York' holds a space", "write .jsonl instead")
    assert call(*words, tmp_path / "answers.jsonl").code == 0
