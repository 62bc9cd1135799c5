"""The phrases of pages on analyses in Chinese, by the English ones; {names} stand in both."""

ANALYSES: dict[str, str] = {
    # Initialization
    "Pre-trained and random weights": "预训练权重与随机权重",
    "The same training from pre-trained weights (solid) and from random ones (dashed), {seeds} seeds, {epochs} "
    "epochs. Thin lines are seeds, thick ones their means.": (
        "同样的训练，从预训练权重（实线）和随机权重（虚线）开始，{seeds} 个种子，{epochs} 轮。"
        "细线是各个种子，粗线是平均。"
    ),
    "training examples": "训练样本",
    "epochs with lower loss": "损失更低的轮数",
    "epoch of loss .1: pre-trained, scratch": "损失降到 0.1 的轮次：预训练，从头",
    "best score: pre-trained, scratch": "最好分数：预训练，从头",
    "epochs of scratch at chance": "从头训练停在瞎猜水平的轮数",
    # Similarity
    "One word in many sentences": "一个词在许多句子里",
    "cosine within a sense less across senses": "同一词义的余弦减不同词义的余弦",
    "Cosines between the vectors of a word in its sentences, read by {model}. Within: both sentences use the word in "
    "the same sense; across: in different ones. Layer 0 are the embeddings, which do not know the neighbours yet.": (
        "同一个词在各句中的向量两两之间的余弦，由 {model} 读出。组内：两句中该词意思相同；组间：意思不同。"
        "第 0 层是词嵌入，还不知道上下文。"
    ),
    "layer": "层",
    "word": "词",
    "layer of the largest gap": "差距最大的层",
    "within": "组内",
    "across": "组间",
    "gap": "差距",
    "nearest in the same sense": "最近邻属同一词义",
    "gap in layer 0": "第 0 层的差距",
    "p: share of permutations of the senses with a gap as large. The layer was chosen by its gap, so its p "
    "flatters a little.": "p：随机打乱词义标签后差距不小于此的比例。层是按差距挑的，所以 p 略显乐观。",
    "{layer}: within {within}, across {across}": "{layer}：组内 {within}，组间 {across}",
    "sense": "词义",
    "nearest, layer {layer}": "最近邻，第 {layer} 层",
    "words asked": "问过的词",
    "The vocabulary of {model}.": "{model} 的词表。",
    "sentence": "句子",
    "sentences": "句子",
    "pieces of the word": "该词的词片",
    "cosines of {word} between all sentences": "{word} 在所有句子之间的余弦",
    "In sentence {numbers} a piece reaches outside the word: its vector stands for more than the word.": (
        "第 {numbers} 句中有词片超出该词：它的向量不只代表这个词。"
    ),
    # Embeddings
    "Which tokens lie close": "哪些词元相近",
    "A point is an occurrence of a word, its colour the sense. Of each word one sees the two directions in which its "
    "vectors differ most, at every layer to the same scale. Layer 0 are the embeddings: one vector for a word, but for "
    "its position.": (
        "一个点是词的一次出现，颜色是词义。每个词画出它的向量差别最大的两个方向，各层比例相同。"
        "第 0 层是词嵌入：除位置以外，一个词只有一个向量。"
    ),
    "The words' occurrences as {model} sees them, layer by layer; layer {layer} tells the senses apart best.": (
        "{model} 眼中各词的每次出现，逐层来看；第 {layer} 层最能分开词义。"
    ),
    "map of the occurrences": "各次出现的地图",
    "By the cosine of their rows in the embedding table: one vector for each token, whatever the sentence.": (
        "按词嵌入表中各行的余弦：每个词元只有一个向量，与句子无关。"
    ),
    "nearest tokens of the vocabulary": "词表中最近的词元",
    "Tokens of all sentences whose vectors at layer {layer} are nearest to the mean vector of the sense.": (
        "所有句子的词元中，第 {layer} 层向量与该词义平均向量最近的。"
    ),
    "nearest tokens in context": "上下文中最近的词元",
    # Context
    "One vector for a word, or one for each occurrence": "一词一个向量，还是每次出现一个",
    "CBOW, the word's vector": "CBOW：词的向量",
    "CBOW, mean of the neighbours' vectors": "CBOW：邻居向量的平均",
    "occurrences given their sense": "判对词义的出现",
    "distance of the hidden neighbour in tokens": "被遮住的邻居的距离（词元）",
    "1 − cosine to the vector before": "1 − 与原向量的余弦",
    "attention cut": "切断注意力",
    "CBOW learns one vector for each word; the encoder gives one to each occurrence. An occurrence is given the sense "
    "whose other occurrences have the most similar mean vector. CBOW learnt from the training documents of {store}.": (
        "CBOW 为每个词学一个向量；编码器给每次出现一个向量。"
        "对每次出现：把这个词其余各处的向量按词义求平均，哪个词义的平均向量与它最相似，就判给哪个词义。"
        "CBOW 从 {store} 的训练文档学得。"
    ),
    "Change a neighbour, and the vector moves": "改变一个邻居，向量就会移动",
    "One neighbour of the word is replaced by [MASK]: how far the word's vector moves, by the distance of the "
    "neighbour. Where every token sees itself only, it does not move: {largest} at most.": (
        "把词的一个邻居换成 [MASK]：词的向量移动多远，按邻居的距离。如果每个词元只看见自己，它就不动：最多 {largest}。"
    ),
    "Where the tokens look": "词元看向哪里",
    "A row is a token that looks, a column one that is looked at; mean over heads.": (
        "行是看的词元，列是被看的词元；各注意力头的平均。"
    ),
    "attention in {text}": "{text} 中的注意力",
    "in the store": "在语料中",
    "layer 0": "第 0 层",
    "best layer": "最好的层",
    "last layer": "最后一层",
    # Probes
    "What can be read from the vectors": "从向量里能读出什么",
    "Linear probes on frozen vectors of {model}: they learn the labels of {data}. The control task gives every kind of "
    "word a random label: what a probe scores there it has learnt by heart.": (
        "在 {model} 的冻结向量上训练线性探针，学习 {data} 的标签。对照任务给每种词一个随机标签："
        "探针在那里的得分是死记硬背。"
    ),
    "probe": "探针",
    "control task": "对照任务",
    "most frequent class": "最常见的类别",
    "most frequent label": "最常见的标签",
    "most frequent label of each word": "每个词最常见的标签",
    "In the course of pre-training": "预训练的过程中",
    "The {count} most frequent labels; the table has all.": "只画最常见的 {count} 种标签，其余见表。",
    "words given back when shown": "看着词能复述出来",
    "words guessed when masked": "遮住词能猜出来",
    "seed": "种子",
    "score of the fine-tuned task": "微调任务的分数",
    "The {count} labels of which twenty words or more were asked are learnt in the order of their words' frequency in "
    "what the model has read with a rank correlation of {value} (1: exactly in it).": (
        "问过至少二十个词的 {count} 种标签，学会的次序与其词在模型读过的文本中的频率次序的等级相关为 {value}"
        "（1 表示完全一致）。"
    ),
    "share": "占比",
    "given back": "复述",
    "guessed when masked": "猜出",
    "learnt at step": "学会的步数",
    # Domains
    "Does English help elsewhere?": "英语对别处有帮助吗？",
    "pre-trained on the alphabet": "在这种字母上预训练",
    "text encoder": "文本编码器",
    "the same, all drawn anew": "同上，全部重新随机",
    "text encoder, word embeddings drawn anew": "文本编码器，词嵌入重新随机",
    "text encoder, symbols as [unused] tokens": "文本编码器，符号改名为 [unused] 词元",
    "all drawn anew": "全部重新随机",
    "text encoder, one training, other words for each seed": "文本编码器，训练固定，每个种子换一套词",
    "text encoder, one set of words, another training for each seed": "文本编码器，词固定，每个种子另训练一次",
    "A text encoder is fine-tuned on sequences whose symbols are renamed to words, drawn once for each seed; for "
    "{name}: {example}.": "文本编码器在符号被改名为单词的序列上微调，每个种子抽一次名字；以 {name} 为例：{example}。",
    "Published (slide 75): other data sets, or other splits, and BERT-base.": (
        "已发表（第 75 页）：数据集或划分不同，模型是 BERT-base。"
    ),
    "Here the linear model wins: {linear} against {best} at best ({start}).": (
        "这里线性模型赢了：{linear} 对其余最好的 {best}（{start}）。"
    ),
    "Here the linear model is better than the text encoder: {linear} against {text}; best is {best} ({start}).": (
        "这里线性模型比文本编码器好：{linear} 对 {text}；最好的是 {best}（{start}）。"
    ),
    "Its pre-training adds {mean} ({low} … {high}).": "它的预训练带来 {mean}（{low} … {high}）。",
    "{train} training examples, {test} test examples, {seeds} seeds; {size} weights in the text encoder.": (
        "训练样本 {train} 个，测试样本 {test} 个，种子 {seeds} 个；文本编码器有 {size} 个权重。"
    ),
    "The encoder of the alphabet has {size}.": "这种字母的编码器有 {size} 个。",
    "What random weights reach at step {random}, the text encoder has reached at step {text}.": (
        "随机权重在第 {random} 步达到的分数，文本编码器在第 {text} 步就达到了。"
    ),
    "Test score × 100, mean ± deviation over seeds. In brackets the interval that holds 95 of 100 differences to the "
    "text encoder (of the text encoder: to the linear model), by Student's t from the spread over seeds and "
    "over test examples.": (
        "测试分数 × 100，各种子的平均 ± 标准差。括号里是与文本编码器之差（文本编码器一行是与线性模型之差）的 95% 区间，"
        "按 t 分布由种子之间和测试样本之间的离散程度得出。"
    ),
    # Transfer
    "From one language to others": "从一种语言到别的语言",
    "Fine-tuned in one language and tested in others, mean ± deviation over {seeds} seeds, × 100.": (
        "用一种语言微调，用别的语言测试；{seeds} 个种子的平均 ± 标准差，× 100。"
    ),
    "pre-training": "预训练",
    "test (examples)": "测试（例子数）",
    "fine-tuning (examples)": "微调（例子数）",
    "none": "无",
    "Chance: any part of the passage that is as long as the answer.": "瞎猜：文章里任意一段，与答案一样长。",
    "Chance: always the most frequent label of the test.": "瞎猜：总是答测试中最常见的标签。",
    "{share} % of {test} to {encoder}": "{test} 的 {share} %（{encoder}）",
    "Tokens that are unknown: {shares}.": "词表里没有的词元：{shares}。",
    "By how much {encoder} is better, × 100 ({metric}), and the interval that holds it in 95 of 100 experiments: "
    "Student's t from the spread over seeds and over test examples.": (
        "{encoder} 高出多少，× 100（{metric}），以及 95% 区间：按 t 分布由种子之间和测试样本之间的离散程度得出。"
    ),
    "{encoder} is better by": "{encoder} 高出",
    "fine-tuning": "微调",
    "Left out, as they or their passages stand in training data: {tests}.": (
        "以下样本或其文章在训练数据里出现过，没有计入：{tests}。"
    ),
    "Published (slide 78; Hsu, Liu and Lee 2019): BERT-base, tested on DRCD. F1 of Chinese answers is that of "
    "characters here, by their longest common run, as CMRC's scorer has it.": (
        "已发表（第 78 页；Hsu、Liu、Lee 2019）：BERT-base，在 DRCD 上测试。这里中文答案的 F1 按字计算，"
        "取最长公共连续片段，与 CMRC 的评分程序一致。"
    ),
    "Chinese": "中文",
    "English": "英语",
    "Chinese and English": "中文和英语",
    "104 languages": "104 种语言",
    # Alignment
    "Translations side by side": "译文相邻",
    "For each sentence of {one} all sentences of {other} are ranked by the cosine of their vectors, as {model} gives "
    "them, and the other way round. 1 means that the translation always comes first.": (
        "{one} 的每个句子，按 {model} 给出的向量的余弦给 {other} 的所有句子排序，反向也一样。1 表示译文总排第一。"
    ),
    "words": "词",
    "mean reciprocal rank of {count} {kind}": "{count} 个{kind}的平均倒数排名",
    "Two probes guess the language of a token from its vector: a linear one, and a vote of the fifteen nearest "
    "vectors, before and after the mean of each language is subtracted. They are asked for tokens that they have not "
    "learnt from. The dashed line is the mean cosine between the difference of a pair of sentences and that of the "
    "languages' means, the dotted one the same of sentences that are no translations.": (
        "两个探针从词元的向量猜它的语言：一个是线性的，一个由最近的十五个向量投票（减去各语言均值之前和之后各一次）。被问的词元它们都没有学过。"
        "虚线是一对译文之差与语言均值之差的平均余弦，点线是不成对的句子的同一数值。"
    ),
    "random weights": "随机权重",
    "{title}: several runs": "{title}：几次训练",
    "precision at 1, best layer": "首位准确率，最好一层",
    "run": "训练",
    "not shifted": "不移动",
    "from {one} to {other}": "从 {one} 到 {other}",
    "Layer {layer} and α = {alpha}, chosen on other sentences.": "第 {layer} 层，α = {alpha}，由另一些句子选出。",
    "Tokens that the dictionary knows: {count} of {one}, {other_count} of {other}.": (
        "词典认识的词元：{one} {count} 个，{other} {other_count} 个。"
    ),
    "In brackets what chance gives: for translations the same answers at any other places, for BLEU-1 the translation "
    "of another sentence of like length.": (
        "括号里是瞎猜：译文一栏是把同样的回答放在任意别的位置，BLEU-1 一栏是用长度相近的另一句的译文作参考。"
    ),
    "random vectors, the most at any layer and α": "随机向量，各层各 α 中最高",
    "held-out loss in nats": "留出损失（nat）",
    "the same of no pairs": "不成对时的同一数值",
    "Where the language is": "语言在哪里",
    "language told right by a linear probe": "线性探针判对语言",
    "by the nearest neighbours": "最近邻判对",
    "by the nearest, less the mean of the language": "减去语言均值后最近邻判对",
    "as they are": "原样",
    "less the mean of the language": "减去语言均值",
    "chance": "瞎猜",
    "mean reciprocal rank": "平均倒数排名",
    "cosine to the offset of the languages": "与语言偏移的余弦",
    "Mean reciprocal rank (precision at 1). Chance: {chances}. Best layer of random weights: {random}.": (
        "平均倒数排名（首位准确率）。瞎猜：{chances}。随机权重的最好一层：{random}。"
    ),
    "In brackets random weights. By chance a probe is right in half of the cases; nearest neighbours in fewer, where "
    "they have learnt from a token's translation: for {count} words both or neither were learnt from.": (
        "括号里是随机权重。瞎猜对一半；学过词元的译文时最近邻会更低：{count} 个词与译文都学过或都没有。"
    ),
    " {count} lines are longer than the model reads, and are left out.": "有 {count} 行超过模型能读的长度，没有使用。",
    # Reconstruction
    "Does the language stay?": "语言会留下来吗？",
    "{model} is shown sentences, nothing masked, and says the most likely token at each place. If its vectors held "
    "the meaning alone, it could answer in any language.": (
        "给 {model} 看没有遮住的句子，让它在每个位置说出最可能的词元。如果向量里只有意思，它可以用任何一种语言回答。"
    ),
    "tokens given back": "复述的词元",
    "answers in the language": "属于这种语言的回答",
    "shown": "给它看的",
    "said": "它说的",
    # Shift
    "The vector that is language": "语言是一个向量",
    "random vectors": "随机向量",
    "tokens now of the other language": "变成另一种语言的词元",
    "tokens that are right translations": "翻译正确的词元",
    "share of the most frequent token": "最常见词元的占比",
    "Read without masking, {model} gives {first} of the tokens of {one} back, and {second} of those of {other}; "
    "{stays} and {stays_too} of its answers stay in the language.": (
        "不遮蔽地读，{model} 交回 {one} 的 {first} 的词元和 {other} 的 {second}；"
        "{stays} 和 {stays_too} 的回答留在原语言。"
    ),
    "Then the difference of the mean vectors of {other} and {one}, times α, is added to every token of {count} "
    "sentences of {one} at one layer. Dotted: random vectors of the same length, one for each.": (
        "然后在某一层，给 {one} 的 {count} 个句子的每个词元加上 {other} 与 {one} 的均值向量之差乘以 α。"
        "点线：同样长度的随机向量，每句一个。"
    ),
    "Sentences, shifted at layer {layer}": "在第 {layer} 层移动的句子",
    # Sizes
    "Sizes": "规模",
    "Parameters computed from the published shapes, word embeddings included. The first figure is to scale: what "
    "cannot be seen in it is that much smaller. In the second one each line is ten times the one before.": (
        "参数量由公开的结构算出，含词嵌入。第一张图按比例画：看不见的就是小那么多。第二张图每条竖线是前一条的十倍。"
    ),
    "To train: the weights, their gradients and Adam's two moments in float32, activations not counted. Operations: "
    "six for each parameter that computes a token and each token read, where the number of tokens is published.": (
        "训练所需：float32 的权重、梯度和 Adam 的两个矩，不含激活。运算量：每个参与计算的参数、每读一个词六次，"
        "只在公布了词数时给出。"
    ),
    "Sources: {sources}.": "来源：{sources}。",
    "shape (layers × width)": "结构（层数 × 宽度）",
    "computed": "计算值",
    "published": "公布值",
    "on the slide": "幻灯片上",
    "to load, bfloat16": "载入，bfloat16",
    "to train": "训练",
    "operations": "运算量",
}
