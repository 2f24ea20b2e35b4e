"""Studies and trials by the short names that people type.

digits      a study, or a unique beginning of its name
@           the study that was last run
digits/7    a trial; @/7 one of the last study
digits/best the best trial; @best that of the last study

What a client of Google's made has also the names that it has there: its number, projects/..., or its title.
"""

from dataclasses import dataclass
from difflib import get_close_matches

import click

from tunesmith.cli.origin import study_called
from tunesmith.errors import NotFoundError, TunesmithError
from tunesmith.model import Trial, TrialState
from tunesmith.storage import Storage, default_url, is_remote, open_storage, shown
from tunesmith.study import is_dead

__all__ = ["Target", "complete_studies", "find", "find_study", "find_trial", "without_tuner"]


@dataclass(frozen=True, slots=True)
class Target:
    """A study, or one of its trials."""

    study: str
    trial: int | None = None


def find(storage: Storage, text: str) -> Target:
    """Return what ``text`` names; raise `NotFoundError` with the names that come near."""
    if text == "@best":
        text = "@/best"
    if text.startswith("projects/"):
        return Target(find_study(storage, text))
    study, slash, number = text.partition("/")
    name = find_study(storage, study)
    if not slash:
        return Target(name)
    if number == "best":
        best = storage.summary(name).best
        if best is None:
            msg = f"Study {name!r} has no best trial yet."
            raise NotFoundError(msg)
        return Target(name, best.number)
    if not number.isdigit():
        msg = f"A trial is named by its number, such as {name}/7, or {name}/best; given: {text}."
        raise NotFoundError(msg)
    return Target(name, int(number))


def find_study(storage: Storage, text: str) -> str:
    """Return the name of the study that ``text`` names."""
    names = storage.study_names()
    if not names:
        msg = f"There are no studies in {shown(storage.url)}. `tunesmith demo` or `tunesmith run` makes some."
        raise NotFoundError(msg)
    if text == "@":
        return names[0]
    if text in names:
        return text
    found = [name for name in names if name.startswith(text)]
    if len(found) == 1:
        return found[0]
    if found:
        msg = f"{text!r} may be any of: {', '.join(sorted(found)[:8])}."
        raise NotFoundError(msg)
    if theirs := study_called(storage, text):
        return theirs
    near = get_close_matches(text, names, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else " `tunesmith ls` lists them."
    msg = f"There is no study {text!r}.{hint}"
    raise NotFoundError(msg)


def find_trial(storage: Storage, text: str) -> tuple[str, Trial]:
    """Return the trial that ``text`` names, with its study's name."""
    target = find(storage, text)
    if target.trial is None:
        msg = f"{text!r} is a study. Name one of its trials, such as {target.study}/1."
        raise NotFoundError(msg)
    return target.study, storage.trial(target.study, target.trial)


def without_tuner(storage: Storage, study: str) -> bool:
    """Whether trials of a study are marked as running, but whoever ran them has died."""
    newest = storage.trials(study, order="newest", limit=1000)
    workers = {t.worker for t in newest if t.state is TrialState.RUNNING}
    return bool(workers) and all(map(is_dead, workers))


def complete_studies(_ctx: click.Context, _parameter: click.Parameter, begun: str) -> list[str]:
    """Return the studies whose names begin so, for the shell's completion."""
    url = default_url()
    if is_remote(url):  # nobody waits at a prompt for a server that is away
        url += "&patience_s=0" if "?" in url else "?patience_s=0"
    try:
        names = open_storage(url, create=False).study_names()
    except TunesmithError:
        return []
    return [name for name in names if name.startswith(begun)]
