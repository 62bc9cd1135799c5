"""The phrases of pages on runs in Chinese, by the English ones; {names} stand in both."""

from bertwright.report.chinese_analyses import ANALYSES

CHINESE: dict[str, str] = {
    **ANALYSES,
    # The page
    "Report: {names}": "报告：{names}",
    "Report: {count} runs": "报告：{count} 次训练",
    "The demo: why pre-training matters": "演示：预训练为什么重要",
    "to the content": "跳到正文",
    "light or dark look": "浅色或深色",
    "contents": "目录",
    "The charts need JavaScript.": "图表需要 JavaScript。",
    "{first} {second}": "{first}{second}",
    # Training
    "The run goes on from {checkpoint}.": "训练从 {checkpoint} 继续。",
    "{count} tokens were added": "加入了 {count} 个词",
    "Told at step {step}: {notice}": "第 {step} 步的提醒：{notice}",
    # Competition
    "The ensemble reaches {value} ({metric}) on {count} training examples, each unseen in training.": (
        "集成模型在 {count} 条训练样本上达到 {value}（{metric}），每条样本都由没有见过它的模型判断。"
    ),
    "Its best member alone, {name}, reaches {value}.": "其中最好的单个成员 {name} 达到 {value}。",
    "ensemble, out of fold": "集成，折外",
    "ensemble, held back": "集成，保留集",
    "{count} examples": "{count} 条样本",
    "members": "成员",
    "folds × seeds: {folds} × {seeds}": "折数 × 种子数：{folds} × {seeds}",
    "time of training": "训练用时",
    "Leaderboard": "排行榜",
    "out of fold": "折外",
    "Where the ensemble is wrong": "集成模型错在哪里",
    "{metric}, out of fold": "{metric}，折外",
    "over folds": "各折",
    "over seeds": "各种子",
    "held back": "保留集",
    "weight": "权重",
    "ensemble": "集成",
    "Out of fold: each training example is judged by a model that was trained without it, and without all of its "
    "group; the ensemble's weights for a fold are chosen on the other folds. Held back: test examples whose labels "
    "no model and no choice has seen.": (
        "折外：每条训练样本都由没有用它（以及与它同组的样本）训练过的模型判断；某一折的集成权重只由其余各折决定。"
        "保留集：标签从未参与任何训练和选择的测试样本。"
    ),
    "a fold": "一折",
    "all folds": "所有折",
    # Headline
    "Fine-tuned on {train} labelled texts, the pre-trained encoder judges {pretrained} of {test} unseen texts "
    "correctly; the same encoder from random weights judges {scratch} correctly.": (
        "用 {train} 条有标签的文本微调后，预训练过的编码器对 {test} 条未见文本的判断有 {pretrained} 正确；"
        "同一编码器从随机权重开始，只有 {scratch} 正确。"
    ),
    "Pre-training is worth {points} points ({interval}).": "预训练带来 {points} 个百分点的提高（{interval}）。",
    "Here pre-training costs {points} points ({interval}).": "这里预训练反而降低了 {points} 个百分点（{interval}）。",
    "The lead of {lead} points may be chance ({interval}).": "{lead} 个百分点的差距可能出于偶然（{interval}）。",
    "A linear model on n-grams reaches {linear}.": "n 元语法上的线性模型达到 {linear}。",
    "95% interval {low} to {high}": "95% 区间 {low} 至 {high}",
    "± {half} (95%)": "± {half}（95%）",
    "lead of pre-training": "预训练的领先",
    "{lead} points": "{lead} 百分点",
    "test texts": "测试文本",
    "{count} labelled to learn from": "训练用有标签文本 {count} 条",
    "time, all in all": "总用时",
    "texts scored": "评分文本",
    "The model reaches {value} ({metric}) on {count} texts.": "模型在 {count} 条文本上达到 {value}（{metric}）。",
    "exact match": "完全匹配",
    "The model labels {accuracy} of {count} test texts correctly ({interval}).": (
        "模型对 {count} 条测试文本的判断有 {accuracy} 正确（{interval}）。"
    ),
    "The model labels {accuracy} of {count} development texts correctly ({interval}).": (
        "模型对 {count} 条开发文本的判断有 {accuracy} 正确（{interval}）。"
    ),
    "These texts chose the best step, so the figure flatters; no test texts were given.": (
        "最佳步数就是用这些文本选出的，所以这个数字偏高；没有提供测试文本。"
    ),
    "{rate} per second": "每秒 {rate}",
    "steps: {steps}": "步数：{steps}",
    "Pre-trained for {time}.": "预训练 {time}。",
    "held-out loss": "留出损失",
    "nats per masked token": "奈特／被遮盖的词元",
    "After {time} of pre-training, the loss on held-out text is {loss} nats per masked token; a uniform guess "
    "costs {uniform}.": "预训练 {time} 后，留出文本上每个被遮盖词元的损失是 {loss} 奈特；均匀猜测的损失是 {uniform}。",
    "That is below the unigram entropy of {entropy}: it uses the context.": (
        "这低于一元熵 {entropy}：模型用上了上下文。"
    ),
    "That is not below the unigram entropy of {entropy}: it has not learnt to use the context.": (
        "这不低于一元熵 {entropy}：模型还没有学会利用上下文。"
    ),
    "Of {runs} runs, {name} scores highest: {accuracy} of {count} test texts.": (
        "{runs} 次运行中 {name} 得分最高：{count} 条测试文本中 {accuracy} 正确。"
    ),
    "{count} fine-tuned runs.": "{count} 次微调运行。",
    "Drawn from {names}.": "取自 {names}。",
    # Comparison
    "Why pre-training matters": "预训练为什么重要",
    "The runs side by side": "各次运行的比较",
    "The same small encoder is fine-tuned twice on the same {train} labelled texts, with the same steps and "
    "schedule: once from weights that were pre-trained on text without labels, once from random ones. The best "
    "epoch is chosen on {development} development texts; the {test} test texts are scored once.": (
        "同一个小编码器用同样的 {train} 条有标签文本、同样的步数和学习率安排微调两次："
        "一次从无标签文本上预训练得到的权重开始，一次从随机权重开始。"
        "用 {development} 条开发文本选出最好的一轮；{test} 条测试文本只评分一次。"
    ),
    "pre-trained": "预训练",
    "from scratch": "从头训练",
    "linear model": "线性模型",
    "majority": "多数类",
    "accuracy": "准确率",
    "macro F1": "宏平均 F1",
    "micro F1": "微平均 F1",
    "precision": "精确率",
    "recall": "召回率",
    "Matthews correlation": "马修斯相关系数",
    "Pearson correlation": "皮尔逊相关系数",
    "Spearman correlation": "斯皮尔曼相关系数",
    "root mean squared error": "均方根误差",
    "log loss": "对数损失",
    "area under the ROC curve": "ROC 曲线下面积",
    "labels": "标签",
    "disagreement of two dropouts": "两次 dropout 的分歧",
    "accuracy on the test texts": "测试文本上的准确率",
    "Accuracy on {count} test texts, with 95% intervals (normal approximation).": (
        "{count} 条测试文本上的准确率，附 95% 区间（正态近似）。"
    ),
    "lead of “{name}”, points": "“{name}”的领先，百分点",
    "± is half of the 95% interval (normal approximation); the two sides of a lead are taken as independent.": (
        "± 是 95% 区间的一半（正态近似）；计算领先时把两边看作独立。"
    ),
    "± is half of the 95% interval (normal approximation).": "± 是 95% 区间的一半（正态近似）。",
    "preparing the text": "准备文本",
    "pre-training": "预训练",
    "fine-tuning the pre-trained start": "从预训练权重微调",
    "fine-tuning from scratch": "从头微调",
    "Where the time went: {parts}.": "时间花在：{parts}。",
    "epoch": "轮",
    "step": "步",
    "training loss": "训练损失",
    "{metric}, development texts": "{metric}，开发文本",
    "Training loss of every step (faint) and smoothed; score on the development texts, unseen in training.": (
        "每一步的训练损失（淡）和平滑后的曲线；训练中没有见过的开发文本上的评分。"
    ),
    # Data
    "The data": "数据",
    "The data: {name}": "数据：{name}",
    "file": "文件",
    "files": "文件",
    "texts": "文本",
    "characters": "字符",
    "tokens": "词元",
    "empty": "空",
    "duplicates": "重复",
    "near duplicates": "近似重复",
    "over-long": "过长",
    "without label": "无标签",
    "unknown tokens": "未知词元",
    "damaged characters": "损坏的字符",
    "vocabulary ({unit})": "词表（{unit}）",
    "unigram entropy": "一元熵",
    "uniform guess, ln V": "均匀猜测，ln V",
    "first loss, expected": "初始损失，预期",
    "Lengths": "长度",
    "Lengths in figures": "长度数值",
    "lengths of {file}: median {median}": "{file} 的长度：中位数 {median}",
    "length in {unit}": "长度（{unit}）",
    "{file}; {count} texts are longer than shown.": "{file}；另有 {count} 条文本更长，没有画出。",
    "unit": "单位",
    "shortest": "最短",
    "median": "中位数",
    "mean": "平均",
    "longest": "最长",
    "over 128": "超过 128",
    "over 512": "超过 512",
    "label": "标签",
    "{count} more labels are not shown.": "另有 {count} 个标签没有列出。",
    "script": "文字",
    "Scripts of the visible characters: {shares}.": "可见字符的文字：{shares}。",
    "texts in common": "共有的文本",
    "share of the smaller file": "占较小文件的比例",
    # Pre-training
    "Pre-training": "预训练",
    "Pre-training: {name}": "预训练：{name}",
    "This run has not come to its end: {steps} steps so far.": "这次运行还没有结束：目前 {steps} 步。",
    "masked tokens": "被遮盖的词元",
    "next sentence": "下一句",
    "sentence order": "句子顺序",
    "classes": "类别",
    "Fine-tuning: {name}": "微调：{name}",
    "loss in nats: {name}": "损失（奈特）：{name}",
    "every step": "每一步",
    "training": "训练",
    "held out": "留出",
    "coin toss, ln 2 = {loss}": "抛硬币，ln 2 = {loss}",
    "uniform guess, ln V = {loss}": "均匀猜测，ln V = {loss}",
    "unigram entropy = {loss}": "一元熵 = {loss}",
    "A model that guesses uniformly stays at the upper line; one that knows nothing but how frequent each "
    "token is reaches the lower one. Below that, it uses the context.": (
        "均匀猜测的模型停在上面那条线；只知道每个词元有多常见的模型能到下面那条线；再往下，就用上了上下文。"
    ),
    "{name}: training loss {loss} at step {step}": "{name}：第 {step} 步的训练损失 {loss}",
    "Learning rate and speed": "学习率与速度",
    "learning rate": "学习率",
    "tokens per second": "每秒词元数",
    "steps": "步数",
    "time": "用时",
    "tokens seen": "读过的词元",
    "parameters": "参数",
    "first loss, measured": "初始损失，实测",
    "language": "语言",
    "Held-out loss by language": "各语言的留出损失",
    "held-out loss, masked tokens": "留出损失，被遮盖的词元",
    "held-out perplexity": "留出困惑度",
    "masked tokens guessed right": "猜对的被遮盖词元",
    "held-out loss, next sentence": "留出损失，下一句",
    "next sentence told right": "下一句判断正确",
    "held-out loss, sentence order": "留出损失，句子顺序",
    "sentence order told right": "句子顺序判断正确",
    "best step": "最佳步",
    # Fill
    "Filling in what is masked": "填补被遮盖的词元",
    "The most likely tokens for each [MASK], with the probability that the model gives them.": (
        "每个 [MASK] 最可能的词元，以及模型给出的概率。"
    ),
    "A tick marks the token that one expects.": "打勾的是人们预期的词元。",
    "expected": "预期",
    "expected {token}: not among the first {count}": "预期 {token}：不在前 {count} 个之中",
    # Answers
    "Where an answer begins and ends": "答案从哪里开始，到哪里结束",
    "question": "问题",
    "answer": "答案",
    "no answer in the passage": "文中没有答案",
    "most likely beginning": "最可能的开头",
    "most likely end": "最可能的结尾",
    "begins here": "从这里开始",
    "ends here": "到这里结束",
    (
        "Two softmaxes over the tokens of the passage, by the start vector and by the end vector. The answer is the "
        "pair with the highest product of which the end does not come first."
    ): "在文章的词元上做两次 softmax，分别用开始向量和结束向量。答案是乘积最大、且结尾不在开头之前的一对。",
    # Scores
    "Scores": "评分",
    "Scores: {name}": "评分：{name}",
    "evaluation": "评测",
    "development": "开发",
    "test": "测试",
    "random": "随机",
    "pre-trained, word embeddings drawn anew": "预训练，词嵌入重新随机",
    "start": "起点",
    "checkpoint": "检查点",
    "training texts": "训练文本",
    "File: {file}": "文件：{file}",
    "Texts longer than the model reads at once: {counts}.": "超出模型一次能读的长度、分窗读取的文本：{counts}。",
    "Texts that stand in the training data too, and were left out: {counts}.": (
        "训练数据中也有、已剔除的文本：{counts}。"
    ),
    "Texts that stand in the training data too, so that the score flatters: {counts}.": (
        "训练数据中也有的文本，会使评分偏高：{counts}。"
    ),
    "What was taken for what ({side})": "混淆矩阵（{side}）",
    "truth": "真实",
    "predicted": "预测",
    "Counts, and their share of all with that truth.": "个数，以及占该真实类别总数的比例。",
    "Most wrong ({side})": "错得最厉害的（{side}）",
    "{count} more": "另外 {count} 条",
    "text": "文本",
    "P(truth)": "P(真实)",
    "probability that the model gave to the truth": "模型给真实类别的概率",
    # Machine, recipes
    "The machine": "机器",
    "processor": "处理器",
    "cores": "核心",
    "memory": "内存",
    "platform": "平台",
    "command": "命令",
    "command ({name})": "命令（{name}）",
    "Recipes": "配方",
    "Exactly as resolved, with what was probed on the machine: the same file repeats the run.": (
        "完全展开后的配方，包括在机器上测得的选择：用同一文件可以重复这次运行。"
    ),
    "Other results": "其他结果",
    "(cut here)": "（在此截断）",
}
