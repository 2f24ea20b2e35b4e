import shutil
import subprocess
import sys
from pathlib import Path


def test_imports_go_down_the_house_only() -> None:
    program = shutil.which("lint-imports", path=str(Path(sys.executable).parent))
    assert program is not None, "import-linter is among the test requirements"

    run = subprocess.run(
        [program, "--no-cache"],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )

    assert run.returncode == 0, run.stdout
