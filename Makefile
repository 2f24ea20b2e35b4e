# Two commands for everybody, the rest for those who work on it.
#
#   make demo    sets up what it needs, tunes a real program, shows what came out
#   make test    sets up what it needs, runs every test

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: demo test quick check format docs bench clean

demo: $(READY)
	$(BIN)/python examples/digits/demo.py

test: $(READY)
	$(BIN)/python -m pytest -n auto --dist worksteal -m "not slow"
	$(BIN)/python -m pytest -n auto --dist worksteal -m slow

quick: $(READY)
	$(BIN)/python -m pytest -n auto --dist worksteal -m "not slow" tests/unit tests/contract

check: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest -n auto --dist worksteal
	$(BIN)/python docs/reference.py --check

format: $(READY)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

docs: $(READY)
	$(BIN)/python docs/reference.py

bench: $(READY)
	$(BIN)/uv pip install --quiet --python $(BIN)/python --group bench -c constraints.txt
	$(BIN)/python benchmarks/overhead/ask_tell.py
	$(BIN)/python benchmarks/overhead/commands.py

clean:
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis

# uv is many times quicker than pip, and comes into the environment by pip itself.
$(READY): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Tunesmith needs Python 3.11 or newer; try make PYTHON=python3.12 " or 0)'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt uv
	UV_PYTHON_DOWNLOADS=never $(BIN)/uv pip install --quiet --python $(BIN)/python -c constraints.txt --group test -e .
	touch $(READY)
