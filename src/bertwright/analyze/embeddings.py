"""Tokens with similar meaning lie close (the lecture's slide 69): neighbours, and a map of each word's occurrences.

Static vectors are the rows of the embedding table, one for each token of the vocabulary; contextual ones those that a
layer gives to each occurrence of a word.
"""

from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from bertwright.analyze.senses import Sentence, lone_pieces, read_sentences, usual_pieces, word_vectors
from bertwright.analyze.similarity import cosines, gap
from bertwright.analyze.vectors import Reader, Reading, normalized
from bertwright.errors import UserError
from bertwright.run import keep_result

NEIGHBOURS = 8
"""Of a token, or of a sense."""


def embeddings(
    model: str | Path,
    sentences: str | Path | None = None,
    *,
    words: Sequence[str] = (),
    tokens: Sequence[str] = (),
    folder: Path | None = None,
) -> dict[str, Any]:
    """Neighbours of words among the vocabulary, neighbours of their senses in context, and a map by layer.

    Args:
        model: a run, a checkpoint folder or a model of the hub.
        sentences: a table with the columns word, group and text, or the name of one that comes along; None: no words.
        words: that are wanted; all, if none is named.
        tokens: tokens or words without a sentence, of which the neighbours in the vocabulary are wanted.
        folder: where results/embeddings.json is written; None: nowhere.

    Returns:
        {"kind", "model", "tokens", "layer", "words", "occurrences", "maps"}: a token has "token" and its "static"
        neighbours, (token, cosine) each; "layer" is the one that tells the senses apart best (None without sentences,
        and what follows empty); a word has "word", "static" and "senses" ("group", "neighbours": the tokens of the
        other sentences nearest to the mean vector of the sense at that layer); an occurrence has "word", "group" and
        "text"; "maps" are places [1 + layers, occurrences, 2], of each word by itself (see `places`).

    Raises:
        UserError: neither sentences nor tokens are given, or the tokenizer knows no part of a token; see
            `read_sentences` and `word_vectors`.
    """
    if sentences is None and not tokens:
        raise UserError(
            "there is nothing to look at",
            expected="sentences, or tokens",
            advice="name a table with the columns word, group and text, or a token by --token",
        )
    groups = read_sentences(sentences, words) if sentences is not None else []
    reader = Reader.load(model)
    tokenizer = reader.checkpoint.tokenizer
    chosen = [
        {"token": each, "static": static_neighbours(reader, each, lone_pieces(tokenizer, each))} for each in tokens
    ]
    found = _of_words(reader, groups) if groups else {"layer": None, "words": [], "occurrences": [], "maps": []}
    return keep_result({"kind": "embeddings", "model": str(model), "tokens": chosen, **found}, folder)


def _of_words(reader: Reader, groups: Sequence[list[Sentence]]) -> dict[str, Any]:
    """What is found of words in sentences, see `embeddings`."""
    pairs = [word_vectors(reader, each) for each in groups]
    layer = best_layer([vectors for vectors, _ in pairs], groups)
    everywhere = list(chain.from_iterable(groups))
    tokens, units = tokens_around(reader, everywhere, list(chain.from_iterable(read for _, read in pairs)), layer)
    return {
        "layer": layer,
        "words": [
            {
                "word": each[0].word,
                "static": static_neighbours(reader, each[0].word, usual_pieces(reader.checkpoint.tokenizer, each)),
                "senses": [
                    {
                        "group": group,
                        "neighbours": nearest(
                            tokens, units, vectors[layer, _of(each, group)].mean(axis=0), {each[0].word.lower()}
                        ),
                    }
                    for group in dict.fromkeys(sentence.group for sentence in each)
                ],
            }
            for each, (vectors, _) in zip(groups, pairs, strict=True)
        ],
        "occurrences": [
            {"word": sentence.word, "group": sentence.group, "text": sentence.text} for sentence in everywhere
        ],
        "maps": [
            np.concatenate([places(vectors[number]) for vectors, _ in pairs]).round(4).tolist()
            for number in range(1 + reader.num_layers)
        ],
    }


def _of(sentences: list[Sentence], group: str) -> list[int]:
    return [number for number, sentence in enumerate(sentences) if sentence.group == group]


def best_layer(vectors: Sequence[np.ndarray], groups: Sequence[Sequence[Sentence]]) -> int:
    """The layer whose cosines tell the senses apart best, over all words.

    Args:
        vectors: of each word, [1 + layers, S, D].
        groups: of each word its sentences.
    """
    gaps = [
        [gap(cosines(states), [sentence.group for sentence in each]) for states in word]
        for word, each in zip(vectors, groups, strict=True)
    ]
    return int(np.mean(gaps, axis=0).argmax())


def static_neighbours(reader: Reader, word: str, pieces: np.ndarray) -> list[tuple[str, float]]:
    """Ordinary tokens whose embeddings are nearest to that of a word, which is the mean of its pieces', with cosines.

    Args:
        reader: of the model.
        word: as people call it.
        pieces: their ids.

    Raises:
        UserError: the tokenizer leaves nothing of the word.
    """
    tokenizer = reader.checkpoint.tokenizer
    own = [number for number in pieces.tolist() if number != tokenizer.unk_id]
    if not own:
        raise UserError(
            f"the tokenizer knows no part of {word!r}",
            expected="a word with a token of the vocabulary",
            advice="choose another word",
            file=reader.checkpoint.folder,
        )
    table = normalized(reader.model.encoder.token_embedding.weight.detach().numpy())
    ordinary = np.setdiff1d(reader.special.ordinary, own)
    return nearest(tokenizer.readable(ordinary), table[ordinary], table[own].mean(axis=0), set())


def tokens_around(
    reader: Reader, sentences: Sequence[Sentence], readings: Sequence[Reading], layer: int
) -> tuple[list[str], np.ndarray]:
    """All tokens of all sentences but the pieces of the words looked at, and their vectors at a layer, of length 1."""
    tokens: list[str] = []
    vectors = []
    for sentence, reading in zip(sentences, readings, strict=True):
        around = np.setdiff1d(np.arange(len(reading.ids)), reading.pieces(sentence.begin, sentence.end))
        tokens += reader.checkpoint.tokenizer.readable(reading.ids[around])
        vectors.append(reading.vectors[layer, around])
    return tokens, normalized(np.concatenate(vectors))


def nearest(
    tokens: Sequence[str], units: np.ndarray, vector: np.ndarray, left_out: set[str]
) -> list[tuple[str, float]]:
    """The tokens whose vectors are most similar to a vector, each once, with their cosines.

    Args:
        tokens: [N]; those without a letter or digit are left out.
        units: [N, D], of length 1.
        vector: [D].
        left_out: tokens in lower case that are not wanted.
    """
    values = units @ vector / np.linalg.norm(vector)
    found: dict[str, float] = {}
    for number in np.argsort(-values):
        token = tokens[int(number)]
        if any(map(str.isalnum, token)) and token.lower() not in left_out:
            found.setdefault(token, round(float(values[number]), 4))
        if len(found) == NEIGHBOURS:
            break
    return list(found.items())


def places(vectors: np.ndarray) -> np.ndarray:
    """Where the vectors lie in the two directions in which they differ most: [S, D] -> [S, 2].

    Of length 1 before, so that two of them are at most 2 apart, at every layer.
    """
    units = normalized(vectors)
    centred = units - units.mean(axis=0)
    _, _, directions = np.linalg.svd(centred, full_matrices=False)
    return centred @ directions[:2].T
