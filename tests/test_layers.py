"""The shape of the package: imports look down, heavy libraries stay away, files and functions stay small.

The tests read the source with `ast`; two of them import it in a fresh interpreter and look at what came along.
"""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "bertwright"

LEVELS = {
    "errors": 0,
    "config": 0,
    "recipe": 0,
    "run": 0,
    "corpus": 1,
    "alphabet": 2,
    "blocks": 2,
    "vocabulary": 2,
    "edges": 2,
    "groups": 2,
    "tokenizer": 2,
    "tokenizer_folder": 2,
    "store": 2,
    "batches": 3,
    "devices": 3,
    "metrics": 3,
    "model": 3,
    "optim": 3,
    "processes": 3,
    "samples": 3,
    "track": 3,
    "watch": 3,
    "adversarial": 4,
    "clock": 4,
    "objectives": 4,
    "tasks": 4,
    "checkpoint": 5,
    "download": 5,
    "machine": 5,
    "onnx": 5,
    "output": 5,
    "start": 5,
    "train": 5,
    "answer": 6,
    "doctor": 6,
    "embed": 6,
    "evaluate": 6,
    "export": 6,
    "fill": 6,
    "finetune": 6,
    "inspection": 6,
    "music": 6,
    "split": 6,
    "predict": 6,
    "prepare": 6,
    "pretrain": 6,
    "analyze": 7,
    "compete": 7,
    "demo": 7,
    "report": 7,
    "__init__": 8,
    "console": 9,
    "cli": 9,
    "__main__": 10,
}
"""Level of every part (module or folder) of the package: it imports lower ones, itself, and what `SIDEWAYS` allows."""

SIDEWAYS = {
    ("config", "errors"),
    ("recipe", "config"),
    ("recipe", "errors"),
    ("run", "errors"),
    ("edges", "vocabulary"),
    ("tokenizer", "alphabet"),
    ("tokenizer", "edges"),
    ("tokenizer", "tokenizer_folder"),
    ("tokenizer", "vocabulary"),
    ("tokenizer_folder", "alphabet"),
    ("vocabulary", "alphabet"),
    ("tokenizer_folder", "vocabulary"),
    ("store", "blocks"),
    ("store", "tokenizer"),
    ("train", "checkpoint"),
    ("machine", "train"),
    ("start", "checkpoint"),
    ("prepare", "doctor"),
    ("pretrain", "prepare"),
    ("evaluate", "predict"),
    ("answer", "predict"),
    ("export", "predict"),
    ("demo", "report"),
    ("cli", "console"),
}
"""Imports allowed between parts of one level: (the importing one, the imported one)."""

ONLY = {
    "corpus": {"errors", "config", "run"},
    "model": {"errors", "config"},
    "optim": {"errors", "config"},
    "devices": {"errors", "config"},
    "processes": {"errors"},
    "doctor": {"errors", "config", "run", "corpus", "tokenizer", "store", "metrics", "vocabulary"},
    "report": {"errors", "config", "run"},
}
"""Parts that may import less than their level allows: the model knows nothing of data, the report reads files only."""

WITHOUT_TORCH = ("errors", "config", "run", "corpus", "vocabulary", "tokenizer", "store", "doctor", "report")
"""Parts that never import torch, in no function either."""

HEAVY = ("torch", "sklearn", "scipy", "plotly")
"""Libraries that importing the package must not bring along."""

PRINTS = ("cli", "console")
"""The parts that write to the terminal."""

MOST_LINES_OF_FILE = 450
MOST_LINES_OF_FUNCTION = 80

PRESENT = {path.relative_to(SOURCE).parts[0].removesuffix(".py") for path in SOURCE.rglob("*.py")}


def part_of(module: str) -> str:
    """The part a module belongs to: `bertwright.corpus.text` -> `corpus`, `bertwright` -> `__init__`."""
    return [*module.split("."), "__init__"][1]


def imported_modules(tree: ast.AST, package: str) -> Iterator[tuple[int, str]]:
    """Every import of a module, in functions too.

    Args:
        tree: the source.
        package: the package the source belongs to; relative imports begin there.

    Yields:
        The line and the full name of the imported module. `from bertwright import x` counts as `bertwright.x` where x
        is a part.
    """
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            module = ".".join([*above, *([node.module] if node.module else [])])
            for alias in node.names:
                is_part = module == "bertwright" and alias.name in LEVELS
                yield node.lineno, f"{module}.{alias.name}" if is_part else module


