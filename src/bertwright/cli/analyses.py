"""The commands below `bertwright analyze`."""

from pathlib import Path
from typing import Annotated

import typer

from bertwright.cli.parts import Json, app, draw_report, guard, print_json
from bertwright.console import say, stages

analyze = typer.Typer(help="Measure models: what pre-training is worth, what they have learnt.", no_args_is_help=True)
app.add_typer(analyze, name="analyze")


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
    from bertwright.analyze import initialization as run_initialization
    from bertwright.config import FinetuneRecipe
    from bertwright.recipe import load_recipe

    loaded = {Path(recipe).stem: load_recipe(FinetuneRecipe, recipe) for recipe in recipes}
    options = {"seeds": seeds or [1, 2], "epochs": epochs, "random_rate": random_rate}
    with stages() as (announce, progress):
        result = run_initialization(loaded, Path(run), say=announce, progress=progress.steps, **options)
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

    result = run_sizes(models or [], Path(run))
    for model in result["models"]:
        published = f"  published {model['published']:,.0f}" if model["published"] else ""
        slide = f"  on the slide {model['slide']}" if model["slide"] else ""
        say(f"{model['name']:>24}  {model['parameters']:>17,}{published}{slide}")
    draw_report(run)
    print_json(result, as_json)


@analyze.command()
@guard
def similarity(
    model: Annotated[str, typer.Argument(help="A run, a checkpoint folder or a model of the hub.")],
    sentences: Annotated[
        str,
        typer.Argument(
            help="A table with the columns word, group and text; or apple-traditional, apple-simplified, english."
        ),
    ],
    word: Annotated[list[str] | None, typer.Option(help="Of the table's words only this one; may be repeated.")] = None,
    run: Annotated[str, typer.Option(help="Folder for the result and its page.")] = "runs/similarity",
    as_json: Json = False,
) -> None:
    """Does the vector of a word know its neighbours? One word in many sentences, at every layer (slides 69 to 71)."""
    from bertwright.analyze import similarity as run_similarity

    result = run_similarity(model, sentences, words=word or [], folder=Path(run))
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
