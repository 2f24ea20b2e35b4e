"""Programs that tune over HTTP by themselves: they ask, train, report and complete; the server thinks."""

import random
from typing import Any

from tunesmith.errors import LeaseLostError, StateError, StudyEnded, StudyWaiting
from tunesmith.model import Trial
from tunesmith.storage import wire
from tunesmith.storage.http_client import HttpClient
from tunesmith.testing.faults.programs import Disk, measures
from tunesmith.testing.faults.world import World
from tunesmith.testing.seen import Run
from tunesmith.tuner import LEASE_S

__all__ = ["Client"]


class Client:
    """One of them.

    Args:
        world: Where it runs.
        name: Its name.
        http: Its way to the server.
        study: The study's name.
        disk: What outlives it.
        dice: Draws how long things take.
    """

    def __init__(
        self,
        world: World,
        name: str,
        http: HttpClient,
        study: str,
        *,
        disk: Disk,
        dice: random.Random,
    ) -> None:
        self._world = world
        self._name = name
        self._http = http
        self._study = f"/studies/{study}"
        self._disk = disk
        self._dice = dice

    def work(self) -> None:
        """Run trials until there are no more."""
        while True:
            try:
                trials = self._post("/suggest", worker=self._name, lease_s=LEASE_S)["trials"]
            except StudyWaiting:
                self._world.sleep(self._dice.uniform(1.0, 10.0))
                continue
            except StudyEnded:
                return
            for document in trials:
                self._run(wire.trial_from(document))

    def _run(self, trial: Trial) -> None:
        world, place = self._world, f"/trials/{trial.number}"
        run = Run(trial.number, trial.attempt, trial.values, self._name, world.now)
        self._disk.runs.append(run)
        try:
            for step in range(self._disk.steps.get(trial.number, 0) + 1, self._end(trial) + 1):
                world.sleep(self._dice.uniform(0.5, 4.0))
                metrics = wire.metrics_document(measures(trial.values, step))
                verdict = self._post(
                    f"{place}/report", attempt=trial.attempt, step=step, metrics=metrics
                )
                if self._disk.keeps:
                    self._disk.steps[trial.number] = step
                if verdict["pause"]:
                    self._post(f"{place}/complete", attempt=trial.attempt, paused=verdict["reason"])
                    return
                if verdict["stop"]:
                    break
            self._post(f"{place}/complete", attempt=trial.attempt)
        except (LeaseLostError, StateError):  # it is another's by now
            return
        finally:
            run.ended = world.now

    def _end(self, trial: Trial) -> int:
        return trial.budget or 1 + int(float(trial.values["x"]) * 3)

    def _post(self, path: str, **document: object) -> Any:
        return self._http.document("POST", f"{self._study}{path}", document)
