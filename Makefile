# Each target installs what it needs, into .venv and .tools; see deploy/setup.sh.
.DEFAULT_GOAL := help
.PHONY: help run demo test tests lint style types check bench sim sim-accounts kills soak setup clean
export PATH := $(CURDIR)/.tools/bin:$(PATH)
export PYTHON ?= python3

bin := .venv/bin
# Most slow tests wait for other processes: two at a time keep 43 % of two cores busy.
WORKERS ?= 3
# More arguments for pytest: make tests CHOICE="tests/hub -k slow"
CHOICE ?=
config := chains.toml

help:  ## what there is
	@echo 'make run     install, then run the service on chains.toml (where there is none: the demo)'
	@echo 'make demo    install, then run the demo: two simulated chains, traffic, a live page'
	@echo 'make test    install, then lint, types and every test'
	@echo 'make tests   every test, of what is installed: WORKERS=3 at a time, CHOICE=tests/hub some of them'
	@echo 'make check   install, then lint, types and the fast tests'
	@echo 'make bench   install, then the benchmarks, as a table with ratios'
	@echo 'make sim     install, then seeded stories of faults: SEED=0 RUNS=200, TELL=1 for one aloud, DAY=1 for a day, calm or with FAULTS=1'
	@echo 'make sim-accounts  install, then the same of exchange accounts at a venue that lies'
	@echo 'make kills   install, then kill -9 in a loop on real parts: N=200'
	@echo 'make soak    install, then an hour of blocks, ten a second, as fast as they go: BLOCKS=36000'
	@echo 'make setup   install only'
	@echo 'make clean   remove what was installed and every cache (data/ stays)'

ifneq ($(wildcard $(config)),)
run:
	@deploy/setup.sh python mongod
	@exec $(bin)/indexer run --config $(config)
else
run:
	@echo 'There is no $(config) here: running the demo. `$(bin)/indexer init` writes one.'
	@$(MAKE) --no-print-directory demo
endif

demo:
	@deploy/setup.sh python node mongod
	@exec $(bin)/indexer demo

setup:
	@deploy/setup.sh python node mongod nats chromium promtool

lint: style types

style:
	$(bin)/ruff check .
	$(bin)/ruff format --check .

types:
	$(bin)/mypy

# The types are checked beside the tests: 20 s of a core that those leave idle.
test: setup
	@$(MAKE) --no-print-directory style
	@$(MAKE) --no-print-directory -j2 types tests

# Where bytecode is not to be kept, every service of the tests compiles itself anew, and every worker all tests.
tests: export PYTHONDONTWRITEBYTECODE :=
tests:
	@mkdir -p .pytest_cache
	$(bin)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder $(CHOICE); \
	code=$$?; echo $$code >.pytest_cache/ended; exit $$code

check:
	@deploy/setup.sh python
	@$(MAKE) --no-print-directory lint
	$(bin)/python -m pytest -q -m "not e2e and not node and not mongo and not nats and not page"

bench:
	@deploy/setup.sh python node mongod nats
	$(bin)/python -m tests.bench

SEED ?= 0
RUNS ?= 200
sim:
	@deploy/setup.sh python
	@$(bin)/python -m tests.sim --seed $(SEED) --runs $(RUNS) $(if $(TELL),--tell) $(if $(DAY),--day) $(if $(FAULTS),--faults)

sim-accounts:
	@deploy/setup.sh python
ifdef DAY
	CALM_HOURS=24 DRIFTS=100 $(bin)/python -m pytest -q --timeout 3600 tests/sim/test_accounts.py -k "calm or drift"
else
	@$(bin)/python -m tests.sim.accounts --seed $(SEED) --runs $(RUNS) $(if $(TELL),--tell)
endif

N ?= 200
kills:
	@deploy/setup.sh python node mongod
	$(bin)/python -m tests.e2e.kills $(N)

BLOCKS ?= 36000
soak:
	@deploy/setup.sh python node mongod
	BLOCKS=$(BLOCKS) $(bin)/python -m tests.bench soak

clean:
	rm -rf .venv .tools build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
