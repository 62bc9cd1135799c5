"""What comes before the first fold: the files read and looked at, and encoders adapted to their texts."""

from collections.abc import Callable, Sequence
from pathlib import Path

from bertwright.checkpoint import load_checkpoint
from bertwright.compete.cells import Entries, recipe_of
from bertwright.compete.folds import groups_of
from bertwright.compete.linear import drift
from bertwright.compete.search import import_optuna
from bertwright.config import CompeteRecipe, MemberSettings, PretrainRecipe, expand
from bertwright.doctor import examine
from bertwright.download import checkpoint_folder
from bertwright.errors import UserError
from bertwright.finetune import check_length
from bertwright.pretrain import pretrain
from bertwright.recipe import parse
from bertwright.run import digest, write_json, write_text
from bertwright.tasks import TASKS
from bertwright.tasks.tag import Sentence
from bertwright.tasks.task import Example, Task, drawn, read_all
from bertwright.train import Progress

DRIFTS = 0.7
"""Area under the curve from which the test file is said to be of another kind than the training file."""


def read_entries(recipe: CompeteRecipe) -> tuple[Entries, list[str]]:
    """The examples of both files, and what is odd about them.

    Raises:
        UserError: a file is damaged, an id stands twice, or the metric is none of the task.
    """
    data = recipe.data
    task = TASKS[recipe.task](data.reading)
    train = read_all(task, expand(data.train))
    if data.train_examples is not None:
        train = drawn(train, task.key, data.train_examples)
    task.learn(train)
    task.check(train)
    if (data.metric or task.metric_names[0]) not in task.metric_names:
        raise UserError(
            f"data.metric is {data.metric!r}",
            expected=f"one of {', '.join(task.metric_names)}",
            advice="choose one of them, or leave it out",
        )
    test = read_all(task, expand(data.test), labelled=False)
    known = {task.key(example) for example in train}
    overlap = sum(task.key(example) in known for example in test)
    notices = list(task.notices)
    if data.group_column is not None:
        alone = sum(not example.columns.get(data.group_column, "").strip() for example in train)
        if alone:
            notices.append(f"{alone:,} training examples have no {data.group_column!r}, and are of no group")
    if overlap:
        notices.append(
            f"{overlap:,} of {len(test):,} test examples also occur in the training file: a score on all of them "
            "flatters; where their labels are held back, they are not scored"
        )
    return Entries(task, train, test, groups_of(task, train, data.group_column)), notices


def check_members(recipe: CompeteRecipe, entries: Entries) -> None:
    """See that every member can be trained as it says, before hours of training.

    Raises:
        UserError: its settings do not fit together or with the task, or its checkpoint is not there.
    """
    for name, member in recipe.members.items():
        settings = recipe_of(recipe, member, Path(recipe.run, "models", name), recipe.folds.seeds[0])
        task = TASKS[recipe.task](recipe.data.reading, entries.task.labels, entries.task.learnt)
        task.use(settings.tricks, entries.train)
        start = load_checkpoint(checkpoint_folder(expand(member.start.checkpoint)), weights=False)
        check_length(int(max(member.train.length, *member.search.get("train.length", ()), 0)), start)
        if member.search:
            import_optuna()


def look_at(recipe: CompeteRecipe, entries: Entries, folder: Path) -> list[str]:
    """Whether the test file is of another kind, and what doctor warns of in both files; doctor's page is kept."""
    found, data = [], recipe.data
    train, test = (_one_of_each_group(entries.task, side) for side in (entries.train, entries.test))
    area = drift(train, test)
    if area > DRIFTS:
        found.append(
            f"the test file is of another kind than the training file: a linear model tells their texts apart (area "
            f"under the curve {area:.2f}, .5 if they were alike), so that scores out of fold promise too much"
        )
    if recipe.task in ("classify", "pair") and not data.columns:
        columns = [data.text_column, *([data.second_column] if recipe.task == "pair" else [])]
        labels = data.label_column if data.label_kind == "class" else None
        files = [str(expand(data.train)), str(expand(data.test))]
        page = examine(files, reader="table", text_column=columns, label_column=labels)
        write_json(folder / "results" / "data.json", page)
        found += [each["text"] for each in page["warnings"] if each["level"] == "warning"]
    return found


def _one_of_each_group(task: Task, examples: Sequence[Example]) -> list[str]:
    """Texts that have nothing in common: of the questions on a passage only the first."""
    return list({task.group(example): " ".join(example.texts) for example in reversed(examples)}.values())


def adapted(
    name: str,
    member: MemberSettings,
    entries: Entries,
    folder: Path,
    say: Callable[[str], None],
    progress: Progress | None,
) -> MemberSettings:
    """The member that begins from its checkpoint after pre-training on the texts of both files, if it asks for that."""
    if not member.adaptation_minutes:
        return member
    before = {
        "checkpoint": member.start.checkpoint,
        "minutes": member.adaptation_minutes,
        "length": member.train.length,
    }
    run = folder / "adapted" / digest(before)  # members that begin alike share it
    if not (run / "results" / "pretrain.json").exists():
        say(f"{name}: pre-training on the texts of both files for {member.adaptation_minutes:g} minutes")
        texts = (text for each in (*entries.train, *entries.test) for text in _running_texts(each))
        lines = "".join(" ".join(text.split()) + "\n" for text in dict.fromkeys(texts))
        write_text(folder / "adapted" / "texts.txt", lines)
        values = {
            "run": str(run),
            "store": str(run.with_name(f"{run.name}-store")),
            "corpus": {"files": [str(folder / "adapted" / "texts.txt")], "held_out": 0.05},
            "start": {"checkpoint": member.start.checkpoint},
            "train": {"minutes": member.adaptation_minutes, "batch_size": 16, "length": member.train.length},
        }
        pretrain(parse(PretrainRecipe, values), resume=(run / "recipe.toml").exists(), progress=progress)
    start = member.start.model_copy(update={"checkpoint": str(run / "best")})
    return member.model_copy(update={"start": start})


def _running_texts(example: Example) -> list[str]:
    """The texts of an example; of a sentence the words as one text."""
    return [" ".join(example.texts)] if isinstance(example, Sentence) else list(example.texts)
