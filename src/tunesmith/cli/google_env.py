"""``tunesmith google-env``: runs a program written for Google's services against a server, unchanged."""

import os
import subprocess
import sys
from pathlib import Path

import click

from tunesmith.cli import google_hook
from tunesmith.cli.app import Exit
from tunesmith.cli.options import SplitCommand, storage_option
from tunesmith.storage import default_url, is_remote, shown

__all__ = ["google_env_command"]

_NOT_FOUND = 127


@click.command(
    "google-env", cls=SplitCommand, short_help="run a program of Google's clients against a server"
)
@click.option(
    "--project",
    default="local",
    show_default=True,
    metavar="NAME",
    help="Google's project, for a program that names none.",
)
@storage_option
@click.pass_context
def google_env_command(ctx: click.Context, /, *, project: str, storage: str | None) -> int:
    """Run a program, whose clients of Vertex AI and Cloud ML Engine then talk to a server of Tunesmith's.

    \b
    tunesmith google-env --storage http://127.0.0.1:8765 -- python notebook.py
    tunesmith google-env -- gcloud ai hp-tuning-jobs list --region us-central1

    Variables of the program's own environment do it: nothing outside of the program is changed. Python
    programs need google-cloud-aiplatform 1.43 or later, or google-api-python-client; gcloud and
    google-cloud-storage are pointed at the server too, where it needs no token.
    """
    words = ctx.meta.get("program", ())
    if not words:
        raise click.UsageError(
            "Give the program behind --, as in: google-env -- python notebook.py"
        )
    url = storage or default_url()
    if not is_remote(url):
        msg = (
            f"Google's clients talk to a server, and {shown(url)} is none. Start one: tunesmith serve"
            " --executor local; and name it: --storage http://127.0.0.1:8765."
        )
        raise click.UsageError(msg)
    environment = {**os.environ, **_variables(url, project)}
    try:
        return subprocess.run(words, env=environment, check=False).returncode
    except OSError as error:
        print(f"tunesmith: can't run {words[0]}: {error.strerror}", file=sys.stderr)
        return _NOT_FOUND if isinstance(error, FileNotFoundError) else Exit.USAGE


def _variables(url: str, project: str) -> dict[str, str]:
    """Return what points clients at the server."""
    from tunesmith.storage.address import Address  # noqa: PLC0415 - loads an HTTP client
    from tunesmith.storage.credentials import find_token  # noqa: PLC0415 - likewise

    address = Address.parse(url)
    token = find_token(address).token
    before = os.environ.get("PYTHONPATH")
    hook = str(Path(google_hook.__file__).parent)
    variables = {
        "PYTHONPATH": hook if not before else os.pathsep.join([hook, before]),
        "TUNESMITH_GOOGLE_SERVER": address.base,
        "TUNESMITH_GOOGLE_PROJECT": project,
        "TUNESMITH_GOOGLE_TOKEN": token,
    }
    if not token:
        variables |= {
            "STORAGE_EMULATOR_HOST": address.base,
            "CLOUDSDK_API_ENDPOINT_OVERRIDES_AIPLATFORM": f"{address.base}/",
            "CLOUDSDK_API_ENDPOINT_OVERRIDES_ML": f"{address.base}/",
            "CLOUDSDK_API_ENDPOINT_OVERRIDES_STORAGE": f"{address.base}/storage/v1/",
            "CLOUDSDK_AUTH_DISABLE_CREDENTIALS": "True",
            "CLOUDSDK_CORE_PROJECT": project,
        }
    return variables
