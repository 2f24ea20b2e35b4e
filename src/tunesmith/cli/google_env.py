"""``tunesmith google-env``: runs a program written for Google's services against a server, unchanged."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import click

from tunesmith.cli import google_hook
from tunesmith.cli.app import Exit
from tunesmith.cli.console import say
from tunesmith.cli.grpc_front import missing_for_grpc
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
    tunesmith google-env -- jupyter lab
    tunesmith google-env -- gcloud ai hp-tuning-jobs list --region us-central1

    Variables of the program's own environment do it: nothing outside of the program is changed, and no
    line of it. google-cloud-aiplatform works in every version, over REST or gRPC;
    google-api-python-client, gcloud and google-cloud-storage are pointed at the server too (the last
    two where it needs no token). gRPC needs: pip install 'tunesmith[google]'.
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
    with _variables(url, project) as variables:
        return _run(words, {**os.environ, **variables})


def _run(words: tuple[str, ...], environment: Mapping[str, str]) -> int:
    """Run the program, which gets the signals; return its exit status as a shell tells it."""
    try:
        process = subprocess.Popen(words, env=environment)
    except OSError as error:
        print(f"tunesmith: can't run {words[0]}: {error.strerror}", file=sys.stderr)
        return _NOT_FOUND if isinstance(error, FileNotFoundError) else Exit.USAGE
    before = {
        # The terminal sends Ctrl-C to the program as well, which decides what it means.
        signal.SIGINT: signal.signal(signal.SIGINT, signal.SIG_IGN),
        signal.SIGTERM: signal.signal(signal.SIGTERM, lambda *_: process.terminate()),
    }
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # as under nohup
        told = signal.signal(signal.SIGHUP, lambda number, _: process.send_signal(number))
        before[signal.SIGHUP] = told
    try:
        status = process.wait()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    return 128 - status if status < 0 else status


@contextlib.contextmanager
def _variables(url: str, project: str) -> Iterator[dict[str, str]]:
    """Give what points clients at the server, with what stands behind it."""
    from tunesmith.storage.address import Address  # noqa: PLC0415 - loads an HTTP client
    from tunesmith.storage.credentials import find_token  # noqa: PLC0415 - likewise
    from tunesmith.storage.http_client import HttpClient  # noqa: PLC0415 - likewise
    from tunesmith.storage.transport import Wires  # noqa: PLC0415 - likewise

    address = Address.parse(url)
    found = find_token(address)
    with contextlib.closing(HttpClient(address, found)) as client:
        client.ask(
            "GET", "/whoami", patience_s=0.0
        )  # or else the program's client says it, in its way
    token = found.token
    variables = _rest(address.base, token, project)
    if missing := missing_for_grpc():
        say(
            f"tunesmith: gRPC stays as it is, for want of {', '.join(missing)}; programs that use it need:"
            " pip install 'tunesmith[google]'"
        )
        yield variables
        return
    from tunesmith.service.fronts.google.gateway.front import CALLS  # noqa: PLC0415 - loads gRPC
    from tunesmith.service.fronts.google.gateway.surroundings import (  # noqa: PLC0415 - loads gRPC
        surroundings,
    )

    wires = Wires(address.base, threads=CALLS)
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    if address.project:
        headers["Tunesmith-Project"] = address.project
    with contextlib.closing(wires), surroundings(wires, headers, project) as grpc:
        yield variables | grpc


def _rest(base: str, token: str, project: str) -> dict[str, str]:
    """Return what points clients that speak REST."""
    before = os.environ.get("PYTHONPATH")
    hook = str(Path(google_hook.__file__).parent)
    variables = {
        "PYTHONPATH": hook if not before else os.pathsep.join([hook, before]),
        "TUNESMITH_GOOGLE_SERVER": base,
        "TUNESMITH_GOOGLE_PROJECT": project,
        "TUNESMITH_GOOGLE_TOKEN": token,
    }
    if not token:
        variables |= {
            "STORAGE_EMULATOR_HOST": base,
            "CLOUDSDK_API_ENDPOINT_OVERRIDES_AIPLATFORM": f"{base}/",
            "CLOUDSDK_API_ENDPOINT_OVERRIDES_ML": f"{base}/",
            "CLOUDSDK_API_ENDPOINT_OVERRIDES_STORAGE": f"{base}/storage/v1/",
            "CLOUDSDK_API_ENDPOINT_OVERRIDES_LOGGING": f"{base}/",
            "CLOUDSDK_AUTH_DISABLE_CREDENTIALS": "True",
            "CLOUDSDK_CORE_PROJECT": project,
        }
    return variables
