"""Questions in the format of SQuAD: what is read, and one message with the place for everything that can be wrong."""

import copy
import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from bertwright.corpus.questions import Question, questions
from bertwright.errors import UserError

FILE: dict[str, Any] = {
    "version": "2.0",
    "data": [
        {
            "title": "weather",
            "id": "1",
            "paragraphs": [
                {
                    "id": "1-1",
                    "context": "It rains in 杭州 all day.",
                    "qas": [
                        {
                            "id": "1-1-1",
                            "question": "Where?",
                            "answers": [{"text": "杭州", "answer_start": 12}, {"text": "in 杭州", "answer_start": 9}],
                        },
                        {"id": 11, "question": "Who?", "answers": [], "is_impossible": True},
                    ],
                },
                {"context": "", "qas": []},
            ],
        },
        {
            "paragraphs": [
                {
                    "context": "One.",
                    "qas": [{"id": "1", "question": "", "answers": [{"text": "One", "answer_start": 0}]}],
                }
            ]
        },
    ],
}
ARTICLE = ("data", 0)
PARAGRAPH = (*ARTICLE, "paragraphs", 0)
FIRST = (*PARAGRAPH, "qas", 0)
SECOND = (*PARAGRAPH, "qas", 1)
ANSWER = (*FIRST, "answers", 1)


def write(path: Path, content: Any, indent: int | None = 1) -> Path:
    path.write_text(json.dumps(content, indent=indent), encoding="utf-8")
    return path


def changed(path: Path, place: tuple[str | int, ...], **values: Any) -> Path:
    """Write the file with other values at a place of it; ... takes one away."""
    content = copy.deepcopy(FILE)
    inner = content
    for key in place:
        inner = inner[key]  # pyright: ignore[reportArgumentType]
    for name, value in values.items():
        inner[name] = value
        if value is ...:
            del inner[name]
    return write(path, content)


def refusal(path: Path, *, labelled: bool = True) -> UserError:
    with pytest.raises(UserError) as raised:
        list(questions(path, labelled=labelled))
    assert raised.value.file == path
    assert raised.value.expected
    assert raised.value.advice
    str(raised.value).encode()  # it can be shown
    return raised.value


def line_with(path: Path, text: str, nth: int = 0) -> int:
    lines = path.read_text(encoding="utf-8").splitlines()
    return [number for number, line in enumerate(lines, start=1) if text in line][nth]


# ---------------------------------------------------------------------------------------------- what is read


@pytest.mark.parametrize("name", ["a.json", "a.json.gz"])
def test_questions_with_their_answers(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / "a.json", FILE)
    context = "It rains in 杭州 all day."
    lines = [line_with(path, text) for text in ('"id": "1-1-1"', '"id": 11')]
    if name.endswith(".gz"):
        (tmp_path / name).write_bytes(gzip.compress(path.read_bytes()))
    read = list(questions(tmp_path / name, labelled=True))
    assert read[:2] == [
        Question("1-1-1", "Where?", context, (("杭州", 12), ("in 杭州", 9)), lines[0]),
        Question("11", "Who?", context, (), lines[1]),
    ]
    assert (read[2].id, read[2].text, read[2].context, read[2].answers) == ("1", "", "One.", (("One", 0),))
    assert len(read) == 3


def test_what_is_impossible_has_no_answer(tmp_path: Path) -> None:
    """Whatever stands there: an empty one without a place, or a plausible one."""
    for answer in ({"text": "", "answer_start": -1}, {"text": "杭州", "answer_start": 12}):
        path = changed(tmp_path / "a.json", FIRST, answers=[answer], is_impossible=True)
        assert next(iter(questions(path, labelled=True))).answers == ()


def test_a_file_in_one_line_and_ids_written_with_escapes(tmp_path: Path) -> None:
    content = copy.deepcopy(FILE)
    content["data"][1]["paragraphs"][0]["qas"][0]["id"] = '问"1\\'
    for indent, line in ((None, 1), (1, None)):
        path = write(tmp_path / "a.json", content, indent)
        read = list(questions(path, labelled=True))
        assert read[2].id == '问"1\\'
        assert read[2].line == (line or line_with(path, r'"id": "\u95ee'))


