"""Vectors of tokens at every layer of an encoder, and of the words that they are pieces of."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from bertwright.batches import Rows, SpecialTokens
from bertwright.checkpoint import Checkpoint, load_checkpoint, load_whole
from bertwright.devices import tune_memory, use_threads
from bertwright.download import checkpoint_folder
from bertwright.errors import UserError
from bertwright.model.heads import BareModel
from bertwright.model.layers import Attention
from bertwright.tasks.task import COMPUTED_TOKENS, Window, lay_out


@dataclass(frozen=True)
class Reading:
    """What an encoder makes of one text, special tokens left out."""

    ids: np.ndarray
    """[N]."""
    offsets: np.ndarray
    """[N, 2], the characters that each token stands for: the first one and the end; none for a lone mark of a space."""
    vectors: np.ndarray
    """[1 + layers, N, D] in float32; layer 0 are the embeddings."""

    def pieces(self, begin: int, end: int) -> np.ndarray:
        """The numbers of the tokens that overlap these characters."""
        return overlapping(self.offsets, begin, end)

    def word(self, begin: int, end: int) -> np.ndarray:
        """The vector of a word at every layer, [1 + layers, D]: the mean of the pieces that overlap it."""
        return self.vectors[:, self.pieces(begin, end)].mean(axis=1)


class Reader:
    """An encoder, ready to read texts: `Reader.load("runs/mine").read(["...", "..."])`.

    Args:
        checkpoint: of any model with an encoder.
    """

    def __init__(self, checkpoint: Checkpoint) -> None:
        self.checkpoint = checkpoint
        self.special = SpecialTokens.of(checkpoint.tokenizer)
        self.model = BareModel(checkpoint.config)
        load_whole(self.model, checkpoint)
        self.model.eval()

    @classmethod
    def load(cls, name: str | Path) -> "Reader":
        """Load a run (its best checkpoint), a checkpoint folder, or a model of the hub."""
        tune_memory()
        use_threads(0)
        return cls(load_checkpoint(checkpoint_folder(name)))

    @property
    def num_layers(self) -> int:
        """Of the encoder; a reading has one more, the embeddings."""
        return self.checkpoint.config.layers

    @property
    def room(self) -> int:
        """Tokens of a text that the encoder takes at most."""
        return self.checkpoint.config.max_length - self.special.framing(1)

    def read(self, texts: Sequence[str], *, alone: bool = False) -> list[Reading]:
        """Read each text by itself, between the model's special tokens.

        Args:
            texts: none longer than the model takes.
            alone: cut attention: every token sees itself only.

        Raises:
            UserError: a text is too long, or has no tokens.
        """
        encoded = self.encode(texts)
        states = self.read_ids([ids for ids, _ in encoded], alone=alone)
        return [Reading(ids, offsets, vectors) for (ids, offsets), vectors in zip(encoded, states, strict=True)]

    def encode(self, texts: Sequence[str]) -> list[tuple[np.ndarray, np.ndarray]]:
        """Of each text the ids [N] and the characters that each token stands for [N, 2], as in a `Reading`.

        Raises:
            UserError: a text is too long for the model, or has no tokens.
        """
        encoded = self.checkpoint.tokenizer.encode_batch_with_offsets(texts)
        for text, (ids, _) in zip(texts, encoded, strict=True):
            if not 0 < len(ids) <= self.room:
                raise UserError(
                    f"{text[:60]!r} has {len(ids)} tokens",
                    expected=f"1 to {self.room}",
                    advice="shorten the text" if len(ids) else "leave it out",
                    file=self.checkpoint.folder,
                )
        return encoded

    def read_ids(self, sequences: Sequence[np.ndarray], *, alone: bool = False) -> list[np.ndarray]:
        """As `read`, of ids [N] without special tokens: of each the vectors [1 + layers, N, D]."""
        found = [np.empty(0)] * len(sequences)
        for number, states in self._each(sequences, alone=alone):
            found[number] = states.copy()
        return found

    def means(
        self, sequences: Sequence[np.ndarray], spans: Sequence[Sequence[np.ndarray]], *, alone: bool = False
    ) -> np.ndarray:
        """The vectors of spans of tokens, which are the means over their tokens, at every layer.

        No more than a batch of tokens is kept at a time, so there may be many texts.

        Args:
            sequences: ids [N] without special tokens, none longer than the model takes.
            spans: of each sequence any number of spans; a span are the numbers of its tokens, one at least.
            alone: see `read`.

        Returns:
            [1 + layers, S, D], the spans in their order.
        """
        firsts = np.cumsum([0, *map(len, spans)])
        found = np.empty((1 + self.num_layers, firsts[-1], self.checkpoint.config.width), dtype=np.float32)
        for number, states in self._each(sequences, alone=alone):
            for place, tokens in enumerate(spans[number], start=int(firsts[number])):
                found[:, place] = states[:, tokens].mean(axis=1)
        return found

    def _each(self, sequences: Sequence[np.ndarray], *, alone: bool) -> Iterator[tuple[int, np.ndarray]]:
        """Of each sequence the number and the vectors [1 + layers, N, D], those of like length one after the other."""
        sizes = np.array([len(ids) for ids in sequences])
        order, begin = np.argsort(-sizes, kind="stable"), 0
        while begin < len(order):
            length = int(sizes[order[begin]]) + self.special.framing(1)
            chosen = order[begin : begin + max(1, COMPUTED_TOKENS // length)]
            begin += len(chosen)
            states = self._states([sequences[number] for number in chosen], length, alone=alone)
            for row, number in enumerate(chosen):
                yield int(number), states[:, row, 1 : 1 + sizes[number]]

    def attention(self, text: str) -> tuple[list[str], np.ndarray]:
        """How much each token of a text looks at each other one, at every layer.

        Computed anew from what each layer was given, whichever way the layers compute it themselves.

        Returns:
            The tokens, special ones included, and the weights [layers, H, L, L]; rows add up to 1.

        Raises:
            UserError: the text is too long, or has no tokens.
        """
        ((ids, _),) = self.encode([text])
        special = self.checkpoint.tokenizer.readable([self.special.cls, self.special.sep])
        weights: list[np.ndarray] = []

        def keep(module: nn.Module, given: tuple[Any, ...]) -> None:
            assert isinstance(module, Attention)
            hidden, view, *_ = given
            weights.append(module.weights(hidden, view)[0].numpy())

        attentions = [module for module in self.model.modules() if isinstance(module, Attention)]
        handles = [module.register_forward_pre_hook(keep) for module in attentions]
        self.read_ids([ids])
        for handle in handles:
            handle.remove()
        tokens = [special[0], *self.checkpoint.tokenizer.readable(ids), special[1]]
        return tokens, np.stack(weights)

    def _states(self, sequences: Sequence[np.ndarray], length: int, *, alone: bool) -> np.ndarray:
        """Of each layer the vectors of some texts, a row each: [1 + layers, B, L, D]."""
        rows, in_order = one_a_row(sequences, self.special, length)
        if alone:  # a token sees those with its number only
            numbers = np.arange(1, 1 + rows.sequence_ids.size).reshape(rows.sequence_ids.shape)
            rows = replace(rows, sequence_ids=np.where(rows.sequence_ids > 0, numbers, 0))
        with torch.inference_mode():
            states = [state.float().numpy() for state in self.model.encoder.states(*rows.batch().inputs)]
        return np.stack(states)[:, in_order]


def overlapping(offsets: np.ndarray, begin: int, end: int) -> np.ndarray:
    """The numbers of the tokens whose characters, [N, 2], overlap those from begin to end."""
    return np.flatnonzero((offsets[:, 0] < end) & (offsets[:, 1] > begin))


def one_a_row(sequences: Sequence[np.ndarray], special: SpecialTokens, length: int) -> tuple[Rows, np.ndarray]:
    """Sequences of ids laid out in rows of `length`, a row each, and the row that each of them has."""
    windows = [Window(number, (ids,)) for number, ids in enumerate(sequences)]
    rows = lay_out(windows, special, length=length, samples=np.arange(len(windows)), share_rows=False)
    return rows, (rows.sequence_starts // length)[np.argsort(rows.sample_ids)]


def token_mean(of_each: np.ndarray, sequences: Sequence[np.ndarray]) -> np.ndarray:
    """The mean over all tokens of some sequences, [.., D], from that of each sequence, [.., S, D]."""
    sizes = np.array([len(ids) for ids in sequences], dtype=np.float32)
    return np.average(of_each, axis=-2, weights=sizes).astype(np.float32)


def normalized(vectors: np.ndarray) -> np.ndarray:
    """Vectors of length 1, [N, D] -> [N, D]."""
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True).clip(1e-12)
