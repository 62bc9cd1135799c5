"""The section of a competition: the leaderboard with its spread, the mixture, and where the errors lie."""

from typing import Any

from bertwright.report.blocks import Block, Figure, Paragraph, Section, Table, Tile
from bertwright.report.charts import spread_points
from bertwright.report.comparison import metric_name
from bertwright.report.numbers import duration, number
from bertwright.report.phrases import Say
from bertwright.report.scores import details
from bertwright.report.sources import Source

NOTICES_SHOWN = 10


def competition_result(sources: list[Source]) -> dict[str, Any] | None:
    """The contents of results/compete.json, if one source has it."""
    found = [source.results["compete"] for source in sources if "compete" in source.results]
    return found[0] if len(found) == 1 else None


def competition_headline(result: dict[str, Any], say: Say) -> tuple[list[str], list[Tile]]:
    """What the mixture reaches, and what it is made of."""
    ensemble, metric = result["ensemble"], metric_name(result["metric"], say)
    best = result["leaderboard"][0]
    values = {"metric": metric, "value": number(ensemble["out_of_fold"]), "count": number(result["examples"]["train"])}
    sentences = [
        say("The ensemble reaches {value} ({metric}) on {count} training examples, each unseen in training.", **values),
        say("Its best member alone, {name}, reaches {value}.", name=best["name"], value=number(best["out_of_fold"])),
    ]
    tiles = [Tile(say("ensemble, out of fold"), values["value"], metric, "--blue")]
    if "held_back" in ensemble:
        held_back = number(ensemble["held_back"][result["metric"]])
        detail = say("{count} examples", count=number(result["examples"]["held_back"]))
        tiles.append(Tile(say("ensemble, held back"), held_back, detail, "--orange"))
    tiles.append(Tile(say("members"), number(len(result["leaderboard"]))))
    seconds = sum(row["seconds"] for row in result["leaderboard"])
    models = say("folds × seeds: {folds} × {seeds}", folds=str(result["folds"]), seeds=str(len(result["seeds"])))
    tiles.append(Tile(say("time of training"), duration(seconds), models))
    return sentences, tiles


def competition_sections(sources: list[Source], say: Say) -> list[Section]:
    """The leaderboard, and where the ensemble is wrong."""
    sections = []
    for index, source in enumerate((each for each in sources if "compete" in each.results), start=1):
        result = source.results["compete"]
        told = {each["text"] for each in source.results.get("data", {}).get("warnings", [])}
        notices = [notice for notice in result["notices"] if notice not in told]  # that has a section of its own
        sections.append(Section(f"leaderboard-{index}", say("Leaderboard"), _board(result, notices, say)))
        wrong = details(result["ensemble"]["scores"], result["labels"], say("out of fold"), say)
        if wrong:
            sections.append(Section(f"errors-{index}", say("Where the ensemble is wrong"), wrong))
    return sections


def _board(result: dict[str, Any], notices: list[str], say: Say) -> list[Block]:
    metric = result["metric"]
    held_back, several = "held_back" in result["ensemble"], len(result["seeds"]) > 1
    columns = [
        "",
        say("{metric}, out of fold", metric=metric_name(metric, say)),
        say("over folds"),
        *([say("over seeds")] if several else []),
        *([say("held back")] if held_back else []),
        say("weight"),
        say("time"),
    ]
    ensemble = result["ensemble"]

    def cells(name: str, scores: dict[str, Any], held_back_score: float | None, last: list[str]) -> list[str]:
        return [
            name,
            number(scores["out_of_fold"], 4),
            _range(scores.get("by_fold")),
            *([_range(scores.get("by_seed"))] if several else []),
            *([number(held_back_score, 4)] if held_back else []),
            *last,
        ]

    of_ensemble = ensemble["held_back"][metric] if held_back else None
    rows = [cells(say("ensemble"), ensemble, of_ensemble, ["", ""])]
    rows += [
        cells(
            row["name"],
            row,
            row.get("held_back"),
            [number(ensemble["weights"][row["name"]], 1), duration(row["seconds"])],
        )
        for row in result["leaderboard"]
    ]
    explanation = say(
        "Out of fold: each training example is judged by a model that was trained without it, and without all of its "
        "group; the ensemble's weights for a fold are chosen on the other folds. Held back: test examples whose labels "
        "no model and no choice has seen."
    )
    blocks: list[Block] = [
        Table(columns, rows, [False, *(True for _ in columns[1:])]),
        Paragraph(explanation, tone="note"),
    ]
    named = [(row["name"], row["by_fold"], row["out_of_fold"]) for row in result["leaderboard"]]
    chart = spread_points(named, metric_name(metric, say), (say("a fold"), say("all folds")))
    blocks.append(Figure(chart, summary=say("{metric}, out of fold", metric=metric_name(metric, say)), height=300))
    blocks += [Paragraph(notice, tone="warning") for notice in notices[:NOTICES_SHOWN]]
    if len(notices) > NOTICES_SHOWN:
        more = number(len(notices) - NOTICES_SHOWN)
        blocks.append(Paragraph(say("{count} more", count=more), tone="note"))
    return blocks


def _range(values: list[float] | None) -> str:
    return f"{number(min(values))} – {number(max(values))}" if values else ""
