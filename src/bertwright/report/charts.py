"""Charts as plain plotly figures: {"data": [...], "layout": {...}}.

Nothing of plotly is imported: page.js hands these to plotly.js. A colour is the name of a CSS variable ("--blue"); the
page puts in what the variable stands for in the light or the dark look. Every number is finite or None (a gap).
"""

import html
import math
from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import Any

from bertwright.report.numbers import finite

Chart = dict[str, Any]
Numbers = Sequence[float | None]

MAX_POINTS = 1200
"""Points of a curve at most: more than a screen has pixels only makes the page heavy."""

BASE: dict[str, Any] = {
    "font": {"size": 13, "color": "--ink"},
    "paper_bgcolor": "--card",
    "plot_bgcolor": "--card",
    "margin": {"l": 8, "r": 14, "t": 48, "b": 8},
    "hoverlabel": {"bgcolor": "--card", "bordercolor": "--rule", "font": {"color": "--ink"}},
    "legend": {"orientation": "h", "x": 0, "xanchor": "left", "y": 1.0, "yanchor": "bottom", "bgcolor": "--clear"},
}

AXIS: dict[str, Any] = {
    "gridcolor": "--rule",
    "linecolor": "--rule",
    "zeroline": False,
    "automargin": True,
    "tickfont": {"color": "--muted", "size": 12},
    "title": {"font": {"color": "--muted", "size": 12}, "standoff": 8},
}


def axis(title: str = "", **more: Any) -> dict[str, Any]:
    """A quiet axis with a title."""
    return {**AXIS, "title": {**AXIS["title"], "text": plain(title)}, **more}


def plain(text: str) -> str:
    """A text that plotly draws as it stands: unescaped, it would take <b> and the like for formatting."""
    return html.escape(text, quote=False)


def line(xs: Numbers, ys: Numbers, name: str, colour: str, **more: Any) -> dict[str, Any]:
    """A curve; `dash`, `width`, `mode` and other entries of a plotly trace may be added."""
    style = {"color": colour, "width": more.pop("width", 2), "dash": more.pop("dash", "solid")}
    return {
        "type": "scatter",
        "mode": "lines" if len(xs) > 1 else "markers",
        "x": list(xs),
        "y": list(ys),
        "name": plain(name),
        "line": style,
        **more,
    }


def smooth(values: Numbers, share: float = 0.03) -> list[float | None]:
    """Centred moving mean over a share of the values (one that looks back only would lag behind a falling loss).

    At the beginning, where a loss falls fast, the window is narrower on both sides; at the end it is cut on one side.

    A gap stays a gap, and is left out of its neighbours' means.
    """
    half = max(1, math.ceil(len(values) * share / 2))
    sums, counts = [0.0], [0]
    for value in values:
        sums.append(sums[-1] + (value or 0.0))
        counts.append(counts[-1] + (value is not None))
    means: list[float | None] = []
    for index, value in enumerate(values):
        begin, end = index - min(half, index), min(index + min(half, index) + 1, len(values))
        means.append(None if value is None else (sums[end] - sums[begin]) / (counts[end] - counts[begin]))
    return means


def thin(xs: Sequence[float], ys: Numbers, most: int = MAX_POINTS) -> tuple[list[float], list[float | None]]:
    """Fewer points of a long curve: the mean of every few neighbours, at the last one's x."""
    size = math.ceil(len(xs) / most)
    if size <= 1:
        return list(xs), list(ys)
    thin_xs, thin_ys = [], []
    for begin in range(0, len(xs), size):
        known = [y for y in ys[begin : begin + size] if y is not None]
        thin_xs.append(xs[min(begin + size, len(xs)) - 1])
        thin_ys.append(sum(known) / len(known) if known else None)
    return thin_xs, thin_ys


def rounded(values: Numbers, digits: int = 6) -> list[float | None]:
    """The values in so many significant digits; NaN and infinities become gaps."""
    finite_values = (finite(value) for value in values)
    return [None if value is None else float(f"{value:.{digits}g}") for value in finite_values]


# ---------------------------------------------------------------------------------------------- the charts


