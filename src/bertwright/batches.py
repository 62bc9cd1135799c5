"""Batches: how sequences share rows, and the tensors in the end.

pack(sequences)     -> Rows (numpy): several short sequences share a row, their tokens do not see each other
Rows.batch()        -> Batch (torch)
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from bertwright.tokenizer import Tokenizer

if TYPE_CHECKING:
    from torch import Tensor

Segments = tuple[np.ndarray, ...]
"""The token ids of one sequence, without special tokens: one segment, or two."""

IGNORED = -1
"""Label of what is not asked."""


@dataclass(frozen=True)
class SpecialTokens:
    """The ids that frame and corrupt sequences."""

    pad: int
    cls: int
    sep: int
    mask: int
    ordinary: np.ndarray
    """All other ids: those that may be masked, or stand in for another one."""
    between: int = 1
    """How many [SEP] stand between two segments; RoBERTa has two."""
    second: int = 1
    """segment_id of the second segment and the [SEP] after it; 0 in RoBERTa."""
    overlap: int = 0
    """How many tokens before one share letters with it: k-mers that overlap."""

    def framing(self, num_segments: int) -> int:
        """How many special tokens frame one segment, or two."""
        return 2 if num_segments == 1 else 2 + self.between

    @classmethod
    def of(cls, tokenizer: Tokenizer) -> "SpecialTokens":
        """The special tokens of a tokenizer."""
        ordinary = np.setdiff1d(np.arange(tokenizer.vocabulary_size), tokenizer.special_ids)
        ids = (tokenizer.pad_id, tokenizer.cls_id, tokenizer.sep_id, tokenizer.mask_id)
        return cls(*ids, ordinary, *tokenizer.frame, overlap=tokenizer.spelling.overlap)


# ---------------------------------------------------------------------------------------------- rows


@dataclass(frozen=True)
class Rows:
    """Sequences laid out in rows, in numpy; what an objective corrupts."""

    input_ids: np.ndarray
    """[B, L]."""
    segment_ids: np.ndarray
    """[B, L], 0 or 1."""
    position_ids: np.ndarray
    """[B, L], counted from 0 in each sequence."""
    sequence_ids: np.ndarray
    """[B, L], 1..S, 0 for padding."""
    unit_ids: np.ndarray
    """[B, L], number of the unit that is masked as a whole, counted in each sequence; by default each token is one."""
    labels: np.ndarray
    """[B, L], the token asked at a position, or IGNORED."""
    sequence_starts: np.ndarray
    """[S], position of each sequence's first token in the flattened rows."""
    sequence_labels: np.ndarray
    """[S], class or pair label, or IGNORED; or [S] numbers (float), or [S, C], a 0 or 1 (float) for each class."""
    sample_ids: np.ndarray
    """[S], number of the sample."""

    def part(self, rank: int, of: int) -> "Rows":
        """Rows rank, rank + of, rank + 2 of, ... as a batch of their own."""
        length = self.input_ids.shape[1]
        row, column = np.divmod(self.sequence_starts, length)
        mine = row % of == rank
        number = np.zeros(len(mine) + 1, dtype=self.sequence_ids.dtype)
        number[1:][mine] = np.arange(1, int(mine.sum()) + 1)
        return Rows(
            input_ids=self.input_ids[rank::of],
            segment_ids=self.segment_ids[rank::of],
            position_ids=self.position_ids[rank::of],
            sequence_ids=number[self.sequence_ids[rank::of]],
            unit_ids=self.unit_ids[rank::of],
            labels=self.labels[rank::of],
            sequence_starts=(row[mine] // of) * length + column[mine],
            sequence_labels=self.sequence_labels[mine],
            sample_ids=self.sample_ids[mine],
        )

    def batch(self, device: Any = "cpu") -> "Batch":
        """The same as tensors."""
        import torch

        def tensor(array: np.ndarray) -> "Tensor":
            kind = np.float32 if np.issubdtype(array.dtype, np.floating) else np.int64
            return torch.from_numpy(np.ascontiguousarray(array, dtype=kind)).to(device)

        masked = np.flatnonzero(self.labels != IGNORED)
        return Batch(
            input_ids=tensor(self.input_ids),
            segment_ids=tensor(self.segment_ids),
            position_ids=tensor(self.position_ids),
            sequence_ids=tensor(self.sequence_ids),
            masked_positions=tensor(masked),
            labels=tensor(self.labels.ravel()[masked]),
            sequence_starts=tensor(self.sequence_starts),
            sequence_labels=tensor(self.sequence_labels),
            sample_ids=self.sample_ids,
            num_tokens=int((self.sequence_ids > 0).sum()),
        )


@dataclass(frozen=True)
class Batch:
    """What the model gets, as tensors; shapes as in Rows, masked positions and their labels as [N]."""

    input_ids: "Tensor"
    segment_ids: "Tensor"
    position_ids: "Tensor"
    sequence_ids: "Tensor"
    masked_positions: "Tensor"
    labels: "Tensor"
    sequence_starts: "Tensor"
    sequence_labels: "Tensor"
    sample_ids: np.ndarray
    num_tokens: int

    @property
    def inputs(self) -> tuple["Tensor", "Tensor", "Tensor", "Tensor"]:
        """What every encoder takes."""
        return self.input_ids, self.segment_ids, self.position_ids, self.sequence_ids

    @property
    def asked(self) -> tuple["Tensor", ...]:
        """What every model with a head takes: the inputs, and where it is asked for tokens and for sequences."""
        return *self.inputs, self.masked_positions, self.sequence_starts


def pack(
    sequences: Sequence[Segments],
    special: SpecialTokens,
    *,
    length: int,
    sample_ids: np.ndarray | None = None,
    sequence_labels: np.ndarray | None = None,
    units: Sequence[np.ndarray] | None = None,
    labels: Sequence[np.ndarray] | None = None,
    share_rows: bool = True,
) -> Rows:
    """Frame sequences as [CLS] A [SEP] or [CLS] A [SEP] B [SEP] and lay them out in rows.

    RoBERTa has two [SEP] between A and B.

    Args:
        sequences: token ids without special tokens; each fits into a row.
        special: the framing tokens.
        length: L.
        sample_ids: [S], numbers of the samples.
        sequence_labels: [S] or [S, C], class or pair labels, numbers, or a 0 or 1 for each class.
        units: per sequence the number of each token's unit, framing tokens included; None: every token by itself.
        labels: per sequence what is asked at each token, or IGNORED, framing tokens included; None: nothing.
        share_rows: let short sequences share a row (best fit, longest first); otherwise a row each.
    """
    total = len(sequences)
    sizes = np.array([framed_size(segments, special) for segments in sequences], dtype=np.int64)
    assert total > 0 and sizes.max() <= length, "a sequence is longer than a row"
    row, column = _best_fit(sizes, length) if share_rows else (np.arange(total), np.zeros(total, dtype=np.int64))
    order = np.lexsort((column, row))  # number the sequences along the rows
    starts = (row * length + column)[order]
    shape = (int(row.max()) + 1, length)
    input_ids = np.full(shape, special.pad, dtype=np.int32)
    segment_ids, position_ids, sequence_ids = (np.zeros(shape, dtype=np.int32) for _ in range(3))
    frame_cls, frame_sep = np.array([special.cls], dtype=np.int32), np.array([special.sep], dtype=np.int32)
    between = np.repeat(frame_sep, special.between)
    for number, (start, index) in enumerate(zip(starts, order, strict=True), start=1):
        segments = sequences[index]
        parts = [frame_cls, segments[0], frame_sep]
        if len(segments) == 2:
            parts[2:] = [between, segments[1], frame_sep]
        end = start + sizes[index]
        input_ids.ravel()[start:end] = np.concatenate(parts)
        position_ids.ravel()[start:end] = np.arange(int(sizes[index]))
        sequence_ids.ravel()[start:end] = number
        if len(segments) == 2:
            segment_ids.ravel()[start + 1 + len(segments[0]) + special.between : end] = special.second
    unit_ids, asked = position_ids.copy(), np.full(shape, IGNORED, dtype=np.int32)
    for laid_out, given in ((unit_ids, units), (asked, labels)):
        if given is not None:
            for start, index in zip(starts, order, strict=True):
                laid_out.ravel()[start : start + sizes[index]] = given[index]
    ignored = np.full(total, IGNORED, dtype=np.int64)
    return Rows(
        input_ids=input_ids,
        segment_ids=segment_ids,
        position_ids=position_ids,
        sequence_ids=sequence_ids,
        unit_ids=unit_ids,
        labels=asked,
        sequence_starts=starts,
        sequence_labels=ignored if sequence_labels is None else np.asarray(sequence_labels)[order],
        sample_ids=(np.arange(total) if sample_ids is None else np.asarray(sample_ids))[order],
    )


def framed_size(segments: Segments, special: SpecialTokens) -> int:
    """Tokens of a sequence with those that frame it."""
    return sum(map(len, segments)) + special.framing(len(segments))


def fitting_length(sizes: np.ndarray, longest: int) -> int:
    """The length of rows, at most `longest`, in which sequences of these sizes leave the fewest places empty.

    A few short sequences fill no long rows. Of lengths that are equally good the shortest is taken: its attention is
    the smallest.
    """
    step = max(8, longest // 16)
    lengths = [*range(-(-int(sizes.max()) // step) * step, longest, step), longest]
    places = [(int(_best_fit(sizes, length)[0].max()) + 1) * length for length in lengths]
    return lengths[places.index(min(places))]


def _best_fit(sizes: np.ndarray, length: int) -> tuple[np.ndarray, np.ndarray]:
    """Row and column of each sequence: longest first, into the fullest row that still has room."""
    rows = np.zeros(len(sizes), dtype=np.int64)
    columns = np.zeros(len(sizes), dtype=np.int64)
    by_room: list[list[int]] = [[] for _ in range(length + 1)]  # room left -> rows with just that room
    num_rows = 0
    for index in np.argsort(-sizes, kind="stable"):
        size = int(sizes[index])
        room = next((r for r in range(size, length + 1) if by_room[r]), None)
        if room is None:
            row, room, num_rows = num_rows, length, num_rows + 1
        else:
            row = by_room[room].pop()
        rows[index], columns[index] = row, length - room
        by_room[room - size].append(row)
    return rows, columns


def with_labels(rows: Rows, input_ids: np.ndarray, labels: np.ndarray) -> Rows:
    """The same rows with corrupted tokens and the labels asked for them."""
    return replace(rows, input_ids=input_ids, labels=labels)
