"""Alignment: ranks by hand, a planted offset that is the language, words found in their sentences, bad files told."""

import copy
import json
from pathlib import Path

import numpy as np
import pytest

from bertwright.analyze.alignment import (
    alignment,
    centred_halves,
    chosen,
    identified,
    learnt_kinds,
    offsets,
    ranked,
    ranks,
    ranks_and_probes,
    vectors_of,
)
from bertwright.analyze.linear_probe import nearest, probe
from bertwright.analyze.parallel import Words, read_dictionary, read_parallel, whole_pieces, words_in
from bertwright.analyze.vectors import Reader
from bertwright.config import TokenizerSettings
from bertwright.errors import UserError
from bertwright.report import write_report
from bertwright.report.alignment import alignment_sections
from bertwright.report.blocks import Figure, Table
from bertwright.report.phrases import speaker
from bertwright.report.sources import read_sources
from bertwright.run import keep_result
from bertwright.tokenizer import Tokenizer
from helpers import ENDS, SUBJECTS, WORDS, call


@pytest.fixture
def parallel(tmp_path: Path) -> tuple[Path, Path]:
    """Reviews, and the same reviews with their parts in the other order."""
    generator = np.random.default_rng(1)
    judgements = [word for words in WORDS.values() for word in words]
    pairs: dict[str, str] = {}
    while len(pairs) < 60:
        subject, judgement, end = (str(generator.choice(list(each))) for each in (SUBJECTS, judgements, ENDS))
        pairs[f"{subject}{judgement}，{end}"] = f"{end[:-1]}，{subject}{judgement}。"
    one, other = tmp_path / "one.txt", tmp_path / "other.txt"
    one.write_text("\n".join(pairs) + "\n", encoding="utf-8")
    other.write_text("\n".join(pairs.values()) + "\n", encoding="utf-8")
    return one, other


# ---------------------------------------------------------------------------------------------- ranks


def test_ranks_by_hand() -> None:
    one = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    other = np.array([[1.0, 0.05], [1.0, 0.9], [0.1, 1.0]])
    # Cosines: .999 .743 .100 / .050 .669 .995 / .742 .998 .774
    assert ranks(one, other).tolist() == [1, 2, 2, 1, 3, 2]
    assert ranks(np.ones((4, 2)), np.ones((4, 2))).tolist() == [4] * 8  # ties count against


def test_chance_is_what_random_vectors_reach() -> None:
    generator = np.random.default_rng(2)
    pairs = [generator.normal(size=(2, 200, 16)) for _ in range(2)]
    found = ranked(pairs, [side.mean(axis=1, keepdims=True) for side in pairs])
    assert found["chance"]["reciprocal_rank"] == pytest.approx((np.log(200) + 0.58) / 200, abs=1e-3)
    for kind in ("plain", "centred"):
        for value in found[kind]["reciprocal_rank"]:
            assert value == pytest.approx(found["chance"]["reciprocal_rank"], abs=0.015)


def test_a_planted_offset_hides_translations_and_tells_the_language() -> None:
    generator = np.random.default_rng(3)
    meaning = generator.normal(size=(1, 300, 24))
    languages = [generator.normal(size=(1, 1, 24)) * 4 for _ in range(2)]
    pairs = [meaning + language + 0.3 * generator.normal(size=meaning.shape) for language in languages]
    means = [side.mean(axis=1, keepdims=True) for side in pairs]
    found = ranked(pairs, means)
    assert found["centred"]["first"][0] > 0.95
    assert found["plain"]["first"][0] < found["centred"]["first"][0]
    for tell in (probe, nearest):
        assert identified(pairs, tell) == [pytest.approx(1.0)]
    centred = [centred_halves(side) for side in pairs]
    assert 0.4 < identified(centred, nearest)[0] < 0.6
    # Languages of one mean that lie in other directions: a linear probe is blind to that, neighbours are not.
    for side, empty in zip(centred, (slice(12), slice(12, None)), strict=True):
        side[..., empty] = 0
    assert identified(centred, nearest)[0] > 0.95
    assert identified(centred, probe)[0] < 0.7
    gap = means[0] - means[1]
    assert offsets(pairs[0], pairs[1][:, generator.permutation(300)], gap)[0] < offsets(pairs[0], pairs[1], gap)[0]


