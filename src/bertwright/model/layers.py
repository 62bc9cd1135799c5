"""One post-norm transformer layer (Vaswani et al. 2017; Devlin et al. 2019), and the ways to compute its attention."""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from bertwright.config import ModelConfig

AttentionFunction = Callable[[Tensor, Tensor, Tensor, Tensor, float], Tensor]


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
    scores = (query / math.sqrt(query.shape[-1])) @ key.transpose(-1, -2) + bias  # [B, H, L, L]
    return functional.dropout(scores.softmax(dim=-1), dropout, training=dropout > 0) @ value


def sdpa_attention(query: Tensor, key: Tensor, value: Tensor, bias: Tensor, dropout: float) -> Tensor:
    """Attention by torch's fused kernel; arguments and result as in `explicit_attention`."""
    return functional.scaled_dot_product_attention(query, key, value, attn_mask=bias, dropout_p=dropout)


ATTENTION: dict[str, AttentionFunction] = {"explicit": explicit_attention, "sdpa": sdpa_attention}


class Attention(nn.Module):
    """Multi-head self-attention with its output projection."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.heads = config.heads
        self.dropout = config.dropout
        self.query = nn.Linear(config.width, config.width)
        self.key = nn.Linear(config.width, config.width)
        self.value = nn.Linear(config.width, config.width)
        self.output = nn.Linear(config.width, config.width)

    def forward(self, hidden: Tensor, bias: Tensor, attend: AttentionFunction) -> Tensor:
        """Hidden [B, L, D], bias [B, 1, L, L] -> [B, L, D]."""
        rows, length, width = hidden.shape
        # Three matrices for the optimizer and for the file format, one product for the processor.
        weight = torch.cat([self.query.weight, self.key.weight, self.value.weight])
        offset = torch.cat([self.query.bias, self.key.bias, self.value.bias])
        projected = functional.linear(hidden, weight, offset)  # [B, L, 3D]
        projected = projected.view(rows, length, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        query, key, value = projected.unbind(0)  # [B, H, L, D/H] each
        mixed = attend(query, key, value, bias, self.dropout if self.training else 0.0)
        return self.output(mixed.transpose(1, 2).reshape(rows, length, width))


class Layer(nn.Module):
    """Attention and a feed-forward part, each added to its input and then normalised (post-norm)."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.attention = Attention(config)
        self.attention_norm = nn.LayerNorm(config.width, eps=config.norm_epsilon)
        self.inner = nn.Linear(config.width, config.inner_width)
        self.outer = nn.Linear(config.inner_width, config.width)
        self.output_norm = nn.LayerNorm(config.width, eps=config.norm_epsilon)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, hidden: Tensor, bias: Tensor, attend: AttentionFunction) -> Tensor:
        """Hidden [B, L, D], bias [B, 1, L, L] -> [B, L, D]."""
        hidden = self.attention_norm(hidden + self.dropout(self.attention(hidden, bias, attend)))
        inner = functional.gelu(self.inner(hidden))
        return self.output_norm(hidden + self.dropout(self.outer(inner)))
