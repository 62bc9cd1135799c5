"""The commands that train and use models."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from bertwright.cli.parts import (
    Json,
    LabelColumn,
    Overrides,
    PrintRecipe,
    RecipePath,
    Resume,
    SecondColumn,
    TextColumn,
    command,
    draw_report,
    given,
    print_json,
    print_recipe_of,
    warn_of_unused,
)
from bertwright.console import leads, notices, print_page, print_scores, say, stages, tell


@command
def demo(
    folder: Annotated[str, typer.Option("--run", help="Folder for everything that the demo makes.")] = "runs/demo",
    minutes: Annotated[float | None, typer.Option(help="Minutes of pre-training; by default 6.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of the split and of all training.")] = 1,
    as_json: Json = False,
) -> None:
    """The main job end to end, on real reviews, in minutes, with a report."""
    from bertwright.demo import demo as run_demo
    from bertwright.errors import Interrupted

    try:
        with stages() as (say, progress):
            result = run_demo(folder, minutes=minutes, seed=seed, say=say, progress=progress)
    except Interrupted:
        raise Interrupted(f"stopped; the demo begins anew once {folder} is removed, or with another --run") from None
    say(
        f"accuracy on {result['examples']['test']:,} held-out reviews, learnt from {result['examples']['train']}:\n"
        f"  pre-trained  {result['pretrained']['accuracy']:.3f}\n"
        f"  from scratch {result['scratch']['accuracy']:.3f}   (same labels, steps and schedule)\n"
        f"  linear model {result['linear']['accuracy']:.3f}   (character 1- and 2-grams)\n"
        f"the report shows what pre-training was worth: {Path(folder) / 'report.html'}"
    )
    print_json(result, as_json)


@command
def prepare(
    recipe: RecipePath, overrides: Overrides = None, as_json: Json = False, print_recipe: PrintRecipe = False
) -> None:
    """Turn a corpus into a tokenizer and a store."""
    from bertwright.config import PretrainRecipe
    from bertwright.prepare import prepare as run_prepare
    from bertwright.recipe import load_recipe

    loaded = load_recipe(PretrainRecipe, recipe, overrides)
    if print_recipe:
        print_recipe_of(loaded)
        return
    with stages() as (_, progress):
        result = run_prepare(loaded, progress=progress.counter)
    print_page(result["page"])
    if result["other_letters"]:
        say(f"{result['other_letters']:,} letters are not of the alphabet, and are read as any of it", "yellow")
    say(f"the store is in {loaded.store}")
    print_json(result, as_json)


@command
def pretrain(
    recipe: RecipePath,
    overrides: Overrides = None,
    resume: Resume = False,
    as_json: Json = False,
    print_recipe: PrintRecipe = False,
) -> None:
    """Pre-train an encoder on a store (which is prepared first if it is missing)."""
    from bertwright.config import PretrainRecipe
    from bertwright.pretrain import pretrain as run_pretrain
    from bertwright.recipe import load_recipe

    loaded = load_recipe(PretrainRecipe, recipe, overrides)
    if print_recipe:
        print_recipe_of(loaded)
        return
    warn_of_unused(overrides, resume)
    with stages() as (_, progress):
        result = run_pretrain(loaded, resume=resume, progress=progress.steps, preparing=progress.counter)
    untrained = result["expected_first_loss"]
    expected = f" (expected {untrained:.3f})" if untrained is not None else ""
    say(
        f"loss {result['first_loss']:.3f} at first{expected}, "
        f"held out {result['best']:.3f} at best (frequencies alone: {result['unigram_entropy']:.3f}); "
        f"{result['tokens_per_second']:,.0f} tokens/s"
    )
    if leads():
        draw_report(loaded.run)
        print_json(result, as_json)


@command
def finetune(
    recipe: RecipePath,
    overrides: Overrides = None,
    resume: Resume = False,
    as_json: Json = False,
    print_recipe: PrintRecipe = False,
) -> None:
    """Fine-tune a checkpoint on labelled examples."""
    from bertwright.config import FinetuneRecipe
    from bertwright.finetune import finetune as run_finetune
    from bertwright.recipe import load_recipe

    loaded = load_recipe(FinetuneRecipe, recipe, overrides)
    if print_recipe:
        print_recipe_of(loaded)
        return
    warn_of_unused(overrides, resume)
    with stages() as (_, progress):
        result = run_finetune(loaded, resume=resume, progress=progress.steps)
    if result["start"]["weights"] == "pretrained" and any("pooler" in name for name in result["start"]["fresh"]):
        say("the pooler was drawn anew: the checkpoint has none (start.pooling=mean needs none)", "yellow")
    dropped = "and were left out" if result["overlaps_dropped"] else "which flatters the score"
    tell(result["overlaps"], f"stand in the training data too, {dropped}")
    tell(result["num_windowed"], "are longer than the model reads at once; they are read in windows")
    notices(result)
    for side in ("development", "test"):
        if side in result:
            print_scores(side, result[side])
    if leads():
        draw_report(loaded.run)
        print_json(result, as_json)


@command
def compete(
    recipe: RecipePath, overrides: Overrides = None, as_json: Json = False, print_recipe: PrintRecipe = False
) -> None:
    """Folds, several ways to train, their mixture, the submission, a leaderboard; goes on where it was stopped."""
    from bertwright.compete import compete as run_compete
    from bertwright.config import CompeteRecipe
    from bertwright.errors import Interrupted
    from bertwright.recipe import load_recipe

    loaded = load_recipe(CompeteRecipe, recipe, overrides)
    if print_recipe:
        print_recipe_of(loaded)
        return
    try:
        with stages() as (announce, progress):
            result = run_compete(loaded, say=announce, progress=progress.steps)
    except Interrupted:
        raise Interrupted("stopped; the same command goes on") from None
    metric, ensemble = result["metric"], result["ensemble"]
    held_back = f"  held back {ensemble['held_back'][metric]:.4f}" if "held_back" in ensemble else ""
    say(f"{'ensemble':>20}  {metric} {ensemble['out_of_fold']:.4f} out of fold{held_back}")
    for row in result["leaderboard"]:
        held_back = f"  held back {row['held_back']:.4f}" if "held_back" in row else ""
        folds = f"  (folds {min(row['by_fold']):.4f} to {max(row['by_fold']):.4f})"
        say(f"{row['name']:>20}  {metric} {row['out_of_fold']:.4f} out of fold{held_back}{folds}")
    say(f"the submission: {result['submission']}")
    draw_report(loaded.run)
    print_json(result, as_json)


@command
def evaluate(
    run: Annotated[str, typer.Argument(help="A fine-tuned run, its checkpoint or export, or their name on the hub.")],
    data: Annotated[str, typer.Option(help="Labelled examples, in a format that the task reads.")],
    text_column: TextColumn = None,
    second_column: SecondColumn = None,
    label_column: LabelColumn = None,
    as_json: Json = False,
) -> None:
    """Score a fine-tuned model by the task's official metrics."""
    from bertwright.evaluate import evaluate as run_evaluate

    result = run_evaluate(run, data, **given(text_column, second_column, label_column))
    notices(result)
    print_scores(data, result)
    print_json(result, as_json)


