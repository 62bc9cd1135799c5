"""What is wrong with data, told in seconds, before anything is trained on it.

`examine` reads files once (and once more as far as the examples it shows); `store_page` makes the same page out of what
`prepare` counted, without reading the corpus again. Memory does not grow with the length of the texts: a record leaves
two 8-byte digests, the number of its label and a place in a table of lengths behind.

The page is plain JSON; what does not apply is null:

    files               one entry for each file (one for all together where an argument names more than 20):
      file              name
      records           texts that are not empty
      characters        in these texts
      bytes             of the files as they lie on the disk
      tokens            in these texts
      empty             records without text
      duplicates        records whose text stood before, white space at the ends and NFKC forms aside
      near_duplicates   the same, only letters and digits compared, and capital letters taken for small ones (the same
                        as duplicates with the reader "symbols", where each sign may matter, and for texts of more than
                        a million characters)
      dropped           whether empty and duplicate records were left out already (`prepare`), and count nowhere else
      long              records of more than 10,000 characters
      damaged           replacement characters (U+FFFD), left behind where text was once decoded wrongly
      looks_like_table  read as lines, but with as many tabs in each of the first ones
      examples          {"empty": PLACE, "duplicates": {"text", "places": [2]}, "near_duplicates": the same,
                        "long": {"characters", "place"}, "unlabelled": PLACE}, each null where there is none
      columns           {"text": [names], "label": name or null} of a table
      lengths           {"characters": L, "tokens": L} with L = {"minimum", "mean", "maximum", "quantiles": {"1%": ...,
                        "5%", "25%", "50%", "75%", "95%", "99%"}}; that of tokens, which does not count [CLS] and [SEP],
                        also has over_128 and over_512: shares of records that do not fit, [CLS] and [SEP] included
      histogram         {"characters": H, "tokens": H} with H = {"edges": [B + 1], "counts": [B], "above": lengths from
                        the last edge on}; a bin begins with its lower edge and ends before its upper one
      scripts           Unicode script, "digits" or "other" (punctuation, symbols) -> share of the visible characters
      labels            label -> records, the most frequent first, 100 of them at most
      num_labels        different labels, 0 where there is no label column; null for more than 10,000
      unlabelled        records without a label, null where there is no label column
      conflicts         {"texts", "records", "examples": [{"text", "places", "labels"}]}: same text, different labels
      unknown_rate      share of [UNK] among the tokens
    shared              for each pair of files with common texts: {"first", "second" (names), "texts" (different ones),
                        "in_first", "in_second" (records), "share" (of the records of the smaller file), "exact"
                        (records of the smaller file that stand in the other one as they are), "conflicts" (common
                        texts with other labels there), "example": {"text", "places": [2]}}; texts are compared as for
                        near_duplicates
    label_differences   labels that some labelled files lack: [{"label", "records", "in": [names], "missing": [names]}]
    unit                "tokens" or, without a tokenizer, "characters": what the next four are counted over
    vocabulary_size     of the tokenizer; without one, different characters
    unigram_entropy     nats; the loss that a model reaches which has learnt nothing but frequencies
    uniform_loss        ln V, the loss of a uniform guess
    expected_first_loss of an untrained model: see `metrics.expected_first_loss`
    width, initial_deviation   of the model that expected_first_loss is meant for
    warnings            [{"level": "warning" or "note", "text": one sentence}], warnings first

A PLACE is "FILE:LINE", or "FILE" where a file is a document. On the page of `prepare`, unknown_rate, scripts and
unigram_entropy are about the training tokens, the held-out ones left aside.
"""

from collections.abc import Sequence
from typing import Any

from bertwright.doctor import page as parts
from bertwright.doctor.advice import advise
from bertwright.doctor.compare import repeats, shared
from bertwright.doctor.examples import sources
from bertwright.doctor.measures import DEVIATION, WIDTH
from bertwright.doctor.stored import store_page
from bertwright.doctor.tally import count
from bertwright.errors import UserError
from bertwright.tokenizer import Tokenizer

__all__ = ["examine", "store_page"]


def examine(
    files: Sequence[str],
    *,
    reader: str | None = None,
    text_column: str | Sequence[str] | None = None,
    label_column: str | None = None,
    tokenizer: Tokenizer | None = None,
    width: int = WIDTH,
    initial_deviation: float = DEVIATION,
) -> dict[str, Any]:
    """Examine files: one after the other, then what they share.

    Args:
        files: files, folders or patterns, in the order in which the page shall name them (train first, then test).
        reader: how to read them (a name of `corpus.READERS`); otherwise .csv, .tsv and .jsonl are tables, all others
            are read line by line.
        text_column: of tables: the column of the text, or several that make up one example together; otherwise guessed
            by name, or taken if it is the only one that looks like text.
        label_column: of tables: the column of the label; otherwise guessed by name. Files without it count as
            unlabelled, one of them must have it.
        tokenizer: counts tokens; without one, entropy and first loss are about characters.
        width: D of the model that the expected first loss is meant for.
        initial_deviation: sigma of that model.

    Returns:
        The page that the module describes.

    Raises:
        UserError: a file cannot be read (with file and line), or its columns cannot be told.
    """
    text_columns = (text_column,) if isinstance(text_column, str) else tuple(text_column or ())
    found = sources(files, reader=reader, text_columns=text_columns, label_column=label_column)
    tallies = [count(source, tokenizer) for source in found]
    if label_column is not None and not any((columns := source.columns()) and columns.label for source in found):
        raise UserError(
            f"no file has a column {label_column!r}",
            expected="a column of labels in a table",
            advice="check its name, or leave it out",
        )
    repeated, common = [repeats(tally) for tally in tallies], shared(tallies)
    shown = [parts.records(source, parts.wanted(i, repeated[i], common)) for i, source in enumerate(found)]
    files_part = [
        parts.entry(tally, of_file, texts, tokenizer)
        for tally, of_file, texts in zip(tallies, repeated, shown, strict=True)
    ]
    page = {
        "files": files_part,
        "shared": [parts.shared_entry(pair, tallies, shown) for pair in common],
        "label_differences": parts.label_differences(tallies),
        **parts.losses(tallies, tokenizer, width, initial_deviation),
    }
    return page | {"warnings": advise(page)}
