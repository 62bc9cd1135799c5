"""Next sentence: half true, half false, and the answer not to be read off the shape."""

from pathlib import Path

import numpy as np

from bertwright.batches import IGNORED, plan
from bertwright.objectives.pairs import IS_NEXT, IS_NOT_NEXT, next_sentence, single_segments
from helpers import small_store


def test_half_of_the_pairs_are_true(tmp_path: Path) -> None:
    store = small_store(tmp_path, sizes=[300] * 200)
    side = plan(store, 61, held_out=False)
    samples = np.arange(side.num_samples)
    sequences, labels = next_sentence(side, samples, seed=1, epoch=0)
    assert abs((labels == IS_NOT_NEXT).mean() - 0.5) < 0.06
    assert (labels != IGNORED).all()
    documents, begins, ends = side.pieces(samples)
    sizes: dict[int, list[int]] = {IS_NEXT: [], IS_NOT_NEXT: []}
    strangers = []
    for sequence, label, document, begin, end in zip(sequences, labels, documents, begins, ends, strict=True):
        first, second = sequence
        sizes[label].append(len(first) + len(second))
        middle = begin + len(first)
        assert middle in store.segment_offsets, "the cut lies where a segment begins"
        np.testing.assert_array_equal(first, store.tokens(begin, middle))
        if label == IS_NEXT:
            np.testing.assert_array_equal(second, store.tokens(middle, end))
        else:
            assert not np.array_equal(second, store.tokens(middle, end))
            strangers.append((int(document), second))
    offsets = store.documents["token_offset"]
    for own, second in strangers[:20]:
        starts = [
            int(start)
            for start in store.segment_offsets[:-1]
            if start + len(second) <= store.num_tokens
            and np.array_equal(store.tokens(int(start), int(start) + len(second)), second)
        ]
        homes = np.searchsorted(offsets, starts, side="right") - 1
        assert any(home != own for home in homes), "a stranger is a piece of another document"
    assert np.mean(sizes[IS_NEXT]) == np.mean(sizes[IS_NOT_NEXT]), "the length does not tell the answer"


def test_a_piece_without_inner_boundary_is_not_asked(tmp_path: Path) -> None:
    store = small_store(tmp_path, sizes=[50] * 20, segment=50)
    side = plan(store, 61, held_out=False)
    sequences, labels = next_sentence(side, np.arange(side.num_samples), seed=1, epoch=0)
    assert (labels == IGNORED).all()
    assert all(len(sequence) == 1 for sequence in sequences)


def test_a_single_document_has_no_stranger(tmp_path: Path) -> None:
    store = small_store(tmp_path, sizes=[300], held_out=[0])
    side = plan(store, 61, held_out=False)
    _, labels = next_sentence(side, np.arange(side.num_samples), seed=1, epoch=0)
    assert (labels == IGNORED).all()


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
    sequences, labels = single_segments(side, np.arange(side.num_samples), 1, 0)
    assert np.concatenate([s[0] for s in sequences]).tolist() == store.tokens(100, 107).tolist()
    assert (labels == IGNORED).all()
