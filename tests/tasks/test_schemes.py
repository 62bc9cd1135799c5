"""Labels of entities: read as conlleval reads them, mended without moving an entity, and decoded into valid ones only.

What is valid is told by a grammar here, and what is an entity by the rules of conlleval, neither of them the project's.
"""

import itertools
import re
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bertwright.metrics import Span
from bertwright.tasks.schemes import best_sequence, follows, repaired, scheme_of, spans_of, steps

LABELS = {
    "BIO": ["O", "B-X", "I-X", "B-Y", "I-Y"],
    "BIOES": ["O", "B-X", "I-X", "E-X", "S-X", "B-Y", "I-Y", "E-Y", "S-Y"],
}
GRAMMARS = {
    "BIO": re.compile(r"(O |B-(\w) (I-\2 )*)*"),
    "BIOES": re.compile(r"(O |S-\w |B-(\w) (I-\2 )*E-\2 )*"),
}
SCHEMES = pytest.mark.parametrize("scheme", list(LABELS))


def valid(labels: Sequence[str], scheme: str) -> bool:
    return GRAMMARS[scheme].fullmatch("".join(f"{label} " for label in labels)) is not None


def conlleval(labels: Sequence[str]) -> list[Span]:
    """The entities, by the two conditions of conlleval: between which labels one ends, and at which one begins."""
    found: list[Span] = []
    begin, before, of_before = 0, "O", ""
    for place, label in enumerate([*labels, "O"]):
        tag, of = label[0], label[2:]
        changed = of != of_before
        ends = before in "ES" or (before in "BI" and tag in "BSO") or changed
        begins = tag in "BS" or (before in "ESO" and tag in "EI") or changed
        if before != "O" and ends:
            found.append((of_before, begin, place))
        if tag != "O" and begins:
            begin = place
        before, of_before = tag, of
    return found


def written(spans: Sequence[Span], size: int, scheme: str) -> list[str]:
    """Labels of entities."""
    labels = ["O"] * size
    for kind, begin, end in spans:
        marks = ["B", *"I" * (end - begin - 1)]
        if scheme == "BIOES":
            marks = ["B", *"I" * (end - begin - 2), "E"] if end - begin > 1 else ["S"]
        labels[begin:end] = [f"{mark}-{kind}" for mark in marks]
    return labels


@st.composite
def entities(draw: st.DrawFn) -> tuple[list[Span], int]:
    """Entities that do not overlap, many of them next to each other, and the number of words."""
    spans: list[Span] = []
    place = 0
    for gap, size, kind in draw(st.lists(st.tuples(st.integers(0, 2), st.integers(1, 4), st.sampled_from("XY")))):
        place += gap + size
        spans.append((kind, place - size, place))
    return spans, place + draw(st.integers(0, 2))


def any_labels(scheme: str) -> st.SearchStrategy[list[str]]:
    return st.lists(st.sampled_from(LABELS[scheme]), max_size=12)


# ---------------------------------------------------------------------------------------------- which scheme


@pytest.mark.parametrize(
    ("labels", "scheme"),
    [
        (["B-PER", "I-PER", "O"], "BIO"),
        (["B-PER", "O"], "BIO"),
        (["B-PER", "B-LOC"], "BIO"),
        (["B-a-b", "I-a-b"], "BIO"),
        (["B-PER", "I-PER", "E-PER", "S-PER", "O"], "BIOES"),
        (["B-PER", "S-LOC", "O"], "BIOES"),
        (["B-PER", "E-PER"], "BIOES"),
        (["NOUN", "VERB"], None),
        (["O"], None),
        ([], None),
        (["O", "B", "I"], None),
        (["O", "B-", "I-"], None),
        (["B-PER", "I-PER", "NOUN"], None),
        (["B-PER", "L-PER", "U-PER", "O"], None),
        (["E-PER", "I-PER"], None),
        (["B_PER", "I_PER"], None),
    ],
)
def test_the_scheme_is_read_off_the_labels(labels: list[str], scheme: str | None) -> None:
    assert scheme_of(labels) == scheme
    assert scheme_of(labels[::-1]) == scheme


# ---------------------------------------------------------------------------------------------- valid labels


@SCHEMES
@pytest.mark.parametrize("size", [1, 2, 3, 4])
def test_sequences_of_allowed_steps_are_the_valid_ones(scheme: str, size: int) -> None:
    """Every sequence: that no step in it is forbidden says the same as the grammar."""
    count = 0
    for labels in itertools.product(LABELS[scheme], repeat=size):
        allowed = all(follows(*pair, scheme) for pair in itertools.pairwise(["O", *labels, "O"]))
        assert allowed == valid(labels, scheme), labels
        count += allowed
    assert 0 < count < len(LABELS[scheme]) ** size


@SCHEMES
@pytest.mark.parametrize("size", [1, 2, 3])
def test_steps_cost_nothing_in_valid_sequences_only(scheme: str, size: int) -> None:
    labels = LABELS[scheme]
    first, step, last = steps(labels, scheme)
    for path in itertools.product(range(len(labels)), repeat=size):
        cost = first[path[0]] + sum(step[pair] for pair in itertools.pairwise(path)) + last[path[-1]]
        assert (cost == 0) == valid([labels[number] for number in path], scheme)


# ---------------------------------------------------------------------------------------------- entities


