from collections.abc import Callable
from functools import partial

import pytest

from tunesmith.model import Stopping
from tunesmith.stopping import StoppingRule, make_rules
from tunesmith.testing.rules import ComparisonContract, RuleContract

NewRule = Callable[[], StoppingRule]


def one(stopping: Stopping) -> StoppingRule:
    (rule,) = make_rules([stopping])
    return rule


class TestMedian(ComparisonContract):
    @pytest.fixture(
        params=[
            pytest.param({}, id="as it comes"),
            pytest.param(
                {"among": "all", "min_trials": 1, "by": "elapsed", "every": 2.5}, id="by elapsed"
            ),
        ]
    )
    def new_rule(self, request: pytest.FixtureRequest) -> NewRule:
        return partial(one, Stopping("median", request.param))


class TestPercentile(ComparisonContract):
    @pytest.fixture
    def new_rule(self) -> NewRule:
        return partial(one, Stopping("percentile", {"percentile": 30}))


class TestThreshold(RuleContract):
    @pytest.fixture
    def new_rule(self) -> NewRule:
        return partial(one, Stopping("threshold"))


class TestPatience(RuleContract):
    @pytest.fixture
    def new_rule(self) -> NewRule:
        return partial(one, Stopping("patience", {"steps": 3, "min_delta": 0.01}))


class TestTruncation(ComparisonContract):
    @pytest.fixture
    def new_rule(self) -> NewRule:
        return partial(one, Stopping("truncation", {"percent": 40, "among": "open"}))


class TestBandit(ComparisonContract):
    @pytest.fixture
    def new_rule(self) -> NewRule:
        return partial(one, Stopping("bandit", {"slack_factor": 0.3, "every": 2}))


class TestAsha(ComparisonContract):
    @pytest.fixture(
        params=[
            pytest.param({}, id="as it comes"),
            pytest.param({"eta": 2, "by": "elapsed", "max_steps": 9.5}, id="by elapsed"),
        ]
    )
    def new_rule(self, request: pytest.FixtureRequest) -> NewRule:
        return partial(one, Stopping("asha", request.param))


class TestCurve(ComparisonContract):
    @pytest.fixture(
        params=[
            pytest.param({"min_measurements": 3}, id="as it comes"),
            pytest.param(
                {"min_trials": 1, "probability": 0.3, "by": "elapsed", "every": 2}, id="by elapsed"
            ),
        ]
    )
    def new_rule(self, request: pytest.FixtureRequest) -> NewRule:
        return partial(one, Stopping("curve", request.param))


class TestWilcoxon(ComparisonContract):
    @pytest.fixture
    def new_rule(self) -> NewRule:
        return partial(one, Stopping("wilcoxon", {"p_threshold": 0.2}))
