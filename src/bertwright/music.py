"""Symbolic music (MIDI, MusicXML, ABC, Humdrum's kern) becomes a table of symbols, which every other command reads.

A row for each voice (a part of the score: voices on one staff are one), or one for all of a piece together. Its symbols
stand between spaces:

    pitch      C4 F#4 B-3 r       the note's name and octave (B-3: B flat), r a rest
    interval   +2 -5 0 r          semitones from the note before; the first note has none, so that the key is not told
    duration   C4_1 F#4_0.5 r_2   pitch, and how long it sounds in quarter notes

Tied notes are one, grace notes are left out, and of a chord within a voice the highest note is taken. music21 reads the
files, in processes of its own.
"""

import json
import math
import multiprocessing
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any, Literal, NamedTuple

from bertwright.config import expand
from bertwright.corpus.files import resolve
from bertwright.errors import UserError
from bertwright.run import atomic_file

Symbols = Literal["pitch", "interval", "duration"]
Voices = Literal["each", "all"]

SUFFIXES = (".mid", ".midi", ".xml", ".musicxml", ".mxl", ".abc", ".krn")

REST = "r"

NEAR = 16
"""Sounds before a tied note, among which the one is that it is tied to: the voices of a part are mixed."""


class Sound(NamedTuple):
    """A note or a rest."""

    begin: float
    """In quarter notes."""
    length: float
    """In quarter notes."""
    pitch: int | None
    """In semitones; None: a rest."""
    name: str


Progress = Callable[[str, int, int | None], None]
"""Told how far the work is: its name, files done, files in all."""


