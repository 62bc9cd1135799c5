"""A file in blocks, each with a checksum: written in a stream, read as a memory map.

A block is compared with its checksum when it is first read: opening costs nothing, and a flipped bit is told before
anything is computed from it.
"""

import zlib
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from bertwright.errors import UserError

BLOCK = 2**24
"""Bytes that share a checksum."""

MAKE_ANEW = "copy it anew, or make it anew by: bertwright prepare RECIPE"


class BlockWriter:
    """A file that is written in a stream, with the checksum of each of its blocks."""

    def __init__(self, path: Path) -> None:
        self._file: BinaryIO = path.open("wb")
        self._room = BLOCK
        self._running = 0
        self._done: list[int] = []

    @property
    def checksums(self) -> list[int]:
        """Checksums of the blocks so far, the last one maybe unfinished."""
        return self._done + ([self._running] if self._room < BLOCK else [])

    def write(self, values: np.ndarray | bytes) -> None:
        """Append bytes, or the bytes of an array."""
        data = memoryview(values.tobytes() if isinstance(values, np.ndarray) else values)
        self._file.write(data)
        while data:
            part, data = data[: self._room], data[self._room :]
            self._running = zlib.crc32(part, self._running)
            self._room -= len(part)
            if self._room == 0:
                self._done.append(self._running)
                self._room, self._running = BLOCK, 0

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class BlockReader:
    """A memory-mapped file whose blocks are compared with their checksums when they are first read.

    Args:
        path: the file.
        size: the bytes that it must have.
        block: bytes that share a checksum.
        checksums: one for each block.

    Raises:
        UserError: the file is missing or has another size; later, where something is read: a block is damaged.
    """

    def __init__(self, path: Path, size: int, block: int, checksums: np.ndarray) -> None:
        found = path.stat().st_size if path.exists() else None
        if found != size:
            raise UserError(
                "this file of the store is missing" if found is None else f"this file of the store has {found:,} bytes",
                file=path,
                expected=f"a file of {size:,} bytes",
                advice=MAKE_ANEW,
            )
        self._path, self._block, self._checksums = path, block, checksums
        self._data = np.asarray(np.memmap(path, dtype=np.uint8, mode="r")) if size else np.empty(0, dtype=np.uint8)
        self._verified = [False] * len(checksums)

    def array(self, dtype: np.dtype[Any]) -> np.ndarray:
        """All of the file, unchecked."""
        return self._data.view(dtype)

    def read(self, start: int = 0, stop: int | None = None) -> np.ndarray:
        """Bytes start..stop, checked, uint8."""
        stop = len(self._data) if stop is None else stop
        self.check(start, stop)
        return self._data[start:stop]

    def check(self, start: int, stop: int) -> None:
        """Compare the blocks that hold bytes start..stop, those that were not compared before."""
        assert 0 <= start <= stop <= len(self._data), f"{start}..{stop} of {len(self._data)} bytes"
        for block in range(start // self._block, -(-stop // self._block)):
            if not self._verified[block]:
                self._compare(block)

    def verify(self) -> None:
        """Compare all blocks, also those that were compared before."""
        for block in range(len(self._verified)):
            self._compare(block)

    def _compare(self, block: int) -> None:
        begin = block * self._block
        if zlib.crc32(self._data[begin : begin + self._block].data) != self._checksums[block]:
            raise UserError(
                f"bytes {begin:,} to {min(begin + self._block, len(self._data)):,} (block {block}) are damaged",
                file=self._path,
                expected="the bytes that were written: their checksum differs",
                advice=MAKE_ANEW,
            )
        self._verified[block] = True
