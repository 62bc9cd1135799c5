"""From patterns to files, and from a file to a checked stream of text.

Every file is read once, in a stream, as UTF-8. What is wrong with it is told with file and line, while reading: the
stream counts lines as it goes, so that nothing is read twice and pipes work too. The checks (NUL bytes, line ends, the
length of a line) are searches in blocks of bytes, and cost less than the decoding.
"""

import glob
import gzip
import io
import lzma
import os
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, NoReturn, TextIO, cast

from bertwright.config import expand
from bertwright.errors import UserError

LONGEST = 2**27
"""Bytes of a line, and characters of a document, at most: what is longer is no text, and would fill the memory."""

STANDARD_INPUT = Path("-")
"""The path that means standard input."""

_BLOCK = 2**16
_BOM = b"\xef\xbb\xbf"
_COMPRESSED = (".gz", ".xz", ".zst")


def resolve(patterns: list[str]) -> list[Path]:
    """Find the files that the patterns name: sorted, each one once.

    Args:
        patterns: files, folders (walked, hidden files left out) or globs, with ~ and $VARIABLES.

    Raises:
        UserError: a file is missing, a pattern matches nothing, a folder holds no file, a variable is not set.
    """
    if not patterns:
        raise UserError("no file is named", expected="at least one file, folder or pattern", advice="set corpus.files")
    found: dict[Path, Path] = {}
    for file in sorted((file for pattern in patterns for file in _matches(pattern)), key=lambda path: path.as_posix()):
        found.setdefault(file.resolve(), file)
    return list(found.values())


def table_format(path: Path) -> str:
    """The suffix that tells a file's format, in lower case, without the one of its compression: ".csv"."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes and suffixes[-1] in _COMPRESSED:
        suffixes.pop()
    return suffixes[-1] if suffixes else ""


def stem(path: Path) -> str:
    """A file's name without the suffixes of its format and its compression."""
    name = path.name
    return name[: name.lower().rfind(suffix)] if (suffix := table_format(path)) else name


@contextmanager
def open_text(path: Path) -> Iterator[TextIO]:
    r"""Open a file as a stream of text.

    .gz, .xz and .zst are unpacked; a byte order mark is dropped; every line ends in "\n", whatever it ended in before.
    `STANDARD_INPUT` is read (and closed) like a file.

    Raises:
        UserError: on opening, or while the stream is read inside the `with` block: the file is missing, empty, may not
            be read, is a torn or damaged archive, is no UTF-8, holds a NUL byte or a line of more than `LONGEST`
            bytes. All but the first three bear the line.
    """
    source, errors = _open_bytes(path)
    with source:
        checked = _CheckedBytes(source, path, errors)
        with io.TextIOWrapper(cast(io.BufferedReader, checked), encoding="utf-8") as stream:
            try:
                yield stream
            except UnicodeDecodeError as error:
                raise checked.undecodable(error) from None


class _CheckedBytes(io.BufferedIOBase):
    """The bytes of a file, checked block by block, with the number of lines that were passed."""

    def __init__(self, source: BinaryIO, path: Path, errors: tuple[type[Exception], ...]) -> None:
        self._source, self._path, self._errors = source, path, errors
        self._lines = 0
        self._run = 0  # bytes since the last line ended
        self._after_return = False
        first = self._read(_BLOCK)
        if first in (b"", _BOM):
            raise UserError("the file is empty", file=path, expected="text", advice="remove the file, or fill it")
        if first.startswith((b"\xff\xfe", b"\xfe\xff")):
            advice = "convert it: iconv -f UTF-16 -t UTF-8"
            raise UserError("the file is in UTF-16", file=path, line=1, expected="a file in UTF-8", advice=advice)
        self._first = self._check(first).removeprefix(_BOM)

    def readable(self) -> bool:
        return True

    def read1(self, size: int = -1, /) -> bytes:
        """The next block, of any length: what `TextIOWrapper` asks for."""
        if self._first:
            first, self._first = self._first, b""
            return first
        return self._check(self._read(min(size, 16 * _BLOCK) if size > 0 else _BLOCK))

    def read(self, size: int | None = -1, /) -> bytes:
        """All that is left."""
        assert size is None or size < 0, "TextIOWrapper reads a given size by read1"
        return b"".join(iter(self.read1, b""))

    def undecodable(self, error: UnicodeDecodeError) -> UserError:
        """The message for bytes that are no UTF-8; the decoder was given nothing beyond the last block."""
        bad = error.object[error.start :]
        return UserError(
            f"byte 0x{bad[0]:02X} is no UTF-8 text",
            file=self._path,
            line=self._lines - _line_ends(bad) + 1,
            expected="a file in UTF-8",
            advice="convert it: iconv -f ENCODING -t UTF-8 (ENCODING is often latin1 or cp1252, for Chinese gb18030)",
        )

    def _read(self, size: int) -> bytes:
        try:
            return self._source.read(size)
        except self._errors as error:
            packed = self._path.suffix.lower() in _COMPRESSED
            raise UserError(
                f"the compressed file is torn or damaged ({error})" if packed else f"the file cannot be read ({error})",
                file=self._path,
                line=self._lines + 1,
                expected="a whole file",
                advice="copy or download the file anew",
            ) from None

    def _check(self, block: bytes) -> bytes:
        if (null := block.find(b"\0")) >= 0:
            raise UserError(
                "there is a NUL byte",
                file=self._path,
                line=self._lines + _line_ends(block[:null], after_return=self._after_return) + 1,
                expected="text in UTF-8",
                advice="is this a text file at all? If so, remove the NUL bytes: tr -d '\\000'",
            )
        ends = _line_ends(block, after_return=self._after_return)
        self._lines += ends
        self._run = self._run + len(block) if not ends else len(block) - 1 - max(block.rfind(b"\n"), block.rfind(b"\r"))
        self._after_return = block.endswith(b"\r")
        if self._run > LONGEST:
            raise UserError(
                f"this line is longer than {LONGEST:,} bytes",
                file=self._path,
                line=self._lines + 1,
                expected="lines that fit into memory several times",
                advice="cut it into lines (FASTA: fold -w 80 FILE); is this a text file at all?",
            )
        return block


