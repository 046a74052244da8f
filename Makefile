# All that it needs is Python 3.11 or newer, and git. `make` alone lists the targets.
.DEFAULT_GOAL := help
.PHONY: help setup demo test check fix lock clean

# Where nothing may be left out (CI), a test or a check that cannot run fails.
ifneq ($(CI),)
export HYPERLOOP_SKIP_NOTHING ?= 1
endif
export PYTHON
PY := .venv/bin/python

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "make %-7s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## make .venv: locked, hashed versions; at once when it is there
	@scripts/bootstrap

demo: setup ## watch specs become merged code, with a scripted agent; costs nothing
	@PATH="$(CURDIR)/.venv/bin:$$PATH" scripts/demo

test: setup ## run the tests; ARGS="-k name" picks some
	@$(PY) -m pytest -q -n auto -r fEs $(if $(HYPERLOOP_SKIP_NOTHING),-p tests.no_skips) $(ARGS)

check: setup ## lint, format, types, layers, workflows, shell
	@scripts/check

fix: setup ## mend what ruff can mend by itself
	@$(PY) -m ruff check --fix --quiet . ; $(PY) -m ruff format .

lock: setup ## lock the dependencies again; ARGS=--upgrade for the newest
	@scripts/lock $(ARGS)

clean: ## remove all that make has made
	@rm -rf .venv .cache dist .pytest_cache .hypothesis .import_linter_cache
