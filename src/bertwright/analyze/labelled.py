"""What is probed: words with labels in their sentences, or texts with a label; a training and a test side."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from bertwright.config import ReadingSettings
from bertwright.errors import UserError
from bertwright.tasks.classify import Classify
from bertwright.tasks.tag import Sentence, Tag

UNITS = ("words", "texts")

TEST_SHARE = 0.25
SEED = 1
"""Of the split."""

FEWEST = 20
"""Texts that a probe needs, at least."""


@dataclass(frozen=True)
class Labelled:
    """A text, and the spans of characters in it that have labels: its words, or the whole of it."""

    text: str
    spans: tuple[tuple[int, int], ...]
    labels: tuple[str, ...]

    def words(self) -> list[str]:
        """What stands in the spans, in lower case."""
        return [self.text[begin:end].lower() for begin, end in self.spans]


@dataclass(frozen=True)
class LabelledFile:
    """A file with labels, and how it is read."""

    path: str | Path
    """For words, what `tag` reads; for texts, what `classify` reads."""
    unit: str = "words"
    """words or texts."""
    settings: ReadingSettings = field(default_factory=ReadingSettings)
    """The columns."""
    most: int = 10_000
    """Words, or texts, of the training side; the test side has half as many at most."""


def read_labelled(source: LabelledFile) -> tuple[list[Labelled], list[Labelled]]:
    """Read a labelled file; no text stands on both sides, as none is kept twice.

    Returns:
        The training side and the test side, in random order.

    Raises:
        UserError: a damaged file, too few texts, or one label only.
    """
    path, settings = Path(source.path), source.settings
    if source.unit not in UNITS:
        raise UserError(f"there is no unit {source.unit!r}", expected=" or ".join(UNITS), advice="choose one of them")
    found: dict[str, Labelled] = {}
    if source.unit == "words":
        for example in Tag(settings).read(path):
            assert isinstance(example, Sentence)
            each = of_words(example.texts, example.joined, example.label)
            found.setdefault(each.text, each)
    else:
        for example in Classify(settings).read(path):
            text = example.texts[0]
            found.setdefault(text, Labelled(text, ((0, len(text)),), (example.label,)))
    labels = {label for each in found.values() for label in each.labels}
    if len(found) < FEWEST or len(labels) < 2:
        raise UserError(
            f"there are {len(found)} different texts and {len(labels)} labels",
            expected=f"{FEWEST} texts or more, two labels or more",
            advice="add examples, or check the name of the label's column",
            file=path,
        )
    order = np.random.default_rng(SEED).permutation(len(found))
    shuffled = [list(found.values())[number] for number in order]
    test = max(1, round(TEST_SHARE * len(shuffled)))
    return _first_spans(shuffled[test:], source.most), _first_spans(shuffled[:test], source.most // 2)


def of_words(words: Sequence[str], joined: Sequence[bool], labels: Sequence[str]) -> Labelled:
    """The text of a sentence, and where its words stand in it."""
    text, spans = "", []
    for word, close in zip(words, joined, strict=True):
        text += "" if close or not text else " "
        spans.append((len(text), len(text) + len(word)))
        text += word
    return Labelled(text, tuple(spans), tuple(labels))


def _first_spans(texts: Sequence[Labelled], most: int) -> list[Labelled]:
    """So many of the texts, from the first on, that they have at most `most` spans (but one text at least)."""
    counts = np.cumsum([len(each.spans) for each in texts])
    return list(texts[: max(1, int(np.searchsorted(counts, most, side="right")))])
