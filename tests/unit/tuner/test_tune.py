import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import tunesmith as ts
from tunesmith.errors import MismatchError, NotFoundError, SpecError
from tunesmith.model import StudyState, TrialState

SPACE = {"x": ts.Double(0.0, 1.0)}
Until = Callable[[Callable[[], object]], None]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TUNESMITH_STORAGE", raising=False)
    return tmp_path


def square(x: float) -> float:
    return (x - 0.3) ** 2


def test_a_function_is_tuned_in_one_call(folder: Path) -> None:
    study = ts.tune(square, SPACE, minimize="y", max_trials=4, parallel_trials=2, quiet=True)

    assert len(study.trials) == 4
    assert study.name == "square-1"
    assert study.best_trial.metrics["y"] == min(t.metrics["y"] for t in study.trials)
    assert (folder / ".tunesmith" / "tunesmith.db").exists()


def test_the_same_name_goes_on_where_the_last_call_ended() -> None:
    first = ts.tune(square, SPACE, minimize="y", max_trials=2, name="s", quiet=True)
    before = [t.values for t in first.trials]

    again = ts.tune(square, SPACE, minimize="y", max_trials=2, name="s", quiet=True)
    assert [t.values for t in again.trials] == before

    more = ts.tune(square, SPACE, minimize="y", max_trials=5, name="s", quiet=True)
    assert [t.values for t in more.trials][:2] == before
    assert len(more.trials) == 5


def test_another_space_under_the_same_name_is_refused() -> None:
    ts.tune(square, SPACE, minimize="y", max_trials=1, name="s", quiet=True)

    with pytest.raises(MismatchError, match="another space"):
        ts.tune(square, {"x": ts.Double(0.0, 2.0)}, minimize="y", max_trials=1, name="s")


def test_bounds_errors_and_earlier_studies_are_given_in_one_call() -> None:
    def noisy(x: float) -> dict[str, float]:
        return {"y": square(x), "y_se": 0.1, "size": x}

    old = ts.tune(square, SPACE, minimize="y", max_trials=2, name="old", quiet=True)
    study = ts.tune(
        noisy,
        SPACE,
        minimize="y",
        max_trials=2,
        constraints={"size": "<= 0.5"},
        standard_error="y_se",
        warm_start=[old],
        quiet=True,
    )

    assert set(study.trials[0].metrics) == {"y", "y_se", "size"}
    assert str(study.spec.constraints[0]) == "size <= 0.5"
    assert study.spec.objective.standard_error == "y_se"
    assert [len(source.trials) for source in study.history.earlier] == [2]


def test_a_function_that_cannot_be_called_so_is_refused_before_any_trial() -> None:
    with pytest.raises(SpecError, match="does not take the parameter 'x'"):
        ts.tune(lambda z, w: 0.0, SPACE, minimize="y", max_trials=1)


def test_reports_and_what_is_returned_are_one_measurement() -> None:
    def train(trial: ts.LiveTrial) -> float:
        trial.report(1, y=3.0, aux=7.0)
        trial.report(2, y=2.0)
        return 1.0

    study = ts.tune(train, SPACE, minimize="y", max_trials=1, quiet=True)

    assert study.trials[0].metrics == {"y": 1.0, "aux": 7.0}
    assert [m.metrics["y"] for m in study.measurements(1)] == [3.0, 2.0]


def test_after_reports_nothing_need_be_returned() -> None:
    def train(trial: ts.LiveTrial) -> None:
        for step, y in enumerate([3.0, 1.0, 2.0]):
            trial.report(step, y=y)

    study = ts.tune(train, SPACE, minimize="y", max_trials=1, measurement="best", quiet=True)

    assert (study.trials[0].metrics, study.trials[0].step) == ({"y": 1.0}, 1)


def test_a_mapping_may_hold_several_metrics() -> None:
    study = ts.tune(lambda x: {"y": x, "größe": 2}, SPACE, minimize="y", max_trials=1, quiet=True)

    assert study.trials[0].metrics["größe"] == 2.0


def test_a_function_without_result_fails_and_says_what_to_do() -> None:
    study = ts.tune(lambda x: None, SPACE, minimize="y", max_trials=1, quiet=True)

    assert study.trials[0].state is TrialState.FAILED
    assert "never reported 'y'" in study.trials[0].reason


def test_nan_fails() -> None:
    study = ts.tune(lambda x: float("nan"), SPACE, minimize="y", max_trials=1, quiet=True)

    assert study.trials[0].state is TrialState.FAILED


def test_values_that_cannot_be_tried_are_remembered() -> None:
    def train(x: float) -> float:
        if x > 0.5:
            raise ts.TrialInfeasible("too large")
        return x

    study = ts.tune(train, SPACE, minimize="y", max_trials=6, seed=1, quiet=True)

    states = {t.state for t in study.trials}
    assert states == {TrialState.COMPLETED, TrialState.INFEASIBLE}


def test_a_person_may_stop_a_function_that_reports(until: Until) -> None:
    def train(trial: ts.LiveTrial) -> None:
        while True:
            trial.report(y=1.0)
            if trial.number == 1:
                ts.Study.load("s").request_stop(1, "enough")

    study = ts.tune(train, SPACE, minimize="y", max_trials=1, name="s", quiet=True)

    assert study.trials[0].state is TrialState.STOPPED
    assert study.trials[0].reason == "enough"


