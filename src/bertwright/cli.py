"""The command line: parse, call one function, print. Nothing else in the project prints.

People's output goes to standard error through rich; with --json, one JSON object comes last on standard output.
Exit codes: 0 done, 1 a user's error, 2 usage, 130 interrupted.
"""

import functools
import io
import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

app = typer.Typer(
    name="bertwright",
    help="One tool for the whole life of a BERT: pre-train, fine-tune, use, understand.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    rich_markup_mode=None,  # plain help answers at once: drawing it costs as much as all the rest
    context_settings={"help_option_names": ["-h", "--help"]},
)

RecipePath = Annotated[str, typer.Argument(metavar="RECIPE", help="A recipe (TOML).")]
Overrides = Annotated[
    list[str] | None, typer.Argument(metavar="[SECTION.KEY=VALUE]...", help="Settings that win over the recipe's.")
]
Json = Annotated[bool, typer.Option("--json", help="Print the result as one JSON object on standard output.")]
PrintRecipe = Annotated[bool, typer.Option("--print-recipe", help="Print the recipe with all its values, and stop.")]
Resume = Annotated[bool, typer.Option("--resume", help="Go on with the run from its last checkpoint.")]
TextColumn = Annotated[str | None, typer.Option(help="Column of the text, if it is another one than in training.")]
SecondColumn = Annotated[str | None, typer.Option(help="Column of a pair's second text, if it is another one.")]
LabelColumn = Annotated[str | None, typer.Option(help="Column of the label, if it is another one.")]


def main() -> None:
    """Run the command line."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # whatever the locale is: labels and texts may be in any language
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")
    app(prog_name="bertwright")


def command(function: Callable[..., None]) -> Callable[..., None]:
    """Register a command, and turn what goes wrong in it into a message and an exit code."""

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
            _say(str(stop) or "interrupted", "yellow")
            raise typer.Exit(130) from None

    return app.command()(guarded)


@command
def demo(
    folder: Annotated[str, typer.Option("--run", help="Folder for everything that the demo makes.")] = "runs/demo",
    minutes: Annotated[float | None, typer.Option(help="Minutes of pre-training.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of the split and of all training.")] = 1,
    as_json: Json = False,
) -> None:
    """The main job end to end, on real reviews, in minutes, with a report."""
    from bertwright.demo import demo as run_demo

    with _stages() as (say, progress):
        result = run_demo(folder, minutes=minutes, seed=seed, say=say, progress=progress)
    _say(
        f"accuracy on {result['examples']['test']:,} held-out reviews, learnt from {result['examples']['train']}:\n"
        f"  pre-trained  {result['pretrained']['accuracy']:.3f}\n"
        f"  from scratch {result['scratch']['accuracy']:.3f}   (same labels, steps and schedule)\n"
        f"  linear model {result['linear']['accuracy']:.3f}   (character 1- and 2-grams)\n"
        f"the report shows what pre-training was worth: {Path(folder) / 'report.html'}"
    )
    _json(result, as_json)


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
    _print_page(page)
    _json(page, as_json)


@command
def prepare(
    recipe: RecipePath, overrides: Overrides = None, as_json: Json = False, print_recipe: PrintRecipe = False
) -> None:
    """Turn a corpus into a tokenizer and a store."""
    from bertwright.config import PretrainRecipe
    from bertwright.prepare import prepare as run_prepare
    from bertwright.recipe import load_recipe

    loaded = load_recipe(PretrainRecipe, recipe, overrides)
    if print_recipe:
        _print_recipe(loaded)
        return
    with _stages() as (_, progress):
        result = run_prepare(loaded, progress=progress.counter)
    _print_page(result["page"])
    _say(f"the store is in {loaded.store}")
    _json(result, as_json)


@command
def pretrain(
    recipe: RecipePath,
    overrides: Overrides = None,
    resume: Resume = False,
    as_json: Json = False,
    print_recipe: PrintRecipe = False,
) -> None:
    """Pre-train an encoder on a store (which is prepared first if it is missing)."""
    from bertwright.config import PretrainRecipe
    from bertwright.pretrain import pretrain as run_pretrain
    from bertwright.recipe import load_recipe

    loaded = load_recipe(PretrainRecipe, recipe, overrides)
    if print_recipe:
        _print_recipe(loaded)
        return
    _warn_of_unused(overrides, resume)
    with _stages() as (_, progress):
        result = run_pretrain(loaded, resume=resume, progress=progress.steps, preparing=progress.counter)
    untrained = result["expected_first_loss"]
    expected = f" (expected {untrained:.3f})" if untrained is not None else ""
    _say(
        f"loss {result['first_loss']:.3f} at first{expected}, "
        f"held out {result['best']:.3f} at best (frequencies alone: {result['unigram_entropy']:.3f}); "
        f"{result['tokens_per_second']:,.0f} tokens/s"
    )
    if _leads():
        _report(loaded.run)
        _json(result, as_json)


@command
def finetune(
    recipe: RecipePath,
    overrides: Overrides = None,
    resume: Resume = False,
    as_json: Json = False,
    print_recipe: PrintRecipe = False,
) -> None:
    """Fine-tune a checkpoint on labelled examples."""
    from bertwright.config import FinetuneRecipe
    from bertwright.finetune import finetune as run_finetune
    from bertwright.recipe import load_recipe

    loaded = load_recipe(FinetuneRecipe, recipe, overrides)
    if print_recipe:
        _print_recipe(loaded)
        return
    _warn_of_unused(overrides, resume)
    with _stages() as (_, progress):
        result = run_finetune(loaded, resume=resume, progress=progress.steps)
    if result["start"]["weights"] == "pretrained" and any("pooler" in name for name in result["start"]["fresh"]):
        _say("the pooler was drawn anew: the checkpoint has none (start.pooling=mean needs none)", "yellow")
    dropped = "and were left out" if result["overlaps_dropped"] else "which flatters the score"
    _tell(result["overlaps"], f"stand in the training data too, {dropped}")
    _tell(result["num_windowed"], "are longer than the model reads at once; they are read in windows")
    _notices(result)
    for side in ("development", "test"):
        if side in result:
            _print_scores(side, result[side])
    if _leads():
        _report(loaded.run)
        _json(result, as_json)


@command
def evaluate(
    run: Annotated[str, typer.Argument(help="A run, or a checkpoint folder.")],
    data: Annotated[str, typer.Option(help="Labelled examples, in a format that the task reads.")],
    text_column: TextColumn = None,
    second_column: SecondColumn = None,
    label_column: LabelColumn = None,
    as_json: Json = False,
) -> None:
    """Score a fine-tuned model by the task's official metrics."""
    from bertwright.evaluate import evaluate as run_evaluate

    result = run_evaluate(run, data, **_given(text_column, second_column, label_column))
    _notices(result)
    _print_scores(data, result)
    _json(result, as_json)


