"""The section of slide 80: sentences read back from the masked-token head, nothing masked."""

from typing import Any

from bertwright.report.blocks import Block, Heading, Paragraph, Section, Table
from bertwright.report.numbers import number, percent
from bertwright.report.phrases import Say, too_long
from bertwright.report.sources import Source, sections_of


def reconstruction_sections(sources: list[Source], say: Say) -> list[Section]:
    """One section for every such result."""
    return sections_of(sources, "reconstruction", say("Does the language stay?"), lambda each: _blocks(each, say))


def _blocks(result: dict[str, Any], say: Say) -> list[Block]:
    intro = say(
        "{model} is shown sentences, nothing masked, and says the most likely token at each place. If its vectors held "
        "the meaning alone, it could answer in any language.",
        model=result["model"],
    )
    intro += too_long(sum(each["too_long"] for each in result["languages"]), say)
    rows = [
        [each["name"], number(each["sentences"]), percent(each["same"]), percent(each["stays"])]
        for each in result["languages"]
    ]
    columns = [say("language"), say("sentences"), say("tokens given back"), say("answers in the language")]
    blocks: list[Block] = [Paragraph(intro), Table(columns, rows, [False, True, True, True])]
    for each in result["languages"]:
        examples = [[shown["text"], shown["output"]] for shown in each["examples"]]
        blocks += [Heading(each["name"]), Table([say("shown"), say("said")], examples, [False, False])]
    return blocks
