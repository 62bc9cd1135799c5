"""Transformer layers of both layouts, and the ways to compute their attention.

`bert`: post-norm, GELU, biases (Vaswani et al. 2017; Devlin et al. 2019). `modernbert`: pre-norm, rotary positions,
gated GELU, no biases (Warner et al. 2024).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from bertwright.config import ModelConfig

AttentionFunction = Callable[[Tensor, Tensor, Tensor, Tensor, float], Tensor]

Rotation = tuple[Tensor, Tensor]
"""Of each position and channel: cosine of its angle, and sine, negative in the first half; [B, 1, L, D/H] each."""


def dropout(values: Tensor, share: float) -> Tensor:
    """Values of which a share is 0, the others larger in turn (Srivastava et al. 2014); the mean stays.

    torch draws a random number of 32 bits for each value, one after the other. 16 bits are enough, so on CPUs one draw
    of 64 bits serves four values; the share is met within 1 / 131,072.
    """
    if share == 0.0:
        return values
    if values.device.type != "cpu":
        return functional.dropout(values, share)
    steps = 1 << 16
    dropped = min(round(share * steps), steps - 1)
    bits = torch.empty(-(-values.numel() // 4), dtype=torch.int64).random_(-(1 << 63), None).view(torch.int16)
    kept = (bits[: values.numel()] >= dropped - steps // 2).view(values.shape)
    return values * kept.to(values.dtype).mul_(steps / (steps - dropped))


class Dropout(nn.Module):
    """`dropout`, in training only."""

    def __init__(self, share: float) -> None:
        super().__init__()
        self.share = share

    def forward(self, values: Tensor) -> Tensor:
        """Any shape."""
        return dropout(values, self.share) if self.training else values


def explicit_attention(query: Tensor, key: Tensor, value: Tensor, bias: Tensor, share: float) -> Tensor:
    """Attention as two batched matrix products: on CPUs faster than the fused kernel up to some hundred tokens.

    Args:
        query: [B, H, L, D/H]; key and value likewise.
        key: see query.
        value: see query.
        bias: [B, 1, L, L], added to the scores: 0 where a token may look, minus infinity elsewhere.
        share: of the attention weights, that is dropped.

    Returns:
        [B, H, L, D/H].
    """
    weights = _scores(query, key, bias).softmax(dim=-1)
    return dropout(weights, share) @ value


def _scores(query: Tensor, key: Tensor, bias: Tensor) -> Tensor:
    """How well each key fits each query: [B, H, L, L]."""
    return (query / math.sqrt(query.shape[-1])) @ key.transpose(-1, -2) + bias


def sdpa_attention(query: Tensor, key: Tensor, value: Tensor, bias: Tensor, share: float) -> Tensor:
    """Attention by torch's fused kernel; arguments and result as in `explicit_attention`."""
    return functional.scaled_dot_product_attention(query, key, value, attn_mask=bias, dropout_p=share)


ATTENTION: dict[str, AttentionFunction] = {"explicit": explicit_attention, "sdpa": sdpa_attention}


def rotation(position_ids: Tensor, channels: int, base: float, dtype: torch.dtype) -> Rotation:
    """Angles of rotary position embeddings (Su et al. 2021): position times base^(-2i / channels).

    Args:
        position_ids: [B, L].
        channels: of a head, D/H.
        base: the longer the sequences, the larger.
        dtype: of the result; the angles are computed in float32.
    """
    frequencies = base ** (-torch.arange(0, channels, 2, dtype=torch.float32, device=position_ids.device) / channels)
    angles = (position_ids[..., None] * frequencies)[:, None]  # [B, 1, L, D/H/2]
    cosine, sine = angles.cos(), angles.sin()
    return torch.cat([cosine, cosine], dim=-1).to(dtype), torch.cat([-sine, sine], dim=-1).to(dtype)


