"""Two languages of which everything is known: English, and English with every token renamed (slides 79 to 82).

    python experiments/2026-11-26-laboratory/laboratory.py                          full text, seed 1
    python experiments/2026-11-26-laboratory/laboratory.py --share 0.2 --seed 2     a fifth of the text at equal steps
    python experiments/2026-11-26-laboratory/laboratory.py --apart positions specials --random-share 0

After Dufter and Schuetze (2020). The World English Bible (Debian's sword-text-web; public domain) in WordPiece of 2,048
tokens; each verse once as tokens a0, a1, ... and once as b0, b1, ...: "Fake-English", whose tokens share nothing with
the first ones but position, order and company. A small BERT reads both, mixed; nothing tells it that a17 and b17 are
the same. Pieces from all over the text are held back: their verses are the parallel sentences of `alignment` and
`shift`, and the dictionary is exact. What should break it: positions of the second language that are its own, special
tokens that are its own, and no random words among the masks. One run and its analyses for each setting in --folder;
what is there goes on, or is not done again.

All is measured at the last step, not where the held-out loss is best, and the alignment at 24 checkpoints. The plateau
(P20) is the loss of a model that knows the language of a token, how frequent it is and how masks are drawn, and nothing
of its neighbours; the fall is looked for in the training loss after it first came near that. A setting that is still
on it when its steps are over has decided nothing about alignment (P19, P21). Zero-shot transfer (P13): is a verse of
the Old or of the New Testament? Learnt in one language or in both, asked of held-back verses of both, from the run and
from random weights. Both languages have sentences of exactly the same lengths, so that the length alone finds many
translations: words are what counts, and what the length gives is told.

What is kept apart is so in this process only: `bertwright analyze` on such a run would read both languages with the
positions and special tokens of the first one.

The paper takes 13,500 steps of 256 verses; here are eight times fewer tokens, in as many small steps, by Muon and with
twice the masks, which leave the plateau sooner (LOG, 2026-11-24).
"""

import argparse
import re
import struct
import subprocess
import tempfile
import urllib.request
import zlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock

from bertwright.analyze import Trainings, alignment, shift, transfer
from bertwright.analyze.trainings import checkpoints_of
from bertwright.batches import Batch, Rows
from bertwright.config import FinetuneRecipe, PretrainRecipe, TokenizerSettings
from bertwright.prepare import prepare
from bertwright.pretrain import pretrain
from bertwright.recipe import parse
from bertwright.report import write_report
from bertwright.run import Run, keep_result, read_json, write_text
from bertwright.store import Store
from bertwright.tokenizer import Tokenizer

BIBLE = "http://deb.debian.org/debian/pool/main/s/sword-text-web/sword-text-web_426.0-1_all.deb"
PIECE, HELD_BACK = 50, 31
"""Of pieces of so many verses, one in so many is held back: about 1,000 verses."""
WORD_PIECES = "pieces.txt"
"""What the numbers of tokens stand for."""
TESTAMENTS = ("ot", "nt")
LABELLED = {"text": 500, "held": 200}
"""Verses of a testament, at most, to learn from and to be asked of."""
WORDS = 2048
APART = ("positions", "specials")
SPARE = "spare-cls spare-sep spare-mask"
"""A line of its own: tokens that nothing else uses."""
LENGTH = 128
HELD_OUT = 0.02
"""Share of the text that the held-out loss is of."""
FRAME = 2
"""[CLS] and [SEP] of a verse."""

KINDS = ("plain", "centred")
"""Vectors as they are, and less the mean of their language."""

KEPT = 0.1
"""Of the tokens that are asked so many are shown."""

PARTS, NEAR = 400, 0.1
"""The course of the loss: means over so many parts of the run; so many nats from a level are near it."""