# ---------------------------------------------------------------------------------------------- words


def test_words_are_averaged_over_their_sentences(trained: Path, parallel: tuple[Path, Path]) -> None:
    """Over every other one: no sentence gives a word while its translation gives the other."""
    reader = Reader.load(trained / "pretrained")
    texts, too_long = read_parallel(reader, parallel, 60)
    assert too_long == 0
    encoded = reader.checkpoint.tokenizer.encode_batch
    every = [*SUBJECTS, *(word for words in WORDS.values() for word in words)]
    many = list(zip(every, [*every[1:], every[0]], strict=True))
    words = words_in(reader, texts, [*many, ("房间", "手机"), ("没有", "没有")])
    known = [{tuple(ids): number for number, ids in enumerate(encoded(side))} for side in texts]
    for side, own in zip(words, (0, 1), strict=True):
        assert {known[own][tuple(ids)] % 2 for ids in side.ids} == {own}
    assert [dict(many)[word] for word in words[0].places] == list(words[1].places)
    assert "没有" not in words[0].places, "the same in both languages"
    thrice = words_in(
        reader, ([text for text in texts[0] for _ in range(3)], [t for t in texts[1] for _ in range(3)]), many
    )
    for side, again in zip(words, thrice, strict=True):
        assert list(map(tuple, again.ids)) == list(map(tuple, side.ids)), "lines that come again are one"
    sides, _ = chosen(reader, texts, words, many)
    found = ranks_and_probes(reader, sides)
    assert found["words"]["count"] == len(words[0].places) >= 20
    word = next(iter(words[0].places))
    spots = [number for number in range(0, 60, 2) if word in texts[0][number]][:8]
    assert [known[0][tuple(words[0].ids[number])] for number, _ in words[0].places[word]] == spots
    readings = reader.read([texts[0][number] for number in spots])
    begins = [texts[0][number].index(word) for number in spots]
    wanted = np.mean([r.word(b, b + len(word)) for r, b in zip(readings, begins, strict=True)], axis=0)
    _, vectors, _ = vectors_of(reader, sides[0], probed=False)
    np.testing.assert_allclose(vectors[:, 0], wanted, atol=1e-6)


def test_a_word_within_a_longer_token_does_not_count() -> None:
    """学 in 他在学校: the token 学校 is of another word, too. A space before a word may be of its token."""
    offsets_ = np.array([[0, 1], [1, 2], [2, 4]])
    assert whole_pieces("他在学校", offsets_, 2, 3) is None
    assert whole_pieces("他在学校", offsets_, 2, 4) == [2]
    assert whole_pieces("a school", np.array([[0, 1], [1, 8]]), 2, 8) == [1]
    assert whole_pieces("a school", np.array([[0, 1]]), 2, 8) is None


def test_the_probe_is_asked_for_tokens_that_it_has_not_seen(trained: Path, parallel: tuple[Path, Path]) -> None:
    reader = Reader.load(trained / "pretrained")
    none = Words([], {}), Words([], {})
    texts, _ = read_parallel(reader, parallel, 60)
    subjects = list(SUBJECTS)
    pairs = list(zip(subjects[::2], subjects[1::2], strict=False))
    sides, _ = chosen(reader, texts, none, pairs)
    kinds = [[int(side.ids[number][place[0]]) for number, place in side.probed] for side in sides]
    size = len(kinds[0]) // 2
    assert len(kinds[0]) == len(kinds[1]) == 2 * size > 10
    halves = slice(size), slice(size, None)
    learnt, asked = (set(kinds[0][part]) | set(kinds[1][part]) for part in halves)
    assert not learnt & asked
    for side, own in zip(sides, kinds, strict=True):
        for parity, part in enumerate(halves):
            assert {number % 2 for number, _ in side.probed[part]} == {parity}, "no sentence is in both halves"
            assert len(set(own[part])) == size, "one token of each kind"


