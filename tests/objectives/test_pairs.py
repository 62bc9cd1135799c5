"""Pairs: half true, half false, and the answer not to be read off the shape."""

from pathlib import Path

import numpy as np

from bertwright.batches import IGNORED, plan
from bertwright.objectives.pairs import (
    IN_ORDER,
    IS_NEXT,
    IS_NOT_NEXT,
    SWAPPED,
    next_sentence,
    sentence_order,
    single_segments,
)
from helpers import small_store


def test_half_of_the_pairs_are_true(tmp_path: Path) -> None:
    store = small_store(tmp_path, sizes=[300] * 200)
    side = plan(store, 61, held_out=False)
    samples = np.arange(side.num_samples)
    places, labels = next_sentence(side, samples, seed=1, epoch=0)
    assert abs((labels == IS_NOT_NEXT).mean() - 0.5) < 0.06
    assert (labels != IGNORED).all()
    documents, begins, ends = side.pieces(samples)
    sizes: dict[int, list[int]] = {IS_NEXT: [], IS_NOT_NEXT: []}
    strangers = []
    for parts, label, document, begin, end in zip(places, labels, documents, begins, ends, strict=True):
        (start, middle), (other, stop) = parts
        sizes[label].append(middle - start + stop - other)
        assert start == begin
        assert middle in store.segment_offsets, "the cut lies where a segment begins"
        assert other in store.segment_offsets
        if label == IS_NEXT:
            assert (other, stop) == (middle, end)
        else:
            strangers.append((int(document), other, stop))
    offsets = store.documents["token_offset"]
    homes = np.searchsorted(offsets, [[other, stop - 1] for _, other, stop in strangers], side="right") - 1
    owners = np.array([own for own, _, _ in strangers])
    assert (homes[:, 0] == homes[:, 1]).all()
    assert (homes[:, 0] != owners).all(), "a stranger is a piece of another document"
    assert np.mean(sizes[IS_NEXT]) == np.mean(sizes[IS_NOT_NEXT]), "the length does not tell the answer"


def test_a_piece_without_inner_boundary_is_not_asked(tmp_path: Path) -> None:
    store = small_store(tmp_path, sizes=[50] * 20, segment=50)
    side = plan(store, 61, held_out=False)
    for objective in (next_sentence, sentence_order):
        places, labels = objective(side, np.arange(side.num_samples), 1, 0)
        assert (labels == IGNORED).all()
        assert all(len(parts) == 1 for parts in places)


def test_a_single_document_has_no_stranger(tmp_path: Path) -> None:
    store = small_store(tmp_path, sizes=[300], held_out=[0])
    side = plan(store, 61, held_out=False)
    places, labels = next_sentence(side, np.arange(side.num_samples), seed=1, epoch=0)
    assert (labels == IGNORED).all()
    assert all(len(parts) == 1 for parts in places)


def test_sentence_order_swaps_half_of_the_pairs_and_nothing_else(tmp_path: Path) -> None:
    store = small_store(tmp_path, sizes=[300] * 200)
    side = plan(store, 61, held_out=False)
    samples = np.arange(side.num_samples)
    places, labels = sentence_order(side, samples, seed=1, epoch=0)
    assert abs((labels == SWAPPED).mean() - 0.5) < 0.06
    assert set(labels.tolist()) == {IN_ORDER, SWAPPED}
    _, begins, ends = side.pieces(samples)
    firsts = {IN_ORDER: [], SWAPPED: []}
    for parts, label, begin, end in zip(places, labels.tolist(), begins, ends, strict=True):
        (start, middle), (again, stop) = parts if label == IN_ORDER else parts[::-1]
        assert (start, stop) == (begin, end)
        assert middle == again
        assert middle in store.segment_offsets, "the cut lies where a segment begins"
        firsts[label].append(parts[0][1] - parts[0][0])
    assert abs(np.mean(firsts[IN_ORDER]) - np.mean(firsts[SWAPPED])) < 3, "the cut's place does not tell the answer"


def test_epochs_differ_and_repeat(tmp_path: Path) -> None:
    store = small_store(tmp_path, sizes=[300] * 30)
    side = plan(store, 61, held_out=False)
    samples = np.arange(side.num_samples)
    _, first = next_sentence(side, samples, seed=1, epoch=0)
    _, again = next_sentence(side, samples, seed=1, epoch=0)
    _, other = next_sentence(side, samples, seed=1, epoch=1)
    assert (first == again).all()
    assert (first != other).any()
    _, part = next_sentence(side, samples[5:9], seed=1, epoch=0)
    assert (part == first[5:9]).all()


def test_single_segments_are_the_documents_pieces(tmp_path: Path) -> None:
    store = small_store(tmp_path, sizes=[100, 7])
    side = plan(store, 40, held_out=False)
    places, labels = single_segments(side, np.arange(side.num_samples), 1, 0)
    assert places == [((100, 107),)]
    assert (labels == IGNORED).all()
