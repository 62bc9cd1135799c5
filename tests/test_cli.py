"""The command line: what goes to which stream, exit codes, recipes out and in, and how little `--help` needs."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import tomli_w
import typer.main

from bertwright import cli
from bertwright.config import FinetuneRecipe, PretrainRecipe
from bertwright.errors import Interrupted
from bertwright.recipe import load_recipe
from helpers import SMALL_FINETUNING, SMALL_PRETRAINING, SMALL_TRAINING, call, refused, write_recipe

COMMANDS = sorted(typer.main.get_group(cli.app).commands)


@pytest.fixture
def recipes(trained: Path, tmp_path: Path) -> dict[str, Path]:
    """Recipes that write into the test's own folder and train for two steps."""
    train = {**SMALL_TRAINING, "steps": 2}
    shutil.copy(trained / "corpus.txt", tmp_path)
    return {
        "pretrain": write_recipe(tmp_path, **{**SMALL_PRETRAINING, "train": train}),
        "finetune": write_recipe(tmp_path, base=trained, **{**SMALL_FINETUNING, "train": train}),
    }


# ---------------------------------------------------------------------------------------------- help and usage


def test_there_are_these_commands() -> None:
    designed = {"demo", "doctor", "prepare", "pretrain", "finetune", "evaluate", "predict", "fill", "report", "inspect"}
    assert set(COMMANDS) >= designed


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_every_command(command: str) -> None:
    answer = call(command, "--help")
    assert answer.code == 0
    assert f"bertwright {command}" in answer.out
    summary = typer.main.get_group(cli.app).commands[command].help or ""
    assert len(summary) > 20
    assert summary.split()[0] in answer.out
    assert answer.err == ""
    assert call(command, "-h") == answer


def test_help_lists_every_command() -> None:
    answer = call("--help")
    assert answer.code == 0
    assert all(f"  {command} " in answer.out for command in COMMANDS)


@pytest.mark.parametrize(
    "words",
    [
        ["nonsense"],
        ["predict"],
        ["predict", "run", "--input", "x"],
        ["inspect", "--verfy", "x"],
        ["inspect"],
        ["fill", "run", "x", "--top", "0"],
        ["fill", "run", "x", "--top", "many"],
        ["pretrain"],
        ["demo", "--minutes", "soon"],
    ],
)
def test_wrong_usage(words: list[str]) -> None:
    answer = call(*words)
    assert (answer.code, answer.out) == (2, "")
    assert "Usage: bertwright" in answer.err
    assert "Traceback" not in answer.err


def test_an_override_that_is_none_is_a_mistake_in_the_recipe(recipes: dict[str, Path]) -> None:
    refused(call("pretrain", recipes["pretrain"], "steps"), "'steps' is no override", "section.key=value")


def loaded_by(statement: str) -> set[str]:
    """The modules that a fresh interpreter has loaded after a statement."""
    code = f"import sys\ntry:\n    {statement}\nexcept SystemExit:\n    pass\nprint(*sys.modules, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, encoding="utf-8")
    return {name.partition(".")[0] for name in done.stderr.split()}


def test_help_loads_little() -> None:
    heavy = {"torch", "numpy", "sklearn", "scipy", "pydantic", "tokenizers", "safetensors", "plotly", "jinja2"}
    loaded = loaded_by("sys.argv = ['bertwright', '--help']; from bertwright.cli import main; main()")
    assert "typer" in loaded
    assert loaded & heavy == set()
    assert "pydantic" in loaded_by("import bertwright.config"), "this way of looking finds what is loaded"


# ---------------------------------------------------------------------------------------------- --json


def write_competition(trained: Path, folder: Path) -> Path:
    """A recipe of two folds, a member, and one step of training."""
    member = {
        "start": {"checkpoint": str(trained / "pretrained" / "best"), "pooling": "mean"},
        "train": {**SMALL_TRAINING, "steps": 1},
    }
    values = {
        "run": str(folder / "competition"),
        "task": "classify",
        "data": {side: str(trained / f"{side}.csv") for side in ("train", "test")},
        "folds": {"number": 2},
        "members": {"one": member},
    }
    (folder / "competition.toml").write_text(tomli_w.dumps(values), encoding="utf-8")
    return folder / "competition.toml"