@pytest.mark.parametrize(
    ("scheme", "labels", "spans"),
    [
        ("BIO", "O B-X I-X O", [("X", 1, 3)]),
        ("BIO", "B-X B-X I-X", [("X", 0, 1), ("X", 1, 3)]),
        ("BIO", "I-X I-X O I-Y", [("X", 0, 2), ("Y", 3, 4)]),
        ("BIO", "B-X I-Y I-Y", [("X", 0, 1), ("Y", 1, 3)]),
        ("BIO", "O O", []),
        ("BIOES", "S-X S-X B-Y I-Y E-Y", [("X", 0, 1), ("X", 1, 2), ("Y", 2, 5)]),
        ("BIOES", "B-X O E-X", [("X", 0, 1), ("X", 2, 3)]),
        ("BIOES", "B-X E-X E-X I-X", [("X", 0, 2), ("X", 2, 3), ("X", 3, 4)]),
        ("BIOES", "I-X S-X B-X", [("X", 0, 1), ("X", 1, 2), ("X", 2, 3)]),
        ("BIOES", "B-X E-Y", [("X", 0, 1), ("Y", 1, 2)]),
        ("BIOES", "", []),
    ],
)
def test_entities(scheme: str, labels: str, spans: list[Span]) -> None:
    assert spans_of(labels.split(), scheme) == spans == conlleval(labels.split())


@SCHEMES
@given(data=st.data())
def test_entities_are_those_of_conlleval(scheme: str, data: st.DataObject) -> None:
    labels = data.draw(any_labels(scheme))
    assert spans_of(labels, scheme) == conlleval(labels)


@SCHEMES
@given(drawn=entities())
def test_entities_survive_being_written_and_read(scheme: str, drawn: tuple[list[Span], int]) -> None:
    spans, size = drawn
    labels = written(spans, size, scheme)
    assert valid(labels, scheme)
    assert spans_of(labels, scheme) == spans
    assert repaired(labels, scheme) == labels, "there is nothing to mend"


@SCHEMES
@given(data=st.data())
def test_mended_labels_are_valid_and_mark_the_same(scheme: str, data: st.DataObject) -> None:
    labels = data.draw(any_labels(scheme))
    mended = repaired(labels, scheme)
    assert len(mended) == len(labels)
    assert valid(mended, scheme)
    assert conlleval(mended) == conlleval(labels)
    assert (mended == labels) == valid(labels, scheme)


@pytest.mark.parametrize(
    ("scheme", "labels", "mended"),
    [
        ("BIO", "I-X I-X O I-Y", "B-X I-X O B-Y"),
        ("BIO", "B-X I-Y I-Y", "B-X B-Y I-Y"),
        ("BIOES", "B-X O I-X I-X O", "S-X O B-X E-X O"),
        ("BIOES", "E-X B-X I-X", "S-X B-X E-X"),
    ],
)
def test_labels_are_mended(scheme: str, labels: str, mended: str) -> None:
    assert repaired(labels.split(), scheme) == mended.split()


# ---------------------------------------------------------------------------------------------- decoding


@pytest.mark.parametrize("size", [1, 2, 3, 5])
@pytest.mark.parametrize("num_labels", [1, 2, 4])
def test_the_best_sequence_is_the_best_of_all(size: int, num_labels: int) -> None:
    """Of all sequences, with every step, beginning and end of another worth."""
    differs = 0
    for seed in range(20):
        draw = np.random.default_rng(seed)
        scores, step = draw.normal(size=(size, num_labels)), draw.normal(size=(num_labels, num_labels))
        first, last = draw.normal(size=(2, num_labels))
        worth = {
            path: first[path[0]]
            + sum(scores[place, label] for place, label in enumerate(path))
            + sum(step[pair] for pair in itertools.pairwise(path))
            + last[path[-1]]
            for path in itertools.product(range(num_labels), repeat=size)
        }
        best = max(worth, key=lambda path: worth[path])
        assert tuple(best_sequence(scores, first, step, last)) == best
        differs += tuple(scores.argmax(axis=1)) != best
    assert num_labels == 1 or differs > 3, "the steps matter"


@SCHEMES
@given(data=st.data())
def test_decoded_labels_are_valid_whatever_the_scores(scheme: str, data: st.DataObject) -> None:
    labels = LABELS[scheme]
    size = data.draw(st.integers(1, 6))
    worth = st.floats(-1e30, 1e30) | st.floats(-5, 5)
    row = st.lists(worth, min_size=len(labels), max_size=len(labels))
    rows = data.draw(st.lists(row, min_size=size, max_size=size))
    found = best_sequence(np.array(rows), *steps(labels, scheme))
    assert len(found) == size
    assert valid([labels[number] for number in found], scheme)


@SCHEMES
def test_valid_labels_that_are_the_likeliest_are_kept(scheme: str) -> None:
    labels, draw = LABELS[scheme], np.random.default_rng(3)
    sequences = [path for path in itertools.product(labels, repeat=4) if valid(path, scheme)]
    for number in draw.choice(len(sequences), 40, replace=False):
        scores = draw.normal(size=(4, len(labels)))
        wanted = [labels.index(label) for label in sequences[number]]
        scores[np.arange(4), wanted] = 10
        assert best_sequence(scores, *steps(labels, scheme)).tolist() == wanted
