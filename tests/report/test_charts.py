import json
import math
from typing import Any

import pytest

from bertwright.report import charts

NAMES = {name: name for name in ("step", "loss", "every step", "smoothed", "held out", "x", "score")}


def test_smoothing_keeps_what_is_smooth_already() -> None:
    falling = [100.0 - step for step in range(200)]
    # A mean that looks back only would lag behind: here by half a window everywhere. At the end it may lean.
    assert charts.smooth(falling)[:-4] == pytest.approx(falling[:-4])


def test_smoothing_takes_the_noise_out() -> None:
    noisy = [2.0 + (-1) ** step for step in range(1000)]
    smoothed = charts.smooth(noisy)
    assert all(value is not None and abs(value - 2.0) < 0.1 for value in smoothed[100:])


def test_a_gap_stays_a_gap_and_spoils_no_neighbour() -> None:
    values = [1.0] * 10 + [None] + [1.0] * 10
    assert charts.smooth(values) == values


def test_smoothing_of_nothing_and_of_one_value() -> None:
    assert charts.smooth([]) == []
    assert charts.smooth([3.0]) == [3.0]


def test_long_curves_become_short_without_losing_their_level() -> None:
    steps = list(range(1, 100_001))
    xs, ys = charts.thin(steps, [5.0] * 100_000)
    assert 600 < len(xs) <= charts.MAX_POINTS
    assert len(ys) == len(xs)
    assert xs[-1] == 100_000
    assert set(ys) == {5.0}


def test_short_curves_stay_as_they_are() -> None:
    assert charts.thin([1, 2, 3], [4.0, None, 6.0]) == ([1, 2, 3], [4.0, None, 6.0])


def test_no_chart_holds_anything_but_finite_numbers_and_gaps() -> None:
    bad = [math.nan, math.inf, None, 1.0]
    steps = [1, 2, 3, 4]
    curve = {"name": "a", "colour": "--blue", "dash": "solid", "x": steps, "loss": bad, "score_x": steps, "score": bad}
    made = [
        charts.loss_curve(steps, bad, (steps, bad), [("a", 1.0)], NAMES),
        charts.rates(steps, bad, bad, ("a", "b", "c")),
        charts.learning_curves([curve], NAMES),
        charts.histogram([0, 1, 2, 3, 4], bad, ("a", "b"), [("median", 2.0)]),
    ]
    for chart in made:
        json.dumps(chart, allow_nan=False)
    assert made[0]["data"][0]["y"] == [None, None, None, 1.0]


def test_reference_lines_stand_at_their_heights_and_are_labelled() -> None:
    chart = charts.loss_curve([1, 2], [8.0, 7.0], ([], []), [("ln V", 8.7), ("entropy", 6.5)], NAMES)
    shapes, labels = chart["layout"]["shapes"], chart["layout"]["annotations"]
    assert [(shape["y0"], shape["y1"]) for shape in shapes] == [(8.7, 8.7), (6.5, 6.5)]
    assert [(label["text"], label["y"]) for label in labels] == [("ln V", 8.7), ("entropy", 6.5)]


def test_bars_carry_their_intervals() -> None:
    chart = charts.score_bars([("a", 0.75, 0.02, "--blue"), ("b", 0.5, None, "--grey")], "accuracy")
    (trace,) = chart["data"]
    assert trace["x"] == [75.0, 50.0]
    assert trace["error_x"]["array"] == [2.0, None]
    assert [note["text"] for note in chart["layout"]["annotations"]] == ["<b>75.0%</b>", "<b>50.0%</b>"]


def test_texts_are_no_formatting_for_plotly() -> None:
    evil = "<b>x</b> & <a href='y'>"
    assert evil not in json.dumps(charts.score_bars([(evil, 0.5, None, "--blue")], evil))
    assert charts.line([], [], evil, "--blue")["name"] == "&lt;b&gt;x&lt;/b&gt; &amp; &lt;a href='y'&gt;"


def colours(value: Any) -> set[str]:
    """All names of CSS variables in a chart."""
    if isinstance(value, dict):
        return set().union(*map(colours, value.values()))
    if isinstance(value, list | tuple):
        return set().union(*map(colours, value))
    return {value} if isinstance(value, str) and value.startswith("--") else set()


def test_every_colour_is_in_the_palette() -> None:
    from pathlib import Path

    style = (Path(charts.__file__).parent / "style.css").read_text(encoding="utf-8")
    curve = {"name": "a", "colour": "--blue", "dash": "solid", "x": [1], "loss": [1.0], "score_x": [1], "score": [0.5]}
    used = colours(charts.learning_curves([curve], NAMES)) | colours(charts.rates([1], [1.0], [1.0], ("a", "b", "c")))
    used |= colours(charts.loss_curve([1], [1.0], ([1], [1.0]), [("a", 1.0)], NAMES))
    assert len(used) > 5
    assert all(f"{name}:" in style for name in used)
