"""TensorBoard: the numbers of each step, for those who watch many runs side by side (extra `track`)."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from bertwright.errors import UserError


def tensorboard(folder: Path, step: int) -> Callable[[dict[str, Any]], None]:
    """A function that writes the log's record of a step as TensorBoard's events.

    Args:
        folder: for the files of events.
        step: that the run is at; what stands there of later steps is hidden.

    Raises:
        UserError: TensorBoard is not installed.
    """
    try:
        from torch.utils.tensorboard.writer import SummaryWriter
    except ImportError:
        raise UserError(
            "train.tensorboard needs the package tensorboard",
            expected="the extra track",
            advice="pip install 'bertwright[track]', or train.tensorboard=false",
        ) from None
    writer = SummaryWriter(str(folder), purge_step=step + 1)

    def write(record: dict[str, Any]) -> None:
        scalars = {name: record[name] for name in ("loss", "learning_rate", "gradient_norm", "tokens_per_second")}
        scalars |= {f"losses/{name}": value for name, value in record["losses"].items()}
        scalars |= {f"evaluation/{name}": value for name, value in record.get("evaluation", {}).items()}
        for name, value in scalars.items():
            writer.add_scalar(name, value, record["step"])
        if "evaluation" in record:
            writer.flush()

    return write
