"""Probes: what stands in the vectors is read, what does not is not; words given back; checkpoints in their order."""

import json
import shutil
import tracemalloc
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers

from bertwright.analyze import LabelledFile, probes
from bertwright.analyze.frequencies import counted, frequencies
from bertwright.analyze.labelled import Labelled, of_words, read_labelled
from bertwright.analyze.linear_probe import baselines, control_labels, probe, span_vectors
from bertwright.analyze.recovery import recovered
from bertwright.analyze.trainings import Trainings
from bertwright.analyze.vectors import Reader
from bertwright.checkpoint import load_checkpoint
from bertwright.config import ReadingSettings, TokenizerSettings
from bertwright.errors import UserError
from bertwright.report import write_report
from bertwright.store import Store, StoreWriter
from bertwright.tokenizer import Tokenizer
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
            Trainings(tmp_path),
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
    assert probe(vectors[:400], ["a"] * 400, vectors[400:], ["a"] * 150 + ["b"] * 50) == 0.75  # nothing to tell apart


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
    long = Labelled("房间" * 50, ((0, 2), (90, 92)), ("N", "A"))  # its second word stands behind the model's end
    nothing = Labelled("  ", ((0, 2),), ("N",))
    vectors, words, labels, cut = span_vectors(reader, [nothing, *train[:5], long])
    assert words == [*(word for each in train[:5] for word in each.words()), "房间"]
    assert labels == [*["N", "A", "V"] * 5, "N"]
    assert cut == 1
    assert vectors.shape == (2, 16, 32)
    begin, end = train[2].spans[1]
    (reading,) = reader.read([train[2].text])
    np.testing.assert_allclose(vectors[:, 7], reading.word(begin, end), atol=1e-5)
    (reading,) = reader.read(["房间" * 31])
    np.testing.assert_allclose(vectors[:, 15], reading.word(0, 2), atol=1e-5)


def test_the_vectors_of_many_texts_need_little_memory(trained: Path) -> None:
    """Two numbers for each text are kept, not all tokens' at all layers, of which there are thirty times as many."""
    reader = Reader.load(trained / "pretrained")
    texts = [Labelled("房间又快又好" * 10, ((0, 60),), ("N",)) for _ in range(1500)]
    tracemalloc.start()
    vectors, *_ = span_vectors(reader, texts)
    assert vectors.shape == (2, 1500, 32)
    assert tracemalloc.get_traced_memory()[1] < 0.5 * 60 * vectors.nbytes
    tracemalloc.stop()


