"""The one place that knows Hugging Face names: weights and configuration, in both directions.

Checkpoints are written as `transformers` reads and writes them; nothing else in the project knows these names.
"""

import re
from typing import Any

from torch import Tensor

from bertwright.config import ModelConfig
from bertwright.errors import UserError

NAMES: dict[str, str] = {
    "encoder.token_embedding": "bert.embeddings.word_embeddings",
    "encoder.position_embedding": "bert.embeddings.position_embeddings",
    "encoder.segment_embedding": "bert.embeddings.token_type_embeddings",
    "encoder.embedding_norm": "bert.embeddings.LayerNorm",
    "encoder.layers.#.attention.query": "bert.encoder.layer.#.attention.self.query",
    "encoder.layers.#.attention.key": "bert.encoder.layer.#.attention.self.key",
    "encoder.layers.#.attention.value": "bert.encoder.layer.#.attention.self.value",
    "encoder.layers.#.attention.output": "bert.encoder.layer.#.attention.output.dense",
    "encoder.layers.#.attention_norm": "bert.encoder.layer.#.attention.output.LayerNorm",
    "encoder.layers.#.inner": "bert.encoder.layer.#.intermediate.dense",
    "encoder.layers.#.outer": "bert.encoder.layer.#.output.dense",
    "encoder.layers.#.output_norm": "bert.encoder.layer.#.output.LayerNorm",
    "pooler.dense": "bert.pooler.dense",
    "masked_token_head.dense": "cls.predictions.transform.dense",
    "masked_token_head.norm": "cls.predictions.transform.LayerNorm",
    "masked_token_head": "cls.predictions",
    "pair_head": "cls.seq_relationship",
    "classifier": "classifier",
}
"""Our module -> its name in a BERT checkpoint; # is a layer's number, `weight` or `bias` follows."""

_TO_OURS = {hub: ours for ours, hub in NAMES.items()}

CONFIG: dict[str, str] = {
    "vocabulary_size": "vocab_size",
    "layers": "num_hidden_layers",
    "width": "hidden_size",
    "heads": "num_attention_heads",
    "inner_width": "intermediate_size",
    "max_length": "max_position_embeddings",
    "segment_types": "type_vocab_size",
    "dropout": "hidden_dropout_prob",
    "norm_epsilon": "layer_norm_eps",
    "initial_deviation": "initializer_range",
}
"""Our field -> its name in config.json."""


def _translate(name: str, table: dict[str, str]) -> str | None:
    module, _, kind = name.rpartition(".")
    number = re.search(r"\.(\d+)\.", module)
    pattern = module.replace(number[0], ".#.", 1) if number else module
    if pattern not in table:
        return None
    target = table[pattern]
    return (target.replace("#", number[1]) if number else target) + f".{kind}"


def weights_to_hub(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Weights under their names in a BERT checkpoint."""
    renamed = {}
    for name, tensor in weights.items():
        target = _translate(name, NAMES)
        assert target is not None, f"hub.NAMES has no name for {name}"
        renamed[target] = tensor
    return renamed


def weights_from_hub(weights: dict[str, Tensor]) -> tuple[dict[str, Tensor], list[str]]:
    """Weights of a BERT checkpoint under our names, and the names that this project has no place for.

    A bare `BertModel` is saved without the prefix `bert.`. The tied output matrix is left out, as it is the embedding
    table again.
    """
    renamed, unknown = {}, []
    for name, tensor in weights.items():
        if name in {"cls.predictions.decoder.weight", "cls.predictions.decoder.bias", "bert.embeddings.position_ids"}:
            continue
        target = _translate(name, _TO_OURS) or _translate(f"bert.{name}", _TO_OURS)
        if target is None:
            unknown.append(name)
        else:
            renamed[target] = tensor
    return renamed, unknown


def config_to_hub(
    config: ModelConfig, *, architecture: str, pad_id: int, labels: list[str] | None = None
) -> dict[str, Any]:
    """The contents of config.json."""
    values: dict[str, Any] = {
        "architectures": [architecture],
        "model_type": "bert",
        "hidden_act": "gelu",
        "attention_probs_dropout_prob": config.dropout,
        "pad_token_id": pad_id,
        "tie_word_embeddings": True,
        "dtype": "float32",
    }
    values |= {hub: getattr(config, ours) for ours, hub in CONFIG.items()}
    if labels is not None:
        values["id2label"] = {str(number): label for number, label in enumerate(labels)}
        values["label2id"] = {label: number for number, label in enumerate(labels)}
    return values


def config_from_hub(values: dict[str, Any], file: object) -> ModelConfig:
    """Our configuration of a config.json.

    Raises:
        UserError: the model is of another family, or a variant that would compute something else.
    """
    family = values.get("model_type")
    if family != "bert":
        raise UserError(
            f"a model of type {family!r}", expected="model_type bert", advice="choose a BERT checkpoint", file=str(file)
        )
    fixed = {
        "hidden_act": "gelu",
        "position_embedding_type": "absolute",
        "is_decoder": False,
        "tie_word_embeddings": True,
    }
    for name, expected in fixed.items():
        if values.get(name, expected) != expected:
            raise UserError(f"{name} is {values[name]!r}", expected=repr(expected), file=str(file))
    missing = [
        hub
        for hub in CONFIG.values()
        if hub not in values and hub in {"vocab_size", "hidden_size", "num_hidden_layers"}
    ]
    if missing:
        raise UserError(f"{', '.join(missing)} is missing", expected="a BERT config.json", file=str(file))
    return ModelConfig(**{ours: values[hub] for ours, hub in CONFIG.items() if hub in values})
