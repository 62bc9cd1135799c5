import math

import pytest

from bertwright.report import numbers


def test_interval_of_a_share_is_the_textbook_one() -> None:
    # p = .5, n = 100: the standard error is .05.
    assert numbers.half_interval(0.5, 100) == pytest.approx(0.098, abs=1e-4)
    assert numbers.half_interval(1.0, 100) == 0.0


def test_interval_of_a_difference_adds_the_variances() -> None:
    alone = numbers.half_interval(0.5, 100)
    assert numbers.half_interval_of_difference(0.5, 0.5, 100) == pytest.approx(alone * math.sqrt(2))


@pytest.mark.parametrize(
    ("value", "expected"),
    [(1, 1.0), (0.25, 0.25), (None, None), (math.nan, None), (math.inf, None), ("3", None)],
)
def test_only_numbers_are_finite(value: object, expected: float | None) -> None:
    assert numbers.finite(value) == expected


def test_numbers_as_people_read_them() -> None:
    assert numbers.mean_and_deviation([0.6, 0.62, 0.64]) == "62.0 ± 2.0"
    assert numbers.mean_and_deviation([0.61234]) == "61.2"
    assert numbers.number(1234567) == "1,234,567"
    assert numbers.number(8.7449, 2) == "8.74"
    assert numbers.number(-0.0123) == "−0.012"
    assert numbers.number(-0.0004) == "0.000"
    assert numbers.number(math.nan) == "–"
    assert numbers.percent(0.7834) == "78.3%"
    assert numbers.percent(None) == "–"
    assert numbers.points(-0.0123) == "−1.2"
    assert numbers.points(0.094) == "+9.4"
    assert numbers.short(4812345) == "4.81 M"
    assert numbers.short(1.571e12) == "1.57 T"
    assert numbers.short(999) == "999"


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(5.14, "5.1 s"), (32.4, "32 s"), (59.7, "1 min 0 s"), (312.4, "5 min 12 s"), (7260, "2 h 1 min")],
)
def test_durations(seconds: float, expected: str) -> None:
    assert numbers.duration(seconds) == expected
