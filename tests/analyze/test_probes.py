"""Probes: what stands in the vectors is read, what does not is not; words given back; checkpoints in their order."""

import json
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers

from bertwright.analyze import LabelledFile, probes
from bertwright.analyze.labelled import Labelled, of_words, read_labelled
from bertwright.analyze.linear_probe import baselines, control_labels, probe, span_vectors
from bertwright.analyze.recovery import recovered
from bertwright.analyze.vectors import Reader
from bertwright.checkpoint import load_checkpoint
from bertwright.config import ReadingSettings
from bertwright.errors import UserError
from bertwright.report import write_report
from helpers import SUBJECTS, WORDS, call, write_recipe

MODULE = import_module("bertwright.analyze.probes")  # the package's own name for it is the function

ENDS = ("下次还来", "就是这样", "朋友也这么说")


@pytest.fixture
def tagged(tmp_path: Path) -> Path:
    """Sentences of a subject (N), a judgement (A) and an end (V), a word a line."""
    generator = np.random.default_rng(1)
    judgements = [word for words in WORDS.values() for word in words]
    seen, lines = set(), []
    while len(seen) < 60:
        words = tuple(str(generator.choice(list(each))) for each in (SUBJECTS, judgements, ENDS))
        if words not in seen:
            seen.add(words)
            lines += [f"{word}\t{label}" for word, label in zip(words, "NAV", strict=True)] + [""]
    path = tmp_path / "tagged.conll"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


# ---------------------------------------------------------------------------------------------- data


def test_words_stand_where_their_spans_are() -> None:
    found = of_words(["I", "saw", "it", "."], [False, False, False, True], ["P", "V", "P", "S"])
    assert found.text == "I saw it."
    assert [found.text[begin:end] for begin, end in found.spans] == ["I", "saw", "it", "."]
    assert found.words() == ["i", "saw", "it", "."]


def test_the_two_sides_share_no_text(tagged: Path) -> None:
    tagged.write_text(2 * tagged.read_text(encoding="utf-8"), encoding="utf-8")
    train, test = read_labelled(LabelledFile(tagged))
    assert len(train) + len(test) == 60
    assert len(test) == 15
    assert not {each.text for each in train} & {each.text for each in test}
    assert len(read_labelled(LabelledFile(tagged, most=30))[0]) == 10


def test_bad_data(tmp_path: Path, trained: Path) -> None:
    path = tmp_path / "few.conll"
    path.write_text("a\tN\n\nb\tN\n", encoding="utf-8")
    with pytest.raises(UserError, match="there are 2 different texts and 1 labels"):
        read_labelled(LabelledFile(path))
    with pytest.raises(UserError, match="words or texts"):
        read_labelled(LabelledFile(path, unit="tokens"))
    with pytest.raises(UserError, match="has kept no checkpoints"):
        probes(
            trained / "finetuned" / "best",
            LabelledFile(trained / "train.csv", "texts"),
            tmp_path,
            over_checkpoints=True,
        )


# ---------------------------------------------------------------------------------------------- probes


def test_a_probe_reads_what_is_there_and_nothing_else() -> None:
    generator = np.random.default_rng(0)
    classes = generator.choice(["a", "b", "c"], 600)
    vectors = generator.normal(size=(600, 20))
    vectors[:, 3] += 6 * (classes == "b")
    vectors[:, 7] -= 6 * (classes == "c")
    labels: list[str] = classes.tolist()
    assert probe(vectors[:400], labels[:400], vectors[400:], labels[400:]) > 0.97
    assert probe(vectors[:400, 8:], labels[:400], vectors[400:, 8:], labels[400:]) < 0.45


def test_a_control_task_gives_each_word_one_label() -> None:
    words, labels = ["saw", "it", "saw", "dog", "it"], ["V"] * 90 + ["N"] * 10
    drawn = control_labels(words, labels)
    assert set(drawn) == {"saw", "it", "dog"}
    many = control_labels([str(number) for number in range(5000)], labels)
    assert np.mean([label == "V" for label in many.values()]) == pytest.approx(0.9, abs=0.02)


def test_baselines_by_hand() -> None:
    def labelled(*pairs: tuple[str, str]) -> Labelled:
        words, labels = zip(*pairs, strict=True)
        return of_words(words, [False] * len(words), labels)

    train = [labelled(("saw", "V"), ("saw", "V"), ("saw", "N"), ("dog", "N")), labelled(("The", "D"), ("old", "N"))]
    test = [labelled(("saw", "N"), ("the", "D"), ("new", "N"), ("dog", "V"))]
    assert baselines(train, test) == {"majority": 0.5, "word": 0.5}  # N, and N; the and new are right


def test_vectors_of_spans_are_in_the_order_of_the_words(trained: Path, tagged: Path) -> None:
    train, _ = read_labelled(LabelledFile(tagged))
    reader = Reader.load(trained / "pretrained")
    vectors, words, labels = span_vectors(reader, [*train[:5], Labelled("房间" * 50, ((0, 2),), ("N",))])
    assert words == [word for each in train[:5] for word in each.words()]  # the long text is left out
    assert labels == ["N", "A", "V"] * 5
    begin, end = train[2].spans[1]
    (reading,) = reader.read([train[2].text])
    np.testing.assert_allclose(vectors[:, 7], reading.word(begin, end), atol=1e-5)


