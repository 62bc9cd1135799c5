"""Finding files, and reading them as checked text."""

import gzip
import lzma
import os
import random
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bertwright.corpus import files
from bertwright.corpus.files import open_text, resolve, table_format
from bertwright.errors import UserError

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd


def zstd_compress(content: bytes) -> bytes:
    """With a checksum, as the command `zstd` writes."""
    return zstd.compress(content, options={zstd.CompressionParameter.checksum_flag: 1})


PACK: dict[str, Callable[[bytes], bytes]] = {".gz": gzip.compress, ".xz": lzma.compress, ".zst": zstd_compress}


def write(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def read_lines(path: Path) -> list[str]:
    with open_text(path) as stream:
        return list(stream)


def refusal(path: Path) -> UserError:
    """The message for a file that is read line by line."""
    with pytest.raises(UserError) as raised:
        read_lines(path)
    assert raised.value.file == path
    return raised.value


# --- finding


def test_files_folders_and_patterns_come_sorted_and_once(tmp_path: Path):
    names = ["b.txt", "a.txt", "deep/er/c.txt", "deep/d.csv", ".hidden", "deep/.git/config"]
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x", encoding="utf-8")
    found = resolve([str(tmp_path), str(tmp_path / "*.txt"), str(tmp_path / "deep" / ".." / "b.txt")])
    assert [path.resolve().relative_to(tmp_path.resolve()).as_posix() for path in found] == [
        "a.txt",
        "b.txt",
        "deep/d.csv",
        "deep/er/c.txt",
    ]
    assert resolve([str(tmp_path / "**" / "*.csv")]) == [tmp_path / "deep" / "d.csv"]
    assert len(resolve([str(tmp_path / "d*")])) == 2  # a folder that a pattern matches is walked as well


def test_a_variable_is_expanded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    file = write(tmp_path / "a.txt", b"x")
    monkeypatch.setenv("SOME_FOLDER", str(tmp_path))
    assert resolve(["$SOME_FOLDER/a.txt"]) == [file]
    monkeypatch.delenv("SOME_FOLDER")
    with pytest.raises(UserError, match="SOME_FOLDER"):
        resolve(["$SOME_FOLDER/a.txt"])


def test_a_name_with_brackets_is_a_name_first(tmp_path: Path):
    file = write(tmp_path / "a[1].txt", b"x")
    assert resolve([str(file)]) == [file]


@pytest.mark.parametrize(
    ("pattern", "found"),
    [("missing.txt", "the file is missing"), ("*.none", "no file matches"), ("empty", "the folder holds no file")],
)
def test_what_matches_nothing_is_told(tmp_path: Path, pattern: str, found: str):
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=found) as raised:
        resolve([str(tmp_path / pattern)])
    assert raised.value.file == tmp_path / pattern


def test_no_pattern_at_all_is_told():
    with pytest.raises(UserError, match="no file is named"):
        resolve([])


@pytest.fixture
def without_privileges() -> Iterator[Path]:
    """A folder that everyone may enter, while this process is no superuser, whom permissions do not hold back."""
    if not hasattr(os, "geteuid"):
        pytest.skip("this system has no such permissions")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        (folder / "file.txt").write_text("x", encoding="utf-8")
        (folder / "locked").mkdir()
        (folder / "locked" / "file.txt").write_text("x", encoding="utf-8")
        (folder / "file.txt").chmod(0)
        (folder / "locked").chmod(0)
        before = os.geteuid()
        if before == 0:
            os.seteuid(65534)
        try:
            yield folder
        finally:
            if before == 0:
                os.seteuid(0)
            (folder / "locked").chmod(0o755)


def test_what_may_not_be_read_is_told(without_privileges: Path):
    assert "Permission denied" in refusal(without_privileges / "file.txt").found
    for pattern in (without_privileges, without_privileges / "locked" / "file.txt"):  # not silently left out
        with pytest.raises(UserError, match="Permission denied"):
            resolve([str(pattern)])


@pytest.mark.parametrize(
    ("name", "suffix"), [("a.csv", ".csv"), ("a.b.CSV.gz", ".csv"), ("a.gz", ""), ("a.json.zst", ".json"), ("a", "")]
)
def test_the_suffix_before_the_compression_tells_the_format(name: str, suffix: str):
    assert table_format(Path(name)) == suffix


# --- reading


@pytest.mark.parametrize("suffix", ["", ".gz", ".xz", ".zst"])
def test_every_compression_gives_the_same_text(tmp_path: Path, suffix: str):
    content = "第一行\nsecond\r\nlast".encode()
    path = write(tmp_path / f"a.txt{suffix}", PACK[suffix](content) if suffix else content)
    assert read_lines(path) == ["第一行\n", "second\n", "last"]


def test_byte_order_mark_and_line_ends_are_harmless(tmp_path: Path):
    path = write(tmp_path / "a.txt", b"\xef\xbb\xbfa\r\nb\rc\n\xef\xbb\xbfd\n")
    assert read_lines(path) == ["a\n", "b\n", "c\n", "\ufeffd\n"]  # only the first one is a mark
    with open_text(path) as stream:
        assert stream.read() == "a\nb\nc\n\ufeffd\n"


