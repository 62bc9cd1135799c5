import ast
import re
from pathlib import Path

import bertwright.report
from bertwright.report.chinese import CHINESE
from bertwright.report.phrases import speaker
from helpers import call, refused

FOLDER = Path(bertwright.report.__file__).parent


def spoken() -> set[str]:
    """All phrases that the code and the templates say."""
    found = set()
    for path in FOLDER.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "say":
                assert isinstance(node.args[0], ast.Constant), (
                    f"{path.name}:{node.lineno}: a phrase must stand in the call"
                )
                found.add(node.args[0].value)
    for path in FOLDER.glob("*.j2"):
        found |= {match[1] for match in re.findall(r"""\bsay\((["'])(.*?)\1\)""", path.read_text(encoding="utf-8"))}
    return found


def test_every_phrase_has_its_chinese_and_no_chinese_is_left_over() -> None:
    assert spoken() == set(CHINESE)


def test_names_in_braces_stand_in_both_languages() -> None:
    for english, chinese in CHINESE.items():
        assert sorted(re.findall(r"\{\w+\}", english)) == sorted(re.findall(r"\{\w+\}", chinese)), english


def test_what_is_filled_in_is_not_read_as_a_phrase() -> None:
    assert speaker("zh")("File: {file}", file="{x}") == "文件：{x}"
    assert speaker("en")("File: {file}", file="{x}") == "File: {x}"


def test_the_language_is_chosen_on_the_command_line(demo_folder: Path, tmp_path: Path) -> None:
    answer = call("report", demo_folder, "--out", tmp_path / "page.html", "--language", "zh")
    assert answer.code == 0, answer.err
    assert "目录" in (tmp_path / "page.html").read_text(encoding="utf-8")
    refused(call("report", demo_folder, "--out", tmp_path / "none.html", "--language", "fr"), "'fr'", "en or zh")
    assert not (tmp_path / "none.html").exists()
