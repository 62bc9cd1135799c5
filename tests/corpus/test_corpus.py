"""Reading a whole corpus, and the held-out split."""

import tracemalloc
from pathlib import Path

import pytest

from bertwright.config import CorpusSettings
from bertwright.corpus import READERS, Counts, held_out, held_out_hash, read
from bertwright.corpus.record import NO_COLUMNS, Record
from bertwright.errors import UserError

SPLIT = [18, 29, 47, 55, 66, 71, 72, 90, 99]
SPLIT_OF_RECORDS = [12, 27, 49, 63, 72, 85, 87, 89, 95]
"""Of the numbers below 100, those held out at a tenth; never to be changed."""


def test_there_is_a_reader_for_every_name_a_recipe_may_give():
    assert set(READERS) == set(CorpusSettings.model_json_schema()["properties"]["reader"]["enum"])


def test_all_files_are_read_in_order_and_compared(tmp_path: Path):
    (tmp_path / "b.txt").write_text("三。\n一。二。\n", encoding="utf-8")
    (tmp_path / "a.txt").write_text("一。二。\n\n四。\n", encoding="utf-8")
    counts = Counts()
    records = list(read(CorpusSettings(files=[str(tmp_path)]), counts))
    assert [record.segments for record in records] == [("一。", "二。"), ("四。",), ("三。",)]
    assert [record.id.rsplit("/", 1)[-1] for record in records] == ["a.txt:1", "a.txt:3", "b.txt:1"]
    assert counts == Counts(files=2, records=3, segments=4, characters=8, empty=1, duplicates=1)


def test_counts_are_filled_while_records_stream(tmp_path: Path):
    (tmp_path / "a.txt").write_text("a\nb\nc\n", encoding="utf-8")
    counts = Counts()
    records = read(CorpusSettings(files=[str(tmp_path)]), counts)
    next(records)
    assert counts.records == 1
    next(records)
    assert counts.records == 2
    records.close()  # pyright: ignore[reportAttributeAccessIssue]


@pytest.mark.parametrize("reader", ["documents", "sentences", "lines", "symbols"])
def test_a_corpus_without_text_is_told(tmp_path: Path, reader: str):
    (tmp_path / "a.txt").write_text(" \n\n", encoding="utf-8")
    with pytest.raises(UserError, match="the corpus holds no text"):
        list(read(CorpusSettings.model_validate({"files": [str(tmp_path)], "reader": reader}), Counts()))


def test_a_bad_file_stops_the_corpus_with_its_name(tmp_path: Path):
    (tmp_path / "a.txt").write_text("good\n", encoding="utf-8")
    (tmp_path / "b.txt").write_bytes(b"caf\xe9\n")
    with pytest.raises(UserError) as raised:
        list(read(CorpusSettings(files=[str(tmp_path)]), Counts()))
    assert (raised.value.file, raised.value.line) == (tmp_path / "b.txt", 1)


def record(text: str, **columns: str) -> Record:
    return Record("id", (text,), "und", "file", columns or NO_COLUMNS)


@pytest.mark.parametrize("share", [0.01, 0.3])
def test_about_the_share_is_held_out_and_nothing_by_chance(share: float):
    settings = CorpusSettings(files=[], held_out=share)
    held = [held_out(record(f"text {number}"), settings) for number in range(20_000)]
    assert sum(held) == pytest.approx(share * 20_000, rel=0.2)
    assert held == [held_out(record(f"text {number}"), settings) for number in range(20_000)]


def test_a_larger_share_holds_out_the_same_and_more():
    keys = [str(number).encode() for number in range(2_000)]
    small = {key for key in keys if held_out_hash(key, 0.1)}
    assert small < {key for key in keys if held_out_hash(key, 0.2)}


def test_the_split_stays_what_it_was():
    """A run that is taken up with a newer version must not train on what it has held out so far."""
    assert [number for number in range(100) if held_out_hash(str(number).encode(), 0.1)] == SPLIT
    settings = CorpusSettings(files=[], held_out=0.1)
    assert [number for number in range(100) if held_out(record(str(number)), settings)] == SPLIT_OF_RECORDS


def test_all_records_of_a_column_value_go_together():
    settings = CorpusSettings(files=[], reader="table", held_out=0.5, held_out_by="column", held_out_column="work")
    sides = {
        work: {held_out(record(f"line {number}", work=work), settings) for number in range(50)}
        for work in ("Iliad", "Odyssey", "Aeneid", "Faust", "Hamlet", "Macbeth", "Emma", "Ulysses")
    }
    assert all(len(side) == 1 for side in sides.values())
    assert len(set.union(*sides.values())) == 2


def test_memory_stays_the_same_for_more_text(tmp_path: Path):
    def peak(num_lines: int) -> int:
        path = tmp_path / "a.txt"
        path.write_text(
            "".join(f"第{number}行，一个句子。Another one. And so on.\n" for number in range(num_lines)), "utf-8"
        )
        settings = CorpusSettings(files=[str(path)])
        tracemalloc.start()
        for _ in read(settings, Counts()):
            pass
        highest = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return highest

    peak(10)  # what is imported or compiled once
    assert peak(10_000) < peak(3_000) + 50_000


@pytest.mark.data
def test_the_public_texts_can_be_read(data: Path):
    counts = Counts()
    settings = CorpusSettings(files=[str(data / "parallel"), str(data / "dna"), str(data / "text" / "*.txt")])
    lines = sum(
        path.read_bytes().count(b"\n") for folder in ("parallel", "dna", "text") for path in (data / folder).iterdir()
    )
    num_records = sum(1 for _ in read(settings, counts))
    assert counts.files == 5
    assert num_records == counts.records
    assert lines <= counts.records + counts.duplicates + counts.empty <= lines + counts.files