def test_the_line_is_that_of_the_id_and_not_of_its_digits_elsewhere(tmp_path: Path) -> None:
    path = changed(tmp_path / "a.json", SECOND, question='Is "id": 12 an id?', id=12)
    assert line_with(path, "12") < line_with(path, '"id": 12,')
    assert [each.line for each in questions(path, labelled=True)][1] == line_with(path, '"id": 12,')


def test_without_labels_no_answers_are_needed(tmp_path: Path) -> None:
    path = changed(tmp_path / "a.json", FIRST, answers=...)
    assert [each.answers for each in questions(path, labelled=False)] == [None, None, None]
    assert "has not a list 'answers'" in refusal(path).found


# ---------------------------------------------------------------------------------------------- what is refused


@pytest.mark.parametrize("line", [2, 9])
def test_broken_json_is_told_with_its_line(tmp_path: Path, line: int) -> None:
    lines = json.dumps(FILE, indent=1).splitlines()
    lines[line - 1] = lines[line - 1].replace(":", "", 1)
    path = tmp_path / "a.json"
    path.write_text("\n".join(lines), encoding="utf-8")
    error = refusal(path)
    assert error.line == line
    assert "this is no JSON (Expecting ':' delimiter)" in error.found


@pytest.mark.parametrize("cut", [1, 30, 300])
def test_a_torn_file_is_told_with_its_line(tmp_path: Path, cut: int) -> None:
    whole = json.dumps(FILE, indent=1)
    (tmp_path / "a.json").write_text(whole[:-cut], encoding="utf-8")
    error = refusal(tmp_path / "a.json")
    assert error.line is not None
    assert abs(error.line - (whole[:-cut].count("\n") + 1)) <= 1
    assert "this is no JSON" in error.found


@pytest.mark.parametrize("content", ["[" * 200_000, '{"data": ' + "1" * 5000 + "}"])
def test_json_that_cannot_be_held_is_no_traceback(tmp_path: Path, content: str) -> None:
    (tmp_path / "a.json").write_text(content, encoding="utf-8")
    assert "this is no JSON" in refusal(tmp_path / "a.json").found


@pytest.mark.parametrize(
    ("place", "key", "where"),
    [
        ((), "data", "the file"),
        (ARTICLE, "paragraphs", "data[0]"),
        (PARAGRAPH, "context", "data[0].paragraphs[0]"),
        (PARAGRAPH, "qas", "data[0].paragraphs[0]"),
        (FIRST, "id", "data[0].paragraphs[0].qas[0]"),
        (FIRST, "question", "data[0].paragraphs[0].qas[0] (id 1-1-1)"),
        (FIRST, "answers", "data[0].paragraphs[0].qas[0] (id 1-1-1)"),
        (ANSWER, "text", "data[0].paragraphs[0].qas[0] (id 1-1-1).answers[1]"),
        (ANSWER, "answer_start", "data[0].paragraphs[0].qas[0] (id 1-1-1).answers[1]"),
    ],
)
@pytest.mark.parametrize("value", [..., None, True, 1.5, {}])
def test_a_missing_key_or_one_of_another_type(
    tmp_path: Path, place: tuple[str | int, ...], key: str, where: str, value: Any
) -> None:
    path = changed(tmp_path / "a.json", place, **{key: value})
    error = refusal(path)
    assert error.found.startswith(f"{where} has not a ")
    assert error.found.endswith(repr(key))
    assert error.line == (line_with(path, '"id": "1-1-1"') if "(id" in where else None)


@pytest.mark.parametrize(
    ("place", "key", "inner"),
    [((), "data", "data[0]"), (ARTICLE, "paragraphs", "paragraphs[0]"), (PARAGRAPH, "qas", "qas[0]")],
)
@pytest.mark.parametrize("value", ["text", None, [], 1])
def test_something_else_in_a_list(tmp_path: Path, place: tuple[str | int, ...], key: str, inner: str, value: Any):
    assert f"{inner} has not a " in refusal(changed(tmp_path / "a.json", place, **{key: [value]})).found


