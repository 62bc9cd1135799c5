import gzip
import json
import math
import tracemalloc
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from bertwright.config import TokenizerSettings
from bertwright.corpus import Counts
from bertwright.doctor import examine, store_page, tally
from bertwright.doctor.measures import histogram, lengths, scripts
from bertwright.doctor.tally import loosen
from bertwright.errors import UserError
from bertwright.metrics import expected_first_loss
from bertwright.store import Store, StoreWriter
from bertwright.tokenizer import Tokenizer


def write(folder: Path, name: str, text: str) -> str:
    path = folder / name
    path.write_text(text, encoding="utf-8", newline="")
    return path.as_posix()


def table(folder: Path, name: str, *rows: tuple[str, str]) -> str:
    return write(folder, name, "text\tlabel\n" + "".join(f"{text}\t{label}\n" for text, label in rows))


def only_entry(page: dict) -> dict:
    (entry,) = page["files"]
    return entry


def sentences(page: dict, level: str = "warning") -> str:
    return "\n".join(advice["text"] for advice in page["warnings"] if advice["level"] == level)


# ---------------------------------------------------------------------------------------------- counts


def test_counts_of_lines(tmp_path: Path):
    file = write(tmp_path, "a.txt", "\ufefffirst\r\n\r\n second \r\n   \r\nfirst\r\n")
    page = examine([file])
    entry = only_entry(page)
    assert (entry["records"], entry["characters"], entry["empty"], entry["duplicates"]) == (3, 16, 2, 1)
    assert entry["bytes"] == Path(file).stat().st_size
    assert entry["examples"]["empty"] == f"{file}:2"
    assert entry["examples"]["duplicates"] == {"text": "first", "places": [f"{file}:1", f"{file}:5"]}
    assert entry["columns"] is None
    assert entry["unlabelled"] is None
    json.dumps(page, allow_nan=False)


def test_compressed_file(tmp_path: Path):
    path = tmp_path / "a.csv.gz"
    with gzip.open(path, "wt", encoding="utf-8") as file:
        file.write('text,label\n"one\ntwo",x\nthree,y\n')
    entry = only_entry(examine([str(path)]))
    assert (entry["records"], entry["labels"]) == (2, {"x": 1, "y": 1})


def test_unicode_forms_and_spaces_at_the_ends_make_no_other_text(tmp_path: Path):
    entry = only_entry(examine([write(tmp_path, "a.txt", "ＡＢＣ！\n  ABC! \nabc\nAB C!\n")]))
    assert entry["duplicates"] == 1
    assert entry["near_duplicates"] == 2
    assert [place.split(":")[-1] for place in entry["examples"]["near_duplicates"]["places"]] == ["2", "3"]


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        ("It's good.", "it s  GOOD", True),
        ("房间很好，下次再来。", "房间很好 下次再来", True),
        ("买了 iPhone 手机", "买了iPhone手机！", True),
        ("1 23", "12 3", False),
        ("1.2", "12", False),
        ("हिंदी", "हिदी", False),
        ("no", "on", False),
        ("snake_case", "snake case", True),
        ("straße", "STRASSE", True),
    ],
)
def test_loosened_texts(first: str, second: str, same: bool):
    assert (loosen(first) == loosen(second)) is same


def test_texts_of_signs_alone_are_compared_as_they_stand(tmp_path: Path):
    entry = only_entry(examine([write(tmp_path, "a.txt", "!!!\n???\n!!!\n")]))
    assert (entry["duplicates"], entry["near_duplicates"]) == (1, 1)


def test_symbols_are_compared_as_they_stand(tmp_path: Path):
    file = write(tmp_path, "a.txt", "C#4 D4\nC4 D4\n")
    assert only_entry(examine([file], reader="symbols"))["near_duplicates"] == 0
    assert only_entry(examine([file], reader="lines"))["near_duplicates"] == 0  # "c 4" is not "c4"
    assert only_entry(examine([write(tmp_path, "b.txt", "+ -\n+ +\n")], reader="symbols"))["near_duplicates"] == 0


