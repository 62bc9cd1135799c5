"""Labels that mark entities: B-X begins one, I-X goes on, O is outside; in BIOES, E-X ends and S-X is one word alone.

Which of the two a set of labels follows is read off the labels; labels that follow neither (parts of speech) mark no
entities.
"""

from collections.abc import Sequence

import numpy as np

from bertwright.metrics import Span

OUTSIDE = "O"
PREFIXES = {"BIO": frozenset("BI"), "BIOES": frozenset("BIES")}

FORBIDDEN = -np.inf
"""Added to the score of a step that no valid sequence makes."""


def scheme_of(labels: Sequence[str]) -> str | None:
    """BIO, BIOES, or None for labels that mark no entities."""
    marked = [label for label in labels if label != OUTSIDE]
    if not marked or not all(label[1:2] == "-" and len(label) > 2 for label in marked):
        return None
    prefixes = {label[0] for label in marked}
    if not prefixes & {"B", "S"} and prefixes != {"I"}:
        return None
    return next((name for name, known in PREFIXES.items() if prefixes <= known), None)


def follows(before: str, label: str, scheme: str) -> bool:
    """Whether a label may come after another one; OUTSIDE stands for the beginning and the end of a sentence, too."""
    goes_on = label[0] in ("I", "E")
    open_before = before[0] in (("B", "I") if scheme == "BIOES" else ())
    if goes_on:
        return before[0] in ("B", "I") and before[2:] == label[2:]
    return not open_before


def repaired(labels: Sequence[str], scheme: str) -> list[str]:
    """Valid labels for the same entities, as conlleval reads them: what goes on with nothing begins an entity."""
    marks = spans_of(labels, scheme)
    fixed = [OUTSIDE] * len(labels)
    for kind, begin, end in marks:
        for place in range(begin, end):
            fixed[place] = f"I-{kind}" if place > begin else f"B-{kind}"
        if scheme == "BIOES":
            fixed[end - 1] = f"S-{kind}" if end - begin == 1 else f"E-{kind}"
    return fixed


def spans_of(labels: Sequence[str], scheme: str) -> list[Span]:
    """The entities that labels mark, read as conlleval does: an entity ends where its type does."""
    found: list[Span] = []
    begin, kind = 0, ""
    for place, label in enumerate([*labels, OUTSIDE]):
        prefix, of = label[0], label[2:]
        if kind and (prefix not in ("I", "E") or of != kind):
            found.append((kind, begin, place))
            kind = ""
        if label != OUTSIDE and not kind:
            begin, kind = place, of
        if scheme == "BIOES" and prefix in ("E", "S") and kind:
            found.append((kind, begin, place + 1))
            kind = ""
    return found


def steps(labels: Sequence[str], scheme: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Valid steps: 0 or FORBIDDEN for the first label [C], one (column) after another (row) [C, C], the last [C]."""

    def allowed(before: str, label: str) -> float:
        return 0.0 if follows(before, label, scheme) else FORBIDDEN

    return (
        np.array([allowed(OUTSIDE, label) for label in labels]),
        np.array([[allowed(before, label) for label in labels] for before in labels]),
        np.array([allowed(label, OUTSIDE) for label in labels]),
    )


def best_sequence(scores: np.ndarray, first: np.ndarray, step: np.ndarray, last: np.ndarray) -> np.ndarray:
    """The sequence of labels with the highest sum of scores (Viterbi).

    Args:
        scores: [N, C], of each word and label.
        first: [C], added for the first word's label.
        step: [C, C], added for a label (column) after another one (row).
        last: [C], added for the last word's label.

    Returns:
        [N], numbers of labels.
    """
    total = scores[0] + first
    came_from = np.zeros(scores.shape, dtype=np.int64)
    for place in range(1, len(scores)):
        reached = total[:, None] + step
        came_from[place] = reached.argmax(axis=0)
        total = reached.max(axis=0) + scores[place]
    path = [int((total + last).argmax())]
    for place in range(len(scores) - 1, 0, -1):
        path.append(int(came_from[place, path[-1]]))
    return np.array(path[::-1])
