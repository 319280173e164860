# From a bare checkout with Python 3.11 or later and make: everything else is fetched, by locks with hashes.
SHELL := /bin/sh
PYTHON ?= $(shell command -v python3.11 || command -v python3.12 || command -v python3.13 || command -v python3)
PORT ?= 8000
WORKERS ?= 2
TESTS ?= tests
JOBS ?= $(shell nproc 2>/dev/null || echo 2)
B ?=

BIN := .venv/bin
FIND := env PATH="$(CURDIR)/$(BIN):$$PATH"
CATALOGUES := $(patsubst %.po,%.mo,$(wildcard wisp/translations/*/LC_MESSAGES/*.po))
MADE := .venv/made-packages static/vendor/made $(CATALOGUES)

.DELETE_ON_ERROR:
.PHONY: help setup demo run test check mutants bench lock clean

help: ## This list
	@sed -n 's/^\([a-z]*\):.*## /make \1\t/p' Makefile | expand -t 14

demo: $(MADE) ## The demo company with a simulated router and a local mail box; PORT=8000
	@PORT=$(PORT) $(FIND) python -m wisp.demo.launch

run: $(MADE) ## The program with the environment's settings; PORT=8000 WORKERS=2
	@PORT=$(PORT) WORKERS=$(WORKERS) $(FIND) python -m wisp.core.supervision

test: $(MADE) .venv/made-dev ## The whole suite; TESTS=tests/unit for a part
	$(BIN)/python -m pytest -n $(JOBS) --dist worksteal -q $(TESTS)

check: $(MADE) .venv/made-dev ## Format, lint, types, import contracts, migrations, catalogues, rules of money
	$(BIN)/ruff format --check --quiet .
	$(BIN)/ruff check --quiet .
	$(BIN)/mypy
	$(FIND) lint-imports
	$(BIN)/python -m wisp.build.catalogues
	$(BIN)/python -m pytest -n 0 -q tests/migrations/test_models.py
	@$(FIND) python -m tests.mutants wisp.invoices.domain

mutants: $(MADE) .venv/made-dev ## Whether the tests notice each changed rule of money and dates
	@$(FIND) python -m tests.mutants

bench: $(MADE) .venv/made-dev ## The figures beside their floors; B=P1 for one
	@$(FIND) python -m tests.bench $(B)

setup: $(MADE) ## Everything that the program needs to run

lock: .venv/made-dev ## Renew the locks from requirements*.in and package.json
	$(BIN)/uv pip compile --quiet --upgrade --universal --generate-hashes --no-emit-index-url --python-version 3.11 requirements.in -o requirements.txt
	$(BIN)/uv pip compile --quiet --upgrade --universal --generate-hashes --no-emit-index-url --python-version 3.11 requirements-dev.in -o requirements-dev.txt
	$(FIND) npm install --package-lock-only

clean: ## Away with what was made (not with data/)
	rm -rf .venv node_modules static/vendor .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis mutants bench.json
	find wisp/translations -name '*.mo' -delete

# uv installs in seconds; where it cannot, pip does the same in a minute. Both verify every hash.
.venv/made-uv: requirements-dev.txt
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@awk '/^uv==/ {p=1} p {print; if (!/\\$$/) exit}' requirements-dev.txt > .venv/uv.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r .venv/uv.txt
	@touch $@

.venv/made-packages: requirements.txt .venv/made-uv
	@echo 'packages: requirements.txt'
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements.txt \
	  || $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.txt
	@touch $@

.venv/made-dev: requirements-dev.txt .venv/made-packages
	@echo 'packages: requirements-dev.txt'
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements.txt -r requirements-dev.txt \
	  || $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.txt -r requirements-dev.txt
	@touch $@

node_modules/made: package.json package-lock.json .npmrc .venv/made-packages
	@echo 'packages: package-lock.json'
	@$(FIND) npm ci --silent
	@touch $@

static/vendor/made: node_modules/made static/icons.txt wisp/build/front.py
	@$(BIN)/python -m wisp.build.front
	@touch $@

%.mo: %.po .venv/made-packages
	@$(BIN)/pybabel --quiet compile -i $< -o $@
