"""Answers in files, one example after the other: tables, lines with labels in their place, SQuAD's predictions."""

import codecs
import csv
import io
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from bertwright.corpus.tagged import relabelled
from bertwright.errors import UserError
from bertwright.run import atomic_file
from bertwright.tasks.qa import QuestionAnswering
from bertwright.tasks.tag import Sentence, Tag
from bertwright.tasks.task import Example, Task

TABLES = (".csv", ".tsv", ".jsonl")

NESTED = ("alternatives", "entities", "probabilities")
"""What a table cannot hold of an answer."""

Write = Callable[[Example, Any], None]
"""Told an example and its answer."""


class _Text(Protocol):
    """What text can be written to."""

    def write(self, text: str, /) -> Any:
        """Append a text."""


@contextmanager
def answers_in(target: str, task: Task) -> Iterator[Write]:
    """A function that writes an answer, in a form that the target's suffix tells; the file appears when it is whole.

    .csv, .tsv: the example's columns and the answer's (lists of words separated by spaces, nested values left out); a
    column that is called as one of the answer's becomes given_NAME.
    .jsonl: the same with all values. "-": jsonl on standard output. .conllu, .conll: the sentences with the labels in
    their column (tag). .json: {id: answer}, which SQuAD's scorer reads (qa).

    Raises:
        UserError: the suffix names no such form, or the format cannot hold a value.
    """
    if target == "-":
        yield lambda example, answer: _write_object(sys.stdout, example, task.told(example, answer))
        return
    path = Path(target)
    more = {Tag: (".conllu", ".conll"), QuestionAnswering: (".json",)}.get(type(task), ())
    if path.suffix not in (*TABLES, *more):
        raise UserError(
            f"cannot write {path.suffix or 'a file without suffix'}",
            expected=" or ".join((*TABLES, *more)),
            advice="name the output so, or - for jsonl on standard output",
            file=path,
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_file(path) as raw:
        file = codecs.getwriter("utf-8")(raw)
        if path.suffix == ".json":
            predictions: dict[str, str] = {}
            yield lambda example, answer: predictions.update({example.id: task.told(example, answer)["answer"]})
            file.write(json.dumps(predictions, ensure_ascii=False, indent=1) + "\n")
        elif path.suffix in more:
            yield lambda example, answer: _write_lines(file, path, task, example, answer)
        elif path.suffix == ".jsonl":
            yield lambda example, answer: _write_object(file, example, task.told(example, answer))
        else:
            write = table_writer(file, path)
            yield lambda example, answer: write(_beside(example.columns, _flat(task.told(example, answer), path)))


def _write_lines(file: _Text, path: Path, task: Task, example: Example, answer: Any) -> None:
    assert isinstance(example, Sentence)
    lines = relabelled(example.raw, example.texts, answer.labels, task.settings, conllu=path.suffix == ".conllu")
    file.write("\n".join(lines) + "\n\n")


def _beside(columns: dict[str, Any], told: dict[str, Any]) -> dict[str, Any]:
    """An example's columns and the answer's."""
    own = {name for name in told if name != "id"}
    return {**{f"given_{name}" if name in own else name: value for name, value in columns.items()}, **told}


def _flat(told: dict[str, Any], path: Path) -> dict[str, Any]:
    """What a table can hold."""
    kept = {name: value for name, value in told.items() if name not in NESTED}
    for value in (word for each in kept.values() if isinstance(each, list) for word in each):
        if value.split() != [value]:
            raise UserError(
                f"the word {value!r} holds a space, and words stand between spaces here",
                expected="words without spaces",
                advice="write .jsonl instead",
                file=path,
            )
    return {name: " ".join(value) if isinstance(value, list) else value for name, value in kept.items()}


def _write_object(file: _Text, example: Example, told: dict[str, Any]) -> None:
    """A line of JSON; what came from one keeps its types."""
    columns = json.loads(example.json) if example.json else example.columns
    file.write(json.dumps(_beside(columns, told), ensure_ascii=False) + "\n")


def table_writer(file: _Text, path: Path) -> Callable[[dict[str, Any]], None]:
    """A function that writes one row of a table; the first row gives the columns."""
    write_line = _write_csv if path.suffix == ".csv" else _write_tsv
    columns: list[str] = []
    count = 0

    def write(row: dict[str, Any]) -> None:
        nonlocal count
        count += 1
        if not columns:
            columns.extend(row)
            write_line(file, columns, path, count)
        if set(row) != set(columns):
            raise UserError(
                f"row {count} has other columns than the first one: {', '.join(sorted(set(row) ^ set(columns)))}",
                expected="the same columns in every row of a table",
                advice="write .jsonl, where every row has its own",
                file=path,
            )
        write_line(file, [str(row[column]) for column in columns], path, count)

    return write


def _write_csv(file: _Text, values: list[str], _path: Path, _row: int) -> None:
    line = io.StringIO(newline="")
    csv.writer(line).writerow(values)  # the row ends in \r\n: else Python before 3.13 would not quote a value with \r
    file.write(line.getvalue().removesuffix("\r\n") + "\n")


def _write_tsv(file: _Text, values: list[str], path: Path, row: int) -> None:
    """Write values between tabs; nothing is quoted, as nothing is when a tsv file is read."""
    for value in values:
        if any(character in value for character in "\t\n\r"):
            raise UserError(
                f"row {row} holds a tab or a line break in {value[:40]!r}, which a tsv file cannot hold",
                expected="values of one line without tabs",
                advice="write .csv or .jsonl instead",
                file=path,
            )
    file.write("\t".join(values) + "\n")
