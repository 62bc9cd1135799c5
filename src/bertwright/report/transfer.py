"""The section of slides 77 and 78: fine-tuned in one language, tested in others."""

from typing import Any

from bertwright.report.blocks import Block, Paragraph, Section, Table
from bertwright.report.comparison import metric_name
from bertwright.report.numbers import mean_and_deviation, number, points
from bertwright.report.phrases import Say
from bertwright.report.sources import Source, sections_of

UNREAD = 0.01
"""Share of a test's tokens that are unknown, from which on it is told."""


def transfer_sections(sources: list[Source], say: Say) -> list[Section]:
    """One section for every such result."""
    return sections_of(sources, "transfer", say("From one language to others"), lambda each: _blocks(each, say))


def _blocks(result: dict[str, Any], say: Say) -> list[Block]:
    intro = say(
        "Fine-tuned in one language and tested in others, mean ± deviation over {seeds} seeds, × 100.",
        seeds=str(len(result["seeds"])),
    )
    blocks: list[Block] = [Paragraph(intro), _table(result, say)]
    if any(row["against"] for row in result["rows"]):
        blocks.append(_differences(result, say))
    unread = [
        say("{share} % of {test} to {encoder}", share=number(100 * share, 0), test=test, encoder=encoder)
        for encoder, shares in result["unknown"].items()
        for test, share in shares.items()
        if share >= UNREAD
    ]
    if unread:
        blocks.append(Paragraph(say("Tokens that are unknown: {shares}.", shares=", ".join(unread)), tone="warning"))
    dropped = [f"{number(count)} ({test})" for test, count in result["dropped"].items() if count]
    if dropped:
        told = say("Left out, as they or their passages stand in training data: {tests}.", tests=", ".join(dropped))
        blocks.append(Paragraph(told, tone="note"))
    if result["task"] == "qa":
        blocks.append(_published(say))
    return blocks


def _table(result: dict[str, Any], say: Say) -> Table:
    """A row for each encoder and set of training data, a column for each test and metric."""
    places = [(test, metric) for test in result["tests"] for metric in result["metrics"]]
    rows = []
    for row in result["rows"]:
        encoder = say("none") if row["encoder"] == "none" else row["encoder"]
        trained = f"{row['train']} ({number(row['examples'])})"
        rows.append([encoder, trained, *(mean_and_deviation(row["scores"][test][metric]) for test, metric in places)])
    guesses = [result["chance"][test] if metric == result["judged_by"] else None for test, metric in places]
    note = ""
    if any(guess is not None for guess in guesses):
        rows.append([say("chance"), "", *("–" if guess is None else number(100 * guess, 1) for guess in guesses)])
        note = (
            say("Chance: any part of the passage that is as long as the answer.")
            if result["task"] == "qa"
            else say("Chance: always the most frequent label of the test.")
        )
    tests = [f"{test}: {metric_name(metric, say)} ({number(result['tests'][test])})" for test, metric in places]
    columns = [say("pre-training"), say("fine-tuning (examples)"), *tests]
    return Table(columns, rows, [False, False] + [True] * len(places), note)


def _differences(result: dict[str, Any], say: Say) -> Table:
    """By how much the first encoder is better than each other one."""
    first, tests = result["rows"][0]["encoder"], list(result["tests"])
    rows = [
        [say("none") if other == "none" else other, row["train"], *(_interval(found[test]) for test in tests)]
        for row in result["rows"]
        for other, found in row["against"].items()
    ]
    note = say(
        "By how much {encoder} is better, × 100 ({metric}), and the interval that holds it in 95 of 100 experiments: "
        "Student's t from the spread over seeds and over test examples.",
        encoder=first,
        metric=metric_name(result["judged_by"], say),
    )
    return Table([say("than"), say("fine-tuning"), *tests], rows, [False, False] + [True] * len(tests), note)


def _interval(found: list[float]) -> str:
    mean, low, high = map(points, found)
    return f"{mean} ({low} … {high})"


def _published(say: Say) -> Table:
    """The table on slide 78."""
    chinese, english, both = say("Chinese"), say("English"), say("Chinese and English")
    many = say("104 languages")
    rows = [
        [f"{say('none')} (QANet)", chinese, "66.1", "78.1"],
        [chinese, chinese, "82.0", "89.1"],
        [many, chinese, "81.2", "88.7"],
        [many, english, "63.3", "78.8"],
        [many, both, "82.6", "90.1"],
    ]
    columns = [say("pre-training"), say("fine-tuning"), say("exact match"), "F1"]
    note = say(
        "Published (slide 78; Hsu, Liu and Lee 2019): BERT-base, tested on DRCD. F1 of Chinese answers is that of "
        "characters here, by their longest common run, as CMRC's scorer has it."
    )
    return Table(columns, rows, [False, False, True, True], note)