def test_huge_texts_are_compared_as_they_stand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(tally, "_LONGEST_LOOSENED", 10)
    entry = only_entry(examine([write(tmp_path, "a.txt", "1234567 890\n1234567-890\n1234567 890\n1234 89\n1234-89")]))
    assert (entry["duplicates"], entry["near_duplicates"]) == (1, 2)


def test_sentences_with_blank_lines_between_documents(tmp_path: Path):
    file = write(tmp_path, "a.txt", "one\ntwo\n\nthree\n\n\none\ntwo\n")
    entry = only_entry(examine([file], reader="sentences"))
    assert (entry["records"], entry["empty"], entry["duplicates"]) == (3, 0, 1)
    assert entry["examples"]["duplicates"]["places"] == [f"{file}:1", f"{file}:7"]


def test_long_records(tmp_path: Path):
    file = write(tmp_path, "a.txt", f"short\n{'x' * 10_000}\n{'y' * 10_001}\n{'z' * 30_000}\n{'w' * 20_000}\n")
    page = examine([file])
    entry = only_entry(page)
    assert entry["long"] == 3
    assert entry["examples"]["long"] == {"characters": 30_000, "place": f"{file}:4"}
    assert "3 records of more than 10,000 characters (the longest: 30,000 characters in line 4)" in sentences(
        page, "note"
    )


def test_lengths():
    found = lengths({1: 50, 10: 49, 1000: 1})
    assert found is not None
    assert (found["minimum"], found["maximum"], found["mean"]) == (1, 1000, 15.4)
    assert found["quantiles"] == {"1%": 1, "5%": 1, "25%": 1, "50%": 1, "75%": 10, "95%": 10, "99%": 10}
    assert lengths({}) is None


@pytest.mark.parametrize(
    "values", [[60] * 7, [1], [0, 0, 3], list(range(1, 1000)), [5] * 999 + [6], [5] * 999 + [10**6]]
)
def test_histogram_counts_every_length_once(values: list[int]):
    bins = histogram(Counter(values))
    assert bins is not None
    expected, _ = np.histogram([value for value in values if value < bins["edges"][-1]], bins["edges"])
    assert bins["counts"] == expected.tolist()
    assert sum(bins["counts"]) + bins["above"] == len(values)
    assert bins["above"] <= 0.01 * len(values)
    assert len(bins["counts"]) <= 41


def test_scripts():
    text = "漢字々かなカナーLatinÄＡЖ한ภ12! 〇"
    counts = np.bincount([ord(character) for character in text])
    seen = len(text) - 1
    expected = {"Han": 3, "Hiragana": 2, "Katakana": 3, "Latin": 7, "Cyrillic": 1, "Hangul": 1, "Thai": 1}
    expected |= {"digits": 3, "other": 1}
    assert scripts(counts) == {name: round(number / seen, 6) for name, number in expected.items()}


def test_replacement_characters_are_told(tmp_path: Path):
    page = examine([write(tmp_path, "a.txt", "caf\ufffd\nth\ufffd\ufffd\n")])
    assert only_entry(page)["damaged"] == 3
    assert "3 replacement characters" in sentences(page)


# ---------------------------------------------------------------------------------------------- losses


def test_entropy_and_losses_over_characters(tmp_path: Path):
    page = examine([write(tmp_path, "a.txt", "aabc\naabd\n")], width=100, initial_deviation=0.1)
    # a: 4/8, b: 2/8, c and d: 1/8 each: 1/2 ln 2 + 1/4 ln 4 + 2/8 ln 8 = 1.75 ln 2
    assert page["unigram_entropy"] == pytest.approx(1.75 * math.log(2))
    assert (page["unit"], page["vocabulary_size"]) == ("characters", 4)
    assert page["uniform_loss"] == pytest.approx(math.log(4))
    assert page["expected_first_loss"] == pytest.approx(math.log(4) + 0.5)


def test_entropy_is_over_all_files_together(tmp_path: Path):
    page = examine([write(tmp_path, "a.txt", "aaaa\n"), write(tmp_path, "b.txt", "bbbb\n")])
    assert page["unigram_entropy"] == pytest.approx(math.log(2))
    assert str(examine([write(tmp_path, "a.txt", "aaaa\n")])["unigram_entropy"]) == "0.0"


