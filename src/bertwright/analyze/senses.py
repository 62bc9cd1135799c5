"""Sentences that hold one word in several senses: reading them, and finding the word."""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bertwright.analyze.vectors import Reader, Reading, overlapping
from bertwright.corpus import read_rows
from bertwright.errors import UserError
from bertwright.tasks.tag import BEFORE
from bertwright.tokenizer import Tokenizer

SHIPPED = Path(__file__).parent / "sentences"
"""Tables that come along: the ten sentences of slide 71 in both scripts, and ten English words in two senses each."""

FEWEST = 2
"""Sentences of a sense, at least: with one there is nothing to compare within it."""

UNSPACED = (
    *("CJK", "IDEOGRAPHIC", "HIRAGANA", "KATAKANA", "HALFWIDTH KATAKANA", "HANGUL"),
    *("THAI", "LAO", "KHMER", "MYANMAR"),
)
"""How the names of letters begin beside which a word may stand; in Korean, particles follow it without a space."""


@dataclass(frozen=True)
class Sentence:
    """A sentence, and the word in it that is looked at."""

    word: str
    group: str
    """The sense of the word here."""
    text: str
    begin: int
    """The word's first character."""
    end: int


def read_sentences(source: str | Path, words: Sequence[str] = ()) -> list[list[Sentence]]:
    """Sentences by word, in each the senses one after the other.

    Args:
        source: a table with the columns word, group and text, or the name of one that comes along.
        words: that are wanted; all, if none is named.

    Returns:
        For each word its sentences.

    Raises:
        UserError: a damaged table, a word that does not stand in its sentence, a word that is not in the table, fewer
            than two senses, or fewer than two sentences of one.
    """
    path = _table(source)
    found: dict[str, list[Sentence]] = {}
    for row in read_rows(path, ["word", "group", "text"]):
        word, group, text = (row.values[name] for name in ("word", "group", "text"))
        if words and word not in words:
            continue
        begin = place_of(word, text)
        if begin is None:
            raise UserError(
                f"{word!r} does not stand in {text!r}",
                expected="a sentence with the word in it, as a word of its own",
                advice="correct the word or the sentence",
                file=path,
                line=row.line,
            )
        found.setdefault(word, []).append(Sentence(word, group, text, begin, begin + len(word)))
    for word in words:
        if word not in found:
            raise UserError(
                f"there is no sentence for {word!r}",
                expected="a word of the table's column word",
                advice="check the word, or add sentences",
                file=path,
            )
    return [_in_groups(sentences, path) for sentences in found.values()]


def _table(source: str | Path) -> Path:
    shipped = sorted(path.stem for path in SHIPPED.glob("*.tsv"))
    if str(source) in shipped:
        return SHIPPED / f"{source}.tsv"
    if not Path(source).exists():
        raise UserError(
            f"there is no file {str(source)!r}",
            expected=f"a table with the columns word, group and text, or one of {', '.join(shipped)}",
            advice="check the path",
        )
    return Path(source)


def _in_groups(sentences: list[Sentence], path: Path) -> list[Sentence]:
    """The sentences of one word, the senses one after the other."""
    groups: dict[str, list[Sentence]] = {}
    for sentence in sentences:
        groups.setdefault(sentence.group, []).append(sentence)
    word = sentences[0].word
    if len(groups) < FEWEST:
        raise UserError(
            f"all sentences of {word!r} are of one group",
            expected="two groups or more, of two sentences or more each",
            advice="add sentences with the word in another sense",
            file=path,
        )
    for group, members in groups.items():
        if len(members) < FEWEST:
            raise UserError(
                f"the group {group!r} of {word!r} has {len(members)} sentence",
                expected=f"{FEWEST} or more",
                advice="add one, or leave the group out",
                file=path,
            )
    return [sentence for members in groups.values() for sentence in members]


