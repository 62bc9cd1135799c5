"""Can a model give a word back, by its kind?

After Chiang, Huang and Lee (2020, "Pretrained Language Model Embryology"). Reconstruction: the text is read as it is,
and the masked-token head must say all pieces of the word. Prediction: all pieces of the word are masked, and all must
be guessed.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from bertwright.analyze.labelled import Labelled
from bertwright.analyze.vectors import overlapping
from bertwright.batches import IGNORED, SpecialTokens
from bertwright.checkpoint import Checkpoint, load_whole
from bertwright.model.heads import PretrainingModel
from bertwright.tasks.task import Window, compute

Place = tuple[str, np.ndarray, np.ndarray]
"""A word: its label, the ids of its sentence, and the numbers of its pieces there."""


def recovered(checkpoint: Checkpoint, texts: Sequence[Labelled], most: int) -> dict[str, dict[str, Any]]:
    """Share of words given back, by label.

    Args:
        checkpoint: with a masked-token head.
        texts: with labelled words; those longer than the model takes are left out.
        most: words of each label that are asked, at most.

    Returns:
        "reconstruction" and "prediction", each label -> share, and "asked", label -> number of its words.
    """
    tokenizer, special = checkpoint.tokenizer, SpecialTokens.of(checkpoint.tokenizer)
    model = PretrainingModel(checkpoint.config, pair=False)
    load_whole(model, checkpoint)
    model.eval()
    places: list[Place] = []
    encoded = tokenizer.encode_batch_with_offsets([each.text for each in texts])
    for each, (ids, offsets) in zip(texts, encoded, strict=True):
        if len(ids) + special.framing(1) <= checkpoint.config.max_length:
            for (begin, end), label in zip(each.spans, each.labels, strict=True):
                pieces = overlapping(offsets, begin, end)
                if len(pieces) and tokenizer.unk_id not in ids[pieces]:
                    places.append((label, ids, pieces))
    asked: Counter[str] = Counter()
    chosen = []
    for place in places:
        if asked[place[0]] < most:
            asked[place[0]] += 1
            chosen.append(place)
    return {
        "asked": dict(sorted(asked.items())),
        "reconstruction": _shares(model, special, chosen, masked=False),
        "prediction": _shares(model, special, chosen, masked=True),
    }


def _shares(
    model: PretrainingModel, special: SpecialTokens, places: Sequence[Place], *, masked: bool
) -> dict[str, float]:
    """Of each label the share of words all of whose pieces the model's first guesses are."""

    def guesses(*inputs: torch.Tensor) -> torch.Tensor:
        return model(*inputs)[0].argmax(dim=-1, keepdim=True)

    windows = []
    for number, (_, ids, pieces) in enumerate(places):
        shown, asked = ids.copy(), np.full(len(ids) + special.framing(1), IGNORED, dtype=np.int32)
        asked[1 + pieces] = ids[pieces]
        if masked:
            shown[pieces] = special.mask
        windows.append(Window(number, (shown,), labels=asked))
    found = compute(guesses, windows, special, torch.device("cpu"))
    right: defaultdict[str, list[bool]] = defaultdict(list)
    for (label, ids, pieces), guessed in zip(places, found, strict=True):
        right[label].append(bool((guessed[:, 0].astype(np.int64) == ids[pieces]).all()))
    return {label: float(np.mean(values)) for label, values in sorted(right.items())}
