"""A class for a sequence (the lecture's slides 60 and 61: "this is good" -> positive).

The encoder starts from pre-trained weights, the linear layer on it from random ones, and both are trained.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from bertwright.batches import Batch, Rows, Segments, SpecialTokens, pack
from bertwright.config import ModelConfig, StartSettings
from bertwright.corpus import read_rows
from bertwright.errors import UserError
from bertwright.metrics import classification_metrics, confusion
from bertwright.model.heads import ClassificationModel
from bertwright.tasks.task import Example, Task
from bertwright.tokenizer import Tokenizer

MOST_WRONG = 25
"""How many of the most confident mistakes are kept for the report."""

PREDICTION_BATCH = 64
"""Sequences that are computed at once in prediction."""


def read(path: Path, text_column: str, label_column: str | None) -> list[Example]:
    """Read the examples of a table; without a label column their labels are None.

    Raises:
        UserError: a column or a label is missing, or there are no examples; with file and line.
    """
    columns = [text_column] if label_column is None else [text_column, label_column]
    examples = []
    for row in read_rows(path, columns):
        label = row.values[label_column].strip() if label_column is not None else None
        if label == "":
            raise UserError(
                "this example has no label",
                expected=f"a label in column {label_column!r}",
                advice="label it or remove the line",
                file=path,
                line=row.line,
            )
        identity = row.values.get("id") or str(row.line)
        examples.append(Example(identity, row.values[text_column], label, str(path), row.line))
    return examples


def label_names(examples: Sequence[Example]) -> list[str]:
    """The labels that occur, sorted.

    Raises:
        UserError: there are fewer than two.
    """
    names = sorted({example.label for example in examples if example.label is not None})
    if len(names) < 2:
        raise UserError(
            f"only the label {names} occurs",
            expected="at least two labels",
            advice="is data.label_column the right column?",
            file=examples[0].file if examples else None,
        )
    return names


def label_numbers(examples: Sequence[Example], labels: list[str]) -> np.ndarray:
    """The examples' labels as numbers, [S].

    Raises:
        UserError: a label is not among the known ones; with file and line.
    """
    number = {label: index for index, label in enumerate(labels)}
    for example in examples:
        if example.label not in number:
            raise UserError(
                f"the label {example.label!r} was not in the training data",
                expected=f"one of {', '.join(labels[:10])}{' ...' if len(labels) > 10 else ''}",
                advice="correct the label, or train on data that has it",
                file=example.file,
                line=example.line,
            )
    return np.array([number[example.label] for example in examples if example.label is not None])


def encode(tokenizer: Tokenizer, texts: Sequence[str], length: int) -> tuple[list[Segments], int]:
    """Token ids of texts, cut to fit into `length` with [CLS] and [SEP]; and how many were cut."""
    room = length - 2
    encoded = tokenizer.encode_batch(list(texts))
    return [(ids[:room],) for ids in encoded], sum(len(ids) > room for ids in encoded)


def rows(
    sequences: Sequence[Segments], labels: np.ndarray, samples: np.ndarray, special: SpecialTokens, length: int
) -> Rows:
    """The rows of some examples: `samples` are their numbers."""
    return pack(
        [sequences[sample] for sample in samples],
        special,
        length=length,
        sample_ids=samples,
        sequence_labels=labels[samples],
    )


def losses(forward: Callable[..., Tensor], batch: Batch) -> dict[str, Tensor]:
    """Summed cross-entropy over the sequences of a batch."""
    logits = forward(*batch.asked)
    return {"classes": functional.cross_entropy(logits.float(), batch.sequence_labels, reduction="sum")}


def counts(rows: Rows) -> dict[str, int]:
    """The number of sequences."""
    return {"classes": len(rows.sequence_labels)}


def probabilities(
    forward: Callable[..., Tensor], sequences: Sequence[Segments], special: SpecialTokens, *, device: torch.device
) -> np.ndarray:
    """Class probabilities [S, C], in the order of the sequences.

    Sequences of like length are computed together, in rows just long enough for them.
    """
    sizes = np.array([sum(map(len, segments)) + len(segments) + 1 for segments in sequences])
    order = np.argsort(sizes, kind="stable")
    result: np.ndarray | None = None
    with torch.inference_mode():
        for begin in range(0, len(order), PREDICTION_BATCH):
            chosen = order[begin : begin + PREDICTION_BATCH]
            part = pack([sequences[i] for i in chosen], special, length=int(sizes[chosen].max()), sample_ids=chosen)
            batch = part.batch(device)
            shares = forward(*batch.asked).float().softmax(dim=-1).cpu().numpy()
            if result is None:
                result = np.zeros((len(sequences), shares.shape[1]), dtype=np.float32)
            result[batch.sample_ids] = shares
    assert result is not None, "there is nothing to predict"
    return result


def scores(examples: Sequence[Example], shares: np.ndarray, labels: list[str]) -> dict[str, Any]:
    """The official metrics, the confusion table, and the most confident mistakes.

    Args:
        examples: labelled ones.
        shares: [S, C], class probabilities.
        labels: names of the classes.
    """
    truth, predicted = label_numbers(examples, labels), shares.argmax(axis=1)
    of_truth = shares[np.arange(len(truth)), truth]
    wrong = [int(index) for index in np.argsort(of_truth, kind="stable") if predicted[index] != truth[index]]
    return {
        "file": examples[0].file,
        "examples": len(examples),
        "metrics": classification_metrics(truth, predicted, len(labels)),
        "confusion": confusion(truth, predicted, len(labels)),
        "most_wrong": [
            {
                "id": examples[index].id,
                "text": examples[index].text,
                "label": labels[truth[index]],
                "predicted": labels[predicted[index]],
                "probability": round(float(of_truth[index]), 4),
            }
            for index in wrong[:MOST_WRONG]
        ],
    }


def model(config: ModelConfig, num_classes: int, pooling: str) -> ClassificationModel:
    """An encoder with a fresh linear layer."""
    return ClassificationModel(config, num_classes, pooling=pooling)


def purpose(config: ModelConfig, start: StartSettings) -> str:
    """What the result is read as by `transformers`: a BERT with mean pooling only as a bare encoder."""
    return "encoder" if config.layout == "bert" and start.pooling == "mean" else "classify"


CLASSIFY = Task(
    read=read,
    label_names=label_names,
    label_numbers=label_numbers,
    encode=encode,
    model=model,
    rows=rows,
    losses=losses,
    counts=counts,
    probabilities=probabilities,
    scores=scores,
    criterion="accuracy",
    purpose=purpose,
)