def test_expected_first_loss():
    assert expected_first_loss(30522, 768, 0.02) == pytest.approx(math.log(30522) + 0.1536)


def test_expected_first_loss_is_that_of_random_logits():
    generator = np.random.default_rng(0)
    vectors = generator.normal(size=(200, 256))
    vectors = (vectors - vectors.mean(axis=1, keepdims=True)) / vectors.std(axis=1, keepdims=True)
    logits = vectors @ generator.normal(0.0, 0.05, size=(256, 20_000))
    loss = float(np.log(np.exp(logits).sum(axis=1)).mean() - logits.mean())
    assert loss == pytest.approx(expected_first_loss(20_000, 256, 0.05), abs=0.02)


def symbols_tokenizer() -> Tokenizer:
    return Tokenizer.train(["a b c d"] * 2, TokenizerSettings(kind="symbols", vocabulary_size=20))


def test_tokens_unknown_rate_and_lengths(tmp_path: Path):
    page = examine([write(tmp_path, "a.txt", "a a b x\nc\nd d a\n")], tokenizer=symbols_tokenizer())
    entry = only_entry(page)
    assert (entry["tokens"], entry["unknown_rate"]) == (8, 0.125)
    assert entry["lengths"]["tokens"]["quantiles"]["50%"] == 3
    assert entry["lengths"]["tokens"]["maximum"] == 4
    shares = np.array([3, 1, 1, 1, 2]) / 8
    assert page["unigram_entropy"] == pytest.approx(float(-(shares * np.log(shares)).sum()))
    assert (page["unit"], page["vocabulary_size"]) == ("tokens", 9)
    assert "12.50% of the tokens" in sentences(page)


def test_share_that_does_not_fit_counts_special_tokens(tmp_path: Path):
    rows = "".join(f"{' '.join('a' * size)}\n" for size in (126, 127, 510, 511))
    tokens = only_entry(examine([write(tmp_path, "a.txt", rows)], tokenizer=symbols_tokenizer()))["lengths"]["tokens"]
    assert (tokens["over_128"], tokens["over_512"]) == (0.75, 0.25)
    pairs = "sentence1\tsentence2\n" + "".join(f"{' '.join('a' * size)}\tb\n" for size in (124, 125))
    page = examine([write(tmp_path, "b.tsv", pairs)], tokenizer=symbols_tokenizer())
    assert only_entry(page)["lengths"]["tokens"]["over_128"] == 0.5
    assert "50.0% of the records" in sentences(page, "note")


def test_batches_do_not_change_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    generator = np.random.default_rng(0)
    rows = "".join(f"{' '.join(generator.choice(list('abcdx漢😀'), 40))}\n" for _ in range(50)) + "a" * 200
    file = write(tmp_path, "a.txt", rows)
    whole = examine([file], tokenizer=symbols_tokenizer())
    monkeypatch.setattr(tally, "_BATCH", 64)
    assert examine([file], tokenizer=symbols_tokenizer()) == whole


# ---------------------------------------------------------------------------------------------- labels


def test_labels_and_conflicts(tmp_path: Path):
    rows = [
        ("good food", "1"),
        ("bad food", "0"),
        ("Good food", "0"),
        ("good food ", "0"),
        ("fine", "1"),
        ("fine", "1"),
    ]
    file = table(tmp_path, "a.tsv", *rows)
    page = examine([file])
    entry = only_entry(page)
    assert entry["columns"] == {"text": ["text"], "label": "label"}
    assert list(entry["labels"].items()) == [("0", 3), ("1", 3)]
    assert entry["conflicts"] == {
        "texts": 1,
        "records": 2,
        "examples": [{"text": "good food", "places": [f"{file}:2", f"{file}:5"], "labels": ["1", "0"]}],
    }
    assert "one text has different labels (2 records in all, such as line 2 and line 5)" in sentences(page)


def test_records_without_label(tmp_path: Path):
    file = table(tmp_path, "a.tsv", ("one", "x"), ("two", ""), ("one", ""), ("three", "y"))
    page = examine([file])
    entry = only_entry(page)
    assert (entry["unlabelled"], entry["conflicts"]["texts"]) == (2, 0)
    assert "2 records without a label, the first in line 3" in sentences(page)


