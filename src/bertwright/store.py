"""The store: the token ids of a corpus in a folder, written in a stream and read as memory maps.

    tokens.bin        ids of all tokens, uint16 (uint32 where the vocabulary exceeds 65,536)
    segments.bin      int64: the token that each segment begins with, and the number of tokens
    documents.bin     a row per document (see `DOCUMENT`), and a last one that holds the ends
    ids.bin           record ids, UTF-8, joined; ids_offsets.bin: int64, where each begins, and the end
    words.bin         a bit per token: does it begin a word? (numpy.packbits)
    counts.bin        int64 [V]: how often each token occurs in the training documents
    checksums.bin     uint32: CRC-32 of every block of 16 MiB of every other file, in meta.json's order of files
    meta.json         version, sizes, counts, names of languages and sources; a checksum over itself
    tokenizer.json, tokenizer_config.json, doctor.json, settings.json

Opening takes the same time for any size. A block is compared with its checksum when it is first read, so that a flipped
bit is told before a model learns from it. The same corpus gives the same bytes.
"""

import json
import os
import zlib
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from bertwright.blocks import BLOCK, MAKE_ANEW, BlockReader, BlockWriter
from bertwright.errors import UserError
from bertwright.run import OLD, atomic_folder, read_json, refuse_other_folder, write_json
from bertwright.tokenizer import Tokenizer

FORMAT = "bertwright store"
VERSION = 1
DOCUMENT = np.dtype(
    [
        ("token_offset", "<i8"),
        ("segment_offset", "<i8"),
        ("source", "<u4"),
        ("language", "<u2"),
        ("held_out", "u1"),
        ("reserved", "u1"),
    ]
)
"""A document: its first token, its first segment, its source and language (places in meta.json), and whether it is held
out."""

LANGUAGES = np.iinfo(DOCUMENT["language"]).max
"""The highest number of a language."""

META = "meta.json"
"""The file by which a store is known; it is written last."""

PAGE = "doctor.json"
"""The data page: what doctor says of the corpus."""

SETTINGS = "settings.json"
"""What of the recipe `prepare` went by."""

_STREAMS = ("tokens.bin", "segments.bin", "documents.bin", "ids.bin", "ids_offsets.bin", "words.bin", "counts.bin")
_BUFFERED_TOKENS = 2**21
_BUFFERED_SEGMENTS = 2**17
_SLICE = 2**22


