"""The submission has the sample's columns and order, or one clear message says why it cannot."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bertwright.compete.submission import form_of, write_submission
from bertwright.config import ReadingSettings
from bertwright.errors import UserError
from bertwright.tasks import Classify, Tag
from bertwright.tasks.task import Example, read_all

ANSWERS = [np.array([0.9, 0.1]), np.array([0.2, 0.8]), np.array([0.4, 0.6])]


def task(labels: Sequence[str] = ("no", "yes"), **settings: Any) -> Classify:
    return Classify(ReadingSettings(**settings), list(labels))


def examples(ids: Sequence[str], with_ids: bool = True) -> list[Example]:
    columns = [{"id": name} if with_ids else {"text": "x"} for name in ids]
    return [
        Example(id=name, file="test.csv", line=n + 2, texts=("x",), label=None, columns=columns[n])
        for n, name in enumerate(ids)
    ]


def submitted(folder: Path, sample: str | None, **given: Any) -> tuple[list[str], list[str]]:
    """Lines of the submission, and what is odd."""
    file = None
    if sample is not None:
        file = folder / "sample.csv"
        file.write_text(sample, encoding="utf-8")
    of_task, of_test = given.get("task", task()), given.get("examples", examples(["a", "b", "c"]))
    form, odd = form_of(file, of_task, of_test, "id", given.get("metric", "accuracy"))
    write_submission(folder / "submission.csv", form, of_task, of_test, given.get("answers", ANSWERS))
    return (folder / "submission.csv").read_text(encoding="utf-8").splitlines(), odd


def test_labels_in_the_order_of_the_sample(tmp_path: Path) -> None:
    lines, odd = submitted(tmp_path, "id,target\nc,no\na,no\nb,no\n")
    assert lines == ["id,target", "c,yes", "a,no", "b,yes"]
    assert odd == []


def test_columns_in_the_order_of_the_sample(tmp_path: Path) -> None:
    lines, _ = submitted(tmp_path, "target,id\nno,b\nno,a\nno,c\n")
    assert lines == ["target,id", "yes,b", "no,a", "yes,c"]


def test_probabilities_where_the_sample_has_some(tmp_path: Path) -> None:
    lines, _ = submitted(tmp_path, "id,target\na,0.5\nb,0.5\nc,0.5\n")
    assert lines == ["id,target", "a,0.1", "b,0.8", "c,0.6"]


def test_a_probability_in_a_column_of_its_class(tmp_path: Path) -> None:
    lines, _ = submitted(tmp_path, "id,no\na,0.5\nb,0.5\nc,0.5\n")
    assert lines == ["id,no", "a,0.9", "b,0.2", "c,0.4"]


def test_a_sample_with_tabs(tmp_path: Path) -> None:
    (tmp_path / "sample.tsv").write_text("id\ttarget\nb\tno\na\tno\nc\tno\n", encoding="utf-8")
    of_test = examples(["a", "b", "c"])
    form, _ = form_of(tmp_path / "sample.tsv", task(), of_test, "id", "accuracy")
    write_submission(tmp_path / "submission.tsv", form, task(), of_test, ANSWERS)
    assert (tmp_path / "submission.tsv").read_text(encoding="utf-8") == "id\ttarget\nb\tyes\na\tno\nc\tyes\n"


def test_ids_of_sentences(tmp_path: Path) -> None:
    """CoNLL-U's sent_id counts; a sentence without one is named by its line, and goes by order."""
    tags = Tag(ReadingSettings(), ["x", "y"], {"scheme": None})
    (tmp_path / "sample.csv").write_text("id,tags\ns2,x\ns1,x\n", encoding="utf-8")
    for comments, places, told in ((("# sent_id = s1\n", "# sent_id = s2\n"), [1, 0], []), (("", ""), [0, 1], 1)):
        lines = [
            f"{comment}1\t{word}{chr(9) + '_'}" + "\t_" * 7 + "\n\n"
            for comment, word in zip(comments, "ab", strict=True)
        ]
        (tmp_path / "test.conllu").write_text("".join(lines), encoding="utf-8")
        form, odd = form_of(
            tmp_path / "sample.csv", tags, read_all(tags, tmp_path / "test.conllu", labelled=False), "id", "accuracy"
        )
        assert form.places == places
        assert odd == told or len(odd) == told


def test_labels_that_look_like_numbers_are_labels(tmp_path: Path) -> None:
    lines, _ = submitted(tmp_path, "id,target\na,0\nb,0\nc,1\n", task=task(["0", "1"]))
    assert lines == ["id,target", "a,0", "b,1", "c,1"]


def test_a_metric_of_probabilities_wants_no_labels(tmp_path: Path) -> None:
    sample = "id,target\na,0\nb,0\nc,0\n"
    lines, _ = submitted(tmp_path, sample, task=task(["0", "1"]), metric="roc_auc")
    assert lines == ["id,target", "a,0.1", "b,0.8", "c,0.6"]
    lines, _ = submitted(tmp_path, None, task=task(["0", "1"]), metric="log_loss")
    assert lines[1:] == ["a,0.1", "b,0.8", "c,0.6"]
    lines, _ = submitted(tmp_path, "id,target\na,no\nb,no\nc,no\n", metric="roc_auc")
    assert lines[1:] == ["a,no", "b,yes", "c,yes"]


