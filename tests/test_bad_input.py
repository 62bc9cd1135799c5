"""Bad input, through the command line: harmless things work, everything else gives one message and exit code 1.

What a message must be is in `refused`: one, in three parts, without a traceback, on standard error. No earlier work is
lost: what lay in the output's place stays, and the next attempt finds nothing in its way. (Full disks: test_full_disk.)
"""

import ast
import gzip
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file, save_file

from bertwright.errors import UserError
from bertwright.predict import Predictor
from bertwright.run import read_log
from bertwright.store import Store
from helpers import SMALL_FINETUNING, SMALL_PRETRAINING, Answer, call, refused, write_recipe

SOURCE = Path(__file__).parents[1] / "src" / "bertwright"

GOOD = "房间很好，下次还来。\n早餐很差，就是这样。\n手机又快又好，朋友也这么说。\n客服完全不行。\n" * 10


def contents(folder: Path) -> dict[str, bytes]:
    """Every file of a folder and below."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def flip(path: Path, place: int = -1) -> None:
    """Turn one bit over, by default one in the middle."""
    data = bytearray(path.read_bytes())
    data[place if place >= 0 else len(data) // 2] ^= 16
    path.write_bytes(data)


def cut(path: Path, share: float = 0.6) -> None:
    """Keep only the beginning of a file."""
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])


@pytest.fixture
def pretraining(trained: Path, tmp_path: Path) -> Path:
    """A recipe for pre-training whose run and store are the test's own; the store is made already."""
    shutil.copytree(trained / "store", tmp_path / "store")
    shutil.copy(trained / "corpus.txt", tmp_path)
    return write_recipe(tmp_path, **SMALL_PRETRAINING)


@pytest.fixture
def finetuning(trained: Path, tmp_path: Path) -> Path:
    """A recipe for fine-tuning, for two steps, whose run is the test's own."""
    settings = {**SMALL_FINETUNING, "train": {**SMALL_FINETUNING["train"], "epochs": None, "steps": 2}}
    del settings["train"]["epochs"]
    return write_recipe(tmp_path, base=trained, **settings)


# ---------------------------------------------------------------------------------------------- a corpus


