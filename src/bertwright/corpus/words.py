"""Where the words of a record begin, if the user knows better than the tokenizer.

White space does not count: words are places among the other characters, so that a segmented text and the text as it is
written have the same ones.
"""

import unicodedata
from collections.abc import Iterator

import numpy as np

from bertwright.config import CorpusSettings
from bertwright.corpus.clean import FORMS
from bertwright.corpus.record import Record
from bertwright.errors import UserError

_PIECE = 2**16
"""Characters that the segmenter is given at once: it makes an object of each word."""


def word_starts(record: Record, settings: CorpusSettings) -> np.ndarray:
    """Where words begin: numbers of characters, white space not counted, over all segments of a record, int64 [W].

    Raises:
        UserError: the column of words holds another text, or the segmenter is not installed.
    """
    if settings.words_column is not None:
        words = _words_of_column(record, settings)
    else:
        cut = str.split if settings.words == "spaces" else _segmented
        words = [word for segment in record.segments for word in cut(segment)]
    lengths = np.array([len(word) for word in words], dtype=np.int64)
    return np.cumsum(lengths) - lengths


def _words_of_column(record: Record, settings: CorpusSettings) -> list[str]:
    text = record.columns[str(settings.words_column)]
    form = FORMS[settings.normalization]
    words = (unicodedata.normalize(form, text) if form else text).split()
    written = "".join("".join(segment.split()) for segment in record.segments)
    if (joined := "".join(words)) != written:
        place = next((n for n, pair in enumerate(zip(joined, written, strict=False)) if len(set(pair)) > 1), None)
        place = min(len(joined), len(written)) if place is None else place
        raise UserError(
            f"record {record.id}: column {settings.words_column!r} holds another text than {settings.text_column!r}: "
            f"{joined[place : place + 20]!r} where the text has {written[place : place + 20]!r}",
            file=record.source,
            expected="the same characters in both, white space apart",
            advice="segment the text as it stands, without normalising it",
        )
    return words


def _segmented(segment: str) -> Iterator[str]:
    try:
        import rjieba
    except ImportError:
        raise UserError(
            'corpus.words = "segmenter" needs the package rjieba',
            expected="the extra zh",
            advice="pip install 'bertwright[zh]'",
        ) from None
    for begin in range(0, len(segment), _PIECE):
        for word in rjieba.cut(segment[begin : begin + _PIECE]):
            yield from word.split()  # it keeps white space, as words
