"""Ids equal those of `transformers`, whatever the text and however it was cut; training does not depend on chance."""

import json
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from bertwright.config import TokenizerSettings
from bertwright.errors import UserError
from bertwright.tokenizer import Tokenizer
from bertwright.vocabulary import sample

KINDS = ("wordpiece", "bpe", "characters", "symbols")

SENTENCES = (
    "今天天气很好，我们去公园散步。",
    "The weather is fine today; we're walking in the park.",
    "手机的电池不耐用，屏幕还可以。",
    "A café in Zürich doesn't open before 10 o'clock!",
    "BERT 模型有 12 层，每层 768 维。",
    "Привет, мир! 한국어 ひらがな カタカナ ไทย",
)

ODD = (
    "",
    " ",
    "a  b   c",
    "\ttabs\tand\nlines\r\n",
    "[MASK] 今[MASK]天 [SEP]x[CLS] [mask]",
    "naïve CAFÉ e\u0301a\u0300 ＡＢＣ１２３",
    "x" * 100 + " " + "x" * 101 + " " + "x" * 700,
    "我" * 700,
    "1234567890" * 70,
    "👩‍👩‍👧 ok 👍🏽!! 🇨🇳",
    "we'll they've I'M 'tis '' ' l",
    "İSTANBUL ΣΑΣ ß ẞ",
    "a\u200bb\u00a0c\u3000d\u2028e",
    "a\x1cb\x0bc\x7fd\x01",
    "▁x ▁ _ Ġ ##a",
    "(((“引号”……—— ¿qué? »«",
)


def settings(kind: str, **changes) -> TokenizerSettings:
    return TokenizerSettings(kind=kind, vocabulary_size=600, minimum_frequency=1, **changes)  # pyright: ignore


def corpus(seed: int = 1, size: int = 400) -> list[str]:
    draw = random.Random(seed)
    return [" ".join(draw.choices(SENTENCES, k=draw.randint(1, 3))) for _ in range(size)]


def long_texts() -> list[str]:
    """Texts far longer than what is encoded in one piece, some without a single space."""
    draw = random.Random(2)
    mixed = "abc def. ,!？中文字，é\t\n\u0301\u200b'l"
    unspaced = [character for character in mixed if not character.isspace()]
    texts = [
        "".join(draw.choices(mixed, k=36_000)),
        "".join(draw.choices(unspaced, k=36_000)),
        "".join(draw.choices("acgt", k=36_000)),
        "".join(draw.choices("acgt", k=40_000)) + ",.中 x" + "q" * 40_000 + "公园",
        "".join(draw.choices("今天天气很好我们去公园散步", k=36_000)),
        " " * 40_000 + "x",
        "\u0301" * 40_000 + "x" + "\u200b" * 40_000 + "y",
        "ab're" * 8_000,  # 're is one word: wherever a cut would come, the end of it decides
        "ab[MASK]" * 6_000,
        "İ" * 40_000 + "b",
        "་ཀ" * 25_000,
        "sym bol " * 10_000,
    ]
    return [*texts, "x" * 20_000 + "é" * 20_000 + "," + "x" * 50]


@pytest.fixture(scope="module")
def trained() -> dict[str, Tokenizer]:
    return {kind: Tokenizer.train(corpus(), settings(kind)) for kind in KINDS}


def write_unigram(folder: Path) -> None:
    """A tokenizer as XLM-R has it, and the names of its special tokens left to be known."""
    from tokenizers import Regex, models, normalizers, pre_tokenizers, processors, trainers
    from tokenizers import Tokenizer as Plain

    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    made = Plain(models.Unigram())
    made.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Replace(Regex(r"\s+"), " ")])
    made.pre_tokenizer = pre_tokenizers.Metaspace()
    trainer = trainers.UnigramTrainer(vocab_size=300, special_tokens=special, unk_token="<unk>", show_progress=False)
    made.train_from_iterator(corpus(), trainer)
    made.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> </s> $B </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    made.save(str(folder / "tokenizer.json"))


