"""The data sections: the page of doctor, which saw the data before any training."""

from typing import Any

from bertwright.report.blocks import Block, Facts, Figure, Fold, Heading, Paragraph, Section, Table
from bertwright.report.charts import histogram
from bertwright.report.numbers import finite, number, percent
from bertwright.report.phrases import Say
from bertwright.report.sources import Source

MAX_HISTOGRAMS = 4
"""Files whose lengths are drawn; the table has them all."""

MAX_LABELS = 30
"""Labels in the table of labels."""

Page = dict[str, Any]


def data_sections(sources: list[Source], say: Say) -> list[Section]:
    """One section for every page of doctor's; what does not apply to the data is null in it, and left out here."""
    pages = [
        (source.name if name == "data" else name.removeprefix("data-"), page)  # of a mixture, a page for each store
        for source in sources
        for name, page in source.results.items()
        if name == "data" or name.startswith("data-")
    ]
    return [
        Section(
            f"data-{index}",
            say("The data") if len(pages) == 1 else say("The data: {name}", name=name),
            _blocks(page, say),
        )
        for index, (name, page) in enumerate(pages, start=1)
    ]


def _blocks(page: Page, say: Say) -> list[Block]:
    files: list[Page] = page.get("files") or []
    blocks: list[Block] = [
        Paragraph(str(warning["text"]), tone="warning" if warning["level"] == "warning" else "note")
        for warning in page.get("warnings") or []
    ]
    counts = _counts(files, say)
    if len(files) == 1:
        entries = [(name, cells[0]) for name, cells in counts.items()]
        blocks.append(Facts([(say("file"), str(files[0]["file"])), *entries, *_losses(page, say)]))
    else:
        rows = [[str(entry["file"]), *(cells[row] for cells in counts.values())] for row, entry in enumerate(files)]
        blocks.append(Table([say("file"), *counts], rows, [False, *(True for _ in counts)]))
        blocks.append(Facts(_losses(page, say)))
    blocks += _lengths(files, say)
    blocks += [block for block in (_labels(files, say), _scripts(files, say), _shared(page, say)) if block is not None]
    return blocks


def _counts(files: list[Page], say: Say) -> dict[str, list[str]]:
    """What was counted -> the count in each file, empty where it does not apply; left out where it applies to none."""
    columns = [
        (say("texts"), "records", number),
        (say("characters"), "characters", number),
        (say("tokens"), "tokens", number),
        (say("empty"), "empty", number),
        (say("duplicates"), "duplicates", number),
        (say("near duplicates"), "near_duplicates", number),
        (say("over-long"), "long", number),
        (say("damaged characters"), "damaged", number),
        (say("without label"), "unlabelled", number),
        (say("unknown tokens"), "unknown_rate", lambda rate: percent(rate, 3)),
    ]
    return {
        name: ["" if entry.get(key) is None else spell(entry[key]) for entry in files]
        for name, key, spell in columns
        if any(entry.get(key) is not None for entry in files)
    }


def _losses(page: Page, say: Say) -> list[tuple[str, str]]:
    unit = {"tokens": say("tokens"), "characters": say("characters")}.get(page.get("unit", ""), "")
    rows = [
        (say("vocabulary ({unit})", unit=unit), page.get("vocabulary_size"), number),
        (say("unigram entropy"), page.get("unigram_entropy"), number),
        (say("uniform guess, ln V"), page.get("uniform_loss"), number),
        (say("first loss, expected"), page.get("expected_first_loss"), number),
    ]
    return [(name, spell(value)) for name, value, spell in rows if finite(value) is not None]


