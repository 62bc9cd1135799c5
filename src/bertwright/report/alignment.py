"""The section of slides 79 to 81: translations side by side, and the language that is in the vectors all the same."""

from typing import Any

from bertwright.report.blocks import Block, Figure, Heading, Paragraph, Section, Table
from bertwright.report.charts import BASE, Chart, axis, line, rounded
from bertwright.report.numbers import number
from bertwright.report.phrases import Say, too_long
from bertwright.report.sources import Source, sections_of

COLOURS = ("--blue", "--orange", "--green", "--purple", "--ink", "--grey")


def alignment_sections(sources: list[Source], say: Say) -> list[Section]:
    """One section for every such result; before those of several runs over time, one that compares them."""
    found = {source.name: source.results["alignment"] for source in sources if "alignment" in source.results}
    courses = {name: result for name, result in found.items() if result["over_time"]}
    title = say("Translations side by side")
    compared = []
    if len(courses) > 1:
        heading = say("{title}: several runs", title=title)
        compared.append(Section("alignment-compared", heading, _compared(courses, say)))
    return compared + sections_of(sources, "alignment", title, lambda each: _blocks(each, say))


def _compared(results: dict[str, dict[str, Any]], say: Say) -> list[Block]:
    """What became of translations in several runs: words, or sentences where a run has no words."""
    names = _names(say)
    kinds = {name: "words" if result["words"] is not None else "sentences" for name, result in results.items()}
    over_time = {name: result["over_time"] for name, result in results.items()}
    losses = {name: [each["loss"] for each in course] for name, course in over_time.items()}
    first = {name: [each[kinds[name]]["first"] for each in course] for name, course in over_time.items()}
    steps = {name: [each["step"] for each in course] for name, course in over_time.items()}
    told = say("precision at 1, best layer")
    figures = [
        Figure(run_curves(steps, values, names["step"], title), summary=title, height=340)
        for title, values in ((told, first), (names["loss"], losses))
        if any(value is not None for course in values.values() for value in course)
    ]
    rows = []
    for name, result in results.items():
        ranked, untrained = result[kinds[name]], result["untrained"][kinds[name]]["plain"]
        ranks = ranked["plain"]["reciprocal_rank"]
        layer = max(range(len(ranks)), key=ranks.__getitem__)
        rows.append(
            [
                name,
                f"{number(ranked['count'])} {names[kinds[name]]}",
                number(losses[name][-1]),
                *(f"{ranked[how]['first'][layer]:.3f}" for how in ("plain", "centred")),
                str(layer),
                f"{max(untrained['first']):.3f}",
                f"{ranked['chance']['first']:.4f}",
            ]
        )
    columns = [say("run"), "", names["loss"], told, names["centred"], names["layer"], names["untrained"]]
    return [*figures, Table([*columns, names["chance"]], rows, [False, False, *[True] * 6])]


