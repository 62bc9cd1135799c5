"""Does a BERT that has read only English help with DNA?

After Kao and Lee (2021; the lecture's slides 73 to 75). Each symbol is renamed to an ordinary word of the encoder's
vocabulary, drawn once for each seed: A G A C becomes "we she we he", and the text encoder is fine-tuned on such texts.
Beside it: the same with its word embeddings drawn anew, with everything drawn anew, an encoder that was pre-trained on
the alphabet itself, the same before it has read anything, and a linear model on n-grams and places, which often wins.

Scores are the accuracy, or the rank correlation (Spearman) of a number, as in the paper. All starts see the same
examples, and their answers to each test example are kept, so that differences can be judged.
"""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from bertwright.analyze.intervals import difference
from bertwright.analyze.linear_sequences import LONGEST, STRENGTHS, linear_answers
from bertwright.analyze.trainings import Trainings, at_rate, content, content_of
from bertwright.checkpoint import Checkpoint, Description, load_checkpoint, save_checkpoint
from bertwright.config import FinetuneRecipe, expand
from bertwright.download import checkpoint_folder
from bertwright.errors import UserError
from bertwright.finetune import Given, check_length, parted, read_files
from bertwright.metrics import regression_metrics
from bertwright.model.heads import BareModel
from bertwright.predict import Predictor
from bertwright.run import Run, digest, keep_result
from bertwright.start import TABLE
from bertwright.tasks import TASKS
from bertwright.tasks.task import Example
from bertwright.tokenizer import Tokenizer
from bertwright.vocabulary import CONTINUATION, SPACE

STARTS = ("text", "reembedded", "random")
"""The text encoder as it is, with new word embeddings, and with new weights throughout."""

MORE = ("unused", "words", "trainings")
"""The text encoder with vectors of [unused] tokens in place of words; with other words for each seed, but always the
first seed's training; with the first seed's words, but another training for each seed."""

OWN, OWN_RANDOM, LINEAR, MAJORITY = "own", "own-random", "linear", "majority"
"""An encoder of the alphabet; the same with new weights; no encoder; always the most frequent class."""

TRAINED_AS = {**dict.fromkeys(MORE, "text"), OWN_RANDOM: OWN}
"""Start -> the one whose learning rate it has."""

SHORTEST = 2
"""Letters of a word that a symbol is renamed to, at least."""

GROUP = "group"
"""Column of a test file: its rows with the same value (a position, a work, a cluster) are no independent examples."""


@dataclass(frozen=True)
class DataSet:
    """Labelled sequences."""

    name: str
    recipe: FinetuneRecipe
    sides: dict[str, list[Example]]
    known: list[Example]
    """All training examples, those that are not kept, too: they name the classes."""
    overlaps: dict[str, int]
    """Side -> how many examples were left out, as they stand in training, too."""
    labels: list[str]
    """Classes; empty for a number."""
    spaced: bool
    """Whether symbols are separated by spaces; otherwise each letter is one, in whatever case."""

    def symbols(self, example: Example) -> list[str]:
        """The symbols of a sequence."""
        text = example.texts[0]
        return text.split() if self.spaced else list("".join(text.split()).upper())

    @property
    def metric(self) -> str:
        """What it is scored by."""
        return "accuracy" if self.labels else "spearman"

    def truth(self, side: str) -> np.ndarray:
        """[N], the numbers of the right classes of the examples of a side, or their numbers."""
        return np.array([self.labels.index(each.label) if self.labels else each.label for each in self.sides[side]])

    def score(self, answers: np.ndarray, truth: np.ndarray) -> float:
        """Of answers, [N]."""
        if self.labels:
            return float(np.mean(answers == truth))
        return regression_metrics(truth, answers)["spearman"]


