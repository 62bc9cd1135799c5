"""Data sets of other alphabets, split so that nothing leaks: DNA and proteins for `bertwright analyze domains`.

    python experiments/2026-11-26-domains/sets.py OUT                 all: OUT/NAME/{train,development,test}.csv
    python experiments/2026-11-26-domains/sets.py OUT --sets splice fly

splice        UCI's splice junctions ($BERTWRIGHT_DATA/dna): three classes; repeated sequences dropped
fly           upstream regions of the fly (Bioconductor's Biostrings): the 300 bases before a gene, or 300 that lie
              1,700 before; split by chromosome
localization  PSORTb 3 (Debian): in which of five places of a cell a bacterium's protein is; proteins that share ten
              residues in a row are on one side
stability     variants of protein GB1 (mavenn, PyPI): how stable, a number; the same positions are on one side

Fetched from Debian's and Python's package archives; licences stand there, and nothing is kept here.
"""

import argparse
import csv
import gzip
import io
import os
import re
import subprocess
import sys
import tempfile
import urllib.request
import zipfile
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from bertwright.corpus.fasta import sequences

POOL = "http://deb.debian.org/debian/pool/main/"
BIOSTRINGS = POOL + "r/r-bioc-biostrings/r-bioc-biostrings_2.66.0-1_amd64.deb"
PSORTB = POOL + "p/psortb/psortb_3.0.6+dfsg-3+b2_amd64.deb"

Row = tuple[str, str]
"""A sequence and its label."""
Sides = dict[str, list[Row]]

SHARES = {"train": 0.8, "development": 0.1, "test": 0.1}


def main() -> None:
    """Write what is missing."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--sets", nargs="+", default=list(SETS), choices=list(SETS))
    given = parser.parse_args()
    for name in given.sets:
        folder: Path = given.out / name
        if (folder / "test.csv").exists():
            continue
        folder.mkdir(parents=True, exist_ok=True)
        for side, rows in SETS[name]().items():
            with (folder / f"{side}.csv").open("w", encoding="utf-8", newline="") as file:
                csv.writer(file).writerows([("text", "label"), *rows])
            labels = Counter(label for _, label in rows)
            told = ", ".join(f"{label} {count}" for label, count in labels.most_common(4)) if len(labels) < 20 else ""
            print(f"{name:>14} {side:>12} {len(rows):>7,}  {told}")


# ---------------------------------------------------------------------------------------------- the sets


def splice() -> Sides:
    """Sixty bases around a splice junction, or none."""
    path = Path(os.environ["BERTWRIGHT_DATA"], "dna", "splice.txt")
    rows: dict[str, str] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        label, _, sequence = (part.strip() for part in line.split(","))
        rows.setdefault(sequence, label)
    return parted(list(rows.items()), groups=list(range(len(rows))))


def fly() -> Sides:
    """Just before a gene, or far before it; chromosome 2L is the test side, 2R the development side."""
    sides: Sides = {side: [] for side in SHARES}
    seen: set[str] = set()
    with tempfile.TemporaryDirectory() as folder:
        (path,) = unpacked(BIOSTRINGS, folder).rglob("dm3_upstream2000.fa.gz")
        for header, sequence in sequences(path):
            found = re.search(r"_up_2000_(chr\w+?)_\d+", header)
            side = {"chr2L": "test", "chr2R": "development"}.get(found[1] if found else "", "train")
            whole = sequence.upper()
            for label, window in (("near", whole[-300:]), ("far", whole[:300])):
                if "N" not in window and window not in seen:
                    seen.add(window)
                    sides[side].append((window, label))
    generator = np.random.default_rng(1)
    most = {"train": 8000, "development": 1000, "test": 2000}
    return {side: [rows[n] for n in generator.permutation(len(rows))[: most[side]]] for side, rows in sides.items()}


def localization() -> Sides:
    """Five places of a cell, 700 proteins of each at most, of 40 to 500 residues."""
    places = ("Cytoplasmic", "CytoplasmicMembrane", "Extracellular", "OuterMembrane", "Periplasmic")
    rows: dict[str, str] = {}
    with tempfile.TemporaryDirectory() as folder:
        (path,) = unpacked(PSORTB, folder).rglob("sclblast/gramneg/sclblast")
        for header, sequence in sequences(path):
            found = re.match(r"\S+\s+\[([^\]]*)\]", header)
            if found and found[1] in places and 40 <= len(sequence) <= 500:
                rows.setdefault(sequence, found[1])
    generator = np.random.default_rng(1)
    pairs = [list(rows.items())[number] for number in generator.permutation(len(rows))]
    counts: Counter[str] = Counter()
    kept = []
    for sequence, label in pairs:
        counts[label] += 1
        if counts[label] <= 700:
            kept.append((sequence, label))
    return parted(kept, groups=clusters([sequence for sequence, _ in kept]))


def stability() -> Sides:
    """Single changes of one protein: all changes of a position are on one side."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pip", "download", "--no-deps", "mavenn==1.1.4", "--dest", folder]
        subprocess.run(command, check=True, capture_output=True)
        (wheel,) = Path(folder).glob("mavenn-*.whl")
        with zipfile.ZipFile(wheel) as archive:
            name = next(each for each in archive.namelist() if each.endswith("nisthal_data.csv.gz"))
            text = gzip.decompress(archive.read(name)).decode()
    table = list(csv.DictReader(io.StringIO(text)))
    rows = [(row["x"], row["y"]) for row in table]
    usual = [Counter(letters).most_common(1)[0][0] for letters in zip(*(text for text, _ in rows), strict=True)]
    changed = [next((n for n, (a, b) in enumerate(zip(text, usual, strict=True)) if a != b), -1) for text, _ in rows]
    return parted(rows, groups=changed)


SETS: dict[str, Callable[[], Sides]] = {
    "splice": splice,
    "fly": fly,
    "localization": localization,
    "stability": stability,
}


# ---------------------------------------------------------------------------------------------- splits


def unpacked(url: str, folder: str) -> Path:
    """A Debian package, fetched and unpacked."""
    package = Path(folder, "package.deb")
    urllib.request.urlretrieve(url, package)
    subprocess.run(["dpkg-deb", "-x", str(package), folder], check=True)
    return Path(folder)


def parted(rows: Sequence[Row], groups: Sequence[int]) -> Sides:
    """Rows of a group on one side, the shares as near to SHARES as groups allow, in random order."""
    generator = np.random.default_rng(1)
    members: dict[int, list[int]] = {}
    for number, group in enumerate(groups):
        members.setdefault(group, []).append(number)
    sides: Sides = {side: [] for side in SHARES}
    keys = list(members)
    for index in generator.permutation(len(keys)):
        short = min(SHARES, key=lambda side: len(sides[side]) / SHARES[side])
        sides[short] += [rows[number] for number in members[keys[index]]]
    return sides


def clusters(texts: Sequence[str], size: int = 10) -> list[int]:
    """Number of each text's cluster: those that share so many letters in a row, directly or by way of others."""
    parents = list(range(len(texts)))

    def root(number: int) -> int:
        while parents[number] != number:
            parents[number] = parents[parents[number]]
            number = parents[number]
        return number

    first: dict[str, int] = {}
    for number, text in enumerate(texts):
        for begin in range(len(text) - size + 1):
            other = first.setdefault(text[begin : begin + size], number)
            if other != number:
                parents[root(number)] = root(other)
    return [root(number) for number in range(len(texts))]


if __name__ == "__main__":
    main()
