"""Tables: three formats, and one message with file and line for everything that can be wrong with them."""

import csv
import gzip
import json
from pathlib import Path

import pytest

from bertwright.config import CorpusSettings
from bertwright.corpus import read_rows, table
from bertwright.corpus.table import Row
from bertwright.errors import UserError


def write(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def refusal(path: Path, *columns: str) -> UserError:
    with pytest.raises(UserError) as raised:
        list(read_rows(path, list(columns)))
    assert raised.value.file == path
    return raised.value


# --- csv


def test_csv_follows_rfc_4180(tmp_path: Path):
    content = '\ufefftext,label\r\n"a, ""b""",1\r\n\r\n"two\r\nlines",2\r\nplain " quote,3\r\n,4'
    assert list(read_rows(write(tmp_path, "a.csv", content), ["text", "label"])) == [
        Row(2, {"text": 'a, "b"', "label": "1"}),
        Row(4, {"text": "two\nlines", "label": "2"}),
        Row(6, {"text": 'plain " quote', "label": "3"}),
        Row(7, {"text": "", "label": "4"}),
    ]


def test_csv_fields_of_any_length(tmp_path: Path):
    csv.field_size_limit(131_072)
    long = "好" * 500_000
    (row,) = read_rows(write(tmp_path, "a.csv", f'text,label\n"{long}",1\n'), ["text"])
    assert row.values["text"] == long


def test_csv_without_the_column_lists_those_found(tmp_path: Path):
    error = refusal(write(tmp_path, "a.csv", "sentence, label\na,1\n"), "text")
    assert (error.line, error.found) == (1, "there is no column 'text'")
    assert error.expected == "one of the columns found: 'sentence', 'label'"


def test_csv_with_another_separator_is_told_so(tmp_path: Path):
    for separator in (";", "\t"):
        error = refusal(write(tmp_path, "a.csv", f"text{separator}label\na{separator}1\n"), "text")
        assert repr(separator) in error.advice


def test_a_header_of_text_is_cut_short_in_the_message(tmp_path: Path):
    error = refusal(write(tmp_path, "a.tsv", "\t".join(f"{number} {'x' * 500}" for number in range(50)) + "\n"), "text")
    assert "and 30 more" in error.expected
    assert len(error.expected) < 1100


def test_csv_with_a_quote_never_closed(tmp_path: Path):
    error = refusal(write(tmp_path, "a.csv", 'text,label\nfirst,1\n"second,2\nthird,3\n'), "text")
    assert error.line == 3
    assert "no valid csv (unexpected end of data in line 4)" in error.found
    error = refusal(write(tmp_path, "a.csv", 'text,label\nfirst,1\n"second,2\n"third",3\n'), "text")
    assert (error.line, "no valid csv" in error.found) == (3, True)


def test_a_quote_never_closed_does_not_fill_the_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(table, "LONGEST", 10_000)
    csv.field_size_limit(131)
    try:
        error = refusal(write(tmp_path, "a.csv", 'text,label\n"first,1\n' + "second,2\n" * 10_000), "text")
    finally:
        csv.field_size_limit(131_072)
    assert error.line == 2
    assert "field larger than field limit (10000)" in error.found


def test_ragged_rows(tmp_path: Path):
    for suffix, separator in ((".csv", ","), (".tsv", "\t")):
        content = "text,label\na,1\n\nb,2,3\n".replace(",", separator)
        error = refusal(write(tmp_path, f"a{suffix}", content), "text")
        assert (error.line, error.found) == (4, "this row has 3 fields")
        assert error.expected.startswith("2,")
        assert refusal(write(tmp_path, f"a{suffix}", content.replace(f"b{separator}2{separator}3", "b"))).line == 4
    error = refusal(write(tmp_path, "a.csv", 'text,label\n"a\nb"\n'), "text")
    assert (error.line, error.found) == (2, "this row has 1 field, as far as line 3: is a quote not closed?")


@pytest.mark.parametrize("content", ["text,label\n", "\n\n", "text,label"])
def test_a_table_without_rows(tmp_path: Path, content: str):
    assert refusal(write(tmp_path, "a.csv", content)).found == "the table has no rows"


def test_column_names_must_differ_unless_they_are_empty(tmp_path: Path):
    assert "two columns are called 'text'" in refusal(write(tmp_path, "a.csv", "text,text\na,b\n"), "text").found
    (row,) = read_rows(write(tmp_path, "a.csv", ",text,,\n0,a,,\n"), ["text"])  # what spreadsheets leave behind
    assert row.values["text"] == "a"


def test_an_empty_table(tmp_path: Path):
    for suffix in (".csv", ".tsv", ".jsonl"):
        assert refusal(write(tmp_path, f"a{suffix}", ""), "text").found == "the file is empty"


def test_an_unknown_suffix(tmp_path: Path):
    assert "'.xlsx' names no table format" in refusal(write(tmp_path, "a.xlsx", "text\na\n"), "text").found
    assert "no suffix" in refusal(write(tmp_path, "a.gz", gzip.compress(b"text\na\n")), "text").found


def test_bytes_that_are_no_text(tmp_path: Path):
    header = b"text,label\n"
    for bad in (b"caf\xe9", b"nu\0l"):
        for name in ("a.csv", "a.tsv"):
            content = (header + b"a,1\n" + bad + b",2\n").replace(b",", b"\t" if name == "a.tsv" else b",")
            assert refusal(write(tmp_path, name, content), "text").line == 3
        lines = b'{"text": "a"}\n{"text": "' + bad + b'"}\n'
        assert refusal(write(tmp_path, "a.jsonl", lines), "text").line == 2


# --- tsv


def test_quotes_are_data_in_tsv(tmp_path: Path):
    content = 'text\tlabel\r\n"open\t1\r\n  a ""b"" \t2\r\n"c"\t\r\n'
    assert [row.values for row in read_rows(write(tmp_path, "a.tsv", content), ["text", "label"])] == [
        {"text": '"open', "label": "1"},
        {"text": '  a ""b"" ', "label": "2"},
        {"text": '"c"', "label": ""},
    ]


# --- jsonl


def test_jsonl_values_become_text(tmp_path: Path):
    content = (
        '\ufeff{"text": "a\\nb \\ud83d\\ude00", "label": 1, "id": 12345678901234567890, "score": 1.50, "on": true}\n\n'
        '{"label": false, "text": "", "extra": null, "list": [1.0, "好", {"a": null}]}'
    )
    assert list(read_rows(write(tmp_path, "a.jsonl", content), ["text", "label"])) == [
        Row(1, {"text": "a\nb 😀", "label": "1", "id": "12345678901234567890", "score": "1.50", "on": "true"}),
        Row(3, {"label": "false", "text": "", "extra": "", "list": '[1.0, "好", {"a": null}]'}),
    ]


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ('{"text": "b"', "this line is no JSON (Expecting ',' delimiter at character 13)"),
        ('{"text": "b",}', "this line is no JSON"),
        ("{'text': 'b'}", "this line is no JSON"),
        ('{"text": "a"} {"text": "b"}', "this line is no JSON (Extra data at character 15)"),
        ('{"text": NaN}', "this line is no JSON (NaN is no JSON number)"),
        ("[" * 100_000, "this line is no JSON"),
        ('["b"]', "this line is JSON, but no object"),
        ('"b"', "this line is JSON, but no object"),
        ("null", "this line is JSON, but no object"),
        ('{"text": null}', "column 'text' is null"),
        ('{"text": ["b"]}', "column 'text' is a list"),
        ('{"text": {"b": 1}}', "column 'text' is an object"),
        ('{"label": "b"}', "there is no column 'text'"),
        ("{}", "there is no column 'text'"),
        ('{"text": "b \\ud800"}', "column 'text' holds half a surrogate pair"),
        ('{"text": "\\uDE00\\uD83D"}', "column 'text' holds half a surrogate pair"),
        ('{"text": "b", "other": "\\udfff"}', "column 'other' holds half a surrogate pair"),
        ('{"text": "b", "other": [1, "\\udfff"]}', "column 'other' holds half a surrogate pair"),
        ('{"text": "b", "\\ud800": 1}', "column '\\ud800' holds half a surrogate pair"),
        ('{"text": "\\u0000"}', "column 'text' holds a NUL"),
    ],
)
def test_jsonl_that_is_refused(tmp_path: Path, line: str, found: str):
    path = write(tmp_path, "a.jsonl", f'{{"text": "a"}}\n{line}\n{{"text": "c"}}\n')
    error = refusal(path, "text")
    assert error.line == 2
    assert error.found.startswith(found)
    str(error).encode()  # the message itself can be shown