def their_ids(folder: Path, texts: list[str]) -> list[list[int]]:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.model_max_length = 10**9  # otherwise every long text is warned about
    return tokenizer(texts)["input_ids"]


def our_ids(tokenizer: Tokenizer, texts: list[str]) -> list[list[int]]:
    return [[tokenizer.cls_id, *ids.tolist(), tokenizer.sep_id] for ids in tokenizer.encode_batch(texts)]


# ---------------------------------------------------------------------------------------------- the same ids


@pytest.mark.parametrize("lowercase", [True, False])
@pytest.mark.parametrize("kind", KINDS)
def test_ids_are_those_of_transformers(kind: str, lowercase: bool, tmp_path: Path):
    tokenizer = Tokenizer.train(corpus(), settings(kind, lowercase=lowercase))
    tokenizer.save(tmp_path)
    # Beside a BERT config.json, transformers would rather build a WordPiece tokenizer of its own.
    (tmp_path / "config.json").write_text('{"model_type": "bert"}', encoding="utf-8")
    texts = [*ODD, *corpus(3, 200), *long_texts()]
    assert our_ids(tokenizer, texts) == their_ids(tmp_path, texts)
    assert our_ids(Tokenizer.load(tmp_path), list(ODD)) == our_ids(tokenizer, list(ODD))


@pytest.mark.parametrize("kind", KINDS)
def test_ids_are_those_of_transformers_without_a_model_beside(kind: str, trained: dict[str, Tokenizer], tmp_path: Path):
    trained[kind].save(tmp_path)
    assert our_ids(trained[kind], list(ODD)) == their_ids(tmp_path, list(ODD))


def test_transformers_frames_pairs_and_knows_the_special_tokens(trained: dict[str, Tokenizer], tmp_path: Path):
    from transformers import AutoTokenizer

    tokenizer = trained["wordpiece"]
    tokenizer.save(tmp_path)
    theirs = AutoTokenizer.from_pretrained(tmp_path)
    encoded = theirs("今天", "the park")
    first, second = tokenizer.encode("今天").tolist(), tokenizer.encode("the park").tolist()
    assert encoded["input_ids"] == [2, *first, 3, *second, 3]
    assert encoded["token_type_ids"] == [0] * (len(first) + 2) + [1] * (len(second) + 1)
    assert (theirs.pad_token_id, theirs.unk_token_id, theirs.cls_token_id) == (0, 1, 2)
    assert (theirs.sep_token_id, theirs.mask_token_id) == (3, 4)


@pytest.mark.data
@pytest.mark.parametrize("kind", KINDS)
def test_ids_are_those_of_transformers_on_real_lines(kind: str, data: Path, tmp_path: Path):
    chinese = (data / "text/cluecorpussmall_sampled.txt").read_text(encoding="utf-8").splitlines()
    rows = (data / "classify/sst2_train.tsv").read_text(encoding="utf-8").splitlines()
    english = [row.split("\t")[0] for row in rows]
    lines = random.Random(4).sample(chinese, 500) + random.Random(5).sample(english, 500)
    tokenizer = Tokenizer.train(chinese + english, TokenizerSettings(kind=kind, vocabulary_size=5000))  # pyright: ignore
    tokenizer.save(tmp_path)
    ours = our_ids(tokenizer, lines)
    assert ours == their_ids(tmp_path, lines)
    unknown = sum(ids.count(tokenizer.unk_id) for ids in ours) / sum(map(len, ours))
    assert unknown < (0.5 if kind == "symbols" else 0.01)


@pytest.mark.parametrize("kind", KINDS)
def test_a_long_text_has_the_ids_of_its_parts(kind: str, trained: dict[str, Tokenizer]):
    """Without `transformers`: no token reaches across the space that joins the parts."""
    parts = [" ".join(corpus(seed, 100)) for seed in range(10)]
    whole = trained[kind].encode(" ".join(parts))
    separate = trained[kind].encode_batch([parts[0], *(f" {part}" for part in parts[1:])])
    assert len("".join(parts)) > 3 * 2**14
    assert np.array_equal(whole, np.concatenate(separate))


# ---------------------------------------------------------------------------------------------- what each kind does


