"""Tokens for a [MASK]: what a pre-trained model has learnt to guess."""

from pathlib import Path
from typing import Any

import numpy as np
import torch

from bertwright.batches import SpecialTokens, pack
from bertwright.checkpoint import Checkpoint, load_checkpoint, load_whole
from bertwright.download import checkpoint_folder
from bertwright.errors import UserError
from bertwright.model.heads import PretrainingModel

MASK = "[MASK]"


def fill(model: str | Path, texts: list[str], top: int = 5) -> list[dict[str, Any]]:
    """The most likely tokens for each [MASK].

    Args:
        model: a pre-training run or a checkpoint with a masked-token head.
        texts: each with one [MASK] or several.
        top: candidates per mask.

    Returns:
        Per text and mask: {"text", "mask" (its number in the text, from 0), "candidates": [{"token", "probability"}]}.

    Raises:
        UserError: a text has no mask or is too long; the model has no masked-token head, or symbols that overlap.
    """
    folder = checkpoint_folder(model)
    checkpoint = load_checkpoint(folder)
    network = PretrainingModel(checkpoint.config, pair=False)
    load_whole(network, checkpoint)
    network.eval()
    tokenizer, special = checkpoint.tokenizer, SpecialTokens.of(checkpoint.tokenizer)
    answers = []
    for text in texts:
        ids = _with_masks(checkpoint, text)
        rows = pack([(ids,)], special, length=len(ids) + 2)
        batch = rows.batch()
        masked = (batch.input_ids.flatten() == special.mask).nonzero().flatten()
        with torch.inference_mode():
            logits, _ = network(*batch.inputs, masked, batch.sequence_starts)
        best = logits.softmax(dim=-1).topk(min(top, logits.shape[-1]))
        for number, (shares, tokens) in enumerate(zip(best.values, best.indices, strict=True)):
            names = tokenizer.readable(tokens.numpy())
            candidates = [
                {"token": token, "probability": round(float(share), 4)}
                for token, share in zip(names, shares, strict=True)
            ]
            answers.append({"text": text, "mask": number, "candidates": candidates})
    return answers


def _with_masks(checkpoint: Checkpoint, text: str) -> np.ndarray:
    """Token ids of a text in which [MASK] stands for the mask token."""
    if MASK not in text:
        raise UserError(
            f"{text!r} has no {MASK}", expected=f"a text with {MASK} in it", advice=f"write for example 台{MASK}大學"
        )
    tokenizer = checkpoint.tokenizer
    if tokenizer.spelling.overlap:
        raise UserError(
            f"the symbols of this model are runs of {tokenizer.spelling.length} letters that overlap: those beside a "
            f"{MASK} would show its letters",
            expected="a model of single letters, or of runs that do not overlap",
            advice="ask one that was pre-trained with tokenizer.kmer = 1, or with stride = kmer",
        )
    ids = tokenizer.encode(text.replace(MASK, tokenizer.tokens([tokenizer.mask_id])[0]))
    if len(ids) + 2 > checkpoint.config.max_length:
        raise UserError(
            f"the text has {len(ids)} tokens",
            expected=f"at most {checkpoint.config.max_length - 2}",
            advice="shorten it",
        )
    return ids
