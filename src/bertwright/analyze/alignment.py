"""Do translations lie side by side, and where is the language? (the lecture's slides 79 to 81).

Sentences that are translations of each other, and words of a dictionary in the sentences that hold them: for each the
vectors of the other language are ranked by cosine. Mean reciprocal rank (Liu et al. 2020) is 1 where the translation
always comes first; by chance it is about (ln N + .58) / N. Once more after subtracting the mean of each language.
Beside it probes that tell the language of a token's vector: a linear one, and its nearest neighbours, before and after.
(After, a linear probe has nothing to find whatever the vectors are: two clouds of one mean.)

Vectors that nobody has trained are no chance vectors: they know the positions of words and the length of a sentence. So
everything is measured with random weights, too, and the two languages' words are never taken from sentences that are
translations of each other.
"""

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from bertwright.analyze.linear_probe import nearest, probe
from bertwright.analyze.parallel import SEED, Words, names_of, read_dictionary, read_lines, read_parallel, words_in
from bertwright.analyze.senses import lone_tokens
from bertwright.analyze.trainings import checkpoints_of
from bertwright.analyze.vectors import Reader, normalized, token_mean
from bertwright.errors import UserError
from bertwright.model.encoder import initialize
from bertwright.model.heads import BareModel
from bertwright.run import Run, keep_result
from bertwright.tokenizer import Tokenizer

PROBED = 2000
"""Tokens of each language that the probe learns from, and is tested on, at most."""


Probe = Callable[[np.ndarray, Sequence[str], np.ndarray, Sequence[str]], float]
"""What learns labels of vectors from some, and tells the accuracy on others: see `linear_probe`."""


