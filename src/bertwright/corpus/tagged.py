"""Sentences whose words have labels: CoNLL, CoNLL-U, JSON lines with lists, and tables with one row a sentence."""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bertwright.config import ReadingSettings
from bertwright.corpus.files import open_text, table_format
from bertwright.corpus.table import rows
from bertwright.errors import UserError

CONLLU_COLUMNS = ("id", "form", "lemma", "upos", "xpos", "feats", "head", "deprel", "deps", "misc")

DEFAULT_COLUMN = "upos"
"""CoNLL-U: the label, where the settings name none of its columns."""

COLUMN_FORMATS = (".conll", ".conll03", ".bio", ".iob", ".iob2", ".txt")
"""Suffixes of files with a word a line, its label at the end of the line, and a blank line after a sentence."""

_NUMBER = re.compile("[0-9]+([-.][0-9]+)?")
"""CoNLL-U: of a word, a range of words or an empty node."""


@dataclass(frozen=True, slots=True)
class Sentence:
    """Words, and a label for each."""

    id: str
    line: int
    words: tuple[str, ...]
    labels: tuple[str, ...] | None
    """None where the file need not have them."""
    joined: tuple[bool, ...] | None
    """For each word, whether no space stands between it and the one before; None where the file does not say."""
    raw: tuple[str, ...]
    """CoNLL-U: the lines of the sentence as they stand in the file."""
    columns: dict[str, str] = field(default_factory=dict)
    """Of a table: what else stands in the row."""


def sentences(path: Path, settings: ReadingSettings, *, labelled: bool) -> Iterator[Sentence]:
    """Read sentences in a stream.

    Args:
        path: .conllu; .conll (also .bio, .iob2, .txt): a word a line, its label last; .jsonl: lists in the columns
            text_column and label_column; .csv, .tsv: words, and labels, separated by spaces.
        settings: the columns.
        labelled: whether labels are needed.

    Raises:
        UserError: with file and line: broken lines, labels that do not match their words, no sentence at all.
    """
    suffix = table_format(path)
    if suffix == ".conllu":
        read = _conllu(path, settings, labelled)
    elif suffix in COLUMN_FORMATS:
        read = _conll(path, labelled)
    else:
        read = _table(path, settings, labelled)
    empty = True
    for sentence in read:
        empty = False
        yield sentence
    if empty:
        raise UserError("there is no sentence", file=path, expected="at least one", advice="is it the right file?")


def label_column(settings: ReadingSettings) -> int:
    """CoNLL-U: the number of the column that holds the labels.

    Raises:
        UserError: there is no such column.
    """
    usual = ReadingSettings.model_fields["label_column"].default
    name = DEFAULT_COLUMN if settings.label_column == usual else settings.label_column
    if name not in CONLLU_COLUMNS:
        raise UserError(
            f"CoNLL-U has no column {name!r}",
            expected=", ".join(CONLLU_COLUMNS[2:]),
            advice="name one of them by data.label_column",
        )
    return CONLLU_COLUMNS.index(name)


def relabelled(
    raw: Sequence[str], words: Sequence[str], labels: Sequence[str], settings: ReadingSettings, *, conllu: bool
) -> list[str]:
    """The lines of a sentence with these labels in their place.

    Args:
        raw: its lines in CoNLL-U, if it came from such a file.
        words: of the sentence.
        labels: one for each word.
        settings: with the column.
        conllu: write CoNLL-U; otherwise a word, a tab and its label.
    """
    if not conllu:
        return [f"{word}\t{label}" for word, label in zip(words, labels, strict=True)]
    column, given = label_column(settings), iter(labels)
    lines = []
    for line in raw or _bare_lines(words):
        fields = line.split("\t")
        if fields[0].isdigit():
            fields[column] = next(given)
        lines.append("\t".join(fields))
    return lines


def _bare_lines(words: Sequence[str]) -> list[str]:
    return ["\t".join([str(number), word, *"_" * 8]) for number, word in enumerate(words, start=1)]


def _blocks(path: Path) -> Iterator[tuple[int, list[str]]]:
    """The lines between blank lines, and the number of the first one."""
    with open_text(path) as stream:
        block: list[str] = []
        number = 0
        for number, line in enumerate(stream, start=1):
            if line.strip():
                block.append(line.rstrip("\n"))
            elif block:
                yield number - len(block), block
                block = []
        if block:
            yield number - len(block) + 1, block


