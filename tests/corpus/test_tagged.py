"""Labelled sentences: four formats, what stands between words, and one message with file and line for each mistake."""

import json
from pathlib import Path

import pytest

from bertwright.config import ReadingSettings
from bertwright.corpus.tagged import Sentence, relabelled, sentences
from bertwright.errors import UserError

CONLLU = """\
# newdoc id = letters
# sent_id = first
# text = I don't sleep (well).
1\tI\tI\tPRON\tPRP\t_\t4\tnsubj\t_\t_
2-3\tdon't\t_\t_\t_\t_\t_\t_\t_\t_
2\tdo\tdo\tAUX\tVBP\tTense=Pres\t4\taux\t_\t_
3\tn't\tnot\tPART\tRB\t_\t4\tadvmod\t_\tGloss=not
4\tsleep\tsleep\tVERB\tVB\t_\t0\troot\t_\t_
4.1\tnothing\tnothing\tNOUN\tNN\t_\t_\t_\t_\t_
5\t(\t(\tPUNCT\t-LRB-\t_\t6\tpunct\t_\tGloss=x|SpaceAfter=No
6\twell\twell\tADV\tRB\t_\t4\tadvmod\t_\tSpaceAfter=No
7\t)\t)\tPUNCT\t-RRB-\t_\t6\tpunct\t_\tSpaceAfter=No
8\t.\t.\tPUNCT\t.\t_\t4\tpunct\t_\t_

# a comment between blank lines alone


1\tNew York\tNew York\tPROPN\tNNP\t_\t0\troot\t_\t_
2-4\tdámelo!\t_\t_\t_\t_\t_\t_\t_\tSpaceAfter=No
2\tda\tdar\tVERB\t_\t_\t0\troot\t_\t_
3\tme\tyo\tPRON\t_\t_\t0\troot\t_\t_
4\tlo\tél\tPRON\t_\t_\t0\troot\t_\t_
5\t?\t?\tPUNCT\t_\t_\t0\troot\t_\t_
"""


def write(folder: Path, name: str, content: str) -> Path:
    path = folder / name
    path.write_bytes(content.encode())
    return path


def read(path: Path, *, labelled: bool = True, **settings: object) -> list[Sentence]:
    return list(sentences(path, ReadingSettings.model_validate(settings), labelled=labelled))


def refusal(path: Path, *, labelled: bool = True, **settings: object) -> UserError:
    with pytest.raises(UserError) as raised:
        read(path, labelled=labelled, **settings)
    assert raised.value.file == path
    assert raised.value.expected
    assert raised.value.advice
    return raised.value


def conllu_line(number: str, word: str, label: str = "X") -> str:
    return "\t".join([number, word, "_", label, *"_" * 6]) + "\n"


# ---------------------------------------------------------------------------------------------- CoNLL-U


def test_conllu(tmp_path: Path) -> None:
    path = write(tmp_path, "a.conllu", CONLLU)
    first, second = read(path)
    assert first.id == "first"
    assert first.line == 1
    assert first.words == ("I", "do", "n't", "sleep", "(", "well", ")", ".")
    assert first.labels == ("PRON", "AUX", "PART", "VERB", "PUNCT", "ADV", "PUNCT", "PUNCT")
    assert first.raw == tuple(CONLLU.split("\n\n", maxsplit=1)[0].splitlines())
    assert second.id == f"{path.as_posix()}:18"
    assert second.line == 18
    assert second.words == ("New York", "da", "me", "lo", "?")


def test_conllu_tells_which_words_stand_together(tmp_path: Path) -> None:
    """By SpaceAfter=No, and within a range; what follows a range, the range tells and not its last word."""
    first, second = read(write(tmp_path, "a.conllu", CONLLU))
    assert first.joined == (False, False, True, False, False, True, True, True)
    assert second.joined == (False, False, True, True, True)


@pytest.mark.parametrize(
    ("column", "labels"),
    [
        ("upos", ("PRON", "AUX", "PART")),
        ("xpos", ("PRP", "VBP", "RB")),
        ("deprel", ("nsubj", "aux", "advmod")),
        ("lemma", ("I", "do", "not")),
        ("label", ("PRON", "AUX", "PART")),
    ],
)
def test_the_column_of_conllu(tmp_path: Path, column: str, labels: tuple[str, ...]) -> None:
    path = write(tmp_path, "a.conllu", CONLLU.split("\n\n", maxsplit=1)[0])
    (sentence,) = read(path, label_column=column)
    assert sentence.labels is not None
    assert sentence.labels[:3] == labels


