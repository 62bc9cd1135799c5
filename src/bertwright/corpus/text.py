"""Readers of plain text: a document a file, a sentence a line, a document a line."""

from collections.abc import Iterator
from pathlib import Path

from bertwright.config import CorpusSettings
from bertwright.corpus.files import LONGEST, open_text
from bertwright.corpus.record import NO_COLUMNS, Record
from bertwright.corpus.sentences import segments_of
from bertwright.errors import UserError


def documents(path: Path, settings: CorpusSettings) -> Iterator[Record]:
    """One record for the whole file; its id is the file."""
    with open_text(path) as stream:
        text = stream.read(LONGEST + 1)
    if len(text) > LONGEST:
        raise _too_long(path, None, 'is the reader "lines" or "sentences" meant?')
    source = path.as_posix()
    yield Record(source, segments_of(text, split=settings.split_sentences), settings.language, source, NO_COLUMNS)


def sentences(path: Path, settings: CorpusSettings) -> Iterator[Record]:
    """One record for every run of lines without a blank one; a line is a segment."""
    source, language = path.as_posix(), settings.language
    lines: list[str] = []
    first, length = 1, 0
    with open_text(path) as stream:
        for number, raw in enumerate(stream, start=1):
            if line := raw.strip():
                if not lines:
                    first, length = number, 0
                lines.append(line)
                length += len(line)
                if length > LONGEST:
                    raise _too_long(path, first, 'put a blank line between documents, or is the reader "lines" meant?')
            elif lines:
                yield Record(f"{source}:{first}", tuple(lines), language, source, NO_COLUMNS)
                lines = []
    if lines:
        yield Record(f"{source}:{first}", tuple(lines), language, source, NO_COLUMNS)


def lines(path: Path, settings: CorpusSettings) -> Iterator[Record]:
    """One record a line; a blank line is an empty record."""
    source, language, split = path.as_posix(), settings.language, settings.split_sentences
    with open_text(path) as stream:
        for number, line in enumerate(stream, start=1):
            yield Record(f"{source}:{number}", segments_of(line, split=split), language, source, NO_COLUMNS)


def _too_long(path: Path, line: int | None, advice: str) -> UserError:
    found = f"this document is longer than {LONGEST:,} characters"
    expected = "documents that fit into memory several times"
    return UserError(found, expected=expected, advice=advice, file=path, line=line)
