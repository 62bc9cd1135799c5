"""The pieces that a section of the page is made of; blocks.html.j2 holds a macro for each, named by its `kind`."""

from dataclasses import dataclass, field
from typing import Any, ClassVar


@dataclass(frozen=True)
class Paragraph:
    """A sentence or two; `tone` is "plain", "note" (small and quiet) or "warning"."""

    kind: ClassVar = "paragraph"
    text: str
    tone: str = "plain"


@dataclass(frozen=True)
class Heading:
    """A heading within a section."""

    kind: ClassVar = "heading"
    text: str


@dataclass(frozen=True)
class Tile:
    """One figure that matters, with its name and a few words of explanation; `colour` is a name of the palette."""

    label: str
    value: str
    detail: str = ""
    colour: str = ""


@dataclass(frozen=True)
class Tiles:
    """A row of tiles."""

    kind: ClassVar = "tiles"
    tiles: list[Tile]


@dataclass(frozen=True)
class Figure:
    """A chart, as charts.py makes it; `summary` says what it shows to those who cannot see it."""

    kind: ClassVar = "figure"
    chart: dict[str, Any]
    summary: str
    caption: str = ""
    height: int = 360


@dataclass(frozen=True)
class Slides:
    """A chart with a slider below it: each frame has a label, and for each trace of the chart values to put into it."""

    kind: ClassVar = "slides"
    chart: dict[str, Any]
    frames: list[list[dict[str, Any]]]
    labels: list[str]
    start: int
    """Number of the frame that is shown first."""
    name: str
    """What the slider goes through."""
    summary: str
    caption: str = ""
    height: int = 360


@dataclass(frozen=True)
class Table:
    """Rows of text. A column is aligned right, with digits of equal width, where `numeric` says so."""

    kind: ClassVar = "table"
    columns: list[str]
    rows: list[list[str]]
    numeric: list[bool]
    caption: str = ""


@dataclass(frozen=True)
class Facts:
    """Names and values, two by two."""

    kind: ClassVar = "facts"
    rows: list[tuple[str, str]]


@dataclass(frozen=True)
class Mask:
    """What a model puts for one [MASK]: tokens with their probabilities; `expected` if the right one is known."""

    candidates: list[tuple[str, float]]
    expected: str = ""
    remark: str = ""


@dataclass(frozen=True)
class Filled:
    """A sentence, cut at its masks, and what stands for each."""

    parts: list[str]
    masks: list[Mask]


@dataclass(frozen=True)
class Fill:
    """Sentences with their masks filled in."""

    kind: ClassVar = "fill"
    sentences: list[Filled]


@dataclass(frozen=True)
class Confusion:
    """How often which class was taken for which: rows are the truth. A cell is (count, share of its row)."""

    kind: ClassVar = "confusion"
    labels: list[str]
    cells: list[list[tuple[int, float]]]


@dataclass(frozen=True)
class Example:
    """One mistake. `start` is what stands on the page before the reader unfolds a long text, else empty."""

    text: str
    start: str
    truth: str
    predicted: str
    probability: str
    identity: str


@dataclass(frozen=True)
class Examples:
    """Mistakes, worst first."""

    kind: ClassVar = "examples"
    examples: list[Example]


@dataclass(frozen=True)
class Fold:
    """Other blocks, or a text in monospace, behind a line that opens them."""

    kind: ClassVar = "fold"
    title: str
    code: str = ""
    blocks: list[Any] = field(default_factory=list)
    is_open: bool = False


Block = Paragraph | Heading | Tiles | Figure | Slides | Table | Facts | Fill | Confusion | Examples | Fold


@dataclass(frozen=True)
class Section:
    """A part of the page with a heading and a line in the list of contents."""

    identity: str
    title: str
    blocks: list[Block]


def has_figure(blocks: list[Block]) -> bool:
    """Whether a chart is among the blocks, folded ones included."""
    return any(
        isinstance(block, Figure | Slides) or (isinstance(block, Fold) and has_figure(block.blocks)) for block in blocks
    )
