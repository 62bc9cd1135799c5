"""Sentences that are translations of each other, and words of a dictionary in them."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bertwright.analyze.senses import place_of
from bertwright.analyze.vectors import Reader, overlapping
from bertwright.corpus.files import open_text
from bertwright.errors import UserError

FEWEST = 20
"""Pairs of sentences, or of words, at least."""

CONTEXTS = 8
"""Sentences over which a word's vector is averaged, at most."""

SEED = 1


@dataclass(frozen=True)
class Words:
    """Words of one language in sentences that hold them."""

    ids: list[np.ndarray]
    """Of each sentence, [N]."""
    places: dict[str, list[tuple[int, np.ndarray]]]
    """A word -> its sentences, and the numbers of its pieces there."""


def read_parallel(
    reader: Reader, files: tuple[str | Path, str | Path], most: int
) -> tuple[tuple[list[str], list[str]], int]:
    """Pairs of sentences that the model takes whole, each sentence once, drawn evenly; and how many it does not take.

    Raises:
        UserError: the files differ in length, or fewer than FEWEST pairs are left.
    """
    rows, too_long = drawn_rows(reader, read_lines(files), most)
    if len(rows) < FEWEST:
        raise UserError(
            f"only {len(rows)} pairs of sentences are left",
            file=files[0],
            expected=f"{FEWEST} different ones or more, no longer than {reader.room} tokens",
            advice="give more sentences",
        )
    return ([one for one, _ in rows], [other for _, other in rows]), too_long


def names_of(files: Sequence[str | Path]) -> list[str]:
    """What languages are called: the names of their files, with the folders where these are the same."""
    names = [Path(file).name for file in files]
    return names if len(set(names)) == len(names) else list(map(str, files))


def read_lines(files: tuple[str | Path, str | Path]) -> tuple[list[str], list[str]]:
    """The lines of two files, as many of each.

    Raises:
        UserError: they differ in length.
    """
    sides = []
    for file in files:
        with open_text(Path(file)) as stream:
            sides.append([line.strip() for line in stream])
    if len(sides[0]) != len(sides[1]):
        raise UserError(
            f"there are {len(sides[0]):,} and {len(sides[1]):,} lines",
            file=files[1],
            expected="as many lines in both files: a line and its translation have the same number",
            advice="align the files",
        )
    return sides[0], sides[1]


def drawn_rows(reader: Reader, columns: Sequence[Sequence[str]], most: int) -> tuple[list[tuple[str, ...]], int]:
    """So many rows of texts, drawn evenly of those that the model takes whole, no text twice in a column.

    Returns:
        The rows, and how many were left out as they are too long.
    """
    encode = reader.checkpoint.tokenizer.encode_batch
    seen: list[set[str]] = [set() for _ in columns]
    chosen: list[tuple[str, ...]] = []
    too_long = 0
    order = np.random.default_rng(SEED).permutation(len(columns[0]))
    for begin in range(0, len(order), most):  # no more are encoded than it takes
        rows = [tuple(column[number] for column in columns) for number in order[begin : begin + most]]
        lengths = [[len(ids) for ids in encode(column)] for column in zip(*rows, strict=True)]
        for row, *sizes in zip(rows, *lengths, strict=True):
            if len(chosen) == most or any(text in known for text, known in zip(row, seen, strict=True)):
                continue
            too_long += max(sizes) > reader.room
            if 0 < min(sizes) <= max(sizes) <= reader.room:
                chosen.append(row)
                for text, known in zip(row, seen, strict=True):
                    known.add(text)
        if len(chosen) == most:
            break
    return chosen, too_long


def read_dictionary(path: Path) -> list[tuple[str, str]]:
    """Words and their translations.

    Raises:
        UserError: a line has no two columns, or an empty one.
    """
    pairs = []
    with open_text(path) as stream:
        for number, line in enumerate(stream, start=1):
            if not line.strip():
                continue
            parts = line.rstrip("\n").split("\t")
            if len(parts) != 2 or not all(part.strip() for part in parts):
                raise UserError(
                    f"the line has {len(parts)} columns" if len(parts) != 2 else "a column is empty",
                    file=path,
                    line=number,
                    expected="a word, a tab, its translation",
                    advice="correct the line",
                )
            pairs.append((parts[0].strip(), parts[1].strip()))
    return pairs


