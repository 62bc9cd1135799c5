"""Nothing that belongs together is on two sides of a split."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bertwright.errors import UserError
from bertwright.groups import connected
from bertwright.split import SIDES, deal, runs, split


def written(path: Path, rows: list[dict[str, Any]]) -> str:
    """A table of these rows."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return str(path)


def sides_of(folder: Path) -> dict[str, list[dict[str, str]]]:
    """The rows of each side."""
    return {
        side: [json.loads(line) for line in (folder / f"{side}.jsonl").read_text(encoding="utf-8").splitlines()]
        for side in SIDES
    }


def proteins(count: int, seed: int = 1) -> list[str]:
    """Families of three sequences that share most of their letters."""
    generator = np.random.default_rng(seed)
    found = []
    for _ in range(count // 3):
        first = generator.choice(list("ACDEFGHIKLMNPQRSTVWY"), size=40)
        for _ in range(3):
            changed = first.copy()
            changed[generator.integers(40)] = "A"
            found.append("".join(changed))
    return found


@settings(max_examples=50)
@given(st.lists(st.lists(st.integers(0, 12), max_size=3), max_size=30))
def test_connected_is_the_transitive_closure(keys: list[list[int]]) -> None:
    """Against the powers of the matrix of shared keys."""
    count = len(keys)
    near = np.array([[bool(set(a) & set(b)) or i == j for j, b in enumerate(keys)] for i, a in enumerate(keys)])
    reached = near.reshape(count, count).astype(int)
    for _ in range(count):
        reached = (reached @ reached > 0).astype(int)
    groups = connected(keys)
    assert [[one == other for other in groups] for one in groups] == (reached > 0).tolist()


def test_related_sequences_are_on_one_side(tmp_path: Path) -> None:
    """No run of ten letters stands on two sides, and all rows are there, with all their columns."""
    rows = [{"text": text, "label": "ab"[number % 2]} for number, text in enumerate(dict.fromkeys(proteins(600)))]
    result = split(written(tmp_path / "x.jsonl", rows), str(tmp_path / "out"), shared=10)
    sides = sides_of(tmp_path / "out")
    seen = {side: {run for row in own for run in runs(row["text"], 10)} for side, own in sides.items()}
    assert not seen["train"] & seen["test"]
    assert not seen["train"] & seen["development"]
    assert not seen["development"] & seen["test"]
    assert sorted(row["text"] for own in sides.values() for row in own) == sorted(row["text"] for row in rows)
    assert [row for row in rows if row in sides["train"]] == sides["train"]  # in their order
    assert result["groups"] == 200
    assert result["largest"] <= 3
    for side, share in zip(SIDES, (0.8, 0.1, 0.1), strict=True):
        assert result["rows"][side] == pytest.approx(share * len(rows), abs=4)
    # without it, families are parted
    split(str(tmp_path / "x.jsonl"), str(tmp_path / "leaky"))
    parted = {
        side: {run for row in own for run in runs(row["text"], 10)}
        for side, own in sides_of(tmp_path / "leaky").items()
    }
    assert parted["train"] & parted["test"]


def test_groups_are_on_one_side(tmp_path: Path) -> None:
    """All pieces of one work."""
    rows = [{"text": f"{number} C4", "work": f"opus {number // 7}"} for number in range(420)]
    split(written(tmp_path / "x.jsonl", rows), str(tmp_path / "out"), group_column="work")
    works = [{row["work"] for row in own} for own in sides_of(tmp_path / "out").values()]
    assert sum(map(len, works)) == len(set.union(*works)) == 60


def test_rows_without_a_group_have_none_in_common(tmp_path: Path) -> None:
    rows = [{"text": f"{number} C4", "work": " " if number % 2 else f"opus {number // 20}"} for number in range(400)]
    assert split(written(tmp_path / "x.jsonl", rows), str(tmp_path / "out"), group_column="work")["largest"] == 10


def test_duplicates_are_refused_dropped_or_kept_together(tmp_path: Path) -> None:
    """As it was said."""
    rows = [{"text": f"text {number % 90}", "number": number} for number in range(100)]
    table = written(tmp_path / "x.jsonl", rows)
    with pytest.raises(UserError, match="10 of 100 rows have a text that occurred before") as error:
        split(table, str(tmp_path / "out"))
    assert error.value.line == 91
    assert not (tmp_path / "out").exists()
    assert split(table, str(tmp_path / "out"), duplicates="drop")["dropped"] == 10
    assert [
        row["number"] for own in sides_of(tmp_path / "out").values() for row in own if int(row["number"]) >= 90
    ] == []
    assert split(table, str(tmp_path / "both"), duplicates="together")["dropped"] == 0
    texts = [{row["text"] for row in own} for own in sides_of(tmp_path / "both").values()]
    assert sum(map(len, texts)) == 90


def test_case_is_no_difference(tmp_path: Path) -> None:
    """Soft-masked letters are the same bases."""
    generator = np.random.default_rng(1)
    texts = ["".join(generator.choice(list("ACGT"), 30)) for _ in range(40)]
    rows = [{"text": text} for text in [*texts, texts[0].lower(), texts[1].lower() + "ACGTACGTAA"]]
    table = written(tmp_path / "x.jsonl", rows)
    assert split(table, str(tmp_path / "out"), duplicates="drop", shared=20)["dropped"] == 1
    sides = {row["text"].upper()[:30]: side for side, own in sides_of(tmp_path / "out").items() for row in own}
    assert len(sides) == 40, "what shares twenty bases is on one side"


def test_nothing_is_written_over(tmp_path: Path) -> None:
    """Rows of an older split would stand on another side of the new one."""
    rows = [{"text": f"text {number}"} for number in range(100)]
    table = written(tmp_path / "x.jsonl", rows)
    split(table, str(tmp_path / "out"))
    before = sides_of(tmp_path / "out")
    for folder, shares, found in (
        ("out", (0.8, 0.2, 0.0), "something already"),
        ("new", (0.0, 0.5, 0.5), "the shares are"),
    ):
        with pytest.raises(UserError, match=found) as error:
            split(table, str(tmp_path / folder), shares=shares)
        assert error.value.expected
        assert error.value.advice
    assert sides_of(tmp_path / "out") == before
    split(table, str(tmp_path / "two"), shares=(0.8, 0.2, 0.0))
    assert sorted(path.name for path in (tmp_path / "two").iterdir()) == ["development.jsonl", "train.jsonl"]


def test_a_group_of_everything(tmp_path: Path) -> None:
    """Nothing is left to test on: said, not written."""
    rows = [{"text": f"text {number}", "work": "one" if number > 5 else str(number)} for number in range(100)]
    with pytest.raises(UserError, match="the largest group has 94 of 100") as error:
        split(written(tmp_path / "x.jsonl", rows), str(tmp_path / "out"), group_column="work")
    assert error.value.expected
    assert error.value.advice
    assert not (tmp_path / "out").exists()


@settings(max_examples=50)
@given(st.lists(st.integers(0, 40), min_size=60, max_size=200), st.integers(0, 5))
def test_sides_are_near_their_shares(groups: list[int], seed: int) -> None:
    """Nobody gets more than a share and a row, but training, which takes what does not fit; single rows fit exactly."""
    shares = (0.6, 0.2, 0.2)
    sides = deal(groups, shares, seed)
    for side, share in enumerate(shares[1:], start=1):
        assert (sides == side).sum() <= share * len(groups) + 1
    assert len(set(zip(groups, sides.tolist(), strict=True))) == len(set(groups))
    assert (sides == deal(groups, shares, seed)).all()
    single = deal(list(range(len(groups))), shares, seed)
    for side, share in enumerate(shares):
        assert abs((single == side).sum() - share * len(groups)) <= 2
    assert np.bincount(deal([0] * 5 + [1, 2, 3, 4, 5], (0.5, 0.5, 0.0), seed)).tolist() == [5, 5]
