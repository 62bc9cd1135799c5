"""The fixed phrases of the page. The code speaks English; other languages stand in dictionaries of their own."""

from collections.abc import Callable

from bertwright.errors import UserError
from bertwright.report.chinese import CHINESE

Say = Callable[..., str]
"""say("{count} texts", count="12") -> the phrase in the page's language, filled in."""

PHRASES: dict[str, dict[str, str]] = {"en": {}, "zh": CHINESE}
"""Language of the page -> English phrase -> phrase; what is not found stays English."""


def too_long(count: int, say: Say) -> str:
    """What is said of sentences that an analysis leaves out; nothing where there are none."""
    return say(" {count} lines are longer than the model reads, and are left out.", count=f"{count:,}") if count else ""


def speaker(language: str) -> Say:
    """The function that says a phrase in a language.

    Args:
        language: a key of PHRASES.

    Raises:
        UserError: it is none.
    """
    if language not in PHRASES:
        raise UserError(
            f"there is no page in the language {language!r}",
            expected=" or ".join(PHRASES),
            advice="choose one of them; names and texts of yours stay as they are",
        )
    phrases = PHRASES[language]

    def say(phrase: str, /, **values: str) -> str:
        return phrases.get(phrase, phrase).format(**values)

    return say
