"""The deep cousin of CBOW: one vector for a word beside one for each occurrence (the lecture's slide 72).

CBOW (Mikolov et al. 2013) guesses a word from the sum of its neighbours, and keeps one vector for each word. It learns
here from the same tokens as the encoder: those of its store. What is compared is how well the vectors tell the senses
of a word apart: each occurrence is given the sense whose other occurrences have the most similar mean vector.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bertwright.analyze.senses import Sentence, read_sentences, usual_pieces, word_vectors
from bertwright.analyze.vectors import Reader, normalized, overlapping
from bertwright.errors import UserError
from bertwright.run import keep_result
from bertwright.store import Store
from bertwright.tokenizer import Tokenizer

DISTANCES = 8
"""Tokens to both sides of a word of which each is hidden once."""

WINDOW, EPOCHS, SEED = 5, 5, 1
"""Of CBOW: neighbours on each side, readings of the store, and of its random numbers."""


def context(
    model: str | Path,
    store: str | Path,
    sentences: str | Path,
    *,
    words: Sequence[str] = (),
    folder: Path | None = None,
) -> dict[str, Any]:
    """Senses told apart by CBOW's vectors and by those of an encoder, and what moves the latter.

    Args:
        model: a run, a checkpoint folder or a model of the hub.
        store: from whose training documents CBOW learns; that of the encoder, for a fair comparison.
        sentences: a table with the columns word, group and text, or the name of one that comes along.
        words: that are wanted; all, if none is named.
        folder: where results/context.json is written; None: nowhere.

    Returns:
        {"kind", "model", "store", "words", "scores", "moves", "attention"}. "words" have "word", "groups", "count" (in
        the store, of its rarest token) and the share of occurrences given their sense: "cbow" (its one vector, so by
        chance), "neighbours" (the mean of CBOW's vectors of the neighbours) and "layers", [1 + layers]; "scores" are
        the means over words. "moves": how far (1 - cosine) the word's vector moves when the token at one of "distances"
        is hidden by [MASK], by layer, "attending" and "alone" (attention cut), [1 + layers, distances]. "attention": of
        a sentence of each sense of the first word its "tokens" and the "layers" [layers, L, L], mean over heads.

    Raises:
        UserError: gensim is not installed; no store; see `read_sentences` and `word_vectors`.
    """
    groups = read_sentences(sentences, words)
    opened = Store.open(store)
    reader = Reader.load(model)
    table = cbow(opened, reader.checkpoint.config.width)
    tokenizer = opened.tokenizer()
    found = [_of_word(reader, each, table, tokenizer, opened.unigram_counts) for each in groups]
    result = {
        "kind": "context",
        "model": str(model),
        "store": str(store),
        "words": found,
        "scores": {name: np.mean([word[name] for word in found], axis=0).tolist() for name in _SCORES},
        "moves": moves(reader, [sentence for each in groups for sentence in each]),
        "attention": [_attention(reader, sentence) for sentence in _first_of_each(groups[0])],
    }
    return keep_result(result, folder)


_SCORES = ("cbow", "neighbours", "layers")


def _of_word(
    reader: Reader, sentences: list[Sentence], table: np.ndarray, tokenizer: Tokenizer, counts: np.ndarray
) -> dict[str, Any]:
    vectors, _ = word_vectors(reader, sentences)
    labels = [sentence.group for sentence in sentences]
    own = usual_pieces(tokenizer, sentences)
    static = np.repeat(table[own].mean(axis=0)[None], len(sentences), axis=0)
    around = np.stack([neighbourhood(sentence, table, tokenizer) for sentence in sentences])
    return {
        "word": sentences[0].word,
        "groups": list(dict.fromkeys(labels)),
        "count": int(counts[own].min()),
        "cbow": told_apart(static, labels),
        "neighbours": told_apart(around, labels),
        "layers": [told_apart(states, labels) for states in vectors],
    }


def told_apart(vectors: np.ndarray, labels: Sequence[str]) -> float:
    """Share of occurrences nearest to the mean vector of the other occurrences of their own sense.

    Where several senses are equally near, as they are if all vectors are the same, an occurrence counts in part.

    Args:
        vectors: [S, D].
        labels: [S], the senses, at least two occurrences of each.
    """
    units, senses, right = normalized(vectors), list(dict.fromkeys(labels)), 0.0
    of_sense = np.array([[label == sense for label in labels] for sense in senses])  # [senses, S]
    for number, label in enumerate(labels):
        others = of_sense.copy()
        others[:, number] = False
        means = normalized((others @ units) / others.sum(axis=1, keepdims=True))
        values = means @ units[number]
        best = np.flatnonzero(values > values.max() - 1e-6)
        right += float(senses.index(label) in best) / len(best)
    return right / len(labels)


# ---------------------------------------------------------------------------------------------- CBOW


def cbow(store: Store, width: int) -> np.ndarray:
    """The vectors that CBOW learns from a store's training documents, [V, D]; of tokens that are not in them, 0.

    Raises:
        UserError: gensim is not installed.
    """
    try:
        from gensim.models import Word2Vec
    except ImportError:
        raise UserError(
            "CBOW needs the package gensim", expected="gensim", advice="pip install 'bertwright[lecture]'"
        ) from None
    model = Word2Vec(
        _Sentences(store), vector_size=width, window=WINDOW, min_count=1, sg=0, epochs=EPOCHS, seed=SEED, workers=1
    )
    table = np.zeros((store.tokenizer().vocabulary_size, width), dtype=np.float32)
    tokens: list[Any] = model.wv.index_to_key
    table[[int(token) for token in tokens]] = model.wv.vectors
    return table


class _Sentences:
    """The segments of a store's training documents as gensim wants them: lists of words, again for each epoch."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def __iter__(self) -> Iterator[list[str]]:
        segments = np.asarray(self.store.segment_offsets)
        documents = self.store.documents
        for number in np.flatnonzero(documents["held_out"][:-1] == 0):
            first, last = (int(documents["segment_offset"][number + step]) for step in (0, 1))
            for segment in range(first, last):
                yield list(map(str, self.store.tokens(int(segments[segment]), int(segments[segment + 1])).tolist()))


def neighbourhood(sentence: Sentence, table: np.ndarray, tokenizer: Tokenizer) -> np.ndarray:
    """The mean of the vectors of a word's neighbours, [D], as many to each side as CBOW looks at."""
    ((ids, offsets),) = tokenizer.encode_batch_with_offsets([sentence.text])
    before = np.flatnonzero(offsets[:, 1] <= sentence.begin)[-WINDOW:]
    after = np.flatnonzero(offsets[:, 0] >= sentence.end)[:WINDOW]
    chosen = ids[np.concatenate([before, after])]
    return table[chosen].mean(axis=0) if len(chosen) else np.zeros(table.shape[1], dtype=np.float32)


# ---------------------------------------------------------------------------------------------- what moves a vector


def moves(reader: Reader, sentences: Sequence[Sentence]) -> dict[str, Any]:
    """How far a word's vector moves when one neighbour is hidden, by the distance of the neighbour.

    Returns:
        "distances" 1 to DISTANCES; for "attending" and "alone" (every token sees itself only) the mean of 1 - cosine
        over both sides and all sentences that are long enough, [1 + layers, distances].
    """
    encoded = reader.encode([sentence.text for sentence in sentences])
    spans = [
        overlapping(offsets, sentence.begin, sentence.end)
        for sentence, (_, offsets) in zip(sentences, encoded, strict=True)
    ]
    hidden: list[np.ndarray] = []
    cases: list[tuple[int, int]] = []  # number of the sentence, distance
    for number, ((ids, _), pieces) in enumerate(zip(encoded, spans, strict=True)):
        for distance in range(1, DISTANCES + 1):
            for place in (pieces[0] - distance, pieces[-1] + distance):
                if 0 <= place < len(ids):
                    changed = ids.copy()
                    changed[place] = reader.special.mask
                    hidden.append(changed)
                    cases.append((number, distance))
    numbers, distances = np.array(cases, dtype=int).reshape(-1, 2).T
    counts = np.bincount(distances, minlength=DISTANCES + 1)[1:]
    result: dict[str, Any] = {"distances": list(range(1, DISTANCES + 1))}
    for name, alone in (("attending", False), ("alone", True)):
        before = reader.means([ids for ids, _ in encoded], [[pieces] for pieces in spans], alone=alone)
        after = reader.means(hidden, [[spans[number]] for number in numbers], alone=alone)
        turned = [
            1 - (normalized(one[numbers]) * normalized(other)).sum(axis=1)
            for one, other in zip(before, after, strict=True)
        ]
        sums = np.stack([np.bincount(distances, layer, minlength=DISTANCES + 1)[1:] for layer in turned])
        result[name] = (sums / counts.clip(min=1)).clip(min=0).round(5).tolist()
    return result


def _first_of_each(sentences: list[Sentence]) -> list[Sentence]:
    """The first sentence of each sense."""
    return list({sentence.group: sentence for sentence in reversed(sentences)}.values())[::-1]


def _attention(reader: Reader, sentence: Sentence) -> dict[str, Any]:
    tokens, weights = reader.attention(sentence.text)
    return {"text": sentence.text, "tokens": tokens, "layers": weights.mean(axis=1).round(3).tolist()}
