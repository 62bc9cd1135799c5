"""Data sets of other alphabets, split so that nothing leaks: DNA and proteins for `bertwright analyze domains`.

    python experiments/2026-11-26-domains/sets.py OUT                 all: OUT/NAME/{train,development,test}.csv
    python experiments/2026-11-26-domains/sets.py OUT --sets splice fly

splice        UCI's splice junctions ($BERTWRIGHT_DATA/dna): three classes; repeated sequences dropped
fly           upstream regions of the fly (Bioconductor's Biostrings): the 150 bases before a gene, or 150 that lie
              1,850 before; split by chromosome
localization  PSORTb 3 (Debian): in which of five places of a cell a bacterium's protein is; proteins that share ten
              residues in a row are on one side
stability     variants of protein GB1 (mavenn, PyPI): how stable, a number; the same positions are on one side
composers     music21's corpus: five composers (one of them the many of the Trecento), 64 sounds of a voice; by work

And dna.fasta, proteins.fasta and music.txt, to pre-train on: nothing in them is of a development or test side.

Fetched from Debian's and Python's package archives; licences stand there, and nothing is kept here.
"""

import argparse
import csv
import gzip
import io
import json
import os
import re
import subprocess
import sys
import tempfile
import time
import urllib.request
import zipfile
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from bertwright.corpus.fasta import sequences
from bertwright.groups import connected
from bertwright.music import convert
from bertwright.split import SIDES, deal, runs

POOL = "http://deb.debian.org/debian/pool/main/"
BIOSTRINGS = POOL + "r/r-bioc-biostrings/r-bioc-biostrings_2.66.0-1_amd64.deb"
PSORTB = POOL + "p/psortb/psortb_3.0.6+dfsg-3+b2_amd64.deb"

Row = tuple[str, str]
"""A sequence and its label."""
Sides = dict[str, list[Row]]

SHARES = (0.8, 0.1, 0.1)

RELATED = 10
"""Residues in a row that two proteins share if they are related."""

COMPOSERS = ("palestrina", "bach", "trecento", "monteverdi", "beethoven")
MORE_MUSIC = ("mozart", "haydn")
WINDOW = 64


def main() -> None:
    """Write what is missing."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--sets", nargs="+", default=[*SETS, *CORPORA], choices=[*SETS, *CORPORA])
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    for name in given.sets:
        folder: Path = given.out / name
        if name in CORPORA and not folder.exists():
            CORPORA[name](given.out)
        if name in CORPORA or (folder / "test.csv").exists():
            continue
        folder.mkdir(parents=True, exist_ok=True)
        for side, rows in SETS[name](given.out).items():
            with (folder / f"{side}.csv").open("w", encoding="utf-8", newline="") as file:
                csv.writer(file).writerows([("text", "label"), *rows])
            labels = Counter(label for _, label in rows)
            told = ", ".join(f"{label} {count}" for label, count in labels.most_common(4)) if len(labels) < 20 else ""
            print(f"{name:>14} {side:>12} {len(rows):>7,}  {told}")


# ---------------------------------------------------------------------------------------------- the sets


def splice(_out: Path) -> Sides:
    """Sixty bases around a splice junction, or none."""
    path = Path(os.environ["BERTWRIGHT_DATA"], "dna", "splice.txt")
    rows: dict[str, str] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        label, _, sequence = (part.strip() for part in line.split(","))
        rows.setdefault(sequence, label)
    return parted(list(rows.items()), list(range(len(rows))))


def fly(_out: Path) -> Sides:
    """Just before a gene, or far before it; chromosome 2L is the test side, 2R the development side."""
    sides: Sides = {side: [] for side in SIDES}
    seen: set[str] = set()
    with tempfile.TemporaryDirectory() as folder:
        (path,) = unpacked(BIOSTRINGS, folder).rglob("dm3_upstream2000.fa.gz")
        for header, sequence in sequences(path):
            side = OTHER_SIDES.get(chromosome(header), "train")
            whole = sequence.upper()
            for label, window in (("near", whole[-150:]), ("far", whole[:150])):
                if "N" not in window and window not in seen:
                    seen.add(window)
                    sides[side].append((window, label))
    generator = np.random.default_rng(1)
    most = {"train": 2000, "development": 500, "test": 2000}
    return {side: [rows[n] for n in generator.permutation(len(rows))[: most[side]]] for side, rows in sides.items()}


def chromosome(header: str) -> str:
    """Of a gene of the fly."""
    found = re.search(r"_up_2000_(chr\w+?)_\d+", header)
    return found[1] if found else ""


OTHER_SIDES = {"chr2L": "test", "chr2R": "development"}
"""Chromosomes that are not for training."""


def localization(_out: Path) -> Sides:
    """Five places of a cell, 400 proteins of each at most, of 40 to 500 residues."""
    places = ("Cytoplasmic", "CytoplasmicMembrane", "Extracellular", "OuterMembrane", "Periplasmic")
    rows: dict[str, str] = {}
    with tempfile.TemporaryDirectory() as folder:
        (path,) = unpacked(PSORTB, folder).rglob("sclblast/gramneg/sclblast")
        for header, sequence in sequences(path):
            found = re.match(r"\S+\s+\[([^\]]*)\]", header)
            if found and found[1] in places and 40 <= len(sequence) <= 500:
                rows.setdefault(sequence, found[1])
    kept = sampled(list(rows.items()), 400)
    return parted(kept, clusters([text for text, _ in kept]))


def stability(_out: Path) -> Sides:
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
    return parted(rows, changed)


def composers(out: Path) -> Sides:
    """Whose voice is it? 64 sounds of one voice, as intervals, so that key and register do not tell."""
    found = [(text, piece["label"], piece["work"]) for piece in pieces(out) for text in windows(piece)]
    groups = connected([("text", text), ("work", work)] for text, _, work in found)  # two editions of a work are one
    group_of = {text: group for (text, _, _), group in zip(found, groups, strict=True)}
    kept = sampled(list({text: label for text, label, _ in found}.items()), 400)
    return parted(kept, [group_of[text] for text, _ in kept])


def windows(piece: dict[str, str]) -> list[str]:
    """WINDOW sounds each, of a piece by one of the composers."""
    symbols = piece["text"].split() if piece["label"] in COMPOSERS else []
    return [" ".join(symbols[begin : begin + WINDOW]) for begin in range(0, len(symbols) - WINDOW + 1, WINDOW)]


def pieces(out: Path) -> list[dict[str, str]]:
    """The voices of music21's pieces by some composers, as intervals; converted once."""
    import music21

    table = out / "pieces.jsonl"
    if not table.exists():
        corpus = Path(music21.__file__).parent / "corpus"
        begin = time.perf_counter()
        result = convert([str(corpus / name) for name in (*COMPOSERS, *MORE_MUSIC)], str(table), symbols="interval")
        took = time.perf_counter() - begin
        print(f"{'pieces':>14} {result['files']:>12,} files in {took:.0f} s, {result['rows']:,} voices")
    return [json.loads(line) for line in table.read_text(encoding="utf-8").splitlines()]


