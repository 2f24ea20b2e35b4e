import subprocess
import sys

import pytest

import tunesmith

_HEAVY = {"scipy", "sqlalchemy", "alembic", "fastapi", "pandas", "rich", "torch", "ray"}


def _modules_after(code: str) -> set[str]:
    program = f"import sys; {code}; print(' '.join(m.partition('.')[0] for m in sys.modules))"
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    return set(run.stdout.splitlines()[-1].split())


def test_every_public_name_can_be_had() -> None:
    assert all(hasattr(tunesmith, name) for name in tunesmith.__all__)
    assert set(tunesmith.__all__) <= set(dir(tunesmith))
    assert tunesmith.__version__.count(".") >= 1


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'tume'"):
        _ = tunesmith.tume


@pytest.mark.parametrize(
    "code",
    [
        "import tunesmith",
        "import tunesmith; [getattr(tunesmith, n) for n in tunesmith.__all__]",
        "import tunesmith; tunesmith.report(loss=1.0)",
    ],
)
def test_importing_the_package_loads_nothing_heavy(code: str) -> None:
    assert not _modules_after(code) & _HEAVY


def test_asking_for_help_loads_not_even_numpy() -> None:
    code = (
        "from tunesmith.cli import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: print(' '.join(m.partition('.')[0] for m in sys.modules))"
    )

    run = subprocess.run(
        [sys.executable, "-c", f"import sys\n{code}"], capture_output=True, text=True, check=True
    )

    assert not set(run.stdout.splitlines()[-1].split()) & {*_HEAVY, "numpy"}
