"""Training that begins with a checkpoint: its shape and weights, new tokens, and those of its tokens that are used."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from bertwright.batches import Segments, SpecialTokens
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


# ---------------------------------------------------------------------------------------------- used tokens


TABLE = "encoder.token_embedding.weight"


@dataclass(frozen=True)
class UsedVocabulary:
    """The tokens that occur in the data, numbered anew: only their rows of the embedding table are trained.

    A table of 250,000 rows would take most of each optimizer step; the rows that no text uses have no gradient.
    """

    special: SpecialTokens
    """The special tokens' new numbers."""
    used: np.ndarray | None
    """[U], the ids in use, sorted; their places are their new numbers. None: all tokens, as they are."""
    table: Tensor
    """[V, D], the whole embedding table of the start."""

    @classmethod
    def of(
        cls, sequences: Iterable[Segments], special: SpecialTokens, start: Checkpoint, *, whole: bool
    ) -> "UsedVocabulary":
        """The tokens of sequences, and the special ones; or with `whole` all."""
        table = start.weights[TABLE]
        if whole:
            return cls(special, None, table)
        occurs = np.zeros(len(table), dtype=bool)
        occurs[[special.pad, special.cls, special.sep, special.mask]] = True
        for segments in sequences:
            for ids in segments:
                occurs[ids] = True
        used = np.flatnonzero(occurs)
        pad, begin, end, mask = np.searchsorted(used, [special.pad, special.cls, special.sep, special.mask]).tolist()
        ordinary = np.setdiff1d(np.arange(len(used)), [pad, begin, end, mask])
        return cls(replace(special, pad=pad, cls=begin, sep=end, mask=mask, ordinary=ordinary), used, table)

    def numbered(self, segments: Segments) -> Segments:
        """The same tokens under their new numbers."""
        if self.used is None:
            return segments
        return tuple(np.searchsorted(self.used, ids).astype(np.int32) for ids in segments)

    def pruned(self, checkpoint: Checkpoint) -> Checkpoint:
        """A checkpoint with these rows only."""
        if self.used is None:
            return checkpoint
        rows = checkpoint.weights[TABLE][torch.from_numpy(self.used)]
        config = checkpoint.config.model_copy(update={"vocabulary_size": len(rows)})
        return replace(checkpoint, config=config, weights={**checkpoint.weights, TABLE: rows})

    def restored(self, model: nn.Module) -> dict[str, Tensor]:
        """The whole table, with the rows that the model has trained: what a checkpoint holds in place of its own."""
        if self.used is None:
            return {}
        whole = self.table.clone()
        whole[torch.from_numpy(self.used)] = model.get_parameter(TABLE).detach().cpu()
        return {TABLE: whole}
