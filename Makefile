# Every target does its own set-up: a virtual environment in .venv, packages by name from the package index.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: help demo run test check format clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(READY) ## See the whole way once: hook call in, SMS out, on this machine only
	@$(BIN)/python -m mitto_phone_hook.sandbox.tour

run: $(READY) ## Leave the function and the fake Mitto running, to try your own calls
	@$(BIN)/python -m mitto_phone_hook.sandbox.tour --stay

test: $(READY) ## Run all tests
	@$(BIN)/python -m pytest

check: $(READY) ## Lint, types, tests with coverage
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/python -m pytest --cov --cov-report=term

format: $(READY) ## Format the code and mend what can be mended
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

clean: ## Remove everything that the other targets made
	@rm -rf $(VENV) .coverage .hypothesis .mypy_cache .pytest_cache .ruff_cache

$(READY): pyproject.toml
	@python=""; \
	for candidate in "$${PYTHON:-}" python3 python3.14 python3.13 python3.12 python3.11 python; do \
	  if [ -n "$$candidate" ] && "$$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then python=$$candidate; break; fi; \
	done; \
	if [ -z "$$python" ]; then echo "Python 3.11 or newer is needed; install it, or say where it is: PYTHON=/path/to/python3 make ..." >&2; exit 1; fi; \
	echo "Setting up .venv with $$("$$python" --version) (once, up to a minute) ..."; \
	if ! "$$python" -m venv --clear $(VENV) >$(VENV).log 2>&1; then \
	  cat $(VENV).log >&2; echo "Python cannot make a virtual environment; on Debian and Ubuntu: apt install python3-venv" >&2; exit 1; fi; \
	if ! $(BIN)/python -m pip install --disable-pip-version-check --progress-bar off -e '.[dev]' 2>$(VENV).log \
	  | awk '$$1 == "Collecting" {sub(/[^A-Za-z0-9._-].*/, "", $$2); printf "  %s\n", $$2; fflush()} /^Installing collected/ {print "  installing ..."; fflush()}'; then \
	  grep -v '^WARNING' $(VENV).log >&2; echo "The packages could not be installed; see above, then run the same command again." >&2; exit 1; fi; \
	rm -f $(VENV).log; touch $@
