# Fairway. `make demo` shows it, `make test` proves it; both install what they need.
PYTEST := .venv/bin/python -m pytest
SHELL := /bin/bash
# A docker command that scripts/install.sh unpacked is found last.
export PATH := $(PATH):$(CURDIR)/.venv/bin

.PHONY: help install demo run test unit faults fuzz load soak check format bench clean

help:
	@echo "make demo    install, then two networks with real containers and real pings"
	@echo "make test    install, then all tests (root)"
	@echo "make unit    the tests that need no root"
	@echo "make faults  kill and refuse the daemon at each boundary of each operation (root, a quarter of an hour)"
	@echo "make fuzz    generated requests, packets, archives and options, for SECONDS=600 in all (root)"
	@echo "make check   format, lint, types, layers, documentation"
	@echo "make run     fairwayd in the foreground, on /run/fairway/fairway.sock"
	@echo "make bench   side by side with dockerd, as a table of medians and ratios"
	@echo "make load    32 clients at once for five minutes, and what hangs beside what must not wait"
	@echo "make soak    2,000 containers that come and go: what is larger afterwards?"

install:
	@scripts/install.sh run

# What the machine lacks is said before anything runs.
REQUIREMENTS := .venv/bin/python -m fairway.daemon.requirements

demo:
	@scripts/root.sh demo
	@scripts/install.sh run
	@$(REQUIREMENTS)
	@.venv/bin/python scripts/demo.py

run:
	@scripts/root.sh run
	@scripts/install.sh run
	@$(REQUIREMENTS)
	@.venv/bin/fairwayd

test:
	@scripts/root.sh test
	@scripts/install.sh dev
	@$(REQUIREMENTS)
	$(PYTEST) tests/unit
	$(PYTEST) tests/contract tests/netns
	$(PYTEST) tests/scenarios tests/suites
	$(PYTEST) tests/faults
	$(PYTEST) tests/fuzz tests/load

unit:
	@scripts/install.sh unit
	$(PYTEST) tests/unit

# Two hosts side by side. Each operation is told with the sums so far.
faults: export FAULTS := all
faults:
	@scripts/root.sh faults
	@scripts/install.sh dev
	@$(REQUIREMENTS)
	$(PYTEST) tests/faults/test_kills.py & \
	$(PYTEST) tests/faults --ignore tests/faults/test_kills.py; \
	rest=$$?; wait $$! && exit $$rest

SECONDS ?= 600
fuzz:
	@scripts/root.sh fuzz
	@scripts/install.sh dev
	@$(REQUIREMENTS)
	FUZZ_SECONDS=$(SECONDS) $(PYTEST) tests/fuzz

check:
	@scripts/install.sh unit
	.venv/bin/ruff format --check src tests scripts bench
	.venv/bin/ruff check src tests scripts bench
	.venv/bin/mypy
	.venv/bin/lint-imports
	.venv/bin/python scripts/check_docs.py

format:
	.venv/bin/ruff format src tests scripts bench
	.venv/bin/ruff check --fix src tests scripts bench

bench:
	@scripts/root.sh bench
	@scripts/install.sh dev
	@$(REQUIREMENTS)
	.venv/bin/python bench/bench.py

load:
	@scripts/root.sh load
	@scripts/install.sh dev
	@$(REQUIREMENTS)
	LOAD_SECONDS=300 LOAD_ROUNDS=300 $(PYTEST) -s tests/load/test_concurrency.py tests/load/test_independence.py

soak:
	@scripts/root.sh soak
	@scripts/install.sh dev
	@$(REQUIREMENTS)
	SOAK_CYCLES=2000 $(PYTEST) -s tests/load/test_soak.py

clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis build src/*.egg-info
