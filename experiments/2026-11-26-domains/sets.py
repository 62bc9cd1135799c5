"""Data sets of other alphabets, split so that nothing leaks: DNA, proteins and music for `bertwright analyze domains`.

    python experiments/2026-11-26-domains/sets.py OUT                 all: OUT/NAME/{train,development,test}.csv
    python experiments/2026-11-26-domains/sets.py OUT --sets splice coding

splice        UCI's splice junctions ($BERTWRIGHT_DATA/dna): three classes; sequences that share 20 bases in a row are
              on one side
coding        Escherichia coli (Debian): 100 bases of either strand within a gene, or between all genes; split by blocks
              of 200,000 bases, and of those that share 50 bases in a row only one
localization  PSORTb 3 (Debian): in which of five places of a cell a bacterium's protein is, by its first 100 residues;
              proteins that share ten residues in a row are on one side
stability     variants of protein GB1 (mavenn, PyPI): how stable, a number; the same positions are on one side
composers     music21's corpus: five composers (one of them the many of the Trecento), 64 sounds of a voice, 12 of a
              work at most; by work

Each row has its group: what belongs together, and is no independent example. And dna.fasta, proteins.fasta and
music.csv, to pre-train on: nothing in them is of a development or test side.

Fetched from Debian's and Python's package archives; licences stand there, and nothing is kept here.
"""

import argparse
import codecs
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
from collections.abc import Callable, Mapping, Sequence
from itertools import product
from pathlib import Path

import numpy as np

from bertwright.corpus.fasta import COMPLEMENT, sequences
from bertwright.groups import connected
from bertwright.music import convert
from bertwright.run import atomic_file, write_text
from bertwright.split import SIDES, deal, runs

POOL = "http://deb.debian.org/debian/pool/main/"
BIOSTRINGS = POOL + "r/r-bioc-biostrings/r-bioc-biostrings_2.66.0-1_amd64.deb"
RAGOUT = POOL + "r/ragout/ragout-examples_2.3-4_all.deb"
PROKKA = POOL + "p/prokka/prokka_1.14.6+dfsg-4_amd64.deb"
PSORTB = POOL + "p/psortb/psortb_3.0.6+dfsg-3+b2_amd64.deb"

GENETIC_CODE = "FFLLSSSSYY**CC*WLLLLPPPPHHQQRRRRIIIMTTTTNNKKSSRRVVVVAAAADDEEGGGG"

Row = tuple[str, str]
"""A sequence and its label."""
Sides = dict[str, list[tuple[str, str, str]]]
"""With the group of each."""

RELATED = {"protein": 10, "dna": 20, "genome": 50}
"""Letters in a row that two sequences share if they are related."""

COMPOSERS = ("palestrina", "bach", "trecento", "monteverdi", "beethoven")
MORE_MUSIC = ("mozart", "haydn")
MOST_OF_A_WORK = 12
WINDOW = 64

BLOCK = 200_000
"""Bases of a genome that are on one side."""
BLOCKS = ("test", "train", "train", "development", "train", "train", "test", "train", "train")
"""Sides of nine blocks, again and again."""
FRAGMENT = 2000
"""Bases of a record to pre-train on."""
CODONS = dict(zip(map("".join, product("TCAG", repeat=3)), GENETIC_CODE, strict=True))


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
            with atomic_file(folder / f"{side}.csv") as file:
                table = csv.writer(codecs.getwriter("utf-8")(file), lineterminator="\n")
                table.writerows([("text", "label", "group"), *rows])
            labels, groups = Counter(label for _, label, _ in rows), len({group for _, _, group in rows})
            told = ", ".join(f"{label} {count}" for label, count in labels.most_common(4)) if len(labels) < 20 else ""
            print(f"{name:>14} {side:>12} {len(rows):>7,} of {groups:,} groups  {told}")


# ---------------------------------------------------------------------------------------------- the sets


def splice(_out: Path) -> Sides:
    """Sixty bases around a splice junction, or none; a sequence with two labels is left out."""
    path = Path(os.environ["BERTWRIGHT_DATA"], "dna", "splice.txt")
    labels: dict[str, set[str]] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        label, _, sequence = (part.strip() for part in line.split(","))
        labels.setdefault(sequence, set()).add(label)
    rows = [(sequence, found.pop()) for sequence, found in labels.items() if len(found) == 1]
    sides = parted(rows, clusters(rows, RELATED["dna"]), (0.55, 0.1, 0.35))
    return fewer(sides, {"train": 1300, "development": 250, "test": 900})


