import json
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

import made_up
from bertwright.report import write_report


class Reader(HTMLParser):
    """Collects the tags of a page with their attributes, and its scripts."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.identities: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self.identities += [value or "" for name, value in attrs if name == "id"]


def without_plotly(page: str) -> str:
    """The page without the copy of plotly.js."""
    begin = page.index("/**\n* plotly.js")
    return page[:begin] + page[page.index("</script>", begin) :]


def page_of(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def test_the_page_asks_nothing_of_the_network(demo_page: Path) -> None:
    reader = Reader(without_plotly(page_of(demo_page)))
    for tag, attributes in reader.tags:
        assert "src" not in attributes, tag
        href = attributes.get("href") or "#"
        assert href.startswith(("#", "data:")), href
    policies = [
        a["content"] for tag, a in reader.tags if tag == "meta" and a.get("http-equiv") == "Content-Security-Policy"
    ]
    assert len(policies) == 1
    allowed = {"'none'", "'unsafe-inline'", "data:", "blob:"}
    assert all(set(part.split()[1:]) <= allowed for part in (policies[0] or "").split(";"))
    assert (policies[0] or "").startswith("default-src 'none'")
    assert "@import" not in page_of(demo_page)[:30000]


def test_plotly_stands_in_the_page_once_and_whole(demo_page: Path) -> None:
    from plotly.offline import get_plotlyjs

    assert page_of(demo_page).count(get_plotlyjs()) == 1
    # Either would end the script before its end.
    assert "</script" not in get_plotlyjs()
    assert "<!--" not in get_plotlyjs()


def test_a_page_without_charts_holds_no_plotly(tmp_path: Path) -> None:
    made_up.write(tmp_path / "fill.json", made_up.fill_result())
    page = write_report([tmp_path / "fill.json"], tmp_path / "report.html")
    assert page.stat().st_size < 100_000


def test_every_entry_of_the_contents_has_its_section(demo_page: Path) -> None:
    reader = Reader(without_plotly(page_of(demo_page)))
    targets = [(a["href"] or "")[1:] for tag, a in reader.tags if tag == "a" and (a.get("href") or "").startswith("#")]
    assert len(targets) == 9
    assert set(targets) <= set(reader.identities)
    assert len(set(reader.identities)) == len(reader.identities)


def test_every_chart_is_json_without_nan(demo_page: Path) -> None:
    found = re.findall(r'<script type="application/json">(.*?)</script>', page_of(demo_page), re.DOTALL)
    assert len(found) == 5
    for text in found:
        chart = json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} in a chart"))
        assert chart["data"]
        assert chart["layout"]["paper_bgcolor"] == "--card"


def test_texts_cannot_become_markup(tmp_path: Path) -> None:
    folder = made_up.demo(tmp_path / "demo", steps=10, epochs=2)
    harmless = Reader(without_plotly(page_of(write_report([folder], tmp_path / "harmless.html"))))
    made_up.plant_everywhere(folder)
    page = without_plotly(page_of(write_report([folder], tmp_path / "report.html", title=made_up.EVIL)))
    planted = Reader(page)
    assert page.count("alert(") > 100
    assert "<script>alert" not in page
    # Neither a tag nor an attribute that a harmless page does not have, and no script more.
    assert {tag for tag, _ in planted.tags} == {tag for tag, _ in harmless.tags}
    assert {name for _, found in planted.tags for name in found} == {
        name for _, found in harmless.tags for name in found
    }
    assert [tag for tag, _ in planted.tags].count("script") == [tag for tag, _ in harmless.tags].count("script")


def test_the_same_files_give_the_same_page(demo_folder: Path, demo_page: Path, tmp_path: Path) -> None:
    again = write_report([demo_folder], tmp_path / "again.html")
    assert again.read_bytes() == demo_page.read_bytes()


def test_a_folder_gets_a_report_html(demo_folder: Path, tmp_path: Path) -> None:
    assert write_report([demo_folder], tmp_path) == tmp_path / "report.html"


def test_a_page_can_be_drawn_again_over_itself(tmp_path: Path) -> None:
    run = made_up.pretraining(tmp_path / "run", steps=10)
    first = write_report([run], run / "report.html").read_bytes()
    assert write_report([run], run / "report.html").read_bytes() == first


def test_half_a_surrogate_pair_does_not_stop_the_report(tmp_path: Path) -> None:
    (tmp_path / "fill.json").write_text('{"texts": [{"text": "\\ud83d[MASK]", "candidates": []}]}', encoding="utf-8")
    assert "?<span" in page_of(write_report([tmp_path / "fill.json"], tmp_path / "report.html"))


def test_a_chinese_page(demo_folder: Path, tmp_path: Path) -> None:
    page = page_of(write_report([demo_folder], tmp_path / "report.html", language="zh"))
    assert '<html lang="zh-CN">' in page
    assert "<h2>预训练为什么重要</h2>" in page
    assert "Pre-training" not in without_plotly(page)


def test_the_title_can_be_given(demo_folder: Path, tmp_path: Path) -> None:
    page = page_of(write_report([demo_folder], tmp_path / "report.html", title="A & B"))
    assert "<title>A &amp; B</title>" in page
    assert "<h1>A &amp; B</h1>" in page


def test_the_title_names_a_few_runs_and_counts_many(tmp_path: Path) -> None:
    places = [made_up.similarity(tmp_path / name) for name in ("one", "two", "three", "four")]
    few, many = (page_of(write_report(places[:count], tmp_path / "report.html")) for count in (3, 4))
    assert "<h1>Report: one, two, three</h1>" in few
    assert "<h1>Report: 4 runs</h1>" in many


def test_no_heavy_library_is_imported() -> None:
    code = "import sys, bertwright.report.sections; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = {name.partition(".")[0] for name in done.stdout.split()}
    assert not loaded & {"torch", "sklearn", "scipy", "plotly", "pandas", "numpy"}
