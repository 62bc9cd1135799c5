"""What sits on the encoder: the two pre-training heads, pooling, and the classifier; and the models made of them."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from bertwright.config import ModelConfig
from bertwright.model.encoder import Encoder, initialize


class MaskedTokenHead(nn.Module):
    """Predicts tokens: dense, GELU, layer norm, then the embedding table as output matrix (tied) plus a bias."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.dense = nn.Linear(config.width, config.width)
        self.norm = nn.LayerNorm(config.width, eps=config.norm_epsilon)
        self.bias = nn.Parameter(torch.zeros(config.vocabulary_size))

    def forward(self, vectors: Tensor, table: Tensor) -> Tensor:
        """Vectors [N, D], the embedding table [V, D] -> logits [N, V]."""
        vectors = self.norm(functional.gelu(self.dense(vectors)))
        return functional.linear(vectors, table.to(vectors.dtype), self.bias)


class Pooler(nn.Module):
    """The first token's vector through a dense layer and tanh."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.dense = nn.Linear(config.width, config.width)

    def forward(self, first: Tensor) -> Tensor:
        """[S, D] -> [S, D]."""
        return torch.tanh(self.dense(first))


def first_vectors(hidden: Tensor, sequence_starts: Tensor) -> Tensor:
    """The vector of each sequence's first token: hidden [B, L, D], flat positions [S] -> [S, D]."""
    return hidden.flatten(0, 1)[sequence_starts]


def mean_vectors(hidden: Tensor, sequence_ids: Tensor, num_sequences: int) -> Tensor:
    """The mean vector of each sequence, special tokens included.

    Args:
        hidden: [B, L, D].
        sequence_ids: [B, L], 1..S over the whole batch, 0 for padding.
        num_sequences: S.

    Returns:
        [S, D] in float32, in which the sum is taken.
    """
    ids = sequence_ids.flatten()
    sums = torch.zeros(num_sequences + 1, hidden.shape[-1], dtype=torch.float32, device=hidden.device)
    sums = sums.index_add(0, ids, hidden.flatten(0, 1).float())
    counts = torch.bincount(ids, minlength=num_sequences + 1).clamp(min=1)
    return (sums / counts[:, None])[1:]


class EncoderModel(nn.Module):
    """A model with an encoder in it."""

    encoder: Encoder


class PretrainingModel(EncoderModel):
    """An encoder with the masked-token head and, where a pair objective is trained, pooler and pair head."""

    def __init__(self, config: ModelConfig, *, pair: bool) -> None:
        super().__init__()
        self.encoder = Encoder(config)
        self.masked_token_head = MaskedTokenHead(config)
        self.pooler = Pooler(config) if pair else None
        self.pair_head = nn.Linear(config.width, 2) if pair else None
        initialize(self, config.initial_deviation)

    def forward(
        self,
        input_ids: Tensor,
        segment_ids: Tensor,
        position_ids: Tensor,
        sequence_ids: Tensor,
        masked_positions: Tensor,
        sequence_starts: Tensor,
    ) -> tuple[Tensor, Tensor | None]:
        """Logits where something is asked, and only there.

        Args:
            input_ids: [B, L], as the three that follow (see Encoder).
            segment_ids: see Encoder.
            position_ids: see Encoder.
            sequence_ids: see Encoder.
            masked_positions: [N], positions in the flattened batch.
            sequence_starts: [S], positions of the first tokens in the flattened batch.

        Returns:
            Token logits [N, V]; pair logits [S, 2], or None without a pair head.
        """
        hidden = self.encoder(input_ids, segment_ids, position_ids, sequence_ids)
        masked = hidden.flatten(0, 1)[masked_positions]
        token_logits = self.masked_token_head(masked, self.encoder.token_embedding.weight)
        if self.pooler is None or self.pair_head is None:
            return token_logits, None
        return token_logits, self.pair_head(self.pooler(first_vectors(hidden, sequence_starts)))


class ClassificationModel(EncoderModel):
    """An encoder with one vector per sequence and one linear layer on it (the lecture's case 1)."""

    def __init__(self, config: ModelConfig, num_classes: int, *, pooling: str) -> None:
        super().__init__()
        self.encoder = Encoder(config)
        self.pooling = pooling
        self.pooler = Pooler(config) if pooling == "cls" else None
        self.dropout = nn.Dropout(config.dropout)
        self.classifier = nn.Linear(config.width, num_classes)
        initialize(self, config.initial_deviation)

    def forward(
        self,
        input_ids: Tensor,
        segment_ids: Tensor,
        position_ids: Tensor,
        sequence_ids: Tensor,
        sequence_starts: Tensor,
    ) -> Tensor:
        """Class logits [S, C] of the sequences of a batch (arguments: see PretrainingModel)."""
        hidden = self.encoder(input_ids, segment_ids, position_ids, sequence_ids)
        if self.pooler is not None:
            vectors = self.pooler(first_vectors(hidden, sequence_starts))
        else:
            vectors = mean_vectors(hidden, sequence_ids, len(sequence_starts)).to(hidden.dtype)
        return self.classifier(self.dropout(vectors))