def _line_ends(block: bytes, *, after_return: bool = False) -> int:
    r"""How many lines end in a block, by \n, \r\n or \r.

    Args:
        block: some bytes.
        after_return: the byte before the block was \r: a \n at its start ends the same line once more.
    """
    ends = block.count(b"\n")
    if b"\r" in block:
        ends += block.count(b"\r") - block.count(b"\r\n")
    return ends - (after_return and block.startswith(b"\n"))


def _open_bytes(path: Path) -> tuple[BinaryIO, tuple[type[Exception], ...]]:
    """The unpacked bytes of a file, and the errors that reading them may raise."""
    if path == STANDARD_INPUT:
        return cast(BinaryIO, sys.stdin.buffer), (OSError,)
    try:
        match path.suffix.lower():
            case ".gz":
                return cast(BinaryIO, gzip.open(path)), (OSError, EOFError, zlib.error)
            case ".xz":
                return cast(BinaryIO, lzma.open(path)), (OSError, EOFError, lzma.LZMAError)
            case ".zst":
                if sys.version_info >= (3, 14):
                    from compression import zstd
                else:
                    from backports import zstd
                return cast(BinaryIO, zstd.open(path)), (OSError, EOFError, zstd.ZstdError)
            case _:
                return path.open("rb"), (OSError,)
    except FileNotFoundError:
        raise _missing(path) from None
    except IsADirectoryError:
        raise UserError("this is a folder", file=path, expected="a file", advice="name a file in it") from None
    except OSError as error:
        raise _forbidden(error) from None


def _matches(pattern: str) -> list[Path]:
    """The files that one pattern names."""
    path = expand(pattern)
    try:
        if path.exists():
            return _walk(path)
    except PermissionError as error:
        raise _forbidden(error) from None
    if not glob.has_magic(str(path)):
        raise _missing(path)
    found = []
    for match in glob.glob(str(path), recursive=True):  # noqa: PTH207  (Path.glob takes no absolute pattern)
        found += _walk(Path(match))
    if not found:
        advice = "check the pattern"
        raise UserError("no file matches this pattern", file=path, expected="at least one file", advice=advice)
    return found


def _walk(path: Path) -> list[Path]:
    """A file itself, or the files in a folder and below; hidden ones are what programs leave behind, not text."""
    if not path.is_dir():
        return [path]
    found = []
    for folder, folders, files in os.walk(path, onerror=_refuse_folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [Path(folder, name) for name in files if not name.startswith(".")]
    if not found:
        advice = "name another folder"
        raise UserError("the folder holds no file", file=path, expected="at least one file", advice=advice)
    return found


def _refuse_folder(error: OSError) -> NoReturn:
    raise _forbidden(error) from None


def _forbidden(error: OSError) -> UserError:
    advice = "check the permissions of the file and of the folders above it"
    found = f"this cannot be opened ({error.strerror})"
    return UserError(found, file=Path(error.filename), expected="read permission", advice=advice)


def _missing(path: Path) -> UserError:
    return UserError(
        "the file is missing", file=path, expected="a file, a folder or a pattern", advice="check the path"
    )
