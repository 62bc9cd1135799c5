"""Do translations lie side by side, and where is the language? (the lecture's slides 79 to 81).

Sentences that are translations of each other, and words of a dictionary in the sentences that hold them: for each the
vectors of the other language are ranked by cosine. Mean reciprocal rank (Liu et al. 2020) is 1 where the translation
always comes first; by chance it is about (ln N + .58) / N. Once more after subtracting the mean of each language.
Beside it a linear probe that tells the language of a token's vector, before and after.

Vectors that nobody has trained are no chance vectors: they know the positions of words and the length of a sentence. So
everything is measured with random weights, too, and the two languages' words are never taken from sentences that are
translations of each other.
"""

import copy
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from bertwright.analyze.linear_probe import probe
from bertwright.analyze.senses import place_of
from bertwright.analyze.vectors import Reader, normalized, overlapping
from bertwright.corpus.files import open_text
from bertwright.errors import UserError
from bertwright.model.encoder import initialize
from bertwright.model.heads import BareModel
from bertwright.run import Run, keep_result

FEWEST = 20
"""Pairs of sentences, or of words, at least."""

CONTEXTS = 8
"""Sentences over which a word's vector is averaged, at most."""

PROBED = 2000
"""Tokens of each language that the probe learns from, and is tested on, at most."""

SEED = 1


@dataclass(frozen=True)
class Side:
    """The sentences of one language, and what of them is looked at."""

    ids: list[np.ndarray]
    """Of each sentence, [N]."""
    words: dict[str, list[tuple[int, np.ndarray]]]
    """A word of the dictionary -> its sentences, and the numbers of its pieces there; in the order of translations."""
    probed: list[tuple[int, np.ndarray]]
    """Tokens for the probe: the sentence, and the number there; the first half is learnt from."""


def alignment(
    model: str | Path,
    parallel: tuple[str | Path, str | Path],
    dictionary: str | Path | None = None,
    *,
    most: int = 1000,
    over_time: bool = False,
    folder: Path | None = None,
) -> dict[str, Any]:
    """Rank translations by the cosine of their vectors, at every layer.

    Args:
        model: a run, a checkpoint folder or a model of the hub.
        parallel: two files with a sentence a line; lines of the same number are translations.
        dictionary: a word and its translation a line, separated by a tab; without it only sentences are ranked.
        most: sentences of each language.
        over_time: at every kept checkpoint of the run, too.
        folder: where results/alignment.json is written; None: nowhere.

    Returns:
        {"kind", "model", "languages", "over_time"} and what `measured` gives, of the model and under "untrained" with
        random weights. "over_time" (None if it was not asked for): for each checkpoint "step", "loss" (held out, or
        None) and, of the best layer, "sentences" and "words" as {"reciprocal_rank", "first"}.

    Raises:
        UserError: a file is damaged, the files differ in length, too few sentences or words are left, or the model is
            no run with checkpoints.
    """
    places = _checkpoints(Path(model)) if over_time else []
    reader = Reader.load(model)
    texts = read_parallel(reader, parallel, most)
    pairs = read_dictionary(Path(dictionary)) if dictionary is not None else None
    sides = chosen(reader, texts, pairs)
    result = {
        "kind": "alignment",
        "model": str(model),
        "languages": [Path(file).name for file in parallel],
        **measured(reader, sides),
        "untrained": measured(untrained(reader), sides),
        "over_time": _over_time(Run(Path(model)), places, sides) if over_time else None,
    }
    return keep_result(result, folder)


def untrained(reader: Reader) -> Reader:
    """A reader of the same shape and vocabulary with random weights."""
    found = copy.copy(reader)
    found.model = BareModel(reader.checkpoint.config)
    with torch.random.fork_rng():
        torch.manual_seed(SEED)
        initialize(found.model, reader.checkpoint.config.initial_deviation)
    found.model.eval()
    return found


def _checkpoints(run: Path) -> list[Path]:
    """The kept checkpoints of a run, in order."""
    found = sorted((run / "checkpoints").glob("step-*"), key=lambda path: int(path.name.removeprefix("step-")))
    if not found:
        raise UserError(
            "there are no checkpoints",
            file=run / "checkpoints",
            expected="a run of pre-training that kept some",
            advice="keep some by train.save_at=[100, 200, 400]",
        )
    return found


