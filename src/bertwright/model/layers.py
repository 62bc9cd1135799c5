"""Transformer layers of both layouts, and the ways to compute their attention.

`bert`: post-norm, GELU, biases (Vaswani et al. 2017; Devlin et al. 2019). `modernbert`: pre-norm, rotary positions,
gated GELU, no biases (Warner et al. 2024).
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from bertwright.config import ModelConfig

AttentionFunction = Callable[[Tensor, Tensor, Tensor, Tensor, float], Tensor]

Rotation = tuple[Tensor, Tensor]
"""Of each position and channel: cosine of its angle, and sine, negative in the first half; [B, 1, L, D/H] each."""


def explicit_attention(query: Tensor, key: Tensor, value: Tensor, bias: Tensor, dropout: float) -> Tensor:
    """Attention as two batched matrix products: on CPUs faster than the fused kernel up to some hundred tokens.

    Args:
        query: [B, H, L, D/H]; key and value likewise.
        key: see query.
        value: see query.
        bias: [B, 1, L, L], added to the scores: 0 where a token may look, minus infinity elsewhere.
        dropout: share of the attention weights that is dropped.

    Returns:
        [B, H, L, D/H].
    """
    weights = _scores(query, key, bias).softmax(dim=-1)
    return functional.dropout(weights, dropout, training=dropout > 0) @ value


def _scores(query: Tensor, key: Tensor, bias: Tensor) -> Tensor:
    """How well each key fits each query: [B, H, L, L]."""
    return (query / math.sqrt(query.shape[-1])) @ key.transpose(-1, -2) + bias


def sdpa_attention(query: Tensor, key: Tensor, value: Tensor, bias: Tensor, dropout: float) -> Tensor:
    """Attention by torch's fused kernel; arguments and result as in `explicit_attention`."""
    return functional.scaled_dot_product_attention(query, key, value, attn_mask=bias, dropout_p=dropout)


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

    def forward(self, hidden: Tensor, bias: Tensor, attend: AttentionFunction, by: Rotation | None) -> Tensor:
        """Hidden states [B, L, D], bias [B, 1, L, L], rotation or None -> [B, L, D]."""
        query, key, value = self._projected(hidden, by)
        mixed = attend(query, key, value, bias, self.dropout if self.training else 0.0)
        return self.output(mixed.transpose(1, 2).reshape(hidden.shape))

    def weights(self, hidden: Tensor, bias: Tensor, by: Rotation | None) -> Tensor:
        """How much each token looks at each other one, without dropout: [B, H, L, L], rows add up to 1."""
        query, key, _ = self._projected(hidden, by)
        return _scores(query, key, bias).softmax(dim=-1)

    def _projected(self, hidden: Tensor, by: Rotation | None) -> tuple[Tensor, Tensor, Tensor]:
        """Query, key and value, [B, H, L, D/H] each."""
        rows, length, width = hidden.shape
        # Three matrices for the optimizer, one product for the processor.
        parts = (self.query, self.key, self.value)
        weight = torch.cat([part.weight for part in parts])
        offset = None if self.query.bias is None else torch.cat([part.bias for part in parts])
        projected = functional.linear(hidden, weight, offset)  # [B, L, 3D]
        projected = projected.view(rows, length, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        query_and_key, value = projected[:2], projected[2]  # [2, B, H, L, D/H], [B, H, L, D/H]
        if by is not None:
            query_and_key = rotate(query_and_key, by)
        return query_and_key[0], query_and_key[1], value


class BertLayer(nn.Module):
    """Attention and a feed-forward part, each added to its input and then normalised (post-norm)."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.attention = Attention(config)
        self.attention_norm = norm(config)
        self.inner = nn.Linear(config.width, config.inner_width)
        self.outer = nn.Linear(config.inner_width, config.width)
        self.output_norm = norm(config)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, hidden: Tensor, bias: Tensor, attend: AttentionFunction, by: Rotation | None) -> Tensor:
        """Hidden states [B, L, D], bias [B, 1, L, L], no rotation -> [B, L, D]."""
        hidden = self.attention_norm(hidden + self.dropout(self.attention(hidden, bias, attend, by)))
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
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, hidden: Tensor, bias: Tensor, attend: AttentionFunction, by: Rotation | None) -> Tensor:
        """Hidden states [B, L, D], bias [B, 1, L, L], rotation -> [B, L, D]."""
        hidden = hidden + self.dropout(self.attention(self.attention_norm(hidden), bias, attend, by))
        value, gate = self.inner(self.inner_norm(hidden)).chunk(2, dim=-1)
        return hidden + self.outer(self.dropout(functional.gelu(value) * gate))
