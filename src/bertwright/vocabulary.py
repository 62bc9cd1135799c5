"""How a tokenizer is learnt from text: what is sampled, which alphabet is kept, which pieces are merged.

Memory is bounded by the sample, and the same text gives the same tokenizer in every process. Neither comes by itself:
the trainers of `tokenizers` keep every different word with all its symbols (one endless line would be one such word),
and they number the continuing pieces ("##a") in the order of a hash table, which differs from process to process and
decides ties between merges. So words are bounded here, and the alphabet is counted and numbered beforehand.
"""

import json
import random
import re
from collections import Counter
from collections.abc import Iterable, Iterator

import numpy as np
import tokenizers
from tokenizers import Regex, decoders, models, normalizers, pre_tokenizers, processors, trainers

from bertwright.alphabet import KINDS
from bertwright.config import TokenizerSettings
from bertwright.errors import UserError

SPECIAL_TOKENS = {"pad": "[PAD]", "unk": "[UNK]", "cls": "[CLS]", "sep": "[SEP]", "mask": "[MASK]"}
"""The special tokens of a trained tokenizer by their role, in the order of their ids, from 0."""

ROBERTA_TOKENS = {"pad": "<pad>", "unk": "<unk>", "cls": "<s>", "sep": "</s>", "mask": "<mask>"}
"""The same in RoBERTa and XLM-R."""

CONTINUATION = "##"
"""wordpiece: what a piece that goes on with a word begins with."""

SPACE = "▁"
"""characters: the token of the space."""

LONGEST_WORD = 100
"""wordpiece: a word of more characters is unknown as a whole, as in BERT."""

BPE_WORDS = (
    r"'(?:[sdmt]|ll|ve|re)| ?[\p{L}\p{M}]{1,256}| ?\p{N}{1,256}| ?[^\s\p{L}\p{M}\p{N}]{1,256}|\s{1,256}(?!\S)|\s{1,256}"
)
"""bpe: the words that are encoded one by one: GPT-2's, except that none is longer than 256 characters and that marks
belong to their letters. Without the bound, a line without spaces would be one word, and cost time and memory
accordingly."""

_SAMPLE_PIECE = 4096
"""Characters that are sampled as one, at most: a single long line is sampled all over, too."""

_SYMBOL_BUDGET = 6_000_000
"""Symbols in different words that a trainer is given, at most: it takes about 90 bytes for each."""


def learn(texts: Iterable[str], settings: TokenizerSettings) -> tokenizers.Tokenizer:
    """Learn a tokenizer from a bounded sample of texts.

    Args:
        texts: any number of texts of any length; they are read once, and at most `settings.sample_megabytes` are kept.
        settings: kind, size and so on.

    Raises:
        UserError: there is no text, nothing in it occurs often enough, or the vocabulary has no room for the bytes.
    """
    pieces = sample(texts, settings.sample_megabytes)
    if not any(piece.strip() for piece in pieces):
        raise UserError(
            "there is no text to learn a tokenizer from",
            expected="at least one record with text in the training part",
            advice="check corpus.files and corpus.held_out",
        )
    learners = {"wordpiece": _wordpiece, "bpe": _bpe, "characters": _characters, "symbols": _symbols}
    learnt = learners[settings.kind](pieces, settings)
    learnt.add_special_tokens(list(SPECIAL_TOKENS.values()))
    ids = {name: number for number, name in enumerate(SPECIAL_TOKENS.values())}
    learnt.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", ids["[CLS]"]), ("[SEP]", ids["[SEP]"])],
    )
    return learnt


def extend(specification: str, kind: str, texts: Iterable[str], settings: TokenizerSettings) -> str:
    """Add tokens to a tokenizer: the most frequent words, characters or symbols that it has no token for.

    Args:
        specification: its tokenizer.json.
        kind: wordpiece, characters or symbols.
        texts: read once; at most `settings.sample_megabytes` are kept.
        settings: how many are added at most, and how often they must occur.

    Returns:
        The tokenizer.json with them; they have the next ids, the most frequent one first.

    Raises:
        UserError: the kind is bpe.
    """
    if kind in ("bpe", "unigram"):
        raise UserError(
            f"tokens cannot be added to a tokenizer of kind {kind}: its pieces are learnt together",
            expected="a tokenizer of kind wordpiece, characters or symbols",
            advice="leave tokenizer.added_tokens out; it has no unknown words",
        )
    loaded = tokenizers.Tokenizer.from_str(specification)
    vocabulary = loaded.get_vocab()
    counts: Counter[str] = Counter()
    for piece in sample(texts, settings.sample_megabytes):
        normalized = loaded.normalizer.normalize_str(piece) if loaded.normalizer is not None else piece
        counts.update(word for word, _ in loaded.pre_tokenizer.pre_tokenize_str(normalized) if word not in vocabulary)
    longest = LONGEST_WORD if kind == "wordpiece" else max(map(len, counts), default=0)
    wanted = [word for word, count in counts.items() if count >= settings.minimum_frequency and len(word) <= longest]
    wanted.sort(key=lambda word: (-counts[word], word))
    values = json.loads(specification)
    begin = max(vocabulary.values()) + 1
    for number, word in enumerate(wanted[: settings.added_tokens], start=begin):
        values["model"]["vocab"][word] = number
    return json.dumps(values, ensure_ascii=False, indent=2)


