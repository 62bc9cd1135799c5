"""Scoring a fine-tuned model on labelled examples, by the task's official metrics."""

from pathlib import Path
from typing import Any

from bertwright.devices import keep_freed_memory, use_threads
from bertwright.predict import Predictor
from bertwright.run import write_json


def evaluate(
    run: str | Path, data: str | Path, *, text_column: str = "text", label_column: str = "label"
) -> dict[str, Any]:
    """Score a run's best checkpoint, or a checkpoint folder, on a table of labelled examples.

    In a run folder the scores are also written to results/evaluate-NAME.json.

    Args:
        run: a run or a checkpoint folder.
        data: csv, tsv or jsonl.
        text_column: the column that holds the text.
        label_column: the column that holds the label.

    Returns:
        File, number of examples, metrics, confusion table and the most confident mistakes.

    Raises:
        UserError: no fine-tuned model, a missing column, or a label that training did not see.
    """
    keep_freed_memory()
    use_threads(0)
    predictor = Predictor.load(run)
    examples = predictor.task.read(Path(data), text_column, label_column)
    predictor.task.label_numbers(examples, predictor.labels)
    shares = predictor.probabilities(example.text for example in examples)
    scores = predictor.task.scores(examples, shares, predictor.labels)
    result = {"kind": "evaluate", "labels": predictor.labels, "num_truncated": predictor.num_truncated, **scores}
    if (Path(run) / "results").is_dir():
        write_json(Path(run) / "results" / f"evaluate-{Path(data).name.partition('.')[0]}.json", result)
    return result
