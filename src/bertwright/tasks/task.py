"""What every task is made of: examples, the windows that the model sees of them, and what is asked there.

file --read--> examples --windows--> what the model gets --losses--> training
                                                         --compute--> scores of windows --answers--> answers, metrics
"""

import hashlib
import re
import unicodedata
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from bertwright.batches import IGNORED, Batch, Rows, Segments, SpecialTokens, framed_size, pack
from bertwright.config import ModelConfig, ReadingSettings, TricksSettings
from bertwright.errors import UserError
from bertwright.model.heads import EncoderModel
from bertwright.tasks.losses import class_loss, symmetric_divergence
from bertwright.tokenizer import Tokenizer

Forward = Callable[..., Tensor]

MOST_WRONG = 25
"""How many of the most confident mistakes are kept for the report."""

_SIGN = re.compile(r"(?![-.]\d)[^\w\s+]")
"""What may be punctuation; not the sign or the point of a number."""

DISAGREEMENT = "disagreement"
"""The loss of R-Drop."""

COMPUTED_TOKENS = 2048
"""Tokens that are computed at once in prediction, about: more are slower on CPUs, whose caches they leave."""


@dataclass(frozen=True, kw_only=True)
class Example:
    """One text, or two, with what is right about it or without."""

    id: str
    file: str
    line: int
    texts: tuple[str, ...]
    label: Any = None
    """What is right, as it stands in the file; None where it is not known."""
    columns: dict[str, str]
    """The row of the table that it came from; else empty."""
    json: str = ""
    """The line that it came from, if that is JSON and is to be written again with an answer."""


@dataclass(frozen=True)
class Window:
    """What the model sees at once of an example: all of it, if it is not too long."""

    example: int
    """Number of the example."""
    segments: Segments
    target: Any = IGNORED
    """What is right for the sequence: a class, a number, or a 0 or 1 for each class."""
    labels: np.ndarray | None = None
    """What is right for each token, framing tokens included, or IGNORED where nothing is asked."""
    places: np.ndarray | None = None
    """For each token that is asked, where it stands in the example: the number of its word, or its characters."""