@dataclass(frozen=True)
class Side:
    """The sentences of one language, and what of them is looked at."""

    ids: list[np.ndarray]
    """Of each sentence, [N]."""
    probed: list[tuple[int, np.ndarray]]
    """Tokens for the probe: the sentence, and the number there; the first half is learnt from."""
    words: Words
    """Of the dictionary, in the order of translations."""


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
        dictionary: a word and its translation a line, separated by a tab; without it only sentences are ranked. Words
            are looked for in all lines.
        most: sentences of each language.
        over_time: at every kept checkpoint of the run, too; all else is of the last one then, not of the best.
        folder: where results/alignment.json is written; None: nowhere.

    Returns:
        {"kind", "model", "languages", "too_long" (pairs left out), "coupled" (see `learnt_kinds`), "over_time"} and
        what `ranks_and_probes` gives, of the model and under "untrained" with random weights. "over_time" (None if it
        was not asked for): for each checkpoint "step", "loss" (held out, or None) and, of the layer with the best rank,
        "sentences" and "words" as {"reciprocal_rank", "first"}.

    Raises:
        UserError: a file is damaged, the files differ in length, too few sentences or words are left, or the model is
            no run with checkpoints.
    """
    places = checkpoints_of(model) if over_time else {}
    reader = Reader.load(places[max(places)] if places else model)
    texts, too_long = read_parallel(reader, parallel, most)
    words, pairs = (Words([], {}), Words([], {})), []
    if dictionary is not None:
        pairs = read_dictionary(Path(dictionary))
        words = words_in(reader, read_lines(parallel), pairs)
    sides, coupled = chosen(reader, texts, words, pairs)
    result = {
        "kind": "alignment",
        "model": str(model),
        "languages": names_of(parallel),
        "too_long": too_long,
        "coupled": coupled,
        **ranks_and_probes(reader, sides),
        "untrained": ranks_and_probes(untrained(reader), sides),
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


def _over_time(run: Run, places: Mapping[int, Path], sides: Sequence[Side]) -> list[dict[str, Any]]:
    losses = {record["step"]: record["evaluation"]["loss"] for record in run.read_log() if "evaluation" in record}
    found = []
    for step, place in places.items():
        ranks = ranks_and_probes(Reader.load(place), sides, probed=False)
        best: dict[str, Any] = {"step": step, "loss": losses.get(step)}
        for kind in ("sentences", "words"):
            plain = ranks[kind] and ranks[kind]["plain"]
            layer = plain and int(np.argmax(plain["reciprocal_rank"]))
            best[kind] = plain and {name: values[layer] for name, values in plain.items()}
        found.append(best)
    return found


def chosen(
    reader: Reader,
    texts: tuple[list[str], list[str]],
    words: tuple[Words, Words],
    pairs: Sequence[tuple[str, str]],
) -> tuple[tuple[Side, Side], int]:
    """What is looked at in parallel sentences, and how many words are coupled with their translations.

    Args:
        reader: of a model with the same tokenizer as all that are measured.
        texts: of each language; those of the same number are translations.
        words: of each language.
        pairs: words and their translations.

    Raises:
        UserError: a language has so few kinds of tokens that none are left for the probe.
    """
    encoded = [[ids for ids, _ in reader.encode(side)] for side in texts]
    kinds = np.unique(np.concatenate([ids for side in encoded for ids in side]))
    generator = np.random.default_rng(SEED)
    learnt, coupled = learnt_kinds(reader.checkpoint.tokenizer, kinds, pairs, generator)
    halves = [probed_halves(side, learnt, generator) for side in encoded]
    size = min(PROBED, *(len(half) for side in halves for half in side))
    if not size:
        counts = [len(set(np.concatenate(side).tolist())) for side in encoded]
        raise UserError(
            f"the sentences have {counts[0]} and {counts[1]} kinds of tokens: too few to learn the language from some, "
            "and tell that of others",
            expected="a model whose tokenizer knows both languages",
            advice="choose another model, or check the order of the files",
        )
    first, second = (
        Side(ids, [(number, np.array([place])) for half in of_halves for number, place in half[:size]], of_words)
        for ids, of_halves, of_words in zip(encoded, halves, words, strict=True)
    )
    return (first, second), coupled


def learnt_kinds(
    tokenizer: Tokenizer, kinds: np.ndarray, pairs: Sequence[tuple[str, str]], generator: np.random.Generator
) -> tuple[set[int], int]:
    """One half of the kinds of tokens, and of a word and its translation both or neither, where both are one token.

    A token that the probe has learnt from tells its language by itself; and one whose translation it has learnt from,
    and which lies beside that, would be told as of the wrong language, the better the languages are aligned. Lower
    case, capitals and the dictionary's own spelling are one word.

    Returns:
        Those to learn from, and how many words are coupled in this way.
    """
    learnt = set(generator.permutation(kinds)[: len(kinds) // 2].tolist())
    spellings = [{form for word in pair for form in (word, word.lower(), word.capitalize())} for pair in pairs]
    tokens = lone_tokens(tokenizer, (form for forms in spellings for form in forms))
    there, met, coupled = set(kinds.tolist()), set[int](), 0
    for forms in spellings:
        ids = there.intersection(tokens[form] for form in forms if form in tokens)
        if len(ids) > 1 and met.isdisjoint(ids):
            met |= ids
            coupled += 1
            if min(ids) in learnt:
                learnt |= ids
            else:
                learnt -= ids
    return learnt, coupled


def probed_halves(
    side: Sequence[np.ndarray], learnt: set[int], generator: np.random.Generator
) -> list[list[tuple[int, int]]]:
    """Tokens to learn from and to be tested on, a sentence and a place there, one of each kind, drawn evenly.

    Those to learn from are in every other sentence, those to be tested on in the rest: tokens of one sentence are
    alike.
    """
    order = [(number, place) for number, ids in enumerate(side) for place in range(len(ids))]
    found: list[dict[int, tuple[int, int]]] = [{}, {}]
    for number, place in (order[index] for index in generator.permutation(len(order))):
        half, kind = number % 2, int(side[number][place])
        if (kind in learnt) == (half == 0):
            found[half].setdefault(kind, (number, place))
    return [list(half.values()) for half in found]


# ---------------------------------------------------------------------------------------------- measuring


def ranks_and_probes(reader: Reader, sides: Sequence[Side], *, probed: bool = True) -> dict[str, Any]:
    """How translations rank, and where the language is.

    Args:
        reader: of a model.
        sides: of both languages.
        probed: whether the language is asked for, too.

    Returns:
        "sentences" and "words" (None without a dictionary) have "count", "chance" and, by layer, for the vectors as
        they are ("plain") and less the mean of their language ("centred"), "reciprocal_rank" and "first" (precision at
        1), means of both directions. "identity": by layer the accuracy of language probes on kinds of tokens that they
        have not seen (see `learnt_kinds`; by chance .5), "linear", "neighbours" and, less the mean of the language,
        "neighbours_centred". "offset": by layer the mean cosine between the difference of a pair of sentences and that
        of the means of other ones; "offset_shuffled": the same of sentences that are no pairs.
    """
    sentences, words, tokens = zip(*(vectors_of(reader, side, probed=probed) for side in sides), strict=True)
    means = [token_mean(of_each, side.ids)[:, None] for of_each, side in zip(sentences, sides, strict=True)]
    result: dict[str, Any] = {
        "sentences": ranked(sentences, means),
        "words": ranked(words, means) if sides[0].words.places else None,
    }
    if probed:
        one, other = (of_each[:, 1::2] for of_each in sentences)
        gap = np.subtract(*(of_each[:, ::2].mean(axis=1, keepdims=True) for of_each in sentences))
        order = np.random.default_rng(SEED).permutation(one.shape[1])
        result["identity"] = {
            "linear": identified(tokens, probe),
            "neighbours": identified(tokens, nearest),
            "neighbours_centred": identified([centred_halves(side) for side in tokens], nearest),
        }
        result["offset"] = offsets(one, other, gap)
        result["offset_shuffled"] = offsets(one, other[:, order], gap)
    return result


def offsets(one: np.ndarray, other: np.ndarray, gap: np.ndarray) -> list[float]:
    """By layer the mean cosine between differences of pairs, [1 + layers, S, D], and a vector, [1 + layers, 1, D]."""
    return [float((normalized(a - b) @ normalized(each)[0]).mean()) for a, b, each in zip(one, other, gap, strict=True)]


def vectors_of(reader: Reader, side: Side, *, probed: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The vectors of sentences, of words and of tokens for the probe, each [1 + layers, number, D]."""
    tokens = side.probed if probed else []
    whole = [(number, np.arange(len(ids))) for number, ids in enumerate(side.ids)]
    vectors = _read(reader, side.ids, [*whole, *tokens])
    places = list(side.words.places.values())
    spots = _read(reader, side.words.ids, [spot for spots in places for spot in spots])
    ends = np.cumsum(list(map(len, places)))
    words = [spots[:, end - len(of) : end].mean(axis=1) for of, end in zip(places, ends.tolist(), strict=True)]
    return vectors[:, : len(whole)], np.stack(words, axis=1) if words else spots, vectors[:, len(whole) :]


