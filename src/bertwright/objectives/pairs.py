"""What makes a sample a pair: next sentence (Devlin et al. 2019, section 3.1), sentence order (Lan et al. 2020).

A sample is a piece of one document that fills its row. For a pair it is cut in two where one of its segments begins.
Next sentence: half of the time the second part is replaced by a piece of another document that is as long. Sentence
order: half of the time the two parts change places. A piece without an inner segment boundary stays a single segment
and is not asked, so that the answer cannot be read off its shape.
"""

import numpy as np

from bertwright.batches import IGNORED, Plan, hashed, uniforms

CUT, SWAP, OTHER, BEGIN = 201, 202, 203, 204
"""Keys of the independent random streams."""

IS_NEXT, IS_NOT_NEXT = 0, 1
"""Labels of next sentence, as in the published checkpoints."""

IN_ORDER, SWAPPED = 0, 1
"""Labels of sentence order, likewise."""

Place = tuple[int, int]
"""A piece of a store: its first token and its end."""

Sample = tuple[Place, ...]
"""The places of a sample's segments: one, or two."""


def single_segments(plan: Plan, samples: np.ndarray, seed: int, epoch: int) -> tuple[list[Sample], np.ndarray]:
    """Samples as they are: no pair is asked. Arguments and result as for `next_sentence`."""
    del seed, epoch
    _, begins, ends = plan.pieces(samples)
    places = [((begin, end),) for begin, end in zip(begins.tolist(), ends.tolist(), strict=True)]
    return places, np.full(len(samples), IGNORED)


def next_sentence(plan: Plan, samples: np.ndarray, seed: int, epoch: int) -> tuple[list[Sample], np.ndarray]:
    """Does the second segment follow the first in its document?

    Args:
        plan: the samples of one side of a store.
        samples: [S], numbers of samples.
        seed: of the run.
        epoch: counted from 0.

    Returns:
        The places of S samples, of two segments (or one, where nothing is asked), and labels [S]: IS_NEXT, IS_NOT_NEXT
        or IGNORED.
    """
    documents, _, _ = plan.pieces(samples)
    swap = _swaps(samples, seed, epoch)
    halves = _halves(plan, samples, seed, epoch)
    labels = np.full(len(samples), IGNORED)
    for index, parts in enumerate(halves):
        if len(parts) == 1 or len(plan.documents) < 2:
            halves[index] = ((parts[0][0], parts[-1][1]),)
        elif swap[index]:
            first, (begin, end) = parts
            other = _piece_of_another_document(
                plan, int(documents[index]), end - begin, seed, epoch, int(samples[index])
            )
            halves[index], labels[index] = (first, other), IS_NOT_NEXT
        else:
            labels[index] = IS_NEXT
    return halves, labels


def sentence_order(plan: Plan, samples: np.ndarray, seed: int, epoch: int) -> tuple[list[Sample], np.ndarray]:
    """Do the two segments stand in their order? Arguments and result as for `next_sentence`: IN_ORDER, SWAPPED."""
    swap = _swaps(samples, seed, epoch)
    halves = _halves(plan, samples, seed, epoch)
    labels = np.array([IGNORED if len(parts) == 1 else IN_ORDER for parts in halves])
    labels[(labels == IN_ORDER) & swap] = SWAPPED
    return [parts[::-1] if label == SWAPPED else parts for parts, label in zip(halves, labels, strict=True)], labels


def _swaps(samples: np.ndarray, seed: int, epoch: int) -> np.ndarray:
    """Which samples get the answer "no", half of them: bool [S]."""
    return uniforms(seed, SWAP, epoch, samples) < 0.5


def _halves(plan: Plan, samples: np.ndarray, seed: int, epoch: int) -> list[Sample]:
    """The samples cut in two where one of their segments begins, or whole where none does."""
    boundaries = plan.store.segment_offsets
    _, begins, ends = plan.pieces(samples)
    cut = uniforms(seed, CUT, epoch, samples)
    first = np.searchsorted(boundaries, begins, side="right")
    last = np.searchsorted(boundaries, ends, side="left")
    halves: list[Sample] = []
    for index, (begin, end) in enumerate(zip(begins.tolist(), ends.tolist(), strict=True)):
        if first[index] == last[index]:
            halves.append(((begin, end),))
            continue
        middle = int(boundaries[first[index] + int(cut[index] * (last[index] - first[index]))])
        halves.append(((begin, middle), (middle, end)))
    return halves


def _piece_of_another_document(plan: Plan, own: int, size: int, seed: int, epoch: int, sample: int) -> Place:
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
    return begin, min(end, begin + size)
