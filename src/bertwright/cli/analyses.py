"""The commands below `bertwright analyze`."""

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import typer

from bertwright.cli.parts import Json, app, draw_report, folder_of, given, guard, print_json
from bertwright.console import say, stages

analyze = typer.Typer(help="Measure models: what pre-training is worth, what they have learnt.", no_args_is_help=True)
app.add_typer(analyze, name="analyze")

Model = Annotated[str, typer.Argument(help="A run, a checkpoint folder or a model of the hub.")]
TABLE = "A table with the columns word, group and text; or apple-traditional, apple-simplified, english"
Sentences = Annotated[str, typer.Argument(help=f"{TABLE}.")]
Words = Annotated[list[str] | None, typer.Option("--word", help="Of the table's words only this one; may be repeated.")]


def _named(given: Iterable[str]) -> dict[str, str]:
    """What NAME=PLACE names."""
    from bertwright.errors import UserError

    found: dict[str, str] = {}
    for each in given:
        name, _, place = each.partition("=")
        if not name or not place or name in found or Path(name).name != name:
            raise UserError(
                f"{each!r} does not name a place",
                expected="NAME=PLACE, every name once and without a slash",
                advice="write a name, an equals sign, and the file, folder or model",
            )
        found[name] = place
    return found


def _tell_too_long(count: int) -> None:
    if count:
        say(f"{count:,} lines are longer than the model reads, and are left out", "yellow")


def _counts(given: Iterable[str], known: Iterable[str]) -> dict[str, int]:
    """How many NAME=COUNT gives each name."""
    from bertwright.errors import UserError

    found = {}
    for name, count in _named(given).items():
        if name not in known or not count.isdecimal() or int(count) < 1:
            raise UserError(
                f"{name}={count} gives no number to a recipe",
                expected=f"NAME=COUNT, a name out of {', '.join(known)}, and 1 or more",
                advice="mend it",
            )
        found[name] = int(count)
    return found


def _rates(given: Iterable[str]) -> dict[str, float]:
    """The learning rate that START=RATE gives each start."""
    from bertwright.errors import UserError

    found = {}
    for name, text in _named(given).items():
        try:
            found[name] = float(text)
        except ValueError:
            found[name] = 0.0
        if not 0 < found[name] < 1:
            raise UserError(
                f"{name}={text} gives no learning rate", expected=f"NAME=RATE, such as {name}=5e-4", advice="mend it"
            )
    return found


def _recipes(files: list[str]) -> dict[str, Any]:
    """Recipes of finetune by the names of their files."""
    from bertwright.config import FinetuneRecipe
    from bertwright.errors import UserError
    from bertwright.recipe import load_recipe

    found: dict[str, Any] = {}
    for file in files:
        if (name := Path(file).stem) in found:
            raise UserError(
                f"two recipes are called {name}",
                file=file,
                expected="a name of its own for each: results are kept by it",
                advice="rename one of the files",
            )
        found[name] = load_recipe(FinetuneRecipe, file)
    return found


@analyze.command()
@guard
def initialization(
    recipes: Annotated[list[str], typer.Argument(metavar="RECIPE...", help="Recipes of finetune, one for each task.")],
    run: Annotated[str, typer.Option(help="Folder for what is measured.")] = "runs/initialization",
    seeds: Annotated[list[int] | None, typer.Option("--seed", help="Again for each seed; by default 1 and 2.")] = None,
    epochs: Annotated[int, typer.Option(help="Of each training.", min=1)] = 20,
    random_rate: Annotated[
        float | None, typer.Option(help="Learning rate from random weights; by default that of the recipe.")
    ] = None,
    as_json: Json = False,
) -> None:
    """The same tasks from pre-trained and from random weights (slide 62)."""
    from bertwright.analyze import Trainings
    from bertwright.analyze import initialization as run_initialization

    loaded = _recipes(recipes)
    options = {"seeds": seeds or [1, 2], "epochs": epochs, "random_rate": random_rate}
    with stages() as (announce, progress):
        result = run_initialization(loaded, Trainings(folder_of(run), announce, progress.steps), **options)
    for task in result["tasks"]:
        judged = task["judged"]
        best = judged["best_score"]
        say(
            f"{task['name']:>24}  {task['metric']} {best['pretrained']:.4f} pre-trained, {best['random']:.4f} from "
            f"scratch; lower loss in {judged['lower_in_epochs']} of {epochs} epochs"
        )
    draw_report(run)
    print_json(result, as_json)