def test_wordpiece_keeps_chinese_characters_apart_and_marks_what_continues(trained: dict[str, Tokenizer]):
    tokens = trained["wordpiece"].tokens(trained["wordpiece"].encode("今天 walking WEATHERs"))
    assert tokens[:2] == ["今", "天"]
    assert "".join(tokens[2:]).replace("##", "") == "walkingweathers"  # lower case
    assert any(token.startswith("##") for token in tokens)


def test_wordpiece_without_lower_case_keeps_case_and_accents():
    tokenizer = Tokenizer.train(corpus(), settings("wordpiece", lowercase=False))
    assert tokenizer.decode(tokenizer.encode("Zürich")) == "Zürich"


def test_bpe_and_characters_lose_nothing(trained: dict[str, Tokenizer]):
    for text in ODD:
        assert trained["bpe"].decode(trained["bpe"].encode(text)) == text
        assert trained["bpe"].unk_id not in trained["bpe"].encode(text)
    for text in (*SENTENCES, "  today   ", "今 天"):
        assert trained["characters"].decode(trained["characters"].encode(text)) == text


def test_tokens_of_bpe_can_be_read(trained: dict[str, Tokenizer]):
    """Its vocabulary holds bytes, written as other letters; the other kinds' tokens are readable as they are."""
    ids = trained["bpe"].encode("今天 walking")
    assert "".join(trained["bpe"].readable(ids)) == "今天 walking"
    assert "今" not in "".join(trained["bpe"].tokens(ids))
    ids = trained["wordpiece"].encode("今天 walking")
    assert trained["wordpiece"].readable(ids) == trained["wordpiece"].tokens(ids)


def test_characters_show_the_space_and_name_the_unknown(trained: dict[str, Tokenizer]):
    tokenizer = trained["characters"]
    ids = tokenizer.encode("今 a龘B")
    assert tokenizer.tokens(ids) == ["今", "▁", "a", "[UNK]", "B"]
    assert tokenizer.encode("[MASK]今").tolist() == [tokenizer.mask_id, ids[0]]


def test_symbols_are_runs_without_white_space():
    tokenizer = Tokenizer.train(["C4 E4 G4 C4", "C4\tE4"], settings("symbols"))
    assert tokenizer.tokens(range(tokenizer.vocabulary_size))[5:] == ["C4", "E4", "G4"]  # most frequent first
    assert tokenizer.tokens(tokenizer.encode("G4  C4 c4")) == ["G4", "C4", "[UNK]"]
    assert tokenizer.decode(tokenizer.encode("G4 C4")) == "G4 C4"


def test_decoded_chinese_has_no_spaces_between_characters(trained: dict[str, Tokenizer]):
    tokenizer = trained["wordpiece"]
    assert tokenizer.decode(tokenizer.encode("今天，我们去 the park。")) == "今天，我们去 the park 。"


@pytest.mark.parametrize(
    ("kind", "text", "begins"),
    [
        ("characters", "ab 12，今天c-d", "10" + "1" + "10" + "1" + "11" + "1" + "1" + "1"),
        ("symbols", "a b c", "111"),
    ],
)
def test_words_begin(kind: str, text: str, begins: str):
    tokenizer = Tokenizer.train([text] * 3, settings(kind))
    assert "".join(str(int(bit)) for bit in tokenizer.begins_word(tokenizer.encode(text))) == begins


@pytest.mark.parametrize("kind", ["wordpiece", "bpe", "characters"])
def test_words_begin_at_the_same_characters_for_every_kind(kind: str, trained: dict[str, Tokenizer]):
    """The tokens between two beginnings, put together, are words of the text (bpe may join Chinese characters)."""
    tokenizer = trained[kind]
    ids = tokenizer.encode("walking today; 今天 park 12 层")
    starts = np.flatnonzero(tokenizer.begins_word(ids)).tolist()
    words = [tokenizer.decode(ids[a:b]).strip().lower() for a, b in zip(starts, [*starts[1:], len(ids)], strict=True)]
    found = [word.replace("##", "") for word in words if word.strip("▁ ")]
    assert "".join(found) == "walkingtoday;今天park12层"
    assert {"walking", "today", ";", "park", "12", "层"} <= set(found)


