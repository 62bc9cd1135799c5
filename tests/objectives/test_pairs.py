"""Pairs: half true, half false, and the answer not to be read off the shape."""

from pathlib import Path

import numpy as np
import pytest

from bertwright.batches import IGNORED
from bertwright.objectives.pairs import (
    IN_ORDER,
    IS_NEXT,
    IS_NOT_NEXT,
    SWAPPED,
    Sample,
    next_sentence,
    sentence_order,
    single_segments,
)
from bertwright.samples import Plan, plan
from bertwright.store import Store
from helpers import small_store

SIZES = [int(size) for size in np.random.default_rng(3).integers(30, 500, 400)]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Documents of many sizes, in segments of seven tokens, the last one shorter."""
    return small_store(tmp_path, sizes=SIZES, segment=7)


def drawn(side: Plan) -> tuple[np.ndarray, np.ndarray]:
    """Every sample of a plan once, and the numbers of these draws."""
    samples = np.arange(side.num_samples)
    return samples, samples + 1000


def document_of(store: Store, token: int) -> int:
    """Number of the document that a token is of."""
    return int(np.searchsorted(store.documents["token_offset"], token, side="right")) - 1


def shapes(store: Store, places: list[Sample], labels: np.ndarray, label: int) -> np.ndarray:
    """Of the pairs with a label: the sizes of both parts, and whether each ends with its document."""
    ends = set(store.documents["token_offset"].tolist())
    pairs = [parts for parts, each in zip(places, labels, strict=True) if each == label]
    return np.array([[b - a, d - c, b in ends, d in ends] for (a, b), (c, d) in pairs], dtype=float)


def test_next_sentence(store: Store) -> None:
    side = plan(store, 61, held_out=False)
    places, labels = next_sentence(side, *drawn(side), seed=1)
    assert abs((labels[labels != IGNORED] == IS_NOT_NEXT).mean() - 0.5) < 0.04
    assert (labels == IGNORED).mean() < 0.05
    for parts, label in zip(places, labels, strict=True):
        if label == IGNORED:
            assert len(parts) == 1
            continue
        assert sum(end - begin for begin, end in parts) <= 61
        assert all(np.isin(part, store.segment_offsets).all() for part in parts), "parts are made of whole segments"
        homes = [document_of(store, begin) for begin, _ in parts]
        assert homes == [document_of(store, end - 1) for _, end in parts]
        assert (homes[0] == homes[1]) == (label == IS_NEXT), "a stranger is of another document"
        assert (parts[0][1] == parts[1][0]) == (label == IS_NEXT)


def test_sentence_order(store: Store) -> None:
    side = plan(store, 61, held_out=False)
    places, labels = sentence_order(side, *drawn(side), seed=1)
    assert abs((labels[labels != IGNORED] == SWAPPED).mean() - 0.5) < 0.04
    for parts, label in zip(places, labels, strict=True):
        if label != IGNORED:
            (begin, middle), (again, end) = parts if label == IN_ORDER else parts[::-1]
            assert middle == again
            assert np.isin((begin, middle, end), store.segment_offsets).all()
            assert end - begin <= 61


def test_the_shape_does_not_tell_the_answer(store: Store) -> None:
    side = plan(store, 61, held_out=False)
    for objective, answers in ((next_sentence, (IS_NEXT, IS_NOT_NEXT)), (sentence_order, (IN_ORDER, SWAPPED))):
        places, labels = objective(side, *drawn(side), 1)
        one, other = (shapes(store, places, labels, answer) for answer in answers)
        assert np.abs(one[:, :2].mean(axis=0) - other[:, :2].mean(axis=0)).max() < 3, "sizes of the parts"
        assert abs(one[:, :2].sum(axis=1).mean() - other[:, :2].sum(axis=1).mean()) < 3, "size of both"
    # Which part ends a document is what sentence order asks for; next sentence does not.
    places, labels = next_sentence(side, *drawn(side), 1)
    one, other = (shapes(store, places, labels, answer) for answer in (IS_NEXT, IS_NOT_NEXT))
    assert np.abs(one[:, 2:].mean(axis=0) - other[:, 2:].mean(axis=0)).max() < 0.08


def test_all_of_a_document_is_read(store: Store) -> None:
    side = plan(store, 61, held_out=False)
    seen = np.zeros(store.num_tokens, dtype=int)
    for epoch in range(8):
        samples, draws = drawn(side)
        for parts in sentence_order(side, samples, draws + epoch * side.num_samples, 1)[0]:
            for begin, end in parts:
                seen[begin:end] += 1
    held_out = np.repeat(store.documents["held_out"][:-1] > 0, SIZES)
    assert (seen[~held_out] > 0).mean() > 0.99
    assert seen[~held_out].mean() > 6
    assert not seen[held_out].any()


def test_a_sample_without_inner_boundary_is_not_asked(tmp_path: Path) -> None:
    side = plan(small_store(tmp_path, sizes=[50] * 20, segment=50), 61, held_out=False)
    for objective in (next_sentence, sentence_order):
        places, labels = objective(side, *drawn(side), 1)
        assert (labels == IGNORED).all()
        assert all(len(parts) == 1 for parts in places)


def test_a_single_document_has_no_stranger(tmp_path: Path) -> None:
    side = plan(small_store(tmp_path, sizes=[300], held_out=[0]), 61, held_out=False)
    places, labels = next_sentence(side, *drawn(side), seed=1)
    assert (labels == IGNORED).all()
    assert all(len(parts) == 1 for parts in places)


def test_draws_differ_and_repeat(store: Store) -> None:
    side = plan(store, 61, held_out=False)
    samples, draws = drawn(side)
    _, first = next_sentence(side, samples, draws, seed=1)
    _, again = next_sentence(side, samples, draws, seed=1)
    _, other = next_sentence(side, samples, draws + 5000, seed=1)
    assert (first == again).all()
    assert (first != other).any()
    _, part = next_sentence(side, samples[5:9], draws[5:9], seed=1)
    assert (part == first[5:9]).all()


def test_single_segments_are_the_documents_pieces(tmp_path: Path) -> None:
    side = plan(small_store(tmp_path, sizes=[100, 7]), 40, held_out=False)
    places, labels = single_segments(side, *drawn(side), 1)
    assert places == [((100, 107),)]
    assert (labels == IGNORED).all()
