# Everything a checkout needs: a Python from 3.11 on, POSIX tools, and the package index that pip is set up for.
# Bare `make` prints the menu.

SHELL := /bin/sh
.DEFAULT_GOAL := menu

VENV := .venv
BIN := $(VENV)/bin
JOBS ?= 3
FIND_PYTHON = for each in "$$PYTHON" python3.11 python3.12 python3.13 python3 python; do \
	  [ -n "$$each" ] && "$$each" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null \
	    && { "$$each" -c 'import sys; print(sys.executable)'; exit 0; }; \
	done; \
	echo 'actionbus needs Python 3.11, 3.12 or 3.13; none was found. Say where it is: make PYTHON=/path/to/python3.11' >&2; \
	exit 1
MAKE_VENV = [ -x $(BIN)/python ] || { python=$$($(FIND_PYTHON)) && echo "Making $(VENV) with $$python" \
	&& { "$$python" -m venv $(VENV) || { rm -rf $(VENV); exit 1; }; }; }
PIP_INSTALL := $(BIN)/python -m pip --disable-pip-version-check install --quiet

UV_VERSION := 0.13.9
COMPILE = $(BIN)/uv --no-config pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-header --no-annotate $(if $(UPGRADE),--upgrade)

.PHONY: menu demo test test-unit test-fast simulate faults fuzz bench bench-cpu bench-growth lint lock docs clean

menu:  ## Print this menu.
	@echo 'make TARGET, where TARGET is one of:'
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/  \1|\2/p' Makefile | awk -F'|' '{ printf "%-12s %s\n", $$1, $$2 }'

demo: $(VENV)/.run  ## Sign up a list of users while processes are killed; KAFKA=HOST:PORT takes your broker.
	@$(BIN)/python examples/signup_demo/run.py $(if $(KAFKA),--kafka $(KAFKA)) $(DEMO_FLAGS)

# Files are shared out to processes, what takes long first; each process has brokers and databases of its own.
test: $(VENV)/.test  ## Run every test, JOBS=3 files at a time; what a machine lacks is skipped visibly, with CI=true it is an error.
	@$(BIN)/python -m pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder $(PYTEST_FLAGS)

test-unit: $(VENV)/.test  ## Run the tests that need no broker and no database.
	@$(BIN)/python -m pytest -m 'not kafka and not java and not postgres' $(PYTEST_FLAGS)

test-fast: $(VENV)/.test  ## Run the tests that need neither Java nor much time.
	@$(BIN)/python -m pytest -m 'not java and not postgres and not slow' $(PYTEST_FLAGS)

simulate: $(VENV)/.test  ## Run seeded worlds until one breaks a promise; SEEDS=1000000 FROM=0, or SEED=123 for one.
	@$(BIN)/python -m tests.simulation $(SEED) $(if $(SEEDS),--seeds $(SEEDS)) $(if $(FROM),--from $(FROM))

faults: $(VENV)/.test  ## Inject faults until the published figures are reached, and on from where that was interrupted; FAULTS='T04 T07', DOSE=full.
	@$(BIN)/python -m tests.faults $(FAULTS) $(if $(DOSE),--dose $(DOSE)); status=$$?; \
	  $(BIN)/python -m tests.faults.report; exit $$status

fuzz: $(VENV)/.test  ## Look for bytes that break a reader, led by its code; SECONDS=60 for each, TARGET='cron documents'.
	@$(PIP_INSTALL) --require-hashes -r tests/fuzzing/requirements.lock \
	  || { echo 'atheris has no wheel for this machine and Python; the tests in tests/fuzzing need none' >&2; exit 1; }
	@$(BIN)/python -m tests.fuzzing $(if $(SECONDS),--seconds $(SECONDS)) $(TARGET)

bench: $(VENV)/.test  ## Measure steps per second, latency, and the cost of a step as its run grows; BENCH_FLAGS='--kafka HOST:PORT' takes your broker.
	@$(BIN)/python benchmarks/steps.py $(BENCH_FLAGS)
	@$(BIN)/python benchmarks/growth.py
	@$(BIN)/python benchmarks/projection.py $(BENCH_FLAGS)

bench-growth: $(VENV)/.test  ## Measure whether a step costs more the longer its run is; needs no broker.
	@$(BIN)/python benchmarks/growth.py

bench-cpu: $(VENV)/.test  ## Measure the CPU time that our own code takes for a step; needs no broker.
	@$(BIN)/python benchmarks/cpu.py $(BENCH_FLAGS)

lint: $(VENV)/.test  ## Check style, types, layers and the rules of the tree.
	@$(BIN)/python -m pytest tests/architecture $(PYTEST_FLAGS)

docs: $(VENV)/.test  ## Write the files that are derived from the code.
	@$(BIN)/python -m actionbus.contracts.reference docs/reference
	@$(BIN)/python -m actionbus.process.reference docs/reference
	@$(BIN)/python -m actionbus.cli.reference docs/reference
	@$(BIN)/python -m actionbus.gateway.reference docs/reference
	@$(BIN)/python -m actionbus.provisioner.dashboards
	@$(BIN)/python -m actionbus.provisioner.asyncapi docs/reference

lock:  ## Write the locks again, keeping what they pin; UPGRADE=1 takes the newest versions that fit.
	@$(MAKE_VENV)
	@$(PIP_INSTALL) uv==$(UV_VERSION)
	@$(COMPILE) --all-extras -o requirements.lock pyproject.toml
	@$(COMPILE) --extra postgres --extra projector --extra gateway --extra otel -c requirements.lock -o deploy/requirements.lock pyproject.toml
	@$(COMPILE) --all-extras --group test -c requirements.lock -o requirements-test.lock pyproject.toml
	@$(COMPILE) --group fuzz -o tests/fuzzing/requirements.lock
	@sed -n 's/^requires = \["\(.*\)"\]/\1/p' pyproject.toml | $(COMPILE) -o deploy/build.lock -

clean:  ## Remove what the other targets made.
	rm -rf $(VENV) .actionbus dist build .pytest_cache .ruff_cache .hypothesis .import_linter_cache .cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# What is installed is exactly what the locks say, each archive checked against its hash; the project itself is built
# with the locked hatchling and without asking the index for anything.
$(VENV)/.run: requirements.lock deploy/build.lock pyproject.toml
	@$(MAKE_VENV)
	@echo 'Installing what requirements.lock names ...'
	@$(PIP_INSTALL) --require-hashes -r requirements.lock -r deploy/build.lock
	@$(PIP_INSTALL) --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.test: requirements-test.lock $(VENV)/.run
	@echo 'Installing what requirements-test.lock names ...'
	@$(PIP_INSTALL) --require-hashes -r requirements-test.lock
	@touch $@
