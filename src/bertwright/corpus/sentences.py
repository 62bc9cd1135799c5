"""Sentences of Chinese, English and mixed text, by one function.

A regular expression finds the candidates (a run of end marks with the quotes and brackets that close after it), a
function of a few string operations decides on each from its neighbourhood: linear time, whatever the text. Where one
cannot know, it does not cut, since a sentence too long costs a model less than half a sentence.

Chinese marks end a sentence wherever they stand; . ! ? ; among Chinese characters do as well (reviews are typed so).
In other scripts an end mark needs white space after it, and a period in addition no small letter, and no abbreviation
or initial before it, unless a word follows that hardly ever is a name (Kiss and Strunk 2006 call it a frequent sentence
starter: "in the U.S. The bill" is cut, "the U.S. Senate" is not).
"""

import re
from collections.abc import Iterator

_STRONG = frozenset("。！？｡‼⁇⁈⁉؟۔।॥")
_MARKS = "。！？｡‼⁇⁈⁉؟۔।॥；;…．.!?"
_EMOJI = "\u2600-\u27bf\ufe0f\u200d\U0001f000-\U0001faff"
_CANDIDATE = re.compile(
    rf"""
    ([{_MARKS}]+ (?:[ \t\u00a0]+[{_MARKS}]+(?![{_MARKS}\w]))*)    # a run of marks, also ". . ." as in tokenised text
    [{_MARKS}”’」』）】》〉〕］｝〗＂＇"')\]}}»«›~～{_EMOJI}]*       # what closes after it, and what dangles from it
    ((?:\[[0-9]{{1,3}}\])*)                                        # the notes of an encyclopedia: [1][2]
    (?:“(?=\s|\Z) | [ \t\u00a0]+(?:''|[”」』）】)\]}}»]+)(?=\s|\Z))?    # German and tokenised closing quotes
    """,
    re.VERBOSE,
)
_SPACE = re.compile(r"\s*")
_OPENERS = re.compile(r"[“‘「『（【《〈〔［｛〖＂＇\"'`(\[{«»„¿¡*_]*")
_CONTINUES = frozenset("，、：,:;；·—–)+=")
_CHINESE_COMMAS = frozenset("，、：；")
_BRACKET = re.compile(r"[《（(【\[》）)】\]]")
_OPEN_BRACKETS = frozenset("《（(【[")
_CLOSING_BRACKETS = frozenset("）)】]")
_CLOSING_TITLES = frozenset("》〉")
_CLOSERS_OF_BRACKETS = _CLOSING_BRACKETS | _CLOSING_TITLES
_NEAR = 60  # characters before and after a mark in which the two ends of a bracket are looked for

_ENUMERATOR = re.compile(r"[(（]?(?:[0-9]{1,3}(?:\.[0-9]{1,3})*|[ivx]{1,4}|[IVX]{1,4}|[a-zA-Z])")
_WORD = re.compile(r"(?<![0-9])[A-Za-zÀ-ɏ](?:[A-Za-zÀ-ɏ.'’-]*[A-Za-zÀ-ɏ])?\Z")
_LONGEST_ABBREVIATION = 12
_LETTERS_WITH_PERIODS = re.compile(r"(?:[A-Za-z]\.)+[A-Za-z]")
_NO_VOWEL = re.compile(r"[B-DF-HJ-NP-TV-XZb-df-hj-np-tv-xz][b-df-hj-np-tv-xz]{1,4}")


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_BEFORE_NAMES = _words(
    "mr mrs ms mx messrs dr prof rev hon gen lt col maj capt cmdr sgt cpl pvt adm gov pres sen rep reps sens supt "
    "insp msgr mme mlle e.g i.e eg ie viz cf vs ps p.s"
)
"""Abbreviations that never end a sentence."""
_BEFORE_NUMBERS = _words(
    "no nos nr p pp fig figs eq eqs sec sect ch chap vol vols art arts par para pt ed op ref refs tab jan feb mar "
    "apr jun jul aug sep sept oct nov dec mon tue tues wed thu thur thurs fri sat sun"
)
"""Abbreviations where a number follows; otherwise words like any other."""
_ABBREVIATIONS = _words(
    "inc ltd co corp bros llc plc gmbh assn assoc univ dept div est bldg ave blvd rd st mt ft jr sr esq etc "
    "al ca approx ph.d m.sc b.sc ed eds trans proc natl acad sci int intl conf comput rev res phys chem lett appl "
    "bull gov govt mgr mgmt tel ext avg hrs mins secs oz lbs cal calif ariz ark colo conn fla "
    "ky la mich minn mont neb nev okla pa penn tenn tex va vt wash wis wyo ont que"
)
"""Abbreviations that may end a sentence; the next word tells."""
_STARTER = re.compile(
    r"(?:The|This|That|These|Those|There|Then|Thus|He|She|It|Its|We|They|You|His|Her|Their|Our|My|Your|An|In|On|At|By|"
    r"For|From|With|To|Of|As|If|When|While|Where|Why|What|Who|How|Which|Whether|But|And|Or|So|Yet|Not|No|Yes|After|Before|"
    r"Since|Until|Because|Although|Though|However|Moreover|Furthermore|Therefore|Meanwhile|Nevertheless|Also|Here|Now|"
    r"Once|Some|Many|Most|Such|Both|All|Each|Every|Other|Others|Another|One|Two|Several|During|Under|Over|About|Between|"
    r"Is|Are|Was|Were|Do|Does|Did|Can|Could|Would|Will|Should|Let|Please|Even|Only|Just|Still|Today|Later|Finally)"
    r"(?![\w-])|[AI](?![\w.-])"
)


