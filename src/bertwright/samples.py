"""Which samples are read, and in which order: of one store, or of several in fixed shares.

Everything is a function of (seed, number): there is no state to lose, no list of all samples, and going on at step
100,000 costs as much as at step 0.

    plan(store, room)   -> the samples of one side of a store, numbered 0..num_samples-1
    permute(indexes)    -> their order in an epoch, by a keyed permutation
    mix(stores, room)   -> a Mixture: number of a draw -> plan and sample
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bertwright.store import Store

ROUND = 301
"""Key of the order of a round, beside those of the plans, which are their numbers."""

# ---------------------------------------------------------------------------------------------- random numbers


def _mix(values: np.ndarray) -> np.ndarray:
    """The finalizer of splitmix64 (Steele et al. 2014): a bijection of 64-bit numbers whose output looks random."""
    values = values + np.uint64(0x9E3779B97F4A7C15)
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def hashed(*keys: int | np.ndarray) -> np.ndarray:
    """Random 64-bit numbers that are a function of the keys alone.

    Args:
        keys: non-negative numbers, or arrays of them that broadcast together.

    Returns:
        uint64, of the keys' common shape (at least one dimension).
    """
    state = np.zeros(1, dtype=np.uint64)
    for key in keys:
        state = _mix(state ^ np.atleast_1d(np.asarray(key)).astype(np.uint64))
    return state


def uniforms(*keys: int | np.ndarray) -> np.ndarray:
    """Like `hashed`, as float64 in [0, 1)."""
    return (hashed(*keys) >> np.uint64(11)) * (1.0 / (1 << 53))


def permute(indexes: np.ndarray, size: int, *keys: int) -> np.ndarray:
    """A keyed permutation of 0..size-1, evaluated at `indexes` (a Feistel network with cycle walking).

    Args:
        indexes: integers in 0..size-1.
        size: how many numbers are permuted.
        keys: non-negative numbers, for example seed and epoch.

    Returns:
        int64, of the shape of `indexes`.
    """
    assert size > 0
    half = np.uint64(max(1, -(-(size - 1).bit_length() // 2)))
    mask = (np.uint64(1) << half) - np.uint64(1)
    values = np.asarray(indexes).astype(np.uint64)
    outside = np.ones(values.shape, dtype=bool)
    while outside.any():  # a number that leaves the range walks on along its cycle until it comes back
        walking = values[outside]
        left, right = walking >> half, walking & mask
        for turn in range(4):
            left, right = right, left ^ (hashed(*keys, turn, right) & mask)
        values[outside] = (left << half) | right
        outside = values >= np.uint64(size)
    return values.astype(np.int64)


# ---------------------------------------------------------------------------------------------- samples of a store


@dataclass(frozen=True)
class Plan:
    """Where the samples of one side of a store (training or held-out) begin: pieces of single documents.

    A document of n tokens gives ceil(n / room) samples, room being what special tokens leave: all are full but the
    last, so that they fill rows, and the last ones of all lengths fill others together.
    """

    store: Store
    documents: np.ndarray
    """Numbers of the documents on this side."""
    first_sample: np.ndarray
    """Number of the first sample of each of these documents, and the end."""
    room: int
    """Tokens that a sample can hold at most, special tokens excluded."""

    @property
    def num_samples(self) -> int:
        """How many samples there are in one epoch."""
        return int(self.first_sample[-1])

    def pieces(self, samples: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Document number, first token and end token (in the store) of samples, each [S]."""
        place = np.searchsorted(self.first_sample, samples, side="right") - 1
        document = self.documents[place]
        offsets = self.store.documents["token_offset"]
        begin = offsets[document].astype(np.int64) + (samples - self.first_sample[place]) * self.room
        return document, begin, np.minimum(begin + self.room, offsets[document + 1].astype(np.int64))

    @property
    def num_tokens(self) -> int:
        """Tokens in one epoch, special tokens excluded."""
        offsets = self.store.documents["token_offset"].astype(np.int64)
        return int((offsets[self.documents + 1] - offsets[self.documents]).sum())


