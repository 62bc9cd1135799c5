"""Vectors of texts, words or tokens, from any layer of any encoder."""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import islice, pairwise
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from torch import Tensor

from bertwright.batches import SpecialTokens, framed_size
from bertwright.checkpoint import Checkpoint, load_checkpoint, load_whole
from bertwright.corpus import read_rows
from bertwright.corpus.files import STANDARD_INPUT, open_text
from bertwright.devices import cast_weights, has_bfloat16, tune_memory, use_threads
from bertwright.download import checkpoint_folder
from bertwright.errors import UserError
from bertwright.model.heads import BareModel, mean_vectors
from bertwright.run import atomic_file
from bertwright.tasks.task import Window, compute, of_examples

CHUNKS = {"sentences": 4096, "words": 256, "tokens": 256}
"""Texts that are read, sorted by length and computed before the next ones are read: vectors of all their tokens take
some hundred times the memory of one for each."""

Write = Callable[[str, int, str, np.ndarray], object]
"""Told the text's id, the number of the word or token in it, what it is, and its vector."""


class Embedder:
    """An encoder, ready to give vectors: `Embedder.load("runs/mine").sentences(["...", "..."])`.

    Args:
        checkpoint: of any model with an encoder.
        layer: whose output is given; 0 gives the embeddings, None the last layer's.
        pooling: what stands for a text: the mean of the vectors of all its tokens, special ones included, or the vector
            of the first one.
    """

    def __init__(self, checkpoint: Checkpoint, *, layer: int | None = None, pooling: str = "mean") -> None:
        layers = checkpoint.config.layers
        if layer is not None and not 0 <= layer <= layers:
            raise UserError(
                f"layer {layer}",
                expected=f"0 (the embeddings) to {layers}",
                advice="choose one of them",
                file=checkpoint.folder,
            )
        self.checkpoint, self.pooling = checkpoint, pooling
        self.special = SpecialTokens.of(checkpoint.tokenizer)
        self.model = BareModel(checkpoint.config, depth=layer)
        load_whole(self.model, checkpoint)
        self.model.eval()

    @classmethod
    def load(cls, name: str | Path, *, layer: int | None = None, pooling: str = "mean") -> "Embedder":
        """Load a run (its best checkpoint), a checkpoint folder, or a model of the hub."""
        return cls(load_checkpoint(checkpoint_folder(name)), layer=layer, pooling=pooling)

    def sentences(self, texts: Sequence[str]) -> np.ndarray:
        """A vector for each text, float32 [texts, D]; of a text longer than the model reads, over all its windows."""
        windows = self._windows(texts)
        sizes = [framed_size(window.segments, self.special) if self.pooling == "mean" else 1 for window in windows]
        vectors = compute(self._pooled, windows, self.special, torch.device("cpu"))
        found = [
            np.average([vectors[number] for number in numbers], axis=0, weights=[sizes[number] for number in numbers])
            for numbers in of_examples(windows, len(texts))
        ]
        return np.array(found, dtype=np.float32).reshape(len(texts), self.checkpoint.config.width)

    def _pooled(self, *asked: Tensor) -> Tensor:
        """The vectors of sequences, [S, D] (arguments: see PretrainingModel)."""
        *inputs, _, starts = asked
        encoder, depth = self.model.encoder, self.model.depth
        if self.pooling == "cls":
            return encoder(*inputs, asked=starts, depth=depth)
        return mean_vectors(encoder(*inputs, depth=depth), inputs[-1], len(starts))

    def tokens(self, texts: Sequence[str], *, words: bool = False) -> Iterator[list[tuple[str, np.ndarray]]]:
        """For each text its tokens, or words, with their vectors; that of a word is the mean of its tokens' ones."""
        windows = [
            replace(window, labels=np.zeros(framed_size(window.segments, self.special), dtype=np.int32))
            for window in self._windows(texts)
        ]
        vectors = compute(self.model, windows, self.special, torch.device("cpu"))
        tokenizer = self.checkpoint.tokenizer
        for numbers in of_examples(windows, len(texts)):
            ids = np.concatenate([windows[number].segments[0] for number in numbers])
            inner = np.concatenate([vectors[number][1:-1] for number in numbers])
            if not words:
                yield list(zip(tokenizer.readable(ids), inner, strict=True))
                continue
            begins = np.flatnonzero(tokenizer.begins_word(ids))
            ends = np.append(begins, len(ids))[1:]
            yield [
                (tokenizer.decode(ids[begin:end]).strip(), inner[begin:end].mean(axis=0))
                for begin, end in zip(begins, ends, strict=True)
            ]

    def _windows(self, texts: Sequence[str]) -> list[Window]:
        room = self.checkpoint.config.max_length - self.special.framing(1)
        return [
            Window(number, (ids[begin:end],))
            for number, ids in enumerate(self.checkpoint.tokenizer.encode_batch(texts))
            for begin, end in _parts(len(ids), room)
        ]


def _parts(size: int, room: int) -> list[tuple[int, int]]:
    """Windows next to each other: no token is in two of them."""
    cuts = [*range(0, max(1, size), room), size]
    return list(pairwise(cuts))