def _over_time(run: Run, places: Sequence[Path], sides: Sequence[Side]) -> list[dict[str, Any]]:
    losses = {record["step"]: record["evaluation"]["loss"] for record in run.read_log() if "evaluation" in record}
    found = []
    for place in places:
        step = int(place.name.removeprefix("step-"))
        ranks = measured(Reader.load(place), sides, probed=False)
        best: dict[str, Any] = {"step": step, "loss": losses.get(step)}
        for kind in ("sentences", "words"):
            plain = ranks[kind] and ranks[kind]["plain"]
            best[kind] = plain and {name: max(values) for name, values in plain.items()}
        found.append(best)
    return found


# ---------------------------------------------------------------------------------------------- reading


def read_parallel(reader: Reader, files: tuple[str | Path, str | Path], most: int) -> tuple[list[str], list[str]]:
    """Pairs of sentences that the model takes whole, each sentence once, drawn evenly.

    Raises:
        UserError: the files differ in length, or fewer than FEWEST pairs are left.
    """
    sides = []
    for file in files:
        with open_text(Path(file)) as stream:
            sides.append([line.strip() for line in stream])
    if len(sides[0]) != len(sides[1]):
        raise UserError(
            f"there are {len(sides[0]):,} and {len(sides[1]):,} lines",
            file=files[1],
            expected="as many lines in both files: a line and its translation have the same number",
            advice="align the files",
        )
    chosen = drawn_rows(reader, sides, most)
    if len(chosen) < FEWEST:
        raise UserError(
            f"only {len(chosen)} pairs of sentences are left",
            file=files[0],
            expected=f"{FEWEST} different ones or more, no longer than {reader.room} tokens",
            advice="give more sentences",
        )
    return [one for one, _ in chosen], [other for _, other in chosen]


def drawn_rows(reader: Reader, columns: Sequence[Sequence[str]], most: int) -> list[tuple[str, ...]]:
    """So many rows of texts, drawn evenly of those that the model takes whole, no text twice in a column."""
    encode = reader.checkpoint.tokenizer.encode_batch
    seen: list[set[str]] = [set() for _ in columns]
    chosen: list[tuple[str, ...]] = []
    order = np.random.default_rng(SEED).permutation(len(columns[0]))
    for begin in range(0, len(order), most):  # no more are encoded than it takes
        rows = [tuple(column[number] for column in columns) for number in order[begin : begin + most]]
        lengths = [[len(ids) for ids in encode(column)] for column in zip(*rows, strict=True)]
        for row, *sizes in zip(rows, *lengths, strict=True):
            fits = all(0 < size <= reader.room for size in sizes)
            if fits and len(chosen) < most and not any(text in known for text, known in zip(row, seen, strict=True)):
                chosen.append(row)
                for text, known in zip(row, seen, strict=True):
                    known.add(text)
        if len(chosen) == most:
            break
    return chosen


def read_dictionary(path: Path) -> list[tuple[str, str]]:
    """Words and their translations.

    Raises:
        UserError: a line has no two columns.
    """
    pairs = []
    with open_text(path) as stream:
        for number, line in enumerate(stream, start=1):
            parts = line.rstrip("\n").split("\t")
            if len(parts) != 2 or not all(part.strip() for part in parts):
                raise UserError(
                    f"the line has {len(parts)} columns",
                    file=path,
                    line=number,
                    expected="a word, a tab, its translation",
                    advice="correct the line",
                )
            pairs.append((parts[0].strip(), parts[1].strip()))
    return pairs


