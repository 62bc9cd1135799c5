"""prepare: from a corpus to a tokenizer and a store.

The corpus is read twice: once to draw the sample that the tokenizer is learnt from, once to be encoded. Both times it
streams; what is in memory at once is the sample, or a few batches of records. Encoding runs on all cores (in the
threads of `tokenizers`) while the next batch is read and the one before is written.
"""

import itertools
import os
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bertwright.alphabet import KINDS
from bertwright.config import CorpusSettings, PretrainRecipe, expand
from bertwright.corpus import Counts, Record, held_out, held_out_hash, read, word_starts
from bertwright.corpus.files import resolve
from bertwright.doctor import store_page
from bertwright.download import checkpoint_folder
from bertwright.errors import UserError
from bertwright.run import refuse_other_folder
from bertwright.store import META, PAGE, SETTINGS, Store, StoreWriter
from bertwright.tokenizer import Tokenizer

Progress = Callable[[str, int, int | None], None]
"""Told how far a stage is: its name, characters done, characters in all if that is known."""

BLOCK_TOKENS = 10_000
"""held_out_by = "block": tokens that are held out, or not, together."""

_BATCH_CHARACTERS = 2**20
_BATCH_SEGMENTS = 2**15
_HUGE_CHARACTERS = 2**22


def prepare(recipe: PretrainRecipe, progress: Progress | None = None) -> dict[str, Any]:
    """Turn the corpus of a recipe into a store with its tokenizer and its data page.

    A store that exists is replaced when the new one is whole, not before.

    Args:
        recipe: what to do; read are `corpus`, `tokenizer`, `store` and, for the page, `model`.
        progress: told how far it is.

    Returns:
        What was made: sizes, counts, seconds of the two stages, and the data page under "page".

    Raises:
        UserError: the recipe has no corpus, a file of it cannot be read, the store's folder holds something else, or
            nothing is left for training or for the held-out part.
    """
    corpus = recipe.corpus
    if corpus is None:
        raise UserError(
            "the recipe has no corpus", expected="a section [corpus] with files", advice='add: [corpus] files = ["..."]'
        )
    assert recipe.store is not None, "a corpus has a store"
    folder = expand(recipe.store)
    _check_folder(folder)
    begin = time.perf_counter()
    tokenizer, characters = _tokenizer(recipe, corpus, progress)
    middle = time.perf_counter()
    counts, report = Counts(), _Reporter(progress, "encoding", characters)
    with StoreWriter(folder, tokenizer) as writer:
        report.tell(0)
        lengths: Counter[int] = Counter()  # tokens -> records with so many
        other_letters = 0
        for record, encoded in _encoded(read(corpus, counts), tokenizer, corpus):
            other_letters += _other_letters(record, tokenizer, recipe.tokenizer.other_letters, corpus)
            lengths[_add(writer, record, encoded, corpus)] += 1
            del record, encoded  # before the next one is read: they may be huge
            report.tell(counts.characters)
        report.end(counts.characters)
        writer.flush()
        _check_split(writer, corpus)
        page = store_page(
            resolve(corpus.files),
            counts,
            lengths,
            writer.counts,
            tokenizer,
            width=recipe.model.width,
            initial_deviation=recipe.model.initial_deviation,
        )
        writer.add_json(PAGE, page)
        writer.add_json(SETTINGS, _settings(recipe))
        result = {
            "store": str(folder),
            **asdict(counts),
            "without_tokens": lengths[0],
            "other_letters": other_letters,
            "documents": writer.num_documents,
            "held_out_documents": writer.num_held_out,
            "segments": writer.num_segments,
            "tokens": writer.num_tokens,
            "training_tokens": int(writer.counts.sum()),
            "vocabulary_size": tokenizer.vocabulary_size,
            "tokenizer_hash": tokenizer.hash,
            "page": page,
        }
    result["seconds"] = {
        "tokenizer": round(middle - begin, 3),
        "encoding": round(time.perf_counter() - middle, 3),
    }
    return result


