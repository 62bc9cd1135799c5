"""What the figures of a page mean, in plain sentences: what was found, where, and what to do."""

from collections.abc import Iterator
from typing import Any

Advice = dict[str, str]

MANY_DUPLICATES = 0.01
MANY_UNKNOWN = 0.01
SOME_UNKNOWN = 0.001
ONE_SIDED = 0.8
FEW_EXAMPLES = 10
MOST_SHOWN = 10


def advise(page: dict[str, Any]) -> list[Advice]:
    """The sentences of a page, warnings before notes."""
    found = [
        *(advice for entry in page["files"] for advice in _about_texts(entry)),
        *(advice for entry in page["files"] for advice in _about_labels(entry)),
        *_about_several(page),
        *_about_losses(page),
    ]
    return sorted(found, key=lambda advice: advice["level"] != "warning")


def _warning(text: str) -> Advice:
    return {"level": "warning", "text": text}


def _note(text: str) -> Advice:
    return {"level": "note", "text": text}


def _about_texts(entry: dict[str, Any]) -> Iterator[Advice]:
    file, records, examples = entry["file"], entry["records"], entry["examples"]
    is_table = entry["columns"] is not None
    in_tables = _warning if is_table else _note
    if records == 0:
        yield _warning(f"{file} holds no text at all.")
        return
    if entry["empty"]:
        where = f", the first in {_line(examples['empty'], file)}" if examples["empty"] else ""
        advice = "leave them out, or fill them"
        if not is_table and not entry["dropped"]:
            advice = 'if blank lines part documents of many lines, read it by reader = "sentences"'
        yield in_tables(f"{file} has {_records(entry['empty'])} without text{where}: {advice}.")
    if entry["looks_like_table"]:
        yield _note(
            f"{file} was read line by line, but every line holds as many tabs: if it is a table, rename it to .tsv."
        )
    if entry["duplicates"] or entry["near_duplicates"]:
        share = entry["duplicates"] / (records + entry["duplicates"] if entry["dropped"] else records)
        yield (_warning if share >= MANY_DUPLICATES and not entry["dropped"] else _note)(_duplicates(entry, share))
    if entry["long"]:
        longest = examples["long"]
        where = f"{longest['characters']:,} characters in {_line(longest['place'], file)}"
        advice = "a model reads them in windows" if is_table else "cut them where one text ends and another begins"
        yield in_tables(
            f"{file} has {_records(entry['long'])} of more than 10,000 characters (the longest: {where}): {advice}."
        )
    if entry["damaged"]:
        yield _warning(
            f"{file} holds {entry['damaged']:,} replacement characters (U+FFFD): its text was once decoded wrongly "
            "and must be fetched anew in the right encoding."
        )
    yield from _about_tokens(entry)


def _duplicates(entry: dict[str, Any], share: float) -> str:
    number, near, file = entry["duplicates"], entry["near_duplicates"], entry["file"]
    if entry["dropped"]:
        return f"{_records(number)} ({share:.1%}) repeated an earlier text and were dropped."
    example = entry["examples"]["duplicates"] or entry["examples"]["near_duplicates"]
    first, second = (_line(place, file) for place in example["places"])
    found = f"{_records(number)} ({share:.1%}) {_verb(number, 'repeat')} an earlier text"
    if number == 0:
        found = (
            f"{_records(near)} {_verb(near, 'repeat')} an earlier text but for punctuation, spaces or capital letters"
        )
    elif near > number:
        found += f", {near:,} if only letters and digits are compared"
    return f"In {file}, {found} (such as {second} that of {first}): drop them, else they count twice."


def _about_tokens(entry: dict[str, Any]) -> Iterator[Advice]:
    file, unknown, tokens = entry["file"], entry["unknown_rate"], entry["lengths"]["tokens"]
    if unknown is not None and unknown >= SOME_UNKNOWN:
        yield (_warning if unknown >= MANY_UNKNOWN else _note)(
            f"{unknown:.2%} of the tokens of {file} are unknown to the tokenizer: the model cannot tell them apart; "
            "take or train a tokenizer that knows these characters."
        )
    if tokens is not None and entry["columns"] is not None and tokens["over_128"]:
        yield _note(
            f"{tokens['over_128']:.1%} of the records of {file} do not fit into 128 tokens, {tokens['over_512']:.1%} "
            "not into 512: what exceeds the length of the training is read in windows."
        )