class StoreWriter:
    """Writes a store; it appears under its name, in the place of an old one, only when the `with` block ends well.

    Attributes:
        num_documents, num_segments, num_tokens: what was added so far.
        num_held_out: documents that are held out.
        counts: int64 [V], how often each token occurs in the training documents; complete after `flush`.

    Args:
        folder: the store to write.
        tokenizer: the tokenizer that the ids come from; it is saved with them.

    Raises:
        UserError: the folder holds something else than a store.
    """

    def __init__(self, folder: str | Path, tokenizer: Tokenizer) -> None:
        self._target = Path(folder)
        self._tokenizer = tokenizer
        self._id_type = np.dtype("<u2") if tokenizer.vocabulary_size <= 2**16 else np.dtype("<u4")
        self.num_documents = self.num_segments = self.num_tokens = self.num_held_out = 0
        self.counts = np.zeros(tokenizer.vocabulary_size, dtype=np.int64)
        self._languages: dict[str, int] = {}
        self._sources: dict[str, int] = {}
        self._files: dict[str, BlockWriter] = {}
        self._segments: list[np.ndarray] = []
        self._words: list[np.ndarray] = []
        self._documents: list[tuple[int, int, int, int, int, int]] = []
        self._ids: list[bytes] = []
        self._buffered = 0
        self._id_bytes = 0
        self._bits = np.empty(0, dtype=bool)  # of the last, unfinished byte of words.bin
        self._session: AbstractContextManager[Self] | None = None

    def __enter__(self) -> Self:
        self._session = self._write()
        return self._session.__enter__()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        assert self._session is not None
        return self._session.__exit__(kind, error, trace)

    def add(
        self,
        record_id: str,
        segments: Sequence[np.ndarray],
        language: str,
        source: str,
        *,
        held_out: bool,
        words: Sequence[np.ndarray] | None = None,
    ) -> int:
        """Add a document.

        Args:
            record_id: the record's id.
            segments: ids of its segments, each [N]; empty ones are left out, and so is a document without tokens.
            language: its language or kind.
            source: the file that it came from.
            held_out: whether it is kept out of training.
            words: which tokens of each segment begin a word, bool [N] each; given for all documents, or for none: then
                the tokenizer tells.

        Returns:
            The number of its tokens.

        Raises:
            UserError: there are too many languages.
        """
        segments = [segment for segment in segments if len(segment)]
        if not segments:
            return 0
        languages, sources = self._languages, self._sources
        codes = sources.setdefault(source, len(sources)), languages.setdefault(language, len(languages))
        if codes[1] > LANGUAGES:
            raise UserError(
                f"the records have more than {LANGUAGES + 1:,} languages; the last one is {language!r}",
                file=source,
                expected="a column of languages, of which many records have the same",
                advice="is corpus.language_column the right one?",
            )
        self._documents.append((self.num_tokens, self.num_segments, *codes, held_out, 0))
        self._ids.append(record_id.encode())
        self._words += words or []
        self._segments += segments
        size = sum(map(len, segments))
        self.num_documents += 1
        self.num_segments += len(segments)
        self.num_tokens += size
        self.num_held_out += held_out
        self._buffered += size
        if self._buffered >= _BUFFERED_TOKENS or len(self._segments) >= _BUFFERED_SEGMENTS:
            self.flush()
        return size

    def add_json(self, name: str, value: Any) -> None:
        """Add a file that belongs to the store, such as the data page."""
        write_json(self._folder / name, value)

    def flush(self) -> None:
        """Write what is buffered."""
        if not self._documents:
            return
        lengths = np.fromiter(map(len, self._segments), dtype=np.int64, count=len(self._segments))
        starts = np.cumsum(lengths) - lengths
        documents = np.array(self._documents, dtype=DOCUMENT)
        ends = np.append(documents["token_offset"][1:], self.num_tokens)
        held_out = np.repeat(documents["held_out"].astype(bool), ends - documents["token_offset"])
        words = np.concatenate(self._words) if self._words else None
        self._write_tokens(np.concatenate(self._segments), starts, held_out, words)
        self._files["segments.bin"].write((starts + documents["token_offset"][0]).astype("<i8"))
        self._files["documents.bin"].write(documents)
        sizes = np.fromiter(map(len, self._ids), dtype=np.int64, count=len(self._ids))
        self._files["ids_offsets.bin"].write((self._id_bytes + np.cumsum(sizes) - sizes).astype("<i8"))
        self._files["ids.bin"].write(b"".join(self._ids))
        self._id_bytes += int(sizes.sum())
        self._segments, self._words, self._documents, self._ids, self._buffered = [], [], [], [], 0

    def _write_tokens(
        self, ids: np.ndarray, starts: np.ndarray, held_out: np.ndarray, words: np.ndarray | None
    ) -> None:
        """Write ids [N] and what hangs on them, in slices: a single document can be larger than all buffers."""
        for begin in range(0, len(ids), _SLICE):
            end = begin + _SLICE
            part = ids[begin:end]
            self._files["tokens.bin"].write(part.astype(self._id_type))
            self.counts += np.bincount(part[~held_out[begin:end]], minlength=len(self.counts))
            if words is None:
                before = min(begin, 1)  # the token before tells whether the first one goes on with its word
                begins = self._tokenizer.begins_word(ids[begin - before : end])[before:]
            else:
                begins = words[begin:end].copy()
            first, last = np.searchsorted(starts, (begin, end))
            begins[starts[first:last] - begin] = True
            bits = np.concatenate([self._bits, begins])
            whole = len(bits) // 8 * 8
            self._files["words.bin"].write(np.packbits(bits[:whole]))
            self._bits = bits[whole:]

    @contextmanager
    def _write(self) -> Iterator[Self]:
        refuse_other_folder(self._target, META, "store")
        with atomic_folder(self._target) as aside:
            self._folder = aside
            self._tokenizer.save(aside)
            try:
                for name in _STREAMS:
                    self._files[name] = BlockWriter(aside / name)
                yield self
                self.flush()
                self._finish()
            finally:
                for file in self._files.values():
                    file.close()
            self._describe()

    def _finish(self) -> None:
        """Write what closes each file: ends of the offsets, the last bits, the counts."""
        end = (self.num_tokens, self.num_segments, 0, 0, 0, 0)
        self._files["documents.bin"].write(np.array([end], dtype=DOCUMENT))
        self._files["segments.bin"].write(np.array([self.num_tokens], dtype="<i8"))
        self._files["ids_offsets.bin"].write(np.array([self._id_bytes], dtype="<i8"))
        self._files["words.bin"].write(np.packbits(self._bits))
        self._files["counts.bin"].write(self.counts.astype("<i8"))

    def _describe(self) -> None:
        """Write checksums.bin and meta.json."""
        checksums = {name: file.checksums for name, file in self._files.items()}
        for path in sorted(self._folder.glob("*.json")):
            data = path.read_bytes()
            checksums[path.name] = [zlib.crc32(data[start : start + BLOCK]) for start in range(0, len(data), BLOCK)]
        order = sorted(checksums)
        table = np.array([checksum for name in order for checksum in checksums[name]], dtype="<u4").tobytes()
        (self._folder / "checksums.bin").write_bytes(table)
        meta = {
            "format": FORMAT,
            "version": VERSION,
            "tokenizer_hash": self._tokenizer.hash,
            "vocabulary_size": self._tokenizer.vocabulary_size,
            "token_type": self._id_type.name,
            "tokens": self.num_tokens,
            "segments": self.num_segments,
            "documents": self.num_documents,
            "held_out_documents": self.num_held_out,
            "languages": list(self._languages),
            "sources": list(self._sources),
            "block": BLOCK,
            "files": {name: (self._folder / name).stat().st_size for name in order},
            "checksums": zlib.crc32(table),
        }
        write_json(self._folder / META, {**meta, "checksum": _checksum(meta)})


