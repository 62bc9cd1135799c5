"""Probes: what a linear layer, or the nearest neighbours, can read from frozen vectors, and from names alone.

A control task (Hewitt and Liang 2019) gives every kind of word a label drawn at random: what a probe scores there it
has learnt by heart. Its accuracy is to be held against that of the real labels.
"""

import warnings
from collections import Counter, defaultdict
from collections.abc import Sequence

import numpy as np

from bertwright.analyze.labelled import Labelled
from bertwright.analyze.vectors import Reader, overlapping

ROUNDS = 200
"""Of the optimizer of a probe, at most."""

NEAREST = 15
"""Neighbours that are asked."""


def span_vectors(reader: Reader, texts: Sequence[Labelled]) -> tuple[np.ndarray, list[str], list[str], int]:
    """The vectors of all spans at every layer, and what stands in the spans and their labels.

    Of a text longer than the model takes the beginning is read. A span beyond it, or one that the tokenizer leaves
    nothing of, is left out.

    Returns:
        Vectors [1 + layers, S, D], the words in lower case [S], labels [S], and how many texts were cut.
    """
    encoded = reader.checkpoint.tokenizer.encode_batch_with_offsets([each.text for each in texts])
    cut = sum(len(ids) > reader.room for ids, _ in encoded)
    read: list[np.ndarray] = []
    places: list[list[np.ndarray]] = []
    words, labels = [], []
    for each, (ids, offsets) in zip(texts, encoded, strict=True):
        own = []
        for (begin, end), word, label in zip(each.spans, each.words(), each.labels, strict=True):
            pieces = overlapping(offsets[: reader.room], begin, end)
            if len(pieces):
                own.append(pieces)
                words.append(word)
                labels.append(label)
        if own:
            read.append(ids[: reader.room])
            places.append(own)
    return reader.means(read, places), words, labels, cut


def probe(train: np.ndarray, labels: Sequence[str], test: np.ndarray, truth: Sequence[str]) -> float:
    """Accuracy of a logistic regression on standardised vectors: [S, D], [S] -> [T, D], [T]."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    if len(set(labels)) == 1:
        return float(np.mean(np.array(truth) == labels[0]))
    mean, deviation = train.mean(axis=0), train.std(axis=0) + 1e-6
    model = LogisticRegression(max_iter=ROUNDS)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # a probe is stopped early on purpose
        model.fit((train - mean) / deviation, list(labels))
    return float(np.mean(model.predict((test - mean) / deviation) == np.array(truth)))


def nearest(train: np.ndarray, labels: Sequence[str], test: np.ndarray, truth: Sequence[str]) -> float:
    """Accuracy of the label that most of the nearest vectors have, by cosine: [S, D], [S] -> [T, D], [T]."""
    from sklearn.neighbors import KNeighborsClassifier

    model = KNeighborsClassifier(min(NEAREST, len(labels)), metric="cosine").fit(train, list(labels))
    return float(np.mean(model.predict(test) == np.array(truth)))


def control_labels(words: Sequence[str], labels: Sequence[str], seed: int = 1) -> dict[str, str]:
    """For every kind of word a label drawn at random, as often as labels occur.

    Args:
        words: [S] of both sides: a word keeps its label.
        labels: [N], whose frequencies are drawn from.
        seed: of the draw.
    """
    kinds = sorted(set(words))
    drawn = np.random.default_rng(seed).choice(np.array(labels), size=len(kinds))
    return dict(zip(kinds, drawn.tolist(), strict=True))


def baselines(train: Sequence[Labelled], test: Sequence[Labelled]) -> dict[str, float]:
    """Accuracy without a model: "majority", the most frequent label; "word", the most frequent one of each word."""
    counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
    everywhere: Counter[str] = Counter()
    for each in train:
        everywhere.update(each.labels)
        for word, label in zip(each.words(), each.labels, strict=True):
            counts[word][label] += 1
    usual = everywhere.most_common(1)[0][0]
    pairs = [pair for each in test for pair in zip(each.words(), each.labels, strict=True)]
    guessed = [counts[word].most_common(1)[0][0] if counts[word] else usual for word, _ in pairs]
    return {
        "majority": sum(label == usual for _, label in pairs) / len(pairs),
        "word": sum(label == guess for (_, label), guess in zip(pairs, guessed, strict=True)) / len(pairs),
    }
