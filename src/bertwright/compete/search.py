"""Settings of a member chosen by trial: Optuna proposes, a training answers.

The trials see what the model of the first fold may see, and are judged by the tenth of it that chooses checkpoints. So
the first fold's score knows nothing of the choice; the other folds' examples had a small part in it.
"""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from bertwright.compete.cells import Entries, recipe_of, sides_of
from bertwright.config import CompeteRecipe, MemberSettings
from bertwright.errors import UserError
from bertwright.finetune import Given, finetune
from bertwright.metrics import LOWER_IS_BETTER
from bertwright.recipe import parse
from bertwright.run import read_json, write_json
from bertwright.train import Progress


def searched(
    name: str,
    recipe: CompeteRecipe,
    entries: Entries,
    folds: np.ndarray,
    folder: Path,
    say: Callable[[str], None],
    progress: Progress | None,
) -> MemberSettings:
    """The member with the best settings of its trials; each is kept as JSON, so that a stopped search goes on.

    Args:
        name: of the member.
        recipe: of the competition.
        entries: its examples.
        folds: of each training example, by the first seed.
        folder: of the competition.
        say: told what happens now.
        progress: told after every step.

    Raises:
        UserError: the package optuna is missing, or a setting that is searched is none.
    """
    member = recipe.members[name]
    if not member.search:
        return member
    optuna, seed = import_optuna(), recipe.folds.seeds[0]
    lower = (recipe.data.metric or entries.task.metric_names[0]) in LOWER_IS_BETTER
    study = optuna.create_study(direction="minimize" if lower else "maximize")
    space = {key: _distribution(optuna, *limits) for key, limits in member.search.items()}
    sides = entries.sides(sides_of(entries, np.flatnonzero(folds != 0), seed))
    for number in range(1, member.trials + 1):
        path = folder / "search" / f"{name}-{number}.json"
        if not path.exists():
            # A trial that was stopped is proposed again: its seed is its own, not where the one before it left off.
            study.sampler = optuna.samplers.TPESampler(seed=1000 * seed + number)
            trial = study.ask(space)
            say(f"{name}, trial {number} of {member.trials}: {_told(trial.params)}")
            run = path.with_suffix("")
            settings = recipe_of(recipe, _with(member, trial.params), run, seed)
            goes_on = (run / "recipe.toml").exists()
            result = finetune(settings, resume=goes_on, progress=progress, given=Given(sides, known=entries.train))
            value = result["development"]["metrics"][result["metric"]]
            write_json(path, {"settings": trial.params, "value": value})
            shutil.rmtree(run)
            study.tell(trial, value)
        else:
            kept = read_json(path)
            told = {"params": kept["settings"], "distributions": space, "value": kept["value"]}
            study.add_trial(optuna.trial.create_trial(**told))
    say(f"{name}, the best trial: {_told(study.best_params)}, {study.best_value:.4f}")
    return _with(member, study.best_params)


def import_optuna() -> Any:
    """The package optuna.

    Raises:
        UserError: it is not installed.
    """
    try:
        import optuna
    except ImportError:
        raise UserError(
            "a search needs the package optuna",
            expected="optuna, or members without [members.NAME.search]",
            advice="pip install 'bertwright[tune]'",
        ) from None
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna


def _distribution(optuna: Any, low: float, high: float) -> Any:
    """Whole numbers between whole limits; others by their logarithm, where the limits are of different size."""
    if isinstance(low, int) and isinstance(high, int):
        return optuna.distributions.IntDistribution(low, high)
    return optuna.distributions.FloatDistribution(low, high, log=low > 0 and high >= 10 * low)


def _with(member: MemberSettings, settings: dict[str, Any]) -> MemberSettings:
    """The member with other values at "section.key"."""
    values = member.model_dump(exclude={"search", "trials"})
    for key, value in settings.items():
        section, _, entry = key.partition(".")
        values[section][entry] = value
    return parse(MemberSettings, values)


def _told(settings: dict[str, Any]) -> str:
    return ", ".join(f"{key} {value:.3g}" for key, value in settings.items())
