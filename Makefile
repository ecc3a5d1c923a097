# Everything here needs Python 3.11 or later, make and a package index; it installs into .venv only.
# `make` alone lists what there is to make.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
ARGS ?=
JOBS ?= auto
DATA ?=

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo install install-dev test coverage lint format types layers check bench bench-quick bench-gateway deploy-check audit sbom lock clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: install ## set up, then answer questions on real local models (ARGS="--small")
	$(BIN)/emafusion demo $(ARGS)

install: $(VENV)/.installed ## set up .venv to run emafusion

install-dev: $(VENV)/.installed-dev ## set up .venv to work on emafusion

# Tests start many processes; what those import is compiled once, whatever the shell says.
test: export PYTHONDONTWRITEBYTECODE :=
test: install-dev ## run every test, on all cores (ARGS="tests/record -x" JOBS=0)
	$(BIN)/python -m pytest -n $(JOBS) --dist worksteal $(ARGS)

coverage: install-dev ## run every test and report the branches none has taken
	$(BIN)/python -m pytest --cov --cov-branch --cov-report=term-missing:skip-covered $(ARGS)

lint: install-dev ## style and formatting
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: install-dev ## put the formatting right
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

types: install-dev ## strict types of source and tests
	$(BIN)/mypy

layers: install-dev ## who may import whom
	$(BIN)/lint-imports

check: lint types layers test ## all of the checks

bench: install-dev ## the figures of the README (DATA=a folder of recorded outcomes)
	@test -n "$(DATA)" || { echo "name the folder of recorded outcomes: make bench DATA=..." >&2; exit 2; }
	$(BIN)/python benchmarks/full.py $(DATA) $(ARGS)

bench-quick: install-dev ## a few minutes' check that they still hold (DATA=...)
	@test -n "$(DATA)" || { echo "name the folder of recorded outcomes: make bench-quick DATA=..." >&2; exit 2; }
	$(BIN)/python benchmarks/quick.py $(DATA) $(ARGS)

DEPLOY := build/deploy/bin
build/deploy/.made: deploy/requirements.txt
	$(PYTHON) -m venv build/deploy && $(DEPLOY)/pip install --quiet -r $< && touch $@

deploy-check: build/deploy/.made ## the container, compose and Helm files, read by the real tools
	$(DEPLOY)/python deploy/check.py

audit: build/deploy/.made ## known vulnerabilities of what is locked
	@rm -f build/audit.txt
	@$(DEPLOY)/pip-audit --require-hashes --disable-pip -r deploy/image.lock --output build/audit.txt \
		|| { cat build/audit.txt 2>/dev/null || echo "nothing was checked: pip-audit's service cannot be reached from here" >&2; exit 1; }

sbom: build/deploy/.made ## build/emafusion.cdx.json: what the lock installs, as CycloneDX
	$(DEPLOY)/cyclonedx-py requirements deploy/image.lock --output-format JSON --output-file build/emafusion.cdx.json

bench-gateway: install-dev ## the gateway's CPU, latency and memory beside its peers
	$(BIN)/python benchmarks/gateway.py $(ARGS)

clean: ## remove .venv and every cache
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .coverage
	find src tests -name __pycache__ -type d -prune -exec rm -rf {} +

# ---------------------------------------------------------------- the environment
#
# Every package is pinned with its hashes. uv, itself such a package, installs them some four times
# faster than pip; where it does not run or finds no index (it does not read pip's files), pip does.
# emafusion is built by the locked hatchling, so that nothing is fetched unpinned.

UV := UV_SYSTEM_CERTS=1 $(if $(PIP_INDEX_URL),UV_DEFAULT_INDEX="$(PIP_INDEX_URL)") $(BIN)/uv
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check

define install_locked
	@echo "installing from $(1)"
	@$(UV) pip install --quiet --python $(BIN)/python --require-hashes --no-deps -r $(1) \
		|| { echo "uv could not; pip will, more slowly"; $(PIP) install --require-hashes --no-deps -r $(1); }
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@
endef

$(VENV)/.made:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "emafusion needs Python 3.11 or later, and $(PYTHON) is " + sys.version.split()[0] + ": make PYTHON=python3.11")'
	@echo "making $(VENV)"
	@rm -rf $(VENV)
	@$(PYTHON) -m venv $(VENV)
	@sed -n '/^uv==/,/[^\\]$$/p' requirements.lock > $(VENV)/uv.txt
	@$(PIP) install --require-hashes --no-deps -r $(VENV)/uv.txt || echo "uv could not be installed"
	@touch $@

$(VENV)/.installed: $(VENV)/.made requirements.lock pyproject.toml
	$(call install_locked,requirements.lock)

$(VENV)/.installed-dev: $(VENV)/.made requirements-dev.lock pyproject.toml
	$(call install_locked,requirements-dev.lock)

# ---------------------------------------------------------------- the lock files
#
# Universal: one file for every platform and Python. Pins stay until LOCK=--upgrade moves them.

TOOLS := hatchling>=1.27 editables>=0.5 uv>=0.9
COMPILE := $(UV) pip compile --quiet --universal --generate-hashes --python-version 3.11 \
	--no-header --no-emit-index-url $(LOCK)

lock: $(VENV)/.made ## write the lock files anew (LOCK=--upgrade)
	@test -x $(BIN)/uv || $(PIP) install uv
	printf '%s\n' $(foreach tool,$(TOOLS),'$(tool)') | $(COMPILE) pyproject.toml - --extra local \
		--output-file requirements.lock
	printf '%s\n' $(foreach tool,$(TOOLS),'$(tool)') | $(COMPILE) pyproject.toml - --all-extras --group dev \
		--constraint requirements.lock --output-file requirements-dev.lock
	printf '%s\n' $(foreach tool,$(TOOLS),'$(tool)') | $(COMPILE) pyproject.toml - --extra local --extra postgres \
		--extra valkey --extra telemetry --constraint requirements.lock --output-file deploy/image.lock