def convert(
    patterns: Sequence[str],
    target: str,
    *,
    symbols: Symbols = "pitch",
    voices: Voices = "each",
    workers: int | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Write the pieces of some files or folders into a table (.jsonl).

    Args:
        patterns: files, folders (all music in them) or globs. Pieces are labelled with the name of the folder that is
            named, or in which the file is.
        target: the table; columns "text", "label", "work" (what belongs on one side of a split: the larger work that
            the file names, else the folder below the one that was named, else the file, or the tune within it),
            "file", and "voice" (its number; 0 where all are together).
        symbols: what becomes of a note.
        voices: a row for each, or one for all of a piece; then notes are in the order in which they begin, from high to
            low, without rests.
        workers: processes; by default one for each core.
        progress: told after every file.

    Returns:
        {"table", "files", "rows", "symbols", "different" (symbols), "labels" {label: rows}, "skipped"
        [{"file", "why"}]}: files that could not be read, or hold no notes.

    Raises:
        UserError: music21 is not there, a file is missing, the target is no .jsonl, or no file could be read.
    """
    _require_music21()
    path = expand(target)
    if path.suffix != ".jsonl":
        raise UserError(
            f"cannot write {path.suffix or 'a file without suffix'}",
            file=path,
            expected="a name that ends in .jsonl",
            advice="name the table so",
        )
    jobs: list[Job] = [(*each, symbols, voices) for each in _music_files(patterns)]
    counts: Counter[str] = Counter()
    labels: Counter[str] = Counter()
    skipped = []
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_file(path) as table:
        for done, (job, (rows, why)) in enumerate(zip(jobs, _rows_of(jobs, workers), strict=True), start=1):
            if why is not None:
                skipped.append({"file": str(job[0]), "why": why})
            for row in rows:
                table.write((json.dumps(row, ensure_ascii=False) + "\n").encode())
                counts.update(row["text"].split())
                labels[row["label"]] += 1
            if progress is not None:
                progress("pieces", done, len(jobs))
        if not labels:
            raise UserError(
                f"none of the {len(jobs):,} files could be read; the first one: {skipped[0]['why']}",
                file=skipped[0]["file"],
                expected=f"music in {', '.join(SUFFIXES)}",
                advice="open it in a program that writes music, and save it again",
            )
    sizes = {"rows": labels.total(), "symbols": counts.total(), "different": len(counts)}
    return {"table": str(path), "files": len(jobs), **sizes, "labels": dict(labels), "skipped": skipped}


def _require_music21() -> None:
    try:
        import music21  # noqa: F401
    except ImportError:
        raise UserError(
            "reading music needs the package music21",
            expected="music21",
            advice="pip install 'bertwright[music]'",
        ) from None


def _music_files(patterns: Sequence[str]) -> list[tuple[Path, str, str | None]]:
    """Files with their labels, and the folder below the one that was named, in which their work is, if there is one."""
    found: dict[Path, tuple[Path, str, str | None]] = {}
    for pattern in patterns:
        named = expand(pattern)
        for file in resolve([pattern]):
            if file.suffix.lower() not in SUFFIXES and named.is_dir():
                continue
            base = named if named.is_dir() else file.parent
            below = file.relative_to(base).parts[:-1]
            found.setdefault(file.resolve(), (file, base.resolve().name, below[0] if below else None))
    if not found:
        raise UserError(
            f"no music in {' '.join(patterns)}",
            expected=f"files that end in {', '.join(SUFFIXES)}",
            advice="check the names",
        )
    return list(found.values())


# ---------------------------------------------------------------------------------------------- in the workers

Job = tuple[Path, str, str | None, Symbols, Voices]
Rows = tuple[list[dict[str, Any]], str | None]
"""The rows of a file, and why it was skipped."""


def _rows_of(jobs: Sequence[Job], workers: int | None) -> Iterator[Rows]:
    """The rows of each file, in the order of the files."""
    context = multiprocessing.get_context("spawn")  # a fork would copy threads of libraries that are loaded already
    with ProcessPoolExecutor(workers, mp_context=context) as pool:
        found = pool.map(_convert, jobs, chunksize=4)
        for job in jobs:
            try:
                yield next(found)
            except BrokenProcessPool:
                raise UserError(
                    "a process that read music died, at this file or soon after it",
                    file=job[0],
                    expected="enough memory for each of them",
                    advice="fewer --workers, or leave the file out",
                ) from None


def _convert(job: Job) -> Rows:
    """One file."""
    import music21

    file, label, folder, symbols, voices = job
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of oddities that music21 reads in spite of
            parsed: Any = music21.converter.parse(file, forceSource=True, storePickle=False)
            scores = list(parsed.scores) if isinstance(parsed, music21.stream.Opus) else [parsed]
            pieces = [(_work_of(score), [_sounds(part) for part in _voices(score)]) for score in scores]
    except Exception as error:  # noqa: BLE001  (a damaged file may raise anything in music21)
        return [], f"{type(error).__name__}: {error}".splitlines()[0][:200]
    rows = []
    for number, (larger, parts) in enumerate(pieces, start=1):
        work = larger or folder or (file.name if len(pieces) == 1 else f"{file.name}#{number}")
        numbered = enumerate(parts, start=1) if voices == "each" else [(0, _together(parts))]
        for voice, sounds in numbered:
            text = " ".join(spelt(sounds, symbols)) if any(sound.pitch is not None for sound in sounds) else ""
            if text:  # a single note has no interval
                rows.append({"text": text, "label": label, "work": work, "file": str(file), "voice": voice})
    return rows, None if rows else "it holds no notes"


def _together(parts: Sequence[Sequence[Sound]]) -> list[Sound]:
    """The notes of all voices in the order in which they begin, from high to low."""
    notes = [sound for part in parts for sound in part if sound.pitch is not None]
    return sorted(notes, key=lambda sound: (sound.begin, -(sound.pitch or 0)))


def _work_of(score: Any) -> str | None:
    """The larger work that a file names: kern's OPR, MusicXML's work-title beside a movement's."""
    told = score.metadata
    if told is None:
        return None
    return told.parentTitle or (told.title if told.movementName and told.title != told.movementName else None)


def _voices(score: Any) -> list[Any]:
    """The parts of a score."""
    return list(score.parts) or [score]


def _sounds(part: Any) -> list[Sound]:
    """The notes and rests of a part, in order; what is tied to a note before is added to it."""
    sounds: list[Sound] = []
    for each in part.flatten().notesAndRests:
        begin, length = float(each.offset), float(each.duration.quarterLength)
        if length == 0:  # a grace note
            continue
        if each.isRest:
            sounds.append(Sound(begin, length, None, REST))
        elif pitches := getattr(each, "pitches", ()):  # drums have none
            highest = max(pitches)
            sound = Sound(begin, length, round(highest.ps), highest.nameWithOctave)
            goes_on = each.tie is not None and each.tie.type in ("stop", "continue")
            before = _held(sounds, sound) if goes_on else None
            if before is None:
                sounds.append(sound)
            else:
                sounds[before] = sounds[before]._replace(length=sounds[before].length + length)
    return sounds


def _held(sounds: Sequence[Sound], sound: Sound) -> int | None:
    """Which of the last sounds ends where this one begins, and is of its pitch."""
    for number in range(len(sounds) - 1, max(-1, len(sounds) - 1 - NEAR), -1):
        before = sounds[number]
        if before.pitch == sound.pitch and math.isclose(before.begin + before.length, sound.begin, abs_tol=1e-6):
            return number
    return None


def spelt(sounds: Sequence[Sound], symbols: Symbols) -> list[str]:
    """The symbols of notes and rests; see the head of this file."""
    if symbols == "pitch":
        return [sound.name for sound in sounds]
    if symbols == "duration":
        return [f"{sound.name}_{round(sound.length, 3):g}" for sound in sounds]
    told: list[str] = []
    before: int | None = None
    for sound in sounds:
        if sound.pitch is None:
            told.append(REST)
            continue
        if before is not None:
            told.append(f"{sound.pitch - before:+d}" if sound.pitch != before else "0")
        before = sound.pitch
    return told
