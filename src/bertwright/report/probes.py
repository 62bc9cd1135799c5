"""The section of the probes: what can be read from a model's vectors, by layer and by step."""

import statistics
from typing import Any

from bertwright.report.blocks import Block, Figure, Heading, Paragraph, Section, Table
from bertwright.report.charts import BASE, Chart, around, axis, line, rounded
from bertwright.report.numbers import number, percent
from bertwright.report.phrases import Say
from bertwright.report.sources import Source, sections_of

COLOURS = ("--blue", "--orange", "--green", "--purple", "--ink")
DASHES = ("solid", "dash", "dot", "dashdot")

MOST_CURVES = 8
"""Labels that are drawn: more can not be told apart."""


def probe_sections(sources: list[Source], say: Say) -> list[Section]:
    """One section for every such result."""
    return sections_of(sources, "probes", say("What can be read from the vectors"), lambda each: _blocks(each, say))


def _blocks(result: dict[str, Any], say: Say) -> list[Block]:
    cells = result["checkpoints"]
    last = cells[-1]
    accuracy = say("accuracy")
    blocks: list[Block] = [
        Paragraph(
            say(
                "Linear probes on frozen vectors of {model}: they learn the labels of {data}. The control task gives "
                "every kind of word a random label: what a probe scores there it has learnt by heart.",
                model=result["model"],
                data=result["data"],
            )
        ),
        Figure(layer_curves(last, result["baselines"], _names(say)), summary=accuracy, height=360),
    ]
    if len(cells) > 1:
        blocks += _over_steps(result, say)
    return [*blocks, _label_table(result, say)]


def _names(say: Say) -> dict[str, str]:
    return {
        "probe": say("probe"),
        "control": say("control task"),
        "majority": say("most frequent label"),
        "word": say("most frequent label of each word"),
        "layer": say("layer"),
        "accuracy": say("accuracy"),
        "step": say("step"),
    }


def layer_curves(cell: dict[str, Any], baselines: dict[str, float], names: dict[str, str]) -> Chart:
    """Accuracy of probe and control task by layer, beside the baselines as horizontal lines."""
    layers = list(range(len(cell["layers"])))
    data = [line(layers, rounded(cell["layers"]), names["probe"], "--blue", mode="lines+markers", width=2.5)]
    if "control" in cell:
        data.append(line(layers, rounded(cell["control"]), names["control"], "--orange", mode="lines+markers"))
    ends = [0, len(layers) - 1]
    for name, dash in (("word", "dash"), ("majority", "dot")):
        data.append(line(ends, [baselines[name]] * 2, names[name], "--purple", dash=dash))
    layout = {
        **BASE,
        "margin": {**BASE["margin"], "t": 70},
        "xaxis": axis(names["layer"], dtick=1),
        "yaxis": axis(names["accuracy"], tickformat=".0%", hoverformat=".1%", range=[0, 1.02]),
    }
    return {"data": data, "layout": layout}


def _over_steps(result: dict[str, Any], say: Say) -> list[Block]:
    cells, names = result["checkpoints"], _names(say)
    steps = [cell["step"] for cell in cells]
    depth = len(cells[0]["layers"])
    probed = {f"{names['layer']} {layer}": [cell["layers"][layer] for cell in cells] for layer in range(depth)}
    blocks: list[Block] = [
        Heading(say("In the course of pre-training")),
        Figure(
            step_curves(steps, probed, names["step"], names["accuracy"], closely=True),
            summary=names["accuracy"],
            height=380,
        ),
    ]
    drawn = sorted(result.get("order", {}).get("steps") or result["labels"], key=lambda each: -result["labels"][each])
    note = say("The {count} most frequent labels; the table has all.", count=str(MOST_CURVES))
    for kind, title in (
        ("reconstruction", say("words given back when shown")),
        ("prediction", say("words guessed when masked")),
    ):
        if all(kind in cell for cell in cells):
            shares = {label: [cell[kind].get(label) for cell in cells] for label in drawn[:MOST_CURVES]}
            chart = step_curves(steps, shares, names["step"], title)
            caption = note if len(result["labels"]) > MOST_CURVES else ""
            blocks += [Heading(title), Figure(chart, caption=caption, summary=title, height=400)]
    if any("scores" in cell for cell in cells):
        scored = [cell for cell in cells if "scores" in cell]
        title = say("score of the fine-tuned task")
        means = {say("mean"): [statistics.mean(cell["scores"]) for cell in scored]}
        seeds = {
            f"{say('seed')} {index + 1}": [cell["scores"][index] for cell in scored]
            for index in range(len(scored[0]["scores"]))
        }
        chart = step_curves([cell["step"] for cell in scored], means | seeds, names["step"], title, closely=True)
        blocks += [Heading(title), Figure(chart, summary=title, height=340)]
    order = result.get("order")
    if order and order["spearman"] is not None:
        told = say(
            "The {count} labels of which twenty words or more were asked are learnt in the order of their words' "
            "frequency in what the model has read with a rank correlation of {value} (1: exactly in it).",
            count=str(len(order["steps"])),
            value=number(order["spearman"], 2),
        )
        blocks.append(Paragraph(told))
    return blocks


def step_curves(
    steps: list[int], values: dict[str, list[float | None]], x: str, y: str, *, closely: bool = False
) -> Chart:
    """Shares over the steps of a pre-training, on a logarithmic axis: a line for each name.

    Args:
        steps: [S], from 1.
        values: name -> [S]; None where there is nothing.
        x: what the steps are called.
        y: what the shares are called.
        closely: whether the axis begins near the lowest one; otherwise at 0.
    """
    every = [share for shares in values.values() for share in shares if share is not None]
    data = [
        line(
            steps,
            rounded(shares),
            name,
            COLOURS[index % len(COLOURS)],
            dash=DASHES[index // len(COLOURS) % len(DASHES)],
            mode="lines+markers",
            marker={"size": 5},
        )
        for index, (name, shares) in enumerate(values.items())
    ]
    height = {"range": around(every)} if closely else {"rangemode": "tozero"}
    layout = {
        **BASE,
        "margin": {**BASE["margin"], "t": 30 + 22 * (1 + len(values) // 6)},
        "xaxis": axis(x, type="log"),
        "yaxis": axis(y, tickformat=".0%", hoverformat=".1%", **height),
    }
    return {"data": data, "layout": layout}


def _label_table(result: dict[str, Any], say: Say) -> Table:
    last = result["checkpoints"][-1]
    order = result.get("order", {}).get("steps", {})
    columns = [
        *(say("label"), say("share"), say("words asked"), say("given back")),
        *(say("guessed when masked"), say("learnt at step")),
    ]
    rows = [
        [
            label,
            percent(share),
            number(last.get("asked", {}).get(label)),
            *(percent(last.get(kind, {}).get(label)) for kind in ("reconstruction", "prediction")),
            number(order.get(label)),
        ]
        for label, share in sorted(result["labels"].items(), key=lambda each: -each[1])
    ]
    return Table(columns, rows, [False, True, True, True, True, True])
