# Two commands on a fresh machine that has Python 3.11 with venv, and make:
#   make demo     installs into .venv and runs the main job
#   make test     installs and runs format, lint, types, import contracts and tests
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
INSTALLED := $(VENV)/installed
MEASURING := $(VENV)/measuring

# Tests and benchmarks start many programs, and none should have to compile its sources anew.
export PYTHONDONTWRITEBYTECODE :=

.DEFAULT_GOAL := help
.PHONY: help install demo check test test-long bench pictures format clean

help: ## list the targets
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

install: $(INSTALLED) ## install restante and its tools into .venv

# Every version comes from constraints.txt. The build tools are installed the same way and used as they
# are (no build isolation), so that nothing is picked by the day's date.
$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "restante needs Python 3.11 or newer: make PYTHON=python3.11 ...")'
	$(PYTHON) -m venv $(VENV)
	$(PIP) install --quiet --constraint constraints.txt hatchling editables
	$(PIP) install --quiet --constraint constraints.txt --no-build-isolation --editable '.[dev]'
	@touch $@

$(MEASURING): $(INSTALLED)
	$(PIP) install --quiet --constraint constraints.txt --no-build-isolation --editable '.[bench]'
	@touch $@

demo: $(INSTALLED) ## the main job, end to end, in under a minute
	@$(BIN)/restante demo

check: $(INSTALLED) ## format, lint, types, import contracts
	$(BIN)/ruff format --check --quiet .
	$(BIN)/ruff check --quiet .
	$(BIN)/mypy --no-error-summary
	$(BIN)/lint-imports --no-cache --no-logo

test: check ## everything CI runs
	$(BIN)/pytest -q -n 3 --dist worksteal -m 'not long'

test-long: check ## the suites that take longer, too
	$(BIN)/pytest -q -n 2 --dist worksteal

bench: $(MEASURING) ## figures, each beside a baseline of the same run, into docs/performance.md
	$(BIN)/python -m benchmarks --write
	$(BIN)/python -m benchmarks.growth --write

pictures: $(INSTALLED) ## draw the browser for README.md, to be looked at
	PYTHONPATH=. $(BIN)/python docs/pictures/draw.py

format: $(INSTALLED) ## put the code in the house's format
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean: ## remove what make made
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis
