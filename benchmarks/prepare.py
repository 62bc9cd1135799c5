"""MB/s and peak memory of `prepare`, beside `datasets.map`.

    python benchmarks/prepare.py                    100 MB of generated documents, wordpiece, three alternating rounds
    python benchmarks/prepare.py --megabytes 500 --kind bpe --rounds 5

All three read the same file with the same tokenizer (learnt beforehand) and must give the same ids:

- ours: `prepare`: clean, drop duplicates, encode, mark words, count, write with checksums;
- map-best: `datasets.map` at its best: two processes, batched, ids only;
- map-run-mlm: as the example script run_mlm of transformers does it unasked: one process, masks of special tokens too,
  then grouped into blocks of 512.

Each runs in a process of its own; the peak is that of all its processes together. One JSON per cell in --folder; what
is there is not measured again. Needs the extra bench.
"""

import argparse
import hashlib
import json
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from prepare_scaling import generate

ENGINES = ("ours", "map-best", "map-run-mlm")
BLOCK = 512


def main() -> None:
    """Measure what is missing and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=int, default=100)
    parser.add_argument("--kind", default="wordpiece", choices=("wordpiece", "bpe"))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", type=Path, default=Path("benchmarks/results/prepare"))
    parser.add_argument("--cell", metavar="ENGINE", choices=ENGINES, help=argparse.SUPPRESS)
    given = parser.parse_args()
    folder: Path = given.folder / f"{given.kind}-{given.megabytes}"
    text, tokenizer = folder / "text.txt", folder / "tokenizer"
    if given.cell:
        print(json.dumps(measure(given.cell, text, tokenizer)))
        return
    folder.mkdir(parents=True, exist_ok=True)
    if not text.exists():
        generate(text, given.megabytes * 1_000_000, long_share=0.0)
        train_tokenizer(text, tokenizer, given.kind)
    for number in range(given.rounds):
        for engine in ENGINES:
            cell = folder / f"{engine}_{number}.json"
            if not cell.exists():
                result = run_cell(engine, given)
                cell.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
                speed = given.megabytes / result["seconds"]
                print(f"{engine:>12} round {number}  {speed:6.2f} MB/s  {result['peak_megabytes']:,.0f} MB", flush=True)
    report(folder, given.megabytes, given.rounds)


def run_cell(engine: str, given: argparse.Namespace) -> dict[str, Any]:
    """Measure one engine in a process of its own, watching the memory of that and its children."""
    options = ["--megabytes", str(given.megabytes), "--kind", given.kind, "--folder", str(given.folder)]
    command = [sys.executable, __file__, *options, "--cell", engine]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    peak = 0.0

    def watch() -> None:
        nonlocal peak
        while process.poll() is None:
            peak = max(peak, private_megabytes(process.pid))
            time.sleep(0.5)

    watcher = threading.Thread(target=watch)
    watcher.start()
    output, _ = process.communicate()
    watcher.join()
    if process.returncode:
        sys.exit(f"{engine} failed")
    return {**json.loads(output.splitlines()[-1]), "peak_megabytes": peak}


def private_megabytes(pid: int) -> float:
    """Anonymous memory of a process and all below it: pages of files that it maps can be dropped, and do not count."""
    total, waiting = 0, [pid]
    while waiting:
        process = Path("/proc", str(waiting.pop()))
        try:
            fields = (process / "status").read_text(encoding="utf-8").splitlines()
            total += sum(int(line.split()[1]) for line in fields if line.startswith(("RssAnon", "RssShmem")))
            for task in (process / "task").iterdir():
                waiting += map(int, (task / "children").read_text(encoding="utf-8").split())
        except OSError:  # it has just ended
            continue
    return total * 1024 / 1e6


def measure(engine: str, text: Path, tokenizer: Path) -> dict[str, Any]:
    """Seconds from the file to what is stored, start-up of the library not counted, and a digest of all ids."""
    with tempfile.TemporaryDirectory(dir=text.parent) as folder:
        seconds, ids = ours(text, tokenizer, folder) if engine == "ours" else theirs(engine, text, tokenizer, folder)
    return {"seconds": round(seconds, 2), "tokens": len(ids), "digest": hashlib.blake2b(ids.tobytes()).hexdigest()[:16]}


def ours(text: Path, tokenizer: Path, folder: str) -> tuple[float, np.ndarray]:
    """`prepare`, a line a document."""
    from bertwright.config import PretrainRecipe
    from bertwright.prepare import prepare
    from bertwright.recipe import parse
    from bertwright.store import Store

    corpus = {"files": [str(text)], "split_sentences": False, "held_out": 0.01}
    values = {"run": "unused", "store": f"{folder}/store", "corpus": corpus, "train": {"steps": 1}}
    recipe = parse(PretrainRecipe, {**values, "tokenizer": {"folder": str(tokenizer)}})
    begin = time.perf_counter()
    prepare(recipe)
    seconds = time.perf_counter() - begin
    store = Store.open(f"{folder}/store")
    return seconds, store.tokens(0, store.num_tokens).astype(np.int32)


def theirs(engine: str, text: Path, tokenizer: Path, folder: str) -> tuple[float, np.ndarray]:
    """`datasets.map`, a line an example; duplicates were dropped from the file beforehand."""
    import datasets
    import transformers

    datasets.disable_progress_bars()
    transformers.logging.set_verbosity_error()  # every long line is warned about
    loaded = transformers.AutoTokenizer.from_pretrained(tokenizer)
    best = engine == "map-best"

    def encode(batch: dict[str, list[str]]) -> dict[str, Any]:
        if best:
            return {"input_ids": loaded(batch["text"], add_special_tokens=False)["input_ids"]}
        return dict(loaded(batch["text"], return_special_tokens_mask=True))

    def group(batch: dict[str, list[list[int]]]) -> dict[str, Any]:
        joined = {name: list(chain(*lists)) for name, lists in batch.items()}
        total = len(joined["input_ids"]) // BLOCK * BLOCK
        return {name: [ids[i : i + BLOCK] for i in range(0, total, BLOCK)] for name, ids in joined.items()}

    begin = time.perf_counter()
    lines = datasets.load_dataset("text", data_files=str(text), split="train", cache_dir=folder)
    assert isinstance(lines, datasets.Dataset)
    encoded = lines.map(encode, batched=True, num_proc=2 if best else None, remove_columns=["text"])
    if not best:
        encoded.map(group, batched=True)
    seconds = time.perf_counter() - begin
    column = encoded.data.column("input_ids").combine_chunks()
    ids = column.flatten().to_numpy(zero_copy_only=False).astype(np.int32)
    if not best:
        ids = ids[~np.isin(ids, (loaded.cls_token_id, loaded.sep_token_id))]
    return seconds, ids


def train_tokenizer(text: Path, folder: Path, kind: str) -> None:
    """Learn a tokenizer, and leave only the first of equal lines in the file, and none that is empty."""
    from bertwright.config import TokenizerSettings
    from bertwright.tokenizer import Tokenizer

    with text.open(encoding="utf-8") as file:
        lines = list(dict.fromkeys(line for line in file if line.strip()))
    text.write_text("".join(lines), encoding="utf-8")
    settings = TokenizerSettings(kind=kind, sample_megabytes=20.0)  # pyright: ignore[reportArgumentType]
    Tokenizer.train(lines, settings).save(folder)


def report(folder: Path, megabytes: int, rounds: int) -> None:
    """Medians, spread, and ratios within rounds; all ids must be the same."""
    cells = {
        engine: [json.loads((folder / f"{engine}_{number}.json").read_text()) for number in range(rounds)]
        for engine in ENGINES
    }
    digests = {cell["digest"] for rows in cells.values() for cell in rows}
    print("ids: the same everywhere" if len(digests) == 1 else f"ids DIFFER: {digests}")
    for engine, rows in cells.items():
        speeds = [megabytes / row["seconds"] for row in rows]
        peak = max(row["peak_megabytes"] for row in rows)
        ratios = [row["seconds"] / own["seconds"] for row, own in zip(rows, cells["ours"], strict=True)]
        print(
            f"{engine:>12} {statistics.median(speeds):6.2f} MB/s ({min(speeds):.2f} to {max(speeds):.2f})  peak "
            f"{peak:6,.0f} MB  ours is {statistics.median(ratios):.2f} times as fast"
        )


if __name__ == "__main__":
    main()
