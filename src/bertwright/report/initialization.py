"""The section of slide 62: training loss and development score by epoch, from pre-trained and from random weights."""

import statistics
from typing import Any

from bertwright.report.blocks import Block, Figure, Heading, Paragraph, Section, Table
from bertwright.report.charts import BASE, Chart, axis, line, rounded
from bertwright.report.comparison import metric_name
from bertwright.report.numbers import number
from bertwright.report.phrases import Say
from bertwright.report.sources import Source, sections_of


def initialization_sections(sources: list[Source], say: Say) -> list[Section]:
    """One section for every analysis."""
    return sections_of(
        sources, "initialization", say("Pre-trained and random weights"), lambda each: _blocks(each, say)
    )


def _blocks(result: dict[str, Any], say: Say) -> list[Block]:
    intro = say(
        "The same training from pre-trained weights (solid) and from random ones (dashed), {seeds} seeds, {epochs} "
        "epochs. Thin lines are seeds, thick ones their means.",
        seeds=str(len(result["seeds"])),
        epochs=str(result["epochs"]),
    )
    blocks: list[Block] = [Paragraph(intro)]
    for task in result["tasks"]:
        metric = metric_name(task["metric"], say)
        names = {
            "pretrained": say("pre-trained"),
            "random": say("from scratch"),
            "x": say("epoch"),
            "loss": say("training loss"),
            "score": say("{metric}, development texts", metric=metric),
        }
        curves = {start: (task[start]["loss"], task[start]["score"]) for start in ("pretrained", "random")}
        examples = say("{count} examples", count=number(task["examples"]["train"]))
        blocks += [
            Heading(f"{examples}: {task['name']}"),
            Figure(start_curves(curves, names), summary=f"{names['loss']}, {names['score']}", height=340),
        ]
    return [*blocks, _table(result, say)]


def start_curves(curves: dict[str, tuple[list[list[float]], list[list[float]]]], names: dict[str, str]) -> Chart:
    """Two panels side by side: training loss and score by epoch, of both starts and all seeds.

    Args:
        curves: "pretrained" and "random" -> losses and scores, [seeds, epochs] each.
        names: what these two, "x", "loss" and "score" are called.
    """
    data = []
    for start, colour, dash in (("pretrained", "--blue", "solid"), ("random", "--orange", "dash")):
        for panel, (number_of, values) in enumerate(zip(("", "2"), curves[start], strict=True)):
            epochs = list(range(1, len(values[0]) + 1))
            axes = {"xaxis": f"x{number_of}", "yaxis": f"y{number_of}", "legendgroup": start}
            quiet = {"width": 1, "opacity": 0.3, "showlegend": False, "hoverinfo": "skip", "dash": dash, **axes}
            data += [line(epochs, rounded(each), names[start], colour, **quiet) for each in values if len(values) > 1]
            mean = rounded([statistics.mean(each) for each in zip(*values, strict=True)])
            data.append(line(epochs, mean, names[start], colour, width=2.5, dash=dash, showlegend=panel == 0, **axes))
    layout = {
        **BASE,
        "hovermode": "x",
        "xaxis": axis(names["x"], domain=[0.0, 0.46], anchor="y", rangemode="tozero"),
        "xaxis2": axis(names["x"], domain=[0.54, 1.0], anchor="y2", rangemode="tozero"),
        "yaxis": axis(names["loss"], rangemode="tozero", hoverformat=".3f"),
        "yaxis2": axis(names["score"], anchor="x2", hoverformat=".3f"),
    }
    return {"data": data, "layout": layout}


def _table(result: dict[str, Any], say: Say) -> Table:
    columns = [
        "",
        say("training examples"),
        say("epochs with lower loss"),
        say("epoch of loss .1: pre-trained, scratch"),
        say("best score: pre-trained, scratch"),
        say("epochs of scratch at chance"),
    ]
    rows = []
    for task in result["tasks"]:
        judged = task["judged"]
        learnt, best = judged["learnt_in_epoch"], judged["best_score"]
        rows.append(
            [
                task["name"],
                number(task["examples"]["train"]),
                f"{judged['lower_in_epochs']} / {result['epochs']}",
                f"{learnt['pretrained'] or '–'}, {learnt['random'] or '–'}",
                f"{number(best['pretrained'])}, {number(best['random'])}",
                "–" if judged["epochs_on_plateau"] is None else str(judged["epochs_on_plateau"]),
            ]
        )
    return Table(columns, rows, [False, True, True, True, True, True])
