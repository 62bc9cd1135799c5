"""The section of slides 80 to 82: the language as a vector, and what adding it makes of a sentence."""

from typing import Any

from bertwright.report.blocks import Block, Figure, Heading, Paragraph, Section, Table
from bertwright.report.charts import BASE, Chart, axis, line, rounded
from bertwright.report.numbers import number, percent
from bertwright.report.phrases import Say, too_long
from bertwright.report.sources import Source, sections_of

COLOURS = ("--blue", "--green", "--purple", "--orange", "--ink")


def shift_sections(sources: list[Source], say: Say) -> list[Section]:
    """One section for every such result."""
    return sections_of(sources, "shift", say("The vector that is language"), lambda each: _blocks(each, say))


def _blocks(result: dict[str, Any], say: Say) -> list[Block]:
    one, other = result["languages"]
    kept = result["reconstruction"]
    names = {
        "layer": say("layer"),
        "random": say("random vectors"),
        "converted": say("tokens now of the other language"),
        "translated": say("tokens that are right translations"),
        "repeated": say("share of the most frequent token"),
        "bleu_1": "BLEU-1",
    }
    blocks: list[Block] = [
        Paragraph(
            say(
                "Read without masking, {model} gives {first} of the tokens of {one} back, and {second} of those of "
                "{other}; {stays} and {stays_too} of its answers stay in the language.",
                model=result["model"],
                one=one,
                other=other,
                first=percent(kept[0]["same"]),
                second=percent(kept[1]["same"]),
                stays=percent(kept[0]["stays"]),
                stays_too=percent(kept[1]["stays"]),
            )
        ),
        Paragraph(
            say(
                "Then the difference of the mean vectors of {other} and {one}, times α, is added to every token of "
                "{count} sentences of {one} at one layer. Dotted: random vectors of the same length, one for each.",
                one=one,
                other=other,
                count=str(result["sentences"]),
            )
            + too_long(result["too_long"], say)
        ),
    ]
    for name in _told(result):
        chart = layer_curves(result, name, names)
        blocks += [Heading(names[name]), Figure(chart, summary=names[name], height=320)]
    best = result["best"]
    blocks += [
        _table(result, names, say),
        Heading(say("Sentences, shifted at layer {layer}", layer=str(best["layer"]))),
    ]
    for each in result["examples"]:
        rows = [[f"α = {out['alpha']:g}", out["text"]] for out in each["outputs"]]
        rows += [[other, each["reference"]]] if each["reference"] is not None else []
        blocks.append(Table([one, each["text"]], rows, [False, False]))
    return blocks


def _told(result: dict[str, Any]) -> list[str]:
    """The shares that the page tells: without a dictionary no translations."""
    return [name for name in ("converted", "translated", "bleu_1", "repeated") if result["shift"][name] is not None]


def _table(result: dict[str, Any], names: dict[str, str], say: Say) -> Table:
    """What comes at the best layer and alpha, beside the controls."""
    best, one, other = result["best"], *result["languages"]
    place = result["alphas"].index(best["alpha"])
    kinds = {
        "unshifted": say("not shifted"),
        "shift": say("from {one} to {other}", one=one, other=other),
        "random": names["random"],
        "reverse": say("from {one} to {other}", one=other, other=one),
    }
    columns = _told(result)
    rows = []
    for kind, title in kinds.items():
        values = result[kind]
        if kind != "unshifted":
            values = {name: grid and grid[best["layer"]][place] for name, grid in values.items()}
        chances = {name: f" ({percent(values[f'{name}_chance'])})" for name in columns if f"{name}_chance" in values}
        rows.append([title, *(percent(values[name]) + chances.get(name, "") for name in columns)])
        if kind == "random":
            most = [percent(max(map(max, result[kind][name]))) for name in columns]
            rows.append([say("random vectors, the most at any layer and α"), *most])
    note = say(
        "Layer {layer} and α = {alpha}, chosen on other sentences.",
        layer=str(best["layer"]),
        alpha=f"{best['alpha']:g}",
    )
    note += " " + say(
        "In brackets what chance gives: for translations the same answers at any other places, for BLEU-1 the "
        "translation of another sentence of like length."
    )
    if result["asked"] is not None:
        count, other_count = map(number, result["asked"])
        note += " " + say(
            "Tokens that the dictionary knows: {count} of {one}, {other_count} of {other}.",
            count=count,
            one=one,
            other_count=other_count,
            other=other,
        )
    return Table(["", *(names[name] for name in columns)], rows, [False] + [True] * len(columns), note)


def layer_curves(result: dict[str, Any], name: str, names: dict[str, str]) -> Chart:
    """A share by the layer that is shifted: a line for each alpha, dotted for the random vectors.

    Args:
        result: of the analysis.
        name: of the share.
        names: what "layer" and "random" are called.
    """
    data = []
    for kind, dash in (("shift", "solid"), ("random", "dot")):
        for index, alpha in enumerate(result["alphas"]):
            values = [row[index] for row in result[kind][name]]
            told = f"α = {alpha:g}" + (f", {names['random']}" if kind == "random" else "")
            colour = COLOURS[index % len(COLOURS)]
            more = {"dash": dash, "mode": "lines+markers", "legendgroup": f"{alpha:g}", "showlegend": dash == "solid"}
            data.append(line(list(range(len(values))), rounded(values), told, colour, **more))
    layout = {
        **BASE,
        "xaxis": axis(names["layer"], dtick=1),
        "yaxis": axis("", tickformat=".0%", hoverformat=".1%", rangemode="tozero"),
    }
    return {"data": data, "layout": layout}
