import json
import math
from pathlib import Path
from typing import Any

import pytest

import made_up
from bertwright.report.blocks import (
    Block,
    Confusion,
    Examples,
    Facts,
    Figure,
    Fill,
    Fold,
    Paragraph,
    Section,
    Slides,
    Table,
)
from bertwright.report.phrases import speaker
from bertwright.report.sections import all_sections, headline
from bertwright.report.sources import read_sources

SAY = speaker("en")


def sections_of(*paths: Path) -> dict[str, Section]:
    return {section.identity: section for section in all_sections(read_sources(list(paths)), SAY)}


def blocks_of(section: Section, kind: type) -> list[Any]:
    """The blocks of a kind, those in folds as well."""

    def walk(blocks: list[Block]) -> list[Block]:
        return [
            inner for block in blocks for inner in [block, *(walk(block.blocks) if isinstance(block, Fold) else [])]
        ]

    return [block for block in walk(section.blocks) if isinstance(block, kind)]


def change(path: Path, **values: Any) -> None:
    made_up.write(path, json.loads(path.read_text(encoding="utf-8")) | values)


def test_every_section_of_the_demo_in_order(demo_folder: Path) -> None:
    expected = ["comparison", "data-1", "training-1", "fill", "scores-1", "scores-2", "machine", "recipes"]
    assert list(sections_of(demo_folder)) == expected


def test_a_section_stands_only_where_its_data_does(tmp_path: Path) -> None:
    assert list(sections_of(made_up.pretraining(tmp_path / "run"))) == ["training-1", "machine", "recipes"]
    made_up.write(tmp_path / "fill.json", made_up.fill_result())
    assert list(sections_of(tmp_path / "fill.json")) == ["fill"]
    assert list(sections_of(made_up.finetuning(tmp_path / "fine"))) == ["scores-1", "machine", "recipes"]


# ---------------------------------------------------------------------------------------------- headline


def demo_sentences(tmp_path: Path, pretrained: float, scratch: float) -> str:
    folder = made_up.demo(tmp_path / "demo", steps=10, epochs=2)
    scores = {"pretrained": {"accuracy": pretrained}, "scratch": {"accuracy": scratch}}
    change(folder / "results" / "demo.json", **scores)
    sentences, _ = headline(read_sources([folder]), SAY)
    return " ".join(sentences)


def test_the_headline_of_the_demo(tmp_path: Path) -> None:
    text = demo_sentences(tmp_path, 0.783, 0.689)
    assert "400 labelled texts" in text
    assert "78.3% of 2,000 unseen texts" in text
    assert "68.9%" in text
    # 1.96 * sqrt(.783 * .217 / 2000 + .689 * .311 / 2000) = .0272
    assert "Pre-training is worth 9.4 points (95% interval +6.7 to +12.1)." in text
    assert "A linear model on n-grams reaches 73.7%." in text


def test_a_lead_within_chance_is_called_so(tmp_path: Path) -> None:
    assert "The lead of +1.0 points may be chance (95% interval −1.7 to +3.7)." in demo_sentences(tmp_path, 0.75, 0.74)


def test_harm_is_not_hidden(tmp_path: Path) -> None:
    assert "Here pre-training costs 9.4 points (95% interval −12.1 to −6.7)." in demo_sentences(tmp_path, 0.689, 0.783)


def test_the_headline_of_one_fine_tuned_run(tmp_path: Path) -> None:
    sentences, tiles = headline(read_sources([made_up.finetuning(tmp_path / "run")]), SAY)
    assert sentences == ["The model labels 78.3% of 2,000 test texts correctly (95% interval 76.5% to 80.1%)."]
    assert tiles[0].value == "78.3%"


def test_a_score_on_development_texts_is_called_flattering(tmp_path: Path) -> None:
    run = made_up.finetuning(tmp_path / "run")
    result = json.loads((run / "results" / "finetune.json").read_text(encoding="utf-8"))
    del result["test"]
    made_up.write(run / "results" / "finetune.json", result)
    sentences, _ = headline(read_sources([run]), SAY)
    assert "development texts" in sentences[0]
    assert "flatters" in sentences[1]