def loss_curve(
    steps: Sequence[float],
    losses: Numbers,
    evaluated: tuple[Sequence[float], Numbers],
    references: list[tuple[str, float]],
    names: dict[str, str],
) -> Chart:
    """A loss over the steps: each step faintly, smoothed on top, held-out points, and horizontal reference lines.

    Args:
        steps: [S].
        losses: [S].
        evaluated: steps and losses of the held-out evaluations.
        references: label and height of each horizontal line.
        names: what "step", "every step", "smoothed" and "held out" are called.
    """
    losses = rounded(losses)
    raw, smoothed = thin(steps, losses), thin(steps, rounded(smooth(losses)))
    data = [
        line(*raw, names["every step"], "--blue", width=1, opacity=0.3, hoverinfo="skip"),
        line(*smoothed, names["smoothed"], "--blue", width=2.5),
    ]
    if evaluated[0]:
        marker = {"size": 9, "color": "--orange", "symbol": "diamond", "line": {"width": 1, "color": "--card"}}
        held_out = line(
            evaluated[0], rounded(evaluated[1]), names["held out"], "--orange", dash="dot", mode="lines+markers"
        )
        data.append({**held_out, "marker": marker})
    layout = {
        **BASE,
        "hovermode": "x unified",
        "xaxis": axis(names["step"], rangemode="tozero", hoverformat=",d"),
        "yaxis": axis(names["loss"], hoverformat=".3f", nticks=7),
        "shapes": [_level(height) for _, height in references],
        "annotations": [_level_label(label, height) for label, height in references],
    }
    return {"data": data, "layout": layout}


def _level(height: float) -> dict[str, Any]:
    style = {"color": "--ink", "width": 1.2, "dash": "dash"}
    return {
        "type": "line",
        "xref": "paper",
        "x0": 0,
        "x1": 1,
        "y0": height,
        "y1": height,
        "line": style,
        "opacity": 0.65,
    }


def _level_label(label: str, height: float) -> dict[str, Any]:
    return {
        "text": plain(label),
        "xref": "paper",
        "x": 1,
        "xanchor": "right",
        "y": height,
        "yanchor": "bottom",
        "showarrow": False,
        "font": {"size": 12, "color": "--ink"},
    }


def rates(steps: Sequence[float], upper: Numbers, lower: Numbers, names: tuple[str, str, str]) -> Chart:
    """Two small panels over the same steps: learning rate above, tokens per second below.

    Args:
        steps: [S].
        upper: [S].
        lower: [S]; drawn smoothed, as single steps are uneven.
        names: of the steps, of `upper` and of `lower`.
    """
    speed = rounded(lower)
    data = [
        line(*thin(steps, rounded(upper)), names[1], "--green"),
        line(*thin(steps, speed), names[2], "--purple", width=1, opacity=0.3, yaxis="y2", hoverinfo="skip"),
        line(*thin(steps, rounded(smooth(speed))), names[2], "--purple", yaxis="y2"),
    ]
    layout = {
        **BASE,
        "margin": {**BASE["margin"], "t": 28},
        "showlegend": False,
        "hovermode": "x unified",
        "xaxis": axis(names[0], rangemode="tozero", anchor="y2", hoverformat=",d"),
        "yaxis": axis(domain=[0.6, 1.0], rangemode="tozero", nticks=4, hoverformat=".3g", exponentformat="e"),
        "yaxis2": axis(domain=[0.0, 0.4], rangemode="tozero", nticks=4, hoverformat=",.0f"),
        "annotations": [panel_title(names[1], 1.0), panel_title(names[2], 0.4)],
    }
    return {"data": data, "layout": layout}


def panel_title(text: str, top: float) -> dict[str, Any]:
    """A heading at the left, above one of several panels; `top` is where it ends, as a share of the height."""
    place = {"xref": "paper", "yref": "paper", "x": 0, "y": top, "xanchor": "left", "yanchor": "bottom"}
    return {**place, "text": plain(text), "showarrow": False, "font": {"size": 12, "color": "--muted"}}