class Store:
    """A store to read from. `Store.open` opens one; nothing is read before it is asked for.

    Attributes:
        folder: where it is.
        num_tokens, num_segments, num_documents, num_held_out: its sizes.
        vocabulary_size, tokenizer_hash: of the tokenizer that its ids come from.
        languages, sources: names of what the documents' columns `language` and `source` number.
    """

    def __init__(self, folder: Path, meta: dict[str, Any], files: dict[str, BlockReader]) -> None:
        self.folder = folder
        self.num_tokens: int = meta["tokens"]
        self.num_segments: int = meta["segments"]
        self.num_documents: int = meta["documents"]
        self.num_held_out: int = meta["held_out_documents"]
        self.vocabulary_size: int = meta["vocabulary_size"]
        self.tokenizer_hash: str = meta["tokenizer_hash"]
        self.languages: list[str] = meta["languages"]
        self.sources: list[str] = meta["sources"]
        self._files = files
        self._tokens = files["tokens.bin"].array(np.dtype(meta["token_type"]).newbyteorder("<"))
        self._token_bytes = self._tokens.itemsize

    @classmethod
    def open(cls, folder: str | Path) -> Self:
        """Open a store.

        Raises:
            UserError: there is none, it was written by another version, its description is damaged, or a file of it is
                missing or has another size.
        """
        folder = Path(folder)
        replaced = folder.with_name(f"{OLD}{folder.name}")
        if not folder.exists() and replaced.exists():  # a crash came while it was being replaced
            os.replace(replaced, folder)
        meta = _read_meta(folder)
        table = folder / "checksums.bin"
        data = table.read_bytes() if table.exists() else b""
        if zlib.crc32(data) != meta["checksums"]:
            raise UserError("the checksums are damaged", file=table, expected="them as written", advice=MAKE_ANEW)
        checksums = np.frombuffer(data, dtype="<u4")
        files: dict[str, BlockReader] = {}
        begin = 0
        for name, size in meta["files"].items():
            count = -(-size // meta["block"])
            files[name] = BlockReader(folder / name, size, meta["block"], checksums[begin : begin + count])
            begin += count
        return cls(folder, meta, files)

    def tokens(self, start: int, stop: int) -> np.ndarray:
        """Ids of tokens start..stop, uint16 or uint32 [stop - start], a view of the file.

        Raises:
            UserError: the block is damaged.
        """
        self._files["tokens.bin"].check(start * self._token_bytes, stop * self._token_bytes)
        return self._tokens[start:stop]

    def begins_word(self, start: int, stop: int) -> np.ndarray:
        """Whether each of the tokens start..stop begins a word, bool [stop - start].

        Raises:
            UserError: the block is damaged.
        """
        first, last = start // 8, -(-stop // 8)
        packed = self._files["words.bin"].read(first, last)
        return np.unpackbits(packed)[start - 8 * first : stop - 8 * first].astype(bool)

    @cached_property
    def documents(self) -> np.ndarray:
        """The documents and the end row, `DOCUMENT` [D + 1]; wholly verified when first asked for."""
        return self._files["documents.bin"].read().view(DOCUMENT)

    @cached_property
    def segment_offsets(self) -> np.ndarray:
        """The token that each segment begins with, and the end, int64 [S + 1]; verified when first asked for."""
        return self._files["segments.bin"].read().view("<i8")

    @cached_property
    def unigram_counts(self) -> np.ndarray:
        """How often each token occurs in the training documents, int64 [V]."""
        return self._files["counts.bin"].read().view("<i8")

    @cached_property
    def unigram_entropy(self) -> float:
        """Entropy of the training tokens in nats: the loss of a model that knows nothing but their frequencies."""
        return entropy(self.unigram_counts)

    def document_id(self, number: int) -> str:
        """The id of the record that a document came from (with its block, where records were cut into blocks)."""
        begin, end = self._files["ids_offsets.bin"].read(8 * number, 8 * number + 16).view("<i8").tolist()
        return self._files["ids.bin"].read(begin, end).tobytes().decode()

    def tokenizer(self) -> Tokenizer:
        """The tokenizer that the ids come from."""
        for name in ("tokenizer.json", "tokenizer_config.json"):
            self._files[name].read()
        return Tokenizer.load(self.folder)

    def added(self, name: str) -> dict[str, Any] | None:
        """What `prepare` added under this name (PAGE, SETTINGS), if it did.

        Raises:
            UserError: it is damaged.
        """
        return json.loads(self._files[name].read().tobytes()) if name in self._files else None

    def verify(self) -> None:
        """Read everything and compare it with the checksums.

        Raises:
            UserError: a block is damaged.
        """
        for file in self._files.values():
            file.verify()


def entropy(counts: np.ndarray) -> float:
    """Entropy in nats of the distribution that counts [V] describe."""
    shares = counts[counts > 0] / counts.sum()
    return float(-(shares * np.log(shares)).sum())


def _checksum(meta: dict[str, Any]) -> int:
    return zlib.crc32(json.dumps(meta, sort_keys=True).encode())


def _read_meta(folder: Path) -> dict[str, Any]:
    """The description of a store, whole and of this version."""
    file = folder / META
    if not file.exists():
        raise UserError(
            "this folder holds no store" if folder.exists() else "there is no store",
            file=folder,
            expected="a folder that `bertwright prepare` wrote",
            advice="make it by: bertwright prepare RECIPE",
        )
    meta = read_json(file)
    checksum = meta.pop("checksum", None) if isinstance(meta, dict) else None
    if checksum is None or checksum != _checksum(meta):
        raise UserError(
            "the description of the store is damaged", file=file, expected="it as written", advice=MAKE_ANEW
        )
    if (meta["format"], meta["version"]) != (FORMAT, VERSION):
        raise UserError(
            f"the store has version {meta['version']}", file=file, expected=f"version {VERSION}", advice=MAKE_ANEW
        )
    return meta
