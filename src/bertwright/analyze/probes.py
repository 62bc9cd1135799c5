"""What can be read from a model's vectors, by layer and in the course of its pre-training.

Linear probes beside control tasks and models that know words only; words given back, by label; and what a model is
worth for a task. Over the checkpoints of one run this is what Chiang, Huang and Lee (2020) did with ALBERT.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bertwright.analyze.frequencies import frequencies
from bertwright.analyze.labelled import Labelled, LabelledFile, read_labelled
from bertwright.analyze.linear_probe import baselines, control_labels, probe, span_vectors
from bertwright.analyze.recovery import recovered
from bertwright.analyze.trainings import Trainings, checkpoints_of, content
from bertwright.analyze.vectors import Reader
from bertwright.checkpoint import load_checkpoint
from bertwright.config import FinetuneRecipe, PretrainRecipe, expand
from bertwright.download import checkpoint_folder
from bertwright.errors import UserError
from bertwright.recipe import load_recipe
from bertwright.run import Run, keep_result
from bertwright.store import META, Store

MOST_ASKED, FEWEST_ASKED = 60, 20
"""Words of a label that are to be given back, at most; with fewer than the second it has no place in the order."""

TASK_CHECKPOINTS, TASK_SEEDS = 8, (1, 2, 3)
"""How many checkpoints begin the fine-tuning, spaced evenly by their rank, and its seeds."""

LEARNT = 0.5
"""A label is learnt at the first step from which on at least so many of its words are given back."""


def probes(
    model: str | Path,
    data: LabelledFile,
    trainings: Trainings,
    *,
    over_checkpoints: bool = False,
    task: FinetuneRecipe | None = None,
) -> dict[str, Any]:
    """Probe a model, or every checkpoint that a run has kept; what was stopped goes on with the next cell.

    Args:
        model: a run, a checkpoint folder or a model of the hub.
        data: labelled words or texts.
        trainings: their folder, with a JSON file for each checkpoint and training, and results/probes.json, and who is
            told.
        over_checkpoints: probe all checkpoints of a run (train.save_at) and not only the best one.
        task: a recipe of fine-tuning that begins from TASK_CHECKPOINTS of the checkpoints, too, with TASK_SEEDS.

    Returns:
        {"kind", "model", "data", "unit", "labels" (label -> share of the training side), "baselines", "checkpoints",
        "frequencies", "order"}. A checkpoint has "name", "step" (or None), "left_out" (words or texts without a token,
        and words behind the end of what the model takes), "cut" (texts that are longer), for each layer the accuracy of
        the probe ("layers") and that of the control task ("control"; texts have none), with a masked-token head and
        words "reconstruction" and "prediction" (label -> share) and "asked" (label -> words), and with a task its
        "scores". "frequencies" (label -> mean logarithm of how often its words stand in what the run has read, see
        `frequencies`; empty where its store is not there) and "order" (see `learning_order`) are of several checkpoints
        and words only.

    Raises:
        UserError: the data or the model are damaged, or the run has kept no checkpoints.
        Interrupted: Ctrl-C or SIGTERM came in a training.
    """
    train, test = read_labelled(data)
    places = checkpoints_of(model) if over_checkpoints else {None: checkpoint_folder(model)}
    chosen = set(np.linspace(0, len(places) - 1, min(TASK_CHECKPOINTS, len(places))).round().astype(int).tolist())
    cells = []
    source = {"data": content(Path(data.path)), "unit": data.unit, "most": data.most}
    source["columns"] = data.settings.model_dump(mode="json")
    for number, (step, place) in enumerate(places.items()):
        name = "model" if step is None else place.name
        weights = content(place)
        measured = trainings.cell(
            name, {"weights": weights, **source}, lambda place=place: _probed(place, train, test, data.unit)
        )
        cell = {"name": name, "step": step, **measured}
        if task is not None and number in chosen:
            cell["scores"] = [_score(trainings, task, place, name, weights, seed) for seed in TASK_SEEDS]
        cells.append(cell)
    if data.unit == "words" and "reconstruction" not in cells[-1]:
        trainings.say("the model has no masked-token head: whether it gives words back is not asked")
    labels = [label for each in train for label in each.labels]
    result: dict[str, Any] = {
        "kind": "probes",
        "model": str(model),
        "data": str(data.path),
        "unit": data.unit,
        "labels": {label: round(labels.count(label) / len(labels), 4) for label in sorted(set(labels))},
        "baselines": baselines(train, test),
        "checkpoints": cells,
    }
    if over_checkpoints and all("reconstruction" in cell for cell in cells):
        stores = _stores(model)
        if not stores:
            trainings.say("the store that the run has read is not there: how often it has read the words is not known")
        result["frequencies"] = frequencies(train, stores) if stores else {}
        result["order"] = learning_order(cells, result["frequencies"])
    return keep_result(result, trainings.folder)


def _stores(model: str | Path) -> list[Store]:
    """The stores that a run has read; none, where they are not there any more."""
    recipe = load_recipe(PretrainRecipe, Run(Path(model)).recipe)
    folders = [expand(folder) for folder in ([recipe.store] if recipe.store else recipe.mixture.stores)]
    return [Store.open(folder) for folder in folders] if all((folder / META).exists() for folder in folders) else []


def _probed(place: Path, train: Sequence[Labelled], test: Sequence[Labelled], unit: str) -> dict[str, Any]:
    """All that is measured of one checkpoint without training it."""
    checkpoint = load_checkpoint(place)
    reader = Reader(checkpoint)
    vectors, words, labels, cut = span_vectors(reader, train)
    unseen, unseen_words, truth, unseen_cut = span_vectors(reader, test)
    if len(set(labels)) < 2 or not truth:
        raise UserError(
            f"of the {unit}, {len(labels)} with {len(set(labels))} labels are left to learn from, {len(truth)} to test",
            expected="two labels or more, and one of the test side or more",
            advice="the tokenizer knows the others not, or they stand behind the end of what the model takes: choose "
            "another model, or give shorter texts",
            file=place,
        )
    spans = sum(len(each.spans) for each in (*train, *test))
    result: dict[str, Any] = {
        "left_out": spans - len(labels) - len(truth),
        "cut": cut + unseen_cut,
        "layers": [probe(one, labels, other, truth) for one, other in zip(vectors, unseen, strict=True)],
    }
    if unit == "words":
        drawn = control_labels([*words, *unseen_words], labels)
        controls = [[drawn[word] for word in side] for side in (words, unseen_words)]
        result["control"] = [
            probe(one, controls[0], other, controls[1]) for one, other in zip(vectors, unseen, strict=True)
        ]
        if "token_bias" in checkpoint.weights:
            result |= recovered(checkpoint, test, MOST_ASKED)
    return result


def _score(trainings: Trainings, task: FinetuneRecipe, place: Path, name: str, weights: str, seed: int) -> float:
    """What a checkpoint is worth for a task: the test score, or that on development examples."""

    def found(result: dict[str, Any], _run: Run) -> dict[str, Any]:
        side = result.get("test") or result["development"]
        return {"metric": result["metric"], "score": side["metrics"][result["metric"]]}

    sections = {"start": {"checkpoint": str(place)}, "train": {"seed": seed}}
    return trainings.train(f"{name}-{task.task}-seed{seed}", task, sections, found, judged=weights)["score"]


def learning_order(cells: Sequence[Mapping[str, Any]], often: Mapping[str, float]) -> dict[str, Any]:
    """In which order labels are learnt, and whether it is that of their words' frequency.

    Args:
        cells: of the checkpoints, by step, with "reconstruction" and "asked".
        often: label -> mean logarithm of its words' frequency; empty, if that is not known.

    Returns:
        "asked": label -> words that were to be given back, at the checkpoint with the fewest; "steps": label -> the
        first step from which on its share given back stays at LEARNT or above (None: it does not), of labels with
        FEWEST_ASKED words or more; "spearman": rank correlation of these steps, the last step doubled where there is
        none, with the frequency, the most frequent first: 1 where the order is that of frequency; None with fewer than
        three labels, or where all are learnt at one step.
    """
    from scipy.stats import spearmanr

    every = sorted({label for cell in cells for label in cell["asked"]})
    asked = {label: min(cell["asked"].get(label, 0) for cell in cells) for label in every}
    steps: dict[str, int | None] = {}
    for label in every:
        if asked[label] >= FEWEST_ASKED:
            low = [number for number, cell in enumerate(cells) if cell["reconstruction"][label] < LEARNT]
            first = low[-1] + 1 if low else 0
            steps[label] = cells[first]["step"] if first < len(cells) else None
    never = 2 * cells[-1]["step"]
    known = [label for label in steps if label in often]
    order = [steps[label] or never for label in known]
    rank = None
    if len(known) > 2 and len(set(order)) > 1:
        rank = float(np.asarray(spearmanr(order, [-often[label] for label in known]))[0])
    return {"asked": asked, "steps": steps, "spearman": rank}
