"""Pre-training: resuming is exact, nothing is lost, losses are what they should be."""

import itertools
import json
import math
import random
import shutil
import signal
import subprocess
import sys
import time
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
import transformers

from bertwright.batches import Rows
from bertwright.checkpoint import load_checkpoint, read_state
from bertwright.clock import Clock
from bertwright.config import MixtureSettings, TrainSettings
from bertwright.errors import Interrupted, UserError
from bertwright.inspection import inspect
from bertwright.metrics import expected_first_loss
from bertwright.prepare import prepare
from bertwright.pretrain import pretrain
from bertwright.processes import Processes
from bertwright.recipe import dump_recipe
from bertwright.run import Run, read_log
from bertwright.samples import mix
from bertwright.store import Store, StoreWriter
from bertwright.train import latest_checkpoint
from helpers import same_checkpoint, same_log, small_store, small_tokenizer
from helpers import small_recipe as recipe


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_stopped_and_resumed_equals_undisturbed(tmp_path: Path, dtype: str, optimizer: str) -> None:
    sections = {
        "optimizer": {"name": optimizer},
        "objective": {"pair": "next_sentence"},
        "model": {"dropout": 0.1},
        "train": {"dtype": dtype, "evaluate_every": 4},
    }
    pretrain(recipe(tmp_path, "whole", **sections))

    def stop_after_nine(record: dict[str, Any]) -> None:
        if record["step"] == 9:
            signal.raise_signal(signal.SIGTERM)  # noticed after the tenth step

    with pytest.raises(Interrupted, match="after step 10"):
        pretrain(recipe(tmp_path, "parts", **sections), progress=stop_after_nine)
    assert len(read_log(tmp_path / "parts" / "log.jsonl")) == 10
    pretrain(recipe(tmp_path, "parts"), resume=True)
    same_log(tmp_path / "whole", tmp_path / "parts")
    last = "checkpoints/step-00000020"
    same_checkpoint(tmp_path / "whole" / last, tmp_path / "parts" / last)
    best = "best/model.safetensors"
    assert (tmp_path / "whole" / best).read_bytes() == (tmp_path / "parts" / best).read_bytes()


def test_a_run_that_moves_to_another_machine_says_so(tmp_path: Path) -> None:
    def stop(record: dict[str, Any]) -> None:
        if record["step"] == 2:
            signal.raise_signal(signal.SIGTERM)

    with pytest.raises(Interrupted):
        pretrain(recipe(tmp_path, train={"steps": 6}), progress=stop)
    written = tmp_path / "run" / "environment.json"
    environment = json.loads(written.read_text(encoding="utf-8"))
    written.write_text(json.dumps({**environment, "processor": "Abacus"}), encoding="utf-8")
    pretrain(recipe(tmp_path), resume=True)
    log = read_log(tmp_path / "run" / "log.jsonl")
    told = [(record["step"], notice) for record in log for notice in record.get("notices", []) if "Abacus" in notice]
    [(step, notice)] = told
    assert step == len(log) - 2  # the first one after going on
    assert notice.startswith("this run began on Abacus (")


@pytest.mark.parametrize(("seconds", "due"), [(0.0, 5), (1.0, 5), (15.0, 1), (100.0, 0)])
def test_evaluations_take_a_small_share_of_the_minutes(seconds: float, due: int) -> None:
    """Half of ten minutes is over: of ten evaluations five are due, or as many as take a twentieth of the time."""
    clock = Clock(TrainSettings(minutes=10), 1, 0.0, Processes())
    clock.seconds = 300.0
    assert clock.evaluations_due(1, seconds) == due


def test_another_seed_is_another_run(tmp_path: Path) -> None:
    """What the test above compares does differ where it should."""
    for seed in (1, 2):
        pretrain(recipe(tmp_path, f"seed-{seed}", train={"seed": seed, "steps": 3}))
    one, other = (read_log(tmp_path / f"seed-{seed}" / "log.jsonl") for seed in (1, 2))
    assert one[0]["sample_ids"] != other[0]["sample_ids"]
    assert one[0]["loss"] != other[0]["loss"]


