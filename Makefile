# Everything a developer needs; `make` alone lists it. PYTHON chooses the interpreter, VENV the place.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
RUN := $(BIN)/python
PIP := $(RUN) -m pip --disable-pip-version-check
# Tests at a time: most of them wait for servers and processes rather than compute.
WORKERS ?= 4
TYPED := core plugins tests tools
LINTED := core plugins tests tools bench examples docs

.DEFAULT_GOAL := help
.PHONY: help demo test check format lint types architecture docs extract bench faults clean

help:  ## show this
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Umbel needs Python 3.11 or later; say make PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: pyproject.toml | $(BIN)/python
	$(PIP) install --quiet --editable .
	@touch $@

$(VENV)/.developed: pyproject.toml | $(BIN)/python
	$(PIP) install --quiet --editable '.[dev]'
	@touch $@ $(VENV)/.installed

demo: $(VENV)/.installed  ## count the words of the standard library, with a worker of its own
	$(RUN) examples/wordcount

test: $(VENV)/.developed  ## set up what the tests need, and run all of them
	$(RUN) -m pytest -n $(WORKERS) --dist loadscope $(TESTS)

check: lint types architecture test docs  ## format, lint, types, architecture, tests, docs

format: $(VENV)/.developed  ## let the formatter have its way
	$(BIN)/ruff format $(LINTED)
	$(BIN)/ruff check --fix $(LINTED)

lint: $(VENV)/.developed  ## is it formatted, is the linter content?
	$(BIN)/ruff format --check $(LINTED)
	$(BIN)/ruff check $(LINTED)

types: $(VENV)/.developed  ## mypy strict and pyright
	$(BIN)/mypy $(TYPED)
	$(BIN)/pyright --pythonpath $(RUN)

architecture: $(VENV)/.developed  ## the tests that hold the house
	$(RUN) -m pytest -q tests/architecture

docs: $(VENV)/.developed  ## build the manual into docs/_build; warnings are errors
	$(BIN)/sphinx-build --fail-on-warning --keep-going --quiet -b html docs docs/_build/html

extract: $(VENV)/.developed  ## build each plugin as a distribution of its own and prove it on the kernel alone
	$(RUN) tools/extract.py

bench: $(VENV)/.developed  ## measure Umbel beside its peers; SCENARIOS="drain roundtrip" for some
	$(RUN) -m bench $(SCENARIOS)

FAULT ?= broker-restart,cut,slow,disk-full,pool-server,stop-kill,caller-kill
BROKER ?= redis
ROUNDS ?= 20
SEED ?= 1

faults: $(VENV)/.developed  ## break things under load and count; FAULT=, BROKER=, ROUNDS=, SEED= choose
	$(RUN) tests/faults/run.py --fault $(FAULT) --broker $(BROKER) --rounds $(ROUNDS) --seed $(SEED)

clean:  ## remove what was made
	rm -rf $(VENV) build dist docs/_build .mypy_cache .pytest_cache .ruff_cache .hypothesis
