"""The section of slide 69: which tokens lie close, without context and in it."""

import math
from typing import Any

from bertwright.report.blocks import Block, Paragraph, Section, Slides, Table
from bertwright.report.charts import AXIS, BASE, Chart, plain
from bertwright.report.phrases import Say
from bertwright.report.sources import Source, sections_of

COLOURS = ("--blue", "--orange", "--green", "--purple")
"""Of a word's senses; with more than four they repeat."""

COLUMNS = 3
"""Panels side by side, one for each word."""

LINE = 0.13
"""Height of a line of text above a panel, in panels."""


def embedding_sections(sources: list[Source], say: Say) -> list[Section]:
    """One section for every such result."""
    return sections_of(sources, "embeddings", say("Which tokens lie close"), lambda each: _blocks(each, say))


def _blocks(result: dict[str, Any], say: Say) -> list[Block]:
    if not result["words"]:
        return [Paragraph(say("The vocabulary of {model}.", model=result["model"])), _static(result, say)]
    size = 2.4 * max(abs(value) for places in result["maps"] for place in places for value in place)
    frames = [occurrence_traces(result["occurrences"], places, size) for places in result["maps"]]
    start = result["layer"]
    rows = math.ceil(len(_by_word(result["occurrences"])) / COLUMNS)
    chart: Chart = {"data": frames[start], "layout": _map_layout(result["occurrences"], size)}
    moved = [[{"x": trace["x"], "y": trace["y"]} for trace in frame] for frame in frames]
    caption = say(
        "A point is an occurrence of a word, its colour the sense. Of each word one sees the two directions in which "
        "its vectors differ most, at every layer to the same scale. Layer 0 are the embeddings: one vector for a word, "
        "but for its position."
    )
    return [
        Paragraph(
            say(
                "The words' occurrences as {model} sees them, layer by layer; layer {layer} tells the senses apart "
                "best.",
                model=result["model"],
                layer=str(start),
            )
        ),
        Slides(
            chart,
            frames=moved,
            labels=[str(number) for number in range(len(frames))],
            start=start,
            name=say("layer"),
            summary=say("map of the occurrences"),
            caption=caption,
            height=40 + 165 * rows,
        ),
        _static(result, say),
        _senses(result, say),
    ]


def occurrence_traces(
    occurrences: list[dict[str, str]], places: list[list[float]], size: float
) -> list[dict[str, Any]]:
    """Points of every sense of every word, a panel for each word, then the words and senses above their panels.

    Args:
        occurrences: each with "word", "group" and "text".
        places: [occurrences, 2], of each word around 0.
        size: of a panel.
    """
    words = _by_word(occurrences)
    points, names = [], []
    for panel, (word, groups) in enumerate(words.items()):
        x, y = size * (panel % COLUMNS), -_pitch(words, size) * (panel // COLUMNS)
        top = y + size * (0.5 + LINE * len(groups))
        names.append(_label(plain(word), x, top, "--ink", 13))
        for index, (group, numbers) in enumerate(groups.items()):
            colour = COLOURS[index % len(COLOURS)]
            names.append(_label(plain(group), x, top - size * LINE * (index + 1), colour, 12))
            points.append(
                {
                    "type": "scatter",
                    "mode": "markers",
                    "x": [round(x + places[number][0], 4) for number in numbers],
                    "y": [round(y + places[number][1], 4) for number in numbers],
                    "text": [plain(f"{word}, {group}: {occurrences[number]['text']}") for number in numbers],
                    "hoverinfo": "text",
                    "marker": {"color": colour, "size": 9, "opacity": 0.8},
                }
            )
    return [*points, *names]


def _by_word(occurrences: list[dict[str, str]]) -> dict[str, dict[str, list[int]]]:
    """Word -> sense -> numbers of its occurrences."""
    words: dict[str, dict[str, list[int]]] = {}
    for number, each in enumerate(occurrences):
        words.setdefault(each["word"], {}).setdefault(each["group"], []).append(number)
    return words


def _pitch(words: dict[str, dict[str, list[int]]], size: float) -> float:
    """From one row of panels to the next: a panel, and lines for a word and its senses."""
    return size * (1 + LINE * (1 + max(map(len, words.values()))))


def _label(text: str, x: float, y: float, colour: str, size: int) -> dict[str, Any]:
    font = {"color": colour, "size": size}
    return {
        "type": "scatter",
        "mode": "text",
        "x": [x],
        "y": [y],
        "text": [text],
        "textfont": font,
        "hoverinfo": "skip",
    }


def _map_layout(occurrences: list[dict[str, str]], size: float) -> dict[str, Any]:
    """Axes of one scale that stay the same at every layer: else layer 0 would look as scattered as the last."""
    words = _by_word(occurrences)
    columns, rows = min(COLUMNS, len(words)), math.ceil(len(words) / COLUMNS)
    pitch = _pitch(words, size)
    quiet = {**AXIS, "showticklabels": False, "showgrid": False, "title": {}}
    return {
        **BASE,
        "margin": {"l": 8, "r": 8, "t": 8, "b": 8},
        "showlegend": False,
        "hovermode": "closest",
        "xaxis": {**quiet, "range": [-size / 2, size * (columns - 0.5)]},
        "yaxis": {**quiet, "range": [-pitch * (rows - 1) - size / 2, pitch - size / 2], "scaleanchor": "x"},
    }


def _static(result: dict[str, Any], say: Say) -> Table:
    rows = [[word["word"], _listed(word["static"])] for word in result["words"]]
    rows += [[token["token"], _listed(token["static"])] for token in result["tokens"]]
    note = say("By the cosine of their rows in the embedding table: one vector for each token, whatever the sentence.")
    return Table([say("word"), say("nearest tokens of the vocabulary")], rows, [False, False], note)


def _senses(result: dict[str, Any], say: Say) -> Table:
    rows = [
        [word["word"], sense["group"], _listed(sense["neighbours"])]
        for word in result["words"]
        for sense in word["senses"]
    ]
    note = say(
        "Tokens of all sentences whose vectors at layer {layer} are nearest to the mean vector of the sense.",
        layer=str(result["layer"]),
    )
    return Table([say("word"), say("sense"), say("nearest tokens in context")], rows, [False] * 3, note)


def _listed(neighbours: list[tuple[str, float]]) -> str:
    return ", ".join(f"{token} {cosine:.2f}" for token, cosine in neighbours)
