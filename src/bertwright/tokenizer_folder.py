"""Folders with a tokenizer, ours or other people's: which files it is made of, its kind, its special tokens."""

import json
from pathlib import Path
from typing import Any

import tokenizers

from bertwright.alphabet import Alphabet
from bertwright.errors import UserError
from bertwright.run import read_json
from bertwright.vocabulary import CONTINUATION, ROBERTA_TOKENS, SPACE, SPECIAL_TOKENS


def read_folder(folder: Path) -> tuple[str, str, dict[str, str], int | None, Alphabet | None]:
    """The tokenizer of a folder.

    Returns:
        Its tokenizer.json, without truncation and padding; its kind; the names of the special tokens by their role; and
        the longest sequence that its model can take, or None; and how text is spelt before, or None.

    Raises:
        UserError: the files are missing or damaged, of a kind that is not supported, or there are no special tokens for
            BERT's roles.
    """
    file = folder / "tokenizer.json"
    if not file.exists() and (vocabulary := folder / "vocab.txt").exists():
        text = _of_vocabulary(vocabulary, folder / "tokenizer_config.json")
    else:
        read_json(file)  # raises what is wrong with the file
        text = file.read_text(encoding="utf-8")
    specification = json.loads(text)
    try:
        loaded = tokenizers.Tokenizer.from_str(text)
    except Exception as error:  # noqa: BLE001  (the library raises nothing narrower)
        raise UserError(
            f"this is no tokenizer ({error})",
            file=file,
            expected="a tokenizer.json of Hugging Face tokenizers",
            advice="restore the file, or make it anew",
        ) from None
    if specification.get("truncation") or specification.get("padding"):
        loaded.no_truncation()  # texts would be cut without a word
        loaded.no_padding()
        text = loaded.to_str(pretty=True)
    names, max_length, spelling = _configuration(folder, loaded)
    absent = [name for name in names.values() if loaded.token_to_id(name) is None]
    if absent:
        raise UserError(
            f"the vocabulary lacks {', '.join(absent)}",
            file=file,
            expected="tokens for padding, unknown, beginning, end and mask",
            advice="take the tokenizer of a BERT model",
        )
    return text, _kind(specification, file), names, max_length, spelling


def _kind(specification: dict[str, Any], file: Path) -> str:
    """What kind of tokenizer a tokenizer.json describes."""
    model = specification["model"].get("type")
    words = json.dumps([specification.get("normalizer"), specification.get("pre_tokenizer")], ensure_ascii=False)
    if model == "WordPiece" and specification["model"]["continuing_subword_prefix"] == CONTINUATION:
        return "wordpiece"
    if model == "BPE" and '"ByteLevel"' in words:
        return "bpe"
    if model == "Unigram" and SPACE in words:
        return "unigram"
    if model == "WordLevel" and '"WhitespaceSplit"' in words:
        return "symbols"
    if model == "WordLevel" and SPACE in words:
        return "characters"
    raise UserError(
        f"a tokenizer of type {model} is not supported",
        file=file,
        expected="WordPiece, byte-level BPE, Unigram with spaces as ▁, or a tokenizer that bertwright made",
        advice="choose another model, or train a tokenizer",
    )


def _configuration(folder: Path, tokenizer: tokenizers.Tokenizer) -> tuple[dict[str, str], int | None, Alphabet | None]:
    """Names of the special tokens, the longest sequence, and the alphabet.

    They stand in tokenizer_config.json or special_tokens_map.json, where these are there; else the vocabulary tells
    whether the names are BERT's or RoBERTa's.
    """
    configuration: dict[str, Any] = {}
    for name in ("special_tokens_map.json", "tokenizer_config.json"):
        if (folder / name).exists():
            configuration |= read_json(folder / name)
    usual = SPECIAL_TOKENS if tokenizer.token_to_id(SPECIAL_TOKENS["cls"]) is not None else ROBERTA_TOKENS
    names = {}
    for role, name in usual.items():
        given = configuration.get(f"{role}_token") or name
        names[role] = given["content"] if isinstance(given, dict) else given
    max_length = configuration.get("model_max_length")
    spelling = Alphabet(**configuration["alphabet"]) if "alphabet" in configuration else None
    # transformers writes 1e30 where it knows no limit
    return names, int(max_length) if max_length is not None and max_length < 1e9 else None, spelling


def _of_vocabulary(file: Path, configuration: Path) -> str:
    """The tokenizer.json of a BERT that is known by its vocab.txt only, a token a line, as older checkpoints are.

    Raises:
        UserError: a token stands twice.
    """
    settings = read_json(configuration) if configuration.exists() else {}
    vocabulary: dict[str, int] = {}
    for number, token in enumerate(file.read_text(encoding="utf-8").removesuffix("\n").split("\n")):
        if token in vocabulary:
            raise UserError(
                f"the token {token!r} stands twice",
                file=file,
                line=number + 1,
                expected="each token in one line",
                advice="copy the file anew",
            )
        vocabulary[token] = number
    built = tokenizers.BertWordPieceTokenizer(
        vocabulary,
        lowercase=settings.get("do_lower_case", True),
        strip_accents=settings.get("strip_accents"),
        handle_chinese_chars=settings.get("tokenize_chinese_chars", True),
    )
    return built.to_str()
