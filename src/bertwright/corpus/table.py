"""Tables with named columns: csv with the quoting of RFC 4180, tsv without any, and one JSON object a line.

In a tsv file a quote is a character like any other: the public sets are full of unbalanced ones, and a parser that
takes them for quoting joins thousands of rows into one without a word.
"""

import csv
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, NoReturn, TextIO

from bertwright.config import CorpusSettings
from bertwright.corpus.files import LONGEST, open_text, table_format
from bertwright.corpus.record import Record
from bertwright.corpus.sentences import segments_of
from bertwright.errors import UserError, require_whole_characters

_FORMATS = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
    ".txt": "tsv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
}
_COLUMNS_SHOWN, _NAME_SHOWN = 20, 40

Header = Callable[[int, list[str]], tuple[list[str], bool]]
"""Line and fields of the first row -> the names of the columns, and whether that row is one of the table."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a table."""

    line: int
    """The line of the file in which it begins, counted from 1."""
    values: dict[str, str]
    """Column name -> text."""
    json: str = field(default="", compare=False)
    """The line itself, if it is JSON: its values have types there."""


def rows(
    path: Path, columns: Sequence[str] = (), names: Sequence[str] = (), lacking: str | None = None
) -> Iterator[Row]:
    """Read a table in a stream.

    csv and tsv begin with a line of column names; blank lines are left out. In jsonl, numbers become the text that
    stands in the file, true and false too; in columns that are not named, null becomes "" and lists and objects become
    their JSON.

    Args:
        path: the table; its suffix tells the format: .csv, .tsv (also .tab, .txt) or .jsonl (also .ndjson, .json), and
            .gz, .xz or .zst after it.
        columns: columns that every row must have, with text in them (maybe an empty one).
        names: of the columns of a csv or tsv file whose first line does not name them. A first line that names all of
            `columns` is not taken for a row; rows may have `columns` alone, without the others.
        lacking: one of `names`, whose column the file may be without (labels).

    Raises:
        UserError: with file and line: a named column is missing (the message lists those found) or null, a row has
            more or fewer fields than there are columns, quoting or JSON is broken, a line of jsonl is no object, a text
            holds half a surrogate pair or a NUL, the table has no rows; and all that `open_text` raises.
    """
    read = {"csv": _read_csv, "tsv": _read_tsv, "jsonl": _read_jsonl}
    suffix = table_format(path)
    if suffix not in _FORMATS:
        raise UserError(
            f"the suffix {suffix!r} names no table format"
            if suffix
            else "the file has no suffix that tells its format",
            file=path,
            expected=".csv, .tsv, .txt (tab-separated) or .jsonl, also with .gz, .xz or .zst after it",
            advice="rename the file",
        )
    with open_text(path) as stream:
        row = None
        for row in read[_FORMATS[suffix]](path, stream, columns, partial(_names, path, columns, names, lacking)):
            yield row
    if row is None:
        raise UserError(
            "the table has no rows", file=path, expected="at least one row", advice="add rows, or remove the file"
        )


def table(path: Path, settings: CorpusSettings) -> Iterator[Record]:
    """One record a row: text, id, language and held-out value come from the columns that the settings name."""
    source = path.as_posix()
    named = (
        settings.text_column,
        settings.id_column,
        settings.language_column,
        settings.held_out_column,
        settings.words_column,
    )
    for row in rows(path, list(dict.fromkeys(column for column in named if column is not None))):
        values = row.values
        yield Record(
            values[settings.id_column] if settings.id_column is not None else f"{source}:{row.line}",
            segments_of(values[settings.text_column], split=settings.split_sentences),
            (values[settings.language_column] if settings.language_column is not None else "") or settings.language,
            source,
            values,
        )


def _read_csv(path: Path, stream: TextIO, _columns: Sequence[str], header: Header) -> Iterator[Row]:
    # The limit is the whole process's and only ever raised; it stays finite, since a quote that is never closed would
    # gather the rest of the file in one field.
    csv.field_size_limit(max(csv.field_size_limit(), LONGEST))
    reader = csv.reader(stream, strict=True)
    names: list[str] = []
    begin = 1
    try:
        for fields in reader:
            if fields:
                if not names:
                    names, is_row = header(begin, fields)
                    if not is_row:
                        begin = reader.line_num + 1
                        continue
                if len(fields) != len(names):
                    spans = (
                        f", as far as line {reader.line_num}: is a quote not closed?" if reader.line_num > begin else ""
                    )
                    _refuse_ragged(path, begin, len(fields), names, spans)
                else:
                    yield Row(begin, dict(zip(names, fields, strict=True)))
            begin = reader.line_num + 1
    except csv.Error as error:
        where = f" in line {reader.line_num}" if reader.line_num > begin else ""
        raise UserError(
            f"the row that begins here is no valid csv ({error}{where})",
            file=path,
            line=begin,
            expected='a quoted field that ends in a quote, with quotes inside it doubled: "so ""called"" quotes"',
            advice="close the quote, or save the table as .tsv, where quotes have no meaning",
        ) from None


