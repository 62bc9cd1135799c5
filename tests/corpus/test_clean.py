"""Cleaning: normalisation, empty records, duplicates in bounded memory."""

import sqlite3
import tracemalloc
from collections.abc import Iterator

import pytest

from bertwright.config import CorpusSettings
from bertwright.corpus.clean import _Seen, clean, text_key
from bertwright.corpus.record import NO_COLUMNS, Counts, Record
from bertwright.errors import UserError


def record(*segments: str) -> Record:
    return Record("id", segments, "und", "file", NO_COLUMNS)


def cleaned(records: list[Record], **values: object) -> tuple[list[tuple[str, ...]], Counts]:
    counts = Counts()
    settings = CorpusSettings.model_validate({"files": [], **values})
    return [record.segments for record in clean(records, settings, counts)], counts


def test_duplicates_and_empty_records_are_dropped_and_counted():
    records = [record("a", "b"), record(), record("c"), record("a", "b"), record("a b"), record("c"), record("c")]
    assert cleaned(records) == (
        [("a", "b"), ("c",), ("a b",)],
        Counts(records=3, segments=4, characters=6, empty=1, duplicates=3),
    )
    kept, counts = cleaned(records, drop_duplicates=False)
    assert (len(kept), counts.duplicates, counts.records) == (6, 0, 6)


@pytest.mark.parametrize(
    ("normalization", "segments"),
    [
        ("none", [("e\u0301",), ("é",), ("ﬁｎ　", "\u00a8"), ("fin", "¨")]),
        ("nfc", [("é",), ("ﬁｎ", "\u00a8"), ("fin", "¨")]),
        ("nfkc", [("é",), ("fin", "\u0308")]),
    ],
)
def test_normalization_comes_before_the_comparison(normalization: str, segments: list[tuple[str, ...]]):
    records = [record("e\u0301"), record("é"), record("ﬁｎ　", "\u00a8"), record("fin", "¨")]
    kept, counts = cleaned(records, normalization=normalization)
    assert kept == segments
    assert counts.duplicates == len(records) - len(segments)


def test_what_normalization_leaves_empty_is_dropped():
    kept, counts = cleaned([record("\u2003", "a"), record("\u2003")], normalization="nfkc")
    assert (kept, counts.empty) == ([("a",)], 1)


def test_a_key_tells_texts_apart():
    keys = {text_key(segments) for segments in (["ab"], ["a", "b"], ["b", "a"], ["ab", ""], ["好"])}
    assert len(keys) == 5
    assert text_key(["a", "b"]) == text_key(("a", "b"))


def test_memory_does_not_grow_with_the_number_of_records():
    def peak(num_records: int) -> int:
        def records() -> Iterator[Record]:
            for number in range(num_records):
                yield record(f"text number {number}")

        counts = Counts()
        tracemalloc.start()
        for _ in clean(records(), CorpusSettings(files=[]), counts):
            pass
        highest = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert counts.records == num_records
        return highest

    assert peak(20_000) < peak(2_000) + 20_000  # a set of digests would take a megabyte more


def test_the_database_keeps_little_in_memory_and_the_rest_in_a_file():
    seen = _Seen()
    (cache,) = seen._database.execute("PRAGMA cache_size").fetchone()
    assert -(2**17) <= cache < 0  # in KiB
    ((_, _, file),) = seen._database.execute("PRAGMA database_list").fetchall()
    assert file == ""  # a private one, which SQLite removes
    seen.close()


def test_a_full_disk_is_told(monkeypatch: pytest.MonkeyPatch):
    connect = sqlite3.connect

    def with_little_room(*arguments: object, **options: object) -> sqlite3.Connection:
        database = connect(*arguments, **options)  # pyright: ignore
        database.execute("PRAGMA max_page_count = 8")
        return database

    monkeypatch.setattr(sqlite3, "connect", with_little_room)
    with pytest.raises(UserError, match="database or disk is full") as raised:
        cleaned([record(str(number)) for number in range(10_000)])
    assert "TMPDIR" in raised.value.advice