def score_bars(bars: list[tuple[str, float, float | None, str]], title: str) -> Chart:
    """Shares as horizontal bars, the first on top, each with its interval and its value beside it.

    Args:
        bars: name, share, half the interval (None: without), colour.
        title: of the axis.
    """
    names = [plain(name) for name, *_ in bars]
    shares = [100 * share for _, share, *_ in bars]
    halves = [None if half is None else 100 * half for _, _, half, _ in bars]
    trace = {
        "type": "bar",
        "orientation": "h",
        "x": rounded(shares),
        "y": names,
        "width": 0.62,
        "marker": {"color": [colour for *_, colour in bars]},
        "error_x": {"type": "data", "array": rounded(halves), "color": "--ink", "thickness": 1.5, "width": 5},
        "hoverinfo": "skip",
    }
    values = [
        {
            "x": share + (half or 0.0),
            "y": name,
            "text": f"<b>{share:.1f}%</b>",
            "xanchor": "left",
            "xshift": 8,
            "showarrow": False,
            "font": {"size": 14, "color": "--ink"},
        }
        for name, share, half in zip(names, shares, halves, strict=True)
    ]
    ticks = (0, 25, 50, 75, 100)
    layout = {
        **BASE,
        "margin": {**BASE["margin"], "t": 8},
        "bargap": 0.3,
        "xaxis": axis(title, range=[0, 118], tickvals=ticks, ticktext=[f"{tick}%" for tick in ticks], fixedrange=True),
        "yaxis": axis(
            autorange="reversed",
            fixedrange=True,
            showgrid=False,
            tickfont={"size": 13, "color": "--ink"},
            ticklabelstandoff=6,
        ),
        "annotations": values,
    }
    return {"data": [trace], "layout": layout}


def spread_points(rows: Sequence[tuple[str, Numbers, float]], title: str, names: tuple[str, str]) -> Chart:
    """For each name a point for each value, and a larger one for what they are of together.

    Args:
        rows: name, values, and the value of all together; the first one stands at the top.
        title: of the axis of values.
        names: what the small and the large points are called.
    """
    small = [(value, name) for name, values, _ in rows for value in rounded(values) if value is not None]
    style: dict[str, Any] = {"type": "scatter", "mode": "markers"}
    data = [
        {
            **style,
            "x": [value for value, _ in small],
            "y": [plain(name) for _, name in small],
            "name": plain(names[0]),
            "marker": {"color": "--blue", "size": 8, "opacity": 0.45},
        },
        {
            **style,
            "x": rounded([value for _, _, value in rows]),
            "y": [plain(name) for name, _, _ in rows],
            "name": plain(names[1]),
            "marker": {"color": "--orange", "size": 13, "symbol": "diamond"},
        },
    ]
    return {
        "data": data,
        "layout": {**BASE, "xaxis": axis(title), "yaxis": axis(autorange="reversed", type="category")},
    }


def learning_curves(curves: list[dict[str, Any]], names: dict[str, str]) -> Chart:
    """Two panels over the same axis: the training loss of several runs above, their development scores below.

    Args:
        curves: each {"name", "colour", "dash", "x", "loss", "score_x", "score"}; lists of equal length in pairs.
        names: what "x", "loss" and "score" are called.
    """
    data = []
    scores = [score for curve in curves for score in rounded(curve["score"]) if score is not None]
    for curve in curves:
        shared = {"dash": curve["dash"], "legendgroup": curve["name"]}
        losses = rounded(curve["loss"])
        raw, smoothed = thin(curve["x"], losses), thin(curve["x"], rounded(smooth(losses)))
        faint = {"width": 1, "opacity": 0.22, "showlegend": False, "hoverinfo": "skip", "legendgroup": curve["name"]}
        data += [
            line(*raw, curve["name"], curve["colour"], **faint),
            line(*smoothed, curve["name"], curve["colour"], width=2.5, **shared),
            {
                **line(curve["score_x"], rounded(curve["score"]), curve["name"], curve["colour"], **shared),
                "mode": "lines+markers",
                "marker": {"size": 7, "color": curve["colour"]},
                "yaxis": "y2",
                "showlegend": False,
            },
        ]
    layout = {
        **BASE,
        "margin": {**BASE["margin"], "t": 56},
        "hovermode": "x",
        "showlegend": len(curves) > 1,
        "legend": {**BASE["legend"], "y": 1.07},
        "xaxis": axis(names["x"], rangemode="tozero", anchor="y2", hoverformat=".2~f"),
        "yaxis": axis(domain=[0.57, 1.0], rangemode="tozero", hoverformat=".3f", nticks=5),
        "yaxis2": axis(domain=[0.0, 0.43], range=around(scores), tickformat=".0%", hoverformat=".1%", nticks=5),
        "annotations": [panel_title(names["loss"], 1.0), panel_title(names["score"], 0.43)],
    }
    return {"data": data, "layout": layout}


