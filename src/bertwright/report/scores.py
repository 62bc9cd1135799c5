"""The sections of fine-tuned models: metrics, confusion table, most wrong examples."""

from typing import Any

from bertwright.report.blocks import (
    Block,
    Confusion,
    Example,
    Examples,
    Facts,
    Fold,
    Heading,
    Paragraph,
    Section,
    Table,
)
from bertwright.report.comparison import curves_figure, finetuned, metric_name, run_name
from bertwright.report.numbers import duration, finite, half_interval, number, percent
from bertwright.report.phrases import Say
from bertwright.report.sources import Source

FOLDED_AFTER = 90
"""Characters of a text that are shown before it is unfolded."""

SHOWN = 8
"""Wrong examples that stand open on the page; the others are behind a fold."""

CLASSES_SHOWN = 30
"""A confusion table of more classes cannot be read."""

NOTICES_SHOWN = 5


def score_sections(sources: list[Source], say: Say) -> list[Section]:
    """One section for every fine-tuned run, and one for every evaluation of a run on another file."""
    runs = finetuned(sources)
    sections = [
        Section(
            f"scores-{index}",
            say("Scores") if len(runs) == 1 else say("Scores: {name}", name=run_name(run, sources, say)),
            _run_blocks(run, sources, say, alone=len(runs) == 1),
        )
        for index, run in enumerate(runs, start=1)
    ]
    evaluations = [
        (name, result) for source in sources for name, result in source.results.items() if _is_evaluation(result)
    ]
    for index, (name, result) in enumerate(evaluations, start=1):
        title = say("Scores: {name}", name=name.removeprefix("evaluate-"))
        sections.append(Section(f"evaluation-{index}", title, _evaluation_blocks(result, say)))
    return sections


def _is_evaluation(result: Any) -> bool:
    return isinstance(result, dict) and result.get("kind") == "evaluate"


def _run_blocks(run: Source, sources: list[Source], say: Say, *, alone: bool) -> list[Block]:
    result = run.results["finetune"]
    sides = {side: result[side] for side in ("development", "test") if side in result}
    blocks: list[Block] = [Facts(_facts(result, say)), _metrics(sides, say)]
    blocks += [Paragraph(text, tone="warning") for text in _warnings(result, say)]
    if alone and run.log:
        blocks.append(curves_figure([run], sources, say))
    side = "test" if "test" in sides else "development"
    return blocks + details(sides[side], result["labels"], side_name(side, say), say)


def _evaluation_blocks(result: dict[str, Any], say: Say) -> list[Block]:
    name = say("evaluation")
    blocks: list[Block] = [
        Paragraph(say("File: {file}", file=str(result["file"])), tone="note"),
        _metrics({name: result}, say),
    ]
    if result.get("num_windowed"):
        counts = number(result["num_windowed"])
        blocks.append(
            Paragraph(say("Texts longer than the model reads at once: {counts}.", counts=counts), tone="note")
        )
    blocks += [Paragraph(notice, tone="warning") for notice in result.get("notices", [])[:NOTICES_SHOWN]]
    return blocks + details(result, result["labels"], name, say)


def side_name(side: str, say: Say) -> str:
    """What a part of the examples is called."""
    return {"train": say("training"), "development": say("development"), "test": say("test")}.get(side, side)


def _facts(result: dict[str, Any], say: Say) -> list[tuple[str, str]]:
    start = result["start"]
    weights = {
        "pretrained": say("pre-trained"),
        "random": say("random"),
        "reembedded": say("pre-trained, word embeddings drawn anew"),
    }
    rows = [
        (say("start"), weights.get(start["weights"], start["weights"])),
        (say("checkpoint"), str(start["checkpoint"])),
    ]
    if "examples" in result:
        rows.append((say("training texts"), number(result["examples"]["train"])))
    rows += [
        (say("steps"), number(result["steps"])),
        (say("time"), duration(result["seconds"])),
        (say("best step"), number(result["best_step"])),
    ]
    return rows


def _warnings(result: dict[str, Any], say: Say) -> list[str]:
    """What people should know of the data: long texts, texts that training knew, what is odd in the files."""
    found = []
    if long := _told(result.get("num_windowed"), say):
        found.append(say("Texts longer than the model reads at once: {counts}.", counts=long))
    if known := _told(result.get("overlaps"), say):
        if result.get("overlaps_dropped"):
            found.append(say("Texts that stand in the training data too, and were left out: {counts}.", counts=known))
        else:
            found.append(
                say("Texts that stand in the training data too, so that the score flatters: {counts}.", counts=known)
            )
    return found + result.get("notices", [])[:NOTICES_SHOWN]


def _told(counts: dict[str, int] | None, say: Say) -> str:
    """Counts by side that are not 0, in words."""
    return ", ".join(f"{side_name(side, say)} {number(count)}" for side, count in (counts or {}).items() if count)


def _metrics(sides: dict[str, dict[str, Any]], say: Say) -> Table:
    """Metrics down, sides across; accuracy with its interval."""
    rows = [[say("texts"), *(number(scores["examples"]) for scores in sides.values())]]
    for metric in next(iter(sides.values()))["metrics"]:
        cells = []
        for scores in sides.values():
            value = finite(scores["metrics"].get(metric))
            if metric == "accuracy" and value is not None:
                size = scores.get("words", scores["examples"])
                cells.append(f"{percent(value)} ± {100 * half_interval(value, size):.1f}")
            else:
                cells.append(number(value))
        rows.append([metric_name(metric, say), *cells])
    columns = ["", *(side_name(side, say) for side in sides)]
    return Table(
        columns,
        rows,
        [False, *(True for _ in sides)],
        caption=say("± is half of the 95% interval (normal approximation)."),
    )


def details(scores: dict[str, Any], labels: list[str], side: str, say: Say) -> list[Block]:
    """Confusion table and most wrong examples."""
    blocks: list[Block] = []
    if scores.get("confusion") and len(labels) <= CLASSES_SHOWN:
        blocks += [Heading(say("What was taken for what ({side})", side=side)), confusion(labels, scores["confusion"])]
    wrong = [_example(each) for each in scores.get("most_wrong") or []]
    if wrong:
        blocks += [Heading(say("Most wrong ({side})", side=side)), Examples(wrong[:SHOWN])]
    if len(wrong) > SHOWN:
        more = say("{count} more", count=str(len(wrong) - SHOWN))
        blocks.append(Fold(more, blocks=[Examples(wrong[SHOWN:])]))
    return blocks


def confusion(labels: list[str], counts: list[list[int]]) -> Confusion:
    """A confusion table with each count's share of its row."""
    cells = [[(count, count / max(1, sum(row))) for count in row] for row in counts]
    return Confusion([str(label) for label in labels], cells)


def _example(entry: dict[str, Any]) -> Example:
    text = str(entry["text"])
    start = text[: FOLDED_AFTER - 10].rstrip() if len(text) > FOLDED_AFTER else ""
    return Example(
        text=text,
        start=start,
        truth=str(entry["label"]),
        predicted=str(entry["predicted"]),
        probability=percent(finite(entry["probability"]), 2),
        identity=str(entry.get("id", "")),
    )
