"""The one place that knows Hugging Face names: weights and configuration, in both directions.

Checkpoints are written as `transformers` reads and writes them; nothing else in the project knows these names. A family
(a model_type of `transformers`) is one record: names of weights, names of settings, and the settings with which its
models compute what this project computes.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from pydantic import ValidationError
from torch import Tensor

from bertwright.config import ModelConfig
from bertwright.errors import UserError

Names = Mapping[str, str]

BERT_ENCODER = {
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
}
BERT_HEADS = {
    "transform.dense": "cls.predictions.transform.dense",
    "transform.norm": "cls.predictions.transform.LayerNorm",
    "token_bias": "cls.predictions.bias",
    "pair_head": "cls.seq_relationship",
    "classifier": "classifier",
}
ROBERTA_ENCODER = {ours: theirs.replace("bert.", "roberta.", 1) for ours, theirs in BERT_ENCODER.items()}
ROBERTA_HEADS = {
    "transform.dense": "lm_head.dense",
    "transform.norm": "lm_head.layer_norm",
    "token_bias": "lm_head.bias",
    "classifier": "classifier",
}
MODERNBERT = {
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
}

BERT_CONFIG = {
    "vocabulary_size": "vocab_size",
    "layers": "num_hidden_layers",
    "width": "hidden_size",
    "heads": "num_attention_heads",
    "inner_width": "intermediate_size",
    "max_length": "max_position_embeddings",
    "initial_deviation": "initializer_range",
    "segment_types": "type_vocab_size",
    "dropout": "hidden_dropout_prob",
    "norm_epsilon": "layer_norm_eps",
}
MODERNBERT_CONFIG = {
    **{ours: theirs for ours, theirs in BERT_CONFIG.items() if ours != "segment_types"},
    "dropout": "mlp_dropout",
    "norm_epsilon": "norm_eps",
}

BERT_FIXED = {
    "hidden_act": "gelu",
    "position_embedding_type": "absolute",
    "is_decoder": False,
    "tie_word_embeddings": True,
}
MODERNBERT_FIXED = {
    "hidden_activation": "gelu",
    "norm_bias": False,
    "attention_bias": False,
    "mlp_bias": False,
    "decoder_bias": True,
    "classifier_bias": False,
    "classifier_activation": "gelu",
    "tie_word_embeddings": True,
}


def _architectures(prefix: str) -> dict[str, str]:
    classes = {
        "encoder": "Model",
        "masked_tokens": "ForMaskedLM",
        "classify": "ForSequenceClassification",
        "tag": "ForTokenClassification",
        "qa": "ForQuestionAnswering",
    }
    return {purpose: prefix + suffix for purpose, suffix in classes.items()}


@dataclass(frozen=True)
class Family:
    """What checkpoints of one model_type call things."""

    layout: str
    """The layout that they have here."""
    prefix: str
    """What a bare encoder's names are saved without."""
    names: Names
    """Our module -> its name in a checkpoint; # is a layer's number, and `.weight` or `.bias` follows (the token bias
    is no module and stands whole). Wqkv[n] is the n-th third of a fused matrix, which is three matrices here."""
    config: Names
    """Our field -> its name in config.json."""
    fixed: Mapping[str, Any]
    """Settings with which the model computes what this project computes."""
    architectures: Names
    """What a model is for (its purpose) -> the `transformers` class that reads it whole."""
    named_for: Mapping[str, Names] = field(default_factory=dict)
    """Purpose -> names that differ in a model for it."""
    first_position: int = 0
    """Rows of the position table before that of the first token, which no token uses."""


ANSWERS: Mapping[str, Names] = {"qa": {"classifier": "qa_outputs"}}

ROBERTA: dict[str, Any] = {
    "layout": "bert",
    "prefix": "roberta.",
    "names": ROBERTA_ENCODER | ROBERTA_HEADS,
    "config": BERT_CONFIG,
    "fixed": {**BERT_FIXED, "pad_token_id": 1},
    "named_for": {**ANSWERS, "classify": {"pooler.dense": "classifier.dense", "classifier": "classifier.out_proj"}},
    "first_position": 2,  # positions are counted on from the padding token's number
}

FAMILIES: dict[str, Family] = {
    "bert": Family(
        layout="bert",
        prefix="bert.",
        names=BERT_ENCODER | BERT_HEADS,
        config=BERT_CONFIG,
        fixed=BERT_FIXED,
        architectures={**_architectures("Bert"), "pair": "BertForPreTraining"},
        named_for=ANSWERS,
    ),
    "roberta": Family(**ROBERTA, architectures=_architectures("Roberta")),
    "xlm-roberta": Family(**ROBERTA, architectures=_architectures("XLMRoberta")),
    "modernbert": Family(
        layout="modernbert",
        prefix="model.",
        names=MODERNBERT,
        config=MODERNBERT_CONFIG,
        fixed=MODERNBERT_FIXED,
        architectures=_architectures("ModernBert"),
    ),
}
"""model_type -> its record."""