def check_settings(store: Store, recipe: PretrainRecipe) -> None:
    """See that a store was prepared as its recipe says by now; of files only their names count, they may have moved.

    Raises:
        UserError: the recipe has other settings than the store was prepared with.
    """
    before = store.added(SETTINGS)
    if before is None or recipe.corpus is None:
        return
    now = _settings(recipe)
    if changed := [name for name in sorted(now.keys() | before.keys()) if now.get(name) != before.get(name)]:
        name = changed[0]
        raise UserError(
            f"the recipe has {name} = {now.get(name)!r}, but this store was prepared with {before.get(name)!r}",
            file=store.folder,
            expected="the settings that it was prepared with",
            advice="choose another folder (store=FOLDER), or make this one anew: bertwright prepare RECIPE",
        )


def _settings(recipe: PretrainRecipe) -> dict[str, Any]:
    """What a store depends on: names and values of [corpus] and [tokenizer]."""
    sections = recipe.model_dump(mode="json", include={"corpus", "tokenizer"}, exclude_none=True)
    settings = {f"{section}.{name}": value for section, values in sections.items() for name, value in values.items()}
    settings["corpus.files"] = [Path(each).name for each in sections["corpus"]["files"]]
    if folder := recipe.tokenizer.folder:
        settings["tokenizer.folder"] = Path(folder).name
    return settings


def _other_letters(record: Record, tokenizer: Tokenizer, policy: str, corpus: CorpusSettings) -> int:
    """How many letters of a record are not of the alphabet.

    Raises:
        UserError: there are some, and the recipe refuses them.
    """
    written = record.segments[:1] if corpus.strands == "both" else record.segments  # not the reverse complement, too
    count = sum(map(tokenizer.spelling.others, written))
    if count and policy == "refuse":
        raise UserError(
            f"the sequence {record.id} has {count:,} letters that are not of the alphabet {tokenizer.spelling.letters}",
            file=record.source,
            expected=f"only {KINDS[tokenizer.spelling.letters][0]}",
            advice='correct the sequence, or read other letters as unknown: tokenizer.other_letters="map"',
        )
    return count


class _Reporter:
    """Tells how far a stage is, but not after every record."""

    def __init__(self, progress: Progress | None, stage: str, total: int | None) -> None:
        self._progress, self._stage, self._total = progress, stage, total
        self._next = 0

    def tell(self, done: int) -> None:
        if self._progress is not None and (done >= self._next or done == self._total):
            self._next = done + _BATCH_CHARACTERS
            self._progress(self._stage, done, self._total)

    def end(self, done: int) -> None:
        """Nothing is left, whether or not it was known how much there was."""
        if self._progress is not None:
            self._progress(self._stage, done, done)


def _check_folder(folder: Path) -> None:
    """See that the store can be written, before any work is done for it."""
    refuse_other_folder(folder, META, "store")
    existing = next(parent for parent in folder.absolute().parents if parent.exists())
    if not os.access(existing, os.W_OK):
        raise UserError(
            "nothing can be written into this folder",
            file=existing,
            expected="write permission for the store",
            advice="give it, or choose another folder: store=FOLDER",
        )


# ---------------------------------------------------------------------------------------------- tokenizer


def _tokenizer(
    recipe: PretrainRecipe, corpus: CorpusSettings, progress: Progress | None
) -> tuple[Tokenizer, int | None]:
    """The tokenizer that the recipe names, or one learnt from the training part of the corpus.

    Returns:
        The tokenizer, and the characters in the corpus, if it was read.
    """
    name = recipe.tokenizer.folder or (recipe.start.checkpoint if recipe.start else None)
    folder = checkpoint_folder(expand(name)) if name is not None else None
    if folder is not None and not recipe.tokenizer.added_tokens:
        return Tokenizer.load(folder), None
    counts = Counts()
    texts = _training_texts(corpus, counts, _Reporter(progress, "tokenizer", None))
    if folder is not None:
        tokenizer = Tokenizer.load(folder).extended(texts, recipe.tokenizer)
    else:
        tokenizer = Tokenizer.train(texts, recipe.tokenizer, max_length=recipe.model.max_length)
    return tokenizer, counts.characters


