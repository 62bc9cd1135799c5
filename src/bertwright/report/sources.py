"""What a report is drawn from: run folders and results/*.json, read from disk."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from bertwright.errors import UserError
from bertwright.report.blocks import Block, Section
from bertwright.run import ASIDE, Run, read_json


@dataclass(frozen=True)
class Source:
    """A run folder, a folder with results only, or one results file."""

    name: str
    """What the page calls it: the folder's name, or its path where two would be called the same."""
    folder: Path
    recipe: str = ""
    """recipe.toml as it stands."""
    environment: dict[str, Any] = field(default_factory=dict)
    log: list[dict[str, Any]] = field(default_factory=list)
    results: dict[str, Any] = field(default_factory=dict)
    """File name without .json -> contents."""


def sections_of(
    sources: list[Source], kind: str, title: str, draw: Callable[[dict[str, Any]], list[Block]]
) -> list[Section]:
    """A section for every results/KIND.json, drawn by a function; of several, the titles name the models."""
    found = [source for source in sources if kind in source.results]
    models = [str(source.results[kind].get("model", source.name)) for source in found]
    names = next(
        (each for each in ([Path(model).name for model in models], models) if len(set(each)) == len(each)),
        [source.name for source in found],  # one model, measured twice
    )
    titles = [f"{title} ({name})" for name in names] if len(found) > 1 else [title]
    return [
        Section(f"{kind}-{index}", each, draw(source.results[kind]))
        for index, (source, each) in enumerate(zip(found, titles, strict=False), start=1)
    ]


def read_sources(paths: list[Path]) -> list[Source]:
    """Read run folders, folders of runs, and results files, each once.

    Args:
        paths: a folder may be a run, hold runs one level below, or both (as the demo's does); a file is one result.

    Raises:
        UserError: a path is missing, holds nothing that a report could show, or a file in it is damaged.
    """
    sources: dict[Path, Source] = {}
    for path in paths:
        found = _read(path)
        if not found:
            raise UserError(
                "there is nothing to report here",
                file=path,
                expected="a run folder (recipe.toml, log.jsonl, results/), a folder of runs, or a results file",
                advice="check the path; a run has something to show after its first step",
            )
        sources |= {source.folder.resolve(): source for source in found}
    return _with_distinct_names(list(sources.values()))


def _read(path: Path) -> list[Source]:
    if path.is_file():
        return [Source(path.stem, path, results={path.stem: read_json(path)})]
    if not path.is_dir():
        raise UserError(
            "the folder is missing",
            file=path,
            expected="a run folder, a folder of runs, or a results file",
            advice="check the path",
        )
    children = (child for child in sorted(path.iterdir()) if child.is_dir() and not child.name.startswith("."))
    return [source for source in map(_read_folder, [path, *children]) if source is not None]


def _read_folder(folder: Path) -> Source | None:
    """A folder as a source, or None if it is neither a run nor holds results."""
    run = Run(folder)
    files = sorted(file for file in run.results.glob("*.json") if not file.name.startswith(ASIDE))
    if not files and not run.recipe.is_file() and not run.log.is_file():
        return None
    environment = folder / "environment.json"
    return Source(
        name=folder.resolve().name,
        folder=folder,
        recipe=run.recipe.read_text(encoding="utf-8", errors="replace") if run.recipe.is_file() else "",
        environment=read_json(environment) if environment.is_file() else {},
        log=run.read_log(),
        results={file.stem: read_json(file) for file in files},
    )


def _with_distinct_names(sources: list[Source]) -> list[Source]:
    counts = Counter(source.name for source in sources)
    return [replace(source, name=source.folder.as_posix()) if counts[source.name] > 1 else source for source in sources]
