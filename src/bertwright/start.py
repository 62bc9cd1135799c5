"""Pre-training that goes on from a checkpoint, on another corpus (domain adaptation): shape, weights, new tokens."""

from dataclasses import replace
from typing import Any

import numpy as np
import torch

from bertwright.checkpoint import Checkpoint, load_weights
from bertwright.config import ModelConfig, PretrainRecipe
from bertwright.errors import UserError
from bertwright.model.heads import PretrainingModel
from bertwright.recipe import parse
from bertwright.tokenizer import Tokenizer
from bertwright.vocabulary import CONTINUATION, SPACE


def with_model(recipe: PretrainRecipe, tokenizer: Tokenizer, start: Checkpoint | None) -> PretrainRecipe:
    """The recipe with the checkpoint's shape, if it begins from one, and a row in the table for each token.

    Raises:
        UserError: the recipe names another shape than the checkpoint has, or fewer rows than there are tokens.
    """
    model = recipe.model
    if start is not None:
        rows = max(start.config.vocabulary_size, tokenizer.vocabulary_size)
        model = start.config.model_copy(update={"dropout": recipe.model.dropout, "vocabulary_size": rows})
        if recipe.model not in (model, ModelConfig(dropout=recipe.model.dropout)):
            raise UserError(
                "the recipe names a shape, and begins from a checkpoint, which has one",
                expected="no section [model] beside [start], but for model.dropout",
                advice="leave [model] out, or [start]",
            )
    rows = model.vocabulary_size or tokenizer.vocabulary_size
    if rows < tokenizer.vocabulary_size:
        raise UserError(
            f"the model has {rows} rows, but the tokenizer {tokenizer.vocabulary_size} tokens",
            expected="as many rows as the tokenizer has tokens, or more",
            advice="leave model.vocabulary_size out",
        )
    resolved = recipe.model_copy(update={"model": model.model_copy(update={"vocabulary_size": rows})})
    return parse(PretrainRecipe, resolved.model_dump())  # what was checked before is checked for this shape, too


def load_start(model: PretrainingModel, start: Checkpoint, tokenizer: Tokenizer) -> dict[str, Any]:
    """Put a checkpoint's weights into the model. The row of a token that it lacks is the mean of those of its pieces.

    Returns:
        From what the run begins, for results/start.json.

    Raises:
        UserError: the store's tokenizer is another one than the checkpoint's.
    """
    known = np.arange(start.tokenizer.vocabulary_size)
    if len(known) > tokenizer.vocabulary_size or start.tokenizer.tokens(known) != tokenizer.tokens(known):
        raise UserError(
            "the store comes from another tokenizer than the checkpoint",
            file=start.folder,
            expected="a store prepared with the checkpoint's tokenizer, or with it and tokens added",
            advice="prepare a new store, with this start.checkpoint in the recipe",
        )
    added = np.arange(len(known), tokenizer.vocabulary_size)
    words = [token.removeprefix(CONTINUATION).replace(SPACE, " ") for token in tokenizer.tokens(added)]
    pieces = start.tokenizer.encode_batch(words)
    weights = dict(start.weights)
    for name in ("encoder.token_embedding.weight", "token_bias"):
        if name not in weights:
            continue
        table = weights[name]
        rows = torch.cat([table, table.new_zeros(model.encoder.config.vocabulary_size - len(table), *table.shape[1:])])
        for number, ids in zip(added.tolist(), pieces, strict=True):
            known_ids = ids[ids != start.tokenizer.unk_id]
            places = torch.from_numpy(known_ids).long() if len(known_ids) else slice(len(known))
            rows[number] = table[places].mean(dim=0)
        weights[name] = rows
    fresh = load_weights(model, replace(start, weights=weights))
    return {"kind": "start", "checkpoint": str(start.folder), "fresh": fresh, "added_tokens": words}
