"""What a corpus is made of: records, and what was counted while they were read."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

NO_COLUMNS: Mapping[str, str] = MappingProxyType({})
"""The columns of a record that came from no table."""


@dataclass(frozen=True, slots=True)
class Record:
    """One document or example."""

    id: str
    """The value of the id column, else FILE:LINE of the record's first line, or FILE where a file is a document."""
    segments: tuple[str, ...]
    """Its sentences, none of them empty and without white space at either end; no segments: an empty record."""
    language: str
    """Language or kind."""
    source: str
    """The file it came from."""
    columns: Mapping[str, str]
    """table: all columns of its row; else empty."""


@dataclass(slots=True)
class Counts:
    """What was read, filled while the records stream by."""

    files: int = 0
    records: int = 0
    """Records that were handed on."""
    segments: int = 0
    """Segments of these records."""
    characters: int = 0
    """Characters of these segments."""
    empty: int = 0
    """Records without text; they were dropped."""
    duplicates: int = 0
    """Records whose text was seen before; they were dropped."""
