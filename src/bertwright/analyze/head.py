"""What a masked-token head says of tokens that it is shown, and which language they are of."""

import unicodedata
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from bertwright.analyze.vectors import Reader, one_a_row
from bertwright.batches import IGNORED
from bertwright.checkpoint import load_whole
from bertwright.model.heads import PretrainingModel

TOGETHER = 16
"""Sentences that are read at once."""

OFTEN = 9
"""A script, or a token of a script that languages share, is of the one in which it is so many times as frequent as in
any other."""


class HeadReader:
    """A model with a masked-token head, ready to say what it reads.

    Attributes:
        reader: of its encoder.
        model: with the head.

    Args:
        name: a run, a checkpoint folder or a model of the hub.

    Raises:
        UserError: it has no masked-token head.
    """

    def __init__(self, name: str | Path) -> None:
        self.reader = Reader.load(name)
        self.model = PretrainingModel(self.reader.checkpoint.config, pair=False)
        load_whole(self.model, self.reader.checkpoint)
        self.model.eval()
        self.reader.model.encoder = self.model.encoder  # the same weights: held once

    def read_off(
        self, sequences: Sequence[np.ndarray], vector: Tensor | None = None, layer: int = 0
    ) -> list[np.ndarray]:
        """What the head says at each token of sentences, nothing masked.

        Args:
            sequences: of each sentence its ids.
            vector: [D], or [S, D] with one for each sentence: added at a layer to the tokens of the sentences; [CLS]
                and [SEP] are of no language.
            layer: which one; 0 are the embeddings.
        """
        special = self.reader.special
        found: list[np.ndarray] = []
        vectors = None if vector is None else vector.expand(len(sequences), -1)
        for begin in range(0, len(sequences), TOGETHER):
            part = sequences[begin : begin + TOGETHER]
            rows, in_order = one_a_row(part, special, max(map(len, part)) + special.framing(1))
            with torch.inference_mode():
                state = torch.empty(0)
                for number, state in enumerate(self.model.encoder.states(*rows.batch().inputs)):
                    if vectors is not None and number == layer:
                        own = vectors[begin : begin + len(part)]
                        for row, ids, added in zip(in_order.tolist(), part, own, strict=True):
                            state[row, 1 : 1 + len(ids)] += added  # in place: the next layer goes on from here
                # A sentence at a time: the logits of all would be gigabytes where the vocabulary is large.
                found += [
                    self.model.token_logits(state[row, 1 : 1 + len(ids)]).argmax(dim=-1).numpy()
                    for row, ids in zip(in_order.tolist(), part, strict=True)
                ]
        return found

    def token_languages(self, sides: Sequence[Sequence[np.ndarray]]) -> np.ndarray:
        """Which language each row of the embedding table is of, see `token_languages`: [V]."""
        tokenizer = self.reader.checkpoint.tokenizer
        tokens = tokenizer.readable(np.arange(tokenizer.vocabulary_size))
        spare = self.reader.checkpoint.config.vocabulary_size - len(tokens)  # rows that no token has
        return token_languages(sides, [*tokens, *[""] * spare], self.reader.special.ordinary)


def token_languages(sides: Sequence[Sequence[np.ndarray]], tokens: Sequence[str], ordinary: np.ndarray) -> np.ndarray:
    """Which language each token is of: that of its script, or, of a script that languages share, by counts.

    Args:
        sides: of each language its sentences in ids; others than those that are judged by it, or what is given back
            would be of its language by itself.
        tokens: [V], as people read them.
        ordinary: ids of tokens that are not special.

    Returns:
        [V], the number of the language; IGNORED for tokens of several or of none (signs, figures, other scripts).
    """
    counts = np.stack([np.bincount(np.concatenate(list(side)), minlength=len(tokens)) for side in sides])
    names = [script_of(token) for token in tokens]
    known = np.array([name is not None for name in names])
    scripts, script = np.unique([name or "" for name in names], return_inverse=True)
    of_scripts = np.stack([np.bincount(script, weights=own * known, minlength=len(scripts)) for own in counts])
    by_script = _owners(of_scripts)[script]
    language = np.where(by_script == IGNORED, _owners(counts * known), by_script)
    language[~known] = IGNORED
    language[np.setdiff1d(np.arange(len(tokens)), ordinary)] = IGNORED
    return language


def _owners(counts: np.ndarray) -> np.ndarray:
    """Of each thing, [languages, T] counts -> [T], the language in which it is OFTEN times as frequent, or IGNORED.

    Half a time more in the others: what was met once or twice is of no language yet.
    """
    sizes = counts.sum(axis=1, keepdims=True)
    rates = counts / sizes
    first = rates.argmax(axis=0)
    own = np.arange(len(counts))[:, None] == first
    others = np.where(own, 0.0, rates + 0.5 / sizes).max(axis=0)
    return np.where(rates.max(axis=0) > OFTEN * others, first, IGNORED)


def script_of(token: str) -> str | None:
    """The script of a token's letters ("LATIN", "CJK", "CYRILLIC", ...); None where it has none, or several."""
    scripts = {unicodedata.name(letter, "?").partition(" ")[0] for letter in token if letter.isalpha()}
    return scripts.pop() if len(scripts) == 1 else None


def reconstructed(
    said: Sequence[np.ndarray], shown: Sequence[np.ndarray], languages: np.ndarray, own: int
) -> dict[str, float | None]:
    """How many tokens are given back ("same"), and how many answers are of the sentences' own language ("stays").

    Answers that are of no language do not count; None, if none is of any.

    Args:
        said: of each sentence, what the head says.
        shown: what it was shown.
        languages: of the tokens, see `token_languages`.
        own: the sentences' language.
    """
    told, truth = np.concatenate(list(said)), np.concatenate(list(shown))
    known = languages[told] != IGNORED
    stays = float((languages[told][known] == own).mean()) if known.any() else None
    return {"same": float((told == truth).mean()), "stays": stays}
