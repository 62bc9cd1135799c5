"""Numbers as people read them, and the interval of a score."""

import math
import statistics
from collections.abc import Sequence
from typing import Any

NORMAL_95 = 1.959964
"""Standard deviations on either side of the mean that hold 95% of a normal distribution."""


def finite(value: Any) -> float | None:
    """A value as a number, or None if it is none: absent, NaN or infinite."""
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None


def half_interval(share: float, count: int) -> float:
    """Half the width of the 95% interval of a share of `count` examples, by the normal approximation."""
    return NORMAL_95 * math.sqrt(max(0.0, share * (1.0 - share)) / count)


def half_interval_of_difference(first: float, second: float, count: int) -> float:
    """The same for the difference of two shares of `count` examples each, taken as independent."""
    return math.hypot(half_interval(first, count), half_interval(second, count))


def percent(share: float | None, digits: int = 1) -> str:
    """0.7834 -> 78.3%."""
    return "–" if share is None else f"{100 * share:.{digits}f}%"


def points(difference: float) -> str:
    """A difference of two shares in percentage points, with its sign: 0.092 -> +9.2."""
    return f"{100 * difference:+.1f}".replace("-", "−")


def mean_and_deviation(scores: Sequence[float]) -> str:
    """Of shares, x 100: "61.2 ± 1.9", of a single one "61.2"."""
    spread = f" ± {100 * statistics.stdev(scores):.1f}" if len(scores) > 1 else ""
    return f"{100 * statistics.mean(scores):.1f}{spread}"


def number(value: float | None, digits: int = 3) -> str:
    """A count as 1,234,567, another number with `digits` digits after the point."""
    if value is None or not math.isfinite(value):
        return "–"
    text = f"{value:,}" if isinstance(value, int) else f"{value:z,.{digits}f}"  # z: no minus before zero
    return text.replace("-", "−")


def short(value: float) -> str:
    """A large count in three digits: 4,812,345 -> 4.81 M."""
    for size, unit in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:.3g} {unit}"
    return f"{value:,.0f}"


def duration(seconds: float) -> str:
    """312.4 -> 5 min 12 s."""
    whole = round(seconds)
    hours, rest = divmod(whole, 3600)
    minutes, left = divmod(rest, 60)
    if hours:
        return f"{hours:,} h {minutes} min"
    return f"{minutes} min {left} s" if minutes else f"{seconds:.1f} s" if seconds < 10 else f"{whole} s"
