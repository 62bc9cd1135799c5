"""What several tests share: the public data sets, and a tiny stand-in for them."""

import csv
import itertools
import os
import random
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

from helpers import ENDS, SUBJECTS, WORDS

hypothesis.settings.register_profile("untimed", deadline=None)  # a busy machine is no fault
hypothesis.settings.load_profile("untimed")

DATA_REQUIRED = "BERTWRIGHT_REQUIRE_DATA"
"""If set, a test marked `data` that is skipped, for whatever reason, counts as failed."""


@pytest.fixture(scope="session")
def data() -> Path:
    """The folder of the public data sets; the test is skipped where $BERTWRIGHT_DATA names none."""
    if "BERTWRIGHT_DATA" not in os.environ:
        pytest.skip("BERTWRIGHT_DATA is not set")
    folder = Path(os.environ["BERTWRIGHT_DATA"])
    assert folder.is_dir(), f"BERTWRIGHT_DATA names {folder}, which is no folder"
    return folder


@pytest.fixture(scope="session")
def checkpoints(data: Path) -> Path:
    """A folder with real pre-trained encoders; the test is skipped where $BERTWRIGHT_CHECKPOINTS names none."""
    if "BERTWRIGHT_CHECKPOINTS" not in os.environ:
        pytest.skip("BERTWRIGHT_CHECKPOINTS is not set")
    return Path(os.environ["BERTWRIGHT_CHECKPOINTS"])


@pytest.fixture(autouse=True, scope="session")
def float32_in_prediction() -> Iterator[None]:
    """Answers are compared with those of float32 on every processor; that bfloat16 is near has tests of its own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("bertwright.predict.has_bfloat16", lambda: False)
        yield


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item):
    """Turn a skipped test that needs the data into a failed one where the data must be there."""
    report = yield
    must_run = os.environ.get(DATA_REQUIRED) and item.get_closest_marker("data")
    if must_run and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} was skipped although {DATA_REQUIRED} is set: {report.longrepr[2]}"
    return report


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """See that the mark `data` and the fixture `data` are used together, so that neither can be forgotten."""
    for item in items:
        uses = "data" in getattr(item, "fixturenames", ())
        if uses != (item.get_closest_marker("data") is not None):
            raise pytest.UsageError(f"{item.nodeid}: the mark `data` and the fixture `data` go together")


@pytest.fixture
def reviews(tmp_path: Path) -> Path:
    """A folder with generated reviews, no text twice.

    Returns:
        A folder that holds corpus.txt (240 reviews, a review a line) and train.csv (64), development.csv (32) and
        test.csv (32), each with the columns id, text, label (positive, negative; as many of each).
    """
    return write_reviews(tmp_path / "reviews")


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model, pre-trained for five steps and fine-tuned until it knows the generated reviews. For reading only.

    Returns:
        The folder of `reviews`, with pretrain.toml, finetune.toml, store/, pretrained/ and finetuned/ (runs) in it.
    """
    from helpers import SMALL_FINETUNING, SMALL_PRETRAINING, call, write_recipe

    folder = write_reviews(tmp_path_factory.mktemp("trained") / "reviews")
    recipes = write_recipe(folder, **SMALL_PRETRAINING), write_recipe(folder, **SMALL_FINETUNING)
    for verb, recipe in zip(("pretrain", "finetune"), recipes, strict=True):
        answer = call(verb, recipe)
        assert answer.code == 0, answer.err
    return folder


def write_reviews(folder: Path) -> Path:
    """Write the generated reviews into a new folder; see `reviews`."""
    folder.mkdir()
    shuffled = random.Random(1)
    texts: dict[str, list[str]] = {}
    for label, words in WORDS.items():
        triples = itertools.product(SUBJECTS, words, ENDS)
        texts[label] = [f"{subject}{word}，{end}" for subject, word, end in triples]
        shuffled.shuffle(texts[label])
    start = 0
    for name, size in (("train", 32), ("development", 16), ("test", 16)):
        examples = [(text, label) for label in WORDS for text in texts[label][start : start + size]]
        shuffled.shuffle(examples)
        with (folder / f"{name}.csv").open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(("id", "text", "label"))
            writer.writerows((f"{name}-{number}", *example) for number, example in enumerate(examples))
        start += size
    rest = [text for label in WORDS for text in texts[label][start : start + 120]]
    shuffled.shuffle(rest)
    (folder / "corpus.txt").write_text("".join(f"{text}\n" for text in rest), encoding="utf-8")
    return folder
