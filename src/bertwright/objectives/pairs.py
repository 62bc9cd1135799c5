"""What makes a sample a pair: next sentence (Devlin et al. 2019, section 3.1), sentence order (Lan et al. 2020).

A pair is made of whole segments that fill the row: it begins with a segment of the sample or of the one before it, each
time another one, and is cut in two where one of its segments begins. Next sentence: half of the time the second part is
replaced by segments of another document, which fill the row likewise. Sentence order: half of the time the two parts
change places. Both parts begin and end with a segment whatever the answer is, so that it cannot be read off their
shape; a sample within which no segment begins stays a single segment and is not asked.
"""

import numpy as np

from bertwright.batches import IGNORED
from bertwright.samples import Plan, hashed, uniforms

CUT, SWAP, OTHER, BACK = 201, 202, 203, 204
"""Keys of the independent random streams."""

IS_NEXT, IS_NOT_NEXT = 0, 1
"""Labels of next sentence, as in the published checkpoints."""

IN_ORDER, SWAPPED = 0, 1
"""Labels of sentence order, likewise."""

TRIES = 8
"""Samples that are looked at for a stranger; after so many that are of the same document, or no pair, none is asked."""

Place = tuple[int, int]
"""A piece of a store: its first token and its end."""

Sample = tuple[Place, ...]
"""The places of a sample's segments: one, or two."""


def single_segments(plan: Plan, samples: np.ndarray, draws: np.ndarray, seed: int) -> tuple[list[Sample], np.ndarray]:
    """Samples as they are: no pair is asked. Arguments and result as for `next_sentence`."""
    del draws, seed
    _, begins, ends = plan.pieces(samples)
    places = [((begin, end),) for begin, end in zip(begins.tolist(), ends.tolist(), strict=True)]
    return places, np.full(len(samples), IGNORED)


def next_sentence(plan: Plan, samples: np.ndarray, draws: np.ndarray, seed: int) -> tuple[list[Sample], np.ndarray]:
    """Does the second segment follow the first in its document?

    Args:
        plan: the samples of one side of a store.
        samples: [S], numbers of samples.
        draws: [S], a number of its own for each time that a sample is drawn.
        seed: of the run.

    Returns:
        The places of S samples, of two segments (or one, where nothing is asked), and labels [S]: IS_NEXT, IS_NOT_NEXT
        or IGNORED.
    """
    swap = uniforms(seed, SWAP, draws) < 0.5
    halves = _halves(plan, samples, draws, seed)
    labels = np.full(len(samples), IGNORED)
    for index, parts in enumerate(halves):
        if len(parts) == 1:
            continue
        (begin, middle), _ = parts
        other = _segments_of_another_document(plan, begin, plan.room - (middle - begin), int(draws[index]), seed)
        if other is None:  # asked of none, then: a corpus of one document has only true pairs
            halves[index] = ((begin, parts[1][1]),)
        elif swap[index]:
            halves[index], labels[index] = ((begin, middle), other), IS_NOT_NEXT
        else:
            labels[index] = IS_NEXT
    return halves, labels


def sentence_order(plan: Plan, samples: np.ndarray, draws: np.ndarray, seed: int) -> tuple[list[Sample], np.ndarray]:
    """Do the two segments stand in their order? Arguments and result as for `next_sentence`: IN_ORDER, SWAPPED."""
    swap = uniforms(seed, SWAP, draws) < 0.5
    halves = _halves(plan, samples, draws, seed)
    labels = np.array([IGNORED if len(parts) == 1 else IN_ORDER for parts in halves])
    labels[(labels == IN_ORDER) & swap] = SWAPPED
    return [parts[::-1] if label == SWAPPED else parts for parts, label in zip(halves, labels, strict=True)], labels


def _halves(plan: Plan, samples: np.ndarray, draws: np.ndarray, seed: int) -> list[Sample]:
    """Whole segments that fill a row, from where a sample begins or up to a row before, in two parts.

    The beginning varies, so that what is left out at the end of a row at one time is read at another. Where no segment
    fits, it is the sample as it is.
    """
    documents, begins, ends = plan.pieces(samples)
    cut, back = uniforms(seed, CUT, draws), uniforms(seed, BACK, draws)
    firsts = plan.store.documents["token_offset"][documents].astype(np.int64)
    starts = np.maximum(firsts, begins - (back * plan.room).astype(np.int64))
    halves: list[Sample] = []
    for index, (start, begin, end) in enumerate(zip(starts.tolist(), begins.tolist(), ends.tolist(), strict=True)):
        boundaries = _boundaries(plan, start, plan.room)
        inner = boundaries[1:-1]
        if not len(inner):
            halves.append(((begin, end),))
            continue
        middle = int(inner[int(cut[index] * len(inner))])
        halves.append(((int(boundaries[0]), middle), (middle, int(boundaries[-1]))))
    return halves


def _boundaries(plan: Plan, token: int, room: int) -> np.ndarray:
    """Where the segments begin that fit into `room` tokens from the segment with this token on, and where they end.

    They are of the token's document. A single boundary: the first segment alone is too long.
    """
    offsets, documents = plan.store.segment_offsets, plan.store.documents
    first = int(np.searchsorted(offsets, token, side="right")) - 1
    document = int(np.searchsorted(documents["token_offset"], token, side="right")) - 1
    last = int(documents["segment_offset"][document + 1])
    end = int(np.searchsorted(offsets[: last + 1], offsets[first] + room, side="right"))
    return np.asarray(offsets[first:end])


def _segments_of_another_document(plan: Plan, own: int, room: int, draw: int, seed: int) -> Place | None:
    """Whole segments that fill `room` tokens, of another document than the token `own` is of.

    They begin where the second half of a random sample does, as a true second half does.
    """
    home = int(np.searchsorted(plan.store.documents["token_offset"], own, side="right"))
    for number in range(TRIES):
        sample = hashed(seed, OTHER, draw, number) % np.uint64(plan.num_samples)
        document, _, _ = plan.pieces(sample.astype(np.int64))
        if int(document[0]) + 1 == home:
            continue
        halves = _halves(plan, sample.astype(np.int64), hashed(draw, number) >> np.uint64(1), seed)[0]
        if len(halves) == 2:
            boundaries = _boundaries(plan, halves[1][0], room)
            if len(boundaries) > 1:
                return int(boundaries[0]), int(boundaries[-1])
    return None