def test_words_given_back_as_by_transformers(trained: Path, tagged: Path) -> None:
    folder = trained / "pretrained" / "best"
    train, _ = read_labelled(LabelledFile(tagged))
    texts = train[:12]
    found = recovered(load_checkpoint(folder), texts, 8)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    model = transformers.AutoModelForMaskedLM.from_pretrained(folder).eval()
    for name, masked in (("reconstruction", False), ("prediction", True)):
        for place, label in enumerate("NAV"):
            right = []
            for each in texts[:8]:
                inputs = tokenizer(each.text, return_tensors="pt", return_offsets_mapping=True)
                begin, end = each.spans[place]
                offsets = inputs.pop("offset_mapping")[0]
                pieces = (offsets[:, 0] < end) & (offsets[:, 1] > begin)
                wanted = inputs["input_ids"][0, pieces].clone()
                if masked:
                    inputs["input_ids"][0, pieces] = tokenizer.mask_token_id
                with torch.inference_mode():
                    guessed = model(**inputs).logits[0].argmax(dim=-1)[pieces]
                right.append(bool((guessed == wanted).all()))
            assert found[name][label] == pytest.approx(np.mean(right)), (name, label)


def test_the_order_of_learning() -> None:
    def cell(step: int, **shares: float) -> dict:
        return {"step": step, "reconstruction": shares}

    cells = [cell(1, D=0.6, N=0.0, X=0.1), cell(10, D=0.3, N=0.2, X=0.2), cell(100, D=0.9, N=0.4, X=0.3),
             cell(1000, D=1.0, N=0.8, X=0.4)]  # fmt: skip
    found = MODULE.learning_order(cells, {"D": 9.0, "N": 4.0, "X": 1.0})
    assert found == {"steps": {"D": 100, "N": 1000, "X": None}, "spearman": pytest.approx(1.0)}
    backwards = MODULE.learning_order(cells, {"D": 1.0, "N": 4.0, "X": 9.0})
    assert backwards["spearman"] == pytest.approx(-1.0)


# ---------------------------------------------------------------------------------------------- the whole


def test_over_the_checkpoints_of_a_run(
    trained: Path, tagged: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(MODULE, "TASK_SEEDS", (1,))
    monkeypatch.setattr(MODULE, "TASK_CHECKPOINTS", 2)
    kept = write_recipe(tmp_path, "kept", trained, **_pretraining())
    answer = call("pretrain", kept)
    assert answer.code == 0, answer.err
    task = write_recipe(tmp_path, "task", trained, **_finetuning())
    run = tmp_path / "probes"
    arguments = ("analyze", "probes", tmp_path / "kept-run", tagged, "--over-checkpoints", "--task", task, "--run", run)
    answer = call(*arguments, "--json")
    assert answer.code == 0, answer.err
    result = json.loads(answer.out)
    assert [cell["step"] for cell in result["checkpoints"]] == [1, 2, 5]
    assert ["scores" in cell for cell in result["checkpoints"]] == [True, False, True]
    assert result["checkpoints"][2]["layers"][0] > 0.9  # each word has one label here: the embeddings know it
    assert set(result["checkpoints"][0]["reconstruction"]) == {"N", "A", "V"}
    assert set(result["order"]["steps"]) == {"N", "A", "V"}
    page = write_report([run], tmp_path / "page.html", language="zh").read_text(encoding="utf-8")
    assert "预训练的过程中" in page
    # What is there is not done again.
    (run / "cells" / "step-00000002.json").unlink()
    times = {path.name: path.stat().st_mtime_ns for path in (run / "cells").iterdir()}
    again = call(*arguments, "--json")
    assert json.loads(again.out) == result
    assert {path.name: path.stat().st_mtime_ns for path in (run / "cells").iterdir() if path.name in times} == times


def _pretraining() -> dict:
    from helpers import SMALL_PRETRAINING

    values = {name: value for name, value in SMALL_PRETRAINING.items() if name != "name"}
    return {**values, "run": "kept-run", "train": {**SMALL_PRETRAINING["train"], "save_at": "log"}}


def _finetuning() -> dict:
    from helpers import SMALL_FINETUNING

    values = {name: value for name, value in SMALL_FINETUNING.items() if name != "name"}
    return {**values, "run": "task-run", "train": {**SMALL_FINETUNING["train"], "epochs": 1}}


def test_without_a_masked_token_head(trained: Path, tagged: Path, tmp_path: Path) -> None:
    answer = call("analyze", "probes", trained / "finetuned", tagged, "--run", tmp_path / "run")
    assert answer.code == 0, answer.err
    assert "the model has no masked-token head" in answer.err


def test_texts_with_labels(trained: Path, tmp_path: Path) -> None:
    settings = ReadingSettings(label_column="label")
    result = probes(trained / "finetuned", LabelledFile(trained / "train.csv", "texts", settings), tmp_path)
    (cell,) = result["checkpoints"]
    assert cell["step"] is None
    assert cell["left_out"] == 0
    assert "control" not in cell
    assert cell["layers"][-1] > 0.9
    assert result["baselines"]["majority"] < 0.7


def test_texts_that_are_too_long_are_counted(trained: Path, tmp_path: Path) -> None:
    rows = (trained / "train.csv").read_text(encoding="utf-8") + f"x,{'很好' * 60},positive\ny,{'很差' * 60},negative\n"
    (tmp_path / "long.csv").write_text(rows, encoding="utf-8")
    answer = call("analyze", "probes", trained / "finetuned", tmp_path / "long.csv", "--unit=texts", "--run", tmp_path)
    assert answer.code == 0, answer.err
    assert "2 texts are left out" in answer.err
