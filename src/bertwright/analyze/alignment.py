"""Do translations lie side by side, and where is the language? (the lecture's slides 79 to 81).

Sentences that are translations of each other, and words of a dictionary in the sentences that hold them: for each the
vectors of the other language are ranked by cosine. Mean reciprocal rank (Liu et al. 2020) is 1 where the translation
always comes first; by chance it is about (ln N + .58) / N. Once more after subtracting the mean of each language.
Beside it a linear probe that tells the language of a token's vector, before and after.
"""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bertwright.analyze.linear_probe import probe
from bertwright.analyze.senses import place_of
from bertwright.analyze.vectors import Reader, normalized
from bertwright.corpus.files import open_text
from bertwright.errors import UserError
from bertwright.run import keep_result

FEWEST = 20
"""Pairs of sentences, at least."""

CONTEXTS = 8
"""Sentences over which a word's vector is averaged, at most."""

PROBED = 2000
"""Tokens of each language that the probe learns from, and is tested on."""

SEED = 1

Languages = tuple[str, str]


def alignment(
    model: str | Path,
    parallel: tuple[str | Path, str | Path],
    dictionary: str | Path | None = None,
    *,
    most: int = 1000,
    folder: Path | None = None,
) -> dict[str, Any]:
    """Rank translations by the cosine of their vectors, at every layer.

    Args:
        model: a run, a checkpoint folder or a model of the hub.
        parallel: two files with a sentence a line; lines of the same number are translations.
        dictionary: a word and its translation a line, separated by a tab; without it only sentences are ranked.
        most: sentences of each language.
        folder: where results/alignment.json is written; None: nowhere.

    Returns:
        {"kind", "model", "languages", "sentences", "words", "identity", "offset"}. "sentences" and "words" (None
        without a dictionary) have "count", "chance" and, by layer, for the vectors as they are ("plain") and less the
        mean of their language ("centred"), "reciprocal_rank" and "first" (precision at 1), means of both directions.
        "identity": by layer the accuracy of the language probe, "plain" and "centred" (chance: .5). "offset": by layer
        the mean cosine between the difference of a pair of sentences and that of the languages' means.

    Raises:
        UserError: a file is damaged, the files differ in length, or too few sentences or words are left.
    """
    reader = Reader.load(model)
    names = (Path(parallel[0]).name, Path(parallel[1]).name)
    texts = read_parallel(reader, parallel, most)
    readings = tuple(reader.read(side) for side in texts)
    sentences = [np.stack([reading.vectors.mean(axis=1) for reading in side], axis=1) for side in readings]
    tokens = [np.concatenate([reading.vectors for reading in side], axis=1) for side in readings]
    # One mean for each language and layer: that of all tokens of its sentences.
    means = [side.mean(axis=1, keepdims=True) for side in tokens]
    words = None
    if dictionary is not None:
        pairs = word_vectors(readings, texts, read_dictionary(Path(dictionary)))
        words = ranked(pairs, means)
    gap = means[0] - means[1]
    result = {
        "kind": "alignment",
        "model": str(model),
        "languages": list(names),
        "sentences": ranked(sentences, means),
        "words": words,
        "identity": {
            "plain": identified(tokens),
            "centred": identified([side - mean for side, mean in zip(tokens, means, strict=True)]),
        },
        "offset": [
            float((normalized(one - other) @ normalized(each)[0]).mean())
            for one, other, each in zip(*sentences, gap, strict=True)
        ],
    }
    return keep_result(result, folder)


# ---------------------------------------------------------------------------------------------- reading