def coding(_out: Path) -> Sides:
    """Within a gene, or between genes? On either strand, and beginning at any place of a codon."""
    genome = ecoli()
    genes = genes_of(genome)
    in_genes = np.concatenate([[0], np.cumsum(genes)])
    begins = np.arange(0, len(genome) - 99, 10)  # the same for both: to begin where a gene ends would tell
    letters = in_genes[begins + 100] - in_genes[begins]
    places_of = {"gene": begins[letters == 100], "between": begins[letters == 0]}
    most = {"train": 1300, "development": 250, "test": 1000}
    sides: Sides = {side: [] for side in SIDES}
    seen: set[str] = set()
    for label, places in places_of.items():
        own: Sides = {side: [] for side in SIDES}
        for begin in np.random.default_rng(1).permutation(places).tolist():
            window = genome[begin : begin + 100]
            if begin // BLOCK == (begin + 99) // BLOCK and unrelated(window, seen, RELATED["genome"]):
                seen |= set(runs(window, RELATED["genome"]))
                own[side_of(begin)].append((window, label, window))
        for side in SIDES:
            sides[side] += own[side][: most[side] // len(places_of)]
    return fewer(sides, most)


def side_of(place: int) -> str:
    """Of a base of the genome."""
    return BLOCKS[place // BLOCK % len(BLOCKS)]


def ecoli() -> str:
    """The genome of a strain."""
    with tempfile.TemporaryDirectory() as folder:
        (path,) = unpacked(RAGOUT, folder).rglob("MG1655-K12.fasta.gz")
        return next(sequences(path))[1].upper()


def genes_of(genome: str) -> np.ndarray:
    """Which bases of Escherichia coli are in a gene: where a protein of the species is found, 0 or 1."""
    with tempfile.TemporaryDirectory() as folder:
        (path,) = unpacked(PROKKA, folder).rglob("genus/Escherichia")
        proteins = [sequence for _, sequence in sequences(path)]
    genes = np.zeros(len(genome), dtype=np.int8)
    for strand in (genome, complement(genome)):
        for frame in range(3):
            read = "".join(CODONS.get(strand[begin : begin + 3], "X") for begin in range(frame, len(strand) - 2, 3))
            for protein in proteins:  # the first codon may be another one than that of M
                if (found := read.find(protein[1:])) >= 0:
                    begin = frame + 3 * (found - 1)
                    genes[begin : begin + 3 * (len(protein) + 1)] = 1  # to the end of the stop codon
        genes = genes[::-1].copy()  # twice: as it was
    return genes


def complement(sequence: str) -> str:
    """The other strand."""
    return sequence.translate(COMPLEMENT)[::-1]


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
    sides = parted(kept, clusters(kept, RELATED["protein"]), (0.62, 0.13, 0.25))
    short = {side: [(text[:100], label, group) for text, label, group in rows] for side, rows in sides.items()}
    return fewer(short, {"train": 900, "development": 190, "test": 300})


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
    return parted(rows, changed, (0.6, 0.15, 0.25))


def composers(out: Path) -> Sides:
    """Whose voice is it? 64 sounds of one voice, as intervals, so that key and register do not tell."""
    found = [(text, piece["label"], piece["work"]) for piece in pieces(out) for text in windows(piece)]
    groups = connected([("text", text), ("work", work)] for text, _, work in found)  # two editions of a work are one
    group_of = {text: group for (text, _, _), group in zip(found, groups, strict=True)}
    counts: Counter[int] = Counter()
    rows = list({text: label for text, label, _ in found}.items())
    some: list[Row] = []
    for number in np.random.default_rng(1).permutation(len(rows)):  # a long work must not stand for its composer
        counts[group_of[rows[number][0]]] += 1
        if counts[group_of[rows[number][0]]] <= MOST_OF_A_WORK:
            some.append(rows[number])
    kept = sampled(some, 400)
    sides: Sides = {side: [] for side in SIDES}
    for label in COMPOSERS:  # each dealt by itself, so that all of a composer's works are not on one side
        own = [row for row in kept if row[1] == label]
        for side, dealt in parted(own, [group_of[text] for text, _ in own], (0.62, 0.13, 0.25)).items():
            sides[side] += dealt
    return fewer(sides, {"train": 1000, "development": 200, "test": 400})


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
    "coding": coding,
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


def parted(rows: Sequence[Row], groups: Sequence[int], shares: Sequence[float]) -> Sides:
    """Rows of a group on one side."""
    sides = deal(groups, shares, seed=1)
    dealt = [(*row, str(group)) for row, group in zip(rows, groups, strict=True)]
    return {name: [row for row, of in zip(dealt, sides, strict=True) if of == side] for side, name in enumerate(SIDES)}


def fewer(sides: Sides, most: Mapping[str, int]) -> Sides:
    """So many rows of each side at most, in random order."""
    generator = np.random.default_rng(1)
    return {side: [rows[n] for n in generator.permutation(len(rows))[: most[side]]] for side, rows in sides.items()}


def clusters(rows: Sequence[Row], related: int) -> list[int]:
    """Number of each sequence's cluster: those that share so many letters in a row, directly or by way of others."""
    return connected(runs(text, related) for text, _ in rows)


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
    """Fragments of the genome's training blocks, and as many of the 2,000 bases before each gene of the fly.

    Genes lie close to each other: of the fly's regions that share 80 bases, on either strand, only the first is kept.
    (A run of 79 bases holds one of 40 that begins at a multiple of 40, and these are what is remembered.)
    """
    judged = {run for text in texts_of_other_sides(out / "coding") for run in runs(text, RELATED["genome"])}
    genome = ecoli()
    begins = [begin for begin in range(0, len(genome), FRAGMENT) if side_of(begin) == "train"]
    fragments = [(f"coli{begin}", genome[begin : begin + FRAGMENT]) for begin in begins]
    kept = [(name, text) for name, text in fragments if unrelated(text, judged, RELATED["genome"])]
    seen: set[str] = set()
    fly = []
    with tempfile.TemporaryDirectory() as folder:
        (path,) = unpacked(BIOSTRINGS, folder).rglob("dm3_upstream2000.fa.gz")
        for header, text in sequences(path):
            whole = text.upper()
            if unrelated(whole, seen, 40):
                fly.append((header, text))
                seen |= {whole[begin : begin + 40] for begin in range(0, len(whole) - 39, 40)}
    chosen = np.random.default_rng(1).permutation(len(fly))[: len(kept)].tolist()
    write_fasta(out / "dna.fasta", [*kept, *(fly[number] for number in chosen)])


def unrelated(text: str, known: set[str], size: int) -> bool:
    """Whether neither strand has a run of so many bases that is known."""
    return all(known.isdisjoint(runs(each, size)) for each in (text, complement(text)))


def protein_corpus(out: Path) -> None:
    """All bacterial proteins of PSORTb that are not related to one of the development or test sides."""
    with tempfile.TemporaryDirectory() as folder:
        paths = sorted(unpacked(PSORTB, folder).rglob("sclblast/*/sclblast"))
        every = {text: header.split()[0] for path in paths for header, text in sequences(path)}
    texts = texts_of_other_sides(out / "localization") | texts_of_other_sides(out / "stability")
    judged = {run for text in texts for run in runs(text, RELATED["protein"])}
    kept = [(name, text) for text, name in every.items() if judged.isdisjoint(runs(text, RELATED["protein"]))]
    write_fasta(out / "proteins.fasta", kept)


def music_corpus(out: Path) -> None:
    """All voices but for the works of the development and test side in all their editions; with their works."""
    judged = texts_of_other_sides(out / "composers")
    found = pieces(out)
    # Works that share a window belong together, whether or not the window was drawn for a side.
    groups = connected([piece["work"], *windows(piece)] for piece in found)
    taken = {group for group, piece in zip(groups, found, strict=True) if not judged.isdisjoint(windows(piece))}
    kept = [(piece["text"], str(group)) for group, piece in zip(groups, found, strict=True) if group not in taken]
    with atomic_file(out / "music.csv") as raw:
        csv.writer(codecs.getwriter("utf-8")(raw)).writerows([("text", "work"), *kept])
    symbols = sum(text.count(" ") + 1 for text, _ in kept)
    print(f"{'music.csv':>14} {len(kept):>12,} voices of {len({work for _, work in kept}):,} works {symbols:,} symbols")


def texts_of_other_sides(folder: Path) -> set[str]:
    """What must not be pre-trained on."""
    found: set[str] = set()
    for side in SIDES[1:]:
        with (folder / f"{side}.csv").open(encoding="utf-8", newline="") as file:
            found |= {row["text"] for row in csv.DictReader(file)}
    return found


def write_fasta(path: Path, named: Sequence[tuple[str, str]]) -> None:
    """Sequences, each under its name."""
    write_text(path, "".join(f">{name}\n{text}\n" for name, text in named))
    print(f"{path.name:>14} {len(named):>12,} sequences {sum(len(text) for _, text in named):,} letters")


CORPORA: dict[str, Callable[[Path], None]] = {
    "dna.fasta": dna_corpus,
    "proteins.fasta": protein_corpus,
    "music.csv": music_corpus,
}


if __name__ == "__main__":
    main()
