"""The section of slides 73 to 75: a text encoder on DNA, proteins and music."""

import statistics
from typing import Any

from bertwright.report.blocks import Block, Figure, Heading, Paragraph, Section, Table
from bertwright.report.charts import BASE, Chart, axis, line, rounded
from bertwright.report.comparison import metric_name
from bertwright.report.numbers import mean_and_deviation, number, points
from bertwright.report.phrases import Say
from bertwright.report.sources import Source, sections_of

COLOURS = {
    "text": "--blue",
    "reembedded": "--green",
    "unused": "--grey",
    "random": "--orange",
    "own": "--purple",
    "own-random": "--purple",
}

PUBLISHED: dict[str, tuple[str, ...]] = {
    "specific": ("69.0", "76.0", "63.0", "87.3", "87.3", "79.1", "94.1", "–"),
    "BERT": ("64.8", "74.5", "63.7", "83.0", "86.2", "78.3", "97.5", "55.2"),
    "re-emb": ("63.3", "75.4", "37.3", "78.5", "83.7", "76.3", "95.6", "55.2"),
    "rand": ("58.6", "65.8", "27.5", "75.6", "66.5", "72.8", "95", "36"),
}
"""The table on slide 75."""
PUBLISHED_SETS = ("localization", "stability", "fluorescence", "H3", "H4", "H3K9ac", "Splice", "composer")


def domain_sections(sources: list[Source], say: Say) -> list[Section]:
    """One section for every such result."""
    return sections_of(sources, "domains", say("Does English help elsewhere?"), lambda each: _blocks(each, say))


def _names(say: Say) -> dict[str, str]:
    return {
        "own": say("pre-trained on the alphabet"),
        "own-random": say("the same, all drawn anew"),
        "text": say("text encoder"),
        "reembedded": say("text encoder, word embeddings drawn anew"),
        "unused": say("text encoder, symbols as [unused] tokens"),
        "words": say("text encoder, one training, other words for each seed"),
        "trainings": say("text encoder, one set of words, another training for each seed"),
        "random": say("all drawn anew"),
        "linear": say("linear model"),
        "majority": say("most frequent class"),
    }


def _blocks(result: dict[str, Any], say: Say) -> list[Block]:
    names = _names(say)
    first = result["sets"][0]
    example = ", ".join(f"{symbol} → {word}" for symbol, word in first["example"].items())
    blocks: list[Block] = [
        Paragraph(
            say(
                "A text encoder is fine-tuned on sequences whose symbols are renamed to words, drawn once for each "
                "seed; for {name}: {example}.",
                name=first["name"],
                example=example,
            )
        ),
        _table(result, names, say),
        Table(
            ["", *PUBLISHED_SETS],
            [[name, *values] for name, values in PUBLISHED.items()],
            [False] + [True] * len(PUBLISHED_SETS),
            say("Published (slide 75): other data sets, or other splits, and BERT-base."),
        ),
    ]
    for each in result["sets"]:
        chart = start_curves(each["starts"], names, say("step"), metric_name(each["metric"], say))
        blocks += [Heading(each["name"]), Figure(chart, summary=each["name"], height=340)]
        blocks.append(Paragraph(_sizes(each, say), tone="note"))
        if wins := _linear_wins(each["starts"], names, say):
            blocks.append(Paragraph(wins, tone="warning"))
    return blocks


def _linear_wins(starts: dict[str, Any], names: dict[str, str], say: Say) -> str:
    """Whether the linear model is better than all encoders, or at least than the text encoder."""
    means = {start: statistics.mean(found["scores"]) for start, found in starts.items()}
    linear = means.pop("linear")
    best = max(means, key=means.__getitem__)
    told = {"linear": number(linear), "best": number(means[best]), "start": names[best]}
    if linear > means[best]:
        return say("Here the linear model wins: {linear} against {best} at best ({start}).", **told)
    if linear > means["text"]:
        told["text"] = number(means["text"])
        return say(
            "Here the linear model is better than the text encoder: {linear} against {text}; best is {best} ({start}).",
            **told,
        )
    return ""


def _sizes(each: dict[str, Any], say: Say) -> str:
    """Of a set: examples, seeds and encoders, and from which step on text and random weights are equally good."""
    examples, parameters = each["examples"], each["parameters"]
    told = say(
        "{train} training examples, {test} test examples, {seeds} seeds; {size} weights in the text encoder.",
        train=number(examples["train"]),
        test=number(examples["test"]),
        seeds=str(len(each["seeds"])),
        size=number(parameters["text"]),
    )
    if own := each["starts"].get("own"):
        told += " " + say("The encoder of the alphabet has {size}.", size=number(parameters["own"]))
        if gain := own["against"].get("own-random"):
            mean, low, high = map(points, gain)
            told += " " + say("Its pre-training adds {mean} ({low} … {high}).", mean=mean, low=low, high=high)
    text, random = (each["starts"][start]["reached"] for start in ("text", "random"))
    if text is not None:
        told += " " + say(
            "What random weights reach at step {random}, the text encoder has reached at step {text}.",
            random=number(random),
            text=number(text),
        )
    return told


def start_curves(starts: dict[str, Any], names: dict[str, str], x: str, y: str) -> Chart:
    """Development score by step: a thin line for each seed, a thick one for their mean; the linear model's test score.

    Args:
        starts: of a set.
        names: what the starts are called.
        x: what the steps are called.
        y: what the score is called.
    """
    data = []
    steps: list[int] = [0]
    for start, colour in COLOURS.items():
        curves = starts.get(start, {}).get("curves", [])
        drawn = {"dash": "dot"} if start == "own-random" else {}
        for curve in curves:
            quiet = {"width": 1, "opacity": 0.3, "showlegend": False, "hoverinfo": "skip"}
            places, values = zip(*curve, strict=True)
            data.append(line(places, rounded(values), names[start], colour, **quiet, **drawn))
        if curves:
            places, values = zip(*starts[start]["mean_curve"], strict=True)
            data.append(line(places, rounded(values), names[start], colour, width=2.5, mode="lines+markers", **drawn))
            steps += places
    level = starts["linear"]["scores"][0]
    data.append(line([min(steps), max(steps)], [level, level], names["linear"], "--ink", dash="dash"))
    layout = {
        **BASE,
        "margin": {**BASE["margin"], "t": 70},
        "xaxis": axis(x, rangemode="tozero"),
        "yaxis": axis(y, hoverformat=".3f"),
    }
    return {"data": data, "layout": layout}


def _table(result: dict[str, Any], names: dict[str, str], say: Say) -> Table:
    """Laid out as slide 75: a row for each start, a column for each set."""
    sets = result["sets"]
    rows = []
    for start, name in names.items():
        cells = [_cell(each["starts"].get(start), "linear" if start == "text" else "text") for each in sets]
        if any(cell != "–" for cell in cells):
            rows.append([name, *cells])
    note = say(
        "Test score × 100, mean ± deviation over seeds. In brackets the interval that holds 95 of 100 differences to "
        "the text encoder (of the text encoder: to the linear model), by Student's t from the spread over seeds and "
        "over test examples."
    )
    columns = ["", *(f"{each['name']} ({metric_name(each['metric'], say)})" for each in sets)]
    return Table(columns, rows, [False] + [True] * len(sets), note)


def _cell(found: dict[str, Any] | None, other: str) -> str:
    if found is None:
        return "–"
    _, low, high = found["against"][other]
    return f"{mean_and_deviation(found['scores'])}\n({points(low)} … {points(high)})"