def test_records_of_a_table_without_text(tmp_path: Path):
    page = examine([table(tmp_path, "a.tsv", ("one", "x"), (" ", "y"), ("two", "y"))])
    assert (only_entry(page)["records"], only_entry(page)["empty"]) == (2, 1)
    assert "1 record without text, the first in line 3" in sentences(page)


def test_label_balance(tmp_path: Path):
    page = examine([table(tmp_path, "a.tsv", *((f"text {n}", "no" if n else "Yes") for n in range(20)))])
    assert "95.0% of the records" in sentences(page, "note")
    assert "Less than 10 records" in sentences(page, "note")
    assert "'Yes'" in sentences(page, "note")
    page = examine([table(tmp_path, "b.tsv", ("one", "yes"), ("two", "Yes"))])
    assert "'Yes', 'yes'" in sentences(page)
    page = examine([table(tmp_path, "c.tsv", ("one", "yes"), ("two", "yes"))])
    assert "nothing to learn" in sentences(page)


def test_a_column_of_ids_is_no_label_column(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(tally, "MOST_LABELS", 50)
    page = examine([table(tmp_path, "a.tsv", *((f"text {n}", f"id {n}") for n in range(60)))])
    entry = only_entry(page)
    assert (entry["num_labels"], entry["labels"], entry["records"]) == (None, {}, 60)
    assert "holds no classes" in sentences(page)
    page = examine([table(tmp_path, "b.tsv", ("text 59", "id 0")), entry["file"]])
    assert [(pair["in_second"], pair["conflicts"]) for pair in page["shared"]] == [(1, 0)]


# ---------------------------------------------------------------------------------------------- several files


def test_shared_texts(tmp_path: Path):
    train = table(tmp_path, "train.tsv", ("Good!", "1"), ("bad", "0"), ("good", "1"), ("other", "1"), ("so so", "0"))
    test = table(tmp_path, "test.tsv", ("new", "1"), ("good", "1"), ("Bad.", "1"), ("bad", "0"))
    page = examine([train, test])
    (shared,) = page["shared"]
    assert (shared["first"], shared["second"]) == (train, test)
    assert (shared["texts"], shared["in_first"], shared["in_second"], shared["exact"]) == (2, 3, 3, 2)
    assert (shared["share"], shared["conflicts"]) == (0.75, 1)
    assert shared["example"] == {"text": "good", "places": [f"{train}:2", f"{test}:3"]}
    assert f"3 of the 4 records of {test} (75.0%) stand in {train}, too" in sentences(page)


def test_shared_texts_of_files_with_repeats_and_without_labels(tmp_path: Path):
    large = table(tmp_path, "large.tsv", ("one", ""), ("one", ""), ("one", ""), ("two", "0"), ("two", "1"), ("x", "0"))
    small = table(tmp_path, "small.tsv", ("two", "1"), ("One", "1"), ("one", "0"), ("y", "1"))
    for files in ([large, small], [small, large]):
        (shared,) = examine(files)["shared"]
        assert (shared["exact"], shared["share"]) == (2, 0.75)
        # No label of "one" contradicts another; one label of "two" in the large file is none of the small one.
        assert shared["conflicts"] == (files[1] == large)


def test_files_without_common_texts(tmp_path: Path):
    page = examine([write(tmp_path, "a.txt", "one\n"), write(tmp_path, "b.txt", "two\n")])
    assert page["shared"] == []
    assert [advice["level"] for advice in page["warnings"]] == ["note"]


def test_three_files_are_compared_pairwise(tmp_path: Path):
    files = [write(tmp_path, f"{n}.txt", text) for n, text in enumerate(("a\nb\n", "b\nc\n", "c\na\n"))]
    assert [(pair["first"], pair["second"], pair["texts"]) for pair in examine(files)["shared"]] == [
        (files[0], files[1], 1),
        (files[0], files[2], 1),
        (files[1], files[2], 1),
    ]


def test_label_seen_only_in_test(tmp_path: Path):
    train = table(tmp_path, "train.tsv", *((f"text {n}", "ab"[n % 2]) for n in range(6)))
    test = table(tmp_path, "test.tsv", ("one", "a"), ("two", "c"), ("three", "c"))
    page = examine([train, test])
    assert page["label_differences"] == [
        {"label": "b", "records": 3, "in": [train], "missing": [test]},
        {"label": "c", "records": 2, "in": [test], "missing": [train]},
    ]
    assert f"The label 'c' (2 records) occurs in {test}, but not in {train}" in sentences(page)
    assert "The label 'b'" in sentences(page, "note")


def test_a_file_without_labels_beside_one_with_them(tmp_path: Path):
    train = table(tmp_path, "train.tsv", ("one thing", "a"), ("another", "b"))
    test = write(tmp_path, "test.tsv", "text\nwhatever\n")
    page = examine([train, test], label_column="label")
    assert [entry["unlabelled"] for entry in page["files"]] == [0, None]
    assert page["label_differences"] == []
    with pytest.raises(UserError, match="no file has a column 'klass'"):
        examine([train, test], label_column="klass")


def test_a_folder_of_many_files_counts_as_one(tmp_path: Path):
    folder = tmp_path / "texts"
    folder.mkdir()
    for number in range(25):
        write(folder, f"{number:02}.txt", f"document {number % 20}\nand more\n")
    entry = only_entry(examine([str(folder)], reader="documents"))
    assert (entry["file"], entry["records"], entry["duplicates"]) == (str(folder), 25, 5)
    assert entry["examples"]["duplicates"]["places"] == [(folder / name).as_posix() for name in ("00.txt", "20.txt")]
    assert len(examine([str(folder / "0*.txt"), str(folder / "01.txt")])["files"]) == 10


# ---------------------------------------------------------------------------------------------- columns, bad files


@pytest.mark.parametrize(
    ("header", "text", "label"),
    [
        ("label\ttext_a", ["text_a"], "label"),
        ("Text\tid", ["Text"], None),
        ("text_a\ttext_b\tlabel", ["text_a", "text_b"], "label"),
        ("sentence1\tsentence2\tgold_label", ["sentence1", "sentence2"], "gold_label"),
    ],
)
def test_columns_by_name(tmp_path: Path, header: str, text: list[str], label: str | None):
    names = header.split("\t")
    file = write(tmp_path, "a.tsv", header + "\n" + "\t".join(f"some {name}" for name in names) + "\n")
    assert only_entry(examine([file]))["columns"] == {"text": text, "label": label}


def test_the_only_column_that_looks_like_text(tmp_path: Path):
    rows = "".join(f'{n},"a comment, the {n}th",{n % 2}\n' for n in range(10))
    entry = only_entry(examine([write(tmp_path, "a.csv", "number,comment,class\n" + rows)]))
    assert entry["columns"] == {"text": ["comment"], "label": "class"}


def test_pairs_are_one_text(tmp_path: Path):
    lines = [
        {"premise": "a", "hypothesis": "b c"},
        {"premise": "a b", "hypothesis": "c"},
        {"premise": "a", "hypothesis": "b c"},
    ]
    entry = only_entry(examine([write(tmp_path, "a.jsonl", "".join(json.dumps(line) + "\n" for line in lines))]))
    assert (entry["records"], entry["duplicates"], entry["near_duplicates"]) == (3, 1, 1)
    assert entry["examples"]["duplicates"]["text"] == "a | b c"


def test_columns_that_cannot_be_told(tmp_path: Path):
    file = write(tmp_path, "a.csv", "title,body\nthe first title,the first body\nanother title,another body\n")
    with pytest.raises(UserError, match=r"(?s)cannot be told.*'title', 'body'.*--text-column"):
        examine([file])
    assert only_entry(examine([file], text_column="body"))["columns"]["text"] == ["body"]
    assert only_entry(examine([file], text_column=["title", "body"]))["characters"] == 54
    with pytest.raises(UserError, match=r"(?s)no column 'boddy'.*'title', 'body'"):
        examine([file], text_column="boddy")


def test_a_table_without_names_of_columns(tmp_path: Path):
    file = write(tmp_path, "a.tsv", "one long string of cliches\t0\na stirring tale\t1\n")
    with pytest.raises(UserError, match="looks like an example") as caught:
        examine([file])
    assert (caught.value.file, caught.value.line) == (Path(file), 1)


def test_a_table_called_txt(tmp_path: Path):
    page = examine([write(tmp_path, "a.txt", "a\tone text\t1\nb\tanother\t0\n")])
    assert only_entry(page)["looks_like_table"]
    assert "rename it to .tsv" in sentences(page, "note")
    assert not only_entry(examine([write(tmp_path, "b.txt", "a\tone\nb\n")]))["looks_like_table"]


def test_bad_byte_is_named_with_file_and_line(tmp_path: Path):
    path = tmp_path / "a.txt"
    path.write_bytes(b"fine\nalso fine\n" + b"caf\xe9\n")
    with pytest.raises(UserError, match="0xE9") as caught:
        examine([str(path)])
    assert (str(caught.value.file), caught.value.line) == (str(path), 3)


@pytest.mark.parametrize(
    ("name", "content", "line"),
    [
        ("empty.txt", b"", None),
        ("null.txt", b"a\nb\0\n", 2),
        ("torn.txt.gz", gzip.compress(b"some text\n" * 1000, mtime=0)[:-20], None),
        ("broken.jsonl", b'{"text": "a"}\n{"text": "b"\n', 2),
        ("ragged.tsv", b"text\tlabel\na\tb\tc\n", 2),
        ("rowless.tsv", b"text\tlabel\n", None),
    ],
)
def test_bad_files(tmp_path: Path, name: str, content: bytes, line: int | None):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(UserError) as caught:
        examine([str(path)])
    assert Path(caught.value.file or "") == path
    assert line is None or caught.value.line == line


def test_missing_file_and_unknown_reader(tmp_path: Path):
    with pytest.raises(UserError, match="missing"):
        examine([str(tmp_path / "no.txt")])
    with pytest.raises(UserError, match="no reader is called 'line'"):
        examine([write(tmp_path, "a.txt", "a\n")], reader="line")


def test_nothing_but_blank_lines(tmp_path: Path):
    page = examine([write(tmp_path, "a.txt", "\n \n")])
    assert only_entry(page)["lengths"] == {"characters": None, "tokens": None}
    assert "holds no text at all" in sentences(page)
    json.dumps(page, allow_nan=False)


def test_memory_does_not_grow_with_the_texts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(tally, "_BATCH", 2**16)
    path = tmp_path / "a.txt"
    with path.open("w", encoding="utf-8") as file:
        file.writelines(f"{number} {'word ' * 4000}\n" for number in range(400))
    tracemalloc.start()
    try:
        assert only_entry(examine([str(path)]))["records"] == 400
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert path.stat().st_size > 8e6
    assert peak < 3e6


# ---------------------------------------------------------------------------------------------- prepare's page


@pytest.mark.parametrize(
    ("kind", "size"), [("symbols", 300), ("wordpiece", 300), ("wordpiece", 35), ("bpe", 300), ("characters", 300)]
)
def test_page_of_a_store(tmp_path: Path, kind: str, size: int):
    texts = ["小明 在 北京 unaffable 12", "他 很 高兴 ! unaffable"] * 5
    settings = TokenizerSettings.model_validate({"kind": kind, "vocabulary_size": size, "minimum_frequency": 1})
    tokenizer = Tokenizer.train(texts, settings)
    file = write(tmp_path, "a.txt", "".join(f"{text}\n" for text in texts))
    sizes: Counter[int] = Counter()
    with StoreWriter(tmp_path / "store", tokenizer) as writer:
        for number, text in enumerate(texts):
            ids = tokenizer.encode_batch([text])
            sizes[writer.add(str(number), ids, "und", file, held_out=False)] += 1
        writer.flush()
        counts = Counts(files=1, records=10, segments=10, characters=sum(map(len, texts)), empty=2, duplicates=3)
        page = store_page([Path(file)], counts, sizes, writer.counts, tokenizer, width=128)
        writer.add_json("doctor.json", page)
    store = Store.open(tmp_path / "store")
    examined = examine([file], tokenizer=tokenizer, width=128)
    entry, other = only_entry(page), only_entry(examined)
    assert entry.keys() == other.keys()
    assert page.keys() == examined.keys()
    assert page["unigram_entropy"] == pytest.approx(store.unigram_entropy)
    for key in ("unigram_entropy", "uniform_loss", "expected_first_loss", "vocabulary_size", "unit", "width"):
        assert page[key] == examined[key]
    for key in ("file", "records", "tokens", "bytes", "characters", "unknown_rate"):
        assert entry[key] == other[key]
    assert entry["lengths"]["tokens"] == other["lengths"]["tokens"]
    assert entry["histogram"]["tokens"] == other["histogram"]["tokens"]
    assert (entry["empty"], entry["duplicates"], entry["dropped"]) == (2, 3, True)
    assert entry["scripts"] == other["scripts"]
    assert "3 records (23.1%) repeated an earlier text and were dropped" in sentences(page, "note")
    json.dumps(page, allow_nan=False)


def test_bytes_that_are_no_characters_count_for_no_script(tmp_path: Path):
    file = write(tmp_path, "a.txt", "漢 a1")
    settings = TokenizerSettings(kind="bpe", vocabulary_size=261, minimum_frequency=9)
    tokenizer = Tokenizer.train(["漢 a1"], settings)
    ids = tokenizer.encode("漢 a1")
    counts = np.bincount(ids, minlength=tokenizer.vocabulary_size)
    page = store_page([Path(file)], Counts(), {len(ids): 1}, counts, tokenizer)
    assert only_entry(page)["scripts"] == {"Latin": 0.5, "digits": 0.5}


def test_special_tokens_count_for_no_script(tmp_path: Path):
    tokenizer = symbols_tokenizer()
    counts = np.bincount([tokenizer.unk_id, *tokenizer.encode("a b")], minlength=tokenizer.vocabulary_size)
    page = store_page([Path(write(tmp_path, "a.txt", "x a b"))], Counts(), {3: 1}, counts, tokenizer)
    assert only_entry(page)["scripts"] == {"Latin": 1.0}
    assert only_entry(page)["unknown_rate"] == pytest.approx(1 / 3)
    assert scripts(np.bincount([ord(character) for character in "a[b]"])) == {"Latin": 0.5, "other": 0.5}


# ---------------------------------------------------------------------------------------------- public data


@pytest.mark.data
def test_leaks_of_chnsenticorp(data: Path):
    train, dev = ((data / "classify" / f"chnsenticorp_{part}.tsv").as_posix() for part in ("train", "dev"))
    page = examine([train, dev])
    first, second = page["files"]
    assert (first["records"], second["records"]) == (9600, 1200)
    assert (first["duplicates"], first["near_duplicates"]) == (1351, 1367)
    (shared,) = page["shared"]
    # Of the 1,201 lines of the file, 343: the names of the columns are one of them.
    assert (shared["in_second"], shared["exact"]) == (342, 338)
    assert first["scripts"]["Han"] > 0.8
    assert first["conflicts"]["texts"] == 24
    for places in [example["places"] for example in first["conflicts"]["examples"]]:
        lines = Path(train).read_text(encoding="utf-8").split("\n")
        texts = [lines[int(place.rpartition(":")[2]) - 1].split("\t") for place in places]
        assert len({label for label, _ in texts}) == 2
        assert len({text.strip() for _, text in texts}) == 1


@pytest.mark.data
def test_public_pairs_and_texts(data: Path):
    page = examine([str(data / "pair" / f"sick_{part}.tsv") for part in ("train", "test")])
    assert [entry["records"] for entry in page["files"]] == [4500, 4927]
    assert page["files"][0]["columns"] == {"text": ["sentence_A", "sentence_B"], "label": "entailment_judgment"}
    page = examine([str(data / "pair" / "ocnli_dev.json")])
    assert only_entry(page)["labels"] == {"neutral": 1103, "entailment": 947, "contradiction": 900, "-": 50}
    page = examine([str(data / "text" / "cluecorpussmall_sampled.txt")], reader="sentences")
    assert only_entry(page)["empty"] == 0
    page = examine([str(data / "dna" / "splice.txt")])
    assert (only_entry(page)["records"], only_entry(page)["scripts"]["Latin"] > 0.8) == (3190, True)
    with pytest.raises(UserError, match="looks like an example"):
        examine([str(data / "classify" / "sst2_train.tsv")])
