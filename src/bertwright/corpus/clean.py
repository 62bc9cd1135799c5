"""Cleaning: Unicode normalisation, and records without text or with a text seen before left out, and counted.

The digests of the texts that were seen stand in a private temporary database, which SQLite spills to the system's
folder for temporary files when it exceeds the cache, and removes itself: memory stays the same for any corpus. With 16
bytes, two different texts of a billion share a digest with a probability of 1e-21.
"""

import hashlib
import sqlite3
import unicodedata
from collections.abc import Iterable, Iterator
from contextlib import closing
from typing import Literal

from bertwright.config import CorpusSettings
from bertwright.corpus.record import Counts, Record
from bertwright.errors import UserError

_CACHE_KIBIBYTES = 65536


def text_key(segments: Iterable[str]) -> bytes:
    """16 bytes that stand for a text; the same for the same segments only."""
    return hashlib.blake2b("\n".join(segments).encode(), digest_size=16).digest()


def clean(records: Iterable[Record], settings: CorpusSettings, counts: Counts) -> Iterator[Record]:
    """Normalise records, drop empty ones and, if asked, those whose text was seen before.

    Args:
        records: the records, read in a stream.
        settings: what to do.
        counts: filled in as the records pass.

    Raises:
        UserError: the disk with the temporary files is full.
    """
    form = FORMS[settings.normalization]
    with closing(_Seen()) as seen:
        for record in records if form is None else (_normalized(record, form) for record in records):
            if not record.segments:
                counts.empty += 1
            elif settings.drop_duplicates and not seen.add(text_key(record.segments)):
                counts.duplicates += 1
            else:
                counts.records += 1
                counts.segments += len(record.segments)
                counts.characters += sum(map(len, record.segments))
                yield record


FORMS: dict[str, Literal["NFC", "NFKC"] | None] = {"none": None, "nfc": "NFC", "nfkc": "NFKC"}
"""Unicode's name of each `normalization`."""


def _normalized(record: Record, form: Literal["NFC", "NFKC"]) -> Record:
    normalized = (unicodedata.normalize(form, segment).strip() for segment in record.segments)
    segments = tuple(segment for segment in normalized if segment)
    return Record(record.id, segments, record.language, record.source, record.columns)


class _Seen:
    """A set of digests that grows on disk."""

    def __init__(self) -> None:
        # "" is SQLite's name for a private temporary database. One transaction that is never ended: nothing to recover.
        self._database = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        for pragma in ("journal_mode = OFF", "synchronous = OFF", f"cache_size = -{_CACHE_KIBIBYTES}"):
            self._database.execute(f"PRAGMA {pragma}")
        self._database.execute("CREATE TABLE seen (digest BLOB PRIMARY KEY) WITHOUT ROWID")
        self._database.execute("BEGIN")
        self._insert = self._database.cursor()

    def add(self, digest: bytes) -> bool:
        """Add a digest; whether it is a new one."""
        try:
            return self._insert.execute("INSERT OR IGNORE INTO seen VALUES (?)", (digest,)).rowcount == 1
        except sqlite3.OperationalError as error:
            raise UserError(
                f"the list of texts seen so far cannot be written ({error})",
                expected="room for temporary files: about 25 bytes a record",
                advice="make room there, set TMPDIR to a folder with room, or set corpus.drop_duplicates=false",
            ) from None

    def close(self) -> None:
        self._database.close()
