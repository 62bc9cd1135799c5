# make            what can be made
# make demo       the main job end to end, from a bare clone to a report
# make test       what must pass before every commit
#
# Everything is installed into .venv, with the versions of constraints.txt. PYTHON=python3.13 chooses the interpreter,
# WORKERS=1 runs the quick tests one after the other.

PYTHON ?= python3
BIN := .venv/bin
WORKERS ?= 2
BENCHMARKS := fasta prepare prepare_scaling pretrain resume

.PHONY: help demo test test-slow lint bench clean

help:  ## show this list
	@sed -n 's/^\([a-z-]*\):.*##/\1	/p' $(MAKEFILE_LIST)

demo: .venv/installed-demo  ## pre-train, fine-tune and report on real reviews, in minutes
	$(BIN)/bertwright demo

test: lint  ## lint, then every test that is quick
	$(BIN)/python -m pytest -m "not slow and not gpu" -n $(WORKERS) --dist worksteal

# pytest ends with 5 where it finds no test to run.
test-slow: .venv/installed-dev  ## the tests that take long
	$(BIN)/python -m pytest -m "slow and not gpu" || [ $$? -eq 5 ]

lint: .venv/installed-dev  ## ruff and pyright
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/pyright --pythonpath $(BIN)/python

bench: .venv/installed-dev  ## speed and memory: the scripts of benchmarks/ that need no model and no text
	@for script in $(BENCHMARKS:%=benchmarks/%.py); do \
	  echo "$$script"; $(BIN)/python "$$script" || exit 1; \
	done

clean:  ## remove what was installed and cached; runs/ and stores/ stay
	rm -rf .venv .pytest_cache .ruff_cache .hypothesis build dist

# One call of pip for everything: a second one could bring another build of torch. `dev` contains the other extras.
.venv/installed-demo: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --constraint constraints.txt --editable ".[demo]"
	touch $@

.venv/installed-dev: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --constraint constraints.txt --editable ".[dev]"
	touch .venv/installed-demo $@
