"""The section of slides 53 to 56: how large the models of the family are, to scale."""

import math
from typing import Any

from bertwright.report.blocks import Figure, Paragraph, Section, Table
from bertwright.report.charts import BASE, Chart, axis, plain
from bertwright.report.numbers import short
from bertwright.report.phrases import Say
from bertwright.report.sources import Source, sections_of


def size_sections(sources: list[Source], say: Say) -> list[Section]:
    """One section for every such result."""
    return sections_of(sources, "sizes", say("Sizes"), lambda each: _blocks(each, say))


def _blocks(result: dict[str, Any], say: Say) -> list[Any]:
    models = result["models"]
    height = 120 + 30 * len(models)
    return [
        Paragraph(
            say(
                "Parameters computed from the published shapes, word embeddings included. The first figure is to "
                "scale: what cannot be seen in it is that much smaller. In the second one each line is ten times the "
                "one before."
            )
        ),
        Figure(size_bars(models, say("parameters"), logarithmic=False), summary=say("parameters"), height=height),
        Figure(size_bars(models, say("parameters"), logarithmic=True), summary=say("parameters"), height=height),
        _table(models, say),
        Paragraph(
            say("Sources: {sources}.", sources="; ".join(f"{m['name']}, {m['source']}" for m in models if m["source"])),
            tone="note",
        ),
        Paragraph(
            say(
                "To train: the weights, their gradients and Adam's two moments in float32, activations not counted. "
                "Operations: six for each parameter that computes a token and each token read, where the number of "
                "tokens is published."
            ),
            tone="note",
        ),
    ]


def size_bars(models: list[dict[str, Any]], title: str, *, logarithmic: bool) -> Chart:
    """A bar for each model, the largest at the bottom; one's own in another colour.

    Args:
        models: with "name", "parameters" and "own".
        title: of the axis.
        logarithmic: whether each line of the axis is ten times the one before; otherwise to scale.
    """
    data = [
        {
            "type": "bar",
            "orientation": "h",
            "x": [model["parameters"] for model in models],
            "y": [plain(model["name"]) for model in models],
            "text": [short(model["parameters"]) for model in models],
            "textposition": "outside",
            "cliponaxis": False,
            "hoverinfo": "text",
            "marker": {"color": ["--orange" if model["own"] else "--blue" for model in models]},
        }
    ]
    largest = max(model["parameters"] for model in models)
    smallest = min(model["parameters"] for model in models)
    powers = [math.floor(math.log10(smallest)), math.log10(largest) + 0.6]
    scale = {"type": "log", "dtick": 1, "range": powers} if logarithmic else {"range": [0, 1.12 * largest]}
    layout = {
        **BASE,
        "margin": {**BASE["margin"], "r": 40},  # the longest bar's number
        "showlegend": False,
        "xaxis": axis(title, **scale),
        "yaxis": axis(autorange="reversed", type="category"),
    }
    return {"data": data, "layout": layout}


def _table(models: list[dict[str, Any]], say: Say) -> Table:
    columns = [
        "",
        say("shape (layers × width)"),
        say("computed"),
        say("published"),
        say("on the slide"),
        say("to load, bfloat16"),
        say("to train"),
        say("operations"),
    ]
    rows = [
        [
            model["name"],
            model["shape"],
            f"{model['parameters']:,}",
            short(model["published"]) if model["published"] else "–",
            model["slide"] or "–",
            f"{short(model['load_bfloat16'])}B",
            f"{short(model['train'])}B",
            f"{model['operations']:.2g}" if model["operations"] else "–",
        ]
        for model in models
    ]
    return Table(columns, rows, [False, False, True, True, True, True, True, True])
