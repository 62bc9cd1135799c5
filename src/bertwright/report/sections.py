"""The page, put together: headline, sections in their order, machine and recipes.

To add a section: write a function `(sources, say) -> list[Section]` that returns nothing where its data is missing, and
put it into SECTIONS; if it reads a new file of results/, add that file's name to DRAWN.
"""

import json
from collections.abc import Callable
from typing import Any

from bertwright.report.alignment import alignment_sections
from bertwright.report.answers import answer_sections
from bertwright.report.blocks import Block, Facts, Fold, Paragraph, Section, Tile
from bertwright.report.comparison import comparison_sections, contenders, demo_result, finetuned, metric_name
from bertwright.report.competition import competition_headline, competition_result, competition_sections
from bertwright.report.context import context_sections
from bertwright.report.data_page import data_sections
from bertwright.report.domains import domain_sections
from bertwright.report.embeddings import embedding_sections
from bertwright.report.initialization import initialization_sections
from bertwright.report.numbers import (
    duration,
    finite,
    half_interval,
    half_interval_of_difference,
    number,
    percent,
    points,
    short,
)
from bertwright.report.phrases import Say
from bertwright.report.pretraining import fill_sections, pretraining_sections
from bertwright.report.probes import probe_sections
from bertwright.report.reconstruction import reconstruction_sections
from bertwright.report.scores import score_sections, side_name
from bertwright.report.shift import shift_sections
from bertwright.report.similarity import similarity_sections
from bertwright.report.sizes import size_sections
from bertwright.report.sources import Source
from bertwright.report.transfer import transfer_sections

DRAWN = {
    *("data", "pretrain", "start", "finetune", "fill", "answer", "demo", "compete"),
    *("initialization", "domains", "sizes", "similarity", "embeddings", "context", "probes"),
    *("transfer", "alignment", "reconstruction", "shift"),
}
"""Names of the results that a section draws; the others are shown as they are."""

MAX_OTHER = 100_000
"""Characters of a result shown as it is."""


def headline(sources: list[Source], say: Say) -> tuple[list[str], list[Tile]]:
    """What the page shows, in a sentence or two, and the figures that matter as tiles."""
    if demo_result(sources):
        return _demo_headline(sources, say)
    if competition := competition_result(sources):
        return competition_headline(competition, say)
    for name, write in (("finetune", _finetuned_headline), ("pretrain", _pretrained_headline)):
        results = [source.results[name] for source in sources if name in source.results]
        if len(results) == 1:
            return write(results[0], say)
    if finetuned(sources):
        return _best_headline(sources, say)
    return [say("Drawn from {names}.", names=", ".join(source.name for source in sources))], []


def _demo_headline(sources: list[Source], say: Say) -> tuple[list[str], list[Tile]]:
    demo = demo_result(sources)
    assert demo is not None
    size = demo["examples"]["test"]
    pretrained, scratch = demo["pretrained"]["accuracy"], demo["scratch"]["accuracy"]
    lead, spread = pretrained - scratch, half_interval_of_difference(pretrained, scratch, size)
    values = {
        "train": number(demo["examples"]["train"]),
        "test": number(size),
        "pretrained": percent(pretrained),
        "scratch": percent(scratch),
        "lead": points(lead),
        "points": points(abs(lead)).removeprefix("+"),
        "interval": _interval(lead - spread, lead + spread, points, say),
    }
    first = say(
        "Fine-tuned on {train} labelled texts, the pre-trained encoder judges {pretrained} of {test} unseen texts "
        "correctly; the same encoder from random weights judges {scratch} correctly.",
        **values,
    )
    if lead > spread:
        second = say("Pre-training is worth {points} points ({interval}).", **values)
    elif lead < -spread:
        second = say("Here pre-training costs {points} points ({interval}).", **values)
    else:
        second = say("The lead of {lead} points may be chance ({interval}).", **values)
    rivals, _ = contenders(sources, say)
    if "linear" in demo:
        linear = say("A linear model on n-grams reaches {linear}.", linear=percent(demo["linear"]["accuracy"]))
        second = say("{first} {second}", first=second, second=linear)
    tiles = [
        Tile(rival.name, percent(rival.accuracy), _spread(half_interval(rival.accuracy, size), say), rival.colour)
        for rival in rivals
        if rival.has_interval
    ]
    tiles.append(Tile(say("lead of pre-training"), say("{lead} points", lead=points(lead)), _spread(spread, say)))
    tiles.append(Tile(say("test texts"), number(size), say("{count} labelled to learn from", count=values["train"])))
    if demo.get("seconds"):
        tiles.append(Tile(say("time, all in all"), duration(sum(demo["seconds"].values()))))
    return [first, second], tiles


