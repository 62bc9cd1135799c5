"""Every settings class: what a recipe may say, what it means, and what holds if it does not. No torch here.

A recipe (see recipe.py) is a TOML file with one section per class.
"""

from bertwright.config.base import PRESETS, ModelConfig, OptimizerSettings, Settings, TrainSettings, expand
from bertwright.config.competing import CompeteRecipe, CompetitionSettings, FoldsSettings, MemberSettings
from bertwright.config.finetuning import (
    ExamplesSettings,
    FinetuneRecipe,
    ReadingSettings,
    StartSettings,
    TricksSettings,
)
from bertwright.config.pretraining import (
    CorpusSettings,
    MixtureSettings,
    ObjectiveSettings,
    PretrainRecipe,
    PretrainStartSettings,
    TokenizerSettings,
)

__all__ = [
    "PRESETS",
    "CompeteRecipe",
    "CompetitionSettings",
    "CorpusSettings",
    "ExamplesSettings",
    "FinetuneRecipe",
    "FoldsSettings",
    "MemberSettings",
    "MixtureSettings",
    "ModelConfig",
    "ObjectiveSettings",
    "OptimizerSettings",
    "PretrainRecipe",
    "PretrainStartSettings",
    "ReadingSettings",
    "Settings",
    "StartSettings",
    "TokenizerSettings",
    "TrainSettings",
    "TricksSettings",
    "expand",
]
