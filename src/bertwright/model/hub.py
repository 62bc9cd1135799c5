"""The one place that knows Hugging Face names: weights and configuration, in both directions.

Checkpoints are written as `transformers` reads and writes them; nothing else in the project knows these names.
"""

import re
from typing import Any

import torch
from pydantic import ValidationError
from torch import Tensor

from bertwright.config import ModelConfig
from bertwright.errors import UserError

NAMES: dict[str, dict[str, str]] = {
    "bert": {
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
        "transform.dense": "cls.predictions.transform.dense",
        "transform.norm": "cls.predictions.transform.LayerNorm",
        "token_bias": "cls.predictions.bias",
        "pair_head": "cls.seq_relationship",
        "classifier": "classifier",
    },
    "modernbert": {
        "encoder.token_embedding": "model.embeddings.tok_embeddings",
        "encoder.embedding_norm": "model.embeddings.norm",
        "encoder.layers.#.attention_norm": "model.layers.#.attn_norm",
        "encoder.layers.#.attention.query": "model.layers.#.attn.Wqkv[0]",
        "encoder.layers.#.attention.key": "model.layers.#.attn.Wqkv[1]",
        "encoder.layers.#.attention.value": "model.layers.#.attn.Wqkv[2]",
        "encoder.layers.#.attention.output": "model.layers.#.attn.Wo",
        "encoder.layers.#.inner_norm": "model.layers.#.mlp_norm",
        "encoder.layers.#.inner": "model.layers.#.mlp.Wi",
        "encoder.layers.#.outer": "model.layers.#.mlp.Wo",
        "encoder.final_norm": "model.final_norm",
        "transform.dense": "head.dense",
        "transform.norm": "head.norm",
        "token_bias": "decoder.bias",
        "classifier": "classifier",
    },
}
"""Per layout: our module -> its name in a checkpoint; # is a layer's number, and `.weight` or `.bias` follows (the
token bias is no module and stands whole). Wqkv[n] is the n-th third of a fused matrix, which is three matrices here."""

PREFIX = {"bert": "bert.", "modernbert": "model."}
"""What a bare encoder's names are saved without."""

REPEATED = {
    "cls.predictions.decoder.weight",
    "cls.predictions.decoder.bias",
    "decoder.weight",
    "bert.embeddings.position_ids",
}
"""Names under which other weights stand again."""

FUSED = ".attn.Wqkv"

SHAPE = {
    "vocabulary_size": "vocab_size",
    "layers": "num_hidden_layers",
    "width": "hidden_size",
    "heads": "num_attention_heads",
    "inner_width": "intermediate_size",
    "max_length": "max_position_embeddings",
    "initial_deviation": "initializer_range",
}
"""Fields that both layouts call alike."""

CONFIG: dict[str, dict[str, str]] = {
    "bert": {
        **SHAPE,
        "segment_types": "type_vocab_size",
        "dropout": "hidden_dropout_prob",
        "norm_epsilon": "layer_norm_eps",
    },
    "modernbert": {
        **SHAPE,
        "dropout": "mlp_dropout",
        "norm_epsilon": "norm_eps",
    },
}
"""Per layout: our field -> its name in config.json."""

FIXED: dict[str, dict[str, Any]] = {
    "bert": {
        "hidden_act": "gelu",
        "position_embedding_type": "absolute",
        "is_decoder": False,
        "tie_word_embeddings": True,
    },
    "modernbert": {
        "hidden_activation": "gelu",
        "norm_bias": False,
        "attention_bias": False,
        "mlp_bias": False,
        "decoder_bias": True,
        "classifier_bias": False,
        "classifier_activation": "gelu",
        "tie_word_embeddings": True,
    },
}
"""Per layout: settings with which the model computes what this project computes."""

ARCHITECTURES: dict[str, dict[str, str]] = {
    "bert": {
        "masked_tokens": "BertForMaskedLM",
        "pair": "BertForPreTraining",
        "classify": "BertForSequenceClassification",
        "encoder": "BertModel",
    },
    "modernbert": {"masked_tokens": "ModernBertForMaskedLM", "classify": "ModernBertForSequenceClassification"},
}
"""Per layout: what a model is for -> the `transformers` class that reads it whole."""


def _translate(name: str, table: dict[str, str]) -> str | None:
    module, _, kind = name.rpartition(".")
    if name in table:
        return table[name]
    number = re.search(r"\.(\d+)\.", module)
    pattern = module.replace(number[0], ".#.", 1) if number else module
    if pattern not in table:
        return None
    target = table[pattern]
    return (target.replace("#", number[1]) if number else target) + f".{kind}"