def _finetuned_headline(result: dict[str, Any], say: Say) -> tuple[list[str], list[Tile]]:
    side = "test" if "test" in result else "development"
    scores = result[side]
    size, accuracy = scores["examples"], finite(scores["metrics"].get("accuracy"))
    tiles = [
        Tile(
            metric_name(metric, say), (percent if metric == "accuracy" else number)(finite(value)), side_name(side, say)
        )
        for metric, value in scores["metrics"].items()
    ]
    tiles += [Tile(say("texts scored"), number(size)), Tile(say("time"), duration(result["seconds"]))]
    if accuracy is None or "words" in scores:
        metric = result["metric"]
        values = {"metric": metric_name(metric, say), "value": number(finite(scores["metrics"].get(metric)))}
        sentence = say("The model reaches {value} ({metric}) on {count} texts.", count=number(size), **values)
        return [sentence], tiles
    half = half_interval(accuracy, size)
    values = {
        "accuracy": percent(accuracy),
        "count": number(size),
        "interval": _interval(accuracy - half, accuracy + half, percent, say),
    }
    if side == "test":
        return [say("The model labels {accuracy} of {count} test texts correctly ({interval}).", **values)], tiles
    sentence = say("The model labels {accuracy} of {count} development texts correctly ({interval}).", **values)
    return [sentence, say("These texts chose the best step, so the figure flatters; no test texts were given.")], tiles


def _pretrained_headline(result: dict[str, Any], say: Say) -> tuple[list[str], list[Tile]]:
    loss, entropy = finite((result.get("evaluation") or {}).get("masked_tokens")), finite(result.get("unigram_entropy"))
    tiles = [
        Tile(
            say("tokens seen"),
            short(result["tokens"]),
            say("{rate} per second", rate=short(result["tokens_per_second"])),
        ),
        Tile(say("parameters"), short(result["parameters"])),
        Tile(say("time"), duration(result["seconds"]), say("steps: {steps}", steps=number(result["steps"]))),
    ]
    if loss is None:
        return [say("Pre-trained for {time}.", time=duration(result["seconds"]))], tiles
    tiles.insert(0, Tile(say("held-out loss"), number(loss), say("nats per masked token"), "--orange"))
    sentence = say(
        "After {time} of pre-training, the loss on held-out text is {loss} nats per masked token; a uniform guess "
        "costs {uniform}.",
        time=duration(result["seconds"]),
        loss=number(loss, 2),
        uniform=number(finite(result.get("uniform_loss")), 2),
    )
    if entropy is None:
        return [sentence], tiles
    if loss < entropy:
        verdict = say(
            "That is below the unigram entropy of {entropy}: it uses the context.", entropy=number(entropy, 2)
        )
    else:
        verdict = say(
            "That is not below the unigram entropy of {entropy}: it has not learnt to use the context.",
            entropy=number(entropy, 2),
        )
    return [sentence, verdict], tiles


def _best_headline(sources: list[Source], say: Say) -> tuple[list[str], list[Tile]]:
    """Several fine-tuned runs: the best by test accuracy, if they were scored on the same examples."""
    rivals, size = contenders(sources, say)
    if not rivals:
        return [say("{count} fine-tuned runs.", count=str(len(finetuned(sources))))], []
    best = max(rivals, key=lambda rival: rival.accuracy)
    values = {"name": best.name, "accuracy": percent(best.accuracy), "count": number(size), "runs": str(len(rivals))}
    tiles = [Tile(r.name, percent(r.accuracy), _spread(half_interval(r.accuracy, size), say), r.colour) for r in rivals]
    return [say("Of {runs} runs, {name} scores highest: {accuracy} of {count} test texts.", **values)], tiles