class Task(ABC):
    """One of the four uses of an encoder.

    Attributes:
        settings: how examples are read.
        labels: names of the classes, in the order of their numbers.
        learnt: what else the training data told; it is saved with the model.
        notices: what is odd in the data, for people to read.
        ignored: examples that were left out, since their label is among the ignored ones.
        tricks: what training is to do beside the usual.
        class_weights: [C], how much an example of each class counts, where that is among them.
    """

    loss: str
    """What the loss is called in the log."""

    def __init__(
        self, settings: ReadingSettings, labels: list[str] | None = None, learnt: dict[str, Any] | None = None
    ) -> None:
        self.settings = settings
        self.labels = labels or []
        self.learnt = learnt or {}
        self.notices: list[str] = []
        self.ignored = 0
        self.tricks = TricksSettings()
        self.class_weights: Tensor | None = None

    @property
    def numbers(self) -> dict[str, int]:
        """Of the classes, by their names."""
        return {label: number for number, label in enumerate(self.labels)}

    @abstractmethod
    def read(self, path: Path, *, labelled: bool = True) -> Iterator[Example]:
        """Read examples in a stream.

        Raises:
            UserError: what is wrong with the file, with the line.
        """

    @abstractmethod
    def learn(self, examples: Sequence[Example]) -> None:
        """Learn from the training examples which labels there are, and what else is to be known.

        Raises:
            UserError: there is nothing to learn.
        """

    @abstractmethod
    def check(self, examples: Sequence[Example]) -> None:
        """See that the examples have no label that is not known.

        Raises:
            UserError: one has; with file and line.
        """

    def measure(self, examples: Sequence[Example]) -> None:
        """Learn what may come from no other examples than those that are trained on."""
        del examples

    @abstractmethod
    def windows(
        self, tokenizer: Tokenizer, special: SpecialTokens, examples: Sequence[Example], length: int
    ) -> list[Window]:
        """The windows of examples, each at most `length` tokens long; those of one example follow each other."""

    @abstractmethod
    def model(self, config: ModelConfig, pooling: str) -> EncoderModel:
        """An encoder with a fresh head."""

    @abstractmethod
    def purpose(self, config: ModelConfig, pooling: str) -> str:
        """What the model is read as by `transformers`: a key of the architectures of hub.FAMILIES."""

    @abstractmethod
    def loss_sum(self, logits: Tensor, batch: Batch) -> Tensor:
        """The loss, summed over what is asked in a batch."""

    @abstractmethod
    def count(self, rows: Rows) -> int:
        """How much is asked in rows."""

    @abstractmethod
    def answers(self, examples: Sequence[Example], windows: Sequence[Window], scores: list[np.ndarray]) -> list[Any]:
        """An answer for each example, out of the scores of its windows (see `compute`)."""

    @abstractmethod
    def scores(self, examples: Sequence[Example], answers: list[Any]) -> dict[str, Any]:
        """The official metrics under "metrics", and what is to be looked at."""

    @abstractmethod
    def combined(self, of_models: Sequence[Sequence[Any]], weights: Sequence[float]) -> list[Any]:
        """One answer for each example, out of those of several models, whose weights sum to 1."""

    def best_threshold(self, examples: Sequence[Example], answers: Sequence[Any], metric: str) -> float:
        """How far answers are to be shifted for the best value of a metric; 0 where nothing can be."""
        del examples, answers, metric
        return 0.0

    def shifted(self, answers: Sequence[Any], threshold: float) -> list[Any]:
        """Answers for which another threshold holds: they decide as the old ones do at this one."""
        del threshold
        return list(answers)

    @abstractmethod
    def packed(self, answer: Any) -> Any:
        """An answer as JSON."""

    @abstractmethod
    def unpacked(self, packed: Any) -> Any:
        """The answer that was packed."""

    @abstractmethod
    def told(self, example: Example, answer: Any) -> dict[str, Any]:
        """An answer in words, for a row of a table."""

    @property
    @abstractmethod
    def metric_names(self) -> tuple[str, ...]:
        """The metrics that can choose the best checkpoint; the first one does unless another one is asked for."""

    def group(self, example: Example) -> str:
        """What examples have in common that must not be parted when some are held out."""
        return "\0".join(example.texts)

    def key(self, example: Example) -> str:
        """Equal for examples that are the same but for case, white space and punctuation."""
        return "\0".join(_bare(text.lower()) for text in example.texts)

    def parts(self, line: str) -> list[str]:
        """The texts of an example that is written in one line."""
        return [line]

    def example(self, *texts: str) -> Example:
        """An example of these texts, not from a file."""
        return Example(id="", file="", line=0, texts=texts, columns={})

    @property
    def problem(self) -> str | None:
        """Of a classifier: its problem_type in `transformers`."""
        return None

    def settle(self, examples: Sequence[Example], answers: list[Any]) -> None:
        """Choose what is to be chosen by the development examples, after training."""
        del examples, answers

    def trained_on(self, windows: list[Window]) -> list[Window]:
        """Those windows that training is to see."""
        return windows

    def class_counts(self, examples: Sequence[Example]) -> np.ndarray | None:
        """How often each class is right in labelled examples, [C]; None where the labels are no classes."""
        del examples
        return None

    def use(self, tricks: TricksSettings, examples: Sequence[Example]) -> None:
        """Train with tricks.

        Args:
            tricks: of the recipe.
            examples: of the training data.

        Raises:
            UserError: some of them are for classes, and the labels are none.
        """
        self.tricks = tricks
        of_classes = ("label_smoothing", "focal", "class_weights")
        asked = [name for name in of_classes if name in tricks.model_dump(exclude_defaults=True)]
        if not asked:
            return
        counts = self.class_counts(examples)
        if counts is None:
            raise UserError(
                f"tricks.{asked[0]} is set, but what is asked here is no class among several",
                expected="a class for each text, pair or word",
                advice=f"leave out tricks.{asked[0]}",
            )
        if tricks.class_weights == "balanced":
            weights = counts.sum() / (np.count_nonzero(counts) * np.maximum(counts, 1))
            self.class_weights = torch.tensor(weights, dtype=torch.float32)

    def class_loss(self, logits: Tensor, wanted: Tensor) -> Tensor:
        """Cross-entropy as the tricks shape it, summed: logits [N, C], right classes [N] -> []."""
        smoothing, focal = self.tricks.label_smoothing, self.tricks.focal
        return class_loss(logits, wanted, smoothing=smoothing, focal=focal, weights=self.class_weights)

    def losses(self, forward: Forward, batch: Batch) -> dict[str, Tensor]:
        """The losses of a batch: that of the task, and how far two passes disagree, where that is asked for."""
        passes = [self._by_dropout(forward(*batch.asked).float()) for _ in range(2 if self.tricks.r_drop else 1)]
        every = [self.loss_sum(logits, batch) for logits in chain(*passes)]
        found = {self.loss: torch.stack(every).mean()}
        if self.tricks.r_drop:
            found[DISAGREEMENT] = self.disagreement(passes[0][0], passes[1][0], batch)
        return found

    def _by_dropout(self, logits: Tensor) -> tuple[Tensor, ...]:
        """The logits of each dropout before the last layer, of which there may be several (see heads)."""
        return logits.unbind() if self.tricks.dropout_samples > 1 else (logits,)

    def disagreement(self, one: Tensor, other: Tensor, batch: Batch) -> Tensor:
        """How far the logits of two passes disagree, summed over what is asked in a batch."""
        del batch
        return symmetric_divergence(one.log_softmax(dim=-1), other.log_softmax(dim=-1))

    def counts(self, rows: Rows) -> dict[str, int]:
        """Over how much each loss is a sum."""
        return dict.fromkeys(self.weights, self.count(rows))

    @property
    def weights(self) -> dict[str, float]:
        """Of each loss in the total."""
        return {self.loss: 1.0, **({DISAGREEMENT: self.tricks.r_drop} if self.tricks.r_drop else {})}


