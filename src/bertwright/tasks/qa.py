"""An answer in a passage (the lecture's slides 66 to 68): where does it begin, and where does it end?

The start vector and the end vector are multiplied with the vectors of the passage's tokens; a softmax over them says
where the answer begins, another one where it ends. A passage that does not answer begins and ends its answer at [CLS]
(Devlin et al. 2019, section 4.3). Answers are cut from the text itself, by characters.
"""

import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from bertwright.batches import IGNORED, Batch, Rows, SpecialTokens
from bertwright.config import ModelConfig
from bertwright.corpus.questions import Question, questions
from bertwright.edges import is_chinese
from bertwright.errors import UserError
from bertwright.metrics import answer_metrics, answers_worth
from bertwright.model.heads import EncoderModel, TokenModel
from bertwright.tasks.losses import symmetric_divergence
from bertwright.tasks.task import MOST_WRONG, Example, Task, Window, of_examples, spans
from bertwright.tokenizer import Tokenizer

ASKED, BEGIN, END = 0, 1, 2
"""Labels of tokens: they are asked; the answer begins there; it ends there; both are 3."""

LONGEST_QUESTION = 64
"""Tokens of a question that are read, at most, and a third of the window."""

STRIDE_SHARE = 1 / 3
"""Of a window, that the next one shares with it, at most: more than almost all answers are long."""

CANDIDATES = 20
"""Best beginnings, and best ends, that are tried with each other."""

NO_ANSWER = (0, 0)
"""The characters of no answer."""

ALTERNATIVES = 3
"""Answers that are told."""


@dataclass(frozen=True)
class Answer:
    """The answers to a question, the best first: characters of the passage, and their scores."""

    spans: list[tuple[int, int]]
    scores: list[float]
    missing: float
    """The score of no answer; comparable with theirs."""


