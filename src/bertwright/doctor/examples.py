"""Which kind of file it is, which columns hold text and label, and the examples in it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from bertwright.config import CorpusSettings
from bertwright.corpus import READERS
from bertwright.corpus.files import open_text, resolve, table_format
from bertwright.corpus.table import rows
from bertwright.errors import UserError

TABLES = {".csv", ".tsv", ".tab", ".jsonl", ".ndjson", ".json"}
"""Suffixes of files that are read as tables unless a reader is named; all others are read as lines."""

TEXT_COLUMNS = (
    ("text",),
    ("sentence1", "sentence2"),
    ("text_a", "text_b"),
    ("sentence_a", "sentence_b"),
    ("premise", "hypothesis"),
    ("question1", "question2"),
    ("sentence",),
    ("text_a",),
    ("content",),
    ("review",),
)
"""Names that columns of text usually bear, the first match wins; capital letters do not matter."""

LABEL_COLUMNS = ("label", "labels", "class", "category", "target", "sentiment", "gold_label", "entailment_judgment")

MOST_FILES = 20
"""A folder or pattern that names more files than this counts as one."""

_LOOKED_AT = 100
_LONGEST_NAME = 40
_SHORTEST_TEXT = 8


class Example(NamedTuple):
    """One text or pair of texts; `segments` is empty where there is no text."""

    place: str
    segments: tuple[str, ...]
    label: str | None


class Columns(NamedTuple):
    """The columns of a table that matter."""

    texts: tuple[str, ...]
    label: str | None


@dataclass(frozen=True)
class Source:
    """What one entry of the page is about: a file, or many that count as one."""

    name: str
    files: tuple[Path, ...]
    reader: str | None
    text_columns: tuple[str, ...]
    label_column: str | None

    def columns(self) -> Columns | None:
        """The columns of the (first) file; None if it is no table."""
        return self._columns(self.files[0]) if self._reader(self.files[0]) == "table" else None

    def read(self) -> Iterator[Example]:
        """All examples, in a stream.

        Raises:
            UserError: a file cannot be read, or it cannot be told which column holds the text.
        """
        for path in self.files:
            reader = self._reader(path)
            if reader == "table":
                yield from _table(path, self._columns(path))
            else:
                settings = CorpusSettings(files=[str(path)], reader=reader, split_sentences=False)  # pyright: ignore[reportArgumentType]
                for record in READERS[reader](path, settings):
                    yield Example(record.id, record.segments, None)

    def has_tabs(self) -> bool:
        """Whether this is read as lines, but looks like a table: the same number of tabs in each of the first lines."""
        if self._reader(self.files[0]) != "lines":
            return False
        with open_text(self.files[0]) as stream:
            numbers = {line.count("\t") for line in islice(stream, _LOOKED_AT)}
        return len(numbers) == 1 and numbers.pop() > 0

    def _reader(self, path: Path) -> str:
        return self.reader or ("table" if table_format(path) in TABLES else "lines")

    def _columns(self, path: Path) -> Columns:
        looked_at = [row.values for row in islice(rows(path, self.text_columns), _LOOKED_AT)]
        names = list(looked_at[0])
        if self.label_column is not None:
            label = self.label_column if self.label_column in names else None
        else:
            label = next((name for name in names if name.casefold() in LABEL_COLUMNS), None)
        return Columns(self.text_columns or _text_columns(path, names, label, looked_at), label)


def sources(
    patterns: Sequence[str], *, reader: str | None, text_columns: tuple[str, ...], label_column: str | None
) -> list[Source]:
    """The entries of the page, in the order in which they were named, each file once.

    Raises:
        UserError: a file is missing, or there is no such reader.
    """
    if reader is not None and reader not in READERS:
        advice = "choose one, or leave it out"
        raise UserError(f"no reader is called {reader!r}", expected=f"one of {', '.join(READERS)}", advice=advice)
    found: dict[str, Source] = {}
    for pattern in patterns:
        files = tuple(resolve([pattern]))
        parts = {pattern: files} if len(files) > MOST_FILES else {path.as_posix(): (path,) for path in files}
        for name, part in parts.items():
            found.setdefault(name, Source(name, part, reader, text_columns, label_column))
    return list(found.values())


def _table(path: Path, columns: Columns) -> Iterator[Example]:
    source = path.as_posix()
    for row in rows(path, columns.texts):
        segments = tuple(row.values[name].strip() for name in columns.texts)
        label = row.values.get(columns.label, "").strip() if columns.label is not None else None
        yield Example(f"{source}:{row.line}", segments if any(segments) else (), label)


def _text_columns(path: Path, names: list[str], label: str | None, looked_at: list[dict[str, str]]) -> tuple[str, ...]:
    """The columns that hold text, by their names, else the only one that looks like it."""
    by_name = {name.casefold(): name for name in names}
    for wanted in TEXT_COLUMNS:
        if all(name in by_name for name in wanted):
            return tuple(by_name[name] for name in wanted)
    first_row = f"{', '.join(repr(name[:_LONGEST_NAME]) for name in names[:10])}"
    if any(len(name) > _LONGEST_NAME or _is_number(name) for name in names):
        raise UserError(
            f"the first line looks like an example, not like the names of columns: {first_row}",
            file=path,
            line=1,
            expected="a first line that names the columns, such as text and label",
            advice="put such a line above the others",
        )
    texts = [name for name in names if name != label and _looks_like_text([row.get(name, "") for row in looked_at])]
    if len(texts) != 1:
        raise UserError(
            "it cannot be told which column holds the text",
            file=path,
            expected=f"one of the columns found: {first_row}",
            advice="name it: --text-column NAME",
        )
    return tuple(texts)


def _looks_like_text(values: list[str]) -> bool:
    """Long enough, mostly different and no numbers."""
    if sum(map(len, values)) < _SHORTEST_TEXT * len(values) or sum(map(_is_number, values)) > len(values) / 2:
        return False
    return 2 * len(set(values)) > len(values)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