def test_json_comes_last_on_standard_output(trained: Path, recipes: dict[str, Path], tmp_path: Path) -> None:
    """One object, one line, for every command that has it; everything for people goes to standard error."""
    test, runs = trained / "test.csv", (trained / "pretrained", trained / "finetuned")
    shutil.copytree(runs[1], tmp_path / "evaluated")
    store, answers = tmp_path / "store", tmp_path / "answers.csv"
    competition = write_competition(trained, tmp_path)
    tune = tmp_path / "tune.abc"
    tune.write_text("X:1\nL:1/4\nK:C\nC E G c |\n", encoding="utf-8")
    calls: dict[str, tuple[list[Any], set[str], str]] = {
        "doctor": ([test], {"files", "warnings", "unigram_entropy"}, "unigram entropy"),
        "convert": ([tune, "--output", tmp_path / "tune.jsonl", "--workers=1"], {"rows", "labels"}, "4 symbols"),
        "split": ([trained / "train.csv", "--output", tmp_path / "sides"], {"rows", "groups"}, "64 groups"),
        "prepare": ([recipes["pretrain"]], {"store", "tokens", "page"}, f"the store is in {store}"),
        "pretrain": ([recipes["pretrain"]], {"first_loss", "best"}, "the report: "),
        "finetune": ([recipes["finetune"]], {"labels", "development", "test"}, "test: 32 examples"),
        "compete": ([competition], {"leaderboard", "ensemble"}, "the submission: "),
        "evaluate": ([tmp_path / "evaluated", "--data", test], {"metrics", "confusion"}, "accuracy"),
        "predict": ([runs[1], "--input", test, "--output", answers], {"examples"}, "32 examples answered"),
        "embed": ([runs[0], "--input", test, "--output", tmp_path / "v.npy"], {"vectors"}, "32 vectors of 32 numbers"),
        "export": ([runs[1], "--output", tmp_path / "exported"], {"difference"}, "before quantisation"),
        "fill": ([runs[0], "很[MASK]", "[MASK]差[MASK]"], {"texts"}, "很[MASK]  mask 1"),
        "inspect": ([runs[0]], {"kind", "steps"}, "checkpoints"),
    }
    with_json = {name for name in COMMANDS if "--json" in call(name, "--help").out}
    assert set(calls) == with_json - {"demo", "answer"}, "demo takes minutes; answer: test_qa.py"
    for command, (words, keys, told) in calls.items():
        answer = call(command, *words, "--json")
        assert answer.code == 0, (command, answer.err)
        assert answer.out.count("\n") == 1, command
        assert keys <= set(json.loads(answer.out)), command
        assert told in answer.err, (command, answer.err)
        assert answer.out.strip() not in answer.err, command


def test_without_json_standard_output_stays_empty(trained: Path, recipes: dict[str, Path], tmp_path: Path) -> None:
    for words in (
        ["doctor", trained / "test.csv"],
        ["pretrain", recipes["pretrain"]],
        ["inspect", trained / "store"],
        ["fill", trained / "pretrained", "很[MASK]"],
        ["report", trained / "pretrained", "--out", tmp_path / "page" / "report.html"],
    ):
        answer = call(*words)
        assert (answer.code, answer.out) == (0, ""), words
        assert answer.err != ""
    assert (tmp_path / "page" / "report.html").stat().st_size > 10_000


def test_json_comes_after_the_answers(trained: Path) -> None:
    """predict to standard output: a line for each text, then the object."""
    words = ("predict", trained / "finetuned", "--input", "-", "--output", "-", "--json")
    *rows, last = (json.loads(line) for line in call(*words, stdin="很好\n很差\n".encode()).out.splitlines())
    assert [row["text"] for row in rows] == ["很好", "很差"]
    assert last == {"examples": 2, "windowed": 0, "notices": [], "output": "-"}


def test_a_mistake_prints_no_json(tmp_path: Path) -> None:
    refused(call("inspect", tmp_path, "--json"), tmp_path)


def test_standard_output_is_utf8_in_every_locale(tmp_path: Path) -> None:
    """Elsewhere a pipe may be Latin-1, and a Chinese label an error."""
    table = tmp_path / "reviews.csv"
    table.write_text("text,label\n房间很好,好评\n房间很差,差评\n", encoding="utf-8")
    code = "from bertwright.cli import main; main()"
    command = [sys.executable, "-c", code, "doctor", str(table), "--json"]
    environment = {**os.environ, "PYTHONIOENCODING": "latin-1"}
    done = subprocess.run(command, check=False, capture_output=True, env=environment)
    assert done.returncode == 0, done.stderr.decode()
    assert json.loads(done.stdout.decode("utf-8"))["files"][0]["labels"] == {"好评": 1, "差评": 1}
    assert "好评" in done.stderr.decode("utf-8")


