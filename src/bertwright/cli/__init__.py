"""The command line: parse, call one function, print. Nothing else in the project prints.

People's output goes to standard error through rich; with --json, one JSON object comes last on standard output.
Exit codes: 0 done, 1 a user's error, 2 usage, 130 interrupted.
"""

import io
import sys

from bertwright.cli import analyses, data, verbs
from bertwright.cli.parts import app

__all__ = ["analyses", "app", "data", "main", "verbs"]


def main() -> None:
    """Run the command line."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # whatever the locale is: labels and texts may be in any language
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")
    app(prog_name="bertwright")
