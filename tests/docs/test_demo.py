"""What `make demo` runs shows a newcomer that tuning is worth it, each time anew."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def _demo(folder: Path) -> str:
    ended = subprocess.run(
        [sys.executable, str(ROOT / "examples" / "digits" / "demo.py")],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout
    return ended.stdout


@pytest.mark.slow
def test_the_demo_beats_the_defaults_and_begins_a_new_study_each_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TUNESMITH_STORAGE", raising=False)

    first, second = _demo(tmp_path), _demo(tmp_path)

    for name in ("validation", "test"):
        defaults, tuned = map(
            float, re.findall(rf"{name} images.* ([\d.]+) +([\d.]+)$", first, re.M)[0]
        )
        assert tuned > defaults + 0.03
    epochs = {}
    for rule, count, best in re.findall(r"^   (\w+)\S* +24 +(\d+) +\d+% +([\d.]+)$", first, re.M):
        epochs[rule] = int(count)
        assert float(best) > 0.95
    assert epochs["none"] == 24 * 30
    assert epochs["asha"] < epochs["median"] < epochs["none"]
    assert epochs["asha"] <= epochs["none"] / 2
    assert "tunesmith: digits started" in first
    assert "tunesmith: digits-2 started" in second
