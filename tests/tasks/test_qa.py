"""Questions on passages: windows, labels, answers cut from the text, no answer, the loss, a model that learns it."""

import csv
import json
import math
import random
import string
import unicodedata
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import regex
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import Tensor

from bertwright.answer import answer
from bertwright.batches import IGNORED, SpecialTokens
from bertwright.config import FinetuneRecipe, ModelConfig, ReadingSettings, TokenizerSettings
from bertwright.errors import UserError
from bertwright.evaluate import evaluate
from bertwright.finetune import finetune
from bertwright.metrics import answer_metrics, answers_worth, chinese_f1
from bertwright.predict import Predictor
from bertwright.recipe import parse
from bertwright.run import read_json, read_log
from bertwright.tasks.qa import (
    ALTERNATIVES,
    BEGIN,
    CANDIDATES,
    END,
    LONGEST_QUESTION,
    Answer,
    QuestionAnswering,
    best_spans,
    cut_out,
    within_sequences,
)
from bertwright.tasks.task import Example, Window, compute, lay_out
from bertwright.tokenizer import Tokenizer
from helpers import SMALL_TRAINING, call, refused
from test_tokenizer import SENTENCES, corpus, write_unigram

KINDS = ("wordpiece", "bpe", "characters", "unigram")

SURE = 10.0
"""The score that a perfect model gives."""


@pytest.fixture(scope="module")
def tokenizers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Tokenizer]:
    folder = tmp_path_factory.mktemp("unigram")
    write_unigram(folder)
    made: dict[str, Tokenizer] = {"unigram": Tokenizer.load(folder)}
    for kind in ("wordpiece", "bpe", "characters"):
        kept = TokenizerSettings(kind=kind, vocabulary_size=600, minimum_frequency=1)  # pyright: ignore[reportArgumentType]
        made[kind] = Tokenizer.train(corpus(), kept)
    return made


def task_of(*, missing: bool = False, longest: int = 1000) -> QuestionAnswering:
    """The task as training data of this sort teach it."""
    learnt = {"missing": missing, "longest": longest, "threshold": 0.0}
    return QuestionAnswering(ReadingSettings(), learnt=learnt)


def asked(context: str, *answers: tuple[str, int], question: str = "what") -> Example:
    return Example(id="q", file="a.json", line=1, texts=(question, context), label=answers, columns={})


def windows_of(task: QuestionAnswering, tokenizer: Tokenizer, examples: Sequence[Example], length: int) -> list[Window]:
    return task.windows(tokenizer, SpecialTokens.of(tokenizer), examples, length)


def perfect(windows: Sequence[Window]) -> list[np.ndarray]:
    """The scores of a model that knows what the windows ask."""
    found = []
    for window in windows:
        assert window.labels is not None
        labels = window.labels[window.labels != IGNORED]
        found.append(np.stack([(labels & BEGIN) > 0, (labels & END) > 0], axis=1).astype(np.float32) * SURE)
    return found


def holding(places: np.ndarray, begin: int, end: int) -> list[int]:
    """The tokens that stand for one of the characters from begin to end, at least."""
    wanted = set(range(begin, end))
    return [number for number, (first, last) in enumerate(places.tolist()) if wanted & set(range(first, last))]


def write_questions(path: Path, *passages: tuple[str, list[dict[str, Any]]], indent: int | None = 1) -> Path:
    """Write passages with their questions, each as SQuAD has it; those without answers are impossible."""
    paragraphs = [
        {
            "context": context,
            "qas": [{"is_impossible": not each.get("answers"), "answers": [], **each} for each in asked],
        }
        for context, asked in passages
    ]
    content = {"version": "2.0", "data": [{"title": "generated", "paragraphs": paragraphs}]}
    path.write_text(json.dumps(content, ensure_ascii=False, indent=indent), encoding="utf-8")
    return path


def answers_to(text: str, *begins: int) -> list[dict[str, Any]]:
    return [{"text": text, "answer_start": begin} for begin in begins]


# ---------------------------------------------------------------------------------------------- windows


def first_tokens(windows: Sequence[Window], ids: np.ndarray, places: np.ndarray, overlap: int) -> list[int]:
    """The number of the first passage token of each window, which ids and places tell; the windows follow each other.

    Each one overlaps with the one before as far as asked.
    """
    begins: list[int] = []
    for window in windows:
        assert window.places is not None
        part, spots = window.segments[1], window.places[-len(window.segments[1]) :]
        least, most = (begins[-1] + 1, begins[-1] + len(part) - overlap) if begins else (0, 0)
        same = [
            begin
            for begin in range(least, most + 1)
            if np.array_equal(ids[begin : begin + len(part)], part)
            and np.array_equal(places[begin : begin + len(part)], spots)
        ]
        assert same, "it is no part of the passage, or overlaps too little"
        begins.append(same[-1])
    return begins


