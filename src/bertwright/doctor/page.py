"""The parts of the page that come from counted files."""

from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Any

import numpy as np

from bertwright.doctor.compare import Repeats, Shared
from bertwright.doctor.examples import Example, Source
from bertwright.doctor.measures import histogram, lengths, scripts, shares_over
from bertwright.doctor.tally import Tally, add
from bertwright.metrics import expected_first_loss
from bertwright.store import entropy
from bertwright.tokenizer import Tokenizer

LABELS_SHOWN = 100
TEXT_SHOWN = 200

_REPLACEMENT = 0xFFFD


def entry(tally: Tally, repeats: Repeats, shown: dict[int, Example], tokenizer: Tokenizer | None) -> dict[str, Any]:
    """The page's entry about one source.

    Args:
        tally: what was counted.
        repeats: what occurs again.
        shown: record number -> the record, of those that `repeats` names.
        tokenizer: the one that counted, if any.
    """
    columns = tally.source.columns()
    token_lengths = lengths(tally.token_lengths)
    if token_lengths is not None:
        token_lengths |= shares_over(tally.token_lengths, special=1 + (len(columns.texts) if columns else 1))
    return {
        "file": tally.source.name,
        "records": tally.records,
        "characters": tally.characters,
        "bytes": sum(path.stat().st_size for path in tally.source.files),
        "tokens": None if tally.token_counts is None else int(tally.token_counts.sum()),
        "empty": tally.empty,
        "duplicates": repeats.duplicates,
        "near_duplicates": repeats.near_duplicates,
        "dropped": False,
        "long": tally.long,
        "damaged": int(tally.character_counts[_REPLACEMENT : _REPLACEMENT + 1].sum()),
        "looks_like_table": tally.source.has_tabs(),
        "examples": {
            "empty": tally.places.get("empty"),
            "duplicates": repeats.duplicate and _example(repeats.duplicate, shown),
            "near_duplicates": repeats.near_duplicate and _example(repeats.near_duplicate, shown),
            "long": {"characters": tally.longest, "place": tally.places["long"]} if tally.long else None,
            "unlabelled": tally.places.get("unlabelled"),
        },
        "columns": columns and {"text": list(columns.texts), "label": columns.label},
        "lengths": {"characters": lengths(tally.character_lengths), "tokens": token_lengths},
        "histogram": {"characters": histogram(tally.character_lengths), "tokens": histogram(tally.token_lengths)},
        "scripts": scripts(tally.character_counts),
        "labels": dict(islice(label_counts(tally).items(), LABELS_SHOWN)),
        "num_labels": None if tally.too_many_labels else len(tally.label_numbers),
        "unlabelled": tally.unlabelled if columns and columns.label else None,
        "conflicts": _conflicts(repeats, shown),
        "unknown_rate": unknown_rate(tally.token_counts, tokenizer),
    }


def wanted(index: int, repeats: Repeats, shared: Iterable[Shared]) -> set[int]:
    """Numbers of the records of source `index` that the page shows."""
    pairs = [pair for pair in (repeats.duplicate, repeats.near_duplicate) if pair]
    numbers = {number for group in [*pairs, *repeats.conflict_examples] for number in group}
    numbers |= {pair.example[0] for pair in shared if pair.first == index}
    return numbers | {pair.example[1] for pair in shared if pair.second == index}


def records(source: Source, numbers: set[int]) -> dict[int, Example]:
    """Read the records with the given numbers; the source is read as far as the last of them."""
    with_text = (example for example in source.read() if example.segments)
    last = max(numbers, default=-1)
    return {number: example for number, example in enumerate(islice(with_text, last + 1)) if number in numbers}


