"""Test examples one by one: what each answer is worth, what chance is worth, and what cannot be read at all."""

from collections import Counter
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from bertwright.analyze.intervals import difference
from bertwright.tasks import Classify, QuestionAnswering, Tag
from bertwright.tasks.qa import in_chinese
from bertwright.tasks.task import Example, Task
from bertwright.tokenizer import Tokenizer

GUESSES = 20
"""Spans of a passage that are drawn for each question, to tell what chance is worth."""

SEED = 1

Worth = list[tuple[float, int]]
"""Of each example the share that is right (of a question: its F1), and of how much: words of a sentence, else 1."""


def metric_of(task: Task) -> str | None:
    """The metric that is the mean over examples, or words: F1 of questions, else accuracy; of numbers there is none."""
    if isinstance(task, QuestionAnswering):
        return "f1"
    return "accuracy" if isinstance(task, Tag) or "accuracy" in task.metric_names else None


def each_worth(task: Task, examples: Sequence[Example], answers: Sequence[Any]) -> Worth:
    """What each answer is worth; nothing where the task has no such metric."""
    if isinstance(task, QuestionAnswering):
        given = [task.text_of(example, answer) for example, answer in zip(examples, answers, strict=True)]
        return [(value, 1) for value in task.each_f1(examples, given)]
    if isinstance(task, Tag):
        scores = [task.scores([each], [answer]) for each, answer in zip(examples, answers, strict=True)]
        return [(each["metrics"]["accuracy"], each["words"]) for each in scores]
    if metric_of(task) is None:
        return []
    assert isinstance(task, Classify)
    chosen = [task.labels[int(answer.argmax())] for answer in answers]
    return [(float(label == each.label), 1) for label, each in zip(chosen, examples, strict=True)]


def against(task: Task, examples: Sequence[Example], one: Sequence[Worth], other: Sequence[Worth]) -> list[float]:
    """By how much one model is better than another one, and the ends of its interval.

    Args:
        task: questions on one passage count together.
        examples: N of a test.
        one: of each seed, what each answer is worth.
        other: the same of the other model.
    """

    def scores(of: Sequence[np.ndarray], rows: np.ndarray) -> list[float]:
        return [float(np.average(worth[rows, 0], weights=worth[rows, 1])) for worth in of]

    groups = [task.group(each) if isinstance(task, QuestionAnswering) else str(n) for n, each in enumerate(examples)]
    sides = [partial(scores, [np.array(worth) for worth in of]) for of in (one, other)]
    return difference(sides[0], sides[1], groups)


def chance(task: Task, examples: Sequence[Example]) -> float | None:
    """What a test is worth to a model that cannot read: that always says its most frequent label.

    Of a question: any part of the passage that is as long as the answer, or, if it has none, as that of another one.
    """
    if not isinstance(task, QuestionAnswering):
        if metric_of(task) is None:
            return None
        counts = Counter(
            label for each in examples for label in (each.label if isinstance(task, Tag) else [each.label])
        )
        return max(counts.values()) / counts.total()
    generator, chinese = np.random.default_rng(SEED), in_chinese(examples)
    first = [each.label[0][0] if each.label else None for each in examples]
    sizes = [None if text is None else len(text if chinese else text.split()) for text in first]
    known = [size for size in sizes if size is not None] or [1]
    values = []
    for _ in range(GUESSES):
        given = []
        for example, own in zip(examples, sizes, strict=True):
            passage = example.texts[1]
            units = list(passage) if chinese else passage.split()
            size = int(generator.choice(known)) if own is None else own
            begin = int(generator.integers(0, max(1, len(units) - size + 1)))
            given.append(("" if chinese else " ").join(units[begin : begin + size]))
        values.append(float(np.mean(task.each_f1(examples, given))))
    return float(np.mean(values))


def unknown_share(tokenizer: Tokenizer, examples: Sequence[Example]) -> float:
    """The share of the tokens of texts that the tokenizer has no token for."""
    ids = np.concatenate(tokenizer.encode_batch([text for each in examples for text in each.texts]))
    return float(np.mean(ids == tokenizer.unk_id)) if len(ids) else 0.0
