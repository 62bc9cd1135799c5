"""Checkpoints: a Hugging Face model folder, and beside it what a run needs to go on.

config.json  model.safetensors  tokenizer.json  tokenizer_config.json  bertwright.json  README.md
train.pt     (optimizer, position, averaged weights if there are any; only in checkpoints that a run goes on from)
"""

import os
import pickle
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

from bertwright.config import ModelConfig
from bertwright.errors import UserError
from bertwright.model import hub
from bertwright.model.encoder import Encoder
from bertwright.run import atomic_folder, read_json, write_json, write_text
from bertwright.tokenizer import Tokenizer

FORMAT = 1
"""Version of bertwright.json."""

UNREADABLE = (RuntimeError, EOFError, OSError, ValueError, pickle.UnpicklingError)
"""What torch.load raises for a damaged file, or one that holds code."""


@dataclass(frozen=True)
class Description:
    """What a checkpoint says of itself beside its weights."""

    config: ModelConfig
    family: str
    """A key of hub.FAMILIES."""
    purpose: str
    """A key of the family's architectures: what the model is read as by `transformers`."""
    facts: dict[str, Any]
    """What only this project needs (pair objective, pooling, task, ...), for bertwright.json."""
    labels: list[str] | None = None
    """Names of the classes."""
    problem: str | None = None
    """Of a classifier: a problem_type of `transformers`."""

    @property
    def architecture(self) -> str:
        """The `transformers` class that reads the checkpoint whole."""
        return hub.FAMILIES[self.family].architectures[self.purpose]


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint that was read."""

    folder: Path
    family: str
    """A key of hub.FAMILIES."""
    config: ModelConfig
    weights: dict[str, Tensor]
    unknown: list[str]
    """Names of weights that this project has no place for."""
    tokenizer: Tokenizer
    facts: dict[str, Any]
    labels: list[str] | None


def save_checkpoint(
    folder: Path,
    model: nn.Module,
    tokenizer: Tokenizer,
    description: Description,
    state: dict[str, Any] | None = None,
    *,
    whole: Mapping[str, Tensor] = MappingProxyType({}),
) -> None:
    """Write a checkpoint folder atomically.

    Args:
        folder: where; an existing checkpoint there is replaced when the new one is whole.
        model: its weights are saved in float32 under their Hugging Face names.
        tokenizer: saved with it.
        description: configuration, architecture, labels and facts.
        state: for train.pt.
        whole: weights that take the place of the model's, of which it has a part only.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    weights = {name: parameter.detach().cpu().contiguous() for name, parameter in model.named_parameters()}
    weights |= whole
    with atomic_folder(folder) as aside:
        with _system_errors():
            named = hub.weights_to_hub(weights, description.family, description.purpose)
            safetensors.torch.save_file(named, aside / "model.safetensors", metadata={"format": "pt"})
        config = hub.config_to_hub(
            description.config,
            description.family,
            description.purpose,
            special={"pad": tokenizer.pad_id, "cls": tokenizer.cls_id, "sep": tokenizer.sep_id},
            labels=description.labels,
            pooling=description.facts.get("pooling", "cls"),
            problem=description.problem,
        )
        write_json(aside / "config.json", config)
        tokenizer.save(aside)
        facts = {
            "format": FORMAT,
            "layout": description.config.layout,
            "alphabet": tokenizer.alphabet,
            **description.facts,
        }
        write_json(aside / "bertwright.json", facts)
        write_text(aside / "README.md", _card(sum(weight.numel() for weight in weights.values()), description))
        if state is not None:
            with _system_errors(), (aside / "train.pt").open("wb") as file:
                torch.save(state, file)


def _read_facts(file: Path) -> dict[str, Any]:
    """What bertwright.json says; nothing where `transformers` wrote the checkpoint."""
    facts = read_json(file) if file.exists() else {}
    if facts.get("format", FORMAT) != FORMAT:
        raise UserError(
            f"its format is {facts['format']}",
            file=file,
            expected=f"format {FORMAT}, which this version reads",
            advice="use the version of bertwright that wrote it",
        )
    return facts


@contextmanager
def _system_errors() -> Iterator[None]:
    """Raise what the system said, such as "no space left", where the library that writes hides it in its own error."""
    try:
        yield
    except safetensors.SafetensorError as error:
        if number := re.search(r"os error (\d+)", str(error)):
            raise OSError(int(number[1]), os.strerror(int(number[1]))) from error
        raise
    except RuntimeError as error:
        if isinstance(error.__context__, OSError):
            raise error.__context__ from None
        raise


def load_checkpoint(folder: str | Path, *, weights: bool = True) -> Checkpoint:
    """Read a checkpoint folder: ours, or one that `transformers` wrote; without `weights` only what describes them.

    Raises:
        UserError: it is no checkpoint, is damaged, lacks a part of the encoder, or holds a model of another family.
    """
    folder = Path(folder)
    if not (folder / "config.json").exists():
        raise UserError(
            "this is no checkpoint",
            file=folder,
            expected="a folder with config.json and model.safetensors, or the name of a model of the hub",
            advice="give the folder best/ of a run, or one of its checkpoints/",
        )
    values = read_json(folder / "config.json")
    config = hub.config_from_hub(values, folder / "config.json")
    family = hub.family_of(values, folder / "config.json")
    purpose = hub.purpose_of(values, family)
    renamed, unknown = hub.weights_from_hub(_read_weights(folder) if weights else {}, family, purpose)
    if weights:
        _check_encoder(folder, config, renamed, unknown)
    tokenizer = Tokenizer.load(folder)
    if tokenizer.vocabulary_size > config.vocabulary_size:
        raise UserError(
            f"the tokenizer has {tokenizer.vocabulary_size:,} tokens, the model {config.vocabulary_size:,}",
            expected="a row of the embedding table for each token",
            advice="tokenizer.json and config.json do not belong together: copy both anew",
            file=folder,
        )
    labels = values.get("id2label")
    return Checkpoint(
        folder=folder,
        family=family,
        config=config,
        weights=renamed,
        unknown=unknown,
        tokenizer=tokenizer,
        facts=_read_facts(folder / "bertwright.json"),
        labels=[labels[str(number)] for number in range(len(labels))] if labels else None,
    )


