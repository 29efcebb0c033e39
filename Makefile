# `make` prints what can be made. Options go on in ARGS: make test ARGS="-k leader -x"
# PYTHON=/path/to/python3 chooses the interpreter of the virtual environment.

BIN := .venv/bin
ARGS ?=

# Many tests wait: six at once keep two cores busy. A few chosen ones start sooner without.
# Bytecode is written even where the environment says otherwise: else each of the hundreds of
# processes that tests start compiles the kernel anew.
PARALLEL := -n 6 --dist loadgroup --no-loadscope-reorder

.DEFAULT_GOAL := help
.PHONY: help setup run test test-long test-browser test-versions test-examples check release-check format docs bench chaos years clean

help: ## Print this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' Makefile

setup: ## Make .venv with the kernel, the plugins and all tools (nothing to do when up to date)
	@tools/setup.sh

run: setup ## Run the demonstration, with a PostgreSQL of its own; run it twice for a standby
	@$(BIN)/sereno demo $(ARGS)

test: setup ## Run the tests on throw-away servers, six at a time, or those of ARGS one by one
	@tools/test-tools.sh
	@env -u PYTHONDONTWRITEBYTECODE $(BIN)/python -m pytest $(or $(ARGS),$(PARALLEL) -m "not long")

test-long: setup ## Run the long forms of tests, which `make test` has a short one of: each bench, small, ...
	@tools/test-tools.sh
	@env -u PYTHONDONTWRITEBYTECODE $(BIN)/python -m pytest $(PARALLEL) -m long $(ARGS)

test-examples: setup ## Run the tests of the examples, each whole
	@tools/test-tools.sh
	@$(BIN)/python -m pytest tests/examples $(ARGS)

test-versions: setup ## Run the last released version on the newest schema, and beside the newest code
	@$(BIN)/python -m pytest tests/versions $(ARGS)

release-check: setup ## Build the wheels and look at what is in them: metadata, licence, long description, conf/
	@$(BIN)/python tools/release_check.py

test-browser: setup ## Look at every page in Chromium: both languages, desktop and telephone, light and dark
	@tools/test-tools.sh chromium
	@BROWSER_WAYS=all $(BIN)/python -m pytest $(or $(ARGS),tests/plugins/console/test_pages_seen.py)

check: setup ## Check format, lint, types and layers
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/ruff check --quiet .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

format: setup ## Format the code and mend what can be mended
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

docs: setup ## Write anew what the manual takes from the code, and build its site in build/site
	@$(BIN)/python -m tools.reference
	@$(BIN)/python tools/prometheus_rule.py
	@$(BIN)/python -m tools.site

BENCHES := burst drain enqueue latency on_time idle failover scale memory

bench: setup ## Measure Sereno, each bench once; ARGS="--peers --repeat 3 --write" for docs/performance.md
	@for name in $(BENCHES); do \
		echo "== $$name"; $(BIN)/python "benchmarks/$$name.py" $(or $(ARGS),--repeat 1) || exit; \
	done
	@for name in overhead scrape etl; do echo "== $$name"; $(BIN)/python "benchmarks/$$name.py" || exit; done

chaos: setup ## Break three replicas 200 times and measure each failover; ARGS="--faults 20", "--promotions 50", "--dask"
	@tools/test-tools.sh pgbouncer faketime ip
	@$(BIN)/python -m tests.faults.chaos $(ARGS)

years: setup ## Simulate YEARS (20) of schedules, outages and people at random; verify after each step
	@SERENO_SIMULATED_YEARS=$${YEARS:-20} $(BIN)/python -m pytest tests/integration/test_simulated_year.py $(ARGS)

clean: ## Remove the virtual environment, unpacked tools and caches (not the data of `make run`)
	@rm -rf .venv .sereno .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis dist build
	@find kernel plugins tests benchmarks tools -name __pycache__ -type d -prune -exec rm -rf {} +