SETS: dict[str, Callable[[Path], Sides]] = {
    "splice": splice,
    "fly": fly,
    "localization": localization,
    "stability": stability,
    "composers": composers,
}


# ---------------------------------------------------------------------------------------------- splits


def unpacked(url: str, folder: str) -> Path:
    """A Debian package, fetched and unpacked."""
    package = Path(folder, "package.deb")
    urllib.request.urlretrieve(url, package)
    subprocess.run(["dpkg-deb", "-x", str(package), folder], check=True)
    return Path(folder)


def parted(rows: Sequence[Row], groups: Sequence[int]) -> Sides:
    """Rows of a group on one side."""
    sides = deal(groups, SHARES, seed=1)
    return {name: [row for row, of in zip(rows, sides, strict=True) if of == side] for side, name in enumerate(SIDES)}


def clusters(texts: Sequence[str]) -> list[int]:
    """Number of each sequence's cluster: those that share RELATED letters in a row, directly or by way of others."""
    return connected(runs(text, RELATED) for text in texts)


def sampled(rows: Sequence[Row], most: int) -> list[Row]:
    """So many rows of each class at most, drawn at random."""
    counts: Counter[str] = Counter()
    kept = []
    for number in np.random.default_rng(1).permutation(len(rows)):
        counts[rows[number][1]] += 1
        if counts[rows[number][1]] <= most:
            kept.append(rows[number])
    return kept


# ---------------------------------------------------------------------------------------------- to pre-train on


def dna_corpus(out: Path) -> None:
    """The 2,000 bases before each gene of the fly, but for the chromosomes of the other sides and what stands there."""
    judged = texts_of_other_sides(out / "fly")
    with tempfile.TemporaryDirectory() as folder:
        (path,) = unpacked(BIOSTRINGS, folder).rglob("dm3_upstream2000.fa.gz")
        kept = [
            (header, text)
            for header, text in sequences(path)
            if chromosome(header) not in OTHER_SIDES and judged.isdisjoint((text.upper()[:150], text.upper()[-150:]))
        ]
    write_fasta(out / "dna.fasta", kept)


def protein_corpus(out: Path) -> None:
    """All bacterial proteins of PSORTb that are not related to one of the development or test sides."""
    with tempfile.TemporaryDirectory() as folder:
        paths = sorted(unpacked(PSORTB, folder).rglob("sclblast/*/sclblast"))
        every = {text: header.split()[0] for path in paths for header, text in sequences(path)}
    texts = texts_of_other_sides(out / "localization") | texts_of_other_sides(out / "stability")
    judged = {run for text in texts for run in runs(text, RELATED)}
    kept = [(name, text) for text, name in every.items() if judged.isdisjoint(runs(text, RELATED))]
    write_fasta(out / "proteins.fasta", kept)


def music_corpus(out: Path) -> None:
    """All voices but for the works of the development and test side in all their editions, a voice a line."""
    judged = texts_of_other_sides(out / "composers")
    found = pieces(out)
    # Works that share a window belong together, whether or not the window was drawn for a side.
    groups = connected([piece["work"], *windows(piece)] for piece in found)
    taken = {group for group, piece in zip(groups, found, strict=True) if not judged.isdisjoint(windows(piece))}
    kept = [piece["text"] for group, piece in zip(groups, found, strict=True) if group not in taken]
    (out / "music.txt").write_text("\n".join(kept) + "\n", encoding="utf-8")
    print(f"{'music.txt':>14} {len(kept):>12,} voices {sum(text.count(' ') + 1 for text in kept):,} symbols")


def texts_of_other_sides(folder: Path) -> set[str]:
    """What must not be pre-trained on."""
    found: set[str] = set()
    for side in SIDES[1:]:
        with (folder / f"{side}.csv").open(encoding="utf-8", newline="") as file:
            found |= {row["text"] for row in csv.DictReader(file)}
    return found


def write_fasta(path: Path, named: Sequence[tuple[str, str]]) -> None:
    """Sequences, each under its name."""
    path.write_text("".join(f">{name}\n{text}\n" for name, text in named), encoding="utf-8")
    print(f"{path.name:>14} {len(named):>12,} sequences {sum(len(text) for _, text in named):,} letters")


CORPORA: dict[str, Callable[[Path], None]] = {
    "dna.fasta": dna_corpus,
    "proteins.fasta": protein_corpus,
    "music.txt": music_corpus,
}


if __name__ == "__main__":
    main()
