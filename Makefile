# Two commands matter: `make run` and `make test`. Both set up everything first.

BIN := .venv/bin

.DEFAULT_GOAL := help
.PHONY: help setup run test lint check fix bench mutants planted chaos simulate clean

help: ## This list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-9s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## Make .venv from the lock, and fetch what Kafka needs; quick when there is nothing to do
	@scripts/setup

run: setup ## Everything on this machine; Ctrl-C stops it
	@$(BIN)/flex-sessions up

# What starts no broker runs on every core. The rest mostly waits: three files at a time, each with a broker of its own.
BROKER_TESTS := tests/integration tests/e2e tests/chaos

# Everything of `check`: its linters here, its tests within `tests`.
test: setup lint ## Every check and every test (starts a Kafka of its own)
	@$(BIN)/pytest -q -n auto --dist worksteal tests $(addprefix --ignore=,$(BROKER_TESTS))
	@$(BIN)/pytest -q -n 3 --dist loadfile $(BROKER_TESTS)

check: setup lint ## Formatting, lint, types, arrows, quick tests; under two minutes
	@$(BIN)/pytest -q -n auto --dist worksteal tests/unit tests/properties

lint:
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/ruff check --quiet .
	@$(BIN)/mypy src simulator simulation tests examples
	@PYTHONPATH=src:. $(BIN)/lint-imports
	@$(BIN)/yamllint --strict docker-compose.yml .github
	@$(BIN)/check-jsonschema --quiet --builtin-schema vendor.compose-spec docker-compose.yml
	@$(BIN)/check-jsonschema --quiet --builtin-schema vendor.github-workflows .github/workflows/ci.yml

fix: setup ## Format, and repair what the linter can
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

bench: setup ## Benchmarks of the core, the worker, the fleet and the API, one after the other; figures go to benchmarks/results/latest.json
	@PYTHONPATH=src:. $(BIN)/python -m benchmarks

mutants: setup ## Small defects made on purpose: how many do the unit tests find? Ten minutes, in no other target
	@$(BIN)/python scripts/mutants.py --minutes 10

planted: setup ## Defects planted in the session logic: does the simulated fleet find each? Half an hour, in no other target
	@$(BIN)/python scripts/planted.py --minutes 5

chaos: setup ## Faults on purpose, many of each, at most two hours; a short form is in `make test`
	@PYTHONPATH=src:. $(BIN)/python scripts/chaos.py

SEED ?= 1
VEHICLES ?= 20
DAYS ?= 7
FEED ?= clean
# Of the present, on the wall clock of a running system, which has no end of its own; DAYS are those of the event clock.
MINUTES ?= 10
# LIVE=1: not the core in the process, but the running system of FLEX_KAFKA_BOOTSTRAP_SERVERS, on the clock of FLEX_CLOCK.
simulate: setup ## The core against a fleet whose truth is known (SEED, VEHICLES, DAYS, FEED, LIVE, MINUTES; simulator/README.md)
	@PYTHONPATH=src:. $(BIN)/$(if $(LIVE),flex-sessions simulate --judge --minutes $(MINUTES),python -m simulation) --seed $(SEED) \
		--vehicles $(VEHICLES) --days $(DAYS) --feed $(FEED)

clean: ## Remove .venv, caches and the data of `make run`; Kafka's jars stay in their cache
	@rm -rf .venv .flex .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build dist *.egg-info src/*.egg-info
	@find . -name __pycache__ -type d -not -path './.git/*' -prune -exec rm -rf {} +