def main() -> None:
    """Do what is missing."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--share", type=float, default=1.0, help="of the text")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--steps", type=int, default=9600)
    parser.add_argument("--layers", type=int, default=12)
    parser.add_argument(
        "--random-share", type=float, default=0.1, help="of the masked tokens; 0: [MASK] in their place"
    )
    parser.add_argument("--apart", nargs="*", default=[], choices=APART, help="what the languages do not share")
    parser.add_argument("--folder", type=Path, default=Path("runs/laboratory"))
    given = parser.parse_args()
    folder: Path = given.folder
    folder.mkdir(parents=True, exist_ok=True)
    apart = "".join(f"-{each}" for each in sorted(given.apart))
    shape = f"{given.layers}x{given.steps}"
    name = f"{shape}-share{given.share:g}-random{given.random_share:g}{apart}-seed{given.seed}"
    run = folder / name
    with FileLock(folder / ".lock"):  # another setting may be starting, too
        languages(folder)
        recipe = recipe_of(given, run)
        if not (folder / f"store-{given.share:g}").exists():
            prepare(recipe)
    keep_apart(given.apart, Store.open(given.folder / f"store-{given.share:g}").tokenizer())
    if not (run / "results" / "pretrain.json").exists():
        pretrain(recipe, resume=(run / "recipe.toml").exists())
    parallel = (folder / "held-a.txt", folder / "held-b.txt")
    dictionary = folder / "dictionary.tsv"
    if not (run / "results" / "alignment.json").exists():
        alignment(run, parallel, dictionary, over_time=True, folder=run)
    last = checkpoints_of(run)[given.steps]
    if not (run / "results" / "shift.json").exists():
        shift(last, parallel, dictionary, alphas=(0.5, 1.0, 1.5, 2.0, 3.0), folder=run)
    testament(run, last)
    text = (folder / f"text-a-{given.share:g}.txt").read_text(encoding="utf-8").splitlines()
    learnt = learning(Run(run).read_log(), text, given.random_share)
    keep_result({"kind": "laboratory", "by_length": by_length(parallel[0]), **learnt}, run)
    runs = sorted(path.parents[1] for path in folder.glob("*/results/laboratory.json"))
    for language in ("en", "zh"):
        print(write_report(runs, folder / f"laboratory.{language}.html", language=language))
    print(table(runs))
    print(in_words(run))


def keep_apart(what: Sequence[str], tokenizer: Tokenizer) -> None:
    """Give the second language positions, segments and special tokens of its own, wherever rows become tensors."""
    whole = Rows.batch
    letters = [token[0] for token in tokenizer.tokens(np.arange(tokenizer.vocabulary_size))]
    votes = np.array([{"a": -1, "b": 1}.get(letter, 0) for letter in letters])
    own = np.arange(tokenizer.vocabulary_size)  # what stands for each token in the second language
    spare = tokenizer.encode(SPARE)
    assert len(set(spare.tolist()) - {tokenizer.unk_id}) == 3, "the store is older than SPARE: remove it"
    own[[tokenizer.cls_id, tokenizer.sep_id, tokenizer.mask_id]] = spare

    def batch(self: Rows, device: Any = "cpu") -> Batch:
        """Sequences are of the language that most of their tokens are of: some are special, masked or random."""
        rows, owner = self, self.sequence_ids
        counts = np.bincount(owner.ravel(), weights=votes[rows.input_ids].ravel())
        second = (counts[owner] > 0) & (owner > 0)
        if "positions" in what:  # and segments, as theirs
            places = np.where(second, rows.position_ids + LENGTH, rows.position_ids)
            rows = replace(rows, position_ids=places, segment_ids=np.where(second, 1, rows.segment_ids))
        if "specials" in what:
            rows = replace(rows, input_ids=np.where(second, own[rows.input_ids], rows.input_ids))
        return whole(rows, device)

    if what:
        Rows.batch = batch


def languages(folder: Path) -> None:
    """Both languages as symbols, a verse a line; the held-back verses by themselves; dictionary and word pieces."""
    if (folder / WORD_PIECES).exists():
        return
    testaments, text = zip(*verses(), strict=True)
    tokenizer = Tokenizer.train(text, TokenizerSettings(vocabulary_size=WORDS))
    generator = np.random.default_rng(1)
    sides: dict[str, list[tuple[str, list[int]]]] = {"text": [], "held": []}
    for number, ids in enumerate(tokenizer.encode_batch(text)):
        if 2 <= len(ids) <= LENGTH - 2:
            side = "held" if number // PIECE % HELD_BACK == HELD_BACK - 1 else "text"
            sides[side].append((testaments[number], ids.tolist()))
    for side, verses_of in sides.items():
        chosen = [verses_of[number] for number in generator.permutation(len(verses_of))]
        for letter in "ab":
            lines = [(of, " ".join(f"{letter}{number}" for number in ids)) for of, ids in chosen]
            write_text(folder / f"{side}-{letter}.txt", "".join(f"{line}\n" for _, line in lines))
            parts = [[line for of, line in lines if of == testament][: LABELLED[side]] for testament in TESTAMENTS]
            rows = [f"{line}\t{of}\n" for of, part in zip(TESTAMENTS, parts, strict=True) for line in part]
            write_text(folder / f"testament-{side}-{letter}.tsv", "".join(rows))
    numbers = np.arange(tokenizer.vocabulary_size)
    write_text(folder / "dictionary.tsv", "".join(f"a{number}\tb{number}\n" for number in numbers))
    write_text(folder / WORD_PIECES, "".join(f"{piece}\n" for piece in tokenizer.tokens(numbers)))


def recipe_of(given: argparse.Namespace, run: Path) -> PretrainRecipe:
    """The shape of Dufter and Schuetze: layers of 64, one head; 16 rows a step, about 55 verses."""
    files = []
    for letter in "ab":
        whole = (given.folder / f"text-{letter}.txt").read_text(encoding="utf-8").splitlines()
        part = given.folder / f"text-{letter}-{given.share:g}.txt"
        kept = [*whole[: int(given.share * len(whole))], *([SPARE] if letter == "b" else [])]
        write_text(part, "\n".join(kept) + "\n")
        files.append(str(part))
    return parse(
        PretrainRecipe,
        {
            "run": str(run),
            "store": str(given.folder / f"store-{given.share:g}"),
            "corpus": {"files": files, "reader": "symbols", "held_out": HELD_OUT},
            "tokenizer": {"kind": "symbols", "vocabulary_size": 2 * WORDS + 16, "minimum_frequency": 1},
            "model": {"layers": given.layers, "width": 64, "heads": 1, "inner_width": 256, "max_length": 2 * LENGTH},
            "objective": {
                "masking_rate": 0.3,
                "random_share": given.random_share,
                "mask_share": 1 - KEPT - given.random_share,
            },
            "optimizer": {"name": "muon", "matrix_learning_rate": 2e-2, "learning_rate": 2e-3, "betas": [0.9, 0.98]},
            "train": {
                "steps": given.steps,
                "warmup": 0.05,
                "batch_size": 16,
                "length": LENGTH,
                "seed": given.seed,
                "save_at": [given.steps // 24 * part for part in range(1, 25)],
                "evaluate_every": given.steps // 24,
            },
        },
    )


def testament(run: Path, last: Path) -> None:
    """Zero-shot transfer from the last checkpoint: of the Old or of the New Testament?"""
    files = {letter: run.parent / f"testament-text-{letter}.tsv" for letter in "ab"}
    files["a and b"] = run.parent / "testament-text-a-and-b.tsv"
    write_text(files["a and b"], "".join(files[letter].read_text(encoding="utf-8") for letter in "ab"))
    recipes = {
        name: parse(
            FinetuneRecipe,
            {
                "task": "classify",
                "run": "unused",
                "data": {"train": str(file), "columns": ["text", "label"], "development_share": 0.1},
                # Whole, as `keep_apart` goes by the ids of pre-training.
                "start": {"checkpoint": "unused", "pooling": "mean", "vocabulary": "whole"},
                "optimizer": {"learning_rate": 1e-3},
                "train": {"epochs": 5, "batch_size": 16, "length": LENGTH},
            },
        )
        for name, file in files.items()
    }
    tests = {letter: str(run.parent / f"testament-held-{letter}.tsv") for letter in "ab"}
    transfer(recipes, {"laboratory": str(last)}, tests, Trainings(run, print), seeds=(1, 2))


def by_length(sentences: Path) -> float:
    """The mean reciprocal rank of translations of which only the length is known: of n alike the mean of 1 to 1 / n."""
    lengths = Counter(len(line.split()) for line in sentences.read_text(encoding="utf-8").splitlines())
    return sum(sum(1 / rank for rank in range(1, count + 1)) for count in lengths.values()) / lengths.total()


def learning(log: Iterable[Mapping[str, Any]], text: Sequence[str], random_share: float) -> dict[str, float]:
    """What a training's log says of its loss, and how often it has read both languages."""
    words = [word for line in text for word in line.split()]
    level = plateau(words, random_share)
    steps = [record for record in log if "loss" in record]
    losses = np.array([record["loss"] for record in steps])
    read = sum(record["tokens"] for record in steps)
    return {
        "plateau": level,
        **course(losses, level),
        "training_loss": float(losses[-len(losses) // 100 :].mean()),
        "epochs": read / (2 * (1 - HELD_OUT) * (len(words) + FRAME * len(text))),
    }


def plateau(words: Sequence[str], random_share: float) -> float:
    """Nats a token that frequencies leave to a model that knows the language: both have the same ones.

    Of the tokens that are asked a tenth is shown, and some have a random one of both languages in their place: what is
    shown is the more likely to be the answer, the more frequent it is.
    """
    rates = np.array(list(Counter(words).values()), dtype=np.float64)
    rates /= rates.sum()
    own = -np.log(rates)
    noise = random_share / (2 * len(rates))
    # Of shown token and answer, [V, V]: how often both come, and how often that shown token comes.
    both = noise * np.tile(rates, (len(rates), 1)) + np.diag(KEPT * rates)
    shown = both.sum(axis=1, keepdims=True)
    unsure = both * np.log(shown / np.where(both > 0, both, shown))
    masked = 1 - KEPT - random_share / 2  # a token of the other language tells as much as [MASK]
    return float(masked * rates @ own + unsure.sum())


def course(losses: np.ndarray, level: float) -> dict[str, float]:
    """What the training loss, by step, does about a level.

    Returns:
        "stays", the share of the run within .1 of the level, and "falls", the largest fall within a tenth of the run
        after it first came there; 0 if it never did. Of means over one of PARTS each.
    """
    means = np.array([part.mean() for part in np.array_split(losses, PARTS)])
    near = np.abs(means - level) < NEAR
    width = PARTS // 10
    first = int(near.argmax()) if near.any() else PARTS
    return {"stays": float(near.mean()), "falls": float((means[:-width] - means[width:])[first:].max(initial=0.0))}


def table(runs: Sequence[Path]) -> str:
    """All that was measured, a run a line."""
    heads = (
        "run",
        "epochs",
        "loss: held out, training",
        "plateau, share near it, fall",
        "words: rank, first, layer",
        "less the means",
        "first, random weights",
        "shifted: layer, alpha",
        "converted",
        "counterpart (chance)",
        "random vector: there, at its best",
        "accuracy (area under the ROC curve): a to b, b to b, both to b; random weights, a to b",
    )
    lines = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    for run in runs:
        results = {path.stem: read_json(path) for path in (run / "results").glob("*.json")}
        loss, words = results["laboratory"], results["alignment"]["words"]
        layer = int(np.argmax(words["plain"]["reciprocal_rank"]))
        ranks = [f"{words[kind]['reciprocal_rank'][layer]:.3f}, {words[kind]['first'][layer]:.3f}" for kind in KINDS]
        moved, best = results["shift"], results["shift"]["best"]
        place, random = moved["alphas"].index(best["alpha"]), moved["random"]["translated"]
        converted, right, chance = (
            moved["shift"][name][best["layer"]][place] for name in ("converted", "translated", "translated_chance")
        )
        scores = {(row["encoder"], row["train"]): row["scores"]["b"] for row in results["transfer"]["rows"]}
        told = {
            of: f"{np.mean(found['accuracy']):.3f} ({np.mean(found['roc_auc']):.3f})" for of, found in scores.items()
        }
        cells = (
            run.name,
            f"{loss['epochs']:.1f}",
            f"{results['alignment']['over_time'][-1]['loss']:.3f}, {loss['training_loss']:.3f}",
            f"{loss['plateau']:.3f}, {loss['stays']:.2f}, {loss['falls']:.3f}",
            f"{ranks[0]}, {layer}",
            ranks[1],
            f"{max(results['alignment']['untrained']['words']['plain']['first']):.3f}",
            f"{best['layer']}, {best['alpha']:g}",
            f"{converted:.3f}",
            f"{right:.3f} ({chance:.3f})",
            f"{random[best['layer']][place]:.3f}, {max(map(max, random)):.3f}",
            ", ".join(told["laboratory", train] for train in ("a", "b", "a and b")) + f"; {told['none', 'a']}",
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def in_words(run: Path) -> str:
    """The sentences that were shifted, in words; those of the second language in capitals."""
    pieces = (run.parent / WORD_PIECES).read_text(encoding="utf-8").splitlines()

    def read(symbol: re.Match[str]) -> str:
        piece = pieces[int(symbol[2])]
        return piece.upper() if symbol[1] == "b" else piece

    found = read_json(run / "results" / "shift.json")
    shown = [(f"{output['alpha']:g}", output["text"]) for each in found["examples"] for output in each["outputs"]]
    words = [(alpha, re.sub(r"\b([ab])(\d+)\b", read, text).replace(" ##", "")) for alpha, text in shown]
    return "\n".join(f"{alpha:>4}  {text}" for alpha, text in words)


def verses() -> list[tuple[str, str]]:
    """The World English Bible, verse by verse, without its markup; each with its testament, "ot" or "nt"."""
    with tempfile.TemporaryDirectory() as folder:
        package = Path(folder, "bible.deb")
        urllib.request.urlretrieve(BIBLE, package)
        subprocess.run(["dpkg-deb", "-x", str(package), folder], check=True)
        found: list[tuple[str, str]] = []
        for part in TESTAMENTS:
            (blocks,) = Path(folder).rglob(f"{part}.bzs")
            data, places = blocks.with_suffix(".bzz").read_bytes(), blocks.with_suffix(".bzv").read_bytes()
            index = blocks.read_bytes()
            texts = []
            for begin in range(0, len(index), 12):  # offset, size packed, size unpacked
                offset, size, _ = struct.unpack_from("<III", index, begin)
                texts.append(zlib.decompress(data[offset : offset + size]))
            for begin in range(0, len(places) - 9, 10):  # block, offset, size
                block, offset, size = struct.unpack_from("<IIH", places, begin)
                if size:
                    verse = texts[block][offset : offset + size].decode("utf-8", errors="replace")
                    clean = re.sub(r"\s+", " ", re.sub(r"<note.*?</note>|<[^>]+>", " ", verse)).strip()
                    if clean:
                        found.append((part, clean))
    return found


if __name__ == "__main__":
    main()
