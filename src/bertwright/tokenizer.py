"""From text to token ids and back, in bounded memory, exactly as `transformers` does it with the same folder.

A tokenizer is one tokenizer.json (Hugging Face `tokenizers`) with a tokenizer_config.json beside it; this module adds
what training needs: long texts are encoded piece by piece, and every token knows whether it begins a word.

`tokenizers` takes some 100 bytes of memory per token while it encodes, so a text of 50 MB must not go through in one
piece. It is cut where no token can reach across: before white space, and where there is none, at the beginning of a
word as the tokenizer itself cuts words. The ids are those of the whole text.

Characters need no such machinery: a table from code points to ids encodes them by numpy, some hundred times faster.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import numpy as np
import tokenizers
from tokenizers import PreTokenizedString, normalizers

from bertwright.alphabet import Alphabet
from bertwright.config import TokenizerSettings
from bertwright.edges import CHINESE, WITHIN, WORD, edges
from bertwright.errors import require_whole_characters
from bertwright.run import write_json, write_text
from bertwright.tokenizer_folder import read_folder
from bertwright.vocabulary import SPACE, SPECIAL_TOKENS, extend, learn

_PIECE = 2**14
"""Characters that a longer text is cut into."""

_BATCH = 2**17
"""Characters that are encoded at once: enough to keep the cores busy, and still in the processor's cache."""

_WINDOW = 2**20
"""characters: characters that the table is applied to at once."""

_SPACES = re.compile(r"(?<=\S)(?=[ \t\n])")
"""Where every kind of tokenizer begins a new word (white space goes with what follows it, or is dropped)."""

_LOOK_AHEAD = 8
"""Characters after a word that its end may depend on, at most (in BPE_WORDS: three)."""

_BETWEEN_CHINESE = re.compile(f"(?<=[{CHINESE}\u3000-\u303f\uff00-\uffef]) (?=[{CHINESE}\u3000-\u303f\uff00-\uffef])")


