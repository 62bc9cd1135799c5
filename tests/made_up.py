"""Made-up run folders, as a training would leave them: the demo's, and single runs."""

import json
import math
import random
from pathlib import Path
from typing import Any

ENVIRONMENT: dict[str, Any] = {
    "python": "3.12.4",
    "platform": "Linux-6.1-x86_64",
    "processor": "Intel(R) Xeon(R) Processor",
    "cores": 2,
    "memory_gigabytes": 7.8,
    "packages": {"bertwright": "0.1.0", "torch": "2.13.0+cpu", "numpy": "2.4.6", "tokenizers": "0.23.3"},
    "command": ["bertwright", "demo"],
}

RECIPE = """run = "runs/demo/pretrain"
store = "runs/demo/store"

[corpus]
files = ["runs/demo/data/corpus.txt"]
reader = "sentences"
language = "zh"

[train]
minutes = 5.0
batch_size = 32
dtype = "bfloat16" # measured: faster than float32
"""

REVIEWS = (
    ("房间很干净，服务员态度也很好，离地铁站只有五分钟，下次来还会住这里。", "positive"),
    ("书的内容不错，但是印刷质量太差，好几页都看不清楚，还有一股味道。", "negative"),
    (
        "买之前看了很多评论，说电池不耐用，我用了一个星期觉得还可以，充一次电能用两天。屏幕的颜色有一点偏黄，客服说是正常现象，"
        "让我自己在设置里面调一下，调完之后好多了。包装倒是很结实，物流也很快，第二天就到了。总的来说这个价钱能买到这样的东西已经很满意了，"
        "就是希望下一次能送一个保护壳。",
        "positive",
    ),
    ("早餐品种太少，而且去晚了就没有了。", "negative"),
    ("不是说不好，只是没有想象中那么好。", "negative"),
    ("手机收到了，和描述的一样，给老妈用的，她很喜欢。", "positive"),
)


def write(path: Path, value: Any) -> None:
    """Write a value as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, ensure_ascii=False), encoding="utf-8")


def write_log(folder: Path, records: list[dict[str, Any]]) -> None:
    """Write log.jsonl."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records)
    (folder / "log.jsonl").write_text(lines, encoding="utf-8")


