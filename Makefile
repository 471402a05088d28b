# make demo: install, then run the main job end to end. make test: install, then run the tests.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Small matrices by the thousand: one thread a worker is faster than workers fighting for cores.
# Each worker takes a stretch of files, so that fixtures of a module are made once, and steals what is left at the end.
WORKERS ?= 2

.PHONY: demo test test-all lint docs bench install clean

install: $(VENV)/.installed

$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet -c constraints.txt -e ".[dev]"
	touch $@

demo: install
	$(BIN)/qtomo demo --overwrite

test: install
	$(BIN)/pytest -n $(WORKERS) --dist worksteal -m "not slow"

test-all: install
	$(BIN)/pytest -n $(WORKERS) --dist worksteal

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: install
	$(BIN)/pip install --quiet -c constraints.txt -e ".[docs]"
	$(BIN)/python -m sphinx -b html -E -q -W --keep-going docs build/docs
	@echo "build/docs/index.html"

bench: install
	$(BIN)/pip install --quiet -c constraints.txt -e ".[bench]"
	OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 MKL_NUM_THREADS=1 NUMBA_NUM_THREADS=1 $(BIN)/python -W ignore benchmarks/sampling.py --figure docs/sampling.png
	$(BIN)/python benchmarks/records.py

clean:
	rm -rf $(VENV) build demo