def test_labels_of_a_table_of_numbers_are_written_as_the_sample_does(tmp_path: Path) -> None:
    """pandas writes 0.0 and 1.0; and a sample that is all 0 shows no probabilities where labels are scored."""
    sample = "id,target\na,0\nb,0\nc,0\n"
    lines, _ = submitted(tmp_path, sample, task=task(["0.0", "1.0"]))
    assert lines == ["id,target", "a,0", "b,1", "c,1"]
    lines, _ = submitted(tmp_path, sample)
    assert lines == ["id,target", "a,no", "b,yes", "c,yes"]
    lines, _ = submitted(tmp_path, sample.replace("0\n", "1.0\n"), task=task(["0.0", "1.0"]))
    assert lines == ["id,target", "a,0.0", "b,1.0", "c,1.0"]


def test_small_probabilities_keep_their_digits(tmp_path: Path) -> None:
    answers = [np.array([1 - share, share]) for share in (3e-7, 1e-12, 0.25)]
    lines, _ = submitted(tmp_path, "id,target\na,0.5\nb,0.5\nc,0.5\n", answers=answers)
    assert [float(line.split(",")[1]) for line in lines[1:]] == [3e-7, 1e-12, 0.25]
    assert task().unpacked(task().packed(answers[0]))[1] == 3e-7
    assert task().told(examples(["a"])[0], answers[0])["probabilities"]["yes"] == 3e-7


def test_quotes_in_a_table_with_tabs_stay_as_they_are(tmp_path: Path) -> None:
    (tmp_path / "sample.tsv").write_text('id\ttarget\nthe "a"\tno\nb\tno\n', encoding="utf-8")
    of_test = examples(['the "a"', "b"])
    form, _ = form_of(tmp_path / "sample.tsv", task(), of_test, "id", "accuracy")
    write_submission(tmp_path / "submission.tsv", form, task(), of_test, ANSWERS[:2])
    assert (tmp_path / "submission.tsv").read_text(encoding="utf-8") == 'id\ttarget\nthe "a"\tno\nb\tyes\n'


def test_a_column_for_each_class(tmp_path: Path) -> None:
    lines, _ = submitted(tmp_path, "id,yes,no\na,0,0\nb,0,0\nc,0,0\n")
    assert lines == ["id,yes,no", "a,0.1,0.9", "b,0.8,0.2", "c,0.6,0.4"]


def test_numbers(tmp_path: Path) -> None:
    answers = [np.array([1.25]), np.array([2.0]), np.array([3.5])]
    lines, _ = submitted(
        tmp_path, "id,score\na,0\nb,0\nc,0\n", task=task(["label"], label_kind="number"), answers=answers
    )
    assert lines == ["id,score", "a,1.25", "b,2.0", "c,3.5"]


def test_without_a_sample(tmp_path: Path) -> None:
    lines, odd = submitted(tmp_path, None)
    assert lines == ["id,label", "a,no", "b,yes", "c,yes"]
    assert odd == []
    lines, odd = submitted(tmp_path, None, examples=examples(["2", "3", "4"], with_ids=False))
    assert lines == ["id,label", "2,no", "3,yes", "4,yes"]
    assert odd == ["the test file has no column 'id': the submission names its examples by their lines"]


def test_a_test_file_without_ids_is_taken_in_order(tmp_path: Path) -> None:
    """Even where its lines happen to be among the sample's ids."""
    lines, odd = submitted(
        tmp_path, "id,target\n4,no\n3,no\n2,no\n", examples=examples(["2", "3", "4"], with_ids=False)
    )
    assert lines == ["id,target", "4,no", "3,yes", "2,yes"]
    assert odd == ["the test file has no column 'id': its examples are taken in the order of the sample"]


def test_a_test_file_without_ids_of_another_length(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"test\.csv: the test file has no column 'id', and 3 examples for the 2 rows"):
        submitted(tmp_path, "id,target\n1,no\n2,no\n", examples=examples(["2", "3", "4"], with_ids=False))


def test_ids_that_the_test_file_does_not_have(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"sample\.csv:3: the sample submission asks for 'z'"):
        submitted(tmp_path, "id,target\na,no\nz,no\n")


def test_an_id_twice(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"sample\.csv:4: the sample submission has 'a' twice"):
        submitted(tmp_path, "id,target\na,no\nb,no\na,no\n")


def test_no_column_of_ids(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"sample\.csv:1: the sample submission has no column 'id'"):
        submitted(tmp_path, "qid,target\na,no\n")


def test_columns_that_cannot_be_filled(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"sample\.csv:1: the sample submission has the columns 'id', 'yes', 'maybe'"):
        submitted(tmp_path, "id,yes,maybe\na,0,0\n")


def test_examples_that_are_not_asked_for_are_told(tmp_path: Path) -> None:
    lines, odd = submitted(tmp_path, "id,target\nb,no\n")
    assert lines == ["id,target", "b,yes"]
    assert odd == ["the sample submission does not ask for 2 test examples"]
