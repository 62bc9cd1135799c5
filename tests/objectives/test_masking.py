"""Masking statistics, and what must never be masked."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from bertwright.batches import IGNORED, Rows, SpecialTokens, pack
from bertwright.config import ObjectiveSettings
from bertwright.objectives.masking import LONGER, LONGEST_SPAN, LONGEST_WORD, mask_tokens, span_origins, word_numbers

SPECIAL = SpecialTokens(pad=0, cls=2, sep=3, mask=4, ordinary=np.arange(5, 8000))


def rows(total: int = 100_000, unknown: int = 0) -> Rows:
    """Rows with `total` ordinary tokens, and [UNK] (1) among them."""
    tokens = np.random.default_rng(1).integers(5, 8000, total)
    tokens[:unknown] = 1
    return pack([(piece,) for piece in np.array_split(tokens, total // 100)], SPECIAL, length=128)


def test_statistics_over_100_000_tokens() -> None:
    given = rows()
    masked = mask_tokens(given, ObjectiveSettings(), SPECIAL, seed=1)
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
    masked = mask_tokens(rows(), settings, SPECIAL, seed=1)
    shown = masked.input_ids[masked.labels != IGNORED]
    assert shown.min() >= 5
    assert abs(shown.mean() - 4002) < 30
    assert len(np.unique(shown)) > 7990


def test_no_special_token_is_chosen() -> None:
    masked = mask_tokens(rows(unknown=5000), ObjectiveSettings(masking_rate=0.99), SPECIAL, seed=1)
    asked = masked.labels[masked.labels != IGNORED]
    assert len(asked) > 90_000
    assert asked.min() >= 5
    assert (masked.labels[masked.sequence_ids == 0] == IGNORED).all()


def test_the_rates_can_be_set() -> None:
    settings = ObjectiveSettings(masking_rate=0.3, mask_share=0.5, random_share=0.5)
    given = rows()
    masked = mask_tokens(given, settings, SPECIAL, seed=1)
    chosen = masked.labels != IGNORED
    assert abs(chosen.sum() / 100_000 - 0.3) < 0.005
    assert abs((masked.input_ids[chosen] == SPECIAL.mask).mean() - 0.5) < 0.01
    assert (masked.input_ids[chosen] == given.input_ids[chosen]).mean() < 0.001


@pytest.mark.parametrize(("unit", "overlap"), [("token", 0), ("token", 2), ("span", 0), ("span", 2), ("word", 0)])
def test_masks_are_a_function_of_seed_and_draw_alone(unit: Any, overlap: int) -> None:
    tokens = np.arange(5, 65)
    settings = ObjectiveSettings(masking_rate=0.5, unit=unit)
    special = replace(SPECIAL, overlap=overlap)

    def labels(samples: list[int], seed: int = 1, length: int = 64) -> dict[int, list[list[int]]]:
        packed = pack([(tokens,) for _ in samples], special, length=length, sample_ids=np.array(samples))
        masked = mask_tokens(packed, settings, special, seed=seed)
        flat = np.stack([masked.labels.ravel(), masked.input_ids.ravel()])
        return {
            int(sample): flat[:, start : start + 62].tolist()
            for sample, start in zip(masked.sample_ids, masked.sequence_starts, strict=True)
        }

    together, alone = labels([3, 9, 4], length=192), labels([9], length=128)
    assert together[9] == alone[9], "neither the company nor the row's length changes a sample's masks"
    assert together[3] != together[4]
    assert labels([9], seed=2)[9] != alone[9]


# ---------------------------------------------------------------------------------------------- words and spans


def rows_of_words(total: int = 200_000) -> Rows:
    """Rows of words of one to four tokens."""
    generator = np.random.default_rng(2)
    tokens = generator.integers(5, 8000, total)
    begins = np.zeros(total, dtype=bool)
    begins[np.cumsum(generator.integers(1, 5, total // 4))] = True
    pieces = np.array_split(np.arange(total), total // 120)
    sequences = [(tokens[piece],) for piece in pieces]
    return pack(sequences, SPECIAL, length=128, units=[word_numbers([begins[piece]]) for piece in pieces])


def runs(rows: Rows, chosen: np.ndarray) -> list[int]:
    """Lengths, in words, of the runs of chosen words."""
    lengths = []
    for units, marks in zip(rows.unit_ids, chosen, strict=True):
        words = np.unique(units[marks])
        if len(words):
            lengths += [len(run) for run in np.split(words, np.flatnonzero(np.diff(words) > 1) + 1)]
    return lengths


def test_words_are_chosen_whole() -> None:
    given = rows_of_words()
    masked = mask_tokens(given, ObjectiveSettings(unit="word"), SPECIAL, seed=1)
    chosen = masked.labels != IGNORED
    assert abs(chosen.sum() / 200_000 - 0.15) < 0.005
    assert abs((masked.input_ids[chosen] == SPECIAL.mask).mean() - 0.8) < 0.01
    together = 0
    for units, marks in zip(given.unit_ids, chosen, strict=True):
        for word in np.unique(units[marks]):
            assert marks[units == word].all(), "a word is chosen whole or not at all"
            together += int((units == word).sum() > 1)
    assert together > 5000


def test_spans_cover_the_rate_and_are_as_long_as_published() -> None:
    """Joshi et al. 2020: lengths are geometric with p = .2, cut at ten, 3.8 words on average; one fate per span."""
    given = rows_of_words()
    for rate in (0.05, 0.15, 0.4):
        settings = ObjectiveSettings(unit="span", masking_rate=rate)
        drawn = [mask_tokens(given, settings, SPECIAL, seed=seed).labels for seed in range(5)]
        assert abs(np.mean([(labels != IGNORED).sum() / 200_000 for labels in drawn]) - rate) < 0.01
    masked = mask_tokens(given, ObjectiveSettings(unit="span", masking_rate=0.02), SPECIAL, seed=1)
    chosen = masked.labels != IGNORED
    lengths = runs(given, chosen)
    assert max(lengths) >= LONGEST_SPAN
    assert abs(np.mean(lengths) - 3.8) < 0.4  # a few touch each other, a few are cut at the ends of a sequence
    fates = []
    for shown, places in zip(masked.input_ids, map(np.flatnonzero, chosen), strict=True):
        runs_of_tokens = np.split(places, np.flatnonzero(np.diff(places) > 1) + 1) if len(places) else []
        fates += [np.mean(shown[run] == SPECIAL.mask) for run in runs_of_tokens]
    assert np.isin(fates, (0.0, 1.0)).mean() > 0.95, "all tokens of a span become [MASK], or none; a few spans touch"
    assert abs(np.mean(fates) - 0.8) < 0.06


def test_the_first_words_are_masked_as_often_as_the_others() -> None:
    given = rows_of_words()
    masked = mask_tokens(given, ObjectiveSettings(unit="span", masking_rate=0.3), SPECIAL, seed=1)
    first = masked.labels[given.position_ids == 1] != IGNORED
    assert len(first) > 1500
    assert abs(first.mean() - 0.3) < 0.04


def test_word_numbers_of_a_pair_and_of_a_word_that_does_not_end() -> None:
    first, second = np.array([False, True, False]), np.array([False, False])
    assert word_numbers([first, second]).tolist() == [0, 1, 2, 2, 12, 13, 13, 23]
    endless = word_numbers([np.zeros(2 * LONGEST_WORD + 1, dtype=bool)])
    assert np.bincount(endless)[:4].tolist() == [1, LONGEST_WORD, LONGEST_WORD, 1]


def test_no_span_reaches_from_one_segment_into_the_other() -> None:
    begins = np.ones(30, dtype=bool)
    numbers = word_numbers([begins, begins])
    draws = np.arange(4000)[:, None] * np.ones(len(numbers), dtype=np.int64)
    origin = span_origins(draws, np.broadcast_to(numbers, draws.shape), 0.3, tuple(LONGER), seed=1)
    last, first = origin[:, 30], origin[:, 32]
    assert not ((last >= 0) & (last == first)).any()
    assert abs((first >= 0).mean() - 0.3) < 0.03, "the beginning of the second is masked as often as the rest"