class Tokenizer:
    """Text to ids and back.

    Attributes:
        kind: wordpiece, bpe, characters or symbols, or unigram (SentencePiece's, which others train).
        vocabulary_size: number of ids.
        pad_id, unk_id, cls_id, sep_id, mask_id: the special tokens.
        frame: how two texts are framed: how many separators stand between them, and the segment of the second one.
        special_ids: ids of all special tokens, sorted.
        max_length: longest sequence that its model can take, special tokens included; None if that is open.
        hash: identifies the tokenizer: BLAKE2b of tokenizer.json's text.
        spelling: how text becomes symbols before all this.
    """

    def __init__(
        self,
        text: str,
        kind: str,
        names: dict[str, str] | None = None,
        max_length: int | None = None,
        spelling: Alphabet | None = None,
    ) -> None:
        self._text = text
        self.spelling = spelling or Alphabet()
        self._names = names or SPECIAL_TOKENS
        self._tokenizer = tokenizers.Tokenizer.from_str(text)
        self.kind, self.max_length = kind, max_length
        vocabulary = self._tokenizer.get_vocab()
        self.vocabulary_size = max(vocabulary.values()) + 1
        self.pad_id, self.unk_id, self.cls_id, self.sep_id, self.mask_id = (
            vocabulary[self._names[role]] for role in SPECIAL_TOKENS
        )
        added = self._tokenizer.get_added_tokens_decoder().items()
        special = {number: token.content for number, token in added if token.special}
        special |= {vocabulary[name]: name for name in self._names.values()}
        self.frame = self._frame()
        self.special_ids = np.array(sorted(special), dtype=np.int64)
        longest_first = sorted(special.values(), key=len, reverse=True)
        self._special = re.compile("(" + "|".join(map(re.escape, longest_first)) + ")")
        self._tokens = [f"[unused{number}]" for number in range(self.vocabulary_size)]
        for token, number in vocabulary.items():
            self._tokens[number] = token
        self._begins, self._ends = edges(self._tokens, kind, special)
        self._table = _character_table(vocabulary, self.unk_id) if kind == "characters" else None
        whole = text if self.spelling.is_plain else text + json.dumps(self.spelling.described())
        self.hash = hashlib.blake2b(whole.encode(), digest_size=16).hexdigest()

    @property
    def alphabet(self) -> dict[str, Any]:
        """How text becomes symbols, for bertwright.json."""
        return {"kind": self.kind, **({} if self.spelling.is_plain else self.spelling.described())}

    @classmethod
    def train(cls, texts: Iterable[str], settings: TokenizerSettings, max_length: int | None = None) -> Self:
        """Learn a tokenizer. The same texts give the same tokenizer.

        Args:
            texts: read once, in a stream; memory is bounded by `settings.sample_megabytes`.
            settings: kind, size and so on.
            max_length: longest sequence that its model can take.

        Raises:
            UserError: there is no text, or the vocabulary has no room for the alphabet.
        """
        spelling = Alphabet(settings.letters, settings.kmer, settings.stride)
        learnt = learn(map(spelling.spell, texts), settings).to_str(pretty=True)
        return cls(learnt, settings.kind, max_length=max_length, spelling=spelling)

    def extended(self, texts: Iterable[str], settings: TokenizerSettings) -> "Tokenizer":
        """This tokenizer with tokens added that are frequent in texts; all ids that it has stay the same.

        Args:
            texts: read once, in a stream.
            settings: how many are added at most, how often they must occur, how much text is looked at.

        Raises:
            UserError: it is of bytes, to which no words can be added.
        """
        text = extend(self._text, self.kind, map(self.spelling.spell, texts), settings)
        return Tokenizer(text, self.kind, self._names, self.max_length, self.spelling)

    @classmethod
    def load(cls, folder: str | Path) -> Self:
        """Load the tokenizer of a checkpoint or store, ours or one that `transformers` wrote.

        Raises:
            UserError: tokenizer.json is missing or damaged, of a kind that is not supported, or has no special tokens
                for BERT's roles.
        """
        return cls(*read_folder(Path(folder)))

    def _frame(self) -> tuple[int, int]:
        """Separators between two texts, and the segment of the second one: 1 and 1 in BERT, 2 and 0 in RoBERTa."""
        framed = self._tokenizer.encode("a", "a")
        if self._tokenizer.post_processor is None or self.sep_id not in framed.ids:
            return 1, 1
        text, separators = framed.sequence_ids, np.array(framed.ids) == self.sep_id
        begin, end = text.index(0), text.index(1)
        return int(separators[begin:end].sum()), framed.type_ids[end]

    def save(self, folder: str | Path) -> None:
        """Write tokenizer.json and tokenizer_config.json; `transformers` then gives the same ids by AutoTokenizer."""
        write_text(Path(folder) / "tokenizer.json", self._text)
        configuration: dict[str, Any] = {
            # This class takes tokenizer.json as it is; BertTokenizer would build a WordPiece tokenizer of its own.
            "tokenizer_class": "PreTrainedTokenizerFast",
            **{f"{role}_token": name for role, name in self._names.items()},
            "clean_up_tokenization_spaces": False,
            "model_input_names": ["input_ids", "token_type_ids", "attention_mask"],
        }
        if self.max_length is not None:
            configuration["model_max_length"] = self.max_length
        if not self.spelling.is_plain:
            configuration["alphabet"] = self.spelling.described()
        write_json(Path(folder) / "tokenizer_config.json", configuration)

    def encode(self, text: str) -> np.ndarray:
        """Ids of a text without special tokens around it, int32 [N]."""
        return self.encode_batch([text])[0]

    def encode_batch(self, texts: Sequence[str]) -> list[np.ndarray]:
        """Ids of texts of any length, without special tokens around them.

        A special token that stands in a text, such as [MASK], becomes its id, as with `transformers`.

        Returns:
            For each text, int32 [N].

        Raises:
            UserError: a text holds half a surrogate pair.
        """
        with _halves_refused(texts):
            texts = [self._spelt(text) for text in texts]
            if self._table is not None:
                return [self._encode_characters(text, self._table) for text in texts]
            encoded: list[list[np.ndarray]] = [[] for _ in texts]
            for group in _groups(self._all_pieces(texts)):
                pieces = [piece for _, _, piece in group]
                encodings = self._tokenizer.encode_batch_fast(pieces, add_special_tokens=False)
                for (number, _, _), encoding in zip(group, encodings, strict=True):
                    encoded[number].append(np.array(encoding.ids, dtype=np.int32))
            return [_joined(parts) for parts in encoded]

    def encode_batch_with_offsets(self, texts: Sequence[str]) -> list[tuple[np.ndarray, np.ndarray]]:
        """Like `encode_batch`, slower, with the place of every token in its text.

        Returns:
            For each text its ids, int32 [N], and the characters that each token stands for, int32 [N, 2]: the first one
            and the end. A token of bytes within a character stands for all of it, SentencePiece's mark of a space by
            itself for none.
        """
        if not self.spelling.is_plain and self.kind != "bpe":  # a symbol is a token
            spelt = zip(self.encode_batch(texts), texts, strict=True)
            return [(ids, self._symbol_offsets(text)) for ids, text in spelt]
        with _halves_refused(texts):
            if self._table is not None:
                ids = [self._encode_characters(text, self._table) for text in texts]
                return [(each, self._character_offsets(text)) for each, text in zip(ids, texts, strict=True)]
            encoded: list[list[np.ndarray]] = [[] for _ in texts]
            offsets: list[list[np.ndarray]] = [[] for _ in texts]
            for group in _groups(self._all_pieces([self._spelt(text) for text in texts])):
                pieces = [piece for _, _, piece in group]
                encodings = self._tokenizer.encode_batch(pieces, add_special_tokens=False)
                for (number, begin, _), encoding in zip(group, encodings, strict=True):
                    encoded[number].append(np.array(encoding.ids, dtype=np.int32))
                    offsets[number].append(np.array(encoding.offsets, dtype=np.int32).reshape(-1, 2) + begin)
            pairs = [(_joined(ids), _joined(places)) for ids, places in zip(encoded, offsets, strict=True)]
            if not self.spelling.is_plain:
                return [(ids, self._in_letters(text, places)) for text, (ids, places) in zip(texts, pairs, strict=True)]
            if self.kind != "unigram":
                return pairs
            # Before the first word of a text the mark claims this word's first character.
            mark = self._tokenizer.token_to_id(SPACE)
            return [(ids, np.where((ids == mark)[:, None], places[:, :1], places)) for ids, places in pairs]

    def tokens(self, ids: np.ndarray | Sequence[int]) -> list[str]:
        """The tokens of ids, as they stand in the vocabulary."""
        return [self._tokens[number] for number in np.asarray(ids).tolist()]

    def readable(self, ids: np.ndarray | Sequence[int]) -> list[str]:
        """The tokens of ids as people read them: as `tokens`, but the bytes of bpe as the characters that they are."""
        if self.kind != "bpe":
            return self.tokens(ids)
        return [self.decode([number]) for number in np.asarray(ids).tolist()]

    def decode(self, ids: np.ndarray | Sequence[int]) -> str:
        """The text of ids, special tokens included; for wordpiece without spaces between Chinese characters."""
        text = self._tokenizer.decode(np.asarray(ids).tolist(), skip_special_tokens=False)
        return _BETWEEN_CHINESE.sub("", text) if self.kind == "wordpiece" else text

    def begins_word(self, ids: np.ndarray) -> np.ndarray:
        """Which tokens begin a word; the first one always does.

        wordpiece: those without "##". symbols: all. characters: all but letters and digits (with the marks on them)
        after such; every Chinese character is a word. bpe: by the same rule, applied to the first character of a token
        and the last one of the token before; a token that begins within a character goes on with a word. Of an alphabet
        of DNA or the like every symbol is one.

        Args:
            ids: [N].

        Returns:
            bool [N].
        """
        ids = np.asarray(ids)
        if not self.spelling.is_plain:
            return np.ones(len(ids), dtype=bool)
        begins = self._begins[ids]
        continues = begins == WITHIN
        continues[1:] |= (begins[1:] == WORD) & (self._ends[ids[:-1]] == WORD)
        continues[:1] = False
        return ~continues

    # ------------------------------------------------------------------------------------------ alphabets

    def _spelt(self, text: str) -> str:
        """A text in its alphabet; special tokens stay as they are."""
        if self.spelling.is_plain:
            return text
        spelt = [
            part if place % 2 else self.spelling.spell(part) for place, part in enumerate(self._special.split(text))
        ]
        return (" " if self.spelling.length > 1 else "").join(filter(None, spelt))

    def _symbol_offsets(self, text: str) -> np.ndarray:
        """As `encode_batch_with_offsets`, of an alphabet, in which a symbol is a token."""
        found, place = [], 0
        for number, part in enumerate(self._special.split(text)):
            found.append((np.array([[0, len(part)]]) if number % 2 else self.spelling.places(part)) + place)
            place += len(part)
        return np.concatenate(found).astype(np.int32)

    def _in_letters(self, text: str, places: np.ndarray) -> np.ndarray:
        """Places in a text of an alphabet, of what stands at places in the same text spelt: [N, 2] -> int32 [N, 2]."""
        parts = enumerate(self._special.split(text))
        sizes = [[len(part)] if place % 2 else [1] * len(self.spelling.spell(part)) for place, part in parts]
        letters = np.repeat(self._symbol_offsets(text), np.concatenate(sizes).astype(np.int64), axis=0)
        return np.stack([letters[places[:, 0], 0], letters[places[:, 1] - 1, 1]], axis=1)

    # ------------------------------------------------------------------------------------------ long texts

    def _encode_characters(self, text: str, table: np.ndarray) -> np.ndarray:
        lowercase = isinstance(self._tokenizer.normalizer, normalizers.Sequence)
        parts = []
        for part in self._special.split(text):
            if self._special.fullmatch(part):
                parts.append(np.array([self._tokenizer.token_to_id(part)], dtype=np.int32))
                continue
            for start in range(0, len(part), _WINDOW):
                window = part[start : start + _WINDOW]
                if lowercase:
                    window = normalizers.Lowercase().normalize_str(window)
                parts.append(table[np.frombuffer(window.encode("utf-32-le"), dtype=np.uint32)])
        return parts[0] if len(parts) == 1 else np.concatenate([np.empty(0, dtype=np.int32), *parts])

    def _character_offsets(self, text: str) -> np.ndarray:
        """As `encode_batch_with_offsets`, of a tokenizer of characters."""
        begins, ends, place = [], [], 0
        for part in self._special.split(text):
            if self._special.fullmatch(part):
                begins.append(np.array([place]))
                ends.append(np.array([place + len(part)]))
            else:
                characters = np.arange(place, place + len(part))
                if isinstance(self._tokenizer.normalizer, normalizers.Sequence):  # a few become two in lower case
                    lowercase = normalizers.Lowercase()
                    characters = np.repeat(characters, [len(lowercase.normalize_str(letter)) for letter in part])
                begins.append(characters)
                ends.append(characters + 1)
            place += len(part)
        return np.stack([np.concatenate(begins), np.concatenate(ends)], axis=1).astype(np.int32)

    def _all_pieces(self, texts: Sequence[str]) -> Iterator[tuple[int, int, str]]:
        """The pieces of all texts: the text's number, the place in it where the piece begins, and the piece."""
        for number, text in enumerate(texts):
            for begin, piece in self._pieces(text):
                yield number, begin, piece

    def _pieces(self, text: str) -> Iterator[tuple[int, str]]:
        """Cut a long text into pieces whose ids, joined, are those of the text; with the place where each begins."""
        if len(text) <= _PIECE:
            yield 0, text
            return
        place = 0
        for part in self._special.split(text):  # special tokens may stand anywhere: nothing may cut through them
            start = 0
            while len(part) - start > _PIECE:
                space = _SPACES.search(part, start + _PIECE // 2, start + _PIECE)
                if space:
                    yield place + start, part[start : space.start()]
                    start = space.start()
                else:
                    end, next_start = self._word_start(part, start)
                    yield place + start, part[start:end]
                    start = next_start
            yield place + start, part[start:]
            place += len(part)

    def _word_start(self, text: str, start: int) -> tuple[int, int]:
        """Where to cut a text without white space, asking the tokenizer for words.

        Args:
            text: a long text.
            start: the beginning of a word in it.

        Returns:
            The end of the piece that begins at `start`, and where the next one begins: that is the same place, except
            after a word so long that it is unknown, of which the beginning stands for all.
        """
        if self.kind == "unigram":  # its best cut of a word depends on the whole word
            space = _SPACES.search(text, start + _PIECE)
            end = space.start() if space else len(text)
            return end, end
        size = _PIECE
        while start + size < len(text):
            words = self._words(text[start : start + size])
            cuts = [begin for _, begin in words if 0 < begin <= size - _LOOK_AHEAD]
            if cuts:
                return start + cuts[-1], start + cuts[-1]
            if self.kind != "bpe" and len(words) == 1 and len(words[0][0]) > _PIECE // 2:
                return start + size, self._word_end(text, start + size)
            size *= 2
        return len(text), len(text)

    def _word_end(self, text: str, start: int) -> int:
        """Where the word ends that a place in a text is in the middle of."""
        while start < len(text):
            words = self._words("a" + text[start : start + _PIECE])  # a letter, for the word to go on from
            if len(words) > 1:
                return start + words[1][1] - 1
            start += _PIECE
        return len(text)

    def _words(self, text: str) -> list[tuple[str, int]]:
        """The words of a text as the tokenizer cuts them: each normalised, with the place where it begins."""
        parts = PreTokenizedString(text)
        if (normalizer := self._tokenizer.normalizer) is not None:
            parts.normalize(normalizer.normalize)
        self._tokenizer.pre_tokenizer.pre_tokenize(parts)
        return [(word, begin) for word, (begin, _), _ in parts.get_splits("original", "char")]


def _joined(parts: list[np.ndarray]) -> np.ndarray:
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def _groups(pieces: Iterable[tuple[int, int, str]]) -> Iterator[list[tuple[int, int, str]]]:
    """Collect pieces up to `_BATCH` characters."""
    group: list[tuple[int, int, str]] = []
    size = 0
    for piece in pieces:
        group.append(piece)
        size += len(piece[2])
        if size >= _BATCH:
            yield group
            group, size = [], 0
    if group:
        yield group


def _character_table(vocabulary: dict[str, int], unknown: int) -> np.ndarray:
    """Id of every code point, int32 [0x110000]; the space has the id of its visible token."""
    table = np.full(0x110000, unknown, dtype=np.int32)
    for token, number in vocabulary.items():
        if len(token) == 1:
            table[ord(token)] = number
    table[ord(" ")] = table[ord(SPACE)]
    return table


@contextmanager
def _halves_refused(texts: Sequence[str]) -> Iterator[None]:
    """Raise a UserError if a text holds half a surrogate pair: bytes that were no UTF-8, or a character cut in two."""
    try:
        yield
    except (TypeError, UnicodeEncodeError):  # what the libraries raise for it
        for text in texts:
            require_whole_characters(text, f"{text[:40]!a}")
        raise