@pytest.mark.parametrize(
    ("loss", "verdict"), [(4.0, "it uses the context"), (6.6, "it has not learnt to use the context")]
)
def test_the_headline_of_a_pretraining_run(tmp_path: Path, loss: float, verdict: str) -> None:
    run = made_up.pretraining(tmp_path / "run")
    change(run / "results" / "pretrain.json", evaluation={"loss": loss, "masked_tokens": loss})
    sentences, _ = headline(read_sources([run]), SAY)
    assert f"{loss:.2f} nats per masked token; a uniform guess costs 8.70" in sentences[0]
    assert verdict in sentences[1]


# ---------------------------------------------------------------------------------------------- sections


def test_the_comparison_shows_all_four_and_both_learning_curves(demo_folder: Path) -> None:
    section = sections_of(demo_folder)["comparison"]
    bars, curves = blocks_of(section, Figure)
    assert bars.chart["data"][0]["y"] == ["pre-trained", "from scratch", "linear model", "majority"]
    assert bars.chart["data"][0]["x"] == [78.3, 68.9, 73.7, 50.0]
    lines = {trace["name"]: trace for trace in curves.chart["data"] if trace.get("yaxis") == "y2"}
    assert set(lines) == {"pre-trained", "from scratch"}
    # 8 epochs of 5 steps, one evaluation at the end of each.
    assert lines["pre-trained"]["x"] == list(range(1, 9))
    assert curves.chart["layout"]["xaxis"]["title"]["text"] == "epoch"
    assert lines["pre-trained"]["line"]["dash"] != lines["from scratch"]["line"]["dash"]
    (table,) = blocks_of(section, Table)
    assert table.rows[1] == ["from scratch", "68.9% ± 2.0", "0.689", "+9.4 ± 2.7"]


def test_a_single_epoch_is_drawn_over_steps(tmp_path: Path) -> None:
    section = sections_of(made_up.finetuning(tmp_path / "run", epochs=1, steps_per_epoch=30))["scores-1"]
    (figure,) = blocks_of(section, Figure)
    assert figure.chart["layout"]["xaxis"]["title"]["text"] == "step"
    assert figure.chart["data"][0]["x"] == list(range(1, 31))


def test_runs_scored_on_different_files_are_not_compared(tmp_path: Path) -> None:
    made_up.finetuning(tmp_path / "runs" / "a")
    made_up.finetuning(tmp_path / "runs" / "b")
    assert len(blocks_of(sections_of(tmp_path / "runs")["comparison"], Table)) == 1
    result = tmp_path / "runs" / "b" / "results" / "finetune.json"
    scores = json.loads(result.read_text(encoding="utf-8"))["test"]
    change(result, test=scores | {"file": "another.csv"})
    assert blocks_of(sections_of(tmp_path / "runs")["comparison"], Table) == []


def test_the_loss_is_drawn_against_what_guessing_costs(demo_folder: Path) -> None:
    figure = blocks_of(sections_of(demo_folder)["training-1"], Figure)[0]
    labels = [note["text"] for note in figure.chart["layout"]["annotations"]]
    assert labels == ["uniform guess, ln V = 8.70", "unigram entropy = 6.51"]
    held_out = figure.chart["data"][2]
    assert held_out["x"] == list(range(6, 61, 6))
    assert "tokens per second" in dict(blocks_of(sections_of(demo_folder)["training-1"], Facts)[0].rows)


def test_each_objective_has_its_curve(tmp_path: Path) -> None:
    section = sections_of(made_up.pretraining(tmp_path / "run", pair=True))["training-1"]
    masked, following, _ = blocks_of(section, Figure)
    assert max(masked.chart["data"][0]["y"]) > 6
    assert max(following.chart["data"][0]["y"]) < 1
    assert following.chart["layout"]["shapes"][0]["y0"] == pytest.approx(math.log(2))