@pytest.mark.parametrize("missing", [False, True])
@pytest.mark.parametrize("length", [30, 48])
@pytest.mark.parametrize("kind", KINDS)
def test_windows_cover_the_passage_and_label_the_answer(
    tokenizers: dict[str, Tokenizer], kind: str, length: int, missing: bool
) -> None:
    tokenizer = tokenizers[kind]
    context = " ".join(sentence[::-1] + sentence for sentence in SENTENCES)  # backwards it has more tokens
    special, task = SpecialTokens.of(tokenizer), task_of(missing=missing)
    ((ids, places),) = tokenizer.encode_batch_with_offsets([context])
    question = tokenizer.encode("今天天气")
    room = length - special.framing(2) - len(question)
    overlap = room // 3
    partly = 0
    for place in range(0, len(context) - 12, 7):
        text = context[place : place + 9].strip()
        begin = context.index(text, place)
        wanted = holding(places, begin, begin + len(text))
        assert wanted
        windows = windows_of(task, tokenizer, [asked(context, (text, begin), question="今天天气")], length)
        begins = first_tokens(windows, ids, places, overlap)
        assert len(begins) > 2
        ends = [first + len(window.segments[1]) for first, window in zip(begins, windows, strict=True)]
        assert ends[-1] == len(ids)
        assert all(later <= end for later, end in zip(begins[1:], ends[:-1], strict=True)), "no token is left out"
        whole = 0
        rows = lay_out(windows, special, length=length, samples=np.arange(len(windows)))
        for start, number in zip(rows.sequence_starts, rows.sample_ids, strict=True):
            window, first, end = windows[number], begins[number], ends[number]
            assert window.labels is not None
            size = len(window.labels)
            labels = rows.labels.ravel()[start : start + size]
            tokens = rows.input_ids.ravel()[start : start + size]
            asked_tokens = tokens[labels != IGNORED].tolist()
            assert asked_tokens == [tokenizer.cls_id] * missing + ids[first:end].tolist()
            assert tokens[-1] == tokenizer.sep_id
            given = labels[labels != IGNORED][int(missing) :]
            expected = np.zeros(end - first, dtype=int)
            if first <= wanted[0] and wanted[-1] < end:
                expected[wanted[0] - first] += BEGIN
                expected[wanted[-1] - first] += END
                whole += 1
            partly += bool(set(wanted) & set(range(first, end))) and not expected.any()
            assert given.tolist() == expected.tolist()
            if missing:
                assert labels[0] == (0 if expected.any() else BEGIN + END)
        if len(wanted) <= overlap:
            assert whole >= 1, "an answer that a window's edge cuts is whole in another one"
        task_answers = task.answers([asked(context)], windows, perfect(windows))
        if whole:
            assert set(holding(places, *task_answers[0].spans[0])) >= set(wanted)
    assert partly > 3, "else nothing was cut by an edge"


def test_a_short_passage_is_one_window_and_an_empty_one_too(tokenizers: dict[str, Tokenizer]) -> None:
    for missing in (False, True):
        task = task_of(missing=missing)
        windows = windows_of(
            task, tokenizers["characters"], [asked("park", ("park", 0)), asked(""), asked("a park")], 48
        )
        assert [window.example for window in windows] == [0, 1, 2]
        first, second, third = task.answers([asked("park"), asked(""), asked("a park")], windows, perfect(windows))
        assert task.told(asked("park"), first)["answer"] == "park"
        assert task.told(asked(""), second)["answer"] == ""
        assert task.told(asked("a park"), third)["answer"] == ("" if missing else "a")


def test_an_unlabelled_question_has_windows_without_answers(tokenizers: dict[str, Tokenizer]) -> None:
    task = task_of(missing=True)
    example = task.example("what", "walking in the park")
    (window,) = windows_of(task, tokenizers["wordpiece"], [example], 48)
    assert window.labels is not None
    assert set(window.labels.tolist()) == {IGNORED, 0}


def test_the_place_in_the_file_decides_which_of_equal_answers_is_meant(
    tokenizers: dict[str, Tokenizer], tmp_path: Path
) -> None:
    context = "park x park 公园 park"
    places = [place for place in range(len(context)) if context.startswith("park", place)]
    asked_ = [{"id": str(place), "question": "?", "answers": answers_to("park", place)} for place in places]
    for tokenizer in tokenizers.values():
        task = task_of()
        examples = list(task.read(write_questions(tmp_path / "a.json", (context, asked_))))
        windows = windows_of(task, tokenizer, examples, 64)
        answers = task.answers(examples, windows, perfect(windows))
        assert [task.told(*pair)["begin"] for pair in zip(examples, answers, strict=True)] == places
        assert not task.notices


def test_questions_too_long_are_told_and_cut(tokenizers: dict[str, Tokenizer]) -> None:
    tokenizer = tokenizers["characters"]
    for length, limit in ((30, 10), (300, LONGEST_QUESTION)):
        task = task_of()
        examples = [asked("a park", question="w" * size) for size in (limit, limit + 1, 2 * limit)]
        windows = windows_of(task, tokenizer, examples, length)
        assert [len(window.segments[0]) for window in windows] == [limit] * 3
        assert all(np.array_equal(window.segments[1], tokenizer.encode("a park")) for window in windows)
        (notice,) = task.notices
        assert notice.startswith(f"2 questions have more than {limit} tokens")


def test_answers_longer_than_windows_share_are_told(tokenizers: dict[str, Tokenizer]) -> None:
    """They are whole in no window, and cannot be learnt."""
    context = "今天天气很好，我们去公园散步。" * 10
    task, examples = task_of(), [asked(context, (context[20:100], 20)), asked(context, (context[20:24], 20))]
    windows = windows_of(task, tokenizers["wordpiece"], examples, 64)
    assert task.notices == ["1 answers are whole in no window of 64 tokens, and cannot be learnt"]
    assert {window.example for window in task.trained_on(windows)} == {1}


@pytest.mark.parametrize("kind", KINDS)
def test_no_window_is_longer_than_asked(tokenizers: dict[str, Tokenizer], kind: str) -> None:
    tokenizer, context = tokenizers[kind], " ".join(SENTENCES)
    for length in (8, 9, 16):
        examples = [asked(context, question=question) for question in ("", "今", "The weather is fine today")]
        windows = windows_of(task_of(), tokenizer, examples, length)
        lay_out(windows, SpecialTokens.of(tokenizer), length=length, samples=np.arange(len(windows)))  # asserts it
        for example in range(3):
            seen = {tuple(each) for w in windows if w.example == example and w.places is not None for each in w.places}
            assert seen == {tuple(each) for each in tokenizer.encode_batch_with_offsets([context])[0][1]}


# ---------------------------------------------------------------------------------------------- cut from the text

ODD_ANSWERS = {
    "full-width digits": "１２３",
    "skin tone": "👍🏽",
    "joined emoji": "👩\u200d👩\u200d👧",
    "joined with a sign": "🙂\u200d\u2194\ufe0f",
    "flags": "🇨🇳🇩🇪",
    "flag of a region": "🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f",
    "keycap": "1\ufe0f\u20e3",
    "marks": "cafe\u0301",
    "marks in a row": "a\u0300\u0323",
    "composed": "Zürich",
    "Korean": "한국어",
    "jamo": unicodedata.normalize("NFD", "한국어"),
    "Japanese": "ひらがなカタカナ",
    "halves of the width": "ｶﾞｷﾞ",
    "Hindi": "कि",
    "Persian": "می\u200cخواهم",
    "double spaces": "10  o'clock",
    "unknown": "龘龘",
    "longer in lower case": "İİ",
    "compatibility": "㍿ﬁ",
    "punctuation": "“doesn't”",
}


