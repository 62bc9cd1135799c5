"""Split a table into training, development and test rows so that nothing leaks.

On one side stand rows with equal texts (case and white space aside), all rows of a group (the work a piece of music is
from, a chromosome, an author), and, if asked for, sequences that share so many symbols in a row, directly or by way of
others: proteins that descend from one another, pieces of one text.
"""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np

from bertwright.config import expand
from bertwright.corpus import Row, read_rows
from bertwright.errors import UserError
from bertwright.groups import connected
from bertwright.run import atomic_folder, write_text

SIDES = ("train", "development", "test")

Duplicates = Literal["refuse", "drop", "together"]


def split(
    table: str,
    folder: str,
    *,
    text_column: str = "text",
    group_column: str | None = None,
    shared: int = 0,
    shares: Sequence[float] = (0.8, 0.1, 0.1),
    duplicates: Duplicates = "refuse",
    seed: int = 1,
) -> dict[str, Any]:
    """Write train.jsonl, development.jsonl and test.jsonl, with all columns and rows in their order.

    Args:
        table: csv, tsv or jsonl with named columns.
        folder: a new one, to write into.
        text_column: the column of the text, or of the sequence.
        group_column: rows with the same value in it stand on one side.
        shared: so do sequences that share this many symbols in a row (what stands between spaces, or letters where
            there are none); 0: only equal ones.
        shares: of the three sides; those of development and test may be 0.
        duplicates: rows whose text occurred before. refuse them, drop them, or keep all of them together on one side.
        seed: of the order in which groups are dealt out.

    Returns:
        {"folder", "rows" {side: number}, "dropped", "groups", "largest" (rows of the largest group)}.

    Raises:
        UserError: the table cannot be read (see `read_rows`), has duplicates and these are refused, groups are so large
            that a side gets less than half of its share, or the folder exists.
    """
    path, target = expand(table), expand(folder)
    _check_request(target, shares)
    rows = list(read_rows(path, [column for column in (text_column, group_column) if column is not None]))
    texts = [" ".join(row.values[text_column].lower().split()) for row in rows]
    kept = _without_duplicates(path, rows, texts, duplicates)

    def keys(number: int) -> Iterator[tuple[str, str]]:
        yield "text", texts[number]
        yield from (("run", run) for run in runs(texts[number], shared))
        if group_column is not None and rows[number].values[group_column].strip():  # no value, no group in common
            yield "group", rows[number].values[group_column]

    groups = connected(map(keys, kept))
    sides = deal(groups, shares, seed)
    _check_sides(path, groups, sides, shares)
    written = {}
    with atomic_folder(target) as aside:
        for side, name in enumerate(SIDES):
            own = [rows[number].values for number, of in zip(kept, sides, strict=True) if of == side]
            if own:
                lines = [json.dumps(values, ensure_ascii=False) for values in own]
                write_text(aside / f"{name}.jsonl", "\n".join(lines) + "\n")
            written[name] = len(own)
    sizes = Counter(groups)
    counts = {"dropped": len(rows) - len(kept), "groups": len(sizes), "largest": max(sizes.values())}
    return {"folder": str(target), "rows": written, **counts}


def _check_request(target: Path, shares: Sequence[float]) -> None:
    """See that nothing is written over, and that shares are some."""
    if target.exists():
        raise UserError(
            "there is something already",
            file=target,
            expected="a new folder: rows of an older split would stand beside the new ones",
            advice="name another one, or remove this one",
        )
    if min(shares) < 0 or shares[0] <= 0:
        raise UserError(
            f"the shares are {' '.join(f'{share:g}' for share in shares)}",
            expected="a share of training above 0, and of development and test 0 or more",
            advice="give three numbers, such as .8 .1 .1",
        )


def _without_duplicates(path: Path, rows: Sequence[Row], texts: Sequence[str], duplicates: Duplicates) -> list[int]:
    """The numbers of the rows that are kept."""
    first: dict[str, int] = {}
    kept = [number for number, text in enumerate(texts) if first.setdefault(text, number) == number]
    if duplicates == "together":
        return list(range(len(rows)))
    if duplicates == "refuse" and len(kept) < len(rows):
        known = set(kept)
        again = next(number for number in range(len(rows)) if number not in known)
        raise UserError(
            f"{len(rows) - len(kept):,} of {len(rows):,} rows have a text that occurred before; this one is that of "
            f"line {rows[first[texts[again]]].line}",
            file=path,
            line=rows[again].line,
            expected="every text once: what stands in training and in test, too, is no test",
            advice="--duplicates drop keeps the first of equal texts, --duplicates together all of them on one side",
        )
    return kept


def runs(text: str, size: int) -> Iterator[str]:
    """All runs of so many symbols of a text; none, where size is 0."""
    symbols = text.split() if " " in text else text
    for begin in range(len(symbols) - size + 1 if size else 0):
        run = symbols[begin : begin + size]
        yield run if isinstance(run, str) else " ".join(run)


def deal(groups: Sequence[int], shares: Sequence[float], seed: int) -> np.ndarray:
    """The side of each example, [N], whole groups on one side, as near to the shares as this comes in one pass.

    The largest groups come first, equal ones in random order; each goes to the side that is furthest from its share,
    and to the first one, training, if it would overfill all others.
    """
    wanted = np.array(shares) / sum(shares) * len(groups)
    sizes = Counter(groups)
    names = list(sizes)
    order = sorted(np.random.default_rng(seed).permutation(len(names)), key=lambda number: -sizes[names[number]])
    filled = np.zeros(len(shares))
    chosen: dict[int, int] = {}
    for group in (names[number] for number in order):
        free = [side for side in range(len(shares)) if wanted[side] and filled[side] + sizes[group] <= wanted[side] + 1]
        chosen[group] = max(free, key=lambda side: 1 - filled[side] / wanted[side], default=0)
        filled[chosen[group]] += sizes[group]
    return np.array([chosen[group] for group in groups])


def _check_sides(path: Path, groups: Sequence[int], sides: np.ndarray, shares: Sequence[float]) -> None:
    """See that every side has half of its share at least."""
    for side, share in enumerate(shares):
        count, wanted = int((sides == side).sum()), share / sum(shares) * len(sides)
        if count < wanted / 2:
            largest = max(Counter(groups).values())
            raise UserError(
                f"{SIDES[side]} gets {count:,} of the {wanted:,.0f} rows it should: rows are never parted from their "
                f"group, and the largest group has {largest:,} of {len(sides):,}",
                file=path,
                expected="groups that are small beside each side",
                advice="other shares, groups of another column, or longer runs (--shared) that sequences share",
            )