@pytest.mark.parametrize("kind", ["pretrain", "finetune"])
def test_an_unfinished_run_is_shown_and_called_unfinished(tmp_path: Path, kind: str) -> None:
    run = made_up.pretraining(tmp_path / "run") if kind == "pretrain" else made_up.finetuning(tmp_path / "run")
    (run / "results" / f"{kind}.json").unlink()
    section = sections_of(run)["training-1"]
    (warning,) = blocks_of(section, Paragraph)
    assert "has not come to its end" in warning.text
    assert section.title == ("Pre-training" if kind == "pretrain" else "Fine-tuning: run")
    assert len(blocks_of(section, Figure)) == 2


def test_a_loss_that_was_no_number_is_a_gap(tmp_path: Path) -> None:
    run = made_up.pretraining(tmp_path / "run", steps=10)
    with (run / "log.jsonl").open("a", encoding="utf-8") as log:
        log.write(json.dumps({"step": 11, "loss": math.nan, "losses": {"masked_tokens": math.nan}}) + "\n")
    figure = blocks_of(sections_of(run)["training-1"], Figure)[0]
    assert figure.chart["data"][0]["y"][-1] is None


def test_what_a_run_was_told_and_began_from_stands_on_the_page(tmp_path: Path) -> None:
    run = made_up.pretraining(tmp_path / "run", steps=10)
    with (run / "log.jsonl").open("a", encoding="utf-8") as log:
        log.write(
            json.dumps({"step": 11, "loss": 2.0, "losses": {"masked_tokens": 2.0}, "notices": ["look {x}"]}) + "\n"
        )
    start = {"kind": "start", "checkpoint": "runs/general/best", "fresh": [], "added_tokens": ["心电图", "tachycardia"]}
    made_up.write(run / "results" / "start.json", start)
    made_up.write(run / "results" / "data-other.json", made_up.data_page())
    sections = sections_of(run)
    told = [block.text for block in blocks_of(sections["training-1"], Paragraph)]
    assert "Told at step 11: look {x}" in told
    assert "The run goes on from runs/general/best." in told
    assert any(fold.code == "心电图, tachycardia" for fold in blocks_of(sections["training-1"], Fold))
    assert "data-1" in sections
    assert "other" not in sections


def test_filled_masks_know_what_was_expected(demo_folder: Path) -> None:
    (fill,) = blocks_of(sections_of(demo_folder)["fill"], Fill)
    assert fill.sentences[0].parts == ["台", "大学"]
    assert (fill.sentences[0].masks[0].expected, fill.sentences[0].masks[0].remark) == ("湾", "")
    assert fill.sentences[2].masks[0].remark == "expected 池: not among the first 5"


def test_a_text_with_two_masks_is_one_sentence(tmp_path: Path) -> None:
    texts = [
        {"text": "a[MASK]b[MASK]", "mask": mask, "candidates": [{"token": "x", "probability": 0.5}]} for mask in (0, 1)
    ]
    made_up.write(tmp_path / "fill.json", {"kind": "fill", "texts": texts})
    (fill,) = blocks_of(sections_of(tmp_path / "fill.json")["fill"], Fill)
    (sentence,) = fill.sentences
    assert sentence.parts == ["a", "b", ""]
    assert len(sentence.masks) == 2


def test_scores_confusion_and_mistakes(demo_folder: Path) -> None:
    section = sections_of(demo_folder)["scores-1"]
    (metrics,) = blocks_of(section, Table)
    assert metrics.columns[1:] == ["development", "test"]
    assert metrics.rows[1] == ["accuracy", "78.3% ± 4.0", "78.3% ± 1.8"]
    (table,) = blocks_of(section, Confusion)
    assert table.cells[0] == [(772, 0.772), (228, 0.228)]
    shown, folded = blocks_of(section, Examples)
    assert len(shown.examples) == 8
    assert len(folded.examples) == 4
    starts = {example.text: example.start for example in shown.examples}
    assert all(bool(start) == (len(text) > 90) and text.startswith(start) for text, start in starts.items())


