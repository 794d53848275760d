# One command each, on a fresh Debian machine with Python >= 3.11, make and pip. `make` lists them.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: help setup setup-dev system run test demo check bench lock screenshots clean

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 14

# The lock files name everything, so nothing is resolved (--no-deps): a release of today changes no installation.
$(VENV)/runtime: requirements.lock pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $@

$(VENV)/dev: requirements-dev.lock pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements-dev.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $(VENV)/runtime $@

setup: $(VENV)/runtime
setup-dev: $(VENV)/dev

system: # what tests and benchmarks need of Debian; installs only what is missing
	@./scripts/debian-packages

run: setup ## the product with live demo relays, until Ctrl-C
	@exec $(BIN)/keystead up --demo

test: setup-dev system ## the whole test suite
	$(BIN)/python -m pytest --cov --cov-report=term:skip-covered

demo: setup-dev system ## the main job as a story that checks itself
	$(BIN)/python -m scripts.demo

check: setup-dev ## lint, types, import contracts, docs checks
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python docs/check.py

bench: setup-dev system ## the benchmarks beside their peers; writes benchmarks/results.json
	$(BIN)/python -m benchmarks

screenshots: setup-dev system ## docs/screenshots/*, from a running demo
	$(BIN)/python docs/screenshots/make.py

lock: ## requirements*.lock anew from pyproject.toml
	@./scripts/lock

clean: ## removes what the other targets made
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache htmlcov .coverage
