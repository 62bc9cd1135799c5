"""Masked tokens (Devlin et al. 2019, section 3.1): a share of the tokens is chosen and must be predicted.

Masks are drawn anew in every epoch (dynamic masking, Liu et al. 2019): a function of (seed, epoch, sample, position).
"""

import numpy as np

from bertwright.batches import IGNORED, Rows, SpecialTokens, uniforms, with_labels
from bertwright.config import ObjectiveSettings

CHOICE, KIND, REPLACEMENT = 101, 102, 103
"""Keys of the three independent random streams."""


def mask_tokens(rows: Rows, settings: ObjectiveSettings, special: SpecialTokens, *, seed: int, epoch: int) -> Rows:
    """Choose tokens, corrupt them, and ask for them.

    Of the chosen tokens `mask_share` becomes [MASK], `random_share` a random token that is no special one, the rest
    stays. Special tokens and padding are never chosen.

    Args:
        rows: packed rows, [B, L].
        settings: the rates.
        special: [MASK], and which tokens are ordinary.
        seed: of the run.
        epoch: counted from 0.
    """
    ids = rows.input_ids
    sample = np.zeros(ids.shape, dtype=np.int64)
    real = rows.sequence_ids > 0
    sample[real] = rows.sample_ids[rows.sequence_ids[real] - 1]
    keys = (epoch, sample, rows.position_ids)
    candidates = real & np.isin(ids, special.ordinary)
    chosen = candidates & (uniforms(seed, CHOICE, *keys) < settings.masking_rate)
    kind = uniforms(seed, KIND, *keys)
    masked = chosen & (kind < settings.mask_share)
    randomized = chosen & ~masked & (kind < settings.mask_share + settings.random_share)
    number = (uniforms(seed, REPLACEMENT, *keys) * len(special.ordinary)).astype(np.int64)
    corrupted = np.where(masked, special.mask, np.where(randomized, special.ordinary[number], ids)).astype(ids.dtype)
    return with_labels(rows, corrupted, np.where(chosen, ids, IGNORED).astype(ids.dtype))
