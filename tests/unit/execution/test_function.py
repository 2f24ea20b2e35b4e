import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NoReturn

import pytest

from tunesmith.errors import SpecError, TrialInfeasible, TrialStopped
from tunesmith.execution import Ended, FunctionExecutor, LiveTrial, Outcome, Reported
from tunesmith.model import Resources, Trial
from tunesmith.stopping import GO_ON

Functions = Callable[..., FunctionExecutor]
MakeTrial = Callable[..., Trial]
NextEnd = Callable[..., Ended]
Until = Callable[[Callable[[], object]], None]
Marked = Callable[[], Mapping[int, Mapping[str, str]]]


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.fixture
def result(functions: Functions, trial: MakeTrial, next_end: NextEnd) -> Callable[..., Ended]:
    """Runs a function as trial 1 and returns how it ended."""

    def run(function: Callable[..., object], **settings: object) -> Ended:
        executor = functions(function, **settings)
        executor.start(trial())
        return next_end(executor)

    return run


@pytest.mark.parametrize(
    ("returned", "metrics"),
    [
        (0.5, {"y": 0.5}),
        (True, {"y": 1.0}),
        ({"y": 0.5, "größe/a": 2}, {"y": 0.5, "größe/a": 2.0}),
        (None, {}),
        ({}, {}),
    ],
)
def test_what_a_function_returns_is_its_final_measurement(
    returned: object, metrics: Mapping[str, float], result: Callable[..., Ended]
) -> None:
    assert result(lambda x: returned) == Ended(1, Outcome.SUCCEEDED, metrics=metrics)


def test_numpy_scalars_are_numbers(result: Callable[..., Ended]) -> None:
    import numpy as np

    assert result(lambda x: np.float32(0.5)).metrics == {"y": 0.5}


def test_a_result_that_is_no_number_fails(result: Callable[..., Ended]) -> None:
    ended = result(lambda x: "good")

    assert ended.outcome is Outcome.FAILED
    assert "is a number; given 'good'" in ended.reason


def _raises(x: float) -> NoReturn:
    msg = "größe\nof two lines"
    raise ValueError(msg)


def _exits(x: float) -> NoReturn:
    sys.exit(3)


def _interrupts(x: float) -> NoReturn:
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        (_raises, "ValueError: größe of two lines"),
        (_exits, "the function left by sys.exit(3)"),
        (_interrupts, "KeyboardInterrupt"),
        (lambda x: os._exit(0), "the function ended its own process"),
        (lambda x: os._exit(9), "exit status 9"),
        (lambda x: os.kill(os.getpid(), signal.SIGSEGV), "died by SIGSEGV"),
        (lambda x: ctypes.string_at(0), "died by SIGSEGV"),
        (lambda x: os.abort(), "died by SIGABRT"),
    ],
)
def test_a_function_that_breaks_fails_its_trial_alone(
    function: Callable[..., object],
    reason: str,
    functions: Functions,
    trial: MakeTrial,
    next_end: NextEnd,
) -> None:
    executor = functions(lambda x: function(x) if x < 0.5 else x)
    executor.start(trial(1, x=0.1))

    assert next_end(executor) == Ended(1, Outcome.FAILED, reason)

    executor.start(trial(2, x=0.7))
    assert next_end(executor) == Ended(2, Outcome.SUCCEEDED, metrics={"y": 0.7})


def test_a_worker_killed_from_outside_is_lost(result: Callable[..., Ended]) -> None:
    assert result(lambda x: os.kill(os.getpid(), signal.SIGKILL)).outcome is Outcome.LOST


def test_the_whole_traceback_is_in_the_trials_stderr(
    functions: Functions, trial: MakeTrial, next_end: NextEnd
) -> None:
    executor = functions(_raises)

    executor.start(trial())
    next_end(executor)

    text = (executor.directory(1) / "stderr").read_text(encoding="utf-8")
    assert "Traceback" in text
    assert "in _raises" in text


