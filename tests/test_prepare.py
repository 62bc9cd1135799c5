"""prepare: what is in the store is what was in the files, split as asked, in bounded memory."""

import json
import random
import runpy
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bertwright.config import PretrainRecipe, TokenizerSettings
from bertwright.errors import UserError
from bertwright.prepare import BLOCK_TOKENS, check_settings, prepare
from bertwright.pretrain import pretrain
from bertwright.recipe import parse
from bertwright.store import Store, StoreWriter
from bertwright.tokenizer import Tokenizer

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


def recipe(folder: Path, file: Path | str, *, tokenizer: dict[str, Any] | None = None, **corpus: Any) -> PretrainRecipe:
    values = {
        "run": str(folder / "run"),
        "store": str(folder / "store"),
        "corpus": {"files": [str(file)], "held_out": 0.2, **corpus},
        "tokenizer": tokenizer or {"kind": "characters", "minimum_frequency": 1},
        "train": {"steps": 1},
    }
    return parse(PretrainRecipe, values)


def texts(count: int = 60, seed: int = 1) -> list[str]:
    draw = random.Random(seed)
    words = ("今天", "天气", "很好", "park", "walking", "我们", "today", "去", "公园", "the")
    return [f"第{number}号。" + "".join(draw.choices(words, k=8)) + "。" for number in range(count)]


def write(path: Path, lines: list[str]) -> Path:
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


def stored_texts(store: Store) -> list[tuple[str, str, bool]]:
    """Id, text and held-out bit of every document."""
    tokenizer, rows = store.tokenizer(), store.documents
    offsets = rows["token_offset"]
    return [
        (
            store.document_id(n),
            tokenizer.decode(store.tokens(offsets[n], offsets[n + 1])),
            bool(rows["held_out"][n]),
        )
        for n in range(store.num_documents)
    ]


# ---------------------------------------------------------------------------------------------- contents


def test_every_text_is_stored_once_and_split_by_its_hash(tmp_path: Path):
    lines = texts(200)
    file = write(tmp_path / "corpus.txt", [*lines, "", lines[3], "  "])
    result = prepare(recipe(tmp_path, file))
    store = Store.open(tmp_path / "store")
    documents = stored_texts(store)
    assert [text for _, text, _ in documents] == lines
    assert [name for name, _, _ in documents] == [f"{file.as_posix()}:{n}" for n in range(1, 201)]
    held_out = [text for _, text, hidden in documents if hidden]
    assert 20 <= len(held_out) <= 60  # 40 expected
    assert (result["records"], result["duplicates"], result["empty"]) == (200, 1, 2)
    assert (result["documents"], result["held_out_documents"]) == (200, len(held_out))
    assert result["tokens"] == store.num_tokens == sum(map(len, lines))
    assert result["training_tokens"] == store.num_tokens - sum(map(len, held_out)) == store.unigram_counts.sum()
    assert store.num_segments == 400  # two sentences each
    # The split hangs on the text alone: in another order, with other texts around, the same are held out.
    others = texts(30, seed=2)
    prepare(recipe(tmp_path, write(tmp_path / "corpus.txt", [*reversed(lines), *others])))
    again = {text for _, text, hidden in stored_texts(Store.open(tmp_path / "store")) if hidden}
    assert again & set(lines) == set(held_out)


@pytest.mark.parametrize("kind", ["wordpiece", "bpe", "characters", "symbols"])
def test_the_same_corpus_gives_the_same_bytes(kind: str, tmp_path: Path):
    file = write(tmp_path / "corpus.txt", texts())
    settings = {"kind": kind, "vocabulary_size": 400, "minimum_frequency": 1}
    contents = []
    for _ in range(2):
        prepare(recipe(tmp_path, file, tokenizer=settings))
        contents.append({path.name: path.read_bytes() for path in (tmp_path / "store").iterdir()})
    assert contents[0] == contents[1]