def _lengths(files: list[Page], say: Say) -> list[Block]:
    """Histograms of the lengths in tokens, where there is a tokenizer, else in characters; and a table of quantiles."""
    blocks: list[Block] = []
    rows = []
    for entry in files:
        lengths = entry.get("lengths") or {}
        unit = "tokens" if lengths.get("tokens") else "characters"
        found, bins = lengths.get(unit), (entry.get("histogram") or {}).get(unit)
        if not found:
            continue
        quantiles = found["quantiles"]
        unit_name = say("tokens") if unit == "tokens" else say("characters")
        rows.append(
            [str(entry["file"]), unit_name, number(found["minimum"])]
            + [number(quantiles[name]) for name in ("5%", "50%")]
            + [number(found["mean"], 1), number(quantiles["95%"]), number(found["maximum"])]
            + [percent(finite(found.get("over_128"))), percent(finite(found.get("over_512")))]
        )
        if bins and len(blocks) < MAX_HISTOGRAMS:
            blocks.append(_histogram(str(entry["file"]), unit_name, bins, quantiles, say))
    if not rows:
        return []
    names = [say("file"), say("unit"), say("shortest"), "5%", say("median"), say("mean"), "95%", say("longest")]
    columns = [*names, say("over 128"), say("over 512")]
    table = Table(columns, rows, [False, False, *(True for _ in columns[2:])])
    return [Heading(say("Lengths")), *blocks, Fold(say("Lengths in figures"), blocks=[table])]


def _histogram(file: str, unit: str, bins: Page, quantiles: dict[str, int], say: Say) -> Figure:
    marks = [
        (f"{name} {number(place)}", float(place))
        for name, place in ((say("median"), quantiles["50%"]), ("95%:", quantiles["95%"]))
    ]
    chart = histogram(bins["edges"], bins["counts"], (say("length in {unit}", unit=unit), say("texts")), marks)
    caption = file
    if bins.get("above"):
        caption = say("{file}; {count} texts are longer than shown.", file=file, count=number(bins["above"]))
    summary = say("lengths of {file}: median {median}", file=file, median=number(quantiles["50%"]))
    return Figure(chart, summary=summary, caption=caption, height=260)


def _labels(files: list[Page], say: Say) -> Table | None:
    """Labels down, files across: how many texts bear which label, and what share that is."""
    labelled = [entry for entry in files if entry.get("labels")]
    if not labelled:
        return None
    labels = list(dict.fromkeys(label for entry in labelled for label in entry["labels"]))
    rows = []
    for label in labels[:MAX_LABELS]:
        counts = [(entry["labels"].get(label, 0), sum(entry["labels"].values())) for entry in labelled]
        rows.append([label, *(f"{number(count)} ({percent(count / max(1, total))})" for count, total in counts)])
    caption = (
        say("{count} more labels are not shown.", count=number(len(labels) - MAX_LABELS))
        if len(labels) > MAX_LABELS
        else ""
    )
    return Table(
        [say("label"), *(str(entry["file"]) for entry in labelled)], rows, [False, *(True for _ in labelled)], caption
    )


def _scripts(files: list[Page], say: Say) -> Table | Paragraph | None:
    """Scripts down, files across: shares of the visible characters."""
    written = [entry for entry in files if entry.get("scripts")]
    if not written:
        return None
    names = list(
        dict.fromkeys(name for entry in written for name, share in entry["scripts"].items() if share >= 0.0005)
    )
    rows = [[name, *(percent(finite(entry["scripts"].get(name, 0.0))) for entry in written)] for name in names]
    if len(written) == 1:
        shares = ", ".join(f"{name} {share}" for name, share in rows)
        return Paragraph(say("Scripts of the visible characters: {shares}.", shares=shares), tone="note")
    return Table([say("script"), *(str(entry["file"]) for entry in written)], rows, [False, *(True for _ in written)])


def _shared(page: Page, say: Say) -> Table | None:
    """What each two files have in common: a test text that training knows flatters the score."""
    pairs = page.get("shared") or []
    if not pairs:
        return None
    rows = [
        [f"{pair['first']} – {pair['second']}", number(pair["texts"]), percent(finite(pair["share"]))] for pair in pairs
    ]
    columns = [say("files"), say("texts in common"), say("share of the smaller file")]
    return Table(columns, rows, [False, True, True])
