"""Does a word's vector know its neighbours? Cosines of one word in many sentences (the lecture's slides 69 to 71).

On slide 71 stand ten sentences with 蘋果, five of the fruit and five of the company; the cosines of the ten vectors of
果 form two bright squares. Here the same is drawn for every layer. Layer 0, the embeddings, is the control: there the
word has one vector, whatever stands around it (but for its position).
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bertwright.analyze.senses import Sentence, read_sentences, word_vectors
from bertwright.analyze.vectors import Reader, Reading, normalized
from bertwright.run import keep_result

PERMUTATIONS = 9999
"""Of the sentences' groups, in the test of the gap."""

SEED = 1
"""Of the permutations."""


def similarity(
    model: str | Path, sentences: str | Path, *, words: Sequence[str] = (), folder: Path | None = None
) -> dict[str, Any]:
    """Cosines between the vectors of a word in its sentences, at every layer.

    Args:
        model: a run, a checkpoint folder or a model of the hub.
        sentences: a table with the columns word, group and text, or the name of one that comes along.
        words: that are wanted; all, if none is named.
        folder: where results/similarity.json is written; None: nowhere.

    Returns:
        {"kind", "model", "words"}; a word has "word", "groups", "sentences" (each "text", "group", "begin", "end", the
        "pieces" that overlap the word, and whether one "reaches_outside") and "layers" (see `compared`, with "cosines",
        [S, S], rounded, and "neighbours", [S], the number of each sentence's most similar other one, from 0).

    Raises:
        UserError: see `read_sentences` and `word_vectors`.
    """
    groups = read_sentences(sentences, words)
    reader = Reader.load(model)
    found = [_of_word(reader, each) for each in groups]
    result = {"kind": "similarity", "model": str(model), "words": found}
    return keep_result(result, folder)


def _of_word(reader: Reader, sentences: list[Sentence]) -> dict[str, Any]:
    vectors, readings = word_vectors(reader, sentences)
    labels = [sentence.group for sentence in sentences]
    layers = []
    for states in vectors:
        values = cosines(states)
        layers.append(
            {
                **compared(values, labels),
                "cosines": values.round(4).tolist(),
                "neighbours": neighbours(values).tolist(),
            }
        )
    return {
        "word": sentences[0].word,
        "groups": list(dict.fromkeys(labels)),
        "sentences": [
            _described(reader, sentence, reading) for sentence, reading in zip(sentences, readings, strict=True)
        ],
        "layers": layers,
    }


def _described(reader: Reader, sentence: Sentence, reading: Reading) -> dict[str, Any]:
    pieces = reading.pieces(sentence.begin, sentence.end)
    places = reading.offsets[pieces]
    return {
        "text": sentence.text,
        "group": sentence.group,
        "begin": sentence.begin,
        "end": sentence.end,
        "pieces": reader.checkpoint.tokenizer.readable(reading.ids[pieces]),
        "reaches_outside": bool(
            sentence.text[places[:, 0].min() : sentence.begin].strip()
            or sentence.text[sentence.end : places[:, 1].max()].strip()
        ),
    }


def cosines(vectors: np.ndarray) -> np.ndarray:
    """Between all vectors: [S, D] -> [S, S] in float64, as in float32 a permutation that is as good seems worse."""
    units = normalized(vectors.astype(np.float64))
    return units @ units.T


def neighbours(values: np.ndarray) -> np.ndarray:
    """The number of each one's most similar other one: cosines [S, S] -> [S]."""
    return (values - 4 * np.eye(len(values))).argmax(axis=1)  # below every cosine: nobody is their own neighbour


def compared(values: np.ndarray, labels: Sequence[str]) -> dict[str, float]:
    """Cosines within the groups beside those across them.

    Args:
        values: [S, S].
        labels: [S], the groups.

    Returns:
        "within" and "across", their means; "gap", the difference; "lowest_within" and "highest_across"; "nearest", the
        share of sentences whose most similar other one is of their own group; "p", the share of permutations of the
        groups with a gap as large.
    """
    numbers = _numbers(labels)
    upper = np.triu(np.ones(values.shape, dtype=bool), 1)
    same = numbers[:, None] == numbers
    return {
        "within": float(values[upper & same].mean()),
        "across": float(values[upper & ~same].mean()),
        "gap": gap(values, labels),
        "lowest_within": float(values[upper & same].min()),
        "highest_across": float(values[upper & ~same].max()),
        "nearest": float((numbers[neighbours(values)] == numbers).mean()),
        "p": permutation_test(values, numbers),
    }


def gap(values: np.ndarray, labels: Sequence[str]) -> float:
    """Mean cosine within the groups less that across them: cosines [S, S], groups [S]."""
    return float(_gap(values, _numbers(labels)[None])[0])


def _numbers(labels: Sequence[str]) -> np.ndarray:
    """The number of each one's group, [S]."""
    return np.unique(np.array(labels), return_inverse=True)[1]


def permutation_test(values: np.ndarray, numbers: np.ndarray) -> float:
    """Share of permutations of the groups (the given one counted among them) whose gap is at least that of the given.

    Args:
        values: [S, S], symmetric.
        numbers: [S], the groups, from 0 on.
    """
    generator = np.random.default_rng(SEED)
    permuted = generator.permuted(np.tile(numbers, (PERMUTATIONS, 1)), axis=1)
    given = _gap(values, numbers[None])[0]
    return float((1 + (_gap(values, permuted) >= given - 1e-9).sum()) / (1 + PERMUTATIONS))


def _gap(values: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    """Mean within the groups less mean across them, for each of P groupings [P, S] -> [P]."""
    pairs = values.astype(np.float64) * (1 - np.eye(len(values)))
    within, count = np.zeros(len(numbers)), np.zeros(len(numbers))  # each pair counts twice, here and in the sum of all
    for group in range(numbers.max() + 1):  # a group at a time: P x S numbers, where the pairs would be P x S x S
        member = (numbers == group).astype(np.float64)
        size = member.sum(axis=1)
        within += ((member @ pairs) * member).sum(axis=1)
        count += size * (size - 1)
    return within / count - (pairs.sum() - within) / (len(pairs) * (len(pairs) - 1) - count)