@command
def predict(
    run: Annotated[str, typer.Argument(help="A fine-tuned run, its checkpoint or export, or their name on the hub.")],
    source: Annotated[
        str, typer.Option("--input", help="csv, tsv, jsonl, conllu or SQuAD's json; - for a text a line from a pipe.")
    ],
    target: Annotated[
        str, typer.Option("--output", help="csv, tsv, jsonl, conllu or SQuAD's json; - for jsonl on standard output.")
    ],
    text_column: TextColumn = None,
    second_column: SecondColumn = None,
    as_json: Json = False,
) -> None:
    """Answer every example of a file; order and other columns are kept."""
    from bertwright.predict import predict as run_predict

    result = run_predict(run, source, target, **given(text_column, second_column))
    notices(result)
    windowed = f", {result['windowed']:,} of them longer than the model reads at once" if result["windowed"] else ""
    say(f"{result['examples']:,} examples answered{windowed}: {target}")
    print_json(result, as_json)


@command
def embed(
    model: Annotated[str, typer.Argument(help="A run, a checkpoint folder, or a model of the hub.")],
    source: Annotated[str, typer.Option("--input", help="csv, tsv or jsonl; - for a text a line on standard input.")],
    target: Annotated[str, typer.Option("--output", help=".npy (sentences only), .jsonl or .parquet.")],
    unit: Annotated[Literal["sentences", "words", "tokens"], typer.Option(help="What has a vector.")] = "sentences",
    layer: Annotated[int | None, typer.Option(help="Whose output; 0 for the embeddings. By default the last.")] = None,
    pooling: Annotated[
        Literal["mean", "cls"], typer.Option(help="A sentence: the mean of its tokens, or its first.")
    ] = "mean",
    text_column: Annotated[str, typer.Option(help="Column of the text.")] = "text",
    as_json: Json = False,
) -> None:
    """Vectors of texts, words or tokens, in the order of the input."""
    from bertwright.embed import embed as run_embed

    columns = given(text_column, None)
    result = run_embed(model, source, target, unit=unit, layer=layer, pooling=pooling, **columns)
    say(f"{result['vectors']:,} vectors of {result['width']} numbers, of {result['texts']:,} texts: {target}")
    print_json(result, as_json)


