"""Using a fine-tuned model: answers for texts, sentences, pairs and questions."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch

from bertwright.batches import SpecialTokens
from bertwright.checkpoint import Checkpoint, load_checkpoint, load_whole
from bertwright.config import ReadingSettings
from bertwright.corpus.files import STANDARD_INPUT, open_text
from bertwright.devices import cast_weights, has_bfloat16, tune_memory, use_threads
from bertwright.download import checkpoint_folder
from bertwright.errors import UserError
from bertwright.model.heads import EncoderModel
from bertwright.onnx import MODEL, OnnxModel
from bertwright.output import answers_in
from bertwright.tasks import TASKS, Pair, QuestionAnswering
from bertwright.tasks.task import Example, Task, Window, compute, num_windowed

CHUNK = 4096
"""Examples that are read, sorted by length and computed before the next ones are read."""


class Predictor:
    """A fine-tuned model, ready to use: `Predictor.load("runs/reviews").predict(["...", "..."])`.

    Attributes:
        task: what it does.
        num_windowed: examples so far that were longer than the model reads at once.
    """

    def __init__(self, checkpoint: Checkpoint, reading: dict[str, Any] | None = None) -> None:
        if "task" not in checkpoint.facts:
            raise UserError(
                "this model has no task: it was not fine-tuned by bertwright",
                expected="a fine-tuned model",
                advice="fine-tune it by bertwright finetune; bertwright fill is for a pre-trained one",
                file=checkpoint.folder,
            )
        facts = checkpoint.facts
        settings = ReadingSettings.model_validate({**facts["data"], **(reading or {})})
        self.checkpoint = checkpoint
        self.task = TASKS[facts["task"]](settings, checkpoint.labels, facts["learnt"])
        self.model = self._exported() or self._model(facts["pooling"])
        self.special = SpecialTokens.of(checkpoint.tokenizer)
        self.num_windowed = 0

    def _model(self, pooling: str) -> EncoderModel:
        model = self.task.model(self.checkpoint.config, pooling)
        load_whole(model, self.checkpoint)
        return model.eval()

    def _exported(self) -> OnnxModel | None:
        file = self.checkpoint.folder / MODEL
        return OnnxModel(file) if file.exists() else None

    @classmethod
    def load(cls, folder: str | Path, reading: dict[str, Any] | None = None) -> "Predictor":
        """Load a run (its best checkpoint), a checkpoint folder, an exported one, or a model of the hub.

        Args:
            folder: or the name.
            reading: settings of [data] that are other than in training.

        Raises:
            UserError: there is no fine-tuned model.
        """
        found = checkpoint_folder(folder)
        return cls(load_checkpoint(found, weights=not (found / MODEL).exists()), reading)

    def answers(self, examples: Sequence[Example]) -> list[Any]:
        """An answer for each example, as the task gives it."""
        if not examples:
            return []
        return self.task.answers(examples, *self.scores(examples))

    def scores(self, examples: Sequence[Example]) -> tuple[list[Window], list[np.ndarray]]:
        """The windows of examples, and the model's scores for each (see `compute`)."""
        windows = self.task.windows(self.checkpoint.tokenizer, self.special, examples, self.checkpoint.facts["length"])
        self.num_windowed += num_windowed(windows)
        return windows, compute(self.model, windows, self.special, torch.device("cpu"))

    def predict(self, texts: Iterable[Any]) -> list[dict[str, Any]]:
        """The answers for texts, in their order.

        Args:
            texts: each a text (classify), or a list: of two texts (pair), of a question and a passage (qa), of words
                (tag); or such a list as one text: with tabs between the texts, with spaces between the words.
        """
        examples = [self.task.example(*(self.task.parts(each) if isinstance(each, str) else each)) for each in texts]
        return [self.task.told(*pair) for pair in zip(examples, self.answers(examples), strict=True)]


def predict(run: str | Path, source: str, target: str, **reading: Any) -> dict[str, Any]:
    """Answer every example of a file, in a stream: order, ids and other columns are kept.

    In bfloat16, where the processor has it: scores are those of float32 to two or three digits.

    Args:
        run: a run, a checkpoint folder or a model of the hub.
        source: a file as the task reads it (also compressed), or "-" for an example a line on standard input; where an
            example has several texts, they are separated by tabs, the words of a sentence by spaces.
        target: see output.answers_in.
        reading: settings of [data] that are other than in training, such as text_column.

    Returns:
        How many examples were answered, how many of them were longer than the model reads at once, and what is odd in
        the data.

    Raises:
        UserError: no model, no such column, or a damaged input.
    """
    tune_memory()
    use_threads(0)
    predictor = Predictor.load(run, reading)
    if has_bfloat16() and isinstance(predictor.model, EncoderModel):
        cast_weights(predictor.model, torch.bfloat16)
    task, count = predictor.task, 0
    examples = _lines(task) if source == "-" else task.read(Path(source), labelled=False)
    with answers_in(target, task) as write:
        while chunk := list(islice(examples, CHUNK)):
            for example, answer in zip(chunk, predictor.answers(chunk), strict=True):
                write(example, answer)
            count += len(chunk)
    return {"examples": count, "windowed": predictor.num_windowed, "notices": task.notices, "output": target}


def _lines(task: Task) -> Iterator[Example]:
    """Examples on standard input; the number of its line is each one's id."""
    with open_text(STANDARD_INPUT) as lines:
        for number, line in enumerate(lines, start=1):
            parts = task.parts(line.rstrip("\n"))
            if isinstance(task, Pair | QuestionAnswering) and len(parts) != 2:
                raise UserError(
                    f"this line has {len(parts)} text{'s' if len(parts) > 1 else ''}",
                    file=STANDARD_INPUT,
                    line=number,
                    expected="two texts, separated by a tab",
                    advice="mend the line",
                )
            if parts:
                yield replace(task.example(*parts), id=str(number), file=str(STANDARD_INPUT), line=number)
