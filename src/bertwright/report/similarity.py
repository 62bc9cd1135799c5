"""The section of slides 69 to 71: cosines of one word in many sentences, layer by layer."""

import statistics
from itertools import groupby
from typing import Any

from bertwright.report.blocks import Block, Figure, Fold, Paragraph, Section, Slides, Table
from bertwright.report.charts import BASE, Chart, axis, heat_map, line, rounded
from bertwright.report.numbers import number
from bertwright.report.phrases import Say
from bertwright.report.sources import Source, sections_of

AROUND = 13
"""Characters of a sentence that a label of the heat map shows on each side of the word."""


def similarity_sections(sources: list[Source], say: Say) -> list[Section]:
    """One section for every such result."""
    return sections_of(sources, "similarity", say("One word in many sentences"), lambda each: _blocks(each, say))


def _blocks(result: dict[str, Any], say: Say) -> list[Block]:
    words = result["words"]
    gap = say("cosine within a sense less across senses")
    several = len(words) > 1
    return [
        Paragraph(
            say(
                "Cosines between the vectors of a word in its sentences, read by {model}. Within: both sentences use "
                "the word in the same sense; across: in different ones. Layer 0 are the embeddings, which do not know "
                "the neighbours yet.",
                model=result["model"],
            )
        ),
        Figure(gap_curves(words, {"layer": say("layer"), "gap": gap, "mean": say("mean")}), summary=gap, height=340),
        _table(words, say),
        *(Fold(word["word"], blocks=_of_word(word, say), is_open=not several or word is words[0]) for word in words),
    ]


def gap_curves(words: list[dict[str, Any]], names: dict[str, str]) -> Chart:
    """By layer the cosine within the senses less that across them: each word thinly, the mean of all thickly.

    Args:
        words: of the result.
        names: what "layer", "gap" and "mean" are called.
    """
    gaps = [[layer["gap"] for layer in word["layers"]] for word in words]
    layers = list(range(len(gaps[0])))
    several = len(words) > 1
    thin = {"width": 1.2, "opacity": 0.55} if several else {"width": 2.5}
    data = [
        line(layers, rounded(each), word["word"], "--blue", mode="lines+markers", showlegend=False, **thin)
        for each, word in zip(gaps, words, strict=True)
    ]
    if several:
        means = rounded([statistics.mean(each) for each in zip(*gaps, strict=True)])
        data.append(line(layers, means, names["mean"], "--orange", mode="lines+markers", width=3))
    layout = {
        **BASE,
        "xaxis": axis(names["layer"], dtick=1),
        "yaxis": axis(names["gap"], hoverformat=".3f", zeroline=True, zerolinecolor="--rule"),
    }
    return {"data": data, "layout": layout}


def best_layer(word: dict[str, Any]) -> int:
    """The layer with the largest gap."""
    gaps = [layer["gap"] for layer in word["layers"]]
    return gaps.index(max(gaps))


def _table(words: list[dict[str, Any]], say: Say) -> Table:
    columns = [
        say("word"),
        say("layer of the largest gap"),
        say("within"),
        say("across"),
        say("gap"),
        "p",
        say("nearest in the same sense"),
        say("gap in layer 0"),
    ]
    rows = []
    for word in words:
        best = best_layer(word)
        layer = word["layers"][best]
        rows.append(
            [
                f"{word['word']} ({', '.join(word['groups'])})",
                str(best),
                *(number(layer[name]) for name in ("within", "across", "gap")),
                number(layer["p"], 4),
                f"{round(layer['nearest'] * len(word['sentences']))} / {len(word['sentences'])}",
                number(word["layers"][0]["gap"]),
            ]
        )
    note = say(
        "p: share of permutations of the senses with a gap as large. The layer was chosen by its gap, so its p "
        "flatters a little."
    )
    return Table(columns, rows, [False, True, True, True, True, True, True, True], note)


def _of_word(word: dict[str, Any], say: Say) -> list[Block]:
    sentences, best = word["sentences"], best_layer(word)
    labels = [f"{_around(each)}  {index}" for index, each in enumerate(sentences, start=1)]
    blocks = [len(list(members)) for _, members in groupby(sentences, key=lambda each: each["group"])]
    chart = heat_map([layer["cosines"] for layer in word["layers"]], best, labels, blocks)
    numbers = [
        say("{layer}: within {within}, across {across}", layer=str(index), **_shown(layer))
        for index, layer in enumerate(word["layers"])
    ]
    outside = [str(index) for index, each in enumerate(sentences, start=1) if each["reaches_outside"]]
    listed = Table(
        ["", say("sense"), say("sentence"), say("pieces of the word"), say("nearest, layer {layer}", layer=str(best))],
        [
            [str(index), each["group"], each["text"], " ".join(each["pieces"]), str(1 + nearest)]
            for index, (each, nearest) in enumerate(zip(sentences, word["layers"][best]["neighbours"], strict=True), 1)
        ],
        [True, False, False, False, True],
    )
    found: list[Block] = [
        Slides(
            chart,
            frames=[[{"z": layer["cosines"]}] for layer in word["layers"]],
            labels=numbers,
            start=best,
            name=say("layer"),
            summary=say("cosines of {word} between all sentences", word=word["word"]),
            height=150 + 24 * len(sentences),
        ),
        Fold(say("sentences"), blocks=[listed]),
    ]
    if outside:
        told = say(
            "In sentence {numbers} a piece reaches outside the word: its vector stands for more than the word.",
            numbers=", ".join(outside),
        )
        found.insert(1, Paragraph(told, tone="warning"))
    return found


def _shown(layer: dict[str, Any]) -> dict[str, str]:
    return {"within": number(layer["within"]), "across": number(layer["across"])}


def _around(sentence: dict[str, Any]) -> str:
    """The word with a few characters on both sides."""
    text, begin, end = sentence["text"], sentence["begin"], sentence["end"]
    first, last = max(0, begin - AROUND), min(len(text), end + AROUND)
    return f"{'…' if first else ''}{text[first:last]}{'…' if last < len(text) else ''}"