def read_all(task: Task, path: Path, *, labelled: bool = True) -> list[Example]:
    """The examples of a file.

    Raises:
        UserError: what is wrong with the file; an id occurs twice; or all examples are left out.
    """
    lines: dict[str, int] = {}
    examples = []
    for example in task.read(path, labelled=labelled):
        if (first := lines.setdefault(example.id, example.line)) != example.line:
            raise UserError(
                f"the id {example.id!r} occurs a second time, first in line {first}",
                file=path,
                line=example.line,
                expected="an id of its own for each example",
                advice="give it one, or name another column by data.id_column",
            )
        examples.append(example)
    if not examples:
        raise UserError(
            "no example is left: all have an ignored label",
            file=path,
            expected="at least one example",
            advice="check data.ignored_labels",
        )
    return examples


def _bare(text: str) -> str:
    """A text without punctuation and white space; one that is nothing else stays as it is."""

    def kept(sign: re.Match[str]) -> str:
        category = unicodedata.category(sign[0])
        return sign[0] if category == "So" or category.startswith("M") else ""  # emoji; vowel signs and accents

    return "".join(_SIGN.sub(kept, text).split()) or text.strip()


def drawn(examples: Sequence[Example], key: Callable[[Example], str], most: int) -> list[Example]:
    """So many of the examples at most, in their order, chosen by a hash of their keys."""
    places = [hashlib.blake2b(key(example).encode(), digest_size=8).digest() for example in examples]
    chosen = sorted(sorted(range(len(examples)), key=places.__getitem__)[:most])
    return [examples[number] for number in chosen]


def lay_out(
    windows: Sequence[Window], special: SpecialTokens, *, length: int, samples: np.ndarray, share_rows: bool = True
) -> Rows:
    """Windows in rows of `length` tokens; `samples` are their numbers."""
    labels = [window.labels for window in windows if window.labels is not None]
    assert len(labels) in (0, len(windows))
    return pack(
        [window.segments for window in windows],
        special,
        length=length,
        sample_ids=samples,
        sequence_labels=np.array([window.target for window in windows]),
        labels=labels or None,
        share_rows=share_rows,
    )


def compute(
    forward: Forward, windows: Sequence[Window], special: SpecialTokens, device: torch.device
) -> list[np.ndarray]:
    """The model's scores for each window, float32: [C], or [N, C] where N tokens are asked.

    Windows of like length are computed together, each in a row of its own, just long enough for the longest of them.
    """
    sizes = np.array([framed_size(window.segments, special) for window in windows], dtype=np.int64)
    scores: list[np.ndarray] = [np.empty(0)] * len(windows)
    order, begin = np.argsort(-sizes, kind="stable"), 0
    with torch.inference_mode():
        while begin < len(order):
            length = int(sizes[order[begin]])
            chosen = order[begin : begin + max(1, COMPUTED_TOKENS // length)]
            begin += len(chosen)
            together = [windows[number] for number in chosen]
            rows = lay_out(together, special, length=length, samples=chosen, share_rows=False)
            found = forward(*rows.batch(device).asked).float().cpu().numpy()
            if windows[chosen[0]].labels is not None:  # the asked tokens stand in the order of their sequences
                asked = rows.sequence_ids.ravel()[np.flatnonzero(rows.labels != IGNORED)]
                found = np.split(found, np.searchsorted(asked, np.arange(2, len(chosen) + 1)))
            for number, each in zip(rows.sample_ids, found, strict=True):
                scores[number] = each
    return scores


def spans(size: int, room: int, overlap: int = 0) -> list[tuple[int, int]]:
    """Where the windows of a text of `size` tokens begin and end, if `room` of them fit into one.

    Each overlaps with the one before by `overlap` tokens at least, and the last one is as long as the others, so that
    its tokens, too, have a context.
    """
    assert 0 <= overlap < room
    if size <= room:
        return [(0, size)]
    begins = [*range(0, size - room, room - overlap), size - room]
    return [(begin, begin + room) for begin in begins]


def of_examples(windows: Sequence[Window], count: int) -> list[list[int]]:
    """The numbers of the windows of each of `count` examples."""
    found: list[list[int]] = [[] for _ in range(count)]
    for number, window in enumerate(windows):
        found[window.example].append(number)
    return found


def num_windowed(windows: Sequence[Window]) -> int:
    """How many examples are longer than the model reads at once."""
    _, counts = np.unique([window.example for window in windows], return_counts=True)
    return int((counts > 1).sum())