def _about_labels(entry: dict[str, Any]) -> Iterator[Advice]:
    file, labels, num_labels, records = entry["file"], entry["labels"], entry["num_labels"], entry["records"]
    if entry["unlabelled"]:
        where = _line(entry["examples"]["unlabelled"], file)
        yield _warning(
            f"{file} has {_records(entry['unlabelled'])} without a label, the first in {where}: label or remove them."
        )
    if entry["columns"] is None or entry["columns"]["label"] is None:
        return
    column = entry["columns"]["label"]
    if num_labels is None:
        yield _warning(f"Column {column!r} of {file} holds more than 10,000 different values: it holds no classes.")
        return
    if conflicts := entry["conflicts"]["texts"]:
        places = [_line(place, file) for place in entry["conflicts"]["examples"][0]["places"]]
        texts = f"{conflicts:,} texts have" if conflicts > 1 else "one text has"
        yield _warning(
            f"In {file}, {texts} different labels ({_records(entry['conflicts']['records'])} in all, such as "
            f"{' and '.join(places)}): decide for one label each."
        )
    if num_labels == 1:
        yield _warning(f"Every label of {file} is {next(iter(labels))!r}: there is nothing to learn.")
    if num_labels > len(labels):
        yield _note(f"Column {column!r} of {file} holds {num_labels:,} different values: are they classes?")
        return
    yield from _about_balance(file, labels, records)


def _about_balance(file: str, labels: dict[str, int], records: int) -> Iterator[Advice]:
    if len(labels) > 1 and max(labels.values()) >= ONE_SIDED * records:
        label = max(labels, key=lambda label: labels[label])
        yield _note(
            f"{labels[label] / records:.1%} of the records of {file} bear the label {label!r}: always to say so is "
            "right that often, so look at macro F1 beside accuracy."
        )
    if rare := [label for label, number in labels.items() if number < FEW_EXAMPLES]:
        yield _note(
            f"Less than {FEW_EXAMPLES} records of {file} bear {_some(rare)}: too few to learn from or to measure on."
        )
    alike: dict[str, list[str]] = {}
    for label in labels:
        alike.setdefault(label.casefold(), []).append(label)
    for group in alike.values():
        if len(group) > 1:
            yield _warning(f"The labels {_some(group)} of {file} differ in capital letters only: write them alike.")


def _about_several(page: dict[str, Any]) -> Iterator[Advice]:
    records = {entry["file"]: entry["records"] for entry in page["files"]}
    for pair in page["shared"]:
        sides = [("second", "first"), ("first", "second")]
        this, other = sides[records[pair["first"]] < records[pair["second"]]]
        number = pair[f"in_{this}"]
        labels = f"; of these texts, {pair['conflicts']:,} with another label" if pair["conflicts"] else ""
        yield _warning(
            f"{number:,} of the {_records(records[pair[this]])} of {pair[this]} ({pair['share']:.1%}) "
            f"{_verb(number, 'stand')} in {pair[other]}, too{labels}: if you train on one and test on the other, drop "
            "them from the test."
        )
    differences = page["label_differences"]
    labelled = {file for difference in differences for file in difference["in"] + difference["missing"]}
    largest = max(labelled, key=lambda file: records[file], default=None)
    for difference in differences[:MOST_SHOWN]:
        label, missing = difference["label"], difference["missing"]
        text = f"The label {label!r} ({_records(difference['records'])}) occurs in {', '.join(difference['in'])}"
        if largest in missing:
            yield _warning(f"{text}, but not in {largest}: a model trained on that can never predict it.")
        else:
            yield _note(f"{text}, but not in {', '.join(missing)}: there it is not measured.")
    if len(differences) > MOST_SHOWN:
        yield _note(f"{len(differences) - MOST_SHOWN:,} more labels occur in some of the files only.")


def _about_losses(page: dict[str, Any]) -> Iterator[Advice]:
    if page["vocabulary_size"]:
        yield _note(
            f"A masked-{page['unit'].removesuffix('s')} loss of {page['unigram_entropy']:.2f} nats is reached by "
            "frequencies alone, so learning begins below it; a uniform guess over "
            f"{page['vocabulary_size']:,} {page['unit']} costs {page['uniform_loss']:.2f}, an untrained model of width "
            f"{page['width']} about {page['expected_first_loss']:.2f}."
        )


def _records(number: int) -> str:
    return f"{number:,} record{'s' * (number != 1)}"


def _verb(number: int, verb: str) -> str:
    return verb if number != 1 else f"{verb}s"


def _line(place: str, file: str) -> str:
    """A place, short where the sentence names the file already."""
    return f"line {place.removeprefix(f'{file}:')}" if place.startswith(f"{file}:") else place


def _some(labels: list[str]) -> str:
    more = f" and {len(labels) - MOST_SHOWN} more" if len(labels) > MOST_SHOWN else ""
    return ", ".join(map(repr, labels[:MOST_SHOWN])) + more
