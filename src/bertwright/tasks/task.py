"""What every task is made of."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor

from bertwright.batches import Rows, Segments
from bertwright.config import ModelConfig, StartSettings
from bertwright.model.heads import EncoderModel


@dataclass(frozen=True)
class Example:
    """One labelled or unlabelled text."""

    id: str
    text: str
    label: str | None
    file: str
    line: int


@dataclass(frozen=True)
class Task:
    """What distinguishes one task from another: a record of functions; `classify.py` documents their arguments."""

    read: Callable[..., list[Example]]
    label_names: Callable[[Sequence[Example]], list[str]]
    label_numbers: Callable[[Sequence[Example], list[str]], np.ndarray]
    encode: Callable[..., tuple[list[Segments], int]]
    model: Callable[[ModelConfig, int, str], EncoderModel]
    rows: Callable[..., Rows]
    losses: Callable[..., dict[str, Tensor]]
    counts: Callable[[Rows], dict[str, int]]
    probabilities: Callable[..., np.ndarray]
    scores: Callable[..., dict[str, Any]]
    criterion: str
    purpose: Callable[[ModelConfig, StartSettings], str]
