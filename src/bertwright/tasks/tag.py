"""A label for each word of a sentence (the lecture's slide 63: "I saw a saw"): parts of speech, names.

A word can be several tokens; its label is asked at the first one. Where the labels mark entities (BIO, BIOES), the
answer is the most likely one of the valid sequences.
"""

import functools
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from bertwright.batches import IGNORED, Batch, Rows, SpecialTokens
from bertwright.config import ModelConfig
from bertwright.corpus.tagged import sentences
from bertwright.edges import is_chinese
from bertwright.errors import UserError
from bertwright.metrics import confusion, entity_metrics
from bertwright.model.heads import EncoderModel, TokenModel
from bertwright.tasks.classify import unknown_label
from bertwright.tasks.schemes import best_sequence, repaired, scheme_of, spans_of, steps
from bertwright.tasks.task import MOST_WRONG, Example, Task, Window, of_examples
from bertwright.tokenizer import Tokenizer
from bertwright.vocabulary import SPACE

BEFORE = "。"
"""A sign that words follow without a space, and that is in no longer token with them."""


@dataclass(frozen=True, kw_only=True)
class Sentence(Example):
    """Words; the label is a tuple with one for each word."""

    joined: tuple[bool, ...]
    """For each word, whether no space stands between it and the one before."""
    raw: tuple[str, ...]
    """The lines of the sentence in its CoNLL-U file; else none."""


@dataclass(frozen=True)
class Labels:
    """The answer for a sentence."""

    labels: list[str]
    probabilities: np.ndarray
    """[words, C], of every label for each word by itself."""


