# Needs make, git and Python 3.11 or newer. Everything else is installed into .venv.

PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

.DEFAULT_GOAL := help
.PHONY: help setup demo test check features docs bench fix build sbom nightly mutate

help: ## Show this list.
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' Makefile

setup: .venv/dev ## Install all that developers need into .venv.

demo: .venv/server ## Start the reference server and run the quickstart against it.
	@$(BIN)/python examples/run_demo.py

test: .venv/dev ## Run all tests.
	@$(BIN)/python -m pytest -n 2

mutate: .venv/dev ## Change the code that money rests on, piece by piece, and count what the tests do not notice.
	@$(BIN)/python tools/mutations.py

check: .venv/dev ## Check format, style and types.
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/pyright --project .

nightly: .venv/dev ## Run what takes hours, on Linux; strace, slowhttptest, sqlmap and root for all of it.
	@$(BIN)/python tools/nightly.py

features: .venv/dev ## Show each feature with the passing tests behind it.
	@$(BIN)/python -m pytest -n 2 -q --features

build: .venv/dev ## Build wheel and sdist into dist, and have them checked.
	rm -rf dist
	$(BIN)/python -m build --no-isolation --outdir dist
	$(BIN)/twine check --strict dist/*.whl dist/*.tar.gz
	$(BIN)/check-wheel-contents dist/*.whl

sbom: .venv/dev ## Write what the library brings along to dist/cabinet-sdk.cdx.json (CycloneDX).
	@$(BIN)/python tools/sbom.py dist/cabinet-sdk.cdx.json

docs: .venv/dev ## Build the documentation into build/docs; a warning is an error.
	@$(BIN)/python -m sphinx -W --keep-going -n -q -E -b html -d build/doctrees docs build/docs
	@echo "Open build/docs/index.html"

bench: .venv/bench ## Measure what is promised beside others, and write docs/benchmarks.md; takes minutes.
	@$(BIN)/python -m benchmarks --write

fix: .venv/dev ## Format, and mend what the linter can mend.
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# An empty file stands for each set of packages, so that pip runs only after the lists have changed.
.venv/server: pyproject.toml constraints.txt | .venv/bin/pip
	$(PIP) --editable '.[server]'
	@touch $@

# The pip of Python 3.11 knows no dependency groups yet.
.venv/dev: pyproject.toml constraints.txt | .venv/bin/pip
	$(PIP) pip
	$(PIP) --editable '.[server,encryption]' --group dev
	@# sniffpy, which httplint needs, installs its own tests under a name that hides ours.
	@rm -rf .venv/lib/python3*/site-packages/tests
	@touch .venv/server $@

.venv/bench: .venv/dev
	$(PIP) --group bench
	@touch $@

.venv/bin/pip:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "This needs Python 3.11 or newer, but $(PYTHON) is $$($(PYTHON) --version 2>&1)." \
	    "Name another one: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	$(PYTHON) -m venv .venv