def _training_texts(corpus: CorpusSettings, counts: Counts, report: _Reporter) -> Iterator[str]:
    """The segments of the training part (by blocks, of everything: blocks are cut from ids, which do not exist yet)."""
    for record in read(corpus, counts):
        if corpus.held_out_by == "block" or not held_out(record, corpus):
            yield from record.segments
        report.tell(counts.characters)
    report.end(counts.characters)


# ---------------------------------------------------------------------------------------------- encoding


@dataclass(frozen=True)
class Encoded:
    """A record in tokens."""

    segments: list[np.ndarray]
    """Ids of its segments, [N] each."""
    words: list[np.ndarray] | None
    """Which of them begin a word, bool [N] each; None: the tokenizer tells."""


def _encoded(
    records: Iterator[Record], tokenizer: Tokenizer, corpus: CorpusSettings
) -> Iterator[tuple[Record, Encoded]]:
    """Records in tokens; while one batch is encoded, the next one is read."""
    with ThreadPoolExecutor(max_workers=1) as encoder:
        waiting: deque[tuple[list[Record], Future[list[Encoded]]]] = deque()
        for batch in _batches(records):
            # A single huge record is done with before the next one is read, so that there is never more than one.
            huge = sum(len(text) for record in batch for text in record.segments) > _HUGE_CHARACTERS
            waiting.append((batch, encoder.submit(_encode, batch, tokenizer, corpus)))
            del batch
            while len(waiting) > (0 if huge else 1):
                yield from _results(*waiting.popleft())
        while waiting:
            yield from _results(*waiting.popleft())


def _results(batch: list[Record], encoding: Future[list[Encoded]]) -> Iterator[tuple[Record, Encoded]]:
    yield from zip(batch, encoding.result(), strict=True)


def _encode(batch: list[Record], tokenizer: Tokenizer, corpus: CorpusSettings) -> list[Encoded]:
    """Records in tokens, with their words if the corpus says where they begin."""
    texts = [text for record in batch for text in record.segments]
    if corpus.words == "tokenizer":
        ids = iter(tokenizer.encode_batch(texts))
        return [Encoded([next(ids) for _ in record.segments], None) for record in batch]
    pairs = iter(tokenizer.encode_batch_with_offsets(texts))
    encoded = []
    for record in batch:
        segments = [next(pairs) for _ in record.segments]
        words = _words(record.segments, [offsets for _, offsets in segments], word_starts(record, corpus))
        encoded.append(Encoded([ids for ids, _ in segments], words))
    return encoded


def _words(segments: Sequence[str], offsets: list[np.ndarray], starts: np.ndarray) -> list[np.ndarray]:
    """Which tokens begin a word: those whose first character is of another word than that of the token before.

    Args:
        segments: texts.
        offsets: of the tokens of each, [N, 2].
        starts: where words begin, see `word_starts`.

    Returns:
        For each segment, bool [N].
    """
    found, passed = [], 0
    for segment, places in zip(segments, offsets, strict=True):
        written = np.fromiter((not letter.isspace() for letter in segment), dtype=bool, count=len(segment))
        before = passed + np.cumsum(written) - written
        word = np.searchsorted(starts, before[places[:, 0]], side="right")
        found.append(np.diff(word, prepend=-1) != 0)
        passed += int(written.sum())
    return found


def _batches(records: Iterator[Record]) -> Iterator[list[Record]]:
    """Records in batches of bounded size; a record that exceeds it is a batch by itself."""
    batch: list[Record] = []
    characters = segments = 0
    for record in records:
        batch.append(record)
        characters += sum(map(len, record.segments))
        segments += len(record.segments)
        if characters >= _BATCH_CHARACTERS or segments >= _BATCH_SEGMENTS:
            yield batch
            batch, characters, segments = [], 0, 0
    if batch:
        yield batch


