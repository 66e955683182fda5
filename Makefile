# Everything a newcomer needs; the environment in .venv is made on first use.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
MODEL ?= sshm
DATA ?= digits
OUT ?= runs/$(DATA)-$(MODEL)-$(shell date +%Y%m%d-%H%M%S)
ARGS ?=
CASES ?= 5000
WORKERS ?= 2
SEED ?= 0

.DEFAULT_GOAL := help
.PHONY: help run test test-slow test-extras lint format notebooks docs bench fuzz lock clean

help: ## Say what can be made.
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-11s %s\n", $$1, $$2}'

run: $(STAMP) ## Train a skew-symmetric Hopfield network on the bundled digits (MODEL=, DATA=, OUT=, ARGS=).
	$(BIN)/dyadnet train --model $(MODEL) --data $(DATA) --out $(OUT) $(ARGS)

test: $(STAMP) ## Run the tests (WORKERS= processes at a time, ARGS=).
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder $(ARGS)

test-slow: $(STAMP) ## Run the tests that take minutes.
	$(BIN)/python -m pytest -m slow

test-extras: $(VENV)/.extras ## Run the recipes for other people's tools (which are installed on first use).
	$(BIN)/python -m pytest -m extras

lint: $(STAMP) ## Check style and types.
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/mypy

format: $(STAMP) ## Put the code into its form.
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

notebooks: $(STAMP) ## Run docs/notebooks/*.py anew and keep what they show (their packages are installed on first use).
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev,notebooks]'
	$(BIN)/python -m docs.tools.notebooks $(ARGS)

docs: $(VENV)/.docs ## Build the documentation into build/docs (its tools are installed on first use).
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

bench: $(STAMP) ## Measure the kernel and the settling of this machine.
	$(BIN)/dyadnet bench kernel
	$(BIN)/dyadnet bench kernel --network 64-100-100-10 --minibatch 32
	$(BIN)/dyadnet bench settling

fuzz: $(STAMP) ## Try thousands of altered files on every command that reads them (CASES=, SEED=).
	$(BIN)/python -m tests.fuzz --cases $(CASES) --seed $(SEED)

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' || \
		{ echo "dyadnet needs Python 3.11, 3.12 or 3.13; name one: make PYTHON=python3.11"; exit 2; }
	@echo "Making $(VENV) (once; a minute or two) ..."
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

$(VENV)/.docs: $(STAMP)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev,docs]'
	@touch $@

$(VENV)/.extras: $(STAMP)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev,tools]'
	@touch $@

lock: ## Renew constraints.txt from the newest versions that pyproject.toml allows.
	@rm -rf build/lock && $(PYTHON) -m venv build/lock
	@build/lock/bin/python -m pip install --quiet -e '.[dev,docs,tools,notebooks]'
	@{ echo "# Exact versions of everything that dyadnet and its tools need, on Python 3.11, 3.12 and 3.13."; \
		echo "# Renewed by: make lock"; build/lock/bin/python -m pip freeze --exclude-editable; } > constraints.txt
	@rm -rf build/lock

clean: ## Remove the environment, caches and build products, but no runs.
	rm -rf $(VENV) build dist *.egg-info .import_linter_cache .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