def test_words_given_back_as_by_transformers(trained: Path, tagged: Path, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(trained / "pretrained" / "best", folder)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    model = transformers.AutoModelForMaskedLM.from_pretrained(folder).eval()
    # After five steps of training nothing is given back. This model says what it is shown, mostly, and 好 for a mask.
    with torch.no_grad():
        table = model.bert.embeddings.word_embeddings.weight.normal_(0, 0.02, generator=torch.manual_seed(1))
        table[tokenizer.mask_token_id] = table[tokenizer.convert_tokens_to_ids("好")]
        model.cls.predictions.transform.dense.weight.copy_(torch.eye(32))
    model.save_pretrained(folder)
    words, _ = read_labelled(LabelledFile(tagged))
    texts = [
        Labelled(text.text, (*text.spans, *((place, place + 1) for place in range(3, 7))), (*text.labels, *"CCCC"))
        for text in words[:12]
    ]
    found = recovered(load_checkpoint(folder), texts, 40)
    right: dict[str, dict[str, list[bool]]] = {name: {label: [] for label in "ACNV"} for name in found}
    for name, masked in (("reconstruction", False), ("prediction", True)):
        for each in texts:
            for (begin, end), label in zip(each.spans, each.labels, strict=True):
                inputs = tokenizer(each.text, return_tensors="pt", return_offsets_mapping=True)
                offsets = inputs.pop("offset_mapping")[0]
                pieces = (offsets[:, 0] < end) & (offsets[:, 1] > begin)
                wanted = inputs["input_ids"][0, pieces].clone()
                if masked:
                    inputs["input_ids"][0, pieces] = tokenizer.mask_token_id
                if tokenizer.unk_token_id not in wanted:
                    with torch.inference_mode():
                        guessed = model(**inputs).logits[0].argmax(dim=-1)[pieces]
                    right[name][label].append(bool((guessed == wanted).all()))
        assert found[name] == {label: pytest.approx(np.mean(all_[:40])) for label, all_ in right[name].items()}
    assert found["asked"] == {label: min(40, len(all_)) for label, all_ in right["prediction"].items()}
    assert all(0 < share < 1 for share in (found["reconstruction"]["N"], found["prediction"]["C"]))


def test_the_order_of_learning() -> None:
    def cell(step: int, **shares: float) -> dict:
        asked = {**dict.fromkeys(shares, 20), "E": 19 + (step == 1)}  # E is once asked of too few words
        return {"step": step, "reconstruction": {**shares, "E": 1.0}, "asked": asked}

    cells = [cell(1, D=0.6, N=0.0, X=0.1), cell(10, D=0.3, N=0.2, X=0.2), cell(100, D=0.9, N=0.4, X=0.3),
             cell(1000, D=1.0, N=0.8, X=0.4)]  # fmt: skip
    found = MODULE.learning_order(cells, {"D": 9.0, "N": 4.0, "X": 1.0, "E": 5.0, "never asked": 7.0})
    assert found == {
        "asked": {"D": 20, "E": 19, "N": 20, "X": 20},
        "steps": {"D": 100, "N": 1000, "X": None},
        "spearman": pytest.approx(1.0),
    }
    backwards = MODULE.learning_order(cells, {"D": 1.0, "N": 4.0, "X": 9.0})
    assert backwards["spearman"] == pytest.approx(-1.0)
    assert MODULE.learning_order(cells, {})["spearman"] is None


def test_frequencies_are_of_what_the_encoder_has_read(tmp_path: Path) -> None:
    """Whole words in training documents, wherever a block ends."""
    tokenizer = Tokenizer.train(["saw sawing it 中国 中 a"] * 3, TokenizerSettings(vocabulary_size=60))
    with StoreWriter(tmp_path / "store", tokenizer) as writer:
        for number, text in enumerate(["it saw it sawing", "中国中中国", "saw a", "it " * 50]):
            writer.add(f"d{number}", [tokenizer.encode(text)], "und", "made", held_out=number == 3)
    store = Store.open(tmp_path / "store")
    words = ["saw", "it", "中国", "中", "never"]
    spellings = [tuple(tokenizer.encode(word).tolist()) for word in words]
    assert list(counted([store], spellings).values()) == [2, 2, 2, 3, 0]
    assert list(counted([store, store], spellings).values()) == [4, 4, 4, 6, 0]
    text = of_words(["Saw", "saw", "it", "中国"], [False] * 4, ["V", "V", "P", "N"])
    assert frequencies([text], [store]) == pytest.approx({"V": np.log(3), "P": np.log(3), "N": np.log(3)})


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
    assert set(result["order"]["asked"]) == set(result["frequencies"]) == {"N", "A", "V"}
    assert result["order"]["steps"] == {}  # the test side has fifteen words of each
    assert result["frequencies"]["N"] > np.log(5)  # in the store; ten subjects share the 45 sentences here
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
    result = probes(trained / "finetuned", LabelledFile(trained / "train.csv", "texts", settings), Trainings(tmp_path))
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
    assert "2 texts are longer than the model takes: read up to there" in answer.err
    assert json.loads((tmp_path / "results" / "probes.json").read_text())["checkpoints"][0]["left_out"] == 0


def test_texts_that_are_all_too_long(trained: Path, tmp_path: Path) -> None:
    rows = [f"{subject}{judged * 40},{judged}" for judged in ("很好", "很差") for subject in SUBJECTS]
    (tmp_path / "long.csv").write_text("\n".join(["text,label", *rows]), encoding="utf-8")
    result = probes(trained / "finetuned", LabelledFile(tmp_path / "long.csv", "texts"), Trainings(tmp_path / "run"))
    assert result["checkpoints"][0]["cut"] == 20


def test_texts_of_which_nothing_is_left(trained: Path, tmp_path: Path) -> None:
    lines = [f"{'很好' * 40}{number}\tA\n{'房间' * 40}\tB\n" for number in range(24)]
    path = tmp_path / "long.conll"
    path.write_text("\n".join(lines), encoding="utf-8")
    with pytest.raises(UserError, match="of the words, 18 with 1 labels are left to learn from, 6 to test"):
        probes(trained / "finetuned", LabelledFile(path), Trainings(tmp_path / "run"))


def test_what_was_measured_of_other_data_or_weights_is_told(trained: Path, tmp_path: Path) -> None:
    """Though the files have the same names."""
    shutil.copytree(trained / "finetuned" / "best", tmp_path / "model")
    shutil.copy(trained / "train.csv", tmp_path / "data.csv")
    data = LabelledFile(tmp_path / "data.csv", "texts")
    found = probes(tmp_path / "model", data, Trainings(tmp_path / "run"))
    assert probes(tmp_path / "model", data, Trainings(tmp_path / "run")) == found
    shutil.copy(trained / "pretrained" / "best" / "model.safetensors", tmp_path / "model")
    with pytest.raises(UserError, match="measured with other settings"):
        probes(tmp_path / "model", data, Trainings(tmp_path / "run"))
    shutil.copy(trained / "finetuned" / "best" / "model.safetensors", tmp_path / "model")
    shutil.copy(trained / "test.csv", tmp_path / "data.csv")
    with pytest.raises(UserError, match="measured with other settings"):
        probes(tmp_path / "model", data, Trainings(tmp_path / "run"))
