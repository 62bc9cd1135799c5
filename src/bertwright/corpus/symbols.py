"""Reader of plain symbol sequences: one a line, its symbols separated by spaces (notes, log events, k-mers, ids)."""

from collections.abc import Iterator
from pathlib import Path

from bertwright.config import CorpusSettings
from bertwright.corpus.files import open_text
from bertwright.corpus.record import NO_COLUMNS, Record


def symbols(path: Path, settings: CorpusSettings) -> Iterator[Record]:
    """One record a line, with one segment, where one space stands between symbols; a blank line is an empty record."""
    source, language = path.as_posix(), settings.language
    with open_text(path) as stream:
        for number, line in enumerate(stream, start=1):
            sequence = " ".join(line.split())
            yield Record(f"{source}:{number}", (sequence,) if sequence else (), language, source, NO_COLUMNS)
