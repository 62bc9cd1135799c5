"""Every settings class: what a recipe may say, what it means, and what holds if it does not. No torch here.

A recipe (see recipe.py) is a TOML file with one section per class below.
"""

import os
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from bertwright.errors import UserError


class Settings(BaseModel):
    """Base of all settings: unknown keys are refused, values cannot change after they were read."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class CorpusSettings(Settings):
    """[corpus]: where the text is and how it becomes records."""

    files: list[str]
    """Files, folders or glob patterns; $VARIABLES are expanded; .gz, .xz and .zst are read as they are."""
    reader: Literal["documents", "sentences", "lines", "table", "symbols"] = "lines"
    """documents: a document a file. sentences: a sentence a line, a blank line between documents. lines: a document a
    line. table: csv, tsv or jsonl with named columns. symbols: a sequence a line, symbols separated by spaces."""
    text_column: str = "text"
    """table: the column that holds the text."""
    id_column: str | None = None
    """table: the column that holds the record's id; without it the id is FILE:LINE."""
    language_column: str | None = None
    """table: the column that holds the record's language or kind."""
    language: str = "und"
    """Language or kind of every record, where no column says it (a BCP 47 tag; und is "undetermined")."""
    split_sentences: bool = True
    """Cut documents into sentences (documents, lines, table); otherwise a document is one segment."""
    words: Literal["tokenizer", "spaces", "segmenter", "column"] = "tokenizer"
    """Where words begin, for objective.unit = "word" or "span". tokenizer: as it sees them, in Chinese at every
    character. spaces: after white space, in text that was cut into words. segmenter: as rjieba cuts Chinese (extra
    zh). column: as words_column says."""
    words_column: str | None = None
    """table: the column with the text once more, its words separated by spaces, for words = "column"."""
    normalization: Literal["none", "nfc", "nfkc"] = "none"
    """Unicode normalisation of the text."""
    drop_duplicates: bool = True
    """Drop records whose text was seen before; they are counted."""
    held_out: float = Field(default=0.01, ge=0.0, lt=1.0)
    """Share of the records that is kept out of training, to measure the loss on."""
    held_out_by: Literal["record", "block", "column"] = "record"
    """record: by a hash of the text. block: records are cut into blocks of 10,000 symbols, held out by a hash (few and
    long records: genomes, books). column: all records with the same value in held_out_column go together."""
    held_out_column: str | None = None
    """table: the column (work, chromosome, author) for held_out_by = "column"."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.held_out_by == "column") != (self.held_out_column is not None):
            raise ValueError('held_out_by = "column" and held_out_column go together')
        if (self.words == "column") != (self.words_column is not None):
            raise ValueError('words = "column" and words_column go together')
        if self.reader != "table" and (self.held_out_column is not None or self.words_column is not None):
            raise ValueError('held_out_column and words_column need reader = "table"')
        return self


class TokenizerSettings(Settings):
    """[tokenizer]: how text becomes ids."""

    kind: Literal["wordpiece", "bpe", "characters", "symbols"] = "wordpiece"
    """wordpiece: BERT's, Chinese characters kept apart. bpe: over bytes, nothing is unknown. characters: one token a
    character. symbols: one token for every run without spaces."""
    vocabulary_size: int = Field(default=8192, ge=16)
    """Tokens at most, special ones included."""
    lowercase: bool = True
    """Lower-case the text; wordpiece also strips accents. The default is true for wordpiece only."""
    minimum_frequency: int = Field(default=2, ge=1)
    """Rarer symbols, characters and merges are left out."""
    sample_megabytes: float = Field(default=50.0, gt=0)
    """Text read at most to train the tokenizer; spread over the corpus, so that memory stays bounded."""
    folder: str | None = None
    """Take the tokenizer of this folder (without it: of start.checkpoint, if there is one) instead of training one."""
    added_tokens: int = Field(default=0, ge=0)
    """Add so many tokens to a tokenizer that was taken, at most: the most frequent words (wordpiece) or symbols of the
    corpus that are no token of it yet."""

    @model_validator(mode="before")
    @classmethod
    def _only_wordpiece_lowercases(cls, values: Any) -> Any:
        if isinstance(values, dict) and values.get("kind", "wordpiece") != "wordpiece":
            values = {"lowercase": False, **values}
        return values


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


class ObjectiveSettings(Settings):
    """[objective]: how a batch is corrupted and what is asked back (Devlin et al. 2019, section 3.1)."""

    unit: Literal["token", "word", "span"] = "token"
    """What is chosen as a whole. word: all tokens of a word; the tokenizer tells where words begin. span: one to ten
    words in a row, 3.8 on average (Joshi et al. 2020)."""
    masking_rate: float = Field(default=0.15, gt=0.0, lt=1.0)
    """Share of the tokens that the model must predict."""
    mask_share: float = Field(default=0.8, ge=0.0, le=1.0)
    """Of these, the share shown as [MASK]."""
    random_share: float = Field(default=0.1, ge=0.0, le=1.0)
    """Of these, the share shown as a random token; the rest is shown unchanged."""
    pair: Literal["none", "next_sentence", "sentence_order"] = "none"
    """next_sentence: does the second segment follow the first in its document, or is it from another one?
    sentence_order: do the two stand in their order, or swapped (Lan et al. 2020)?"""
    pair_weight: float = Field(default=1.0, gt=0.0)
    """Weight of the pair loss beside the masked-token loss."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.mask_share + self.random_share > 1.0 + 1e-9:
            raise ValueError("mask_share and random_share together exceed 1")
        return self