def test_accumulation_changes_nothing(tmp_path: Path) -> None:
    for parts in (1, 3):
        settings = {"accumulation": parts, "steps": 8, "batch_size": 6}
        pretrain(
            recipe(tmp_path, f"parts-{parts}", train=settings, objective={"pair": "sentence_order", "unit": "span"})
        )
    whole, parts = (read_log(tmp_path / f"parts-{n}" / "log.jsonl") for n in (1, 3))
    for one, other in zip(whole, parts, strict=True):
        assert one["sample_ids"] == other["sample_ids"]
        assert one["loss"] == pytest.approx(other["loss"], rel=1e-5)
        assert one["gradient_norm"] == pytest.approx(other["gradient_norm"], rel=1e-4)


@pytest.mark.parametrize("width", [64, 256])
def test_first_loss(tmp_path: Path, width: int) -> None:
    """Slide 58: within .05 of ln V + D sigma^2 / 2."""
    sections: dict[str, Any] = {
        "model": {"width": width, "vocabulary_size": 8192},
        "train": {"steps": 1, "batch_size": 32},
    }
    result = pretrain(recipe(tmp_path, **sections))
    assert result["expected_first_loss"] == pytest.approx(math.log(8192) + width * 0.0004 / 2)
    assert abs(result["first_loss"] - result["expected_first_loss"]) < 0.05
    assert result["uniform_loss"] == pytest.approx(math.log(8192))


def test_frequencies_are_those_of_each_language(tmp_path: Path) -> None:
    """Each has 30 tokens of its own: a model that tells them apart guesses among 30, and 60 would flatter it."""
    tokenizer, generator = small_tokenizer(), np.random.default_rng(0)
    for name, languages in (("one", "ab"), ("other", "c")):
        with StoreWriter(tmp_path / name / "store", tokenizer) as writer:
            for number in range(200):
                language = languages[number % len(languages)]
                ids = generator.integers(5, 35, 40) + 30 * "abc".index(language)
                writer.add(str(number), [ids.astype(np.int32)], language, "generated", held_out=number % 10 == 0)
    stores = [Store.open(tmp_path / name / "store") for name in ("one", "other")]
    module = import_module("bertwright.pretrain")
    for given in ([(stores[0], 1.0)], [(stores[0], 2.0), (stores[1], 1.0)]):
        found = module._unigram_entropy(mix(given, 30, held_out=False), tokenizer)
        assert found == pytest.approx(math.log(30), abs=0.02)
    assert stores[0].unigram_entropy == pytest.approx(math.log(60), abs=0.02)


def test_it_learns_more_than_frequencies(tmp_path: Path) -> None:
    """The tokens follow each other by a rule; a model that learns it gets far below the unigram entropy."""
    sections = {
        "optimizer": {"name": "muon", "learning_rate": 1e-2, "matrix_learning_rate": 4e-2},
        "train": {"steps": 120, "batch_size": 16},
        "model": {"layout": "modernbert", "width": 64},
    }
    result = pretrain(recipe(tmp_path, **sections))
    assert result["unigram_entropy"] == pytest.approx(math.log(90), abs=0.1)
    assert result["best"] < result["unigram_entropy"] - 1
    assert result["evaluation"]["masked_tokens_accuracy"] > 0.2


def test_expected_first_loss_formula() -> None:
    assert expected_first_loss(30522, 768, 0.02) == pytest.approx(10.326 + 0.1536, abs=1e-3)


def test_the_checkpoint_is_what_transformers_reads(tmp_path: Path) -> None:
    kinds = {
        "none": transformers.AutoModelForMaskedLM,
        "next_sentence": transformers.AutoModelForPreTraining,
        "sentence_order": transformers.AutoModelForPreTraining,
    }
    for pair, auto in kinds.items():
        pretrain(recipe(tmp_path, pair, objective={"pair": pair}, train={"steps": 2}))
        _, info = auto.from_pretrained(tmp_path / pair / "best", output_loading_info=True)
        assert not any(info[kind] for kind in ("missing_keys", "unexpected_keys", "mismatched_keys")), info
        facts = json.loads((tmp_path / pair / "best" / "bertwright.json").read_text(encoding="utf-8"))
        assert facts["pair_objective"] == pair
        assert facts["alphabet"]["kind"] == "symbols"


