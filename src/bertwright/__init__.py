"""bertwright: one tool for the whole life of a BERT.

The public names are imported when they are first used, so that `import bertwright` is quick and pulls in no torch.
"""

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bertwright.compete import compete as compete
    from bertwright.config import CompeteRecipe as CompeteRecipe
    from bertwright.config import FinetuneRecipe as FinetuneRecipe
    from bertwright.config import PretrainRecipe as PretrainRecipe
    from bertwright.doctor import examine as examine
    from bertwright.errors import UserError as UserError
    from bertwright.evaluate import evaluate as evaluate
    from bertwright.fill import fill as fill
    from bertwright.finetune import finetune as finetune
    from bertwright.predict import Predictor as Predictor
    from bertwright.prepare import prepare as prepare
    from bertwright.pretrain import pretrain as pretrain
    from bertwright.recipe import load_recipe as load_recipe
    from bertwright.report import write_report as write_report
    from bertwright.store import Store as Store
    from bertwright.tokenizer import Tokenizer as Tokenizer

__version__ = "0.1.0"

_HOMES = {
    "CompeteRecipe": "config",
    "FinetuneRecipe": "config",
    "PretrainRecipe": "config",
    "load_recipe": "recipe",
    "examine": "doctor",
    "UserError": "errors",
    "compete": "compete",
    "evaluate": "evaluate",
    "finetune": "finetune",
    "Predictor": "predict",
    "fill": "fill",
    "prepare": "prepare",
    "pretrain": "pretrain",
    "write_report": "report",
    "Store": "store",
    "Tokenizer": "tokenizer",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'bertwright' has no attribute {name!r}")
    return getattr(import_module(f"bertwright.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])


class _Package(ModuleType):
    """Importing bertwright.pretrain binds the module to the name of its function: here the function is meant."""

    def __setattr__(self, name: str, value: Any) -> None:
        if name in _HOMES and isinstance(value, ModuleType):
            value = getattr(value, name)
        super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
