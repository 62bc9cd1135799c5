"""What all recipes share: the model's shape, the optimizer, the loop; and how a path in them is read."""

import os
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from bertwright.errors import UserError


class Settings(BaseModel):
    """Base of all settings: unknown keys are refused, values cannot change after they were read."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


PRESETS: dict[str, dict[str, int]] = {
    "tiny": {"layers": 2, "width": 128, "heads": 2, "inner_width": 512},
    "mini": {"layers": 4, "width": 256, "heads": 4, "inner_width": 1024},
    "small": {"layers": 4, "width": 512, "heads": 8, "inner_width": 2048},
    "medium": {"layers": 8, "width": 512, "heads": 8, "inner_width": 2048},
    "base": {"layers": 12, "width": 768, "heads": 12, "inner_width": 3072},
    "large": {"layers": 24, "width": 1024, "heads": 16, "inner_width": 4096},
}
"""Shapes of the published BERT family (Devlin et al. 2019; the small ones: Turc et al. 2019)."""


class ModelConfig(Settings):
    """[model]: the shape of the encoder. `preset` fills in what is not given."""

    layout: Literal["bert", "modernbert"] = "bert"
    """bert: post-norm, GELU, learned positions, segment types (Devlin et al. 2019). modernbert: pre-norm, rotary
    positions, gated GELU, no biases, no segment types (Warner et al. 2024)."""
    preset: Literal["tiny", "mini", "small", "medium", "base", "large"] | None = None
    """A shape of the published family; single values given beside it win."""
    vocabulary_size: int = Field(default=0, ge=0)
    """Rows of the embedding table; 0 takes the tokenizer's size."""
    layers: int = Field(default=4, ge=1)
    width: int = Field(default=256, ge=1)
    heads: int = Field(default=4, ge=1)
    inner_width: int = Field(default=1024, ge=1)
    """Width between the two matrices of the feed-forward part. In modernbert a preset takes two thirds of BERT's, as
    its first matrix is twice as wide for the gate."""
    max_length: int = Field(default=512, ge=8)
    """Positions: no sequence can be longer, special tokens included."""
    segment_types: int = Field(default=2, ge=1)
    """bert: kinds of segments; with one (RoBERTa), all tokens are of it."""
    dropout: float = Field(default=0.0, ge=0.0, lt=1.0)
    """Dropout of embeddings, of both sublayers' outputs, and of the attention weights."""
    rotary_base: float = Field(default=10_000.0, gt=1)
    """modernbert: base of the rotary positions; longer sequences want a larger one."""
    local_attention: int = Field(default=0, ge=0)
    """modernbert: tokens that a local layer sees, half of them to either side; 0: all layers see all tokens."""
    global_every: int = Field(default=3, ge=1)
    """modernbert: the first layer and every so many-th one from there on see all tokens, the others are local."""
    local_rotary_base: float = Field(default=10_000.0, gt=1)
    """modernbert: base of the rotary positions in local layers."""
    norm_epsilon: float = 1e-12
    """The default is 1e-12 for bert and 1e-5 for modernbert."""
    initial_deviation: float = Field(default=0.02, gt=0)
    """Standard deviation of the normal distribution that matrices and embeddings are drawn from."""

    @model_validator(mode="before")
    @classmethod
    def _expand_preset(cls, values: Any) -> Any:
        if not isinstance(values, dict):
            return values
        shape = dict(PRESETS.get(values.get("preset", ""), {}))
        if values.get("layout") == "modernbert":
            shape |= {"norm_epsilon": 1e-5, "segment_types": 1}
            if "inner_width" in shape:
                shape["inner_width"] = 64 * round(shape["inner_width"] / 96)
        return {**shape, **values}

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.width % self.heads:
            raise ValueError(f"width {self.width} is no multiple of heads {self.heads}")
        if self.layout == "modernbert" and self.width // self.heads % 2:
            raise ValueError(f"a head has {self.width // self.heads} channels; rotary positions need an even number")
        return self

    @property
    def has_biases(self) -> bool:
        """Whether linear layers and layer norms have biases."""
        return self.layout == "bert"

    def is_local(self, layer: int) -> bool:
        """Whether a layer, counted from 0, sees near tokens only."""
        return self.local_attention > 0 and layer % self.global_every != 0


