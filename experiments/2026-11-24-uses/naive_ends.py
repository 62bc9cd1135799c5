"""How often the likeliest end of an answer comes before its likeliest beginning, each taken by itself (P6).

    python experiments/2026-11-24-uses/naive_ends.py RUN QUESTIONS.json --questions 1000

RUN answers questions. A passage of several windows counts once for each of them. Prints one line of JSON: windows, the
share of them whose naive end comes first, or further behind than the longest answer of the training data; the share of
the answers that `predict` gives which end before they begin; and their scores.
"""

import argparse
import itertools
import json
from pathlib import Path

import numpy as np

from bertwright.predict import Predictor
from bertwright.tasks.qa import QuestionAnswering


def main() -> None:
    """Count and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run")
    parser.add_argument("questions_file", type=Path)
    parser.add_argument("--questions", type=int, default=1000)
    given = parser.parse_args()
    predictor = Predictor.load(given.run)
    task = predictor.task
    assert isinstance(task, QuestionAnswering)
    examples = list(itertools.islice(task.read(given.questions_file), given.questions))
    windows, scores = predictor.scores(examples)
    begins, ends = np.array([each.argmax(axis=0) for each in scores]).T
    answers = task.answers(examples, windows, scores)
    told = [task.told(example, answer) for example, answer in zip(examples, answers, strict=True)]
    counted = {
        "questions": len(examples),
        "windows": len(scores),
        "naive_end_first": round(float((ends < begins).mean()), 4),
        "naive_too_long": round(float((ends - begins >= task.learnt["longest"]).mean()), 4),
        "answer_end_first": sum(each["end"] < each["begin"] for each in told) / len(told),
        "metrics": task.scores(examples, answers)["metrics"],
    }
    print(json.dumps(counted))


if __name__ == "__main__":
    main()