def _read_tsv(path: Path, stream: TextIO, _columns: Sequence[str], header: Header) -> Iterator[Row]:
    names: list[str] = []
    for number, raw in enumerate(stream, start=1):
        line = raw.rstrip("\n")
        if not line:
            continue
        fields = line.split("\t")
        if not names:
            names, is_row = header(number, fields)
            if not is_row:
                continue
        if len(fields) != len(names):
            _refuse_ragged(path, number, len(fields), names, "")
        else:
            yield Row(number, dict(zip(names, fields, strict=True)))


def _read_jsonl(path: Path, stream: TextIO, columns: Sequence[str], _header: Header) -> Iterator[Row]:
    # Numbers stay as they are written: 1.50 is not to become 1.5, nor a long id 1e+17.
    decode = json.JSONDecoder(parse_int=str, parse_float=str, parse_constant=_no_constant).decode
    for number, line in enumerate(stream, start=1):
        if line.isspace():
            continue
        try:
            values = decode(line.strip())
        except (ValueError, RecursionError) as error:
            reason = (
                f"{error.msg} at character {error.pos + 1}" if isinstance(error, json.JSONDecodeError) else str(error)
            )
            raise _no_object(path, number, f"this line is no JSON ({reason})") from None
        if not isinstance(values, dict):
            raise _no_object(path, number, "this line is JSON, but no object")
        for column in columns:
            if not isinstance(values.get(column), str | bool):
                _refuse_value(path, number, column, values)
        texts = {
            name: value if isinstance(value, str) else _as_text(line, name, value) for name, value in values.items()
        }
        if "\\u" in line:  # only an escape can bring these in: `open_text` lets none pass
            _check_characters(path, number, texts)
        yield Row(number, texts, line)


def _names(
    path: Path, columns: Sequence[str], given: Sequence[str], lacking: str | None, line: int, fields: list[str]
) -> tuple[list[str], bool]:
    """The names of the columns, told by the first row or given; and whether that row is one of the table."""
    if not given or (columns and set(columns) <= {field.strip() for field in fields}):
        return _header(path, line, fields, columns), False
    names = _header(path, 0, list(given), columns)
    if lacking in names and len(fields) == len(given) - 1:
        names = [name for name in names if name != lacking]
    elif len(fields) == len(columns) != len(given):
        names = [name for name in names if name in columns]
    return names, True


def _header(path: Path, line: int, fields: list[str], columns: Sequence[str]) -> list[str]:
    """The column names of a table, from this line, or from none; columns without a name may be many."""
    names = [field.strip() for field in fields]
    for name in names:
        if name and names.count(name) > 1:
            advice = "give every column its own name"
            raise UserError(
                f"two columns are called {name!r}", file=path, line=line or 1, expected="a name once", advice=advice
            )
    for column in columns:
        if column not in names:
            advice = "the first line must name the columns" if line else "data.columns must name it"
            raise _no_column(path, line or 1, column, names, advice)
    return names


def _no_column(path: Path, line: int, column: str, names: Sequence[str], advice: str) -> UserError:
    shown = [name if len(name) <= _NAME_SHOWN else f"{name[:_NAME_SHOWN]}..." for name in names[:_COLUMNS_SHOWN]]
    more = f" and {len(names) - _COLUMNS_SHOWN} more" if len(names) > _COLUMNS_SHOWN else ""
    if len(names) == 1 and (separator := next((character for character in "\t;," if character in names[0]), None)):
        advice += f"; is {separator!r} the separator? Then save the table as .csv with commas or as .tsv with tabs"
    return UserError(
        f"there is no column {column!r}",
        file=path,
        line=line,
        expected=f"one of the columns found: {', '.join(map(repr, shown))}{more}",
        advice=advice,
    )


def _refuse_ragged(path: Path, line: int, num_fields: int, names: list[str], spans: str) -> NoReturn:
    raise UserError(
        f"this row has {num_fields} field{'s' if num_fields > 1 else ''}{spans}",
        file=path,
        line=line,
        expected=f"{len(names)}, as many as there are columns",
        advice="mend the row",
    )


def _refuse_value(path: Path, line: int, column: str, values: dict[str, Any]) -> NoReturn:
    if column not in values:
        raise _no_column(path, line, column, list(values), "every line needs it; add it, or name another one")
    kind = {dict: "an object", list: "a list"}.get(type(values[column]), "null")
    advice = "give the line a value, or remove it"
    raise UserError(f"column {column!r} is {kind}", file=path, line=line, expected="text or a number", advice=advice)


def _no_object(path: Path, line: int, found: str) -> UserError:
    advice = "write one object in every line, without commas between them and without brackets around all"
    return UserError(
        found, file=path, line=line, expected='a JSON object: {"text": "...", "label": "..."}', advice=advice
    )


def _as_text(line: str, name: str, value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return json.dumps(json.loads(line)[name], ensure_ascii=False)  # read anew, as here numbers are strings


def _check_characters(path: Path, line: int, texts: dict[str, str]) -> None:
    for name, text in texts.items():
        require_whole_characters(name + text, f"column {name!a}", file=path, line=line)
        if "\0" in text:
            advice = "remove \\u0000 from the line"
            raise UserError(f"column {name!r} holds a NUL", file=path, line=line, expected="text", advice=advice)


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")