def problems(path: Path, source: str) -> list[str]:
    """What in a module breaks the rules of this file.

    Args:
        path: of the module, relative to the package (`corpus/text.py`).
        source: its text.
    """
    part = path.parts[0].removesuffix(".py")
    if part not in LEVELS:
        return [f"{path}: {part!r} has no level: give it one in LEVELS"]
    tree = ast.parse(source)
    found = []
    for line, module in imported_modules(tree, ".".join(["bertwright", *path.parts[:-1]])):
        top = module.split(".")[0]
        if top == "torch" and part in WITHOUT_TORCH:
            found.append(f"{path}:{line}: {part} must not import torch")
        if top == "rich" and part not in PRINTS:
            found.append(f"{path}:{line}: only {PRINTS[1]} writes to the terminal; it alone imports rich")
        if top == "bertwright" and not may_import(part, part_of(module)):
            found.append(f"{path}:{line}: {part} must not import {module}")
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("print", "builtins.print") and part not in PRINTS:
            found.append(f"{path}:{node.lineno}: only {PRINTS[0]} prints")
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            if length > MOST_LINES_OF_FUNCTION:
                found.append(f"{path}:{node.lineno}: {node.name} has {length} lines, over {MOST_LINES_OF_FUNCTION}")
    num_lines = len(source.splitlines())
    if num_lines > MOST_LINES_OF_FILE:
        found.append(f"{path}: {num_lines} lines, more than {MOST_LINES_OF_FILE}")
    if "utils" in (name.removesuffix(".py") for name in path.parts):
        found.append(f"{path}: a helper lives with its first user, or in a file named for what it does")
    return found


def may_import(importing: str, imported: str) -> bool:
    """Whether one part of the package may import another."""
    if importing == imported:
        return True
    if imported not in LEVELS or imported not in ONLY.get(importing, LEVELS):
        return False
    return LEVELS[imported] < LEVELS[importing] or (importing, imported) in SIDEWAYS


@pytest.mark.parametrize("path", sorted(path.relative_to(SOURCE) for path in SOURCE.rglob("*.py")), ids=str)
def test_module_keeps_the_rules(path: Path):
    assert problems(path, (SOURCE / path).read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    ("path", "source", "expected"),
    [
        ("train.py", "from bertwright.checkpoint import save", None),
        ("checkpoint.py", "from bertwright.train import train", "must not import bertwright.train"),
        ("corpus/text.py", "from bertwright.corpus.sentences import split_sentences", None),
        ("corpus/text.py", "def f():\n    from bertwright import tokenizer", "must not import bertwright.tokenizer"),
        ("corpus/text.py", "from ..tokenizer import Tokenizer", "must not import bertwright.tokenizer"),
        ("corpus/text.py", "from . import sentences", None),
        ("model/layers.py", "import bertwright.store", "must not import bertwright.store"),
        ("objectives/pairs.py", "from bertwright.tasks import TASKS", "must not import bertwright.tasks"),
        ("report/page.py", "from bertwright.metrics import accuracy", "must not import bertwright.metrics"),
        ("pretrain.py", "import bertwright", "must not import bertwright"),
        ("pretrain.py", "from bertwright.novel import thing", "must not import bertwright.novel"),
        ("doctor.py", "def f():\n    import torch.nn", "must not import torch"),
        ("batches.py", "def f():\n    import torch", None),
        ("train.py", "print('step')", "only cli prints"),
        ("train.py", "from rich.console import Console", "imports rich"),
        ("console.py", "from rich.console import Console\nprint(Console())", None),
        ("model/utils.py", "", "lives with its first user"),
        ("novel.py", "", "has no level"),
        ("train.py", "x = 1\n" * (MOST_LINES_OF_FILE + 1), "lines, more than"),
        ("train.py", "def f():\n" + "    x = 1\n" * MOST_LINES_OF_FUNCTION, "f has 81 lines"),
    ],
)
def test_rules_are_seen(path: str, source: str, expected: str | None):
    found = problems(Path(path), source)
    if expected is None:
        assert found == []
    else:
        assert len(found) == 1
        assert expected in found[0]


def test_sideways_imports_make_no_circle():
    edges = set(SIDEWAYS)
    while leaves := {edge for edge in edges if all(edge[1] != importing for importing, _ in edges)}:
        edges -= leaves
    assert edges == set()
    assert all(LEVELS[importing] == LEVELS[imported] for importing, imported in SIDEWAYS)


def heavy_after(statement: str) -> str:
    """The heavy libraries that a fresh interpreter has loaded after a statement."""
    code = f"import sys\n{statement}\nprint(*[name for name in {HEAVY} if name in sys.modules])"
    run = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True, encoding="utf-8")
    assert run.returncode == 0, run.stderr
    return run.stdout.strip()


@pytest.mark.parametrize("module", ["bertwright", "bertwright.cli"])
def test_importing_the_package_is_light(module: str):
    assert heavy_after(f"import {module}") == ""


def test_parts_without_torch_bring_none_along():
    modules = ", ".join(f"bertwright.{part}" for part in WITHOUT_TORCH if part in PRESENT)
    assert "torch" not in heavy_after(f"import {modules}").split()


def test_looking_at_modules_finds_a_heavy_one():
    assert heavy_after("import scipy") == "scipy"


def test_public_names_are_functions_however_they_are_imported() -> None:
    """Several share their name with the module that they stand in, which importing binds to the package."""
    code = "\n".join(
        [
            "from bertwright import evaluate, fill, finetune, prepare, pretrain",
            "assert all(map(callable, (evaluate, fill, finetune, prepare, pretrain)))",
            "import bertwright.compete, bertwright.fill",
            "from bertwright import compete, fill",
            "assert callable(compete) and callable(fill) and callable(bertwright.fill)",
            "from bertwright.fill import fill as same",
            "assert same is fill",
        ]
    )
    subprocess.run([sys.executable, "-c", code], check=True)
