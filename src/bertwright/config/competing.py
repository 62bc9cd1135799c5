"""The recipe of `compete`."""

import re
from typing import Annotated, Self

from pydantic import Field, model_validator

from bertwright.config.base import Settings, TrainSettings
from bertwright.config.finetuning import (
    FinetuneOptimizerSettings,
    ReadingSettings,
    StartSettings,
    TaskName,
    TricksSettings,
)


class CompetitionSettings(ReadingSettings):
    """[data]: the files of a competition, and how they are read."""

    train: str
    train_examples: int | None = Field(default=None, ge=1)
    """Take part with so many of them, chosen by a hash of their texts: for a first look."""
    test: str
    """Its labels, if it has any, are not looked at."""
    sample: str | None = None
    """The sample submission: the columns and the order that the submission will have."""
    solution: str | None = None
    """The test file with labels, held back: scored once, at the end."""
    group_column: str | None = None
    """classify and pair: examples with the same value (an author, a product) are never parted between folds."""
    metric: str | None = None
    """What the competition is decided by; by default the task's first one."""


class FoldsSettings(Settings):
    """[folds]: how the training examples are divided."""

    number: int = Field(default=5, ge=2)
    seeds: list[Annotated[int, Field(ge=0)]] = Field(default=[1], min_length=1)
    """Each divides anew and trains a model of every member for every fold."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if len(set(self.seeds)) < len(self.seeds):
            raise ValueError(f"a seed stands twice among {self.seeds}")
        return self


LINEAR = "linear"
"""The member that is always there where there are classes of single texts: a linear model on n-grams."""

SECTIONS = ("start", "optimizer", "tricks", "train")
"""Of a member."""


class MemberSettings(Settings):
    """[members.NAME]: one way to train, on every fold."""

    start: StartSettings
    optimizer: FinetuneOptimizerSettings = FinetuneOptimizerSettings()
    tricks: TricksSettings = TricksSettings()
    adaptation_minutes: float = Field(default=0.0, ge=0)
    """Minutes of pre-training on the texts of both files, without labels, before anything else (Gururangan et al.
    2020)."""
    pseudo_labels: float = Field(default=0.0, ge=0.0, lt=1.0)
    """Train once more, with the test examples that the fold's own model is surer of than this (Lee 2013); 0: do not.
    classify and pair, label_kind = "class"."""
    search: dict[str, tuple[int, int] | tuple[float, float]] = Field(default={})
    """Settings that are chosen by trials (Akiba et al. 2019): "section.key" -> its lowest and highest value (extra
    tune)."""
    trials: int = Field(default=20, ge=1)
    """Of a search."""
    train: TrainSettings

    @model_validator(mode="after")
    def _check(self) -> Self:
        sections: dict[str, Settings] = {name: getattr(self, name) for name in SECTIONS}
        for key, (low, high) in self.search.items():
            section, _, entry = key.partition(".")
            if section not in sections or entry not in type(sections[section]).model_fields:
                raise ValueError(f"search: {key!r} is no setting of start, optimizer, tricks or train")
            if key == "train.seed":
                raise ValueError("search: the seed comes from folds.seeds")
            if low >= high:
                raise ValueError(f"search: {key!r} goes from {low} to {high}")
        if self.train.seed != TrainSettings.model_fields["seed"].default:
            raise ValueError("the seed comes from folds.seeds")
        return self


class CompeteRecipe(Settings):
    """What `compete` does."""

    run: str
    """The folder of the competition."""
    task: TaskName
    data: CompetitionSettings
    folds: FoldsSettings = FoldsSettings()
    members: dict[str, MemberSettings] = Field(min_length=1)

    @model_validator(mode="after")
    def _check(self) -> Self:
        for name, member in self.members.items():
            if not re.fullmatch(r"[\w.-]+", name) or name.startswith("."):
                raise ValueError(f"the member {name!r} gives its name to files: letters, digits, _, - and . only")
            if name == LINEAR:
                raise ValueError(f"the member {LINEAR!r} is the linear model on n-grams, which takes part by itself")
            if member.pseudo_labels and (self.task not in ("classify", "pair") or self.data.label_kind != "class"):
                raise ValueError(f'members.{name}.pseudo_labels needs one class for each text: label_kind = "class"')
        return self
