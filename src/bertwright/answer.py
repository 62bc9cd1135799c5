"""One question on one passage, looked at closely: where could the answer begin, and where end (slides 67 and 68)?"""

from pathlib import Path
from typing import Any

import numpy as np

from bertwright.errors import UserError
from bertwright.predict import Predictor
from bertwright.run import write_json
from bertwright.tasks.qa import NO_ANSWER, QuestionAnswering


def answer(run: str | Path, question: str, passage: str) -> dict[str, Any]:
    """The answer, and both softmaxes over the tokens of the window that it comes from.

    In a run folder the result is also written to results/answer.json, which the report draws.

    Args:
        run: a run or a checkpoint folder that was fine-tuned for qa.
        question: the question.
        passage: the text that may hold the answer.

    Returns:
        What `predict` tells of the answer; "tokens", as they stand in the passage ("" is [CLS], for no answer), with
        "begin_probabilities" and "end_probabilities"; and "naive": the most likely beginning and end, each by itself,
        as places among the tokens, which is no answer where the end comes first.

    Raises:
        UserError: the model answers no questions, or there is no passage.
    """
    predictor = Predictor.load(run)
    task = predictor.task
    if not isinstance(task, QuestionAnswering):
        raise UserError(
            "this model answers no questions",
            file=predictor.checkpoint.folder,
            expected="a model that was fine-tuned for qa",
            advice='choose another run, or fine-tune with task = "qa"',
        )
    if not len(predictor.checkpoint.tokenizer.encode(passage)):
        raise UserError("the passage is empty", expected="a text that may hold the answer", advice="give one")
    example = task.example(question, passage)
    windows, scores = predictor.scores([example])
    (found,) = task.answers([example], windows, scores)
    alone = [task.answers([example], [window], [each])[0] for window, each in zip(windows, scores, strict=True)]
    best = max(
        range(len(windows)), key=lambda number: (alone[number].spans[0] == found.spans[0], alone[number].scores[0])
    )
    places = windows[best].places
    assert places is not None
    shares = np.exp(scores[best] - np.logaddexp.reduce(scores[best], axis=0))
    result = {
        "kind": "answer",
        "passage": passage,
        **task.told(example, found),
        "windows": len(windows),
        "tokens": ["" if tuple(place) == NO_ANSWER else passage[slice(*place)] for place in places.tolist()],
        "begin_probabilities": [round(float(share), 6) for share in shares[:, 0]],
        "end_probabilities": [round(float(share), 6) for share in shares[:, 1]],
        "naive": [int(place) for place in shares.argmax(axis=0)],
    }
    if (Path(run) / "results").is_dir():
        write_json(Path(run) / "results" / "answer.json", result)
    return result
