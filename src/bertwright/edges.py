"""How tokens begin and end: what tells, from token to token, where words begin."""

import re
import unicodedata

import numpy as np

from bertwright.vocabulary import CONTINUATION

CHINESE = "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003134f"
"""Chinese characters, for a class of a regular expression."""

OTHER, WORD, WITHIN = 0, 1, 2
"""How a token begins or ends: not as a word goes on (space, punctuation, a Chinese character), with a letter or digit,
or in the middle of a character."""

_IS_CHINESE = re.compile(f"[{CHINESE}]")


def edges(tokens: list[str], kind: str, special: dict[int, str]) -> tuple[np.ndarray, np.ndarray]:
    """How each token begins and how it ends: OTHER, WORD or WITHIN, two arrays uint8 [V]."""
    begins = np.full(len(tokens), OTHER, dtype=np.uint8)
    ends = np.full(len(tokens), OTHER, dtype=np.uint8)
    for number, token in enumerate(tokens):
        if number in special or kind == "symbols":
            continue
        if kind == "wordpiece":
            begins[number] = WITHIN if token.startswith(CONTINUATION) else OTHER
        elif kind == "characters":
            begins[number] = ends[number] = _character_class(token)
        elif kind == "unigram":
            begins[number], ends[number] = _character_class(token[0]), _character_class(token[-1])
        else:
            begins[number], ends[number] = _byte_edges(token)
    return begins, ends


def is_chinese(character: str) -> bool:
    """Whether a character is a Chinese one, or a mark of the width of one."""
    return bool(_IS_CHINESE.match(character)) or "\u3000" <= character <= "\u303f" or "\uff00" <= character <= "\uffef"


def _character_class(character: str) -> int:
    if _IS_CHINESE.match(character):
        return OTHER
    return WORD if unicodedata.category(character)[0] in "LNM" else OTHER


def _byte_edges(token: str) -> tuple[int, int]:
    """How a token of bytes begins and ends; half a character at its end leaves the word open."""
    data = bytes(_BYTES[letter] for letter in token if letter in _BYTES)
    if not data:  # a token that was added by hand
        return OTHER, OTHER
    if 0x80 <= data[0] < 0xC0:
        begin = WITHIN
    elif (0xE4 <= data[0] < 0xEA and len(data) < 3) or (data[0] >= 0xF0 and len(data) < 4):
        begin = OTHER  # the first bytes of a Chinese character, or of an emoji
    else:
        text = data.decode("utf-8", errors="replace")
        begin = WORD if text[0] == "\ufffd" else _character_class(text[0])
    last = data.decode("utf-8", errors="replace")[-1]
    return begin, WORD if last == "\ufffd" else _character_class(last)


def _byte_letters() -> dict[str, int]:
    """The letters that byte-level BPE writes bytes as: printable Latin-1 as it is, the others from U+0100 on."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {chr(0x100 + n): byte for n, byte in enumerate(others)}


_BYTES = _byte_letters()
