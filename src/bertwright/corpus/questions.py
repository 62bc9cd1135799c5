"""Questions on passages, in the format of SQuAD 1.1 and 2.0 (Rajpurkar et al. 2016, 2018), as DRCD and CMRC have it."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from bertwright.corpus.files import open_text
from bertwright.errors import UserError


@dataclass(frozen=True, slots=True)
class Question:
    """A question, the passage that answers it, and the answers."""

    id: str
    text: str
    context: str
    answers: tuple[tuple[str, int], ...] | None
    """Each with the place in the passage where it begins; none if the passage does not answer it; None if unknown."""


def questions(path: Path, *, labelled: bool) -> Iterator[Question]:
    """Read questions.

    Args:
        path: a .json file: {"data": [{"paragraphs": [{"context", "qas": [{"id", "question", "answers": [{"text",
            "answer_start"}]}]}]}]}.
        labelled: whether answers are needed.

    Raises:
        UserError: with file and line: broken JSON, a missing key, two questions of the same id, no question at all.
    """
    with open_text(path) as stream:
        text = stream.read()
    try:
        content = json.loads(text)
    except json.JSONDecodeError as error:
        raise UserError(
            f"this is no JSON ({error.msg})",
            file=path,
            line=error.lineno,
            expected="a file in the format of SQuAD",
            advice="mend the file, or copy it anew",
        ) from None
    seen: set[str] = set()
    for number, article in enumerate(_list(content, "data", "the file", path)):
        where = f"data[{number}]"
        for place, paragraph in enumerate(_list(article, "paragraphs", where, path)):
            inside = f"{where}.paragraphs[{place}]"
            context = _text(paragraph, "context", inside, path)
            for index, asked in enumerate(_list(paragraph, "qas", inside, path)):
                question = _question(asked, context, f"{inside}.qas[{index}]", path, labelled)
                if question.id in seen:
                    raise UserError(
                        f"two questions have the id {question.id!r}",
                        file=path,
                        line=line_of(path, question.id, last=True),
                        expected="an id of its own for each, by which answers are compared",
                        advice="rename one of them",
                    )
                seen.add(question.id)
                yield question
    if not seen:
        raise UserError("there is no question", file=path, expected="at least one", advice="is it the right file?")


def line_of(path: Path, identity: str, *, last: bool = False) -> int:
    """The line in which the id of a question stands (of several, the first or the last); 1 if it is written oddly."""
    wanted = {json.dumps(identity), json.dumps(identity, ensure_ascii=False), identity if identity.isdigit() else ""}
    wanted.discard("")
    found = 1
    with open_text(path) as stream:
        for number, line in enumerate(stream, start=1):
            if any(form in line for form in wanted):
                found = number
                if not last:
                    break
    return found


def _question(asked: Any, context: str, where: str, path: Path, labelled: bool) -> Question:
    identity = str(asked["id"]) if isinstance(asked, dict) and isinstance(asked.get("id"), str | int) else None
    if identity is None:
        _refuse(where, "an id", path)
    text = _text(asked, "question", where, path)
    if not labelled:
        return Question(identity, text, context, None)
    answers = []
    for number, answer in enumerate(_list(asked, "answers", f"{where} (id {identity})", path)):
        begin = answer.get("answer_start") if isinstance(answer, dict) else None
        if not isinstance(begin, int):
            _refuse(f"{where}.answers[{number}] (id {identity})", "a number answer_start", path)
        answers.append((_text(answer, "text", f"{where}.answers[{number}] (id {identity})", path), begin))
    if not answers and not asked.get("is_impossible", False):
        _refuse(f"{where} (id {identity})", 'answers, or "is_impossible": true', path)
    return Question(identity, text, context, tuple(answers))


def _list(value: Any, key: str, where: str, path: Path) -> list[Any]:
    if not isinstance(value, dict) or not isinstance(value.get(key), list):
        _refuse(where, f"a list {key!r}", path)
    return value[key]


def _text(value: Any, key: str, where: str, path: Path) -> str:
    if not isinstance(value, dict) or not isinstance(value.get(key), str):
        _refuse(where, f"a text {key!r}", path)
    return value[key]


def _refuse(where: str, missing: str, path: Path) -> NoReturn:
    raise UserError(f"{where} has not {missing}", file=path, expected="the format of SQuAD", advice="mend the file")
