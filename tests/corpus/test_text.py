"""Readers of plain text and of symbol sequences."""

from pathlib import Path

import pytest

from bertwright.config import CorpusSettings
from bertwright.corpus import text
from bertwright.corpus.record import Record
from bertwright.corpus.symbols import symbols
from bertwright.errors import UserError


def write(folder: Path, content: str) -> Path:
    path = folder / "a.txt"
    path.write_text(content, encoding="utf-8", newline="")
    return path


def settings(**values: object) -> CorpusSettings:
    return CorpusSettings.model_validate({"files": [], "language": "zh", **values})


def ids_and_segments(records: list[Record]) -> list[tuple[str, tuple[str, ...]]]:
    return [(record.id.rsplit("/", 1)[-1], record.segments) for record in records]


def test_a_document_a_file(tmp_path: Path):
    path = write(tmp_path, "第一章\n今天好。明天\r\n更好。\n\nThe end\nof it. Really.\n")
    (record,) = text.documents(path, settings())
    assert record.segments == ("第一章", "今天好。", "明天", "更好。", "The end of it.", "Really.")
    assert record.id == record.source == path.as_posix()
    assert (record.language, dict(record.columns)) == ("zh", {})
    (whole,) = text.documents(path, settings(split_sentences=False))
    assert whole.segments == ("第一章\n今天好。明天\n更好。\n\nThe end\nof it. Really.",)


def test_a_sentence_a_line_with_blank_lines_between(tmp_path: Path):
    path = write(tmp_path, "\n\n A. B.\nsecond \n\n \nthird\r\n\r\nfourth")
    assert ids_and_segments(list(text.sentences(path, settings()))) == [
        ("a.txt:3", ("A. B.", "second")),
        ("a.txt:7", ("third",)),
        ("a.txt:9", ("fourth",)),
    ]


def test_a_document_a_line(tmp_path: Path):
    path = write(tmp_path, "好。很好！\n\n The end \n")
    assert ids_and_segments(list(text.lines(path, settings()))) == [
        ("a.txt:1", ("好。", "很好！")),
        ("a.txt:2", ()),
        ("a.txt:3", ("The end",)),
    ]
    unsplit = list(text.lines(path, settings(split_sentences=False)))
    assert [record.segments for record in unsplit] == [("好。很好！",), (), ("The end",)]


def test_symbols(tmp_path: Path):
    path = write(tmp_path, "C4  E4\tG4 . rest\n\n A. B! \n")
    assert ids_and_segments(list(symbols(path, settings()))) == [
        ("a.txt:1", ("C4 E4 G4 . rest",)),
        ("a.txt:2", ()),
        ("a.txt:3", ("A. B!",)),
    ]


def test_a_document_too_long_for_memory_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(text, "LONGEST", 100)
    path = write(tmp_path, "short\n\n" + "a line\n" * 20)
    for reader, line in ((text.documents, None), (text.sentences, 3)):
        with pytest.raises(UserError, match="longer than 100 characters") as raised:
            list(reader(path, settings()))
        assert (raised.value.file, raised.value.line) == (path, line)
    path = write(tmp_path, ("a line\n" * 10 + "\n") * 3)
    assert len(list(text.sentences(path, settings()))) == 3


@pytest.mark.data
def test_the_chinese_sample(data: Path):
    path = data / "text" / "cluecorpussmall_sampled.txt"
    records = list(text.sentences(path, settings()))
    blocks = [block for block in path.read_text(encoding="utf-8").split("\n\n") if block.strip()]
    assert len(records) == len(blocks)
    num_lines = sum(bool(line.strip()) for line in path.read_bytes().split(b"\n"))
    assert sum(len(record.segments) for record in records) == num_lines
    again = [
        segment for record in records for line in record.segments for segment in text.segments_of(line, split=True)
    ]
    assert len(again) < 1.05 * num_lines  # cut by sentences already: hardly anything is cut more
