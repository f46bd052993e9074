# Works on a fresh machine with python3 >= 3.11 and make: everything goes into .venv.
PYTHON ?= python3
BIN := .venv/bin
NAME ?= patches

.PHONY: demo test lint bench clean

demo: .venv/installed  ## the whole job on Python's own library
	$(BIN)/thesphere demo

test: .venv/tools  ## all tests, on two cores
	$(BIN)/python -m pytest -n 2

lint: .venv/tools  ## style, formatting and types
	$(BIN)/ruff check src tests benchmarks
	$(BIN)/ruff format --check src tests benchmarks
	$(BIN)/pyright --pythonpath $(BIN)/python

bench: .venv/bench  ## one benchmark: make bench NAME=judged ARGS="DATA --damage"; its last line is JSON
	$(BIN)/python benchmarks/$(NAME).py $(ARGS)

clean:
	rm -rf .venv demo.sphere

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "$(PYTHON) is older than 3.11; name a newer one: make PYTHON=python3.12" >&2; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip

.venv/installed: pyproject.toml | .venv/bin/python
	$(BIN)/python -m pip install --quiet --editable .
	touch $@

.venv/tools: .venv/installed
	$(BIN)/python -m pip install --quiet --editable '.[jax,viz]' --group test --group lint
	touch $@

.venv/bench: .venv/installed
	$(BIN)/python -m pip install --quiet --group bench
	touch $@
