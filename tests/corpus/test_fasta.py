"""FASTA: sequences whatever their lines, headers as they stand, both strands, and what is no FASTA."""

import gzip
from pathlib import Path

import pytest

import bertwright.corpus.fasta as module
from bertwright.config import CorpusSettings
from bertwright.corpus import Counts, read
from bertwright.corpus.fasta import fasta, sequences
from bertwright.errors import UserError

TEXT = ">one first > of all\nACGT\nacgtnn\n\n>two\nRYK\n>empty\n>\nAC GT\r\nA\n"


def settings(path: Path, **more: str) -> CorpusSettings:
    return CorpusSettings.model_validate({"files": [str(path)], "reader": "fasta", **more})


@pytest.mark.parametrize("block", [1 << 22, 1, 5, 17])
def test_sequences(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block: int) -> None:
    monkeypatch.setattr(module, "_BLOCK", block)
    path = tmp_path / "some.fa"
    path.write_text(TEXT, encoding="utf-8", newline="")
    assert list(sequences(path)) == [
        ("one first > of all", "ACGTacgtnn"),
        ("two", "RYK"),
        ("empty", ""),
        ("", "ACGTA"),
    ]


def test_records_and_an_archive(tmp_path: Path) -> None:
    path = tmp_path / "some.fa.gz"
    path.write_bytes(gzip.compress(TEXT.encode()))
    counts = Counts()
    records = list(read(settings(path), counts))
    assert [(record.id, record.segments) for record in records] == [
        ("one", ("ACGTacgtnn",)),
        ("two", ("RYK",)),
        (path.as_posix(), ("ACGTA",)),
    ]
    assert counts.empty == 1


def test_both_strands_are_one_record(tmp_path: Path) -> None:
    path = tmp_path / "some.fa"
    path.write_text(">a\nAACGTn\n>b\nRYKMBVDHSW\n", encoding="utf-8")
    one, other = fasta(path, settings(path, strands="both"))
    assert one.segments == ("AACGTn", "nACGTT")
    assert other.segments == ("RYKMBVDHSW", "WSDHBVKMRY")


def test_no_header(tmp_path: Path) -> None:
    path = tmp_path / "none.fa"
    path.write_text("ACGT\n>late\nACGT\n", encoding="utf-8")
    with pytest.raises(UserError, match="the file begins with 'ACGT'") as raised:
        list(sequences(path))
    assert (raised.value.file, raised.value.line) == (path, 1)


@pytest.mark.parametrize("block", [1 << 22, 1])
def test_blank_lines_before_the_first_header(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block: int) -> None:
    monkeypatch.setattr(module, "_BLOCK", block)
    path = tmp_path / "some.fa"
    path.write_text("\n \n>one\nACGT\n", encoding="utf-8")
    assert list(sequences(path)) == [("one", "ACGT")]
    path.write_text("\n \nACGT\n", encoding="utf-8")
    with pytest.raises(UserError, match="the file begins with 'A") as raised:
        list(sequences(path))
    assert raised.value.line == 3