def test_conllu_without_labels(tmp_path: Path) -> None:
    path = write(tmp_path, "a.conllu", conllu_line("1", "good", "_") + conllu_line("2", "day", "_"))
    (sentence,) = read(path, labelled=False)
    assert sentence.words == ("good", "day")
    assert sentence.labels is None
    error = refusal(path)
    assert (error.line, error.found) == (1, "the word 'good' has no label")
    assert "upos" in error.expected


# ---------------------------------------------------------------------------------------------- CoNLL


@pytest.mark.parametrize("separator", [" ", "\t", "   "])
@pytest.mark.parametrize("suffix", [".conll", ".bio", ".iob2", ".txt"])
def test_conll(tmp_path: Path, separator: str, suffix: str) -> None:
    """The first field is the word and the last one its label; two blank lines, or -DOCSTART-, are no sentence."""
    lines = "-DOCSTART- -X- O O\n\nEU NNP NP B-ORG\nrejects VBZ VP O\n\n\n-DOCSTART- -X- O O\nPeter NNP NP B-PER\n"
    path = write(tmp_path, f"a{suffix}", lines.replace(" ", separator))
    assert read(path) == [
        Sentence(f"{path.as_posix()}:3", 3, ("EU", "rejects"), ("B-ORG", "O"), None, ()),
        Sentence(f"{path.as_posix()}:7", 7, ("Peter",), ("B-PER",), None, ()),
    ]


def test_conll_with_spaces_within_words_between_tabs(tmp_path: Path) -> None:
    (sentence,) = read(write(tmp_path, "a.conll", "New York\tB-LOC\nis\tO\n"))
    assert sentence.words == ("New York", "is")


def test_conll_without_labels(tmp_path: Path) -> None:
    first, second = read(write(tmp_path, "a.conll", "a\nb\n\nc"), labelled=False)
    assert (first.words, first.labels, second.words) == (("a", "b"), None, ("c",))
    (sentence,) = read(write(tmp_path, "b.conll", "a B-X\nb I-X\n"), labelled=False)
    assert (sentence.words, sentence.labels) == (("a", "b"), None)


# ---------------------------------------------------------------------------------------------- tables


