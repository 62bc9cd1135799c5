"""The recipe of `finetune`."""

from typing import Literal, Self

from pydantic import Field, model_validator

from bertwright.config.base import OptimizerSettings, Settings, TrainSettings


class ReadingSettings(Settings):
    """How examples are read from a file: part of [data]; a fine-tuned model remembers it."""

    columns: list[str] = Field(default=[])
    """csv, tsv: names of the columns of files whose first line does not name them."""
    id_column: str = "id"
    """Tables: the column of an example's id; where there is none, its line is its id."""
    text_column: str = "text"
    """The column of the text; tag: of the words."""
    second_column: str = "second_text"
    """pair: the column of the second text."""
    label_column: str = "label"
    """The column of the label; tag: of the words' labels, in CoNLL-U upos, xpos, deprel or lemma."""
    label_kind: Literal["class", "classes", "number"] = "class"
    """classify and pair. class: one of several. classes: any number of them, separated by label_separator. number."""
    label_separator: str = ","
    ignored_labels: list[str] = Field(default=[])
    """Examples with one of these labels are left out, and counted."""

    @property
    def reading(self) -> "ReadingSettings":
        """These settings alone, without those that a subclass adds."""
        return ReadingSettings.model_validate({name: getattr(self, name) for name in ReadingSettings.model_fields})


class ExamplesSettings(ReadingSettings):
    """[data]: the labelled files of a task, and how they are read."""

    train: str
    train_examples: int | None = Field(default=None, ge=1)
    """Train on so many of them at most, chosen by a hash of their texts, and leave the others out."""
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


class StartSettings(Settings):
    """[start]: the weights that fine-tuning begins with."""

    checkpoint: str
    """A checkpoint folder, a run, or a model of the hub: gives the shape, the tokenizer and the weights."""
    weights: Literal["pretrained", "reembedded", "random"] = "pretrained"
    """random: the same model, drawn anew (the control of the lecture's slide 62). reembedded: the embedding table alone
    is drawn anew (re-emb of slide 75), its numbers spread as widely as those that they replace."""
    vocabulary: Literal["used", "whole"] = "used"
    """used: while it trains, the embedding table has only the rows of the tokens that occur in the data; the others
    stay as they are. whole: they are decayed with all weights."""
    pooling: Literal["cls", "mean"] = "cls"
    """What stands for the whole sequence: the first token's vector through the pooler, or the mean of all vectors. The
    first is worth something only where a pair objective trained it."""
    dropout: float = Field(default=0.1, ge=0.0, lt=1.0)
    """Dropout in fine-tuning."""


class TricksSettings(Settings):
    """[tricks]: what competitions are won with. Each is off unless asked for."""

    adversarial: Literal["none", "fgm", "pgd"] = "none"
    """A second pass over each batch with the word vectors moved to where the loss is higher. fgm: one move (Miyato et
    al. 2017), twice the time. pgd: adversarial_steps of them (Madry et al. 2018), so many times more."""
    adversarial_radius: float = Field(default=1.0, gt=0)
    """How far the table of word vectors moves, in its norm."""
    adversarial_steps: int = Field(default=3, ge=1)
    r_drop: float = Field(default=0.0, ge=0)
    """Weight of the disagreement between two passes with other dropout (Liang et al. 2021); twice the time."""
    average_decay: float = Field(default=0.0, ge=0.0, lt=1.0)
    """Evaluate and keep the exponential moving average of the weights (Polyak and Juditsky 1992), with this decay a
    step: .99 averages over a hundred steps or so."""
    layer_decay: float = Field(default=1.0, gt=0.0, le=1.0)
    """Each layer learns at so many times the rate of the one above it (Howard and Ruder 2018); the head at the full
    rate, the embeddings at the lowest."""
    label_smoothing: float = Field(default=0.0, ge=0.0, lt=1.0)
    """Share of what is right that is spread over all classes (Szegedy et al. 2016)."""
    focal: float = Field(default=0.0, ge=0)
    """The loss of an example counts (1 - p)^focal, where p is the probability of what is right (Lin et al. 2017)."""
    class_weights: Literal["none", "balanced"] = "none"
    """balanced: an example counts the more, the rarer its class is; on average 1."""
    dropout_samples: int = Field(default=1, ge=1)
    """The loss is the mean over so many dropouts before the last layer (Inoue 2019); it costs next to nothing."""


TaskName = Literal["classify", "tag", "pair", "qa"]


class FinetuneOptimizerSettings(OptimizerSettings):
    """[optimizer] of fine-tuning: slower, so that what was learnt before is kept."""

    learning_rate: float = Field(default=5e-5, gt=0)
    """Peak learning rate of AdamW."""


class FinetuneRecipe(Settings):
    """What `finetune` does."""

    run: str
    """The run folder."""
    task: TaskName
    data: ExamplesSettings
    start: StartSettings
    optimizer: FinetuneOptimizerSettings = FinetuneOptimizerSettings()
    tricks: TricksSettings = TricksSettings()
    train: TrainSettings

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.start.dropout == 0 and (self.tricks.r_drop or self.tricks.dropout_samples > 1):
            raise ValueError("r_drop and dropout_samples need dropout: start.dropout above 0")
        return self
