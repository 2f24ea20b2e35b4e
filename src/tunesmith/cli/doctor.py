"""``tunesmith doctor`` and ``tunesmith completion``: about the installation."""

import os
import platform
import shutil
import sys
from importlib.metadata import version
from pathlib import Path

import click
from click.shell_completion import get_completion_class

from tunesmith.cli.app import Exit, application
from tunesmith.cli.console import out
from tunesmith.cli.options import format_option, storage_option
from tunesmith.errors import NotFoundError, StorageError
from tunesmith.execution import visible_gpus
from tunesmith.plugins import plugin_names
from tunesmith.reporting import json_text
from tunesmith.storage import default_url, open_storage

__all__ = ["completion_command", "doctor_command"]

_PARTS = (
    "numpy",
    "scipy",
    "SQLAlchemy",
    "alembic",
    "PyYAML",
    "click",
    "rich",
    "cloudpickle",
    "psutil",
    "threadpoolctl",
)
_ROLES = ("searchers", "stopping_rules", "schedules", "storages", "metric_sources")


@click.command("doctor")
@storage_option
@format_option("table", "json")
def doctor_command(storage: str | None, output: str) -> int:
    """Report on this installation: versions, storage, disk, CPUs and GPUs, plug-ins."""
    report: dict[str, object] = {
        "tunesmith": version("tunesmith"),
        "python": platform.python_version(),
        "executable": sys.executable,
        "platform": platform.platform(),
        **{part: version(part) for part in _PARTS},
        "cpus": len(os.sched_getaffinity(0))
        if hasattr(os, "sched_getaffinity")
        else os.cpu_count(),
        "gpus": visible_gpus(),
        "free_disk_gib": round(shutil.disk_usage(Path.cwd()).free / 2**30, 1),
        "storage": storage or default_url(),
    }
    healthy = True
    try:
        names = open_storage(storage, create=False).study_names()
        report["storage_state"] = f"{len(names)} studies"
    except NotFoundError:
        report["storage_state"] = "no studies yet"
    except StorageError as error:
        report["storage_state"] = str(error)
        healthy = False
    for role in _ROLES:
        report[role] = plugin_names(role)
    if output == "json":
        out(json_text({"schema": "tunesmith.doctor/1", **report}))
    else:
        for name, value in report.items():
            shown = ", ".join(map(str, value)) or "none" if isinstance(value, list) else value
            out(f"{name:16} {shown}")
    return Exit.DONE if healthy else Exit.STORAGE


@click.command("completion")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion_command(shell: str) -> None:
    """Print the completion script of a shell; for bash: eval "$(tunesmith completion bash)"."""
    found = get_completion_class(shell)
    assert found is not None
    out(found(application, {}, "tunesmith", "_TUNESMITH_COMPLETE").source())