@pytest.mark.parametrize("name", ODD_ANSWERS)
@pytest.mark.parametrize("kind", KINDS)
def test_answers_come_out_as_they_stand_in_the_passage(tokenizers: dict[str, Tokenizer], kind: str, name: str) -> None:
    answer = ODD_ANSWERS[name]
    for context, missing in ((f"the  {answer}  park 🇨🇳", False), (f"{answer} in {answer}", True), (answer, True)):
        begin = context.rindex(answer)
        task, example = task_of(missing=missing), asked(context, (answer, begin))
        windows = windows_of(task, tokenizers[kind], [example], 128)
        (found,) = task.answers([example], windows, perfect(windows))
        told = task.told(example, found)
        assert (told["answer"], told["begin"], told["end"]) == (answer, begin, begin + len(answer))


WITHIN_RUNS = [
    ("서울", "수도는 서울은 아니고 서울이다.", "서울"),
    ("カタカナ", "これはカタカナです。", "カタカナ"),
    ("東京", "日本の首都は東京です", "東京"),
    ("２３", "番号は１２３４です", "１２３４"),
    ("北京", "我去过北京两次。", "北京"),
    ("👍🏽", "很好👍🏽👍🏽！", "👍🏽"),
]
"""An answer, a passage that holds it without a space before or after it, and the most that may come with it where the
tokens of a real vocabulary reach across its edges."""


@pytest.mark.data
@pytest.mark.parametrize(("answer", "context", "most"), WITHIN_RUNS)
def test_answers_within_runs_by_a_real_tokenizer(checkpoints: Path, answer: str, context: str, most: str) -> None:
    tokenizer = Tokenizer.load(checkpoints / "multilingual-e5-small")
    task, begin = task_of(), context.index(answer)
    example = asked(context, (answer, begin))
    windows = windows_of(task, tokenizer, [example], 128)
    (found,) = task.answers([example], windows, perfect(windows))
    told = task.told(example, found)
    assert context[told["begin"] : told["end"]] == told["answer"]
    assert answer in told["answer"]
    assert told["answer"] in (answer, most), tokenizer.tokens(tokenizer.encode(context))


PIECES = (
    *ODD_ANSWERS.values(),
    *(
        "今",
        "天",
        "，",
        "。",
        "the",
        "park",
        "ing",
        "12",
        "'",
        "🇨🇳",
        "🇩🇪",
        "👍",
        "e\u0301",
        "ひ",
        "한",
        "가\u11a8",
        "龘",
        "É",
        "４",
    ),
    *(" ", "  ", "\n", "\u3000"),
)


def visible_characters(text: str) -> list[int]:
    """Where characters as people see them begin and end, by Unicode's rules."""
    return [0, *(match.end() for match in regex.finditer(r"\X", text))]


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data())
@settings(max_examples=150)
def test_answers_of_any_text(tokenizers: dict[str, Tokenizer], kind: str, data: st.DataObject) -> None:
    """What comes out is the answer; only where one token reaches across its edge, the rest of that token too."""
    tokenizer = tokenizers[kind]
    context = "".join(data.draw(st.lists(st.sampled_from(PIECES), min_size=1, max_size=12)))
    edges = visible_characters(context)
    begin, end = sorted((data.draw(st.sampled_from(edges)), data.draw(st.sampled_from(edges))))
    answer = context[begin:end]
    assume(answer.strip() == answer != "")
    ((_, places),) = tokenizer.encode_batch_with_offsets([context])
    held = holding(places, begin, end)
    assume(held)  # else the tokenizer left all of it out
    task, example = task_of(missing=True), asked(context, (answer, begin))
    windows = windows_of(task, tokenizer, [example], 400)
    (found,) = task.answers([example], windows, perfect(windows))
    first, last = found.spans[0]
    left = min(begin, *(int(places[token, 0]) for token in held))
    right = max(end, *(int(places[token, 1]) for token in held))
    least = max(edge for edge in edges if edge <= left)
    most = min(edge for edge in edges if edge >= right)
    least += len(context[least:begin]) - len(context[least:begin].lstrip())
    most = end + len(context[end:most].rstrip())
    assert (first, last) == (least, most)
    if kind == "characters":
        assert (first, last) == (begin, end)


@given(st.lists(st.sampled_from([piece for piece in PIECES if not piece.isspace()]), min_size=1, max_size=8), st.data())
@settings(max_examples=300)
def test_no_character_is_cut_in_two(pieces: list[str], data: st.DataObject) -> None:
    text = "".join(pieces).replace(" ", "")
    begin = data.draw(st.integers(0, len(text) - 1))
    end = data.draw(st.integers(begin + 1, len(text)))
    edges = visible_characters(text)
    assert cut_out(text, begin, end) == (
        max(edge for edge in edges if edge <= begin),
        min(edge for edge in edges if edge >= end),
    )


def test_white_space_round_an_answer_is_left_out() -> None:
    text = " \n park 公园\u3000 "
    assert cut_out(text, 0, len(text)) == (3, 10)
    assert cut_out(text, 2, 8) == (3, 7)
    assert cut_out(text, 3, 7) == (3, 7)


def test_white_space_is_no_answer(tokenizers: dict[str, Tokenizer]) -> None:
    tokenizer, context = tokenizers["characters"], "a   park"
    task, example = task_of(), asked("a   park")
    windows = windows_of(task, tokenizer, [example], 64)
    scores = np.zeros((len(context), 2), dtype=np.float32)
    scores[2] = SURE  # a space
    scores[4:, 0] = scores[4:, 1] = 1.0, 0.0, 0.0, 1.0  # p, and k
    scores[4, 1], scores[7, 0] = -20, -20
    scores[3, 0], scores[1, 0] = -20, -20
    (answer,) = task.answers([example], windows, [scores])
    assert all(context[slice(*span)].strip() for span in answer.spans)
    assert task.told(example, answer)["answer"] == "park"


