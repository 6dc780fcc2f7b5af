# Everything a user or CI runs. Each target sets up .venv first, from the pinned lock.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: demo test check kernels check-bluesky check-long quick quick-models quick-words bench lint types lock programs \
	schema reference docs release

$(READY): requirements.lock pyproject.toml
	$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 11) and 'moireloop needs Python 3.11 or newer')"
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --requirement requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	touch $@

demo: $(READY)
	$(BIN)/moireloop run --fresh examples/demo.toml

test: check

# Four lanes about equally long: tests that start services wait about as long as they compute, so that two cores bear
# four. Up to three tests that fail are run once more at the end, and named as unsteady where they pass alone
# (docs/adr/0056).
LANES := campaigns further services units
lane-campaigns: TESTS = tests/system/test_[a-m]*.py tests/schedulers tests/integration/optimizer
lane-further: TESTS = tests/system/test_[n-z]*.py tests/integration/bench
lane-services: TESTS = tests/integration $(ELSEWHERE:%=--ignore=tests/integration/%)
lane-services: ELSEWHERE = bench optimizer analyzer settling
lane-units: TESTS = tests/unit tests/contract tests/physics tests/integration/analyzer tests/integration/settling

check: $(READY)
	$(MAKE) --no-print-directory -j 2 -O lint types kernels programs docs
	rm -rf build/lanes && mkdir -p build/lanes
	$(MAKE) --no-print-directory -j 4 -O $(LANES:%=lane-%)
	$(BIN)/python -m tests.helpers.once_more build/lanes $(LANES)

# The exit code is for once_more: a lane that fails does not end the others.
lane-%: $(READY)
	@$(BIN)/python -m pytest -m "not long" -o cache_dir=build/lanes/$* $(TESTS); echo $$? > build/lanes/$*.code

# What takes minutes: jobs of a real Slurm that are preempted, requeued, resumed or reach their limit; long partitions;
# workers that wait longer and longer before they are tried again.
check-long: programs $(READY)
	$(BIN)/python -m pytest -m long tests/schedulers tests/system tests/integration/worker

# Tiled's server and MDAnalysis: 85 packages, 630 MB, beside the locked environment instead of in it.
BESIDE := build/bluesky

$(BESIDE)/.ready: requirements-bluesky.lock $(READY)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --upgrade --target $(BESIDE) --requirement requirements-bluesky.lock
	touch $@

check-bluesky: $(BESIDE)/.ready
	PYTHONPATH=$(CURDIR)/$(BESIDE) $(BIN)/python -m pytest tests/unit/campaign/bluesky tests/integration/campaign/test_tiled.py \
		tests/integration/worker/test_imd.py tests/system/test_bluesky.py

# What analyzers compile at their first start, once for all tests that wait for it.
kernels: $(READY)
	$(BIN)/python -c "from moireloop_analyzer.settings import AnalyzerSettings; \
		from moireloop_analyzer.warm_up import warm_up; warm_up(AnalyzerSettings())"

# Debian packages that tests need beside Python: installed where this runs as root with apt-get, else the tests skip.
programs:
	@sh tests/install-programs.sh

# For daily work, about a minute on two quiet cores: neither services, campaigns and figures nor long searches.
quick: $(READY)
	$(MAKE) --no-print-directory -j 3 -O lint types quick-models quick-words

QUICK := $(BIN)/python -m pytest -q -m "not slow and not processes"

quick-models: $(READY)
	$(QUICK) tests/unit/analyzer tests/unit/optimizer tests/unit/worker

quick-words: $(READY)
	$(QUICK) --ignore=tests/unit/campaign/figures tests/contract tests/unit/broker tests/unit/campaign tests/unit/*.py

lint: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: $(READY)
	$(BIN)/mypy

# The schema of the wire in the package, after a change of a message or of contract/data/meanings.toml.
schema: $(READY)
	$(BIN)/python -m tests.contract.write_schema

# The tables of docs/reference, after a change of a setting, a command or an HTTP operation.
reference: $(READY)
	$(BIN)/python -m docs.tools.reference

# The site, under build/site. Its 33 packages lie beside the environment: only this needs them. Nothing is fetched at build.
MKDOCS := build/mkdocs

$(MKDOCS)/.ready: requirements-docs.lock $(READY)
	rm -rf $(MKDOCS)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --target $(MKDOCS) --requirement requirements-docs.lock
	touch $@

docs: $(MKDOCS)/.ready
	NO_MKDOCS_2_WARNING=1 PATH=$(CURDIR)/$(BIN):$$PATH PYTHONPATH=$(CURDIR)/$(MKDOCS) $(BIN)/python -m mkdocs build --strict

# What is uploaded, tried in an empty environment: refuses a tree that is not at the tag of its version.
release:
	@version=$$(sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml); \
	test "$$(git describe --tags --exact-match 2>/dev/null)" = "v$$version" || { echo "expected HEAD at tag v$$version"; exit 1; }; \
	test -z "$$(git status --porcelain)" || { echo "expected a clean tree"; exit 1; }; \
	grep -q "^## \[\?$$version" CHANGELOG.md || { echo "expected a section $$version in CHANGELOG.md"; exit 1; }
	rm -rf dist build/release build/empty
	$(PYTHON) -m venv build/release
	build/release/bin/python -m pip install --quiet --disable-pip-version-check build twine
	build/release/bin/python -m build --wheel --sdist --outdir dist
	build/release/bin/python -m twine check --strict dist/*
	$(PYTHON) -m venv build/empty
	build/empty/bin/python -m pip install --quiet --disable-pip-version-check dist/*.whl
	build/empty/bin/moireloop --version

bench: $(READY)
	$(BIN)/python -m bench

lock:
	rm -rf build/lock && $(PYTHON) -m venv build/lock
	build/lock/bin/python -m pip install --quiet hatchling editables async-timeout '.[all,dev]'
	build/lock/bin/python -m pip freeze --exclude moireloop | sed -e 's/+cpu$$//' \
		-e 's/^async-timeout==.*/&; python_full_version < "3.11.3"/' > requirements.lock
	build/lock/bin/python -m pip install --quiet --dry-run --report build/lock/tiled.json --constraint requirements.lock \
		'bluesky-tiled-plugins>=2.0' 'tiled[server]' 'MDAnalysis>=2.10' imdclient
	build/lock/bin/python -c "import json; print(*sorted((f\"{one['metadata']['name']}=={one['metadata']['version']}\" \
		for one in json.load(open('build/lock/tiled.json'))['install']), key=str.lower), sep='\n')" > requirements-bluesky.lock
	$(PYTHON) -m venv build/lock/docs
	build/lock/docs/bin/python -m pip install --quiet mkdocs-material 'mkdocstrings[python]'
	build/lock/docs/bin/python -m pip freeze > requirements-docs.lock
	@echo "Behind the newest releases, since something in pyproject.toml or in another package holds them back:"
	build/lock/bin/python -m pip list --outdated
