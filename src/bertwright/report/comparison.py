"""Runs side by side: the demo's two starts and its opponents, or any fine-tuned runs given together."""

from dataclasses import dataclass
from typing import Any

from bertwright.report.blocks import Block, Figure, Paragraph, Section, Table
from bertwright.report.charts import learning_curves, score_bars
from bertwright.report.numbers import (
    duration,
    finite,
    half_interval,
    half_interval_of_difference,
    number,
    percent,
    points,
)
from bertwright.report.phrases import Say
from bertwright.report.sources import Source

COLOURS = ("--blue", "--orange", "--green", "--purple", "--grey")
"""In the order in which runs take them; the first two are told apart by every reader, and by their dashes as well."""


@dataclass(frozen=True)
class Contender:
    """Somebody's accuracy on the test examples."""

    name: str
    accuracy: float
    colour: str
    macro_f1: float | None = None
    has_interval: bool = True


def demo_result(sources: list[Source]) -> dict[str, Any] | None:
    """The contents of the demo's results/demo.json, if a source has one."""
    return next((source.results["demo"] for source in sources if "demo" in source.results), None)


def finetuned(sources: list[Source]) -> list[Source]:
    """The runs that were fine-tuned."""
    return [source for source in sources if "finetune" in source.results]


def run_name(source: Source, sources: list[Source], say: Say) -> str:
    """What a fine-tuned run is called: the demo's two by their start, another one by its folder."""
    names = {"pretrained": say("pre-trained"), "scratch": say("from scratch")}
    return names.get(source.name, source.name) if demo_result(sources) else source.name


def metric_name(metric: str, say: Say) -> str:
    """What a metric is called."""
    names = {
        "accuracy": say("accuracy"),
        "macro_f1": say("macro F1"),
        "micro_f1": say("micro F1"),
        "f1": "F1",
        "exact": say("exact match"),
        "precision": say("precision"),
        "recall": say("recall"),
        "matthews": say("Matthews correlation"),
        "pearson": say("Pearson correlation"),
        "spearman": say("Spearman correlation"),
        "rmse": say("root mean squared error"),
        "log_loss": say("log loss"),
        "roc_auc": say("area under the ROC curve"),
    }
    return names.get(metric) or metric.replace("_", " ")


def contenders(sources: list[Source], say: Say) -> tuple[list[Contender], int]:
    """Who is compared, and on how many test examples; nobody if fewer than two can be."""
    demo = demo_result(sources)
    if demo:
        return _demo_contenders(demo, say), demo["examples"]["test"]
    tested = [source for source in finetuned(sources) if "test" in source.results["finetune"]]
    sizes = {
        (source.results["finetune"]["test"]["file"], source.results["finetune"]["test"]["examples"])
        for source in tested
    }
    if len(tested) < 2 or len(sizes) > 1:
        return [], 0
    found = []
    for index, source in enumerate(tested):
        metrics = source.results["finetune"]["test"]["metrics"]
        if "accuracy" in metrics:
            colour = COLOURS[index % len(COLOURS)]
            found.append(Contender(source.name, metrics["accuracy"], colour, metrics.get("macro_f1")))
    return found, next(iter(sizes))[1]


def _demo_contenders(demo: dict[str, Any], say: Say) -> list[Contender]:
    rows = (
        ("pretrained", say("pre-trained"), "--blue"),
        ("scratch", say("from scratch"), "--orange"),
        ("linear", say("linear model"), "--green"),
    )
    found = [
        Contender(name, demo[key]["accuracy"], colour, demo[key].get("macro_f1"))
        for key, name, colour in rows
        if key in demo
    ]
    if "majority" in demo:
        found.append(Contender(say("majority"), demo["majority"], "--grey", has_interval=False))
    return found


def comparison_sections(sources: list[Source], say: Say) -> list[Section]:
    """The bars, the learning curves and the table of what is compared; nothing for a single run."""
    rivals, size = contenders(sources, say)
    runs = [source for source in finetuned(sources) if source.log]
    blocks: list[Block] = []
    demo = demo_result(sources)
    if demo:
        blocks.append(Paragraph(_demo_story(demo, say)))
    if len(rivals) > 1:
        blocks.append(_bars(rivals, size, say))
    if len(runs) > 1:
        blocks.append(curves_figure(runs, sources, say))
    if len(rivals) > 1:
        blocks.append(_table(rivals, size, say))
    if demo and demo.get("seconds"):
        blocks.append(_stages(demo["seconds"], say))
    if not blocks:
        return []
    title = say("Why pre-training matters") if demo else say("The runs side by side")
    return [Section("comparison", title, blocks)]


