"""Does a BERT that has read only English help with DNA?

After Kao and Lee (2021; the lecture's slides 73 to 75). Each symbol is renamed to an ordinary word of the encoder's
vocabulary, drawn once for each seed: A G A C becomes "we she we he", and the text encoder is fine-tuned on such texts.
Beside it: the same with its word embeddings drawn anew, with everything drawn anew, an encoder that was pre-trained on
the alphabet itself, and a linear model on n-grams and positions, which often wins.
"""

import json
import statistics
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bertwright.analyze.linear_sequences import linear_score
from bertwright.analyze.trainings import Trainings, changed
from bertwright.checkpoint import Description, load_checkpoint, save_checkpoint
from bertwright.config import FinetuneRecipe, expand
from bertwright.corpus import read_rows
from bertwright.download import checkpoint_folder
from bertwright.errors import UserError
from bertwright.finetune import parted, read_files
from bertwright.model.heads import BareModel
from bertwright.run import Run, keep_result, read_json, write_json, write_text
from bertwright.start import TABLE
from bertwright.tasks import TASKS
from bertwright.tokenizer import Tokenizer
from bertwright.train import Progress
from bertwright.vocabulary import CONTINUATION, SPACE

STARTS = ("text", "reembedded", "random")
"""The text encoder as it is, with new word embeddings, and with new weights throughout."""

UNUSED, OWN, LINEAR = "unused", "own", "linear"
"""The text encoder with vectors of [unused] tokens in place of words, an encoder of the alphabet, no encoder."""

SHORTEST = 2
"""Letters of a word that a symbol is renamed to, at least."""

SIDES = ("train", "development", "test")