def split_sentences(text: str) -> list[str]:
    """Cut a text into sentences.

    Quotes and brackets that close after an end mark stay with their sentence. A blank line always ends one; a line
    break does beside a Chinese character, elsewhere it is white space (English is wrapped, Chinese is not), and becomes
    one space, or none after a Chinese comma. Apart from white space the sentences joined are the text.

    Args:
        text: any text; without an end mark it is one sentence.

    Returns:
        The sentences, none empty, none with white space at either end.
    """
    text = text.strip()
    lower_case = text.islower()  # then a small letter after a period says nothing
    if "\n" not in text:
        return list(_sentences(text, lower_case))
    return [sentence for paragraph in _paragraphs(text) for sentence in _sentences(paragraph, lower_case)]


def segments_of(text: str, *, split: bool) -> tuple[str, ...]:
    """The segments of a text: its sentences, or the whole; none if there is nothing but white space."""
    if split:
        return tuple(split_sentences(text))
    text = text.strip()
    return (text,) if text else ()


def _paragraphs(text: str) -> Iterator[str]:
    """The parts of a text between the line breaks that end sentences, with a space for each of the others."""
    lines: list[str] = []
    for raw in text.split("\n"):
        line = raw.strip()
        if lines and (not line or _breaks(lines[-1][-1], line[0])):
            yield "".join(lines)
            lines = []
        if line:
            lines.append(line if not lines or lines[-1][-1] in _CHINESE_COMMAS else f" {line}")
    if lines:
        yield "".join(lines)


def _breaks(last: str, first: str) -> bool:
    """Whether a line break between these two characters ends a sentence."""
    return last not in _CONTINUES and (_is_chinese(last) or _is_chinese(first))


def _sentences(text: str, lower_case: bool) -> Iterator[str]:
    """The sentences of a text without line breaks and without white space at its ends."""
    start = 0
    quotes, counted = 0, 0  # straight double quotes so far, and how far that is
    for match in _CANDIDATE.finditer(text):
        mark, end = match.span()
        if mark == start:
            continue
        if end == len(text):
            break
        if '"' in match[0]:
            quotes += text.count('"', counted, mark)
            counted = mark
            if not text[end].isspace():
                end = _before_opening_quote(text, mark, end, quotes % 2 == 1)
        if _ends(text, start, match, end, lower_case):
            yield text[start:end]
            start = _SPACE.match(text, end).end()  # pyright: ignore[reportOptionalMemberAccess]  (matches anything)
    if start < len(text):
        yield text[start:]


def _before_opening_quote(text: str, mark: int, end: int, is_open: bool) -> int:
    """Where a candidate ends without a straight quote that opens the next sentence: 他说:"好."走了."再见."我走了.

    Args:
        text: the text.
        mark: where the candidate begins.
        end: where it ends.
        is_open: whether a quote is open at the mark; then the first one after it closes.
    """
    first = text.find('"', mark, end)
    opening = text.find('"', first + 1, end) if is_open else first
    return opening if opening >= 0 else end