# ---------------------------------------------------------------------------------------------- wrong places


def test_an_answer_with_a_wrong_place_is_taken_at_the_nearest_and_told(tmp_path: Path) -> None:
    context = "park and park and park"  # at 0, 9 and 18
    cases = {3: 0, 5: 9, 15: 18, 14: 18, 13: 9, -1: 0, 500: 18, 9: 9}
    asked_ = [{"id": f"q{n}", "question": "?", "answers": answers_to("park", n)} for n in cases]
    path = write_questions(tmp_path / "a.json", (context, asked_))
    task = QuestionAnswering(ReadingSettings())
    assert [example.label for example in task.read(path)] == [(("park", place),) for place in cases.values()]
    lines = path.read_text(encoding="utf-8").splitlines()
    for begin, place in cases.items():
        line = next(number for number, each in enumerate(lines, start=1) if f'"q{begin}"' in each)
        told = [notice for notice in task.notices if f"question q{begin} " in notice]
        if begin == place:
            assert not told
        else:
            assert told == [
                f"{path}:{line}: the answer 'park' of question q{begin} does not stand at character {begin} of its "
                f"passage; it is taken at {place}"
            ]


@pytest.mark.parametrize("missing", [False, True])
@pytest.mark.parametrize("text", ["Park", "parks", "", " "])
def test_an_answer_that_stands_nowhere_is_told_and_not_learnt_from(
    tokenizers: dict[str, Tokenizer], tmp_path: Path, text: str, missing: bool
) -> None:
    """Neither as an answer, nor as a passage that does not answer."""
    asked_ = [
        {"id": "odd", "question": "?", "answers": answers_to(text, 0)},
        {"id": "right", "question": "?", "answers": [*answers_to("nowhere", 2), *answers_to("park", 2)]},
        {"id": "none", "question": "?", "answers": []},
    ]
    path = write_questions(tmp_path / "a.json", ("a park", asked_[: 2 + missing]))
    task = QuestionAnswering(ReadingSettings())
    examples = list(task.read(path))
    assert examples[0].label == ((text, -1),)
    lines = path.read_text(encoding="utf-8").splitlines()
    line = next(number for number, each in enumerate(lines, start=1) if '"odd"' in each)
    assert task.notices[0].startswith(f"{path}:{line}: the answer {text!r} of question odd ")
    assert task.notices[0].endswith("it stands nowhere there, and is not learnt from")
    task.learn(examples)
    windows = windows_of(task, tokenizers["characters"], examples, 48)
    assert [window.example for window in task.trained_on(windows)] == [1, 2][: 1 + missing]
    answers = task.answers(examples, windows, perfect(windows))
    assert task.told(examples[1], answers[1])["answer"] == "park", "the second answer stands there"
    assert task.scores(examples, answers)["examples"] == 2 + missing, "it counts in the score"


def test_without_any_answer_there_is_nothing_to_learn(tokenizers: dict[str, Tokenizer]) -> None:
    for examples in ([asked("a park")], [asked("a park", ("x", -1))]):
        with pytest.raises(UserError, match=r"a\.json: no question has an answer in its passage"):
            task_of().learn(examples)
    task = task_of()
    windows = windows_of(task, tokenizers["characters"], [asked("a park" * 20, ("a park" * 19, 0))], 30)
    with pytest.raises(UserError, match="no answer is whole in what the model sees at once"):
        task.trained_on(windows)


# ---------------------------------------------------------------------------------------------- learnt from the data


def test_what_is_learnt_from_the_training_data(tokenizers: dict[str, Tokenizer]) -> None:
    task = QuestionAnswering(ReadingSettings())
    task.learn([asked("a park", ("a", 0)), asked("in the park", ("the park", 3))])
    assert task.learnt == {"missing": False, "longest": 0, "threshold": 0.0}
    task.learn([asked("今天天气很好 fine", ("今天", 0)), asked("公园散步")])
    assert task.learnt == {"missing": True, "longest": 0, "threshold": 0.0}


