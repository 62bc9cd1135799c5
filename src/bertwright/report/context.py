"""The section of slide 72: CBOW's one vector for a word beside a vector for each occurrence."""

from typing import Any

from bertwright.report.blocks import Block, Figure, Heading, Paragraph, Section, Slides, Table
from bertwright.report.charts import BASE, Chart, axis, heat_map, line, rounded
from bertwright.report.numbers import number, percent
from bertwright.report.phrases import Say
from bertwright.report.sources import Source, sections_of


def context_sections(sources: list[Source], say: Say) -> list[Section]:
    """One section for every such result."""
    return sections_of(
        sources, "context", say("One vector for a word, or one for each occurrence"), lambda each: _blocks(each, say)
    )


def _blocks(result: dict[str, Any], say: Say) -> list[Block]:
    moves = result["moves"]
    names = {
        "cbow": say("CBOW, the word's vector"),
        "neighbours": say("CBOW, mean of the neighbours' vectors"),
        "layers": result["model"],
        "layer": say("layer"),
        "score": say("occurrences given their sense"),
        "distance": say("distance of the hidden neighbour in tokens"),
        "move": say("1 − cosine to the vector before"),
        "alone": say("attention cut"),
    }
    blocks: list[Block] = [
        Paragraph(
            say(
                "CBOW learns one vector for each word; the encoder gives one to each occurrence. An occurrence is "
                "given the sense whose other occurrences have the most similar mean vector. CBOW learnt from the "
                "training documents of {store}.",
                store=result["store"],
            )
        ),
        Figure(score_curve(result["scores"], names), summary=names["score"], height=340),
        _table(result, say),
        Heading(say("Change a neighbour, and the vector moves")),
        Paragraph(
            say(
                "One neighbour of the word is replaced by [MASK]: how far the word's vector moves, by the distance of "
                "the neighbour. Where every token sees itself only, it does not move: {largest} at most.",
                largest=f"{max(max(row) for row in moves['alone']):.5f}",
            )
        ),
        Figure(move_curves(moves, names), summary=names["move"], height=340),
        Heading(say("Where the tokens look")),
    ]
    for index, each in enumerate(result["attention"]):
        layers = each["layers"]
        labels = [f"{token}  {place}" for place, token in enumerate(each["tokens"], start=1)]
        caption = each["text"]
        if index == 0:
            caption += " " + say("A row is a token that looks, a column one that is looked at; mean over heads.")
        blocks.append(
            Slides(
                heat_map(layers, len(layers) - 1, labels, []),
                frames=[[{"z": layer}] for layer in layers],
                labels=[str(place) for place in range(1, len(layers) + 1)],
                start=len(layers) - 1,
                name=say("layer"),
                summary=say("attention in {text}", text=each["text"]),
                caption=caption,
                height=150 + 22 * len(labels),
            )
        )
    return blocks


def score_curve(scores: dict[str, Any], names: dict[str, str]) -> Chart:
    """The share told apart by layer, beside CBOW's two as horizontal lines."""
    layers = list(range(len(scores["layers"])))
    ends = [0, len(layers) - 1]
    data = [
        line(layers, rounded(scores["layers"]), names["layers"], "--blue", mode="lines+markers", width=2.5),
        line(ends, [scores["neighbours"]] * 2, names["neighbours"], "--orange", dash="dash"),
        line(ends, [scores["cbow"]] * 2, names["cbow"], "--purple", dash="dot"),
    ]
    lowest = min(*scores["layers"], scores["cbow"], scores["neighbours"])
    layout = {
        **BASE,
        "margin": {**BASE["margin"], "t": 70},
        "xaxis": axis(names["layer"], dtick=1),
        "yaxis": axis(names["score"], tickformat=".0%", hoverformat=".1%", range=[max(0, lowest - 0.05), 1.02]),
    }
    return {"data": data, "layout": layout}


def move_curves(moves: dict[str, Any], names: dict[str, str]) -> Chart:
    """How far the vector moves by the distance of the hidden neighbour: a line for each layer, and attention cut."""
    data = []
    for layer, values in enumerate(moves["attending"]):
        if layer:
            last = layer == len(moves["attending"]) - 1
            style = {"width": 2.5} if last else {"width": 1.2, "opacity": 0.2 + 0.6 * layer / len(moves["attending"])}
            data.append(
                line(
                    moves["distances"],
                    rounded(values),
                    f"{names['layer']} {layer}",
                    "--blue",
                    mode="lines+markers",
                    showlegend=last,
                    **style,
                )
            )
    data.append(line(moves["distances"], rounded(moves["alone"][-1]), names["alone"], "--orange", dash="dash"))
    layout = {
        **BASE,
        "xaxis": axis(names["distance"], dtick=1),
        "yaxis": axis(names["move"], rangemode="tozero", hoverformat=".4f"),
    }
    return {"data": data, "layout": layout}


def _table(result: dict[str, Any], say: Say) -> Table:
    columns = [
        say("word"),
        say("in the store"),
        say("CBOW, the word's vector"),
        say("CBOW, mean of the neighbours' vectors"),
        say("layer 0"),
        say("best layer"),
        say("last layer"),
    ]
    words = [
        {**word, "word": f"{word['word']} ({', '.join(word['groups'])})", "count": number(word["count"])}
        for word in result["words"]
    ]
    rows = [
        [
            word["word"],
            word["count"],
            percent(word["cbow"]),
            percent(word["neighbours"]),
            percent(word["layers"][0]),
            percent(max(word["layers"])),
            percent(word["layers"][-1]),
        ]
        for word in [*words, {"word": say("mean"), "count": "", **result["scores"]}]
    ]
    return Table(columns, rows, [False] + [True] * 6)
