"""The fixed phrases of the page. The code speaks English; other languages stand in dictionaries of their own."""

from collections.abc import Callable

from bertwright.report.chinese import CHINESE

Say = Callable[..., str]
"""say("{count} texts", count="12") -> the phrase in the page's language, filled in."""

PHRASES: dict[str, dict[str, str]] = {"en": {}, "zh": CHINESE}
"""Language of the page -> English phrase -> phrase; what is not found stays English."""


def speaker(language: str) -> Say:
    """The function that says a phrase in a language.

    Args:
        language: a key of PHRASES.
    """
    phrases = PHRASES[language]

    def say(phrase: str, /, **values: str) -> str:
        return phrases.get(phrase, phrase).format(**values)

    return say
