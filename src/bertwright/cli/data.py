"""The commands that look at data and bring them into shape."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from bertwright.cli.parts import Json, command, print_json
from bertwright.console import print_page, say, stages

SHOWN = 5
"""Files that were skipped and are named."""


@command
def doctor(
    files: Annotated[list[str], typer.Argument(metavar="FILES...", help="Files to look at; several: what they share.")],
    reader: Annotated[str | None, typer.Option(help="How to read them, as corpus.reader in a recipe.")] = None,
    text_column: Annotated[
        list[str] | None, typer.Option("--text-column", help="Column that holds the text; again for a second one.")
    ] = None,
    label_column: Annotated[str | None, typer.Option("--label-column", help="Column that holds the label.")] = None,
    tokenizer: Annotated[str | None, typer.Option(help="A folder with a tokenizer, to count in tokens.")] = None,
    as_json: Json = False,
) -> None:
    """Look at data before training: encoding, duplicates, lengths, labels, overlaps, expected first losses."""
    from bertwright.doctor import examine
    from bertwright.tokenizer import Tokenizer

    loaded = Tokenizer.load(Path(tokenizer)) if tokenizer else None
    page = examine(files, reader=reader, text_column=text_column, label_column=label_column, tokenizer=loaded)
    print_page(page)
    print_json(page, as_json)


@command
def convert(
    files: Annotated[list[str], typer.Argument(metavar="FILES...", help="MIDI, MusicXML, ABC or kern; or folders.")],
    target: Annotated[str, typer.Option("--output", help="The table to write, .jsonl.")],
    symbols: Annotated[
        Literal["pitch", "interval", "duration"], typer.Option(help="A note: C4, or +2 from the one before, or C4_0.5.")
    ] = "pitch",
    voices: Annotated[
        Literal["each", "all"], typer.Option(help="A row for each voice, or for all of a piece.")
    ] = "each",
    workers: Annotated[int | None, typer.Option(help="Processes; by default one for each core.", min=1)] = None,
    as_json: Json = False,
) -> None:
    """Symbolic music as a table of symbols between spaces, for all other commands."""
    from bertwright.music import convert as run_convert

    with stages() as (_, progress):
        options = {"workers": workers, "progress": progress.counter}
        result = run_convert(files, target, symbols=symbols, voices=voices, **options)
    for each in result["skipped"][:SHOWN]:
        say(f"skipped: {each['file']}: {each['why']}", "yellow")
    if len(result["skipped"]) > SHOWN:
        say(f"... and {len(result['skipped']) - SHOWN:,} more files were skipped", "yellow")
    read = result["files"] - len(result["skipped"])
    labels = ", ".join(f"{label} {count:,}" for label, count in result["labels"].items())
    say(
        f"{read:,} of {result['files']:,} files, {result['rows']:,} rows ({labels}), {result['symbols']:,} symbols, "
        f"{result['different']:,} different ones: {target}"
    )
    print_json(result, as_json)


@command
def split(
    table: Annotated[str, typer.Argument(help="csv, tsv or jsonl with named columns.")],
    folder: Annotated[str, typer.Option("--output", help="Folder for train, development and test.jsonl.")],
    text_column: Annotated[str, typer.Option(help="Column of the text, or of the sequence.")] = "text",
    group: Annotated[str | None, typer.Option(help="Column whose equal values stand on one side.")] = None,
    shared: Annotated[int, typer.Option(help="So do texts that share as many symbols in a row.", min=0)] = 0,
    shares: Annotated[tuple[float, float, float], typer.Option(help="Of the three sides.")] = (0.8, 0.1, 0.1),
    duplicates: Annotated[
        Literal["refuse", "drop", "together"], typer.Option(help="Rows whose text occurred before.")
    ] = "refuse",
    as_json: Json = False,
) -> None:
    """Split a table so that nothing leaks: no equal texts, no group and no related sequences on two sides."""
    from bertwright.split import split as run_split

    options = {"text_column": text_column, "group_column": group, "shared": shared, "shares": shares}
    result = run_split(table, folder, **options, duplicates=duplicates)
    for side, count in result["rows"].items():
        say(f"{side:>12}  {count:,} rows")
    say(f"{result['groups']:,} groups, the largest of {result['largest']:,} rows; {result['dropped']:,} rows dropped")
    print_json(result, as_json)
