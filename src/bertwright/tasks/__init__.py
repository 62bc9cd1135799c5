"""The uses of an encoder: a class for a sequence or a pair, a label for each word, an answer in a passage.

To add a task: a file with a class, a line in `TASKS`, and the name in `config.TaskName`.
"""

from bertwright.tasks.classify import Classify, Pair
from bertwright.tasks.qa import QuestionAnswering
from bertwright.tasks.tag import Tag
from bertwright.tasks.task import Task

TASKS: dict[str, type[Task]] = {"classify": Classify, "tag": Tag, "pair": Pair, "qa": QuestionAnswering}