@pytest.mark.parametrize("content", [[], "data", 1, None])
def test_a_file_that_is_no_object(tmp_path: Path, content: Any) -> None:
    assert refusal(write(tmp_path / "a.json", content)).found == "the file has not a list 'data'"


def test_answers_that_are_no_objects(tmp_path: Path) -> None:
    assert "answers[0] has not a text 'text'" in refusal(changed(tmp_path / "a.json", FIRST, answers=["杭州"])).found


@pytest.mark.parametrize("given", [..., False])
def test_no_answer_though_there_should_be_one(tmp_path: Path, given: Any) -> None:
    path = changed(tmp_path / "a.json", SECOND, is_impossible=given)
    error = refusal(path)
    assert error.found == 'data[0].paragraphs[0].qas[1] (id 11) has not answers, or "is_impossible": true'
    assert error.line == line_with(path, '"id": 11')


@pytest.mark.parametrize("given", ["true", 1, None])
def test_impossible_is_true_or_false(tmp_path: Path, given: Any) -> None:
    found = refusal(changed(tmp_path / "a.json", SECOND, is_impossible=given)).found
    assert found == "data[0].paragraphs[0].qas[1] (id 11) has not true or false as 'is_impossible'"


@pytest.mark.parametrize("labelled", [True, False])
@pytest.mark.parametrize("twin", ["1-1-1", "11"])
def test_two_questions_with_the_same_id(tmp_path: Path, twin: str, labelled: bool) -> None:
    """The number 11 and the text "11" are the same id, too."""
    path = changed(tmp_path / "a.json", ("data", 1, "paragraphs", 0, "qas", 0), id=twin)
    error = refusal(path, labelled=labelled)
    assert error.found == f"two questions have the id '{twin}'"
    assert error.line == line_with(path, f'"id": "{twin}"', -1)
    assert error.line != line_with(path, '"id": "1-1-1"')


@pytest.mark.parametrize(
    "content",
    [{"data": []}, {"data": [{"paragraphs": []}]}, {"data": [{"paragraphs": [{"context": "One.", "qas": []}]}]}],
)
def test_no_question_at_all(tmp_path: Path, content: Any) -> None:
    assert refusal(write(tmp_path / "a.json", content)).found == "there is no question"


def test_an_empty_file(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("", encoding="utf-8")
    assert refusal(tmp_path / "a.json").found == "the file is empty"
    (tmp_path / "a.json").write_text("\n\n", encoding="utf-8")
    assert "this is no JSON" in refusal(tmp_path / "a.json").found


def test_bytes_that_are_no_utf_8(tmp_path: Path) -> None:
    path = write(tmp_path / "a.json", FILE)
    line = line_with(path, "weather")
    path.write_bytes(path.read_bytes().replace(b"weather", b"\xcc\xec"))
    error = refusal(path)
    assert "no UTF-8" in error.found
    assert error.line == line


@pytest.mark.parametrize("half", ["\ud83d", "\udc4d"])
@pytest.mark.parametrize(
    ("place", "key"), [(PARAGRAPH, "context"), (FIRST, "id"), (FIRST, "question"), (ANSWER, "text")]
)
def test_half_a_surrogate_pair(tmp_path: Path, place: tuple[str | int, ...], key: str, half: str) -> None:
    r"""JSON can hold "\ud83d" alone, which no tokenizer takes and no file holds."""
    error = refusal(changed(tmp_path / "a.json", place, **{key: f"in {half} 杭州"}))
    assert f"{key!r} of data[0].paragraphs[0]" in error.found
    assert f"holds half a surrogate pair ({half!a})" in error.found
    whole = changed(tmp_path / "b.json", place, **{key: "in \U0001f44d 杭州"})
    assert r"\ud83d\udc4d" in whole.read_text(encoding="utf-8")
    assert len(list(questions(whole, labelled=True))) == 3