def test_batches_do_not_show(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    file = write(tmp_path / "corpus.txt", texts())
    contents = []
    for characters, segments in ((10**9, 10**9), (1, 10**9), (300, 7)):
        monkeypatch.setattr(import_module("bertwright.prepare"), "_BATCH_CHARACTERS", characters)
        monkeypatch.setattr(import_module("bertwright.prepare"), "_BATCH_SEGMENTS", segments)
        prepare(recipe(tmp_path, file))
        contents.append({path.name: path.read_bytes() for path in (tmp_path / "store").iterdir()})
    assert contents[0] == contents[1] == contents[2]


def test_the_tokenizer_is_learnt_from_the_training_part_only(tmp_path: Path):
    """Each text has a character of its own; those of held-out texts are unknown."""
    lines = [chr(0x4E00 + number) for number in range(200)]
    prepare(recipe(tmp_path, write(tmp_path / "corpus.txt", lines)))
    store = Store.open(tmp_path / "store")
    unknown = [text == "[UNK]" for _, text, _ in stored_texts(store)]
    assert unknown == [hidden for *_, hidden in stored_texts(store)]
    assert 0 < sum(unknown) < 100


def test_a_tokenizer_can_be_taken_from_a_folder(tmp_path: Path):
    lines = texts()
    other = Tokenizer.train(lines, recipe(tmp_path, "x", tokenizer={"vocabulary_size": 60}).tokenizer)
    other.save(tmp_path / "tokenizer")
    file = write(tmp_path / "corpus.txt", lines)
    result = prepare(recipe(tmp_path, file, tokenizer={"folder": str(tmp_path / "tokenizer")}))
    assert result["tokenizer_hash"] == other.hash == Store.open(tmp_path / "store").tokenizer_hash


def test_the_tokenizer_knows_the_models_length(tmp_path: Path):
    values = recipe(tmp_path, write(tmp_path / "corpus.txt", texts())).model_dump(exclude_none=True)
    values["model"] = {"max_length": 256}
    prepare(parse(PretrainRecipe, values))
    assert Store.open(tmp_path / "store").tokenizer().max_length == 256


def test_the_data_page_is_stored_and_returned(tmp_path: Path):
    result = prepare(recipe(tmp_path, write(tmp_path / "corpus.txt", texts())))
    page = json.loads((tmp_path / "store/doctor.json").read_text(encoding="utf-8"))
    assert page == result["page"]
    assert page["files"][0]["tokens"] == result["tokens"]
    assert page["unigram_entropy"] == pytest.approx(Store.open(tmp_path / "store").unigram_entropy)


def test_languages_come_from_their_column(tmp_path: Path):
    rows = [f"{'zh' if n % 2 else 'en'}\t{text}" for n, text in enumerate(texts())]
    file = write(tmp_path / "corpus.tsv", ["lang\ttext", *rows])
    prepare(recipe(tmp_path, file, reader="table", language_column="lang"))
    store = Store.open(tmp_path / "store")
    assert [store.languages[code] for code in store.documents["language"][:4]] == ["en", "zh", "en", "zh"]


def test_a_store_of_other_settings_is_told(tmp_path: Path):
    """Files may have moved, and what a store does not depend on may change; nothing else."""
    file = write(tmp_path / "corpus.txt", texts())
    prepare(recipe(tmp_path, file))
    store = Store.open(tmp_path / "store")
    (tmp_path / "moved").mkdir()
    check_settings(store, recipe(tmp_path, file.rename(tmp_path / "moved" / file.name)).model_copy(update={"run": "x"}))
    for changed, found in (
        (recipe(tmp_path, file, reader="sentences"), "corpus.reader = 'sentences', .* prepared with 'lines'"),
        (recipe(tmp_path, "other.txt"), "corpus.files"),
        (recipe(tmp_path, file, tokenizer={"kind": "bpe"}), "tokenizer.kind"),
    ):
        with pytest.raises(UserError, match=found) as error:
            check_settings(store, changed)
        assert error.value.file == store.folder
        assert "store=FOLDER" in (error.value.advice or "")
    with pytest.raises(UserError, match=r"held_out = 0\.1"):
        pretrain(recipe(tmp_path, file, held_out=0.1))


def test_progress_ends_where_all_is_done(tmp_path: Path):
    told: list[tuple[str, int, int | None]] = []
    file = write(tmp_path / "corpus.txt", texts())
    result = prepare(recipe(tmp_path, file), lambda stage, done, total: told.append((stage, done, total)))
    assert [stage for stage, *_ in told if stage == "tokenizer"]
    assert told[-1] == ("encoding", result["characters"], result["characters"])
    Store.open(tmp_path / "store").tokenizer().save(tmp_path / "kept")
    told.clear()  # with a tokenizer that is there, nobody has counted before
    given = recipe(tmp_path, file).model_copy(update={"tokenizer": TokenizerSettings(folder=str(tmp_path / "kept"))})
    prepare(given, lambda stage, done, total: told.append((stage, done, total)))
    assert told[0] == ("encoding", 0, None)
    assert told[-1] == ("encoding", result["characters"], result["characters"])


# ---------------------------------------------------------------------------------------------- the held-out part


def test_columns_are_held_out_together(tmp_path: Path):
    rows = [f"work{number % 20}\t{text}" for number, text in enumerate(texts(200))]
    file = write(tmp_path / "corpus.tsv", ["work\ttext", *rows])
    prepare(recipe(tmp_path, file, reader="table", held_out_by="column", held_out_column="work"))
    sides: dict[str, set[bool]] = {}
    for row, (_, text, hidden) in zip(rows, stored_texts(Store.open(tmp_path / "store")), strict=True):
        assert row.endswith(text)
        sides.setdefault(row.split("\t")[0], set()).add(hidden)
    assert all(len(side) == 1 for side in sides.values())
    assert {True} in sides.values()
    assert {False} in sides.values()


def test_long_records_are_cut_into_blocks(tmp_path: Path):
    draw = random.Random(1)
    lines = ["".join(draw.choices("acgt", k=length)) for length in (400_123, 9_999, 10_000, 25_000)]
    file = write(tmp_path / "corpus.txt", lines)
    settings = recipe(tmp_path, file, held_out_by="block")
    prepare(settings)
    documents = stored_texts(Store.open(tmp_path / "store"))
    sizes = [len(text) for _, text, _ in documents]
    assert sizes == [BLOCK_TOKENS] * 40 + [123, 9_999, 10_000] + [BLOCK_TOKENS] * 2 + [5_000]
    assert "".join(text for _, text, _ in documents[:41]) == lines[0]
    assert [name for name, _, _ in documents[39:43]] == [
        f"{file.as_posix()}:{n}" for n in ("1#39", "1#40", "2#0", "3#0")
    ]
    assert 2 <= sum(hidden for *_, hidden in documents) <= 20  # 9 expected


def test_equal_blocks_fall_on_the_same_side(tmp_path: Path):
    draw = random.Random(1)
    passage = "".join(draw.choices("acgt", k=BLOCK_TOKENS))
    rests = ["".join(draw.choices("acgt", k=30_000)) for _ in range(8)]
    file = write(tmp_path / "corpus.txt", [passage + rest for rest in rests])
    prepare(recipe(tmp_path, file, held_out_by="block", held_out=0.5))
    sides = {hidden for _, text, hidden in stored_texts(Store.open(tmp_path / "store")) if text == passage}
    assert len(sides) == 1


def test_blocks_span_segments(tmp_path: Path):
    line = "".join(f"{number:05}天。" for number in range(4000))  # 28,000 characters in sentences of 7
    prepare(recipe(tmp_path, write(tmp_path / "corpus.txt", [line]), held_out_by="block", held_out=0.5))
    store = Store.open(tmp_path / "store")
    assert "".join(text for _, text, _ in stored_texts(store)) == line
    lengths = np.diff(store.segment_offsets)
    assert set(lengths.tolist()) == {7, 10_000 % 7, 7 - 10_000 % 7, 20_000 % 7, 7 - 20_000 % 7}


@pytest.mark.parametrize(("held_out", "advice"), [(0.001, "held_out=0.5"), (0.999, "lower")])
def test_a_part_without_documents_is_told(held_out: float, advice: str, tmp_path: Path):
    file = write(tmp_path / "corpus.txt", texts(3))
    tokenizer = Tokenizer.train(texts(), recipe(tmp_path, file).tokenizer)
    tokenizer.save(tmp_path / "tokenizer")
    settings = recipe(tmp_path, file, tokenizer={"folder": str(tmp_path / "tokenizer")}, held_out=held_out)
    with pytest.raises(UserError, match=r"(of the|all) 3 documents") as error:
        prepare(settings)
    assert advice in error.value.advice
    assert not (tmp_path / "store").exists()


# ---------------------------------------------------------------------------------------------- what goes wrong


def test_what_cannot_work_is_told_before_any_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    file = write(tmp_path / "corpus.txt", texts())
    monkeypatch.setattr(
        import_module("bertwright.prepare"), "_tokenizer", lambda *_: pytest.fail("the corpus was read")
    )
    with pytest.raises(UserError, match="no corpus"):
        prepare(recipe(tmp_path, file).model_copy(update={"corpus": None}))
    with pytest.raises(UserError, match="this is no store"):
        prepare(recipe(tmp_path, file).model_copy(update={"store": str(tmp_path)}))
    monkeypatch.setattr("os.access", lambda *_: False)
    with pytest.raises(UserError, match="nothing can be written"):
        prepare(recipe(tmp_path, file))


def test_an_error_in_the_corpus_leaves_the_old_store(tmp_path: Path):
    good = write(tmp_path / "corpus.txt", texts())
    prepare(recipe(tmp_path, good))
    before = {path.name: path.read_bytes() for path in (tmp_path / "store").iterdir()}
    Tokenizer.load(tmp_path / "store").save(tmp_path / "tokenizer")
    bad = tmp_path / "bad.txt"
    bad.write_bytes("\n".join(texts()).encode() + b"\nsch\xf6n\n")
    with pytest.raises(UserError, match=r"bad\.txt:61"):
        prepare(recipe(tmp_path, bad, tokenizer={"folder": str(tmp_path / "tokenizer")}))
    assert {path.name: path.read_bytes() for path in (tmp_path / "store").iterdir()} == before
    assert not list(tmp_path.glob(".*"))


def test_ctrl_c_leaves_the_old_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    file = write(tmp_path / "corpus.txt", texts())
    prepare(recipe(tmp_path, file))
    before = {path.name: path.read_bytes() for path in (tmp_path / "store").iterdir()}
    add = StoreWriter.add

    def interrupted(writer: StoreWriter, *arguments: Any, **options: Any) -> int:
        if writer.num_documents == 30:
            raise KeyboardInterrupt
        return add(writer, *arguments, **options)

    monkeypatch.setattr(StoreWriter, "add", interrupted)
    with pytest.raises(KeyboardInterrupt):
        prepare(recipe(tmp_path, file))
    assert {path.name: path.read_bytes() for path in (tmp_path / "store").iterdir()} == before
    assert not list(tmp_path.glob(".*"))


def test_text_without_tokens_is_told(tmp_path: Path):
    tokenizer = Tokenizer.train(texts(), recipe(tmp_path, "x", tokenizer={"vocabulary_size": 60}).tokenizer)
    tokenizer.save(tmp_path / "tokenizer")
    file = write(tmp_path / "corpus.txt", ["\u200b", "\u200b\u200c"])
    with pytest.raises(UserError, match="no record gave a token"):
        prepare(recipe(tmp_path, file, tokenizer={"folder": str(tmp_path / "tokenizer")}))


# ---------------------------------------------------------------------------------------------- memory


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["wordpiece", "bpe"])
def test_memory_does_not_grow_with_the_corpus(kind: str, tmp_path: Path):
    """2 MB and 20 MB, with an unspaced line of 5 MB in the large one; each in a process of its own."""
    program = BENCHMARKS / "prepare_scaling.py"
    generate = runpy.run_path(str(program))["generate"]
    peaks = []
    for size in (2_000_000, 15_000_000):
        text = tmp_path / f"{size}.txt"
        generate(text, size)
        if size > 5_000_000:
            with text.open("a", encoding="utf-8") as file:
                file.write("".join(random.Random(1).choices("acgt", k=5_000_000)) + "\n")
        command = [sys.executable, program, "--kind", kind, "--sample", "1", "--measure", text, tmp_path / "store"]
        output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        peaks.append(json.loads(output.splitlines()[-1])["peak_megabytes"])
    assert peaks[1] < peaks[0] + 150, peaks
