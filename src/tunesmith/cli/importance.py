"""``tunesmith importance``: which parameters matter."""

import click

from tunesmith.cli.console import out
from tunesmith.cli.names import find_study
from tunesmith.cli.options import format_option, storage_option, study_argument
from tunesmith.reporting import importance_document, json_text
from tunesmith.storage import open_storage
from tunesmith.study import Study

__all__ = ["importance_command"]


@click.command("importance")
@study_argument("study", required=False, default="@")
@click.option(
    "-m", "--metric", metavar="NAME", help="Of this metric; the first objective by default."
)
@click.option(
    "--top",
    type=click.FloatRange(0.0, 1.0, min_open=True, max_open=True),
    metavar="SHARE",
    help="Among the better part of the space only: 0.25 for the best quarter.",
)
@storage_option
@format_option("table", "json")
def importance_command(
    study: str, metric: str | None, top: float | None, storage: str | None, output: str
) -> None:
    """Show which parameters matter: each one's share of the metric's variance."""
    opened = open_storage(storage, create=False)
    name = find_study(opened, study)
    found = Study.load(name, opened).importance(metric, top)
    if output == "json":
        head = {"schema": "tunesmith.importance/1", "study": name}
        out(json_text({**head, **importance_document(found)}))
    else:
        out(repr(found))
