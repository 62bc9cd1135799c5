"""The section of slide 69: which tokens lie close, without context and in it."""

import math
from typing import Any

from bertwright.report.blocks import Block, Paragraph, Section, Slides, Table
from bertwright.report.charts import AXIS, BASE, Chart, plain
from bertwright.report.phrases import Say
from bertwright.report.sources import Source, sections_of

COLOURS = ("--blue", "--orange", "--green", "--purple")
"""Of a word's senses; with more than four they repeat."""


def embedding_sections(sources: list[Source], say: Say) -> list[Section]:
    """One section for every such result."""
    return sections_of(sources, "embeddings", say("Which tokens lie close"), lambda each: _blocks(each, say))


def _blocks(result: dict[str, Any], say: Say) -> list[Block]:
    size = 2.4 * max(abs(value) for places in result["maps"] for place in places for value in place)
    frames = [occurrence_traces(result["occurrences"], places, size) for places in result["maps"]]
    start = result["layer"]
    layout = {
        **BASE,
        "margin": {"l": 8, "r": 8, "t": 8, "b": 8},
        "showlegend": False,
        "hovermode": "closest",
        **{side: {**AXIS, "showticklabels": False, "showgrid": False, "title": {}} for side in ("xaxis", "yaxis")},
    }
    chart: Chart = {"data": frames[start], "layout": layout}
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
            height=520,
        ),
        _static(result, say),
        _senses(result, say),
    ]


def occurrence_traces(
    occurrences: list[dict[str, str]], places: list[list[float]], size: float
) -> list[dict[str, Any]]:
    """Points of every sense of every word, a panel for each word, then the words' names above their panels.

    Args:
        occurrences: each with "word", "group" and "text".
        places: [occurrences, 2], of each word around 0.
        size: of a panel.
    """
    words: dict[str, dict[str, list[int]]] = {}
    for number, each in enumerate(occurrences):
        words.setdefault(each["word"], {}).setdefault(each["group"], []).append(number)
    columns = math.ceil(math.sqrt(len(words)))
    middles = [(size * (index % columns), -size * (index // columns)) for index in range(len(words))]
    traces = []
    for (word, groups), (x, y) in zip(words.items(), middles, strict=True):
        for index, (group, numbers) in enumerate(groups.items()):
            traces.append(
                {
                    "type": "scatter",
                    "mode": "markers",
                    "x": [round(x + places[number][0], 4) for number in numbers],
                    "y": [round(y + places[number][1], 4) for number in numbers],
                    "text": [plain(f"{word}, {group}: {occurrences[number]['text']}") for number in numbers],
                    "hoverinfo": "text",
                    "marker": {"color": COLOURS[index % len(COLOURS)], "size": 9, "opacity": 0.8},
                }
            )
    names = {
        "type": "scatter",
        "mode": "text",
        "x": [x for x, _ in middles],
        "y": [y + 0.42 * size for _, y in middles],
        "text": [plain(word) for word in words],
        "textfont": {"color": "--ink", "size": 13},
        "hoverinfo": "skip",
    }
    return [*traces, names]


def _static(result: dict[str, Any], say: Say) -> Table:
    rows = [[word["word"], _listed(word["static"])] for word in result["words"]]
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