def embed(
    model: str | Path,
    source: str,
    target: str,
    *,
    unit: str = "sentences",
    layer: int | None = None,
    pooling: str = "mean",
    text_column: str = "text",
) -> dict[str, Any]:
    """Write vectors of the texts of a table, in a stream and in their order.

    Args:
        model: a run, a checkpoint folder or a model of the hub.
        source: csv, tsv or jsonl, or "-" for a text a line on standard input.
        target: .npy (sentences: float32 [texts, D]), or .jsonl or .parquet with the columns id, text and vector, for
            words and tokens also number.
        unit: sentences, words or tokens.
        layer: see Embedder.
        pooling: see Embedder.
        text_column: the column that holds the text.

    Returns:
        How many texts were read and how many vectors of which width were written.

    Raises:
        UserError: no model, no such layer, a damaged input, or a target that cannot hold this.
    """
    tune_memory()
    use_threads(0)
    embedder = Embedder.load(model, layer=layer, pooling=pooling)
    if has_bfloat16():
        cast_weights(embedder.model, torch.bfloat16)
    texts, count, vectors = _texts(source, text_column), 0, 0
    with _writer(target, unit, embedder.checkpoint.config.width) as write:
        while chunk := list(islice(texts, CHUNKS[unit])):
            count += len(chunk)
            only = [text for _, text in chunk]
            if unit == "sentences":
                parts: Iterator[list[tuple[str, np.ndarray]]] = (
                    [pair] for pair in zip(only, embedder.sentences(only), strict=True)
                )
            else:
                parts = embedder.tokens(only, words=unit == "words")
            for (identity, _), pairs in zip(chunk, parts, strict=True):
                for number, (text, vector) in enumerate(pairs):
                    write(identity, number, text, vector)
                vectors += len(pairs)
    return {"texts": count, "vectors": vectors, "width": embedder.checkpoint.config.width, "output": target}


def _texts(source: str, text_column: str) -> Iterator[tuple[str, str]]:
    """Ids and texts."""
    if source == "-":
        with open_text(STANDARD_INPUT) as lines:
            for number, line in enumerate(lines, start=1):
                yield str(number), line.rstrip("\n")
        return
    for row in read_rows(Path(source), [text_column]):
        yield row.values.get("id") or str(row.line), row.values[text_column]


@contextmanager
def _writer(target: str, unit: str, width: int) -> Iterator[Write]:
    """A function that writes one vector; the file appears when it is whole."""
    path = Path(target)
    forms = (".npy", ".jsonl", ".parquet") if unit == "sentences" else (".jsonl", ".parquet")
    if path.suffix not in forms:
        raise UserError(
            f"cannot write {unit} to {path.suffix or 'a file without suffix'}",
            expected=" or ".join(forms),
            advice="name the output so",
            file=path,
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_file(path) as file:
        if path.suffix == ".npy":
            count = 0
            file.write(_npy_header(0, width))

            def write(identity: str, number: int, text: str, vector: np.ndarray) -> None:
                nonlocal count
                del identity, number, text
                count += 1
                file.write(vector.astype("<f4").tobytes())

            yield write
            file.seek(0)
            file.write(_npy_header(count, width))
        elif path.suffix == ".jsonl":
            yield lambda *row: file.write(json.dumps(_row(unit, *row), ensure_ascii=False).encode() + b"\n")
        else:
            with _parquet(file, unit) as write_row:
                yield write_row


def _row(unit: str, identity: str, number: int, text: str, vector: np.ndarray) -> dict[str, Any]:
    place = {} if unit == "sentences" else {"number": number}
    return {"id": identity, **place, "text": text, "vector": [round(float(value), 6) for value in vector]}


def _npy_header(count: int, width: int) -> bytes:
    """The 128 bytes before the numbers of an .npy file, whatever their count (numpy.lib.format)."""
    described = f"{{'descr': '<f4', 'fortran_order': False, 'shape': ({count}, {width}), }}"
    return b"\x93NUMPY\x01\x00" + (118).to_bytes(2, "little") + described.ljust(117).encode() + b"\n"


@contextmanager
def _parquet(file: BinaryIO, unit: str) -> Iterator[Write]:
    """A function that writes one row of a parquet file, in groups."""
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        raise UserError(
            "parquet needs the package pyarrow",
            expected="pyarrow, or an output as .npy or .jsonl",
            advice="pip install 'bertwright[parquet]'",
        ) from None
    fields = [("id", pyarrow.string()), ("number", pyarrow.int32()), ("text", pyarrow.string())]
    fields = [field for field in fields if unit != "sentences" or field[0] != "number"]
    schema = pyarrow.schema([*fields, ("vector", pyarrow.list_(pyarrow.float32()))])
    with parquet.ParquetWriter(file, schema) as writer:
        rows: list[dict[str, Any]] = []

        def flush() -> None:
            writer.write_table(pyarrow.Table.from_pylist(rows, schema=schema))
            rows.clear()

        def write(identity: str, number: int, text: str, vector: np.ndarray) -> None:
            row = {"id": identity, "number": number, "text": text, "vector": vector.tolist()}
            rows.append({name: row[name] for name in schema.names})
            if len(rows) == CHUNKS[unit]:
                flush()

        yield write
        flush()