def test_a_function_that_always_breaks_gives_up() -> None:
    study = ts.tune(lambda x: 1 / 0, SPACE, minimize="y", max_trials=50, quiet=True)

    assert study.record.state is StudyState.FAILED
    assert "ZeroDivisionError" in study.record.reason
    assert len(study.trials) == 5


def test_many_quick_trials_share_their_workers() -> None:
    import os

    study = ts.tune(
        lambda x: os.getpid(), SPACE, minimize="y", max_trials=30, parallel_trials=2, quiet=True
    )

    assert len({t.metrics["y"] for t in study.trials}) <= 2


SCRIPT = """
import time
import tunesmith as ts

class Model:
    def loss(self, x):
        return (x - 0.3) ** 2

def train(trial):
    print("training")
    trial.report(1, loss=1.0)
    if {forever}:
        time.sleep(600)
    return Model().loss(trial.values["x"])

study = ts.tune(train, {{"x": ts.Double(0.0, 1.0)}}, minimize="loss", max_trials=3, name="script",
                parallel_trials=2)
print(study.best_trial.metrics["loss"] < 1)
"""


def test_a_script_needs_no_main_guard(folder: Path) -> None:
    (folder / "script.py").write_text(SCRIPT.format(forever=False))

    ran = subprocess.run(
        [sys.executable, "script.py"], capture_output=True, text=True, timeout=60, check=True
    )

    assert ran.stdout == "True\n"
    assert "script #" in ran.stderr
    assert "training" in (folder / ".tunesmith/trials/script/1/stdout").read_text()


def test_ctrl_c_ends_all_and_the_same_script_goes_on(
    folder: Path, until: Until, marked: Callable[[], list[int]]
) -> None:
    (folder / "script.py").write_text(SCRIPT.format(forever=True))
    process = subprocess.Popen(
        [sys.executable, "script.py"], stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    outputs = [folder / f".tunesmith/trials/script/{n}/stdout" for n in (1, 2)]
    until(lambda: all(o.exists() and o.read_text() for o in outputs))

    process.send_signal(signal.SIGINT)

    _, errors = process.communicate(timeout=30)
    assert process.returncode == -signal.SIGINT
    assert "KeyboardInterrupt" in errors
    until(lambda: not marked())
    queued = ts.Study.load("script").trials
    assert [t.state for t in queued] == [TrialState.QUEUED] * 2

    (folder / "script.py").write_text(SCRIPT.format(forever=False))
    subprocess.run([sys.executable, "script.py"], capture_output=True, timeout=60, check=True)

    trials = ts.Study.load("script").trials
    assert [(t.state, t.attempt) for t in trials] == [
        (TrialState.COMPLETED, 2),
        (TrialState.COMPLETED, 2),
        (TrialState.COMPLETED, 1),
    ]


def test_sigterm_to_a_script_leaves_no_process(
    folder: Path, until: Until, marked: Callable[[], list[int]]
) -> None:
    (folder / "script.py").write_text(SCRIPT.format(forever=True))
    process = subprocess.Popen([sys.executable, "script.py"], stderr=subprocess.DEVNULL)
    output = folder / ".tunesmith/trials/script/1/stdout"
    until(lambda: output.exists() and output.read_text())
    began = time.monotonic()

    process.terminate()

    assert process.wait(30) == -signal.SIGTERM
    until(lambda: not marked())
    assert time.monotonic() - began < 20


def test_a_study_that_would_never_end_is_refused_before_anything_is_made(folder: Path) -> None:
    with pytest.raises(SpecError, match="never end"):
        ts.tune(square, SPACE, minimize="y")

    assert not (folder / ".tunesmith").exists()


def test_failures_and_the_end_are_told_to_who_watches(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    study = ts.tune(lambda x: 1 / 0, SPACE, minimize="y", max_trials=2)

    told = capsys.readouterr().err
    assert told.count("failed: ZeroDivisionError: division by zero") == 2
    assert "trials 2/2: failed 2" in told
    with pytest.raises(NotFoundError, match="2 failed, the last with: ZeroDivisionError"):
        _ = study.best_trial


def test_a_function_is_paused_by_its_report_and_goes_on_from_its_checkpoint(tmp_path: Path) -> None:
    log = tmp_path / "calls"

    def train(trial: ts.LiveTrial) -> None:
        place = trial.checkpoint_dir / "step"
        done = int(place.read_text()) if place.exists() else 0
        with log.open("a") as file:
            file.write(f"{trial.number}: after {done}, up to {trial.budget}\n")
        for step in range(done + 1, 10):
            place.write_text(str(step))
            trial.report(step, y=float(trial.values["x"]) + 1.0 / step)

    study = ts.tune(
        train,
        SPACE,
        minimize="y",
        max_trials=3,
        stopping="halving",
        max_steps=9,
        algorithm="random",
        quiet=True,
    )

    (best,) = [t for t in study.trials if t.state is TrialState.COMPLETED]
    calls = [c for c in log.read_text().splitlines() if c.startswith(f"{best.number}:")]
    assert calls[0] == f"{best.number}: after 0, up to 1"
    assert [m.step for m in study.measurements(best)] == list(range(1, 10))
    for number in range(1, 4):  # each call begins where the one before was paused, never before
        starts = [
            int(c.split()[2].rstrip(","))
            for c in log.read_text().splitlines()
            if c.startswith(f"{number}:")
        ]
        assert starts == sorted(set(starts))
    assert sorted(t.step or 0 for t in study.trials if t is not best)[0] == 1