class Tag(Task):
    """A label for each word."""

    loss = "labels"

    def read(self, path: Path, *, labelled: bool = True) -> Iterator[Example]:
        """Read sentences: CoNLL, CoNLL-U, jsonl with lists, or a sentence a row."""
        for sentence in sentences(path, self.settings, labelled=labelled):
            yield Sentence(
                id=sentence.id,
                file=str(path),
                line=sentence.line,
                texts=sentence.words,
                label=sentence.labels,
                columns=sentence.columns,
                joined=sentence.joined or _joined(sentence.words),
                raw=sentence.raw,
            )

    def parts(self, line: str) -> list[str]:
        """Words, separated by spaces."""
        return line.split()

    def key(self, example: Example) -> str:
        """The words as they are: many sentences are short, and differ in a sign only."""
        return " ".join(example.texts)

    def example(self, *texts: str) -> Example:
        """A sentence of these words."""
        if not texts:
            raise UserError("a sentence without words", expected="one word at least", advice="leave it out")
        joined = _joined(texts)
        return Sentence(id="", file="", line=0, texts=texts, columns={}, joined=joined, raw=())

    @property
    def metric_names(self) -> tuple[str, ...]:
        """Of entities, where the labels mark them, and of words."""
        return (*(("f1", "precision", "recall") if self.scheme else ()), "accuracy")

    @property
    def scheme(self) -> str | None:
        """How the labels mark entities: BIO, BIOES or not at all."""
        return self.learnt["scheme"]

    def learn(self, examples: Sequence[Example]) -> None:
        """The labels that occur, sorted, and whether they mark entities: then all that a valid sequence may need."""
        names = {label for example in examples for label in example.label}
        scheme = scheme_of(sorted(names))
        if scheme is not None:
            kinds = {name[2:] for name in names if len(name) > 2}
            names = {"O", *(f"{prefix}-{kind}" for kind in kinds for prefix in scheme.replace("O", ""))}
        self.labels, self.learnt["scheme"] = sorted(names), scheme
        if len(self.labels) < 2:
            raise UserError(
                f"only the label {self.labels} occurs",
                expected="at least two labels",
                advice="is data.label_column the right column?",
                file=examples[0].file if examples else None,
            )

    def check(self, examples: Sequence[Example]) -> None:
        """See that all labels are known, and tell of sequences that are not valid."""
        odd, known = [], set(self.labels)
        for example in examples:
            for label in example.label:
                if label not in known:
                    raise unknown_label(label, self.labels, example)
            if self.scheme and list(example.label) != repaired(example.label, self.scheme):
                odd.append(f"{example.file}:{example.line}")
        if odd:
            self.notices.append(
                f"the labels of {len(odd):,} sentences are no valid {self.scheme} (the first: {odd[0]}); they are read "
                "as conlleval does: what goes on with nothing begins an entity"
            )

    def windows(
        self, tokenizer: Tokenizer, special: SpecialTokens, examples: Sequence[Example], length: int
    ) -> list[Window]:
        """Whole words in windows; of longer sentences several, overlapping, each word asked in one of them."""
        room = length - special.framing(1)
        number = self.numbers
        pieces_of = _Pieces(tokenizer, examples, room)
        if pieces_of.cut:
            self.notices.append(
                f"{pieces_of.cut:,} words have more than {room} tokens; what stands after them is not read"
            )
        found = []
        for index, example in enumerate(examples):
            assert isinstance(example, Sentence)
            pieces = [pieces_of(word, joined) for word, joined in zip(example.texts, example.joined, strict=True)]
            sizes = np.array([len(each) for each in pieces])
            wanted = self._wanted(example, number)
            for begin, end, first, last in _parts(sizes, room):
                labels = np.full(int(sizes[begin:end].sum()) + special.framing(1), IGNORED, dtype=np.int32)
                starts = 1 + np.concatenate([[0], np.cumsum(sizes[begin:end])[:-1]])
                labels[starts[first - begin : last - begin]] = wanted[first:last]
                segments = (np.concatenate(pieces[begin:end]),)
                found.append(Window(index, segments, labels=labels, places=np.arange(first, last)))
        return found

    def _wanted(self, example: Sentence, number: dict[str, int]) -> np.ndarray:
        """The right labels' numbers; of a sentence without labels zeros."""
        if example.label is None:
            return np.zeros(len(example.texts), dtype=np.int32)
        labels = repaired(example.label, self.scheme) if self.scheme else example.label
        return np.array([number[label] for label in labels], dtype=np.int32)

    def model(self, config: ModelConfig, pooling: str) -> EncoderModel:
        """An encoder with a fresh linear layer on the tokens."""
        del pooling
        return TokenModel(config, len(self.labels))

    def purpose(self, config: ModelConfig, pooling: str) -> str:
        """A token classifier."""
        del config, pooling
        return "tag"

    def loss_sum(self, logits: Tensor, batch: Batch) -> Tensor:
        """Cross-entropy, summed over words."""
        return self.class_loss(logits, batch.labels)

    def class_counts(self, examples: Sequence[Example]) -> np.ndarray:
        """Of the labels of words."""
        number = self.numbers
        wanted = [self._wanted(example, number) for example in examples if isinstance(example, Sentence)]
        return np.bincount(np.concatenate(wanted), minlength=len(self.labels))

    def count(self, rows: Rows) -> int:
        """The number of words."""
        return int((rows.labels != IGNORED).sum())

    def answers(self, examples: Sequence[Example], windows: Sequence[Window], scores: list[np.ndarray]) -> list[Any]:
        """The best valid labels."""
        found = []
        for example, numbers in zip(examples, of_examples(windows, len(examples)), strict=True):
            logits = np.zeros((len(example.texts), len(self.labels)))
            for number in numbers:
                logits[windows[number].places] = scores[number]
            found.append(self._decoded(logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)))
        return found

    def _decoded(self, shares: np.ndarray) -> Labels:
        """The best valid labels, given the logarithms of their probabilities, [words, C]."""
        chosen = best_sequence(shares, *self._steps) if self._steps is not None else shares.argmax(axis=1)
        return Labels([self.labels[label] for label in chosen], np.exp(shares))

    @functools.cached_property
    def _steps(self) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
        """Which labels may follow which, where they mark entities (see schemes.steps)."""
        return steps(self.labels, self.scheme) if self.scheme else None

    def combined(self, of_models: Sequence[Sequence[Any]], weights: Sequence[float]) -> list[Labels]:
        """The best valid labels by the mean of the probabilities."""
        return [
            self._of_shares(np.average([answer.probabilities for answer in answers], axis=0, weights=weights))
            for answers in zip(*of_models, strict=True)
        ]

    def _of_shares(self, shares: np.ndarray) -> Labels:
        return self._decoded(np.log(np.maximum(shares, 1e-12)))

    def packed(self, answer: Any) -> list[list[float]]:
        """The probabilities, from which the labels follow."""
        return [[round(float(share), 7) for share in word] for word in answer.probabilities]

    def unpacked(self, packed: Any) -> Labels:
        """The best valid labels by the probabilities."""
        return self._of_shares(np.array(packed))

    def scores(self, examples: Sequence[Example], answers: list[Any]) -> dict[str, Any]:
        """Entity F1 where the labels mark entities; the accuracy of words, and the sentences that are most wrong."""
        number = self.numbers
        given = np.array([number[label] for answer in answers for label in answer.labels])
        truth = np.concatenate([self._wanted(example, number) for example in examples if isinstance(example, Sentence)])
        metrics: dict[str, float] = {}
        if self.scheme:
            right = [spans_of(example.label, self.scheme) for example in examples]
            metrics |= entity_metrics(right, [spans_of(answer.labels, self.scheme) for answer in answers])
        return {
            "file": examples[0].file,
            "examples": len(examples),
            "words": len(truth),
            "metrics": {**metrics, "accuracy": float((truth == given).mean())},
            "confusion": confusion(truth, given, len(self.labels)),
            "most_wrong": self._most_wrong(examples, answers, number),
        }

    def _most_wrong(
        self, examples: Sequence[Example], answers: list[Labels], number: dict[str, int]
    ) -> list[dict[str, Any]]:
        """The word with the least probable right label of each sentence, in its sentence; the worst sentences first."""
        found = []
        for example, answer in zip(examples, answers, strict=True):
            assert isinstance(example, Sentence)
            truth = self._wanted(example, number)
            right = answer.probabilities[np.arange(len(truth)), truth]
            wrong = [place for place, label in enumerate(truth) if self.labels[label] != answer.labels[place]]
            if wrong:
                worst = min(wrong, key=lambda place, shares=right: shares[place])
                text = _shown(example.texts, example.joined, worst)
                labels = self.labels[truth[worst]], answer.labels[worst]
                found.append((float(right[worst]), example.id, text, *labels))
        found.sort(key=lambda each: each[0])
        return [
            {"id": identity, "text": text, "label": label, "predicted": predicted, "probability": round(share, 4)}
            for share, identity, text, label, predicted in found[:MOST_WRONG]
        ]

    def told(self, example: Example, answer: Any) -> dict[str, Any]:
        """Words and labels; entities, where the labels mark them."""
        assert isinstance(example, Sentence)
        found: dict[str, Any] = {"id": example.id, "words": list(example.texts), "labels": answer.labels}
        if self.scheme:
            found["entities"] = [
                {
                    "type": kind,
                    "begin": begin,
                    "end": end,
                    "text": _shown(example.texts[begin:end], example.joined[begin:end]),
                }
                for kind, begin, end in spans_of(answer.labels, self.scheme)
            ]
        return found