def rotate(vectors: Tensor, by: Rotation) -> Tensor:
    """Turn each pair of channels (i, i + D/H/2) by its angle: [..., B, H, L, D/H] -> the same."""
    cosine, sine = by
    return torch.addcmul(vectors * cosine, vectors.roll(vectors.shape[-1] // 2, dims=-1), sine)


def norm(config: ModelConfig) -> nn.LayerNorm:
    """A layer norm of the layout: `modernbert` has no biases."""
    return nn.LayerNorm(config.width, eps=config.norm_epsilon, bias=config.has_biases)


@dataclass(frozen=True)
class Places:
    """Where the T tokens that are computed stand in B rows of L places.

    Padding has no part but in the attention, whose scores are computed row by row.
    """

    rows: int
    length: int
    positions: Tensor | None
    """[T], in the flattened rows, ascending; None: tokens are everywhere, T = B L."""

    def spread(self, values: Tensor) -> Tensor:
        """What belongs to tokens, in their places, 0 elsewhere: [T, X] -> [B, L, X]."""
        if self.positions is not None:
            whole = values.new_zeros(self.rows * self.length, values.shape[1])
            values = whole.index_copy(0, self.positions, values)
        return values.view(self.rows, self.length, -1)

    def gather(self, values: Tensor) -> Tensor:
        """What stands in the places of tokens: [B, L, ...] -> [T, ...]."""
        flat = values.flatten(0, 1)
        return flat if self.positions is None else flat[self.positions]

    def numbers(self, positions: Tensor) -> Tensor:
        """Which tokens stand at these positions in the flattened rows: [N] -> [N], of 0 to T - 1."""
        return positions if self.positions is None else torch.searchsorted(self.positions, positions)


@dataclass(frozen=True)
class View:
    """What a layer sees: where its tokens stand, and which of them see each other."""

    places: Places
    bias: Tensor
    """[B, 1, L, L], added to the scores of attention: 0 where a token may look, minus infinity elsewhere."""
    by: Rotation | None
    """How it turns positions, if it does."""


@dataclass(frozen=True)
class Asked:
    """The tokens whose vectors are wanted of the last layer: it computes no others, but all are looked at.

    Where 15 % of the tokens are masked, or the first one alone is classified, most of that layer is left out. The asked
    tokens of a row stand side by side, M of them in the row that has most.
    """

    positions: Tensor
    """[N], in the flattened rows."""
    numbers: Tensor
    """[N], among the T tokens."""
    sources: Tensor
    """[B, M], which of the N stands there; any, where a row has fewer."""
    slots: Tensor
    """[N], where each one stands among the B M."""

    @classmethod
    def of(cls, positions: Tensor, places: Places) -> "Asked":
        """Positions [N] in any order, at least one, in the flattened rows."""
        row = positions // places.length
        order = row.argsort(stable=True)
        counts = row.bincount(minlength=places.rows)
        in_row = torch.arange(len(positions), device=row.device) - (counts.cumsum(0) - counts)[row[order]]
        most = int(counts.max())
        slots = torch.empty_like(row)
        slots[order] = row[order] * most + in_row
        sources = torch.zeros(places.rows * most, dtype=row.dtype, device=row.device)
        sources[slots] = torch.arange(len(positions), device=row.device)
        return cls(positions, places.numbers(positions), sources.view(places.rows, most), slots)

    def pick(self, hidden: Tensor) -> Tensor:
        """The asked tokens' vectors: [T, D] -> [N, D]."""
        return hidden[self.numbers]

    def side_by_side(self, values: Tensor) -> Tensor:
        """What belongs to the places, of the asked tokens in their rows: [B, 1, L, ...] -> [B, 1, M, ...]."""
        return values.flatten(0, 2)[self.positions[self.sources]][:, None]


class Attention(nn.Module):
    """Multi-head self-attention with its output projection."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.heads = config.heads
        self.dropout = config.dropout
        self.query = nn.Linear(config.width, config.width, bias=config.has_biases)
        self.key = nn.Linear(config.width, config.width, bias=config.has_biases)
        self.value = nn.Linear(config.width, config.width, bias=config.has_biases)
        self.output = nn.Linear(config.width, config.width, bias=config.has_biases)

    def forward(self, hidden: Tensor, view: View, attend: AttentionFunction, asked: Asked | None = None) -> Tensor:
        """Hidden states [T, D] -> the same, or those of the asked tokens, [N, D]."""
        share = self.dropout if self.training else 0.0
        if asked is None:
            query, key, value = self._projected(hidden, view, (self.query, self.key, self.value))
            mixed = attend(query, key, value, view.bias, share).transpose(1, 2).flatten(2)  # [B, L, D]
            return self.output(view.places.gather(mixed))
        key, value = self._projected(hidden, view, (self.key, self.value))
        query = self.query(asked.pick(hidden))[asked.sources]  # [B, M, D]
        query = query.unflatten(-1, (self.heads, -1)).transpose(1, 2)  # [B, H, M, D/H]
        if view.by is not None:
            query = rotate(query, (asked.side_by_side(view.by[0]), asked.side_by_side(view.by[1])))
        mixed = attend(query, key, value, asked.side_by_side(view.bias), share)
        return self.output(mixed.transpose(1, 2).flatten(2).flatten(0, 1)[asked.slots])

    def weights(self, hidden: Tensor, view: View) -> Tensor:
        """How much each token looks at each other one, without dropout: [T, D] -> [B, H, L, L], rows add up to 1."""
        query, key = self._projected(hidden, view, (self.query, self.key))
        return _scores(query, key, view.bias).softmax(dim=-1)

    def _projected(self, hidden: Tensor, view: View, parts: tuple[nn.Linear, ...]) -> tuple[Tensor, ...]:
        """Query, key and value, or two of them, [B, H, L, D/H] each; all but the value are rotated."""
        # A matrix for each part for the optimizer, one product for the processor.
        weight = torch.cat([part.weight for part in parts])
        offset = None if self.query.bias is None else torch.cat([part.bias for part in parts])
        projected = view.places.spread(functional.linear(hidden, weight, offset))  # [B, L, 2 or 3 D]
        projected = projected.unflatten(2, (len(parts), self.heads, -1)).permute(2, 0, 3, 1, 4)
        if view.by is None:
            return projected.unbind(0)
        turned = sum(part is not self.value for part in parts)
        return *rotate(projected[:turned], view.by).unbind(0), *projected[turned:].unbind(0)


class BertLayer(nn.Module):
    """Attention and a feed-forward part, each added to its input and then normalised (post-norm)."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.attention = Attention(config)
        self.attention_norm = norm(config)
        self.inner = nn.Linear(config.width, config.inner_width)
        self.outer = nn.Linear(config.inner_width, config.width)
        self.output_norm = norm(config)
        self.dropout = Dropout(config.dropout)

    def forward(self, hidden: Tensor, view: View, attend: AttentionFunction, asked: Asked | None = None) -> Tensor:
        """Hidden states [T, D] -> the same, or those of the asked tokens, [N, D]."""
        attended = self.attention(hidden, view, attend, asked)
        hidden = hidden if asked is None else asked.pick(hidden)
        hidden = self.attention_norm(hidden + self.dropout(attended))
        inner = functional.gelu(self.inner(hidden))
        return self.output_norm(hidden + self.dropout(self.outer(inner)))


class ModernLayer(nn.Module):
    """Attention and a gated feed-forward part, each on a normalised input and added to it (pre-norm)."""

    def __init__(self, config: ModelConfig, *, first: bool) -> None:
        super().__init__()
        # The embeddings were normalised just before the first layer.
        self.attention_norm = nn.Identity() if first else norm(config)
        self.attention = Attention(config)
        self.inner_norm = norm(config)
        self.inner = nn.Linear(config.width, 2 * config.inner_width, bias=False)
        self.outer = nn.Linear(config.inner_width, config.width, bias=False)
        self.dropout = Dropout(config.dropout)

    def forward(self, hidden: Tensor, view: View, attend: AttentionFunction, asked: Asked | None = None) -> Tensor:
        """Hidden states [T, D] -> the same, or those of the asked tokens, [N, D]."""
        attended = self.attention(self.attention_norm(hidden), view, attend, asked)
        hidden = (hidden if asked is None else asked.pick(hidden)) + self.dropout(attended)
        value, gate = self.inner(self.inner_norm(hidden)).chunk(2, dim=-1)
        return hidden + self.outer(self.dropout(functional.gelu(value) * gate))