@command
def predict(
    run: Annotated[str, typer.Argument(help="A run, or a checkpoint folder.")],
    source: Annotated[
        str, typer.Option("--input", help="csv, tsv, jsonl, conllu or SQuAD's json; - for a text a line from a pipe.")
    ],
    target: Annotated[
        str, typer.Option("--output", help="csv, tsv, jsonl, conllu or SQuAD's json; - for jsonl on standard output.")
    ],
    text_column: TextColumn = None,
    second_column: SecondColumn = None,
    as_json: Json = False,
) -> None:
    """Answer every example of a file; order and other columns are kept."""
    from bertwright.predict import predict as run_predict

    result = run_predict(run, source, target, **_given(text_column, second_column))
    windowed = f", {result['windowed']:,} of them longer than the model reads at once" if result["windowed"] else ""
    _say(f"{result['examples']:,} examples answered{windowed}: {target}")
    _json(result, as_json)


@command
def fill(
    model: Annotated[str, typer.Argument(help="A pre-training run, or a checkpoint folder.")],
    texts: Annotated[list[str], typer.Argument(metavar="TEXT...", help="Texts with [MASK] in them.")],
    top: Annotated[int, typer.Option(help="Candidates per mask.", min=1)] = 5,
    as_json: Json = False,
) -> None:
    """The most likely tokens for each [MASK], with probabilities."""
    from bertwright.fill import fill as run_fill

    answers = run_fill(model, texts, top)
    for answer in answers:
        candidates = "  ".join(f"{each['token']} {each['probability']:.3f}" for each in answer["candidates"])
        _say(f"{answer['text']}  mask {answer['mask'] + 1}  {candidates}")
    _json({"texts": answers}, as_json)


@command
def report(
    sources: Annotated[list[str], typer.Argument(metavar="RUN_OR_RESULTS...", help="Run folders, or folders of runs.")],
    out: Annotated[str, typer.Option(help="The page to write.")] = "report.html",
) -> None:
    """Draw runs and results as one self-contained HTML page."""
    from bertwright.report import write_report

    _say(f"the report: {write_report([Path(source) for source in sources], Path(out))}")


@command
def inspect(
    path: Annotated[str, typer.Argument(help="A store, a checkpoint or a run.")],
    verify: Annotated[
        bool, typer.Option("--verify", help="Read everything and compare it with the checksums.")
    ] = False,
    as_json: Json = False,
) -> None:
    """What a store, checkpoint or run is."""
    from bertwright.inspection import inspect as run_inspect

    result = run_inspect(path, verify=verify)
    for key, value in result.items():
        _say(f"{key:>20}  {value}")
    _json(result, as_json)


# ---------------------------------------------------------------------------------------------- printing


@functools.cache
def _console() -> Any:
    from rich.console import Console

    return Console(stderr=True, highlight=False, quiet=not _leads())


def _say(text: str, style: str = "") -> None:
    """Print a text as it is: no markup, since it may hold names and data, and no line breaks within a path."""
    _console().print(text, style=style, markup=False, emoji=False, soft_wrap=True)


