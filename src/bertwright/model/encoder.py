"""The encoder: embeddings and a stack of layers, in one of two layouts.

`bert` is Devlin et al. 2019 exactly, and RoBERTa (Liu et al. 2019), which differs in names only; `modernbert` is Warner
et al. 2024, with full attention in every layer unless local attention is asked for.
"""

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from bertwright.config import ModelConfig
from bertwright.model.layers import (
    ATTENTION,
    Asked,
    BertLayer,
    Dropout,
    ModernLayer,
    Places,
    Rotation,
    View,
    norm,
    rotation,
)

PADDING = 0.05
"""Share of padding up to which it is computed like tokens: leaving it out would take as long."""

Views = dict[bool, View]
"""What layers without (False) and with (True) local attention see."""


class Encoder(nn.Module):
    """BERT without its heads.

    Embedding tables may stay in float32 while the layers compute in bfloat16: the gradient of a frequent token is a sum
    of hundreds of rows, more than bfloat16 can add up. The hidden states take the layers' type.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        assert config.vocabulary_size > 0, "the configuration does not know the vocabulary yet"
        self.config = config
        self.attention_path = "sdpa"
        """Which function of layers.ATTENTION computes the attention; the results are the same."""
        self.skips_padding = True
        """Whether padding is left out where there is much of it; the vectors of tokens are the same."""
        modern = config.layout == "modernbert"
        self.token_embedding = nn.Embedding(config.vocabulary_size, config.width)
        self.position_embedding = None if modern else nn.Embedding(config.max_length, config.width)
        self.segment_embedding = None if modern else nn.Embedding(config.segment_types, config.width)
        self.embedding_norm = norm(config)
        self.dropout = Dropout(config.dropout)
        numbers = range(config.layers)
        self.layers = nn.ModuleList(
            [ModernLayer(config, first=number == 0) if modern else BertLayer(config) for number in numbers]
        )
        self.final_norm = norm(config) if modern else nn.Identity()

    def forward(
        self,
        input_ids: Tensor,
        segment_ids: Tensor,
        position_ids: Tensor,
        sequence_ids: Tensor,
        *,
        asked: Tensor | None = None,
        depth: int | None = None,
    ) -> Tensor:
        """Contextual vectors of all tokens, or of those that are asked.

        Args:
            input_ids: [B, L].
            segment_ids: [B, L], 0 or 1; `modernbert` has no segments and does not look at them.
            position_ids: [B, L], counted from 0 within each sequence.
            sequence_ids: [B, L], equal for the tokens of one sequence, 0 for padding; a token sees only tokens with
                the same number, so several sequences can share a row.
            asked: [N], positions of tokens in the flattened batch, in any order; the last layer computes only these.
                None: all.
            depth: layers to go through; 0 gives the embeddings, None goes through all.

        Returns:
            [B, L, D], or [N, D] where positions are asked.
        """
        places = self._places(sequence_ids)
        hidden = self._embedded(*map(places.gather, (input_ids, segment_ids, position_ids)))
        views = self._views(position_ids, sequence_ids, places, hidden.dtype)
        last = self.config.layers if depth is None else depth
        chosen = None if asked is None or not len(asked) or not last else Asked.of(asked, places)
        for number in range(last):
            hidden = self._layer(number, hidden, views, chosen if number == last - 1 else None)
        if asked is None:
            return places.spread(hidden)
        return hidden[places.numbers(asked)] if chosen is None else hidden

    def states(
        self, input_ids: Tensor, segment_ids: Tensor, position_ids: Tensor, sequence_ids: Tensor
    ) -> Iterator[Tensor]:
        """The embeddings, then what each layer makes of them (arguments as above): 1 + layers times [B, L, D].

        Who changes a state in place changes what the next layer is given.
        """
        rows, length = input_ids.shape
        places = Places(rows, length, None)
        hidden = self._embedded(input_ids.flatten(), segment_ids.flatten(), position_ids.flatten())
        yield places.spread(hidden)
        views = self._views(position_ids, sequence_ids, places, hidden.dtype)
        for number in range(self.config.layers):
            hidden = self._layer(number, hidden, views, None)
            yield places.spread(hidden)

    def _places(self, sequence_ids: Tensor) -> Places:
        """Where tokens stand; with padding among them where there is little."""
        rows, length = sequence_ids.shape
        if self.skips_padding:
            positions = sequence_ids.flatten().nonzero()[:, 0]
            if len(positions) < (1 - PADDING) * rows * length:
                return Places(rows, length, positions)
        return Places(rows, length, None)

    def _embedded(self, input_ids: Tensor, segment_ids: Tensor, position_ids: Tensor) -> Tensor:
        """What the first layer is given, in the layers' number format: three times [T] -> [T, D]."""
        config, hidden = self.config, self.token_embedding(input_ids)
        first = self.layers[0]
        assert isinstance(first, BertLayer | ModernLayer)
        if self.position_embedding is not None and self.segment_embedding is not None:
            kinds = segment_ids if config.segment_types > 1 else torch.zeros_like(segment_ids)
            hidden = hidden + self.position_embedding(position_ids) + self.segment_embedding(kinds)
        return self.dropout(self.embedding_norm(hidden)).to(first.outer.weight.dtype)

    def _layer(self, number: int, hidden: Tensor, views: Views, asked: Asked | None) -> Tensor:
        """What a layer makes of its input; after the last one it is normalised, where the layout does so."""
        view = views[self.config.is_local(number)]
        hidden = self.layers[number](hidden, view, ATTENTION[self.attention_path], asked)
        return self.final_norm(hidden) if number == self.config.layers - 1 else hidden

    def _views(self, position_ids: Tensor, sequence_ids: Tensor, places: Places, dtype: torch.dtype) -> Views:
        """What layers see, those with and those without local attention, if there are such."""
        kinds = {self.config.is_local(number) for number in range(self.config.layers)}
        return {local: View(places, *self._seen(position_ids, sequence_ids, dtype, local=local)) for local in kinds}

    def _seen(
        self, position_ids: Tensor, sequence_ids: Tensor, dtype: torch.dtype, *, local: bool
    ) -> tuple[Tensor, Rotation | None]:
        """Which tokens see each other, [B, 1, L, L], and how positions are turned."""
        config = self.config
        bias = block_bias(sequence_ids, dtype)
        if local:
            distance = (position_ids[:, None, :, None] - position_ids[:, None, None, :]).abs()
            bias = bias.masked_fill(distance > config.local_attention // 2, float("-inf"))
        if config.layout == "bert":
            return bias, None
        base = config.local_rotary_base if local else config.rotary_base
        return bias, rotation(position_ids, config.width // config.heads, base, dtype)


def block_bias(sequence_ids: Tensor, dtype: torch.dtype) -> Tensor:
    """The attention bias of packed rows: sequence_ids [B, L] -> [B, 1, L, L], 0 within a sequence, else -infinity."""
    same = sequence_ids[:, None, :, None] == sequence_ids[:, None, None, :]
    return torch.zeros(same.shape, dtype=dtype, device=same.device).masked_fill_(~same, float("-inf"))


def initialize(module: nn.Module, deviation: float) -> None:
    """Draw matrices and embeddings from N(0, deviation); biases are 0 and normalisation weights 1, as in BERT."""
    for part in module.modules():
        if isinstance(part, nn.Linear | nn.Embedding):
            nn.init.normal_(part.weight, std=deviation)
        if isinstance(part, nn.Linear) and part.bias is not None:
            nn.init.zeros_(part.bias)
        if isinstance(part, nn.LayerNorm):
            part.reset_parameters()