def test_answers_are_compared_by_characters_where_passages_are_chinese() -> None:
    """Whatever language the model was trained in: half of an answer is right by characters, none of it by words."""
    task = task_of()
    for context, wanted, unit, f1 in (
        ("北京大学", "北京大学", "characters", 2 / 3),
        ("old-cat", "old-cat", "words", 0.0),
    ):
        examples = [asked(context, (wanted, 0))]
        answers = [Answer([(0, len(context) // 2)], [1.0], 0.0)]
        scores = task.scores(examples, answers)
        assert scores["unit"] == unit
        assert scores["metrics"]["f1"] == pytest.approx(f1)


@pytest.mark.parametrize("missing", [False, True])
def test_training_sees_windows_with_answers_and_the_longest_is_known(
    tokenizers: dict[str, Tokenizer], missing: bool
) -> None:
    context = "abcdefghij" * 6
    examples = [asked(context, ("defgh", 3)), asked(context, ("ij", 58)), *([asked(context)] * missing)]
    task = QuestionAnswering(ReadingSettings())
    task.learn(examples)
    windows = windows_of(task, tokenizers["characters"], examples, 30)
    trained = task.trained_on(windows)
    assert task.learnt["longest"] == 5, "tokens of the longest answer"
    assert len(windows) > 6
    if missing:
        assert len(trained) == len(windows)
    else:
        assert [window.example for window in trained] == [0, 1]
    for window in trained:
        assert window.labels is not None
        labels = window.labels[window.labels != IGNORED]
        assert ((labels & BEGIN) > 0).sum() == ((labels & END) > 0).sum() == 1


def test_no_answer_in_the_test_data_alone_is_told() -> None:
    task = QuestionAnswering(ReadingSettings())
    task.learn([asked("a park", ("a", 0))])
    task.check([asked("a park", ("a", 0))])
    assert not task.notices
    task.check([asked("a park", ("a", 0)), asked("a park"), asked("a park")])
    (notice,) = task.notices
    assert notice.startswith("a.json: 2 questions have no answer in their passage")
    task.learn([asked("a park", ("a", 0)), asked("a park")])
    task.check([asked("a park")])
    assert len(task.notices) == 1


# ---------------------------------------------------------------------------------------------- the best answers

LOGITS = st.integers(1, 60).flatmap(
    lambda size: st.lists(st.tuples(st.integers(-9, 9), st.integers(-9, 9)), min_size=size, max_size=size)
)


def all_spans(logits: np.ndarray, longest: int) -> list[tuple[float, int, int]]:
    """All pairs that may be an answer, by counting."""
    size = len(logits)
    pairs = ((begin, end) for begin in range(size) for end in range(begin, min(size, begin + max(1, longest))))
    found = [(float(logits[begin, 0] + logits[end, 1]), begin, end) for begin, end in pairs]
    return sorted(found, key=lambda each: (-each[0], each[1:]))


@given(LOGITS, st.integers(0, 70))
@settings(max_examples=400)
def test_the_best_spans_are_those_of_brute_force(given_: list[tuple[int, int]], longest: int) -> None:
    logits = np.array(given_, dtype=np.float32)
    found, every = best_spans(logits, longest), all_spans(logits, longest)
    assert len(found) == len(set(found)) <= CANDIDATES
    assert found == sorted(found, key=lambda each: (-each[0], each[1:]))
    assert set(found) <= set(every), "none ends before it begins, none is too long, and the scores are theirs"
    assert found[0][0] == every[0][0]
    if len(logits) <= CANDIDATES:
        assert [score for score, *_ in found] == [score for score, *_ in every[:CANDIDATES]]


def test_the_best_span_can_have_a_poor_beginning() -> None:
    """More beginnings than are tried are better than its own, but none of them reaches its end."""
    logits = np.zeros((100, 2), dtype=np.float32)
    logits[:60, 0], logits[80] = SURE, (1.0, 50.0)
    for longest in (1, 5, 19):
        assert best_spans(logits, longest)[0] == (51.0, 80, 80)
    assert best_spans(logits, 30)[0] == (60.0, 51, 80)


def test_no_tokens_no_spans() -> None:
    assert best_spans(np.empty((0, 2), dtype=np.float32), 5) == []


def test_answers_are_the_best_over_all_windows(tokenizers: dict[str, Tokenizer]) -> None:
    """Of a span that stands in two windows, the better score counts; of no answer, the worse one."""
    tokenizer, context = tokenizers["characters"], string.ascii_lowercase
    task, example = task_of(missing=True, longest=3), asked(context)
    windows = windows_of(task, tokenizer, [example], 20)
    places = [window.places for window in windows if window.places is not None]
    assert len(windows) == 3
    scores = [np.zeros((len(each), 2), dtype=np.float32) for each in places]
    for number, score, letters in (
        (0, 4, "ab"),
        (1, 9, "op"),
        (2, 8, "vx"),
        (2, 7, "op"),
        (2, 30, "zy"),
        (2, 40, "wz"),
    ):
        found = places[number][1:, 0].tolist()
        begin, end = (found.index(context.index(letter)) + 1 for letter in letters)
        scores[number][begin, 0] += score / 2
        scores[number][end, 1] += score / 2
    for number, score in enumerate((9.0, 3.0, 5.0)):
        scores[number][0] = score / 2
    every: dict[tuple[int, int], float] = {}
    for each, spots in zip(scores, places, strict=True):
        for value, begin, end in all_spans(each[1:], 3):
            key = int(spots[1 + begin, 0]), int(spots[1 + end, 1])
            every[key] = max(value, every.get(key, -math.inf))
    (answer,) = task.answers([example], windows, scores)
    assert answer.missing == 3.0
    assert len(answer.spans) == len(set(answer.spans)) == CANDIDATES
    assert answer.scores == sorted(answer.scores, reverse=True)
    assert answer.scores[0] == max(every.values())
    assert all(every[span] == score for span, score in zip(answer.spans, answer.scores, strict=True))
    told = task.told(example, answer)
    assert told["alternatives"] == [context[slice(*span)] for span in answer.spans[1 : 1 + ALTERNATIVES]]


# ---------------------------------------------------------------------------------------------- no answer


@given(
    st.lists(
        st.tuples(st.integers(-3, 3), st.sampled_from(["right", "half", "wrong", "article", "none"])),
        min_size=1,
        max_size=12,
    ),
    st.booleans(),
)
@settings(max_examples=300)
def test_the_threshold_is_the_best_of_all(questions: list[tuple[int, str]], characters: bool) -> None:
    """Against every threshold there is; many margins are equal, and no threshold parts them."""
    context = "很 好" if characters else "old cat"
    half = context.split(maxsplit=1)[0]
    truth = {"right": [context], "half": [half], "wrong": ["x"], "article": ["the", "x"], "none": []}
    examples = [asked(context, *((text, -1) for text in truth[kind])) for _, kind in questions]
    answers = [Answer([(0, len(context))], [1.0], 1.0 + margin) for margin, _ in questions]
    task = task_of(missing=True)

    def f1(threshold: float) -> float:
        task.learnt["threshold"] = threshold
        return task.scores(examples, answers)["metrics"]["f1"]

    best = max(f1(threshold) for threshold in np.arange(-4.5, 5.0))
    task.settle(examples, answers)
    assert f1(task.learnt["threshold"]) == pytest.approx(best)
    assert math.isfinite(task.learnt["threshold"])
    given = [task.text_of(*pair) for pair in zip(examples, answers, strict=True)]
    assert np.mean(task.each_f1(examples, given)) == pytest.approx(best), "also where an answer is an article alone"


def test_the_threshold_lies_between_and_decides(tokenizers: dict[str, Tokenizer]) -> None:
    task = task_of(missing=True)
    examples = [asked("cat", ("cat", 0)), asked("cat", ("cat", 0)), asked("cat")]
    answers = [Answer([(0, 3)], [1.0], 1.0 + margin) for margin in (-1.0, 3.0, 8.0)]
    assert task.scores(examples, answers)["metrics"]["f1"] == pytest.approx(2 / 3)
    task.settle(examples, answers)
    assert task.learnt["threshold"] == 5.5
    scores = task.scores(examples, answers)
    assert scores["metrics"] == {
        "f1": 1.0,
        "exact": 1.0,
        **{f"{kind}_answer_{metric}": 1.0 for kind in ("with", "without") for metric in ("f1", "exact")},
    }
    assert [task.told(*pair)["answer"] for pair in zip(examples, answers, strict=True)] == ["cat", "cat", ""]
    assert (task.told(examples[2], answers[2])["begin"], task.told(examples[2], answers[2])["end"]) == (0, 0)
    task.learnt["threshold"] = 8.0
    assert task.told(examples[2], answers[2])["answer"] == "cat", "no answer must be better than that"
    always = task_of()
    always.settle(examples, answers)
    assert always.learnt["threshold"] == 0.0, "where there is always an answer nothing is to be chosen"


def test_scores_of_both_kinds_and_the_worst_mistakes() -> None:
    task = task_of(missing=True)
    examples = [
        asked("old cat", ("old cat", 0)),
        asked("old cat", ("dog", -1), ("pig", -1)),
        asked("old cat"),
        asked("x"),
    ]
    answers = [Answer([(0, 3)], [1.0], 0.0), Answer([(4, 7)], [2.0], 0.0), Answer([(0, 7)], [5.0], 0.0)]
    scores = task.scores(examples, [*answers, Answer([(0, 1)], [1.0], 9.0)])
    assert scores["metrics"] == pytest.approx(
        {
            "f1": (2 / 3 + 0 + 0 + 1) / 4,
            "exact": 1 / 4,
            "with_answer_f1": (2 / 3) / 2,
            "with_answer_exact": 0,
            "without_answer_f1": 1 / 2,
            "without_answer_exact": 1 / 2,
        }
    )
    mistakes = [(mistake["label"], mistake["predicted"]) for mistake in scores["most_wrong"]]
    assert mistakes == [("no answer", "old cat"), ("dog / pig", "cat")], "the surest first"


# ---------------------------------------------------------------------------------------------- the loss


@pytest.mark.parametrize("seed", range(3))
def test_the_softmax_is_that_of_each_sequence(seed: int) -> None:
    """Values and gradients, whatever the order of the tokens; also with scores far beyond what exp can hold."""
    torch.manual_seed(seed)
    owner = torch.randint(0, 5, (40,))
    owner[owner == 3] = 4  # a sequence in which nothing is asked
    scores = (torch.randn(40, 2, dtype=torch.float64) * (1, 20, 2000)[seed]).requires_grad_()
    weights = torch.rand(40, 2, dtype=torch.float64)
    ours = within_sequences(scores, owner, 6)
    theirs = torch.empty_like(scores)
    for number in owner.unique():
        theirs[owner == number] = torch.log_softmax(scores[owner == number], dim=0)
    torch.testing.assert_close(ours, theirs)
    (ours * weights).sum().backward()
    gradient = scores.grad
    scores.grad = None
    (theirs * weights).sum().backward()
    torch.testing.assert_close(gradient, scores.grad)


@pytest.mark.parametrize("missing", [False, True])
def test_the_loss_of_shared_rows_is_the_sum_over_sequences(tokenizers: dict[str, Tokenizer], missing: bool) -> None:
    """Each computed alone, by the formula: the mean of both cross-entropies over the passage's tokens."""
    tokenizer = tokenizers["wordpiece"]
    special, task = SpecialTokens.of(tokenizer), task_of(missing=missing)
    examples = [
        asked("walking in the park", ("the park", 11)),
        asked("今天", ("今天", 0), question="天气很好"),
        asked("10 o'clock!", ("10", 0)),
        *([asked("12 层")] * missing),
    ]
    windows = windows_of(task, tokenizer, examples, 40)
    assert len(windows) == len(examples)
    torch.manual_seed(1)
    config = ModelConfig(
        vocabulary_size=tokenizer.vocabulary_size,
        layers=1,
        width=32,
        heads=2,
        inner_width=64,
        max_length=64,
        dropout=0.0,
    )
    model = task.model(config, "cls").eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(5)  # else all scores are about equal
    rows = lay_out(windows, special, length=40, samples=np.arange(len(windows)))
    assert len(rows.input_ids) < len(windows), "they share rows"
    assert task.count(rows) == len(windows)
    together = task.losses(model, rows.batch())["answer"]
    expected, alone = torch.zeros(()), torch.zeros(())
    for number, scores in enumerate(compute(model, windows, special, torch.device("cpu"))):
        labels = windows[number].labels
        assert labels is not None
        kept = torch.from_numpy(labels[labels != IGNORED])
        for column, bit in ((0, BEGIN), (1, END)):
            target = int(((kept & bit) > 0).nonzero())
            expected += torch.nn.functional.cross_entropy(torch.from_numpy(scores)[:, column], torch.tensor(target)) / 2
        batch = lay_out([windows[number]], special, length=40, samples=np.array([number])).batch()
        alone += task.losses(model, batch)["answer"].detach()
    assert expected > 1
    torch.testing.assert_close(together.detach(), expected, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(together.detach(), alone, atol=1e-4, rtol=1e-4)
    assert isinstance(together, Tensor)
    assert together.requires_grad


# ---------------------------------------------------------------------------------------------- from file to file

SUBJECTS = ("房间", "早餐", "前台", "手机", "这本书", "电池", "屏幕", "包装", "物流", "客服")
OPINIONS = (
    "很好",
    "非常满意",
    "干净整齐",
    "值得推荐",
    "超出期待",
    "很差",
    "非常失望",
    "又脏又乱",
    "不值这个价",
    "完全不行",
)
"""Words of the generated reviews, which the small model was pre-trained on."""

ASKED = {"物": "subject", "说": "opinion"}
"""Two questions; a third one, "家", no passage answers."""


def write_sides(folder: Path, *, missing: bool) -> dict[str, str]:
    """Generated passages with a subject and an opinion, and questions for each; written in files of three sides."""
    draw = random.Random(1)
    passages = [(subject, word) for subject in SUBJECTS for word in OPINIONS]
    draw.shuffle(passages)
    files, begin = {}, 0
    for side, size in (("train", 70), ("development", 15), ("test", 15)):
        written = []
        for number, (subject, word) in enumerate(passages[begin : begin + size]):
            context = (
                f"{draw.choice(('大家看看，', '下次', ''))}{subject}{word}，{draw.choice(('就是这样。', '还来。'))}"
            )
            parts = {"subject": subject, "opinion": word}
            questions = [
                {
                    "id": f"{side}-{number}-{kind}",
                    "question": question,
                    "answers": answers_to(parts[kind], context.index(parts[kind])),
                }
                for question, kind in ASKED.items()
            ]
            if missing:
                questions.append({"id": f"{side}-{number}-none", "question": "家", "answers": []})
            written.append((context, questions))
        files[side] = str(write_questions(folder / f"{side}.json", *written))
        begin += size
    return files


def recipe(trained: Path, run: Path, files: dict[str, str], **sections: Any) -> FinetuneRecipe:
    values: dict[str, Any] = {
        "run": str(run),
        "task": "qa",
        "data": files,
        "start": {"checkpoint": str(trained / "pretrained" / "best"), "dropout": 0.0},
        "optimizer": {"learning_rate": 3e-3},  # at 1e-2 one seed of three does not learn
        "train": {**SMALL_TRAINING, "batch_size": 16, "epochs": 30},
    }
    for name, section in sections.items():
        values[name] = {**values[name], **section}
    return parse(FinetuneRecipe, values)


@pytest.fixture(scope="module", params=[False, True], ids=["always", "missing"])
def answering(trained: Path, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest):
    """A folder with the three files and run/, a model that was trained on them; and the result of it."""
    folder = tmp_path_factory.mktemp("answering")
    result = finetune(recipe(trained, folder / "run", write_sides(folder, missing=request.param)))
    return folder, result, request.param


def truth_of(path: Path) -> dict[str, list[str]]:
    content = json.loads(path.read_text(encoding="utf-8"))
    asked_ = [each for article in content["data"] for paragraph in article["paragraphs"] for each in paragraph["qas"]]
    return {each["id"]: [answer["text"] for answer in each["answers"]] for each in asked_}


def context_of(path: Path) -> Callable[[str], str]:
    content = json.loads(path.read_text(encoding="utf-8"))
    paragraphs = [paragraph for article in content["data"] for paragraph in article["paragraphs"]]
    return {each["id"]: paragraph["context"] for paragraph in paragraphs for each in paragraph["qas"]}.__getitem__


def test_it_learns_to_answer(answering: tuple[Path, dict[str, Any], bool], trained: Path, tmp_path: Path) -> None:
    folder, result, missing = answering
    files = {side: str(folder / f"{side}.json") for side in ("train", "development", "test")}
    train = {"steps": 1, "epochs": None}
    untrained = finetune(recipe(trained, tmp_path / "run", files, optimizer={"learning_rate": 1e-9}, train=train))
    before, after = untrained["test"]["metrics"], result["test"]["metrics"]
    assert before["f1"] < 0.6, before
    assert after["f1"] > 0.9, (before, after)
    assert after["exact"] > 0.8
    assert ("without_answer_f1" in after) == missing
    if missing:
        assert min(after["with_answer_f1"], after["without_answer_f1"]) > 0.8
        assert untrained["examples"]["test"] == 45
    assert result["metric"] == "f1"
    assert max(map(len, map("".join, truth_of(folder / "train.json").values()))) == 5, "the longest one, in tokens, too"
    run = Predictor.load(folder / "run")
    assert run.task.learnt["longest"] == 5
    assert (run.task.learnt["threshold"] != 0.0) == missing


def test_scores_are_those_of_the_saved_model(answering: tuple[Path, dict[str, Any], bool]) -> None:
    """With its own threshold, not the last one's."""
    folder, result, _ = answering
    for side in ("development", "test"):
        scores = evaluate(folder / "run" / "best", folder / f"{side}.json")
        assert {key: scores[key] for key in result[side]} == result[side]
    log = {
        record["step"]: record["evaluation"]
        for record in read_log(folder / "run" / "log.jsonl")
        if "evaluation" in record
    }
    assert result["development"]["metrics"] == pytest.approx(log[result["best_step"]])


def test_predictions_as_squads_scorer_reads_them(answering: tuple[Path, dict[str, Any], bool], tmp_path: Path) -> None:
    folder, result, missing = answering
    source, output = folder / "test.json", tmp_path / "out" / "a.json"
    answer = call("predict", folder / "run", "--input", source, "--output", output)
    assert answer.code == 0, answer.err
    predictions, truth = json.loads(output.read_text(encoding="utf-8")), truth_of(source)
    assert list(predictions) == list(truth)
    assert ("" in predictions.values()) == missing
    metrics = answer_metrics(answers_worth(list(truth.values()), list(predictions.values()), characters=True))
    f1 = [max(chinese_f1(each, predictions[key]) for each in texts or [""]) for key, texts in truth.items()]
    assert metrics["f1"] == pytest.approx(np.mean(f1))
    assert metrics == pytest.approx({name: result["test"]["metrics"][name] for name in ("f1", "exact")})


def test_predictions_in_tables(answering: tuple[Path, dict[str, Any], bool], tmp_path: Path) -> None:
    """Of questions that have no labels; the answers are those of the other format, and stand where they are told."""
    folder, _, missing = answering
    content = json.loads((folder / "test.json").read_text(encoding="utf-8"))
    for paragraph in content["data"][0]["paragraphs"]:
        for each in paragraph["qas"]:
            del each["answers"], each["is_impossible"]
    source = tmp_path / "asked.json"
    source.write_text(json.dumps(content), encoding="utf-8")
    for name in ("a.json", "a.jsonl", "a.csv"):
        answer = call("predict", folder / "run", "--input", source, "--output", tmp_path / name)
        assert answer.code == 0, answer.err
    predictions = json.loads((tmp_path / "a.json").read_text(encoding="utf-8"))
    rows = [json.loads(line) for line in (tmp_path / "a.jsonl").read_text(encoding="utf-8").splitlines()]
    assert {row["id"]: row["answer"] for row in rows} == predictions
    assert [row["id"] for row in rows] == list(truth_of(folder / "test.json"))
    context = context_of(folder / "test.json")
    for row in rows:
        assert list(row) == ["id", "question", "answer", "begin", "end", "score", "alternatives"]
        assert context(row["id"])[row["begin"] : row["end"]] == row["answer"]
        assert row["question"] == {"subject": "物", "opinion": "说", "none": "家"}[row["id"].split("-")[-1]]
        assert len(row["alternatives"]) == ALTERNATIVES
        assert all(each and each in context(row["id"]) for each in row["alternatives"])
    assert any(row["answer"] == "" for row in rows) == missing
    with (tmp_path / "a.csv").open(encoding="utf-8", newline="") as file:
        table = list(csv.DictReader(file))
    kept = ("id", "question", "answer", "begin", "end", "score")
    assert table == [{name: str(row[name]) for name in kept} for row in rows]


def test_predictions_from_python_and_from_a_pipe(answering: tuple[Path, dict[str, Any], bool]) -> None:
    folder, _, missing = answering
    context = "大家看看，电池很差，就是这样。"
    pairs = [["物", context], ["说", context], *([["家", context]] * missing)]
    told = Predictor.load(folder / "run").predict(pairs)
    assert [row["answer"] for row in told] == ["电池", "很差", ""][: len(pairs)]
    assert [(row["begin"], row["end"]) for row in told] == [(5, 7), (7, 9), (0, 0)][: len(pairs)]
    lines = "".join("\t".join(pair) + "\n" for pair in pairs)
    answer = call("predict", folder / "run", "--input", "-", "--output", "-", stdin=lines.encode())
    assert answer.code == 0, answer.err
    rows = [json.loads(line) for line in answer.out.splitlines()]
    assert [row["answer"] for row in rows] == [row["answer"] for row in told]
    assert [row["id"] for row in rows] == [str(number) for number in range(1, len(pairs) + 1)]


def test_a_long_passage_is_answered_wherever_the_answer_stands(
    answering: tuple[Path, dict[str, Any], bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a model that knows the first and the last token of the answer, in passages of several windows."""
    predictor = Predictor.load(answering[0] / "run")
    first, last = predictor.checkpoint.tokenizer.encode("电池").tolist()
    shapes: list[int] = []

    def model(input_ids: Tensor, *others: Tensor) -> Tensor:
        shapes.append(len(input_ids))
        found = input_ids.flatten()[others[-2]]
        return torch.stack([found == first, found == last], dim=1) * SURE

    monkeypatch.setattr(predictor, "model", model)
    predictor.task.learnt["threshold"] = 0.0
    filling = "，就是这样。" * 10
    begins = [0, 60, 6, 18, 30, 25, 26, 27, 44, 59]
    told = predictor.predict(
        [["物", f"{filling[:begin]}电池很差{filling[begin:]}"] for begin in begins] + [["物", "电池"]]
    )
    assert [(row["answer"], row["begin"]) for row in told] == [("电池", begin) for begin in [*begins, 0]]
    assert predictor.num_windowed == len(begins)
    assert sum(shapes) > 2 * len(begins)


# ---------------------------------------------------------------------------------------------- one question


def test_one_question_looked_at(answering: tuple[Path, dict[str, Any], bool], trained: Path) -> None:
    """The answer is predict's; both softmaxes are over the passage (and [CLS], if that can be the answer) only."""
    folder, _, missing = answering
    content = json.loads((folder / "test.json").read_text(encoding="utf-8"))
    paragraph = content["data"][0]["paragraphs"][0]
    passage, question = paragraph["context"], paragraph["qas"][0]["question"]
    found = answer(folder / "run", question, passage)
    (told,) = Predictor.load(folder / "run").predict([[question, passage]])
    assert {name: found[name] for name in told} == told
    assert "".join(found["tokens"]) == passage
    assert (found["tokens"][0] == "") == missing
    for name in ("begin_probabilities", "end_probabilities"):
        assert len(found[name]) == len(found["tokens"])
        assert sum(found[name]) == pytest.approx(1.0, abs=1e-4)
    shares = np.array([found["begin_probabilities"], found["end_probabilities"]])
    assert found["naive"] == shares.argmax(axis=1).tolist()
    assert found["answer"] == passage[found["begin"] : found["end"]] != ""
    assert read_json(folder / "run" / "results" / "answer.json") == found
    words = call("answer", folder / "run", question, "-", "--json", stdin=passage.encode())
    assert (words.code, json.loads(words.out)) == (0, found)
    assert f"{question}  {found['answer']}  score" in words.err
    refused(call("answer", trained / "finetuned", question, passage), "this model answers no questions")
    for nothing in (" ", "\u200b"):
        refused(call("answer", folder / "run", question, nothing), "the passage is empty")


def test_one_question_on_a_long_passage(answering: tuple[Path, dict[str, Any], bool]) -> None:
    """The softmaxes are those of the window that the answer stands in, wherever it is."""
    filling = "，就是这样。" * 10
    for begin in (0, 26, 60):
        found = answer(answering[0] / "run", "物", f"{filling[:begin]}电池很差{filling[begin:]}")
        assert found["windows"] > 2
        assert found["answer"] in "".join(found["tokens"])


def test_a_long_question_is_told_in_prediction(answering: tuple[Path, dict[str, Any], bool]) -> None:
    line = f"{'物' * 90}\t电池很差。\n"
    told = call("predict", answering[0] / "run", "--input", "-", "--output", "-", stdin=line.encode())
    assert told.code == 0
    assert "1 questions have more than" in told.err