def _read(reader: Reader, ids: list[np.ndarray], places: Sequence[tuple[int, np.ndarray]]) -> np.ndarray:
    """The vectors of spans of tokens in sentences, in their order: [1 + layers, number, D]."""
    spans: list[list[np.ndarray]] = [[] for _ in ids]
    within = []
    for sentence, tokens in places:
        within.append((sentence, len(spans[sentence])))
        spans[sentence].append(tokens)
    firsts = np.cumsum([0, *map(len, spans)])
    order = np.array([firsts[sentence] + place for sentence, place in within], dtype=np.int64)
    return reader.means(ids, spans)[:, order]


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


def centred_halves(tokens: np.ndarray) -> np.ndarray:
    """Of a language, [1 + layers, 2 T, D], each half less its own mean: one mean for both would tie them together."""
    return np.concatenate([half - half.mean(axis=1, keepdims=True) for half in np.split(tokens, 2, axis=1)], axis=1)


def identified(tokens: Sequence[np.ndarray], tell: Probe) -> list[float]:
    """By layer the accuracy of a probe that tells the language of a token.

    Args:
        tokens: of each language [1 + layers, 2 T, D]; the first half is learnt from.
        tell: the probe.
    """
    size = tokens[0].shape[1] // 2
    labels = ["one"] * size + ["other"] * size
    return [
        tell(
            np.concatenate([layer[:size] for layer in layers]),
            labels,
            np.concatenate([layer[size:] for layer in layers]),
            labels,
        )
        for layers in zip(*tokens, strict=True)
    ]