def place_of(word: str, text: str) -> int | None:
    """Where a word first stands in a text, in upper or lower case, as a word of its own.

    A letter may touch it where either is of a script without spaces between words, such as a Chinese one.
    """
    for match in re.finditer(re.escape(word), text, re.IGNORECASE):
        before, after = text[: match.start()][-1:], text[match.end() :][:1]
        if not ((_goes_on(before) and _goes_on(word[:1])) or (_goes_on(word[-1:]) and _goes_on(after))):
            return match.start()
    return None


def _goes_on(character: str) -> bool:
    """Whether a word may go on with it beyond doubt: a letter, figure or mark of a script with spaces between words."""
    return bool(re.match(r"\w", character)) and not unicodedata.name(character, "").startswith(UNSPACED)


def word_vectors(reader: Reader, sentences: Sequence[Sentence]) -> tuple[np.ndarray, list[Reading]]:
    """The vector of the word in each sentence, [1 + layers, sentences, D], and what was read.

    Raises:
        UserError: a sentence is longer than the model takes, or no piece of it overlaps the word.
    """
    readings = reader.read([sentence.text for sentence in sentences])
    for sentence, reading in zip(sentences, readings, strict=True):
        _require_pieces(sentence, reading.offsets)
    vectors = [
        reading.word(sentence.begin, sentence.end) for sentence, reading in zip(sentences, readings, strict=True)
    ]
    return np.stack(vectors, axis=1), readings


def usual_pieces(tokenizer: Tokenizer, sentences: Sequence[Sentence]) -> np.ndarray:
    """The ids of a word's pieces as it stands in most of its sentences, [P].

    By itself it would be the first word of a text, which some tokenizers cut in another way.

    Raises:
        UserError: no piece overlaps the word in one of the sentences.
    """
    found: Counter[tuple[int, ...]] = Counter()
    encoded = tokenizer.encode_batch_with_offsets([sentence.text for sentence in sentences])
    for sentence, (ids, offsets) in zip(sentences, encoded, strict=True):
        found[tuple(ids[_require_pieces(sentence, offsets)].tolist())] += 1
    return np.array(found.most_common(1)[0][0])


def lone_pieces(tokenizer: Tokenizer, word: str) -> np.ndarray:
    """The ids of the pieces of a word without a sentence, as it would stand within one, [P]."""
    return _pieces_of(tokenizer, [word])[0]


def lone_tokens(tokenizer: Tokenizer, words: Iterable[str]) -> dict[str, int]:
    """Of the words that are a single token, see `lone_pieces`, that token; [UNK] is none."""
    different = list(dict.fromkeys(words))
    pieces = zip(different, _pieces_of(tokenizer, different), strict=True)
    return {word: int(ids[0]) for word, ids in pieces if len(ids) == 1 and ids[0] != tokenizer.unk_id}


def _pieces_of(tokenizer: Tokenizer, words: Sequence[str]) -> list[np.ndarray]:
    befores = [_before(tokenizer, word) for word in words]
    encoded = tokenizer.encode_batch_with_offsets([before + word for before, word in zip(befores, words, strict=True)])
    return [
        ids[overlapping(offsets, len(before), len(before + word))]
        for before, word, (ids, offsets) in zip(befores, words, encoded, strict=True)
    ]


def _before(tokenizer: Tokenizer, word: str) -> str:
    """What a word without a sentence needs before it, so that it is cut as within one."""
    if tokenizer.kind == "bpe" and _goes_on(word[:1]):
        return " "  # a token of bytes has the space before a word in it
    if tokenizer.kind == "unigram" and not _goes_on(word[:1]):
        return BEFORE  # it marks begins of texts as it marks spaces, and words of this script have none before them
    return ""


def _require_pieces(sentence: Sentence, offsets: np.ndarray) -> np.ndarray:
    """The numbers of the tokens that overlap the word, one at least."""
    pieces = overlapping(offsets, sentence.begin, sentence.end)
    if not len(pieces):
        raise UserError(
            f"the tokenizer leaves nothing of {sentence.word!r} in {sentence.text!r}",
            expected="a token that overlaps the word",
            advice="choose another word, or a model whose tokenizer knows it",
        )
    return pieces
