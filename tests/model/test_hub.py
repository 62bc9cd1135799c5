"""Every family and head computes what `transformers` computes, in both directions, padded and packed."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers

from bertwright.checkpoint import load_checkpoint, load_weights
from bertwright.config import ModelConfig
from bertwright.errors import UserError
from bertwright.model import hub
from bertwright.model.encoder import block_bias
from bertwright.model.heads import ClassificationModel, EncoderModel, PretrainingModel, TokenModel
from bertwright.model.layers import ATTENTION, BertLayer, explicit_attention, sdpa_attention
from helpers import small_tokenizer

SHAPE: dict[str, Any] = {"preset": "tiny", "vocabulary_size": 97, "max_length": 40, "initial_deviation": 0.3}
"""A large deviation: at .02 all outputs are nearly equal and a wrong model would pass."""

LOCAL: dict[str, Any] = {"layers": 5, "local_attention": 6, "global_every": 2, "local_rotary_base": 300.0}

CASES: dict[str, tuple[str, ModelConfig]] = {
    name: (family, ModelConfig.model_validate({**SHAPE, **more}))
    for name, family, more in (
        ("bert", "bert", {}),
        ("roberta", "roberta", {"segment_types": 1}),
        ("xlm-roberta", "xlm-roberta", {"segment_types": 1}),
        ("modernbert", "modernbert", {"layout": "modernbert"}),
        ("local modernbert", "modernbert", {"layout": "modernbert", **LOCAL}),
    )
}
"""Name -> family and shape."""

HEADS = {
    "masked_tokens": "MaskedLM",
    "pair": "PreTraining",
    "classify": "SequenceClassification",
    "tag": "TokenClassification",
    "qa": "QuestionAnswering",
}
"""Purpose -> the AutoModel class that reads it."""

LABELS = ["a", "b", "c"]

HEADED = [(case, purpose) for case in CASES for purpose in HEADS if purpose != "pair" or case == "bert"]


def model_of(config: ModelConfig, purpose: str, pooling: str = "cls") -> EncoderModel:
    """A random model; the biases, too, as zeros would hide lost ones."""
    torch.manual_seed(1)
    if purpose in ("masked_tokens", "pair"):
        model: EncoderModel = PretrainingModel(config, pair=purpose == "pair")
    elif purpose == "classify":
        model = ClassificationModel(config, len(LABELS), pooling=pooling)
    else:
        model = TokenModel(config, len(LABELS) if purpose == "tag" else 2)
    for parameter in model.parameters():
        if parameter.dim() == 1:
            torch.nn.init.normal_(parameter, std=0.5)
    return model.eval()


def special_ids(family: str) -> dict[str, int]:
    return {"pad": 1 if "roberta" in family else 0, "cls": 2, "sep": 3}


def write_model(folder: Path, model: EncoderModel, family: str, purpose: str, **more: Any) -> None:
    from safetensors.torch import save_file

    folder.mkdir()
    config, weights = model.encoder.config, {name: p.detach().contiguous() for name, p in model.named_parameters()}
    save_file(hub.weights_to_hub(weights, family, purpose), folder / "model.safetensors", metadata={"format": "pt"})
    values = hub.config_to_hub(config, family, purpose, special=special_ids(family), **more)
    (folder / "config.json").write_text(json.dumps(values), encoding="utf-8")


def batch(rows: int = 3, length: int = 24, pad: int = 0) -> dict[str, torch.Tensor]:
    """Rows of different lengths, padded, with two segments."""
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(5, 97, (rows, length), generator=generator)
    lengths = torch.tensor([length, length - 7, 5])[:rows]
    real = torch.arange(length) < lengths[:, None]
    return {
        "input_ids": torch.where(real, ids, pad),
        "segment_ids": ((torch.arange(length) >= 4) & real).long(),
        "position_ids": torch.arange(length).expand(rows, length),
        "sequence_ids": torch.where(real, torch.arange(1, rows + 1)[:, None], 0),
    }


def asked(inputs: dict[str, torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
    """All real tokens, and the first one of each sequence, in the flattened rows."""
    ids = inputs["sequence_ids"].flatten()
    places = (ids > 0).nonzero().flatten()
    return places, places[inputs["position_ids"].flatten()[places] == 0]


def theirs(model: Any, inputs: dict[str, torch.Tensor]) -> Any:
    takes_segments = getattr(model.config, "type_vocab_size", 1) > 1
    segments = {"token_type_ids": inputs["segment_ids"]} if takes_segments else {}
    mask = (inputs["sequence_ids"] > 0).long()
    with torch.inference_mode():
        return model(input_ids=inputs["input_ids"], attention_mask=mask, **segments)


def their_logits(output: Any, purpose: str, places: torch.Tensor) -> torch.Tensor:
    if purpose == "classify":
        return output.logits
    if purpose == "qa":
        return torch.stack([output.start_logits, output.end_logits], dim=-1).flatten(0, 1)[places]
    return (output.prediction_logits if purpose == "pair" else output.logits).flatten(0, 1)[places]


def no_key_problems(info: dict) -> None:
    assert not any(info[kind] for kind in ("missing_keys", "unexpected_keys", "mismatched_keys")), info


@pytest.mark.parametrize("path", sorted(ATTENTION))
@pytest.mark.parametrize(("case", "purpose"), HEADED)
def test_transformers_reads_ours_and_writes_it_back(tmp_path: Path, case: str, purpose: str, path: str) -> None:
    family, config = CASES[case]
    model = model_of(config, purpose)
    model.encoder.attention_path = path
    labels = {"labels": LABELS} if purpose in ("classify", "tag") else {}
    write_model(tmp_path / "ours", model, family, purpose, **labels)
    auto = getattr(transformers, f"AutoModelFor{HEADS[purpose]}")
    loaded, info = auto.from_pretrained(tmp_path / "ours", output_loading_info=True)
    no_key_problems(info)
    inputs = batch(pad=special_ids(family)["pad"])
    places, starts = asked(inputs)
    output = theirs(loaded.eval(), inputs)
    expected = their_logits(output, purpose, places)
    assert expected.std() > 0.2
    packed = {name: tensor.flatten()[places][None] for name, tensor in inputs.items()}
    with torch.inference_mode():
        padded, together = model(*inputs.values(), places, starts), model(*packed.values(), *asked(packed))
    for ours in (padded, together):
        logits, pair_logits = ours if isinstance(ours, tuple) else (ours, None)
        torch.testing.assert_close(logits, expected, atol=1e-4, rtol=0)
        if pair_logits is not None:
            torch.testing.assert_close(pair_logits, output.seq_relationship_logits, atol=1e-4, rtol=0)
    if labels:
        assert loaded.config.id2label == dict(enumerate(LABELS))
    loaded.save_pretrained(tmp_path / "theirs")
    small_tokenizer().save(tmp_path / "theirs")
    checkpoint = load_checkpoint(tmp_path / "theirs")
    assert (checkpoint.family, checkpoint.config) == (family, config.model_copy(update={"preset": None}))
    assert checkpoint.unknown == []
    for name, parameter in model.named_parameters():
        assert torch.equal(parameter, checkpoint.weights[name]), name


def test_a_mean_as_transformers_takes_it(tmp_path: Path) -> None:
    family, config = CASES["modernbert"]
    model = model_of(config, "classify", pooling="mean")
    write_model(tmp_path / "ours", model, family, "classify", labels=LABELS, pooling="mean")
    loaded = transformers.AutoModelForSequenceClassification.from_pretrained(tmp_path / "ours")
    inputs = batch()
    with torch.inference_mode():
        logits = model(*inputs.values(), *asked(inputs))
    torch.testing.assert_close(logits, theirs(loaded.eval(), inputs).logits, atol=1e-4, rtol=0)


@pytest.mark.parametrize("head", ["SequenceClassification", "TokenClassification", "QuestionAnswering"])
def test_a_pretrained_modernbert_begins_every_head_of_transformers(tmp_path: Path, head: str) -> None:
    """Only the last linear layer is drawn anew: the one before it comes from pre-training."""
    family, config = CASES["modernbert"]
    write_model(tmp_path / "ours", model_of(config, "masked_tokens"), family, "masked_tokens")
    auto = getattr(transformers, f"AutoModelFor{head}")
    _, info = auto.from_pretrained(tmp_path / "ours", output_loading_info=True)
    assert set(info["missing_keys"]) == {"classifier.weight", "classifier.bias"}


BARE = {
    "bert": "BertModel",
    "roberta": "RobertaModel",
    "xlm-roberta": "XLMRobertaModel",
    "modernbert": "ModernBertModel",
    "local modernbert": "ModernBertModel",
}


@pytest.mark.parametrize("form", ["safetensors", "pytorch_model.bin", "prefixed", "gamma and beta", "half"])
@pytest.mark.parametrize("case", CASES)
def test_we_read_a_bare_encoder(tmp_path: Path, case: str, form: str) -> None:
    """Without heads; with the prefix or without it; in old files, under old names, in half precision."""
    family, config = CASES[case]
    folder = tmp_path / "theirs"
    torch.manual_seed(2)
    values = hub.config_to_hub(config, family, "encoder", special=special_ids(family))
    reference = getattr(transformers, BARE[case])(transformers.AutoConfig.for_model(**values)).eval()
    if form == "half":
        for parameter in reference.parameters():
            parameter.data = parameter.data.half().float()  # so that rounding is no difference
    reference.save_pretrained(folder)
    small_tokenizer().save(folder)
    if form != "safetensors":
        weights = {name: tensor.half() if form == "half" else tensor for name, tensor in reference.state_dict().items()}
        if form == "prefixed":
            weights = {hub.FAMILIES[family].prefix + name: tensor for name, tensor in weights.items()}
        if form == "gamma and beta":
            weights = {
                name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"): tensor
                for name, tensor in weights.items()
            }
        (folder / "model.safetensors").unlink()
        torch.save(weights, folder / "pytorch_model.bin")
    checkpoint = load_checkpoint(folder)
    assert checkpoint.unknown == []
    model = PretrainingModel(checkpoint.config, pair=False).eval()
    fresh = load_weights(model, checkpoint)
    assert {name.partition(".")[0] for name in fresh} == {"transform", "token_bias"}
    inputs = batch(pad=special_ids(family)["pad"])
    real = inputs["sequence_ids"] > 0
    with torch.inference_mode():
        hidden = model.encoder(*inputs.values())
    torch.testing.assert_close(hidden[real], theirs(reference, inputs).last_hidden_state[real], atol=1e-4, rtol=0)


def test_a_modernbert_of_2024(tmp_path: Path) -> None:
    """Its config.json has other names for the same things."""
    family, config = CASES["local modernbert"]
    values = hub.config_to_hub(config, family, "encoder", special=special_ids(family))
    old = {name: value for name, value in values.items() if name not in ("layer_types", "rope_parameters")}
    old |= {"global_attn_every_n_layers": 2, "global_rope_theta": 10_000.0, "local_rope_theta": 300.0}
    assert hub.config_from_hub(old, tmp_path) == hub.config_from_hub(values, tmp_path)


def test_layers_that_do_not_alternate_are_refused(tmp_path: Path) -> None:
    family, config = CASES["local modernbert"]
    values = hub.config_to_hub(config, family, "encoder", special=special_ids(family))
    values["layer_types"] = [values["layer_types"][number] for number in (0, 1, 1, 0, 0)]
    with pytest.raises(UserError, match="do not alternate regularly"):
        hub.config_from_hub(values, tmp_path)


@pytest.mark.parametrize("case", CASES)
def test_packed_equals_padded(case: str) -> None:
    """Three sequences in one row, positions restarting, give the vectors that they have alone."""
    encoder = model_of(CASES[case][1], "masked_tokens").encoder
    padded = batch()
    real = padded["sequence_ids"] > 0
    packed = {name: tensor[real][None] for name, tensor in padded.items()}
    with torch.inference_mode():
        alone, together = encoder(*padded.values())[real], encoder(*packed.values())[0]
    torch.testing.assert_close(together, alone, atol=1e-4, rtol=0)


def test_a_token_sees_only_its_own_sequence() -> None:
    bias = block_bias(torch.tensor([[1, 1, 2, 0]]), torch.float32)
    assert (bias[0, 0] == 0).tolist() == [
        [True, True, False, False],
        [True, True, False, False],
        [False, False, True, False],
        [False, False, False, True],
    ]


def test_both_attention_paths_give_the_same_gradients() -> None:
    generator = torch.Generator().manual_seed(4)
    ids = torch.tensor([[1, 1, 1, 2, 2, 0]]).repeat(2, 1)
    gradients = []
    for attend in (explicit_attention, sdpa_attention):
        generator.manual_seed(4)
        parts = [torch.randn(2, 3, 6, 8, generator=generator).requires_grad_() for _ in range(3)]
        query, key, value = parts
        output = attend(query, key, value, block_bias(ids, torch.float32), 0.0)
        (output * torch.arange(8)).sum().backward()
        gradients.append([part.grad for part in parts])
    for ours, fused in zip(*gradients, strict=True):
        torch.testing.assert_close(ours, fused, atol=1e-4, rtol=1e-4)


def test_initial_weights() -> None:
    torch.manual_seed(5)
    config = ModelConfig(preset="mini", vocabulary_size=5000)
    model = PretrainingModel(config, pair=True)
    table = model.encoder.token_embedding.weight.detach().numpy()
    assert abs(table.std() - 0.02) < 2e-4
    assert abs(np.mean(table)) < 1e-4
    first = model.encoder.layers[0]
    assert isinstance(first, BertLayer)
    assert not first.inner.bias.detach().any()


@pytest.mark.parametrize(
    ("preset", "vocabulary_size", "published"), [("base", 30_522, 110_106_428), ("large", 30_522, 336_226_108)]
)
def test_published_sizes(preset: str, vocabulary_size: int, published: int) -> None:
    """Devlin et al. 2019, both heads included."""
    with torch.device("meta"):
        model = PretrainingModel(ModelConfig(preset=preset, vocabulary_size=vocabulary_size), pair=True)  # type: ignore[arg-type]
    assert sum(parameter.numel() for parameter in model.parameters()) == published
