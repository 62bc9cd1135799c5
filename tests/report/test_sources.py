from pathlib import Path

import pytest

import made_up
from bertwright.errors import UserError
from bertwright.report.sources import read_sources


def test_the_demo_is_its_folder_and_three_runs(demo_folder: Path) -> None:
    sources = read_sources([demo_folder])
    assert [source.name for source in sources] == ["demo", "pretrain", "pretrained", "scratch"]
    assert set(sources[0].results) == {"demo", "fill"}
    assert sources[1].recipe.startswith("run = ")
    assert sources[1].environment["cores"] == 2
    assert len(sources[1].log) == 60


def test_one_results_file_is_a_source(demo_folder: Path) -> None:
    (source,) = read_sources([demo_folder / "results" / "fill.json"])
    assert source.results["fill"]["kind"] == "fill"


def test_nothing_is_read_twice(demo_folder: Path) -> None:
    twice = read_sources([demo_folder, demo_folder / "scratch", demo_folder / "."])
    assert [source.name for source in twice] == ["demo", "pretrain", "pretrained", "scratch"]


def test_runs_of_the_same_name_are_told_apart(tmp_path: Path) -> None:
    for parent in ("a", "b"):
        made_up.pretraining(tmp_path / parent / "run", steps=10)
    sources = read_sources([tmp_path / "a" / "run", tmp_path / "b" / "run"])
    assert len({source.name for source in sources}) == 2
    assert all(source.name.endswith("/run") for source in sources)


def test_what_is_still_being_written_is_left_alone(tmp_path: Path) -> None:
    run = made_up.pretraining(tmp_path / "run", steps=10)
    (run / "results" / ".partial-other.json").write_text("{", encoding="utf-8")
    (source,) = read_sources([run])
    assert set(source.results) == {"pretrain"}


def test_a_torn_last_line_of_the_log_is_left_out(tmp_path: Path) -> None:
    run = made_up.pretraining(tmp_path / "run", steps=10)
    with (run / "log.jsonl").open("a", encoding="utf-8") as log:
        log.write('{"step": 11, "lo')
    (source,) = read_sources([run])
    assert source.log[-1]["step"] == 10


@pytest.mark.parametrize("name", ["missing", "empty"])
def test_nothing_to_report_is_a_message(tmp_path: Path, name: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError) as caught:
        read_sources([tmp_path / name])
    assert str(tmp_path / name) in str(caught.value)


def test_a_damaged_result_is_named(tmp_path: Path) -> None:
    run = made_up.pretraining(tmp_path / "run", steps=10)
    (run / "results" / "pretrain.json").write_text('{"kind": ', encoding="utf-8")
    with pytest.raises(UserError, match=r"pretrain\.json"):
        read_sources([run])
