"""What a folder is: a store, a checkpoint or a run, in a few lines."""

from pathlib import Path
from typing import Any

from bertwright.errors import UserError
from bertwright.run import read_json, read_log
from bertwright.store import META, Store


def inspect(path: str | Path, *, verify: bool = False) -> dict[str, Any]:
    """Describe a store, a checkpoint or a run.

    Args:
        path: the folder.
        verify: read everything and compare it with the checksums (a store), or load it wholly (a checkpoint, and
            those of a run, with what it goes on from).

    Raises:
        UserError: the folder is none of these, or is damaged.
    """
    folder = Path(path)
    if (folder / "recipe.toml").exists():
        return _run(folder, verify=verify)
    if (folder / META).exists():
        return _store(folder, verify=verify)
    if (folder / "config.json").exists():
        return _checkpoint(folder, verify=verify)
    raise UserError(
        "this is no store, checkpoint or run" if folder.exists() else "there is nothing here",
        expected=f"a folder with {META}, config.json or recipe.toml",
        advice="check the path",
        file=folder,
    )


def _run(folder: Path, *, verify: bool) -> dict[str, Any]:
    if verify:
        for path in sorted([*folder.glob("checkpoints/step-*"), *folder.glob("best")]):
            _verify_checkpoint(path)
    records = read_log(folder / "log.jsonl")
    last = records[-1] if records else {}
    evaluations = [{"step": record["step"], **record["evaluation"]} for record in records if "evaluation" in record]
    return {
        "kind": "run",
        "steps": last.get("step", 0),
        "seconds": last.get("seconds", 0),
        "loss": last.get("loss"),
        "last_evaluation": evaluations[-1] if evaluations else None,
        "checkpoints": sorted(entry.name for entry in (folder / "checkpoints").glob("step-*")),
        "best": (folder / "best").is_dir(),
        "results": sorted(entry.stem for entry in (folder / "results").glob("*.json")),
        "verified": verify,
    }


def _store(folder: Path, *, verify: bool) -> dict[str, Any]:
    store = Store.open(folder)
    if verify:
        store.verify()
    held_out = int(store.documents["held_out"][:-1].sum())
    return {
        "kind": "store",
        "documents": store.num_documents,
        "held_out_documents": held_out,
        "tokens": store.num_tokens,
        "vocabulary_size": store.vocabulary_size,
        "unigram_entropy": store.unigram_entropy,
        "tokenizer_hash": store.tokenizer_hash,
        "verified": verify,
    }


def _checkpoint(folder: Path, *, verify: bool) -> dict[str, Any]:
    config = read_json(folder / "config.json")
    facts = read_json(folder / "bertwright.json") if (folder / "bertwright.json").exists() else {}
    result = {
        "kind": "checkpoint",
        "architectures": config.get("architectures"),
        "layers": config.get("num_hidden_layers"),
        "width": config.get("hidden_size"),
        "vocabulary_size": config.get("vocab_size"),
        **facts,
        "verified": verify,
    }
    if verify:
        checkpoint = _verify_checkpoint(folder)
        result["parameters"] = sum(weight.numel() for weight in checkpoint.weights.values())
        result["unknown_weights"] = checkpoint.unknown
    return result


def _verify_checkpoint(folder: Path) -> Any:
    """Load a checkpoint wholly, with what a run goes on from."""
    from bertwright.checkpoint import load_checkpoint, read_state

    if (folder / "train.pt").exists():
        read_state(folder)
    return load_checkpoint(folder)
