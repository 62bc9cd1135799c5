"""Where is the language, and can it be exchanged? (the lecture's slides 80 to 82).

The mean vector of a language at a layer, over its tokens. Add alpha times the difference of two languages' means to
every token of a sentence, let the layers above go on, and read what the masked-token head says, nothing masked. With
alpha = 0 that is reconstruction.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from bertwright.analyze.alignment import read_dictionary, read_parallel
from bertwright.analyze.head import HeadReader, reconstructed
from bertwright.analyze.vectors import Reader
from bertwright.batches import IGNORED
from bertwright.run import keep_result

ALPHAS = (1.0, 2.0, 3.0)
"""Those of slide 82."""

TESTED = 100
"""Pairs of sentences that are shifted; all others give the means."""

SHOWN = 4
"""Sentences on the page."""

SEED = 1


@dataclass(frozen=True)
class Laboratory:
    """A model, the tokens of its two languages, and which token is which one's translation."""

    head: HeadReader
    language: np.ndarray
    """[V], 0 or 1, or IGNORED for tokens of both or of none."""
    translations: dict[int, set[int]]
    """Token of the first language -> tokens of the second one, and the other way round."""


def shift(
    model: str | Path,
    parallel: tuple[str | Path, str | Path],
    dictionary: str | Path | None = None,
    *,
    most: int = 1000,
    alphas: Sequence[float] = ALPHAS,
    folder: Path | None = None,
) -> dict[str, Any]:
    """Move sentences of the first language to the second by adding a vector, at every layer.

    Args:
        model: with a masked-token head: a run, a checkpoint folder or a model of the hub.
        parallel: two files with a sentence a line; lines of the same number are translations.
        dictionary: a word and its translation a line, separated by a tab; words of one token each count.
        most: pairs of sentences.
        alphas: multiples of the difference of the means.
        folder: where results/shift.json is written; None: nowhere.

    Returns:
        {"kind", "model", "languages", "alphas", "sentences", "reconstruction", "shift", "random", "reverse", "best",
        "examples"}. "reconstruction": for each language the share of tokens given back ("same") and of those that stay
        in their language ("stays"). "shift", and the controls "random" (a vector of the same length) and "reverse" (the
        second language moved to the first): by layer and alpha [1 + layers, alphas] the shares of tokens that are now
        of the other language ("converted"), that are right translations ("translated", None without a dictionary), that
        are the sentence's most frequent token ("repeated"), and "bleu_1" against the reference. "best": layer and alpha
        with the most right translations (without a dictionary, the best BLEU-1).

    Raises:
        UserError: the model has no masked-token head; see `read_parallel` and `read_dictionary`.
    """
    head = HeadReader(model)
    reader = head.reader
    texts = read_parallel(reader, parallel, most)
    encode = reader.checkpoint.tokenizer.encode_batch
    sides = [encode(side) for side in texts]
    tested = min(TESTED, len(sides[0]) // 2)
    laboratory = Laboratory(
        head,
        head.token_languages(sides),
        single_tokens(reader, dictionary) if dictionary is not None else {},
    )
    means = [
        np.concatenate(reader.read_ids(side[tested:]), axis=1).mean(axis=1) for side in sides
    ]  # [1 + layers, D] each
    difference = torch.from_numpy(means[1] - means[0])
    noise = torch.randn(difference.shape, generator=torch.Generator().manual_seed(SEED))
    noise *= (difference.norm(dim=1) / noise.norm(dim=1))[:, None]
    one, other = (side[:tested] for side in sides)
    result: dict[str, Any] = {
        "kind": "shift",
        "model": str(model),
        "languages": [Path(file).name for file in parallel],
        "alphas": list(alphas),
        "sentences": tested,
        "reconstruction": [
            reconstructed(head.read_off(side), side, laboratory.language, number)
            for number, side in enumerate((one, other))
        ],
        "shift": measured(laboratory, one, other, difference, alphas, target=1),
        "random": measured(laboratory, one, other, noise, alphas, target=1),
        "reverse": measured(laboratory, other, one, -difference, alphas, target=0),
    }
    goal = np.array(result["shift"]["translated" if laboratory.translations else "bleu_1"])
    layer, index = (int(each) for each in np.unravel_index(goal.argmax(), goal.shape))
    result["best"] = {"layer": layer, "alpha": alphas[index]}
    result["examples"] = examples(laboratory, texts, one[:SHOWN], difference[layer], layer, alphas)
    return keep_result(result, folder)


# ---------------------------------------------------------------------------------------------- tokens


def single_tokens(reader: Reader, dictionary: str | Path) -> dict[int, set[int]]:
    """The dictionary's words that are one token on both sides, in both directions."""
    pairs = read_dictionary(Path(dictionary))
    tokenizer = reader.checkpoint.tokenizer
    sides = [tokenizer.encode_batch([pair[side] for pair in pairs]) for side in (0, 1)]
    found: dict[int, set[int]] = {}
    for one, other in zip(*sides, strict=True):
        if len(one) == len(other) == 1 and tokenizer.unk_id not in (one[0], other[0]):
            found.setdefault(int(one[0]), set()).add(int(other[0]))
            found.setdefault(int(other[0]), set()).add(int(one[0]))
    return found


# ---------------------------------------------------------------------------------------------- measuring


def measured(
    laboratory: Laboratory,
    sequences: Sequence[np.ndarray],
    references: Sequence[np.ndarray],
    vectors: Tensor,
    alphas: Sequence[float],
    *,
    target: int,
) -> dict[str, Any]:
    """What shifting by a vector for each layer [1 + layers, D] does, by layer and alpha."""
    names = ("converted", "translated", "repeated", "bleu_1")
    grid = np.zeros((len(names), len(vectors), len(alphas)))
    for layer, vector in enumerate(vectors):
        for index, alpha in enumerate(alphas):
            said = laboratory.head.read_off(sequences, alpha * vector, layer)
            grid[:, layer, index] = _shares(laboratory, sequences, references, said, target)
    result: dict[str, Any] = {name: values.round(5).tolist() for name, values in zip(names, grid, strict=True)}
    if not laboratory.translations:
        result["translated"] = None
    return result


def _shares(
    laboratory: Laboratory,
    sequences: Sequence[np.ndarray],
    references: Sequence[np.ndarray],
    said: Sequence[np.ndarray],
    target: int,
) -> tuple[float, float, float, float]:
    told = laboratory.language[np.concatenate(list(said))]
    known = told != IGNORED
    pairs = [
        (int(after) in laboratory.translations[int(before)])
        for ids, row in zip(sequences, said, strict=True)
        for before, after in zip(ids, row, strict=True)
        if int(before) in laboratory.translations
    ]
    repeated = [Counter(row.tolist()).most_common(1)[0][1] / len(row) for row in said]
    return (
        float((told[known] == target).mean()) if known.any() else 0.0,
        float(np.mean(pairs)) if pairs else 0.0,
        float(np.mean(repeated)),
        bleu_1(said, references),
    )


def bleu_1(said: Sequence[np.ndarray], references: Sequence[np.ndarray]) -> float:
    """BLEU of single tokens over all sentences, with the brevity penalty (Papineni et al. 2002)."""
    right = sum(
        (Counter(row.tolist()) & Counter(reference.tolist())).total()
        for row, reference in zip(said, references, strict=True)
    )
    length, wanted = sum(map(len, said)), sum(map(len, references))
    penalty = min(1.0, float(np.exp(1 - wanted / length)))
    return penalty * right / length


def examples(
    laboratory: Laboratory,
    texts: tuple[list[str], list[str]],
    sequences: Sequence[np.ndarray],
    vector: Tensor,
    layer: int,
    alphas: Sequence[float],
) -> list[dict[str, Any]]:
    """Some sentences, and what they become by each alpha at a layer."""
    decode = laboratory.head.reader.checkpoint.tokenizer.decode
    outputs = {alpha: laboratory.head.read_off(sequences, alpha * vector, layer) for alpha in (0.0, *alphas)}
    return [
        {
            "text": texts[0][number],
            "reference": texts[1][number],
            "outputs": [{"alpha": alpha, "text": decode(rows[number])} for alpha, rows in outputs.items()],
        }
        for number in range(len(sequences))
    ]