class _Pieces:
    """The tokens of words, each encoded once: no token reaches across words, and each word has one at least."""

    def __init__(self, tokenizer: Tokenizer, examples: Sequence[Example], room: int) -> None:
        forms = Counter(
            (word, joined)
            for example in examples
            if isinstance(example, Sentence)
            for word, joined in zip(example.texts, example.joined, strict=True)
        )
        spaced = tokenizer.kind == "bpe"  # a token of bytes has the space before a word in it
        ids = tokenizer.encode_batch([f" {word}" if spaced and not joined else word for word, joined in forms])
        unknown = np.array([tokenizer.unk_id], dtype=np.int32)
        self._ids: dict[tuple[str, bool], np.ndarray] = {}
        self.cut = 0
        within = _within(tokenizer, [word for word, joined in forms if joined]) if tokenizer.kind == "unigram" else {}
        for form, pieces in zip(forms, ids, strict=True):
            kept = within.get(form[0], pieces) if form[1] else pieces
            if tokenizer.kind == "unigram" and tokenizer.tokens(kept[:1]) == [SPACE]:
                kept = kept[1:]  # the sign of the space, a token by itself, would be asked in the place of the word
            self.cut += len(kept) > room
            self._ids[form] = kept[:room] if len(kept) else unknown

    def __call__(self, word: str, joined: bool) -> np.ndarray:
        return self._ids[word, joined]


def _within(tokenizer: Tokenizer, words: Sequence[str]) -> dict[str, np.ndarray]:
    """The tokens of words that have no space before them, of a unigram tokenizer: it marks spaces, and begins of texts.

    They are those that a word has behind a sign; words of which a token reaches into the sign are left out.
    """
    found = {}
    encoded = tokenizer.encode_batch_with_offsets([BEFORE + word for word in words])
    for word, (ids, places) in zip(words, encoded, strict=True):
        behind = places[:, 0] >= len(BEFORE)
        if behind.any() and (behind | (places[:, 1] <= len(BEFORE))).all():
            found[word] = ids[behind]
    return found


def _parts(sizes: np.ndarray, room: int) -> list[tuple[int, int, int, int]]:
    """Windows of words, from begin to end, and in each the words that are asked in it, from first to last.

    Args:
        sizes: [words], tokens of each; none has more than `room`.
        room: tokens of a window.
    """
    ends = np.cumsum(sizes)
    if ends[-1] <= room:
        return [(0, len(sizes), 0, len(sizes))]
    found, begin, first = [], 0, 0
    while True:
        before = int(ends[begin - 1]) if begin else 0
        end = int(np.searchsorted(ends, before + room, side="right"))
        over = end == len(sizes)
        # A word in the last quarter is asked in the next window, where more stands after it.
        last = end if over else max(first + 1, int(np.searchsorted(ends, before + room * 3 // 4, side="right")))
        found.append((begin, end, first, min(last, end)))
        if over:
            return found
        first = min(last, end)
        begin = min(first, int(np.searchsorted(ends, int(ends[first - 1]) - room // 4, side="left")) + 1)
        if ends[first] - ends[begin - 1] > room:
            begin = first


def _joined(words: Sequence[str]) -> tuple[bool, ...]:
    """For each word whether no space stands before it, where only the words are known: between Chinese ones."""
    return False, *(is_chinese(one[-1:]) and is_chinese(other[:1]) for one, other in pairwise(words))


def _shown(words: Sequence[str], joined: Sequence[bool], marked: int | None = None) -> str:
    """Words as they stand in a text; one of them in brackets."""
    parts = []
    for place, (word, close) in enumerate(zip(words, joined, strict=True)):
        parts += ["" if close or not place else " ", f"[{word}]" if place == marked else word]
    return "".join(parts)