@command
def export(
    run: Annotated[str, typer.Argument(help="A fine-tuned run, or a checkpoint folder.")],
    target: Annotated[str, typer.Option("--output", help="The folder to write.")],
    int8: Annotated[bool, typer.Option("--int8", help="Weights in 8 bits.")] = False,
    data: Annotated[str | None, typer.Option(help="Labelled examples, to tell what score 8 bits cost.")] = None,
    as_json: Json = False,
) -> None:
    """Export a fine-tuned model to ONNX; predict and evaluate read the folder like any other."""
    from bertwright.export import export as run_export

    result = run_export(run, target, int8=int8, data=data)
    size = result["bytes"]["written"] / 1e6
    say(f"{size:.1f} MB, logits off by {result['difference']:.1e} at most before quantisation: {target}")
    for name, metrics in result.get("metrics", {}).items():
        say(f"{name:>10}: " + "  ".join(f"{metric} {value:.4f}" for metric, value in metrics.items()))
    print_json(result, as_json)


@command
def fill(
    model: Annotated[str, typer.Argument(help="A pre-training run, a checkpoint folder, or a model of the hub.")],
    texts: Annotated[list[str], typer.Argument(metavar="TEXT...", help="Texts with [MASK] in them.")],
    top: Annotated[int, typer.Option(help="Candidates per mask.", min=1)] = 5,
    as_json: Json = False,
) -> None:
    """The most likely tokens for each [MASK], with probabilities."""
    from bertwright.fill import fill as run_fill

    answers = run_fill(model, texts, top)
    for answer in answers:
        candidates = "  ".join(f"{each['token']} {each['probability']:.3f}" for each in answer["candidates"])
        say(f"{answer['text']}  mask {answer['mask'] + 1}  {candidates}")
    print_json({"texts": answers}, as_json)


@command
def answer(
    run: Annotated[str, typer.Argument(help="A run that was fine-tuned for qa, or its checkpoint.")],
    question: Annotated[str, typer.Argument(help="The question.")],
    passage: Annotated[str, typer.Argument(help="The passage; - reads it from standard input.")],
    as_json: Json = False,
) -> None:
    """Answer one question, and tell where the answer could begin and end; the report draws it."""
    from bertwright.answer import answer as run_answer
    from bertwright.corpus.files import STANDARD_INPUT, open_text

    if passage == "-":
        with open_text(STANDARD_INPUT) as lines:
            passage = lines.read()
    result = run_answer(run, question, passage)
    say(f"{question}  {result['answer'] or 'no answer in the passage'}  score {result['score']:.3f}")
    for name in ("begin", "end"):
        shares = result[f"{name}_probabilities"]
        best = sorted(range(len(shares)), key=lambda place, of=shares: -of[place])[:5]
        told = "  ".join(f"{result['tokens'][place] or '[CLS]'} {shares[place]:.3f}" for place in best)
        say(f"{name:>6}s at  {told}")
    print_json(result, as_json)


@command
def report(
    sources: Annotated[
        list[str], typer.Argument(metavar="RUN_OR_RESULTS...", help="Run folders, folders of runs, or results/*.json.")
    ],
    out: Annotated[str, typer.Option(help="The page to write.")] = "report.html",
    language: Annotated[str, typer.Option(help="Of the page: en or zh.")] = "en",
) -> None:
    """Draw runs and results as one self-contained HTML page."""
    from bertwright.report import write_report

    say(f"the report: {write_report([Path(source) for source in sources], Path(out), language=language)}")


@command
def inspect(
    path: Annotated[str, typer.Argument(help="A store, a checkpoint or a run.")],
    verify: Annotated[
        bool, typer.Option("--verify", help="Read everything and compare it with the checksums.")
    ] = False,
    as_json: Json = False,
) -> None:
    """What a store, checkpoint or run is."""
    from bertwright.inspection import inspect as run_inspect

    result = run_inspect(path, verify=verify)
    for key, value in result.items():
        say(f"{key:>20}  {value}")
    print_json(result, as_json)
