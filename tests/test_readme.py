"""The two READMEs are executed, and say the same.

Their fenced `bash` blocks run one after the other in one shell, in a folder that holds corpus.txt, train.csv,
development.csv and test.csv (the generated reviews of conftest.py) and the project's recipes/. Comments directly above
a block, one a line, say otherwise:

    <!-- not run -->                                     the block is shown only; a reason may follow after a colon
    <!-- run with: train.steps=2 model.preset=tiny -->   words added to every command of the block that takes a recipe
    <!-- run predict with: --json -->                    words added to that command alone

The `python` blocks are run after them, in the same folder.

Only README.md is run: the other README is compared with it, comments included, so running it would prove nothing more.
"""

import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from textwrap import dedent

import pytest

from helpers import call

PROJECT = Path(__file__).parents[1]
ENGLISH, CHINESE = "README.md", "README.zh-CN.md"

RECIPE_VERBS = ("prepare", "pretrain", "finetune", "compete")
"""The commands that take a recipe, and overrides after it."""

BERTWRIGHT = (sys.executable, "-c", "from bertwright.cli import main; main()")
"""The command `bertwright` of the running environment, installed or not."""

SECONDS = 240

FENCE = re.compile(r"^ *```(\w*) *\n(.*?)^ *``` *$", re.MULTILINE | re.DOTALL)
COMMENT = re.compile(r"^<!-- (not run|run(?: (?P<verb>[a-z]+))? with)(?:: (?P<words>.*))? -->$")


@dataclass
class Block:
    """One fenced `bash` block: where it is, what it says, and what the comments above it ask for."""

    place: str
    script: str
    run: bool = True
    added: dict[str, list[str]] = field(default_factory=dict)

    def meaning(self) -> tuple[list[str], bool, dict[str, list[str]]]:
        """What must be the same in every language: the commands without their comments, and how they are run."""
        lines = [re.sub(r"(^|\s)#\s.*$", "", line).rstrip() for line in self.script.splitlines()]
        return [line for line in lines if line], self.run, self.added


PAGES = sorted(path.name for path in (PROJECT / "docs").glob("*.zh-CN.md"))


def read_blocks(text: str, name: str) -> list[Block]:
    """The `bash` blocks of a page, in order."""
    blocks = []
    for match in FENCE.finditer(text):
        language, script = match.groups()
        above = text[: match.start()].splitlines()
        place = f"{name}:{len(above) + 1}"
        assert language not in ("sh", "shell", "console"), f"{place}: shell blocks are marked bash, not {language}"
        if language != "bash":
            continue
        block = Block(place, dedent(script))
        while above and (above[-1].strip().startswith("<!--") or not above[-1].strip()):
            if line := above.pop().strip():
                follow(block, line)
        blocks.append(block)
    return blocks


def python_blocks(text: str) -> list[str]:
    """The `python` blocks of a page, in order."""
    return [match[2] for match in FENCE.finditer(text) if match[1] == "python"]


def follow(block: Block, line: str) -> None:
    """Do to a block what a comment above it says."""
    comment = COMMENT.match(line)
    assert comment, f"{block.place}: the comment {line!r} says nothing that this test knows"
    if comment[1] == "not run":
        block.run = False
        return
    for verb in [comment["verb"]] if comment["verb"] else RECIPE_VERBS:
        block.added.setdefault(verb, []).extend(shlex.split(comment["words"] or ""))


def shell_script(blocks: list[Block], program: tuple[str, ...] = BERTWRIGHT) -> str:
    """One script that runs the blocks and says, on standard error, where it is.

    Args:
        blocks: those that are not to be run are left out.
        program: what stands for `bertwright`.
    """
    parts = ["set -euo pipefail"]
    for block in blocks:
        if not block.run:
            continue
        cases = [f'    {verb}) set -- "$@" {shlex.join(words)} ;;' for verb, words in block.added.items()]
        parts += ["bertwright() {", '  case "${1-}" in', *cases, "  esac", f'  {shlex.join(program)} "$@"', "}"]
        parts += [f"echo '== {block.place}' >&2", block.script]
    return "\n".join(parts) + "\n"


def run_script(script: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a script with the shell, the running environment's programs first on the path."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    return subprocess.run(
        ["bash", "-c", script],
        check=False,
        cwd=folder,
        env={**os.environ, "PATH": path, "PYTHONPATH": str(PROJECT / "src")},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=SECONDS,
    )


def read_page(name: str) -> str:
    """The text of a README."""
    assert (PROJECT / name).exists(), f"{name} is missing"
    return (PROJECT / name).read_text(encoding="utf-8")


needs_bash = pytest.mark.skipif(
    os.name == "nt" or shutil.which("bash") is None, reason="the blocks are written for a POSIX shell"
)


@needs_bash
def test_readme_runs(reviews: Path):
    if (PROJECT / "recipes").exists():
        shutil.copytree(PROJECT / "recipes", reviews / "recipes")
    blocks = read_blocks(read_page(ENGLISH), ENGLISH)
    assert any(block.run for block in blocks), f"{ENGLISH} holds no block that is run"
    result = run_script(shell_script(blocks), reviews)
    assert result.returncode == 0, f"{result.stdout[-2000:]}\n{result.stderr[-6000:]}"
    snippets = python_blocks(read_page(ENGLISH))
    assert snippets
    for snippet in snippets:
        result = run_script(f"{shlex.quote(sys.executable)} -c {shlex.quote(snippet)}", reviews)
        assert result.returncode == 0, f"{snippet}\n{result.stderr[-6000:]}"


