"""Text in four languages, for recipes/multilingual.toml: python experiments/languages.py languages.jsonl.

Captions of pictures in English, German and French (Multi30k) and Chinese web text (a sample of CLUECorpusSmall), from
$BERTWRIGHT_DATA. Twenty-five captions are a document: they are short, and in no order that says anything.
"""

import json
import os
import sys
from pathlib import Path

TOGETHER = 25


def main() -> None:
    """Write the file that was named."""
    data = Path(os.environ["BERTWRIGHT_DATA"])
    with Path(sys.argv[1]).open("w", encoding="utf-8") as out:
        for language in ("en", "de", "fr", "zh"):
            if language == "zh":
                text = (data / "text" / "cluecorpussmall_sampled.txt").read_text(encoding="utf-8")
                documents = [document for document in text.split("\n\n") if document.strip()]
            else:
                file = data / "parallel" / f"multi30k_train.{language}"
                lines = file.read_text(encoding="utf-8").splitlines()
                documents = [" ".join(lines[begin : begin + TOGETHER]) for begin in range(0, len(lines), TOGETHER)]
            for document in documents:
                out.write(json.dumps({"text": document, "language": language}, ensure_ascii=False) + "\n")
            print(f"{language}: {len(documents):,} documents, {sum(map(len, documents)):,} characters")


if __name__ == "__main__":
    main()