def test_a_column_missing_in_jsonl_lists_those_of_its_line(tmp_path: Path):
    error = refusal(write(tmp_path, "a.jsonl", '{"text": "a"}\n{"sentence": "b", "label": 1}\n'), "text")
    assert error.expected == "one of the columns found: 'sentence', 'label'"


def test_a_json_array_is_told_what_is_expected(tmp_path: Path):
    error = refusal(write(tmp_path, "a.json", json.dumps([{"text": "a"}], indent=1)), "text")
    assert error.line == 1
    assert "brackets" in error.advice


# --- the reader


def test_the_reader_takes_its_columns(tmp_path: Path):
    path = write(tmp_path, "a.csv", "number,body,kind,book\nx1,好。坏。,zh,Iliad\nx2, ,,Iliad\n")
    names = {"text_column": "body", "id_column": "number", "language_column": "kind", "language": "und"}
    settings = CorpusSettings.model_validate(
        {"files": [], "reader": "table", **names, "held_out_by": "column", "held_out_column": "book"}
    )
    first, second = table.table(path, settings)
    assert (first.id, first.segments, first.language, first.source) == ("x1", ("好。", "坏。"), "zh", path.as_posix())
    assert first.columns == {"number": "x1", "body": "好。坏。", "kind": "zh", "book": "Iliad"}
    assert (second.segments, second.language) == ((), "und")
    with pytest.raises(UserError, match="there is no column 'work'"):
        list(table.table(path, settings.model_copy(update={"held_out_column": "work"})))


