"""A class for a sequence, or for a pair of sequences (the lecture's slides 61, 64 and 65: "this is good" -> positive).

The encoder starts from pre-trained weights, the linear layer on it from random ones, and both are trained. Instead of
one class, the label can be any number of classes, or a number.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor
from torch.nn import functional

from bertwright.batches import Batch, Rows, Segments, SpecialTokens
from bertwright.config import ModelConfig
from bertwright.corpus import Row, read_rows
from bertwright.errors import UserError
from bertwright.metrics import (
    classification_metrics,
    confusion,
    multilabel_metrics,
    probability_metrics,
    regression_metrics,
)
from bertwright.model.heads import ClassificationModel, EncoderModel
from bertwright.tasks.losses import symmetric_divergence_of_each
from bertwright.tasks.task import MOST_WRONG, Example, Task, Window, of_examples, spans
from bertwright.tokenizer import Tokenizer

THRESHOLDS = 50
"""That are tried among all odds, and as many among those of what is right, where one is to be chosen."""

CONFUSED = 300
"""Classes of which a table of confusion is kept, at most: it grows with their square."""

PROBLEMS = {
    "class": "single_label_classification",
    "classes": "multi_label_classification",
    "number": "regression",
}


class Classify(Task):
    """A class, classes or a number for a text.

    An example's label is a text (class), a tuple of texts (classes) or a number; its answer is an array: probabilities
    [C], or the number [1]. A model says by how many deviations a number differs from the mean of those it has learnt
    from, both in `learnt`: at the rates of fine-tuning it could never reach a price or a year.
    """

    loss = "classes"

    @property
    def text_columns(self) -> list[str]:
        """The columns of the texts."""
        return [self.settings.text_column]

    @property
    def metric_names(self) -> tuple[str, ...]:
        """The metrics of this kind of label."""
        if self.settings.label_kind == "number":
            return "pearson", "spearman", "rmse"
        if self.settings.label_kind == "classes":
            return "micro_f1", "macro_f1", "exact"
        of_two = ("f1", "roc_auc") if len(self.labels) == 2 else ()
        return "accuracy", "macro_f1", "matthews", "log_loss", *of_two

    @property
    def problem(self) -> str:
        """The problem_type in `transformers`."""
        return PROBLEMS[self.settings.label_kind]

    def read(self, path: Path, *, labelled: bool = True) -> Iterator[Example]:
        """Read the rows of a table."""
        columns = [*self.text_columns, *([self.settings.label_column] if labelled else [])]
        lacking = None if labelled else self.settings.label_column
        for row in read_rows(path, columns, self.settings.columns, lacking=lacking):
            written = row.values[self.settings.label_column].strip() if labelled else ""
            if labelled and written in self.settings.ignored_labels:
                self.ignored += 1
                continue
            yield Example(
                id=row.values.get(self.settings.id_column) or str(row.line),
                file=str(path),
                line=row.line,
                texts=tuple(row.values[column] for column in self.text_columns),
                label=self._label(written, path, row) if labelled else None,
                columns=row.values,
                json="" if labelled else row.json,
            )

    def _label(self, written: str, path: Path, row: Row) -> Any:
        kind, column = self.settings.label_kind, self.settings.label_column
        if kind == "classes":
            parts = (part.strip() for part in written.split(self.settings.label_separator))
            return tuple(part for part in parts if part)
        if not written:
            raise UserError(
                "this example has no label",
                expected=f"a label in column {column!r}",
                advice="label it or remove the line",
                file=path,
                line=row.line,
            )
        if kind == "class":
            return written
        try:
            value = float(written)
        except ValueError:
            value = float("nan")
        if not np.isfinite(value):
            raise UserError(
                f"the label {written!r} is no number",
                expected=f"a number in column {column!r}",
                advice='mend the line, or set data.label_kind="class"',
                file=path,
                line=row.line,
            )
        return value

    def learn(self, examples: Sequence[Example]) -> None:
        """The labels that occur, sorted."""
        kind = self.settings.label_kind
        if kind == "number":
            self.labels = [self.settings.label_column]
            return
        names = {name for example in examples for name in (example.label if kind == "classes" else (example.label,))}
        self.labels = sorted(names)
        if len(self.labels) < (2 if kind == "class" else 1):
            raise UserError(
                f"only the label {self.labels} occurs" if self.labels else "no label occurs",
                expected="at least two labels" if kind == "class" else "labels",
                advice="is data.label_column the right column?",
                file=examples[0].file if examples else None,
            )

    def check(self, examples: Sequence[Example]) -> None:
        """See that all labels are known."""
        if self.settings.label_kind == "number":
            return
        known = set(self.labels)
        for example in examples:
            for label in example.label if self.settings.label_kind == "classes" else (example.label,):
                if label not in known:
                    raise unknown_label(label, self.labels, example)

    def measure(self, examples: Sequence[Example]) -> None:
        """The mean of numbers, and their deviation."""
        if self.settings.label_kind == "number":
            values = np.array([example.label for example in examples])
            self.learnt |= {"mean": float(values.mean()), "deviation": float(values.std()) or 1.0}

    def windows(
        self, tokenizer: Tokenizer, special: SpecialTokens, examples: Sequence[Example], length: int
    ) -> list[Window]:
        """A window for each example; of longer texts several, next to each other, each with the example's label."""
        encoded = [tokenizer.encode_batch([example.texts[n] for example in examples]) for n in range(self.num_texts)]
        number, found = self.numbers, []
        for index, example in enumerate(examples):
            target = self._target(example, number)
            pieces = self.pieces(tuple(ids[index] for ids in encoded), length - special.framing(self.num_texts))
            found += [Window(index, segments, target) for segments in pieces]
        return found

    def example(self, *texts: str) -> Example:
        """An example of a text, or of two, under the names of their columns."""
        return replace(super().example(*texts), columns=dict(zip(self.text_columns, texts, strict=True)))

    @property
    def num_texts(self) -> int:
        """Of an example: 1 or 2."""
        return len(self.text_columns)

    def pieces(self, texts: Segments, room: int) -> list[Segments]:
        """A text in pieces of at most `room` tokens."""
        return [(texts[0][begin:end],) for begin, end in spans(len(texts[0]), room)]

    def _target(self, example: Example, number: dict[str, int]) -> Any:
        if example.label is None:
            return 0
        if self.settings.label_kind == "number":
            return np.float32((example.label - self.learnt["mean"]) / self.learnt["deviation"])
        if self.settings.label_kind == "class":
            return number[example.label]
        return np.isin(self.labels, example.label).astype(np.float32)

    def model(self, config: ModelConfig, pooling: str) -> EncoderModel:
        """An encoder with a fresh linear layer on one vector for the sequence."""
        return ClassificationModel(config, len(self.labels), pooling=pooling)

    def purpose(self, config: ModelConfig, pooling: str) -> str:
        """A BERT with mean pooling is read by `transformers` as a bare encoder only."""
        return "encoder" if config.layout == "bert" and pooling == "mean" else "classify"

    def loss_sum(self, logits: Tensor, batch: Batch) -> Tensor:
        """Cross-entropy of the class or of each class, or the squared error."""
        kind, wanted = self.settings.label_kind, batch.sequence_labels
        if kind == "class":
            return self.class_loss(logits, wanted)
        if kind == "classes":
            return functional.binary_cross_entropy_with_logits(logits, wanted, reduction="sum") / len(self.labels)
        return functional.mse_loss(logits[:, 0], wanted, reduction="sum")

    def disagreement(self, one: Tensor, other: Tensor, batch: Batch) -> Tensor:
        """Between classes; or between each of them, or the squared difference."""
        if self.settings.label_kind == "classes":
            return symmetric_divergence_of_each(one, other) / len(self.labels)
        if self.settings.label_kind == "number":
            return (one - other).square().sum()
        return super().disagreement(one, other, batch)

    def class_counts(self, examples: Sequence[Example]) -> np.ndarray | None:
        """Of the classes of texts."""
        if self.settings.label_kind != "class":
            return None
        number = self.numbers
        return np.bincount([number[each.label] for each in examples], minlength=len(self.labels))

    def count(self, rows: Rows) -> int:
        """The number of sequences."""
        return len(rows.sequence_labels)

    def answers(self, examples: Sequence[Example], windows: Sequence[Window], scores: list[np.ndarray]) -> list[Any]:
        """Probabilities, or the number, in the mean over the windows of an example."""
        return [
            np.mean([self._activated(scores[number]) for number in numbers], axis=0)
            for numbers in of_examples(windows, len(examples))
        ]

    def _activated(self, logits: np.ndarray) -> np.ndarray:
        if self.settings.label_kind == "number":
            return logits.astype(np.float64) * self.learnt["deviation"] + self.learnt["mean"]
        if self.settings.label_kind == "classes":
            return 1 / (1 + np.exp(-logits.astype(np.float64)))
        shares = np.exp(logits - logits.max(), dtype=np.float64)
        return shares / shares.sum()

    def combined(self, of_models: Sequence[Sequence[Any]], weights: Sequence[float]) -> list[np.ndarray]:
        """The mean of probabilities or numbers."""
        return list(np.average([np.stack(answers) for answers in of_models], axis=0, weights=weights))

    def shifted(self, answers: Sequence[Any], threshold: float) -> list[np.ndarray]:
        """Probabilities whose log-odds are lower by the threshold: of the second of two classes, or of each."""
        if threshold == 0:
            return list(answers)
        shares = np.clip(np.stack(answers), 1e-9, 1 - 1e-9)
        lowered = 1 / (1 + np.exp(threshold - np.log(shares) + np.log1p(-shares)))
        if self.settings.label_kind == "class":
            lowered = np.stack([1 - lowered[:, 1], lowered[:, 1]], axis=1)
        return list(lowered)

    def best_threshold(self, examples: Sequence[Example], answers: Sequence[Any], metric: str) -> float:
        """Of the log-odds of the second of two classes, or of all that may hold, for the best value of a metric."""
        kind = self.settings.label_kind
        # The most likely class is the best guess for accuracy (on few examples a threshold would only be chance), the
        # probabilities as they are that for what judges them.
        if (
            kind == "number"
            or metric in ("accuracy", "log_loss", "roc_auc")
            or (kind == "class" and len(self.labels) != 2)
        ):
            return 0.0
        shares = np.clip(np.stack(answers), 1e-9, 1 - 1e-9)
        odds = np.log(shares) - np.log1p(-shares)
        right = np.array([np.isin(self.labels, each.label) for each in examples])
        if kind == "class":
            odds, right = odds[:, 1], right[:, 1]
        # Just below each of these; where few are right, hardly one of all odds lies among theirs.
        known = [each for each in (odds.ravel(), odds[right]) if each.size]
        places = [np.quantile(each, np.linspace(0, 1, THRESHOLDS), method="nearest") for each in known]
        values = np.unique(odds)
        above = np.setdiff1d(np.searchsorted(values, np.concatenate(places)), [0])
        tried = [0.0, *((values[above - 1] + values[above]) / 2)]  # 0 comes first: it wins if nothing is better
        reached = [self.scores(examples, self.shifted(answers, each))["metrics"][metric] for each in tried]
        return float(tried[int(np.argmax(reached))])

    def packed(self, answer: Any) -> list[float]:
        """Its numbers."""
        return [float(f"{value:.9g}") for value in answer]

    def unpacked(self, packed: Any) -> np.ndarray:
        """The numbers."""
        return np.array(packed)

    def scores(self, examples: Sequence[Example], answers: list[Any]) -> dict[str, Any]:
        """The metrics, the confusion table, and the most confident mistakes."""
        given, kind = np.stack(answers), self.settings.label_kind
        found: dict[str, Any] = {"file": examples[0].file, "examples": len(examples)}
        if kind == "number":
            truth = np.array([example.label for example in examples])
            metrics = regression_metrics(truth, given[:, 0])
            order = np.argsort(-abs(truth - given[:, 0]), kind="stable")
            wrong = [self._wrong(examples[n], f"{truth[n]:g}", f"{given[n, 0]:.3g}", None) for n in order[:MOST_WRONG]]
            return {**found, "metrics": metrics, "most_wrong": wrong}
        if kind == "classes":
            truth = np.array([np.isin(self.labels, example.label) for example in examples], dtype=np.int64)
            metrics = multilabel_metrics(truth, (given > 0.5).astype(np.int64))
            right = np.where(truth == 1, given, 1 - given).min(axis=1)  # of the label that is most wrong
            order = [n for n in np.argsort(right, kind="stable") if right[n] < 0.5]
            wrong = [
                self._wrong(examples[n], ", ".join(examples[n].label), ", ".join(self._chosen(given[n])), right[n])
                for n in order[:MOST_WRONG]
            ]
            return {**found, "metrics": metrics, "most_wrong": wrong}
        number = self.numbers
        truth, chosen = np.array([number[example.label] for example in examples]), given.argmax(axis=1)
        right = given[np.arange(len(truth)), truth]
        order = [n for n in np.argsort(right, kind="stable") if chosen[n] != truth[n]]
        if len(self.labels) <= CONFUSED:
            found["confusion"] = confusion(truth, chosen, len(self.labels))
        return {
            **found,
            "metrics": classification_metrics(truth, chosen, len(self.labels)) | probability_metrics(truth, given),
            "most_wrong": [
                self._wrong(examples[n], self.labels[truth[n]], self.labels[chosen[n]], right[n])
                for n in order[:MOST_WRONG]
            ],
        }

    def _wrong(self, example: Example, label: str, predicted: str, probability: Any) -> dict[str, Any]:
        shown = {"id": example.id, "text": "\n".join(example.texts), "label": label, "predicted": predicted}
        return {**shown, "probability": None if probability is None else round(float(probability), 4)}

    def _chosen(self, shares: np.ndarray) -> list[str]:
        return [label for label, share in zip(self.labels, shares, strict=True) if share > 0.5]

    def told(self, example: Example, answer: Any) -> dict[str, Any]:
        """The most likely label with its probability, the likely ones, or the number; and all probabilities."""
        del example
        if self.settings.label_kind == "number":
            return {"label": float(f"{answer[0]:.9g}")}
        shares = {label: float(f"{share:.6g}") for label, share in zip(self.labels, answer, strict=True)}
        if self.settings.label_kind == "classes":
            return {"label": self.settings.label_separator.join(self._chosen(answer)), "probabilities": shares}
        best = self.labels[int(answer.argmax())]
        return {"label": best, "probability": shares[best], "probabilities": shares}


