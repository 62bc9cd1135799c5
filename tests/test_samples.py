"""Order and pieces: which samples are read, as a function of numbers alone; and mixtures in their shares."""

from pathlib import Path

import numpy as np
import pytest

from bertwright.samples import Mixture, hashed, mix, permute, plan, uniforms
from helpers import small_store


@pytest.mark.parametrize("size", [1, 2, 3, 64, 1000, 4097])
def test_permute_is_a_permutation(size: int) -> None:
    order = permute(np.arange(size), size, 7, 0)
    assert sorted(order) == list(range(size))
    if size > 60:
        assert not np.array_equal(order, np.arange(size))
        assert not np.array_equal(order, permute(np.arange(size), size, 7, 1))
        assert abs(np.corrcoef(order, np.arange(size))[0, 1]) < 0.3
    np.testing.assert_array_equal(order[size // 2 :], permute(np.arange(size // 2, size), size, 7, 0))


def test_hashes_look_uniform_and_depend_on_every_key() -> None:
    draws = uniforms(1, 2, np.arange(100_000))
    assert abs(draws.mean() - 0.5) < 0.005
    assert abs((draws < 0.15).mean() - 0.15) < 0.003
    assert abs(np.corrcoef(draws[1:], draws[:-1])[0, 1]) < 0.01
    base = hashed(1, 2, 3)[0]
    assert len({base, hashed(2, 2, 3)[0], hashed(1, 3, 3)[0], hashed(1, 2, 4)[0], hashed(2, 1, 3)[0]}) == 5


def test_a_plan_covers_every_document_once(tmp_path: Path) -> None:
    store = small_store(tmp_path, sizes=[5, 130, 64, 1, 62], held_out=[0, 0, 1, 0, 0])
    side = plan(store, 62, held_out=False)
    documents, begins, ends = side.pieces(np.arange(side.num_samples))
    assert documents.tolist() == [0, 1, 1, 1, 3, 4]
    assert (ends - begins).tolist() == [5, 62, 62, 6, 1, 62]
    assert begins[1:4].tolist() == [5, 67, 129]
    assert plan(store, 62, held_out=True).pieces(np.arange(2))[0].tolist() == [2, 2]
    assert side.num_tokens == 5 + 130 + 1 + 62


def shares(mixture: Mixture, numbers: np.ndarray) -> np.ndarray:
    """Share of the tokens that each plan has among some draws."""
    which, samples = mixture.draw(numbers, 1)
    tokens = np.zeros(len(mixture.plans))
    for number, part in enumerate(mixture.plans):
        _, begins, ends = part.pieces(samples[which == number])
        tokens[number] = (ends - begins).sum()
    return tokens / tokens.sum()


def test_an_epoch_of_one_store_draws_every_sample_once(tmp_path: Path) -> None:
    mixture = mix([(small_store(tmp_path, sizes=[300] * 30), 1.0)], 61, held_out=False)
    size = mixture.plans[0].num_samples
    assert mixture.round == size == 27 * 5
    first, second = (mixture.draw(np.arange(epoch * size, (epoch + 1) * size), 1)[1] for epoch in (0, 1))
    assert sorted(first) == sorted(second) == list(range(size))
    assert first.tolist() != second.tolist()
    assert mixture.draw(np.arange(size), 2)[1].tolist() != first.tolist()
    across = mixture.draw(np.arange(size - 3, size + 4), 1)[1]
    assert across.tolist() == [*first[-3:], *second[:4]], "a batch may lie across two epochs"
    assert mixture.mean_length == 60


def test_stores_are_read_in_their_shares_and_each_wholly(tmp_path: Path) -> None:
    for name in ("small", "large"):
        (tmp_path / name).mkdir()
    small = small_store(tmp_path / "small", sizes=[40] * 50)
    large = small_store(tmp_path / "large", sizes=[300] * 200)
    mixture = mix([(small, 1.0), (large, 3.0)], 61, held_out=False)
    numbers = np.arange(3 * mixture.round)
    assert shares(mixture, numbers) == pytest.approx([0.25, 0.75], abs=0.01)
    part = np.arange(mixture.round // 4, mixture.round // 2)
    assert shares(mixture, part) == pytest.approx([0.25, 0.75], abs=0.06), "evenly along the way"
    which, samples = mixture.draw(numbers, 1)
    for number, side in enumerate(mixture.plans):
        order = samples[which == number]
        counts = np.bincount(order, minlength=side.num_samples)
        assert counts.max() - counts.min() <= 1, "each sample of a store as often as any other"
    some = np.array([7, 3, 500])
    assert [array.tolist() for array in mixture.draw(some, 1)] == [which[some].tolist(), samples[some].tolist()]


@pytest.mark.parametrize(("temperature", "expected"), [(1.0, [0.9, 0.1]), (2.0, [0.75, 0.25]), (1e9, [0.5, 0.5])])
def test_temperature_brings_languages_nearer_to_each_other(
    tmp_path: Path, temperature: float, expected: list[float]
) -> None:
    languages = (["many"] * 9 + ["few"]) * 40
    store = small_store(tmp_path, sizes=[122] * 400, languages=languages, held_out=[0] * 400)
    if temperature == 1.0:
        mixture = mix([(store, 1.0)], 61, held_out=False)
        assert len(mixture.plans) == 1
    else:
        mixture = mix([(store, 1.0)], 61, held_out=False, temperature=temperature)
        assert shares(mixture, np.arange(mixture.round)) == pytest.approx(expected, abs=0.01)
        for number, side in enumerate(mixture.plans):
            assert (store.documents["language"][side.documents] == number).all()
