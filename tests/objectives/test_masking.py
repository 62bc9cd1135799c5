"""Masking statistics, and what must never be masked."""

import numpy as np

from bertwright.batches import IGNORED, Rows, SpecialTokens, pack
from bertwright.config import ObjectiveSettings
from bertwright.objectives.masking import mask_tokens

SPECIAL = SpecialTokens(pad=0, cls=2, sep=3, mask=4, ordinary=np.arange(5, 8000))


def rows(total: int = 100_000, unknown: int = 0) -> Rows:
    """Rows with `total` ordinary tokens, and [UNK] (1) among them."""
    tokens = np.random.default_rng(1).integers(5, 8000, total)
    tokens[:unknown] = 1
    return pack([(piece,) for piece in np.array_split(tokens, total // 100)], SPECIAL, length=128)


def test_statistics_over_100_000_tokens() -> None:
    given = rows()
    masked = mask_tokens(given, ObjectiveSettings(), SPECIAL, seed=1, epoch=0)
    chosen = masked.labels != IGNORED
    assert abs(chosen.sum() / 100_000 - 0.15) < 0.003
    shown, truth = masked.input_ids[chosen], given.input_ids[chosen]
    assert abs((shown == SPECIAL.mask).mean() - 0.8) < 0.01
    assert abs((shown == truth).mean() - 0.1) < 0.01
    assert abs(((shown != truth) & (shown != SPECIAL.mask)).mean() - 0.1) < 0.01
    np.testing.assert_array_equal(masked.labels[chosen], truth)
    np.testing.assert_array_equal(masked.input_ids[~chosen], given.input_ids[~chosen])


def test_random_tokens_are_spread_over_the_ordinary_vocabulary() -> None:
    settings = ObjectiveSettings(mask_share=0.0, random_share=1.0, masking_rate=0.9)
    masked = mask_tokens(rows(), settings, SPECIAL, seed=1, epoch=0)
    shown = masked.input_ids[masked.labels != IGNORED]
    assert shown.min() >= 5
    assert abs(shown.mean() - 4002) < 30
    assert len(np.unique(shown)) > 7990


def test_no_special_token_is_chosen() -> None:
    masked = mask_tokens(rows(unknown=5000), ObjectiveSettings(masking_rate=0.99), SPECIAL, seed=1, epoch=0)
    asked = masked.labels[masked.labels != IGNORED]
    assert len(asked) > 90_000
    assert asked.min() >= 5
    assert (masked.labels[masked.sequence_ids == 0] == IGNORED).all()


def test_the_rates_can_be_set() -> None:
    settings = ObjectiveSettings(masking_rate=0.3, mask_share=0.5, random_share=0.5)
    given = rows()
    masked = mask_tokens(given, settings, SPECIAL, seed=1, epoch=0)
    chosen = masked.labels != IGNORED
    assert abs(chosen.sum() / 100_000 - 0.3) < 0.005
    assert abs((masked.input_ids[chosen] == SPECIAL.mask).mean() - 0.5) < 0.01
    assert (masked.input_ids[chosen] == given.input_ids[chosen]).mean() < 0.001


def test_masks_are_a_function_of_seed_epoch_and_sample_alone() -> None:
    tokens = np.arange(5, 65)
    settings = ObjectiveSettings(masking_rate=0.5)

    def labels(samples: list[int], seed: int = 1, epoch: int = 0, length: int = 64) -> dict[int, list[int]]:
        packed = pack([(tokens,) for _ in samples], SPECIAL, length=length, sample_ids=np.array(samples))
        masked = mask_tokens(packed, settings, SPECIAL, seed=seed, epoch=epoch)
        flat = masked.labels.ravel()
        return {
            int(sample): flat[start : start + 62].tolist()
            for sample, start in zip(masked.sample_ids, masked.sequence_starts, strict=True)
        }

    together, alone = labels([3, 9, 4]), labels([9], length=128)
    assert together[9] == alone[9], "neither the company nor the row's length changes a sample's masks"
    assert together[3] != together[4]
    assert labels([9], epoch=1)[9] != alone[9]
    assert labels([9], seed=2)[9] != alone[9]
