"""What a masked-token head says of tokens that it is shown, and which language they are of."""

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
"""A token is of a language if it is that many times as frequent there as in any other; else it is of none."""


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

    def read_off(
        self, sequences: Sequence[np.ndarray], vector: Tensor | None = None, layer: int = 0
    ) -> list[np.ndarray]:
        """What the head says at each token of sentences, nothing masked; with `vector` [D] added to them at a layer."""
        special = self.reader.special
        found: list[np.ndarray] = []
        for begin in range(0, len(sequences), TOGETHER):
            part = sequences[begin : begin + TOGETHER]
            rows, in_order = one_a_row(part, special, max(map(len, part)) + special.framing(1))
            with torch.inference_mode():
                state = torch.empty(0)
                for number, state in enumerate(self.model.encoder.states(*rows.batch().inputs)):
                    if vector is not None and number == layer:
                        state.add_(vector)  # in place: the next layer goes on from here
                # A sentence at a time: the logits of all would be gigabytes where the vocabulary is large.
                found += [
                    self.model.token_logits(state[row, 1 : 1 + len(ids)]).argmax(dim=-1).numpy()
                    for row, ids in zip(in_order.tolist(), part, strict=True)
                ]
        return found


def token_languages(sides: Sequence[Sequence[np.ndarray]], ordinary: np.ndarray, vocabulary_size: int) -> np.ndarray:
    """Which language each token is of, by how often it occurs in the sentences of each.

    Args:
        sides: of each language its sentences in ids.
        ordinary: ids of tokens that are not special.
        vocabulary_size: V.

    Returns:
        [V], the number of the language, or IGNORED.
    """
    counts = np.stack([np.bincount(np.concatenate(list(side)), minlength=vocabulary_size) for side in sides])
    rates = counts / counts.sum(axis=1, keepdims=True)
    first = rates.argmax(axis=0)
    others = np.where(np.arange(len(sides))[:, None] == first, 0.0, rates).max(axis=0)
    language = np.where(rates.max(axis=0) > OFTEN * others, first, IGNORED)
    language[np.setdiff1d(np.arange(vocabulary_size), ordinary)] = IGNORED
    return language


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
