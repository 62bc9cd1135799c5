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
    """Slide 78's: for each test a row for each encoder and set of training data; and who guesses."""
    first, metrics, judged_by = result["rows"][0]["encoder"], result["metrics"], result["judged_by"]
    columns = [say("test (examples)"), say("pre-training"), say("fine-tuning (examples)")]
    columns += [metric_name(metric, say) for metric in metrics]
    notes = []
    if judged_by in metrics:
        notes.append(_chance_note(result["task"], say))
    if judged_by is not None:
        columns.append(say("{encoder} is better by", encoder=first))
        notes.append(_difference_note(first, judged_by, say))
    against = {(row["train"], other): found for row in result["rows"] for other, found in row["against"].items()}
    rows = []
    for test, examples in result["tests"].items():
        name = f"{test} ({number(examples)})"
        for row in result["rows"]:
            encoder = say("none") if row["encoder"] == "none" else row["encoder"]
            scores = [mean_and_deviation(row["scores"][test][metric]) for metric in metrics]
            found = against.get((row["train"], row["encoder"]))
            better = [] if judged_by is None else [_interval(found[test]) if found else ""]
            rows.append([name, encoder, f"{row['train']} ({number(row['examples'])})", *scores, *better])
            name = ""  # the rows of a test stand together
        if judged_by in metrics:
            guess = number(100 * result["chance"][test], 1)
            chance = [guess if metric == judged_by else "–" for metric in metrics]
            rows.append(["", say("chance"), "", *chance, ""])
    return Table(columns, rows, [False] * 3 + [True] * (len(columns) - 3), " ".join(notes))


def _chance_note(task: str, say: Say) -> str:
    if task == "qa":
        return say("Chance: any part of the passage that is as long as the answer.")
    return say("Chance: always the most frequent label of the test.")


def _difference_note(first: str, judged_by: str, say: Say) -> str:
    return say(
        "By how much {encoder} is better, × 100 ({metric}), and the interval that holds it in 95 of 100 experiments: "
        "Student's t from the spread over seeds and over test examples.",
        encoder=first,
        metric=metric_name(judged_by, say),
    )


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
