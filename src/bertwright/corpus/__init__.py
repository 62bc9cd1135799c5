"""Files become records: read, cut into sentences, cleaned, and split into training and held-out ones.

Everything streams: memory holds one record at a time, whatever the size of the corpus. To add a reader: a file with a
function (path, settings) -> records, and a line in `READERS`.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from bertwright.config import CorpusSettings
from bertwright.corpus import clean, fasta, files, symbols, table, text
from bertwright.corpus.record import Counts, Record
from bertwright.corpus.table import Row
from bertwright.corpus.words import word_starts
from bertwright.errors import UserError

__all__ = ["READERS", "Counts", "Record", "Row", "held_out", "held_out_hash", "read", "read_rows", "word_starts"]

READERS: dict[str, Callable[[Path, CorpusSettings], Iterator[Record]]] = {
    "documents": text.documents,
    "sentences": text.sentences,
    "lines": text.lines,
    "table": table.table,
    "symbols": symbols.symbols,
    "fasta": fasta.fasta,
}
"""How a file becomes records; their segments are neither normalised nor compared yet."""


def read(settings: CorpusSettings, counts: Counts) -> Iterator[Record]:
    """Read a corpus: all files in sorted order, cleaned.

    Args:
        settings: the files, how to read and how to clean them.
        counts: filled in while the records stream by.

    Raises:
        UserError: a file cannot be read as it should be (see `files.open_text`, `table.rows`), or no record has text.
    """
    yield from clean.clean(_read_files(settings, counts), settings, counts)
    if counts.records == 0:
        raise UserError(
            f"the corpus holds no text: {counts.empty:,} records in {counts.files:,} files, all of them empty",
            expected="at least one record with text",
            advice="check corpus.files, corpus.reader and corpus.text_column",
        )


def read_rows(
    path: Path, columns: Sequence[str], names: Sequence[str] = (), *, lacking: str | None = None
) -> Iterator[Row]:
    """Read a labelled file: the rows of a table in which all the named columns exist and hold text in every row.

    Args:
        path: the table.
        columns: that must be there.
        names: of the columns of a file whose first line does not name them.
        lacking: one of these names, whose column the file may be without.

    Raises:
        UserError: see `table.rows`.
    """
    return table.rows(path, columns, names, lacking)


def held_out(record: Record, settings: CorpusSettings) -> bool:
    """Whether a record is kept out of training, by its text or its column's value: the same in every run and order.

    With held_out_by = "block" this is decided for each block, by `held_out_hash`.
    """
    assert settings.held_out_by != "block", "blocks are cut from ids, after the corpus was read"
    if settings.held_out_column is not None:
        return held_out_hash(record.columns[settings.held_out_column].encode(), settings.held_out)
    return held_out_hash(clean.text_key(record.segments), settings.held_out)


def held_out_hash(key: bytes, share: float) -> bool:
    """Whether what bears this key belongs to the held-out share; of many keys, about this share does."""
    return int.from_bytes(hashlib.blake2b(key, digest_size=8).digest()) < share * 2**64


def _read_files(settings: CorpusSettings, counts: Counts) -> Iterator[Record]:
    for path in files.resolve(settings.files):
        counts.files += 1
        yield from READERS[settings.reader](path, settings)
