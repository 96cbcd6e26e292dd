# `make demo` and `make test` set up what they need in .venv the first time.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
OUT ?= out/demo

# real weights and photos beside the checkout are used where they are; nothing depends on them
ifndef NETVLAD_WEIGHTS
ifneq ($(wildcard ../shared/weights),)
export NETVLAD_WEIGHTS := $(abspath ../shared/weights)
endif
endif

.PHONY: demo test lint bench clean
.DEFAULT_GOAL := test

$(BIN)/.ready: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || { echo "netvlad needs Python 3.10 or newer: make PYTHON=python3.11 ..."; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[test]'
	touch $@

# without PHOTOS a small town is drawn and searched
demo: $(BIN)/.ready
	$(BIN)/netvlad demo $(if $(PHOTOS),"$(PHOTOS)") --out "$(OUT)" $(if $(RADIUS),--radius $(RADIUS)) $(foreach m,$(MODELS),--model $(m))

test: $(BIN)/.ready
	$(BIN)/python -m pytest -q

lint: $(BIN)/.ready
	$(BIN)/ruff check .

bench: $(BIN)/.ready
	for f in benchmarks/bench_*.py; do echo "== $$f"; $(BIN)/python $$f || exit 1; done

clean:
	rm -rf $(VENV) out build dist