class OptimizerSettings(Settings):
    """[optimizer]: AdamW on everything, or Muon on the encoder's matrices and AdamW on the rest."""

    name: Literal["adamw", "muon"] = "adamw"
    learning_rate: float = Field(default=1e-4, gt=0)
    """Peak learning rate of AdamW."""
    matrix_learning_rate: float = Field(default=1.6e-2, gt=0)
    """muon: peak learning rate of the matrices."""
    weight_decay: float = Field(default=0.01, ge=0)
    """Decoupled weight decay; biases and normalisation weights have none."""
    betas: tuple[float, float] = (0.9, 0.999)
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
    """Rows of `length` tokens in one global batch (short sequences share a row)."""
    length: int = Field(default=128, ge=8)
    """Tokens in a row, special tokens included."""
    accumulation: int = Field(default=0, ge=0)
    """Parts that a global batch is computed in, to save memory; the result is the same. 0: on a CPU parts of 8,192
    tokens at most, which are as fast as larger ones; elsewhere one part."""
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
    """Computation; the weights are always kept in float32. auto: a few steps of each are timed."""
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


class ReadingSettings(Settings):
    """How examples are read from a file: part of [data]; a fine-tuned model remembers it."""

    columns: list[str] = []
    """csv, tsv: names of the columns of files whose first line does not name them."""
    text_column: str = "text"
    """The column of the text; tag: of the words."""
    second_column: str = "second_text"
    """pair: the column of the second text."""
    label_column: str = "label"
    """The column of the label; tag: of the words' labels, in CoNLL-U upos, xpos, deprel or lemma."""
    label_kind: Literal["class", "classes", "number"] = "class"
    """classify and pair. class: one of several. classes: any number of them, separated by label_separator. number."""
    label_separator: str = ","
    ignored_labels: list[str] = []
    """Examples with one of these labels are left out, and counted."""


class ExamplesSettings(ReadingSettings):
    """[data]: the labelled files of a task, and how they are read."""

    train: str
    development: str | None = None
    """Examples that choose the best checkpoint; without them, a share of the training examples."""
    development_share: float = Field(default=0.1, gt=0.0, lt=1.0)
    """The share, chosen by a hash of the texts, so that equal ones stay together."""
    test: str | None = None
    """Examples that are scored once, at the end."""
    drop_overlaps: bool = True
    """Leave out development and test examples that stand in the training data, too; they are counted."""
    metric: str | None = None
    """The metric that chooses the best checkpoint; by default the task's first one."""

    @property
    def reading(self) -> ReadingSettings:
        """How the files are read."""
        return ReadingSettings.model_validate({name: getattr(self, name) for name in ReadingSettings.model_fields})