def plan(store: Store, room: int, *, held_out: bool, language: int | None = None) -> Plan:
    """The samples of the training side or of the held-out side of a store; of one of its languages, if that is given.

    Args:
        store: where the documents are.
        room: tokens that a sample can hold at most, special tokens excluded.
        held_out: which side.
        language: place in `store.languages`.
    """
    entries = store.documents[:-1]
    sizes = np.diff(store.documents["token_offset"].astype(np.int64))
    wanted = (entries["held_out"].astype(bool) == held_out) & (sizes > 0)
    if language is not None:
        wanted &= entries["language"] == language
    documents = np.flatnonzero(wanted)
    counts = -(-sizes[documents] // room)
    return Plan(store, documents, np.concatenate([[0], np.cumsum(counts)]), room)


# ---------------------------------------------------------------------------------------------- mixtures


@dataclass(frozen=True)
class Mixture:
    """An endless, repeatable sequence of draws from plans in fixed shares.

    It goes in rounds: in each of them, in an order of its own, every plan has its count of draws. A plan's samples come
    in an order of their own, too, all of them before one comes again. A single plan's round is an epoch.
    """

    plans: Sequence[Plan]
    counts: np.ndarray
    """Draws that each plan has in a round."""

    @property
    def round(self) -> int:
        """Draws in a round."""
        return int(self.counts.sum())

    @property
    def mean_length(self) -> float:
        """Mean number of tokens of a draw, special tokens excluded."""
        means = [plan.num_tokens / plan.num_samples for plan in self.plans]
        return float(np.dot(self.counts, means) / self.round)

    def draw(self, numbers: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """What is drawn.

        Args:
            numbers: [S], of the draws, from 0 on.
            seed: of the order.

        Returns:
            For each draw the place of its plan, and the number of its sample in that plan, [S] each.
        """
        ends = np.cumsum(self.counts)
        which, samples = np.empty(len(numbers), dtype=np.int64), np.empty(len(numbers), dtype=np.int64)
        rounds = numbers // self.round
        for turn in np.unique(rounds):
            here = rounds == turn
            place = permute(numbers[here] % self.round, self.round, seed, ROUND, int(turn))
            which[here] = np.searchsorted(ends, place, side="right")
            samples[here] = place - (ends - self.counts)[which[here]] + turn * self.counts[which[here]]
        for number, plan in enumerate(self.plans):
            epochs, places = np.divmod(samples, plan.num_samples)
            for epoch in np.unique(epochs[which == number]):
                here = (which == number) & (epochs == epoch)
                samples[here] = permute(places[here], plan.num_samples, seed, number, int(epoch))
        return which, samples


def mix(stores: Sequence[tuple[Store, float]], room: int, *, held_out: bool, temperature: float = 1.0) -> Mixture:
    """A mixture of one side of stores.

    Args:
        stores: with the share of the tokens that each is to have, relative to the others.
        room: tokens that a sample can hold at most, special tokens excluded.
        held_out: which side.
        temperature: T: within a store, a language with the share p of its tokens is drawn with a share proportional to
            p^(1/T) (Devlin 2018, multilingual BERT: T = 1/.7; Conneau et al. 2020: T = 1/.3). 1: as they are.
    """
    plans: list[Plan] = []
    shares: list[np.ndarray] = []
    for store, share in stores:
        languages = range(len(store.languages)) if temperature != 1.0 else [None]
        parts = [plan(store, room, held_out=held_out, language=language) for language in languages]
        parts = [part for part in parts if part.num_samples]
        sizes = np.array([part.num_tokens for part in parts], dtype=np.float64)
        flattened = (sizes / sizes.sum()) ** (1 / temperature)
        shares.append(share * flattened / flattened.sum())
        plans += parts
    samples = np.array([part.num_samples for part in plans])
    if len(plans) == 1:
        return Mixture(plans, samples)
    draws = np.concatenate(shares) * samples / [part.num_tokens for part in plans]  # shares are of tokens, not samples
    return Mixture(plans, np.maximum(1, np.round(draws / draws.sum() * samples.sum()).astype(np.int64)))


def by_language(stores: Sequence[Store], room: int, *, held_out: bool) -> dict[str, Mixture]:
    """The samples of each language that one side of stores has, in the order of their names; see `mix`."""
    plans: dict[str, list[Plan]] = {}
    for store in stores:
        for number, language in enumerate(store.languages):
            part = plan(store, room, held_out=held_out, language=number)
            if part.num_samples:
                plans.setdefault(language, []).append(part)
    return {name: Mixture(own, np.array([each.num_samples for each in own])) for name, own in sorted(plans.items())}
