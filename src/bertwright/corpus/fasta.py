"""Reader of FASTA: a line that begins with ">" names a sequence, the lines up to the next one hold its letters."""

from collections.abc import Iterator
from pathlib import Path

from bertwright.config import CorpusSettings
from bertwright.corpus.files import open_text
from bertwright.corpus.record import NO_COLUMNS, Record
from bertwright.errors import UserError

_BLOCK = 1 << 22
"""Characters that are read at once."""

COMPLEMENT = str.maketrans("ACGTUNRYSWKMBDHVacgtunryswkmbdhv", "TGCAANYRSWMKVHDBtgcaanyrswmkvhdb")
"""Of the bases and of the codes for several of them (IUPAC)."""


def fasta(path: Path, settings: CorpusSettings) -> Iterator[Record]:
    """One record a sequence, named by the first word of its header; a ">" within a header is a letter like others.

    With strands = "both" the record's second segment is the reverse complement, so that both strands are on one side
    of the split.

    Raises:
        UserError: the file does not begin with a header, and all that `open_text` raises.
    """
    source = path.as_posix()
    for header, sequence in sequences(path):
        name = header.split(maxsplit=1)[0] if header.strip() else source
        segments = (sequence,) if sequence else ()
        if sequence and settings.strands == "both":
            segments = (sequence, sequence.translate(COMPLEMENT)[::-1])
        yield Record(name, segments, settings.language, source, NO_COLUMNS)


def sequences(path: Path) -> Iterator[tuple[str, str]]:
    """Headers without their ">", and sequences without white space."""
    header: str | None = None
    parts: list[str] = []
    blank = 0  # lines before the first header
    with open_text(path) as stream:
        while block := stream.read(_BLOCK):
            block += "" if block.endswith("\n") else stream.readline()
            if header is None:
                blank += block[: len(block) - len(block.lstrip())].count("\n")
                block = block.lstrip()
                if not block:
                    continue
            if block.startswith(">"):
                if header is not None:
                    yield header, _joined(parts)
                header, parts, rest = None, [], block[1:]
            elif header is None:
                raise UserError(
                    f"the file begins with {block[:30].splitlines()[0]!r}",
                    file=path,
                    line=blank + 1,
                    expected='a line that begins with ">", the name of the first sequence',
                    advice="is it a FASTA file? Sequences without names are read by the readers lines and table",
                )
            else:
                rest = block
            first, *others = rest.split("\n>")
            if header is None:
                header, _, first = first.partition("\n")
            parts.append(first)
            for other in others:
                yield header, _joined(parts)
                header, _, body = other.partition("\n")
                parts = [body]
    if header is not None:
        yield header, _joined(parts)


def _joined(parts: list[str]) -> str:
    """Lines as one sequence."""
    sequence = "".join(parts).replace("\n", "")
    return (
        sequence if sequence.isascii() and " " not in sequence and "\t" not in sequence else "".join(sequence.split())
    )
