"""Export to ONNX: a fine-tuned model that other runtimes read, in float32 or with int8 weights."""

import logging
import shutil
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from bertwright.devices import tune_memory, use_threads
from bertwright.download import checkpoint_folder
from bertwright.errors import UserError
from bertwright.model.heads import ClassificationModel, EncoderModel, TokenModel
from bertwright.onnx import MODEL, OnnxModel, require_onnx
from bertwright.predict import Predictor
from bertwright.run import atomic_folder, refuse_other_folder
from bertwright.tasks.task import compute, read_all

PARITY = 1e-3
"""That the logits of the exported model may be off, at most."""

OPSET = 20

SAMPLES = ("a", "I saw a saw.", "The horse raced past the barn fell.", "今天天气很好，我们去公园散步吧。" * 3)
"""Texts of different lengths that the exported model is compared on."""


class Exported(nn.Module):
    """What `transformers` calls inputs -> logits: [B, C] of sequences, or [B, L, C] of tokens."""

    def __init__(self, model: EncoderModel) -> None:
        super().__init__()
        self.model = model
        model.encoder.attention_path = "explicit"
        model.encoder.skips_padding = False  # a graph has no choices

    def forward(self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor) -> Tensor:
        """Each [B, L]; the mask is 1 for tokens and 0 for padding, which stands at the end."""
        positions = torch.arange(input_ids.shape[1], device=input_ids.device).expand_as(input_ids)
        hidden = self.model.encoder(input_ids, token_type_ids, positions, attention_mask)
        if isinstance(self.model, TokenModel):
            return self.model.logits(hidden)
        assert isinstance(self.model, ClassificationModel)
        if self.model.pooling == "cls":
            return self.model.logits(hidden[:, 0])
        real = attention_mask[:, :, None].to(hidden.dtype)
        return self.model.logits((hidden * real).sum(dim=1) / real.sum(dim=1))


def export(
    run: str | Path, target: str | Path, *, int8: bool = False, data: str | Path | None = None
) -> dict[str, Any]:
    """Write a folder with model.onnx, which `Predictor.load` and every ONNX runtime read.

    Its inputs are input_ids, attention_mask and token_type_ids, int64 [batch, length]; its output is logits.

    Args:
        run: a fine-tuned run or a checkpoint folder.
        target: the folder; an export that is there is replaced, anything else is refused.
        int8: with weights in 8 bits, and activations, as each product is computed.
        data: labelled examples: the scores before and after are measured on them.

    Returns:
        The largest difference of logits in float32, sizes in bytes, and with `data` the metrics of both.

    Raises:
        UserError: no fine-tuned model, the packages are missing, the target holds something else, or the exported model
            computes something else.
    """
    require_onnx()
    tune_memory()
    use_threads(0)
    predictor = Predictor.load(run)
    if isinstance(predictor.model, OnnxModel):
        raise UserError(
            "this is an export already",
            file=run,
            expected="a fine-tuned run or its checkpoint",
            advice="export the run that it came from",
        )
    folder, target = checkpoint_folder(run), Path(target)
    refuse_other_folder(target, MODEL, "export")
    with atomic_folder(target) as aside:
        predictor.checkpoint.tokenizer.save(aside)
        for name in ("config.json", "bertwright.json"):
            shutil.copyfile(folder / name, aside / name)
        _write_onnx(predictor, aside / MODEL)
        difference = _difference(predictor, OnnxModel(aside / MODEL))
        if difference > PARITY:
            raise UserError(
                f"the exported model's logits are off by {difference:.2g}",
                file=target,
                expected=f"{PARITY} at most",
                advice="this is a fault of the exporter: report it, with the model's config.json",
            )
        size = (aside / MODEL).stat().st_size
        if int8:
            _quantize(aside / MODEL)
        result: dict[str, Any] = {
            "difference": difference,
            "bytes": {"float32": size, "written": (aside / MODEL).stat().st_size},
            "output": str(target),
        }
    if data is not None:
        examples = read_all(predictor.task, Path(data))
        predictor.task.check(examples)
        exported = Predictor.load(target)
        result["metrics"] = {
            name: each.task.scores(examples, each.answers(examples))["metrics"]
            for name, each in (("torch", predictor), ("exported", exported))
        }
    return result


def _write_onnx(predictor: Predictor, file: Path) -> None:
    assert isinstance(predictor.model, ClassificationModel | TokenModel)
    ids = torch.full((2, 7), predictor.special.mask, dtype=torch.int64)
    inputs = (ids, torch.ones_like(ids), torch.zeros_like(ids))
    names = ["input_ids", "attention_mask", "token_type_ids"]
    batch, length = torch.export.Dim("batch"), torch.export.Dim("length", max=predictor.checkpoint.config.max_length)
    with _quietly():
        program = torch.onnx.export(
            Exported(predictor.model).eval(),
            inputs,
            input_names=names,
            output_names=["logits"],
            dynamic_shapes={name: {0: batch, 1: length} for name in names},
            opset_version=OPSET,
            dynamo=True,
            verbose=False,
        )
    assert program is not None
    program.save(str(file), external_data=False)


def _quantize(file: Path) -> None:
    """Turn the weights of matrix products into 8 bits, by channel; embedding tables, which are looked up, too."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    whole = file.with_name("whole.onnx")
    file.rename(whole)
    kinds = ["MatMul", "Gather"]
    with _quietly():
        quantize_dynamic(whole, file, weight_type=QuantType.QInt8, per_channel=True, op_types_to_quantize=kinds)
    whole.unlink()


@contextmanager
def _quietly() -> Iterator[None]:
    """Without what the exporter tells of packages that it looks for, and of its own use of torch."""
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(logging.NOTSET)


def _difference(predictor: Predictor, exported: OnnxModel) -> float:
    """The largest difference of logits, float32, over windows of different lengths."""
    examples = [predictor.task.example(*predictor.task.parts(f"{text}\ta saw I saw")) for text in SAMPLES]
    windows, ours = predictor.scores(examples)
    theirs = compute(exported, windows, predictor.special, torch.device("cpu"))
    return max(float(np.abs(one - other).max()) for one, other in zip(ours, theirs, strict=True))