def test_values_that_cannot_be_tried(result: Callable[..., Ended]) -> None:
    def train(x: float) -> NoReturn:
        raise TrialInfeasible("too deep")

    assert result(train) == Ended(1, Outcome.INFEASIBLE, "too deep")


def test_reports_reach_the_tuner_in_order(
    functions: Functions, trial: MakeTrial, next_end: NextEnd
) -> None:
    def train(trial: LiveTrial) -> None:
        trial.report(1, y=0.5)
        trial.report(y=0.25, größe=1)

    executor = functions(train)
    executor.start(trial())
    reports: list[Reported] = []

    ended = next_end(executor, lambda report: reports.append(report) or "")  # type: ignore[func-returns-value]

    assert [(r.step, r.metrics) for r in reports] == [
        (1, {"y": 0.5}),
        (None, {"y": 0.25, "größe": 1.0}),
    ]
    assert ended.outcome is Outcome.SUCCEEDED


def test_reports_of_several_threads_get_their_own_answers(
    functions: Functions, trial: MakeTrial, next_end: NextEnd
) -> None:
    def train(trial: LiveTrial) -> None:
        def work(value: float) -> None:
            for _ in range(20):
                trial.report(y=value)

        threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    executor = functions(train)
    executor.start(trial())
    seen: list[float] = []

    ended = next_end(executor, lambda report: seen.append(report.metrics["y"]) or "")  # type: ignore[func-returns-value]

    assert ended.outcome is Outcome.SUCCEEDED
    assert sorted(seen) == sorted([0.0, 1.0, 2.0, 3.0] * 20)


def test_an_answer_to_stop_ends_the_function_and_it_may_save(
    functions: Functions, trial: MakeTrial, next_end: NextEnd
) -> None:
    def train(trial: LiveTrial) -> None:
        try:
            for step in range(1000):
                trial.report(step, y=step)
        except TrialStopped:
            (trial.checkpoint_dir / "model").write_text("saved")
            raise

    executor = functions(train)
    executor.start(trial())

    ended = next_end(executor, lambda report: "too slow" if report.step == 3 else "")

    assert ended == Ended(1, Outcome.STOPPED, "too slow")
    assert (executor.directory(1) / "checkpoints" / "model").read_text() == "saved"


def test_output_is_kept_for_each_trial_while_it_runs(
    functions: Functions, trial: MakeTrial, next_end: NextEnd
) -> None:
    def train(trial: LiveTrial) -> float:
        print("größe", trial.number)
        print("oops", trial.number, file=sys.stderr)
        subprocess.run(["sh", "-c", "echo from a child"], check=True)
        os.write(1, b"from C\n")
        trial.report(y=1.0)
        return 0.5

    executor = functions(train)
    for number in (1, 2):
        executor.start(trial(number))
        live: list[str] = []
        stdout = executor.directory(number) / "stdout"
        next_end(executor, lambda _, s=stdout, a=live: a.append(s.read_text("utf-8")) or "")

        assert live == [f"größe {number}\nfrom a child\nfrom C\n"]
        assert (executor.directory(number) / "stderr").read_text() == f"oops {number}\n"


def test_output_of_a_crash_is_kept_to_the_last_line(
    functions: Functions, trial: MakeTrial, next_end: NextEnd
) -> None:
    def train(x: float) -> None:
        print("about to crash")
        os.kill(os.getpid(), signal.SIGSEGV)

    executor = functions(train)
    executor.start(trial())
    next_end(executor)

    assert (executor.directory(1) / "stdout").read_text() == "about to crash\n"


def test_much_output_is_no_matter(
    functions: Functions, trial: MakeTrial, next_end: NextEnd
) -> None:
    def train(x: float) -> float:
        for _ in range(200):
            print("x" * 100_000)
        return x

    executor = functions(train)
    executor.start(trial())

    assert next_end(executor).outcome is Outcome.SUCCEEDED
    assert (executor.directory(1) / "stdout").stat().st_size == 200 * 100_001


