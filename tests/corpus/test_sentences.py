"""Cutting text into sentences: cases of Chinese, English and both, gold boundaries of treebanks, and linear time."""

import time
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bertwright.corpus.sentences import segments_of, split_sentences

CHINESE = [
    "今天天气好。|我们去公园吧！|你去吗？|去。",
    "第一点；|第二点；|第三点。",
    "“你好。|今天去哪？”|他问。",  # a closing quote stays with its sentence
    "我说：“不知道！”，然后走了。",  # the sentence goes on after the quote
    "他说“你好！”。|然后走了。",
    "「你好！」|他说。|『好。』",
    "他看了《奔跑吧！兄弟》很喜欢。|《你好！》很好看。",  # a title is a noun
    "这台电脑（太贵了！）不错。|我买了。",
    "（他很忙。）|我也是。",
    "他来了。|（笑）然后走了。",
    "【快讯！】|今天下雨。",
    "算了吧……|再说。|好吧…|走了",
    "我……我不知道。|好……，行。",  # stammering, and a comma after it
    "真的吗？！|真的！！！|你好？？",
    "还行吧。。。。。。|下次再来",
    "太好了！~~|下次再来",
    "太好了！😀|下次再来",
    "是吗？——他问。",
    "没有标点的一句话",
    "房间很好.|服务一般!|下次还来?|不知道",  # ASCII marks among Chinese characters
    "早餐好;|房间差;|算了",
    "价格是3.5元.|便宜",
    "价格是３．５元，便宜",
    "1.房间不错2.早餐差3.服务好",
    "1. 房间不错。|2. 早餐差。",
    '他说:"你好."|然后走了',
    '"你好。|今天去哪？"|他问。|"好。"|"行。"',  # a straight quote closes what was opened
    '走了.|"再见."|我说',
    "好吧...|走了",
    "我用iPhone.|很好.|你呢",
    "见文件.txt和www.百度.com吧。",
    "他很好. |iphone 不错。",
    "他很好。 |“行。” |我走了。",
    "我不怕Mr.王。",
    "选A.苹果B.香蕉",
    "生于1950年。[1]|卒于2000年。[2][3]|安葬于此。",
    "（一）你好。|（二）再见。",
    "何ですか。|そうです！",
]

ENGLISH = [
    "He left. |She stayed! |Why? |Nobody knows.",
    "Mr. Smith met Dr. J. K. Rowling and Prof. Li. |They talked.",
    "the U.S. Senate voted. |He lives in the U.S. |The bill passed.",
    "It costs $3.5 million, i.e. 3.5% more (e.g. in Fig. 2). |See No. 5 and p. 12.",
    "Is it so? |No. |I won't.",
    "Apple Inc. bought Foo Corp. |He left at 5 p.m. on Jan. 5. |We met at 6 p.m. |The end.",
    "Smith et al. found it, etc. |However, others did not.",
    "He weighs 80 kg. |The end. |It is 5 ft. tall. |Mt. Everest is high. |So is St. Helens.",
    "Born in the 1970s. |Rafferty sang. |Who is it? |It is us. |Mrs Clinton left.",
    "So do I. |It's fine. |Vitamin C. |The rest.",
    '"Go!" he said. |"Really?" she asked. |"Yes." |Then he left.',
    'He said "Go." |Then he left. |(It was late.) |He slept.',
    "He was (see Fig. 3. It shows more) right. |He met (?) Tom.",
    "“Go!” he said. |‘Why?’ |“No.”",
    "See http://example.com/a.b?c=1. |Then go to www.foo.org! |Use a.php?id=3 or node.js v2.0.1. |Done.",
    "Wait... |But why? |He was... well, late. |And . . . |Yes. |No…and so on… |Then.",
    "What?! |No!! |Yes.",
    "1. Introduction to it. |2. Methods of it. |A. First one.",
    "In 1999. |25 people came.",
    "Use .NET now. |It is good",
    "It is known.[1] |It was not.[2][3] |Now it is.",
    "no end mark at all",
    "Wilson's theorem: (p − 1)! + 1 is divisible. |Yes.",
    "Great! — Tom",
    "a boy runs . |he stops . |mr. smith waits ! |what ?",  # tokenised
    "He runs . |then he stops . |I have a TV. |Tom left.",
    "He said `` go . '' |Then ( he left . ) |Yes .",
    "the dog ran. |it stopped. |the u.s. senate met, etc. and so on.",  # no capitals anywhere
    "„Hallo.“ |Er ging. |»Gut.« |Sie kam. |C'est bon ! |« Oui. » |Il part.",
    "¿Qué? |¡No! |Él es. |Ésta no.",
    "क्या है। |यह है। |؟ما هذا؟ |نعم",
]

