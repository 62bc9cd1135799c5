"""The section of a question that was looked at closely: both softmaxes over the tokens of its passage."""

from typing import Any

from bertwright.report.blocks import Block, Facts, Figure, Heading, Paragraph, Section
from bertwright.report.charts import token_bars
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
