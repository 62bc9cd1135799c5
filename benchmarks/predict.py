"""Texts per second in prediction, beside transformers and ONNX Runtime.

    python benchmarks/predict.py --run RUN        a fine-tuned classifier, five alternating rounds

RUN was fine-tuned from a BERT with start.pooling=cls and train.length=512, so that no text is cut or parted.

English texts of mixed lengths (sentences of SST-2, passages of SQuAD), read from a list, tokenised and labelled, in the
order given. Two peers on transformers: its defaults (float32, padded to the longest of a batch, in the order given) and
its best (sorted by length; bfloat16 where the processor has it), batches of 32 or 64, whichever is faster; and ONNX
Runtime driven by hand on our exported int8 model, sorted by length. Our own: float32, bfloat16 (likewise) and exported
int8. Needs $BERTWRIGHT_DATA and the extras bench and export. Nothing else may run beside it.
"""

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

SENTENCES, PASSAGES = 1000, 250
BATCHES = (32, 64)


def main() -> None:
    """Measure and print the ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", required=True)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    from bertwright.devices import tune_memory, use_threads

    use_threads(0)
    tune_memory()
    texts = mixed_texts()
    with tempfile.TemporaryDirectory() as folder:
        engines = {**ours(given.run, Path(folder)), **peers(given.run, Path(folder))}
        labels = {name: engine(texts) for name, engine in engines.items()}  # once, untimed
        seconds: dict[str, list[float]] = {name: [] for name in engines}
        for _ in range(given.rounds):
            for name, engine in engines.items():
                begin = time.perf_counter()
                engine(texts)
                seconds[name].append(time.perf_counter() - begin)
    for name, values in seconds.items():
        same = np.mean([one == other for one, other in zip(labels[name], labels["ours float32"], strict=True)])
        median = statistics.median(values)
        print(
            f"{name:>28} {len(texts) / median:>8,.0f} texts/s  {median:.1f} s ({min(values):.1f} to {max(values):.1f})"
            f"  {same:.1%} of labels as ours in float32"
        )
    best = {
        kind: min((n for n in seconds if n.startswith(kind)), key=lambda n: statistics.median(seconds[n]))
        for kind in ("peer default", "peer best", "onnxruntime", "ours")
    }
    for one, other in (("peer default", "ours"), ("peer best", "ours")):
        told(best[one], best[other], seconds)
    told(best["onnxruntime"], "ours int8", seconds)


def told(one: str, other: str, seconds: dict[str, list[float]]) -> None:
    """The ratio of two engines, round by round."""
    ratios = [slow / fast for slow, fast in zip(seconds[one], seconds[other], strict=True)]
    print(f"{one} / {other}: {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})")


def mixed_texts() -> list[str]:
    """Sentences and passages in random order."""
    data = Path(os.environ["BERTWRIGHT_DATA"])
    lines = (data / "classify/sst2_train.tsv").read_text(encoding="utf-8").splitlines()[:SENTENCES]
    content = json.loads((data / "qa/squad_dev_v1.1.json").read_text(encoding="utf-8"))["data"]
    passages = [paragraph["context"] for article in content for paragraph in article["paragraphs"]][:PASSAGES]
    texts = [line.rpartition("\t")[0] for line in lines] + passages
    return [texts[number] for number in np.random.default_rng(1).permutation(len(texts))]


def ours(run: str, folder: Path) -> dict[str, Callable[[list[str]], list[str]]]:
    """Float32, bfloat16 and the exported int8 model."""
    from bertwright.devices import cast_weights, has_bfloat16
    from bertwright.export import export
    from bertwright.predict import Predictor

    export(run, folder / "int8", int8=True)
    found = {"ours float32": Predictor.load(run), "ours int8": Predictor.load(folder / "int8")}
    if has_bfloat16():
        found["ours bfloat16"] = Predictor.load(run)
        cast_weights(found["ours bfloat16"].model, torch.bfloat16)  # pyright: ignore[reportArgumentType]
    return {
        name: lambda texts, each=each: [answer["label"] for answer in each.predict(texts)]
        for name, each in found.items()
    }


def peers(run: str, folder: Path) -> dict[str, Callable[[list[str]], list[str]]]:
    """Transformers at its defaults and at its best, and ONNX Runtime by hand."""
    import onnxruntime
    import transformers

    from bertwright.devices import has_bfloat16
    from bertwright.download import checkpoint_folder

    source = checkpoint_folder(run)
    tokenizer = transformers.AutoTokenizer.from_pretrained(source)
    model: Any = transformers.AutoModelForSequenceClassification.from_pretrained(source).eval()
    best: Any = model
    if has_bfloat16():
        best = transformers.AutoModelForSequenceClassification.from_pretrained(source, dtype=torch.bfloat16).eval()
    length = json.loads((source / "bertwright.json").read_text())["length"]
    assert length == 512, "passages would be cut by the peers, and read in parts by us"
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(str(folder / "int8" / "model.onnx"), options, ["CPUExecutionProvider"])
    wanted = {each.name for each in session.get_inputs()}

    def by_torch(network: Any, inputs: Any) -> np.ndarray:
        with torch.inference_mode():
            return network(**inputs).logits.float().numpy()

    def by_onnx(inputs: Any) -> np.ndarray:
        return session.run(None, {name: array.numpy() for name, array in inputs.items() if name in wanted})[0]  # pyright: ignore

    def labels(texts: list[str], size: int, compute: Callable[[Any], np.ndarray], *, by_length: bool) -> list[str]:
        ids = tokenizer(texts, truncation=True, max_length=length)["input_ids"]
        order = np.argsort([-len(each) for each in ids], kind="stable") if by_length else np.arange(len(ids))
        found = [""] * len(texts)
        for begin in range(0, len(order), size):
            chosen = order[begin : begin + size]
            inputs = tokenizer.pad({"input_ids": [ids[number] for number in chosen]}, return_tensors="pt")
            inputs["token_type_ids"] = torch.zeros_like(inputs["input_ids"])
            for number, row in zip(chosen, compute(inputs).argmax(axis=1), strict=True):
                found[number] = model.config.id2label[int(row)]
        return found

    engines: dict[str, Callable[[list[str]], list[str]]] = {}
    for size in BATCHES:
        engines[f"peer default, {size}"] = lambda texts, size=size: labels(
            texts, size, lambda inputs: by_torch(model, inputs), by_length=False
        )
        engines[f"peer best, {size}"] = lambda texts, size=size: labels(
            texts, size, lambda inputs: by_torch(best, inputs), by_length=True
        )
        engines[f"onnxruntime int8, {size}"] = lambda texts, size=size: labels(texts, size, by_onnx, by_length=True)
    return engines


if __name__ == "__main__":
    main()