def chosen(
    reader: Reader, texts: tuple[list[str], list[str]], pairs: Sequence[tuple[str, str]] | None
) -> tuple[Side, Side]:
    """What is looked at in parallel sentences.

    Args:
        reader: of a model with the same tokenizer as all that are measured.
        texts: of each language; those of the same number are translations.
        pairs: of the dictionary; None: no words are looked at.

    Raises:
        UserError: fewer than FEWEST pairs of the dictionary occur.
    """
    encoded = [reader.encode(side) for side in texts]
    words = _words(texts, encoded, pairs) if pairs is not None else ({}, {})
    tokens = [
        [(number, place) for number, (ids, _) in enumerate(side) for place in range(len(ids))] for side in encoded
    ]
    # A token that the probe has learnt from tells its language by itself: it is tested on others.
    kinds = np.unique(np.concatenate([ids for side in encoded for ids, _ in side]))
    generator = np.random.default_rng(SEED)
    learnt = set(generator.permutation(kinds)[: len(kinds) // 2].tolist())
    halves = []
    for side, of_side in zip(encoded, tokens, strict=True):
        order = [of_side[number] for number in generator.permutation(len(of_side))]
        known = [int(side[number][0][place]) in learnt for number, place in order]
        halves.append([[each for each, own in zip(order, known, strict=True) if own == half] for half in (True, False)])
    size = min(PROBED, *(len(half) for side in halves for half in side))
    first, second = (
        Side(
            [ids for ids, _ in side],
            of_words,
            [(number, np.array([place])) for half in of_halves for number, place in half[:size]],
        )
        for side, of_words, of_halves in zip(encoded, words, halves, strict=True)
    )
    return first, second


def _words(
    texts: Sequence[Sequence[str]],
    encoded: Sequence[Sequence[tuple[np.ndarray, np.ndarray]]],
    pairs: Sequence[tuple[str, str]],
) -> tuple[dict[str, list[tuple[int, np.ndarray]]], dict[str, list[tuple[int, np.ndarray]]]]:
    """Where words and their translations stand, in the same order.

    Words of one language are looked for in every other sentence, those of the other one in the translations of the
    rest: in the same sentences they would be alike by their places and neighbours. A place counts where pieces begin
    and end with the word. Of a word that stands twice in the dictionary, the first line counts.
    """
    found: list[dict[str, list[tuple[int, np.ndarray]]]] = []
    for side in (0, 1):
        wanted = dict.fromkeys(pair[side].lower() for pair in pairs)
        spots: defaultdict[str, list[tuple[int, np.ndarray]]] = defaultdict(list)
        for number in range(side, len(texts[side]), 2):
            text, (_, offsets) = texts[side][number], encoded[side][number]
            lower = text.lower()
            for word in wanted:
                if word not in lower or len(spots[word]) == CONTEXTS:
                    continue
                begin = place_of(word, text)
                pieces = None if begin is None else whole_pieces(text, offsets, begin, begin + len(word))
                if pieces is not None:
                    spots[word].append((number, pieces))
        found.append({word: places for word, places in spots.items() if places})
    kept: dict[str, str] = {}
    taken: set[str] = set()
    for one, other in ((one.lower(), other.lower()) for one, other in pairs):
        if one in found[0] and other in found[1] and one not in kept and other not in taken:
            kept[one] = other
            taken.add(other)
    if len(kept) < FEWEST:
        raise UserError(
            f"only {len(kept)} pairs of the dictionary occur in the sentences",
            expected=f"{FEWEST} or more",
            advice="give more sentences, or a dictionary of these languages, in the order of the files",
        )
    return {one: found[0][one] for one in kept}, {other: found[1][other] for other in kept.values()}


def whole_pieces(text: str, offsets: np.ndarray, begin: int, end: int) -> np.ndarray | None:
    """The numbers of the pieces that a word is made of; None where they are of other words, too, or there are none."""
    pieces = overlapping(offsets, begin, end)
    if not len(pieces):
        return None
    reaching = text[offsets[pieces[0], 0] : begin] + text[end : offsets[pieces[-1], 1]]
    return None if reaching.strip() else pieces


# ---------------------------------------------------------------------------------------------- measuring


def measured(reader: Reader, sides: Sequence[Side], *, probed: bool = True) -> dict[str, Any]:
    """How translations rank, and where the language is.

    Args:
        reader: of a model.
        sides: of both languages.
        probed: whether the language is asked for, too.

    Returns:
        "sentences" and "words" (None without a dictionary) have "count", "chance" and, by layer, for the vectors as
        they are ("plain") and less the mean of their language ("centred"), "reciprocal_rank" and "first" (precision at
        1), means of both directions. "identity": by layer the accuracy of the language probe on kinds of tokens that it
        has not seen, "plain" and "centred" (by chance .5). "offset": by layer the mean cosine between the difference of
        a pair of sentences and that of the languages' means; "offset_shuffled": the same of sentences that are no
        pairs.
    """
    found = [vectors_of(reader, side, probed=probed) for side in sides]
    sentences, words, tokens = zip(*found, strict=True)
    # One mean for each language and layer: that of all tokens of its sentences.
    sizes = [np.array([len(ids) for ids in side.ids], dtype=np.float32) for side in sides]
    means = [
        np.average(found, axis=1, weights=size)[:, None].astype(np.float32)
        for found, size in zip(sentences, sizes, strict=True)
    ]
    result: dict[str, Any] = {
        "sentences": ranked(sentences, means),
        "words": ranked(words, means) if sides[0].words else None,
    }
    if probed:
        order = np.random.default_rng(SEED).permutation(len(sides[0].ids))
        gap = means[0] - means[1]
        result["identity"] = {
            "plain": identified(tokens),
            "centred": identified([side - mean for side, mean in zip(tokens, means, strict=True)]),
        }
        result["offset"] = offsets(sentences[0], sentences[1], gap)
        result["offset_shuffled"] = offsets(sentences[0], sentences[1][:, order], gap)
    return result


def offsets(one: np.ndarray, other: np.ndarray, gap: np.ndarray) -> list[float]:
    """By layer the mean cosine between differences of pairs, [1 + layers, S, D], and a vector, [1 + layers, 1, D]."""
    return [float((normalized(a - b) @ normalized(each)[0]).mean()) for a, b, each in zip(one, other, gap, strict=True)]


def vectors_of(reader: Reader, side: Side, *, probed: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The vectors of sentences, of words and of tokens for the probe, each [1 + layers, number, D]."""
    spans = [[np.arange(len(ids))] for ids in side.ids]

    def added(places: Sequence[tuple[int, np.ndarray]]) -> list[tuple[int, int]]:
        numbers = []
        for sentence, pieces in places:
            numbers.append((sentence, len(spans[sentence])))
            spans[sentence].append(pieces)
        return numbers

    words = [added(places) for places in side.words.values()]
    tokens = added(side.probed if probed else [])
    vectors = reader.means(side.ids, spans)
    firsts = np.cumsum([0, *map(len, spans)])[:-1]

    def those(numbers: Sequence[tuple[int, int]]) -> np.ndarray:
        return vectors[:, np.array([firsts[sentence] + place for sentence, place in numbers], dtype=np.int64)]

    of_words = [those(numbers).mean(axis=1) for numbers in words]
    return vectors[:, firsts], np.stack(of_words, axis=1) if words else vectors[:, :0], those(tokens)


def ranked(pairs: Sequence[np.ndarray], means: Sequence[np.ndarray]) -> dict[str, Any]:
    """How high translations rank.

    Args:
        pairs: of each language [1 + layers, N, D], translations aligned.
        means: of each language [1 + layers, 1, D].
    """
    count = pairs[0].shape[1]
    centred = [side - mean for side, mean in zip(pairs, means, strict=True)]
    chance = float((1 / np.arange(1, count + 1)).mean())
    result: dict[str, Any] = {"count": count, "chance": {"reciprocal_rank": chance, "first": 1 / count}}
    for name, sides in (("plain", pairs), ("centred", centred)):
        layers = [ranks(one, other) for one, other in zip(*sides, strict=True)]
        result[name] = {
            "reciprocal_rank": [float((1 / each).mean()) for each in layers],
            "first": [float((each == 1).mean()) for each in layers],
        }
    return result


def ranks(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """The rank, from 1, of each vector's translation among all of the other language; ties count against it.

    Args:
        one: [N, D].
        other: [N, D], translations at the same place.

    Returns:
        [2 N], both directions.
    """
    values = normalized(one) @ normalized(other).T
    right = np.diag(values)
    return np.concatenate([(values >= right[:, None]).sum(axis=1), (values >= right[None]).sum(axis=0)])


def identified(tokens: Sequence[np.ndarray]) -> list[float]:
    """By layer the accuracy of a linear probe that tells the language of a token.

    Args:
        tokens: of each language [1 + layers, 2 T, D]; the first half is learnt from.
    """
    size = tokens[0].shape[1] // 2
    labels = ["one"] * size + ["other"] * size
    return [
        probe(
            np.concatenate([layer[:size] for layer in layers]),
            labels,
            np.concatenate([layer[size:] for layer in layers]),
            labels,
        )
        for layers in zip(*tokens, strict=True)
    ]
