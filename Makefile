# Everything a contributor needs; `make help` lists it.
.DEFAULT_GOAL := help
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

help:  ## list the targets
	@grep -hE '^[a-z.-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-13s %s\n", $$1, $$2}'

setup: $(STAMP)  ## make .venv with everything for running and developing

$(STAMP): pyproject.toml .ci/constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.12 …")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c .ci/constraints.txt uv
	$(BIN)/uv pip install --quiet --python $(BIN)/python -c .ci/constraints.txt -e '.[embedded,dev]'
	@touch $@

demo: setup  ## play the whole story on embedded parts; DEMO_EXIT=1 stops it at the end
	PATH="$(CURDIR)/$(BIN):$$PATH" bash docs/demo.sh

up: setup  ## run the registry on this machine, data in ./registry-data
	$(BIN)/model-registry up

test: setup  ## all tests, on a real Postgres and a real S3 server
	$(BIN)/python -m pytest -n 2 --dist loadscope --no-loadscope-reorder

pull.pyz: setup  ## build/pull.pyz: the puller as one file, for any Python from 3.9 on
	@mkdir -p build
	$(BIN)/python -m service.pulling.pyz build/pull.pyz

servers: setup  ## prepare the model servers that the tests start on a pulled folder, in .cache/servers
	$(BIN)/python -m tests.pulling.servers

test-gc: setup  ## five minutes of collecting garbage beside imports and pulls
	GC_SECONDS=300 $(BIN)/python -m pytest -s tests/e2e/test_gc.py

clients: setup  ## prepare the MLflow clients that the tests run, in .cache/clients
	$(BIN)/python -m tests.clients.environments

compatibility: setup  ## write docs/mlflow-compatibility.md from what the clients prove
	WRITE_COMPATIBILITY=1 $(BIN)/python -m pytest tests/clients/test_calls.py

lint: setup  ## style, types and the direction of dependencies
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: setup  ## rewrite the code in the project's style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

lock: setup  ## write .ci/constraints.txt anew from pyproject.toml
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --extra embedded --extra dev --no-header \
		--no-annotate --upgrade pyproject.toml -o .ci/constraints.txt

clean:  ## remove the environment and all caches, not the data
	rm -rf $(VENV) .cache .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

.PHONY: help setup demo up test pull.pyz servers clients compatibility lint format lock clean
