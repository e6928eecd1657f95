# Every target sets up .venv by itself when its inputs have changed, and only then.
HOST ?= 127.0.0.1
PORT ?= 7071
PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip -qq --disable-pip-version-check

.NOTPARALLEL:
.PHONY: help serve test check bench models/smollm2 clients exports fuzz package package-smoke lock format clean

help:  ## this list
	@grep -E '^[a-z0-9/-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z0-9/-]+):.*## /  make \1\t/'

serve: .venv/serve models/starter-embeddings/made.json  ## serve every route on the starter models (HOST, PORT)
	@exec $(BIN)/python -m inference serve --host $(HOST) --port $(PORT)

test: .venv/dev models/starter-embeddings/made.json  ## the test suite
	$(BIN)/pytest $(ARGS)

check: .venv/dev models/starter-embeddings/made.json  ## ruff, mypy, tests: what CI runs
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pytest $(ARGS)

bench: .venv/dev models/starter-embeddings/made.json  ## the benchmarks, as ratios
	$(BIN)/python -m benchmarks $(ARGS)

models/smollm2: .venv/serve  ## SmolLM2-135M-Instruct as a deployment: real weights for `make serve` and the tests
	@$(BIN)/python -m tools.smollm2

clients: .venv/dev  ## the clients people have, each in an environment of its own; writes docs/clients.md (ARGS)
	@$(PIP) install uv
	$(BIN)/python -m tests.clients.run $(ARGS)
	$(BIN)/python -m tests.clients.moving $(ARGS)

fuzz: .venv/dev  ## schemathesis over our own OpenAPI document (ARGS: examples for each operation)
	$(BIN)/python -m tests.fuzz.run $(ARGS)

exports: .venv/dev  ## the public exporters on random checkpoints, against their references (ARGS)
	$(BIN)/python -m tests.exports.run $(ARGS)

package: .venv/dev models/starter-embeddings/made.json  ## the app and its packages in one zip, measured
	$(BIN)/python -m tools.package $(ARGS)

package-smoke: .venv/dev models/starter-embeddings/made.json  ## the package for this Python, served and asked everything
	$(BIN)/python -m tools.package_smoke

UV := $(BIN)/uv pip compile --quiet --generate-hashes --no-annotate --custom-compile-command "make lock"

lock: .venv/dev  ## renew the locked versions of the package and the image
	@$(PIP) install uv
	$(UV) requirements.txt --universal --python-version 3.11 --output-file infra/requirements.lock
	$(UV) requirements.txt infra/aca/cuda.txt --python-version 3.12 \
	  --python-platform $$($(BIN)/python -m tools.target) \
	  --no-emit-package onnxruntime --output-file infra/aca/requirements-cuda.lock

format: .venv/dev  ## put the code in its form
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:  ## remove what the targets made
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis *.egg-info build tests/clients/js/node_modules
	git clean -fdXq models

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "Python 3.11 or newer is needed: make serve PYTHON=python3.12" >&2; exit 1; }
	@echo "Setting up .venv (once) ..."
	@$(PYTHON) -m venv .venv

.venv/serve: requirements.txt pyproject.toml | .venv/bin/python
	@echo "Installing what serving needs ..."
	@rm -rf *.egg-info
	@$(PIP) install -e '.[models,starters]'
	@touch $@

.venv/dev: requirements.txt pyproject.toml | .venv/bin/python
	@echo "Installing what developing needs ..."
	@rm -rf *.egg-info
	@$(PIP) install -e '.[dev]'
	@touch $@ .venv/serve

models/starter-embeddings/made.json: $(wildcard tools/starter_embeddings/* tools/wheels.py tools/graphs/graph_writer.py) \
  | .venv/serve
	@$(BIN)/python -m tools.starter_embeddings
	@touch $@