def _spread(half: float, say: Say) -> str:
    return say("± {half} (95%)", half=f"{100 * half:.1f}")


def _interval(low: float, high: float, spell: Callable[[float], str], say: Say) -> str:
    return say("95% interval {low} to {high}", low=spell(low), high=spell(high))


# ---------------------------------------------------------------------------------------------- machine and recipes


def machine_sections(sources: list[Source], say: Say) -> list[Section]:
    """The machine and the versions: once where all runs agree."""
    machines: dict[str, tuple[dict[str, Any], list[Source]]] = {}
    for source in sources:
        if source.environment:
            machine = {key: value for key, value in source.environment.items() if key not in ("command", "launch")}
            machines.setdefault(json.dumps(machine, sort_keys=True), (machine, []))[1].append(source)
    blocks: list[Block] = []
    for machine, runs in machines.values():
        if len(machines) > 1:
            blocks.append(Paragraph(", ".join(run.name for run in runs)))
        blocks.append(Facts([*_machine_facts(machine, say), *_commands(runs, say)]))
    return [Section("machine", say("The machine"), blocks)] if blocks else []


def _machine_facts(machine: dict[str, Any], say: Say) -> list[tuple[str, str]]:
    memory = finite(machine.get("memory_gigabytes"))
    rows = [
        (say("processor"), machine.get("processor")),
        (say("cores"), machine.get("cores")),
        (say("memory"), None if memory is None else f"{memory:g} GB"),
        (say("platform"), machine.get("platform")),
        ("Python", machine.get("python")),
        *(machine.get("packages") or {}).items(),
    ]
    return [(name, str(value)) for name, value in rows if value is not None]


def _commands(runs: list[Source], say: Say) -> list[tuple[str, str]]:
    """The commands of the runs: one, if they are all the same."""
    commands = [(run.name, " ".join(map(str, run.environment.get("command", [])))) for run in runs]
    if len({command for _, command in commands}) == 1:
        commands = commands[:1]
    return [
        (say("command") if len(commands) == 1 else say("command ({name})", name=name), text) for name, text in commands
    ]


def recipe_sections(sources: list[Source], say: Say) -> list[Section]:
    """Every run's recipe, as it was resolved."""
    recipes = [source for source in sources if source.recipe]
    folds: list[Block] = [Fold(f"{source.name}/recipe.toml", code=source.recipe) for source in recipes]
    intro = say("Exactly as resolved, with what was probed on the machine: the same file repeats the run.")
    return [Section("recipes", say("Recipes"), [Paragraph(intro, tone="note"), *folds])] if folds else []


def other_sections(sources: list[Source], say: Say) -> list[Section]:
    """Results that no section draws, as they are: nothing is left out without a word."""
    folds: list[Block] = []
    for source in sources:
        for name, result in source.results.items():
            if name not in DRAWN and not name.startswith(("evaluate-", "data-")):
                text = json.dumps(result, ensure_ascii=False, indent=1)
                code = text if len(text) <= MAX_OTHER else text[:MAX_OTHER] + "\n" + say("(cut here)")
                folds.append(Fold(f"{source.name}/results/{name}.json", code=code))
    return [Section("other", say("Other results"), folds)] if folds else []


SECTIONS: tuple[Callable[[list[Source], Say], list[Section]], ...] = (
    comparison_sections,
    competition_sections,
    initialization_sections,
    domain_sections,
    size_sections,
    similarity_sections,
    embedding_sections,
    context_sections,
    probe_sections,
    transfer_sections,
    alignment_sections,
    reconstruction_sections,
    shift_sections,
    data_sections,
    pretraining_sections,
    fill_sections,
    answer_sections,
    score_sections,
    machine_sections,
    recipe_sections,
    other_sections,
)
"""In the order of the page."""


def all_sections(sources: list[Source], say: Say) -> list[Section]:
    """Every section that the sources have data for."""
    return [section for make in SECTIONS for section in make(sources, say)]