def torn_gz(text: str) -> bytes:
    packed = gzip.compress(os.urandom(3000).hex().encode() + text.encode())
    return packed[: len(packed) // 2]


BAD_CORPORA: dict[str, tuple[str, bytes, str]] = {
    "empty": ("c.txt", b"", "c.txt: the file is empty"),
    "only a BOM": ("c.txt", b"\xef\xbb\xbf", "c.txt: the file is empty"),
    "only white space": ("c.txt", b" \n\n \n", "the corpus holds no text"),
    "latin-1": ("c.txt", GOOD.encode() + "une idée\n".encode("latin-1"), "c.txt:41: byte 0xE9 is no UTF-8"),
    "NUL": ("c.txt", "好\n好\n坏\0坏\n".encode(), "c.txt:3: there is a NUL byte"),
    "UTF-16": ("c.txt", GOOD.encode("utf-16"), "c.txt:1: the file is in UTF-16"),
    "torn gz": ("c.txt.gz", torn_gz(GOOD), "c.txt.gz:1: the compressed file is torn or damaged"),
    "no gz at all": ("c.txt.gz", GOOD.encode(), "c.txt.gz:1: the compressed file is torn or damaged"),
    "half a surrogate pair": ("c.txt", b"good\n\xed\xa0\x80\n", "c.txt:2: byte 0xED is no UTF-8"),
}


@pytest.mark.parametrize("case", BAD_CORPORA)
def test_a_bad_corpus(pretraining: Path, case: str) -> None:
    name, data, told = BAD_CORPORA[case]
    file = pretraining.with_name(name)
    file.write_bytes(data)
    store = pretraining.with_name("store")
    before = contents(store)
    refused(call("prepare", pretraining, f"corpus.files=['{file}']"), told)
    assert contents(store) == before
    assert {entry.name for entry in file.parent.iterdir()} == {"corpus.txt", name, "pretrain.toml", "store"}


def test_a_missing_corpus(pretraining: Path) -> None:
    refused(call("prepare", pretraining, 'corpus.files=["nowhere.txt"]'), "nowhere.txt: the file is missing")
    refused(call("prepare", pretraining, 'corpus.files=["nowhere*.txt"]'), "no file matches this pattern")
    refused(call("prepare", pretraining, 'corpus.files=["$NOWHERE_AT_ALL/x"]'), "NOWHERE_AT_ALL")
    assert call("inspect", pretraining.with_name("store"), "--verify").code == 0


@pytest.mark.parametrize("change", ["BOM", "CRLF", "BOM and CRLF"])
def test_a_harmless_corpus(pretraining: Path, change: str) -> None:
    """The ids are those of the plain file."""
    plain, changed = pretraining.with_name("plain.txt"), pretraining.with_name("changed.txt")
    plain.write_bytes(GOOD.encode())
    text = GOOD.replace("\n", "\r\n") if "CRLF" in change else GOOD
    changed.write_bytes(text.encode("utf-8-sig" if "BOM" in change else "utf-8"))
    tokens = []
    for file in (plain, changed):
        store = pretraining.with_name(f"store-{file.stem}")
        answer = call("prepare", pretraining, f"corpus.files=['{file}']", f"store={store}", "corpus.held_out=0.5")
        assert answer.code == 0, answer.err
        opened = Store.open(store)
        tokens.append(opened.tokens(0, opened.num_tokens).tolist())
    assert tokens[0] == tokens[1]


def test_a_store_does_not_replace_what_is_none(pretraining: Path) -> None:
    folder = pretraining.with_name("thesis")
    folder.mkdir()
    (folder / "chapter.txt").write_text("years of work", encoding="utf-8")
    refused(call("prepare", pretraining, f"store={folder}"), folder, "this is no store")
    assert contents(folder) == {"chapter.txt": b"years of work"}


# ---------------------------------------------------------------------------------------------- tables

HEAD = "id,text,label\n"
BAD_TABLES: dict[str, tuple[str, bytes, str]] = {
    "empty": ("t.csv", b"", "t.csv: the file is empty"),
    "no rows": ("t.csv", HEAD.encode(), "t.csv: the table has no rows"),
    "latin-1": ("t.csv", f"{HEAD}1,very good,positive\n2,idée,negative\n".encode("latin-1"), "t.csv:3: byte 0xE9"),
    "NUL": ("t.csv", f"{HEAD}1,very\0good,positive\n".encode(), "t.csv:2: there is a NUL byte"),
    "no such column": ("t.csv", b"id,sentence,label\n1,good,positive\n", "one of the columns found: 'id', 'sentence'"),
    "too many fields": ("t.csv", f"{HEAD}1,good, really,positive\n".encode(), "t.csv:2: this row has 4 fields"),
    "an open quote": ("t.csv", f'{HEAD}1,good,positive\n2,"bad,negative\n'.encode(), "t.csv:3: the row that begins"),
    "broken JSON": (
        "t.jsonl",
        b'{"text": "good", "label": "positive"}\n{"text": "bad", "label": \n',
        "t.jsonl:2: this line is no JSON",
    ),
    "half a surrogate pair": (
        "t.jsonl",
        b'{"text": "good", "label": "positive"}\n{"text": "\\ud83d", "label": "negative"}\n',
        "t.jsonl:2: column 'text' holds half a surrogate pair",
    ),
    "torn gz": ("t.csv.gz", torn_gz(HEAD), "t.csv.gz:1: the compressed file is torn or damaged"),
    "unknown suffix": ("t.xls", b"PK", "t.xls: the suffix '.xls' names no table format"),
}


@pytest.mark.parametrize("case", BAD_TABLES)
def test_a_bad_table(trained: Path, finetuning: Path, tmp_path: Path, case: str) -> None:
    name, data, told = BAD_TABLES[case]
    table = tmp_path / name
    table.write_bytes(data)
    output = tmp_path / "answers.jsonl"
    output.write_text("the answers of yesterday\n", encoding="utf-8")
    run = trained / "finetuned"
    refused(call("predict", run, "--input", table, "--output", output), told)
    refused(call("evaluate", run, "--data", table), told)
    refused(call("finetune", finetuning, f"data.train={table}"), told)
    if case != "no such column":  # without a name given, doctor guesses
        refused(call("doctor", table, "--text-column", "text", "--reader", "table"), told)
    assert output.read_text(encoding="utf-8") == "the answers of yesterday\n"
    assert not list(tmp_path.glob(".*"))
    assert call("finetune", finetuning).code == 0, "the failed attempts do not stand in the way of this one"


def test_a_missing_table(trained: Path, finetuning: Path, tmp_path: Path) -> None:
    missing, run = tmp_path / "none.csv", trained / "finetuned"
    told = f"{missing}: the file is missing"
    refused(call("predict", run, "--input", missing, "--output", tmp_path / "o.csv"), told)
    refused(call("evaluate", run, "--data", missing), told)
    refused(call("finetune", finetuning, f"data.test={missing}"), told)
    refused(call("doctor", missing), told)
    assert not (tmp_path / "o.csv").exists()


@pytest.mark.parametrize("change", ["BOM", "CRLF", "BOM and CRLF"])
def test_a_harmless_table(trained: Path, finetuning: Path, tmp_path: Path, change: str) -> None:
    """Training on it takes the same steps, and prediction gives the same answers, as with the plain file."""
    text = (trained / "train.csv").read_text(encoding="utf-8")
    text = text.replace("\n", "\r\n") if "CRLF" in change else text
    table = tmp_path / "changed.csv"
    table.write_bytes(text.encode("utf-8-sig" if "BOM" in change else "utf-8"))
    answers, losses = [], []
    for number, file in enumerate((trained / "train.csv", table)):
        run = tmp_path / f"run-{number}"
        assert call("finetune", finetuning, f"run={run}", f"data.train={file}").code == 0
        losses.append([record["loss"] for record in read_log(run / "log.jsonl")])
        answers.append(call("predict", trained / "finetuned", "--input", file, "--output", "-").out)
    assert losses[0] == losses[1]
    assert answers[0] == answers[1] != ""


def test_a_label_that_training_has_not_seen(trained: Path, finetuning: Path, tmp_path: Path) -> None:
    table = tmp_path / "other.csv"
    table.write_text(f"{HEAD}1,good,positive\n2,so so,neutral\n", encoding="utf-8")
    told = f"{table}:3: the label 'neutral' was not in the training data"
    for side in ("development", "test"):
        answer = call("finetune", finetuning, f"data.{side}={table}")
        refused(answer, told, "one of negative, positive")
        assert not (tmp_path / "finetuned" / "log.jsonl").exists(), "it is told before training"
    refused(call("evaluate", trained / "finetuned", "--data", table), told)


def test_labels_that_cannot_be_learnt(finetuning: Path, tmp_path: Path) -> None:
    table = tmp_path / "other.csv"
    table.write_text(f"{HEAD}1,good,positive\n2,so so, \n", encoding="utf-8")
    refused(call("finetune", finetuning, f"data.train={table}"), f"{table}:3: this example has no label")
    table.write_text(f"{HEAD}1,good,positive\n2,so so,positive\n", encoding="utf-8")
    refused(call("finetune", finetuning, f"data.train={table}"), "only the label ['positive'] occurs")
    refused(call("finetune", finetuning, "data.label_column=opinion"), "there is no column 'opinion'")


def test_bad_standard_input(trained: Path) -> None:
    """It is checked like a file."""
    words = ("predict", trained / "finetuned", "--input", "-", "--output", "-")
    refused(call(*words, stdin="房间很好\nidée\n".encode("latin-1", errors="replace")), "-:2: byte 0xE9 is no UTF-8")
    refused(call(*words, stdin=b"good\nbad\0\n"), "-:2: there is a NUL byte")
    refused(call(*words, stdin=b""), "-: the file is empty")
    plain = call(*words, stdin="房间很好\n早餐很差\n".encode())
    assert plain.code == 0
    assert plain.out == call(*words, stdin="\ufeff房间很好\r\n早餐很差\r\n".encode()).out


def test_empty_standard_input_leaves_the_output_alone(trained: Path, tmp_path: Path) -> None:
    output = tmp_path / "answers.csv"
    output.write_text("the answers of yesterday\n", encoding="utf-8")
    refused(call("predict", trained / "finetuned", "--input", "-", "--output", output, stdin=b""), "empty")
    assert contents(tmp_path) == {"answers.csv": b"the answers of yesterday\n"}


def test_half_a_surrogate_pair(trained: Path) -> None:
    """On the command line it stands for a byte that is no UTF-8."""
    refused(call("fill", trained / "pretrained", "id\udce9e [MASK]"), "half a surrogate pair")
    with pytest.raises(UserError, match="half a surrogate pair"):
        Predictor.load(trained / "finetuned").predict(["good", "\ud83d"])


# ---------------------------------------------------------------------------------------------- models


def damaged(trained: Path, tmp_path: Path, name: str, damage: Callable[[Path], None]) -> Path:
    """A copy of the fine-tuned run, with its pre-trained one, in which one file of either is damaged."""
    for run in ("pretrained", "finetuned"):
        shutil.copytree(trained / run, tmp_path / run)
        for file in (tmp_path / run).rglob(name):
            damage(file)
    return tmp_path


@pytest.mark.parametrize("share", [0.0, 0.0001, 0.6, 0.999])
def test_truncated_weights(trained: Path, finetuning: Path, tmp_path: Path, share: float) -> None:
    folder = damaged(trained, tmp_path / "copy", "model.safetensors", lambda file: cut(file, share))
    weights = folder / "finetuned" / "best" / "model.safetensors"
    told = f"{weights}: the weights cannot be read"
    table = trained / "test.csv"
    refused(call("predict", folder / "finetuned", "--input", table, "--output", tmp_path / "o.csv"), told)
    refused(call("evaluate", folder / "finetuned", "--data", table), told)
    refused(call("inspect", folder / "finetuned", "--verify"), told)
    refused(call("fill", folder / "pretrained", "很[MASK]"), folder / "pretrained" / "best" / "model.safetensors")
    refused(call("finetune", finetuning, f"start.checkpoint={folder}/pretrained/best"), "the weights cannot be read")
    assert not (tmp_path / "o.csv").exists()
    assert call("finetune", finetuning).code == 0, "the failed attempt does not stand in the way of this one"


@pytest.mark.parametrize("name", ["config.json", "bertwright.json", "tokenizer.json", "tokenizer_config.json"])
def test_truncated_descriptions(trained: Path, finetuning: Path, tmp_path: Path, name: str) -> None:
    folder = damaged(trained, tmp_path / "copy", name, cut)
    table = trained / "test.csv"
    refused(call("predict", folder / "finetuned", "--input", table, "--output", tmp_path / "o.csv"), name)
    refused(call("fill", folder / "pretrained", "很[MASK]"), name)
    refused(call("finetune", finetuning, f"start.checkpoint={folder}/pretrained/best"), name)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "tokenizer.json"])