@analyze.command()
@guard
def domains(
    recipes: Annotated[list[str], typer.Argument(metavar="RECIPE...", help="Of finetune, one for each data set.")],
    text: Annotated[
        str | None,
        typer.Option(metavar="CHECKPOINT", help="The text encoder; that of the recipes is of their alphabets then."),
    ] = None,
    more: Annotated[
        list[str] | None,
        typer.Option(
            "--start",
            metavar="START",
            help="Another start: unused ([unused] tokens for words), words (only they differ between seeds), trainings "
            "(only these differ); may be repeated.",
        ),
    ] = None,
    seeds: Annotated[list[int] | None, typer.Option("--seed", help="Again for each seed; by default 1 to 5.")] = None,
    fewer: Annotated[
        list[str] | None,
        typer.Option("--fewer", metavar="NAME=COUNT", help="Of a data set only so many of the seeds; may be repeated."),
    ] = None,
    rates: Annotated[
        list[str] | None,
        typer.Option(
            "--rate",
            metavar="START=RATE",
            help="From a start (text, reembedded, random, own, own-random) AdamW at this rate, in place of the "
            "recipe's optimizer; may be repeated.",
        ),
    ] = None,
    run: Annotated[str, typer.Option(help="Folder for what is measured.")] = "runs/domains",
    as_json: Json = False,
) -> None:
    """Does a BERT that has read only English help with DNA, proteins or music? (slides 73 to 75)."""
    from bertwright.analyze import Trainings
    from bertwright.analyze import domains as run_domains

    loaded = _recipes(recipes)
    counts = _counts(fewer or [], loaded)
    every = seeds or [1, 2, 3, 4, 5]
    with stages() as (announce, progress):
        options = {"text": text, "more": more or [], "rates": _rates(rates or [])}
        of_sets = {name: every[: counts.get(name, len(every))] for name in loaded}
        result = run_domains(loaded, Trainings(folder_of(run), announce, progress.steps), of_sets, **options)
    for each in result["sets"]:
        for start, found in each["starts"].items():
            mean, against = sum(found["scores"]) / len(found["scores"]), found["against"]["text"]
            told = "" if against is None else "  {:+.4f} ({:+.4f} to {:+.4f}) to text".format(*against)
            say(f"{each['name']:>24}  {start:>10}  {each['metric']} {mean:.4f}{told}")
    draw_report(run)
    print_json(result, as_json)


@analyze.command()
@guard
def transfer(
    recipes: Annotated[list[str], typer.Argument(metavar="RECIPE...", help="Of finetune, one for each language.")],
    encoders: Annotated[
        list[str], typer.Option("--encoder", metavar="NAME=CHECKPOINT", help="That is fine-tuned; may be repeated.")
    ],
    tests: Annotated[
        list[str], typer.Option("--test", metavar="NAME=FILE", help="That every model is tested on; may be repeated.")
    ],
    seeds: Annotated[list[int] | None, typer.Option("--seed", help="Again for each seed; by default 1 to 3.")] = None,
    most: Annotated[int, typer.Option(help="Examples of a test, at most.", min=1)] = 1000,
    rates: Annotated[
        list[str] | None,
        typer.Option(
            "--rate",
            metavar="NAME=RATE",
            help="For an encoder, or none, AdamW at this rate, in place of the recipe's optimizer; may be repeated.",
        ),
    ] = None,
    run: Annotated[str, typer.Option(help="Folder for what is measured.")] = "runs/transfer",
    as_json: Json = False,
) -> None:
    """Fine-tune in one language, be tested in others, from several encoders and from none (slides 77 and 78)."""
    from bertwright.analyze import Trainings
    from bertwright.analyze import transfer as run_transfer

    loaded = _recipes(recipes)
    with stages() as (announce, progress):
        trainings = Trainings(folder_of(run), announce, progress.steps)
        options = {"seeds": seeds or [1, 2, 3], "most": most, "rates": _rates(rates or [])}
        result = run_transfer(loaded, _named(encoders), _named(tests), trainings, **options)
    for row in result["rows"]:
        told = [
            f"{test} {metric} {sum(row['scores'][test][metric]) / len(result['seeds']):.4f}"
            for test in result["tests"]
            for metric in result["metrics"]
        ]
        say(f"{row['encoder']:>16}  {row['train']:>16}  {'  '.join(told)}")
    draw_report(run)
    print_json(result, as_json)


@analyze.command()
@guard
def sizes(
    models: Annotated[
        list[str] | None,
        typer.Argument(metavar="[MODEL]...", help="Models or recipes of your own, to stand among them."),
    ] = None,
    run: Annotated[str, typer.Option(help="Folder for the result and its page.")] = "runs/sizes",
    as_json: Json = False,
) -> None:
    """How large the family is, from ELMo to Switch, computed from published shapes (slides 53 to 56)."""
    from bertwright.analyze import sizes as run_sizes

    result = run_sizes(models or [], folder_of(run))
    for model in result["models"]:
        published = f"  published {model['published']:,.0f}" if model["published"] else ""
        slide = f"  on the slide {model['slide']}" if model["slide"] else ""
        say(f"{model['name']:>24}  {model['parameters']:>17,}{published}{slide}")
    draw_report(run)
    print_json(result, as_json)


