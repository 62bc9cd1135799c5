"""A store gives back what was written, tells every flipped byte, and never leaves a half-written one behind."""

import json
import random
import shutil
from pathlib import Path

import numpy as np
import pytest

from bertwright import blocks
from bertwright.config import TokenizerSettings
from bertwright.errors import UserError
from bertwright.store import DOCUMENT, Store, StoreWriter, entropy
from bertwright.tokenizer import Tokenizer

TEXTS = ("今天天气很好", "walking in the park", "the weather today", "公园 park 12")
IN_PIECES = "parking talks wether"


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer.train(TEXTS * 5, TokenizerSettings(vocabulary_size=70))


def documents(tokenizer: Tokenizer, count: int = 40) -> list[tuple[str, list[np.ndarray], str, str, bool]]:
    draw = random.Random(1)
    made = []
    for number in range(count):
        segments = tokenizer.encode_batch([draw.choice((*TEXTS, IN_PIECES)) for _ in range(draw.randint(1, 5))])
        made.append((f"编号-{number}", segments, draw.choice(("zh", "en")), f"file-{number % 3}", number % 7 == 0))
    return made


def write(folder: Path, tokenizer: Tokenizer, made: list[tuple[str, list[np.ndarray], str, str, bool]]) -> None:
    with StoreWriter(folder, tokenizer) as writer:
        for record_id, segments, language, source, held_out in made:
            writer.add(record_id, segments, language, source, held_out=held_out)
        writer.add_json("doctor.json", {"warnings": []})


@pytest.fixture
def store(tmp_path: Path, tokenizer: Tokenizer) -> Store:
    write(tmp_path / "store", tokenizer, documents(tokenizer))
    return Store.open(tmp_path / "store")


# ---------------------------------------------------------------------------------------------- what was written


def test_everything_comes_back(store: Store, tokenizer: Tokenizer):
    made = documents(tokenizer)
    assert store.num_documents == len(made)
    assert store.num_tokens == sum(len(segment) for _, segments, *_ in made for segment in segments)
    assert store.num_held_out == sum(held_out for *_, held_out in made)
    assert store.documents.dtype == DOCUMENT
    assert len(store.documents) == len(made) + 1
    assert len(store.segment_offsets) == store.num_segments + 1
    for number, (record_id, segments, language, source, held_out) in enumerate(made):
        row, following = store.documents[number], store.documents[number + 1]
        assert store.document_id(number) == record_id
        assert store.languages[row["language"]] == language
        assert store.sources[row["source"]] == source
        assert bool(row["held_out"]) == held_out
        bounds = store.segment_offsets[row["segment_offset"] : following["segment_offset"] + 1]
        assert len(bounds) == len(segments) + 1
        assert (bounds[0], bounds[-1]) == (row["token_offset"], following["token_offset"])
        for segment, begin, end in zip(segments, bounds[:-1], bounds[1:], strict=True):
            assert np.array_equal(store.tokens(begin, end), segment)
            assert np.array_equal(store.begins_word(begin, end), tokenizer.begins_word(segment))
    assert store.tokenizer().hash == store.tokenizer_hash == tokenizer.hash
    assert 0.1 < store.begins_word(0, store.num_tokens).mean() < 0.9


def test_small_buffers_write_the_same_bytes(store: Store, tokenizer: Tokenizer, monkeypatch: pytest.MonkeyPatch):
    """Whatever the sizes of the parts that are written, and where they end within a byte of words.bin or a block."""
    folder = store.folder
    for tokens, segments, part in ((1, 10**9, 10**9), (10**9, 3, 10**9), (50, 7, 10**9), (10**9, 10**9, 9)):
        monkeypatch.setattr("bertwright.store._SLICE", part)
        monkeypatch.setattr("bertwright.store._BUFFERED_TOKENS", tokens)
        monkeypatch.setattr("bertwright.store._BUFFERED_SEGMENTS", segments)
        other = folder.with_name("other")
        write(other, tokenizer, documents(tokenizer))
        for file in sorted(folder.iterdir()):
            assert (other / file.name).read_bytes() == file.read_bytes(), file.name


def test_counts_leave_the_held_out_documents_out(store: Store, tokenizer: Tokenizer):
    training = [segment for _, segments, _, _, held_out in documents(tokenizer) for segment in segments if not held_out]
    expected = np.bincount(np.concatenate(training), minlength=tokenizer.vocabulary_size)
    assert np.array_equal(store.unigram_counts, expected)
    shares = expected[expected > 0] / expected.sum()
    assert store.unigram_entropy == pytest.approx(-(shares * np.log(shares)).sum())


