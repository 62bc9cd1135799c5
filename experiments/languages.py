"""Text in several languages, for the recipes that read many.

    python experiments/languages.py languages.jsonl                      for recipes/multilingual.toml, four languages
    python experiments/languages.py languages-104.jsonl --messages 104     for recipes/multilingual-104.toml

Four: captions of pictures in English, German and French (Multi30k) and Chinese web text (a sample of CLUECorpusSmall),
from $BERTWRIGHT_DATA. More: the messages of MediaWiki, which its readers have translated (Debian; GPL-2.0 or later), in
the languages with the most bytes of them, most of them the same messages. Captions and messages are short, and in no
order that says anything: twenty-five are a document.
"""

import argparse
import json
import os
import re
import subprocess
import tempfile
import urllib.request
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

TOGETHER = 25

MEDIAWIKI = "http://deb.debian.org/debian/pool/main/m/mediawiki/mediawiki_1.39.17-1+deb12u2_all.deb"
SHORTEST = 20
"""Bytes of a message, without its markup; bytes, as a Chinese character says more than a letter."""
MARKUP = re.compile(r"\{\{.*?\}\}|\[\[.*?\]\]|<[^>]+>|\$\d+|https?://\S+|'{2,}|[\[\]]")
CODE = re.compile("[a-z]{2,3}|zh-hans|zh-hant")
"""Languages, and not their regions, scripts and forms of address."""


def main() -> None:
    """Write the file that was named."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--messages", type=int, metavar="LANGUAGES", help="of MediaWiki, in place of the four")
    given = parser.parse_args()
    documents = messages(given.messages) if given.messages else four()
    with given.out.open("w", encoding="utf-8") as out:
        for language, texts in documents.items():
            for text in texts:
                out.write(json.dumps({"text": text, "language": language}, ensure_ascii=False) + "\n")
            print(f"{language}: {len(texts):,} documents, {sum(map(len, texts)):,} characters")


def four() -> dict[str, list[str]]:
    """Language -> its documents, of $BERTWRIGHT_DATA."""
    data = Path(os.environ["BERTWRIGHT_DATA"])
    found = {}
    for language in ("en", "de", "fr"):
        file = data / "parallel" / f"multi30k_train.{language}"
        found[language] = together(file.read_text(encoding="utf-8").splitlines())
    text = (data / "text" / "cluecorpussmall_sampled.txt").read_text(encoding="utf-8")
    found["zh"] = [document for document in text.split("\n\n") if document.strip()]
    return found


def messages(count: int) -> dict[str, list[str]]:
    """The same of so many languages of MediaWiki, those with the most text first."""
    every: dict[str, dict[str, None]] = defaultdict(dict)
    with tempfile.TemporaryDirectory() as folder:
        package = Path(folder, "package.deb")
        urllib.request.urlretrieve(MEDIAWIKI, package)
        subprocess.run(["dpkg-deb", "-x", str(package), folder], check=True)
        for path in sorted(Path(folder).rglob("i18n/**/*.json")):
            if CODE.fullmatch(path.stem) and path.stem != "qqq":  # that is their documentation
                every[path.stem] |= dict.fromkeys(cleaned(json.loads(path.read_text(encoding="utf-8"))))
    most = sorted(every, key=lambda language: -sum(map(size, every[language])))
    return {language: together(list(every[language])) for language in most[:count]}


def cleaned(entries: Mapping[str, object]) -> list[str]:
    """Of a file of messages, their text."""
    texts = (MARKUP.sub(" ", entry) for key, entry in entries.items() if isinstance(entry, str) and key[0] != "@")
    return [short for text in texts if size(short := " ".join(text.split())) > SHORTEST]


def size(text: str) -> int:
    """Bytes."""
    return len(text.encode())


def together(lines: Sequence[str]) -> list[str]:
    """Documents of TOGETHER lines."""
    return [" ".join(lines[begin : begin + TOGETHER]) for begin in range(0, len(lines), TOGETHER)]


if __name__ == "__main__":
    main()