REPEATED = {
    "cls.predictions.decoder.weight",
    "cls.predictions.decoder.bias",
    "lm_head.decoder.weight",
    "lm_head.decoder.bias",
    "decoder.weight",
    "bert.embeddings.position_ids",
    "roberta.embeddings.position_ids",
    "embeddings.position_ids",
}
"""Names under which other weights stand again, or numbers that are no weights."""

OLD_NAMES = {"gamma": "weight", "beta": "bias"}
"""What layer norms of checkpoints made with TensorFlow call their parts."""

FUSED = ".attn.Wqkv"

POSITIONS = "encoder.position_embedding.weight"

# ---------------------------------------------------------------------------------------------- weights


def _translate(name: str, table: Names) -> str | None:
    module, _, kind = name.rpartition(".")
    if name in table:
        return table[name]
    number = re.search(r"\.(\d+)\.", module)
    pattern = module.replace(number[0], ".#.", 1) if number else module
    if pattern not in table:
        return None
    target = table[pattern]
    return (target.replace("#", number[1]) if number else target) + f".{OLD_NAMES.get(kind, kind)}"


def weights_to_hub(weights: dict[str, Tensor], family: str, purpose: str) -> dict[str, Tensor]:
    """Weights under their names in a checkpoint of this family, for this purpose."""
    record = FAMILIES[family]
    names = {**record.names, **record.named_for.get(purpose, {})}
    renamed: dict[str, Tensor] = {}
    thirds: dict[str, dict[str, Tensor]] = {}
    for name, tensor in weights.items():
        target = _translate(name, names)
        assert target is not None, f"hub has no name for {name} in {family}"
        if name == POSITIONS and record.first_position:
            tensor = torch.cat([tensor.new_zeros(record.first_position, tensor.shape[1]), tensor])  # noqa: PLW2901
        if part := re.fullmatch(r"(.*)\[(\d)\](.*)", target):
            thirds.setdefault(part[1] + part[3], {})[part[2]] = tensor
        else:
            renamed[target] = tensor
    fused = {target: torch.cat([parts[number] for number in "012"]) for target, parts in thirds.items()}
    return renamed | fused


def weights_from_hub(weights: dict[str, Tensor], family: str, purpose: str) -> tuple[dict[str, Tensor], list[str]]:
    """Weights of a checkpoint under our names, and the names that this project has no place for.

    A bare encoder is saved without the prefix `bert.`, `roberta.` or `model.`. The tied output matrix is left out, as
    it is the embedding table again.
    """
    record = FAMILIES[family]
    special = record.named_for.get(purpose, {})
    table = {theirs: ours for ours, theirs in [*record.names.items(), *special.items()]}
    renamed, unknown = {}, []
    for name, tensor in weights.items():
        if name in REPEATED:
            continue
        named = {name: tensor}
        if FUSED in name:
            named = {name.replace(FUSED, f"{FUSED}[{n}]"): part for n, part in enumerate(tensor.chunk(3))}
        for each, part in named.items():
            target = _translate(each, table) or _translate(record.prefix + each, table)
            if target is None:
                unknown.append(name)
            else:
                renamed[target] = part[record.first_position :] if target == POSITIONS else part
    return renamed, unknown


# ---------------------------------------------------------------------------------------------- configuration


def purpose_of(values: dict[str, Any], family: str) -> str:
    """What the model of a config.json is for; masked tokens, if that is not said."""
    purposes = {architecture: purpose for purpose, architecture in FAMILIES[family].architectures.items()}
    return purposes.get((values.get("architectures") or [""])[0], "masked_tokens")


