"""Using a trained model: classes for texts, and tokens for a [MASK]."""

import codecs
import csv
import io
import json
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch

from bertwright.batches import SpecialTokens, pack
from bertwright.checkpoint import Checkpoint, load_checkpoint, load_weights
from bertwright.corpus import read_rows
from bertwright.corpus.files import STANDARD_INPUT, open_text
from bertwright.devices import keep_freed_memory, use_threads
from bertwright.download import checkpoint_folder
from bertwright.errors import UserError
from bertwright.model.heads import PretrainingModel
from bertwright.run import atomic_file
from bertwright.tasks import TASKS

CHUNK = 4096
"""Rows that are read, sorted by length and computed before the next ones are read."""

MASK = "[MASK]"


class _Text(Protocol):
    """What text can be written to."""

    def write(self, text: str, /) -> Any:
        """Append a text."""


class Predictor:
    """A fine-tuned model, ready to use: `Predictor.load("runs/reviews").predict(["...", "..."])`."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        if checkpoint.labels is None or "task" not in checkpoint.facts:
            raise UserError(
                "this model has no labels: it was pre-trained, but not fine-tuned",
                expected="a fine-tuned model",
                advice="fine-tune it by bertwright finetune; bertwright fill is for a pre-trained one",
                file=checkpoint.folder,
            )
        self.checkpoint = checkpoint
        self.labels = checkpoint.labels
        self.task = TASKS[checkpoint.facts["task"]]
        self.model = self.task.model(checkpoint.config, len(self.labels), checkpoint.facts["pooling"])
        _require_all(load_weights(self.model, checkpoint), checkpoint.folder)
        self.model.eval()
        self.special = SpecialTokens.of(checkpoint.tokenizer)
        self.num_truncated = 0
        """Texts so far that were longer than the model was fine-tuned for, and were cut."""

    @classmethod
    def load(cls, folder: str | Path) -> "Predictor":
        """Load a run (its best checkpoint), or a checkpoint folder.

        Raises:
            UserError: there is no fine-tuned model.
        """
        return cls(load_checkpoint(checkpoint_folder(folder)))

    def probabilities(self, texts: Iterable[str]) -> np.ndarray:
        """Class probabilities, [texts, classes], in the order of the texts."""
        sequences, truncated = self.task.encode(self.checkpoint.tokenizer, list(texts), self.checkpoint.facts["length"])
        self.num_truncated += truncated
        if not sequences:
            return np.zeros((0, len(self.labels)), dtype=np.float32)
        return self.task.probabilities(self.model, sequences, self.special, device=torch.device("cpu"))

    def predict(self, texts: Iterable[str]) -> list[dict[str, Any]]:
        """The most likely label of each text, with all probabilities, in the order of the texts."""
        return [
            {
                "label": self.labels[int(row.argmax())],
                "probabilities": {label: round(float(share), 6) for label, share in zip(self.labels, row, strict=True)},
            }
            for row in self.probabilities(texts)
        ]


def predict(run: str | Path, source: str, target: str, *, text_column: str = "text") -> dict[str, Any]:
    """Predict every row of a table, in a stream: order and other columns are kept.

    Args:
        run: a run or a checkpoint folder.
        source: csv, tsv or jsonl (also compressed), or "-" for one text a line on standard input.
        target: csv, tsv or jsonl, or "-" for jsonl on standard output.
        text_column: the column that holds the text.

    Returns:
        How many rows were predicted, and how many were cut.

    Raises:
        UserError: no model, no such column, or a damaged input.
    """
    keep_freed_memory()
    use_threads(0)
    predictor = Predictor.load(run)
    rows = _rows(source, text_column)
    count = 0
    with _writer(target) as write:
        while chunk := list(islice(rows, CHUNK)):
            answers = predictor.predict(row[text_column] for row in chunk)
            for row, answer in zip(chunk, answers, strict=True):
                write({**row, "label": answer["label"], "probability": max(answer["probabilities"].values())})
            count += len(chunk)
    return {"rows": count, "truncated": predictor.num_truncated, "output": target}


def fill(model: str | Path, texts: list[str], top: int = 5) -> list[dict[str, Any]]:
    """The most likely tokens for each [MASK].

    Args:
        model: a pre-training run or a checkpoint with a masked-token head.
        texts: each with one [MASK] or several.
        top: candidates per mask.

    Returns:
        Per text and mask: {"text", "mask" (its number in the text, from 0), "candidates": [{"token", "probability"}]}.

    Raises:
        UserError: a text has no mask or is too long; the model has no masked-token head.
    """
    folder = checkpoint_folder(model)
    checkpoint = load_checkpoint(folder)
    network = PretrainingModel(checkpoint.config, pair=False)
    _require_all(load_weights(network, checkpoint), folder)
    network.eval()
    tokenizer, special = checkpoint.tokenizer, SpecialTokens.of(checkpoint.tokenizer)
    answers = []
    for text in texts:
        ids = _with_masks(checkpoint, text)
        rows = pack([(ids,)], special, length=len(ids) + 2)
        batch = rows.batch()
        masked = (batch.input_ids.flatten() == special.mask).nonzero().flatten()
        with torch.inference_mode():
            logits, _ = network(*batch.inputs, masked, batch.sequence_starts)
        best = logits.softmax(dim=-1).topk(min(top, logits.shape[-1]))
        for number, (shares, tokens) in enumerate(zip(best.values, best.indices, strict=True)):
            names = tokenizer.readable(tokens.numpy())
            candidates = [
                {"token": token, "probability": round(float(share), 4)}
                for token, share in zip(names, shares, strict=True)
            ]
            answers.append({"text": text, "mask": number, "candidates": candidates})
    return answers


def _with_masks(checkpoint: Checkpoint, text: str) -> np.ndarray:
    """Token ids of a text in which [MASK] stands for the mask token."""
    parts = text.split(MASK)
    if len(parts) == 1:
        raise UserError(
            f"{text!r} has no {MASK}", expected=f"a text with {MASK} in it", advice=f"write for example 台{MASK}大學"
        )
    tokenizer = checkpoint.tokenizer
    pieces = [tokenizer.encode(parts[0])]
    for part in parts[1:]:
        pieces += [np.array([tokenizer.mask_id]), tokenizer.encode(part)]
    ids = np.concatenate(pieces)
    if len(ids) + 2 > checkpoint.config.max_length:
        raise UserError(
            f"the text has {len(ids)} tokens",
            expected=f"at most {checkpoint.config.max_length - 2}",
            advice="shorten it",
        )
    return ids


def _require_all(fresh: list[str], folder: Path) -> None:
    if fresh:
        raise UserError(
            f"the checkpoint has no weights for {', '.join(fresh[:3])}{' ...' if len(fresh) > 3 else ''}",
            expected="a checkpoint with this head",
            advice="choose the run that trained it",
            file=folder,
        )


def _rows(source: str, text_column: str) -> Iterator[dict[str, str]]:
    if source == "-":
        with open_text(STANDARD_INPUT) as lines:
            for line in lines:
                yield {text_column: line.rstrip("\n")}
        return
    for row in read_rows(Path(source), [text_column]):
        yield dict(row.values)


@contextmanager
def _writer(target: str) -> Iterator[Callable[[dict[str, Any]], None]]:
    """A function that writes one row as csv, tsv or jsonl, by the target's suffix; the file appears when whole."""
    if target == "-":
        yield lambda row: _write_object(sys.stdout, row)
        return
    path = Path(target)
    if path.suffix not in {".csv", ".tsv", ".jsonl"}:
        raise UserError(
            f"cannot write {path.suffix or 'a file without suffix'}",
            expected=".csv, .tsv or .jsonl",
            advice="name the output so, or - for jsonl on standard output",
            file=path,
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_file(path) as raw:
        file = codecs.getwriter("utf-8")(raw)
        yield _table_writer(file, path) if path.suffix != ".jsonl" else lambda row: _write_object(file, row)


def _write_object(file: _Text, row: dict[str, Any]) -> None:
    file.write(json.dumps(row, ensure_ascii=False) + "\n")


def _table_writer(file: _Text, path: Path) -> Callable[[dict[str, Any]], None]:
    """A function that writes one row of a table; the first row gives the columns."""
    write_line = _write_csv if path.suffix == ".csv" else _write_tsv
    columns: list[str] = []
    count = 0

    def write(row: dict[str, Any]) -> None:
        nonlocal count
        count += 1
        if not columns:
            columns.extend(row)
            write_line(file, columns, path, count)
        if set(row) != set(columns):
            raise UserError(
                f"row {count} has other columns than the first one: {', '.join(sorted(set(row) ^ set(columns)))}",
                expected="the same columns in every row of a table",
                advice="write .jsonl, where every row has its own",
                file=path,
            )
        write_line(file, [str(row[column]) for column in columns], path, count)

    return write


def _write_csv(file: _Text, values: list[str], _path: Path, _row: int) -> None:
    line = io.StringIO(newline="")
    csv.writer(line).writerow(values)  # the row ends in \r\n: else Python before 3.13 would not quote a value with \r
    file.write(line.getvalue().removesuffix("\r\n") + "\n")


def _write_tsv(file: _Text, values: list[str], path: Path, row: int) -> None:
    """Write values between tabs; nothing is quoted, as nothing is when a tsv file is read."""
    for value in values:
        if any(character in value for character in "\t\n\r"):
            raise UserError(
                f"row {row} holds a tab or a line break in {value[:40]!r}, which a tsv file cannot hold",
                expected="values of one line without tabs",
                advice="write .csv or .jsonl instead",
                file=path,
            )
    file.write("\t".join(values) + "\n")