def test_a_word_and_its_translation_are_learnt_both_or_neither(trained: Path) -> None:
    tokenizer = Reader.load(trained / "pretrained").checkpoint.tokenizer
    encode = tokenizer.encode
    words = [word for word in "好差脏乱很不的是房店间早餐前台" if len(encode(word)) == 1 and encode(word)[0] > 4]
    pairs = [*zip(words[::2], words[1::2], strict=False)]
    ids = [[int(encode(word)[0]) for word in pair] for pair in pairs]
    assert len(ids) > 4
    kinds = np.unique(np.concatenate(ids))
    found = [learnt_kinds(tokenizer, kinds, pairs, np.random.default_rng(seed))[0] for seed in range(20)]
    assert all((one in learnt) == (other in learnt) for learnt in found for one, other in ids)
    # Some pairs on either side, in the mean half of them.
    assert 0.35 < np.mean([one in learnt for learnt in found for one, _ in ids]) < 0.65
    alone = [learnt_kinds(tokenizer, kinds, [], np.random.default_rng(seed))[0] for seed in range(20)]
    assert not all((one in learnt) == (other in learnt) for learnt in alone for one, other in ids)


def test_spellings_of_a_word_are_coupled_with_its_translation() -> None:
    """Captions are in lower case where a dictionary of German has capitals; what is unknown is no word."""
    words = ["dog", "Dog", "hund", "Hund", "cat", "katze", "Katze", "sun"]
    tokenizer = Tokenizer.train([" ".join(words)] * 4, TokenizerSettings(kind="symbols", minimum_frequency=1))
    ids = {word: int(tokenizer.encode(word)[0]) for word in words}
    pairs = [("dog", "Hund"), ("cat", "Katze"), ("dog", "Katze"), ("sun", "Sonne"), ("moon", "Mond")]
    kinds = np.array(sorted({*ids.values(), tokenizer.unk_id}))
    found = [learnt_kinds(tokenizer, kinds, pairs, np.random.default_rng(seed)) for seed in range(20)]
    assert {coupled for _, coupled in found} == {2}
    for group in (["dog", "Dog", "hund", "Hund"], ["cat", "katze", "Katze"]):
        shares = [np.mean([ids[word] in learnt for word in group]) for learnt, _ in found]
        assert set(shares) == {0.0, 1.0}


def test_translations_side_by_side_are_no_language() -> None:
    """Perfect translations and no language at all: the probes must be at chance, not below it."""
    generator = np.random.default_rng(5)
    meaning = generator.normal(size=(8, 800, 24))  # eight draws, in place of layers
    one, other = (meaning + 0.2 * generator.normal(size=meaning.shape) for _ in range(2))
    coupled = [one, other]  # the same words are learnt from, and asked for, in both
    apart = [one, np.concatenate([other[:, 400:], other[:, :400]], axis=1)]
    for tell in (probe, nearest):
        assert np.mean(identified(coupled, tell)) == pytest.approx(0.5, abs=0.03)
        assert np.mean(identified(apart, tell)) < 0.43


def test_a_language_that_the_tokenizer_does_not_know(trained: Path) -> None:
    reader = Reader.load(trained / "pretrained")
    with pytest.raises(UserError, match="the sentences have 4 and 1 kinds of tokens"):
        chosen(reader, (["房间很好"] * 20, ["ខ្ញុំ"] * 20), (Words([], {}), Words([], {})), [])


def test_random_weights_know_no_translations(trained: Path, parallel: tuple[Path, Path], tmp_path: Path) -> None:
    """Another language without a token at the same place: the same sentences, with every character exchanged."""
    text = parallel[0].read_text(encoding="utf-8")
    letters = sorted(set(text) - {"\n"})
    table = str.maketrans(dict(zip(letters, [*letters[7:], *letters[:7]], strict=True)))
    renamed, words = tmp_path / "renamed.txt", tmp_path / "words.tsv"
    renamed.write_text(text.translate(table), encoding="utf-8")
    many = [*SUBJECTS, *(word for words in WORDS.values() for word in words), *(word[0] for word in SUBJECTS)]
    words.write_text("".join(f"{word}\t{word.translate(table)}\n" for word in many), encoding="utf-8")
    result = alignment(trained / "pretrained", (parallel[0], renamed), words)
    for kind in ("sentences", "words"):
        random = result["untrained"][kind]
        assert random["count"] == result[kind]["count"] >= 20
        assert random["plain"] != result[kind]["plain"]
    chance = random["chance"]["reciprocal_rank"]  # places and neighbours tell a little; equal tokens would tell all
    assert chance < max(random["plain"]["reciprocal_rank"]) < chance + 0.25