def test_readmes_hold_the_same_python() -> None:
    assert python_blocks(read_page(ENGLISH)) == python_blocks(read_page(CHINESE))


def test_readmes_hold_the_same_commands():
    english = [block.meaning() for block in read_blocks(read_page(ENGLISH), ENGLISH)]
    chinese = [block.meaning() for block in read_blocks(read_page(CHINESE), CHINESE)]
    assert english == chinese


@pytest.mark.parametrize("page", PAGES)
def test_pages_hold_the_same_commands_in_both_languages(page: str) -> None:
    names = f"docs/{page.replace('.zh-CN', '')}", f"docs/{page}"
    english, chinese = ([block.meaning()[0] for block in read_blocks(read_page(name), name)] for name in names)
    assert english == chinese
    one, other = ([re.sub(r" *# .*", "", each) for each in python_blocks(read_page(name))] for name in names)
    assert one == other


@pytest.mark.parametrize("page", PAGES)
def test_commands_of_a_page_have_these_options(page: str) -> None:
    name = f"docs/{page.replace('.zh-CN', '')}"
    for block in read_blocks(read_page(name), name):
        for line in " ".join(block.meaning()[0]).replace("\\ ", "").split("bertwright ")[1:]:
            verbs = re.match(r"(analyze )?[a-z]+", line)
            assert verbs is not None, line
            told = call(*verbs[0].split(), "--help").out
            options = re.findall(r"(?<= )--[a-z][a-z0-9-]*", line)
            assert [option for option in options if option not in told] == [], f"{block.place}: {line}"


@pytest.mark.parametrize(
    ("page", "heading"),
    [
        ("lecture.md", r"^## Slides? (\d+)(?: (?:and|to) (\d+))?: "),
        ("lecture.zh-CN.md", r"^## 第 (\d+)(?:(?: 到 |、)(\d+))? 页："),
    ],
)
def test_every_slide_of_the_lecture_has_its_section(page: str, heading: str):
    """A section with commands for each of the slides 53 to 82, in their order, and no slide twice."""
    text = (PROJECT / "docs" / page).read_text(encoding="utf-8")
    found = [(int(first), int(last or first)) for first, last in re.findall(heading, text, re.MULTILINE)]
    assert [slide for first, last in found for slide in range(first, last + 1)] == list(range(53, 83))
    sections = re.split(r"^## ", text, flags=re.MULTILINE)[1:]
    assert len(sections) == len(found)
    assert [section.splitlines()[0] for section in sections if "```" not in section] == []


@pytest.mark.parametrize("name", [ENGLISH, CHINESE])
def test_readme_is_short(name: str):
    assert len(read_page(name).splitlines()) < 200


SAMPLE = """\
# A page

```python
print("not a shell block")
```

<!-- not run: needs the network -->
```bash
pip install bertwright
```

Then, with a *comment* elsewhere <!-- like this one -->:

<!-- run with: train.steps=2 corpus.files='["corpus.txt", "b c.txt"]' -->
<!-- run predict with: --json -->

```bash
name=first                          # a shell variable lives on
bertwright pretrain recipe.toml \\
    run=runs/x                      # overrides
bertwright predict runs/x | cat
bertwright inspect runs/x
```

1. A list:

   ```bash
   bertwright pretrain "$name"
   ```
"""

ECHO = (sys.executable, "-c", "import sys; print(sys.argv[1:])")


def test_blocks_are_read():
    hidden, first, second = read_blocks(SAMPLE, "page")
    assert (hidden.place, hidden.run) == ("page:8", False)
    assert first.run
    assert first.added["finetune"] == ["train.steps=2", 'corpus.files=["corpus.txt", "b c.txt"]']
    assert first.added["predict"] == ["--json"]
    assert (second.script, second.added) == ('bertwright pretrain "$name"\n', {})


@needs_bash
def test_blocks_are_run(tmp_path: Path):
    result = run_script(shell_script(read_blocks(SAMPLE, "page"), ECHO), tmp_path)
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines() == [
        """['pretrain', 'recipe.toml', 'run=runs/x', 'train.steps=2', 'corpus.files=["corpus.txt", "b c.txt"]']""",
        "['predict', 'runs/x', '--json']",
        "['inspect', 'runs/x']",
        "['pretrain', 'first']",
    ]
    assert result.stderr.splitlines() == ["== page:17", "== page:27"]


@needs_bash
def test_a_failing_block_is_seen(tmp_path: Path):
    page = "```bash\ntrue\n```\n\n```bash\nbertwright x | cat\ntrue\n```\n"
    result = run_script(
        shell_script(read_blocks(page, "page"), (sys.executable, "-c", "raise SystemExit(3)")), tmp_path
    )
    assert result.returncode == 3
    assert result.stderr.splitlines()[-1] == "== page:5"


def test_translated_comments_are_no_difference():
    english, chinese = (Block("", f"bertwright demo   # {comment}\n# {comment}\n") for comment in ("all of it", "全部"))
    assert english.meaning() == chinese.meaning()
    assert english.meaning() != Block("", "bertwright demo --json\n").meaning()
    assert english.meaning() != Block("", "bertwright demo\n", run=False).meaning()


def test_unknown_comments_and_shells_are_refused():
    with pytest.raises(AssertionError, match="says nothing"):
        read_blocks("<!-- not ran -->\n```bash\nrm x\n```\n", "page")
    with pytest.raises(AssertionError, match="marked bash"):
        read_blocks("```console\nls\n```\n", "page")
