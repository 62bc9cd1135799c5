"""The two ways a command ends early (a mistake that the user can mend, an interruption), and what is odd in data."""

import re
from collections.abc import Sequence
from pathlib import Path

HALF_A_PAIR = re.compile("[\\ud800-\\udfff]")


class UserError(Exception):
    """Something the user can mend, told in three parts and shown without a traceback (exit code 1).

    Args:
        found: what was found, one sentence.
        expected: what was expected instead.
        advice: what to do about it.
        file: the file it was found in, if any.
        line: the line in that file, counted from 1.
    """

    def __init__(
        self,
        found: str,
        *,
        expected: str = "",
        advice: str = "",
        file: str | Path | None = None,
        line: int | None = None,
    ) -> None:
        self.found, self.expected, self.advice = found, expected, advice
        self.file, self.line = file, line
        super().__init__(str(self))

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}: " if self.line is not None else f"{self.file}: " if self.file else ""
        parts = [f"{where}{self.found}"]
        if self.expected:
            parts.append(f"  expected: {self.expected}")
        if self.advice:
            parts.append(f"  to do:    {self.advice}")
        return "\n".join(parts)


class Interrupted(Exception):  # noqa: N818  (it is no error: the work was saved)
    """The run was asked to stop (Ctrl-C, SIGTERM), and has saved its state first (exit code 130)."""


def require_whole_characters(text: str, where: str, *, file: str | Path | None = None, line: int | None = None) -> None:
    """See that a text holds no half of a surrogate pair: no library can encode one.

    Raises:
        UserError: it does.
    """
    if half := HALF_A_PAIR.search(text):
        raise UserError(
            f"{where} holds half a surrogate pair ({half[0]!a}), which is no character",
            file=file,
            line=line,
            expected="whole characters",
            advice="the text was cut inside a character, or was no UTF-8: mend it, or leave it out",
        ) from None


def shortened(notices: Sequence[str], shown: int = 5) -> list[str]:
    """The first ones of what is odd in data, and how many more there are."""
    more = [f"... and {len(notices) - shown:,} more such notices"] if len(notices) > shown else []
    return [*notices[:shown], *more]