def test_only_line_ends_end_lines(tmp_path: Path):
    path = write(tmp_path / "a.txt", "a\x0bb\x0cc\x85d\u2028e\x1cf\n".encode())
    assert len(read_lines(path)) == 1


@pytest.mark.parametrize("content", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("suffix", ["", ".gz", ".xz", ".zst"])
def test_empty_file(tmp_path: Path, suffix: str, content: bytes):
    path = write(tmp_path / f"a.txt{suffix}", PACK[suffix](content) if suffix else content)
    assert refusal(path).found == "the file is empty"


def test_missing_file_and_folder(tmp_path: Path):
    for suffix in ("", *PACK):
        assert refusal(tmp_path / f"missing.txt{suffix}").found == "the file is missing"
    assert refusal(tmp_path).found == "this is a folder"


def test_latin1_is_told_with_its_line(tmp_path: Path):
    error = refusal(write(tmp_path / "a.txt", b"one\ntwo\ncaf\xe9 au lait\nfour\n"))
    assert (error.line, error.found) == (3, "byte 0xE9 is no UTF-8 text")
    assert "iconv" in error.advice


def test_a_character_cut_off_at_the_end_is_told(tmp_path: Path):
    assert refusal(write(tmp_path / "a.txt", "a\n好".encode()[:-1])).line == 2


def test_encoded_surrogates_are_no_utf8(tmp_path: Path):
    assert refusal(write(tmp_path / "a.txt", b"a\n\xed\xa0\x80\n")).line == 2


def test_utf16_is_told_by_name(tmp_path: Path):
    for encoding in ("utf-16-le", "utf-16-be"):
        error = refusal(write(tmp_path / "a.txt", "\ufefftext\n".encode(encoding)))
        assert "UTF-16" in error.found


def test_nul_bytes_are_told_with_their_line(tmp_path: Path):
    error = refusal(write(tmp_path / "a.txt", b"one\r\ntwo\r\nth\0ree\n"))
    assert (error.line, error.found) == (3, "there is a NUL byte")


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("bad", [b"\0", b"\xff"])
@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_the_line_is_right_far_into_a_file(tmp_path: Path, end: str, bad: bytes, suffix: str):
    """Line ends and characters fall on both sides of the blocks' edges."""
    chosen = random.Random(len(end))
    lines = ["好a" * chosen.randrange(20) for _ in range(30_000)]
    for line in (12_345, 29_999):
        encoded = [line.encode() for line in lines]
        encoded[line - 1] = b"\xe5\xa5\xbd" + bad + b"a"
        content = end.encode().join(encoded)
        path = write(tmp_path / f"a.txt{suffix}", gzip.compress(content, 1) if suffix else content)
        assert refusal(path).line == line


@pytest.mark.parametrize("bad", [b"\0", b"\xff"])
def test_the_line_is_right_wherever_blocks_end(tmp_path: Path, bad: bytes, monkeypatch: pytest.MonkeyPatch):
    chosen = random.Random(1)
    for _ in range(100):
        monkeypatch.setattr(files, "_BLOCK", chosen.randrange(4, 12))
        ends = [chosen.choice((b"\n", b"\r\n", b"\r")) for _ in range(chosen.randrange(60))]
        content = b"".join("好a".encode() * chosen.randrange(3) + end for end in ends)
        num_lines = len(content.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n"))
        assert refusal(write(tmp_path / "a.txt", content + bad + content)).line == num_lines


@pytest.mark.parametrize("suffix", list(PACK))
def test_a_torn_archive_is_told_with_the_line(tmp_path: Path, suffix: str):
    lines = [str(random.Random(number).random()) for number in range(20_000)]
    packed = PACK[suffix]("\n".join(lines).encode())
    path = write(tmp_path / f"a.txt{suffix}", packed[: len(packed) * 3 // 4])
    read = []
    with pytest.raises(UserError, match="torn or damaged") as raised, open_text(path) as stream:
        read.extend(stream)
    assert raised.value.file == path
    assert raised.value.line is not None
    assert len(read) <= raised.value.line <= len(lines)
    if suffix == ".gz":
        assert raised.value.line > len(lines) // 2
    damaged = bytearray(packed)
    damaged[len(packed) // 2] ^= 0x55
    assert "torn or damaged" in refusal(write(path, bytes(damaged))).found
    assert "torn or damaged" in refusal(write(path, b"no archive at all")).found
    if suffix == ".gz":
        damaged[10] = 0xFF  # the first byte after the header
        assert "invalid block type" in refusal(write(path, bytes(damaged))).found


def test_a_line_too_long_for_any_text_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(files, "LONGEST", 200_000)
    long = b"x" * 199_000
    assert len(read_lines(write(tmp_path / "a.txt", long + b"\n" + long + b"\r" + long))) == 3
    assert len(read_lines(write(tmp_path / "a.txt", b"\r".join([long] * 10)))) == 10
    error = refusal(write(tmp_path / "a.txt", b"first\n" + b"x" * 400_000))
    assert error.line == 2
    assert "longer than 200,000 bytes" in error.found