def read_parallel(reader: Reader, files: tuple[str | Path, str | Path], most: int) -> tuple[list[str], list[str]]:
    """Pairs of sentences that the model takes whole, each sentence once, drawn evenly.

    Raises:
        UserError: the files differ in length, or fewer than FEWEST pairs are left.
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
    chosen = drawn_rows(reader, sides, most)
    if len(chosen) < FEWEST:
        raise UserError(
            f"only {len(chosen)} pairs of sentences are left",
            file=files[0],
            expected=f"{FEWEST} different ones or more, no longer than {reader.room} tokens",
            advice="give more sentences",
        )
    return [one for one, _ in chosen], [other for _, other in chosen]


def drawn_rows(reader: Reader, columns: Sequence[Sequence[str]], most: int) -> list[tuple[str, ...]]:
    """So many rows of texts, drawn evenly of those that the model takes whole, no text twice in a column."""
    encode = reader.checkpoint.tokenizer.encode_batch
    seen: list[set[str]] = [set() for _ in columns]
    chosen: list[tuple[str, ...]] = []
    order = np.random.default_rng(SEED).permutation(len(columns[0]))
    for begin in range(0, len(order), most):  # no more are encoded than it takes
        rows = [tuple(column[number] for column in columns) for number in order[begin : begin + most]]
        lengths = [[len(ids) for ids in encode(column)] for column in zip(*rows, strict=True)]
        for row, *sizes in zip(rows, *lengths, strict=True):
            fits = all(0 < size <= reader.room for size in sizes)
            if fits and len(chosen) < most and not any(text in known for text, known in zip(row, seen, strict=True)):
                chosen.append(row)
                for text, known in zip(row, seen, strict=True):
                    known.add(text)
        if len(chosen) == most:
            break
    return chosen


def read_dictionary(path: Path) -> list[tuple[str, str]]:
    """Words and their translations.

    Raises:
        UserError: a line has no two columns.
    """
    pairs = []
    with open_text(path) as stream:
        for number, line in enumerate(stream, start=1):
            parts = line.rstrip("\n").split("\t")
            if len(parts) != 2 or not all(part.strip() for part in parts):
                raise UserError(
                    f"the line has {len(parts)} columns",
                    file=path,
                    line=number,
                    expected="a word, a tab, its translation",
                    advice="correct the line",
                )
            pairs.append((parts[0].strip(), parts[1].strip()))
    return pairs


def word_vectors(
    readings: Sequence[Sequence[Any]], texts: Sequence[Sequence[str]], pairs: Sequence[tuple[str, str]]
) -> list[np.ndarray]:
    """For each language the vectors of the words that occur in its sentences, [1 + layers, N, D], translations aligned.

    A word's vector is the mean over CONTEXTS of its sentences at most; of a word that stands twice in the dictionary,
    the first line counts.

    Raises:
        UserError: fewer than FEWEST pairs occur.
    """
    found: list[dict[str, np.ndarray]] = []
    for side in (0, 1):
        places: defaultdict[str, list[tuple[int, int]]] = defaultdict(list)
        wanted = {pair[side].lower(): pair[side] for pair in pairs}
        for number, text in enumerate(texts[side]):
            for word in {word for word in wanted if word in text.lower()}:
                begin = place_of(wanted[word], text)
                if begin is not None and len(places[word]) < CONTEXTS:
                    places[word].append((number, begin))
        vectors = {}
        for word, spots in places.items():
            each = [readings[side][number].word(begin, begin + len(word)) for number, begin in spots]
            if each:
                vectors[word] = np.mean(each, axis=0)
        found.append(vectors)
    kept: dict[str, str] = {}
    taken: set[str] = set()
    for one, other in ((one.lower(), other.lower()) for one, other in pairs):
        if one in found[0] and other in found[1] and one not in kept and other not in taken:
            kept[one] = other
            taken.add(other)
    if len(kept) < FEWEST:
        raise UserError(
            f"only {len(kept)} pairs of the dictionary occur in the sentences",
            expected=f"{FEWEST} or more",
            advice="give more sentences, or a dictionary of these languages, in the order of the files",
        )
    return [
        np.stack([found[0][one] for one in kept], axis=1),
        np.stack([found[1][other] for other in kept.values()], axis=1),
    ]


# ---------------------------------------------------------------------------------------------- measuring


def ranked(pairs: Sequence[np.ndarray], means: Sequence[np.ndarray]) -> dict[str, Any]:
    """How high translations rank.

    Args:
        pairs: of each language [1 + layers, N, D], translations aligned.
        means: of each language [1 + layers, 1, D].
    """
    count = pairs[0].shape[1]
    centred = [side - mean for side, mean in zip(pairs, means, strict=True)]
    chance = float((1 / np.arange(1, count + 1)).mean())
    result: dict[str, Any] = {"count": count, "chance": {"reciprocal_rank": chance, "first": 1 / count}}
    for name, sides in (("plain", pairs), ("centred", centred)):
        layers = [ranks(one, other) for one, other in zip(*sides, strict=True)]
        result[name] = {
            "reciprocal_rank": [float((1 / each).mean()) for each in layers],
            "first": [float((each == 1).mean()) for each in layers],
        }
    return result


def ranks(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """The rank, from 1, of each vector's translation among all of the other language; ties count against it.

    Args:
        one: [N, D].
        other: [N, D], translations at the same place.

    Returns:
        [2 N], both directions.
    """
    values = normalized(one) @ normalized(other).T
    right = np.diag(values)
    return np.concatenate([(values >= right[:, None]).sum(axis=1), (values >= right[None]).sum(axis=0)])


def identified(tokens: Sequence[np.ndarray]) -> list[float]:
    """By layer the accuracy of a linear probe that tells the language of a token: of each [1 + layers, T, D]."""
    generator = np.random.default_rng(SEED)
    size = min(PROBED, min(side.shape[1] for side in tokens) // 2)
    chosen = [generator.permutation(side.shape[1])[: 2 * size] for side in tokens]
    labels = ["one"] * size + ["other"] * size
    found = []
    for layers in zip(*tokens, strict=True):
        train, test = (
            np.concatenate([layer[numbers[part]] for layer, numbers in zip(layers, chosen, strict=True)])
            for part in (slice(size), slice(size, 2 * size))
        )
        found.append(probe(train, labels, test, labels))
    return found