def test_without_an_id_column_the_id_is_file_and_line(tmp_path: Path):
    path = write(tmp_path, "a.csv", 'text\n"a\nb"\nc\n')
    records = list(table.table(path, CorpusSettings(files=[], reader="table", split_sentences=False)))
    assert [record.id for record in records] == [f"{path.as_posix()}:2", f"{path.as_posix()}:4"]
    assert records[0].segments == ("a\nb",)


@pytest.mark.data
@pytest.mark.parametrize(
    ("name", "columns", "num_rows"),
    [
        ("classify/chnsenticorp_train.tsv", ["label", "text_a"], 9600),
        ("classify/chnsenticorp_dev.tsv", ["label", "text_a"], 1200),
        ("pair/mrpc_train.txt", ["Quality", "#1 String", "#2 String"], 4076),
        ("pair/mrpc_test.txt", ["Quality", "#1 String", "#2 String"], 1725),
        ("pair/ocnli_train.10k.json", ["sentence1", "sentence2", "label"], None),
        ("pair/ocnli_dev.json", ["sentence1", "sentence2", "label"], None),
        ("pair/sick_train.tsv", ["sentence_A", "sentence_B", "entailment_judgment"], 4500),
        ("pair/sick_test.tsv", ["sentence_A", "sentence_B", "entailment_judgment"], 4927),
        ("tag/msra_ner_dev.tsv", ["text_a", "label"], None),
    ],
)
def test_public_sets(data: Path, name: str, columns: list[str], num_rows: int | None):
    rows = list(read_rows(data / name, columns))
    num_lines = sum(bool(line.strip()) for line in (data / name).read_bytes().split(b"\n"))
    header = 0 if name.endswith(".json") else 1
    assert len(rows) == (num_rows or num_lines - header) == num_lines - header
    assert all(row.values[column] for row in rows for column in columns)


@pytest.mark.parametrize("suffix", ["csv", "tsv"])
def test_a_file_without_a_header_may_lack_the_labels(tmp_path: Path, suffix: str):
    separator = "," if suffix == "csv" else "\t"
    path = tmp_path / f"a.{suffix}"
    path.write_text("\n".join(separator.join(row) for row in (("1", "one"), ("2", "two"))) + "\n", encoding="utf-8")
    names = ["id", "text", "label"]
    assert [row.values for row in read_rows(path, ["text"], names, lacking="label")] == [
        {"id": "1", "text": "one"},
        {"id": "2", "text": "two"},
    ]
    with pytest.raises(UserError, match="this row has 2 fields"):
        list(read_rows(path, ["text"], names))


@pytest.mark.data
def test_public_sets_without_a_header_name_what_is_there(data: Path):
    error = refusal(data / "classify" / "sst2_train.tsv", "text")
    assert "the first line must name the columns" in error.advice
    assert "a stirring , funny" in error.expected