Decay = Annotated[float, Field(ge=0.0, lt=1.0)]


class OptimizerSettings(Settings):
    """[optimizer]: AdamW on everything, or Muon on the encoder's matrices and AdamW on the rest."""

    name: Literal["adamw", "muon"] = "adamw"
    learning_rate: float = Field(default=1e-4, gt=0)
    """Peak learning rate of AdamW."""
    matrix_learning_rate: float = Field(default=1.6e-2, gt=0)
    """muon: peak learning rate of the matrices."""
    weight_decay: float = Field(default=0.01, ge=0)
    """Decoupled weight decay; biases and normalisation weights have none."""
    betas: tuple[Decay, Decay] = (0.9, 0.999)
    epsilon: float = Field(default=1e-6, gt=0)
    clip_norm: float = Field(default=1.0, ge=0)
    """Gradients are scaled down to this global norm; 0 leaves them alone."""


class TrainSettings(Settings):
    """[train]: the one loop that every training goes through."""

    steps: int | None = Field(default=None, ge=1)
    """Optimizer steps; exactly one of steps, minutes and epochs is given."""
    minutes: float | None = Field(default=None, gt=0)
    """Wall-clock length of the run; the learning rate follows the clock."""
    epochs: float | None = Field(default=None, gt=0)
    """Passes over the training data."""
    batch_size: int = Field(default=32, ge=1)
    """pretrain: rows of `length` tokens in one global batch (short sequences share a row). finetune: windows in one."""
    length: int = Field(default=128, ge=8)
    """Tokens in a row, special tokens included."""
    accumulation: int = Field(default=0, ge=0)
    """Parts that a global batch is computed in, to save memory; the result is the same. 0: on a CPU parts of 8,192
    tokens at most, which are as fast as larger ones, and of fewer where rows have over 512; elsewhere one part."""
    warmup: float = Field(default=0.06, ge=0.0, lt=1.0)
    """Share of the run in which the learning rate rises from 0; after that it falls linearly to 0."""
    seed: int = Field(default=1, ge=0)
    evaluate_every: int = Field(default=0, ge=0)
    """Steps between evaluations; 0: ten times in a run of steps, once an epoch, and ten times in a run of minutes, or
    less often if that would take more than a twentieth of it."""
    save_every: int = Field(default=500, ge=0)
    """Steps between checkpoints that a run can go on from; 0: only at the end and when interrupted."""
    keep: int = Field(default=2, ge=1)
    """How many of these checkpoints are kept."""
    save_at: list[int] | Literal["log"] = []
    """Steps whose weights are kept for good; "log": 1, 2, 5, 10, 20, 50, ..."""
    tensorboard: bool = False
    """Write TensorBoard's events into the run folder, too (extra track)."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    """Computation; the weights are always kept in float32. auto: where the processor has bfloat16, a few steps of each
    are timed; elsewhere float32."""
    attention: Literal["auto", "explicit", "sdpa"] = "auto"
    """explicit: batched matrix products. sdpa: torch's fused kernel. auto: a few steps of each are timed."""
    threads: int = Field(default=0, ge=0)
    """CPU threads of all processes of a machine together; 0: one per core."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        given = [name for name in ("steps", "minutes", "epochs") if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(
                f"exactly one of steps, minutes and epochs is needed, {' and '.join(given) or 'none'} given"
            )
        return self


def expand(path: str) -> Path:
    """A path with ~ and $VARIABLES replaced.

    Raises:
        UserError: a variable is not set.
    """
    expanded = os.path.expandvars(path)
    if "$" in expanded:
        name = expanded[expanded.index("$") + 1 :].split("/")[0].strip("{}")
        raise UserError(
            f"the path {path!r} names a variable that is not set",
            expected=f"{name} in the environment",
            advice=f"export {name}=/where/the/data/is",
        )
    return Path(expanded).expanduser()
