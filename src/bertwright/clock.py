"""How much of a run is over, by steps or by the time that it has taken."""

import math
import time

from bertwright.config import TrainSettings
from bertwright.processes import Processes

EVALUATION_SHARE = 0.05
"""Of the minutes of a run, spent on evaluations at most; the first and the last one are always made."""


class Clock:
    """How much of a run is over: by steps, or by the time that it has run, over all its resumptions."""

    def __init__(self, settings: TrainSettings, batches_per_epoch: int, seconds: float, processes: Processes) -> None:
        self.seconds = seconds
        """That the run had taken when the clock was read."""
        self._begin = time.perf_counter() - seconds
        self._processes = processes
        self._limit = settings.minutes * 60 if settings.minutes else None
        epochs = settings.epochs or 0
        self._steps = settings.steps or math.ceil(epochs * batches_per_epoch)
        per_evaluation = max(1, batches_per_epoch if settings.epochs else self._steps // 10)
        self._evaluate_every = settings.evaluate_every or (0 if self._limit else per_evaluation)

    def read(self, stop: bool) -> bool:
        """Read the first process's time; whether any process was asked to stop."""
        seconds = time.perf_counter() - self._begin if self._processes.leads else 0.0
        self.seconds, stops = self._processes.sum([seconds, float(stop)])
        return stops > 0

    def progress(self, step: int) -> float:
        """Share of the run that is over after `step` steps."""
        return self.seconds / self._limit if self._limit else step / self._steps

    def middle_of(self, step: int) -> float:
        """Where in the run the step lies that begins now."""
        return min(1.0, self.seconds / self._limit) if self._limit else (step + 0.5) / self._steps

    def evaluations_due(self, step: int, evaluation_seconds: float) -> int:
        """How many evaluations should have been made by now: by the clock, they take a small share of it.

        Args:
            step: that the run is at.
            evaluation_seconds: that the last one took.
        """
        if self._evaluate_every:
            return step // self._evaluate_every
        assert self._limit is not None
        affordable = EVALUATION_SHARE * self._limit / max(evaluation_seconds, 1e-9)
        return int(min(10, affordable) * self.seconds / self._limit)
