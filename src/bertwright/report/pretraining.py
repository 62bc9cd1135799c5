"""The pre-training sections: loss curves, key numbers, and what the model fills in."""

import math
from typing import Any

from bertwright.report.blocks import Block, Facts, Figure, Fill, Filled, Fold, Heading, Mask, Paragraph, Section, Table
from bertwright.report.charts import loss_curve, rates
from bertwright.report.numbers import duration, finite, number, percent, short
from bertwright.report.phrases import Say
from bertwright.report.sources import Source

MASK = "[MASK]"


def pretraining_sections(sources: list[Source], say: Say) -> list[Section]:
    """One section for every pre-training run, and for every run of any kind that has no results yet."""
    runs = [source for source in sources if _is_pretraining(source)]
    unfinished = [
        source for source in sources if source.log and source not in runs and "finetune" not in source.results
    ]
    titles = [say("Pre-training") if len(runs) == 1 else say("Pre-training: {name}", name=run.name) for run in runs]
    titles += [say("Fine-tuning: {name}", name=run.name) for run in unfinished]
    return [
        Section(f"training-{index}", title, _blocks(run, say))
        for index, (title, run) in enumerate(zip(titles, runs + unfinished, strict=True), start=1)
    ]


def _is_pretraining(source: Source) -> bool:
    """Whether a run, perhaps one that has not come to its end, is of pre-training."""
    return "pretrain" in source.results or (bool(source.log) and "masked_tokens" in source.log[-1].get("losses", {}))


def _blocks(run: Source, say: Say) -> list[Block]:
    result: dict[str, Any] = run.results.get("pretrain", {})
    blocks: list[Block] = []
    if not result:
        text = say("This run has not come to its end: {steps} steps so far.", steps=number(run.log[-1]["step"]))
        blocks.append(Paragraph(text, tone="warning"))
    if start := run.results.get("start"):
        text = say("The run goes on from {checkpoint}.", checkpoint=str(start["checkpoint"]))
        blocks.append(Paragraph(text))
        if words := start["added_tokens"]:
            title = say("{count} tokens were added", count=number(len(words)))
            blocks.append(Fold(title, code=", ".join(words)))
    for record in run.log:
        for notice in record.get("notices", []):
            told = say("Told at step {step}: {notice}", step=number(record["step"]), notice=notice)
            blocks.append(Paragraph(told, tone="warning"))
    objectives = list(run.log[-1].get("losses") or {"loss": 0}) if run.log else []
    for objective in objectives:
        if len(objectives) > 1:
            blocks.append(Heading(_objective_name(objective, say)))
        blocks.append(_loss_figure(run.log, objective, result, say))
    if result:
        blocks.append(Facts(_facts(result, say)))
        if languages := result.get("languages"):
            rows = [[name, number(finite(loss))] for name, loss in sorted(languages.items(), key=lambda each: each[1])]
            table = Table([say("language"), say("held-out loss, masked tokens")], rows, [False, True])
            blocks.append(Fold(say("Held-out loss by language"), blocks=[table]))
    if run.log:
        blocks.append(Fold(say("Learning rate and speed"), blocks=[_rates_figure(run.log, say)]))
    return blocks


def _objective_name(objective: str, say: Say) -> str:
    names = {
        "masked_tokens": say("masked tokens"),
        "next_sentence": say("next sentence"),
        "sentence_order": say("sentence order"),
        "classes": say("classes"),
        "labels": say("labels"),
        "answer": say("answer"),
        "disagreement": say("disagreement of two dropouts"),
    }
    return names.get(objective, objective.replace("_", " "))


def _loss_figure(log: list[dict[str, Any]], objective: str, result: dict[str, Any], say: Say) -> Figure:
    references: list[tuple[str, float]] = []
    if objective in ("next_sentence", "sentence_order"):
        references.append((say("coin toss, ln 2 = {loss}", loss=number(math.log(2), 2)), math.log(2)))
    elif result:
        uniform, entropy = finite(result.get("uniform_loss")), finite(result.get("unigram_entropy"))
        if uniform is not None:
            references.append((say("uniform guess, ln V = {loss}", loss=number(uniform, 2)), uniform))
        if entropy is not None:
            references.append((say("unigram entropy = {loss}", loss=number(entropy, 2)), entropy))
    evaluated = [(record["step"], _held_out_loss(record, objective)) for record in log if "evaluation" in record]
    evaluated = [(step, loss) for step, loss in evaluated if loss is not None]
    name = _objective_name(objective, say)
    chart = loss_curve(
        [record["step"] for record in log],
        [finite(record.get("losses", {}).get(objective, record["loss"])) for record in log],
        ([step for step, _ in evaluated], [loss for _, loss in evaluated]),
        references,
        {
            "step": say("step"),
            "loss": say("loss in nats: {name}", name=name),
            "every step": say("every step"),
            "smoothed": say("training"),
            "held out": say("held out"),
        },
    )
    caption = ""
    if len(references) == 2:
        caption = say(
            "A model that guesses uniformly stays at the upper line; one that knows nothing but how frequent each "
            "token is reaches the lower one. Below that, it uses the context."
        )
    last = next(
        (record["losses"][objective] for record in reversed(log) if objective in record.get("losses", {})), None
    )
    summary = say(
        "{name}: training loss {loss} at step {step}",
        name=name,
        loss=number(finite(last), 2),
        step=str(log[-1]["step"]),
    )
    return Figure(chart, summary=summary, caption=caption, height=400)