def _fail(error: Exception) -> None:
    _console().quiet = False  # each process tells of its own mistakes
    _say(f"error: {error}", "red")
    raise typer.Exit(1)


def _json(result: dict[str, Any], wanted: bool) -> None:
    if wanted:
        sys.stdout.write(json.dumps(result, ensure_ascii=False) + "\n")


def _leads() -> bool:
    """Whether this process speaks for all that torchrun has started."""
    return os.environ.get("RANK", "0") == "0"


def _warn_of_unused(overrides: list[str] | None, resume: bool) -> None:
    unused = [override for override in overrides or [] if not override.startswith("run=")]
    if resume and unused:
        _say(f"not used, since a run goes on as it began: {' '.join(unused)}", "yellow")


def _print_recipe(recipe: Any) -> None:
    from bertwright.recipe import dump_recipe

    sys.stdout.write(dump_recipe(recipe))


def _report(run: str) -> None:
    from bertwright.config import expand
    from bertwright.report import write_report

    folder = expand(run)
    _say(f"the report: {write_report([folder], folder / 'report.html')}")


def _given(text_column: str | None, second_column: str | None, label_column: str | None = None) -> dict[str, str]:
    """The columns that were named."""
    named = {"text_column": text_column, "second_column": second_column, "label_column": label_column}
    return {name: column for name, column in named.items() if column is not None}


def _tell(counts: dict[str, int], told: str) -> None:
    """Counts by side that are not 0."""
    for side, count in counts.items():
        if count:
            _say(f"{side}: {count:,} examples {told}", "yellow")


def _notices(result: dict[str, Any], shown: int = 5) -> None:
    """What is odd in the data."""
    if result["num_ignored"]:
        _say(f"{result['num_ignored']:,} examples with a label of data.ignored_labels were left out", "yellow")
    for notice in result["notices"][:shown]:
        _say(notice, "yellow")
    if len(result["notices"]) > shown:
        _say(f"... and {len(result['notices']) - shown:,} more such notices", "yellow")


def _print_scores(name: str, scores: dict[str, Any]) -> None:
    metrics = "  ".join(f"{metric} {value:.4f}" for metric, value in scores["metrics"].items())
    _say(f"{name}: {scores['examples']:,} examples  {metrics}")


class _Bars:
    """Progress bars of the stages of a command: counted work (files, bytes) and training steps."""

    def __init__(self, bars: Any) -> None:
        self._bars = bars
        self._tasks: dict[str, Any] = {}

    def counter(self, stage: str, done: int, total: int | None) -> None:
        """Show that `done` of `total` units of a stage are done."""
        self._bars.update(self._task(stage), completed=done, total=total, detail=f"{done:,}")

    def steps(self, record: dict[str, Any]) -> None:
        """Show a training step."""
        detail = f"step {record['step']:,}  loss {record['loss']:.3f}  {record['tokens_per_second']:,.0f} tokens/s"
        left = f"  {_clock(record['seconds_left'])} left"
        self._bars.update(self._task("training"), completed=record["progress"], total=1.0, detail=detail + left)
        if "evaluation" in record:
            values = "  ".join(f"{name} {value:.4f}" for name, value in record["evaluation"].items())
            self._bars.console.print(f"[dim]step {record['step']:,}  evaluation  {values}[/]")
        for notice in record.get("notices", []):
            _say(f"warning: {notice}", "yellow")
        if record["progress"] >= 1.0:
            self._tasks.pop("training", None)

    def _task(self, stage: str) -> Any:
        if stage not in self._tasks:
            self._tasks[stage] = self._bars.add_task(stage, total=None, detail="")
        return self._tasks[stage]


@contextmanager
def _stages() -> Iterator[tuple[Callable[[str], None], _Bars]]:
    """A function that says what happens now, and progress bars below it."""
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TextColumn("{task.fields[detail]}"))
    options = {"console": _console(), "refresh_per_second": 4}
    with Progress(*columns, TimeElapsedColumn(), **options) as bars:
        yield lambda text: _say(text, "bold"), _Bars(bars)


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _print_page(page: dict[str, Any]) -> None:
    """The doctor's page, for a terminal."""
    counts = "records", "characters", "duplicates", "empty"
    _say("".join(f"{name:>12}" for name in counts) + "  file", "dim")
    for entry in page["files"]:
        columns = entry["columns"]
        read = f"  (text: {', '.join(columns['text'])}; label: {columns['label'] or 'none'})" if columns else ""
        _say("".join(f"{entry[name]:>12,}" for name in counts) + f"  {entry['file']}{read}")
    losses = "unigram_entropy", "uniform_loss", "expected_first_loss"
    told = [f"{name.replace('_', ' ')} {page[name]:.3f}" for name in losses if page[name] is not None]
    _say("  ".join(told) + f"  (over {page['unit']})")
    for warning in page["warnings"]:
        _say(f"{warning['level']}: {warning['text']}", "yellow" if warning["level"] == "warning" else "dim")
