# Two commands on a fresh machine that has Python 3.11 or newer with venv, and make:
#   make demo     installs into .venv and runs the main job
#   make test     installs, checks the code and runs the tests, in two minutes
# `make test PYTHON=python3.13` does it with another Python; .venv is made anew when the version differs.
PYTHON ?= python3
VENV ?= .venv
# More than cores: many tests wait for a moment, a process or a disk.
WORKERS ?= 4
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
VERSION := $(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])')
EDITABLE := $(PIP) install --quiet --constraint constraints.txt --no-build-isolation --editable
PREPARED := $(VENV)/prepared-$(VERSION)
TRIED := $(VENV)/tried-$(VERSION)
INSTALLED := $(VENV)/installed-$(VERSION)
DOCUMENTING := $(VENV)/documenting-$(VERSION)
MEASURING := $(VENV)/measuring-$(VERSION)
SDKS := .sdks/installed
# Each journal that a test makes waits for the disk: in memory, if there are some gigabytes, the tests take a fifth less.
MEMORY := $(shell df -Pk /dev/shm 2>/dev/null | awk 'NR > 1 && $$4 > 2000000 {print "TMPDIR=/dev/shm"}')
PYTEST := $(BIN)/pytest -q -n $(WORKERS) --dist worksteal
# With RERUN=1, what failed runs once more, by itself: on a machine that others use, a process may get no turn for a minute. As in
# Python's own `regrtest --rerun`, failing twice is failing, and what passed then is named, for somebody to find the cause.
RERUN :=
AGAIN = $(if $(RERUN),|| { test $$? -eq 1 && echo "== what failed runs again" && $(BIN)/pytest -v --hypothesis-profile=$(PROFILE) --last-failed --last-failed-no-failures=none; })

# Tests and benchmarks start many programs, and none should have to compile its sources anew.
export PYTHONDONTWRITEBYTECODE :=

.DEFAULT_GOAL := help
.PHONY: help install demo check compiled docs release-check test sdks test-rest test-all bench bench-full pictures recording man format clean

help: ## list the targets
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

install: $(INSTALLED) ## install restante and its tools into .venv

# Every version comes from constraints.txt. The build tools are installed the same way and used as they
# are (no build isolation), so that nothing is picked by the day's date.
$(PREPARED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "restante needs Python 3.11 or newer: make PYTHON=python3.11 ...")'
	@$(BIN)/python$(VERSION) -c '' 2>/dev/null || $(PYTHON) -m venv --clear $(VENV)
	$(PIP) install --quiet --constraint constraints.txt hatchling hatch-fancy-pypi-readme editables
	@touch $@

$(TRIED): $(PREPARED)
	$(EDITABLE) '.[service,tui]'
	@touch $@

$(INSTALLED): $(PREPARED)
	$(EDITABLE) '.[dev]'
	@touch $@

$(MEASURING): $(INSTALLED)
	$(EDITABLE) '.[bench]'
	@touch $@

$(DOCUMENTING): $(INSTALLED)
	$(EDITABLE) '.[docs]'
	@touch $@

demo: $(TRIED) ## the main job, end to end, in under a minute
	@$(BIN)/restante demo

check: $(INSTALLED) ## format, lint, types, import contracts
	$(BIN)/ruff format --check --quiet .
	$(BIN)/ruff check --quiet .
	$(BIN)/mypy --no-error-summary
	$(BIN)/lint-imports --no-cache --no-logo

# Workers that compile all tests at once do it four times over; one process does it while mypy has the other core.
# Should it fail, so does the run that follows, which says why.
compiled: $(INSTALLED)
	@$(BIN)/pytest --quiet --collect-only >/dev/null || true

docs: $(DOCUMENTING) ## the documentation site, strictly: a dead link, or a public name without an entry, is an error
	$(BIN)/sphinx-build --quiet --fail-on-warning --keep-going --fresh-env --doctree-dir build/doctrees docs build/docs
	@echo "build/docs/index.html; links that lead elsewhere: build/docs/external-links.txt"

release-check: $(INSTALLED) ## build sdist and wheel, and try them in clean environments (ALL=1: with every Python here)
	$(EDITABLE) '.[release]'
	.ci/release-check $(if $(ALL),$$(.ci/pythons),$(PYTHON))

test: PROFILE := ci
test: $(INSTALLED) ## check, and the tests that take seconds
	@$(MAKE) --no-print-directory --jobs=2 check compiled
	$(MEMORY) $(PYTEST) --hypothesis-profile=$(PROFILE) -m 'not long' $(AGAIN)

sdks: $(SDKS) ## fetch the Node and browser SDKs, which some long tests run (needs npm)

$(SDKS): tests/contract/sdks/package.json
	@mkdir -p $(@D) && cp $< $(@D)
	npm install --prefix $(@D) --no-package-lock --no-audit --no-fund --ignore-scripts --legacy-peer-deps  # no React Native
	@touch $@

test-rest: PROFILE := long
test-rest: check ## what `make test` leaves out: the long tests, and more Hypothesis examples
	-@$(MAKE) --no-print-directory sdks  # without them, their tests are skipped
	$(PYTEST) --hypothesis-profile=$(PROFILE) -m 'long or hypothesis' $(AGAIN)

test-all: PROFILE := long
test-all: check ## every test, at its full length
	-@$(MAKE) --no-print-directory sdks
	$(PYTEST) --hypothesis-profile=$(PROFILE) $(AGAIN)

bench: $(MEASURING) ## figures, each next to a baseline of the same run, into docs/performance.md, in a quarter of an hour
	$(BIN)/python -m benchmarks $(FULL) --write
	$(BIN)/python -m benchmarks.growth --write

bench-full: FULL := --full
bench-full: bench ## the same, and those that take minutes each

pictures: $(INSTALLED) ## draw the browser for README.md, to be looked at
	PYTHONPATH=. $(BIN)/python docs/pictures/draw.py

recording: $(INSTALLED) ## play the first minute in tmux, and record it for README.md
	PYTHONPATH=. $(BIN)/python docs/pictures/record.py

man: $(INSTALLED) ## write the manual page, docs/restante.1, from the texts of --help
	PYTHONPATH=. $(BIN)/python docs/manual.py

format: $(INSTALLED) ## format the code and fix what ruff can fix
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean: ## remove what make made
	rm -rf .venv .venv-* .sdks .mypy_cache .ruff_cache .pytest_cache .hypothesis