def words_in(
    reader: Reader, lines: tuple[list[str], list[str]], pairs: Sequence[tuple[str, str]]
) -> tuple[Words, Words]:
    """Where words of a dictionary and their translations stand, in the same order.

    Words of one language are looked for in every other line, those of the other one in the translations of the rest: in
    the same sentences they would be alike by their places and neighbours. (Lines that come again are one.) A place
    counts where pieces begin and end with the word. Of a word that stands twice in the dictionary, the first line of
    which both words occur counts; where both are the same, there is nothing to translate.

    Args:
        reader: of the model.
        lines: of both languages, translations with the same number.
        pairs: of the dictionary.

    Raises:
        UserError: fewer than FEWEST pairs occur.
    """
    lowered = [(one.lower(), other.lower()) for one, other in pairs if one.lower() != other.lower()]
    sentences = {text: number for number, text in enumerate(dict.fromkeys(lines[0]))}
    of_side: list[dict[str, None]] = [{}, {}]
    for row in zip(*lines, strict=True):
        half = sentences[row[0]] % 2
        of_side[half][row[half]] = None
    found = [_places(reader, list(texts), [pair[side] for pair in lowered]) for side, texts in enumerate(of_side)]
    kept: dict[str, str] = {}
    taken: set[str] = set()
    for one, other in lowered:
        if one in found[0].places and other in found[1].places and one not in kept and other not in taken:
            kept[one] = other
            taken.add(other)
    if len(kept) < FEWEST:
        raise UserError(
            f"only {len(kept)} pairs of the dictionary occur in the sentences",
            expected=f"{FEWEST} or more",
            advice="give more sentences, or a dictionary of these languages, in the order of the files",
        )
    first, second = (_only(side, words) for side, words in zip(found, (kept.keys(), kept.values()), strict=True))
    return first, second


def _places(reader: Reader, lines: Sequence[str], words: Iterable[str]) -> Words:
    """Words, in lower case, in some lines."""
    candidates: defaultdict[str, list[tuple[int, int]]] = defaultdict(list)
    wanted = set(words)
    sizes = sorted(set(map(len, wanted)))
    for number, line in enumerate(lines):
        lower = line.lower()
        parts = {lower[begin : begin + size] for size in sizes for begin in range(len(lower) - size + 1)}
        for word in parts & wanted:
            begin = place_of(word, line)
            if begin is not None:
                candidates[word].append((number, begin))
                if len(candidates[word]) == 2 * CONTEXTS:  # some of them may be within a longer token
                    wanted.discard(word)
    numbers = sorted({number for spots in candidates.values() for number, _ in spots})
    tokenizer = reader.checkpoint.tokenizer
    encoded = tokenizer.encode_batch_with_offsets([lines[number] for number in numbers])
    index = {number: place for place, number in enumerate(numbers)}
    places: dict[str, list[tuple[int, np.ndarray]]] = {}
    for word, spots in candidates.items():
        for number, begin in spots:
            ids, offsets = encoded[index[number]]
            pieces = whole_pieces(lines[number], offsets, begin, begin + len(word)) if len(ids) <= reader.room else None
            if pieces is None or tokenizer.unk_id in ids[pieces]:  # [UNK] is one and the same in all languages
                continue
            if len(places.setdefault(word, [])) < CONTEXTS:
                places[word].append((index[number], pieces))
    return Words([ids for ids, _ in encoded], places)


def _only(words: Words, kept: Iterable[str]) -> Words:
    """Some of the words in their sentences."""
    places = {word: words.places[word] for word in kept}
    used = sorted({number for spots in places.values() for number, _ in spots})
    index = {number: place for place, number in enumerate(used)}
    return Words(
        [words.ids[number] for number in used],
        {word: [(index[number], pieces) for number, pieces in spots] for word, spots in places.items()},
    )


def whole_pieces(text: str, offsets: np.ndarray, begin: int, end: int) -> np.ndarray | None:
    """The numbers of the pieces that a word is made of; None where they are of other words, too, or there are none."""
    pieces = overlapping(offsets, begin, end)
    if not len(pieces):
        return None
    reaching = text[offsets[pieces[0], 0] : begin] + text[end : offsets[pieces[-1], 1]]
    return None if reaching.strip() else pieces