def test_the_function_finds_its_directories_and_variables(
    functions: Functions, trial: MakeTrial, next_end: NextEnd
) -> None:
    def train(trial: LiveTrial) -> dict[str, float]:
        assert trial.directory.is_dir()
        assert trial.checkpoint_dir.is_dir()
        assert os.environ["TUNESMITH_TRIAL_DIR"] == str(trial.directory)
        return {"y": float(os.environ["TUNESMITH_TRIAL"]), "n": trial.number}

    executor = functions(train)
    for number in (1, 2):
        executor.start(trial(number))
        assert next_end(executor).metrics == {"y": number, "n": number}


def test_one_worker_serves_one_trial_after_another(
    functions: Functions, trial: MakeTrial, next_end: NextEnd
) -> None:
    executor = functions(lambda x: os.getpid())
    pids = set()

    for number in range(1, 6):
        executor.start(trial(number))
        pids.add(next_end(executor).metrics["y"])

    assert len(pids) == 1


def test_trials_at_the_same_time_have_workers_of_their_own(
    functions: Functions, trial: MakeTrial, next_end: NextEnd
) -> None:
    def train(trial: LiveTrial) -> float:
        trial.report(y=0.0)  # waits until both have begun
        return os.getpid()

    executor = functions(train)
    executor.start(trial(1))
    executor.start(trial(2))
    begun = [executor.wait(30.0), executor.wait(30.0)]
    for report in begun:
        assert isinstance(report, Reported)
        report.answer(GO_ON)

    assert next_end(executor).metrics != next_end(executor).metrics


def test_a_worker_that_was_killed_between_two_trials_is_replaced(
    functions: Functions, trial: MakeTrial, next_end: NextEnd
) -> None:
    executor = functions(lambda x: os.getpid())
    executor.start(trial(1))
    pid = int(next_end(executor).metrics["y"])

    os.kill(pid, signal.SIGKILL)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    executor.start(trial(2))

    ended = next_end(executor)
    assert ended.outcome is Outcome.SUCCEEDED
    assert ended.metrics["y"] != pid


def test_a_trial_that_is_stopped_takes_its_worker_with_it(
    functions: Functions, trial: MakeTrial, next_end: NextEnd
) -> None:
    def train(trial: LiveTrial) -> float:
        trial.report(y=os.getpid())
        if trial.number == 1:
            time.sleep(600)
        return os.getpid()

    executor = functions(train)
    executor.start(trial(1))
    report = executor.wait(30.0)
    assert isinstance(report, Reported)
    report.answer(GO_ON)

    executor.stop(1, Outcome.STOPPED, "enough")

    assert next_end(executor) == Ended(1, Outcome.STOPPED, "enough")
    executor.start(trial(2))
    assert next_end(executor).metrics["y"] != report.metrics["y"]


def test_a_function_that_returns_while_it_is_stopped_has_its_result(
    functions: Functions, trial: MakeTrial, next_end: NextEnd
) -> None:
    def train(trial: LiveTrial) -> float:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        trial.report(y=1.0)
        trial.report(y=2.0)
        return 0.5

    executor = functions(train)
    executor.start(trial(1))
    first = executor.wait(30.0)
    assert isinstance(first, Reported)
    executor.stop(1, Outcome.STOPPED, "enough")
    first.answer(GO_ON)

    assert next_end(executor) == Ended(1, Outcome.SUCCEEDED, metrics={"y": 0.5})
    executor.start(trial(2))
    assert next_end(executor).outcome is Outcome.SUCCEEDED


def test_past_its_time_limit_a_function_fails_even_if_it_ignores_sigterm(
    result: Callable[..., Ended],
) -> None:
    def train(x: float) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        time.sleep(600)

    ended = result(train, resources=Resources(time_limit_s=1.0, grace_s=0.1))

    assert ended.outcome is Outcome.FAILED
    assert "time limit" in ended.reason


def test_past_its_memory_limit_a_function_fails(result: Callable[..., Ended]) -> None:
    def train(x: float) -> None:
        eaten = bytearray(300_000_000)
        time.sleep(600 + eaten[0])

    ended = result(train, resources=Resources(memory_limit_mib=250, grace_s=0.1))

    assert ended.outcome is Outcome.FAILED
    assert "memory limit" in ended.reason


