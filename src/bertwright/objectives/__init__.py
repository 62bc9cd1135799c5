"""How a batch is corrupted and what is asked back.

samples of a plan -> sequences (pairs.py where a pair objective is trained) -> rows -> masks (masking.py)
`losses` gives sums and counts, so that accumulation and several processes divide by the global count.
"""

from collections.abc import Callable

import numpy as np
from torch import Tensor
from torch.nn import functional

from bertwright.batches import IGNORED, Batch, Plan, Rows, Segments, SpecialTokens, pack
from bertwright.config import ObjectiveSettings
from bertwright.model.heads import PretrainingModel
from bertwright.objectives.masking import mask_tokens
from bertwright.objectives.pairs import next_sentence, single_segments

Forward = Callable[..., tuple[Tensor, Tensor | None]]
"""The forward pass of a PretrainingModel, perhaps in another number format than its weights."""

Sampler = Callable[[Plan, np.ndarray, int, int], tuple[list[Segments], np.ndarray]]

PAIRS: dict[str, Sampler] = {"none": single_segments, "next_sentence": next_sentence}
"""Pair objective -> (plan, samples, seed, epoch) -> sequences and pair labels [S]."""

NUM_SPECIAL: dict[str, int] = {"none": 2, "next_sentence": 3}
"""Special tokens that frame a sample."""


def pretraining_rows(
    plan: Plan,
    samples: np.ndarray,
    settings: ObjectiveSettings,
    special: SpecialTokens,
    *,
    length: int,
    seed: int,
    epoch: int,
) -> Rows:
    """The rows of one batch of samples: a function of its arguments alone."""
    sequences, pair_labels = PAIRS[settings.pair](plan, samples, seed, epoch)
    rows = pack(sequences, special, length=length, sample_ids=samples, sequence_labels=pair_labels)
    return mask_tokens(rows, settings, special, seed=seed, epoch=epoch)


def pretraining_losses(model: Forward, batch: Batch) -> dict[str, Tensor]:
    """Per objective: the loss summed over its predictions.

    Args:
        model: a PretrainingModel, or a function that computes one in another number format.
        batch: a batch of masked rows.
    """
    return {name: _summed(logits, labels) for name, (logits, labels) in _asked(model, batch).items()}


def pretraining_answers(model: Forward, batch: Batch) -> dict[str, tuple[Tensor, Tensor]]:
    """Per objective: the summed loss, and how many predictions were right; arguments as above."""
    asked = _asked(model, batch).items()
    return {
        name: (_summed(logits, labels), (logits.argmax(dim=-1) == labels).sum()) for name, (logits, labels) in asked
    }


def pretraining_counts(model: PretrainingModel, batch: Batch) -> dict[str, int]:
    """Per objective: over how many predictions its loss is a sum."""
    counts = {"masked_tokens": len(batch.labels)}
    if model.pair_head is not None:
        counts["next_sentence"] = int((batch.sequence_labels != IGNORED).sum())
    return counts


def _asked(model: Forward, batch: Batch) -> dict[str, tuple[Tensor, Tensor]]:
    """Per objective: the logits of its predictions, and their labels."""
    token_logits, pair_logits = model(*batch.inputs, batch.masked_positions, batch.sequence_starts)
    asked = {"masked_tokens": (token_logits, batch.labels)}
    if pair_logits is not None:
        asked["next_sentence"] = (pair_logits, batch.sequence_labels)
    return asked


def _summed(logits: Tensor, labels: Tensor) -> Tensor:
    return functional.cross_entropy(logits.float(), labels, reduction="sum", ignore_index=IGNORED)
