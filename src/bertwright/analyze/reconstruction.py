"""Show a sentence, mask nothing, and read the head: does the language stay? (the lecture's slide 80).

If vectors held the meaning alone, a head that knows many languages could answer in any of them.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bertwright.analyze.head import HeadReader, reconstructed
from bertwright.analyze.parallel import drawn_rows, names_of
from bertwright.corpus.files import open_text
from bertwright.errors import UserError
from bertwright.run import keep_result

SHOWN = 3
"""Sentences of each language on the page."""


def reconstruction(
    model: str | Path, files: Sequence[str | Path], *, most: int = 500, folder: Path | None = None
) -> dict[str, Any]:
    """Read sentences of several languages back from the masked-token head.

    Args:
        model: with a masked-token head: a run, a checkpoint folder or a model of the hub.
        files: of each language one, with a sentence a line.
        most: sentences of each language, drawn evenly of those that the model takes whole. Every other one is read
            back; the rest tell which language a token is of.
        folder: where results/reconstruction.json is written; None: nowhere.

    Returns:
        {"kind", "model", "languages"}; a language has "name" (of the file), "sentences" (read back), "too_long"
        (sentences left out), "tokens", "same" (share of the tokens given back), "stays" (share of the answers of some
        language that are of this one, or None; see `token_languages`) and "examples" [{"text", "output"}].

    Raises:
        UserError: the model has no masked-token head, a file is damaged or has no two sentences, or there is but one
            file.
    """
    if len(files) < 2:
        raise UserError(
            "one language cannot be told from others",
            expected="files of two languages at least",
            advice="give a file of sentences for each language",
        )
    head = HeadReader(model)
    tokenizer = head.reader.checkpoint.tokenizer
    drawn = [_sentences(head, Path(file), most) for file in files]
    sides = [tokenizer.encode_batch(texts) for texts, _ in drawn]
    languages = head.token_languages([side[1::2] for side in sides])
    found = []
    for number, (name, whole, (texts, too_long)) in enumerate(zip(names_of(files), sides, drawn, strict=True)):
        side = whole[::2]
        said = head.read_off(side)
        shown = zip(texts[: 2 * SHOWN : 2], said, strict=False)
        found.append(
            {
                "name": name,
                "sentences": len(side),
                "too_long": too_long,
                "tokens": sum(map(len, side)),
                **reconstructed(said, side, languages, number),
                "examples": [{"text": text, "output": tokenizer.decode(row)} for text, row in shown],
            }
        )
    return keep_result({"kind": "reconstruction", "model": str(model), "languages": found}, folder)


def _sentences(head: HeadReader, file: Path, most: int) -> tuple[list[str], int]:
    """Different sentences of a file that the model takes whole, and how many it does not take."""
    with open_text(file) as stream:
        lines = [line.strip() for line in stream]
    rows, too_long = drawn_rows(head.reader, [lines], most)
    if len(rows) < 2:
        raise UserError(
            f"only {len(rows)} different sentences have 1 to {head.reader.room} tokens",
            file=file,
            expected="two or more, one a line",
            advice="give sentences that the model takes whole",
        )
    return [text for (text,) in rows], too_long
