"""The uses of an encoder: a task is a plain record of functions."""

from bertwright.tasks.classify import CLASSIFY
from bertwright.tasks.task import Task

TASKS: dict[str, Task] = {"classify": CLASSIFY}