@analyze.command()
@guard
def similarity(
    model: Model,
    sentences: Sentences,
    words: Words = None,
    run: Annotated[str, typer.Option(help="Folder for the result and its page.")] = "runs/similarity",
    as_json: Json = False,
) -> None:
    """Does the vector of a word know its neighbours? One word in many sentences, at every layer (slides 69 to 71)."""
    from bertwright.analyze import similarity as run_similarity

    result = run_similarity(model, sentences, words=words or [], folder=folder_of(run))
    for each in result["words"]:
        gaps = [layer["gap"] for layer in each["layers"]]
        best = gaps.index(max(gaps))
        layer = each["layers"][best]
        say(
            f"{each['word']:>24}  layer {best}: within {layer['within']:.3f}, across {layer['across']:.3f}, p "
            f"{layer['p']:.4f}; layer 0: gap {gaps[0]:.3f}"
        )
    draw_report(run)
    print_json(result, as_json)


@analyze.command()
@guard
def embeddings(
    model: Model,
    sentences: Annotated[str | None, typer.Argument(help=f"{TABLE}; or none, with --token.")] = None,
    words: Words = None,
    tokens: Annotated[
        list[str] | None, typer.Option("--token", help="Its neighbours in the vocabulary, too; may be repeated.")
    ] = None,
    run: Annotated[str, typer.Option(help="Folder for the result and its page.")] = "runs/embeddings",
    as_json: Json = False,
) -> None:
    """Which tokens lie close: neighbours in the vocabulary and in context, and a map of all occurrences (slide 69)."""
    from bertwright.analyze import embeddings as run_embeddings

    result = run_embeddings(model, sentences, words=words or [], tokens=tokens or [], folder=folder_of(run))
    for each in result["tokens"]:
        say(f"{each['token']:>24}  {', '.join(token for token, _ in each['static'])}")
    for each in result["words"]:
        say(f"{each['word']:>24}  {', '.join(token for token, _ in each['static'])}")
        for sense in each["senses"]:
            say(f"{sense['group']:>24}  {', '.join(token for token, _ in sense['neighbours'])}")
    draw_report(run)
    print_json(result, as_json)


@analyze.command()
@guard
def context(
    model: Model,
    store: Annotated[str, typer.Argument(help="The store from which CBOW learns: that of the encoder, to be fair.")],
    sentences: Sentences,
    words: Words = None,
    run: Annotated[str, typer.Option(help="Folder for the result and its page.")] = "runs/context",
    as_json: Json = False,
) -> None:
    """BERT beside CBOW: which tells senses apart, what moves a vector, where tokens look (slide 72)."""
    from bertwright.analyze import context as run_context

    with stages() as (announce, _):
        announce("CBOW learns from the store")
        result = run_context(model, store, sentences, words=words or [], folder=folder_of(run))
    scores = result["scores"]
    best = max(range(len(scores["layers"])), key=scores["layers"].__getitem__)
    say(
        f"occurrences given their sense: CBOW {scores['cbow']:.3f}, mean of its neighbours' vectors "
        f"{scores['neighbours']:.3f}, layer 0 {scores['layers'][0]:.3f}, layer {best} {scores['layers'][best]:.3f}"
    )
    draw_report(run)
    print_json(result, as_json)


@analyze.command()
@guard
def probes(
    model: Model,
    data: Annotated[str, typer.Argument(help="Words with labels, as `tag` reads them, or texts with one.")],
    unit: Annotated[str, typer.Option(help="words or texts.")] = "words",
    label_column: Annotated[str | None, typer.Option(help="The column of the labels.")] = None,
    over_checkpoints: Annotated[bool, typer.Option(help="Every checkpoint that the run has kept.")] = False,
    task: Annotated[
        str | None, typer.Option(metavar="RECIPE", help="Of finetune: begins from eight of the checkpoints, too.")
    ] = None,
    run: Annotated[str, typer.Option(help="Folder for the cells, the result and its page.")] = "runs/probes",
    as_json: Json = False,
) -> None:
    """What linear layers read from frozen vectors, by layer, and over the checkpoints of a run."""
    from bertwright.analyze import LabelledFile, Trainings
    from bertwright.analyze import probes as run_probes
    from bertwright.config import FinetuneRecipe, ReadingSettings
    from bertwright.recipe import load_recipe

    source = LabelledFile(data, unit, ReadingSettings.model_validate(given(None, None, label_column)))
    options = {"over_checkpoints": over_checkpoints, "task": load_recipe(FinetuneRecipe, task) if task else None}
    with stages() as (announce, progress):
        result = run_probes(model, source, Trainings(folder_of(run), announce, progress.steps), **options)
    known = result["baselines"]
    say(f"without a model: {known['majority']:.3f} (most frequent label), {known['word']:.3f} (that of each word)")
    for cell in result["checkpoints"]:
        best = max(range(len(cell["layers"])), key=cell["layers"].__getitem__)
        if cell["left_out"]:
            say(f"{cell['left_out']:,} {unit} are left out: without a token, or behind the model's end", "yellow")
        if cell["cut"]:
            say(f"{cell['cut']:,} texts are longer than the model takes: read up to there", "yellow")
        control = f", control task {cell['control'][best]:.3f}" if "control" in cell else ""
        say(f"{cell['name']:>24}  layer {best}: {cell['layers'][best]:.3f}{control}")
    draw_report(run)
    print_json(result, as_json)


