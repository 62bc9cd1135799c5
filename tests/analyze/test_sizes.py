"""Sizes: published counts from published shapes (slides 53 to 56), checked against models that are really built."""

import json
from pathlib import Path

import pytest
import torch
import transformers

from bertwright.analyze.sizes import bert_parameters, elmo_parameters, family, gpt_parameters, sizes, t5_parameters
from bertwright.report import write_report
from helpers import call


def test_published_counts_within_two_and_a_half_percent() -> None:
    models = {model.name: model for model in family()}
    assert len(models) == 10
    for model in models.values():
        if model.published is not None:
            assert model.parameters == pytest.approx(model.published, rel=0.025), model.name
    assert {model.name for model in models.values() if model.slide is None} == {"ERNIE", "Big Bird"}
    assert models["BERT-large"].parameters == 335_141_888
    assert models["GPT-3"].parameters / models["Turing NLG"].parameters == pytest.approx(10.2, abs=0.1)


def built(kind: str, config: transformers.PretrainedConfig) -> int:
    """Parameters of a model of `transformers`, which is not given any memory."""
    with torch.device("meta"):
        model = getattr(transformers, kind)(config)
    return sum(parameter.numel() for parameter in model.parameters())


def test_formulas_against_built_models() -> None:
    bert = transformers.BertConfig(
        vocab_size=97, hidden_size=32, num_hidden_layers=3, num_attention_heads=4, intermediate_size=80
    )
    assert bert_parameters(97, 512, 2, 3, 32, 80) == built("BertModel", bert)
    gpt = transformers.GPT2Config(vocab_size=97, n_positions=50, n_embd=32, n_layer=3, n_head=4)
    assert gpt_parameters(97, 50, 3, 32) == built("GPT2LMHeadModel", gpt)
    t5 = transformers.T5Config(vocab_size=97, d_model=32, d_kv=5, d_ff=70, num_layers=3, num_heads=4)
    assert t5_parameters(97, 3, 32, 4, 5, 70) == built("T5ForConditionalGeneration", t5)


def test_experts_take_the_place_of_the_forward_part() -> None:
    dense, sparse = (t5_parameters(97, 3, 32, 4, 5, 70, experts=number) for number in (0, 8))
    assert sparse - dense == 6 * (7 * 2 * 32 * 70 + 8 * 32)


def test_elmo_is_what_its_authors_say() -> None:
    assert round(elmo_parameters() / 1e5) == 936


def test_operations_to_pre_train(tmp_path: Path) -> None:
    """As the table of GPT-3's paper has them (3.3e22 for T5-11B, 3.14e23 for GPT-3); BERT-large by its two lengths."""
    recipe = tmp_path / "steps.toml"
    text = (Path(__file__).parents[2] / "recipes" / "modern-en.toml").read_text(encoding="utf-8")
    recipe.write_text(text.replace("minutes = 10", "steps = 1000"), encoding="utf-8")
    operations = {model["name"]: model["operations"] for model in sizes([str(recipe)])["models"]}
    assert operations["T5-11B"] == pytest.approx(3.3e22, rel=0.1)
    assert operations["GPT-3"] == pytest.approx(3.14e23, rel=0.01)
    assert operations["BERT-large"] == pytest.approx(6 * 335_141_888 * 256e6 * (0.9 * 128 + 0.1 * 512))
    assert operations[str(recipe)] == 6 * 5_384_704 * 1000 * 16 * 128
    assert operations["ELMo"] is operations["Switch-C"] is None


def test_models_of_ones_own_stand_among_them(trained: Path, tmp_path: Path) -> None:
    recipe = Path(__file__).parents[2] / "recipes" / "modern-en.toml"
    result = sizes([str(trained / "pretrained"), str(recipe)], tmp_path)
    own = [model for model in result["models"] if model["own"]]
    assert [model["name"] for model in own] == [str(trained / "pretrained"), str(recipe)]
    assert own[1]["parameters"] == 5_384_704
    assert own[1]["operations"] is None  # it runs for minutes
    adapted = tmp_path / "adapted.toml"
    adapted.write_text(
        f'run = "r"\nstore = "s"\n[start]\ncheckpoint = "{(trained / "pretrained").as_posix()}"\n[train]\nsteps = 1\n',
        encoding="utf-8",
    )
    (again,) = (model for model in sizes([str(adapted)], None)["models"] if model["own"])
    assert again["shape"] == own[0]["shape"]  # of the checkpoint that it begins from
    counts = [model["parameters"] for model in result["models"]]
    assert counts == sorted(counts)
    assert json.loads((tmp_path / "results" / "sizes.json").read_text(encoding="utf-8")) == result


@pytest.mark.parametrize(("language", "word"), [("en", "on the slide"), ("zh", "幻灯片上")])
def test_the_page(tmp_path: Path, language: str, word: str) -> None:
    sizes([], tmp_path)
    page = write_report([tmp_path], tmp_path / "page.html", language=language).read_text(encoding="utf-8")
    assert word in page
    assert "11,307,321,344" in page


def test_the_command(tmp_path: Path) -> None:
    answer = call("analyze", "sizes", "--run", tmp_path / "run", "--json")
    assert answer.code == 0, answer.err
    assert len(json.loads(answer.out)["models"]) == 10
    assert "on the slide 1542M" in answer.err
    assert (tmp_path / "run" / "report.html").exists()
