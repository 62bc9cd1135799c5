"""Checkpoints by name: a folder, the best one of a run, or a model of the Hugging Face hub."""

import re
from pathlib import Path

from bertwright.errors import UserError
from bertwright.run import OLD

HUB_NAME = re.compile(r"[\w.-]+(/[\w.-]+)?")

FILES = ["*.json", "*.txt", "*.safetensors"]
"""What of a model is downloaded."""

PICKLED = "pytorch_model.bin"
"""The weights, where a model has no safetensors."""


def checkpoint_folder(name: str | Path) -> Path:
    """The checkpoint that a name means: the folder, the best checkpoint of a run's folder, or a model of the hub.

    A model of the hub is downloaded once (extra hub), and found again without a network.

    Raises:
        UserError: there is no such folder, and no such model, or the hub cannot be reached.
    """
    folder = Path(name)
    name = folder.as_posix()  # of a path of Windows, too, if that is how a name of the hub comes
    # The second is there alone for a moment while the best one is replaced, or after a crash in that moment.
    if best := next((best for best in (folder / "best", folder / f"{OLD}best") if best.is_dir()), None):
        return best
    if folder.exists() or not HUB_NAME.fullmatch(name):
        return folder
    return _download(name)


def _download(name: str) -> Path:
    """The folder of a model of the hub, as huggingface_hub keeps it."""
    try:
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import (
            HfHubHTTPError,
            HFValidationError,
            LocalEntryNotFoundError,
            RepositoryNotFoundError,
        )
    except ImportError:
        raise UserError(
            f"there is no folder {name}, and models of the hub cannot be downloaded here",
            expected="a folder, or the package huggingface_hub",
            advice="check the path, or pip install 'bertwright[hub]'",
        ) from None
    try:
        folder = Path(snapshot_download(name, allow_patterns=FILES))
        if not any(folder.glob("*.safetensors")):
            folder = Path(snapshot_download(name, allow_patterns=[*FILES, PICKLED]))
        return folder
    except (RepositoryNotFoundError, HfHubHTTPError, LocalEntryNotFoundError, HFValidationError) as error:
        reason = str(error).strip().splitlines()[0]
        raise UserError(
            f"there is no folder {name}, and no such model came from the hub ({reason})",
            expected="a checkpoint folder, or the name of a model of the hub, which can be reached",
            advice="check the name and the network",
        ) from None
