# Every target sets itself up: a virtual environment in .venv, with packages from the package index.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

VENV := .venv
BIN := $(VENV)/bin
# What was installed: what the function runs with, and with it the programs and packages that develop and test it.
RUNTIME := $(VENV)/.runtime
READY := $(VENV)/.ready
.DELETE_ON_ERROR:

.PHONY: ready runtime help demo run test check format chaos attack bench counts soak budget platforms pictures docs bundle lock clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: runtime ## Run one message through the whole system on this machine: hook call in, SMS out
	@$(BIN)/mitto-phone-hook demo

run: runtime ## Keep the function and the fake Mitto running, for your own calls
	@$(BIN)/mitto-phone-hook demo --stay

test: ready ## Run all tests except those that build deployments
	@$(BIN)/python -m pytest -m "not deployment"

check: ready ## Check format, lint, types and imports between rooms; run all tests with coverage
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo
	@$(BIN)/python -m pytest --cov --cov-report=term

format: ready ## Format the code and fix what can be fixed automatically
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

chaos: ready ## Send 2,000 codes, with random repeats, while everything around fails (60 s)
	@$(BIN)/python tests/chaos.py

attack: ready ## Replay SMS pumping with protection off, in observe mode, and on
	@$(BIN)/python tests/attack.py

bench: ready ## Compare this function with the alternatives (22 min)
	@$(BIN)/python -m benchmarks.costs
	@$(BIN)/python -m benchmarks

counts: ready ## Check counts that do not depend on speed: connections, responses, file descriptors (15 s)
	@$(BIN)/python -m benchmarks.counts

soak: ready ## Run a steady load with faults for 10 minutes; anything that grows or is lost is a failure
	@$(BIN)/python -m benchmarks.soak

platforms: ready ## Call the function as every platform does, and write docs/conformance.md (15 s)
	@$(BIN)/python -m mitto_phone_hook.sandbox.conformance docs/conformance.md

pictures: ready ## Take the pictures of the inbox in docs/pictures again (15 s)
	@cd tests && $(CURDIR)/$(BIN)/python -m support.pictures

docs: ready ## Write again what docs are made of the code: settings, pictures, openapi.json
	@cd tests && $(CURDIR)/$(BIN)/python -m support.documents

budget: ready ## Count the work of a message and write tests/data/budget.json, which no change may exceed (5 s)
	@cd tests && $(CURDIR)/$(BIN)/python -m support.budget

bundle: ready ## Make the bundle for a deployment in build/bundle
	@$(BIN)/python deploy/bundle.py

lock: ready ## Update the exact versions and hashes in deploy/requirements*.txt
	@$(BIN)/python deploy/bundle.py --lock

clean: ## Delete everything that the other targets made
	@rm -rf $(VENV) $(VENV).log build benchmarks/.cache .coverage .hypothesis .mypy_cache .pytest_cache .ruff_cache

# A stamp file says that a set-up was completed once; this line checks that it still works.
ready: $(READY)
	@$(works)

runtime: $(RUNTIME)
	@$(works)

$(READY): $(VENV)/pyvenv.cfg tests/browser/package-lock.json
	@$(BIN)/python -m pip install --disable-pip-version-check --quiet 'pip>=25.1' # the first that knows dependency groups
	@$(call install,the project and what develops and tests it,--group dev)
	@echo "  a browser for the tests ..."
	@cd tests && $(CURDIR)/$(BIN)/python -m support.browser
	@touch $(RUNTIME) $@

$(RUNTIME): $(VENV)/pyvenv.cfg
	@$(call install,the project)
	@touch $@

$(VENV)/pyvenv.cfg: pyproject.toml
	@python=""; \
	for candidate in "$${PYTHON:-}" python3 python3.14 python3.13 python3.12 python3.11 python; do \
	  if [ -n "$$candidate" ] && "$$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then python=$$candidate; break; fi; \
	done; \
	if [ -z "$$python" ]; then echo "Python 3.11 or newer is needed; install it, or give its path: PYTHON=/path/to/python3 make ..." >&2; exit 1; fi; \
	echo "Setting up .venv with $$("$$python" --version) ..."; \
	if ! "$$python" -m venv --clear $(VENV) >$(VENV).log 2>&1; then \
	  cat $(VENV).log >&2; echo "Python cannot make a virtual environment; on Debian and Ubuntu: apt install python3-venv" >&2; exit 1; fi; \
	rm -f $(VENV).log

define works
$(BIN)/python -c 'import functions_framework, mitto_phone_hook' 2>/dev/null \
|| { echo "The environment in .venv is broken; run make clean, then the same command again." >&2; exit 1; }
endef

# $(call install,WHAT,OPTIONS): the project with the extra redis, and what the options of pip add.
define install
echo "Installing $(1) (once, up to a minute) ..."; \
if ! $(BIN)/python -m pip install --disable-pip-version-check --progress-bar off -e '.[redis]' $(2) 2>$(VENV).log \
  | awk '$$1 == "Collecting" {sub(/[^A-Za-z0-9._-].*/, "", $$2); printf "  %s\n", $$2; fflush()} /^Installing collected/ {print "  installing ..."; fflush()}'; then \
  grep -v '^WARNING' $(VENV).log >&2; echo "The packages could not be installed; see above, then run the same command again." >&2; exit 1; fi; \
rm -f $(VENV).log
endef