def _held_out_loss(record: dict[str, Any], objective: str) -> float | None:
    evaluation = record["evaluation"]
    return finite(evaluation.get(objective, evaluation.get("loss")))


def _rates_figure(log: list[dict[str, Any]], say: Say) -> Figure:
    names = (say("step"), say("learning rate"), say("tokens per second"))
    chart = rates(
        [record["step"] for record in log],
        [finite(record.get("learning_rate")) for record in log],
        [finite(record.get("tokens_per_second")) for record in log],
        names,
    )
    return Figure(chart, summary=f"{names[1]}, {names[2]}", height=340)


def _facts(result: dict[str, Any], say: Say) -> list[tuple[str, str]]:
    """Key numbers of a run; what an older or another run does not know is left out."""
    evaluation = result.get("evaluation") or {}
    loss = finite(evaluation.get("masked_tokens"))
    rows = [
        (say("steps"), result.get("steps"), number),
        (say("time"), result.get("seconds"), duration),
        (say("tokens seen"), result.get("tokens"), short),
        (say("tokens per second"), result.get("tokens_per_second"), lambda value: number(value, 0)),
        (say("parameters"), result.get("parameters"), short),
        (say("first loss, expected"), result.get("expected_first_loss"), number),
        (say("first loss, measured"), result.get("first_loss"), number),
        (say("uniform guess, ln V"), result.get("uniform_loss"), number),
        (say("unigram entropy"), result.get("unigram_entropy"), number),
        (say("held-out loss, masked tokens"), loss, number),
        (say("held-out perplexity"), math.exp(loss) if loss is not None else None, lambda value: number(value, 1)),
        (say("masked tokens guessed right"), evaluation.get("masked_tokens_accuracy"), percent),
        (say("held-out loss, next sentence"), evaluation.get("next_sentence"), number),
        (say("next sentence told right"), evaluation.get("next_sentence_accuracy"), percent),
        (say("held-out loss, sentence order"), evaluation.get("sentence_order"), number),
        (say("sentence order told right"), evaluation.get("sentence_order_accuracy"), percent),
        (say("best step"), result.get("best_step"), number),
    ]
    return [(name, spell(value)) for name, value, spell in rows if finite(value) is not None]


# ---------------------------------------------------------------------------------------------- fill


def fill_sections(sources: list[Source], say: Say) -> list[Section]:
    """What models put for [MASK]."""
    blocks: list[Block] = []
    has_expected = False
    filled = [source for source in sources if "fill" in source.results]
    for source in filled:
        if len(filled) > 1:
            blocks.append(Heading(source.name))
        by_text: dict[str, list[dict[str, Any]]] = {}
        for answer in source.results["fill"]["texts"]:
            by_text.setdefault(answer["text"], []).append(answer)
        sentences = [
            Filled(text.split(MASK), [_mask(each, say) for each in answers]) for text, answers in by_text.items()
        ]
        has_expected |= any(mask.expected for sentence in sentences for mask in sentence.masks)
        blocks.append(Fill(sentences))
    if not blocks:
        return []
    explanation = say("The most likely tokens for each [MASK], with the probability that the model gives them.")
    if has_expected:
        tick = say("A tick marks the token that one expects.")
        explanation = say("{first} {second}", first=explanation, second=tick)
    return [Section("fill", say("Filling in what is masked"), [Paragraph(explanation, tone="note"), *blocks])]


def _mask(answer: dict[str, Any], say: Say) -> Mask:
    candidates = [(str(each["token"]), finite(each["probability"]) or 0.0) for each in answer["candidates"]]
    expected = answer.get("expected") or ""
    # WordPiece writes a token that goes on a word as ##token; people expect the token itself.
    if expected and expected not in {token.removeprefix("##") for token, _ in candidates}:
        count = str(len(candidates))
        return Mask(
            candidates, expected, say("expected {token}: not among the first {count}", token=expected, count=count)
        )
    return Mask(candidates, expected)
