"""Using a model: answers are right, in order, and whole, whatever they are read from and written to."""

import csv
import gzip
import io
import json
import random
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sklearn.metrics
import torch
import transformers
from safetensors.torch import load_file

from bertwright import Predictor
from bertwright import predict as module
from bertwright.batches import pack
from bertwright.errors import UserError
from bertwright.evaluate import evaluate
from bertwright.fill import fill
from bertwright.model.heads import EncoderModel
from bertwright.predict import predict
from helpers import call, refused


@pytest.fixture
def predictor(trained: Path) -> Predictor:
    return Predictor.load(trained / "finetuned")


def shares_of(predictor: Predictor, texts: Sequence[str]) -> np.ndarray:
    return np.stack(predictor.answers([predictor.task.example(text) for text in texts]))


def write_rows(path: Path, rows: list[dict[str, str]]) -> Path:
    """Write a table in the format that the suffix names, by other means than the project's."""
    buffer = io.StringIO(newline="")
    if ".jsonl" in path.suffixes:
        buffer.writelines(json.dumps(row) + "\n" for row in rows)
    elif ".csv" in path.suffixes:
        writer = csv.DictWriter(buffer, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    else:
        buffer.writelines("\t".join(values) + "\n" for values in [list(rows[0]), *(row.values() for row in rows)])
    data = buffer.getvalue().encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def read_rows(path: Path) -> list[dict[str, Any]]:
    """Read a table that was written, by other means than the project's."""
    text = path.read_bytes().decode()
    if path.suffix == ".jsonl":
        return [json.loads(line) for line in text.splitlines()]
    if path.suffix == ".csv":
        return list(csv.DictReader(io.StringIO(text, newline="")))
    head, *lines = (line.split("\t") for line in text.removesuffix("\n").split("\n"))
    return [dict(zip(head, line, strict=True)) for line in lines]


def shuffled_rows(count: int = 150) -> list[dict[str, str]]:
    """Rows with texts of very different lengths in no order, an empty one and a repeated one among them."""
    draw = random.Random(7)
    words = ["很好", "很差", "房间", "非常失望", "下次还来", "，", "又快又好", "x"]
    texts = ["".join(draw.choices(words, k=draw.choice([1, 2, 5, 12, 40]))) for _ in range(count)]
    texts[3], texts[17] = "", texts[12]
    return [{"id": f"r{number}", "text": text, "note": str(number % 7)} for number, text in enumerate(texts)]


# ---------------------------------------------------------------------------------------------- right answers


def test_predictions_equal_direct_computation(predictor: Predictor, trained: Path) -> None:
    """Each text alone, without batches, by the formula: mean of the vectors, one linear layer, softmax.

    Of a text longer than 30 tokens, the mean over pieces of 30, the last of which ends with the text.
    """
    rows = shuffled_rows(40)
    head = load_file(trained / "finetuned" / "best" / "model.safetensors")
    expected = []
    assert isinstance(predictor.model, EncoderModel)
    for row in rows:
        ids = predictor.checkpoint.tokenizer.encode(row["text"])
        begins = [*range(0, len(ids) - 30, 30), max(0, len(ids) - 30)]
        pieces = []
        for begin in begins:
            piece = ids[begin : begin + 30]
            batch = pack([(piece,)], predictor.special, length=len(piece) + 2).batch()
            with torch.inference_mode():
                mean = predictor.model.encoder(*batch.inputs)[0].mean(dim=0)
            pieces.append((head["classifier.weight"] @ mean + head["classifier.bias"]).softmax(dim=0).numpy())
        expected.append(np.mean(pieces, axis=0))
    texts = [row["text"] for row in rows]
    shares = shares_of(predictor, texts)
    np.testing.assert_allclose(shares, np.stack(expected), atol=1e-5)
    assert shares.std(axis=0).min() > 0.05, "equal answers would prove nothing about their order"
    answers = predictor.predict(texts)
    assert [answer["label"] for answer in answers] == [["negative", "positive"][row.argmax()] for row in shares]
    for answer, row in zip(answers, shares, strict=True):
        assert list(answer["probabilities"].values()) == pytest.approx(row.tolist(), abs=1e-6)


def test_the_predictor_from_python(predictor: Predictor, trained: Path) -> None:
    """A generator will do, nothing gives nothing, and a checkpoint's folder is as good as its run's."""
    texts = ["房间很好", "房间很差", "早餐非常失望"]
    answers = predictor.predict(texts)
    assert predictor.predict(text for text in texts) == answers
    assert predictor.predict([]) == []
    assert predictor.answers([]) == []
    assert Predictor.load(str(trained / "finetuned" / "best")).predict(texts) == answers
    assert predictor.task.labels == ["negative", "positive"]
    assert predictor.num_windowed == 0
    predictor.predict(["很好" * 100, "很好"])
    assert predictor.num_windowed == 1


def test_prediction_does_not_depend_on_company(predictor: Predictor) -> None:
    texts = [row["text"] for row in shuffled_rows(140)]
    together = shares_of(predictor, texts)
    for number in (0, 3, 12, 70, 139):
        np.testing.assert_allclose(shares_of(predictor, [texts[number]])[0], together[number], atol=1e-5)
    np.testing.assert_allclose(together[12], together[17], atol=1e-5)


# ---------------------------------------------------------------------------------------------- tables


@pytest.mark.parametrize(
    ("source", "target"),
    [("csv", "csv"), ("tsv", "tsv"), ("jsonl", "jsonl"), ("csv.gz", "tsv"), ("tsv", "jsonl"), ("jsonl", "csv")],
)
def test_order_ids_and_columns_are_kept(
    predictor: Predictor, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, target: str
) -> None:
    monkeypatch.setattr(module, "CHUNK", 64)
    rows = shuffled_rows()
    output = tmp_path / "new" / f"answers.{target}"
    answer = predict(trained / "finetuned", str(write_rows(tmp_path / f"rows.{source}", rows)), str(output))
    answers = predictor.predict(row["text"] for row in rows)
    assert answer == {"examples": 150, "windowed": predictor.num_windowed, "notices": [], "output": str(output)}
    assert predictor.num_windowed > 10
    written = read_rows(output)
    assert [{key: row[key] for key in ("id", "text", "note")} for row in written] == rows
    assert [row["label"] for row in written] == [each["label"] for each in answers]
    shares = [max(each["probabilities"].values()) for each in answers]
    assert [float(row["probability"]) for row in written] == pytest.approx(shares, abs=0.02), "perhaps in bfloat16"
    added = ["label", "probability", *(["probabilities"] if target == "jsonl" else [])]
    assert list(written[0]) == ["id", "text", "note", *added]
    assert [entry.name for entry in output.parent.iterdir()] == [output.name]


@pytest.mark.parametrize("target", ["csv", "jsonl"])
def test_columns_that_are_called_as_those_of_answers_are_kept(trained: Path, tmp_path: Path, target: str) -> None:
    rows = [{"id": row["id"], "text": row["text"], "label": "gold", "probability": "0.3"} for row in shuffled_rows(20)]
    output = tmp_path / f"answers.{target}"
    predict(trained / "finetuned", str(write_rows(tmp_path / "rows.csv", rows)), str(output))
    for row in read_rows(output):
        assert (row["given_label"], row["given_probability"]) == ("gold", "0.3")
        assert row["label"] in ("negative", "positive")


def test_values_of_json_keep_their_types(trained: Path, tmp_path: Path) -> None:
    """A number as an id is to be found again by programs; null is no text."""
    given = {"id": 12345678901234567890, "text": "房间很好", "tags": ["x", 1.5], "none": None, "ok": True}
    (tmp_path / "rows.jsonl").write_text(json.dumps(given) + "\n", encoding="utf-8")
    predict(trained / "finetuned", str(tmp_path / "rows.jsonl"), str(tmp_path / "answers.jsonl"))
    written = json.loads((tmp_path / "answers.jsonl").read_text(encoding="utf-8"))
    assert {name: written[name] for name in given} == given
    assert "label" in written


def test_another_text_column(trained: Path, tmp_path: Path) -> None:
    rows = [{"review": row["text"], "text": "不看这一栏"} for row in shuffled_rows(20)]
    source, run = write_rows(tmp_path / "rows.csv", rows), trained / "finetuned"
    answer = call("predict", run, "--input", source, "--output", tmp_path / "o.jsonl", "--text-column", "review")
    assert answer.code == 0, answer.err
    answers = Predictor.load(run).predict(row["review"] for row in rows)
    assert [row["label"] for row in read_rows(tmp_path / "o.jsonl")] == [each["label"] for each in answers]


def test_standard_input_and_output(predictor: Predictor, trained: Path) -> None:
    """A text a line comes in, an object a line goes out; an empty line is a text, too."""
    texts = ["房间很好", "", 'he said "bad"\t!', "早餐非常失望"]
    answer = call("predict", trained / "finetuned", "--input", "-", "--output", "-", stdin="\n".join(texts).encode())
    assert answer.code == 0, answer.err
    written = [json.loads(line) for line in answer.out.splitlines()]
    assert [row["text"] for row in written] == texts
    assert [row["label"] for row in written] == [each["label"] for each in predictor.predict(texts)]
    assert "房间很好" in answer.out, "Chinese stays readable"
    assert "4 examples answered: -" in answer.err


@pytest.mark.parametrize(
    ("suffix", "value", "told"),
    [
        ("tsv", "a\tb", "row 1 holds a tab or a line break in 'a\\tb'"),
        ("tsv", "a\nb", "row 1 holds a tab or a line break in 'a\\nb'"),
        ("tsv", "a\rb", "row 1 holds a tab or a line break in 'a\\rb'"),
        ("tsv", 'say "so"', None),
        ("csv", "a\tb", None),
        ("csv", "a\nb", None),
        ("csv", "a\rb", None),
        ("csv", 'say "so", or not', None),
        ("jsonl", 'a\tb\nc\rd"e', None),
    ],
)
def test_values_that_a_format_cannot_hold(
    trained: Path, tmp_path: Path, suffix: str, value: str, told: str | None
) -> None:
    """A value is written so that it is read again as it was, or refused."""
    source = write_rows(tmp_path / "rows.jsonl", [{"text": value, "note": value}])
    output = tmp_path / f"o.{suffix}"
    answer = call("predict", trained / "finetuned", "--input", source, "--output", output)
    if told:
        refused(answer, output, told, "write .csv or .jsonl instead")
        assert not output.exists()
    else:
        assert answer.code == 0, answer.err
        assert [(row["text"], row["note"]) for row in read_rows(output)] == [(value, value)]


def test_rows_with_different_columns(trained: Path, tmp_path: Path) -> None:
    """In a table they would silently stand under the wrong names."""
    rows = [{"text": "好", "a": "1", "b": "2"}, {"b": "4", "text": "坏", "a": "3"}, {"text": "中", "a": "5"}]
    source, run = write_rows(tmp_path / "rows.jsonl", rows), trained / "finetuned"
    for suffix in ("csv", "tsv"):
        output = tmp_path / f"o.{suffix}"
        answer = call("predict", run, "--input", source, "--output", output)
        refused(answer, output, "row 3 has other columns than the first one: b", "write .jsonl")
        write_rows(tmp_path / "two.jsonl", rows[:2])
        assert call("predict", run, "--input", tmp_path / "two.jsonl", "--output", output).code == 0
        assert [(row["a"], row["b"]) for row in read_rows(output)] == [("1", "2"), ("3", "4")]
    assert call("predict", run, "--input", source, "--output", tmp_path / "o.jsonl").code == 0
    written = read_rows(tmp_path / "o.jsonl")
    assert [set(row) - {"label", "probability", "probabilities"} for row in written] == [set(row) for row in rows]


def test_a_failure_in_the_middle_leaves_the_old_answers(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first chunk was predicted and written when the bad row is found."""
    monkeypatch.setattr(module, "CHUNK", 2)
    source, output = tmp_path / "rows.jsonl", tmp_path / "o.csv"
    source.write_text('{"text": "好"}\n' * 5 + "{\n", encoding="utf-8")
    output.write_text("the answers of yesterday\n", encoding="utf-8")
    refused(call("predict", trained / "finetuned", "--input", source, "--output", output), f"{source}:6")
    assert output.read_text(encoding="utf-8") == "the answers of yesterday\n"
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["o.csv", "rows.jsonl"]


def test_a_run_whose_best_was_being_replaced(predictor: Predictor, trained: Path, tmp_path: Path) -> None:
    """A crash between the two renames leaves the old one aside: it answers, and stays where it is."""
    shutil.copytree(trained / "finetuned", tmp_path / "run")
    (tmp_path / "run" / "best").rename(tmp_path / "run" / ".old-best")
    assert Predictor.load(tmp_path / "run").predict(["很好"]) == predictor.predict(["很好"])
    assert not (tmp_path / "run" / "best").exists()


# ---------------------------------------------------------------------------------------------- evaluate


def test_evaluate_equals_scikit_learn(trained: Path, tmp_path: Path) -> None:
    shutil.copytree(trained / "finetuned", tmp_path / "run")
    both = [*read_rows(trained / "test.csv"), *read_rows(trained / "development.csv")]
    for row in both[::5]:  # some labels are wrong, so that there is something to count
        row["label"] = "positive"
    data = write_rows(tmp_path / "both.en.tsv", both)
    result = evaluate(tmp_path / "run", data)
    predict(tmp_path / "run", str(data), str(tmp_path / "answers.csv"))
    truth, predicted = ([row["label"] for row in rows] for rows in (both, read_rows(tmp_path / "answers.csv")))
    assert result["examples"] == 64
    assert result["metrics"]["accuracy"] == pytest.approx(sklearn.metrics.accuracy_score(truth, predicted))
    macro = sklearn.metrics.f1_score(truth, predicted, average="macro")
    assert result["metrics"]["macro_f1"] == pytest.approx(macro)
    assert 0.5 < result["metrics"]["accuracy"] < 0.98
    labels = ["negative", "positive"]
    assert result["confusion"] == sklearn.metrics.confusion_matrix(truth, predicted, labels=labels).tolist()
    written = json.loads((tmp_path / "run" / "results" / "evaluate-both.en.json").read_text(encoding="utf-8"))
    assert written == result
    assert written["kind"] == "evaluate"


def test_evaluate_of_a_checkpoint_writes_nothing(trained: Path) -> None:
    evaluate(trained / "finetuned" / "best", trained / "test.csv")
    assert not list((trained / "finetuned" / "best").glob("**/evaluate*"))
    assert not list((trained / "finetuned" / "results").glob("evaluate*")), "a checkpoint folder holds no results"


def test_bfloat16_is_near(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shares = []
    for name, has in (("exact", False), ("near", True)):
        monkeypatch.setattr("bertwright.predict.has_bfloat16", lambda has=has: has)
        predict(trained / "finetuned", str(trained / "test.csv"), str(tmp_path / f"{name}.csv"))
        with (tmp_path / f"{name}.csv").open(encoding="utf-8", newline="") as file:
            shares.append([float(row["probability"]) for row in csv.DictReader(file)])
    assert shares[1] == pytest.approx(shares[0], abs=0.02)
    assert shares[1] != shares[0]


# ---------------------------------------------------------------------------------------------- fill


def their_candidates(folder: Path, text: str, top: int) -> list[list[tuple[int, float]]]:
    """Per mask, what the logits of `transformers` say, by a softmax."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    inputs = tokenizer(text, return_tensors="pt")
    model = transformers.AutoModelForMaskedLM.from_pretrained(folder).eval()
    with torch.inference_mode():
        logits = model(**inputs).logits[0]
    masks = (inputs["input_ids"][0] == tokenizer.mask_token_id).nonzero().flatten()
    best = logits[masks].softmax(dim=-1).topk(top)
    return [
        list(zip(tokens, shares, strict=True))
        for tokens, shares in zip(best.indices.tolist(), best.values.tolist(), strict=True)
    ]


@pytest.mark.parametrize(
    "text", ["房间很[MASK]，下次还来。", "[MASK]间很好", "[MASK][MASK]非常[MASK]望", "good [MASK] 好", "[MASK]"]
)
def test_fill_agrees_with_transformers(trained: Path, text: str) -> None:
    folder = trained / "pretrained" / "best"
    answers = fill(trained / "pretrained", [text], top=4)
    assert [answer["mask"] for answer in answers] == list(range(text.count("[MASK]")))
    assert all(answer["text"] == text for answer in answers)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    theirs = their_candidates(folder, text, top=4)
    for answer, candidates in zip(answers, theirs, strict=True):
        shares = [each["probability"] for each in answer["candidates"]]
        assert shares == pytest.approx([share for _, share in candidates], abs=1e-4)
        assert [each["token"] for each in answer["candidates"]] == tokenizer.convert_ids_to_tokens(
            [token for token, _ in candidates]
        )
        assert shares[0] - shares[-1] > 0.001, "equal shares would prove nothing"


def test_fill_with_all_candidates_sums_to_one(trained: Path) -> None:
    (answer,) = fill(trained / "pretrained", ["房间[MASK]好"], top=10**6)
    shares = [candidate["probability"] for candidate in answer["candidates"]]
    assert sum(shares) == pytest.approx(1, abs=0.01)
    assert shares == sorted(shares, reverse=True)
    assert len({candidate["token"] for candidate in answer["candidates"]}) == len(shares)


def test_fill_with_a_model_that_transformers_wrote(trained: Path, tmp_path: Path) -> None:
    """Its own save_pretrained, tokenizer too: the answers are the same."""
    ours = trained / "pretrained" / "best"
    transformers.AutoModelForMaskedLM.from_pretrained(ours).save_pretrained(tmp_path)
    transformers.AutoTokenizer.from_pretrained(ours).save_pretrained(tmp_path)
    assert not (tmp_path / "bertwright.json").exists()
    text = "房间很[MASK]，下[MASK]还来。"
    assert fill(tmp_path, [text]) == fill(ours, [text])


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda _: "房间很好", "'房间很好' has no [MASK]"),
        (lambda _: "", "'' has no [MASK]"),
        (lambda _: "[mask]", "'[mask]' has no [MASK]"),
        (lambda text: text * 40, "expected: at most 62"),
    ],
)
def test_texts_that_cannot_be_filled(trained: Path, change: Callable[[str], str], told: str) -> None:
    refused(call("fill", trained / "pretrained", change("很[MASK]")), told)
    with pytest.raises(UserError):
        fill(trained / "pretrained", [change("很[MASK]")])