def test_missing_parts_of_a_model(trained: Path, tmp_path: Path, name: str) -> None:
    folder = damaged(trained, tmp_path / "copy", name, Path.unlink)
    refused(call("fill", folder / "pretrained", "很[MASK]"), folder / "pretrained" / "best")


def test_weights_of_another_model(trained: Path, tmp_path: Path) -> None:
    folder = damaged(trained, tmp_path / "copy", "README.md", Path.unlink)
    config = folder / "pretrained" / "best" / "config.json"
    values = config.read_text(encoding="utf-8").replace('"hidden_size": 32', '"hidden_size": 64')
    config.write_text(values, encoding="utf-8")
    refused(call("fill", folder / "pretrained", "很[MASK]"), "do not belong together")


def test_an_encoder_that_lacks_a_part(trained: Path, finetuning: Path, tmp_path: Path) -> None:
    """As where a wrapper has put its own prefix before all names: nothing is drawn anew without a word."""
    folder = damaged(trained, tmp_path / "copy", "README.md", Path.unlink)
    file = folder / "pretrained" / "best" / "model.safetensors"
    weights = load_file(file)
    for case, changed, told in (
        ("prefix", {f"module.{name}": weight for name, weight in weights.items()}, "the file has module."),
        ("layer", {n: w for n, w in weights.items() if "layer.0.attention.self.query" not in n}, "2 of the encoder's"),
    ):
        save_file(changed, file, metadata={"format": "pt"})
        checkpoint = f"start.checkpoint={folder}/pretrained/best"
        refused(call("finetune", finetuning, checkpoint, f"run={tmp_path}/{case}"), "weights are missing", told)


