"""How a batch is corrupted and what is asked back.

draws from a mixture -> the places of their segments (pairs.py) -> rows -> masks (masking.py)
Losses are sums, with counts beside them, so that accumulation and several processes divide by the global count.
"""

from collections.abc import Callable

import numpy as np
from torch import Tensor
from torch.nn import functional

from bertwright.batches import IGNORED, Batch, Rows, Segments, SpecialTokens, pack
from bertwright.config import ObjectiveSettings
from bertwright.objectives.masking import mask_tokens, word_numbers
from bertwright.objectives.pairs import Sample, next_sentence, sentence_order, single_segments
from bertwright.samples import Mixture, Plan

Forward = Callable[..., tuple[Tensor, Tensor | None]]
"""The forward pass of a PretrainingModel, perhaps in another number format than its weights."""

Sampler = Callable[[Plan, np.ndarray, np.ndarray, int], tuple[list[Sample], np.ndarray]]

PAIRS: dict[str, Sampler] = {
    "none": single_segments,
    "next_sentence": next_sentence,
    "sentence_order": sentence_order,
}
"""Pair objective -> (plan, samples, draws, seed) -> the samples' places and pair labels [S]."""


def framing(pair: str, special: SpecialTokens) -> int:
    """Special tokens that frame a sample."""
    return special.framing(1 if pair == "none" else 2)


def pretraining_rows(
    mixture: Mixture, draws: np.ndarray, settings: ObjectiveSettings, special: SpecialTokens, *, length: int, seed: int
) -> Rows:
    """The rows of one batch: a function of its arguments alone.

    Args:
        mixture: what samples are drawn from.
        draws: [S], numbers of the draws; they become the rows' `sample_ids`.
        settings: what is corrupted and asked.
        special: the special tokens.
        length: L.
        seed: of order and masks.
    """
    which, samples = mixture.draw(draws, seed)
    sequences: list[Segments] = []
    units: list[np.ndarray] = []
    order, labels = [], []
    for number in np.unique(which):
        here = np.flatnonzero(which == number)
        plan = mixture.plans[number]
        places, pair_labels = PAIRS[settings.pair](plan, samples[here], draws[here], seed)
        sequences += [tuple(plan.store.tokens(*place) for place in sample) for sample in places]
        if settings.unit != "token":
            units += [
                word_numbers([plan.store.begins_word(*place) for place in sample], special.between) for sample in places
            ]
        order.append(here)
        labels.append(pair_labels)
    rows = pack(
        sequences,
        special,
        length=length,
        sample_ids=draws[np.concatenate(order)],
        sequence_labels=np.concatenate(labels),
        units=units or None,
    )
    return mask_tokens(rows, settings, special, seed=seed)


def objective_weights(settings: ObjectiveSettings) -> dict[str, float]:
    """Weight of each objective's mean loss in the total."""
    pair = {} if settings.pair == "none" else {settings.pair: settings.pair_weight}
    return {"masked_tokens": 1.0, **pair}


def pretraining_losses(model: Forward, batch: Batch, pair: str) -> dict[str, Tensor]:
    """Per objective: the loss summed over its predictions.

    Args:
        model: a PretrainingModel, or a function that computes one in another number format.
        batch: a batch of masked rows.
        pair: the pair objective, or "none".
    """
    return {name: _summed(logits, labels) for name, (logits, labels) in _asked(model, batch, pair).items()}


def pretraining_answers(model: Forward, batch: Batch, pair: str) -> dict[str, tuple[Tensor, Tensor]]:
    """Per objective: the summed loss, and how many predictions were right; arguments as above."""
    asked = _asked(model, batch, pair).items()
    return {
        name: (_summed(logits, labels), (logits.argmax(dim=-1) == labels).sum()) for name, (logits, labels) in asked
    }


def pretraining_counts(rows: Rows, pair: str) -> dict[str, int]:
    """Per objective: over how many predictions its loss is a sum."""
    counts = {"masked_tokens": int((rows.labels != IGNORED).sum())}
    if pair != "none":
        counts[pair] = int((rows.sequence_labels != IGNORED).sum())
    return counts


def _asked(model: Forward, batch: Batch, pair: str) -> dict[str, tuple[Tensor, Tensor]]:
    """Per objective: the logits of its predictions, and their labels."""
    token_logits, pair_logits = model(*batch.asked)
    asked = {"masked_tokens": (token_logits, batch.labels)}
    if pair_logits is not None:
        asked[pair] = (pair_logits, batch.sequence_labels)
    return asked


def _summed(logits: Tensor, labels: Tensor) -> Tensor:
    return functional.cross_entropy(logits.float(), labels, reduction="sum", ignore_index=IGNORED)
