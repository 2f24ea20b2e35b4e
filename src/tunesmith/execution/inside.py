"""What training code may call: report a metric, say that values can't be tried. Harmless by hand."""

import json
import math
import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import NoReturn

from tunesmith.execution.mark import MARK
from tunesmith.study import check_metrics, check_step

__all__ = ["infeasible", "report"]

_STARTED = time.monotonic()


def report(*, step: int | None = None, **metrics: float) -> None:
    """Report what the training measured; does nothing when no tuner runs the program.

    Args:
        step: How far the training is, such as the epoch; by default the one after the last.
        **metrics: One value per metric; numbers, or scalars of numpy, PyTorch and others.

    Raises:
        MetricError: a value is no number, or the step is no whole number from 0.
    """
    checked = check_metrics(metrics)
    number = None if step is None else check_step(step)
    values = {name: v if math.isfinite(v) else str(v) for name, v in checked.items()}
    elapsed_s = round(time.monotonic() - _STARTED, 3)
    _write({"step": number, "elapsed_s": elapsed_s, "metrics": values})


def infeasible(reason: str) -> NoReturn:
    """End the program: these values can't be tried. The study remembers them and goes on."""
    _write({"infeasible": reason})
    sys.exit(f"infeasible: {reason}")


def _write(line: Mapping[str, object]) -> None:
    directory = os.environ.get(MARK)
    if directory:
        # One write of one whole line: replicas and data loaders may report into the same file.
        text = json.dumps(line, ensure_ascii=False) + "\n"
        with (Path(directory) / "metrics.jsonl").open("ab", buffering=0) as file:
            file.write(text.encode())
