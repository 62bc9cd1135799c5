"""Texts that occur more than once: within a source, with other labels, and in two sources.

All of it works on sorted 8-byte digests; two different texts of ten million share one with a probability of 3e-6.
"""

from dataclasses import dataclass
from itertools import combinations

import numpy as np

from bertwright.doctor.tally import UNLABELLED, Tally


@dataclass(frozen=True)
class Repeats:
    """Records of one source whose text occurs again; records are meant by their number in the source."""

    duplicates: int
    near_duplicates: int
    duplicate: tuple[int, int] | None
    """The first such pair of records."""
    near_duplicate: tuple[int, int] | None
    """The first pair that is equal in letters and digits only."""
    conflicts: int
    """Different texts that bear several labels."""
    conflict_records: int
    conflict_examples: list[tuple[int, ...]]
    """Of the first of these texts, one record for each of its labels."""


@dataclass(frozen=True)
class Shared:
    """What two sources have in common."""

    first: int
    second: int
    texts: int
    in_first: int
    in_second: int
    exact: int
    """Records of the smaller source that stand in the other one as they are."""
    conflicts: int
    example: tuple[int, int]
    """A record of the first source and one of the second."""


CONFLICTS_SHOWN = 5


def repeats(tally: Tally) -> Repeats:
    """Find the records of a source whose text occurs again."""
    exact, loose = np.asarray(tally.exact, dtype=np.uint64), np.asarray(tally.loose, dtype=np.uint64)
    duplicates, pairs = _repeated(exact)
    near_duplicates, near_pairs = _repeated(loose)
    different = near_pairs[exact[near_pairs[:, 0]] != exact[near_pairs[:, 1]]]
    conflicting, examples = _conflicts(exact, np.asarray(tally.labels, dtype=np.int32))
    return Repeats(
        duplicates,
        near_duplicates,
        _first(pairs),
        _first(different),
        len(np.unique(exact[conflicting])),
        len(conflicting),
        examples,
    )


def shared(tallies: list[Tally]) -> list[Shared]:
    """Compare every two sources; pairs that have nothing in common are left out."""
    found = []
    for (first, one), (second, other) in combinations(enumerate(tallies), 2):
        ours, theirs = np.asarray(one.loose, dtype=np.uint64), np.asarray(other.loose, dtype=np.uint64)
        common = np.intersect1d(ours, theirs)
        if len(common) == 0:
            continue
        in_first, in_second = np.flatnonzero(np.isin(ours, common)), np.flatnonzero(np.isin(theirs, common))
        smaller, larger = (one, other) if one.records < other.records else (other, one)
        exact = np.isin(np.asarray(smaller.exact, dtype=np.uint64), np.asarray(larger.exact, dtype=np.uint64))
        example = int(in_second[0])
        found.append(
            Shared(
                first,
                second,
                len(common),
                len(in_first),
                len(in_second),
                int(exact.sum()),
                _conflicts_between(one, other, in_first, in_second),
                (int(np.flatnonzero(ours == theirs[example])[0]), example),
            )
        )
    return found


def _repeated(digests: np.ndarray) -> tuple[int, np.ndarray]:
    """How many records repeat an earlier one, and each of them behind the one before it with the same text, [N, 2]."""
    order = np.argsort(digests, kind="stable")
    ordered = digests[order]
    same = np.flatnonzero(ordered[1:] == ordered[:-1])
    return len(same), np.stack([order[same], order[same + 1]], axis=1)


def _first(pairs: np.ndarray) -> tuple[int, int] | None:
    """The pair that a reader comes upon first."""
    if len(pairs) == 0:
        return None
    first, second = pairs[np.argmin(pairs[:, 1])]
    return int(first), int(second)


def _conflicts(exact: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, list[tuple[int, ...]]]:
    """The records whose text bears other labels elsewhere, and examples: records of one text with different labels."""
    labelled = np.flatnonzero(labels != UNLABELLED)
    digests, labels = exact[labelled], labels[labelled]
    order = np.lexsort((labels, digests))
    beside = digests[order[1:]] == digests[order[:-1]]
    changes = beside & (labels[order[1:]] != labels[order[:-1]])
    disputed = np.unique(digests[order[1:]][changes])
    conflicting = labelled[np.isin(digests, disputed)]
    examples = []
    seen: set[int] = set()
    for record in conflicting:
        digest = int(exact[record])
        if digest not in seen and len(seen) < CONFLICTS_SHOWN:
            seen.add(digest)
            records = np.flatnonzero(digests == exact[record])
            _, firsts = np.unique(labels[records], return_index=True)
            examples.append(tuple(sorted(int(labelled[records[position]]) for position in firsts)))
        elif len(seen) == CONFLICTS_SHOWN:
            break
    return conflicting, examples


def _conflicts_between(one: Tally, other: Tally, in_first: np.ndarray, in_second: np.ndarray) -> int:
    """How many common texts bear a label in the second source that they do not bear in the first."""
    names = {name: number for number, name in enumerate({**one.label_numbers, **other.label_numbers})}
    sides = []
    for tally, records in ((one, in_first), (other, in_second)):
        renumber = np.array([*(names[name] for name in tally.label_numbers), UNLABELLED])
        labels = renumber[np.asarray(tally.labels, dtype=np.int32)[records]]
        digests = np.asarray(tally.loose, dtype=np.uint64)[records]
        kept = labels != UNLABELLED
        both = np.zeros(int(kept.sum()), dtype=[("digest", np.uint64), ("label", np.int64)])
        both["digest"], both["label"] = digests[kept], labels[kept]
        sides.append(both)
    known = np.isin(sides[1]["digest"], sides[0]["digest"])
    disputed = sides[1][known & ~np.isin(sides[1], sides[0])]
    return len(np.unique(disputed["digest"]))
