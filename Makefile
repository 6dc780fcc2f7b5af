# Everything a user or CI runs. Each target sets up .venv first, from the pinned lock.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: demo test check bench lint types lock

$(READY): requirements.lock pyproject.toml
	$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 11) and 'moireloop needs Python 3.11 or newer')"
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --requirement requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	touch $@

demo: $(READY)
	$(BIN)/moireloop run --fresh examples/demo.toml

test: check

# Tests that need no services run beside those that do, and give way to them.
check: lint types $(READY)
	mkdir -p build
	nice -n 10 $(BIN)/python -m pytest tests/unit tests/contract tests/physics > build/pure-tests.log 2>&1 & pure=$$!; \
	$(BIN)/python -m pytest tests/integration tests/system; live=$$?; \
	wait $$pure; pure=$$?; cat build/pure-tests.log; test $$live -eq 0 && test $$pure -eq 0

lint: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: $(READY)
	$(BIN)/mypy

bench: $(READY)
	$(BIN)/python -m bench

lock:
	rm -rf build/lock && $(PYTHON) -m venv build/lock
	build/lock/bin/python -m pip install --quiet hatchling editables '.[dev]'
	build/lock/bin/python -m pip freeze --exclude moireloop | sed 's/+cpu$$//' > requirements.lock