def domains(
    recipes: Mapping[str, FinetuneRecipe],
    trainings: Trainings,
    seeds: Mapping[str, Sequence[int]],
    *,
    text: str | None = None,
    more: Sequence[str] = (),
    rates: Mapping[str, float] | None = None,
) -> dict[str, Any]:
    """Fine-tune every recipe from every start; what was stopped goes on with the next training.

    Args:
        recipes: name of a data set -> how an encoder is fine-tuned on it (`classify`, with a class or a number); its
            data are sequences, of letters or of symbols separated by spaces, with all their files in tables.
        trainings: their folder, with a JSON file for each and results/domains.json, and who is told.
        seeds: name of a data set -> seeds of the renaming and of the trainings.
        text: checkpoint of the text encoder; the recipes' own checkpoints were pre-trained on their alphabets then, and
            are compared, too. None: the recipes' checkpoints are text encoders.
        more: starts out of MORE.
        rates: start -> learning rate of AdamW, in place of the recipe's optimizer; see TRAINED_AS for the others. What
            Muon has pre-trained wants it in fine-tuning, too, and public encoders want AdamW.

    Returns:
        {"kind", "sets"}; a set has "name", "metric", "seeds", "examples", "overlaps" (left out), "symbols" (how many),
        "example" (of the first renaming), "parameters" (of the text encoder and the own one) and "starts": of each its
        "scores" on the test examples, by seed, its "curves" of development scores, [step, score] by seed, "mean_curve",
        "reached" (the step at which that reaches the best of random weights, or None), and "against": the text encoder,
        the linear model, the own encoder with new weights -> the difference to it, see `against`. The linear model
        has one score, and so has the most frequent class.

    Raises:
        UserError: a start is unknown, a recipe is not of this kind, its data or checkpoints are missing or damaged, or
            a group of examples is on two sides; all that is told before the first training.
        Interrupted: Ctrl-C or SIGTERM came; the training that went on was saved first.
    """
    rates = rates or {}
    starts = (*STARTS, *more, *([OWN, OWN_RANDOM] if text is not None else []))
    for start, known in (*((each, MORE) for each in more), *((each, starts) for each in rates)):
        if start not in known:
            raise UserError(f"there is no start {start!r}", expected=", ".join(known), advice="name one of them")
    contests = [contest(name, recipe, text, seeds[name]) for name, recipe in recipes.items()]
    sets = []
    for data, encoder, own in contests:
        numbers, cells = seeds[data.name], {}
        for start in starts:
            rate = rates.get(start, rates.get(TRAINED_AS.get(start, start)))
            cells[start] = [train(trainings, data, encoder, start, seed, numbers[0], rate) for seed in numbers]
        settings = [digest(content_of(data.sides)), data.metric, LONGEST, STRENGTHS]
        cells[LINEAR] = [trainings.cell(f"{data.name}-{LINEAR}", settings, partial(_linear, data))]
        if data.labels:
            cells[MAJORITY] = [{"answers": [_most_frequent(data)] * len(data.sides["test"])}]
        table = renaming(_symbols(data), encoder.tokenizer, numbers[0])
        sets.append(
            {
                "name": data.name,
                "metric": data.metric,
                "seeds": list(numbers),
                "examples": {side: len(examples) for side, examples in data.sides.items()},
                "overlaps": data.overlaps,
                "symbols": len(table),
                "example": dict(list(table.items())[:8]),
                "parameters": {"text": _size(encoder), OWN: _size(own)},
                "starts": _outcomes(data, cells),
            }
        )
    return keep_result({"kind": "domains", "sets": sets}, trainings.folder)


def contest(
    name: str, recipe: FinetuneRecipe, text: str | None, seeds: Sequence[int]
) -> tuple[DataSet, Checkpoint, Checkpoint]:
    """A data set, the text encoder, and the recipe's own one: all that hours of training will want."""
    data = _read(name, recipe)
    own = load_checkpoint(checkpoint_folder(expand(recipe.start.checkpoint)))
    encoder = load_checkpoint(checkpoint_folder(expand(text))) if text is not None else own
    symbols = _symbols(data)
    for seed in seeds:
        renaming(symbols, encoder.tokenizer, seed)
    for each in (encoder, own):
        check_length(recipe.train.length, each)
    return data, encoder, own


def _outcomes(data: DataSet, cells: Mapping[str, Sequence[Mapping[str, Any]]]) -> dict[str, dict[str, Any]]:
    """What each start comes to; see `domains`."""
    answers = {start: np.array([cell["answers"] for cell in of]) for start, of in cells.items()}
    curves = {start: [cell["curve"] for cell in of if "curve" in cell] for start, of in cells.items()}
    return {
        start: {
            "scores": [data.score(each, data.truth("test")) for each in answers[start]],
            "curves": curves[start],
            "mean_curve": list(mean_curve(curves[start]).items()) if curves[start] else [],
            "reached": reached(curves[start], curves["random"]) if curves[start] else None,
            "against": {
                other: against(data, answers[start], answers[other]) if other != start else None
                for other in ("text", LINEAR, OWN_RANDOM)
                if other in cells
            },
        }
        for start in cells
    }


