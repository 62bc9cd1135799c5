"""A text-mining competition in one command: folds, several ways to train, their mixture, and the submission.

files -> doctor, drift (preparation.py) -> folds -> a model for each member, seed and fold (cells.py), which answers
where it has seen no label -> weights and threshold (ensemble.py) -> leaderboard.py, submission.py
"""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bertwright.compete.cells import Cell, Entries, cell
from bertwright.compete.folds import check_rest, classes_of, divide, told_of_folds
from bertwright.compete.leaderboard import leaderboard, read_held_back
from bertwright.compete.preparation import adapted, check_members, look_at, read_entries
from bertwright.compete.search import searched
from bertwright.compete.submission import form_of, write_submission
from bertwright.config import CompeteRecipe, expand
from bertwright.config.competing import LINEAR
from bertwright.devices import tune_memory, use_threads
from bertwright.errors import UserError
from bertwright.recipe import dump_recipe, load_recipe
from bertwright.run import Run, read_json, write_json, write_text
from bertwright.train import Progress


def compete(
    recipe: CompeteRecipe,
    *,
    say: Callable[[str], None] = lambda _: None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Take part in a competition; one that was stopped goes on where it was.

    Args:
        recipe: what to do.
        say: told what happens now.
        progress: told after every step of every training.

    Returns:
        The contents of results/compete.json: the leaderboard, what the mixture is made of, its scores, and what is odd.

    Raises:
        UserError: a file is damaged, folds cannot be made, the sample is of another competition, or the folder is
            taken.
        Interrupted: Ctrl-C or SIGTERM came; the training that went on was saved first.
    """
    folder = expand(recipe.run)
    tune_memory()
    use_threads(0)
    with Run(folder).claimed():
        entries, notices = read_entries(recipe)
        sample = expand(recipe.data.sample) if recipe.data.sample is not None else None
        metric = recipe.data.metric or entries.task.metric_names[0]
        form, odd = form_of(sample, entries.task, entries.test, recipe.data.id_column, metric)
        held_back = read_held_back(recipe, entries)
        divisions = {}
        for seed in recipe.folds.seeds:
            divisions[seed] = divide(entries.groups, classes_of(entries.train), recipe.folds.number, seed)
            check_rest(divisions[seed], entries.groups)
            odd += told_of_folds(entries.train, divisions[seed], entries.groups)
        check_members(recipe, entries)
        _remember(recipe, folder)
        _remember_files(recipe, folder)
        notices += dict.fromkeys([*odd, *look_at(recipe, entries, folder)])
        if any(member.search for member in recipe.members.values()):
            notices.append(
                "settings were chosen by trials on the examples of all folds but the first of the first seed: of a "
                "member that has a search only this fold's score is of examples that had no part in the choice"
            )
        for notice in notices:
            say(notice)
        members = {name: adapted(name, each, entries, folder, say, progress) for name, each in recipe.members.items()}
        recipe = recipe.model_copy(update={"members": members})
        first = divisions[recipe.folds.seeds[0]]
        members = {name: searched(name, recipe, entries, first, folder, say, progress) for name in members}
        recipe = recipe.model_copy(update={"members": members})
        cells: dict[str, dict[int, list[Cell]]] = {}
        for name in [*members, *([LINEAR] if _has_linear(entries) else [])]:
            for seed, folds in divisions.items():
                for fold in range(recipe.folds.number):
                    say(f"{name}, seed {seed}, fold {fold + 1} of {recipe.folds.number}")
                    found = cell(recipe, folder, entries, name, seed, folds, fold, progress)
                    cells.setdefault(name, {}).setdefault(seed, []).append(found)
        say("the leaderboard and the submission")
        result, answers = leaderboard(recipe, entries, held_back, divisions, cells)
        chosen = {name: each.model_dump(mode="json", exclude_none=True) for name, each in members.items()}
        submission = folder / ("submission.tsv" if sample is not None and sample.suffix == ".tsv" else "submission.csv")
        result |= {"members": chosen, "notices": notices, "submission": str(submission)}
        write_submission(submission, form, entries.task, entries.test, answers)
        write_json(folder / "results" / "compete.json", result)
        return result


def _remember(recipe: CompeteRecipe, folder: Path) -> None:
    """Keep the recipe with the competition, and with it the members of earlier times.

    Raises:
        UserError: what is kept of the competition was trained by other settings.
    """
    file = folder / "recipe.toml"
    members = dict(recipe.members)
    if file.exists():
        kept = load_recipe(CompeteRecipe, file)
        if _divided_by(kept) != _divided_by(recipe):
            raise UserError(
                "a competition by another recipe is in this folder",
                file=folder,
                expected="the same task, data and folds, to go on with it; members may be added or left out",
                advice="choose another folder by run=FOLDER, or remove this one",
            )
        for name, member in kept.members.items():
            if members.setdefault(name, member) != member:
                raise UserError(
                    f"the member {name!r} had other settings when the competition began",
                    file=file,
                    expected="the same ones, to go on with its models",
                    advice="give the new settings to a member of another name",
                )
    write_text(file, dump_recipe(recipe.model_copy(update={"members": members})))


def _divided_by(recipe: CompeteRecipe) -> dict[str, Any]:
    """The settings that every model depends on."""
    return recipe.model_dump(exclude={"run": True, "members": True, "data": {"sample", "solution"}})


def _remember_files(recipe: CompeteRecipe, folder: Path) -> None:
    """Keep checksums of both files with the competition.

    Raises:
        UserError: one has changed since the competition began: what is kept of it would be of other examples.
    """
    paths = {name: expand(getattr(recipe.data, name)) for name in ("train", "test")}
    sums = {name: hashlib.blake2b(path.read_bytes(), digest_size=16).hexdigest() for name, path in paths.items()}
    file = folder / "files.json"
    if not file.exists():
        write_json(file, sums)
    for name, kept in read_json(file).items():
        if kept != sums[name]:
            raise UserError(
                "this file has changed since the competition began",
                file=paths[name],
                expected="the same examples, to go on with it",
                advice="choose another folder by run=FOLDER",
            )


def _has_linear(entries: Entries) -> bool:
    """Whether a linear model on n-grams can take part: it knows classes of single texts."""
    return entries.task.problem == "single_label_classification" and len(entries.train[0].texts) == 1