One = Annotated[str, typer.Argument(help="Sentences, one a line.")]
Other = Annotated[str, typer.Argument(help="Their translations, in the same lines.")]
Dictionary = Annotated[str | None, typer.Option(help="Words and their translations, separated by a tab.")]
Most = Annotated[int, typer.Option(help="Pairs of sentences at most.", min=20)]


@analyze.command()
@guard
def alignment(
    model: Model,
    one: One,
    other: Other,
    dictionary: Dictionary = None,
    most: Most = 1000,
    over_time: Annotated[bool, typer.Option("--over-time", help="At every kept checkpoint of the run, too.")] = False,
    run: Annotated[str, typer.Option(help="Folder for the result and its page.")] = "runs/alignment",
    as_json: Json = False,
) -> None:
    """Do translations lie side by side, and where is the language? (slides 79 to 81)."""
    from bertwright.analyze import alignment as run_alignment

    result = run_alignment(model, (one, other), dictionary, most=most, over_time=over_time, folder=folder_of(run))
    _tell_too_long(result["too_long"])
    for kind in ("sentences", "words"):
        if result[kind] is not None:
            plain, centred, random = result[kind]["plain"], result[kind]["centred"], result["untrained"][kind]["plain"]
            for how, ranks in (("plain", plain), ("centred", centred), ("random weights", random)):
                values = ranks["reciprocal_rank"]
                best = max(range(len(values)), key=values.__getitem__)
                say(
                    f"{kind:>12}, {how:>14}: layer {best}, mean reciprocal rank {values[best]:.3f}, precision at 1 "
                    f"{ranks['first'][best]:.3f} of {result[kind]['count']:,}"
                )
    draw_report(run)
    print_json(result, as_json)


@analyze.command()
@guard
def reconstruction(
    model: Model,
    files: Annotated[list[str], typer.Argument(metavar="FILE FILE...", help="Sentences, one a line, by language.")],
    most: Annotated[int, typer.Option(help="Sentences of each language, at most.", min=2)] = 500,
    run: Annotated[str, typer.Option(help="Folder for the result and its page.")] = "runs/reconstruction",
    as_json: Json = False,
) -> None:
    """Sentences read back with nothing masked: does the language stay? (slide 80)."""
    from bertwright.analyze import reconstruction as run_reconstruction

    result = run_reconstruction(model, files, most=most, folder=folder_of(run))
    _tell_too_long(sum(each["too_long"] for each in result["languages"]))
    for each in result["languages"]:
        stays = "" if each["stays"] is None else f", {each['stays']:.1%} of the answers in the language"
        say(f"{each['name']:>24}  {each['same']:.1%} of the tokens given back{stays}")
    draw_report(run)
    print_json(result, as_json)


@analyze.command()
@guard
def shift(
    model: Model,
    one: One,
    other: Other,
    dictionary: Dictionary = None,
    most: Most = 1000,
    shown: Annotated[
        list[str] | None, typer.Option("--sentence", help="Of the first language, to be shown; may be repeated.")
    ] = None,
    run: Annotated[str, typer.Option(help="Folder for the result and its page.")] = "runs/shift",
    as_json: Json = False,
) -> None:
    """Reconstruction, and sentences moved to the other language by adding a vector (slides 80 to 82)."""
    from bertwright.analyze import shift as run_shift

    options = {"most": most, "shown": shown or [], "folder": folder_of(run)}
    with stages() as (_, progress):
        result = run_shift(model, (one, other), dictionary, **options, progress=progress.counter)
    _tell_too_long(result["too_long"])
    best = result["best"]
    place = result["alphas"].index(best["alpha"])
    for kind in ("unshifted", "shift", "random", "reverse"):
        every = {name: values for name, values in result[kind].items() if values is not None}
        shares = every if kind == "unshifted" else {name: v[best["layer"]][place] for name, v in every.items()}
        told = ", ".join(f"{name} {value:.3f}" for name, value in shares.items())
        where = "" if kind == "unshifted" else f" at layer {best['layer']}, alpha {best['alpha']:g}"
        say(f"{kind:>9}{where}: {told}")
    draw_report(run)
    print_json(result, as_json)