def pretraining(folder: Path, steps: int = 60, pair: bool = False) -> Path:
    """A pre-training run: the loss falls from ln V over the plateau of the unigram entropy to 3.9 nats."""
    noise = random.Random(1)
    records = []
    for step in range(1, steps + 1):
        share = step / steps
        loss = 3.9 + 2.5 * math.exp(-4.5 * share) + 2.25 * math.exp(-60 * share) + noise.gauss(0, 0.09)
        losses = {"masked_tokens": loss}
        if pair:
            losses["next_sentence"] = 0.45 + 0.25 * math.exp(-3 * share) + noise.gauss(0, 0.04)
        record = {
            "step": step,
            "epoch": 0,
            "loss": sum(losses.values()),
            "losses": losses,
            "learning_rate": 2e-3 * min(share / 0.06, (1 - share) / 0.94),
            "gradient_norm": 1.0 + noise.random(),
            "tokens": 4096,
            "tokens_per_second": 22000 + noise.gauss(0, 900),
            "seconds": step * 0.19,
            "sample_ids": "32:0badcafe",
        }
        if step % (steps // 10) == 0:
            held_out = {"masked_tokens": loss + 0.05, "masked_tokens_accuracy": 0.1 + 0.24 * share}
            if pair:
                held_out |= {"next_sentence": losses["next_sentence"], "next_sentence_accuracy": 0.5 + 0.3 * share}
            record["evaluation"] = {
                "loss": sum(v for k, v in held_out.items() if not k.endswith("accuracy")),
                **held_out,
            }
        records.append(record)
    write_log(folder, records)
    write_run(folder)
    result = {
        "kind": "pretrain",
        "steps": steps,
        "seconds": 301.4,
        "tokens": steps * 4096,
        "tokens_per_second": 21874.2,
        "parameters": 4812345,
        "first_loss": 8.7449,
        "expected_first_loss": 8.7507,
        "uniform_loss": 8.6995,
        "unigram_entropy": 6.5122,
        "evaluation": records[steps // 10 * 10 - 1]["evaluation"],
        "best": 3.98,
        "best_step": steps // 10 * 10,
    }
    write(folder / "results" / "pretrain.json", result)
    return folder


def finetuning(
    folder: Path,
    weights: str = "pretrained",
    epochs: int = 8,
    steps_per_epoch: int = 5,
    confusion: list[list[int]] | None = None,
) -> Path:
    """A fine-tuning run on reviews; `confusion` is of the test texts."""
    noise = random.Random(7)
    confusion = confusion or [[812, 188], [246, 754]]
    size = sum(map(sum, confusion))
    accuracy = sum(row[place] for place, row in enumerate(confusion)) / size
    reach = 5.0 if weights == "pretrained" else 2.0
    records = []
    for step in range(1, epochs * steps_per_epoch + 1):
        share = step / (epochs * steps_per_epoch)
        loss = abs(0.69 * math.exp(-reach * share) + noise.gauss(0, 0.04))
        record = {"step": step, "epoch": (step - 1) // steps_per_epoch, "loss": loss, "losses": {"classes": loss}}
        record |= {"learning_rate": 5e-4 * (1 - share), "tokens_per_second": 15000.0, "seconds": step * 0.1}
        if step % steps_per_epoch == 0:
            score = accuracy - (accuracy - 0.5) * math.exp(-reach * 2 * share) + noise.gauss(0, 0.006)
            record["evaluation"] = {"accuracy": score, "macro_f1": score - 0.003}
        records.append(record)
    write_log(folder, records)
    write_run(folder)
    wrong = [
        {
            "id": f"test-{number}",
            "text": text,
            "label": label,
            "predicted": other(label),
            "probability": 0.004 * (number + 1),
        }
        for number, (text, label) in enumerate(REVIEWS * 2)
    ]
    scores = {
        "metrics": {"accuracy": accuracy, "macro_f1": accuracy - 0.002},
        "confusion": confusion,
        "most_wrong": wrong,
    }
    result = {
        "kind": "classify",
        "start": {"checkpoint": "runs/demo/pretrain/best", "weights": weights, "fresh": ["classifier.weight"]},
        "labels": ["negative", "positive"],
        "examples": {"train": 400, "development": 400, "test": size},
        "num_windowed": {"train": 31, "development": 29, "test": 160},
        "overlaps": {"development": 0, "test": 0},
        "overlaps_dropped": False,
        "notices": [],
        "metric": "accuracy",
        "steps": epochs * steps_per_epoch,
        "seconds": 31.7,
        "best_step": 6 * steps_per_epoch,
        "development": {"file": "development.csv", "examples": 400, **scores, "confusion": [[160, 40], [46, 154]]},
        "test": {"file": "test.csv", "examples": size, **scores},
    }
    write(folder / "results" / "finetune.json", result)
    return folder


def other(label: str) -> str:
    """The other one of the two labels."""
    return "negative" if label == "positive" else "positive"


def write_run(folder: Path) -> None:
    """The files that every run has."""
    write(folder / "environment.json", ENVIRONMENT)
    (folder / "recipe.toml").write_text(RECIPE, encoding="utf-8")


FILLED = (
    ("台[MASK]大学", "湾", [("湾", 0.8113), ("北", 0.0921), ("州", 0.0214), ("##山", 0.0102), ("南", 0.0077)]),
    (
        "房间很干[MASK]，服务员态度也很好。",
        "净",
        [("净", 0.9721), ("燥", 0.0087), ("脆", 0.0031), ("洁", 0.0012), ("爽", 0.0008)],
    ),
    ("手机的电[MASK]不耐用。", "池", [("话", 0.4121), ("脑", 0.3022), ("视", 0.1007), ("影", 0.0333), ("器", 0.0102)]),
)


def fill_result() -> dict[str, Any]:
    """The contents of a results/fill.json."""
    texts = [
        {
            "text": text,
            "mask": 0,
            "expected": right,
            "candidates": [{"token": token, "probability": p} for token, p in found],
        }
        for text, right, found in FILLED
    ]
    return {"kind": "fill", "texts": texts}


def data_page(file: str = "corpus.txt") -> dict[str, Any]:
    """The contents of a results/data.json, as doctor makes it of a corpus."""
    bins = [round(900 * math.exp(-(((math.log(place + 0.5) - 2.2) / 0.7) ** 2))) for place in range(36)]
    length = {
        "minimum": 1,
        "mean": 46.31,
        "maximum": 1911,
        "quantiles": {"1%": 3, "5%": 7, "25%": 19, "50%": 33, "75%": 58, "95%": 131, "99%": 179},
    }
    entry = {
        "file": file,
        "records": 20713,
        "characters": 1403112,
        "bytes": 4120934,
        "empty": 3,
        "duplicates": 14031,
        "near_duplicates": None,
        "long": 0,
        "lengths": {"characters": length, "tokens": {**length, "over_128": 0.0532, "over_512": 0.0009}},
        "histogram": {"characters": None, "tokens": {"edges": list(range(0, 185, 5)), "counts": bins, "above": 207}},
        "scripts": {"Han": 0.8412, "other": 0.1203, "digits": 0.0204, "Latin": 0.0181},
        "labels": None,
        "unlabelled": None,
        "unknown_rate": 0.00031,
        "tokens": 1391004,
    }
    warning = "67.7% of the records of corpus.txt stand in it more than once; they are left out."
    return {
        "files": [entry],
        "shared": [],
        "label_differences": [],
        "unit": "tokens",
        "vocabulary_size": 6000,
        "unigram_entropy": 6.5122,
        "uniform_loss": 8.6995,
        "expected_first_loss": 8.7507,
        "width": 256,
        "initial_deviation": 0.02,
        "warnings": [
            {"level": "warning", "text": warning},
            {"level": "note", "text": "5.3% of the texts exceed 128 tokens."},
        ],
    }


def similarity(folder: Path) -> Path:
    """Two senses of a word, two sentences each, at two layers."""
    texts = ["He sat on the bank of the river.", "The bank was muddy.", "The bank lent money.", "A bank in the city."]
    places = [(text.index("bank"), "river" if number < 2 else "money") for number, text in enumerate(texts)]
    sentences = [
        {"text": text, "group": group, "begin": begin, "end": begin + 4, "pieces": ["bank"], "reaches_outside": False}
        for text, (begin, group) in zip(texts, places, strict=True)
    ]
    layers = []
    for within, across in ((0.5, 0.5), (0.9, 0.2)):
        cosines = [[1.0 if a == b else within if a // 2 == b // 2 else across for b in range(4)] for a in range(4)]
        known = {"within": within, "across": across, "gap": within - across, "nearest": 1.0, "p": 0.33}
        near = {"cosines": cosines, "neighbours": [1, 0, 3, 2]}
        layers.append({**known, "lowest_within": within, "highest_across": across, **near})
    word = {"word": "bank", "groups": ["river", "money"], "sentences": sentences, "layers": layers}
    write(folder / "results" / "similarity.json", {"kind": "similarity", "model": "made-up", "words": [word]})
    return folder


def embeddings(folder: Path) -> Path:
    """Four words of two senses, and five of three: at layer 0 a point, at layer 1 a cloud for each sense."""
    noise = random.Random(3)
    words = {f"word{number}": ["one", "other", "a third"][: 2 + number // 4] for number in range(9)}
    occurrences = [
        {"word": word, "group": group, "text": f"A sentence with {word}, {group}, number {number}."}
        for word, groups in words.items()
        for group in groups
        for number in range(6)
    ]
    middles = {"one": (0.5, 0.1), "other": (-0.5, 0.1), "a third": (0, -0.5)}
    clouds = [[place + noise.gauss(0, 0.05) for place in middles[each["group"]]] for each in occurrences]
    points = [[noise.gauss(0, 0.005) for _ in "xy"] for _ in occurrences]
    near = [["token", 0.71], ["##ken", 0.5]]
    result = {
        "kind": "embeddings",
        "model": "made-up",
        "tokens": [{"token": "鳥", "static": near}],
        "layer": 1,
        "words": [
            {
                "word": word,
                "static": near,
                "senses": [{"group": group, "neighbours": near} for group in groups],
            }
            for word, groups in words.items()
        ],
        "occurrences": occurrences,
        "maps": [points, clouds],
    }
    write(folder / "results" / "embeddings.json", result)
    return folder


def context(folder: Path) -> Path:
    """A word of two senses, told apart at layer 1 and not by CBOW; attention of two sentences at two layers."""
    scores = {"cbow": 0.5, "neighbours": 0.62, "layers": [0.5, 0.9, 1.0]}
    moves = {"distances": [1, 2, 3], "attending": [[0.0] * 3, [0.02, 0.01, 0.004], [0.05, 0.04, 0.03]]}
    tokens = ["[CLS]", "the", "river", "bank", "[SEP]"]
    attention = [[[0.2 if row == column else 0.2 * (1 + layer) for column in range(5)] for row in range(5)]
                 for layer in range(2)]  # fmt: skip
    result = {
        "kind": "context",
        "model": "made-up",
        "store": "stores/made-up",
        "words": [{"word": "bank", "groups": ["river", "money"], "count": 1234, **scores}],
        "scores": scores,
        "moves": {**moves, "alone": [[0.0] * 3] * 3},
        "attention": [
            {"text": f"the {word} bank", "tokens": tokens, "layers": attention} for word in ("river", "city")
        ],
    }
    write(folder / "results" / "context.json", result)
    return folder


def probes(folder: Path) -> Path:
    """Three checkpoints with probes of two layers, words given back, and a score of two seeds at two of them."""
    cells = []
    for step, share in ((1, 0.1), (10, 0.4), (100, 0.9)):
        shares = {"D": share, "N": share / 2, "V": share / 3}
        cell = {"name": f"step-{step:08}", "step": step, "left_out": 3, "cut": 0}
        cell |= {"layers": [share / 2, share], "control": [share / 3] * 2, "reconstruction": shares}
        cells.append({**cell, "prediction": shares, "asked": {"D": 60, "N": 60, "V": 7}})
    cells[0]["scores"], cells[2]["scores"] = [0.5, 0.52], [0.7, 0.74]
    result = {
        "kind": "probes",
        "model": "made-up",
        "data": "words.conllu",
        "unit": "words",
        "labels": {"D": 0.2, "N": 0.5, "V": 0.3},
        "baselines": {"majority": 0.5, "word": 0.8},
        "checkpoints": cells,
        "frequencies": {"D": 9.0, "N": 5.0, "V": 4.0},
        "order": {"asked": {"D": 60, "N": 60, "V": 7}, "steps": {"D": 100, "N": None}, "spearman": 0.87},
    }
    write(folder / "results" / "probes.json", result)
    return folder


def sizes(folder: Path) -> Path:
    """Three models, one of one's own."""
    models = [
        {"name": name, "source": "Somebody 2020", "shape": "12 × 768", "parameters": count, "published": published,
         "slide": slide, "own": own, "load_float32": 4 * count, "load_bfloat16": 2 * count, "train": 16 * count,
         "operations": operations}
        for name, count, published, slide, own, operations in (
            ("mine", 5_000_000, None, None, True, None),
            ("BERT-large", 335_000_000, 340e6, "340M", False, 8.6e19),
            ("GPT-3", 175_000_000_000, 175e9, "175B", False, 3.1e23),
        )
    ]  # fmt: skip
    write(folder / "results" / "sizes.json", {"kind": "sizes", "models": models})
    return folder


def analyses(folder: Path) -> Path:
    """What a student of slides 53 to 56 and 69 to 72 has measured."""
    for each in (similarity, embeddings, context, probes, sizes):
        each(folder)
    return folder


def demo(folder: Path, steps: int = 60, epochs: int = 8, steps_per_epoch: int = 5) -> Path:
    """The demo's folder: a pre-training run, two fine-tuned ones, and results of its own."""
    pretraining(folder / "pretrain", steps)
    write(folder / "pretrain" / "results" / "data.json", data_page())
    finetuning(folder / "pretrained", "pretrained", epochs, steps_per_epoch, [[772, 228], [206, 794]])
    finetuning(folder / "scratch", "random", epochs, steps_per_epoch, [[700, 300], [322, 678]])
    write(folder / "results" / "fill.json", fill_result())
    result = {
        "kind": "demo",
        "pretrained": {"accuracy": 0.783, "macro_f1": 0.7829},
        "scratch": {"accuracy": 0.689, "macro_f1": 0.6885},
        "linear": {"accuracy": 0.737, "macro_f1": 0.7366},
        "majority": 0.5,
        "examples": {"train": 400, "development": 400, "test": 2000},
        "seconds": {"prepare": 14.2, "pretrain": 303.9, "pretrained": 33.0, "scratch": 32.4, "linear": 5.1},
        "seed": 1,
    }
    write(folder / "results" / "demo.json", result)
    return folder


EVIL = '<script>alert("x")</script><img src=http://evil.example/x.png>"\'&</td>'
"""Run as markup, it would open a dialog and ask a picture of the network."""


def plant(value: Any, key: str = "") -> Any:
    """A result with something evil in every text, but for those that are names in the code."""
    if isinstance(value, dict):
        return {name: plant(inner, name) for name, inner in value.items()}
    if isinstance(value, list):
        return [plant(inner, key) for inner in value]
    return value + EVIL if isinstance(value, str) and key not in {"kind", "level", "unit", "weights"} else value


def plant_everywhere(folder: Path) -> None:
    """Put something evil into every text of the results, the machine and a recipe."""
    for path in [*folder.rglob("results/*.json"), *folder.rglob("environment.json")]:
        write(path, plant(json.loads(path.read_text(encoding="utf-8"))))
    for path in folder.rglob("recipe.toml"):
        path.write_text(EVIL, encoding="utf-8")
