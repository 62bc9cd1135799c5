"""What people see on standard error: texts, progress with rate and time left, scores."""

import functools
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from bertwright.errors import shortened


@functools.cache
def console() -> Any:
    """The console of rich on standard error; quiet where another process speaks."""
    from rich.console import Console

    return Console(stderr=True, highlight=False, quiet=not leads())


def say(text: str, style: str = "") -> None:
    """Print a text as it is: no markup, since it may hold names and data, and no line breaks within a path."""
    console().print(text, style=style, markup=False, emoji=False, soft_wrap=True)


def leads() -> bool:
    """Whether this process speaks for all that torchrun has started."""
    return os.environ.get("RANK", "0") == "0"


def tell(counts: dict[str, int], told: str) -> None:
    """Counts by side that are not 0."""
    for side, count in counts.items():
        if count:
            say(f"{side}: {count:,} examples {told}", "yellow")


def notices(result: dict[str, Any]) -> None:
    """What is odd in the data."""
    if result.get("num_ignored"):
        say(f"{result['num_ignored']:,} examples with a label of data.ignored_labels were left out", "yellow")
    for notice in shortened(result["notices"]):
        say(notice, "yellow")


def print_scores(name: str, scores: dict[str, Any]) -> None:
    """The metrics of one side."""
    metrics = "  ".join(f"{metric} {value:.4f}" for metric, value in scores["metrics"].items())
    say(f"{name}: {scores['examples']:,} examples  {metrics}")


class Bars:
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
        left = f"  {clock(record['seconds_left'])} left"
        self._bars.update(self._task("training"), completed=record["progress"], total=1.0, detail=detail + left)
        if "evaluation" in record:
            values = "  ".join(f"{name} {value:.4f}" for name, value in record["evaluation"].items())
            self._bars.console.print(f"[dim]step {record['step']:,}  evaluation  {values}[/]")
        for notice in record.get("notices", []):
            say(f"warning: {notice}", "yellow")
        if record["progress"] >= 1.0:
            self._tasks.pop("training", None)

    def _task(self, stage: str) -> Any:
        if stage not in self._tasks:
            self._tasks[stage] = self._bars.add_task(stage, total=None, detail="")
        return self._tasks[stage]


@contextmanager
def stages() -> Iterator[tuple[Callable[[str], None], Bars]]:
    """A function that says what happens now, and progress bars below it."""
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TextColumn("{task.fields[detail]}"))
    options = {"console": console(), "refresh_per_second": 4}
    with Progress(*columns, TimeElapsedColumn(), **options) as bars:
        yield lambda text: say(text, "bold"), Bars(bars)


def clock(seconds: float) -> str:
    """Hours, minutes and seconds."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def print_page(page: dict[str, Any]) -> None:
    """The doctor's page, for a terminal."""
    counts = "records", "characters", "duplicates", "empty"
    say("".join(f"{name:>12}" for name in counts) + "  file", "dim")
    for entry in page["files"]:
        columns = entry["columns"]
        read = f"  (text: {', '.join(columns['text'])}; label: {columns['label'] or 'none'})" if columns else ""
        say("".join(f"{entry[name]:>12,}" for name in counts) + f"  {entry['file']}{read}")
    losses = "unigram_entropy", "uniform_loss", "expected_first_loss"
    told = [f"{name.replace('_', ' ')} {page[name]:.3f}" for name in losses if page[name] is not None]
    say("  ".join(told) + f"  (over {page['unit']})")
    for warning in page["warnings"]:
        say(f"{warning['level']}: {warning['text']}", "yellow" if warning["level"] == "warning" else "dim")