class Pair(Classify):
    """The same for a pair of texts: does one follow from the other, do they mean the same, how alike are they?"""

    def parts(self, line: str) -> list[str]:
        """Two texts, separated by a tab."""
        return line.split("\t")

    def key(self, example: Example) -> str:
        """The same pair the other way round is the same."""
        return "\0".join(sorted(super().key(example).split("\0")))

    @property
    def text_columns(self) -> list[str]:
        """The columns of the two texts."""
        return [self.settings.text_column, self.settings.second_column]

    def pieces(self, texts: Segments, room: int) -> list[Segments]:
        """Pairs that fit; where they are too long, pieces of both from the same part of each.

        The shorter text is left whole if it takes no more than half of the room, and goes with each piece of the other.
        """
        first, second = texts
        if len(first) + len(second) <= room:
            return [texts]
        shorter = min(len(first), len(second), room // 2)
        rooms = (shorter, room - shorter) if len(first) <= len(second) else (room - shorter, shorter)
        parts = [spans(len(text), max(1, size)) for text, size in zip(texts, rooms, strict=True)]
        count = max(map(len, parts))
        return [
            tuple(text[slice(*of[number * len(of) // count])] for text, of in zip(texts, parts, strict=True))
            for number in range(count)
        ]


def unknown_label(label: str, labels: list[str], example: Example) -> UserError:
    """What to say of a label that the training data does not have."""
    return UserError(
        f"the label {label!r} was not in the training data",
        expected=f"one of {', '.join(labels[:10])}{' ...' if len(labels) > 10 else ''}",
        advice="correct the label, or train on data that has it",
        file=example.file,
        line=example.line,
    )