def shared_entry(pair: Shared, tallies: Sequence[Tally], shown: Sequence[dict[int, Example]]) -> dict[str, Any]:
    """The page's entry about what two sources share."""
    first, second = tallies[pair.first], tallies[pair.second]
    found, of = (pair.in_first, first.records) if first.records < second.records else (pair.in_second, second.records)
    one, other = shown[pair.first][pair.example[0]], shown[pair.second][pair.example[1]]
    return {
        "first": first.source.name,
        "second": second.source.name,
        "texts": pair.texts,
        "in_first": pair.in_first,
        "in_second": pair.in_second,
        "share": round(found / of, 6),
        "exact": pair.exact,
        "conflicts": pair.conflicts,
        "example": {"text": _text(other), "places": [one.place, other.place]},
    }


def label_differences(tallies: Iterable[Tally]) -> list[dict[str, Any]]:
    """Labels that some of the labelled sources lack; sources with very many labels are left out."""
    counts = {
        tally.source.name: label_counts(tally) for tally in tallies if 0 < len(tally.label_numbers) <= LABELS_SHOWN
    }
    labels = sorted({label for of_file in counts.values() for label in of_file})
    return [
        {
            "label": label,
            "records": sum(of_file.get(label, 0) for of_file in counts.values()),
            "in": [file for file, of_file in counts.items() if label in of_file],
            "missing": [file for file, of_file in counts.items() if label not in of_file],
        }
        for label in labels
        if not all(label in of_file for of_file in counts.values())
    ]


def losses(tallies: Sequence[Tally], tokenizer: Tokenizer | None, width: int, deviation: float) -> dict[str, Any]:
    """The losses to be expected, over the tokens or characters of all sources together."""
    counts = np.zeros(0, dtype=np.int64)
    for tally in tallies:
        counts = add(counts, (tally.character_counts if tally.token_counts is None else tally.token_counts).copy())
    size = int((counts > 0).sum()) if tokenizer is None else tokenizer.vocabulary_size
    return expected_losses(counts, "characters" if tokenizer is None else "tokens", size, width, deviation)


def expected_losses(counts: np.ndarray, unit: str, size: int, width: int, deviation: float) -> dict[str, Any]:
    """The part of the page about losses.

    Args:
        counts: how often each token (or character) occurs.
        unit: what is counted, "tokens" or "characters".
        size: of the vocabulary.
        width: of the model.
        deviation: of its initial weights.
    """
    return {
        "unit": unit,
        "vocabulary_size": size,
        "unigram_entropy": abs(entropy(counts)),  # one symbol alone gives -0.0
        "uniform_loss": expected_first_loss(max(1, size), 0, deviation),
        "expected_first_loss": expected_first_loss(max(1, size), width, deviation),
        "width": width,
        "initial_deviation": deviation,
    }


def label_counts(tally: Tally) -> dict[str, int]:
    """Label -> records, the most frequent first."""
    numbers = np.asarray(tally.labels, dtype=np.int32)
    counts = np.bincount(numbers[numbers >= 0], minlength=len(tally.label_numbers))
    by_name = {label: int(counts[number]) for label, number in tally.label_numbers.items()}
    return dict(sorted(by_name.items(), key=lambda item: (-item[1], item[0])))


def unknown_rate(token_counts: np.ndarray | None, tokenizer: Tokenizer | None) -> float | None:
    """Share of [UNK] among the tokens."""
    if token_counts is None or tokenizer is None or not token_counts.sum():
        return None
    return float(token_counts[tokenizer.unk_id] / token_counts.sum())


def _conflicts(repeats: Repeats, shown: dict[int, Example]) -> dict[str, Any]:
    examples = [[shown[number] for number in group] for group in repeats.conflict_examples]
    return {
        "texts": repeats.conflicts,
        "records": repeats.conflict_records,
        "examples": [
            {
                "text": _text(group[0]),
                "places": [example.place for example in group],
                "labels": [example.label for example in group],
            }
            for group in examples
        ],
    }


def _example(numbers: tuple[int, int], shown: dict[int, Example]) -> dict[str, Any]:
    first, second = (shown[number] for number in numbers)
    return {"text": _text(second), "places": [first.place, second.place]}


def _text(example: Example) -> str:
    text = " | ".join(example.segments)
    return text if len(text) <= TEXT_SHOWN else f"{text[:TEXT_SHOWN]}..."