def test_the_configuration_of_2018(trained: Path, tmp_path: Path) -> None:
    """It does not name the type of the model."""
    folder = damaged(trained, tmp_path / "copy", "README.md", Path.unlink)
    config = folder / "pretrained" / "best" / "config.json"
    values = json.loads(config.read_text(encoding="utf-8"))
    del values["model_type"]
    config.write_text(json.dumps(values), encoding="utf-8")
    assert call("fill", folder / "pretrained", "很[MASK]") == call("fill", trained / "pretrained", "很[MASK]")


def test_a_damaged_training_state(trained: Path, pretraining: Path) -> None:
    """The advice is good: without the damaged checkpoint, the run goes on from the one before it."""
    steps = ("train.save_every=2", "train.steps=5")
    assert call("pretrain", pretraining, *steps).code == 0
    last = pretraining.with_name("pretrained") / "checkpoints" / "step-00000005"
    whole = contents(last)
    cut(last / "train.pt")
    answer = call("pretrain", pretraining, "--resume")
    refused(answer, f"{last / 'train.pt'}: the training state cannot be read", "remove this checkpoint's folder")
    refused(call("inspect", pretraining.with_name("pretrained"), "--verify"), last / "train.pt")
    shutil.rmtree(last)
    assert call("pretrain", pretraining, "--resume").code == 0
    assert contents(last)["model.safetensors"] == whole["model.safetensors"]