class QuestionAnswering(Task):
    """An answer in a passage.

    texts are the question and the passage; the label is a tuple of (answer, first character), empty where the passage
    does not answer.
    """

    loss = "answer"

    def read(self, path: Path, *, labelled: bool = True) -> Iterator[Example]:
        """Read questions in the format of SQuAD."""
        for question in questions(path, labelled=labelled):
            label = question.answers
            if label is not None:
                label = tuple(self._placed(path, question, *answer) for answer in label)
            yield Example(
                id=question.id,
                file=str(path),
                line=question.line,
                texts=(question.text, question.context),
                label=label,
                columns={},
            )

    def _placed(self, path: Path, question: Question, text: str, begin: int) -> tuple[str, int]:
        """An answer with the place where it stands: the nearest one to that which the file gives; -1 if nowhere."""
        context = question.context
        if begin >= 0 and text.strip() and context.startswith(text, begin):
            return text, begin
        places = [place for place in range(len(context)) if context.startswith(text, place)] if text.strip() else []
        found = min(places, key=lambda place: abs(place - begin), default=-1)
        told = f"it is taken at {found}" if places else "it stands nowhere there, and is not learnt from"
        self.notices.append(
            f"{path}:{question.line}: the answer {text[:40]!r} of question {question.id} does not stand at "
            f"character {begin} of its passage; {told}"
        )
        return text, found

    def learn(self, examples: Sequence[Example]) -> None:
        """Whether there are questions without an answer."""
        if not any(begin >= 0 for example in examples for _, begin in example.label):
            raise UserError(
                "no question has an answer in its passage",
                file=examples[0].file if examples else None,
                expected="answers with their places",
                advice="check the training file",
            )
        self.learnt["missing"] = any(not example.label for example in examples)
        self.learnt["longest"] = 0
        self.learnt["threshold"] = 0.0

    @property
    def metric_names(self) -> tuple[str, ...]:
        """F1 and exact match."""
        return "f1", "exact"

    def parts(self, line: str) -> list[str]:
        """The question and the passage, separated by a tab."""
        return line.split("\t", maxsplit=1)

    def group(self, example: Example) -> str:
        """The passage: questions on it are not parted."""
        return example.texts[1]

    def check(self, examples: Sequence[Example]) -> None:
        """A passage that does not answer can be learnt only where the training data has some."""
        without = sum(not example.label for example in examples)
        if without and not self.learnt["missing"]:
            self.notices.append(
                f"{examples[0].file}: {without:,} questions have no answer in their passage, but none of the training "
                "data: the model always answers"
            )

    def windows(
        self, tokenizer: Tokenizer, special: SpecialTokens, examples: Sequence[Example], length: int
    ) -> list[Window]:
        """The question and a part of the passage in each window; parts overlap by a third."""
        asked = tokenizer.encode_batch([example.texts[0] for example in examples])
        contexts = list(dict.fromkeys(example.texts[1] for example in examples))
        encoded = dict(zip(contexts, tokenizer.encode_batch_with_offsets(contexts), strict=True))
        found, cut, limit = [], 0, min(LONGEST_QUESTION, length // 3)
        if long := sum(len(question) > limit for question in asked):
            self.notices.append(f"{long:,} questions have more than {limit} tokens; what stands after them is not read")
        for index, (example, question) in enumerate(zip(examples, asked, strict=True)):
            ids, places = encoded[example.texts[1]]
            kept = question[:limit]
            room = length - special.framing(2) - len(kept)
            before = 1 + len(kept) + special.between
            wanted = self._tokens_of_answer(example, places)
            whole = False
            for begin, end in spans(len(ids), room, int(room * STRIDE_SHARE)):
                labels = np.full(before + end - begin + 1, IGNORED, dtype=np.int32)
                labels[before:-1] = ASKED
                offsets = places[begin:end]
                if self.learnt["missing"]:
                    labels[0] = ASKED
                    offsets = np.concatenate([[NO_ANSWER], offsets])
                if wanted is not None and begin <= wanted[0] and wanted[1] < end:
                    labels[before + wanted[0] - begin] += BEGIN
                    labels[before + wanted[1] - begin] += END
                    whole = True
                elif self.learnt["missing"] and (wanted is not None or example.label == ()):
                    labels[0] = BEGIN + END
                found.append(Window(index, (kept, ids[begin:end]), labels=labels, places=offsets))
            cut += wanted is not None and not whole
        if cut:
            self.notices.append(f"{cut:,} answers are whole in no window of {length} tokens, and cannot be learnt")
        return found

    def _tokens_of_answer(self, example: Example, places: np.ndarray) -> tuple[int, int] | None:
        """The first and the last token of the first answer that stands in the passage."""
        for text, begin in example.label or ():
            if begin < 0:
                continue
            end = begin + len(text)
            covered = np.flatnonzero((places[:, 1] > begin) & (places[:, 0] < end))
            if len(covered):
                return int(covered[0]), int(covered[-1])
        return None

    def trained_on(self, windows: list[Window]) -> list[Window]:
        """Windows with an answer; where there are questions without one, a window without it answers that, too.

        The longest answer among them is the longest that is ever given.

        Raises:
            UserError: there is none.
        """
        found = []
        for window in windows:
            assert window.labels is not None
            labels = np.where(window.labels == IGNORED, ASKED, window.labels)  # IGNORED has all bits set
            begins, ends = np.flatnonzero(labels & BEGIN), np.flatnonzero(labels & END)
            if len(begins):
                self.learnt["longest"] = max(self.learnt["longest"], int(ends[0] - begins[0]) + 1)
                found.append(window)
        if not found:
            raise UserError(
                "no answer is whole in what the model sees at once",
                expected="answers that are shorter than a window",
                advice="raise train.length",
            )
        return found

    def model(self, config: ModelConfig, pooling: str) -> EncoderModel:
        """An encoder with a start vector and an end vector."""
        del pooling
        return TokenModel(config, 2)

    def purpose(self, config: ModelConfig, pooling: str) -> str:
        """A model that answers questions."""
        del config, pooling
        return "qa"

    def loss_sum(self, logits: Tensor, batch: Batch) -> Tensor:
        """The mean of both cross-entropies, over the tokens of each sequence, summed over sequences."""
        owner = batch.sequence_ids.flatten()[batch.masked_positions] - 1
        shares = within_sequences(logits, owner, len(batch.sequence_starts))
        begins, ends = (batch.labels & BEGIN) > 0, (batch.labels & END) > 0
        return -(shares[:, 0][begins].sum() + shares[:, 1][ends].sum()) / 2

    def disagreement(self, one: Tensor, other: Tensor, batch: Batch) -> Tensor:
        """The mean of that on beginnings and that on ends."""
        owner, count = batch.sequence_ids.flatten()[batch.masked_positions] - 1, len(batch.sequence_starts)
        return symmetric_divergence(*(within_sequences(logits, owner, count) for logits in (one, other))) / 2

    def count(self, rows: Rows) -> int:
        """The number of sequences."""
        return len(rows.sequence_starts)

    def answers(self, examples: Sequence[Example], windows: Sequence[Window], scores: list[np.ndarray]) -> list[Any]:
        """The best answers over all windows of each question."""
        found = []
        for example, numbers in zip(examples, of_examples(windows, len(examples)), strict=True):
            candidates: dict[tuple[int, int], float] = {}
            missing = float("inf")
            for number in numbers:
                window, logits = windows[number], scores[number]
                assert window.places is not None
                places = window.places
                if self.learnt["missing"]:  # the first one asked is [CLS]
                    missing = min(missing, float(logits[0].sum()))
                    logits, places = logits[1:], places[1:]
                for score, begin, end in best_spans(logits, self.learnt["longest"]):
                    cut = cut_out(example.texts[1], int(places[begin, 0]), int(places[end, 1]))
                    if cut[0] < cut[1]:  # else it was white space
                        candidates[cut] = max(score, candidates.get(cut, -np.inf))
            ranked = sorted(candidates.items(), key=lambda each: (-each[1], each[0]))[:CANDIDATES]
            spans_, values = [span for span, _ in ranked], [score for _, score in ranked]
            found.append(Answer(spans_ or [NO_ANSWER], values or [0.0], missing if self.learnt["missing"] else -np.inf))
        return found

    def combined(self, of_models: Sequence[Sequence[Any]], weights: Sequence[float]) -> list[Answer]:
        """Each answer's probability is the mean over the models, in which those that one did not try have none."""
        return [_mean(answers, weights) for answers in zip(*of_models, strict=True)]

    def packed(self, answer: Any) -> dict[str, Any]:
        """Places and scores; minus infinity, which JSON has not, is null."""
        missing = None if np.isinf(answer.missing) else round(answer.missing, 5)
        return {"spans": answer.spans, "scores": [round(score, 5) for score in answer.scores], "missing": missing}

    def unpacked(self, packed: Any) -> Answer:
        """The answers."""
        missing = -np.inf if packed["missing"] is None else packed["missing"]
        return Answer([(begin, end) for begin, end in packed["spans"]], packed["scores"], missing)

    def text_of(self, example: Example, answer: Answer) -> str:
        """The best answer, or "" if no answer is better."""
        begin, end = answer.spans[0]
        return "" if answer.missing - answer.scores[0] > self.learnt["threshold"] else example.texts[1][begin:end]

    def settle(self, examples: Sequence[Example], answers: list[Any]) -> None:
        """The threshold by which no answer must be better: that which gives the highest F1."""
        self.learnt["threshold"] = self.best_threshold(examples, answers, "f1")

    def shifted(self, answers: Sequence[Any], threshold: float) -> list[Answer]:
        """The scores of no answer without the threshold."""
        return [replace(answer, missing=answer.missing - threshold) for answer in answers]

    def best_threshold(self, examples: Sequence[Example], answers: Sequence[Any], metric: str) -> float:
        """By how much no answer must be better, for the highest F1."""
        del metric
        if not self.learnt["missing"]:
            return 0.0
        margins = np.array([answer.missing - answer.scores[0] for answer in answers])
        texts = [example.texts[1][slice(*answer.spans[0])] for example, answer in zip(examples, answers, strict=True)]
        # Of answering, over not answering.
        gains = np.subtract(self.each_f1(examples, texts), self.each_f1(examples, [""] * len(texts)))
        order = np.argsort(margins, kind="stable")
        sorted_margins = margins[order]
        reached = np.concatenate([[0.0], np.cumsum(gains[order])])
        reached[1:-1][sorted_margins[:-1] == sorted_margins[1:]] = -np.inf  # no threshold comes between equal ones
        best = int(reached.argmax())
        if best == 0:
            return float(sorted_margins[0] - 1.0)
        if best == len(order):
            return float(sorted_margins[-1] + 1.0)
        return float((sorted_margins[best - 1] + sorted_margins[best]) / 2)

    def each_f1(self, examples: Sequence[Example], given: Sequence[str]) -> list[float]:
        """F1 of each question by itself, of the text that is given as its answer."""
        return [f1 for f1, _ in worth(examples, given)]

    def scores(self, examples: Sequence[Example], answers: list[Any]) -> dict[str, Any]:
        """F1 and exact match; where there are questions without an answer, those of both kinds by themselves."""
        given = [self.text_of(*pair) for pair in zip(examples, answers, strict=True)]
        each = worth(examples, given)
        metrics = answer_metrics(each)
        for name, kind in (("with_answer", True), ("without_answer", False)):
            part = [of for of, example in zip(each, examples, strict=True) if bool(example.label) == kind]
            if self.learnt["missing"] and part:
                metrics |= {f"{name}_{metric}": value for metric, value in answer_metrics(part).items()}
        sure = [answer.scores[0] for answer in answers]
        wrong = sorted((number for number, (f1, _) in enumerate(each) if f1 == 0), key=lambda n: -sure[n])
        return {
            "file": examples[0].file,
            "examples": len(examples),
            "unit": "characters" if in_chinese(examples) else "words",
            "metrics": metrics,
            "most_wrong": [
                {
                    "id": examples[n].id,
                    "text": examples[n].texts[0],
                    "label": " / ".join(dict.fromkeys(text for text, _ in examples[n].label)) or "no answer",
                    "predicted": given[n] or "no answer",
                    "probability": None,
                }
                for n in wrong[:MOST_WRONG]
            ],
        }

    def told(self, example: Example, answer: Any) -> dict[str, Any]:
        """The answer with its place, and the next best ones."""
        text = self.text_of(example, answer)
        begin, end = answer.spans[0] if text else NO_ANSWER
        return {
            "id": example.id,
            "question": example.texts[0],
            "answer": text,
            "begin": begin,
            "end": end,
            "score": round(answer.scores[0], 4),
            "alternatives": [example.texts[1][slice(*span)] for span in answer.spans[1 : 1 + ALTERNATIVES]],
        }


def _mean(answers: Sequence[Answer], weights: Sequence[float]) -> Answer:
    """One answer out of those of several models to a question."""
    shares: dict[tuple[int, int], float] = {}
    missing = 0.0
    for answer, weight in zip(answers, weights, strict=True):
        scores = np.array([*answer.scores, answer.missing])
        of_model = np.exp(scores - np.logaddexp.reduce(scores)) * weight
        missing += float(of_model[-1])
        for span, share in zip(answer.spans, of_model[:-1].tolist(), strict=True):
            shares[span] = shares.get(span, 0.0) + share
    ranked = sorted(shares.items(), key=lambda each: (-each[1], each[0]))[:CANDIDATES]
    logarithms = [float(np.log(max(share, 1e-12))) for _, share in ranked]
    return Answer([span for span, _ in ranked], logarithms, float(np.log(missing)) if missing > 0 else -np.inf)


def worth(examples: Sequence[Example], given: Sequence[str]) -> list[tuple[float, float]]:
    """F1 and exact match of the text that is given as the answer to each question."""
    truth = [[text for text, _ in example.label] for example in examples]
    return answers_worth(truth, given, characters=in_chinese(examples))


def in_chinese(examples: Sequence[Example]) -> bool:
    """Whether answers are compared by characters: most of what the passages begin with is Chinese."""
    contexts = "".join(example.texts[1][:200] for example in examples[:500])
    return sum(map(is_chinese, contexts)) > len(contexts) / 2


def within_sequences(scores: Tensor, owner: Tensor, num_sequences: int) -> Tensor:
    """The logarithm of a softmax over the tokens of each sequence.

    Args:
        scores: [N, C], of tokens.
        owner: [N], the number of each token's sequence.
        num_sequences: S.

    Returns:
        [N, C].
    """
    index = owner[:, None].expand_as(scores)
    empty = scores.new_full((num_sequences, scores.shape[1]), float("-inf"))
    highest = empty.scatter_reduce(0, index, scores.detach(), "amax")
    lowered = scores - highest.gather(0, index)
    sums = torch.zeros_like(empty).scatter_add(0, index, lowered.exp())
    return lowered - sums.gather(0, index).log()


def best_spans(logits: np.ndarray, longest: int) -> list[tuple[float, int, int]]:
    """The best pairs of a beginning and an end, as (score, beginning, end), the best one first.

    None ends before it begins, and none is longer than `longest` tokens; the very best one is always among them.

    Args:
        logits: [N, 2], of tokens in a row.
        longest: tokens.
    """
    begins, ends = logits[:, 0].astype(np.float64), logits[:, 1].astype(np.float64)
    best_of: list[tuple[float, int, int]] = []
    for begin in np.argsort(-begins, kind="stable")[:CANDIDATES].tolist():
        reach = ends[begin : begin + max(1, longest)]
        best_ends = np.argsort(-reach, kind="stable")[:CANDIDATES].tolist()
        best_of += [(float(begins[begin] + reach[end]), begin, begin + end) for end in best_ends]
    if len(begins) > CANDIDATES:  # a worse beginning with the best end that it reaches may still be the best pair
        padded = np.concatenate([ends, np.full(max(1, longest) - 1, -np.inf)])
        reached = np.lib.stride_tricks.sliding_window_view(padded, max(1, longest))
        begin = int((begins + reached.max(axis=1)).argmax())
        end = begin + int(reached[begin].argmax())
        best_of.append((float(begins[begin] + ends[end]), begin, end))
    return sorted(set(best_of), key=lambda each: (-each[0], each[1:]))[:CANDIDATES]


def cut_out(text: str, begin: int, end: int) -> tuple[int, int]:
    """The characters from begin to end, without white space round them, and without half a character as people see it.

    A token can end between a letter and the mark on it, or within an emoji that is several characters.
    """
    while begin < end and text[begin].isspace():
        begin += 1
    while end > begin and text[end - 1].isspace():
        end -= 1
    while 0 < begin < len(text) and _goes_on(text, begin):
        begin -= 1
    while 0 < end < len(text) and _goes_on(text, end):
        end += 1
    return begin, end


def _goes_on(text: str, place: int) -> bool:
    """Whether the character at a place belongs to the one before it: marks, joiners, modifiers of emoji, jamo."""
    character, before = text[place], text[place - 1]
    if unicodedata.category(character)[0] == "M" or character in "\u200c\u200d\uff9e\uff9f":
        return True
    if "\U0001f3fb" <= character <= "\U0001f3ff" or "\U000e0020" <= character <= "\U000e007f":  # skin, flags of regions
        return True
    if before == "\u200d" and unicodedata.category(character) in ("So", "Sm"):
        return True
    if "\u1160" <= character <= "\u11ff" and ("\u1100" <= before <= "\u11ff" or "\uac00" <= before <= "\ud7a3"):
        return True  # a vowel or final after a Korean letter or syllable
    flag = "\U0001f1e6" <= character <= "\U0001f1ff"  # two letters make a flag: the second of an even number of them
    if flag and "\U0001f1e6" <= before <= "\U0001f1ff":
        run = 0
        while run < place and "\U0001f1e6" <= text[place - 1 - run] <= "\U0001f1ff":
            run += 1
        return run % 2 == 1
    return False
