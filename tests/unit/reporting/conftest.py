from collections.abc import Mapping

import pytest

from tunesmith import plugins
from tunesmith.model import StudySpec
from tunesmith.stopping import Bracket, Plan, Rung


class Halving:
    """A schedule whose plan is simple: of nine trials three go on, of these one."""

    def check(self, spec: StudySpec) -> None:
        """Serve every study."""

    def plan(self, spec: StudySpec) -> Plan:
        bracket = Bracket((Rung(1, 9), Rung(3, 3), Rung(9, 1)))
        return Plan((bracket,), exact=True, worst_steps=27, note="at worst if all begin anew")

    def trials(self, spec: StudySpec) -> int:
        return 9


class Part:
    """An entry point of a part that is at hand."""

    def __init__(self, made: type) -> None:
        self._made = made

    def load(self) -> type:
        return self._made


@pytest.fixture
def halving(monkeypatch: pytest.MonkeyPatch) -> None:
    """Installs the schedule ``halving`` and no other."""
    real = plugins._parts

    def parts(role: str) -> Mapping[str, object]:
        return {"halving": Part(Halving)} if role == "schedules" else real(role)

    monkeypatch.setattr(plugins, "_parts", parts)