def _check_encoder(folder: Path, config: ModelConfig, weights: Mapping[str, Tensor], unknown: list[str]) -> None:
    """See that the encoder's weights are there: a part that lacks would be drawn anew without a word."""
    with torch.device("meta"):
        names = [f"encoder.{name}" for name, _ in Encoder(config).named_parameters()]
    if missing := [name for name in names if name not in weights]:
        others = f"; the file has {', '.join(unknown[:3])}" if unknown else ""
        raise UserError(
            f"{len(missing)} of the encoder's {len(names)} weights are missing, {missing[0]} the first{others}",
            expected="a whole encoder, under the names that transformers gives its weights",
            advice="save the model anew by save_pretrained, or choose another checkpoint",
            file=folder,
        )


def _read_weights(folder: Path) -> dict[str, Tensor]:
    """The weights of model.safetensors, or of the older pytorch_model.bin, of which no code is run; in float32."""
    path, old = folder / "model.safetensors", folder / "pytorch_model.bin"
    if not path.exists() and not old.exists():
        raise UserError(
            "the weights are missing",
            file=path,
            expected="model.safetensors or pytorch_model.bin beside config.json",
            advice="use another checkpoint of the run, or copy it anew",
        )
    found = path if path.exists() else old
    try:
        weights = (
            safetensors.torch.load_file(path)
            if found is path
            else torch.load(old, map_location="cpu", weights_only=True)
        )
    except pickle.UnpicklingError:
        raise UserError(
            "the file holds more than weights, perhaps code, which is not run",
            file=found,
            expected="weights and nothing else",
            advice="ask for the checkpoint as model.safetensors",
        ) from None
    except (safetensors.SafetensorError, *UNREADABLE) as error:
        raise UserError(
            f"the weights cannot be read ({str(error).strip().splitlines()[0]})",
            file=found,
            expected="a whole file of weights, and nothing but weights",
            advice="the file is damaged: use another checkpoint of the run, or copy it anew",
        ) from None
    return {name: tensor.float() if tensor.is_floating_point() else tensor for name, tensor in weights.items()}


def load_weights(model: nn.Module, checkpoint: Checkpoint) -> list[str]:
    """Put a checkpoint's weights into a model; parts that it lacks keep their drawn weights.

    Returns:
        Names of the parameters that the checkpoint has no weights for.

    Raises:
        UserError: a weight has another shape.
    """
    fresh = []
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            weight = checkpoint.weights.get(name)
            if weight is None:
                fresh.append(name)
            elif weight.shape != parameter.shape:
                raise UserError(
                    f"the weight {name} has shape {list(weight.shape)}",
                    expected=f"{list(parameter.shape)}, as config.json says",
                    advice="config.json and model.safetensors do not belong together",
                    file=checkpoint.folder,
                )
            else:
                parameter.copy_(weight)
    return fresh


def load_whole(model: nn.Module, checkpoint: Checkpoint) -> None:
    """Put a checkpoint's weights into a model that needs all of its parts.

    Raises:
        UserError: the checkpoint lacks some.
    """
    if fresh := load_weights(model, checkpoint):
        raise UserError(
            f"the checkpoint has no weights for {', '.join(fresh[:3])}{' ...' if len(fresh) > 3 else ''}",
            expected="a checkpoint with this head",
            advice="choose the run that trained it",
            file=checkpoint.folder,
        )


def read_state(folder: Path) -> dict[str, Any]:
    """Read train.pt; no code in it is run.

    Raises:
        UserError: it is missing or damaged.
    """
    path = folder / "train.pt"
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise UserError(
            "no training can go on from here",
            file=path,
            expected="a checkpoint with train.pt",
            advice="choose one of the last checkpoints: those of save_at hold weights only",
        ) from None
    except UNREADABLE as error:
        raise UserError(
            f"the training state cannot be read ({error})",
            file=path,
            expected="a whole train.pt",
            advice="the file is damaged: remove this checkpoint's folder, the run goes on from the one before it",
        ) from None


def _card(parameters: int, description: Description) -> str:
    config = description.config
    facts = "".join(f"- {name}: {value}\n" for name, value in description.facts.items())
    return (
        f"---\nlibrary_name: transformers\n---\n\n# {description.architecture}\n\n"
        f"A BERT made with bertwright: {config.layers} layers, width {config.width}, {config.heads} heads, "
        f"vocabulary {config.vocabulary_size}, {parameters:,} parameters.\n\n{facts}\n"
        f"`transformers` reads it by `{description.architecture}.from_pretrained(folder)`.\n"
    )
