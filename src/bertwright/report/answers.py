"""The section of a question that was looked at closely: both softmaxes over the tokens of its passage."""

from collections.abc import Sequence
from typing import Any

from bertwright.report.blocks import Block, Facts, Figure, Heading, Paragraph, Section
from bertwright.report.charts import BASE, Chart, Numbers, axis, panel_title, plain, rounded
from bertwright.report.phrases import Say
from bertwright.report.sources import Source


def answer_sections(sources: list[Source], say: Say) -> list[Section]:
    """A figure for every answer."""
    answered = [source for source in sources if "answer" in source.results]
    blocks: list[Block] = []
    for source in answered:
        if len(answered) > 1:
            blocks.append(Heading(source.name))
        blocks += _blocks(source.results["answer"], say)
    return [Section("answer", say("Where an answer begins and ends"), blocks)] if blocks else []


def _blocks(result: dict[str, Any], say: Say) -> list[Block]:
    tokens = [token or "[CLS]" for token in result["tokens"]]
    begin, end = result["naive"]
    facts = [
        (say("question"), result["question"]),
        (say("answer"), result["answer"] or say("no answer in the passage")),
        (say("most likely beginning"), tokens[begin]),
        (say("most likely end"), tokens[end]),
    ]
    names = say("begins here"), say("ends here")
    chart = token_bars(tokens, [result["begin_probabilities"], result["end_probabilities"]], names)
    explanation = say(
        "Two softmaxes over the tokens of the passage, by the start vector and by the end vector. The answer is the "
        "pair with the highest product of which the end does not come first."
    )
    summary = f"{names[0]}, {names[1]}"
    return [Facts(facts), Figure(chart, summary=summary, height=420), Paragraph(explanation, tone="note")]


def token_bars(tokens: Sequence[str], values: Sequence[Numbers], names: tuple[str, str]) -> Chart:
    """Two probabilities for each token of a text, one panel above the other.

    Args:
        tokens: [N], in their order.
        values: two of [N], between 0 and 1.
        names: of the two.
    """
    places = list(range(len(tokens)))
    data = [
        {
            "type": "bar",
            "x": places,
            "y": rounded(shares),
            "yaxis": side,
            "name": plain(name),
            "marker": {"color": colour},
            "customdata": [plain(token) for token in tokens],
            "hovertemplate": "%{customdata}: %{y:.1%}<extra></extra>",
        }
        for shares, name, colour, side in zip(values, names, ("--orange", "--blue"), ("y", "y2"), strict=True)
    ]
    labels = {"tickvals": places, "ticktext": [plain(token) for token in tokens], "tickangle": -90}
    layout = {
        **BASE,
        "margin": {**BASE["margin"], "t": 30},
        "showlegend": False,
        "bargap": 0.15,
        "xaxis": {**axis(anchor="y2", showgrid=False, **labels), "tickfont": {"color": "--ink", "size": 10}},
        "yaxis": axis(domain=[0.56, 1.0], range=[0, 1.02], tickformat=".0%", nticks=4, fixedrange=True),
        "yaxis2": axis(domain=[0.0, 0.44], range=[0, 1.02], tickformat=".0%", nticks=4, fixedrange=True),
        "annotations": [panel_title(names[0], 1.0), panel_title(names[1], 0.44)],
    }
    return {"data": data, "layout": layout}