def test_the_wrong_kind_of_model(trained: Path, tmp_path: Path) -> None:
    table, output, run = trained / "test.csv", tmp_path / "o.csv", trained / "finetuned"
    refused(call("predict", trained / "pretrained", "--input", table, "--output", output), "this model has no task")
    refused(call("evaluate", trained / "pretrained", "--data", table), "this model has no task")
    refused(call("fill", trained / "finetuned", "很[MASK]"), "the checkpoint has no weights for token_bias")
    refused(call("predict", trained / "store", "--input", table, "--output", output), "this is no checkpoint")
    refused(call("fill", tmp_path / "nowhere", "很[MASK]"), f"{tmp_path / 'nowhere'}: this is no checkpoint")
    refused(call("inspect", tmp_path), "this is no store, checkpoint or run")
    refused(call("inspect", tmp_path / "nowhere"), "there is nothing here")
    refused(call("report", tmp_path / "nowhere", "--out", tmp_path / "r.html"), "the folder is missing")
    refused(call("report", tmp_path, "--out", tmp_path / "r.html"), "there is nothing to report here")
    refused(call("predict", run, "--input", table, "--output", tmp_path / "o.xls"), "cannot write .xls")
    assert not list(tmp_path.iterdir())


# ---------------------------------------------------------------------------------------------- stores

FILES_THAT_TRAINING_READS = (
    "tokens.bin",
    "documents.bin",
    "segments.bin",
    "counts.bin",
    "doctor.json",
    "tokenizer.json",
    "meta.json",
)


@pytest.mark.parametrize(
    "name", [*FILES_THAT_TRAINING_READS, "words.bin", "ids.bin", "ids_offsets.bin", "checksums.bin"]
)
def test_flipped_bytes_of_a_store(trained: Path, pretraining: Path, name: str) -> None:
    store = pretraining.with_name("store")
    flip(store / name)
    if name in FILES_THAT_TRAINING_READS:
        refused(call("pretrain", pretraining, "objective.pair=next_sentence"), store / name)
        assert not (pretraining.with_name("pretrained") / "log.jsonl").exists(), "nothing was learnt from it"
    refused(call("inspect", store, "--verify"), store / name)
    shutil.copy(trained / "store" / name, store / name)
    assert call("inspect", store, "--verify").code == 0
    if name == "tokens.bin":
        assert call("pretrain", pretraining).code == 0, "the failed attempt does not stand in the way of this one"