def test_a_loss_that_is_no_number_stops_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = import_module("bertwright.pretrain")

    genuine = module.pretraining_losses
    calls = 0

    def planted(*arguments: Any, **pair: str) -> Any:
        nonlocal calls
        calls += 1
        losses = genuine(*arguments, **pair)
        return {name: loss * math.nan if calls == 8 else loss for name, loss in losses.items()}

    monkeypatch.setattr(module, "pretraining_losses", planted)
    with pytest.raises(UserError, match="the loss is nan at step"):
        pretrain(recipe(tmp_path, train={"save_every": 2, "evaluate_every": 100}))
    run = Run.open(tmp_path / "run")
    last = latest_checkpoint(run)
    assert last is not None
    weights = load_checkpoint(last).weights
    assert all(torch.isfinite(weight).all() for weight in weights.values())


def test_a_gradient_that_is_no_number_stops_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The loss is finite, its gradient is not: the weights, and the checkpoint of this step, would be lost."""
    module = import_module("bertwright.pretrain")

    genuine = module.pretraining_losses
    calls = 0

    def planted(*arguments: Any, **pair: str) -> Any:
        nonlocal calls
        calls += 1
        losses = genuine(*arguments, **pair)
        return {name: loss + (loss * 0).sqrt() if calls >= 6 else loss for name, loss in losses.items()}

    monkeypatch.setattr(module, "pretraining_losses", planted)
    with pytest.raises(UserError, match=r"the gradient is (nan|inf) at step 6 \(samples"):
        pretrain(recipe(tmp_path, train={"save_every": 1, "evaluate_every": 100}))
    assert [record["step"] for record in read_log(tmp_path / "run" / "log.jsonl")] == [1, 2, 3, 4, 5]
    last = latest_checkpoint(Run.open(tmp_path / "run"))
    assert last is not None
    assert last.name == "step-00000005"
    assert all(torch.isfinite(weight).all() for weight in load_checkpoint(last).weights.values())


def test_kept_checkpoints(tmp_path: Path) -> None:
    pretrain(recipe(tmp_path, train={"save_every": 3, "keep": 2, "save_at": "log"}))
    folders = {path.name: (path / "train.pt").exists() for path in (tmp_path / "run" / "checkpoints").iterdir()}
    expected = {1: False, 2: False, 5: False, 10: False, 18: True, 20: True}
    assert folders == {f"step-{step:08d}": resumable for step, resumable in expected.items()}


def test_a_run_by_the_clock_ends_and_decays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By a clock that goes on by a twentieth of a second whenever it is looked at."""
    ticks = itertools.count(0, 0.05)
    monkeypatch.setattr("bertwright.clock.time", SimpleNamespace(perf_counter=lambda: next(ticks)))
    result = pretrain(recipe(tmp_path, train={"steps": None, "minutes": 0.05, "batch_size": 2}))
    assert result["seconds"] >= 3.0
    log = read_log(tmp_path / "run" / "log.jsonl")
    assert 20 < len(log) <= 60
    assert log[-2]["seconds"] < 3.0, "no step begins after the time is up, however long one takes"
    rates = [record["learning_rate"] for record in log]
    assert max(rates) > 0.9e-4
    assert rates[-1] < 0.1 * max(rates)
    assert int(np.argmax(rates)) < len(rates) / 3


def test_a_run_folder_is_used_once(tmp_path: Path) -> None:
    pretrain(recipe(tmp_path, train={"steps": 1}))
    with pytest.raises(UserError, match="holds a run already"):
        pretrain(recipe(tmp_path, train={"steps": 1}))


def test_what_was_probed_is_written_down(tmp_path: Path) -> None:
    pretrain(recipe(tmp_path, train={"steps": 1, "dtype": "auto", "attention": "auto"}))
    text = (tmp_path / "run" / "recipe.toml").read_text(encoding="utf-8")
    assert "auto" not in text
    assert 'device = "cpu"' in text