def _add(writer: StoreWriter, record: Record, encoded: Encoded, corpus: CorpusSettings) -> int:
    """Add a record to the store, as one document or as one for each block; returns the number of its tokens."""
    segments, words = encoded.segments, encoded.words
    if corpus.strands == "both" and segments:
        return _add_strands(writer, record, segments, corpus)
    if corpus.held_out_by != "block":
        hidden = held_out(record, corpus)
        return writer.add(record.id, segments, record.language, record.source, held_out=hidden, words=words)
    tokens = 0
    word_blocks = itertools.repeat(None) if words is None else _blocks(words)
    for number, (block, block_words) in enumerate(zip(_blocks(segments), word_blocks, strict=False)):
        name, hidden = f"{record.id}#{number}", _is_hidden(block, corpus)
        tokens += writer.add(name, block, record.language, record.source, held_out=hidden, words=block_words)
    return tokens


def _is_hidden(block: list[np.ndarray], corpus: CorpusSettings) -> bool:
    """Whether a block is held out. The key is the content: a passage that occurs twice is not in both parts."""
    return held_out_hash(np.concatenate(block).tobytes(), corpus.held_out)


def _add_strands(writer: StoreWriter, record: Record, strands: list[np.ndarray], corpus: CorpusSettings) -> int:
    """Add a sequence and its reverse complement, on one side of the split, as a document each.

    A sample that held the end of one and the beginning of the other could be read off its mirror image. Blocks of the
    reverse complement are cut where those of the sequence are, and held out with them.
    """
    forward, reverse = strands
    by_block = corpus.held_out_by == "block"
    if by_block and len(forward) != len(reverse):
        raise UserError(
            f"{record.id} has {len(forward):,} tokens, and its reverse complement {len(reverse):,}: their "
            "blocks cannot be held out together",
            file=record.source,
            expected="as many, as letters and k-mers have",
            advice='tokenizer.letters = "dna", or corpus.held_out_by = "record", or strands = "given"',
        )
    blocks = [block[0] for block in _blocks([forward])] if by_block else [forward]
    ends = np.cumsum([len(block) for block in blocks])
    mirrored = np.split(reverse, len(reverse) - ends[-2::-1])[::-1]
    tokens = 0
    for number, (block, other) in enumerate(zip(blocks, mirrored, strict=True)):
        name = f"{record.id}#{number}" if by_block else record.id
        hidden = _is_hidden([block], corpus) if by_block else held_out(record, corpus)
        for strand, ids in ((name, block), (f"{name}/reverse", other)):
            tokens += writer.add(strand, [ids], record.language, record.source, held_out=hidden)
    return tokens


def _blocks(segments: list[np.ndarray]) -> Iterator[list[np.ndarray]]:
    """Cut segments (ids, or what goes with them) into blocks of exactly `BLOCK_TOKENS` (the last one is shorter)."""
    block: list[np.ndarray] = []
    room = BLOCK_TOKENS
    for segment in segments:
        rest = segment
        while len(rest) >= room:
            yield [*block, rest[:room]]
            block, rest, room = [], rest[room:], BLOCK_TOKENS
        if len(rest):
            block.append(rest)
            room -= len(rest)
    if block:
        yield block


def _check_split(writer: StoreWriter, corpus: CorpusSettings) -> None:
    """See that both parts hold something."""
    if writer.num_documents == 0:
        raise UserError("no record gave a token", expected="text that the tokenizer knows", advice="check corpus.files")
    if 0 < writer.num_held_out < writer.num_documents:
        return
    what = {"record": "documents", "block": "blocks", "column": "documents"}[corpus.held_out_by]
    num, share = writer.num_documents, corpus.held_out
    if writer.num_held_out:
        raise UserError(
            f"all {num:,} {what} fell into the held-out part (corpus.held_out = {share}): nothing is left to train on",
            expected="documents in both parts",
            advice="lower corpus.held_out, or add text",
        )
    enough = min(0.5, max(2 * share, round(5 / num, 2)))
    raise UserError(
        f"none of the {num:,} {what} fell into the held-out part (corpus.held_out = {share}): there is nothing to "
        "measure the loss on",
        expected="documents in both parts: each is drawn by a hash with this probability",
        advice=f"set corpus.held_out={enough}, or add text"
        + ('; few and long records: corpus.held_out_by="block"' if corpus.held_out_by == "record" else ""),
    )
