"""Scoring a fine-tuned model on labelled examples, by the task's official metrics."""

from pathlib import Path
from typing import Any

from bertwright.corpus.files import stem
from bertwright.devices import tune_memory, use_threads
from bertwright.predict import Predictor
from bertwright.run import write_json
from bertwright.tasks.task import read_all


def evaluate(run: str | Path, data: str | Path, **reading: Any) -> dict[str, Any]:
    """Score a run's best checkpoint, or a checkpoint folder, on a file of labelled examples.

    In a run folder the scores are also written to results/evaluate-NAME.json.

    Args:
        run: a run or a checkpoint folder.
        data: a file as the task reads it.
        reading: settings of [data] that are other than in training, such as text_column.

    Returns:
        File, number of examples, metrics, and what the task has to look at (a confusion table, the worst mistakes).

    Raises:
        UserError: no fine-tuned model, a missing column, or a label that training did not see.
    """
    tune_memory()
    use_threads(0)
    predictor = Predictor.load(run, reading)
    task = predictor.task
    examples = read_all(task, Path(data))
    task.check(examples)
    scores = task.scores(examples, predictor.answers(examples))
    told = {"num_windowed": predictor.num_windowed, "num_ignored": task.ignored, "notices": task.notices}
    result = {"kind": "evaluate", "labels": task.labels, **told, **scores}
    if (Path(run) / "results").is_dir():
        write_json(Path(run) / "results" / f"evaluate-{stem(Path(data))}.json", result)
    return result
