"""Where is the language, and can it be exchanged? (the lecture's slides 80 to 82).

The mean vector of a language at a layer, over its tokens. Add alpha times the difference of two languages' means to
every token of a sentence, let the layers above go on, and read what the masked-token head says, nothing masked. With
alpha = 0 that is reconstruction.
"""

from collections import Counter
from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from bertwright.analyze.head import HeadReader, reconstructed
from bertwright.analyze.parallel import names_of, read_dictionary, read_parallel
from bertwright.analyze.senses import lone_tokens
from bertwright.analyze.vectors import Reader, token_mean
from bertwright.batches import IGNORED
from bertwright.errors import UserError
from bertwright.prepare import Progress
from bertwright.run import keep_result

ALPHAS = (1.0, 2.0, 3.0)
"""Those of slide 82."""

TESTED = 100
"""Pairs of sentences that are shifted; all others give the means. The first half of them chooses layer and alpha, the
others tell how good these are."""

SHARES = ("converted", "translated", "translated_chance", "repeated", "bleu_1", "bleu_1_chance")
"""What is told of each layer and alpha; see `shift`."""

SHOWN = 4
"""Sentences on the page."""

SEED = 1


@dataclass(frozen=True)
class Bilingual:
    """A model, the tokens of its two languages, and which token is which one's translation."""

    head: HeadReader
    language: np.ndarray
    """[V], 0 or 1, or IGNORED for tokens of both or of none."""
    translations: tuple[dict[int, set[int]], dict[int, set[int]]] | None
    """From the first language to the second one, token -> tokens, and the other way round."""


