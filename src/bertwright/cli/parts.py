"""What all commands share: the application, errors as messages, common options, output."""

import functools
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from bertwright.console import console, say

app = typer.Typer(
    name="bertwright",
    help="One tool for the whole life of a BERT: pre-train, fine-tune, use, understand.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    rich_markup_mode=None,  # plain help answers at once: drawing it costs as much as all the rest
    context_settings={"help_option_names": ["-h", "--help"]},
)

RecipePath = Annotated[str, typer.Argument(metavar="RECIPE", help="A recipe (TOML), or a run's folder: its own.")]
Overrides = Annotated[
    list[str] | None, typer.Argument(metavar="[SECTION.KEY=VALUE]...", help="Settings that win over the recipe's.")
]
Json = Annotated[bool, typer.Option("--json", help="Print the result as one JSON object on standard output.")]
PrintRecipe = Annotated[bool, typer.Option("--print-recipe", help="Print the recipe with all its values, and stop.")]
Resume = Annotated[bool, typer.Option("--resume", help="Go on with the run from its last checkpoint.")]
TextColumn = Annotated[str | None, typer.Option(help="Column of the text, if it is another one than in training.")]
SecondColumn = Annotated[str | None, typer.Option(help="Column of a pair's second text, if it is another one.")]
LabelColumn = Annotated[str | None, typer.Option(help="Column of the label, if it is another one.")]


def guard(function: Callable[..., None]) -> Callable[..., None]:
    """Turn what goes wrong in a command into a message and an exit code."""

    @functools.wraps(function)
    def guarded(*arguments: Any, **options: Any) -> None:
        from bertwright.errors import Interrupted, UserError

        try:
            function(*arguments, **options)
        except UserError as error:
            _fail(error)
        except OSError as error:
            if isinstance(error, BrokenPipeError):
                raise
            _fail(
                UserError(
                    f"the system refused: {error.strerror or error}",
                    file=error.filename,
                    expected="a readable input, and an output folder with space and write permission",
                    advice="mend that and give the command again; a run that had begun goes on by --resume",
                )
            )
        except (Interrupted, KeyboardInterrupt) as stop:
            say(str(stop) or "interrupted", "yellow")
            raise typer.Exit(130) from None

    return guarded


def command(function: Callable[..., None]) -> Callable[..., None]:
    """Register a command."""
    return app.command()(guard(function))


def _fail(error: Exception) -> None:
    console().quiet = False  # each process tells of its own mistakes
    say(f"error: {error}", "red")
    raise typer.Exit(1)


def print_json(result: dict[str, Any], wanted: bool) -> None:
    """One JSON object on standard output, where it was asked for."""
    if wanted:
        sys.stdout.write(json.dumps(result, ensure_ascii=False) + "\n")


def warn_of_unused(overrides: list[str] | None, resume: bool) -> None:
    """Tell of settings that are not used, since a run goes on."""
    unused = [override for override in overrides or [] if not override.startswith("run=")]
    if resume and unused:
        say(f"not used, since a run goes on as it began: {' '.join(unused)}", "yellow")


def print_recipe_of(recipe: Any) -> None:
    """A recipe with all its values, on standard output."""
    from bertwright.recipe import dump_recipe

    sys.stdout.write(dump_recipe(recipe))


def folder_of(run: str) -> Path:
    """What a user writes for a folder, with ~ and variables."""
    from bertwright.config import expand

    return expand(run)


def draw_report(run: str) -> None:
    """Write the report of a folder into it."""
    from bertwright.report import write_report

    folder = folder_of(run)
    say(f"the report: {write_report([folder], folder / 'report.html')}")


def given(text_column: str | None, second_column: str | None, label_column: str | None = None) -> dict[str, str]:
    """The columns that were named."""
    named = {"text_column": text_column, "second_column": second_column, "label_column": label_column}
    return {name: column for name, column in named.items() if column is not None}