@pytest.mark.parametrize("share", [0.0, 0.6])
def test_truncated_tokens(pretraining: Path, share: float) -> None:
    tokens = pretraining.with_name("store") / "tokens.bin"
    size = tokens.stat().st_size
    cut(tokens, share)
    told = f"{tokens}: this file of the store has {tokens.stat().st_size:,} bytes"
    refused(call("pretrain", pretraining), told, f"a file of {size:,} bytes")
    refused(call("inspect", tokens.parent), told)
    tokens.unlink()
    refused(call("pretrain", pretraining), f"{tokens}: this file of the store is missing")


def test_no_store(pretraining: Path, tmp_path: Path) -> None:
    text = pretraining.read_text(encoding="utf-8")
    without_corpus = text[: text.index("[corpus]")] + text[text.index("[tokenizer]") :]
    pretraining.write_text(without_corpus, encoding="utf-8")
    refused(call("pretrain", pretraining, f"store={tmp_path / 'none'}"), f"{tmp_path / 'none'}: there is no store")
    refused(call("prepare", pretraining), "the recipe has no corpus")


# ---------------------------------------------------------------------------------------------- recipes


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["train.step=3"], ("unknown key 'train.step'", "did you mean 'steps'?")),
        (["modle.layers=3"], ("unknown key 'modle'", "did you mean 'model'?")),
        (["train.steps=many"], ("train.steps", "'many'")),
        (["train.minutes=3", "train.epochs=1"], ("exactly one of steps, minutes and epochs",)),
        (["nonsense"], ("'nonsense' is no override", "section.key=value")),
        (["run.x=3"], ("'run' in 'run.x=3' is no section",)),
    ],
)
def test_a_wrong_setting(pretraining: Path, words: list[str], told: tuple[str, ...]) -> None:
    for verb in ("prepare", "pretrain"):
        refused(call(verb, pretraining, *words), *told)
    assert not pretraining.with_name("pretrained").exists()


def test_a_misspelt_key_in_the_file(pretraining: Path, finetuning: Path) -> None:
    for verb, path, right, wrong in (
        ("pretrain", pretraining, "batch_size", "batchsize"),
        ("finetune", finetuning, "development", "developement"),
    ):
        path.write_text(path.read_text(encoding="utf-8").replace(right, wrong), encoding="utf-8")
        refused(call(verb, path), f"{path}: unknown key", wrong, f"did you mean '{right}'?")


def test_a_recipe_that_is_none(pretraining: Path, tmp_path: Path) -> None:
    refused(call("pretrain", tmp_path / "none.toml"), f"{tmp_path / 'none.toml'}: the recipe is missing")
    refused(call("pretrain", tmp_path), f"{tmp_path / 'recipe.toml'}: the recipe is missing")
    text = pretraining.read_text(encoding="utf-8")
    pretraining.write_text(f"{text}\nsteps = many\n", encoding="utf-8")
    refused(call("pretrain", pretraining), f"{pretraining}:{len(text.splitlines()) + 2}: the recipe is no valid TOML")
    pretraining.write_bytes(text.encode() + b"# caf\xe9\n")
    refused(call("pretrain", pretraining), f"{pretraining}: the recipe is no valid TOML")


def test_a_harmless_recipe(pretraining: Path) -> None:
    """As editors on Windows write it: with a BOM, and CRLF at the ends of lines."""
    plain = call("pretrain", pretraining, "--print-recipe")
    text = pretraining.read_text(encoding="utf-8")
    pretraining.write_bytes(text.replace("\n", "\r\n").encode("utf-8-sig"))
    assert call("pretrain", pretraining, "--print-recipe") == plain
    assert plain.code == 0


def test_a_run_that_is_there_or_is_not(trained: Path, pretraining: Path, finetuning: Path) -> None:
    refused(call("pretrain", pretraining, "--resume"), "this folder holds no run")
    refused(call("finetune", finetuning, "--resume"), "this folder holds no run")
    before = contents(trained / "pretrained")
    refused(call("pretrain", pretraining, f"run={trained / 'pretrained'}"), "this folder holds a run already")
    refused(call("finetune", finetuning, f"run={trained / 'finetuned'}"), "this folder holds a run already")
    assert contents(trained / "pretrained") == before


# ---------------------------------------------------------------------------------------------- permissions

RUN_THEM = """
import json, sys
sys.path.insert(0, sys.argv[1])
from helpers import call
answers = [call(*words) for words in json.loads(sys.argv[2])]
print(json.dumps([[answer.code, answer.out, answer.err] for answer in answers]))
"""


