"""Results and runs, drawn as one HTML page that needs no network. Reads files only; no torch.

read_sources -> headline and sections -> page.html.j2, with style.css, page.js and one copy of plotly.js put in.
"""

from pathlib import Path

from bertwright.report.blocks import has_figure
from bertwright.report.comparison import demo_result
from bertwright.report.phrases import Say, speaker
from bertwright.report.sections import all_sections, headline
from bertwright.report.sources import Source, read_sources
from bertwright.run import write_text

NAMED = 3
"""Runs that the title names; of more it tells the number."""


def write_report(sources: list[Path], out: Path, title: str | None = None, language: str = "en") -> Path:
    """Draw runs and results as one page.

    The page depends on nothing but the files that are read: the same files give the same page.

    Args:
        sources: run folders, folders of runs, results files.
        out: the page to write; in a folder, it is called report.html.
        title: of the page; None: named after the sources.
        language: of the fixed phrases, "en" or "zh".

    Returns:
        The path of the page.

    Raises:
        UserError: a source is missing, damaged, or holds nothing to report; or there is no such language.
    """
    out = out / "report.html" if out.is_dir() else out
    write_text(out, render(sources, title, language))
    return out


def render(paths: list[Path], title: str | None = None, language: str = "en") -> str:
    """The page as text; see `write_report`."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup
    from plotly.offline import get_plotlyjs

    sources, say = read_sources(paths), speaker(language)
    sections = all_sections(sources, say)
    sentences, tiles = headline(sources, say)
    here = Path(__file__).parent
    # By hand: jinja2 does not see from a name that ends in .j2 that the file is HTML.
    environment = Environment(
        loader=FileSystemLoader(here), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    # Strict JSON: NaN in a chart is a mistake of ours, and would leave the page without this chart.
    environment.policies["json.dumps_kwargs"] = {"ensure_ascii": False, "allow_nan": False, "separators": (",", ":")}
    page = environment.get_template("page.html.j2").render(
        title=title or _title(sources, say),
        language=language,
        say=say,
        sentences=sentences,
        tiles=tiles,
        sections=sections,
        style=Markup((here / "style.css").read_text(encoding="utf-8")),
        script=Markup((here / "page.js").read_text(encoding="utf-8")),
        plotly=Markup(get_plotlyjs()) if any(has_figure(section.blocks) for section in sections) else "",
    )
    # Half of a surrogate pair, which a JSON file may hold, cannot be written as UTF-8: it becomes a question mark.
    return page.encode("utf-8", "replace").decode("utf-8")


def _title(sources: list[Source], say: Say) -> str:
    if demo_result(sources):
        return say("The demo: why pre-training matters")
    if len(sources) > NAMED:
        return say("Report: {count} runs", count=str(len(sources)))
    return say("Report: {names}", names=", ".join(source.name for source in sources))