def domains(
    recipes: Mapping[str, FinetuneRecipe],
    folder: Path,
    *,
    text: str | None = None,
    unused: bool = False,
    seeds: Sequence[int] = (1, 2, 3, 4, 5),
    say: Callable[[str], None] = lambda _: None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Fine-tune every recipe from every start; what was stopped goes on with the next training.

    Args:
        recipes: name of a data set -> how an encoder is fine-tuned on it (`classify`, with a class or a number); its
            data are sequences, of letters or of symbols separated by spaces, with all their files in tables.
        folder: for renamed data, the trainings, a JSON file for each, and results/domains.json.
        text: checkpoint of the text encoder; the recipes' own checkpoints were pre-trained on their alphabets then, and
            are compared, too. None: the recipes' checkpoints are text encoders.
        unused: rename symbols to [unused] tokens, too: they are in the vocabulary, but no text has them.
        seeds: of the renaming and of the trainings.
        say: told what happens now.
        progress: told after every step.

    Returns:
        {"kind", "seeds", "sets"}; a set has "name", "metric", "examples", "symbols" (how many), "example" (of the first
        renaming) and "starts": of each its "scores" on the test examples, by seed, its "curves" of development scores,
        [step, score] by seed, and "p" of the difference to the text encoder (see `paired_test`). The linear model has
        one score.

    Raises:
        UserError: a recipe is not of this kind, or its data or checkpoints are missing or damaged.
        Interrupted: Ctrl-C or SIGTERM came; the training that went on was saved first.
    """
    trainings = Trainings(folder, say, progress)
    sets = []
    for name, recipe in recipes.items():
        _check(name, recipe)
        starts: dict[str, dict[str, Any]] = {}
        examples: dict[str, int] = {}
        metric = ""
        renamed = recipe if text is None else changed(recipe, {"start": {"checkpoint": text}})
        more = [start for start, wanted in ((UNUSED, unused), (OWN, text is not None)) if wanted]
        for start in (*STARTS, *more):
            cells = [
                trainings.train(
                    f"{name}-{start}-seed{seed}",
                    recipe if start == OWN else renamed,
                    {"train": {"seed": seed}, **(_start(renamed, name, start, seed, folder) if start != OWN else {})},
                    _curve,
                )
                for seed in seeds
            ]
            starts[start] = {key + "s": [cell[key] for cell in cells] for key in ("score", "curve")}
            examples, metric = cells[0]["examples"], cells[0]["metric"]
        linear = trainings.cell(
            f"{name}-{LINEAR}", recipe.data.model_dump(mode="json"), lambda recipe=recipe: {"score": _linear(recipe)}
        )
        starts[LINEAR] = {"scores": [linear["score"]], "curves": []}
        for start, found in starts.items():
            found["p"] = paired_test(starts["text"]["scores"], found["scores"]) if start != "text" else None
        table = read_json(_renamed(renamed, name, seeds[0], folder) / "table.json")
        shown = {"symbols": len(table), "example": dict(list(table.items())[:8])}
        sets.append({"name": name, "metric": metric, "examples": examples, **shown, "starts": starts})
    result = {"kind": "domains", "seeds": list(seeds), "sets": sets}
    return keep_result(result, folder)


def _check(name: str, recipe: FinetuneRecipe) -> None:
    if recipe.task != "classify" or recipe.data.label_kind == "classes" or recipe.data.test is None:
        raise UserError(
            f"the recipe {name} is of the task {recipe.task}, labels {recipe.data.label_kind}",
            expected="classify, with a class or a number for each sequence, and a test file",
            advice="see docs/analyses.md",
        )


def paired_test(one: Sequence[float], other: Sequence[float]) -> float | None:
    """The p of a paired t-test of two lists of scores; None where they are no pairs, or all differences are equal."""
    from scipy.stats import ttest_rel

    if len(one) < 2 or len(one) != len(other) or statistics.pstdev(np.subtract(one, other).tolist()) < 1e-12:
        return None
    return float(np.asarray(ttest_rel(one, other))[1])


# ---------------------------------------------------------------------------------------------- renaming


def symbols_of(text: str) -> list[str]:
    """The symbols of a sequence: what stands between its spaces, or its letters where there are none."""
    parts = text.split()
    return parts if len(parts) > 1 else list(text.strip())


def renaming(symbols: Sequence[str], tokenizer: Tokenizer, seed: int) -> dict[str, str]:
    """A different ordinary word of the vocabulary for each symbol, drawn with the seed.

    Words of letters only, that are one token by themselves and no piece of a word.

    Raises:
        UserError: the vocabulary has fewer of them than there are symbols.
    """
    ids = np.setdiff1d(np.arange(tokenizer.vocabulary_size), tokenizer.special_ids)
    words = [token.removeprefix(SPACE) for token in tokenizer.tokens(ids) if not token.startswith(CONTINUATION)]
    words = sorted({word for word in words if len(word) >= SHORTEST and word.isalpha()})
    chosen = [words[number] for number in np.random.default_rng(seed).permutation(len(words))]
    single = (word for word in chosen if len(tokenizer.encode(word)) == 1)
    table = dict(zip(symbols, single, strict=False))
    if len(table) < len(symbols):
        raise UserError(
            f"there are {len(symbols)} symbols, but the vocabulary has {len(table)} words",
            expected="a word for each symbol",
            advice="take an encoder with a larger vocabulary",
        )
    return table


def _renamed(recipe: FinetuneRecipe, name: str, seed: int, folder: Path) -> Path:
    """The data set's tables with every symbol renamed, in a folder, and table.json."""
    target = folder / "data" / f"{name}-seed{seed}"
    if not (target / "table.json").exists():
        tokenizer = load_checkpoint(checkpoint_folder(expand(recipe.start.checkpoint)), weights=False).tokenizer
        rows = {side: _rows(recipe, side) for side in SIDES if getattr(recipe.data, side)}
        symbols = sorted({symbol for pairs in rows.values() for text, _ in pairs for symbol in symbols_of(text)})
        table = renaming(symbols, tokenizer, seed)
        for side, pairs in rows.items():
            lines = [
                json.dumps({"text": " ".join(table[symbol] for symbol in symbols_of(text)), "label": label})
                for text, label in pairs
            ]
            write_text(target / f"{side}.jsonl", "\n".join(lines) + "\n")
        write_json(target / "table.json", table)
    return target


def _rows(recipe: FinetuneRecipe, side: str) -> list[tuple[str, str]]:
    """Texts and labels of a file."""
    data = recipe.data
    rows = read_rows(expand(getattr(data, side)), [data.text_column, data.label_column], data.columns)
    return [
        (row.values[data.text_column], row.values[data.label_column])
        for row in rows
        if row.values[data.label_column] not in data.ignored_labels
    ]


def _linear(recipe: FinetuneRecipe) -> float:
    """The linear model's test score, from the examples that the encoders learn from and are tested on."""
    task = TASKS[recipe.task](recipe.data.reading)
    sides, _ = parted(task, recipe.data, read_files(task, recipe.data))
    train, test = (
        [(symbols_of(example.texts[0]), str(example.label)) for example in sides[side]] for side in ("train", "test")
    )
    return linear_score(train, test, number=recipe.data.label_kind == "number")


# ---------------------------------------------------------------------------------------------- training


def _start(recipe: FinetuneRecipe, name: str, start: str, seed: int, folder: Path) -> dict[str, dict[str, Any]]:
    """The sections [start] and [data] of one training of the text encoder."""
    target = _renamed(recipe, name, seed, folder)
    files = {side: str(target / f"{side}.jsonl") for side in SIDES if getattr(recipe.data, side)}
    section = {"weights": "pretrained" if start in ("text", UNUSED) else start}
    if start == UNUSED:
        section["checkpoint"] = str(_with_unused(recipe, target, seed))
    return {"start": section, "data": {**files, "columns": [], "text_column": "text", "label_column": "label"}}


def _with_unused(recipe: FinetuneRecipe, target: Path, seed: int) -> Path:
    """The text encoder in a folder beside renamed data, each word that is used with the vector of an [unused] token."""
    folder = target / "unused"
    if not folder.exists():
        start = load_checkpoint(checkpoint_folder(expand(recipe.start.checkpoint)))
        words = list(read_json(target / "table.json").values())
        names = start.tokenizer.tokens(np.arange(start.tokenizer.vocabulary_size))
        spare = [number for number, token in enumerate(names) if token.startswith("[unused")]
        if len(spare) < len(words):
            raise UserError(
                f"the vocabulary has {len(spare)} [unused] tokens for {len(words)} symbols",
                file=start.folder,
                expected="one for each symbol, as BERT's own vocabularies have",
                advice="leave the comparison with [unused] tokens out",
            )
        rows = np.random.default_rng(seed).permutation(spare)[: len(words)]
        table = start.weights[TABLE].clone()
        table[[int(start.tokenizer.encode(word)[0]) for word in words]] = start.weights[TABLE][rows]
        kept = {name: weight for name, weight in start.weights.items() if name.startswith(("encoder.", "pooler."))}
        description = Description(config=start.config, family=start.family, purpose="encoder", facts={})
        model = BareModel(start.config)
        save_checkpoint(folder, model, start.tokenizer, description, whole={**kept, TABLE: table})
    return folder


def _curve(result: dict[str, Any], run: Run) -> dict[str, Any]:
    """The test score of a training, and its curve on the development examples."""
    metric = result["metric"]
    return {
        "metric": metric,
        "examples": result["examples"],
        "score": result["test"]["metrics"][metric],
        "curve": [
            [record["step"], record["evaluation"][metric]] for record in run.read_log() if "evaluation" in record
        ],
        "seconds": result["seconds"],
    }