def test_over_time(trained: Path, parallel: tuple[Path, Path], tmp_path: Path) -> None:
    run = tmp_path / "run"
    result = alignment(trained / "pretrained", parallel, over_time=True, folder=run)
    steps = [int(path.name.removeprefix("step-")) for path in (trained / "pretrained" / "checkpoints").iterdir()]
    assert [each["step"] for each in result["over_time"]] == sorted(steps)
    last = result["over_time"][-1]
    assert last["words"] is None
    assert last["sentences"]["reciprocal_rank"] == max(result["sentences"]["plain"]["reciprocal_rank"])
    page = write_report([run], tmp_path / "page.html").read_text(encoding="utf-8")
    assert "In the course of pre-training" in page
    assert "several runs" not in page
    less = copy.deepcopy(result)
    less["sentences"]["plain"] = {"first": [0.333, 0.222], "reciprocal_rank": [0.4, 0.5]}  # the rank chooses the layer
    less["over_time"][0]["sentences"]["first"] = 0.123
    (tmp_path / "fifth").mkdir()
    keep_result(less, tmp_path / "fifth")
    for language, told in (("en", "several runs"), ("zh", "几次训练")):
        page = write_report([run, tmp_path / "fifth"], tmp_path / "page.html", language=language)
        assert told in page.read_text(encoding="utf-8")
    compared = alignment_sections(read_sources([run, tmp_path / "fifth"]), speaker("en"))[0]
    curves, losses, table = compared.blocks
    assert isinstance(curves, Figure)
    assert isinstance(losses, Figure)
    assert isinstance(table, Table)
    assert [(each["name"], each["y"][0]) for each in curves.chart["data"]] == [
        ("run", pytest.approx(result["over_time"][0]["sentences"]["first"], rel=1e-5)),
        ("fifth", 0.123),
    ]
    assert losses.chart["data"][0]["y"][-1] == pytest.approx(last["loss"], rel=1e-5)
    assert [row[0] for row in table.rows] == ["run", "fifth"]
    assert (table.rows[1][3], table.rows[1][5]) == ("0.222", "1")
    with pytest.raises(UserError, match="the run has kept no checkpoints"):
        alignment(trained / "pretrained" / "best", parallel, over_time=True)


@pytest.mark.parametrize(
    ("text", "told"), [("a b\n", "the line has 1 columns"), ("a\tb\tc\n", "the line has 3 columns")]
)
def test_bad_dictionaries(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "words.tsv"
    path.write_text("good\tgut\n" + text, encoding="utf-8")
    with pytest.raises(UserError, match=told) as raised:
        read_dictionary(path)
    assert raised.value.line == 2


def test_bad_files(trained: Path, parallel: tuple[Path, Path], tmp_path: Path) -> None:
    reader = Reader.load(trained / "pretrained")
    short = tmp_path / "short.txt"
    short.write_text("一\n二\n", encoding="utf-8")
    with pytest.raises(UserError, match="there are 60 and 2 lines"):
        read_parallel(reader, (parallel[0], short), 100)
    with pytest.raises(UserError, match="only 2 pairs of sentences are left"):
        read_parallel(reader, (short, short), 100)
    words = tmp_path / "words.tsv"
    words.write_text("房间\t手机\n", encoding="utf-8")
    with pytest.raises(UserError, match="only 1 pairs of the dictionary occur"):
        alignment(trained / "pretrained", parallel, words)


# ---------------------------------------------------------------------------------------------- command and page


def test_the_command_and_its_page(trained: Path, parallel: tuple[Path, Path], tmp_path: Path) -> None:
    run = tmp_path / "run"
    answer = call("analyze", "alignment", trained / "pretrained", *parallel, "--run", run, "--json")
    assert answer.code == 0, answer.err
    result = json.loads(answer.out)
    assert result["sentences"]["count"] == 60
    assert result["words"] is None
    assert len(result["offset"]) == len(result["identity"]["linear"]) == 2
    assert json.loads((run / "results" / "alignment.json").read_text(encoding="utf-8")) == result
    for language, told in (("en", "Where the language is"), ("zh", "语言在哪里")):
        assert told in write_report([run], tmp_path / "page.html", language=language).read_text(encoding="utf-8")
