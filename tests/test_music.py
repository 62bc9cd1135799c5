"""Music in four formats becomes the symbols that a musician reads there; damaged files are named and left out."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bertwright.errors import UserError
from bertwright.music import Sound, convert, spelt

ABC = """X:1
T:One
M:4/4
L:1/4
K:G
G A B F- | F z [CEG] c2 |
"""
"""F is sharp in G major, and tied over the bar; z is a rest; of the chord the G is taken."""

KERN = """!!!OPR: Missa sine nomine
**kern\t**kern
*M4/4\t*M4/4
2c\t4ee-
.\t4ff
2d\t2gg
=\t=
*-\t*-
"""

MUSICXML = """<?xml version="1.0" encoding="UTF-8"?>
<score-partwise version="3.1">
  <work><work-title>Suite</work-title></work><movement-title>Air</movement-title>
  <part-list><score-part id="P1"><part-name>Voice</part-name></score-part></part-list>
  <part id="P1"><measure number="1">
    <attributes><divisions>2</divisions></attributes>
    <note><pitch><step>C</step><octave>4</octave></pitch><duration>1</duration></note>
    <note><grace/><pitch><step>A</step><octave>4</octave></pitch></note>
    <note><pitch><step>B</step><alter>-1</alter><octave>3</octave></pitch><duration>3</duration></note>
  </measure></part>
