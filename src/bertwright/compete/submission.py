"""The submission: exactly the columns and the order of the sample file, with our answers in it."""

import codecs
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bertwright.corpus import Row, read_rows
from bertwright.errors import UserError
from bertwright.metrics import OF_PROBABILITIES
from bertwright.output import table_writer
from bertwright.run import atomic_file
from bertwright.tasks import QuestionAnswering, Tag
from bertwright.tasks.task import Example, Task

COLUMNS_SHOWN = 10


@dataclass(frozen=True)
class Form:
    """What a submission looks like."""

    columns: list[str]
    id_column: str
    ids: list[str]
    """Of each row."""
    places: list[int]
    """Of each row, the number of its test example."""
    fill: str
    """What stands beside the id: "answer", "probability" (of the second of two classes), or "probabilities", each in a
    column with the name of its class."""
    spellings: dict[str, str] = field(default_factory=dict)
    """Of labels that the sample writes in another way: 1 for 1.0."""


def form_of(
    sample: Path | None, task: Task, examples: Sequence[Example], id_column: str, metric: str
) -> tuple[Form, list[str]]:
    """The form of a submission, and what is odd about the sample.

    Args:
        sample: a sample submission; None: an id and the answer, in the order of the test file.
        task: tells the labels.
        examples: of the test file.
        id_column: of the sample and the test file.
        metric: of the competition; some are of probabilities.

    Raises:
        UserError: the sample has no column of ids, other ids than the test file, or columns that cannot be filled.
    """
    if sample is None:
        answer = "answer" if isinstance(task, QuestionAnswering) else task.settings.label_column
        ids = [example.id for example in examples]
        odd = [f"the test file has no column {id_column!r}: the submission names its examples by their lines"]
        numbered = any(_is_numbered(example, id_column) for example in examples)
        fill = "probability" if metric in OF_PROBABILITIES and len(task.labels) == 2 else "answer"
        form = Form([id_column, answer], id_column, ids, list(range(len(ids))), fill)
        return form, odd if numbered else []
    rows = list(read_rows(sample, []))
    columns = list(rows[0].values)
    if id_column not in columns:
        raise UserError(
            f"the sample submission has no column {id_column!r}",
            file=sample,
            line=1,
            expected=f"a column of ids among {', '.join(map(repr, columns[:COLUMNS_SHOWN]))}",
            advice="set data.id_column to the one that holds them",
        )
    fill = _fill_of(sample, task, columns, id_column, rows, metric)
    spellings = _spellings(
        task.labels, {row.values[name].strip() for row in rows for name in columns if name != id_column}
    )
    ids = [row.values[id_column] for row in rows]
    if len(set(ids)) < len(ids):
        twice = next(row for place, row in enumerate(rows) if row.values[id_column] in ids[:place])
        raise UserError(
            f"the sample submission has {twice.values[id_column]!r} twice",
            file=sample,
            line=twice.line,
            expected="each id once",
            advice="is data.id_column the right column?",
        )
    if any(_is_numbered(example, id_column) for example in examples):
        return Form(columns, id_column, ids, _by_order(sample, ids, examples, id_column), fill, spellings), [
            f"the test file has no column {id_column!r}: its examples are taken in the order of the sample"
        ]
    place_of = {example.id: place for place, example in enumerate(examples)}
    for row in rows:
        if row.values[id_column] not in place_of:
            raise UserError(
                f"the sample submission asks for {row.values[id_column]!r}, which the test file does not have",
                file=sample,
                line=row.line,
                expected="ids of the test file",
                advice="is it the sample of this competition?",
            )
    left = len(examples) - len(ids)
    odd = [f"the sample submission does not ask for {left:,} test examples"] if left else []
    return Form(columns, id_column, ids, [place_of[each] for each in ids], fill, spellings), odd


def write_submission(path: Path, form: Form, task: Task, examples: Sequence[Example], answers: Sequence[Any]) -> None:
    """Write answers to test examples in a form, as .csv or .tsv."""
    with atomic_file(path) as raw:
        write = table_writer(codecs.getwriter("utf-8")(raw), path)
        for identity, place in zip(form.ids, form.places, strict=True):
            example, answer = examples[place], answers[place]
            write(
                {
                    name: identity if name == form.id_column else _value(task, example, answer, name, form)
                    for name in form.columns
                }
            )


def _is_numbered(example: Example, id_column: str) -> bool:
    """Whether its id is no more than its place in the file."""
    if example.columns:
        return id_column not in example.columns
    return example.id in (str(example.line), f"{Path(example.file).as_posix()}:{example.line}")


def _by_order(sample: Path, ids: Sequence[str], examples: Sequence[Example], id_column: str) -> list[int]:
    if len(ids) != len(examples):
        raise UserError(
            f"the test file has no column {id_column!r}, and {len(examples):,} examples for the {len(ids):,} rows of "
            f"{sample}",
            file=examples[0].file,
            expected="ids, or as many examples as the sample submission has rows",
            advice="set data.id_column to the column that holds them, in both files",
        )
    return list(range(len(ids)))


def _fill_of(path: Path, task: Task, columns: Sequence[str], id_column: str, rows: Sequence[Row], metric: str) -> str:
    """What is to stand beside the id, told from what stands there, and from the metric.

    Raises:
        UserError: that is neither one column nor one for each class.
    """
    others = [name for name in columns if name != id_column]
    classes = task.problem == "single_label_classification"
    if len(others) == 1:
        shown = {row.values[others[0]].strip() for row in rows} - {""}
        shares = all(map(_is_share, shown)) and (metric in OF_PROBABILITIES or not all(map(_is_whole, shown)))
        if not classes or not shares or (shown <= set(task.labels) and metric not in OF_PROBABILITIES):
            return "answer"
        if others[0] in task.labels:
            return "probabilities"  # of this class
        return "probability" if len(task.labels) == 2 else "answer"
    if task.problem is not None and sorted(others) == task.labels:
        return "probabilities"
    raise UserError(
        f"the sample submission has the columns {', '.join(map(repr, columns[:COLUMNS_SHOWN]))}",
        file=path,
        line=1,
        expected=f"{id_column!r} and one column"
        + (f", or one for each of {', '.join(task.labels[:COLUMNS_SHOWN])}" if task.labels else ""),
        advice="leave data.sample out, and bring submission.csv into the form that is wanted",
    )


def _is_share(text: str) -> bool:
    try:
        return 0 <= float(text) <= 1
    except ValueError:
        return False


def _is_whole(text: str) -> bool:
    return text.lstrip("+-").isdecimal()


def _spellings(labels: Sequence[str], shown: set[str]) -> dict[str, str]:
    """How a sample writes labels, where these are whole numbers with a point, as tables of numbers have them: 1.0."""
    pointed = all(_is_whole(label.removesuffix(".0")) for label in labels)
    return {label: label.removesuffix(".0") for label in labels} if pointed and all(map(_is_whole, shown)) else {}


def _value(task: Task, example: Example, answer: Any, column: str, form: Form) -> str:
    if form.fill == "probabilities":
        return f"{float(answer[task.labels.index(column)]):.9g}"
    if form.fill == "probability":
        return f"{float(answer[1]):.9g}"
    told = task.told(example, answer)
    if isinstance(task, Tag):
        return " ".join(told["labels"])
    label = str(told["answer" if isinstance(task, QuestionAnswering) else "label"])
    return form.spellings.get(label, label)