def test_jsonl(tmp_path: Path) -> None:
    rows = [
        {"id": "x1", "text": ["New York", "[", "是"], "label": ["B-LOC", "O", "O"], "note": "n"},
        {"text": ['a"b'], "label": ["O"]},
    ]
    path = write(tmp_path, "a.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    first, second = read(path)
    assert (first.id, first.line, first.words) == ("x1", 1, ("New York", "[", "是"))
    assert first.labels == ("B-LOC", "O", "O")
    assert (second.id, second.line, second.words, second.labels) == ("2", 2, ('a"b',), ("O",))
    assert (first.joined, first.raw) == (None, ())


@pytest.mark.parametrize(("suffix", "separator"), [("tsv", "\t"), ("csv", ",")])
def test_a_sentence_a_row(tmp_path: Path, suffix: str, separator: str) -> None:
    lines = ["id|note|words|tags", "7|good|海 钓 比|B-LOC  O O", "|bad|x|O"]
    path = write(tmp_path, f"a.{suffix}", "\n".join(lines).replace("|", separator))
    first, second = read(path, text_column="words", label_column="tags")
    assert (first.id, first.line, first.words) == ("7", 2, ("海", "钓", "比"))
    assert first.labels == ("B-LOC", "O", "O")
    assert first.columns == {"id": "7", "note": "good"}
    assert (second.id, second.words, second.labels) == ("3", ("x",), ("O",))


@pytest.mark.parametrize(("name", "content"), [("a.tsv", "text\na b\n"), ("a.jsonl", '{"text": ["a", "b"]}\n')])
def test_tables_without_labels(tmp_path: Path, name: str, content: str) -> None:
    (sentence,) = read(write(tmp_path, name, content), labelled=False)
    assert (sentence.words, sentence.labels) == (("a", "b"), None)


def test_names_of_columns_that_the_file_does_not_name(tmp_path: Path) -> None:
    (sentence,) = read(write(tmp_path, "a.tsv", "O B-X\ta b\n"), columns=["label", "text"])
    assert (sentence.words, sentence.labels) == (("a", "b"), ("O", "B-X"))


# ---------------------------------------------------------------------------------------------- written back


@pytest.mark.parametrize("column", ["upos", "xpos", "deprel"])
def test_conllu_relabelled_is_the_same_but_for_the_labels(tmp_path: Path, column: str) -> None:
    settings = ReadingSettings(label_column=column)
    before = read(write(tmp_path, "a.conllu", CONLLU), labelled=False, label_column=column)
    given = [[f"L{number}" for number in range(len(sentence.words))] for sentence in before]
    blocks = [
        relabelled(sentence.raw, sentence.words, labels, settings, conllu=True)
        for sentence, labels in zip(before, given, strict=True)
    ]
    path = write(tmp_path, "b.conllu", "".join("\n".join(block) + "\n\n" for block in blocks))
    after = read(path, label_column=column)
    assert [(s.words, s.joined) for s in after] == [(s.words, s.joined) for s in before]
    assert [list(s.labels or ()) for s in after] == given
    place = ("id", "form", "lemma", "upos", "xpos", "feats", "head", "deprel").index(column)
    for sentence, block in zip(before, blocks, strict=True):
        for old, new in zip(sentence.raw, block, strict=True):
            assert old.split("\t")[:place] == new.split("\t")[:place]
            assert old.split("\t")[place + 1 :] == new.split("\t")[place + 1 :]
            assert (old == new) == (not old.split("\t")[0].isdigit()), "comments, ranges and empty nodes have no label"


@pytest.mark.parametrize("suffix", [".conllu", ".conll"])
@pytest.mark.parametrize("name", ["a.conllu", "a.conll", "a.jsonl", "ten.conll"])
def test_what_was_relabelled_is_read_again(tmp_path: Path, suffix: str, name: str) -> None:
    """From any format into both. A .conll file of ten fields, the first one a number at times, is no CoNLL-U."""
    content = {
        "a.conllu": CONLLU,
        "a.conll": "1 O\nday O\n\n2 O\n",
        "a.jsonl": '{"text": ["New York", "#"]}\n',
        "ten.conll": "\t".join(["In", *"abcdefgh", "O"]) + "\n" + "\t".join(["2024", *"abcdefgh", "O"]) + "\n",
    }[name]
    before = read(write(tmp_path, name, content), labelled=False)
    lines = []
    for sentence in before:
        labels = [f"L{number}" for number in range(len(sentence.words))]
        lines += relabelled(sentence.raw, sentence.words, labels, ReadingSettings(), conllu=suffix == ".conllu")
        lines.append("")
    after = read(write(tmp_path, f"again{suffix}", "\n".join(lines)))
    assert [sentence.words for sentence in after] == [sentence.words for sentence in before]
    for sentence in after:
        assert sentence.labels == tuple(f"L{number}" for number in range(len(sentence.words)))


# ---------------------------------------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("lines", "line", "found"),
    [
        (conllu_line("1", "a") + "2\tb\tX\n", 2, "this line has 3 fields"),
        (conllu_line("1", "a") + "\n# c\n" + conllu_line("1", "a")[:-1] + "\t_\n", 4, "this line has 11 fields"),
        ("a X\n", 1, "this line has 1 field"),
        (conllu_line("1", "a") + conllu_line("2", "b", "_"), 2, "the word 'b' has no label"),
        (conllu_line("1", "a") + conllu_line("2", "b", ""), 2, "the word 'b' has no label"),
        (conllu_line("1", "a") + conllu_line("2", ""), 2, "there is no word"),
        (conllu_line("x", "a"), 1, "the first field is 'x'"),
        (conllu_line("1", "a") + "\n" + conllu_line("1-x", "a"), 3, "the first field is '1-x'"),
        (conllu_line("1-2-3", "a"), 1, "the first field is '1-2-3'"),
        (conllu_line("²", "a"), 1, "the first field is '²'"),
        (conllu_line("-1", "a"), 1, "the first field is '-1'"),
        (conllu_line("1.x", "a"), 1, "the first field is '1.x'"),
        (conllu_line("", "a"), 1, "the first field is ''"),
    ],
)
def test_broken_conllu(tmp_path: Path, lines: str, line: int, found: str) -> None:
    error = refusal(write(tmp_path, "a.conllu", lines))
    assert (error.line, error.found) == (line, found)