def weights_to_hub(weights: dict[str, Tensor], layout: str) -> dict[str, Tensor]:
    """Weights under their names in a checkpoint of this layout."""
    renamed: dict[str, Tensor] = {}
    thirds: dict[str, dict[str, Tensor]] = {}
    for name, tensor in weights.items():
        target = _translate(name, NAMES[layout])
        assert target is not None, f"hub.NAMES has no name for {name}"
        if part := re.fullmatch(r"(.*)\[(\d)\](.*)", target):
            thirds.setdefault(part[1] + part[3], {})[part[2]] = tensor
        else:
            renamed[target] = tensor
    fused = {target: torch.cat([parts[number] for number in "012"]) for target, parts in thirds.items()}
    return renamed | fused


def weights_from_hub(weights: dict[str, Tensor], layout: str) -> tuple[dict[str, Tensor], list[str]]:
    """Weights of a checkpoint under our names, and the names that this project has no place for.

    A bare encoder is saved without the prefix `bert.` or `model.`. The tied output matrix is left out, as it is the
    embedding table again.
    """
    table = {theirs: ours for ours, theirs in NAMES[layout].items()}
    renamed, unknown = {}, []
    for name, tensor in weights.items():
        if name in REPEATED:
            continue
        named = {name: tensor}
        if FUSED in name:
            named = {name.replace(FUSED, f"{FUSED}[{n}]"): part for n, part in enumerate(tensor.chunk(3))}
        for each, part in named.items():
            target = _translate(each, table) or _translate(PREFIX[layout] + each, table)
            if target is None:
                unknown.append(name)
            else:
                renamed[target] = part
    return renamed, unknown


def config_to_hub(
    config: ModelConfig,
    *,
    architecture: str,
    special: dict[str, int],
    labels: list[str] | None = None,
    pooling: str = "cls",
) -> dict[str, Any]:
    """The contents of config.json.

    Args:
        config: of the model.
        architecture: the `transformers` class that reads it whole.
        special: ids of "pad", "cls" and "sep".
        labels: names of the classes.
        pooling: of a classifier.
    """
    values: dict[str, Any] = {
        "architectures": [architecture],
        "model_type": config.layout,
        "pad_token_id": special["pad"],
        "dtype": "float32",
        **FIXED[config.layout],
        **{hub: getattr(config, ours) for ours, hub in CONFIG[config.layout].items()},
    }
    if config.layout == "bert":
        values["attention_probs_dropout_prob"] = config.dropout
    else:
        base = {"rope_type": "default", "rope_theta": config.rotary_base}
        values |= {
            "bos_token_id": special["cls"],
            "eos_token_id": special["sep"],
            "cls_token_id": special["cls"],
            "sep_token_id": special["sep"],
            "layer_types": ["full_attention"] * config.layers,
            "rope_parameters": {"full_attention": base, "sliding_attention": base},
            "classifier_pooling": pooling,
            **dict.fromkeys(("attention_dropout", "embedding_dropout", "classifier_dropout"), config.dropout),
        }
    if labels is not None:
        values["id2label"] = {str(number): label for number, label in enumerate(labels)}
        values["label2id"] = {label: number for number, label in enumerate(labels)}
    return values


def config_from_hub(values: dict[str, Any], file: object) -> ModelConfig:
    """Our configuration of a config.json.

    Raises:
        UserError: the model is of another family, or a variant that would compute something else.
    """
    layout = values.get("model_type")
    if layout not in CONFIG:
        raise UserError(
            f"a model of type {layout!r}",
            expected=f"model_type {' or '.join(CONFIG)}",
            advice="choose a checkpoint of one of these families",
            file=str(file),
        )
    for name, expected in FIXED[layout].items():
        if values.get(name, expected) != expected:
            advice = "choose a checkpoint of the usual kind"
            raise UserError(f"{name} is {values[name]!r}", expected=repr(expected), advice=advice, file=str(file))
    if missing := [hub for hub in ("vocab_size", "hidden_size", "num_hidden_layers") if hub not in values]:
        advice = "copy it anew, or choose another checkpoint"
        raise UserError(
            f"{', '.join(missing)} is missing", expected="a whole config.json", advice=advice, file=str(file)
        )
    ours = {ours: values[hub] for ours, hub in CONFIG[layout].items() if hub in values}
    if layout == "modernbert":
        ours["rotary_base"] = _rotary_base(values, file)
    try:
        return ModelConfig(layout=layout, **ours)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = "".join(f"{part}: " for part in first["loc"])
        raise UserError(
            f"{place}{first['msg'].removeprefix('Value error, ')}",
            expected="a shape that a model can have",
            advice="copy config.json anew, or choose another checkpoint",
            file=str(file),
        ) from None


def _rotary_base(values: dict[str, Any], file: object) -> float:
    if "sliding_attention" in values.get("layer_types", ["sliding_attention"]):
        raise UserError(
            "some layers of this model have local attention",
            expected='layer_types with "full_attention" only',
            advice="choose a checkpoint with full attention",
            file=str(file),
        )
    return float(values["rope_parameters"]["full_attention"]["rope_theta"])