def _read(name: str, recipe: FinetuneRecipe) -> DataSet:
    """The examples of a recipe, the same for all starts."""
    kind = recipe.data.label_kind
    if recipe.task != "classify" or kind == "classes" or recipe.data.test is None:
        raise UserError(
            f"the recipe {name} is of the task {recipe.task}, labels {kind}",
            expected="classify, with a class or a number for each sequence, and a test file",
            advice="see docs/analyses.md",
        )
    task = TASKS[recipe.task](recipe.data.reading)
    files = read_files(task, recipe.data)
    sides, overlaps = parted(task, recipe.data, files)
    task.learn(files["train"])
    for examples in sides.values():
        task.check(examples)
    _check_groups(sides)
    labels = task.labels if kind == "class" else []
    every = [each for examples in sides.values() for each in examples]
    return DataSet(name, recipe, sides, files["train"], overlaps, labels, _spaced(every))


def _check_groups(sides: Mapping[str, Sequence[Example]]) -> None:
    """See that no group of training examples (a cluster, a work) has a test or development example, too."""
    known = {each.columns[GROUP] for each in sides["train"] if each.columns.get(GROUP)}
    for side in ("development", "test"):
        for each in sides[side]:
            if each.columns.get(GROUP) in known:
                raise UserError(
                    f"the {GROUP} {each.columns[GROUP]!r} of this {side} example has training examples, too",
                    file=Path(each.file),
                    line=each.line,
                    expected="all of a group on one side: its examples are related, and flatter the score",
                    advice=f"deal the rows anew: bertwright split FILE --group {GROUP}; or leave the column out",
                )


def _spaced(examples: Sequence[Example]) -> bool:
    """Whether symbols are separated by spaces."""
    parts = [(each, len(each.texts[0].split())) for each in examples]
    spaced = 2 * sum(count > 1 for _, count in parts) > len(parts)
    for each, count in parts:
        if (count > 1) != spaced and len(each.texts[0].strip()) > 1:
            raise UserError(
                f"{each.texts[0][:40]!r} has {'no' if spaced else 'a'} space in it, unlike most sequences",
                file=Path(each.file),
                line=each.line,
                expected="spaces between all symbols of all sequences, or none",
                advice="write them alike",
            )
    return spaced


def _most_frequent(data: DataSet) -> int:
    """The number of the class that most training examples have."""
    return int(np.bincount(data.truth("train")).argmax())


def _symbols(data: DataSet) -> list[str]:
    """All that occur, sorted."""
    return sorted({each for examples in data.sides.values() for example in examples for each in data.symbols(example)})


def _size(checkpoint: Checkpoint) -> int:
    """Weights of an encoder."""
    return sum(weight.numel() for name, weight in checkpoint.weights.items() if name.startswith("encoder."))


# ---------------------------------------------------------------------------------------------- renaming


def renaming(symbols: Sequence[str], tokenizer: Tokenizer, seed: int) -> dict[str, str]:
    """A different ordinary word of the vocabulary for each symbol, drawn with the seed.

    Words of letters only, that are one token in running text and no piece of a word.

    Raises:
        UserError: the vocabulary has fewer of them than there are symbols.
    """
    ids = np.setdiff1d(np.arange(tokenizer.vocabulary_size), tokenizer.special_ids)
    words = [token.removeprefix(SPACE) for token in tokenizer.tokens(ids) if not token.startswith(CONTINUATION)]
    words = sorted({word for word in words if len(word) >= SHORTEST and word.isalpha()})
    chosen = [words[number] for number in np.random.default_rng(seed).permutation(len(words))]
    single = (word for word in chosen if len(tokenizer.encode(f"{word} {word}")) == 2)
    table = dict(zip(symbols, single, strict=False))
    if len(table) < len(symbols):
        raise UserError(
            f"there are {len(symbols)} symbols, but the vocabulary has {len(table)} words",
            expected="a word for each symbol",
            advice="take an encoder with a larger vocabulary",
        )
    return table


def renamed(data: DataSet, table: Mapping[str, str]) -> dict[str, list[Example]]:
    """The examples of all sides with a word in place of each symbol."""
    return {
        side: [replace(each, texts=(" ".join(table[symbol] for symbol in data.symbols(each)),)) for each in examples]
        for side, examples in data.sides.items()
    }


# ---------------------------------------------------------------------------------------------- training