def around(shares: list[float]) -> list[float]:
    """A range of an axis that holds all shares, with some room; all of it where there are none."""
    return [max(0.0, min(shares) - 0.03), min(1.01, max(shares) + 0.03)] if shares else [0.0, 1.0]


SHORT_LABEL = 10
"""Characters of a label that leaves room for the chart on a narrow screen, too."""


def heat_map(frames: Sequence[Sequence[Numbers]], start: int, labels: Sequence[str], blocks: Sequence[int]) -> Chart:
    """A square of similarities, the first row on top, with blocks along the diagonal outlined.

    Args:
        frames: [F, S, S]; the colours are of one scale in all of them, so that they can be compared.
        start: the number of the one that is shown.
        labels: [S], of the rows; numbers stand in their place for the columns, and, if they are long, on a narrow
            screen.
        blocks: sizes of the blocks; they add up to S.
    """
    every = [value for frame in frames for row in frame for value in row if value is not None]
    count = len(labels)
    numbers = [str(number) for number in range(1, count + 1)]
    cuts = list(accumulate(blocks, initial=0))
    trace = {
        "type": "heatmap",
        "z": [rounded(row, 4) for row in frames[start]],
        "zmin": min(every),
        "zmax": max(every),
        "colorscale": [[0, "--card"], [1, "--blue"]],
        "xgap": 1,
        "ygap": 1,
        "hovertemplate": "%{x} × %{y}: %{z:.3f}<extra></extra>",
        "colorbar": {"thickness": 10, "tickfont": {"color": "--muted", "size": 11}, "outlinewidth": 0, "x": 1.0},
    }
    places, apart = list(range(count)), -(-count // 10)
    ticks: dict[str, Any] = {"tickvals": places, "showgrid": False, "fixedrange": True}
    layout = {
        **BASE,
        "margin": {**BASE["margin"], "t": 14},
        "meta": {
            "narrow": {
                "xaxis": {"tickvals": places[::apart], "ticktext": numbers[::apart]},
                "yaxis": {"ticktext": numbers} if max(map(len, labels)) > SHORT_LABEL else {},
            }
        },
        "xaxis": axis(ticktext=numbers, **ticks),
        "yaxis": axis(autorange="reversed", ticktext=[plain(label) for label in labels], **ticks),
        "shapes": [
            {
                "type": "rect",
                **dict.fromkeys(("x0", "y0"), begin - 0.5),
                **dict.fromkeys(("x1", "y1"), end - 0.5),
                "line": {"color": "--orange", "width": 2.5},
            }
            for begin, end in pairwise(cuts)
        ],
    }
    return {"data": [trace], "layout": layout}


def histogram(edges: Numbers, counts: Numbers, names: tuple[str, str], marks: list[tuple[str, float]]) -> Chart:
    """Counts between neighbouring edges.

    Args:
        edges: [B + 1].
        counts: [B].
        names: of the axis of the edges and of the counts.
        marks: label and place of vertical lines.
    """
    pairs = [(finite(low) or 0.0, finite(high) or 0.0) for low, high in pairwise(edges)]
    trace = {
        "type": "bar",
        "x": [(low + high) / 2 for low, high in pairs],
        "width": [high - low for low, high in pairs],
        "y": rounded(counts),
        "marker": {"color": "--blue", "line": {"color": "--card", "width": 1}},
        "customdata": [[low, high] for low, high in pairs],
        "hovertemplate": "%{customdata[0]:,.0f} – %{customdata[1]:,.0f}: %{y:,}<extra></extra>",
    }
    lines = [
        {**_level(0), "xref": "x", "yref": "paper", "x0": place, "x1": place, "y0": 0, "y1": 1} for _, place in marks
    ]
    labels = [
        {**_level_label(label, 1.0), "xref": "x", "yref": "paper", "x": place, "xanchor": "left"}
        for label, place in marks
    ]
    layout = {
        **BASE,
        "margin": {**BASE["margin"], "t": 30},
        "bargap": 0,
        "xaxis": axis(names[0], rangemode="tozero"),
        "yaxis": axis(names[1], rangemode="tozero", nticks=5),
        "shapes": lines,
        "annotations": labels,
    }
    return {"data": [trace], "layout": layout}