def test_what_flatters_or_harms_a_score_is_told(tmp_path: Path) -> None:
    run = made_up.finetuning(tmp_path / "run")
    change(run / "results" / "finetune.json", overlaps={"development": 0, "test": 12})
    texts = [block.text for block in blocks_of(sections_of(run)["scores-1"], Paragraph) if block.tone == "warning"]
    assert texts[0] == "Texts longer than the model reads at once: training 31, development 29, test 160."
    assert "training data too" in texts[1]
    assert texts[1].endswith("test 12.")


def test_an_evaluation_on_another_file_has_its_section(tmp_path: Path) -> None:
    run = made_up.finetuning(tmp_path / "run")
    scores = json.loads((run / "results" / "finetune.json").read_text(encoding="utf-8"))["test"]
    result = {"kind": "evaluate", "labels": ["negative", "positive"], "num_windowed": 3, **scores}
    made_up.write(run / "results" / "evaluate-hotels.json", result)
    sections = sections_of(run)
    assert sections["evaluation-1"].title == "Scores: hotels"
    assert "other" not in sections


def test_the_data_page(demo_folder: Path) -> None:
    section = sections_of(demo_folder)["data-1"]
    facts = dict(blocks_of(section, Facts)[0].rows)
    assert facts["texts"] == "20,713"
    assert facts["duplicates"] == "14,031"
    assert facts["unknown tokens"] == "0.031%"
    assert facts["unigram entropy"] == "6.512"
    assert facts["first loss, expected"] == "8.751"
    assert "near duplicates" not in facts  # null in the page: it does not apply
    (figure,) = blocks_of(section, Figure)
    assert sum(figure.chart["data"][0]["y"]) > 1000
    assert [block.tone for block in blocks_of(section, Paragraph)][:2] == ["warning", "note"]


def test_the_data_page_of_labelled_files(tmp_path: Path) -> None:
    page, other = made_up.data_page("train.csv"), made_up.data_page("test.csv")["files"][0]
    page["files"][0]["labels"] = {"positive": 30, "negative": 10}
    page["files"].append(other | {"labels": {"positive": 5, "neutral": 5}})
    page["shared"] = [{"first": "train.csv", "second": "test.csv", "texts": 21, "share": 0.0105}]
    made_up.write(tmp_path / "data.json", page)
    section = sections_of(tmp_path / "data.json")["data-1"]
    counts, _lengths, labels, _scripts, shared = blocks_of(section, Table)
    assert [row[0] for row in counts.rows] == ["train.csv", "test.csv"]
    assert labels.rows == [
        ["positive", "30 (75.0%)", "5 (50.0%)"],
        ["negative", "10 (25.0%)", "0 (0.0%)"],
        ["neutral", "0 (0.0%)", "5 (50.0%)"],
    ]
    assert shared.rows == [["train.csv – test.csv", "21", "1.1%"]]


def test_machines_that_differ_are_both_shown(tmp_path: Path) -> None:
    for name, cores in (("a", 2), ("b", 64)):
        run = made_up.pretraining(tmp_path / "runs" / name, steps=10)
        made_up.write(run / "environment.json", made_up.ENVIRONMENT | {"cores": cores})
    facts = blocks_of(sections_of(tmp_path / "runs")["machine"], Facts)
    assert [dict(block.rows)["cores"] for block in facts] == ["2", "64"]


def test_one_machine_is_shown_once(demo_folder: Path) -> None:
    (facts,) = blocks_of(sections_of(demo_folder)["machine"], Facts)
    assert dict(facts.rows)["command"] == "bertwright demo"


def test_a_result_that_no_section_draws_is_shown_as_it_is(tmp_path: Path) -> None:
    run = made_up.pretraining(tmp_path / "run", steps=10)
    made_up.write(run / "results" / "strange.json", {"answer": "四十二"})
    (fold,) = sections_of(run)["other"].blocks
    assert isinstance(fold, Fold)
    assert fold.title == "run/results/strange.json"
    assert '"answer": "四十二"' in fold.code