def test_sharing_rows_is_like_rows_of_their_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Packed and padded batches of the same samples have the same loss."""
    import bertwright.objectives as module

    batching = import_module("bertwright.pretrain")

    monkeypatch.setattr(batching, "POOLED_BATCHES", 1)  # samples change their batch where rows are others
    pretrain(recipe(tmp_path, "packed", train={"steps": 1}))
    genuine = module.pack

    def padded(*arguments: Any, **options: Any) -> Rows:
        return genuine(*arguments, **options, share_rows=False)

    monkeypatch.setattr(module, "pack", padded)
    pretrain(recipe(tmp_path, "padded", train={"steps": 1}))
    packed, alone = (read_log(tmp_path / name / "log.jsonl")[0] for name in ("packed", "padded"))
    assert packed["sample_ids"] != "" and packed["tokens"] == alone["tokens"]
    assert packed["loss"] == pytest.approx(alone["loss"], rel=1e-5)
    assert packed["gradient_norm"] == pytest.approx(alone["gradient_norm"], rel=1e-4)


# ---------------------------------------------------------------------------------------------- kill -9


def kill_and_resume(folder: Path, kills: int) -> None:
    """Kill a run again and again at random moments, then let it end, and compare it with an undisturbed one."""
    settings = {"steps": 200, "save_every": 7, "evaluate_every": 20, "keep": 2}
    pretrain(recipe(folder, "whole", train=settings))
    killed = recipe(folder, "killed", train=settings)
    path = folder / "recipe.toml"
    path.write_text(dump_recipe(killed), encoding="utf-8")
    moments = random.Random(3)
    command = [sys.executable, "-m", "bertwright", "pretrain", str(path)]
    codes, killed_code = [], 1 if sys.platform == "win32" else -signal.SIGKILL
    for _ in range(kills):
        begun = (folder / "killed" / "recipe.toml").exists()
        process = subprocess.Popen([*command, "--resume"] if begun else command, stderr=subprocess.PIPE)
        before = (folder / "killed" / "log.jsonl").stat().st_size if begun else 0
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and process.poll() is None:  # until it has begun to train
            log = folder / "killed" / "log.jsonl"
            if log.exists() and log.stat().st_size != before:
                break
            time.sleep(0.01)
        time.sleep(moments.random() * 0.4)
        process.kill()
        _, errors = process.communicate()
        codes.append(process.returncode)
        assert codes[-1] in (0, killed_code), errors.decode()
        run = Run.open(folder / "killed")
        inspect(run.folder)
        if checkpoint := latest_checkpoint(run):
            inspect(checkpoint, verify=True)
            read_state(checkpoint)
    assert killed_code in codes, "one of them was killed, at least"
    pretrain(killed, resume=True)
    same_log(folder / "whole", folder / "killed")
    last = "checkpoints/step-00000200"
    same_checkpoint(folder / "whole" / last, folder / "killed" / last)


@pytest.mark.parametrize("best", [[20], [16, 20]])
def test_the_best_model_is_the_one_that_is_told(tmp_path: Path, best: list[int]) -> None:
    """Killed after the best evaluation, and before the next checkpoint: what comes then is worse; or as good."""
    sections = {"train": {"save_every": 5, "evaluate_every": 4}}
    pretrain(recipe(tmp_path, "whole", **sections))
    run = Run(tmp_path / "whole")
    log = run.read_log()
    shutil.rmtree(run.checkpoints / "step-00000020")  # as if it was killed just now
    for record in log:
        if record["step"] in best:
            record["evaluation"]["loss"] = 0.5
    run.log.write_text("".join(json.dumps(record) + "\n" for record in log), encoding="utf-8")
    result = pretrain(recipe(tmp_path, "whole", **sections), resume=True)
    assert (result["best"], result["best_step"]) == (0.5, best[0])


def test_a_mixture_is_read_in_its_shares(tmp_path: Path) -> None:
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        small_store(tmp_path / name, sizes=[70, 25, 40] * 20)
    stores = {str(tmp_path / name / "store"): share for name, share in (("one", 1.0), ("other", 3.0))}
    mixture = MixtureSettings(stores=stores, language_temperature=2.0)
    asked = recipe(tmp_path, "mixed").model_copy(update={"store": None, "mixture": mixture})
    module = import_module("bertwright.pretrain")
    data = module._Data(asked, module._stores(asked, None), 1)
    expected = mix(list(zip(data.stores, stores.values(), strict=True)), 30, held_out=False, temperature=2.0)
    assert data.training.counts.tolist() == expected.counts.tolist()
    assert data.training.counts[1] == pytest.approx(3 * data.training.counts[0], rel=0.05)
    assert pretrain(asked.model_copy(update={"train": asked.train.model_copy(update={"steps": 2})}))["steps"] == 2


def test_stores_of_one_mixture_have_one_tokenizer(tmp_path: Path) -> None:
    for name, text in (("one", "abcdefgh"), ("other", "stuvwxyz")):
        (tmp_path / f"{name}.txt").write_text("".join(f"{text}{number}\n" for number in range(60)), encoding="utf-8")
        corpus = {"files": [str(tmp_path / f"{name}.txt")], "reader": "lines", "held_out": 0.2}
        prepare(
            recipe(tmp_path, "unused", corpus=corpus, tokenizer={"kind": "characters"}).model_copy(
                update={"store": str(tmp_path / name)}
            )
        )
    mixture = MixtureSettings(stores={str(tmp_path / name): 1.0 for name in ("one", "other")})
    asked = recipe(tmp_path, "mixed").model_copy(update={"store": None, "mixture": mixture})
    with pytest.raises(UserError, match="have different tokenizers"):
        pretrain(asked)


def test_an_epoch_of_batches_has_every_sample_once(tmp_path: Path) -> None:
    """Batches that are packed together take rows of their own, in whatever order they are asked for."""
    data = import_module("bertwright.pretrain")._Data(recipe(tmp_path), [(Store.open(tmp_path / "store"), 1.0)], 1)
    batches = [data.rows(number).sample_ids.tolist() for number in range(8)]
    assert sorted(itertools.chain(*batches)) == sorted(range(8 * data.samples_per_batch))
    assert [data.rows(number).sample_ids.tolist() for number in range(7, -1, -1)] == batches[::-1]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGTERM")
def test_minutes_are_those_of_all_parts_of_a_run(tmp_path: Path) -> None:
    settings = {"steps": None, "minutes": 1}

    def stop(_record: dict[str, Any]) -> None:
        signal.raise_signal(signal.SIGTERM)

    for _ in range(2):
        with pytest.raises(Interrupted):
            pretrain(recipe(tmp_path, "run", train=settings), resume=(tmp_path / "run").exists(), progress=stop)
        folder = latest_checkpoint(Run(tmp_path / "run"))
        assert folder is not None
        state = read_state(folder)
        if state["position"]["seconds"] < 30:
            torch.save({**state, "position": {**state["position"], "seconds": 30.0}}, folder / "train.pt")
    assert read_log(tmp_path / "run" / "log.jsonl")[-1]["seconds"] >= 30


def test_batches_of_single_rows(tmp_path: Path) -> None:
    """Eight of them together may fill fewer than eight rows."""
    result = pretrain(recipe(tmp_path, "small", train={"batch_size": 1, "steps": 40}))
    assert result["best"] is not None
    assert [record["step"] for record in read_log(tmp_path / "small" / "log.jsonl")] == list(range(1, 41))


def test_kill_minus_nine_loses_nothing(tmp_path: Path) -> None:
    kill_and_resume(tmp_path, kills=3)


@pytest.mark.slow
def test_kill_minus_nine_twenty_times(tmp_path: Path) -> None:
    kill_and_resume(tmp_path, kills=20)


def test_held_out_loss_by_language(tmp_path: Path) -> None:
    """A language of one word is soon known, one of random letters is not; a single language has no table."""
    generator = random.Random(1)
    path = tmp_path / "corpus.jsonl"
    with path.open("w", encoding="utf-8") as file:
        for number in range(200):
            letters = " ".join(generator.choices("abcdefgh", k=12))
            for language, text in (("easy", "x " * (number % 30 + 1)), ("hard", letters)):
                file.write(json.dumps({"text": text, "language": language}) + "\n")
    table = {"files": [str(path)], "reader": "table", "language_column": "language", "drop_duplicates": False}
    settings = recipe(
        tmp_path,
        corpus={**table, "held_out": 0.3},
        train={"steps": 60, "length": 16, "threads": 1},
        optimizer={"learning_rate": 1e-2},
    )
    result = pretrain(settings.model_copy(update={"store": str(tmp_path / "languages")}))
    assert list(result["languages"]) == ["easy", "hard"]
    assert result["languages"]["easy"] < 0.5 * result["languages"]["hard"]
    assert pretrain(recipe(tmp_path, "single", train={"steps": 2}))["languages"] == {}