def sample(texts: Iterable[str], megabytes: float) -> list[str]:
    """Draw pieces of texts evenly, at most so many megabytes, without knowing how much text will come.

    Every piece draws a number, and those with a number below a threshold are kept; when they get too many, the
    threshold sinks. The draw depends on the order of the pieces alone.
    """
    draw = random.Random(0)
    kept: list[tuple[float, int, str]] = []  # number drawn, bytes, piece
    threshold, size, limit = 1.0, 0, megabytes * 1e6
    for piece in (piece for text in texts for piece in _cut(text)):
        number = draw.random()
        if number >= threshold:
            continue
        length = len(piece.encode())
        kept.append((number, length, piece))
        size += length
        while size > limit:
            threshold *= 0.8
            kept = [entry for entry in kept if entry[0] < threshold]
            size = sum(entry[1] for entry in kept)
    return [piece for _, _, piece in kept]


def _cut(text: str) -> Iterator[str]:
    """Cut a text into pieces to sample from, between words where that is possible."""
    start = 0
    while len(text) - start > _SAMPLE_PIECE:
        space = text.rfind(" ", start + _SAMPLE_PIECE // 2, start + _SAMPLE_PIECE)
        end = space if space >= 0 else start + _SAMPLE_PIECE
        yield text[start:end]
        start = end
    yield text[start:]


# ---------------------------------------------------------------------------------------------- the four kinds


def _wordpiece(pieces: list[str], settings: TokenizerSettings) -> tokenizers.Tokenizer:
    """BERT's: words, punctuation and Chinese characters apart; words from pieces, the continuing ones marked."""
    normalizer = normalizers.BertNormalizer(
        clean_text=True, handle_chinese_chars=True, strip_accents=settings.lowercase, lowercase=settings.lowercase
    )
    words = pre_tokenizers.BertPreTokenizer()
    pieces = _thin([normalizer.normalize_str(piece) for piece in pieces], words)
    alphabet, continuing, alone = _wordpiece_alphabet(pieces, words, settings)
    known = [*SPECIAL_TOKENS.values(), *sorted(alphabet), *sorted(CONTINUATION + character for character in continuing)]
    # Longer words are never encoded: learning from them would only fill the vocabulary and the memory.
    too_long = re.compile(f"[^\\s{re.escape(alone)}]{{{LONGEST_WORD + 1},}}")
    trainer = trainers.WordPieceTrainer(
        vocab_size=settings.vocabulary_size,
        min_frequency=settings.minimum_frequency,
        special_tokens=known,  # the trainer gives these their ids first: so they do not depend on chance
        initial_alphabet=sorted(alphabet),
        limit_alphabet=len(alphabet),
        continuing_subword_prefix=CONTINUATION,
        show_progress=False,
    )
    training = tokenizers.Tokenizer(models.WordPiece(unk_token="[UNK]"))
    training.pre_tokenizer = words
    training.train_from_iterator((too_long.sub(" ", piece) for piece in pieces), trainer)
    learnt = tokenizers.Tokenizer(
        models.WordPiece(
            training.get_vocab(with_added_tokens=False),
            unk_token="[UNK]",
            max_input_chars_per_word=LONGEST_WORD,
            continuing_subword_prefix=CONTINUATION,
        )
    )
    learnt.normalizer, learnt.pre_tokenizer = normalizer, words
    learnt.decoder = decoders.WordPiece(prefix=CONTINUATION, cleanup=False)
    return learnt


def _wordpiece_alphabet(
    pieces: list[str], words: pre_tokenizers.BertPreTokenizer, settings: TokenizerSettings
) -> tuple[set[str], set[str], str]:
    """Count characters: alone or at the beginning of a word, and within a word.

    Returns:
        The characters to keep, the most frequent ones that there is room for; those of them that words go on with; all
        characters that are words by themselves (punctuation, Chinese characters).
    """
    counts = np.zeros(0x110000, dtype=np.int64)
    within = np.zeros(0x110000, dtype=np.int64)
    joins = np.zeros(0x110000, dtype=bool)
    asked = np.zeros(0x110000, dtype=bool)
    for piece in pieces:
        points = np.frombuffer(piece.encode("utf-32-le"), dtype=np.uint32)
        for point in np.unique(points[~asked[points]]):
            character = chr(point)
            joins[point] = not character.isspace() and len(words.pre_tokenize_str(f"a{character}a")) == 1
            asked[point] = True
        np.add.at(counts, points, 1)
        np.add.at(within, points[1:][joins[points[1:]] & joins[points[:-1]]], 1)
    characters = [chr(point) for point in np.flatnonzero(counts) if not chr(point).isspace()]
    room = settings.vocabulary_size - len(SPECIAL_TOKENS)
    alphabet: set[str] = set()
    for character in sorted(characters, key=lambda character: (-counts[ord(character)], character)):
        room -= 1 + int(within[ord(character)] > 0)
        if room < 0 or counts[ord(character)] < settings.minimum_frequency:
            break
        alphabet.add(character)
    continuing = {character for character in alphabet if within[ord(character)]}
    return alphabet, continuing, "".join(character for character in characters if not joins[ord(character)])


def _bpe(pieces: list[str], settings: TokenizerSettings) -> tokenizers.Tokenizer:
    """Byte-pair encoding over UTF-8 bytes, or over the letters of an alphabet: nothing is unknown."""
    alphabet = sorted("".join(KINDS.get(settings.letters, pre_tokenizers.ByteLevel.alphabet())))
    if settings.vocabulary_size < len(alphabet) + len(SPECIAL_TOKENS):
        raise UserError(
            f"a vocabulary of {settings.vocabulary_size} has no room for all bytes",
            expected=f"tokenizer.vocabulary_size of {len(alphabet) + len(SPECIAL_TOKENS)} or more for bpe",
            advice='raise it, or take kind = "characters"',
        )
    learnt = tokenizers.Tokenizer(models.BPE(unk_token="[UNK]"))
    _keep_text(learnt, settings)
    learnt.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(BPE_WORDS), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    learnt.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=settings.vocabulary_size,
        min_frequency=settings.minimum_frequency,
        special_tokens=list(SPECIAL_TOKENS.values()),
        initial_alphabet=alphabet,
        show_progress=False,
    )
    learnt.train_from_iterator(_thin(pieces, learnt.pre_tokenizer), trainer)
    return learnt


