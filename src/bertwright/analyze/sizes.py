"""How large the family is (the lecture's slides 53 to 56): parameters computed from published shapes.

Beside each count stand the one that its authors published and the figure on the slide. ERNIE and Big Bird are on the
slides without a figure, and their papers give none for these shapes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bertwright.checkpoint import load_checkpoint
from bertwright.config import ModelConfig, PretrainRecipe, expand
from bertwright.download import checkpoint_folder
from bertwright.pretrain import num_parameters
from bertwright.recipe import load_recipe
from bertwright.run import keep_result
from bertwright.store import META, Store

TRAINING_BYTES = 16
"""Of a parameter in training: itself, its gradient and Adam's two moments, in float32."""


@dataclass(frozen=True)
class Published:
    """A model of the slides."""

    name: str
    source: str
    shape: str
    parameters: int
    """Computed from the shape."""
    published: float | None
    """What its authors say."""
    slide: str | None
    """What the slide says."""
    tokens: float | None = None
    """Read in pre-training, where its authors say so."""
    active: int | None = None
    """Parameters that compute one token, where they are not all: of an encoder with a decoder the one or the other."""


def bert_parameters(vocabulary: int, positions: int, segments: int, layers: int, width: int, inner: int) -> int:
    """Encoder with pooler (Devlin et al. 2019)."""
    embeddings = (vocabulary + positions + segments) * width + 2 * width
    layer = 4 * (width**2 + width) + 2 * width * inner + inner + width + 4 * width
    return embeddings + layers * layer + width**2 + width


def gpt_parameters(vocabulary: int, positions: int, layers: int, width: int) -> int:
    """Decoder with a tied output matrix and a norm after the last layer (Radford et al. 2019)."""
    layer = 4 * (width**2 + width) + 8 * width**2 + 5 * width + 4 * width
    return (vocabulary + positions) * width + layers * layer + 2 * width


def t5_parameters(
    vocabulary: int, layers: int, width: int, heads: int, head_width: int, inner: int, experts: int = 0
) -> int:
    """Encoder and decoder without biases, relative positions in the first layer of each (Raffel et al. 2020).

    Args:
        vocabulary: of both, and of the output (tied).
        layers: of the encoder, and as many of the decoder.
        width: D.
        heads: H.
        head_width: of a head; in T5 its own choice.
        inner: width between the two matrices of the feed-forward part.
        experts: feed-forward parts of each layer, of which a router chooses one for each token (Fedus et al. 2021).
    """
    attention = 4 * width * heads * head_width
    forward = 2 * width * inner * max(1, experts) + (width * experts)
    encoder = layers * (attention + forward + 2 * width)
    decoder = layers * (2 * attention + forward + 3 * width)
    positions = 2 * 32 * heads
    return vocabulary * width + encoder + decoder + positions + 2 * width


def elmo_parameters() -> int:
    """Characters, convolutions, two highway layers, then two LSTM layers in each direction (Peters et al. 2018)."""
    filters = ((1, 32), (2, 32), (3, 64), (4, 128), (5, 256), (6, 512), (7, 1024))
    width, cells, characters, character_width = 512, 4096, 261, 16
    total = sum(number for _, number in filters)
    convolutions = sum(size * character_width * number + number for size, number in filters)
    highways = 2 * (total * 2 * total + 2 * total)
    projection = total * width + width
    lstm = (width + width) * 4 * cells + 4 * cells + cells * width
    return characters * character_width + convolutions + highways + projection + 2 * 2 * lstm


