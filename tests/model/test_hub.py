"""Both layouts compute what `transformers` computes, in both directions, padded and packed."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from safetensors.torch import load_file

from bertwright.config import ModelConfig
from bertwright.model import hub
from bertwright.model.encoder import block_bias
from bertwright.model.heads import ClassificationModel, EncoderModel, PretrainingModel
from bertwright.model.layers import ATTENTION, BertLayer, explicit_attention, sdpa_attention

SHAPE: dict[str, Any] = {"preset": "tiny", "vocabulary_size": 97, "max_length": 40, "initial_deviation": 0.3}
"""A large deviation: at .02 all outputs are nearly equal and a wrong model would pass."""

CONFIGS = {layout: ModelConfig.model_validate({"layout": layout, **SHAPE}) for layout in ("bert", "modernbert")}


def write_model(folder: Path, model: EncoderModel, purpose: str, labels: list[str] | None = None, **more: Any) -> None:
    from safetensors.torch import save_file

    folder.mkdir()
    config, weights = model.encoder.config, {name: p.detach().contiguous() for name, p in model.named_parameters()}
    save_file(hub.weights_to_hub(weights, config.layout), folder / "model.safetensors", metadata={"format": "pt"})
    special = {"pad": 0, "cls": 2, "sep": 3}
    architecture = hub.ARCHITECTURES[config.layout][purpose]
    values = hub.config_to_hub(config, architecture=architecture, special=special, labels=labels, **more)
    (folder / "config.json").write_text(json.dumps(values), encoding="utf-8")


def batch(rows: int = 3, length: int = 24) -> dict[str, torch.Tensor]:
    """Rows of different lengths, padded, with two segments."""
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(5, 97, (rows, length), generator=generator)
    lengths = torch.tensor([length, length - 7, 5])[:rows]
    real = torch.arange(length) < lengths[:, None]
    return {
        "input_ids": torch.where(real, ids, 0),
        "segment_ids": ((torch.arange(length) >= 4) & real).long(),
        "position_ids": torch.arange(length).expand(rows, length),
        "sequence_ids": torch.where(real, torch.arange(1, rows + 1)[:, None], 0),
    }


def theirs(model: Any, inputs: dict[str, torch.Tensor]) -> Any:
    segments = {"token_type_ids": inputs["segment_ids"]} if model.config.model_type == "bert" else {}
    mask = (inputs["sequence_ids"] > 0).long()
    with torch.inference_mode():
        return model(input_ids=inputs["input_ids"], attention_mask=mask, **segments)


def no_key_problems(info: dict) -> None:
    assert not any(info[kind] for kind in ("missing_keys", "unexpected_keys", "mismatched_keys")), info


@pytest.mark.parametrize("path", sorted(ATTENTION))
@pytest.mark.parametrize(("layout", "pair"), [("bert", False), ("bert", True), ("modernbert", False)])
def test_transformers_reads_ours(tmp_path: Path, layout: str, pair: bool, path: str) -> None:
    torch.manual_seed(1)
    model = PretrainingModel(CONFIGS[layout], pair=pair).eval()
    torch.nn.init.normal_(model.token_bias)  # a zero bias would hide a lost one
    model.encoder.attention_path = path
    write_model(tmp_path / "ours", model, "pair" if pair else "masked_tokens")
    auto = transformers.AutoModelForPreTraining if pair else transformers.AutoModelForMaskedLM
    loaded, info = auto.from_pretrained(tmp_path / "ours", output_loading_info=True)
    no_key_problems(info)
    inputs = batch()
    output = theirs(loaded.eval(), inputs)
    masked = (inputs["sequence_ids"].flatten() > 0).nonzero().flatten()
    starts = torch.arange(3) * inputs["input_ids"].shape[1]
    with torch.inference_mode():
        token_logits, pair_logits = model(*inputs.values(), masked, starts)
    logits = output.prediction_logits if pair else output.logits
    torch.testing.assert_close(token_logits, logits.flatten(0, 1)[masked], atol=1e-4, rtol=0)
    assert logits.std() > 1
    if pair:
        assert pair_logits is not None
        torch.testing.assert_close(pair_logits, output.seq_relationship_logits, atol=1e-4, rtol=0)


@pytest.mark.parametrize(("layout", "pooling"), [("bert", "cls"), ("modernbert", "cls"), ("modernbert", "mean")])
def test_transformers_reads_our_classifier(tmp_path: Path, layout: str, pooling: str) -> None:
    torch.manual_seed(1)
    model = ClassificationModel(CONFIGS[layout], 3, pooling=pooling).eval()
    write_model(tmp_path / "ours", model, "classify", ["a", "b", "c"], pooling=pooling)
    loaded, info = transformers.AutoModelForSequenceClassification.from_pretrained(
        tmp_path / "ours", output_loading_info=True
    )
    no_key_problems(info)
    assert loaded.config.id2label == {0: "a", 1: "b", 2: "c"}
    inputs = batch()
    with torch.inference_mode():
        logits = model(*inputs.values(), torch.arange(3) * inputs["input_ids"].shape[1])
    torch.testing.assert_close(logits, theirs(loaded.eval(), inputs).logits, atol=1e-4, rtol=0)


@pytest.mark.parametrize("head", ["SequenceClassification", "TokenClassification", "QuestionAnswering"])
def test_a_pretrained_modernbert_begins_every_head_of_transformers(tmp_path: Path, head: str) -> None:
    """Only the last linear layer is drawn anew; with its weights, our vectors give the same logits."""
    torch.manual_seed(1)
    model = PretrainingModel(CONFIGS["modernbert"], pair=False).eval()
    write_model(tmp_path / "ours", model, "masked_tokens")
    auto = getattr(transformers, f"AutoModelFor{head}")
    loaded, info = auto.from_pretrained(tmp_path / "ours", output_loading_info=True)
    assert set(info["missing_keys"]) == {"classifier.weight", "classifier.bias"}
    torch.nn.init.normal_(loaded.classifier.weight)
    inputs = batch()
    output = theirs(loaded.eval(), inputs)
    with torch.inference_mode():
        vectors = model.transform(model.encoder(*inputs.values()))
        logits = loaded.classifier(vectors[:, 0] if head == "SequenceClassification" else vectors)
    real = inputs["sequence_ids"] > 0
    if head == "QuestionAnswering":
        found, expected = logits[real], torch.stack([output.start_logits, output.end_logits], dim=-1)[real]
    elif head == "TokenClassification":
        found, expected = logits[real], output.logits[real]
    else:
        found, expected = logits, output.logits
    assert expected.std() > 1
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=0)


@pytest.mark.parametrize(
    "kind", ["BertForMaskedLM", "BertForPreTraining", "BertModel", "ModernBertForMaskedLM", "ModernBertModel"]
)
def test_we_read_theirs(tmp_path: Path, kind: str) -> None:
    torch.manual_seed(2)
    ours = CONFIGS["modernbert" if kind.startswith("Modern") else "bert"]
    special = {"pad": 0, "cls": 2, "sep": 3}
    values = hub.config_to_hub(ours, architecture=kind, special=special)
    configuration = transformers.AutoConfig.for_model(**values)
    reference = getattr(transformers, kind)(configuration).eval()
    reference.save_pretrained(tmp_path / "theirs")
    config = hub.config_from_hub(json.loads((tmp_path / "theirs" / "config.json").read_text()), tmp_path)
    assert config == ours.model_copy(update={"preset": None})
    weights, unknown = hub.weights_from_hub(load_file(tmp_path / "theirs" / "model.safetensors"), ours.layout)
    assert unknown == []
    model = PretrainingModel(config, pair=kind == "BertForPreTraining").eval()
    result = model.load_state_dict(weights, strict=False)
    bare = kind.endswith("BertModel")
    heads = ("transform", "token_bias") if bare else ()
    assert [name for name in result.missing_keys if not name.startswith(heads)] == []
    inputs = batch()
    real = inputs["sequence_ids"] > 0
    with torch.inference_mode():
        hidden = model.encoder(*inputs.values())
    output = theirs(reference if bare else reference.base_model, inputs)
    torch.testing.assert_close(hidden[real], output.last_hidden_state[real], atol=1e-4, rtol=0)


@pytest.mark.parametrize("layout", sorted(CONFIGS))
def test_packed_equals_padded(layout: str) -> None:
    """Three sequences in one row, positions restarting, give the vectors that they have alone."""
    torch.manual_seed(3)
    encoder = PretrainingModel(CONFIGS[layout], pair=False).eval().encoder
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
