"""Running an exported model: ONNX Runtime in place of torch, called like a model of heads.py."""

from pathlib import Path

import torch
from torch import Tensor

from bertwright.errors import UserError

MODEL = "model.onnx"
"""The file of an exported model."""


def require_onnx() -> None:
    """See that the packages are there.

    Raises:
        UserError: they are not.
    """
    try:
        import onnx  # noqa: F401
        import onnxruntime  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise UserError(
            f"exported models need the package {error.name}",
            expected="onnx, onnxscript and onnxruntime",
            advice="pip install 'bertwright[export]'",
        ) from None


class OnnxModel:
    """A model that ONNX Runtime computes; every sequence has a row of its own."""

    def __init__(self, file: Path) -> None:
        require_onnx()
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        self._session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
        self._inputs = {each.name for each in self._session.get_inputs()}

    def __call__(
        self,
        input_ids: Tensor,
        segment_ids: Tensor,
        position_ids: Tensor,
        sequence_ids: Tensor,
        masked_positions: Tensor,
        sequence_starts: Tensor,
    ) -> Tensor:
        """Logits, as ClassificationModel or TokenModel gives them."""
        del position_ids
        assert len(sequence_starts) == len(input_ids), "sequences share rows"
        given = {"input_ids": input_ids, "attention_mask": (sequence_ids > 0).long(), "token_type_ids": segment_ids}
        arrays = {name: tensor.numpy() for name, tensor in given.items() if name in self._inputs}
        (logits,) = self._session.run(None, arrays)
        found = torch.from_numpy(logits)
        return found.flatten(0, 1)[masked_positions] if found.dim() == 3 else found
