"""Rows: what a batch holds, and that nothing is lost or mixed in it."""

import numpy as np
import pytest

from bertwright.batches import IGNORED, SpecialTokens, fitting_length, pack, with_labels

SPECIAL = SpecialTokens(pad=0, cls=2, sep=3, mask=4, ordinary=np.arange(5, 100))


def sequences(*sizes: int) -> list[tuple[np.ndarray, ...]]:
    """Sequences of one segment with distinct contents."""
    ends = np.cumsum(sizes)
    return [(np.arange(end - size, end) % 90 + 5,) for size, end in zip(sizes, ends, strict=True)]


def test_packing_keeps_every_token_and_frames_every_sequence() -> None:
    sizes = [30, 3, 17, 9, 28, 1, 12]
    given = sequences(*sizes)
    rows = pack(given, SPECIAL, length=32, sample_ids=np.arange(100, 107))
    flat = rows.input_ids.ravel()
    assert len(rows.input_ids) == 4, "two long ones fill rows of their own, the rest shares two"
    for start, sample, number in zip(rows.sequence_starts, rows.sample_ids, range(1, 8), strict=True):
        (tokens,) = given[sample - 100]
        end = start + len(tokens) + 2
        np.testing.assert_array_equal(flat[start:end], [2, *tokens, 3])
        assert (rows.sequence_ids.ravel()[start:end] == number).all()
        np.testing.assert_array_equal(rows.position_ids.ravel()[start:end], np.arange(end - start))
    assert (flat[rows.sequence_ids.ravel() == 0] == 0).all()
    assert (rows.sequence_ids > 0).sum() == sum(sizes) + 2 * len(sizes)


def test_two_segments() -> None:
    rows = pack([(np.array([10, 11]), np.array([20, 21, 22]))], SPECIAL, length=10)
    assert rows.input_ids.tolist() == [[2, 10, 11, 3, 20, 21, 22, 3, 0, 0]]
    assert rows.segment_ids.tolist() == [[0, 0, 0, 0, 1, 1, 1, 1, 0, 0]]
    assert rows.position_ids.tolist() == [[0, 1, 2, 3, 4, 5, 6, 7, 0, 0]]


def test_without_sharing_every_sequence_has_its_row() -> None:
    rows = pack(sequences(4, 9, 2), SPECIAL, length=16, share_rows=False)
    assert rows.sequence_starts.tolist() == [0, 16, 32]
    assert rows.sample_ids.tolist() == [0, 1, 2]


@pytest.mark.parametrize("parts", [2, 3])
def test_parts_hold_the_whole_batch(parts: int) -> None:
    rows = pack(sequences(*range(2, 30)), SPECIAL, length=40, sequence_labels=np.arange(28))
    found = []
    for rank in range(parts):
        part = rows.part(rank, parts)
        np.testing.assert_array_equal(part.input_ids, rows.input_ids[rank::parts])
        assert sorted(np.unique(part.sequence_ids[part.sequence_ids > 0])) == list(range(1, len(part.sample_ids) + 1))
        for number, (start, sample) in enumerate(zip(part.sequence_starts, part.sample_ids, strict=True), start=1):
            assert part.input_ids.ravel()[start] == SPECIAL.cls
            assert (part.sequence_ids == number).sum() == sample + 2 + 2, (
                "sample n has n + 2 tokens and two framing ones"
            )
        assert (part.sequence_labels == part.sample_ids).all()
        found += part.sample_ids.tolist()
    assert sorted(found) == list(range(28))


def test_tensors_of_a_batch() -> None:
    rows = pack(sequences(3, 5), SPECIAL, length=8)
    labels = np.full_like(rows.input_ids, IGNORED)
    labels[0, 2] = 42
    batch = rows.batch()
    assert batch.num_tokens == 12
    assert len(batch.labels) == 0
    batch = with_labels(rows, rows.input_ids, labels).batch()
    assert batch.masked_positions.tolist() == [2]
    assert batch.labels.tolist() == [42]


def test_rows_are_as_long_as_leaves_the_fewest_places_empty() -> None:
    """Three sequences of 20 fill a row of 64 better than three of 24; long ones take what is allowed."""
    assert fitting_length(np.array([20, 20, 20]), 128) == 64
    assert fitting_length(np.array([16, 16, 16, 16]), 128) == 16  # as good as a row of 64, with less attention
    assert fitting_length(np.array([128, 3]), 128) == 128
    assert fitting_length(np.array([97, 30]), 100) == 100
    sizes = np.random.default_rng(1).integers(3, 60, 16)
    shared = pack(sequences(*(sizes - 2)), SPECIAL, length=fitting_length(sizes, 128))
    assert shared.input_ids.size <= pack(sequences(*(sizes - 2)), SPECIAL, length=128).input_ids.size