def test_bpe_bytes_within_a_character_continue_its_word():
    tokenizer = Tokenizer.train(["plain text"] * 3, settings("bpe"))
    ids = tokenizer.encode("龘x 龘龘")
    assert len(ids) == 3 + 1 + 1 + 6
    assert tokenizer.begins_word(ids)[:3].tolist() == [True, False, False]
    assert tokenizer.begins_word(ids)[5:].tolist() == [True, False, False] * 2


def test_the_first_token_begins_a_word_and_no_ids_none(trained: dict[str, Tokenizer]):
    for tokenizer in trained.values():
        assert tokenizer.begins_word(np.empty(0, dtype=np.int32)).shape == (0,)
    wordpiece = trained["wordpiece"]
    tokens = wordpiece.tokens(range(wordpiece.vocabulary_size))
    continuing = next(number for number, token in enumerate(tokens) if token.startswith("##"))
    assert wordpiece.begins_word(np.array([continuing, continuing])).tolist() == [True, False]


# ---------------------------------------------------------------------------------------------- training


@pytest.mark.parametrize("kind", KINDS)
def test_a_vocabulary_is_no_larger_than_asked_and_begins_with_the_special_tokens(kind: str):
    for size in (300, 500) if kind == "bpe" else (40, 60, 300):
        tokenizer = Tokenizer.train(corpus(), TokenizerSettings(kind=kind, vocabulary_size=size))  # pyright: ignore
        assert tokenizer.vocabulary_size <= size
        assert tokenizer.tokens(range(5)) == ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
        assert tokenizer.special_ids.tolist() == [0, 1, 2, 3, 4]


def test_wordpiece_keeps_the_most_frequent_characters_where_not_all_fit():
    letters = [chr(0x4E00 + n) for n in range(100)]
    texts = ["".join(letters[: n + 1]) for n in range(100)]  # the first is the most frequent
    tokenizer = Tokenizer.train(texts, TokenizerSettings(vocabulary_size=45))
    assert sorted(tokenizer.tokens(range(5, 45))) == letters[:40]


def test_rare_characters_are_left_out():
    tokenizer = Tokenizer.train(["aab龘", "aabb"], TokenizerSettings(kind="characters", minimum_frequency=2))
    assert tokenizer.tokens(range(5, tokenizer.vocabulary_size)) == ["a", "b"]


def test_ties_are_broken_by_code_point():
    tokenizer = Tokenizer.train(["ca", "bb", "ca"], TokenizerSettings(kind="characters", minimum_frequency=1))
    assert tokenizer.tokens(range(5, 8)) == ["a", "b", "c"]


@pytest.mark.parametrize("kind", KINDS)
def test_training_is_the_same_in_every_process(kind: str):
    """Hash tables are seeded anew in every process, and Python's by PYTHONHASHSEED."""
    program = (
        "import sys; sys.path.insert(0, sys.argv[2])\n"
        "from test_tokenizer import *\n"
        "print(Tokenizer.train(corpus(), settings(sys.argv[1])).hash)"
    )
    command = [sys.executable, "-c", program, kind, str(Path(__file__).parent)]
    there = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
    assert there == Tokenizer.train(corpus(), settings(kind)).hash