def _conllu(path: Path, settings: ReadingSettings, labelled: bool) -> Iterator[Sentence]:
    column = label_column(settings)
    for first, block in _blocks(path):
        identity = f"{path.as_posix()}:{first}"
        words, labels, joined = [], [], []
        # A range such as 1-2 is written as one word ("don't"); what follows its last word, the range tells.
        glued, until, glued_after = False, 0, False
        for line, text in enumerate(block, start=first):
            if text.startswith("#"):
                name, _, value = text[1:].partition("=")
                identity = value.strip() if name.strip() == "sent_id" else identity
                continue
            fields = _conllu_fields(path, line, text)
            number, word, misc = fields[0], fields[1], fields[9].split("|")
            if "." in number:  # an empty node, which does not stand in the text
                continue
            if "-" in number:
                until, glued_after = int(number.rpartition("-")[2]), "SpaceAfter=No" in misc
                continue
            words.append(word)
            labels.append(fields[column])
            joined.append(glued)
            glued = glued_after if int(number) == until else int(number) < until or "SpaceAfter=No" in misc
            if labelled and fields[column] in ("", "_"):
                raise UserError(
                    f"the word {word!r} has no label",
                    file=path,
                    line=line,
                    expected=f"a label in column {CONLLU_COLUMNS[column]}",
                    advice="label it, or choose another column by data.label_column",
                )
        if words:
            given = tuple(labels) if labelled else None
            yield Sentence(identity, first, tuple(words), given, tuple(joined), tuple(block))


def _conllu_fields(path: Path, line: int, text: str) -> list[str]:
    """The fields of a line of CoNLL-U that is no comment."""
    fields = text.split("\t")
    if len(fields) != len(CONLLU_COLUMNS):
        raise UserError(
            f"this line has {len(fields)} field{'s' if len(fields) > 1 else ''}",
            file=path,
            line=line,
            expected="the ten fields of CoNLL-U, separated by tabs",
            advice="mend the line, or name the file .conll if it has a word and its label only",
        )
    if not _NUMBER.fullmatch(fields[0]):
        raise UserError(
            f"the first field is {fields[0]!r}",
            file=path,
            line=line,
            expected="the number of a word (1), of a range of words (1-2) or of an empty node (1.1)",
            advice="mend the line",
        )
    if not fields[1].strip():
        raise _no_word(path, line)
    return fields


def _no_word(path: Path, line: int) -> UserError:
    return UserError("there is no word", file=path, line=line, expected="a word", advice="mend the line")


def _conll(path: Path, labelled: bool) -> Iterator[Sentence]:
    width = 0
    for first, block in _blocks(path):
        rows_of_words = []
        for line, text in enumerate(block, start=first):
            fields = text.split("\t") if "\t" in text else text.split()
            if fields[0] == "-DOCSTART-":
                continue
            width = width or len(fields)
            if len(fields) != width or (labelled and width < 2):
                raise UserError(
                    f"this line has {len(fields)} field{'s' if len(fields) > 1 else ''}",
                    file=path,
                    line=line,
                    expected=f"{width} fields, as in the lines before" if width > 1 else "a word and its label",
                    advice="mend the line; sentences are separated by blank lines",
                )
            if not fields[0].strip():
                raise _no_word(path, line)
            if labelled and not fields[-1].strip():
                raise UserError(
                    f"the word {fields[0]!r} has no label",
                    file=path,
                    line=line,
                    expected="a label at the end of the line",
                    advice="label it",
                )
            rows_of_words.append(fields)
        if rows_of_words:
            words = tuple(fields[0] for fields in rows_of_words)
            labels = tuple(fields[-1] for fields in rows_of_words) if labelled else None
            yield Sentence(f"{path.as_posix()}:{first}", first, words, labels, None, ())


def _table(path: Path, settings: ReadingSettings, labelled: bool) -> Iterator[Sentence]:
    needed = [settings.text_column, settings.label_column] if labelled else [settings.text_column]
    lists = table_format(path) in (".jsonl", ".ndjson", ".json")
    for row in rows(path, () if lists else needed, settings.columns):
        parts = {}
        for column in needed:
            if column not in row.values:
                raise UserError(
                    f"there is no column {column!r}",
                    file=path,
                    line=row.line,
                    expected=f"one of those found: {', '.join(row.values)}",
                    advice="name the columns by data.text_column and data.label_column",
                )
            value = row.values[column]
            parts[column] = _strings(value, column, path, row.line) if lists else tuple(value.split())
        words, labels = parts[settings.text_column], parts.get(settings.label_column)
        if labels is not None and len(labels) != len(words):
            raise UserError(
                f"{len(words)} words and {len(labels)} labels",
                file=path,
                line=row.line,
                expected="a label for each word",
                advice="mend the row",
            )
        if not words:
            raise UserError("a row without words", file=path, line=row.line, expected="words", advice="remove the row")
        others = {column: value for column, value in row.values.items() if column not in parts}
        yield Sentence(row.values.get(settings.id_column) or str(row.line), row.line, words, labels, None, (), others)


def _strings(value: str, column: str, path: Path, line: int) -> tuple[str, ...]:
    """The strings of a list that the table gives as JSON."""
    try:
        found = json.loads(value)
    except (ValueError, RecursionError):  # it is a string
        found = None
    if not isinstance(found, list) or not all(isinstance(each, str) and each.strip() for each in found):
        raise UserError(
            f"column {column!r} is no list of words",
            file=path,
            line=line,
            expected='a list of strings: ["John", "sleeps"]',
            advice="mend the line",
        )
    return tuple(found)