def family() -> list[Published]:
    """The models of slides 53 to 56, the smallest first."""
    bert = bert_parameters(30_522, 512, 2, 24, 1024, 4096)
    bert_tokens = 256 * (9e5 * 128 + 1e5 * 512)  # sequences of 128 tokens in nine tenths of the steps
    ernie = bert_parameters(18_000, 513, 2, 12, 768, 3072)
    big_bird = bert_parameters(50_358, 4096, 2, 12, 768, 3072)
    t5 = t5_parameters(32_128, 24, 1024, 128, 128, 65_536)
    switch = t5_parameters(32_128, 15, 2080, 32, 64, 6144, experts=2048)
    one_expert = t5_parameters(32_128, 15, 2080, 32, 64, 6144)
    return sorted(
        [
            Published("ELMo", "Peters et al. 2018", "2 × 2 LSTM, 4096 cells", elmo_parameters(), 93.6e6, "94M"),
            Published("ERNIE", "Sun et al. 2019", "12 × 768, vocabulary 18,000", ernie, None, None),
            Published("Big Bird", "Zaheer et al. 2020", "12 × 768, 4,096 positions", big_bird, None, None),
            Published("BERT-large", "Devlin et al. 2019", "24 × 1,024", bert, 340e6, "340M", bert_tokens),
            Published(
                "GPT-2", "Radford et al. 2019", "48 × 1,600", gpt_parameters(50_257, 1024, 48, 1600), 1542e6, "1542M"
            ),
            Published(
                "Megatron", "Shoeybi et al. 2019", "72 × 3,072", gpt_parameters(51_200, 1024, 72, 3072), 8.3e9, "8B"
            ),
            Published(
                "T5-11B",
                "Raffel et al. 2020",
                "2 × 24 × 1,024, inner 65,536",
                t5,
                11.3e9,
                "11B",
                tokens=1e6 * 2**11 * 512,
                active=t5 // 2,
            ),
            Published("Turing NLG", "Rosset 2020", "78 × 4,256", gpt_parameters(51_200, 1024, 78, 4256), 17e9, "17B"),
            Published(
                "GPT-3",
                "Brown et al. 2020",
                "96 × 12,288",
                gpt_parameters(50_257, 2048, 96, 12_288),
                175e9,
                "175B",
                300e9,
            ),
            Published(
                "Switch-C",
                "Fedus et al. 2021",
                "2 × 15 × 2,080, 2,048 experts",
                switch,
                1.571e12,
                "1.6T",
                active=one_expert // 2,
            ),
        ],
        key=lambda each: each.parameters,
    )


def sizes(own: Sequence[str] = (), folder: Path | None = None) -> dict[str, Any]:
    """The family, and models of one's own among it.

    Args:
        own: checkpoints, runs, names of the hub, or recipes of pre-training (.toml).
        folder: where results/sizes.json is written; None: nowhere.

    Returns:
        {"kind", "models"}: of each "name", "source", "shape", "parameters", "published", "slide", "own", memory in
        bytes ("load_float32", "load_bfloat16", "train") and "operations" to pre-train, which are 6 for each parameter
        that computes a token and each token read (Kaplan et al. 2020), or None where it is not known how many are
        read: of a recipe it is, if it says how many steps.

    Raises:
        UserError: what is named is no model.
    """
    models = [_entry(each) for each in family()]
    models += [_own_entry(name) for name in own]
    models.sort(key=lambda each: each["parameters"])
    result = {"kind": "sizes", "models": models}
    return keep_result(result, folder)


def _entry(model: Published) -> dict[str, Any]:
    return {
        "name": model.name,
        "source": model.source,
        "shape": model.shape,
        "published": model.published,
        "slide": model.slide,
        "own": False,
        "operations": _operations(model.active or model.parameters, model.tokens),
        **_memory(model.parameters),
    }


def _operations(parameters: int, tokens: float | None) -> float | None:
    return None if tokens is None else 6 * parameters * tokens


def _own_entry(name: str) -> dict[str, Any]:
    if name.endswith(".toml"):
        recipe = load_recipe(PretrainRecipe, name)
        config = _config_of(recipe)
        count, train = num_parameters(config, recipe.objective.pair), recipe.train
        tokens = None if train.steps is None else train.steps * train.batch_size * train.length
    else:
        checkpoint = load_checkpoint(checkpoint_folder(name))
        config, count = checkpoint.config, sum(weight.numel() for weight in checkpoint.weights.values())
        tokens = None
    return {
        "name": name,
        "source": "",
        "shape": _shape(config),
        "published": None,
        "slide": None,
        "own": True,
        "operations": _operations(count, tokens),
        **_memory(count),
    }


def _config_of(recipe: PretrainRecipe) -> ModelConfig:
    """The shape that a recipe makes; its tokenizer may have fewer tokens than it may have, which its store tells."""
    if recipe.start is not None:
        return load_checkpoint(checkpoint_folder(expand(recipe.start.checkpoint)), weights=False).config
    rows = recipe.model.vocabulary_size or recipe.tokenizer.vocabulary_size
    if recipe.store is not None and (expand(recipe.store) / META).exists():
        rows = recipe.model.vocabulary_size or Store.open(expand(recipe.store)).tokenizer().vocabulary_size
    return recipe.model.model_copy(update={"vocabulary_size": rows})


def _shape(config: ModelConfig) -> str:
    return f"{config.layers} × {config.width:,}, vocabulary {config.vocabulary_size:,}"


def _memory(parameters: int) -> dict[str, int]:
    return {
        "parameters": parameters,
        "load_float32": 4 * parameters,
        "load_bfloat16": 2 * parameters,
        "train": TRAINING_BYTES * parameters,
    }