</score-partwise>
"""


def midi(*pitches: int) -> bytes:
    """Quarter notes, one after the other, in a MIDI file of one track."""
    events = b"".join(bytes([0, 0x90, pitch, 64, 0x60, 0x80, pitch, 0]) for pitch in pitches) + b"\x00\xff\x2f\x00"
    return b"MThd\x00\x00\x00\x06\x00\x00\x00\x01\x00\x60" + b"MTrk" + len(events).to_bytes(4, "big") + events


def rows_of(folder: Path, *files: str, **options: Any) -> list[dict[str, Any]]:
    """What is in the table."""
    target = folder / "table.jsonl"
    convert([str(folder / file) for file in files], str(target), workers=1, **options)
    return [json.loads(line) for line in target.read_text(encoding="utf-8").splitlines()]


@pytest.fixture
def music(tmp_path: Path) -> Path:
    """A file of each format, two of them in a folder."""
    (tmp_path / "bach").mkdir()
    (tmp_path / "bach" / "one.abc").write_text(ABC, encoding="utf-8")
    (tmp_path / "bach" / "two.krn").write_text(KERN, encoding="utf-8")
    (tmp_path / "three.musicxml").write_text(MUSICXML, encoding="utf-8")
    (tmp_path / "four.mid").write_bytes(midi(60, 64, 63, 48))
    return tmp_path


def test_every_format_is_read(music: Path) -> None:
    """Note by note, with what belongs together and what it is called."""
    rows = rows_of(music, "bach", "three.musicxml", "four.mid")
    assert [(row["text"], row["voice"]) for row in rows] == [
        ("G4 A4 B4 F#4 r G4 C5", 1),
        ("E-5 F5 G5", 1),
        ("C4 D4", 2),
        ("C4 B-3", 1),
        ("C4 E4 E-4 C3", 1),
    ]
    assert [row["label"] for row in rows] == ["bach", "bach", "bach", music.name, music.name]
    assert [row["work"] for row in rows][:4] == ["one.abc", *["Missa sine nomine"] * 2, "Suite"]


def test_what_is_one_work(tmp_path: Path) -> None:
    """All in a folder below the one that was named; each tune of a file; else the file."""
    for place in ("books/opus1/a.abc", "books/opus1/b.abc", "books/c.abc", "books/d.abc"):
        file = tmp_path / place
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(ABC if file.stem != "d" else f"{ABC}\n{ABC.replace('X:1', 'X:2')}", encoding="utf-8")
    rows = rows_of(tmp_path, "books")
    assert {(Path(row["file"]).name, row["label"], row["work"]) for row in rows} == {
        ("a.abc", "books", "opus1"),
        ("b.abc", "books", "opus1"),
        ("c.abc", "books", "c.abc"),
        ("d.abc", "books", "d.abc#1"),
        ("d.abc", "books", "d.abc#2"),
    }


def test_intervals_and_durations(music: Path) -> None:
    """Semitones from the note before, across rests; the tie counts for both notes."""
    assert rows_of(music, "bach/one.abc", symbols="interval")[0]["text"] == "+2 +2 -5 r +1 +5"
    assert rows_of(music, "bach/one.abc", symbols="duration")[0]["text"] == "G4_1 A4_1 B4_1 F#4_2 r_1 G4_1 C5_2"
    assert rows_of(music, "three.musicxml", symbols="duration")[0]["text"] == "C4_0.5 B-3_1.5"


def test_a_single_note_has_no_interval(tmp_path: Path) -> None:
    """So there is no row of it, rather than an empty one."""
    for name, notes in (("one", "C4"), ("two", "C2 D2")):
        (tmp_path / f"{name}.abc").write_text(f"X:1\nT:t\nM:4/4\nL:1/4\nK:C\n{notes}|\n", encoding="utf-8")
    result = convert([str(tmp_path)], str(tmp_path / "out.jsonl"), symbols="interval", workers=1)
    assert (result["rows"], len(result["skipped"])) == (1, 1)
    assert result["skipped"][0]["file"].endswith("one.abc")


def test_all_voices_together(music: Path) -> None:
    """In the order in which they begin, from high to low."""
    (row,) = rows_of(music, "bach/two.krn", voices="all")
    assert (row["text"], row["voice"]) == ("E-5 C4 F5 G5 D4", 0)


@given(st.lists(st.integers(20, 100), min_size=2, max_size=30), st.integers(-12, 12))
def test_intervals_do_not_tell_the_key(pitches: list[int], shift: int) -> None:
    """A tune and the same one higher have the same intervals, which lead from its first to its last note."""

    def sounds(offset: int) -> list[Sound]:
        return [Sound(float(n), 1.0, pitch + offset, "?") for n, pitch in enumerate(pitches)]

    told = spelt(sounds(0), "interval")
    assert told == spelt(sounds(shift), "interval")
    assert sum(map(int, told)) == pitches[-1] - pitches[0]


def test_one_damaged_file_among_a_thousand(tmp_path: Path) -> None:
    """It is named, left out and counted, and so is one without notes."""
    folder = tmp_path / "many"
    folder.mkdir()
    for number in range(1000):
        (folder / f"{number:04}.mid").write_bytes(midi(60, 60 + number % 12))
    (folder / "0500.mid").write_bytes(midi(60, 64)[:17] + b"damaged" * 9)
    (folder / "0700.mid").write_bytes(midi())
    told: list[tuple[int, int | None]] = []
    result = convert(
        [str(folder)], str(tmp_path / "x.jsonl"), workers=2, progress=lambda _, done, total: told.append((done, total))
    )
    assert [Path(each["file"]).name for each in result["skipped"]] == ["0500.mid", "0700.mid"]
    assert result["skipped"][1]["why"] == "it holds no notes"
    assert result["rows"] == result["labels"]["many"] == 998
    assert told == [(number, 1000) for number in range(1, 1001)]


def test_nothing_to_read(tmp_path: Path) -> None:
    """Messages for people."""
    (tmp_path / "text").mkdir()
    (tmp_path / "text" / "a.txt").write_text("no music", encoding="utf-8")
    (tmp_path / "broken.mid").write_bytes(b"MThd")
    for names, target, found in (
        (["text"], "x.jsonl", "no music in"),
        (["broken.mid"], "x.jsonl", "none of the 1 files could be read"),
        (["missing.mid"], "x.jsonl", "the file is missing"),
        (["broken.mid"], "x.csv", "cannot write .csv"),
    ):
        with pytest.raises(UserError, match=found) as error:
            convert([str(tmp_path / name) for name in names], str(tmp_path / target), workers=1)
        assert error.value.expected
        assert error.value.advice
        assert not (tmp_path / target).exists()
