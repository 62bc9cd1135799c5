"""Questions on passages, in the format of SQuAD 1.1 and 2.0 (Rajpurkar et al. 2016, 2018), as DRCD and CMRC have it."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from bertwright.corpus.files import open_text
from bertwright.errors import UserError, require_whole_characters

_ID = re.compile(r'"id"\s*:\s*("(?:[^"\\]|\\.)*"|-?\d+)')


@dataclass(frozen=True, slots=True)
class Question:
    """A question, the passage that answers it, and the answers."""

    id: str
    text: str
    context: str
    answers: tuple[tuple[str, int], ...] | None
    """Each with the place in the passage where it begins; none if the passage does not answer it; None if unknown."""
    line: int = 1
    """The line of the file in which the id stands; 1 if it is written oddly."""


def questions(path: Path, *, labelled: bool) -> Iterator[Question]:
    """Read questions.

    Args:
        path: a .json file: {"data": [{"paragraphs": [{"context", "qas": [{"id", "question", "answers": [{"text",
            "answer_start"}]}]}]}]}.
        labelled: whether answers are needed.

    Raises:
        UserError: with file and where in it: broken JSON, a missing key, half a surrogate pair, two questions of the
            same id, no question at all.
    """
    with open_text(path) as stream:
        text = stream.read()
    content, lines = _parsed(text, path), _lines(text)
    seen: set[str] = set()
    for number, article in enumerate(_list(content, "data", "the file", path)):
        where = f"data[{number}]"
        for place, paragraph in enumerate(_list(article, "paragraphs", where, path)):
            inside = f"{where}.paragraphs[{place}]"
            context = _text(paragraph, "context", inside, path)
            for index, asked in enumerate(_list(paragraph, "qas", inside, path)):
                question = _question(asked, context, f"{inside}.qas[{index}]", path, lines, labelled)
                if question.id in seen:
                    raise UserError(
                        f"two questions have the id {question.id!r}",
                        file=path,
                        line=lines.get(question.id, [1])[-1],
                        expected="an id of its own for each, by which answers are compared",
                        advice="rename one of them",
                    )
                seen.add(question.id)
                yield question
    if not seen:
        raise UserError("there is no question", file=path, expected="at least one", advice="is it the right file?")


def _parsed(text: str, path: Path) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:  # also numbers of thousands of digits, and thousands of brackets
        raise UserError(
            f"this is no JSON ({getattr(error, 'msg', error)})",
            file=path,
            line=getattr(error, "lineno", None),
            expected="a file in the format of SQuAD",
            advice="mend the file, or copy it anew",
        ) from None


def _lines(text: str) -> dict[str, list[int]]:
    """The lines in which each id stands."""
    found: dict[str, list[int]] = {}
    line, place = 1, 0
    for match in _ID.finditer(text):
        line, place = line + text.count("\n", place, match.start(1)), match.start(1)
        found.setdefault(str(json.loads(match[1])), []).append(line)
    return found


def _question(
    asked: Any, context: str, where: str, path: Path, lines: dict[str, list[int]], labelled: bool
) -> Question:
    if isinstance(asked, dict) and type(asked.get("id")) is int:
        asked = {**asked, "id": str(asked["id"])}
    identity = _text(asked, "id", where, path)
    line = lines.get(identity, [1])[0]
    where = f"{where} (id {identity})"
    text = _text(asked, "question", where, path, line)
    if not labelled:
        return Question(identity, text, context, None, line)
    answers = []
    for number, answer in enumerate(_list(asked, "answers", where, path, line)):
        answered = _text(answer, "text", f"{where}.answers[{number}]", path, line)
        if type(answer.get("answer_start")) is not int:
            _refuse(f"{where}.answers[{number}]", "a whole number 'answer_start'", path, line)
        answers.append((answered, answer["answer_start"]))
    impossible = asked.get("is_impossible", False)
    if not isinstance(impossible, bool):
        _refuse(where, "true or false as 'is_impossible'", path, line)
    if not answers and not impossible:
        _refuse(where, 'answers, or "is_impossible": true', path, line)
    return Question(identity, text, context, () if impossible else tuple(answers), line)


def _list(value: Any, key: str, where: str, path: Path, line: int | None = None) -> list[Any]:
    if not isinstance(value, dict) or not isinstance(value.get(key), list):
        _refuse(where, f"a list {key!r}", path, line)
    return value[key]


def _text(value: Any, key: str, where: str, path: Path, line: int | None = None) -> str:
    if not isinstance(value, dict) or not isinstance(value.get(key), str):
        _refuse(where, f"a text {key!r}", path, line)
    require_whole_characters(value[key], f"{key!r} of {where}", file=path, line=line)
    return value[key]


def _refuse(where: str, missing: str, path: Path, line: int | None = None) -> NoReturn:
    raise UserError(
        f"{where} has not {missing}", file=path, line=line, expected="the format of SQuAD", advice="mend the file"
    )