def train(
    trainings: Trainings,
    data: DataSet,
    encoder: Checkpoint,
    start: str,
    seed: int,
    first: int,
    rate: float | None,
) -> dict[str, Any]:
    """A cell: answers to the test examples, and the curve on the development examples."""
    if start in ("words", "trainings") and seed == first:
        start = "text"  # of the same words and the same seed
    words = first if start == "trainings" else seed
    drawn = {"reembedded": "reembedded", "random": "random", OWN_RANDOM: "random"}
    section: dict[str, Any] = {"weights": drawn.get(start, "pretrained")}
    sides, weights = data.sides, encoder.folder
    if start in (OWN, OWN_RANDOM):
        weights = checkpoint_folder(expand(data.recipe.start.checkpoint))
    else:
        table = renaming(_symbols(data), encoder.tokenizer, words)
        sides = renamed(data, table)
        section["checkpoint"] = str(encoder.folder)
        if start == "unused":
            weights = with_unused(encoder, list(table.values()), trainings.folder, words)
            section["checkpoint"] = str(weights)
    sections: dict[str, Any] = {
        "start": section,
        "train": {"seed": first if start == "words" else seed},
        "data": {"train_examples": None},
        **at_rate(rate),
    }
    test = sides["test"]
    given = Given({side: each for side, each in sides.items() if side != "test"}, known=data.known)
    found = partial(_found, data, test)
    options = {"given": given, "judged": [digest(content_of(sides)), content(weights)]}
    return trainings.train(f"{data.name}-{start}-seed{seed}", data.recipe, sections, found, **options)


def _found(data: DataSet, test: Sequence[Example], result: dict[str, Any], run: Run) -> dict[str, Any]:
    """What is kept of a training: the answers of its best checkpoint, and its curve."""
    answers = Predictor.load(run.folder).answers(test)
    records = [record for record in run.read_log() if "evaluation" in record]
    return {
        "answers": [int(each.argmax()) if data.labels else round(float(each[0]), 6) for each in answers],
        "curve": [[record["step"], record["evaluation"][data.metric]] for record in records],
        "seconds": result["seconds"],
    }


def _linear(data: DataSet) -> dict[str, Any]:
    """The linear model's answers."""
    sequences = {side: list(map(data.symbols, examples)) for side, examples in data.sides.items()}
    truth = {side: data.truth(side) for side in ("train", "development")}
    return {"answers": linear_answers(sequences, truth, data.score, number=not data.labels).tolist()}


def with_unused(encoder: Checkpoint, words: Sequence[str], folder: Path, seed: int) -> Path:
    """The text encoder in a folder of its own, each word that is used with the vector of an [unused] token.

    Raises:
        UserError: the vocabulary has fewer of them than there are words.
    """
    target = folder / "unused" / digest([content(encoder.folder), list(words), seed])
    if target.exists():
        return target
    names = encoder.tokenizer.tokens(np.arange(encoder.tokenizer.vocabulary_size))
    spare = [number for number, token in enumerate(names) if token.startswith("[unused")]
    if len(spare) < len(words):
        raise UserError(
            f"the vocabulary has {len(spare)} [unused] tokens for {len(words)} symbols",
            file=encoder.folder,
            expected="one for each symbol, as BERT's own vocabularies have",
            advice="leave the comparison with [unused] tokens out",
        )
    rows = np.random.default_rng(seed).permutation(spare)[: len(words)]
    table = encoder.weights[TABLE].clone()
    table[[int(encoder.tokenizer.encode(word)[0]) for word in words]] = encoder.weights[TABLE][rows]
    kept = {name: weight for name, weight in encoder.weights.items() if name.startswith(("encoder.", "pooler."))}
    description = Description(config=encoder.config, family=encoder.family, purpose="encoder", facts={})
    save_checkpoint(target, BareModel(encoder.config), encoder.tokenizer, description, whole={**kept, TABLE: table})
    return target


# ---------------------------------------------------------------------------------------------- judging


def against(data: DataSet, one: np.ndarray, other: np.ndarray) -> list[float]:
    """By how much one start scores higher than another one, and the ends of its interval; see `difference`.

    Args:
        data: the data set; a column of the test file may name groups.
        one: [seeds, N], answers to the test examples; one row: it has no seed.
        other: [seeds, N].
    """
    truth = data.truth("test")

    def scores(answers: np.ndarray, rows: np.ndarray) -> list[float]:
        return [data.score(each[rows], truth[rows]) for each in answers]

    groups = [each.columns.get(GROUP) or f"\0{number}" for number, each in enumerate(data.sides["test"])]
    return difference(partial(scores, one), partial(scores, other), groups)


def reached(curves: Sequence[Sequence[Sequence[float]]], of_random: Sequence[Sequence[Sequence[float]]]) -> int | None:
    """The first step at which the mean of development curves is as high as that of random weights ever is."""
    level = max(mean_curve(of_random).values())
    return next((step for step, score in mean_curve(curves).items() if score >= level), None)


def mean_curve(curves: Sequence[Sequence[Sequence[float]]]) -> dict[int, float]:
    """Step -> the mean over curves, at the steps that all of them have."""
    shared = sorted(set.intersection(*({int(step) for step, _ in curve} for curve in curves)))
    tables = [{int(step): score for step, score in curve} for curve in curves]
    return {step: statistics.mean(table[step] for table in tables) for step in shared}
