"""What sits on the encoder: the two pre-training heads, pooling, and the classifier; and the models made of them."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from bertwright.config import ModelConfig
from bertwright.model.encoder import Encoder, initialize
from bertwright.model.layers import Dropout, norm


class Transform(nn.Module):
    """Dense, GELU, layer norm: between the encoder and the output matrix of the masked-token head.

    In `modernbert` the classifier has the same part, and begins with the weights that pre-training gave it.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.dense = nn.Linear(config.width, config.width, bias=config.has_biases)
        self.norm = norm(config)

    def forward(self, vectors: Tensor) -> Tensor:
        """[N, D] -> [N, D]."""
        return self.norm(functional.gelu(self.dense(vectors)))


class Pooler(nn.Module):
    """The first token's vector through a dense layer and tanh."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.dense = nn.Linear(config.width, config.width)

    def forward(self, first: Tensor) -> Tensor:
        """[S, D] -> [S, D]."""
        return torch.tanh(self.dense(first))


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
    dropout_samples: int = 1
    """Dropouts before a classifier in training; if there are several, its logits have a first dimension for them."""


class BareModel(EncoderModel):
    """An encoder that gives the vectors of tokens, after `depth` layers or after all (None)."""

    def __init__(self, config: ModelConfig, *, depth: int | None = None) -> None:
        super().__init__()
        self.encoder = Encoder(config)
        self.depth = depth

    def forward(
        self,
        input_ids: Tensor,
        segment_ids: Tensor,
        position_ids: Tensor,
        sequence_ids: Tensor,
        masked_positions: Tensor,
        sequence_starts: Tensor,
    ) -> Tensor:
        """Vectors [N, D] of the tokens that are asked for (arguments: see PretrainingModel)."""
        del sequence_starts
        inputs = (input_ids, segment_ids, position_ids, sequence_ids)
        return self.encoder(*inputs, asked=masked_positions, depth=self.depth)


class PretrainingModel(EncoderModel):
    """An encoder with the masked-token head and, where a pair objective is trained, pooler and pair head.

    The masked-token head is a transform, then the embedding table as output matrix (tied), then a bias per token.
    """

    def __init__(self, config: ModelConfig, *, pair: bool) -> None:
        super().__init__()
        self.encoder = Encoder(config)
        self.transform = Transform(config)
        self.token_bias = nn.Parameter(torch.zeros(config.vocabulary_size))
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
        asked = masked_positions if self.pair_head is None else torch.cat([masked_positions, sequence_starts])
        hidden = self.encoder(input_ids, segment_ids, position_ids, sequence_ids, asked=asked)  # [N, D] or [N + S, D]
        masked, first = hidden[: len(masked_positions)], hidden[len(masked_positions) :]
        token_logits = self.token_logits(masked)
        if self.pooler is None or self.pair_head is None:
            return token_logits, None
        return token_logits, self.pair_head(self.pooler(first))

    def token_logits(self, vectors: Tensor) -> Tensor:
        """Of the encoder's vectors of tokens: [..., D] -> [..., V]."""
        table = self.encoder.token_embedding.weight.to(vectors.dtype)
        return functional.linear(self.transform(vectors), table, self.token_bias)


class ClassificationModel(EncoderModel):
    """An encoder with one vector per sequence and one linear layer on it (the lecture's case 1).

    Before the linear layer a vector of the first token goes through the pooler (`bert`), and in `modernbert` any vector
    through the transform.
    """

    def __init__(self, config: ModelConfig, num_classes: int, *, pooling: str) -> None:
        super().__init__()
        self.encoder = Encoder(config)
        self.pooling = pooling
        modern = config.layout == "modernbert"
        self.pooler = Pooler(config) if pooling == "cls" and not modern else None
        self.transform = Transform(config) if modern else None
        self.dropout = Dropout(config.dropout)
        self.classifier = nn.Linear(config.width, num_classes)
        initialize(self, config.initial_deviation)

    def forward(
        self,
        input_ids: Tensor,
        segment_ids: Tensor,
        position_ids: Tensor,
        sequence_ids: Tensor,
        masked_positions: Tensor,
        sequence_starts: Tensor,
    ) -> Tensor:
        """Class logits [S, C] of the sequences of a batch (arguments: see PretrainingModel).

        In training they are [dropout_samples, S, C], if there are several.
        """
        del masked_positions  # the sequence is asked, no token
        inputs = (input_ids, segment_ids, position_ids, sequence_ids)
        if self.pooling == "cls":
            return self.logits(self.encoder(*inputs, asked=sequence_starts))
        hidden = self.encoder(*inputs)
        return self.logits(mean_vectors(hidden, sequence_ids, len(sequence_starts)).to(hidden.dtype))

    def logits(self, vectors: Tensor) -> Tensor:
        """Of the vectors of sequences: [S, D] -> [S, C]."""
        if self.pooler is not None:
            vectors = self.pooler(vectors)
        if self.transform is not None:
            vectors = self.transform(vectors)
        return self.classifier(self.dropout(_repeated(vectors, self)))


class TokenModel(EncoderModel):
    """An encoder with one linear layer on the vectors of tokens (the lecture's cases 2 and 4).

    Its scores are those of the labels that a token can have; or how well an answer could begin, and end, at a token:
    the products of the token's vector with the start vector and the end vector.
    """

    def __init__(self, config: ModelConfig, num_scores: int) -> None:
        super().__init__()
        self.encoder = Encoder(config)
        self.transform = Transform(config) if config.layout == "modernbert" else None
        self.dropout = Dropout(config.dropout)
        self.classifier = nn.Linear(config.width, num_scores)
        initialize(self, config.initial_deviation)

    def forward(
        self,
        input_ids: Tensor,
        segment_ids: Tensor,
        position_ids: Tensor,
        sequence_ids: Tensor,
        masked_positions: Tensor,
        sequence_starts: Tensor,
    ) -> Tensor:
        """Scores [N, C] of the tokens that are asked for, those at masked_positions (see PretrainingModel)."""
        del sequence_starts  # tokens are asked, not the sequence
        inputs = (input_ids, segment_ids, position_ids, sequence_ids)
        return self.logits(self.encoder(*inputs, asked=masked_positions))

    def logits(self, vectors: Tensor) -> Tensor:
        """Of the vectors of tokens: [..., D] -> [..., C]."""
        if self.transform is not None:
            vectors = self.transform(vectors)
        return self.classifier(self.dropout(_repeated(vectors, self)))


def _repeated(vectors: Tensor, model: EncoderModel) -> Tensor:
    """The vectors once for each dropout that they are to go through: [..., D] -> [samples, ..., D]."""
    if not model.training or model.dropout_samples == 1:
        return vectors
    return vectors.expand(model.dropout_samples, *vectors.shape)