def test_the_sample_is_bounded_spread_and_the_same_every_time():
    texts = [f"{number:07}" * 10 for number in range(20_000)]  # 1.4 MB
    drawn = sample(iter(texts), 0.2)
    assert 0.12e6 < sum(map(len, drawn)) <= 0.2e6
    assert drawn == sample(iter(texts), 0.2)
    places = np.array([int(text[:7]) for text in drawn])
    assert (np.diff(places) > 0).all()
    tenths = np.bincount(places // 2000, minlength=10)
    assert tenths.min() > 0.7 * tenths.mean()


def test_one_endless_line_is_sampled_all_over():
    line = "".join(chr(0x4E00 + n // 1000) for n in range(1_000_000))
    drawn = sample([line], 0.3)
    assert sum(len(piece.encode()) for piece in drawn) <= 0.3e6
    points = np.array([ord(piece[0]) for piece in drawn])
    assert points.min() < 0x4E00 + 150
    assert points.max() > 0x4E00 + 850


def test_bytes_need_room():
    with pytest.raises(UserError, match="no room for all bytes"):
        Tokenizer.train(["x"], TokenizerSettings(kind="bpe", vocabulary_size=200))


def test_nothing_but_unknown_symbols():
    for kind, texts in (("symbols", ["没有空格的一行", "没有空格的另一行"]), ("characters", ["ab", "cd"])):
        with pytest.raises(UserError, match=f"no {kind} of the text occur 2 times") as error:
            Tokenizer.train(texts, TokenizerSettings(kind=kind))  # pyright: ignore[reportArgumentType]
        assert "minimum_frequency" in error.value.advice


@pytest.mark.parametrize("kind", KINDS)
def test_no_text_no_tokenizer(kind: str):
    with pytest.raises(UserError, match="no text"):
        Tokenizer.train(["", "  "], settings(kind))


# ---------------------------------------------------------------------------------------------- folders


def test_saving_and_loading_keeps_everything(trained: dict[str, Tokenizer], tmp_path: Path):
    for kind, tokenizer in trained.items():
        tokenizer.max_length = 128
        tokenizer.save(tmp_path / kind)
        loaded = Tokenizer.load(tmp_path / kind)
        assert (loaded.kind, loaded.hash, loaded.max_length) == (kind, tokenizer.hash, 128)
        assert loaded.alphabet == {"kind": kind}
        loaded.save(tmp_path / "again")
        for name in ("tokenizer.json", "tokenizer_config.json"):
            assert (tmp_path / "again" / name).read_bytes() == (tmp_path / kind / name).read_bytes()
    assert len({tokenizer.hash for tokenizer in trained.values()}) == 4


def test_a_folder_that_transformers_wrote_loads(tmp_path: Path):
    from transformers import BertTokenizer

    names = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "今", "天", "hello", "##s", ","]
    theirs = BertTokenizer(vocab={name: number for number, name in enumerate(names)})
    theirs("今", max_length=3, truncation=True, padding="max_length")  # leaves both settings in tokenizer.json
    theirs.save_pretrained(tmp_path)
    tokenizer = Tokenizer.load(tmp_path)
    assert tokenizer.kind == "wordpiece"
    assert tokenizer.max_length is None
    texts = ["今天, hellos", "Hello 今今今今今今 [MASK]"]
    assert our_ids(tokenizer, texts) == [theirs(text)["input_ids"] for text in texts]


def test_a_tokenizer_of_xlm_roberta(tmp_path: Path):
    """SentencePiece's unigram pieces, RoBERTa's special tokens, and its frame round two texts."""
    from tokenizers import Tokenizer as Plain

    write_unigram(tmp_path)
    tokenizer = Tokenizer.load(tmp_path)
    assert (tokenizer.kind, tokenizer.frame) == ("unigram", (2, 0))
    assert tokenizer.tokens([tokenizer.cls_id, tokenizer.pad_id, tokenizer.sep_id]) == ["<s>", "<pad>", "</s>"]
    plain = Plain.from_file(str(tmp_path / "tokenizer.json"))
    texts = [*ODD, *corpus(3, 50), *(text.replace("[MASK]", "<mask>") for text in long_texts())]
    assert our_ids(tokenizer, texts) == [encoding.ids for encoding in plain.encode_batch(texts)]
    tokenizer.save(tmp_path / "again")
    assert Tokenizer.load(tmp_path / "again").hash == tokenizer.hash
    assert our_ids(tokenizer, list(ODD)) == their_ids(tmp_path / "again", list(ODD))
    begins = tokenizer.begins_word(tokenizer.encode("walking in the park"))
    words = "".join(
        np.where(begins, "|", "").tolist()[n] + token
        for n, token in enumerate(tokenizer.tokens(tokenizer.encode("walking in the park")))
    )
    assert words.replace("▁", "").replace("|", " ").split() == ["walking", "in", "the", "park"]


def test_a_mark_of_a_space_stands_for_no_character(tmp_path: Path):
    """SentencePiece's mark before the first word, where it is a token by itself, claims this word's first character."""
    from tokenizers import Tokenizer as Plain
    from tokenizers import models, pre_tokenizers

    names = ["<s>", "<pad>", "</s>", "<unk>", "<mask>", "▁", "▁a", "喝", "蘋果"]
    made = Plain(models.Unigram([(name, -1.0) for name in names], unk_id=3))
    made.pre_tokenizer = pre_tokenizers.Metaspace()
    made.save(str(tmp_path / "tokenizer.json"))
    tokenizer = Tokenizer.load(tmp_path)
    pairs = tokenizer.encode_batch_with_offsets(["蘋果喝", "喝 蘋果 a"])
    assert [tokenizer.tokens(ids) for ids, _ in pairs] == [["▁", "蘋果", "喝"], ["▁", "喝", "▁", "蘋果", "▁a"]]
    assert pairs[0][1].tolist() == [[0, 0], [0, 2], [2, 3]]
    assert pairs[1][1].tolist() == [[0, 0], [0, 1], [1, 1], [2, 4], [4, 6]]


def test_a_vocabulary_alone(tmp_path: Path):
    """Old checkpoints have vocab.txt and no tokenizer.json."""
    from transformers import BertTokenizer

    names = ["[PAD]", "[unused1]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "今", "天", "hello", "Hello", "##s", "é", ","]
    (tmp_path / "vocab.txt").write_text("\n".join(names) + "\n", encoding="utf-8")
    texts = ["今天, Hellos é", "Hello 今今 [MASK] hello"]
    for lowercase in (True, False):
        (tmp_path / "tokenizer_config.json").write_text(json.dumps({"do_lower_case": lowercase}), encoding="utf-8")
        theirs = BertTokenizer(vocab={name: number for number, name in enumerate(names)}, do_lower_case=lowercase)
        assert our_ids(Tokenizer.load(tmp_path), texts) == [theirs(text)["input_ids"] for text in texts]
    (tmp_path / "vocab.txt").write_text("\n".join([*names, "今"]), encoding="utf-8")
    with pytest.raises(UserError, match=r"vocab\.txt:14: the token '今' stands twice"):
        Tokenizer.load(tmp_path)


def test_a_missing_tokenizer_is_told(tmp_path: Path):
    with pytest.raises(UserError, match="missing"):
        Tokenizer.load(tmp_path)


@pytest.mark.parametrize("content", ["{", "[]", '{"model": 1}', "\u0000"])
def test_a_broken_tokenizer_is_told(content: str, tmp_path: Path):
    (tmp_path / "tokenizer.json").write_text(content, encoding="utf-8")
    with pytest.raises(UserError, match=r"tokenizer\.json"):
        Tokenizer.load(tmp_path)


def test_a_tokenizer_without_the_roles_of_bert_is_told(trained: dict[str, Tokenizer], tmp_path: Path):
    trained["wordpiece"].save(tmp_path)
    configuration = json.loads((tmp_path / "tokenizer_config.json").read_text(encoding="utf-8"))
    configuration["mask_token"] = "<mask>"
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(configuration), encoding="utf-8")
    with pytest.raises(UserError, match="<mask>"):
        Tokenizer.load(tmp_path)


def test_other_models_are_refused(tmp_path: Path):
    from tokenizers import Tokenizer as Plain
    from tokenizers import models

    names = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a"]
    Plain(models.Unigram([(name, -1.0) for name in names], unk_id=1)).save(str(tmp_path / "tokenizer.json"))
    with pytest.raises(UserError, match="Unigram is not supported"):
        Tokenizer.load(tmp_path)


@pytest.mark.parametrize("kind", KINDS)
def test_half_a_surrogate_pair_is_told(kind: str, trained: dict[str, Tokenizer]):
    with pytest.raises(UserError, match="half a surrogate pair"):
        trained[kind].encode_batch(["今天", "a\ud800b"])