def _characters(pieces: list[str], settings: TokenizerSettings) -> tokenizers.Tokenizer:
    """A token a character; the space has a token that can be seen."""
    space = normalizers.Replace(" ", SPACE)
    normalizer = normalizers.Sequence([normalizers.Lowercase(), space]) if settings.lowercase else space
    counts: Counter[str] = Counter()
    for piece in pieces:
        counts.update(normalizer.normalize_str(piece))
    learnt = tokenizers.Tokenizer(models.WordLevel(_most_frequent(counts, settings), unk_token="[UNK]"))
    learnt.normalizer = normalizer
    learnt.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\s\S]"), behavior="isolated")
    learnt.decoder = decoders.Sequence([decoders.Replace(SPACE, " "), decoders.Fuse()])
    return learnt


def _symbols(pieces: list[str], settings: TokenizerSettings) -> tokenizers.Tokenizer:
    """A token for every run without white space."""
    counts: Counter[str] = Counter()
    for piece in pieces:
        counts.update((normalizers.Lowercase().normalize_str(piece) if settings.lowercase else piece).split())
    learnt = tokenizers.Tokenizer(models.WordLevel(_most_frequent(counts, settings), unk_token="[UNK]"))
    _keep_text(learnt, settings)
    learnt.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return learnt


def _keep_text(learnt: tokenizers.Tokenizer, settings: TokenizerSettings) -> None:
    """Leave the text as it is, unless lower case was asked for."""
    if settings.lowercase:
        learnt.normalizer = normalizers.Lowercase()


def _most_frequent(counts: Counter[str], settings: TokenizerSettings) -> dict[str, int]:
    """A vocabulary: special tokens first, then the most frequent symbols, ties in the order of their code points."""
    for name in SPECIAL_TOKENS.values():
        counts.pop(name, None)
    frequent = [symbol for symbol, count in counts.items() if count >= settings.minimum_frequency]
    if not frequent:
        raise UserError(
            f"no {settings.kind} of the text occur {settings.minimum_frequency} times: all of it would be unknown",
            expected='text in which they come again (kind = "symbols": what stands between spaces)',
            advice='lower tokenizer.minimum_frequency, or take kind = "characters" for text without spaces',
        )
    frequent.sort(key=lambda symbol: (-counts[symbol], symbol))
    names = [*SPECIAL_TOKENS.values(), *frequent[: settings.vocabulary_size - len(SPECIAL_TOKENS)]]
    return {name: number for number, name in enumerate(names)}


def _thin(pieces: list[str], words: pre_tokenizers.PreTokenizer) -> list[str]:
    """Leave pieces out, evenly, where so many different words would come together that the trainer grew too large.

    The share of text in words not met before is taken from the first megabyte; in more text it can only be smaller.
    """
    read = sum(len(piece.encode()) for piece in pieces)
    if read <= _SYMBOL_BUDGET:
        return pieces
    different: set[str] = set()
    symbols = 0
    for piece in pieces:
        for word, _ in words.pre_tokenize_str(piece):
            symbols += len(word)
            different.add(word)
        if symbols > 1_000_000:
            break
    new = sum(map(len, different)) / max(symbols, 1)
    share = _SYMBOL_BUDGET / max(new * read, 1)
    if share >= 1:
        return pieces
    return [piece for number, piece in enumerate(pieces) if int((number + 1) * share) > int(number * share)]