def shift(
    model: str | Path,
    parallel: tuple[str | Path, str | Path],
    dictionary: str | Path | None = None,
    *,
    most: int = 1000,
    alphas: Sequence[float] = ALPHAS,
    shown: Sequence[str] = (),
    folder: Path | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Move sentences of the first language to the second by adding a vector, at every layer.

    Args:
        model: with a masked-token head: a run, a checkpoint folder or a model of the hub.
        parallel: two files with a sentence a line; lines of the same number are translations.
        dictionary: a word and its translation a line, separated by a tab; words of one token each count.
        most: pairs of sentences.
        alphas: multiples of the difference of the means.
        shown: sentences of the first language that are to be among the examples.
        folder: where results/shift.json is written; None: nowhere.
        progress: told how many of the shifts, by layer and alpha, are done.

    Returns:
        {"kind", "model", "languages", "too_long", "alphas", "sentences", "asked", "reconstruction", "unshifted",
        "shift", "random", "reverse", "best", "examples"}. "too_long": pairs left out. "sentences": those that the
        shares are of; "asked": how many of their tokens the dictionary knows, in each language (None without one).
        "reconstruction": for each language the share of tokens given back ("same") and of those that stay in their
        language ("stays"). "shift", and the controls "random" (for each
        sentence and layer another vector of the same length) and "reverse" (the second language moved to the first): by
        layer and alpha [1 + layers, alphas] the shares of tokens of the sentences' language that are now of the other
        one ("converted"), of tokens in the dictionary that are right translations ("translated", None without one), of
        a sentence's most frequent token ("repeated"), and "bleu_1" against the reference; "unshifted" has one of each.
        "translated_chance" and "bleu_1_chance": the same if the answers stood at any other places, and against the
        reference of another sentence of like length. "best": layer and alpha with the most right translations (without
        a dictionary, the best BLEU-1) in the half of the sentences that the shares are not of.

    Raises:
        UserError: the model has no masked-token head, the dictionary has no usable entry; see `read_parallel` and
            `read_dictionary`.
    """
    head = HeadReader(model)
    reader = head.reader
    reader.encode(list(shown))  # what is wrong with them is said before all else is done
    texts, too_long = read_parallel(reader, parallel, most)
    encode = reader.checkpoint.tokenizer.encode_batch
    sides = [encode(side) for side in texts]
    tested = min(TESTED, len(sides[0]) // 2)
    one, other = (side[:tested] for side in sides)
    others = [side[tested:] for side in sides]
    translations = single_tokens(reader, dictionary, (one, other)) if dictionary is not None else None
    bilingual = Bilingual(head, of_languages(head.token_languages(others), translations), translations)
    means = [language_mean(reader, side) for side in others]
    difference = torch.from_numpy(means[1] - means[0])
    over = counted(progress, 3 * len(difference) * len(alphas))
    shifted, chosen_by = shift_grid(bilingual, one, other, difference, alphas, target=1, over=over)
    unshifted, _ = shift_grid(bilingual, one, other, difference[:1], [0.0], target=1)
    result: dict[str, Any] = {
        "kind": "shift",
        "model": str(model),
        "languages": names_of(parallel),
        "too_long": too_long,
        "alphas": list(alphas),
        "sentences": len(halves(one)[1]),
        "asked": translations and list(map(asked_of, (one, other), translations)),
        "reconstruction": [
            reconstructed(head.read_off(side), side, bilingual.language, number)
            for number, side in enumerate((one, other))
        ],
        "unshifted": {name: values and values[0][0] for name, values in unshifted.items()},
        "shift": shifted,
        "random": shift_grid(bilingual, one, other, random_like(difference, tested), alphas, target=1, over=over)[0],
        "reverse": shift_grid(bilingual, other, one, -difference, alphas, target=0, over=over)[0],
    }
    layer, index = (int(each) for each in np.unravel_index(chosen_by.argmax(), chosen_by.shape))
    result["best"] = {"layer": layer, "alpha": alphas[index]}
    pairs = [*((text, None) for text in shown), *zip(texts[0][:SHOWN], texts[1], strict=False)]
    result["examples"] = examples(head, pairs, difference[layer], layer, alphas)
    return keep_result(result, folder)


def counted(progress: Progress | None, total: int) -> Callable[[], None]:
    """What is called after each of so many shifts, and tells how many are done."""
    numbers = count(1)

    def over() -> None:
        if progress is not None:
            progress("shifting", next(numbers), total)

    return over


def language_mean(reader: Reader, sequences: Sequence[np.ndarray]) -> np.ndarray:
    """The mean over all tokens of its sentences at every layer, [1 + layers, D]."""
    return token_mean(reader.means(sequences, [[np.arange(len(ids))] for ids in sequences]), sequences)


def random_like(vectors: Tensor, count: int) -> Tensor:
    """So many random vectors of the length of each one, [K, D]: [K, count, D].

    One for each sentence: a single one may have a part along the language, by chance, where the model is narrow.
    """
    noise = torch.randn(len(vectors), count, vectors.shape[1], generator=torch.Generator().manual_seed(SEED))
    return noise * (vectors.norm(dim=1)[:, None] / noise.norm(dim=2))[:, :, None]


# ---------------------------------------------------------------------------------------------- tokens


def single_tokens(
    reader: Reader, dictionary: str | Path, sides: Sequence[Sequence[np.ndarray]]
) -> tuple[dict[int, set[int]], dict[int, set[int]]]:
    """The dictionary's words that are one token on both sides, in either direction.

    A word counts as the dictionary writes it and in lower case; where both languages have the same token there is
    nothing to translate.

    Args:
        reader: of the model.
        dictionary: a word and its translation a line, separated by a tab.
        sides: sentences of both languages, in ids: the first half of them chooses, the other half tells.

    Raises:
        UserError: none of them stands in such a half.
    """
    tokenizer = reader.checkpoint.tokenizer
    found: tuple[dict[int, set[int]], dict[int, set[int]]] = ({}, {})
    pairs = read_dictionary(Path(dictionary))
    pairs = dict.fromkeys([*pairs, *((one.lower(), other.lower()) for one, other in pairs)])
    tokens = lone_tokens(tokenizer, (word for pair in pairs for word in pair))
    for one, other in pairs:
        if one in tokens and other in tokens and tokens[one] != tokens[other]:
            found[0].setdefault(tokens[one], set()).add(tokens[other])
            found[1].setdefault(tokens[other], set()).add(tokens[one])
    parts = [(part, entries) for side, entries in zip(sides, found, strict=True) for part in halves(side)]
    for part, entries in parts:
        if set(np.concatenate(list(part)).tolist()).isdisjoint(entries):
            raise UserError(
                "no word of the dictionary that is one token in both languages stands in the sentences",
                file=dictionary,
                expected="frequent words, in the order of the files",
                advice="leave the dictionary out: without one, BLEU-1 tells what is translated",
            )
    return found


def halves(sequences: Sequence[np.ndarray]) -> tuple[Sequence[np.ndarray], Sequence[np.ndarray]]:
    """The sentences by which layer and alpha are chosen, and those of which the shares are told."""
    middle = len(sequences) // 2
    return sequences[:middle], sequences[middle:]


def asked_of(sequences: Sequence[np.ndarray], entries: Container[int]) -> int:
    """How many tokens of the half that tells are in the dictionary."""
    return sum(token in entries for ids in halves(sequences)[1] for token in ids.tolist())


def of_languages(
    language: np.ndarray, translations: tuple[dict[int, set[int]], dict[int, set[int]]] | None
) -> np.ndarray:
    """The languages of tokens, [V], and, where they are of none, that of the dictionary's side that alone has them."""
    found = language.copy()
    if translations is not None:
        for number, (own, others) in enumerate((translations, translations[::-1])):
            alone = np.array(sorted(own.keys() - others.keys()), dtype=np.int64)
            found[alone[language[alone] == IGNORED]] = number
    return found


# ---------------------------------------------------------------------------------------------- measuring


def shift_grid(
    bilingual: Bilingual,
    sequences: Sequence[np.ndarray],
    references: Sequence[np.ndarray],
    vectors: Tensor,
    alphas: Sequence[float],
    *,
    target: int,
    over: Callable[[], None] = lambda: None,
) -> tuple[dict[str, Any], np.ndarray]:
    """What shifting by a vector for each layer, or each layer and sentence, does, by layer and alpha.

    Args:
        bilingual: what is known of the tokens.
        sequences: S sentences, in ids.
        references: their translations.
        vectors: [1 + layers, D] or [1 + layers, S, D].
        alphas: what they are multiplied by.
        target: number of the language that is wanted.
        over: called after each layer and alpha.

    Returns:
        The shares of the second half of the sentences, and of the first half what is to be high, [1 + layers, alphas].
    """
    grid = np.zeros((2, len(SHARES), len(vectors), len(alphas)))
    shown, right = halves(sequences), halves(references)
    for layer, vector in enumerate(vectors):
        for index, alpha in enumerate(alphas):
            said = bilingual.head.read_off(sequences, alpha * vector, layer)
            for number, told in enumerate(halves(said)):
                found = shares(bilingual, shown[number], right[number], told, target)
                grid[number, :, layer, index] = [found[name] for name in SHARES]
            over()
    result: dict[str, Any] = {name: values.round(5).tolist() for name, values in zip(SHARES, grid[1], strict=True)}
    if bilingual.translations is None:
        result |= {"translated": None, "translated_chance": None}
    return result, grid[0, SHARES.index("bleu_1" if bilingual.translations is None else "translated")]


def shares(
    bilingual: Bilingual,
    sequences: Sequence[np.ndarray],
    references: Sequence[np.ndarray],
    said: Sequence[np.ndarray],
    target: int,
) -> dict[str, float]:
    """Tokens converted, translated and repeated, and BLEU-1, with their chances: SHARES; see `shift`.

    Args:
        bilingual: what is known of the tokens.
        sequences: of each sentence, what was shown.
        references: of each sentence the ids of its translation.
        said: of each sentence, what the head said.
        target: number of the language that is wanted; the sentences are of the other one.
    """
    shown, told = np.concatenate(list(sequences)), np.concatenate(list(said))
    own = bilingual.language[shown] == 1 - target
    translations = bilingual.translations[1 - target] if bilingual.translations is not None else {}
    asked = [
        (after, translations[before])
        for before, after in zip(shown.tolist(), told.tolist(), strict=True)
        if before in translations
    ]
    counts = Counter(told.tolist())
    by_chance = [sum(counts[token] for token in right) / len(told) for _, right in asked]
    by_length = np.argsort([len(reference) for reference in references], kind="stable")
    others = dict(zip(by_length.tolist(), np.roll(by_length, 1).tolist(), strict=True))
    return {
        "converted": float((bilingual.language[told][own] == target).mean()) if own.any() else 0.0,
        "translated": float(np.mean([after in right for after, right in asked])) if asked else 0.0,
        "translated_chance": float(np.mean(by_chance)) if asked else 0.0,
        "repeated": float(np.mean([Counter(row.tolist()).most_common(1)[0][1] / len(row) for row in said])),
        "bleu_1": bleu_1(said, references),
        "bleu_1_chance": bleu_1(said, [references[others[number]] for number in range(len(said))]),
    }


def bleu_1(said: Sequence[np.ndarray], references: Sequence[np.ndarray]) -> float:
    """BLEU of single tokens over all sentences, with the brevity penalty (Papineni et al. 2002)."""
    right = sum(
        (Counter(row.tolist()) & Counter(reference.tolist())).total()
        for row, reference in zip(said, references, strict=True)
    )
    length, wanted = sum(map(len, said)), sum(map(len, references))
    penalty = min(1.0, float(np.exp(1 - wanted / length)))
    return penalty * right / length


def examples(
    head: HeadReader, pairs: Sequence[tuple[str, str | None]], vector: Tensor, layer: int, alphas: Sequence[float]
) -> list[dict[str, Any]]:
    """Some sentences, with a reference or None, and what they become by each alpha at a layer."""
    sequences = [ids for ids, _ in head.reader.encode([text for text, _ in pairs])]
    outputs = {alpha: head.read_off(sequences, alpha * vector, layer) for alpha in (0.0, *alphas)}
    decode = head.reader.checkpoint.tokenizer.decode
    return [
        {
            "text": text,
            "reference": reference,
            "outputs": [{"alpha": alpha, "text": decode(rows[number])} for alpha, rows in outputs.items()],
        }
        for number, (text, reference) in enumerate(pairs)
    ]