def someone_else() -> list[str]:
    """What a command begins with so that the permissions of files hold for it: they do not hold for root.

    The other user may read everything, the interpreter and the source too, but write only what it is allowed to.
    """
    if os.name == "nt":
        pytest.skip("Windows has other permissions")
    if os.geteuid() != 0:
        return []
    names = ("--bounding-set", "--inh-caps", "--ambient-caps")
    capabilities = [f"{name}=-all,+dac_read_search" for name in names]
    prefix = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", *capabilities]
    if shutil.which("setpriv") is None:
        pytest.skip("root ignores permission bits, and there is no setpriv to become someone else")
    probe = [*prefix, sys.executable, "-c", "import bertwright.cli"]
    asked = subprocess.run(probe, check=False, capture_output=True, text=True, cwd=SOURCE.parent)
    if asked.returncode != 0:
        pytest.skip(f"root ignores permission bits, and nobody else can run the command: {asked.stderr.strip()[-300:]}")
    return prefix


def test_a_folder_without_write_permission(trained: Path, pretraining: Path, tmp_path: Path) -> None:
    prefix = someone_else()
    locked = tmp_path / "locked"
    locked.mkdir()
    (locked / "answers.csv").write_text("the answers of yesterday\n", encoding="utf-8")
    shutil.copytree(trained / "store", locked / "store")
    before = contents(locked)
    for folder in (locked, *(entry for entry in locked.rglob("*") if entry.is_dir())):
        folder.chmod(0o555)
    calls: list[tuple[Any, ...]] = [
        ("prepare", pretraining, f"store={locked / 'new'}"),
        ("prepare", pretraining, f"store={locked / 'store'}"),
        ("pretrain", pretraining, f"run={locked / 'run'}", f"store={trained / 'store'}"),
        ("predict", trained / "finetuned", "--input", trained / "test.csv", "--output", locked / "answers.csv"),
        ("predict", trained / "finetuned", "--input", trained / "test.csv", "--output", locked / "new" / "a.csv"),
        ("report", trained / "pretrained", "--out", locked / "report.html"),
        ("inspect", locked / "store", "--verify"),
    ]
    words = json.dumps([[str(word) for word in each] for each in calls])
    command = [*prefix, sys.executable, "-c", RUN_THEM, str(Path(__file__).parent), words]
    done = subprocess.run(command, check=False, capture_output=True, text=True, encoding="utf-8", cwd=SOURCE.parent)
    locked.chmod(0o755)
    assert done.returncode == 0, done.stderr
    *answers, inspected = [Answer(*answer) for answer in json.loads(done.stdout)]
    for answer in answers:
        refused(answer, locked, "permission")
    assert inspected.code == 0, "reading is allowed"
    assert contents(locked) == before


# ---------------------------------------------------------------------------------------------- all messages


def test_exit_codes_of_the_program(tmp_path: Path) -> None:
    """Once through a process of its own: nothing but the message reaches the terminal."""
    for words, code in ((["inspect", str(tmp_path / "none")], 1), (["nonsense"], 2)):
        command = [sys.executable, "-m", "bertwright", *words]
        done = subprocess.run(command, check=False, capture_output=True, text=True, encoding="utf-8")
        assert (done.returncode, done.stdout) == (code, "")
        assert "Traceback" not in done.stderr
        if code == 1:
            refused(Answer(done.returncode, done.stdout, done.stderr), tmp_path / "none")


def messages(path: Path) -> list[ast.Call]:
    """Where a file makes a message for the user."""
    nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    return [n for n in nodes if isinstance(n, ast.Call) and isinstance(n.func, ast.Name) and n.func.id == "UserError"]


@pytest.mark.parametrize("path", sorted(SOURCE.rglob("*.py")), ids=lambda path: str(path.relative_to(SOURCE)))
def test_every_message_has_three_parts(path: Path) -> None:
    for message in messages(path):
        parts = {keyword.arg for keyword in message.keywords}
        assert {"expected", "advice"} <= parts, f"{path}:{message.lineno} says too little"


def test_messages_are_found() -> None:
    assert sum(len(messages(path)) for path in SOURCE.rglob("*.py")) > 50