def _demo_story(demo: dict[str, Any], say: Say) -> str:
    return say(
        "The same small encoder is fine-tuned twice on the same {train} labelled texts, with the same steps and "
        "schedule: once from weights that were pre-trained on text without labels, once from random ones. The best "
        "epoch is chosen on {development} development texts; the {test} test texts are scored once.",
        **{side: number(count) for side, count in demo["examples"].items()},
    )


def _bars(rivals: list[Contender], size: int, say: Say) -> Figure:
    bars = [(r.name, r.accuracy, half_interval(r.accuracy, size) if r.has_interval else None, r.colour) for r in rivals]
    return Figure(
        score_bars(bars, say("accuracy on the test texts")),
        summary="; ".join(f"{rival.name}: {percent(rival.accuracy)}" for rival in rivals),
        caption=say("Accuracy on {count} test texts, with 95% intervals (normal approximation).", count=number(size)),
        height=70 + 52 * len(rivals),
    )


def _table(rivals: list[Contender], size: int, say: Say) -> Table:
    first, rows = rivals[0], []
    for rival in rivals:
        accuracy, lead = percent(rival.accuracy), ""
        if rival.has_interval:
            accuracy += f" ± {100 * half_interval(rival.accuracy, size):.1f}"
            spread = half_interval_of_difference(first.accuracy, rival.accuracy, size)
            lead = f"{points(first.accuracy - rival.accuracy)} ± {100 * spread:.1f}"
        macro_f1 = "" if rival.macro_f1 is None else number(rival.macro_f1)
        rows.append([rival.name, accuracy, macro_f1, "" if rival is first else lead])
    columns = ["", say("accuracy"), say("macro F1"), say("lead of “{name}”, points", name=first.name)]
    caption = say(
        "± is half of the 95% interval (normal approximation); the two sides of a lead are taken as independent."
    )
    return Table(columns, rows, [False, True, True, True], caption)


def _stages(seconds: dict[str, float], say: Say) -> Paragraph:
    names = {
        "prepare": say("preparing the text"),
        "pretrain": say("pre-training"),
        "pretrained": say("fine-tuning the pre-trained start"),
        "scratch": say("fine-tuning from scratch"),
        "linear": say("linear model"),
    }
    parts = [f"{names.get(stage, stage)} {duration(value)}" for stage, value in seconds.items()]
    return Paragraph(say("Where the time went: {parts}.", parts=", ".join(parts)), tone="note")


# ---------------------------------------------------------------------------------------------- learning curves


def curves_figure(runs: list[Source], sources: list[Source], say: Say) -> Figure:
    """Training loss and development score of fine-tuned runs, over epochs (over steps where there is but one)."""
    per_epoch = [_steps_per_epoch(run.log) for run in runs]
    by_epoch = all(per_epoch)
    curves, metrics = [], set[str]()
    for index, (run, size) in enumerate(zip(runs, per_epoch, strict=True)):
        unit = size if by_epoch and size else 1
        evaluated = [record for record in run.log if "evaluation" in record]
        random = run.results["finetune"]["start"]["weights"] == "random"
        metric = run.results["finetune"]["metric"]
        metrics.add(metric_name(metric, say))
        curves.append(
            {
                "name": run_name(run, sources, say),
                "colour": COLOURS[index % len(COLOURS)],
                "dash": "dash" if random else "solid",
                "x": [round(record["step"] / unit, 5) for record in run.log],
                "loss": [finite(record["loss"]) for record in run.log],
                "score_x": [round(record["step"] / unit, 5) for record in evaluated],
                "score": [finite(record["evaluation"].get(metric)) for record in evaluated],
            }
        )
    names = {
        "x": say("epoch") if by_epoch else say("step"),
        "loss": say("training loss"),
        "score": say("{metric}, development texts", metric=", ".join(sorted(metrics))),
    }
    caption = say(
        "Training loss of every step (faint) and smoothed; score on the development texts, unseen in training."
    )
    return Figure(
        learning_curves(curves, names), summary=f"{names['loss']}, {names['score']}", caption=caption, height=520
    )


def _steps_per_epoch(log: list[dict[str, Any]]) -> int | None:
    """How many steps the first epoch took, or None if the log does not go beyond it."""
    return next((record["step"] - 1 for record in log if record.get("epoch", 0) >= 1), None)