def test_a_daemon_of_a_stopped_function_is_found_and_killed(
    functions: Functions, trial: MakeTrial, next_end: NextEnd, marked: Marked, until: Until
) -> None:
    def train(trial: LiveTrial) -> None:
        if os.fork() == 0:
            os.setsid()
            if os.fork():
                os._exit(0)
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            time.sleep(600)
            os._exit(0)
        os.wait()
        trial.report(y=1.0)
        time.sleep(600)

    executor = functions(train)
    executor.start(trial())
    report = executor.wait(30.0)
    assert isinstance(report, Reported)
    report.answer(GO_ON)
    assert len(marked()) == 2

    executor.stop(1, Outcome.STOPPED, "enough")

    assert next_end(executor).outcome is Outcome.STOPPED
    until(lambda: not marked())


def test_closing_does_not_wait_for_a_function_that_waits_for_an_answer(
    functions: Functions, trial: MakeTrial, marked: Marked, until: Until
) -> None:
    def train(trial: LiveTrial) -> None:
        trial.report(y=1.0)

    executor = functions(train)
    for number in (1, 2):
        executor.start(trial(number))
    taken = executor.wait(30.0)  # one report is taken out and never answered, one never taken
    assert isinstance(taken, Reported)

    executor.close()

    until(lambda: not marked())


def test_closures_and_classes_of_the_callers_module_travel(result: Callable[..., Ended]) -> None:
    class Model:
        def __init__(self, slope: float) -> None:
            self.slope = slope

        def loss(self, x: float) -> float:
            return self.slope * x

    model = Model(3.0)

    assert result(model.loss).metrics == {"y": 1.5}


def test_a_function_that_cannot_be_pickled_is_refused_at_once(functions: Functions) -> None:
    lock = threading.Lock()

    def train(x: float) -> float:
        with lock:
            return x

    with pytest.raises(SpecError, match=r"can't be sent to another process: .*Make what it needs"):
        functions(train)


def test_a_function_whose_module_is_missing_in_the_worker_fails_with_the_reason(
    functions: Functions, trial: MakeTrial, next_end: NextEnd
) -> None:
    class Breaks:
        def __reduce__(self) -> tuple[object, ...]:
            return (__import__, ("no_such_module_here",))

        def __call__(self, x: float) -> float:
            return x

    executor = functions(Breaks())

    for number in (1, 2):
        executor.start(trial(number))
        ended = next_end(executor)
        assert ended.outcome is Outcome.FAILED
        assert "could not be loaded: ModuleNotFoundError" in ended.reason


def test_many_trials_leave_no_open_files_or_threads(
    functions: Functions, trial: MakeTrial, next_end: NextEnd
) -> None:
    executor = functions(lambda x: x if x < 0.5 else os._exit(1))
    executor.start(trial(1, x=0.1))
    next_end(executor)
    files, threads = open_files(), threading.active_count()

    for number in range(2, 202):
        executor.start(trial(number, x=0.9 if number % 40 == 0 else 0.1))
        next_end(executor)

    assert open_files() <= files + 2
    assert threading.active_count() <= threads + 2


def test_gpus_stay_with_their_worker(
    functions: Functions, trial: MakeTrial, next_end: NextEnd, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,5")

    def train(trial: LiveTrial) -> float:
        trial.report(y=0.0)
        return float(os.environ["CUDA_VISIBLE_DEVICES"])

    executor = functions(train, resources=Resources(gpus=1))
    executor.start(trial(1))
    executor.start(trial(2))
    for report in [executor.wait(30.0), executor.wait(30.0)]:
        assert isinstance(report, Reported)
        report.answer(GO_ON)

    assert {next_end(executor).metrics["y"], next_end(executor).metrics["y"]} == {3.0, 5.0}
    executor.start(trial(3))
    assert next_end(executor).metrics["y"] in (3.0, 5.0)
