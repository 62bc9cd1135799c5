"""English in documents and sentences: the prose of the Internet's standards (RFC), from Debian's packages.

    python experiments/rfc.py OUT.txt [std fyi-bcp old-std]      a sentence a line, a blank line between documents

Fetches doc-rfc-NAME (non-free: the licence allows verbatim copies only, so that nothing of it is kept here), unpacks it
with dpkg-deb, and keeps paragraphs of prose: page headers and footers, tables, diagrams, contents, references, code and
paragraphs that stood in a document before (the legal ones, hundreds of times) are left out.
"""

import gzip
import re
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from bertwright.corpus.sentences import split_sentences

POOL = "http://deb.debian.org/debian/pool/non-free/d/doc-rfc/doc-rfc-{}_20230121-1_all.deb"
PACKAGES = ("std", "fyi-bcp", "old-std")
FOOTER = re.compile(r".*\[Page [0-9ivx]+\]\s*$", re.IGNORECASE)
HEADER = re.compile(r"^(RFC|Request for Comments|Internet-Draft)\b.*\b(19|20)[0-9]{2}\s*$")
LETTERS = re.compile(r"[A-Za-z ,.']")
SHORTEST = 150
"""Characters of a paragraph of prose, at least."""


def main() -> None:
    """Fetch, unpack, write."""
    out, names = Path(sys.argv[1]), sys.argv[2:] or PACKAGES
    seen: set[str] = set()
    documents = 0
    with tempfile.TemporaryDirectory() as folder, out.open("w", encoding="utf-8") as file:
        for name in names:
            package = Path(folder, f"{name}.deb")
            urllib.request.urlretrieve(POOL.format(name), package)
            subprocess.run(["dpkg-deb", "-x", str(package), folder], check=True)
        # A document stands in several folders (by status); its number is its name.
        found = {path.name: path for path in sorted(Path(folder).rglob("rfc[0-9]*.txt*"))}
        for name in sorted(found):
            sentences = list(sentences_of(read(found[name]), seen))
            if len(sentences) >= 10:
                file.write("\n".join(sentences) + "\n\n")
                documents += 1
    print(f"{documents:,} documents, {out.stat().st_size / 1e6:.1f} MB: {out}")


def read(path: Path) -> str:
    """The text of a file, packed or not."""
    data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    return data.decode("utf-8", errors="replace")


def sentences_of(text: str, seen: set[str]) -> Iterator[str]:
    """The sentences of all paragraphs of prose that were not seen before."""
    for paragraph in paragraphs_of(text):
        if re.match(r"(\d+\.)*\s*(References|Normative References|Informative References)\b", paragraph):
            return
        if is_prose(paragraph) and paragraph not in seen:
            seen.add(paragraph)
            yield from split_sentences(paragraph)


def paragraphs_of(text: str) -> Iterator[str]:
    """Paragraphs, joined to one line each, over the ends of pages."""
    lines: list[str] = []
    for line in text.replace("\f", "\n").splitlines():
        if FOOTER.match(line) or HEADER.match(line):
            while lines and not lines[-1]:  # a paragraph may go on on the next page
                lines.pop()
            continue
        lines.append(line.rstrip())
    part: list[str] = []
    for line in [*lines, ""]:
        if line.strip():
            part.append(line)
        elif part:
            if len({len(each) - len(each.lstrip()) for each in part[1:]}) <= 1:  # evenly indented
                yield " ".join(" ".join(part).split())
            part = []


def is_prose(paragraph: str) -> bool:
    """Whether a paragraph is mostly letters, long, and ends like a sentence."""
    letters = len(LETTERS.findall(paragraph))
    dots = paragraph.count(" . .") + paragraph.count("....") + paragraph.count("+--")
    return (
        len(paragraph) >= SHORTEST and letters / len(paragraph) > 0.93 and not dots and paragraph.endswith((".", ":"))
    )


if __name__ == "__main__":
    main()