# ---------------------------------------------------------------------------------------------- what is said


def test_names_and_texts_are_said_as_they_are(trained: Path, tmp_path: Path) -> None:
    """No markup, no emoji, no line breaks within a long path."""
    folder = tmp_path / "[bold]" / ("long" * 30) / "[/x]"
    refused(call("inspect", folder), f"{folder}: there is nothing here")
    shutil.copytree(trained / "pretrained" / "best", folder)
    answer = call("fill", folder, "[/b] :heart: [MASK]")
    assert answer.code == 0, answer.err
    assert answer.err.startswith("[/b] :heart: [MASK]  mask 1  ")
    store = tmp_path / "[red]store"
    shutil.copy(trained / "corpus.txt", tmp_path)
    answer = call("prepare", write_recipe(tmp_path, **SMALL_PRETRAINING), f"store={store}")
    assert answer.code == 0, answer.err
    assert f"the store is in {store}\n" in answer.err


@pytest.mark.parametrize("stop", [Interrupted("stopped after step 3; go on by --resume"), KeyboardInterrupt()])
def test_an_interruption(monkeypatch: pytest.MonkeyPatch, trained: Path, stop: BaseException) -> None:
    from bertwright import inspection

    def interrupted(*_: Any, **__: Any) -> None:
        raise stop

    monkeypatch.setattr(inspection, "inspect", interrupted)
    answer = call("inspect", trained / "store", "--json")
    assert (answer.code, answer.out) == (130, "")
    assert answer.err == f"{str(stop) or 'interrupted'}\n"


def test_an_error_of_the_system(monkeypatch: pytest.MonkeyPatch, trained: Path) -> None:
    from bertwright import inspection

    def failing(*_: Any, **__: Any) -> None:
        raise OSError(5, "Input/output error", "/dev/tape")

    monkeypatch.setattr(inspection, "inspect", failing)
    refused(call("inspect", trained / "store"), "/dev/tape: the system refused: Input/output error")


def test_settings_that_are_not_used_are_told(trained: Path, tmp_path: Path) -> None:
    """A run goes on as it began, whatever is said now."""
    for verb, run, settings in (
        ("pretrain", "pretrained", SMALL_PRETRAINING),
        ("finetune", "finetuned", SMALL_FINETUNING),
    ):
        shutil.copytree(trained / run, tmp_path / run)
        path = write_recipe(tmp_path, base=trained, **settings)
        answer = call(verb, path, "--resume", f"run={tmp_path / run}", "train.seed=7")
        assert answer.code == 0, answer.err
        assert "not used, since a run goes on as it began: train.seed=7\n" in answer.err
        assert "not used" not in call(verb, path, "--resume", f"run={tmp_path / run}").err


# ---------------------------------------------------------------------------------------------- --print-recipe


@pytest.mark.parametrize("command", ["prepare", "pretrain", "finetune"])
def test_a_printed_recipe_is_the_same_recipe(recipes: dict[str, Path], tmp_path: Path, command: str) -> None:
    """Every value spelt out, overrides in it; printed again from what was printed, it is the same; nothing is done."""
    name = "finetune" if command == "finetune" else "pretrain"
    before = sorted(tmp_path.iterdir())
    override = "optimizer.betas=[0.9, 0.98]"
    first = call(command, recipes[name], override, "--print-recipe")
    assert first.code == 0, first.err
    assert sorted(tmp_path.iterdir()) == before
    printed = tmp_path / "printed.toml"
    printed.write_text(first.out, encoding="utf-8")
    assert call(command, printed, "--print-recipe").out == first.out
    if name == "finetune":
        assert load_recipe(FinetuneRecipe, printed) == load_recipe(FinetuneRecipe, recipes[name], [override])
    else:
        assert load_recipe(PretrainRecipe, printed) == load_recipe(PretrainRecipe, recipes[name], [override])
    assert "0.98" in first.out
    assert "clip_norm" in first.out, "a value that the recipe leaves to its default"