def test_every_segment_begins_with_a_word(tmp_path: Path):
    tokenizer = Tokenizer.train(["ab", "cd"], TokenizerSettings(kind="characters", minimum_frequency=1))
    with StoreWriter(tmp_path / "store", tokenizer) as writer:
        writer.add("a", tokenizer.encode_batch(["ab", "cd"]), "und", "f", held_out=False)
        writer.add("b", tokenizer.encode_batch(["a b"]), "und", "f", held_out=False)
    assert Store.open(tmp_path / "store").begins_word(0, 7).tolist() == [True, False, True, False, True, True, True]


def test_entropy_of_equal_shares_is_the_logarithm_of_their_number():
    assert entropy(np.array([5, 5, 0, 5, 5])) == pytest.approx(np.log(4))


def test_empty_segments_and_documents_are_left_out(tmp_path: Path, tokenizer: Tokenizer):
    ids, nothing = tokenizer.encode("park"), np.empty(0, dtype=np.int32)
    with StoreWriter(tmp_path / "store", tokenizer) as writer:
        assert writer.add("a", [nothing, ids, nothing], "und", "f", held_out=False) == len(ids)
        assert writer.add("b", [nothing], "und", "f", held_out=True) == 0
        assert writer.add("", [ids, ids], "und", "f", held_out=True) == 2 * len(ids)
    store = Store.open(tmp_path / "store")
    assert (store.num_documents, store.num_segments, store.num_held_out) == (2, 3, 1)
    assert [store.document_id(0), store.document_id(1)] == ["a", ""]


@pytest.mark.parametrize(("size", "expected"), [(2**16, np.uint16), (2**16 + 1, np.uint32)])
def test_large_vocabularies_get_wider_ids(size: int, expected: type, tmp_path: Path):
    symbols = [f"s{number:05}" for number in range(size - 5)]
    settings = TokenizerSettings(kind="symbols", vocabulary_size=size, minimum_frequency=1)
    tokenizer = Tokenizer.train([" ".join(symbols)], settings)
    assert tokenizer.vocabulary_size == size
    with StoreWriter(tmp_path / "store", tokenizer) as writer:
        writer.add("a", tokenizer.encode_batch([" ".join(symbols[-3:])]), "und", "f", held_out=False)
    tokens = Store.open(tmp_path / "store").tokens(0, 3)
    assert tokens.dtype == expected
    assert tokens.tolist() == [size - 3, size - 2, size - 1]


def test_opening_reads_no_tokens(store: Store, monkeypatch: pytest.MonkeyPatch):
    """Constant time: nothing but meta.json and the checksums is read before it is asked for."""
    compared = []
    monkeypatch.setattr(
        blocks.BlockReader, "_compare", lambda reader, block: compared.append((reader._path.name, block))
    )
    opened = Store.open(store.folder)
    assert compared == []
    opened.tokens(0, 1)
    assert compared == [("tokens.bin", 0)]