def run_curves(steps: dict[str, list[int]], values: dict[str, list[float | None]], x: str, y: str) -> Chart:
    """A line for each run over its own steps.

    Args:
        steps: run -> [S].
        values: run -> [S]; None where there is nothing.
        x: what the steps are called.
        y: what the values are called.
    """
    data = [
        line(steps[name], rounded(each), name, COLOURS[index % len(COLOURS)], mode="lines+markers")
        for index, (name, each) in enumerate(values.items())
    ]
    layout = {
        **BASE,
        "margin": {**BASE["margin"], "t": 30 + 22 * ((1 + len(values)) // 2)},  # two long names fit into a row
        "xaxis": axis(x),
        "yaxis": axis(y, rangemode="tozero", hoverformat=".3f"),
    }
    return {"data": data, "layout": layout}


def _blocks(result: dict[str, Any], say: Say) -> list[Block]:
    blocks: list[Block] = [
        Paragraph(
            say(
                "For each sentence of {one} all sentences of {other} are ranked by the cosine of their vectors, as "
                "{model} gives them, and the other way round. 1 means that the translation always comes first.",
                one=result["languages"][0],
                other=result["languages"][1],
                model=result["model"],
            )
            + too_long(result["too_long"], say)
        )
    ]
    for kind, title in (("sentences", say("sentences")), ("words", say("words"))):
        if result[kind] is not None:
            heading = say("mean reciprocal rank of {count} {kind}", count=number(result[kind]["count"]), kind=title)
            chart = rank_curves(result[kind], result["untrained"][kind], _names(say))
            blocks += [Heading(heading), Figure(chart, summary=heading, height=340)]
    blocks.append(_rank_table(result, say))
    if result["over_time"]:
        blocks.append(Heading(say("In the course of pre-training")))
        for title, chart in time_curves(result["over_time"], result, _names(say)):
            blocks.append(Figure(chart, summary=title, height=300))
    told = say(
        "Two probes guess the language of a token from its vector: a linear one, and a vote of the fifteen nearest "
        "vectors, before and after the mean of each language is subtracted. They are asked for tokens that they have "
        "not learnt from. The dashed line is the mean cosine between the difference of a pair of sentences and that of "
        "the languages' means, the dotted one the same of sentences that are no translations."
    )
    return [
        *blocks,
        Heading(say("Where the language is")),
        Paragraph(told),
        Figure(identity_curves(result, _names(say)), summary=say("Where the language is"), height=340),
        _identity_table(result, say),
    ]


def _names(say: Say) -> dict[str, str]:
    return {
        "plain": say("as they are"),
        "centred": say("less the mean of the language"),
        "chance": say("chance"),
        "untrained": say("random weights"),
        "step": say("step"),
        "loss": say("held-out loss in nats"),
        "sentences": say("sentences"),
        "words": say("words"),
        "shuffled": say("the same of no pairs"),
        "layer": say("layer"),
        "rank": say("mean reciprocal rank"),
        "linear": say("language told right by a linear probe"),
        "neighbours": say("by the nearest neighbours"),
        "neighbours_centred": say("by the nearest, less the mean of the language"),
        "offset": say("cosine to the offset of the languages"),
    }


def rank_curves(ranked: dict[str, Any], untrained: dict[str, Any], names: dict[str, str]) -> Chart:
    """Mean reciprocal rank by layer, before and after subtracting the languages' means, beside two kinds of chance."""
    layers = list(range(len(ranked["plain"]["reciprocal_rank"])))
    data = [
        line(layers, rounded(ranked[kind]["reciprocal_rank"]), names[kind], colour, mode="lines+markers", width=2.5)
        for kind, colour in (("plain", "--blue"), ("centred", "--orange"))
    ]
    data.append(line(layers, rounded(untrained["plain"]["reciprocal_rank"]), names["untrained"], "--grey", dash="dash"))
    chance = ranked["chance"]["reciprocal_rank"]
    data.append(line([0, layers[-1]], [chance, chance], names["chance"], "--purple", dash="dot"))
    layout = {
        **BASE,
        "xaxis": axis(names["layer"], dtick=1),
        "yaxis": axis(names["rank"], range=[0, 1.02], hoverformat=".3f"),
    }
    return {"data": data, "layout": layout}


def identity_curves(result: dict[str, Any], names: dict[str, str]) -> Chart:
    """Accuracy of the language probes by layer, and how far pairs differ along the offset."""
    layers = list(range(len(result["offset"])))
    colours = {"linear": "--blue", "neighbours": "--purple", "neighbours_centred": "--orange"}
    data = [
        *(line(layers, rounded(result["identity"][kind]), names[kind], colour) for kind, colour in colours.items()),
        line(layers, rounded(result["offset"]), names["offset"], "--green", dash="dash"),
        line(layers, rounded(result["offset_shuffled"]), names["shuffled"], "--grey", dash="dot"),
    ]
    lowest = min(0.0, *result["offset"], *result["offset_shuffled"])
    layout = {
        **BASE,
        "margin": {**BASE["margin"], "t": 90},
        "xaxis": axis(names["layer"], dtick=1),
        "yaxis": axis("", range=[lowest - 0.02, 1.02], hoverformat=".3f"),
    }
    return {"data": data, "layout": layout}


def time_curves(
    over_time: list[dict[str, Any]], result: dict[str, Any], names: dict[str, str]
) -> list[tuple[str, Chart]]:
    """By step of pre-training the held-out loss, and the mean reciprocal rank of the best layer beside chance."""
    steps = [each["step"] for each in over_time]
    ranks = []
    for kind, colour in (("sentences", "--blue"), ("words", "--orange")):
        if over_time[0][kind]:
            values = [each[kind]["reciprocal_rank"] for each in over_time]
            ranks.append(line(steps, rounded(values), names[kind], colour, mode="lines+markers"))
            level = max(result["untrained"][kind]["plain"]["reciprocal_rank"])
            told = f"{names[kind]}, {names['untrained']}"
            ranks.append(line([steps[0], steps[-1]], [level, level], told, colour, dash="dot"))
    x = axis(names["step"])
    charts = [
        (names["rank"], {"data": ranks, "layout": {**BASE, "xaxis": x, "yaxis": axis(names["rank"], range=[0, 1.02])}})
    ]
    known = [each for each in over_time if each["loss"] is not None]
    if known:
        losses = rounded([each["loss"] for each in known])
        loss = [line([each["step"] for each in known], losses, names["loss"], "--green", mode="lines+markers")]
        charts.insert(0, (names["loss"], {"data": loss, "layout": {**BASE, "xaxis": x, "yaxis": axis(names["loss"])}}))
    return charts


def _rank_table(result: dict[str, Any], say: Say) -> Table:
    kinds = [kind for kind in ("sentences", "words") if result[kind] is not None]
    names = _names(say)
    ways = [(kind, how) for kind in kinds for how in ("plain", "centred")]
    columns = [names["layer"], *(f"{names[kind]}, {names[how]}" for kind, how in ways)]
    rows = []
    for layer in range(len(result["offset"])):
        of_ways = [result[kind][how] for kind, how in ways]
        values = [f"{each['reciprocal_rank'][layer]:.3f} ({each['first'][layer]:.3f})" for each in of_ways]
        rows.append([str(layer), *values])
    chances = ", ".join(
        f"{names[kind]} {result[kind]['chance']['reciprocal_rank']:.4f} ({result[kind]['chance']['first']:.4f})"
        for kind in kinds
    )
    random = ", ".join(
        f"{names[kind]} {max(plain['reciprocal_rank']):.4f} ({max(plain['first']):.4f})"
        for kind in kinds
        for plain in [result["untrained"][kind]["plain"]]
    )
    note = say(
        "Mean reciprocal rank (precision at 1). Chance: {chances}. Best layer of random weights: {random}.",
        chances=chances,
        random=random,
    )
    return Table(columns, rows, [True] * len(columns), note)


def _identity_table(result: dict[str, Any], say: Say) -> Table:
    names = _names(say)
    columns = [names["layer"], *(names[kind] for kind in result["identity"]), names["offset"]]
    rows = []
    for layer in range(len(result["offset"])):
        values, random = (
            [*(of["identity"][kind][layer] for kind in result["identity"]), of["offset"][layer]]
            for of in (result, result["untrained"])
        )
        cells = [f"{value:.3f} ({other:.3f})" for value, other in zip(values, random, strict=True)]
        rows.append([str(layer), *cells])
    note = say(
        "In brackets random weights. By chance a probe is right in half of the cases; nearest neighbours in fewer, "
        "where they have learnt from a token's translation: for {count} words both or neither were learnt from.",
        count=number(result["coupled"]),
    )
    return Table(columns, rows, [True] * len(columns), note)
