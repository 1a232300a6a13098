.DEFAULT_GOAL := help
.PHONY: help demo test check check-format check-lint check-types check-imports check-compose generate pictures bench clean constraints
.DELETE_ON_ERROR:
SHELL := /bin/bash

# Environment variables of the caller must not decide which code runs.
unexport $(filter PYTHON% PYTEST_% HYPOTHESIS_% RUFF_% MYPY% PLACET_% PG% POSTGRES_%,$(.VARIABLES))
unexport VIRTUAL_ENV PIP_USER PIP_TARGET PIP_PREFIX PIP_ROOT PIP_CONSTRAINT PIP_REQUIREMENT PIP_NO_DEPS PIP_DRY_RUN

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
SOURCES := $(wildcard domain application projections api sdk/src tests bench examples)
# One more than there are cores, because tests often wait for timers and for other processes.
WORKERS := import os; print(min((os.cpu_count() or 1) + 1, 5))
RECENT := import sys; sys.exit(sys.version_info < (3, 11))

help:  ## list the targets
	@awk -F ':.*## *' '/^[a-z0-9][a-z0-9_-]*:([^=]|$$)/ { split($$1, name, ":"); printf "%-15s%s\n", name[1], $$2 }' $(MAKEFILE_LIST)

demo: $(STAMP)  ## start everything and show an execution that stops for approval
	@exec $(BIN)/python -m examples.demo

test: $(STAMP)  ## run every test against a real PostgreSQL
	$(BIN)/python -m pytest -n $$($(BIN)/python -c '$(WORKERS)') --dist loadfile --no-loadscope-reorder

check: check-format check-lint check-types check-imports check-compose  ## run all of the checks below

check-format: $(STAMP)  ## check the formatting with ruff
	$(BIN)/ruff format --check

check-lint: $(STAMP)  ## lint with ruff
	$(BIN)/ruff check

check-types: $(STAMP)  ## check the types with mypy, also in the examples of the documentation
	examples=$$(mktemp -d) && trap 'rm -rf "$$examples"' EXIT && \
	  $(BIN)/python -m tests.docs_types "$$examples" && $(BIN)/mypy $(SOURCES) "$$examples"

check-imports: $(STAMP)  ## check the direction of imports with import-linter
	$(BIN)/lint-imports

check-compose: $(STAMP)  ## check docker-compose.yml against its schema
	$(BIN)/check-jsonschema --builtin-schema vendor.compose-spec docker-compose.yml

generate: $(STAMP)  ## write the schema, the diagram and the rules in the sdk from the code
	schema=$$($(BIN)/python -m api.schema) && printf '%s\n' "$$schema" > docs/schema.graphql
	$(BIN)/python -m tests.domain.state_diagram
	$(BIN)/python -m tests.sdk.models.generate

pictures: $(STAMP)  ## make the pictures of the console in docs/images again
	made=$$(mktemp -d) && SCREENSHOTS=$$made $(BIN)/python -m pytest -q \
	  tests/console/test_every_page.py tests/console/test_step_up_journey.py \
	  tests/console/test_amendment_journey.py && \
	for picture in docs/images/*.png; do \
	  cp $$made/$$(basename $$picture .png)-light.png $$picture || exit 1; \
	done && rm -r $$made

bench: $(STAMP)  ## run the benchmarks and print their tables
	@exec $(BIN)/python -m bench

clean:  ## remove the virtual environments and the caches of the tools
	rm -rf $(VENV) .venv-bench .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache .schemathesis

constraints: $(STAMP)  ## resolve the pinned versions again, for all supported versions of Python
	$(BIN)/python -m pip install --quiet uv
	( echo '# The exact versions that the tests run with, for Python 3.11 to 3.13. Made by `make constraints`.'; \
	  $(BIN)/uv pip compile --quiet --universal --upgrade --python-version 3.11 --no-header --no-annotate \
	    --extra embedded --extra dev pyproject.toml sdk/pyproject.toml ) > constraints.new
	mv constraints.new constraints.txt
	( echo '# The exact versions that the benchmark `lifecycle` compares with. Made by `make constraints`.'; \
	  $(BIN)/uv pip compile --quiet --universal --upgrade --python-version 3.11 --no-header --no-annotate \
	    bench/rivals/requirements.in ) > requirements.new
	mv requirements.new bench/rivals/requirements.txt

$(STAMP): pyproject.toml sdk/pyproject.toml constraints.txt
	@python=; for candidate in $(or $(PYTHON),python3 python3.13 python3.12 python3.11); do \
	  if $$candidate -c '$(RECENT)' 2>/dev/null; then python=$$candidate; break; fi; \
	done; \
	if [ -z "$$python" ]; then \
	  echo "Placet needs Python 3.11 or newer; $(or $(PYTHON),python3) is older or missing. Install a newer one, or name it: make PYTHON=/path/to/python3.13" >&2; \
	  exit 1; \
	fi; \
	if ! [ -x $(BIN)/python ] || ! $(BIN)/python -c '$(RECENT)' 2>/dev/null; then \
	  rm -rf $(VENV); \
	  echo "Making $(VENV) with $$($$python --version)"; \
	  $$python -m venv $(VENV) || { echo "$$python can't make a virtual environment; on Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; }; \
	fi
	@echo "Installing what Placet needs into $(VENV); the first time it takes some minutes"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[embedded,dev]' -e ./sdk
	@touch $@