# ---------------------------------------------------------------------------------------------- inspect


def test_inspect_every_kind(trained: Path) -> None:
    kinds = {
        "store": {"documents", "held_out_documents", "tokens", "vocabulary_size", "unigram_entropy"},
        "pretrained": {"steps", "loss", "last_evaluation", "checkpoints", "best", "results"},
        "pretrained/best": {"architectures", "layers", "width", "vocabulary_size", "alphabet", "pair_objective"},
        "finetuned/best": {"task", "pooling", "length"},
    }
    for name, keys in kinds.items():
        result = json.loads(call("inspect", trained / name, "--json").out)
        assert result["kind"] == {"store": "store", "pretrained": "run"}.get(name, "checkpoint")
        assert keys <= set(result), name
        assert result["verified"] is False
        assert json.loads(call("inspect", trained / name, "--json", "--verify").out)["verified"] is True
    run = json.loads(call("inspect", trained / "pretrained", "--json").out)
    assert (run["steps"], run["checkpoints"], run["best"]) == (5, ["step-00000005"], True)
    assert run["results"] == ["data", "pretrain"]
    verified = json.loads(call("inspect", trained / "pretrained" / "best", "--json", "--verify").out)
    assert verified["unknown_weights"] == []
    told = json.loads((trained / "pretrained" / "results" / "pretrain.json").read_text(encoding="utf-8"))
    assert verified["parameters"] == told["parameters"]


# ---------------------------------------------------------------------------------------------- doctor


def test_doctor_with_a_reader(tmp_path: Path) -> None:
    """The same file, read in two ways."""
    file = tmp_path / "a.txt"
    file.write_text("One sentence.\nAnother one.\n\nThe next document.\n", encoding="utf-8")
    plain = json.loads(call("doctor", file, "--json").out)
    lines, sentences = (
        json.loads(call("doctor", file, "--json", "--reader", reader).out) for reader in ("lines", "sentences")
    )
    assert lines == plain
    assert [page["files"][0]["records"] for page in (lines, sentences)] == [3, 2]
    refused(call("doctor", file, "--reader", "poems"), "no reader is called 'poems'", "lines, table")


def test_doctor_with_several_text_columns(tmp_path: Path) -> None:
    file = tmp_path / "pairs.csv"
    file.write_text("left,right,same\na,b,0\na,c,1\na,b,1\n", encoding="utf-8")
    words = ("doctor", file, "--text-column", "left", "--text-column", "right", "--label-column", "same")
    answer = call(*words, "--json")
    entry = json.loads(answer.out)["files"][0]
    assert entry["columns"] == {"text": ["left", "right"], "label": "same"}
    assert (entry["records"], entry["duplicates"], entry["conflicts"]["texts"]) == (3, 1, 1)
    assert f"{file}  (text: left, right; label: same)" in answer.err
    one = call("doctor", file, "--text-column", "left", "--json")
    assert json.loads(one.out)["files"][0]["duplicates"] == 2
    assert f"{file}  (text: left; label: none)" in one.err


def test_doctor_counts_tokens_with_a_tokenizer(trained: Path) -> None:
    answer = call("doctor", trained / "corpus.txt", "--tokenizer", trained / "store", "--json")
    page = json.loads(answer.out)
    assert page["unit"] == "tokens"
    assert page["vocabulary_size"] == json.loads(call("inspect", trained / "store", "--json").out)["vocabulary_size"]
    assert "(over tokens)" in answer.err
    assert "(over characters)" in call("doctor", trained / "corpus.txt").err


def test_doctor_names_what_files_share(trained: Path, tmp_path: Path) -> None:
    shutil.copy(trained / "test.csv", tmp_path / "again.csv")
    answer = call("doctor", trained / "test.csv", tmp_path / "again.csv")
    assert f"warning: 32 of the 32 records of {tmp_path / 'again.csv'}" in answer.err
    assert "stand in" in answer.err


def test_the_helper_sees_both_streams(capsys: pytest.CaptureFixture[str]) -> None:
    """`call`, which all these tests rest upon, restores the streams and lets nothing through."""
    before = sys.stdin, sys.stdout, sys.stderr
    assert call("--help").out != ""
    assert (sys.stdin, sys.stdout, sys.stderr) == before
    assert capsys.readouterr() == ("", "")