def test_a_block_is_compared_once(tmp_path: Path, tokenizer: Tokenizer, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(blocks, "BLOCK", 64)
    monkeypatch.setattr("bertwright.store.BLOCK", 64)
    write(tmp_path / "store", tokenizer, documents(tokenizer))
    store = Store.open(tmp_path / "store")
    assert json.loads((tmp_path / "store/meta.json").read_text(encoding="utf-8"))["block"] == 64
    store.verify()
    compared = []
    compare = blocks.BlockReader._compare
    monkeypatch.setattr(
        blocks.BlockReader, "_compare", lambda reader, block: (compared.append(block), compare(reader, block))
    )
    store = Store.open(tmp_path / "store")
    for _ in range(2):
        store.tokens(31, 33)  # two bytes a token: across the end of block 0
        store.tokens(40, 60)
    assert compared == [0, 1]
    store.tokens(100, 101)
    assert compared == [0, 1, 3]


# ---------------------------------------------------------------------------------------------- damage


def read_everything(folder: Path) -> None:
    store = Store.open(folder)
    store.tokens(0, store.num_tokens)
    store.begins_word(0, store.num_tokens)
    _ = store.documents, store.segment_offsets, store.unigram_counts
    for number in range(store.num_documents):
        store.document_id(number)
    store.tokenizer()


def names_of_files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_every_flipped_byte_is_found(tmp_path: Path, tokenizer: Tokenizer):
    write(tmp_path / "store", tokenizer, documents(tokenizer, 5))
    draw = random.Random(1)
    names = names_of_files(tmp_path / "store")
    assert len(names) == 12
    for name in names:
        file = tmp_path / "store" / name
        data = file.read_bytes()
        for place in {0, len(data) - 1, *(draw.randrange(len(data)) for _ in range(20))}:
            flipped = bytes([data[place] ^ (1 << draw.randrange(8))])
            file.write_bytes(data[:place] + flipped + data[place + 1 :])
            with pytest.raises(UserError):
                Store.open(tmp_path / "store").verify()
            if name != "doctor.json":  # nobody reads it through the store
                with pytest.raises(UserError):
                    read_everything(tmp_path / "store")
        file.write_bytes(data)
    read_everything(tmp_path / "store")


def test_damage_is_told_with_file_and_block(store: Store):
    file = store.folder / "tokens.bin"
    data = bytearray(file.read_bytes())
    data[7] ^= 1
    file.write_bytes(data)
    with pytest.raises(UserError, match=r"tokens\.bin: bytes 0 to [0-9,]+ \(block 0\) are damaged") as error:
        Store.open(store.folder).tokens(0, 10)
    assert "prepare" in error.value.advice


def test_torn_and_missing_files_are_told(store: Store, tmp_path: Path):
    for name in names_of_files(store.folder):
        copy = tmp_path / "copy"
        shutil.copytree(store.folder, copy)
        data = (copy / name).read_bytes()
        (copy / name).write_bytes(data[: len(data) // 2])
        with pytest.raises(UserError, match=name.replace(".", r"\.")):
            Store.open(copy)
        (copy / name).unlink()
        with pytest.raises(UserError, match="no store" if name == "meta.json" else name.replace(".", r"\.")):
            Store.open(copy)
        shutil.rmtree(copy)


def test_a_folder_that_is_no_store_is_told(tmp_path: Path):
    with pytest.raises(UserError, match="there is no store"):
        Store.open(tmp_path / "nothing")
    with pytest.raises(UserError, match="holds no store"):
        Store.open(tmp_path)


def test_a_store_of_another_version_is_told(store: Store, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("bertwright.store.VERSION", 2)
    with pytest.raises(UserError, match="version 1") as error:
        Store.open(store.folder)
    assert "version 2" in error.value.expected


# ---------------------------------------------------------------------------------------------- replacing


class Stop(BaseException):
    """Ctrl-C, from within."""


@pytest.mark.parametrize("error", [Stop, OSError])
def test_an_interrupted_store_leaves_the_old_one(error: type[BaseException], store: Store, tokenizer: Tokenizer):
    before = {path.name: path.read_bytes() for path in store.folder.iterdir()}

    def interrupted() -> None:
        with StoreWriter(store.folder, tokenizer) as writer:
            writer.add("x", [tokenizer.encode("park")], "und", "f", held_out=False)
            writer.flush()
            raise error

    with pytest.raises(error):
        interrupted()
    assert {path.name: path.read_bytes() for path in store.folder.iterdir()} == before
    assert names_of_files(store.folder.parent) == ["store"]


@pytest.mark.parametrize("place", ["flush", "_finish", "_describe"])
def test_a_full_disk_at_any_point_leaves_the_old_store(
    place: str, store: Store, tokenizer: Tokenizer, monkeypatch: pytest.MonkeyPatch
):
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    before = {path.name: path.read_bytes() for path in store.folder.iterdir()}
    with monkeypatch.context() as context, pytest.raises(OSError, match="No space"):
        context.setattr(StoreWriter, place, full)
        write(store.folder, tokenizer, documents(tokenizer, 3))
    assert {path.name: path.read_bytes() for path in store.folder.iterdir()} == before
    assert names_of_files(store.folder.parent) == ["store"]


def test_a_whole_new_store_replaces_the_old_one(store: Store, tokenizer: Tokenizer):
    write(store.folder, tokenizer, documents(tokenizer, 3))
    assert Store.open(store.folder).num_documents == 3
    assert names_of_files(store.folder.parent) == ["store"]


def test_a_crash_between_the_two_renames_is_mended(store: Store):
    store.folder.rename(store.folder.with_name(".old-store"))
    assert Store.open(store.folder).num_documents == store.num_documents


def test_nothing_but_a_store_is_replaced(tmp_path: Path, tokenizer: Tokenizer):
    (tmp_path / "thesis.txt").write_text("years of work", encoding="utf-8")
    for target in (tmp_path, tmp_path / "thesis.txt"):
        with pytest.raises(UserError, match="this is no store"):
            write(target, tokenizer, documents(tokenizer, 3))
    assert (tmp_path / "thesis.txt").read_text(encoding="utf-8") == "years of work"
    (tmp_path / "empty").mkdir()
    write(tmp_path / "empty", tokenizer, documents(tokenizer, 3))
    assert Store.open(tmp_path / "empty").num_documents == 3