MIXED = [
    "我喜欢它。|It is good. |真的！|OK.",
    "他说OK!|我说no.|就这样",
    "Mr. Li 来了。|He said 你好. |然后走了。",
    "iPhone 3.5寸屏幕.|不错! |Yes. |好",
    "版本2.0.1发布了。|See v2.0.1.",
]


@pytest.mark.parametrize("marked", CHINESE + ENGLISH + MIXED)
def test_sentences_end_where_a_reader_ends_them(marked: str):
    assert split_sentences(marked.replace("|", "")) == [sentence.strip() for sentence in marked.split("|")]


def test_line_breaks():
    assert split_sentences("A line that\nis wrapped. And\r\nanother\n\nOne more\n \nThe last") == [
        "A line that is wrapped.",
        "And another",
        "One more",
        "The last",
    ]
    assert split_sentences("第一章 开始\n正文。\n床前明月光，\n疑是地上霜。\niPhone 12\n苹果") == [
        "第一章 开始",
        "正文。",
        "床前明月光，疑是地上霜。",
        "iPhone 12",
        "苹果",
    ]


def test_nothing_gives_nothing():
    assert split_sentences("") == split_sentences(" \n\u3000\n ") == []
    assert segments_of(" \n", split=True) == segments_of(" \n", split=False) == ()
    assert segments_of(" a. B. ", split=False) == ("a. B.",)
    assert segments_of(" A. a. B b. ", split=True) == ("A. a. B b.",)


def squeeze(text: str) -> str:
    return "".join(text.split())


@given(st.text(alphabet="aB1好。.!?…；; \n\"'“”（）()《》[],，、—😀\u3000\t"))
def test_the_parts_are_the_text(text: str):
    parts = split_sentences(text)
    assert squeeze("".join(parts)) == squeeze(text)
    assert all(part and part == part.strip() and "\n" not in part for part in parts)


@given(st.text())
def test_the_parts_are_any_text(text: str):
    assert squeeze("".join(split_sentences(text))) == squeeze(text)


HARD = [
    "a.",
    ".",
    "1.1",
    'a."',
    ". ) ",
    ".  .x",
    ".[1]",
    "（。a",
    "《a!",
    "((。",
    "A.'",
    "Mr. ",
    ".“ ",
    "你。",
    ",\n",
    " ",
    "好\n",
]


@pytest.mark.parametrize("unit", HARD)
def test_time_is_linear(unit: str):
    def seconds(num_characters: int) -> float:
        text = unit * (num_characters // len(unit)) + "x"
        begin = time.process_time()
        split_sentences(text)
        return time.process_time() - begin

    # Four times the text may take eight times as long: far from the sixteen of quadratic time, far from noise.
    assert min(seconds(80_000) for _ in range(2)) < 8 * max(seconds(20_000) for _ in range(3)) + 0.02


def test_memory_for_a_single_long_line_is_bounded():
    text = "这是一个很长的句子，后面还有一个。And an English one follows it, with a few words more. " * 8_000
    tracemalloc.start()
    sentences = split_sentences(text)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(sentences) == 16_000
    assert peak < 4 * 2 * len(text)  # two bytes a character


@pytest.mark.data
@pytest.mark.parametrize(
    ("name", "separator", "precision", "recall"),
    [
        ("en_pud-ud-test.conllu", " ", 0.99, 0.99),
        ("en_ewt-ud-dev.conllu", " ", 0.98, 0.68),  # the web: three in ten sentences end in no mark
        ("zh_pud-ud-test.conllu", "", 0.96, 0.99),  # the rest is semicolons
        ("zh_gsdsimp-ud-dev.conllu", "", 0.98, 0.99),
    ],
)
def test_boundaries_agree_with_treebanks(data: Path, name: str, separator: str, precision: float, recall: float):
    sentences = [
        line.removeprefix("# text =").strip()
        for line in (data / "tag" / name).read_text(encoding="utf-8").splitlines()
        if line.startswith("# text =")
    ]
    gold = ends_of(sentences)
    found = ends_of(split_sentences(separator.join(sentences)))
    assert len(gold & found) / len(found) > precision
    assert len(gold & found) / len(gold) > recall


def ends_of(sentences: list[str]) -> set[int]:
    """Where sentences end, in characters that are no white space."""
    ends, position = set(), 0
    for sentence in sentences:
        position += len(squeeze(sentence))
        ends.add(position)
    return ends