class StartSettings(Settings):
    """[start]: the weights that fine-tuning begins with."""

    checkpoint: str
    """A checkpoint folder, a run, or a model of the hub: gives the shape, the tokenizer and the weights."""
    weights: Literal["pretrained", "random"] = "pretrained"
    """random: the same model, drawn anew (the control of the lecture's slide 62)."""
    vocabulary: Literal["used", "whole"] = "used"
    """used: while it trains, the embedding table has only the rows of the tokens that occur in the data; the others
    stay as they are. whole: they are decayed with all weights."""
    pooling: Literal["cls", "mean"] = "cls"
    """What stands for the whole sequence: the first token's vector through the pooler, or the mean of all vectors. The
    first is worth something only where a pair objective trained it."""
    dropout: float = Field(default=0.1, ge=0.0, lt=1.0)
    """Dropout in fine-tuning."""


class MixtureSettings(Settings):
    """[mixture]: which stores are read, and in which shares, where it is not one store as it is."""

    stores: dict[str, float] = {}
    """Folder of a store -> its share of the tokens, relative to the others; they take the place of `store`. All come
    from one tokenizer (tokenizer.folder="stores/the-first" when the others are prepared)."""
    language_temperature: float = Field(default=1.0, gt=0)
    """T: a language with the share p of a store is read with a share proportional to p^(1/T); above 1, small languages
    are read more often than they occur. Multilingual BERT has 1.43, XLM-R 3.3."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if any(share <= 0 for share in self.stores.values()):
            raise ValueError("the share of a store must be above 0")
        return self


class PretrainStartSettings(Settings):
    """[start]: the weights that pre-training goes on from, on another corpus (domain adaptation)."""

    checkpoint: str
    """A checkpoint folder, a run, or a model of the hub: gives the shape, the weights and the tokenizer."""


class PretrainRecipe(Settings):
    """What `prepare` and `pretrain` do."""

    run: str
    """The run folder."""
    store: str | None = None
    """The store that `prepare` writes and `pretrain` reads."""
    mixture: MixtureSettings = MixtureSettings()
    corpus: CorpusSettings | None = None
    tokenizer: TokenizerSettings = TokenizerSettings()
    start: PretrainStartSettings | None = None
    model: ModelConfig = ModelConfig()
    """With a start only dropout is read; the rest comes from the checkpoint."""
    objective: ObjectiveSettings = ObjectiveSettings()
    optimizer: OptimizerSettings = OptimizerSettings()
    train: TrainSettings

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.store is None) == (not self.mixture.stores):
            raise ValueError("one of store and mixture.stores is needed, and not both")
        if self.corpus is not None and self.store is None:
            raise ValueError("a corpus becomes one store: prepare each of mixture.stores by a recipe of its own")
        if self.tokenizer.added_tokens and self.start is None and self.tokenizer.folder is None:
            raise ValueError("tokenizer.added_tokens needs a tokenizer to add to: start.checkpoint or tokenizer.folder")
        if self.train.length > self.model.max_length:
            raise ValueError(f"train.length {self.train.length} exceeds model.max_length {self.model.max_length}")
        if self.objective.pair != "none" and self.model.segment_types < 2:
            raise ValueError('a pair objective needs two segment types: model.layout = "bert"')
        return self


class FinetuneRecipe(Settings):
    """What `finetune` does."""

    run: str
    """The run folder."""
    task: Literal["classify", "tag", "pair", "qa"]
    data: ExamplesSettings
    start: StartSettings
    optimizer: OptimizerSettings = OptimizerSettings(learning_rate=5e-5)
    train: TrainSettings


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
