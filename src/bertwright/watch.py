"""What a training should tell its user while there is time: that it learns nothing, or that its gradients explode."""

import math
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

PATIENCE = 0.25
"""Share of a run after which a loss that only frequencies explain is worth a word."""

NEAR = 0.05
"""Nats: a held-out loss that is no further below the unigram entropy knows no more than frequencies."""

EXPLODES = 20.0
"""A gradient so many times as long as the median of those before it."""

REMEMBERED = 100
"""Gradients that the median is taken of."""

Watch = Callable[[dict[str, Any], float], list[str]]
"""A step's record and the share of the run that is over -> what is to be told."""


def watch_first(notices: Sequence[str]) -> Watch:
    """Tell at the first step what was known before."""
    untold = list(notices)

    def watch(record: dict[str, Any], _: float) -> list[str]:
        told = untold.copy()
        untold.clear()
        return told

    return watch


def watch_gradients() -> Watch:
    """Tell of gradients far longer than those before; once, until a hundred steps have passed without one."""
    norms: deque[float] = deque(maxlen=REMEMBERED)
    quiet_until = 0

    def watch(record: dict[str, Any], _: float) -> list[str]:
        nonlocal quiet_until
        norm, step = record["gradient_norm"], record["step"]
        usual = float(np.median(norms)) if len(norms) >= REMEMBERED // 5 else math.inf
        norms.append(norm)
        if norm <= EXPLODES * usual:
            return []
        told, quiet_until = step >= quiet_until, step + REMEMBERED
        return [
            f"the gradient of step {step} (samples {record['sample_ids']}) is {norm:.3g} long, those before it "
            f"{usual:.3g}: a lower learning rate or a longer warm-up helps, and a look at these samples"
        ] * told

    return watch


def watch_plateau(unigram_entropy: float, ways_out: Sequence[str]) -> Watch:
    """Tell once of a held-out loss of masked tokens that stays where frequencies alone lead.

    Args:
        unigram_entropy: nats, of the training side.
        ways_out: settings with which a small encoder leaves the plateau sooner; maybe none.
    """
    advice = (
        f"small encoders leave it soonest with {' and '.join(ways_out)}" if ways_out else "learning rates may be off"
    )

    told = False

    def watch(record: dict[str, Any], share: float) -> list[str]:
        nonlocal told
        loss = record.get("evaluation", {}).get("masked_tokens")
        if told or loss is None or share < PATIENCE or loss < unigram_entropy - NEAR:
            return []
        told = True
        return [
            f"after {share:.0%} of the run the held-out loss is {loss:.2f}, and frequencies alone give "
            f"{unigram_entropy:.2f}: nothing is learnt from context yet; {advice}"
        ]

    return watch