def _ends(text: str, start: int, match: re.Match[str], end: int, lower_case: bool) -> bool:
    """Whether the sentence that began at `start` ends with this candidate.

    Args:
        text: the text.
        start: where the sentence begins.
        match: the candidate, of `_CANDIDATE`.
        end: where the candidate ends; more text follows.
        lower_case: whether the text has no capital letter at all.
    """
    marks, mark = match[1], match.start()
    following = _SPACE.match(text, end).end()  # pyright: ignore[reportOptionalMemberAccess]
    if text[following] in _CONTINUES or _within_brackets(text, start, mark, end):
        return False
    spaced = following > end
    beginning = _OPENERS.match(text, following).end()  # pyright: ignore[reportOptionalMemberAccess]
    letter = text[beginning : beginning + 1]  # the first one of what follows, if any
    before = text[mark - 1]
    chinese = _is_chinese(before) or _is_chinese(letter)
    if not _STRONG.isdisjoint(marks):
        ends = True
    elif "；" in marks or ";" in marks:
        ends = "；" in marks or (_is_chinese(before) and _is_chinese(letter))
    elif "!" in marks or "?" in marks:
        ends = _exclamation_ends(before, letter, text[mark + len(marks) : end], spaced, chinese)
    elif "…" in marks or marks.count(".") > 1:
        stutters = not spaced and text[following] == before
        ends = not stutters if chinese else spaced and (lower_case or not letter.islower())
    else:
        ends = _period_ends(text, start, mark, beginning, spaced, lower_case)
    return ends and (bool(match[2]) or not _goes_on_after_bracket(text, start, end, spaced and not chinese))


def _exclamation_ends(before: str, letter: str, closers: str, spaced: bool, chinese: bool) -> bool:
    """Whether ! or ? ends a sentence: "Stop!" she said; "(!)"; a.php?id=3."""
    if before in _OPEN_BRACKETS:
        return False
    if spaced:
        return not (closers and letter.islower())
    return chinese


def _period_ends(text: str, start: int, mark: int, beginning: int, spaced: bool, lower_case: bool) -> bool:
    """Whether a single period ends a sentence: 3.5, e.g., Mr. Li, J. K. Rowling, 1. Introduction, report.pdf."""
    before, letter = text[mark - 1], text[beginning : beginning + 1]
    enumerates = mark - start < _LONGEST_ABBREVIATION and _ENUMERATOR.fullmatch(text, start, mark)
    if enumerates or (before.isdigit() and not spaced):
        return False
    if _is_chinese(before):
        return spaced or _is_chinese(letter) or letter.isupper()
    if not spaced and not _is_chinese(letter):
        return False
    if before.isspace():  # tokenised text, where abbreviations keep their period
        return True
    if (word := _WORD.search(text, max(start, mark - _LONGEST_ABBREVIATION), mark)) and _abbreviates(word[0], letter):
        return word[0].lower() not in _BEFORE_NAMES and _STARTER.match(text, beginning) is not None
    return lower_case or not letter.islower()


def _abbreviates(word: str, letter: str) -> bool:
    """Whether the period after a word may be that of an abbreviation, given the first letter of what follows."""
    lower = word.lower()
    if lower in _BEFORE_NUMBERS and letter.isdigit():
        return True
    if len(word) == 1 or lower in _BEFORE_NAMES or lower in _ABBREVIATIONS or _LETTERS_WITH_PERIODS.fullmatch(word):
        return True
    return not word.isupper() and _NO_VOWEL.fullmatch(word) is not None


def _within_brackets(text: str, start: int, mark: int, end: int) -> bool:
    """Whether a mark stands inside brackets or a title that opened shortly before and closes soon: 《奔跑吧！兄弟》."""
    closing = _BRACKET.search(text, end, end + _NEAR)
    if closing is None or closing[0] in _OPEN_BRACKETS or text[end - 1] in _CLOSERS_OF_BRACKETS:
        return False
    brackets = _BRACKET.findall(text, max(start, mark - _NEAR), mark)
    return bool(brackets) and brackets[-1] in _OPEN_BRACKETS


def _goes_on_after_bracket(text: str, start: int, end: int, apart: bool) -> bool:
    """Whether the bracket that closes after a mark is a part of a sentence that goes on: 这台电脑（太贵了！）不错.

    Args:
        text: the text.
        start: where the sentence begins.
        end: where the candidate ends.
        apart: whether white space in a script with spaces follows, where the next word has told already.
    """
    last = text[end - 1]
    return last in _CLOSING_TITLES or (last in _CLOSING_BRACKETS and not apart and text[start] not in _OPEN_BRACKETS)


def _is_chinese(character: str) -> bool:
    """Whether a character is of a script without spaces: ideographs, kana, full-width letters and digits."""
    return (
        "\u3040" <= character <= "\u9fff"
        or "\uf900" <= character <= "\ufaff"
        or ("\uff10" <= character <= "\uff9f" or "\U00020000" <= character < "\U00040000")
    )