def test_the_map_names_senses_in_their_colours(tmp_path: Path) -> None:
    (figure,) = blocks_of(sections_of(made_up.embeddings(tmp_path))["embeddings-1"], Slides)
    points = {trace["text"][0].split(":")[0]: trace for trace in figure.chart["data"] if trace["mode"] == "markers"}
    names = [trace for trace in figure.chart["data"] if trace["mode"] == "text"]
    assert [name["text"] for name in names[:3]] == [["word0"], ["one"], ["other"]]
    for sense, name in (("one", names[1]), ("other", names[2])):
        assert name["textfont"]["color"] == points[f"word0, {sense}"]["marker"]["color"]
    span = figure.chart["layout"]["yaxis"]["range"]
    assert all(span[0] < value < span[1] for frame in figure.frames for trace in frame for value in trace["y"])


def test_tokens_without_sentences(tmp_path: Path) -> None:
    made_up.embeddings(tmp_path)
    empty = {"words": [], "occurrences": [], "maps": [], "layer": None}
    change(tmp_path / "results" / "embeddings.json", **empty)
    (table,) = blocks_of(sections_of(tmp_path)["embeddings-1"], Table)
    assert table.rows == [["鳥", "token 0.71, ##ken 0.50"]]


def test_labels_that_were_hardly_asked_have_no_place(tmp_path: Path) -> None:
    section = sections_of(made_up.probes(tmp_path))["probes-1"]
    (table,) = blocks_of(section, Table)
    assert [(row[0], row[2], row[5]) for row in table.rows] == [("N", "60", "–"), ("V", "7", "–"), ("D", "60", "100")]
    assert any("The 2 labels" in paragraph.text for paragraph in blocks_of(section, Paragraph))


def test_sections_of_several_models_name_them(tmp_path: Path) -> None:
    places = [made_up.similarity(tmp_path / name) for name in ("one", "other")]
    assert sections_of(places[0])["similarity-1"].title == "One word in many sentences"
    assert [section.title for section in sections_of(*places).values()] == [
        "One word in many sentences (one)",  # of one model: by the folders
        "One word in many sentences (other)",
    ]
    change(places[1] / "results" / "similarity.json", model="runs/another")
    assert [section.title for section in sections_of(*places).values()] == [
        "One word in many sentences (made-up)",
        "One word in many sentences (another)",
    ]
    change(places[0] / "results" / "similarity.json", model="other/another")
    assert sections_of(*places)["similarity-1"].title == "One word in many sentences (other/another)"


def test_the_nearest_sentence_is_named(tmp_path: Path) -> None:
    table = blocks_of(sections_of(made_up.similarity(tmp_path))["similarity-1"], Table)[-1]
    assert table.columns[-1] == "nearest, layer 1"
    assert [row[-1] for row in table.rows] == ["2", "1", "4", "3"]


def test_an_answer_is_drawn(tmp_path: Path) -> None:
    result = {
        "kind": "answer",
        "question": "Why?",
        "answer": "<b>gravity",
        "tokens": ["", "under ", "<b>", "gravity"],
        "begin_probabilities": [0.1, 0.2, 0.6, 0.1],
        "end_probabilities": [0.1, 0.1, 0.1, 0.7],
        "naive": [2, 3],
    }
    made_up.write(tmp_path / "answer.json", result)
    (section,) = (sections_of(tmp_path / "answer.json")[name] for name in ["answer"])
    (figure,) = blocks_of(section, Figure)
    begins, ends = figure.chart["data"]
    assert (begins["y"], ends["y"]) == (result["begin_probabilities"], result["end_probabilities"])
    assert figure.chart["layout"]["xaxis"]["ticktext"] == ["[CLS]", "under ", "&lt;b&gt;", "gravity"]
    (facts,) = blocks_of(section, Facts)
    assert facts.rows == [
        ("question", "Why?"),
        ("answer", "<b>gravity"),
        ("most likely beginning", "<b>"),
        ("most likely end", "gravity"),
    ]
