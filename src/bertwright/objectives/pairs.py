"""What makes a sample a pair: next sentence (Devlin et al. 2019, section 3.1).

A sample is a piece of one document. For next sentence it is cut in two where one of its segments begins; half of the
time the second part is replaced by a piece of another document that is as long. A piece without an inner segment
boundary stays a single segment and is not asked, so that the answer cannot be read off its shape.
"""

import numpy as np

from bertwright.batches import IGNORED, Plan, Segments, hashed, uniforms

CUT, SWAP, OTHER, BEGIN = 201, 202, 203, 204
"""Keys of the independent random streams."""

IS_NEXT, IS_NOT_NEXT = 0, 1
"""Labels as in the published checkpoints."""


def single_segments(plan: Plan, samples: np.ndarray, seed: int, epoch: int) -> tuple[list[Segments], np.ndarray]:
    """Samples as they are: no pair is asked. Arguments and result as for `next_sentence`."""
    del seed, epoch
    _, begins, ends = plan.pieces(samples)
    sequences = [(plan.store.tokens(begin, end),) for begin, end in zip(begins, ends, strict=True)]
    return sequences, np.full(len(samples), IGNORED)


def next_sentence(plan: Plan, samples: np.ndarray, seed: int, epoch: int) -> tuple[list[Segments], np.ndarray]:
    """Does the second segment follow the first in its document?

    Args:
        plan: the samples of one side of a store.
        samples: [S], numbers of samples.
        seed: of the run.
        epoch: counted from 0.

    Returns:
        S sequences of two segments (or one, where nothing is asked), and labels [S]: IS_NEXT, IS_NOT_NEXT or IGNORED.
    """
    store, boundaries = plan.store, plan.store.segment_offsets
    documents, begins, ends = plan.pieces(samples)
    cut = uniforms(seed, CUT, epoch, samples)
    swap = uniforms(seed, SWAP, epoch, samples) < 0.5
    sequences: list[Segments] = []
    labels = np.full(len(samples), IGNORED)
    for index, (begin, end) in enumerate(zip(begins, ends, strict=True)):
        first, last = np.searchsorted(boundaries, begin, side="right"), np.searchsorted(boundaries, end, side="left")
        if first == last or len(plan.documents) < 2:
            sequences.append((store.tokens(begin, end),))
            continue
        middle = int(boundaries[first + int(cut[index] * (last - first))])
        if swap[index]:
            other = _piece_of_another_document(
                plan, int(documents[index]), int(end - middle), seed, epoch, int(samples[index])
            )
            sequences.append((store.tokens(begin, middle), other))
            labels[index] = IS_NOT_NEXT
        else:
            sequences.append((store.tokens(begin, middle), store.tokens(middle, end)))
            labels[index] = IS_NEXT
    return sequences, labels


def _piece_of_another_document(plan: Plan, own: int, size: int, seed: int, epoch: int, sample: int) -> np.ndarray:
    """At most `size` tokens of another document on the same side, from the beginning of a segment on."""
    store, count = plan.store, len(plan.documents)
    place = int(np.searchsorted(plan.documents, own))
    step = 1 + int(hashed(seed, OTHER, epoch, sample)[0] % np.uint64(count - 1))
    other = int(plan.documents[(place + step) % count])
    begin, end = (int(store.documents["token_offset"][n]) for n in (other, other + 1))
    first, last = (int(store.documents["segment_offset"][n]) for n in (other, other + 1))
    starts = np.asarray(store.segment_offsets[first:last])
    fitting = starts[starts <= max(begin, end - size)]  # those that leave as many tokens as wanted, if any does
    begin = int(fitting[int(uniforms(seed, BEGIN, epoch, sample)[0] * len(fitting))])
    return store.tokens(begin, min(end, begin + size))