def config_to_hub(
    config: ModelConfig,
    family: str,
    purpose: str,
    *,
    special: dict[str, int],
    labels: list[str] | None = None,
    pooling: str = "cls",
    problem: str | None = None,
) -> dict[str, Any]:
    """The contents of config.json.

    Args:
        config: of the model.
        family: a key of FAMILIES.
        purpose: a key of its architectures.
        special: ids of "pad", "cls" and "sep".
        labels: names of the classes.
        pooling: of a classifier.
        problem: of a classifier: a problem_type of `transformers`.
    """
    record = FAMILIES[family]
    values: dict[str, Any] = {
        "architectures": [record.architectures[purpose]],
        "model_type": family,
        "pad_token_id": special["pad"],
        "bos_token_id": special["cls"],
        "eos_token_id": special["sep"],
        "dtype": "float32",
        **{hub: getattr(config, ours) for ours, hub in record.config.items()},
        **record.fixed,
    }
    assert values["pad_token_id"] == special["pad"], "a RoBERTa's padding token has the number 1"
    if record.layout == "bert":
        values["max_position_embeddings"] += record.first_position
        values["attention_probs_dropout_prob"] = config.dropout
    else:
        bases = {"full_attention": config.rotary_base, "sliding_attention": config.local_rotary_base}
        values |= {
            "cls_token_id": special["cls"],
            "sep_token_id": special["sep"],
            "layer_types": [_attention_type(config, number) for number in range(config.layers)],
            "local_attention": config.local_attention or 128,  # which no layer has, if it is 0
            "rope_parameters": {kind: {"rope_type": "default", "rope_theta": base} for kind, base in bases.items()},
            "classifier_pooling": pooling,
            **dict.fromkeys(("attention_dropout", "embedding_dropout", "classifier_dropout"), config.dropout),
        }
    if labels is not None:
        values["id2label"] = {str(number): label for number, label in enumerate(labels)}
        values["label2id"] = {label: number for number, label in enumerate(labels)}
    if problem is not None:
        values["problem_type"] = problem
    return values


def family_of(values: dict[str, Any], file: object) -> str:
    """The model_type of a config.json; files of 2018 and 2019 name none, and are of a BERT.

    Raises:
        UserError: the model is of another family.
    """
    family = values.get("model_type", "bert" if "type_vocab_size" in values else None)
    if family not in FAMILIES:
        raise UserError(
            f"a model of type {family!r}",
            expected=f"model_type {' or '.join(FAMILIES)}",
            advice="choose a checkpoint of one of these families",
            file=str(file),
        )
    return family


def config_from_hub(values: dict[str, Any], file: object) -> ModelConfig:
    """Our configuration of a config.json.

    Raises:
        UserError: the model is of another family, or a variant that would compute something else.
    """
    record = FAMILIES[family_of(values, file)]
    for name, expected in record.fixed.items():
        if values.get(name, expected) != expected:
            advice = "choose a checkpoint of the usual kind"
            raise UserError(f"{name} is {values[name]!r}", expected=repr(expected), advice=advice, file=str(file))
    if missing := [hub for hub in ("vocab_size", "hidden_size", "num_hidden_layers") if hub not in values]:
        advice = "copy it anew, or choose another checkpoint"
        raise UserError(
            f"{', '.join(missing)} is missing", expected="a whole config.json", advice=advice, file=str(file)
        )
    ours = {ours: values[hub] for ours, hub in record.config.items() if hub in values}
    if "max_length" in ours:
        ours["max_length"] -= record.first_position
    if record.layout == "modernbert":
        ours |= _modern_attention(values, file)
    try:
        return ModelConfig.model_validate({"layout": record.layout, **ours})
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = "".join(f"{part}: " for part in first["loc"])
        raise UserError(
            f"{place}{first['msg'].removeprefix('Value error, ')}",
            expected="a shape that a model can have",
            advice="copy config.json anew, or choose another checkpoint",
            file=str(file),
        ) from None


def _attention_type(config: ModelConfig, layer: int) -> str:
    return "sliding_attention" if config.is_local(layer) else "full_attention"


def _modern_attention(values: dict[str, Any], file: object) -> dict[str, Any]:
    """Which layers of a ModernBERT see how far, and the bases of its rotary positions; in files of 2024, too."""
    layers = values["num_hidden_layers"]
    every = values.get("global_attn_every_n_layers", 3)
    types = values.get("layer_types") or [
        "sliding_attention" if number % every else "full_attention" for number in range(layers)
    ]
    rotary = values.get("rope_parameters") or {}
    full, local = rotary.get("full_attention") or {}, rotary.get("sliding_attention") or {}
    found: dict[str, Any] = {
        "rotary_base": full.get("rope_theta", values.get("global_rope_theta", 160_000.0)),
        "local_rotary_base": local.get("rope_theta", values.get("local_rope_theta", 10_000.0)),
    }
    if "sliding_attention" not in types:
        return found
    found["local_attention"] = values.get("local_attention", 128)
    found["global_every"] = types.index("full_attention", 1) if "full_attention" in types[1:] else layers
    config = ModelConfig.model_validate({"layout": "modernbert", "layers": layers, **found})
    if types != [_attention_type(config, number) for number in range(layers)]:
        raise UserError(
            "layers with full and with local attention do not alternate regularly",
            expected="full attention in the first layer and in every n-th one from there on",
            advice="choose another checkpoint",
            file=str(file),
        )
    return found