@pytest.mark.parametrize(
    ("lines", "line", "found"),
    [
        ("a O\nb\n", 2, "this line has 1 field"),
        ("a O\n\nb c O\n", 3, "this line has 3 fields"),
        ("a\nb\n", 1, "this line has 1 field"),
        ("a\tO\nb\t\n", 2, "the word 'b' has no label"),
        ("a\tO\n\tO\n", 2, "there is no word"),
    ],
)
def test_broken_conll(tmp_path: Path, lines: str, line: int, found: str) -> None:
    error = refusal(write(tmp_path, "a.conll", lines))
    assert (error.line, error.found) == (line, found)


@pytest.mark.parametrize(
    ("row", "found"),
    [
        ('{"text": ["b", "c"], "label": ["O"]}', "2 words and 1 labels"),
        ('{"text": [], "label": []}', "a row without words"),
        ('{"text": ["b"]}', "there is no column 'label'"),
        ('{"label": ["O"]}', "there is no column 'text'"),
        ('{"text": "b c", "label": ["O"]}', "column 'text' is no list of words"),
        ('{"text": "[b] c", "label": ["O"]}', "column 'text' is no list of words"),
        ('{"text": "", "label": ["O"]}', "column 'text' is no list of words"),
        ('{"text": null, "label": ["O"]}', "column 'text' is no list of words"),
        ('{"text": ["b", 2], "label": ["O", "O"]}', "column 'text' is no list of words"),
        ('{"text": ["b", ["c"]], "label": ["O", "O"]}', "column 'text' is no list of words"),
        ('{"text": ["b", " "], "label": ["O", "O"]}', "column 'text' is no list of words"),
        ('{"text": ["b"], "label": [null]}', "column 'label' is no list of words"),
        ('{"text": {"b": 1}, "label": ["O"]}', "column 'text' is no list of words"),
        ('{"text": 3, "label": ["O"]}', "column 'text' is no list of words"),
        ('{"text": ["b"], "label"', "this line is no JSON (Expecting ':' delimiter at character 24)"),
        ('["b"]', "this line is JSON, but no object"),
    ],
)
def test_broken_jsonl(tmp_path: Path, row: str, found: str) -> None:
    good = '{"text": ["a"], "label": ["O"]}'
    error = refusal(write(tmp_path, "a.jsonl", f"{good}\n\n{row}\n{good}\n"))
    assert (error.line, error.found) == (3, found)


@pytest.mark.parametrize(
    ("content", "line", "found"),
    [
        ("text\tlabel\na b\tO O\nc d\tO\n", 3, "2 words and 1 labels"),
        ("text\tlabel\na\tO\n\t\n", 3, "a row without words"),
        ("text\ttags\na\tO\n", 1, "there is no column 'label'"),
        ("text\tlabel\na\n", 2, "this row has 1 field"),
    ],
)
def test_broken_tables(tmp_path: Path, content: str, line: int, found: str) -> None:
    error = refusal(write(tmp_path, "a.tsv", content))
    assert (error.line, error.found) == (line, found)


@pytest.mark.parametrize(
    ("name", "content", "found"),
    [
        *((f"a{suffix}", "", "the file is empty") for suffix in (".conllu", ".conll", ".jsonl", ".tsv")),
        ("a.conllu", "# only a comment\n\n", "there is no sentence"),
        ("a.conllu", conllu_line("1-2", "a") + conllu_line("1.1", "b"), "there is no sentence"),
        ("a.conll", "-DOCSTART- O\n\n", "there is no sentence"),
        ("a.conll", "\n \n", "there is no sentence"),
        ("a.jsonl", "\n", "the table has no rows"),
        ("a.tsv", "text\tlabel\n", "the table has no rows"),
        ("a.xml", "<a/>", "the suffix '.xml' names no table format"),
    ],
)
def test_files_without_sentences(tmp_path: Path, name: str, content: str, found: str) -> None:
    assert refusal(write(tmp_path, name, content)).found == found
